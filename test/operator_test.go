package test_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/instanceconnect"
	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/constructs/operator"
	"github.com/postern-cdk/postern/constructs/session"
	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/policy"
)

var shellDoor = operator.Document{Name: "Shell", Instances: []string{"i-0123456789abcdef0"}}

func newPeople(stack awscdk.Stack) awsiam.Role {
	return awsiam.NewRole(stack, jsii.String("Developers"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
}

// policyStatements are the statements of the policies of a type, by ID.
func policyStatements(t *testing.T, template assertions.Template, kind string) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for _, r := range ofType(resourcesOf(t, template), kind) {
		for _, s := range r.Properties["PolicyDocument"].(map[string]any)["Statement"].([]any) {
			statement := s.(map[string]any)
			id, _ := statement["Sid"].(string)
			all[id] = statement
		}
	}
	return all
}

func TestOperatorOfARole(t *testing.T) {
	stack := cdktest.NewStack(t)
	o := operator.New(stack, "People", &operator.Props{Roles: []awsiam.IRole{newPeople(stack)}, Shell: []operator.Door{shellDoor}})
	template := cdktest.Template(stack)
	assert.Equal(t, map[string]int{"AWS::IAM::Role": 1, "AWS::IAM::ManagedPolicy": 1}, countTypes(resourcesOf(t, template)))
	statements := policyStatements(t, template, "AWS::IAM::ManagedPolicy")
	assert.Equal(t, map[string]any{
		"Sid": "StartOnNodes", "Effect": "Allow", "Action": "ssm:StartSession",
		"Resource":  "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0",
		"Condition": map[string]any{"BoolIfExists": map[string]any{"ssm:SessionDocumentAccessCheck": "true"}},
	}, statements["StartOnNodes"])
	assert.Equal(t, "arn:aws:ssm:us-east-1:123456789012:document/Shell", statements["StartDocuments"]["Resource"])
	// The CDK must leave IAM's own variables alone.
	assert.Equal(t, "${aws:userid}", statements["EndOwn"]["Condition"].(map[string]any)["StringEquals"].(map[string]any)["ssm:resourceTag/aws:ssmmessages:session-id"])
	assert.Equal(t, "arn:aws:ssm:us-east-1:123456789012:session/*", statements["EndOwn"]["Resource"])
	assert.Equal(t, "Deny", statements["NoWayAround"]["Effect"])
	assert.Equal(t, "Deny", statements["NoOpenDocuments"]["Effect"])
	template.HasResourceProperties(jsii.String("AWS::IAM::ManagedPolicy"), map[string]any{"Roles": []any{map[string]any{"Ref": assertions.Match_StringLikeRegexp(jsii.String("^Developers"))}}})
	assert.Empty(t, o.BreakGlassDocuments())
	assert.Empty(t, o.OpenCommand(time.Hour)+o.OpenerArn()+o.NotOpenedQueueArn(), "nothing is to be opened where there are no hours")
	assert.Empty(t, warningsOf(stack))
	assert.Contains(t, cdktest.Panic(t, func() { o.PermissionSetJSON() }), `operator "Test/People": PermissionSetJSON: PermissionSet is not set`)
}

func TestOperatorOfUsersAndGroups(t *testing.T) {
	stack := cdktest.NewStack(t)
	operator.New(stack, "People", &operator.Props{
		Users:  []awsiam.IUser{awsiam.User_FromUserName(stack, jsii.String("Ann"), jsii.String("ann"))},
		Groups: []awsiam.IGroup{awsiam.NewGroup(stack, jsii.String("Ops"), nil)},
		Shell:  []operator.Door{shellDoor},
	})
	template := cdktest.Template(stack)
	statements := policyStatements(t, template, "AWS::IAM::ManagedPolicy")
	assert.Equal(t, "arn:aws:ssm:us-east-1:123456789012:session/${aws:username}-*", statements["EndOwn"]["Resource"])
	for _, id := range []string{"StartOnNodes", "StartDocuments", "ResumeOwn"} {
		assert.Equal(t, map[string]any{"aws:MultiFactorAuthPresent": "true"}, statements[id]["Condition"].(map[string]any)["Bool"], id)
	}
	assert.NotContains(t, textOf(t, statements["EndOwn"]), "MultiFactor")
	template.HasResourceProperties(jsii.String("AWS::IAM::ManagedPolicy"), map[string]any{"Users": []any{"ann"}, "Groups": []any{map[string]any{"Ref": assertions.Match_AnyValue()}}})

	without := cdktest.NewStack(t)
	operator.New(without, "People", &operator.Props{
		Groups: []awsiam.IGroup{awsiam.NewGroup(without, jsii.String("Ops"), nil)}, Shell: []operator.Door{shellDoor},
		Only: operator.Only{WithoutMFA: true}, BypassesAllowed: true,
	})
	text := textOf(t, policyStatements(t, cdktest.Template(without), "AWS::IAM::ManagedPolicy"))
	assert.NotContains(t, text, "MultiFactor")
	assert.NotContains(t, text, "Deny")
}

// A role's credentials tell of no second factor, so its trust policy asks for it.
func TestOperatorAsksRolesForASecondFactor(t *testing.T) {
	stack := cdktest.NewStack(t)
	role := newPeople(stack)
	for _, id := range []string{"People", "Others"} {
		operator.New(stack, id, &operator.Props{Roles: []awsiam.IRole{role}, Shell: []operator.Door{shellDoor}, Only: operator.Only{MFAMaxAge: time.Hour}})
	}
	template := cdktest.Template(stack)
	assert.NotContains(t, textOf(t, policyStatements(t, template, "AWS::IAM::ManagedPolicy")), "MultiFactor")
	template.HasResourceProperties(jsii.String("AWS::IAM::Role"), map[string]any{"AssumeRolePolicyDocument": map[string]any{"Statement": []any{
		assertions.Match_AnyValue(),
		map[string]any{
			"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": map[string]any{"AWS": "*"},
			"Condition": map[string]any{"BoolIfExists": map[string]any{"aws:MultiFactorAuthPresent": "false"}},
		},
		map[string]any{
			"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": map[string]any{"AWS": "*"},
			"Condition": map[string]any{"NumericGreaterThan": map[string]any{"aws:MultiFactorAuthAge": "3600"}},
		},
	}}})
}

func TestOperatorOfAnImportedRole(t *testing.T) {
	stack := cdktest.NewStack(t)
	role := awsiam.Role_FromRoleName(stack, jsii.String("Theirs"), jsii.String("theirs"), nil)
	props := &operator.Props{Roles: []awsiam.IRole{role}, Shell: []operator.Door{shellDoor}, Only: operator.Only{MFA: true}}
	assert.Equal(t, `operator "Test/People": Roles[0]: is imported, and only its trust policy can ask for a second factor: `+
		`let its trust policy ask for aws:MultiFactorAuthPresent, or its identity provider for a second factor, and set Only.MFAAskedElsewhere`,
		cdktest.Panic(t, func() { operator.New(stack, "People", props) }))
	props.Only.MFAAskedElsewhere = true
	operator.New(stack, "People", props)
	cdktest.Template(stack).HasResourceProperties(jsii.String("AWS::IAM::ManagedPolicy"), map[string]any{"Roles": []any{"theirs"}})
}

func TestOperatorWithEverything(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := newVpc(stack, &network.Props{})
	endpoint := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc})
	endpoint.AllowTo(newGroup(stack, "Host", vpc), 22, "administration")
	target := session.Target{Tags: map[string]string{"Role": "bastion"}}
	shell := session.NewPreferences(stack, "Shell", &session.PreferencesProps{Targets: []session.Target{target}})
	ssh := session.NewSSH(stack, "Ssh", &session.SSHProps{Targets: []session.Target{target}})
	glass := session.NewPreferences(stack, "Glass", &session.PreferencesProps{
		Targets: []session.Target{target}, Settings: session.Settings{MaxDuration: 30 * time.Minute},
	})
	o := operator.New(stack, "People", &operator.Props{
		Roles:           []awsiam.IRole{newPeople(stack)},
		Groups:          []awsiam.IGroup{awsiam.NewGroup(stack, jsii.String("Ops"), nil)},
		PermissionSet:   true,
		Viewer:          true,
		Tunneller:       []operator.Door{operator.Document{Name: "Db", Tags: map[string]string{"Role": "bastion"}, Keys: []string{"arn:aws:kms:us-east-1:123456789012:key/k"}}},
		Shell:           []operator.Door{shell},
		SSH:             []operator.Door{ssh},
		InstanceConnect: []operator.Connection{endpoint.ForSSH(&instanceconnect.SSHGrant{InstanceTags: map[string]string{"Role": "web"}}), endpoint.ForRDP(nil)},
		BreakGlass:      []operator.Door{glass},
		Only: operator.Only{
			MFAMaxAge: 8 * time.Hour, MFAAskedElsewhere: true,
			From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2126, 1, 1, 0, 0, 0, 0, time.UTC),
			SourceCIDRs: []string{"203.0.113.0/24"}, VpcEndpoints: []string{"vpce-0123456789abcdef0"}, TargetTags: map[string]string{"Stage": "test"},
		},
	})
	assert.Equal(t, []string{glass.DocumentName()}, o.BreakGlassDocuments())
	text := textOf(t, stack.Resolve(o.PermissionSetJSON()))
	for _, part := range []string{"StartByTag", "OpenTunnel", "PushKey", "aws:SourceVpce", "aws:SourceIp", "2126-01-01T00:00:00Z", "Stage", "NoTagging", "kms:GenerateDataKey"} {
		assert.Contains(t, text, part)
	}
	assert.NotContains(t, text, "MultiFactor", "the requests of a permission set tell of no second factor")
	users := map[string]map[string]any{}
	for id, r := range ofType(resourcesOf(t, cdktest.Template(stack)), "AWS::IAM::ManagedPolicy") {
		if !strings.HasPrefix(id, "PeopleUsers") {
			continue
		}
		for _, s := range r.Properties["PolicyDocument"].(map[string]any)["Statement"].([]any) {
			statement := s.(map[string]any)
			users[textOf(t, statement["Resource"])+textOf(t, statement["Condition"])] = statement
		}
	}
	ages := map[string]bool{}
	for key, statement := range users {
		if textOf(t, statement["Action"]) != `"ssm:StartSession"` || statement["Effect"] != "Allow" || !strings.Contains(key, "document/") {
			continue
		}
		age := statement["Condition"].(map[string]any)["NumericLessThanEquals"].(map[string]any)["aws:MultiFactorAuthAge"].(string)
		ages[age] = true
		assert.Equal(t, age == "900", strings.Contains(textOf(t, statement["Resource"]), glass.DocumentName()), "emergencies ask for a fresh second factor")
	}
	assert.Equal(t, map[string]bool{"900": true, "28800": true}, ages)
}

