package posterntest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/accountdefault"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/posterntest"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

// recorder is a test that only writes down how it fails.
type recorder struct {
	testing.TB
	failed []string
}

func (*recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failed = append(r.failed, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

// failure is how an assertion fails, "" if it passes.
func failure(t *testing.T, assertion func(t testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(r) {
				panic(p)
			}
		}()
		assertion(r)
	}()
	return strings.Join(r.failed, "\n")
}

// stack is a template of some resources, as JSON.
func stack(resources string) string { return `{"Resources": {` + resources + `}}` }

func group(id, rules string) string {
	return fmt.Sprintf(`%q: {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "d", "SecurityGroupIngress": [%s]},
		"Metadata": {"aws:cdk:path": "Test/%s/Resource"}}`, id, rules, id)
}

func TestNoIngressFromInternet(t *testing.T) {
	const fix = ": name the networks that people come from, or take the rule away and use Session Manager or EC2 Instance Connect"
	const path = "security group G (Test/G) lets in "
	for name, c := range map[string]struct{ resources, want string }{
		"nothing at all": {group("G", ""), ""},
		"a network":      {group("G", `{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "203.0.113.0/24"}`), ""},
		"private space":  {group("G", `{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "10.0.0.0/8"}`), ""},
		"another port":   {group("G", `{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"}`), ""},
		"ping":           {group("G", `{"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "CidrIp": "0.0.0.0/0"}`), ""},
		"a group":        {group("G", `{"IpProtocol": "-1", "SourceSecurityGroupId": "sg-1"}`), ""},
		"the internet": {
			group("G", `{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}`),
			path + "0.0.0.0/0 on port 22 by its rule for tcp port 22" + fix,
		},
		"a port as text": {
			group("G", `{"IpProtocol": "6", "FromPort": "3389", "ToPort": "3389", "CidrIp": "0.0.0.0/0"}`),
			path + "0.0.0.0/0 on port 3389 by its rule for 6 port 3389" + fix,
		},
		"RDP over UDP": {
			group("G", `{"IpProtocol": "udp", "FromPort": 3389, "ToPort": 3389, "CidrIp": "0.0.0.0/0"}`),
			path + "0.0.0.0/0 on port 3389 by its rule for udp port 3389" + fix,
		},
		"IPv6": {
			group("G", `{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv6": "::/0"}`),
			path + "::/0 on port 22 by its rule for tcp port 22" + fix,
		},
		"half of it": {
			group("G", `{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "128.0.0.0/1"}`),
			path + "128.0.0.0/1 on port 22 by its rule for tcp port 22" + fix,
		},
		"a range": {
			group("G", `{"IpProtocol": "tcp", "FromPort": 20, "ToPort": 80, "CidrIp": "0.0.0.0/0"}`),
			path + "0.0.0.0/0 on port 22 by its rule for tcp ports 20-80" + fix,
		},
		"every protocol": {
			group("G", `{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}`),
			path + "0.0.0.0/0 on port 22 by its rule for all protocols and ports" + fix + "\n  " +
				path + "0.0.0.0/0 on port 3389 by its rule for all protocols and ports" + fix,
		},
		"every port": {
			group("G", `{"IpProtocol": "tcp", "CidrIp": "0.0.0.0/0"}`),
			path + "0.0.0.0/0 on port 22 by its rule for all ports of tcp" + fix + "\n  " +
				path + "0.0.0.0/0 on port 3389 by its rule for all ports of tcp" + fix,
		},
		"a rule of its own": {
			group("G", "") + `, "R": {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": {"GroupId": {"Fn::GetAtt": ["G", "GroupId"]}, "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}}`,
			"security group G (Test/G), rule R lets in 0.0.0.0/0 on port 22 by its rule for tcp port 22" + fix,
		},
		"a rule of a group elsewhere": {
			`"R": {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": {"GroupId": "sg-9", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}}`,
			"security group sg-9, rule R lets in 0.0.0.0/0 on port 22 by its rule for tcp port 22" + fix,
		},
		"a prefix list of the app": {
			group("G", `{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "SourcePrefixListId": {"Ref": "L"}}`) +
				`, "L": {"Type": "AWS::EC2::PrefixList", "Properties": {"Entries": [{"Cidr": "203.0.113.0/24"}, {"Cidr": "0.0.0.0/0"}]}}`,
			path + "0.0.0.0/0 of the prefix list L on port 22 by its rule for tcp port 22" + fix,
		},
		"a prefix list of offices": {
			group("G", `{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "SourcePrefixListId": {"Fn::GetAtt": ["L", "PrefixListId"]}}`) +
				`, "L": {"Type": "AWS::EC2::PrefixList", "Properties": {"Entries": [{"Cidr": "203.0.113.0/24"}]}}`, "",
		},
		"a prefix list from elsewhere": {
			group("G", `{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "SourcePrefixListId": "pl-1"}`),
			path + "the prefix list pl-1, of which this app does not tell what is in it (list it in App.TrustedPrefixLists if you know) on port 22 by its rule for tcp port 22" + fix,
		},
		"a trusted prefix list": {group("G", `{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "SourcePrefixListId": "pl-trusted"}`), ""},
		"an import": {
			group("G", `{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": {"Fn::ImportValue": "Offices"}}`),
			path + "a network that only a deployment gives (an import) on port 22 by its rule for tcp port 22" + fix,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := failure(t, func(t testing.TB) {
				app := posterntest.Of(t, stack(c.resources))
				app.TrustedPrefixLists = []string{"pl-trusted"}
				posterntest.NoIngressFromInternet(t, app)
			})
			want := c.want
			if want != "" {
				want = fmt.Sprintf("NoIngressFromInternet: %d found:\n  %s", strings.Count(want, "\n")+1, want)
			}
			assert.Equal(t, want, got)
		})
	}
}

