package policy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/instanceconnect"
	"github.com/postern-cdk/postern/constructs/operator"
	"github.com/postern-cdk/postern/constructs/session"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/iam"
	"github.com/postern-cdk/postern/posterntest"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

// made is what constructs synthesize, one template for all.
type made struct {
	grants map[string]json.RawMessage
	// trust are the trust policies of roles.
	trust map[string]json.RawMessage
}

// synthesize makes doors and people in a stack, and takes the policies out of its template.
func synthesize(t *testing.T, w *world) made {
	t.Helper()
	stack := cdktest.StackAt(cdktest.NewApp(t), "Access", w.Account, w.Region)
	vpc := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Vpc"), &awsec2.VpcAttributes{
		VpcId: jsii.String("vpc-12345678"), AvailabilityZones: jsii.Strings("eu-west-1a"), IsolatedSubnetIds: jsii.Strings("subnet-12345678"),
	})
	key := awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String(w.arn("kms", w.Region, w.Account, "key/session")))
	onHost := session.Target{InstanceIDs: []string{host}}
	settings := session.Settings{Key: key, MaxDuration: time.Hour}
	shells := session.NewPreferences(stack, "Shells", &session.PreferencesProps{
		Name: "Shell", Settings: settings, Targets: []session.Target{onHost, {Tags: tags[bastion]}},
	})
	tunnel := session.NewTunnel(stack, "Tunnel", &session.TunnelProps{
		Name: "TunnelDatabase", Via: onHost, To: session.Destination{Host: "db.example.com", Port: 5432},
	})
	ssh := session.NewSSH(stack, "SSH", &session.SSHProps{Name: "SSH", Targets: []session.Target{onHost}})
	emergency := session.NewPreferences(stack, "Emergency", &session.PreferencesProps{Name: "Emergency", Settings: settings, Targets: []session.Target{onHost}})
	door := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc, Subnet: (*vpc.IsolatedSubnets())[0]})
	byKey := &instanceconnect.SSHGrant{InstanceTags: tags[bastion], CIDRs: []string{"10.0.1.0/24"}, MaxDuration: 30 * time.Minute}

	account := awsiam.NewAccountPrincipal(stack.Account())
	role := func(id string) awsiam.Role {
		return awsiam.NewRole(stack, &id, &awsiam.RoleProps{AssumedBy: account, RoleName: &id})
	}
	ann := awsiam.NewUser(stack, jsii.String("Ann"), nil)
	operators, weekly := role("Operators"), role("Weekly")
	operator.New(stack, "Everyday", &operator.Props{
		Users: []awsiam.IUser{ann}, Roles: []awsiam.IRole{operators},
		Shell: []operator.Door{shells}, Tunneller: []operator.Door{tunnel}, SSH: []operator.Door{ssh},
		InstanceConnect: []operator.Connection{door.ForSSH(byKey), door.ForRDP(&instanceconnect.RDPGrant{CIDRs: []string{"10.0.1.0/24"}})},
		BreakGlass:      []operator.Door{emergency},
		Only:            operator.Only{MFA: true},
	})
	set := operator.New(stack, "Set", &operator.Props{PermissionSet: true, Shell: []operator.Door{shells}, Only: operator.Only{MFAAskedElsewhere: true}})
	operator.New(stack, "Hours", &operator.Props{
		Roles: []awsiam.IRole{weekly}, Shell: []operator.Door{shells}, BreakGlass: []operator.Door{emergency},
		Only: operator.Only{MFA: true, Weekly: []operator.Window{{From: 8 * time.Hour, Until: 18 * time.Hour}}},
	})
	granted := map[string]awsiam.Role{"GrantShell": role("GrantShell"), "GrantTunnel": role("GrantTunnel"), "GrantSSH": role("GrantSSH"), "GrantKeys": role("GrantKeys")}
	shells.GrantShell(granted["GrantShell"])
	tunnel.GrantTunnel(granted["GrantTunnel"])
	ssh.GrantSSH(granted["GrantSSH"])
	door.GrantSSH(granted["GrantKeys"], byKey)

	// What belongs to the doors and not to people is out of the way of Person.
	template := assertions.Template_FromStack(stack, nil)
	app := posterntest.Of(t, template)
	app.Partition, app.Region, app.Account = w.Partition, w.Region, w.Account
	doorID := stack.Resolve(door.Id()).(map[string]any)["Ref"].(string)
	m := made{grants: map[string]json.RawMessage{}, trust: map[string]json.RawMessage{}}
	put := func(name string, documents ...string) {
		var statements []any
		for _, document := range documents {
			document = strings.ReplaceAll(document, "instance-connect-endpoint/"+doorID, "instance-connect-endpoint/"+endpoint)
			statements = append(statements, statementsOf(json.RawMessage(document))...)
		}
		text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
		require.NoError(t, err)
		m.grants["made: "+name] = text
	}
	of := func(name string) []string {
		var all []string
		documents := posterntest.DocumentsOf(t, app, posterntest.Person(name))
		for _, policy := range slices.Sorted(keysOf(documents)) {
			all = append(all, documents[policy])
		}
		require.NotEmpty(t, all, name)
		return all
	}
	annID := stack.Resolve(ann.UserName()).(map[string]any)["Ref"].(string)
	put("user", of(annID)...)
	put("role", of("Operators")...)
	put("hours", of("Weekly")...)
	put("permission set", set.PermissionSetJSON())
	for name := range granted {
		put(name, of(name)...)
	}
	for id, r := range *template.FindResources(jsii.String("AWS::IAM::Role"), nil) {
		properties := (*r)["Properties"].(map[string]any)
		if name, ok := properties["RoleName"].(string); ok {
			text, err := json.Marshal(properties["AssumeRolePolicyDocument"])
			require.NoError(t, err, id)
			m.trust[name] = text
		}
	}
	return m
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range m {
			if !yield(key) {
				return
			}
		}
	}
}