// IAM refuses a policy in which two statements have the same ID.
func TestOperatorStatementIDsDiffer(t *testing.T) {
	stack := cdktest.NewStack(t)
	operator.New(stack, "People", &operator.Props{
		Roles: []awsiam.IRole{newPeople(stack)}, Shell: []operator.Door{shellDoor},
		BreakGlass: []operator.Door{operator.Document{Name: "Glass", Instances: shellDoor.Instances}},
		Only:       operator.Only{SourceCIDRs: []string{"203.0.113.0/24"}},
	})
	seen := 0
	for id, r := range resourcesOf(t, cdktest.Template(stack)) {
		if document, ok := r.Properties["PolicyDocument"]; ok {
			sids := sidsOf(t, document)
			assert.Len(t, slices.Compact(slices.Sorted(slices.Values(sids))), len(sids), id)
			seen += len(sids)
		}
	}
	assert.Greater(t, seen, 8)
}

// Who has the tunnel on one host and the shell on another has both on both.
func TestOperatorWarnsWhereDoorsCross(t *testing.T) {
	stack := cdktest.NewStack(t)
	operator.New(stack, "People", &operator.Props{
		Roles: []awsiam.IRole{newPeople(stack)}, Shell: []operator.Door{shellDoor},
		Tunneller: []operator.Door{operator.Document{Name: "Db", Instances: []string{"i-0123456789abcdef1"}}},
	})
	warnings := warningsOf(stack)
	require.Len(t, warnings, 1)
	assert.Contains(t, warnings[0], "may use each of the documents on each of the targets")
}