func TestNoIngressFromInternetOnOtherPorts(t *testing.T) {
	open := stack(group("G", `{"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "CidrIp": "0.0.0.0/0"}`))
	assert.Empty(t, failure(t, func(t testing.TB) { posterntest.NoIngressFromInternet(t, posterntest.Of(t, open)) }))
	assert.Contains(t, failure(t, func(t testing.TB) { posterntest.NoIngressFromInternet(t, posterntest.Of(t, open), 5432) }), "on port 5432")
}

func TestNoIngressFromInternetByParameterAndCondition(t *testing.T) {
	open := func(parameter string) string {
		return `{"Parameters": {"From": {"Type": "String"` + parameter + `}, "Open": {"Type": "String", "Default": "no"}},
			"Conditions": {"Opened": {"Fn::Equals": [{"Ref": "Open"}, "yes"]}},
			"Resources": {` + group("G", `{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": {"Ref": "From"}}`) + `,
				"R": {"Type": "AWS::EC2::SecurityGroupIngress", "Condition": "Opened", "Properties": {"GroupId": "sg-9", "IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}}}}`
	}
	check := func(template string) string {
		return failure(t, func(t testing.TB) { posterntest.NoIngressFromInternet(t, posterntest.Of(t, template)) })
	}
	assert.Empty(t, check(open(`, "Default": "203.0.113.0/24"`)))
	assert.Contains(t, check(open(`, "Default": "0.0.0.0/0"`)), "lets in 0.0.0.0/0 on port 22")
	assert.Contains(t, check(open("")), "lets in a network that only a deployment gives (From) on port 22")
}

func document(content string) string {
	return `"D": {"Type": "AWS::SSM::Document", "Properties": {"DocumentType": "Session", "Content": ` + content + `}}`
}

