package test_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/host/identity"
)

func TestBastionForEveryone(t *testing.T) {
	_, template := bastionOf(t, bastion.Props{Address: bastion.AddressElasticIP, AllowEveryone: true, AllowedCidrs: []string{"0.0.0.0/0", "::/0"}})
	rules := textOf(t, propertiesOf(t, template, "AWS::EC2::SecurityGroup", "BastionSecurityGroup")["SecurityGroupIngress"])
	assert.Contains(t, rules, `"CidrIp":"0.0.0.0/0"`)
	assert.Contains(t, rules, `"CidrIpv6":"::/0"`)
}

func TestBastionWarnsOfAnAddressForNobody(t *testing.T) {
	stack := cdktest.NewStack(t)
	bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack), Address: bastion.AddressElasticIP})
	require.Len(t, warningsOf(stack), 1)
	assert.Contains(t, warningsOf(stack)[0], "[ack: postern:bastion-no-ingress]")
}

func TestBastionAllowTo(t *testing.T) {
	t.Run("both ends, once, with the reason", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		vpc := userVpc(stack)
		b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc})
		database := awsec2.NewSecurityGroup(stack, jsii.String("Database"), &awsec2.SecurityGroupProps{Vpc: vpc})
		b.AllowTo(database, 5432, "psql for support")
		b.AllowTo(database, 5432, "psql for support")
		template := cdktest.Template(stack)
		here := logicalIDOf(t, template, "AWS::EC2::SecurityGroup", "BastionSecurityGroup")
		there := logicalIDOf(t, template, "AWS::EC2::SecurityGroup", "Database")
		rule := func(group, peer, other string) string {
			return `{"GroupId":{"Fn::GetAtt":["` + group + `","GroupId"]},"` + peer + `":{"Fn::GetAtt":["` + other + `","GroupId"]},
				"IpProtocol":"tcp","FromPort":5432,"ToPort":5432,"Description":"psql for support"}`
		}
		assert.JSONEq(t, rule(here, "DestinationSecurityGroupId", there), textOf(t, only(t, template, "AWS::EC2::SecurityGroupEgress")["Properties"]))
		assert.JSONEq(t, rule(there, "SourceSecurityGroupId", here), textOf(t, only(t, template, "AWS::EC2::SecurityGroupIngress")["Properties"]))
	})
	t.Run("the stack of the target knows nothing of it", func(t *testing.T) {
		app := cdktest.NewApp(t)
		data, access := cdktest.StackIn(app, "Data"), cdktest.StackIn(app, "Access")
		vpc := userVpc(data)
		database := awsec2.NewSecurityGroup(data, jsii.String("Database"), &awsec2.SecurityGroupProps{Vpc: vpc})
		b := bastion.New(access, "Bastion", &bastion.Props{Vpc: vpc})
		b.AllowTo(database, 5432, "psql for support")
		b.AllowTo(awsec2.SecurityGroup_FromSecurityGroupId(access, jsii.String("Cache"), jsii.String("sg-0123456789abcdef0"), nil), 6379, "redis")
		template := cdktest.Template(access)
		assert.Len(t, byLogicalName(t, template, "AWS::EC2::SecurityGroupIngress"), 2)
		assert.Len(t, byLogicalName(t, template, "AWS::EC2::SecurityGroupEgress"), 2)
		assert.Empty(t, *data.Dependencies())
		assert.Empty(t, byLogicalName(t, cdktest.Template(data), "AWS::EC2::SecurityGroupIngress"))
	})
	t.Run("faults", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack)})
		assert.Equal(t, `bastion "Test/Bastion": AllowTo: port: 0 is out of range: use 1 to 65535`+"\n"+
			`why: is empty: say what for, such as "psql for support"`+"\n"+
			`target: is nil: pass the instance, database or security group to reach`,
			cdktest.Panic(t, func() { b.AllowTo(nil, 0, "") }))
		assert.Equal(t, `bastion "Test/Bastion": AllowTo: why: "für Anna" can't be the description of a rule: use up to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*`+"\n"+
			`target: has no security group: pass something that has one, or use Connections().AllowTo with a peer`,
			cdktest.Panic(t, func() {
				b.AllowTo(awsec2.NewConnections(&awsec2.ConnectionsProps{Peer: awsec2.Peer_AnyIpv4()}), 22, "für Anna")
			}))
	})
}

