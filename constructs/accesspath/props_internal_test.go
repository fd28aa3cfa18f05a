package accesspath

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

// anyVpc stands for a VPC where only its presence counts.
type anyVpc struct{ awsec2.IVpc }

func TestDefaults(t *testing.T) {
	given := &Props{Vpc: anyVpc{}, Services: []endpoints.Service{endpoints.SSM}, S3: true}
	p := given.withDefaults()
	require.NoError(t, p.validate())
	assert.Equal(t, []endpoints.Service{endpoints.SSM, endpoints.S3}, p.Services)
	assert.Equal(t, []endpoints.Service{endpoints.SSM}, given.Services)
}

func TestFaults(t *testing.T) {
	p := (*Props)(nil).withDefaults()
	assert.EqualError(t, p.validate(), "Vpc: is missing: pass the VPC of the subnets")

	p = (&Props{
		Vpc: anyVpc{}, Subnets: []awsec2.ISubnet{nil}, Services: []endpoints.Service{"smm"}, Existing: []endpoints.Service{"smm"},
	}).withDefaults()
	const words = `"smm" is not known: did you mean "ssm"? use one of ssm, ssmmessages, ec2messages, ec2, logs, kms, monitoring, cloudformation, autoscaling, secretsmanager, s3`
	assert.EqualError(t, p.validate(), "Subnets[0]: is nil: pass a subnet of the VPC\nServices[0]: "+words+"\nExisting[0]: "+words)
}
