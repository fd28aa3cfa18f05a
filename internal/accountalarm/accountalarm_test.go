package accountalarm_test

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/accountalarm"
	"github.com/postern-cdk/postern/internal/filterpattern"
)

// Events in the shapes that docs.aws.amazon.com/awscloudtrail/latest/userguide shows,
// with what each raises.
//
//go:embed testdata/events.jsonl
var recorded []byte

type recordedEvent struct {
	What   string
	Raises []string
	Event  json.RawMessage
}

func events(t *testing.T) []recordedEvent {
	t.Helper()
	var list []recordedEvent
	lines := bufio.NewScanner(bytes.NewReader(recorded))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e recordedEvent
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
		list = append(list, e)
	}
	require.GreaterOrEqual(t, len(list), 60)
	return list
}

func parse(t *testing.T, pattern string) *filterpattern.Pattern {
	t.Helper()
	p, err := filterpattern.Parse(pattern)
	require.NoError(t, err, pattern)
	return p
}

// raised lists the alarms whose filters count a line. Nothing is left to what AWS
// does not tell.
func raised(t *testing.T, line string) []string {
	t.Helper()
	names := []string{}
	for _, a := range accountalarm.All() {
		counted := 0
		for _, text := range a.Patterns() {
			verdict := parse(t, text).Judge(line)
			require.NotEqual(t, filterpattern.Undocumented, verdict, "%s: %s", a.Name, text)
			if verdict == filterpattern.Matches {
				counted++
			}
		}
		assert.LessOrEqual(t, counted, 1, "%s counts it twice", a.Name)
		if counted > 0 {
			names = append(names, a.Name)
			assert.True(t, parse(t, a.Look).Match(line), "%s: what the alarm says to look for does not find the event", a.Name)
		}
	}
	return names
}

func TestEventsRaiseTheirAlarms(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range events(t) {
		t.Run(e.What, func(t *testing.T) {
			assert.ElementsMatch(t, e.Raises, raised(t, string(e.Event)))
		})
		for _, name := range e.Raises {
			seen[name] = true
		}
	}
	for name := range calls {
		seen[name] = true
	}
	for _, a := range accountalarm.All() {
		assert.True(t, seen[a.Name], "%s was never seen to be raised", a.Name)
	}
}