// Network, Archive, Access: references go one way.
func TestBastionAcrossStacks(t *testing.T) {
	app := cdktest.NewApp(t)
	network, records, access := cdktest.StackIn(app, "Network"), cdktest.StackIn(app, "Archive"), cdktest.StackIn(app, "Access")
	store := archive.New(records, "Archive", nil)
	vpc := closedVpc(network)
	doors := endpoints.New(network, "Endpoints", &endpoints.Props{Vpc: vpc})
	bastion.New(access, "Bastion", &bastion.Props{Vpc: vpc, Endpoints: doors, Key: store.Key(), LogGroup: store.AddLogGroup("Journal")})
	template := cdktest.Template(access)
	assert.Empty(t, *network.Dependencies())
	assert.Empty(t, *records.Dependencies())
	assert.Len(t, byLogicalName(t, template, "AWS::EC2::SecurityGroupIngress"), 1, "at the endpoints' group, made here")
	assert.Empty(t, byLogicalName(t, cdktest.Template(network), "AWS::EC2::SecurityGroupIngress"))
	services := textOf(t, byLogicalName(t, cdktest.Template(network), "AWS::EC2::VPCEndpoint"))
	for _, service := range []string{"ssm", "ssmmessages", "logs", "monitoring", "ec2", "cloudformation", "autoscaling", "s3"} {
		assert.Contains(t, services, "."+service+`"`)
	}
	assert.NotContains(t, textOf(t, cdktest.Template(records).ToJSON()), "Bastion")
}

func TestBastionAddsNoEndpointWhereThereIsAWayOut(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := userVpc(stack)
	doors := endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: vpc, Services: []endpoints.Service{endpoints.SSM}})
	bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc, Endpoints: doors})
	template := cdktest.Template(stack)
	assert.Len(t, byLogicalName(t, template, "AWS::EC2::VPCEndpoint"), 2, "ssm and s3")
	assert.Contains(t, textOf(t, byLogicalName(t, template, "AWS::EC2::SecurityGroupIngress")), `"SourceSecurityGroupId":{"Fn::GetAtt":["BastionSecurityGroup`,
		"the name of the service leads to the endpoint, so that must admit the bastion")
}

func TestBastionWithoutAWayToItsServices(t *testing.T) {
	stack := cdktest.NewStack(t)
	bastion.New(stack, "Bastion", &bastion.Props{Vpc: closedVpc(stack)})
	message := cdktest.Panic(t, func() { cdktest.Template(stack) })
	for _, service := range []string{"ssm", "ssmmessages", "logs", "monitoring", "ec2", "cloudformation", "autoscaling"} {
		assert.Contains(t, message, service)
	}

	stack = cdktest.NewStack(t)
	bastion.New(stack, "Bastion", &bastion.Props{Vpc: closedVpc(stack), ExistingEndpoints: []endpoints.Service{
		endpoints.SSM, endpoints.SSMMessages, endpoints.Logs, endpoints.Monitoring, endpoints.EC2, endpoints.CloudFormation, endpoints.AutoScaling, endpoints.S3,
	}})
	assert.Len(t, byLogicalName(t, cdktest.Template(stack), "AWS::AutoScaling::AutoScalingGroup"), 1)
}

func TestBastionInVpcOfAnotherApp(t *testing.T) {
	t.Run("by its attributes", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		vpc := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Vpc"), &awsec2.VpcAttributes{
			VpcId:                      jsii.String("vpc-0123456789abcdef0"),
			AvailabilityZones:          jsii.Strings("us-east-1a", "us-east-1b"),
			PublicSubnetIds:            jsii.Strings("subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"),
			PublicSubnetRouteTableIds:  jsii.Strings("rtb-0aaaaaaaaaaaaaaaa", "rtb-0bbbbbbbbbbbbbbbb"),
			PrivateSubnetIds:           jsii.Strings("subnet-0cccccccccccccccc", "subnet-0dddddddddddddddd"),
			PrivateSubnetRouteTableIds: jsii.Strings("rtb-0cccccccccccccccc", "rtb-0dddddddddddddddd"),
		})
		bastion.New(stack, "Private", &bastion.Props{Vpc: vpc})
		bastion.New(stack, "Public", &bastion.Props{Vpc: vpc, Address: bastion.AddressElasticIP, AllowedPrefixLists: []string{"pl-63a5400a"}})
		groups := byLogicalName(t, cdktest.Template(stack), "AWS::AutoScaling::AutoScalingGroup")
		assert.Equal(t, []any{"subnet-0cccccccccccccccc", "subnet-0dddddddddddddddd"}, groups["PrivateASG"]["Properties"].(map[string]any)["VPCZoneIdentifier"])
		assert.Equal(t, []any{"subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"}, groups["PublicASG"]["Properties"].(map[string]any)["VPCZoneIdentifier"])
	})
	t.Run("by lookup, before it was looked up", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		vpc := awsec2.Vpc_FromLookup(stack, jsii.String("Vpc"), &awsec2.VpcLookupOptions{IsDefault: jsii.Bool(true)})
		// The CDK's stand-ins pass no validation of a template, so none is written.
		b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc, AllowedCidrs: []string{*vpc.VpcCidrBlock()}})
		assert.Equal(t, vpc, b.Vpc())
	})
}