// The same people by two operators have the doors of both.
func TestOperatorWarnsWhereOperatorsCross(t *testing.T) {
	warnings := func(sameRole bool, target string) []string {
		stack := cdktest.NewStack(t)
		role := newPeople(stack)
		operator.New(stack, "Shells", &operator.Props{Roles: []awsiam.IRole{role}, Shell: []operator.Door{shellDoor}})
		if !sameRole {
			role = awsiam.NewRole(stack, jsii.String("Others"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
		}
		operator.New(stack, "Tunnels", &operator.Props{
			Roles: []awsiam.IRole{role}, Tunneller: []operator.Door{operator.Document{Name: "Db", Instances: []string{target}}},
		})
		return warningsOf(stack)
	}
	got := warnings(true, "i-0123456789abcdef1")
	require.NotEmpty(t, got)
	assert.Contains(t, strings.Join(got, "\n"), "the targets of all doors here and of Test/Tunnels: ")
	assert.Empty(t, warnings(true, shellDoor.Instances[0]), "on the same target there is nothing to cross")
	assert.Empty(t, warnings(false, "i-0123456789abcdef1"))
}

func TestOperatorWarnsOfLongEmergencies(t *testing.T) {
	warnings := func(settings session.Settings, role awsiam.RoleProps) []string {
		stack := cdktest.NewStack(t)
		role.AssumedBy = awsiam.NewAccountRootPrincipal()
		operator.New(stack, "People", &operator.Props{
			Roles: []awsiam.IRole{awsiam.NewRole(stack, jsii.String("OnCall"), &role)},
			BreakGlass: []operator.Door{session.NewPreferences(stack, "Glass", &session.PreferencesProps{
				Targets: []session.Target{{InstanceIDs: shellDoor.Instances}}, Settings: settings,
			})},
		})
		return warningsOf(stack)
	}
	assert.Empty(t, warnings(session.Settings{MaxDuration: time.Hour}, awsiam.RoleProps{}))
	for want, got := range map[string][]string{
		"the sessions of BreakGlass[0] last up to 12h0m0s: ": warnings(session.Settings{}, awsiam.RoleProps{}),
		"the sessions of BreakGlass[0] have no end, and the credentials of Roles[0] last up to 2h0m0s: ": warnings(
			session.Settings{NoMaxDuration: true}, awsiam.RoleProps{MaxSessionDuration: awscdk.Duration_Hours(jsii.Number(2))}),
	} {
		require.Len(t, got, 1, want)
		assert.Contains(t, got[0], want)
	}
}

func TestOperatorSplitsPolicies(t *testing.T) {
	door := func(n int) operator.Document {
		d := operator.Document{Name: "Shell"}
		for i := range n {
			d.Instances = append(d.Instances, fmt.Sprintf("i-%017x", i))
		}
		return d
	}
	stack := cdktest.NewStack(t)
	operator.New(stack, "People", &operator.Props{Roles: []awsiam.IRole{newPeople(stack)}, Shell: []operator.Door{door(150)}})
	policies := ofType(resourcesOf(t, cdktest.Template(stack)), "AWS::IAM::ManagedPolicy")
	assert.Len(t, policies, 3)
	for id, r := range policies {
		document, err := json.Marshal(r.Properties["PolicyDocument"])
		require.NoError(t, err)
		assert.LessOrEqual(t, len(document), 6144, id)
	}
	assert.Regexp(t, `Roles: \d+ characters in 14 policies exceed the limit of managed policies: 10 attached, of 6,144 characters each: name targets by tags`,
		cdktest.Panic(t, func() {
			operator.New(stack, "TooMany", &operator.Props{Roles: []awsiam.IRole{newPeople(cdktest.NewStack(t))}, Shell: []operator.Door{door(1000)}})
		}))
	assert.Nil(t, stack.Node().TryFindChild(jsii.String("TooMany")), "nothing is left of it")
	assert.Regexp(t, `Users: \d+ characters exceed the limit of inline policies of a user: 2,048 characters in all`,
		cdktest.Panic(t, func() {
			operator.New(stack, "TooMany", &operator.Props{
				Users: []awsiam.IUser{awsiam.User_FromUserName(stack, jsii.String("Ann"), jsii.String("ann"))}, Shell: []operator.Door{door(30)},
				Only: operator.Only{Weekly: []operator.Window{{Until: time.Hour}}},
			})
		}))
}

func TestOperatorHours(t *testing.T) {
	stack := cdktest.NewStack(t)
	o := operator.New(stack, "People", &operator.Props{
		Roles:      []awsiam.IRole{newPeople(stack)},
		Groups:     []awsiam.IGroup{awsiam.NewGroup(stack, jsii.String("Ops"), nil)},
		Shell:      []operator.Door{shellDoor},
		BreakGlass: []operator.Door{operator.Document{Name: "Glass", Instances: []string{"i-0123456789abcdef0"}}},
		Only: operator.Only{
			TimeZone: "Europe/Berlin",
			Weekly: []operator.Window{
				{From: 9 * time.Hour, Until: 17*time.Hour + 30*time.Minute},
				{Days: []time.Weekday{time.Saturday}, From: 10*time.Hour + 15*time.Minute, Until: 24 * time.Hour},
			},
		},
	})
	template := cdktest.Template(stack)

	// Closed from the beginning, and gone with the stack.
	for kind, name := range map[string]string{"Role": "Developers", "Group": "Ops"} {
		statements := policyStatements(t, template, "AWS::IAM::"+kind+"Policy")
		assert.Len(t, statements, 3, kind)
		for id, statement := range statements {
			assert.Equal(t, "1970-01-01T00:00:00Z", statement["Condition"].(map[string]any)["DateLessThanEquals"].(map[string]any)["aws:CurrentTime"], id)
		}
		template.HasResourceProperties(jsii.String("AWS::IAM::"+kind+"Policy"), map[string]any{kind + "Name": map[string]any{"Ref": assertions.Match_StringLikeRegexp(jsii.String("^" + name))}})
	}
	// Nothing but emergencies opens at other times.
	for id, statement := range policyStatements(t, template, "AWS::IAM::ManagedPolicy") {
		if text := textOf(t, statement); statement["Effect"] == "Allow" && strings.Contains(text, "ssm:StartSession") {
			assert.NotContains(t, text, "document/Shell", id)
		}
	}

	for expression, seconds := range map[string]int{"cron(0 9 ? * MON,TUE,WED,THU,FRI *)": 8*3600 + 1800, "cron(15 10 ? * SAT *)": 13*3600 + 2700} {
		template.HasResourceProperties(jsii.String("AWS::Scheduler::Schedule"), map[string]any{
			"ScheduleExpression": expression, "ScheduleExpressionTimezone": "Europe/Berlin", "FlexibleTimeWindow": map[string]any{"Mode": "OFF"},
			"Target": map[string]any{
				"Input":            fmt.Sprintf(`{"opened":"<aws.scheduler.scheduled-time>","seconds":%d}`, seconds),
				"DeadLetterConfig": map[string]any{"Arn": assertions.Match_AnyValue()},
				"RetryPolicy":      map[string]any{"MaximumEventAgeInSeconds": seconds, "MaximumRetryAttempts": 185},
			},
		})
	}
	template.ResourceCountIs(jsii.String("AWS::Scheduler::Schedule"), jsii.Number(2))

	// The opener may write the policies of these principals and nothing else.
	opener := ""
	for id, r := range ofType(resourcesOf(t, template), "AWS::IAM::ManagedPolicy") {
		if strings.Contains(id, "OpenerRole") {
			opener = textOf(t, r.Properties["PolicyDocument"])
		}
	}
	assert.Contains(t, opener, `"iam:PutRolePolicy"`)
	assert.Contains(t, opener, `"iam:PutGroupPolicy"`)
	assert.NotContains(t, opener, "iam:PutUserPolicy")
	assert.NotContains(t, opener, "*")
	for id, r := range ofType(resourcesOf(t, template), "AWS::IAM::Role") {
		if strings.Contains(id, "Hours") {
			assert.Contains(t, textOf(t, r.Properties["AssumeRolePolicyDocument"]), `"aws:SourceAccount":"123456789012"`)
		}
	}

	for arn, resource := range map[string]string{o.OpenerArn(): "AWS::StepFunctions::StateMachine", o.NotOpenedQueueArn(): "AWS::SQS::Queue"} {
		for id := range ofType(resourcesOf(t, template), resource) {
			assert.Contains(t, textOf(t, stack.Resolve(arn)), `"`+id+`"`)
		}
	}

	definition := flatDefinition(t, template)
	assert.Equal(t, "JSONata", definition["QueryLanguage"])
	states := definition["States"].(map[string]any)
	policies := states["Window"].(map[string]any)["Assign"].(map[string]any)["policies"].(map[string]any)
	assert.Contains(t, policies["Roles"], `"${aws:userid}"`, "IAM's variables arrive as they are")
	assert.Contains(t, policies["Users"], "session/${aws:username}-*")
	var document map[string]any
	require.NoError(t, json.Unmarshal([]byte(policies["Roles"].(string)), &document))
	assert.Equal(t, []string{"arn:aws:states:::aws-sdk:iam:putGroupPolicy", "arn:aws:states:::aws-sdk:iam:putRolePolicy"}, []string{
		states["Put0"].(map[string]any)["Resource"].(string), states["Put1"].(map[string]any)["Resource"].(string),
	})
	assert.Contains(t, textOf(t, stack.Resolve(o.OpenCommand(90*time.Minute))), `\"seconds\\\":5400`)
}

// flatDefinition is the definition of the only state machine, with placeholders for
// what CloudFormation fills in.
func flatDefinition(t *testing.T, template assertions.Template) map[string]any {
	t.Helper()
	text := joined(one(t, resourcesOf(t, template), "AWS::StepFunctions::StateMachine")["DefinitionString"], "X")
	assert.NotContains(t, text, "${", "a substitution")
	var definition map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &definition))
	return definition
}

