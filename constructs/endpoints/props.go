package endpoints

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/cost"
)

// Service is an AWS service by the name it has in its endpoints.
type Service string

// The services that can have an interface endpoint here. Each costs 7.30 USD a
// month and Availability Zone.
const (
	SSM            Service = "ssm"            // Systems Manager: agents register and ask for work
	SSMMessages    Service = "ssmmessages"    // Session Manager's channels
	EC2Messages    Service = "ec2messages"    // SSM Agent before 3.3.40 only
	EC2            Service = "ec2"            // the EC2 API
	Logs           Service = "logs"           // CloudWatch Logs
	KMS            Service = "kms"            // Key Management Service
	Monitoring     Service = "monitoring"     // CloudWatch metrics
	CloudFormation Service = "cloudformation" // signals of readiness
	AutoScaling    Service = "autoscaling"    // taking an instance into service
	SecretsManager Service = "secretsmanager" // secrets

	// S3 is reached by a gateway endpoint, which is made unless told otherwise. It
	// is a Service only to be named in [Props.Existing].
	S3 Service = "s3"
)

var known = []Service{SSM, SSMMessages, EC2Messages, EC2, Logs, KMS, Monitoring, CloudFormation, AutoScaling, SecretsManager}

// CarriesSessions tells whether sessions of Session Manager go through the service's
// endpoint.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/setup-create-vpc.html
func (s Service) CarriesSessions() bool { return s == SSM || s == SSMMessages || s == EC2Messages }

// Known returns all services, [S3] last.
func Known() []Service { return append(slices.Clone(known), S3) }

// Props says which endpoints there are to be.
type Props struct {
	// Vpc is the VPC of the endpoints. Required.
	Vpc awsec2.IVpc

	// Services get an interface endpoint each, at 7.30 USD a month and zone.
	// Defaults to [SSM] and [SSMMessages]; an empty list that is not nil is none.
	Services []Service

	// Existing names the services that have an endpoint in this VPC already, made
	// elsewhere. None is made for them, even where it is asked for by Require.
	Existing []Service

	// ExistingSecurityGroup is the group of the existing endpoints. AllowFrom lets
	// peers reach it too. Defaults to none: their owner admits the peers.
	ExistingSecurityGroup awsec2.ISecurityGroup

	// Subnets take the network interfaces, one subnet a zone. Defaults to the
	// first of these groups that the VPC has: isolated, private, public.
	Subnets []awsec2.ISubnet

	// SecurityGroup is put on the endpoints. Defaults to one of their own without
	// any rule.
	SecurityGroup awsec2.ISecurityGroup

	// PrivateDnsOff gives up that the services' usual names lead to the endpoints,
	// for VPCs where a private hosted zone does that. Clients that no such zone
	// helps then miss them.
	PrivateDnsOff bool

	// S3GatewayOff leaves out the gateway endpoint for S3, which is free. Private
	// hosts then can't install or patch unless they have NAT.
	S3GatewayOff bool

	// S3ReadBuckets are names of buckets in other accounts that identities of this
	// account may read by the S3 gateway. Defaults to none.
	S3ReadBuckets []string
}

func (p *Props) withDefaults() Props {
	var q Props
	if p != nil {
		q = *p
	}
	if q.Services == nil {
		for _, service := range []Service{SSM, SSMMessages} {
			if !slices.Contains(q.Existing, service) {
				q.Services = append(q.Services, service)
			}
		}
	}
	q.Existing = slices.Clone(q.Existing)
	return q
}

func (p *Props) validate() error {
	var faults check.Faults
	if p.Vpc == nil {
		faults.Add("Vpc", "is missing", "pass network.New(...).Vpc(), or awsec2.Vpc_FromLookup(...) for one that exists")
	}
	for i, service := range p.Services {
		field := index("Services", i)
		switch {
		case service == S3:
			faults.Add(field, `"s3" has a gateway endpoint, which is made by itself`, "leave it out")
		case slices.Contains(p.Existing, service):
			faults.Addf(field, "name it once", "%q is named in Existing too", string(service))
		case slices.Contains(p.Services[:i], service):
			faults.Addf(field, "name it once", "%q is named twice", string(service))
		default:
			faults.Check(field, check.OneOf(service, known...))
		}
	}
	for i, service := range p.Existing {
		faults.Check(index("Existing", i), check.OneOf(service, Known()...))
	}
	for i, subnet := range p.Subnets {
		if subnet == nil {
			faults.Add(index("Subnets", i), "is nil", "pass a subnet of the VPC")
		}
	}
	for i, bucket := range p.S3ReadBuckets {
		if bucket == "" || strings.ContainsAny(bucket, "/:*?") && !check.Token(bucket) {
			faults.Addf(index("S3ReadBuckets", i), "write the name alone, such as my-company-packages", "%q is not the name of a bucket", bucket)
		}
	}
	if len(p.S3ReadBuckets) > 0 && !p.makesGateway() {
		faults.Add("S3ReadBuckets", "is set although no S3 gateway is made here", "leave it out, or let the gateway be made")
	}
	if p.S3GatewayOff && slices.Contains(p.Existing, S3) {
		faults.Add("S3GatewayOff", `is set although Existing names "s3"`, "keep one of them")
	}
	return faults.Err()
}

func (p *Props) makesGateway() bool {
	return !p.S3GatewayOff && !slices.Contains(p.Existing, S3)
}

func index(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

// MonthlyCost is what interface endpoints for a number of services cost a month
// in USD, before data.
func MonthlyCost(services, availabilityZones int) float64 {
	return cost.Monthly(cost.InterfaceEndpoint, float64(services*availabilityZones))
}
