// Package stacks is the reference architecture as four CDK stacks, split by how
// long their resources live:
//
//   - Archive keeps the evidence: key, log groups, locked bucket. Its resources
//     outlive it, and it is protected against deletion.
//   - Network is what the doors stand in: VPC, flow logs, VPC endpoints.
//   - Access holds the doors: bastion and EC2 Instance Connect Endpoint. It can be
//     replaced freely.
//   - Watch tells people: alarms, their topic, a dashboard.
//
// Each refers to those before it and never to one after. `cdk deploy --all`
// brings them up in this order; what is in them is configured by
// [github.com/postern-cdk/postern/stacks/config] without writing Go. An app in Go
// may also call [New] and go on from what its accessors return, or compose the
// constructs itself.
package stacks