func TestOperatorWithoutFlagsAndInOtherPartitions(t *testing.T) {
	for _, region := range []string{"cn-north-1", "us-gov-west-1"} {
		stack := cdktest.StackAt(cdktest.NewAppWithoutFlags(t), "Test", cdktest.Account, region)
		operator.New(stack, "People", &operator.Props{
			Roles: []awsiam.IRole{newPeople(stack)}, Shell: []operator.Door{shellDoor}, PermissionSet: false,
			Only: operator.Only{MFA: true, Weekly: []operator.Window{{From: time.Hour, Until: 2 * time.Hour}}},
		})
		text := textOf(t, resourcesOf(t, cdktest.Template(stack)))
		assert.NotContains(t, text, "arn:aws:", region)
		assert.Contains(t, text, ":states:::aws-sdk:iam:putRolePolicy")
	}
}

// Where the stack does not know its account and region, tokens take their place.
func TestOperatorInAStackForAnyAccount(t *testing.T) {
	stack := awscdk.NewStack(cdktest.NewApp(t), jsii.String("Test"), nil)
	o := operator.New(stack, "People", &operator.Props{
		Roles: []awsiam.IRole{newPeople(stack)}, PermissionSet: true, Viewer: true, Shell: []operator.Door{shellDoor},
		Only: operator.Only{MFAAskedElsewhere: true},
	})
	join := textOf(t, stack.Resolve(o.PermissionSetJSON()))
	assert.Contains(t, join, `{"Ref":"AWS::Region"}`)
	assert.Contains(t, join, `${aws:userid}`)
	assert.NotContains(t, join, "Fn::Sub")
	assert.NotContains(t, textOf(t, resourcesOf(t, cdktest.Template(stack))), "Token[")
}

