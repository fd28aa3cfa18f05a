// Package endpoints lets what has no way out of its VPC reach AWS: interface
// endpoints for AWS's APIs and the gateway endpoint for S3.
//
//	e := endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: vpc})
//	e.AllowFrom(host)
//
// makes what Session Manager needs: the endpoints ssm and ssmmessages, one
// network interface each in each Availability Zone, and the S3 gateway. With two
// zones that is 29.20 USD a month (7.30 for each service and zone) and 0.01 USD
// a GB; the gateway is free. See https://aws.amazon.com/privatelink/pricing.
//
// # Who may use them
//
// The endpoints have a security group of their own without any rule. Not even
// the VPC's own range gets in: [Endpoints.AllowFrom] admits one security group
// at a time, on port 443, and gives that group the matching way out. The rules
// land in the peer's stack, so a network stack never depends on those that use
// it. Call it for each peer; nothing else opens the group.
//
// The endpoint policies let identities of this account through and nobody else's,
// so a stolen foreign credential can't carry data out by them. Two things can't
// be tied to an identity and are tied to a place instead: the signal that an
// instance sends CloudFormation without credentials may go to stacks of this
// account, and the public buckets below may be read.
//
// # S3
//
// The gateway's policy allows identities of this account everything in buckets
// of this account, as far as their own policies do, and anybody to read the
// public buckets of AWS without which a private host can't be kept: the Amazon
// Linux 2023 repositories, and SSM Agent's, Distributor's and Patch Manager's
// (https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-agent-technical-details.html#ssm-agent-minimum-s3-permissions,
// https://docs.aws.amazon.com/systems-manager/latest/userguide/patch-operations-s3-buckets.html).
// Other buckets are named in [Props.S3ReadBuckets].
//
// # Which services
//
// SSM Agent needs ssm and ssmmessages from version 3.3.40 on; ec2messages only
// before (https://docs.aws.amazon.com/systems-manager/latest/userguide/systems-manager-setting-up-messageAPIs.html),
// and Regions since 2024 don't have it. The others are for what a host does:
//
//	logs            ship logs to CloudWatch Logs
//	monitoring      send CloudWatch metrics
//	kms             sessions and logs encrypted with a key of yours
//	ec2             associate an Elastic IP, describe instances
//	cloudformation  signal a stack that the host is ready
//	secretsmanager  read secrets
//
// A construct that needs more calls [Endpoints.Require]; what is there already
// is not made again.
//
// # What exists already
//
// A VPC takes one endpoint with private DNS for a service. Name those made
// elsewhere in [Props.Existing]; the synthesis fails, naming both, where the app
// itself would make a second one.
package endpoints
