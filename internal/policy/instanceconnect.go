package policy

import (
	"strconv"
	"time"
)

// Connect is what it takes to connect through an EC2 Instance Connect Endpoint.
type Connect struct {
	// Endpoint is the endpoint's ID or ARN. Empty is no endpoint: nothing opens.
	Endpoint string
	// EndpointTags are what the endpoint must carry, too.
	EndpointTags []Tag
	// Port is 22 or 3389.
	Port int
	// CIDRs are the private addresses that a tunnel may lead to. Empty is all that
	// the endpoint's security group lets it reach. IAM can't tell a tunnel by the
	// instance it leads to.
	CIDRs []string
	// MaxDuration is how long a tunnel may be asked for; 0 is the service's own
	// hour.
	MaxDuration time.Duration
	// Users are the OS users that a key may be pushed for. Empty pushes none, as
	// for RDP.
	Users []string
	// Instances are where a key may be pushed.
	Instances []Target
	// Tags are what each of the instances must carry, besides.
	Tags []Tag
}

// ConnectStatements lets somebody open tunnels and push the key that the SSH
// server at the end of it takes for a minute. Both or neither: a tunnel without a
// key ends before a closed door, and a key without a tunnel is on the doormat of
// an instance that can't be reached. For RDP there is no key to push.
//
// docs.aws.amazon.com/AWSEC2/latest/UserGuide/permissions-for-ec2-instance-connect-endpoint.html
func ConnectStatements(s Scope, who Caller, c Connect, when When) []Statement {
	return append(when.For(who).Limit(OpenStatements(s, c)), LookStatements(s)...)
}

// OpenStatements is what of [ConnectStatements] opens something.
func OpenStatements(s Scope, c Connect) []Statement {
	if c.Endpoint == "" {
		return nil
	}
	arn := c.Endpoint
	if len(arn) < 4 || arn[:4] != "arn:" {
		arn = s.arn("ec2", s.Region, "instance-connect-endpoint/"+c.Endpoint)
	}
	condition := Condition{"NumericEquals": {"ec2-instance-connect:remotePort": {strconv.Itoa(c.Port)}}}
	if len(c.CIDRs) > 0 {
		condition = condition.And(Condition{"IpAddress": {"ec2-instance-connect:privateIpAddress": unique(c.CIDRs)}})
	}
	if c.Caps() {
		condition = condition.And(Condition{"NumericLessThanEquals": {"ec2-instance-connect:maxTunnelDuration": {seconds(c.MaxDuration)}}})
	}
	condition = condition.And(tagCondition("aws:ResourceTag/", c.EndpointTags))
	statements := []Statement{{
		Sid: "OpenTunnel", Effect: Allow,
		Action: []string{"ec2-instance-connect:OpenTunnel"}, Resource: []string{arn},
		Condition: condition,
	}}
	if len(c.Users) == 0 {
		return statements
	}
	push := func(resources []string, condition Condition) {
		statements = append(statements, Statement{
			Sid: numbered("PushKey", statements), Effect: Allow,
			Action: []string{"ec2-instance-connect:SendSSHPublicKey"}, Resource: resources,
			Condition: Condition{"StringEquals": {"ec2:osuser": unique(c.Users)}}.And(condition),
		})
	}
	instances, tagged := s.split(c.Instances)
	besides := tagCondition("aws:ResourceTag/", c.Tags)
	if len(instances) > 0 {
		push(instances, besides)
	}
	for _, condition := range tagConditions("aws:ResourceTag/", tagged) {
		push([]string{s.Node("*")}, condition.And(besides))
	}
	return statements
}

// Caps reports whether the policy allows shorter tunnels than the service. Then a
// client must say how long its tunnel is to be, or is refused.
func (c Connect) Caps() bool { return c.MaxDuration > 0 && c.MaxDuration < time.Hour }

// LookStatements lets a client find instances and the endpoint that leads to
// them.
func LookStatements(s Scope) []Statement {
	return []Statement{{
		Sid: "LookForEndpoints", Effect: Allow,
		Action: []string{"ec2:DescribeInstanceConnectEndpoints", "ec2:DescribeInstances"}, Resource: []string{"*"},
		Condition: Condition{"StringEquals": {"aws:RequestedRegion": {s.Region}}},
	}}
}
