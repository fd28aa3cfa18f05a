package survey

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

func TestService(t *testing.T) {
	for name, want := range map[string]string{
		"com.amazonaws.us-east-1.ssm":                           "ssm",
		"cn.com.amazonaws.cn-north-1.ssm":                       "ssm",
		"com.amazonaws..ssmmessages":                            "ssmmessages",
		"com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcde": "vpce-svc-0123456789abcde",
		"a.b.c": "",
		"":      "",
	} {
		assert.Equal(t, want, Service(name), name)
	}
}

func TestFlat(t *testing.T) {
	join := map[string]any{"Fn::Join": []any{".", []any{"com.amazonaws", map[string]any{"Ref": "AWS::Region"}, "ssm"}}}
	assert.Equal(t, "com.amazonaws..ssm", flat(join))
	assert.Equal(t, "com.amazonaws.${AWS::Region}.ssm", flat(map[string]any{"Fn::Sub": "com.amazonaws.${AWS::Region}.ssm"}))
	assert.Empty(t, flat(map[string]any{"Ref": "Name"}))
	assert.Empty(t, flat(nil))
}

func TestIDComparesAcrossStacks(t *testing.T) {
	app := cdktest.NewApp(t)
	here, there := cdktest.StackIn(app, "Here"), cdktest.StackIn(app, "There")
	vpc := awsec2.NewCfnVPC(here, jsii.String("Vpc"), &awsec2.CfnVPCProps{CidrBlock: jsii.String("10.0.0.0/16")})
	assert.Equal(t, "Here/Vpc", ID(vpc.Ref()))
	assert.Equal(t, "Here/Vpc", ID(vpc.AttrVpcId()), "an attribute that is the ID is the ID")
	assert.Equal(t, "Here/Vpc.DefaultSecurityGroup", ID(vpc.AttrDefaultSecurityGroup()))
	subnet := awsec2.NewCfnSubnet(there, jsii.String("Subnet"), &awsec2.CfnSubnetProps{VpcId: vpc.Ref()})
	assert.Equal(t, "Here/Vpc", ID(subnet.VpcId()))
	assert.Equal(t, "vpc-12345678", ID(jsii.String("vpc-12345678")))
	assert.Empty(t, ID(nil))
	imported := awscdk.Fn_ImportValue(jsii.String("Vpc"))
	assert.Equal(t, *imported, ID(imported), "what stands for no resource of the app is itself")
}
