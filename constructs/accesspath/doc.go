// Package accesspath checks, before anything is deployed, that what stands in a
// subnet reaches the AWS services it needs. A private host without a way to
// Systems Manager is a door that nobody can open, and AWS does not say so: the
// instance just never appears.
//
//	accesspath.Check(host, &accesspath.Props{
//		Vpc:      vpc,
//		Subnets:  subnets,
//		Services: []endpoints.Service{endpoints.SSM, endpoints.SSMMessages},
//		S3:       true,
//		For:      "the bastion",
//	})
//
// The check runs when the app is complete, whoever made its parts and in which
// stack. From each subnet each service must be reached in one of these ways:
//
//   - a default route to a NAT gateway, a transit gateway or the like;
//   - a default route to an internet gateway, where Props.PublicAddress says that
//     the host has a public address;
//   - an interface endpoint of the VPC with private DNS, for S3 a gateway endpoint
//     on the subnet's route table;
//   - an endpoint that the app does not make, named in Props.Existing here or of an
//     endpoints.Endpoints for the same VPC.
//
// What is missing is an error that names the subnets, the services, what they
// are for, and what to add with what it costs a month. Of a VPC that the app
// only imports not everything can be known, so there it is a warning,
// "postern:access-path", that naming what exists puts to rest.
//
// Security groups are not looked at: endpoints.AllowFrom is what opens those.
package accesspath
