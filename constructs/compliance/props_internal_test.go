package compliance

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

type someHost struct{ Host }

func TestDefaults(t *testing.T) {
	var none *Props
	assert.Equal(t, Props{BlockedPorts: []int{22, 3389}}, none.withDefaults())
	hosts := []Host{someHost{}}
	given := &Props{CisScan: &CisScan{Hosts: hosts}}
	assert.Equal(t, &CisScan{Hosts: hosts, Level: 1, Day: "SUN", Time: "03:00"}, given.withDefaults().CisScan)
	assert.Equal(t, &CisScan{Hosts: hosts}, given.CisScan, "the caller's props stay as they are")
}

func TestValidate(t *testing.T) {
	all := "restricted-ssh, restricted-common-ports, ec2-imdsv2-check, vpc-flow-logs-enabled, encrypted-volumes, ec2-instance-managed-by-systems-manager, cloudwatch-log-group-encrypted"
	var everything []Rule
	for _, q := range questions {
		everything = append(everything, q.rule)
	}
	for name, test := range map[string]struct {
		props Props
		want  string
	}{
		"nothing": {Props{}, ""},
		"everything": {Props{
			ExistingRecorder: true, Only: []Rule{Imdsv2, FlowLogs}, Without: []Rule{FlowLogs}, BlockedPorts: []int{22, 3389, 5900, 5985, 65535},
			CisScan: &CisScan{Hosts: []Host{someHost{}}, Name: "Weekly", Level: 2, Day: "MON", Time: "23:59"},
		}, ""},
		"a scan alone": {Props{Without: everything, CisScan: &CisScan{Hosts: []Host{someHost{}}}}, ""},
		"nothing left": {Props{Without: everything}, "Without: leaves no rule, and there is no CisScan: leave some of them in, or leave the construct out"},
		"unknown rule": {Props{Only: []Rule{"restricted-shh"}}, `Only[0]: "restricted-shh" is not known: did you mean "restricted-ssh"? use one of ` + all},
		"many ports":   {Props{BlockedPorts: []int{1, 2, 3, 4, 5, 6}}, "BlockedPorts: 6 ports are more than the rule takes: name up to 5"},
		"all at once": {
			Props{Without: []Rule{"x"}, BlockedPorts: []int{22, 0, 22}, CisScan: &CisScan{Hosts: []Host{nil}, Name: strings.Repeat("n", 129), Level: 3, Day: "Monday", Time: "4:30"}},
			`Without[0]: "x" is not known: use one of ` + all + "\n" +
				"BlockedPorts[1]: 0 is out of range: use 1 to 65535\n" +
				"BlockedPorts[2]: 22 is the same as BlockedPorts[0]: leave it out\n" +
				"CisScan.Hosts[0]: is nil: pass a bastion\n" +
				"CisScan.Name: 129 characters are too many: use up to 128\n" +
				"CisScan.Level: 3 is out of range: use 1 to 2\n" +
				`CisScan.Day: "Monday" is not known: use one of SUN, MON, TUE, WED, THU, FRI, SAT` + "\n" +
				`CisScan.Time: "4:30" is no time of day: write hours and minutes, such as "04:30"`,
		},
		"no host": {Props{CisScan: &CisScan{}}, "CisScan.Hosts: is empty: name a bastion, or leave CisScan out"},
	} {
		t.Run(name, func(t *testing.T) {
			p := test.props.withDefaults()
			cdktest.EqualError(t, p.validate(), test.want)
		})
	}
}

func TestChosen(t *testing.T) {
	for _, q := range questions {
		p := Props{Only: []Rule{q.rule}}
		assert.Equal(t, []question{q}, p.chosen())
		p = Props{Without: []Rule{q.rule}}
		assert.Len(t, p.chosen(), len(questions)-1)
		assert.False(t, slices.ContainsFunc(p.chosen(), func(other question) bool { return other.rule == q.rule }))
	}
}

// What CloudFormation has for Inspector, as the CDK's modules of it tell, which are
// made from CloudFormation's specification. None of it switches Inspector on; where
// one appears, the documentation's commands can become a resource.
func TestCloudFormationCannotEnableInspector(t *testing.T) {
	for module, want := range map[string][]string{
		"awsinspectorv2": {"CisScanConfiguration", "CodeSecurityIntegration", "CodeSecurityScanConfiguration", "Connector", "Filter"},
		// Inspector Classic, which is not what scans today.
		"awsinspector": {"AssessmentTarget", "AssessmentTemplate", "ResourceGroup"},
	} {
		out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/aws/aws-cdk-go/awscdk/v2/"+module).Output()
		require.NoError(t, err)
		files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "Cfn*Props.go"))
		require.NoError(t, err)
		var have []string
		for _, file := range files {
			have = append(have, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "Cfn"), "Props.go"))
		}
		slices.Sort(have)
		assert.Equal(t, want, have, module)
	}
}
