package bastion

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

func machineImage(p *Props) awsec2.IMachineImage {
	parameter := p.imageParameter()
	switch {
	case p.MachineImage != nil:
		return p.MachineImage
	case p.Image == ImagePinned:
		return &pinnedImage{p.ImageId}
	case p.Image == ImageLatestAtDeploy:
		return awsec2.MachineImage_FromSsmParameter(&parameter, &awsec2.SsmParameterImageOptions{Os: awsec2.OperatingSystemType_LINUX})
	default:
		return awsec2.MachineImage_ResolveSsmParameterAtLaunch(&parameter, &awsec2.SsmParameterImageOptions{Os: awsec2.OperatingSystemType_LINUX})
	}
}

// pinnedImage is one image, whatever the Region: the CDK's own generic image
// asks for a map from Regions, which an app without a fixed Region can't give.
type pinnedImage struct{ id string }

var _ awsec2.IMachineImage = (*pinnedImage)(nil)

// GetImage implements awsec2.IMachineImage.
func (i *pinnedImage) GetImage(constructs.Construct) *awsec2.MachineImageConfig {
	return &awsec2.MachineImageConfig{
		ImageId:  jsii.String(i.id),
		OsType:   awsec2.OperatingSystemType_LINUX,
		UserData: awsec2.UserData_ForLinux(nil),
	}
}