func TestOperatorFaultsAllAtOnce(t *testing.T) {
	stack := cdktest.NewStack(t)
	message := cdktest.Panic(t, func() { operator.New(stack, "People", nil) })
	assert.Equal(t, `operator "Test/People": Roles: is empty, as are Users and Groups: name whom the intents are for, or set PermissionSet`+"\n"+
		`Shell: is empty, as are all other intents, so nothing is granted: set at least one of Viewer, Tunneller, Shell, SSH, InstanceConnect and BreakGlass`, message)
	assert.Nil(t, stack.Node().TryFindChild(jsii.String("People")))
}

// A door that an app declared and did not build is a nil pointer in an interface.
func TestOperatorOnADoorThatWasNotBuilt(t *testing.T) {
	stack := cdktest.NewStack(t)
	var shell *session.Preferences
	var way *instanceconnect.Way
	vpc := newVpc(stack, &network.Props{})
	absent := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc, Absent: true})
	message := cdktest.Panic(t, func() {
		operator.New(stack, "People", &operator.Props{
			Roles: []awsiam.IRole{newPeople(stack)}, Shell: []operator.Door{shell}, Tunneller: []operator.Door{nil},
			InstanceConnect: []operator.Connection{way, absent.ForRDP(nil)},
		})
	})
	assert.Equal(t, []string{
		`operator "Test/People": Tunneller[0]: is nil: the door was not built: build it, such as with session.NewPreferences, or leave the intent out`,
		`Shell[0]: is nil: the door was not built: build it, such as with session.NewPreferences, or leave the intent out`,
		`InstanceConnect[0]: is nil: the door was not built: pass what ForSSH or ForRDP of an instanceconnect.Endpoint return`,
		`InstanceConnect[1]: is of an endpoint that is absent: leave it out until the endpoint is there again`,
	}, strings.Split(message, "\n"))
}