// The calls that the benchmark names, and those beyond it, as its text and the
// references of the services have them.
var calls = map[string]struct{ service, benchmark, beyond string }{
	"iam-policies": {
		"iam",
		"DeleteGroupPolicy DeleteRolePolicy DeleteUserPolicy PutGroupPolicy PutRolePolicy PutUserPolicy CreatePolicy DeletePolicy CreatePolicyVersion " +
			"DeletePolicyVersion AttachRolePolicy DetachRolePolicy AttachUserPolicy DetachUserPolicy AttachGroupPolicy DetachGroupPolicy",
		"SetDefaultPolicyVersion UpdateAssumeRolePolicy PutRolePermissionsBoundary DeleteRolePermissionsBoundary PutUserPermissionsBoundary " +
			"DeleteUserPermissionsBoundary AddUserToGroup CreateAccessKey CreateLoginProfile UpdateLoginProfile DeactivateMFADevice",
	},
	"trails": {"cloudtrail", "CreateTrail UpdateTrail DeleteTrail StartLogging StopLogging", "PutEventSelectors DeleteEventDataStore StopEventDataStoreIngestion"},
	"keys":   {"kms", "DisableKey ScheduleKeyDeletion", "PutKeyPolicy DeleteImportedKeyMaterial"},
	"bucket-policies": {
		"s3",
		"PutBucketAcl PutBucketPolicy PutBucketCors PutBucketLifecycle PutBucketReplication DeleteBucketPolicy DeleteBucketCors DeleteBucketLifecycle DeleteBucketReplication",
		"PutBucketObjectLockConfiguration PutObjectLockConfiguration PutBucketVersioning PutBucketEncryption DeleteBucketEncryption PutBucketLogging " +
			"PutBucketPublicAccessBlock DeleteBucketPublicAccessBlock PutAccountPublicAccessBlock DeleteAccountPublicAccessBlock DeleteBucket",
	},
	"config-recorder": {
		"config", "StopConfigurationRecorder DeleteDeliveryChannel PutDeliveryChannel PutConfigurationRecorder",
		"DeleteConfigurationRecorder DeleteConfigRule DeleteOrganizationConfigRule",
	},
	"security-groups": {
		"ec2",
		"AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress RevokeSecurityGroupEgress CreateSecurityGroup DeleteSecurityGroup",
		"ModifySecurityGroupRules",
	},
	"network-acls": {
		"ec2", "CreateNetworkAcl CreateNetworkAclEntry DeleteNetworkAcl DeleteNetworkAclEntry ReplaceNetworkAclEntry ReplaceNetworkAclAssociation", "",
	},
	"gateways": {
		"ec2", "CreateCustomerGateway DeleteCustomerGateway AttachInternetGateway CreateInternetGateway DeleteInternetGateway DetachInternetGateway",
		"CreateNatGateway DeleteNatGateway CreateEgressOnlyInternetGateway DeleteEgressOnlyInternetGateway CreateVpnGateway AttachVpnGateway DetachVpnGateway " +
			"DeleteVpnGateway CreateTransitGatewayVpcAttachment ModifyTransitGatewayVpcAttachment DeleteTransitGatewayVpcAttachment",
	},
	"route-tables": {
		"ec2", "CreateRoute CreateRouteTable ReplaceRoute ReplaceRouteTableAssociation DeleteRouteTable DeleteRoute DisassociateRouteTable",
		"AssociateRouteTable EnableVgwRoutePropagation DisableVgwRoutePropagation",
	},
	"vpcs": {
		"ec2",
		"CreateVpc DeleteVpc ModifyVpcAttribute AcceptVpcPeeringConnection CreateVpcPeeringConnection DeleteVpcPeeringConnection RejectVpcPeeringConnection " +
			"AttachClassicLinkVpc DetachClassicLinkVpc DisableVpcClassicLink EnableVpcClassicLink",
		"DeleteFlowLogs CreateVpcEndpoint ModifyVpcEndpoint DeleteVpcEndpoints ModifyVpcPeeringConnectionOptions",
	},
}

func TestEveryCallIsCounted(t *testing.T) {
	for name, list := range calls {
		a, known := accountalarm.Named(name)
		require.True(t, known)
		for pattern, names := range map[string]string{a.Benchmark: list.benchmark, a.Beyond: list.beyond} {
			for _, call := range strings.Fields(names) {
				line := called(list.service, call)
				assert.True(t, parse(t, pattern).Match(line), "%s: %s", name, call)
				assert.Equal(t, []string{name}, raised(t, line), call)
				// The same name with a letter more is another call.
				assert.Empty(t, raised(t, called(list.service, call+"X")), call)
			}
			assert.Equal(t, len(strings.Fields(names)), strings.Count(pattern, "$.eventName="), "%s: no call that this test does not know", name)
		}
	}
}

func called(service, name string) string {
	return fmt.Sprintf(`{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/Deploy/deploy"},`+
		`"eventSource":"%s.amazonaws.com","eventName":"%s","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.10","readOnly":false,"eventType":"AwsApiCall"}`, service, name)
}

