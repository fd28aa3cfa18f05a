package test_test

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/constructs/accesspath"
	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/internal/cdktest"
)

var sessionManager = []endpoints.Service{endpoints.SSM, endpoints.SSMMessages}

// accessFault synthesizes an app whose access path is checked and returns the
// fault, or "" where there is none.
func accessFault(t *testing.T, build func(stack awscdk.Stack) *accesspath.Props) string {
	t.Helper()
	stack := cdktest.NewStack(t)
	accesspath.Check(stack, build(stack))
	awscdk.NewCfnWaitConditionHandle(stack, jsii.String("Anything"), nil)
	var fault string
	func() {
		defer func() {
			if got := recover(); got != nil {
				fault = cdktest.Panic(t, func() { panic(got) })
			}
		}()
		cdktest.Template(stack)
	}()
	return fault
}

func TestAccessPathIsolatedWithoutEndpoints(t *testing.T) {
	assert.Contains(t, accessFault(t, func(stack awscdk.Stack) *accesspath.Props {
		return &accesspath.Props{Vpc: newVpc(stack, &network.Props{}), Services: sessionManager, S3: true, For: "the bastion"}
	}), "[Test] the bastion can't reach ssm, ssmmessages and s3 from Test/Network/Resource/IsolatedSubnet1 and Test/Network/Resource/IsolatedSubnet2: "+
		"there is no route out, and no endpoint in the VPC leads there. "+
		"Either add interface endpoints for ssm and ssmmessages, 29.20 USD a month (2 in 2 zones) and the S3 gateway endpoint, which is free; "+
		"or use subnets with NAT, 36.50 USD a month a gateway; or name what others made in Existing (ExistingEndpoints of a bastion, endpoints.existing of a configuration)")
}

func TestAccessPathByRoutes(t *testing.T) {
	public := func(address bool) string {
		return accessFault(t, func(stack awscdk.Stack) *accesspath.Props {
			vpc := newVpc(stack, &network.Props{})
			return &accesspath.Props{Vpc: vpc, Subnets: *vpc.PublicSubnets(), Services: sessionManager, S3: true, PublicAddress: address}
		})
	}
	assert.Empty(t, public(true))
	assert.Contains(t, public(false), "Test can't reach ssm, ssmmessages and s3 from Test/Network/Resource/PublicSubnet1 and Test/Network/Resource/PublicSubnet2: the route to the internet gateway needs a public address")

	for _, nat := range []network.Nat{network.NatOne, network.NatPerZone} {
		assert.Empty(t, accessFault(t, func(stack awscdk.Stack) *accesspath.Props {
			vpc := newVpc(stack, &network.Props{Nat: nat})
			return &accesspath.Props{Vpc: vpc, Subnets: *vpc.PrivateSubnets(), Services: sessionManager, S3: true}
		}))
	}
	// A route that was added to an isolated subnet counts.
	assert.Empty(t, accessFault(t, func(stack awscdk.Stack) *accesspath.Props {
		vpc := newVpc(stack, &network.Props{AvailabilityZones: 1})
		awsec2.NewCfnRoute(stack, jsii.String("Route"), &awsec2.CfnRouteProps{
			RouteTableId: (*vpc.IsolatedSubnets())[0].RouteTable().RouteTableId(), DestinationCidrBlock: jsii.String("0.0.0.0/0"),
			TransitGatewayId: jsii.String("tgw-0123456789abcdef0"),
		})
		return &accesspath.Props{Vpc: vpc, Services: sessionManager, S3: true}
	}))
}

