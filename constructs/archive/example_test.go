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