// madeCases are the cases of what constructs made. All doors of an operator lead to all of
// its targets, as IAM can't keep them apart.
func (w *world) madeCases() []testCase {
	var cases []testCase
	add := func(more []testCase) { cases = append(cases, more...) }
	state := func(p person, name string, context map[string]string) person {
		p = p.with(context)
		p.state = name
		return p
	}
	reads := join(look, lookForEndpoints, shellStands, []string{
		"read the tunnel's document", "describe the tunnel's document", "read the emergency document", "describe the emergency document",
		"read the SSH document", "describe the SSH document",
	})
	everyday := join(shellOpens, []string{
		"tunnel to database on host", "tunnel to database on bastion", "SSH document on host", "SSH document on bastion",
		"SSH tunnel", "SSH tunnel to the last address", "push key to ec2-user on bastion", "RDP tunnel", "RDP tunnel as long as may be",
	})
	crisis := []string{"emergency document on host"}
	// The bastion is a target of everyday only: whoever has both may use the emergency's document there, too.
	both := []string{"emergency document on host", "emergency document on bastion"}
	late := state(w.alice, " an hour after her second factor", map[string]string{"aws:MultiFactorAuthAge": "3600"})
	keys := state(w.alice, " with access keys", map[string]string{"aws:MultiFactorAuthPresent": "", "aws:MultiFactorAuthAge": ""})
	add(w.under("made: user", w.alice, join(reads, ends(w.alice), resumes(w.alice), everyday, both)...))
	add(w.core("made: user", late, join(ends(w.alice), resumes(w.alice), everyday)...))
	add(w.core("made: user", keys, ends(w.alice)...))
	add(w.table(w.connects(), []string{"made: user"}, keys, func(string) bool { return false }, nil))
	add(w.besides("made: user", w.alice, join(waysAround, tagging)...))
	add(w.under("made: role", w.carol, join(reads, ends(w.carol), resumes(w.carol), everyday, both)...))
	add(w.besides("made: role", w.carol, join(waysAround, tagging)...))

	set := join(look, shellStands, ends(w.carol), resumes(w.carol), shellOpens)
	add(w.under("made: permission set", w.carol, set...))
	add(w.besides("made: permission set", w.carol, join(waysAround, tagging)...))

	// Outside its hours, and until they first begin, an emergency is all that opens. Its document takes its own targets.
	add(w.under("made: hours", w.carol, join(look, shellStands, ends(w.carol), resumes(w.carol), crisis,
		[]string{"read the emergency document", "describe the emergency document"})...))
	add(w.besides("made: hours", w.carol, join(waysAround, tagging)...))

	add(w.under("made: GrantShell", w.carol, set...))
	add(w.under("made: GrantTunnel", w.carol, join(look, ends(w.carol), resumes(w.carol), []string{
		"tunnel to database on host", "read the tunnel's document", "describe the tunnel's document",
	})...))
	add(w.under("made: GrantSSH", w.carol, join(look, ends(w.carol), resumes(w.carol), []string{
		"SSH document on host", "read the SSH document", "describe the SSH document",
	})...))
	add(w.under("made: GrantKeys", w.carol, join(lookForEndpoints, []string{"SSH tunnel", "SSH tunnel to the last address", "push key to ec2-user on bastion"})...))
	return cases
}

