package compliance

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/postern-cdk/postern/internal/check"
)

// Rule is one question that AWS Config asks of all resources of the account and
// Region.
type Rule string

// The questions, by the names that AWS gives its rules
// (docs.aws.amazon.com/config/latest/developerguide/managed-rules-by-aws-config.html).
const (
	// RestrictedSsh finds security groups that let everybody in on port 22.
	RestrictedSsh Rule = "restricted-ssh"
	// RestrictedCommonPorts finds security groups that let everybody in on one of
	// [Props.BlockedPorts].
	RestrictedCommonPorts Rule = "restricted-common-ports"
	// Imdsv2 finds instances whose metadata can be read without a token.
	Imdsv2 Rule = "ec2-imdsv2-check"
	// FlowLogs finds VPCs without flow logs.
	FlowLogs Rule = "vpc-flow-logs-enabled"
	// EncryptedVolumes finds volumes in use that are not encrypted.
	EncryptedVolumes Rule = "encrypted-volumes"
	// ManagedInstances finds instances that Systems Manager does not manage: they
	// can't be patched, nor entered by Session Manager.
	ManagedInstances Rule = "ec2-instance-managed-by-systems-manager"
	// EncryptedLogGroups finds log groups without a customer managed key.
	EncryptedLogGroups Rule = "cloudwatch-log-group-encrypted"
)

// DefaultBlockedPorts are the ports of [RestrictedCommonPorts]: SSH and RDP.
var DefaultBlockedPorts = []int{22, 3389}

// maxBlockedPorts is how many parameters the rule has.
const maxBlockedPorts = 5

// Props says what is asked. Its zero value, and nil, stand for all rules and no scan.
type Props struct {
	// ExistingRecorder says that AWS Config records in this account and Region. Without
	// it a warning says how to find out: rules can't be made without a recorder.
	ExistingRecorder bool

	// Only are the rules to make. Empty stands for all.
	Only []Rule

	// Without are rules to leave out, such as those that the organization has already.
	Without []Rule

	// BlockedPorts are the TCP ports that [RestrictedCommonPorts] finds open to
	// everybody, up to 5. Empty stands for [DefaultBlockedPorts].
	BlockedPorts []int

	// CisScan has Inspector hold instances against the CIS benchmark of their operating
	// system. Nil scans none.
	CisScan *CisScan
}

// Host is what can be scanned: instances with a tag of their own, and their role. A
// bastion is one.
type Host interface {
	constructs.IConstruct
	// SessionTag is the tag of the instances.
	SessionTag() (key, value string)
	// Role is what the instances may do. A scan takes four permissions more.
	Role() awsiam.IRole
}

// CisScan is a scan once a week.
type CisScan struct {
	// Hosts are scanned. At least one.
	Hosts []Host

	// Name is how the scan is called in Inspector, up to 128 characters. Empty stands
	// for the construct's path.
	Name string

	// Level is the profile of the benchmark: 1 for what every system should have, 2 for
	// more. 0 stands for 1.
	Level int

	// Day is the day of the week, such as "MON". Empty stands for "SUN".
	Day string

	// Time is the time of day in UTC, such as "04:30". Empty stands for "03:00".
	Time string
}

func (p *Props) withDefaults() Props {
	var q Props
	if p != nil {
		q = *p
	}
	if len(q.BlockedPorts) == 0 {
		q.BlockedPorts = DefaultBlockedPorts
	}
	if q.CisScan != nil {
		scan := *q.CisScan
		if scan.Level == 0 {
			scan.Level = 1
		}
		if scan.Day == "" {
			scan.Day = "SUN"
		}
		if scan.Time == "" {
			scan.Time = "03:00"
		}
		q.CisScan = &scan
	}
	return q
}

var (
	timeOfDay = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	days      = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
)

// maxScanName is what Inspector takes
// (docs.aws.amazon.com/inspector/v2/APIReference/API_CreateCisScanConfiguration.html).
const maxScanName = 128

