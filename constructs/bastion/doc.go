// Package bastion makes a host to reach a private network from, hardened, watched
// over by Auto Scaling, and closed until somebody is let in.
//
//	bastion.New(stack, "Bastion", &bastion.Props{
//		Vpc:          vpc,
//		Address:      bastion.AddressElasticIP,
//		AllowedCidrs: []string{"203.0.113.0/24"},
//	})
//
// With no props at all it makes a network of its own and a bastion in it that has
// no public address and no open port: the way in is Session Manager, which
// [Bastion.StartSessionCommand] prints ready to paste.
//
// # Ways in
//
// [AddressNone] is for Session Manager and the EC2 Instance Connect Endpoint.
// [AddressElasticIP] gives the instance a public address that its successor
// takes over. [AddressNetworkLoadBalancer] keeps the instance private behind an
// address that never moves. Nobody reaches port 22 until AllowedCidrs or
// AllowedPrefixLists name them.
//
// # Ways on
//
// The bastion itself reaches HTTPS and what [Bastion.AllowTo] names:
//
//	b.AllowTo(database, 5432, "psql for support")
//
// which opens the port at both ends and nothing else. SSH forwards nothing until
// SSH.PermitOpen lists it.
//
// Tunnels of Session Manager go through a bastion without people's programs on it
// getting there: session.NewTunnel leads one to a port of one host, and Host.Relay
// leads one on to several, by the names that clients check.
//
// # The instance
//
// Amazon Linux 2023 on Graviton in an Auto Scaling group of one, over several
// Availability Zones, with IMDSv2 and no forwarding of it, a root volume under a
// key of yours, no key pair, and a role that may do what its user data does and
// nothing more. A successor is launched first and must prove what the bastion
// promises before the old instance goes. That is so in a deploy, which otherwise
// rolls back, and when the instance has reached MaxInstanceLifetime, which is how
// updates of the image arrive: EC2 looks the image up at each launch, so no
// deploy replaces the host because an image was published meanwhile. One that
// fails waits SignalTimeout in its lifecycle hook, open to Session Manager only,
// to be looked at.
//
// # The host
//
// Host says what runs on it. Sessions are recorded, whoever they are of, and what
// is recorded is shipped as it is written: lines to LogGroup and LogGroups, records
// to Bucket, where nobody deletes them. People have accounts by their public keys
// in a bucket ([Bastion.AddPersonCommand]). What the host can't keep, it alarms of,
// and where it can't record it lets nobody in but through Session Manager:
//
//	Host: bastion.Host{
//		Recording: bastion.Recording{Commands: bastion.CommandsRecorded},
//		People:    bastion.People{SecondFactor: true, Sudo: []string{"alice"}},
//	},
//
// What runs there is compiled when the app is synthesized, from the module that the
// app requires: see [Host].Bundle.
//
// A bastion in subnets without a way out needs interface endpoints for Systems
// Manager, CloudWatch, EC2, CloudFormation and Auto Scaling, and a gateway endpoint for S3:
// pass Endpoints, or ExistingEndpoints for those that another app made. What is
// missing is named when the app is synthesized.
package bastion