func TestOperatorPassesTheRulePacks(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	addRulePacks(stack)
	operator.New(stack, "People", &operator.Props{
		Roles: []awsiam.IRole{newPeople(stack)},
		Users: []awsiam.IUser{awsiam.User_FromUserName(stack, jsii.String("Ann"), jsii.String("ann"))},
		Shell: []operator.Door{shellDoor},
		Only:  operator.Only{Weekly: []operator.Window{{From: 9 * time.Hour, Until: 17 * time.Hour}}},
	})
	found := findings(stack)
	slices.Sort(found)
	assert.Empty(t, found)
}

func TestCallersAreKnown(t *testing.T) {
	stack := cdktest.NewStack(t)
	role := newPeople(stack)
	for name, c := range map[string]struct {
		who  awsiam.IGrantable
		want policy.Caller
	}{
		"user":           {awsiam.NewUser(stack, jsii.String("Ann"), nil), policy.User},
		"imported user":  {awsiam.User_FromUserName(stack, jsii.String("Bob"), jsii.String("bob")), policy.User},
		"group":          {awsiam.NewGroup(stack, jsii.String("Ops"), nil), policy.User},
		"imported group": {awsiam.Group_FromGroupName(stack, jsii.String("Dev"), jsii.String("dev")), policy.User},
		"role":           {role, policy.Role},
		"imported role":  {awsiam.Role_FromRoleName(stack, jsii.String("Theirs"), jsii.String("theirs"), nil), policy.Role},
		"role as is":     {role.WithoutPolicyUpdates(nil), policy.Role},
		"account":        {awsiam.NewAccountRootPrincipal(), ""},
	} {
		assert.Equal(t, c.want, attach.CallerOf(c.who), name)
	}
}