// validate examines props whose defaults are filled in.
func (p *Props) validate() error {
	var faults check.Faults
	var names []Rule
	for _, q := range questions {
		names = append(names, q.rule)
	}
	for _, list := range []struct {
		field string
		rules []Rule
	}{{"Only", p.Only}, {"Without", p.Without}} {
		for i, rule := range list.rules {
			faults.Check(fmt.Sprintf("%s[%d]", list.field, i), check.OneOf(rule, names...))
		}
	}
	if faults.Empty() && len(p.chosen()) == 0 && p.CisScan == nil {
		faults.Add("Without", "leaves no rule, and there is no CisScan", "leave some of them in, or leave the construct out")
	}
	if len(p.BlockedPorts) > maxBlockedPorts {
		faults.Addf("BlockedPorts", fmt.Sprintf("name up to %d", maxBlockedPorts), "%d ports are more than the rule takes", len(p.BlockedPorts))
	}
	for i, port := range p.BlockedPorts {
		field := fmt.Sprintf("BlockedPorts[%d]", i)
		faults.Check(field, check.Port(port))
		if first := slices.Index(p.BlockedPorts, port); first < i {
			faults.Addf(field, "leave it out", "%d is the same as BlockedPorts[%d]", port, first)
		}
	}
	if p.CisScan != nil {
		faults.Merge("CisScan", p.CisScan.validate())
	}
	return faults.Err()
}

func (s *CisScan) validate() error {
	var faults check.Faults
	if len(s.Hosts) == 0 {
		faults.Add("Hosts", "is empty", "name a bastion, or leave CisScan out")
	}
	for i, host := range s.Hosts {
		if host == nil {
			faults.Add(fmt.Sprintf("Hosts[%d]", i), "is nil", "pass a bastion")
		}
	}
	if len(s.Name) > maxScanName && !check.Token(s.Name) {
		faults.Addf("Name", fmt.Sprintf("use up to %d", maxScanName), "%d characters are too many", len(s.Name))
	}
	faults.Check("Level", check.Between(s.Level, 1, 2))
	faults.Check("Day", check.OneOf(s.Day, days...))
	if !timeOfDay.MatchString(s.Time) {
		faults.Addf("Time", `write hours and minutes, such as "04:30"`, "%q is no time of day", s.Time)
	}
	return faults.Err()
}

// question is a rule as AWS Config knows it.
type question struct {
	rule       Rule
	id         string // of the construct
	identifier string
	says       string
	types      []string // that the recorder must record
	periodic   bool     // asked once a day, and not at each change
}

// See docs.aws.amazon.com/config/latest/developerguide/NAME.html for each. What is
// asked at a change is asked of the types of its scope.
var questions = []question{
	{
		RestrictedSsh, "RestrictedSsh", "INCOMING_SSH_DISABLED",
		"No security group lets everybody in on port 22",
		[]string{"AWS::EC2::SecurityGroup"},
		false,
	},
	{
		RestrictedCommonPorts, "RestrictedCommonPorts", "RESTRICTED_INCOMING_TRAFFIC",
		"No security group lets everybody in on the ports of remote access",
		[]string{"AWS::EC2::SecurityGroup"},
		false,
	},
	{
		Imdsv2, "Imdsv2", "EC2_IMDSV2_CHECK",
		"Instance metadata is read with a token only",
		[]string{"AWS::EC2::Instance"},
		false,
	},
	{
		FlowLogs, "FlowLogs", "VPC_FLOW_LOGS_ENABLED",
		"Every VPC has flow logs of all traffic",
		[]string{"AWS::EC2::VPC"},
		true,
	},
	{
		EncryptedVolumes, "EncryptedVolumes", "ENCRYPTED_VOLUMES",
		"Volumes in use are encrypted",
		[]string{"AWS::EC2::Volume"},
		false,
	},
	{
		ManagedInstances, "ManagedInstances", "EC2_INSTANCE_MANAGED_BY_SSM",
		"Instances are managed by Systems Manager",
		[]string{"AWS::EC2::Instance", "AWS::SSM::ManagedInstanceInventory"},
		false,
	},
	{
		EncryptedLogGroups, "EncryptedLogGroups", "CLOUDWATCH_LOG_GROUP_ENCRYPTED",
		"Log groups are encrypted with a customer managed key", nil, true,
	},
}

// chosen are the rules in the order of the list.
func (p *Props) chosen() []question {
	var chosen []question
	for _, q := range questions {
		if (len(p.Only) == 0 || slices.Contains(p.Only, q.rule)) && !slices.Contains(p.Without, q.rule) {
			chosen = append(chosen, q)
		}
	}
	return chosen
}

// parameters are what a rule is told. The defaults that the documentation names are
// the console's alone.
//
// docs.aws.amazon.com/config/latest/developerguide/evaluate-config_use-managed-rules.html
func (p *Props) parameters(rule Rule) map[string]any {
	switch rule {
	case RestrictedCommonPorts:
		ports := map[string]any{}
		for i, port := range p.BlockedPorts {
			ports[fmt.Sprintf("blockedPort%d", i+1)] = strconv.Itoa(port)
		}
		return ports
	case FlowLogs:
		return map[string]any{"trafficType": "ALL"}
	default:
		return nil
	}
}
