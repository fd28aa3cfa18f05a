package archive

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/check"
)

func TestLogGroupOptionsWithDefaults(t *testing.T) {
	p := (*Props)(nil).withDefaults()
	var none *LogGroupOptions
	assert.Equal(t, LogGroupOptions{RetentionDays: 365, Class: ClassStandard}, none.withDefaults(&p))

	given := &LogGroupOptions{Masking: &Masking{}}
	got := given.withDefaults(&p)
	assert.Equal(t, Credentials(), got.Masking.Identifiers)
	assert.Equal(t, TypedSecrets(), got.Masking.Custom)
	assert.Equal(t, &LogGroupOptions{Masking: &Masking{}}, given, "the caller's options stay as they are")

	p.AllowLogGroupDeletion = true
	only := (&LogGroupOptions{RetentionDays: 7, Masking: &Masking{Identifiers: []string{"EmailAddress"}}}).withDefaults(&p)
	assert.Equal(t, LogGroupOptions{
		RetentionDays: 7, Class: ClassStandard, AllowDeletion: true, Masking: &Masking{Identifiers: []string{"EmailAddress"}},
	}, only)
}

func TestLogGroupOptionsValidate(t *testing.T) {
	masking := func(m Masking) LogGroupOptions { return LogGroupOptions{Masking: &m} }
	eleven := make([]CustomIdentifier, 11)
	for i := range eleven {
		eleven[i] = CustomIdentifier{strings.Repeat("a", i+1), "x"}
	}
	for name, test := range map[string]struct {
		options LogGroupOptions
		want    string
	}{
		"defaults":          {LogGroupOptions{}, ""},
		"infrequent access": {LogGroupOptions{Class: ClassInfrequentAccess}, ""},
		"masking":           {masking(Masking{Identifiers: []string{"Ssn-US", "EmailAddress", "Ssn-ES"}, Custom: []CustomIdentifier{{"Employee_ID", `E-\d{9}`}}}), ""},

		"retention": {
			LogGroupOptions{RetentionDays: 100},
			"RetentionDays: 100 is no retention period of CloudWatch Logs: use 90 or 120, the periods next to it",
		},
		"class": {
			LogGroupOptions{Class: "INFREQUENT"},
			`Class: "INFREQUENT" is not known: use one of STANDARD, INFREQUENT_ACCESS`,
		},
		"masked for good": {
			LogGroupOptions{Class: ClassInfrequentAccess, Masking: &Masking{}},
			"Masking: hides from everybody, and for good, in ClassInfrequentAccess, which is read by Logs Insights without unmask: leave out Class, or Masking",
		},
		"misspelt identifier": {
			masking(Masking{Identifiers: []string{"AwsSecretKeys"}}),
			`Masking.Identifiers[0]: "AwsSecretKeys" is no managed data identifier: did you mean "AwsSecretKey"? see docs.aws.amazon.com/AmazonCloudWatch/latest/logs/protect-sensitive-log-data-types.html, or write a Custom one`,
		},
		"unknown identifier": {
			masking(Masking{Identifiers: []string{"Fingerprint"}}),
			`Masking.Identifiers[0]: "Fingerprint" is no managed data identifier: see docs.aws.amazon.com/AmazonCloudWatch/latest/logs/protect-sensitive-log-data-types.html, or write a Custom one`,
		},
		"no country": {
			masking(Masking{Identifiers: []string{"Ssn-usa"}}),
			`Masking.Identifiers[0]: "Ssn-usa" does not end in a country: write two capital letters, as in "Ssn-US"`,
		},
		"twice": {
			masking(Masking{Identifiers: []string{"LatLong", "LatLong"}}),
			`Masking.Identifiers[1]: "LatLong" is there twice: name each once`,
		},
		"too many": {
			masking(Masking{Custom: eleven}),
			"Masking.Custom: has 11 identifiers, and CloudWatch Logs takes 10: join some by |",
		},
		"name of AWS's": {
			masking(Masking{Custom: []CustomIdentifier{{"PhoneNumber-NL", "x"}}}),
			`Masking.Custom[0].Name: "PhoneNumber-NL" is a name of AWS's: choose another, or name it in Identifiers`,
		},
		"name of another form": {
			masking(Masking{Custom: []CustomIdentifier{{"employee id", "x"}}}),
			`Masking.Custom[0].Name: "employee id" has the wrong form: use 1 to 128 letters, digits, "_" and "-"`,
		},
		"no regex": {
			masking(Masking{Custom: []CustomIdentifier{{"A", ""}}}),
			"Masking.Custom[0].Regex: is empty: write what to look for",
		},
		"long regex": {
			masking(Masking{Custom: []CustomIdentifier{{"A", strings.Repeat("x", 201)}}}),
			"Masking.Custom[0].Regex: has 201 characters, and CloudWatch Logs takes 200: shorten it, or make two",
		},
		"regex with a group": {
			masking(Masking{Custom: []CustomIdentifier{{"A", "(a|b)"}}}),
			`Masking.Custom[0].Regex: "(a|b)" has a character that CloudWatch Logs doesn't take: ` +
				`use letters, digits, _ # = @ / ; , - space and ^ $ ? [ ] { } | \ * + . alone; [^A-Za-z0-9 ] stands for any other sign`,
		},
		"broken regex": {
			masking(Masking{Custom: []CustomIdentifier{{"A", "[a"}}}),
			"Masking.Custom[0].Regex: \"[a\" is no regular expression (error parsing regexp: missing closing ]: `[a`): mend it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := (*Props)(nil).withDefaults()
			o := test.options.withDefaults(&p)
			var faults check.Faults
			o.validate(&faults)
			cdktest.EqualError(t, faults.Err(), test.want)
		})
	}
}

// What people type, and what of it stays in sight.
func TestTypedSecrets(t *testing.T) {
	mask := func(line string) string {
		for _, c := range TypedSecrets() {
			line = regexp.MustCompile(c.Regex).ReplaceAllString(line, "<"+c.Name+">")
		}
		return line
	}
	for line, want := range map[string]string{
		"export PASSWORD=hunter2":                    "export <PasswordSetting>",
		"DB_PASSWD: 's3cr!t' next":                   "DB_<PasswordSetting> next",
		`{"password":"hunter2","user":"ann"}`:        `{"<PasswordSetting>,"user":"ann"}`,
		"mysql --password hunter2 -h db":             "mysql <PasswordOption> -h db",
		"mysql --password=hunter2 -h db":             "mysql --<PasswordSetting> -h db",
		"vault --db-pass hunter2":                    "vault <PasswordOption>",
		"curl https://ann:hunter2@example.com/x":     "curl https:<PasswordInAddress>example.com/x",
		"psql postgres://app:p!w@db.internal:5432/x": "psql postgres:<PasswordInAddress>db.internal:5432/x",

		"passwd ann":                                       "passwd ann",
		"pass the salt: now":                               "pass the salt: now",
		"git clone ssh://git@example.com/x":                "git clone ssh://git@example.com/x",
		"curl https://example.com:8443/a@b":                "curl https://example.com:8443/a@b",
		"ls /etc/passwd":                                   "ls /etc/passwd",
		"Accepted publickey for ann from 203.0.113.9 port": "Accepted publickey for ann from 203.0.113.9 port",
	} {
		assert.Equal(t, want, mask(line))
	}
}
