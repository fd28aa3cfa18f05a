package emulator_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// moto is a second opinion: other people's implementation of the services that
// the templates speak to. Traps of moto 5.2.1:
//
//   - With a change set, the CLI's default, it reports success and makes nothing:
//     deploy with --method=direct, and ask afterwards.
//   - It leaves out in silence what it doesn't know: of a security group what is
//     let out, alarms, EC2 Instance Connect Endpoints, bucket policies, Object
//     Lock, a log group's key. None of that is asked for here; TestLife does.
//   - It updates and deletes too little for more than a deploy.
const motoAccount = "123456789012"

// startMoto runs a moto server of its own until the test ends.
func startMoto(t *testing.T, app, jsonFolder string) *cloud {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())

	log, err := os.Create(filepath.Join(t.TempDir(), "moto.log"))
	require.NoError(t, err)
	server := exec.Command("moto_server", "-H", "127.0.0.1", "-p", port)
	server.Stdout, server.Stderr = log, log
	require.NoError(t, server.Start(), "install it: pip install 'moto[server,all]==5.2.1'")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Wait() // it is killed, or said why in its log
	}()
	t.Cleanup(func() {
		assert.NoError(t, server.Process.Kill())
		<-ended
		assert.NoError(t, log.Close())
	})
	// By name: moto takes a bucket's name from a host that is an address.
	endpoint := "http://localhost:" + port
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		response, err := http.Get(endpoint + "/moto-api/data.json")
		if err == nil {
			require.NoError(t, response.Body.Close())
			break
		}
		select {
		case <-ended:
			said, _ := os.ReadFile(log.Name())
			require.Fail(t, "moto_server ended", "%s", said)
		default:
		}
		require.Less(t, time.Since(began), time.Minute, "moto_server does not answer: %v", err)
	}
	c := connect(t, endpoint, app, jsonFolder)
	c.environ = append(c.environ, "CDK_VALIDATION=false")
	c.bootstrap(motoAccount)
	return c
}

// direct deploys without change sets.
func (c *cloud) direct(yaml string, stacks ...string) (string, error) {
	c.t.Helper()
	return c.cdk(yaml, "deploy", append(stacks, "--method=direct", "--no-previous-parameters", "--require-approval", "never", "--progress", "events")...)
}

// What is read of the answers.
type (
	permissions []struct {
		Protocol string   `xml:"ipProtocol"`
		From     string   `xml:"fromPort"`
		To       string   `xml:"toPort"`
		Groups   []string `xml:"groups>item>groupId"`
		Ranges   []string `xml:"ipRanges>item>cidrIp"`
	}
	ec2Group struct {
		ID          string      `xml:"groupId"`
		Vpc         string      `xml:"vpcId"`
		Description string      `xml:"groupDescription"`
		In          permissions `xml:"ipPermissions>item"`
	}
	ec2Template struct {
		ID      string `xml:"launchTemplateId"`
		Version string `xml:"versionNumber"`
		Data    struct {
			Image    string   `xml:"imageId"`
			Type     string   `xml:"instanceType"`
			Key      string   `xml:"keyName"`
			UserData string   `xml:"userData"`
			Profile  string   `xml:"iamInstanceProfile>arn"`
			Groups   []string `xml:"networkInterfaceSet>item>groupSet>groupId"`
			Tokens   string   `xml:"metadataOptions>httpTokens"`
			Hops     string   `xml:"metadataOptions>httpPutResponseHopLimit"`
			Volumes  []struct {
				Encrypted string `xml:"ebs>encrypted"`
				Key       string `xml:"ebs>kmsKeyId"`
			} `xml:"blockDeviceMappingSet>item"`
		} `xml:"launchTemplateData"`
	}
	asGroup struct {
		Name     string `xml:"AutoScalingGroupName"`
		Template string `xml:"LaunchTemplate>LaunchTemplateId"`
		Version  string `xml:"LaunchTemplate>Version"`
		Min      string `xml:"MinSize"`
		Max      string `xml:"MaxSize"`
		Subnets  string `xml:"VPCZoneIdentifier"`
		States   []struct {
			ID    string `xml:"InstanceId"`
			State string `xml:"LifecycleState"`
		} `xml:"Instances>member"`
	}
)

func (c *cloud) ec2Groups() []ec2Group {
	c.t.Helper()
	var answer struct {
		Groups []ec2Group `xml:"securityGroupInfo>item"`
	}
	c.query("ec2", "DescribeSecurityGroups", nil, &answer)
	return answer.Groups
}