func TestSessionsAreLogged(t *testing.T) {
	shell := func(inputs string) string {
		return document(`{"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": {` + inputs + `}}`)
	}
	const encrypted = `, "L": {"Type": "AWS::Logs::LogGroup", "Properties": {"KmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/k"}}`
	const group = `"cloudWatchLogGroupName": {"Ref": "L"}, "cloudWatchEncryptionEnabled": true, "cloudWatchStreamingEnabled": true`
	for name, c := range map[string]struct{ resources, want string }{
		"log group":        {shell(group) + encrypted, ""},
		"bucket":           {shell(`"s3BucketName": "b", "s3EncryptionEnabled": true`), ""},
		"group elsewhere":  {shell(`"cloudWatchLogGroupName": "sessions", "cloudWatchEncryptionEnabled": true`), ""},
		"content as text":  {document(`"{\"sessionType\": \"Standard_Stream\", \"inputs\": {\"s3BucketName\": \"b\", \"s3EncryptionEnabled\": true}}"`), ""},
		"a port beside it": {shell(group) + encrypted + `, "P": {"Type": "AWS::SSM::Document", "Properties": {"DocumentType": "Session", "Content": {"sessionType": "Port"}}}`, ""},
		"the account's default": {
			`"A": {"Type": "` + accountdefault.ResourceType + `", "Properties": {"ServiceToken": "arn", "` + accountdefault.Content + `": {"Fn::Join": ["", ["{\"sessionType\": \"Standard_Stream\", \"inputs\": {\"s3BucketName\": \"", {"Ref": "B"}, "\", \"s3EncryptionEnabled\": true}}"]]}}}, "B": {"Type": "AWS::S3::Bucket"}`,
			"",
		},
		"the account's default without a log": {
			`"A": {"Type": "` + accountdefault.ResourceType + `", "Properties": {"ServiceToken": "arn", "` + accountdefault.Content + `": "{\"sessionType\": \"Standard_Stream\", \"inputs\": {}}"}}`,
			"document A: it names no log group and no bucket, so sessions leave no transcript: set cloudWatchLogGroupName or s3BucketName in its inputs",
		},
		"only a port": {
			document(`{"sessionType": "Port"}`),
			"the app has no session document for shells, so people get the account's default one: make one, with session.NewPreferences or your own, and let people use no other",
		},
		"no log": {
			shell(""),
			"document D: it names no log group and no bucket, so sessions leave no transcript: set cloudWatchLogGroupName or s3BucketName in its inputs",
		},
		"a log group that may be missing": {
			shell(`"cloudWatchLogGroupName": "sessions", "cloudWatchEncryptionEnabled": false`),
			`document D: cloudWatchEncryptionEnabled is "false", so a session runs unlogged where the log group sessions can't be written: set it to true and encrypt the group`,
		},
		"a log group without a key": {
			shell(group) + `, "L": {"Type": "AWS::Logs::LogGroup", "Properties": {}}`,
			"document D: cloudWatchEncryptionEnabled is true, but the log group L has no KmsKeyId, so the agent refuses every session: give the group a key",
		},
		"a bucket unseen": {
			shell(`"s3BucketName": "b"`),
			`document D: s3EncryptionEnabled is "", so the agent does not see to it that the bucket b is encrypted: set it to true`,
		},
		"a transcript at the end": {
			shell(`"cloudWatchLogGroupName": "sessions", "cloudWatchEncryptionEnabled": true, "cloudWatchStreamingEnabled": false`),
			"document D: cloudWatchStreamingEnabled is false, so the transcript is written when the session ends, and is lost with a host that ends first: set it to true",
		},
		"commands, too": {
			document(`{"sessionType": "InteractiveCommands"}`),
			"document D: it names no log group and no bucket, so sessions leave no transcript: set cloudWatchLogGroupName or s3BucketName in its inputs",
		},
		"no JSON": {document(`"shell"`), "document D: its content is no JSON: invalid character 's' looking for beginning of value"},
		"an import": {
			document(`{"Fn::ImportValue": "Content"}`),
			"document D: its content is one that only a deployment gives, so that nobody can tell whether sessions are logged: write it in the app",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := failure(t, func(t testing.TB) { posterntest.SessionsAreLogged(t, posterntest.Of(t, stack(c.resources))) })
			want := c.want
			if want != "" {
				want = "SessionsAreLogged: 1 found:\n  " + want
			}
			assert.Equal(t, want, got)
		})
	}
}