// Whatever the constructs make, one statement without it would be enough for a shell.
func TestConstructsEmitEachStartWithTheCheck(t *testing.T) {
	starts := 0
	for name, document := range theMade(t).grants {
		for _, s := range statementsOf(document) {
			s := s.(map[string]any)
			if s["Effect"] != "Allow" || !slices.Contains(listOf(s["Action"]), any("ssm:StartSession")) {
				continue
			}
			starts++
			condition, _ := s["Condition"].(map[string]any)
			assert.Equal(t, map[string]any{"ssm:SessionDocumentAccessCheck": "true"}, condition["BoolIfExists"], fmt.Sprint(name, s))
		}
	}
	assert.Greater(t, starts, 10)
}

// trustCases are who may assume the roles that ask for a second factor in their trust
// policies. Somebody may assume any role, by policies of their own.
func trustCases() []probe {
	w := theWorld()
	var cases []probe
	for _, role := range []struct {
		name string
		ages map[string]bool // of the second factor, "" for one whose age is not told
	}{
		{"Operators", map[string]bool{"900": true, "901": false}}, // it has an emergency
		{"Weekly", map[string]bool{"900": true, "901": false}},
		{"GrantShell", map[string]bool{"900": true, "86400": true}}, // nobody asked for one
	} {
		ask := func(name string, context iam.Context, want bool) {
			cases = append(cases, probe{name: role.name + " " + name, want: want, question: question{
				Policies: []string{"everything"}, Principal: w.alice.arn, Action: "sts:AssumeRole", Resource: w.arn("iam", "", w.Account, "role/"+role.name),
				Account: account, Context: w.alice.with(context).context, Trust: "trust of " + role.name,
			}})
		}
		for age, want := range role.ages {
			ask("with a second factor of "+age+" s", iam.Context{"aws:MultiFactorAuthAge": age}, want)
		}
		none := role.name == "GrantShell"
		ask("without a second factor", iam.Context{"aws:MultiFactorAuthPresent": "false", "aws:MultiFactorAuthAge": ""}, none)
		ask("with access keys", iam.Context{"aws:MultiFactorAuthPresent": "", "aws:MultiFactorAuthAge": ""}, none)
	}
	return cases
}

// The credentials of a role tell of no second factor, so it is asked for where the role is assumed.
func TestRolesAskForASecondFactorWhenTheyAreAssumed(t *testing.T) {
	h := heard(t)
	for _, c := range trustCases() {
		assert.Equal(t, c.want, h.allowed(t, c.question), c.name)
	}
}
