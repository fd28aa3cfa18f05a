package schema_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn/schema"
)

// Facts from the types' pages in the CloudFormation template reference
// ("Update requires: Replacement", "Required", "Return values"), not from the
// sources that the archive is generated from.
func TestFacts(t *testing.T) {
	get := func(name string) *schema.Type {
		t.Helper()
		typ := schema.Lookup(name)
		require.NotNil(t, typ, name)
		return typ
	}
	for _, f := range []struct{ typ, createOnly string }{
		{"AWS::EC2::InstanceConnectEndpoint", "SubnetId"},
		{"AWS::EC2::InstanceConnectEndpoint", "SecurityGroupIds"},
		{"AWS::EC2::InstanceConnectEndpoint", "PreserveClientIp"},
		{"AWS::EC2::VPC", "CidrBlock"},
		{"AWS::EC2::SecurityGroup", "GroupDescription"},
		{"AWS::EC2::LaunchTemplate", "LaunchTemplateName"},
		{"AWS::Logs::LogGroup", "LogGroupName"},
		{"AWS::IAM::Role", "RoleName"},
		{"AWS::IAM::Role", "Path"},
		{"AWS::S3::Bucket", "BucketName"},
		{"AWS::ElasticLoadBalancingV2::LoadBalancer", "Scheme"},
		{"AWS::AutoScaling::AutoScalingGroup", "AutoScalingGroupName"},
		{"AWS::EC2::Instance", "ImageId"},
	} {
		assert.Contains(t, get(f.typ).CreateOnly, f.createOnly, f.typ)
	}
	assert.NotContains(t, get("AWS::EC2::LaunchTemplate").CreateOnly, "LaunchTemplateData")
	assert.NotContains(t, get("AWS::EC2::VPC").CreateOnly, "EnableDnsSupport")
	assert.Contains(t, get("AWS::EC2::VPC").ConditionalCreateOnly, "InstanceTenancy")
	assert.Equal(t, []string{"SubnetId"}, get("AWS::EC2::InstanceConnectEndpoint").Root.Required)
	assert.Equal(t, []string{"MaxSize", "MinSize"}, get("AWS::AutoScaling::AutoScalingGroup").Root.Required)
	assert.Equal(t, []string{"PublicIp", "AllocationId"}, get("AWS::EC2::EIP").PrimaryIdentifier)
	assert.Equal(t, []string{"PublicIp"}, get("AWS::EC2::EIP").RefReturns)
	assert.True(t, get("AWS::EC2::VPC").IsReadOnly("VpcId"))
	assert.Contains(t, get("AWS::EC2::VPC").AttributeNames(), "CidrBlock")
	assert.Contains(t, get("AWS::EC2::LaunchTemplate").AttributeNames(), "LatestVersionNumber")
	// What one source lacks and the other has.
	assert.NotNil(t, get("AWS::SSM::Association").Root.Props["Tags"])
	assert.NotNil(t, get("AWS::CloudWatch::Dashboard").Root.Props["Tags"])
	assert.NotNil(t, get("AWS::CDK::Metadata").Root.Props["Analytics"])
	// Down to the bottom.
	tokens := get("AWS::EC2::LaunchTemplate").At("LaunchTemplateData/MetadataOptions/HttpTokens")
	require.NotNil(t, tokens)
	assert.Equal(t, "s", tokens.Types)
	assert.Nil(t, get("AWS::EC2::LaunchTemplate").At("LaunchTemplateData/Nope"))
}

func TestAllTypesCanBeRead(t *testing.T) {
	start := time.Now()
	names := schema.Names()
	assert.Greater(t, len(names), 1600)
	assert.True(t, slices.IsSorted(names))
	for _, name := range names {
		typ := schema.Lookup(name)
		require.NotNil(t, typ, name)
		for _, p := range append(slices.Clone(typ.CreateOnly), typ.ReadOnly...) {
			if !strings.Contains(p, "/") {
				assert.NotNil(t, typ.Root.Props[p], "%s: %s", name, p)
			}
		}
	}
	assert.Less(t, time.Since(start), 10*time.Second)
	assert.Nil(t, schema.Lookup("AWS::EC2::Nope"))
	assert.Nil(t, schema.Lookup("Nope"))
}

func TestArchiveIsSmall(t *testing.T) {
	info, err := os.Stat("schemas.zip")
	require.NoError(t, err)
	assert.Less(t, info.Size(), int64(1<<20))
}