func TestEveryTargetHasAWayIn(t *testing.T) {
	instance := func(groups string) string {
		return `"I": {"Type": "AWS::EC2::Instance", "Properties": {"SecurityGroupIds": [` + groups + `], "IamInstanceProfile": {"Ref": "P"}}}`
	}
	scaling := `"A": {"Type": "AWS::AutoScaling::AutoScalingGroup", "Properties": {"MinSize": "1", "MaxSize": "1", "LaunchTemplate": {"LaunchTemplateId": {"Ref": "T"}, "Version": "1"}}},
		"T": {"Type": "AWS::EC2::LaunchTemplate", "Properties": {"LaunchTemplateData": {"SecurityGroupIds": [{"Fn::GetAtt": ["G", "GroupId"]}], "IamInstanceProfile": {"Arn": {"Fn::GetAtt": ["P", "Arn"]}}}}}`
	profile := func(role string) string {
		return `, "P": {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": [{"Ref": "R"}]}}, "R": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}` + role + `}}`
	}
	core := profile(`, "ManagedPolicyArns": [{"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::aws:policy/AmazonSSMManagedInstanceCore"]]}]`)
	own := profile(`, "Policies": [{"PolicyName": "agent", "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ssmmessages:*", "Resource": "*"}]}}]`)
	half := profile(`, "Policies": [{"PolicyName": "agent", "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ssmmessages:Create*", "Resource": "*"}]}}]`)
	ref := `{"Fn::GetAtt": ["G", "GroupId"]}`
	database := func(source string) string {
		return `"DB": {"Type": "AWS::RDS::DBInstance", "Properties": {"VPCSecurityGroups": [{"Fn::GetAtt": ["DG", "GroupId"]}]}}, ` +
			group("DG", `{"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, `+source+`}`)
	}
	const fix = ", and none of its security groups lets port 22 or 3389 in: attach the policy AmazonSSMManagedInstanceCore or a narrower one to its role, or let an EC2 Instance Connect Endpoint or a bastion reach it"
	const noDatabase = "AWS::RDS::DBInstance DB has no way in: none of its security groups (template 1.DG) lets in a host that people can reach: let a bastion or a relay connect to it, as session.NewTunnel does"
	for name, c := range map[string]struct{ resources, want string }{
		"agent by AWS's policy":   {instance(ref) + core + "," + group("G", ""), ""},
		"agent by a policy":       {instance(ref) + own + "," + group("G", ""), ""},
		"SSH from a group":        {instance(ref) + profile("") + "," + group("G", `{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "SourceSecurityGroupId": "sg-1"}`), ""},
		"scaling group by agent":  {scaling + core + "," + group("G", ""), ""},
		"scaling group by RDP":    {scaling + profile("") + "," + group("G", `{"IpProtocol": "tcp", "FromPort": 3389, "ToPort": 3389, "CidrIp": "203.0.113.0/24"}`), ""},
		"database from a host":    {instance(ref) + core + "," + group("G", "") + "," + database(`"SourceSecurityGroupId": `+ref), ""},
		"database from elsewhere": {database(`"SourceSecurityGroupId": "sg-9"`), ""},
		"database from a network": {database(`"CidrIp": "10.0.0.0/16"`), ""},
		"half an agent": {
			instance(ref) + half + "," + group("G", ""),
			"instance I has no way in: its role does not let the agent open a session (R may not ssmmessages:OpenControlChannel)" + fix,
		},
		"no profile": {
			strings.Replace(instance(ref), `, "IamInstanceProfile": {"Ref": "P"}`, "", 1) + "," + group("G", ""),
			"instance I has no way in: its role does not let the agent open a session (it has none that this app tells)" + fix,
		},
		"a profile elsewhere": {
			instance(ref) + "," + group("G", "") + `, "P": {"Type": "AWS::SNS::Topic", "Properties": {}}`,
			"instance I has no way in: its role does not let the agent open a session (its instance profile is not in the app)" + fix,
		},
		"a policy elsewhere": {
			instance(ref) + profile(`, "ManagedPolicyArns": ["arn:aws:iam::123456789012:policy/X"]`) + "," + group("G", ""),
			"instance I has no way in: its role does not let the agent open a session as far as can be judged (R has the managed policy arn:aws:iam::123456789012:policy/X, which is not in the app: " +
				"what it allows can't be judged; give its documents with posterntest.Policies)" + fix,
		},
		"a closed scaling group": {
			scaling + profile("") + "," + group("G", `{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"}`),
			"Auto Scaling group A has no way in: its role does not let the agent open a session (R may not ssmmessages:CreateControlChannel)" + fix,
		},
		"database from no host": {database(`"SourceSecurityGroupId": `+ref) + "," + group("G", ""), noDatabase},
		"database from nowhere": {database(`"Nothing": ""`), noDatabase},
		"nothing to reach":      {group("G", ""), "the app has no host and no database: pass the templates of all stacks, or leave the assertion out"},
	} {
		t.Run(name, func(t *testing.T) {
			got := failure(t, func(t testing.TB) { posterntest.EveryTargetHasAWayIn(t, posterntest.Of(t, stack(c.resources))) })
			want := c.want
			if want != "" {
				want = "EveryTargetHasAWayIn: 1 found:\n  " + want
			}
			assert.Equal(t, want, got)
		})
	}
}

