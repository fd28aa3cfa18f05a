package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/policy"
)

func TestConnectBySSH(t *testing.T) {
	assertJSON(t, `[{
		"Sid": "OpenTunnel", "Effect": "Allow", "Action": ["ec2-instance-connect:OpenTunnel"],
		"Resource": ["arn:aws:ec2:eu-west-1:111122223333:instance-connect-endpoint/eice-0123456789abcdef0"],
		"Condition": {
			"NumericEquals": {"ec2-instance-connect:remotePort": "22"},
			"IpAddress": {"ec2-instance-connect:privateIpAddress": "10.0.1.0/28"},
			"NumericLessThanEquals": {"ec2-instance-connect:maxTunnelDuration": "600"},
			"StringEquals": {"aws:ResourceTag/Stage": "test"}
		}
	}, {
		"Sid": "PushKey", "Effect": "Allow", "Action": ["ec2-instance-connect:SendSSHPublicKey"],
		"Resource": ["arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0"],
		"Condition": {"StringEquals": {"ec2:osuser": ["ubuntu", "admin"]}}
	}, {
		"Sid": "PushKey2", "Effect": "Allow", "Action": ["ec2-instance-connect:SendSSHPublicKey"],
		"Resource": ["arn:aws:ec2:eu-west-1:111122223333:instance/*"],
		"Condition": {"StringEquals": {"ec2:osuser": ["ubuntu", "admin"], "aws:ResourceTag/Role": "web"}}
	}]`, policy.OpenStatements(here, policy.Connect{
		Endpoint: "eice-0123456789abcdef0", EndpointTags: []policy.Tag{{Key: "Stage", Value: "test"}},
		Port: 22, CIDRs: []string{"10.0.1.0/28"}, MaxDuration: 10 * time.Minute, Users: []string{"ubuntu", "admin"},
		Instances: []policy.Target{{ID: "i-0123456789abcdef0"}, {Tags: []policy.Tag{{Key: "Role", Value: "web"}}}},
	}))
}

func TestConnectByRDP(t *testing.T) {
	assertJSON(t, `[{
		"Sid": "OpenTunnel", "Effect": "Allow", "Action": ["ec2-instance-connect:OpenTunnel"],
		"Resource": ["arn:aws:ec2:eu-west-1:111122223333:instance-connect-endpoint/e"],
		"Condition": {"NumericEquals": {"ec2-instance-connect:remotePort": "3389"}}
	}, {
		"Sid": "LookForEndpoints", "Effect": "Allow",
		"Action": ["ec2:DescribeInstanceConnectEndpoints", "ec2:DescribeInstances"], "Resource": ["*"],
		"Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
	}]`, policy.ConnectStatements(here, policy.Role, policy.Connect{Endpoint: here.ARN("ec2", "instance-connect-endpoint/e"), Port: 3389}, policy.When{MFA: true}))
}

func TestConnectToNoEndpointOpensNothing(t *testing.T) {
	statements := policy.ConnectStatements(here, policy.User, policy.Connect{Port: 22, Users: []string{"u"}, Instances: []policy.Target{{ID: "i-1"}}}, policy.When{})
	assert.NotContains(t, policy.Lines(statements), "ec2-instance-connect:")
	assert.Len(t, statements, 1)
}

// The service's own hour is no cap: clients that don't say how long are let in.
func TestCaps(t *testing.T) {
	for longest, caps := range map[time.Duration]bool{0: false, time.Second: true, time.Hour - time.Second: true, time.Hour: false} {
		connect := policy.Connect{Endpoint: "e", Port: 22, MaxDuration: longest}
		assert.Equal(t, caps, connect.Caps(), longest)
		text := policy.Lines(policy.OpenStatements(here, connect))
		if caps {
			assert.Contains(t, text, "maxTunnelDuration", longest)
		} else {
			assert.NotContains(t, text, "maxTunnelDuration", longest)
		}
	}
}
