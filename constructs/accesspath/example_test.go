package accesspath_test

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/postern-cdk/postern/constructs/accesspath"
	"github.com/postern-cdk/postern/constructs/endpoints"
)

var (
	host constructs.Construct
	vpc  awsec2.IVpc
)

// A host that Session Manager opens and that installs packages.
func ExampleCheck() {
	accesspath.Check(host, &accesspath.Props{
		Vpc:      vpc,
		Subnets:  *vpc.IsolatedSubnets(),
		Services: []endpoints.Service{endpoints.SSM, endpoints.SSMMessages},
		S3:       true,
		For:      "the host",
	})
}