const people = `
	"Op": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "OnCall", "AssumeRolePolicyDocument": {}}, "Metadata": {"aws:cdk:path": "Test/OnCall/Resource"}},
	"Shell": {"Type": "AWS::SSM::Document", "Properties": {"Name": "OnCall", "DocumentType": "Session", "Content": {}}},
	"P": {"Type": "AWS::IAM::Policy", "Properties": {"PolicyName": "p", "Roles": [{"Ref": "Op"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [
		{"Sid": "Start", "Effect": "Allow", "Action": "ssm:StartSession", "Resource": [
			{"Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/*"},
			{"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":ssm:", {"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}, ":document/", {"Ref": "Shell"}]]}],
		 "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}, "BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}},
		{"Sid": "NoCommands", "Effect": "Deny", "Action": "ssm:SendCommand", "Resource": "*"}]}}}`

func TestAllowsAndDenies(t *testing.T) {
	app := posterntest.Of(t, stack(people))
	target, shell := app.ARN("ec2", "instance/i-1"), app.ARN("ssm", "document/OnCall")
	assert.Equal(t, "arn:aws:ssm:us-east-1:123456789012:document/OnCall", shell)
	mfa := posterntest.Context{"aws:MultiFactorAuthPresent": "true"}
	oncall := posterntest.Person("Test/OnCall")
	for _, who := range []posterntest.Who{oncall, posterntest.Person("OnCall"), posterntest.Person("Op")} {
		posterntest.Allows(t, app, who, posterntest.StartSession(target, shell, mfa))
		posterntest.Denies(t, app, who,
			posterntest.StartSession(target, shell, nil),
			posterntest.StartSession(target, "", mfa),
			posterntest.StartSession(target, shell+"2", mfa),
			posterntest.OpenTunnel(app.ARN("ec2", "instance-connect-endpoint/eice-1"), "10.0.0.1", 22, 60, mfa),
			posterntest.Do("ssm:SendCommand", target, mfa))
	}

	assert.Equal(t, `Allows: Op (Test/OnCall): 2 found:
  ssm:StartSession on arn:aws:ec2:us-east-1:123456789012:instance/i-1 with arn:aws:ssm:us-east-1:123456789012:document/OnCall is not allowed: grant it, or ask with the context that the conditions want
    ssm:StartSession on arn:aws:ec2:us-east-1:123456789012:instance/i-1: P/Start: wants Bool aws:MultiFactorAuthPresent "true", the request has no such key
    ssm:StartSession on arn:aws:ssm:us-east-1:123456789012:document/OnCall: P/Start: wants Bool aws:MultiFactorAuthPresent "true", the request has no such key
  ssm:SendCommand on arn:aws:ec2:us-east-1:123456789012:instance/i-1 is not allowed: grant it, or ask with the context that the conditions want
    ssm:SendCommand on arn:aws:ec2:us-east-1:123456789012:instance/i-1: denied by P/NoCommands`,
		failure(t, func(t testing.TB) {
			posterntest.Allows(t, app, oncall, posterntest.StartSession(target, shell, nil), posterntest.Do("ssm:SendCommand", target, nil))
		}))
	assert.Equal(t, `Denies: Op (Test/OnCall): 1 found:
  ssm:StartSession on arn:aws:ec2:us-east-1:123456789012:instance/i-1 is allowed: narrow the statements named, or deny it
    ssm:StartSession on arn:aws:ec2:us-east-1:123456789012:instance/i-1: allowed by P/Start`,
		failure(t, func(t testing.TB) {
			posterntest.Denies(t, app, oncall, posterntest.Do("ssm:StartSession", target, mfa))
		}))
	assert.Equal(t, `Allows: Op (Test/OnCall): 1 found:
  s3:GetObject on arn:aws:s3:::b/k is not allowed: grant it, or ask with the context that the conditions want
    s3:GetObject on arn:aws:s3:::b/k: no statement allows the action`,
		failure(t, func(t testing.TB) {
			posterntest.Allows(t, app, oncall, posterntest.Do("s3:GetObject", "arn:aws:s3:::b/k", nil))
		}))
}

