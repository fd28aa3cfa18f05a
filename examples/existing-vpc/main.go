// Command existing-vpc puts a private bastion into what a team has already: its
// own VPC, its own key, its own log bucket and a database group.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/bastion"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	team := newTeamStack(app)

	access := awscdk.NewStack(app, jsii.String("Access"), nil)
	evidence := archive.New(access, "Archive", &archive.Props{Key: team.key, Bucket: team.bucket})
	host := bastion.New(access, "Bastion", &bastion.Props{
		Vpc:      team.vpc,
		Key:      team.key,
		Bucket:   evidence.Bucket(),
		LogGroup: evidence.AddLogGroup("Host"),
	})
	host.AllowTo(team.database, 5432, "orders database")
	app.Synth(nil)
}

// teamStack stands for what exists before Postern comes.
type teamStack struct {
	vpc      awsec2.IVpc
	key      awskms.IKey
	bucket   awss3.IBucket
	database awsec2.SecurityGroup
}

func newTeamStack(app awscdk.App) *teamStack {
	stack := awscdk.NewStack(app, jsii.String("Team"), nil)
	key := awskms.NewKey(stack, jsii.String("Key"), &awskms.KeyProps{EnableKeyRotation: jsii.Bool(true)})
	vpc := awsec2.NewVpc(stack, jsii.String("Vpc"), &awsec2.VpcProps{
		MaxAzs:                       jsii.Number(2),
		NatGateways:                  jsii.Number(1),
		RestrictDefaultSecurityGroup: jsii.Bool(false),
	})
	return &teamStack{
		vpc: vpc,
		key: key,
		bucket: awss3.NewBucket(stack, jsii.String("Logs"), &awss3.BucketProps{
			Versioned:         jsii.Bool(true),
			EnforceSSL:        jsii.Bool(true),
			BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
			EncryptionKey:     key,
		}),
		database: awsec2.NewSecurityGroup(stack, jsii.String("Database"), &awsec2.SecurityGroupProps{
			Vpc:              vpc,
			Description:      jsii.String("orders database"),
			AllowAllOutbound: jsii.Bool(false),
		}),
	}
}