// ec2Group finds a security group by how its description begins.
func (c *cloud) ec2Group(description string) ec2Group {
	c.t.Helper()
	for _, g := range c.ec2Groups() {
		if strings.HasPrefix(g.Description, description) {
			return g
		}
	}
	require.Fail(c.t, "no such security group", description)
	return ec2Group{}
}

// in lists the rules into a group as [cloud.ingress] does.
func (g ec2Group) in() []string {
	rules := []string{}
	for _, p := range g.In {
		for _, peer := range append(slices.Clone(p.Groups), p.Ranges...) {
			rules = append(rules, fmt.Sprintf("%s %s-%s %s", p.Protocol, p.From, p.To, peer))
		}
	}
	slices.Sort(rules)
	return rules
}

func (c *cloud) ec2Template() ec2Template {
	c.t.Helper()
	var all struct {
		IDs []string `xml:"launchTemplates>item>launchTemplateId"`
	}
	c.query("ec2", "DescribeLaunchTemplates", nil, &all)
	require.Len(c.t, all.IDs, 1)
	var answer struct {
		Versions []ec2Template `xml:"launchTemplateVersionSet>item"`
	}
	c.query("ec2", "DescribeLaunchTemplateVersions", map[string]string{"LaunchTemplateId": all.IDs[0]}, &answer)
	require.Len(c.t, answer.Versions, 1)
	return answer.Versions[0]
}

func (c *cloud) asGroup() asGroup {
	c.t.Helper()
	var answer struct {
		Groups []asGroup `xml:"DescribeAutoScalingGroupsResult>AutoScalingGroups>member"`
	}
	c.query("autoscaling", "DescribeAutoScalingGroups", nil, &answer)
	require.Len(c.t, answer.Groups, 1)
	return answer.Groups[0]
}

// keys lists the customer managed keys.
func (c *cloud) keys() []string {
	c.t.Helper()
	var answer struct{ Keys []struct{ KeyArn string } }
	c.ask("kms", "TrentService.ListKeys", struct{}{}, &answer)
	var arns []string
	for _, k := range answer.Keys {
		arns = append(arns, k.KeyArn)
	}
	return arns
}

// logGroups lists the log groups with their retention in days.
func (c *cloud) logGroups() map[string]int {
	c.t.Helper()
	var answer struct {
		LogGroups []struct {
			LogGroupName    string
			RetentionInDays int
		}
	}
	c.ask("logs", "Logs_20140328.DescribeLogGroups", struct{}{}, &answer)
	groups := map[string]int{}
	for _, g := range answer.LogGroups {
		groups[g.LogGroupName] = g.RetentionInDays
	}
	return groups
}

// motoBastion asserts what every bastion has.
func motoBastion(t *testing.T, c *cloud) (asGroup, ec2Template) {
	t.Helper()
	group, template := c.asGroup(), c.ec2Template()
	assert.Equal(t, template.ID, group.Template)
	assert.Equal(t, template.Version, group.Version)
	assert.Equal(t, "1", group.Min)
	assert.Equal(t, "2", group.Max)
	if assert.Len(t, group.States, 1, "an instance was launched from the template") {
		assert.Equal(t, "InService", group.States[0].State)
	}

	assert.Equal(t, "required", template.Data.Tokens)
	assert.Equal(t, "1", template.Data.Hops)
	assert.Empty(t, template.Data.Key)
	if assert.Len(t, template.Data.Volumes, 1) {
		assert.Equal(t, "true", template.Data.Volumes[0].Encrypted)
		assert.Contains(t, c.keys(), template.Data.Volumes[0].Key)
	}
	assert.Equal(t, []string{c.ec2Group(bastionGroup).ID}, template.Data.Groups)
	host := userData(t, template.Data.UserData)
	assert.Equal(t, 365, c.logGroups()[host.environment["LOG_GROUP"]], "the host's log group")

	var profiles struct {
		All []struct {
			ARN   string   `xml:"Arn"`
			Roles []string `xml:"Roles>member>RoleName"`
		} `xml:"ListInstanceProfilesResult>InstanceProfiles>member"`
	}
	c.query("iam", "ListInstanceProfiles", nil, &profiles)
	require.Len(t, profiles.All, 1)
	assert.Equal(t, profiles.All[0].ARN, template.Data.Profile)
	require.Len(t, profiles.All[0].Roles, 1)
	var policies struct {
		Names []string `xml:"ListAttachedRolePoliciesResult>AttachedPolicies>member>PolicyName"`
	}
	c.query("iam", "ListAttachedRolePolicies", map[string]string{"RoleName": profiles.All[0].Roles[0]}, &policies)
	names := strings.Join(policies.Names, " ")
	assert.Contains(t, names, "-BastionPolicy", "what the host may do")
	assert.Contains(t, names, "-BastionRecordsPolicy")
	return group, template
}