// Security Hub compares patterns with the benchmark's.
func TestTheBenchmarkToTheLetter(t *testing.T) {
	bare := func(text string) string {
		return strings.NewReplacer(" ", "", `"`, "").Replace(text)
	}
	for i, want := range []string{
		`{$.userIdentity.type="Root" && $.userIdentity.invokedBy NOT EXISTS && $.eventType !="AwsServiceEvent"}`,
		`{($.errorCode="*UnauthorizedOperation") || ($.errorCode="AccessDenied*")}`,
		`{ ($.eventName = "ConsoleLogin") && ($.additionalEventData.MFAUsed != "Yes") && ($.userIdentity.type = "IAMUser") && ($.responseElements.ConsoleLogin = "Success") }`,
		`{($.eventSource=iam.amazonaws.com) && (($.eventName=DeleteGroupPolicy) || ($.eventName=DeleteRolePolicy) || ($.eventName=DeleteUserPolicy) || ($.eventName=PutGroupPolicy) || ($.eventName=PutRolePolicy) || ($.eventName=PutUserPolicy) || ($.eventName=CreatePolicy) || ($.eventName=DeletePolicy) || ($.eventName=CreatePolicyVersion) || ($.eventName=DeletePolicyVersion) || ($.eventName=AttachRolePolicy) || ($.eventName=DetachRolePolicy) || ($.eventName=AttachUserPolicy) || ($.eventName=DetachUserPolicy) || ($.eventName=AttachGroupPolicy) || ($.eventName=DetachGroupPolicy))}`,
		`{($.eventName=CreateTrail) || ($.eventName=UpdateTrail) || ($.eventName=DeleteTrail) || ($.eventName=StartLogging) || ($.eventName=StopLogging)}`,
		`{($.eventName=ConsoleLogin) && ($.errorMessage="Failed authentication")}`,
		`{($.eventSource=kms.amazonaws.com) && (($.eventName=DisableKey) || ($.eventName=ScheduleKeyDeletion))}`,
		`{($.eventSource=s3.amazonaws.com) && (($.eventName=PutBucketAcl) || ($.eventName=PutBucketPolicy) || ($.eventName=PutBucketCors) || ($.eventName=PutBucketLifecycle) || ($.eventName=PutBucketReplication) || ($.eventName=DeleteBucketPolicy) || ($.eventName=DeleteBucketCors) || ($.eventName=DeleteBucketLifecycle) || ($.eventName=DeleteBucketReplication))}`,
		`{($.eventSource=config.amazonaws.com) && (($.eventName=StopConfigurationRecorder) || ($.eventName=DeleteDeliveryChannel) || ($.eventName=PutDeliveryChannel) || ($.eventName=PutConfigurationRecorder))}`,
		`{($.eventName=AuthorizeSecurityGroupIngress) || ($.eventName=AuthorizeSecurityGroupEgress) || ($.eventName=RevokeSecurityGroupIngress) || ($.eventName=RevokeSecurityGroupEgress) || ($.eventName=CreateSecurityGroup) || ($.eventName=DeleteSecurityGroup)}`,
		`{($.eventName=CreateNetworkAcl) || ($.eventName=CreateNetworkAclEntry) || ($.eventName=DeleteNetworkAcl) || ($.eventName=DeleteNetworkAclEntry) || ($.eventName=ReplaceNetworkAclEntry) || ($.eventName=ReplaceNetworkAclAssociation)}`,
		`{($.eventName=CreateCustomerGateway) || ($.eventName=DeleteCustomerGateway) || ($.eventName=AttachInternetGateway) || ($.eventName=CreateInternetGateway) || ($.eventName=DeleteInternetGateway) || ($.eventName=DetachInternetGateway)}`,
		`{($.eventSource=ec2.amazonaws.com) && (($.eventName=CreateRoute) || ($.eventName=CreateRouteTable) || ($.eventName=ReplaceRoute) || ($.eventName=ReplaceRouteTableAssociation) || ($.eventName=DeleteRouteTable) || ($.eventName=DeleteRoute) || ($.eventName=DisassociateRouteTable))}`,
		`{($.eventName=CreateVpc) || ($.eventName=DeleteVpc) || ($.eventName=ModifyVpcAttribute) || ($.eventName=AcceptVpcPeeringConnection) || ($.eventName=CreateVpcPeeringConnection) || ($.eventName=DeleteVpcPeeringConnection) || ($.eventName=RejectVpcPeeringConnection) || ($.eventName=AttachClassicLinkVpc) || ($.eventName=DetachClassicLinkVpc) || ($.eventName=DisableVpcClassicLink) || ($.eventName=EnableVpcClassicLink)}`,
	} {
		a := accountalarm.All()[i]
		assert.Equal(t, i+1, a.Control)
		assert.Equal(t, bare(want), bare(a.Benchmark), a.Name)
	}
	assert.Len(t, accountalarm.All(), 14)
}

