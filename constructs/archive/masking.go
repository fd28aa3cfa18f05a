package archive

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"

	"github.com/postern-cdk/postern/internal/check"
)

// Masking hides data from who reads a log group: asterisks stand in its place,
// in the console, in queries and in what the API returns. Its zero value masks
// what people type into a shell and should not: [Credentials] and [TypedSecrets].
//
// It hides, it does not delete. What was logged is kept whole, and whoever has
// logs:Unmask reads it: grant that to few, and look for "unmask" in the trail.
// Only events that arrive after masking was switched on are masked. It works by
// pattern, so it misses secrets and hides what is none.
//
// What leaves the group by a filter is masked for good, whoever reads it: metric
// filters don't see what is masked, and a log account gets it masked. Records in
// the bucket are never masked. A chain of records verifies over what the bucket
// holds, or over what was read with logs:Unmask.
//
// CloudWatch Logs charges by the GB that it scans
// (docs.aws.amazon.com/AmazonCloudWatch/latest/logs/mask-sensitive-log-data.html).
type Masking struct {
	// Identifiers are names of AWS's managed data identifiers, such as
	// "AwsSecretKey" or "CreditCardNumber", those of a country with its code, as
	// in "Ssn-US". Each may find what it does not mean: name what there can be.
	//
	// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/protect-sensitive-log-data-types.html
	Identifiers []string

	// Custom are identifiers of your own, 10 at most.
	Custom []CustomIdentifier

	// Findings is the log group to which CloudWatch Logs reports that it found
	// some: which identifier in which event, never the data. Nil reports nowhere but
	// in the metric LogEventsWithFindings of AWS/Logs. Who deploys needs
	// logs:CreateLogDelivery and logs:PutResourcePolicy for it; a group of the
	// archive does.
	Findings awslogs.ILogGroup
}

// CustomIdentifier is data by its form.
type CustomIdentifier struct {
	// Name is 1 to 128 letters, digits, "_" and "-", and no name of AWS's.
	Name string
	// Regex is a regular expression of 1 to 200 characters, without groups:
	// CloudWatch Logs takes letters, digits, the signs _ # = @ / ; , - and space,
	// and ^ $ ? [ ] { } | \ * + . for what they mean
	// (docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL-custom-data-identifiers.html).
	Regex string
}

// Credentials are AWS's managed data identifiers of keys that open something.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/protect-sensitive-log-data-types-credentials.html
func Credentials() []string {
	return []string{"AwsSecretKey", "OpenSshPrivateKey", "PgpPrivateKey", "PkcsPrivateKey", "PuttyPrivateKey"}
}

// TypedSecrets are passwords as commands and settings hold them: "password=...",
// "PASSWD: ...", "--password ..." and "scheme://user:password@host".
func TypedSecrets() []CustomIdentifier {
	return []CustomIdentifier{
		{"PasswordSetting", `[Pp][Aa][Ss][Ss][Ww][A-Za-z_]*[^A-Za-z0-9_ ] ?[^ ,}]+`},
		{"PasswordOption", `--[a-z-]*pass[a-z-]* [^ ,}]+`},
		// The sign after the user name is the colon, for which there is no character.
		{"PasswordInAddress", `//[A-Za-z0-9_.-]+[^A-Za-z0-9_./ @-][^ /@]+@`},
	}
}

// What CloudWatch Logs has managed identifiers for, without the country.
var managedIdentifiers = []string{
	"Address", "AwsSecretKey", "BankAccountNumber", "CepCode", "Cnpj", "CpfCode", "CreditCardExpiration", "CreditCardNumber",
	"CreditCardSecurityCode", "DriversLicense", "DrugEnforcementAgencyNumber", "ElectoralRollNumber", "EmailAddress",
	"HealthInsuranceCardNumber", "HealthInsuranceClaimNumber", "HealthInsuranceNumber", "HealthcareProcedureCode",
	"IndividualTaxIdentificationNumber", "InseeCode", "IpAddress", "LatLong", "MedicareBeneficiaryNumber", "Name", "NationalDrugCode",
	"NationalIdentificationNumber", "NationalInsuranceNumber", "NationalProviderId", "NhsNumber", "NieNumber", "NifNumber",
	"OpenSshPrivateKey", "PassportNumber", "PermanentResidenceNumber", "PersonalHealthNumber", "PgpPrivateKey", "PhoneNumber",
	"PkcsPrivateKey", "PostalCode", "PuttyPrivateKey", "RgNumber", "SocialInsuranceNumber", "Ssn", "TaxId",
	"VehicleIdentificationNumber", "ZipCode",
}