func TestBastionGrants(t *testing.T) {
	stack := cdktest.NewStack(t)
	b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack)})
	awskms.NewKey(stack, jsii.String("Data"), nil).GrantDecrypt(b)
	b.Connections().AllowDefaultPortFrom(awsec2.Peer_Ipv4(jsii.String("10.1.0.0/16")), jsii.String("VPN"))
	template := cdktest.Template(stack)
	assert.Contains(t, textOf(t, only(t, template, "AWS::IAM::Policy")), `"Roles":[{"Ref":"BastionRole`)
	assert.Contains(t, textOf(t, propertiesOf(t, template, "AWS::EC2::SecurityGroup", "BastionSecurityGroup")["SecurityGroupIngress"]),
		`"CidrIp":"10.1.0.0/16","Description":"VPN","FromPort":22`)
}

func TestBastionCommands(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := userVpc(stack)
	private := bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc})
	named := bastion.New(stack, "Named", &bastion.Props{
		Vpc: vpc, Address: bastion.AddressElasticIP, AllowedPrefixLists: []string{"pl-63a5400a"}, HostedZone: hostedZone{}, RecordName: "bastion",
	})
	plain := func(text string) string {
		for _, b := range []*bastion.Bastion{private, named} {
			text = strings.ReplaceAll(text, b.AutoScalingGroupName(), "GROUP")
		}
		return text
	}
	const instance = `$(aws ec2 describe-instances --region us-east-1 --filters Name=tag:aws:autoscaling:groupName,Values=GROUP Name=instance-state-name,Values=running` +
		` --query 'sort_by(Reservations[].Instances[],&LaunchTime)[-1].InstanceId' --output text)`
	const push = `id="` + instance + `" && aws ec2-instance-connect send-ssh-public-key --region us-east-1 --instance-id "$id" --instance-os-user ec2-user` +
		` --ssh-public-key "file://$HOME/.ssh/id_ed25519.pub" && `
	assert.Equal(t, `aws ssm start-session --region us-east-1 --target "`+instance+`"`, plain(private.StartSessionCommand()))
	assert.Equal(t, push+`ssh -o HostKeyAlias=postern-Test-Bastion -o StrictHostKeyChecking=yes -o ProxyCommand="aws ssm start-session --region us-east-1 --target $id --document-name AWS-StartSSHSession --parameters portNumber=22" ec2-user@"$id"`,
		plain(private.SSHCommand("ec2-user")))
	assert.Equal(t, push+`ssh -o HostKeyAlias=postern-Test-Named -o StrictHostKeyChecking=yes ec2-user@bastion.example.com`, plain(named.SSHCommand("ec2-user")))
	const match = `Match originalhost door exec "aws ec2-instance-connect send-ssh-public-key --region us-east-1 --instance-id ` + instance +
		` --instance-os-user ec2-user --ssh-public-key file://$HOME/.ssh/id_ed25519.pub >/dev/null"` + "\n  User ec2-user\n"
	assert.Equal(t, match+"  HostName door\n"+
		"  ProxyCommand aws ssm start-session --region us-east-1 --target "+instance+" --document-name AWS-StartSSHSession --parameters portNumber=22\n"+
		"  HostKeyAlias postern-Test-Bastion\n  StrictHostKeyChecking yes\n  IdentitiesOnly yes\n  IdentityFile ~/.ssh/id_ed25519\n", plain(private.SSHConfig("door", "ec2-user")))
	assert.Equal(t, match+"  HostName bastion.example.com\n  HostKeyAlias postern-Test-Named\n  StrictHostKeyChecking yes\n  IdentitiesOnly yes\n  IdentityFile ~/.ssh/id_ed25519\n",
		plain(named.SSHConfig("door", "ec2-user")))

	closed := bastion.New(stack, "Closed", &bastion.Props{Vpc: vpc, Address: bastion.AddressElasticIP})
	assert.Contains(t, closed.SSHConfig("door", "ec2-user"), "  ProxyCommand aws ssm start-session", "an address that lets nobody in is no way in")
	assert.Contains(t, closed.SSHCommand("ec2-user"), "-o ProxyCommand=")

	bucket := *private.Bucket().BucketName()
	assert.Equal(t, "aws ssm get-parameter --region us-east-1 --name /postern/Test/Bastion/known_hosts --query Parameter.Value --output text >> ~/.ssh/known_hosts",
		private.KnownHostsCommand())
	assert.Equal(t, "aws s3 cp --region us-east-1 alice.pub s3://"+bucket+"/public-keys/alice.pub", private.AddPersonCommand("alice", "alice.pub"))
	assert.Equal(t, "aws s3 rm --region us-east-1 s3://"+bucket+"/public-keys/alice.pub", private.RemovePersonCommand("alice"))
	const session = "20261121T234501Z-0a1b2c3d"
	assert.Equal(t, `to=$(mktemp -d) && aws s3 cp --region us-east-1 --recursive --exclude "*" --include "*/`+session+`/*" "s3://`+bucket+`/sessions/2026/11/21/" "$to" && `+
		`cat "$to"/*/`+session+`/*.cast > "$to/session.cast" && asciinema play "$to/session.cast"`, private.ReplayCommand(session))
	out, err := exec.Command("bash", "-c", "session="+session+"; cat <<END\n"+strings.NewReplacer("$(mktemp -d)", "to", bucket, "records").Replace(private.ReplayScript())+"\nEND").Output()
	require.NoError(t, err)
	assert.Contains(t, string(out), "/sessions/2026/11/21/")
	assert.Contains(t, cdktest.Panic(t, func() { private.RemovePersonCommand("a;b") }), `bastion "Test/Bastion": RemovePersonCommand: name: "a;b" can't be the name of an account`)
	assert.Contains(t, cdktest.Panic(t, func() { private.ReplayCommand("last") }), `"last" is not the ID of a session`)

	ephemeral := bastion.New(stack, "Ephemeral", &bastion.Props{Vpc: vpc, Host: bastion.Host{HostKeys: bastion.HostKeys{Ephemeral: true}}})
	assert.Empty(t, ephemeral.KnownHostsCommand())
	assert.NotContains(t, ephemeral.SSHConfig("door", "ec2-user"), "HostKey")
}