// Grants of several doors meet in one policy.
func TestGrantsMeetInAPolicy(t *testing.T) {
	stack := cdktest.NewStack(t)
	role := newPeople(stack)
	scope := attach.ScopeOf(stack)
	for _, door := range []operator.Document{shellDoor, {Name: "Db", Instances: shellDoor.Instances}} {
		grant := attach.ToPrincipal(role, policy.SessionStatements(scope, attach.CallerOf(role), door.Access(), policy.When{}))
		assert.True(t, *grant.Success())
	}
	text := textOf(t, ofType(resourcesOf(t, cdktest.Template(stack)), "AWS::IAM::Policy"))
	assert.NotContains(t, text, `"Sid"`, "IAM refuses two of the same")
	assert.Contains(t, text, "document/Shell")
	assert.Contains(t, text, "document/Db")
	assert.Equal(t, 1, strings.Count(text, "ssm:TerminateSession"), "what is the same is there once")
}

func TestOperatorOfAnotherAccount(t *testing.T) {
	stack := cdktest.NewStack(t)
	message := cdktest.Panic(t, func() {
		operator.New(stack, "People", &operator.Props{
			Roles: []awsiam.IRole{awsiam.Role_FromRoleArn(stack, jsii.String("Role"), jsii.String("arn:aws:iam::999999999999:role/theirs"), nil)},
			Users: []awsiam.IUser{awsiam.User_FromUserArn(stack, jsii.String("User"), jsii.String("arn:aws:iam::999999999999:user/theirs"))},
			Groups: []awsiam.IGroup{
				awsiam.Group_FromGroupArn(stack, jsii.String("Ours"), jsii.String("arn:aws:iam::123456789012:group/ours")),
				awsiam.Group_FromGroupArn(stack, jsii.String("Group"), jsii.String("arn:aws:iam::999999999999:group/theirs")),
			},
			Shell: []operator.Door{shellDoor},
		})
	})
	fix := ` is of account 999999999999, whose policies a stack of account 123456789012 can't change: make a role in this account that they may assume`
	assert.Equal(t, []string{`operator "Test/People": Users[0]:` + fix, `Groups[1]:` + fix, `Roles[0]:` + fix}, strings.Split(message, "\n"))
}
