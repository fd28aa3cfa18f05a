package archive_test

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
)

func Example() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Evidence"), nil)

	a := archive.New(stack, "Archive", nil)
	sessions := a.AddLogGroup("Sessions")

	fmt.Println(*sessions.Node().Path())
	// Output: Evidence/Archive/Sessions
}

// Seven years that nobody can shorten, in cheap storage, under a key that the
// app already has.
func ExampleNew_compliance() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Evidence"), nil)
	key := awskms.NewKey(stack, jsii.String("Key"), &awskms.KeyProps{EnableKeyRotation: jsii.Bool(true)})

	a := archive.New(stack, "Archive", &archive.Props{
		Key:              key,
		ObjectLock:       archive.ObjectLock{Mode: archive.LockCompliance, Days: 2557},
		GlacierAfterDays: 180,
		ExpireAfterDays:  2600,
		LogRetentionDays: 2557,
	})

	fmt.Println(*a.Bucket().Node().Path())
	// Output: Evidence/Archive/Bucket
}

// Secrets that people type into a shell are hidden from who reads the group
// without logs:Unmask, and what was found is reported beside it.
func ExampleArchive_AddLogGroupWith() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Evidence"), nil)

	a := archive.New(stack, "Archive", nil)
	shells := a.AddLogGroupWith("Shells", &archive.LogGroupOptions{
		RetentionDays: 731,
		Masking:       &archive.Masking{Findings: a.AddLogGroup("Findings")},
	})

	fmt.Println(*shells.Node().Path(), archive.Credentials()[0])
	// Output: Evidence/Archive/Shells AwsSecretKey
}

// Each record twice, in two Regions, and a list of all of it each week.
func ExampleNewReplica() {
	app := awscdk.NewApp(nil)
	in := func(id, region string) awscdk.Stack {
		return awscdk.NewStack(app, &id, &awscdk.StackProps{
			Env: &awscdk.Environment{Account: jsii.String("111122223333"), Region: &region},
		})
	}
	replica := archive.NewReplica(in("Copies", "eu-central-1"), "Replica", nil)
	archive.New(in("Evidence", "eu-west-1"), "Archive", &archive.Props{
		Replica:   replica.Target(),
		Inventory: &archive.Inventory{},
	})

	fmt.Println(replica.Target().BucketName)
	// Output: copies-111122223333-eu-central-1
}

// A log account takes what a whole organization records, and a source sends it
// there: the three values are outputs of the log account's stack.
func ExampleFromLogAccount() {
	app := awscdk.NewApp(nil)
	evidence := awscdk.NewStack(app, jsii.String("Evidence"), &awscdk.StackProps{
		Env: &awscdk.Environment{Account: jsii.String("999988887777"), Region: jsii.String("eu-west-1")},
	})
	archive.New(evidence, "Archive", &archive.Props{Sources: &archive.Sources{OrganizationID: "o-a1b2c3d4e5"}})

	stack := awscdk.NewStack(app, jsii.String("Access"), &awscdk.StackProps{
		Env: &awscdk.Environment{Account: jsii.String("111122223333"), Region: jsii.String("eu-west-1")},
	})
	central := archive.FromLogAccount(stack, "LogAccount", &archive.LogAccountProps{
		BucketName:     "evidence-archivebucket49f1ac64-1a2b3c4d5e6f",
		KeyArn:         "arn:aws:kms:eu-west-1:999988887777:key/11111111-2222-3333-4444-555555555555",
		DestinationArn: "arn:aws:logs:eu-west-1:999988887777:destination:Evidence-Archive",
	})
	a := archive.New(stack, "Archive", &archive.Props{LogAccount: central})
	a.AddLogGroup("Sessions") // is sent to the log account

	fmt.Println(*a.Bucket().BucketName(), central.Account())
	// Output: evidence-archivebucket49f1ac64-1a2b3c4d5e6f 999988887777
}