// The blocks hold shell within a quoted argument: whether that works, only ssh
// and a shell can tell.
func TestBastionSSHConfigWorksInSSH(t *testing.T) {
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "ssh is not installed")
		fmt.Printf("NOT RUN: %s: ssh is not installed\n", t.Name())
		return
	}
	stack := cdktest.NewStack(t)
	vpc := userVpc(stack)
	private := bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc})
	dir := t.TempDir()
	config := strings.ReplaceAll(private.SSHConfig("door", "ec2-user"), private.AutoScalingGroupName(), "GROUP")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "aws"), []byte(`#!/bin/sh
case "$1 $2" in
  "ec2 describe-instances") echo i-0123456789abcdef0 ;;
  *) for word; do printf '%s\n' "$word"; done >>"`+dir+`/said" ;;
esac
`), 0o700))
	command := exec.Command(ssh, "-F", filepath.Join(dir, "config"), "-G", "door")
	command.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME=/home/dev", "SHELL=/bin/sh")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "\nuser ec2-user\n")
	assert.Contains(t, string(out), "\nproxycommand aws ssm start-session --region us-east-1 --target $(aws ec2 describe-instances")
	said, err := os.ReadFile(filepath.Join(dir, "said"))
	require.NoError(t, err)
	assert.Equal(t, "ec2-instance-connect\nsend-ssh-public-key\n--region\nus-east-1\n--instance-id\ni-0123456789abcdef0\n--instance-os-user\nec2-user\n"+
		"--ssh-public-key\nfile:///home/dev/.ssh/id_ed25519.pub\n", string(said))
}

// Under the name that ssh is told to look for, the host publishes its keys.
func TestBastionIsKnownByTheNameThatItsHostPublishes(t *testing.T) {
	stack := cdktest.NewStack(t)
	b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack)})
	assert.Contains(t, b.SSHConfig("door", "alice"), "  HostKeyAlias "+identity.Alias(b.ParameterPath())+"\n")
}