func TestAllowsCollectsPolicies(t *testing.T) {
	document := func(action string) string {
		return `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "` + action + `", "Resource": "*"}]}`
	}
	app := posterntest.Of(t, stack(`
		"U": {"Type": "AWS::IAM::User", "Properties": {"Groups": [{"Ref": "G"}], "ManagedPolicyArns": [{"Ref": "M"}], "PermissionsBoundary": {"Ref": "B"},
			"Policies": [{"PolicyName": "inline", "PolicyDocument": `+document("a:Inline")+`}]}},
		"G": {"Type": "AWS::IAM::Group", "Properties": {}},
		"H": {"Type": "AWS::IAM::Group", "Properties": {}},
		"Add": {"Type": "AWS::IAM::UserToGroupAddition", "Properties": {"GroupName": {"Ref": "H"}, "Users": [{"Ref": "U"}]}},
		"M": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": `+document("a:Managed")+`}},
		"N": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"Users": [{"Ref": "U"}], "PolicyDocument": `+document("a:Attached")+`}},
		"B": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "NotAction": "a:Beyond", "Resource": "*"}]}}},
		"P": {"Type": "AWS::IAM::Policy", "Properties": {"Groups": [{"Ref": "G"}], "PolicyDocument": `+document("a:Group")+`}},
		"Q": {"Type": "AWS::IAM::GroupPolicy", "Properties": {"GroupName": {"Ref": "H"}, "PolicyDocument": `+document("a:OtherGroup")+`}},
		"R": {"Type": "AWS::IAM::UserPolicy", "Properties": {"UserName": {"Ref": "U"}, "PolicyDocument": `+document("a:Beyond")+`}}`))
	for _, action := range []string{"a:Inline", "a:Managed", "a:Attached", "a:Group", "a:OtherGroup"} {
		posterntest.Allows(t, app, posterntest.Person("U"), posterntest.Do(action, "*", nil))
	}
	posterntest.Denies(t, app, posterntest.Person("U"), posterntest.Do("a:Beyond", "*", nil), posterntest.Do("a:Other", "*", nil))
	posterntest.Denies(t, app, posterntest.Person("G"), posterntest.Do("a:OtherGroup", "*", nil))
	assert.Contains(t, failure(t, func(t testing.TB) {
		posterntest.Allows(t, app, posterntest.Person("U"), posterntest.Do("a:Beyond", "*", nil))
	}),
		"a:Beyond on *: outside the permissions boundary")
}

func TestDocumentsOf(t *testing.T) {
	app := posterntest.Of(t, stack(people))
	documents := posterntest.DocumentsOf(t, app, posterntest.Person("OnCall"))
	require.Len(t, documents, 1)
	assert.Contains(t, documents["P"], `"arn:aws:ssm:us-east-1:123456789012:document/OnCall"`)
	posterntest.Allows(t, app, posterntest.Policies(documents["P"]),
		posterntest.Do("ssm:StartSession", app.ARN("ec2", "instance/i-1"), posterntest.Context{"aws:MultiFactorAuthPresent": "true"}))
	assert.Equal(t, `DocumentsOf: no user, group or role "Nobody" in the app: there are Test/OnCall`,
		failure(t, func(t testing.TB) { posterntest.DocumentsOf(t, app, posterntest.Person("Nobody")) }))
}

func TestResourcePoliciesOf(t *testing.T) {
	const allow = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "a:B", "Resource": `
	app := posterntest.Of(t, stack(`
		"Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}}},
		"Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": `+allow+`"*"}]}}},
		"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "mine"}},
		"BucketPolicy": {"Type": "AWS::S3::BucketPolicy", "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": `+allow+`{"Fn::GetAtt": ["Bucket", "Arn"]}}]}}},
		"Topic": {"Type": "AWS::SNS::Topic", "Properties": {}},
		"First": {"Type": "AWS::SNS::TopicPolicy", "Properties": {"Topics": [{"Ref": "Topic"}], "PolicyDocument": `+allow+`"one"}]}}},
		"Second": {"Type": "AWS::SNS::TopicPolicy", "Properties": {"Topics": [{"Ref": "Topic"}], "PolicyDocument": `+allow+`"two"}]}}},
		"Destination": {"Type": "AWS::Logs::Destination", "Properties": {"DestinationName": "central", "DestinationPolicy": "{\"Version\": \"2012-10-17\", \"Statement\": []}"}}`))
	policies := posterntest.ResourcePoliciesOf(t, app)
	assert.Len(t, policies, 5)
	assert.Contains(t, policies["arn:aws:iam::123456789012:role/Role"], `"sts:AssumeRole"`)
	assert.Contains(t, policies[app.ARN("kms", "key/Key")], `"a:B"`)
	assert.Contains(t, policies["arn:aws:s3:::mine"], `"arn:aws:s3:::mine"`)
	both := policies[app.ARN("sns", "Topic")]
	assert.Contains(t, both, `"one"`)
	assert.Contains(t, both, `"two"`)
	assert.JSONEq(t, `{"Version": "2012-10-17", "Statement": []}`, policies[app.ARN("logs", "destination:central")])
}

func TestAllowsOfDocuments(t *testing.T) {
	app := posterntest.Of(t, stack(group("G", "")))
	app.Region = "eu-west-1"
	who := posterntest.Policies(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ssm:DescribeSessions", "Resource": "*",
		"Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}]}`)
	posterntest.Allows(t, app, who, posterntest.Do("ssm:DescribeSessions", "*", nil))
	posterntest.Denies(t, app, who, posterntest.Do("ssm:DescribeSessions", "*", posterntest.Context{"aws:RequestedRegion": "us-east-1"}))
}

