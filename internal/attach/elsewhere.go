package attach

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// arranged marks the imported bucket of a log account in the construct tree.
const arranged = "postern:arranged"

// Arrange says of an imported bucket that its owner has arranged its policy, and
// that of its key, for what this app writes to it.
func Arrange(bucket awss3.IBucket) { bucket.Node().SetContext(jsii.String(arranged), true) }

// Arranged reports whether an imported bucket's policy, and that of its key, are in
// order without this app: there is nothing to add, nor to warn of.
func Arranged(bucket awss3.IBucket) bool {
	if _, made := bucket.(awss3.Bucket); made || bucket == nil {
		return false
	}
	return bucket.Node().TryGetContext(jsii.String(arranged)) == true
}

// Folder is where a construct puts its objects in a bucket, after what kind of
// objects they are: "" in a bucket of its own account, and in that of a log
// account the number of its own with a slash at its end, below which alone it may
// write. It may be a token.
func Folder(scope constructs.IConstruct, bucket awss3.IBucket) string {
	if !Arranged(bucket) {
		return ""
	}
	return *awscdk.Stack_Of(scope).Account() + "/"
}