func TestNamesAndTexts(t *testing.T) {
	var names []string
	for _, a := range accountalarm.All() {
		assert.NotContains(t, names, a.Name)
		names = append(names, a.Name)
		assert.Equal(t, strings.ToLower(a.ID), strings.ReplaceAll(a.Name, "-", ""))
		text := a.Text(strings.Repeat("g", 255))
		assert.LessOrEqual(t, utf8.RuneCountInString(text), 900, "%s: room for the runbook", a.Name)
		assert.True(t, strings.HasSuffix(text, "'."), a.Name)
		assert.NotContains(t, text, "%!", a.Name)
		assert.Equal(t, 2, strings.Count(text, "'"), "%s: the pattern can be pasted into a shell", a.Name)
	}
	_, known := accountalarm.Named("root")
	assert.False(t, known)
}

func TestQuietCallers(t *testing.T) {
	a, _ := accountalarm.Named("refused-calls")
	users, roles := []string{"arn:aws:iam::111122223333:user/alice"}, []string{"arn:aws:iam::111122223333:role/Deploy", "arn:aws:iam::111122223333:role/Scan"}
	for name, test := range map[string]struct {
		users, roles []string
		quiet        []string
	}{
		"nobody":  {nil, nil, nil},
		"a user":  {users, nil, []string{"a call to another service is refused", "refused, and to change a policy", "refused, and to stop the trail"}},
		"a role":  {nil, roles, []string{"a call to EC2 is refused"}},
		"of both": {users, roles, []string{"a call to another service is refused", "refused, and to change a policy", "refused, and to stop the trail", "a call to EC2 is refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			pattern := parse(t, accountalarm.Without(a.Benchmark, test.users, test.roles))
			for _, e := range events(t) {
				want := slices.Contains(e.Raises, a.Name) && !slices.Contains(test.quiet, e.What)
				assert.Equal(t, want, pattern.Judge(string(e.Event)) == filterpattern.Matches, e.What)
				assert.NotEqual(t, filterpattern.Undocumented, pattern.Judge(string(e.Event)), e.What)
			}
		})
	}
	assert.Equal(t, `{ (($.errorCode="*UnauthorizedOperation") || ($.errorCode="AccessDenied*")) && (($.userIdentity.arn NOT EXISTS) || (($.userIdentity.arn != "arn:aws:iam::111122223333:user/alice"))) }`,
		accountalarm.Without(a.Benchmark, users, nil))
}

func TestMoreThanAFilterTakes(t *testing.T) {
	a, _ := accountalarm.Named("refused-calls")
	var many []string
	for i := range 12 {
		many = append(many, fmt.Sprintf("arn:aws:iam::111122223333:role/Scanner%d", i))
	}
	assert.Nil(t, accountalarm.Check(accountalarm.Without(a.Benchmark, nil, many[:7])))
	fault := accountalarm.Check(accountalarm.Without(a.Benchmark, nil, many))
	require.NotNil(t, fault)
	assert.Equal(t, ": make a filter of 1323 characters, and CloudWatch takes 1024: name fewer, such as one role that they share", fault.Error())

	fault = accountalarm.Check("{ $.userIdentity.arn != \"a\"b\" }")
	require.NotNil(t, fault)
	assert.Contains(t, fault.Problem, "can't be put in a filter: filter pattern, at character")
}