// What can't be known is a failure of both.
func TestAccessThatCannotBeJudged(t *testing.T) {
	role := func(properties string) string {
		return stack(`"R": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}` + properties + `}}`)
	}
	do := posterntest.Do("a:B", "*", nil)
	for name, c := range map[string]struct {
		template string
		who      posterntest.Who
		want     string
	}{
		"nobody of that name": {stack(people), posterntest.Person("Nobody"), `no user, group or role "Nobody" in the app: there are Test/OnCall`},
		"nobody of that path": {
			`{"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}}}`, posterntest.Person("Access/R"),
			`no user, group or role "Access/R" in the app: there are R; some are known by their logical IDs alone: posterntest.Read knows all construct paths`,
		},
		"nobody named": {stack(people), posterntest.Who{}, "nobody is named: pass posterntest.Person(path) or posterntest.Policies(json)"},
		"AWS's policy": {
			role(`, "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]`), posterntest.Person("R"),
			"R has the managed policy arn:aws:iam::aws:policy/AdministratorAccess, which is not in the app: what it allows can't be judged; give its documents with posterntest.Policies",
		},
		"an imported policy": {
			role(`, "ManagedPolicyArns": [{"Fn::ImportValue": "X"}]`), posterntest.Person("R"),
			"R has a managed policy that only a deployment gives: what it allows can't be judged",
		},
		"an imported resource": {
			role(`, "Policies": [{"PolicyName": "p", "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "a:B", "Resource": {"Fn::ImportValue": "X"}}]}}]`), posterntest.Person("R"),
			"is not text: resolve what the template refers to first",
		},
		"an operator": {
			stack(people), posterntest.Policies(`{"Statement": {"Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"BinaryEquals": {"k": "v"}}}}`),
			`policy policy 1, statement 1: Condition operator "BinaryEquals" can't be judged here`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for assertion, f := range map[string]func(testing.TB, *posterntest.App, posterntest.Who, ...posterntest.Operation){"Allows": posterntest.Allows, "Denies": posterntest.Denies} {
				got := failure(t, func(t testing.TB) { f(t, posterntest.Of(t, c.template), c.who, do) })
				assert.True(t, strings.HasPrefix(got, assertion+": "), got)
				assert.Contains(t, got, c.want)
			}
		})
	}
	assert.Equal(t, "Denies: no operation: pass posterntest.Do(...) or posterntest.StartSession(...)",
		failure(t, func(t testing.TB) { posterntest.Denies(t, posterntest.Of(t, stack(people)), posterntest.Person("Op")) }))
}

// What one stack refers to in another is found, and resources of one logical ID in two stacks are told apart.
func TestStacksBelongTogether(t *testing.T) {
	network := `{"Resources": {` + group("G", `{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "203.0.113.0/24"}`) + `},
		"Outputs": {"O": {"Value": {"Fn::GetAtt": ["G", "GroupId"]}, "Export": {"Name": "Group"}}}}`
	data := stack(group("G", "") + `, "I": {"Type": "AWS::EC2::Instance", "Properties": {"SecurityGroupIds": [{"Fn::ImportValue": "Group"}]}}`)
	posterntest.EveryTargetHasAWayIn(t, posterntest.Of(t, network, data))
	assert.Contains(t, failure(t, func(t testing.TB) { posterntest.EveryTargetHasAWayIn(t, posterntest.Of(t, data)) }), "instance I has no way in")
	closed := strings.Replace(data, `{"Fn::ImportValue": "Group"}`, `{"Fn::GetAtt": ["G", "GroupId"]}`, 1)
	assert.Contains(t, failure(t, func(t testing.TB) { posterntest.EveryTargetHasAWayIn(t, posterntest.Of(t, network, closed)) }), "instance I of template 2 has no way in")
}

