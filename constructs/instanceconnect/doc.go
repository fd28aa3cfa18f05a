// Package instanceconnect makes an EC2 Instance Connect Endpoint: SSH and RDP to
// instances without a public address, through AWS's API and under IAM, without
// a host of your own in between.
//
//	door := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc})
//	door.AllowTo(host, 22, "administration of the host")
//
// It is free, apart from the transfer between zones where the endpoint and the
// instance are in different ones
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/connect-with-ec2-instance-connect-endpoint.html).
// CloudTrail records each tunnel as OpenTunnel; what goes through it is not
// recorded. A tunnel lasts an hour at most, and an endpoint takes 20 at a time
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/connect-using-eice.html).
//
// # What it reaches
//
// Its security group has no way in and no way out. [Endpoint.AllowTo] adds the
// way to one target on port 22 or 3389, the only ones AWS accepts, and the
// target's way in from it, both as resources of their own in the endpoint's
// stack. The rule names the group, so it is right with and without client IP
// preservation
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/eice-security-groups.html).
//
// # Who may use it
//
// [Endpoint.GrantSSH] and [Endpoint.GrantRDP] let a user, group or role in;
// [Endpoint.ForSSH] and [Endpoint.ForRDP] are for package operator, which knows
// second factors, addresses and hours. SSH takes two permissions, to open the
// tunnel and to push a key that lives for a minute, and both are granted together.
// RDP takes the tunnel only.
//
//	door.GrantSSH(admins, &instanceconnect.SSHGrant{
//		InstanceTags: map[string]string{"Team": "orders"},
//		MaxDuration:  30 * time.Minute,
//	})
//
// IAM knows the instance that a key is pushed to, by ID or tags, and the address
// that a tunnel leads to, but not its instance. So who holds a key that lives
// longer needs the tunnel alone, and reaches with it all that the endpoint does:
// keep [Endpoint.AllowTo] to few, or name CIDRs. Where a grant allows tunnels of
// less than an hour, clients must say how long theirs is to be, or are refused
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/permissions-for-ec2-instance-connect-endpoint.html):
// the commands of this package do.
//
// # It can't be replaced
//
// A VPC takes one endpoint, which can't be raised, and CloudFormation changes
// nothing of one in place but its tags: a new subnet, security group or client IP
// choice means a new endpoint. CloudFormation makes the new one before it
// deletes the old, and so fails on the quota. That failure is harmless: the
// update rolls back and the old endpoint stays open. But it stops every other
// change of the stack, so it is kept from happening:
//
//   - The security group never changes; rules are resources of their own.
//
//   - The default subnet is the first isolated one, which stays the first when
//     zones, NAT or public subnets are added.
//
//   - PreserveClientIp is always written out, so AWS's default does not matter.
//
//   - A second endpoint for the VPC anywhere in the app fails the synthesis, which
//     names both.
//
//   - [Endpoint.Record] is what can't change. Keep it in cdk.context.json (or in
//     the app's context) and the synthesis fails when a change of the code would
//     replace the endpoint, instead of the deployment:
//
//     "postern:instance-connect:Access/Door": "subnet=Network/Vpc/IsolatedSubnet1/Subnet preserveClientIp=false"
//
// # Moving it all the same
//
// Two deployments, between which the door is closed; open another one first.
//
//  1. Set [Props.Absent] and deploy: the endpoint goes, its security group and
//     all rules stay.
//  2. Change what is to change, clear Absent, update the record, and deploy.
//
// # When a deployment has failed
//
// Where the endpoint can't be created because of the quota, there is one in the
// VPC. To see whose:
//
//	aws ec2 describe-instance-connect-endpoints --filters Name=vpc-id,Values=VPC_ID
//
// If it is this one, a change would replace it: the old one still works, so undo
// the change, or move it as above. If it is somebody else's, leave this construct
// out and use theirs.
package instanceconnect