const (
	maxCustomIdentifiers = 10
	maxRegex             = 200
)

var (
	customName  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	customRegex = regexp.MustCompile(`^[A-Za-z0-9_#=@/;, ^$?\[\]{}|\\*+.-]+$`)
	country     = regexp.MustCompile(`^[A-Z]{2}$`)
)

func (m *Masking) withDefaults() Masking {
	q := *m
	if len(q.Identifiers) == 0 && len(q.Custom) == 0 {
		q.Identifiers, q.Custom = Credentials(), TypedSecrets()
	}
	return q
}

func (m *Masking) validate(faults *check.Faults) {
	seen := map[string]bool{}
	again := func(field, name string) {
		if seen[name] {
			faults.Addf(field, "name each once", "%q is there twice", name)
		}
		seen[name] = true
	}
	for i, name := range m.Identifiers {
		field := fmt.Sprintf("Masking.Identifiers[%d]", i)
		again(field, name)
		base, code, of := strings.Cut(name, "-")
		switch {
		case !slices.Contains(managedIdentifiers, base):
			fix := "see docs.aws.amazon.com/AmazonCloudWatch/latest/logs/protect-sensitive-log-data-types.html, or write a Custom one"
			if near := check.Nearest(base, managedIdentifiers); near != "" {
				fix = fmt.Sprintf("did you mean %q? %s", near, fix)
			}
			faults.Addf(field, fix, "%q is no managed data identifier", name)
		case of && !country.MatchString(code):
			faults.Addf(field, fmt.Sprintf(`write two capital letters, as in "%s-US"`, base), "%q does not end in a country", name)
		}
	}
	if len(m.Custom) > maxCustomIdentifiers {
		faults.Addf("Masking.Custom", "join some by |", "has %d identifiers, and CloudWatch Logs takes %d", len(m.Custom), maxCustomIdentifiers)
	}
	for i, c := range m.Custom {
		field := fmt.Sprintf("Masking.Custom[%d]", i)
		again(field+".Name", c.Name)
		switch base, _, _ := strings.Cut(c.Name, "-"); {
		case !customName.MatchString(c.Name):
			faults.Addf(field+".Name", `use 1 to 128 letters, digits, "_" and "-"`, "%q has the wrong form", c.Name)
		case slices.Contains(managedIdentifiers, base):
			faults.Addf(field+".Name", "choose another, or name it in Identifiers", "%q is a name of AWS's", c.Name)
		}
		c.validateRegex(faults, field+".Regex")
	}
}

func (c CustomIdentifier) validateRegex(faults *check.Faults, field string) {
	switch _, err := regexp.Compile(c.Regex); {
	case c.Regex == "":
		faults.Add(field, "is empty", "write what to look for")
	case len(c.Regex) > maxRegex:
		faults.Addf(field, "shorten it, or make two", "has %d characters, and CloudWatch Logs takes %d", len(c.Regex), maxRegex)
	case !customRegex.MatchString(c.Regex):
		faults.Addf(field, `use letters, digits, _ # = @ / ; , - space and ^ $ ? [ ] { } | \ * + . alone; [^A-Za-z0-9 ] stands for any other sign`,
			"%q has a character that CloudWatch Logs doesn't take", c.Regex)
	case err != nil:
		faults.Addf(field, "mend it", "%q is no regular expression (%s)", c.Regex, err)
	}
}