func TestAccessPathByEndpoints(t *testing.T) {
	assert.Empty(t, accessFault(t, func(stack awscdk.Stack) *accesspath.Props {
		vpc := newVpc(stack, &network.Props{})
		endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: vpc})
		return &accesspath.Props{Vpc: vpc, Services: sessionManager, S3: true}
	}), "ours")
	assert.Empty(t, accessFault(t, func(stack awscdk.Stack) *accesspath.Props {
		vpc := newVpc(stack, &network.Props{})
		group := newGroup(stack, "Group", vpc)
		for _, service := range []awsec2.InterfaceVpcEndpointAwsService{awsec2.InterfaceVpcEndpointAwsService_SSM(), awsec2.InterfaceVpcEndpointAwsService_SSM_MESSAGES()} {
			awsec2.NewInterfaceVpcEndpoint(stack, service.ShortName(), &awsec2.InterfaceVpcEndpointProps{
				Vpc: vpc, Service: service, SecurityGroups: &[]awsec2.ISecurityGroup{group}, Open: jsii.Bool(false),
			})
		}
		return &accesspath.Props{Vpc: vpc, Services: sessionManager}
	}), "anybody's")
	assert.Contains(t, accessFault(t, func(stack awscdk.Stack) *accesspath.Props {
		vpc := newVpc(stack, &network.Props{})
		endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: vpc, PrivateDnsOff: true})
		return &accesspath.Props{Vpc: vpc, Services: []endpoints.Service{endpoints.SSM}, For: "the bastion"}
	}), "Test/Endpoints/ssm/Resource is an endpoint for ssm with private DNS off, so the usual name does not lead to it.")
	assert.Empty(t, accessFault(t, func(stack awscdk.Stack) *accesspath.Props {
		vpc := newVpc(stack, &network.Props{})
		endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: vpc, Existing: []endpoints.Service{endpoints.SSM, endpoints.S3}})
		return &accesspath.Props{Vpc: vpc, Services: sessionManager, S3: true}
	}), "named as existing at the endpoints")
	assert.Empty(t, accessFault(t, func(stack awscdk.Stack) *accesspath.Props {
		return &accesspath.Props{
			Vpc: newVpc(stack, &network.Props{}), Services: sessionManager, S3: true,
			Existing: []endpoints.Service{endpoints.SSM, endpoints.SSMMessages, endpoints.S3},
		}
	}), "named as existing here")
	assert.Contains(t, accessFault(t, func(stack awscdk.Stack) *accesspath.Props {
		vpc := newVpc(stack, &network.Props{})
		endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: importVpc(stack)})
		return &accesspath.Props{Vpc: vpc, Services: sessionManager}
	}), "Test can't reach ssm and ssmmessages", "another VPC's are none of its own")
}

func TestAccessPathSeesEndpointsOfOtherStacksMadeLater(t *testing.T) {
	for _, app := range []awscdk.App{cdktest.NewApp(t), cdktest.NewAppWithoutFlags(t)} {
		net, access := cdktest.StackIn(app, "Network"), cdktest.StackIn(app, "Access")
		vpc := newVpc(net, &network.Props{})
		host := newGroup(access, "Host", vpc)
		accesspath.Check(host, &accesspath.Props{Vpc: vpc, Services: sessionManager, S3: true})
		e := endpoints.New(net, "Endpoints", &endpoints.Props{Vpc: vpc})
		e.AllowFrom(host)
		cdktest.Template(access)
	}
}

func TestAccessPathOfImportedVpc(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := importVpc(stack)
	awscdk.NewCfnWaitConditionHandle(stack, jsii.String("Anything"), nil)
	accesspath.Check(stack, &accesspath.Props{Vpc: vpc, Services: sessionManager, S3: true, For: "the bastion"})
	found := *assertions.Annotations_FromStack(stack).FindWarning(jsii.String("*"), assertions.Match_AnyValue())
	assert.Len(t, found, 1, "the private subnets have a way out")
	assert.Equal(t, "the bastion needs ssm, ssmmessages and s3 from Test/Vpc/IsolatedSubnet1 and Test/Vpc/IsolatedSubnet2, whose VPC is not made in this app, "+
		"so it can't be told whether an endpoint leads there: make sure of it, and name what there is in Existing (ExistingEndpoints of a bastion, endpoints.existing of a configuration) [ack: postern:access-path]", found[0].Entry.Data)

	named := cdktest.NewStack(t)
	vpc = importVpc(named)
	awscdk.NewCfnWaitConditionHandle(named, jsii.String("Anything"), nil)
	accesspath.Check(named, &accesspath.Props{
		Vpc: vpc, Services: sessionManager, S3: true, Existing: []endpoints.Service{endpoints.SSM, endpoints.SSMMessages, endpoints.S3},
	})
	assertions.Annotations_FromStack(named).HasNoWarning(jsii.String("*"), assertions.Match_AnyValue())
}

func TestAccessPathFaults(t *testing.T) {
	stack := cdktest.NewStack(t)
	assert.Equal(t, `access path of "Test": Vpc: is missing: pass the VPC of the subnets`,
		cdktest.Panic(t, func() { accesspath.Check(stack, nil) }))
}