func TestRead(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, value any) {
		text, err := json.Marshal(value)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), text, 0o600))
	}
	write("manifest.json", map[string]any{"artifacts": map[string]any{
		"assembly-Prod": map[string]any{"type": "cdk:cloud-assembly", "properties": map[string]any{"directoryName": "assembly-Prod"}},
		"Tree":          map[string]any{"type": "cdk:tree"},
	}})
	write("assembly-Prod/manifest.json", map[string]any{"artifacts": map[string]any{"ProdAccess": map[string]any{
		"type": "aws:cloudformation:stack", "environment": "aws://111122223333/eu-west-1",
		"properties": map[string]any{"templateFile": "access.json", "stackName": "Prod-Access"},
		"metadata":   map[string]any{"/Prod/Access/Door/Group/Resource": []any{map[string]any{"type": "aws:cdk:logicalId", "data": "G"}}},
	}}})
	write("assembly-Prod/access.json", json.RawMessage(`{"Resources": {"G": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "d",
		"SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}]}}}}`))
	assert.Contains(t, failure(t, func(t testing.TB) { posterntest.NoIngressFromInternet(t, posterntest.Read(t, folder)) }),
		"security group G (Prod/Access/Door/Group) lets in 0.0.0.0/0")

	// A nested stack gets its parameters from the resource that it is, and gives outputs.
	write("assembly-Prod/access.json", json.RawMessage(`{"Resources": {
		"G": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "d", "SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": {"Fn::GetAtt": ["N", "Outputs.Cidr"]}}]}},
		"N": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "u", "Parameters": {"Group": {"Fn::GetAtt": ["G", "GroupId"]}}}, "Metadata": {"aws:asset:path": "nested.json"}}}}`))
	nested := func(cidr string) {
		write("assembly-Prod/nested.json", json.RawMessage(`{"Parameters": {"Group": {"Type": "String"}}, "Outputs": {"Cidr": {"Value": "`+cidr+`"}}, "Resources": {
			"I": {"Type": "AWS::EC2::Instance", "Properties": {"SecurityGroupIds": [{"Ref": "Group"}]}}}}`))
	}
	nested("203.0.113.0/24")
	app := posterntest.Read(t, folder)
	posterntest.EveryTargetHasAWayIn(t, app)
	posterntest.NoIngressFromInternet(t, app)
	nested("0.0.0.0/0")
	assert.Contains(t, failure(t, func(t testing.TB) { posterntest.NoIngressFromInternet(t, posterntest.Read(t, folder)) }), "lets in 0.0.0.0/0 on port 22")
	require.NoError(t, os.Remove(filepath.Join(folder, "assembly-Prod/nested.json")))
	assert.Contains(t, failure(t, func(t testing.TB) { posterntest.Read(t, folder) }), "template of stack ProdAccess: nested stack N: openat nested.json: no such file or directory")
	assert.Contains(t, failure(t, func(t testing.TB) {
		posterntest.Of(t, stack(`"N": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "u"}}`))
	}), "N is a nested stack, whose template is not in this one: read the cloud assembly with posterntest.Read")

	empty := t.TempDir()
	assert.Contains(t, failure(t, func(t testing.TB) { posterntest.Read(t, empty) }), "manifest.json: no such file or directory: is it what app.Synth returns as Directory?")
	require.NoError(t, os.WriteFile(filepath.Join(empty, "manifest.json"), []byte(`{}`), 0o600))
	assert.Equal(t, "posterntest.Read: no stack in "+empty+": is it what app.Synth returns as Directory?", failure(t, func(t testing.TB) { posterntest.Read(t, empty) }))
}

func TestOfRefusesWhatIsNoTemplate(t *testing.T) {
	assert.Equal(t, "posterntest.Of: no template: pass assertions.Template_FromStack(stack, nil)", failure(t, func(t testing.TB) { posterntest.Of(t) }))
	assert.Equal(t, "posterntest.Of: template 2: int is no template: pass assertions.Template_FromStack(stack, nil), a map, or JSON",
		failure(t, func(t testing.TB) {
			posterntest.Of(t, map[string]any{"Resources": map[string]any{"T": map[string]any{"Type": "AWS::SNS::Topic"}}}, 5)
		}))
	assert.Contains(t, failure(t, func(t testing.TB) { posterntest.Of(t, []byte("{")) }), "posterntest.Of: template 1: ")
}
