package endpoints

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

// anyVpc stands for a VPC where only its presence counts.
type anyVpc struct{ awsec2.IVpc }

func TestDefaults(t *testing.T) {
	p := (&Props{Vpc: anyVpc{}}).withDefaults()
	require.NoError(t, p.validate())
	assert.Equal(t, []Service{SSM, SSMMessages}, p.Services)

	p = (&Props{Vpc: anyVpc{}, Existing: []Service{SSM, S3}}).withDefaults()
	require.NoError(t, p.validate())
	assert.Equal(t, []Service{SSMMessages}, p.Services)
	assert.False(t, p.makesGateway())

	p = (&Props{Vpc: anyVpc{}, Services: []Service{}}).withDefaults()
	require.NoError(t, p.validate())
	assert.Empty(t, p.Services)
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		props Props
		want  string
	}{
		"no VPC":             {Props{}, `Vpc: is missing: pass network.New(...).Vpc(), or awsec2.Vpc_FromLookup(...) for one that exists`},
		"unknown":            {Props{Vpc: anyVpc{}, Services: []Service{"log"}}, `Services[0]: "log" is not known: did you mean "logs"? use one of ssm, ssmmessages, ec2messages, ec2, logs, kms, monitoring, cloudformation, autoscaling, secretsmanager`},
		"S3 as interface":    {Props{Vpc: anyVpc{}, Services: []Service{S3}}, `Services[0]: "s3" has a gateway endpoint, which is made by itself: leave it out`},
		"twice":              {Props{Vpc: anyVpc{}, Services: []Service{SSM, SSM}}, `Services[1]: "ssm" is named twice: name it once`},
		"made and existing":  {Props{Vpc: anyVpc{}, Services: []Service{SSM}, Existing: []Service{SSM}}, `Services[0]: "ssm" is named in Existing too: name it once`},
		"unknown existing":   {Props{Vpc: anyVpc{}, Existing: []Service{"smm"}}, `Existing[0]: "smm" is not known: did you mean "ssm"? use one of ssm, ssmmessages, ec2messages, ec2, logs, kms, monitoring, cloudformation, autoscaling, secretsmanager, s3`},
		"nil subnet":         {Props{Vpc: anyVpc{}, Subnets: []awsec2.ISubnet{nil}}, `Subnets[0]: is nil: pass a subnet of the VPC`},
		"bucket ARN":         {Props{Vpc: anyVpc{}, S3ReadBuckets: []string{"arn:aws:s3:::b"}}, `S3ReadBuckets[0]: "arn:aws:s3:::b" is not the name of a bucket: write the name alone, such as my-company-packages`},
		"every bucket":       {Props{Vpc: anyVpc{}, S3ReadBuckets: []string{"*"}}, `S3ReadBuckets[0]: "*" is not the name of a bucket: write the name alone, such as my-company-packages`},
		"buckets, no way":    {Props{Vpc: anyVpc{}, S3ReadBuckets: []string{"b"}, S3GatewayOff: true}, `S3ReadBuckets: is set although no S3 gateway is made here: leave it out, or let the gateway be made`},
		"gateway off and on": {Props{Vpc: anyVpc{}, S3GatewayOff: true, Existing: []Service{S3}}, `S3GatewayOff: is set although Existing names "s3": keep one of them`},
	} {
		p := c.props.withDefaults()
		assert.EqualError(t, p.validate(), c.want, name)
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	p := (&Props{Services: []Service{"x", "y"}}).withDefaults()
	assert.Contains(t, p.validate().Error(), "Vpc: is missing")
	assert.Contains(t, p.validate().Error(), "Services[1]:")
}

func TestMonthlyCost(t *testing.T) {
	assert.InDelta(t, 29.20, MonthlyCost(2, 2), 0.001)
	assert.InDelta(t, 0, MonthlyCost(0, 2), 0)
}