// TestMotoReference deploys the app without configuration but for who may come
// in, and asks each service for what it made of it.
func TestMotoReference(t *testing.T) {
	t.Parallel()
	c := startMoto(t, "postern", ".")
	out, err := c.direct(opened, "Postern-Access") // and what it depends on
	require.NoError(t, err, out)
	assert.Equal(t, []string{"Postern-Access", "Postern-Archive", "Postern-Network"}, c.names())

	group, template := motoBastion(t, c)
	assert.Equal(t, "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64", template.Data.Image)
	assert.Equal(t, "t4g.micro", template.Data.Type)
	host := userData(t, template.Data.UserData)

	t.Run("network", func(t *testing.T) {
		bastion, endpoints, connect := c.ec2Group(bastionGroup), c.ec2Group(endpointsGroup), c.ec2Group(connectGroup)
		assert.Equal(t, []string{"tcp 22-22 203.0.113.0/24", "tcp 22-22 " + connect.ID}, bastion.in())
		assert.Equal(t, []string{"tcp 443-443 " + bastion.ID}, endpoints.in())
		assert.Empty(t, connect.in())

		var vpcEndpoints struct {
			All []struct {
				Service string   `xml:"serviceName"`
				Vpc     string   `xml:"vpcId"`
				Groups  []string `xml:"groupSet>item>groupId"`
				Subnets []string `xml:"subnetIdSet>item"`
				State   string   `xml:"state"`
			} `xml:"vpcEndpointSet>item"`
		}
		c.query("ec2", "DescribeVpcEndpoints", nil, &vpcEndpoints)
		found := []string{}
		for _, e := range vpcEndpoints.All {
			found = append(found, e.Service)
			assert.Equal(t, bastion.Vpc, e.Vpc)
			assert.Equal(t, "available", e.State)
			if e.Service != "com.amazonaws.us-east-1.s3" {
				assert.Equal(t, []string{endpoints.ID}, e.Groups)
				assert.Len(t, e.Subnets, 2)
			}
		}
		assert.ElementsMatch(t, []string{"com.amazonaws.us-east-1.ssm", "com.amazonaws.us-east-1.ssmmessages", "com.amazonaws.us-east-1.s3"}, found)

		var subnets struct {
			All []struct {
				ID     string `xml:"subnetId"`
				Vpc    string `xml:"vpcId"`
				Public string `xml:"mapPublicIpOnLaunch"`
			} `xml:"subnetSet>item"`
		}
		c.query("ec2", "DescribeSubnets", nil, &subnets)
		ours := 0
		for _, s := range subnets.All {
			if s.Vpc == bastion.Vpc {
				ours++
				assert.Equal(t, "false", s.Public)
			}
		}
		assert.Equal(t, 4, ours)
		assert.Len(t, strings.Split(group.Subnets, ","), 2)
	})
	t.Run("address", func(t *testing.T) {
		var addresses struct {
			All []struct {
				IP         string `xml:"publicIp"`
				Allocation string `xml:"allocationId"`
			} `xml:"addressesSet>item"`
		}
		c.query("ec2", "DescribeAddresses", nil, &addresses)
		require.Len(t, addresses.All, 1)
		assert.Equal(t, addresses.All[0].Allocation, host.environment["ALLOCATION_ID"])
		assert.Equal(t, addresses.All[0].IP, c.outputs("Postern-Access")["PublicAddress"])
		assert.Contains(t, c.outputs("Postern-Access")["StartSession"], group.Name)
	})
	t.Run("records", func(t *testing.T) {
		groups := c.logGroups()
		assert.Len(t, groups, 9)
		var flows struct {
			All []struct {
				Group  string `xml:"logGroupName"`
				Format string `xml:"logFormat"`
				Vpc    string `xml:"resourceId"`
				Status string `xml:"flowLogStatus"`
			} `xml:"flowLogSet>item"`
		}
		c.query("ec2", "DescribeFlowLogs", nil, &flows)
		require.Len(t, flows.All, 1)
		assert.Equal(t, "ACTIVE", flows.All[0].Status)
		assert.Equal(t, c.ec2Group(bastionGroup).Vpc, flows.All[0].Vpc)
		assert.Contains(t, flows.All[0].Format, "${pkt-srcaddr}")
		assert.Equal(t, 365, groups[flows.All[0].Group])
		assert.NotEqual(t, host.environment["LOG_GROUP"], flows.All[0].Group)

		keys := c.keys()
		require.Len(t, keys, 1)
		var rotation struct{ KeyRotationEnabled bool }
		c.ask("kms", "TrentService.GetKeyRotationStatus", map[string]string{"KeyId": keys[0]}, &rotation)
		assert.True(t, rotation.KeyRotationEnabled)
	})
	// Its dashboard shows alarms by their ARN, and moto makes no alarm. Should it
	// begin to, this fails, and the stack belongs above.
	t.Run("Watch is left out", func(t *testing.T) {
		out, err := c.direct(opened, "Postern-Watch", "--exclusively")
		assert.Equal(t, 1, exitCode(err), out)
		assert.Regexp(t, `Fn::GetAtt references undefined resource WatchBastion\w+`, out)
	})
}

