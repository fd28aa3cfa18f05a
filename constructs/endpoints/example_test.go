package endpoints_test

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"

	"github.com/postern-cdk/postern/constructs/endpoints"
)

var (
	stack awscdk.Stack
	vpc   awsec2.IVpc
	host  awsec2.IConnectable
)

// What Session Manager needs, for one host.
func Example() {
	e := endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: vpc})
	e.AllowFrom(host)
}

// More services, in a VPC where another team made the S3 gateway.
func ExampleNew() {
	endpoints.New(stack, "Endpoints", &endpoints.Props{
		Vpc:      vpc,
		Services: []endpoints.Service{endpoints.SSM, endpoints.SSMMessages, endpoints.Logs, endpoints.KMS},
		Existing: []endpoints.Service{endpoints.S3},
	})
}

// A construct that needs another service asks for it.
func ExampleEndpoints_Require() {
	e := endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: vpc})
	e.Require(endpoints.Logs, endpoints.Monitoring)
}
