// Package network makes the VPC that everything else stands in, or takes yours.
//
//	network.New(stack, "Network", nil)
//
// makes a VPC over two Availability Zones with public and isolated subnets, no
// NAT gateway, flow logs to a log group of its own under a key of its own, and a
// default security group without rules. It costs 1 USD a month for the key and
// 0.50 USD for each GB of flow logs.
//
// # Subnets
//
// Three groups of subnets have their place in the address range from the first
// day, four slots each, whether or not they are used yet:
//
//	Isolated  no route out of the VPC   1/16 of the range each
//	Private   route out by NAT          1/16 of the range each
//	Public    route to the internet     1/256 of the range each, at least a /28
//
// So adding a zone, or NAT with its private subnets, or the internet later adds
// subnets and moves none. No subnet gives out public addresses by itself.
//
// # NAT
//
// What is private needs no NAT for Session Manager, EC2 Instance Connect or
// AWS's own APIs: interface endpoints do that (constructs/endpoints). NAT opens
// the way to everywhere: [NatOne] costs 36.50 USD a month (32.85 for the gateway
// and 3.65 for its public address), [NatPerZone] that for each zone, and 0.045
// USD a GB. See https://aws.amazon.com/vpc/pricing.
//
// # The default security group
//
// Each VPC comes with a security group that lets its members talk to each other
// and to everywhere, and that AWS gives to resources which name no group
// (https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html).
// It can't be deleted, and CloudFormation can't take rules from it. So three
// things are done here, without a Lambda function:
//
//   - A State Manager association runs a small Automation runbook as soon as the
//     VPC exists and once a day from then on; it revokes every rule of the default
//     group. A rule that somebody adds is gone within a day, and the association's
//     compliance says so in Systems Manager.
//   - Nothing made by Postern uses the group.
//   - The synthesis fails, naming the resource, where anything in the app uses the
//     group or would fall back to it: an instance, a network interface, an
//     interface endpoint or an EC2 Instance Connect Endpoint without a security
//     group of its own. A launch template without one is warned about.
//
// docs/adr/0004-default-security-group.md has the alternatives.
//
// # Flow logs
//
// They record accepted and refused traffic in a format that begins with the 14
// default fields in their default order, so that tools for the default format
// read them, and adds what evidence needs: the direction, the addresses before
// translation, TCP flags, the subnet and the instance. See [LogFormat].
//
// # Your own VPC
//
// With [Props.Vpc] given nothing is created, and [Network.Vpc] returns it. Flow
// logs are added to it only where [Props.FlowLogs] is set.
package network