// TestMotoOptions deploys choices that other services must understand. The load
// balancer is left out: moto makes an application load balancer of it, which
// refuses a listener on TCP.
func TestMotoOptions(t *testing.T) {
	t.Parallel()
	c := startMoto(t, "postern", ".")
	out, err := c.direct(`
network: {nat: one, flowLogs: bucket}
bastion:
  address: none
  image: latestAtDeploy
  schedule: {start: "0 8 * * MON-FRI", stop: "0 19 * * MON-FRI", timeZone: Europe/Berlin}`, "Postern-Access")
	require.NoError(t, err, out)
	group, template := motoBastion(t, c)

	var parameter struct{ Parameter struct{ Value string } }
	c.ask("ssm", "AmazonSSM.GetParameter", map[string]string{"Name": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"}, &parameter)
	assert.Equal(t, parameter.Parameter.Value, template.Data.Image)

	var actions struct {
		All []struct {
			Group   string `xml:"AutoScalingGroupName"`
			When    string `xml:"Recurrence"`
			Zone    string `xml:"TimeZone"`
			Desired string `xml:"DesiredCapacity"`
		} `xml:"DescribeScheduledActionsResult>ScheduledUpdateGroupActions>member"`
	}
	c.query("autoscaling", "DescribeScheduledActions", nil, &actions)
	sizes := map[string]string{}
	for _, a := range actions.All {
		assert.Equal(t, group.Name, a.Group)
		sizes[a.When+" "+a.Zone] = a.Desired
	}
	assert.Equal(t, map[string]string{"0 8 * * MON-FRI Europe/Berlin": "1", "0 19 * * MON-FRI Europe/Berlin": "0"}, sizes)

	var gateways struct {
		States []string `xml:"natGatewaySet>item>state"`
	}
	c.query("ec2", "DescribeNatGateways", nil, &gateways)
	assert.Equal(t, []string{"available"}, gateways.States)
	var flows struct {
		Destinations []string `xml:"flowLogSet>item>logDestination"`
	}
	c.query("ec2", "DescribeFlowLogs", nil, &flows)
	require.Len(t, flows.Destinations, 1)
	assert.Contains(t, flows.Destinations[0], "arn:aws:s3:::postern-archive-")
	assert.Len(t, c.logGroups(), 8)
}

// TestMotoExamples deploys the examples.
func TestMotoExamples(t *testing.T) {
	t.Parallel()
	t.Run("minimal", func(t *testing.T) {
		c := startMoto(t, "minimal", "examples/minimal")
		out, err := c.direct("", "--all")
		require.NoError(t, err, out)
		motoBastion(t, c)
		assert.Empty(t, c.ec2Group(bastionGroup).in(), "no open port")
	})
	t.Run("existing-vpc", func(t *testing.T) {
		c := startMoto(t, "existing-vpc", "examples/existing-vpc")
		out, err := c.direct("", "--all")
		require.NoError(t, err, out)
		motoBastion(t, c)
		assert.Len(t, c.keys(), 1, "the team's")
		bastion := c.ec2Group(bastionGroup)
		assert.Empty(t, bastion.in())
		assert.Equal(t, []string{"tcp 5432-5432 " + bastion.ID}, c.ec2Group("orders database").in())
	})
}
