// Package lambda makes an AWS Lambda function of a program of this module, with a
// role, a policy and a log group of its own.
package lambda

import (
	"context"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/asset"
	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/function"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// Build makes what a function runs, or examines the FunctionFile where there is one.
func Build(program, file string) (function.File, error) {
	made, err := function.Build(context.Background(), program, function.Options{File: file})
	if err != nil {
		var faults check.Faults
		faults.Add("FunctionFile", err.Error(), "")
		return function.File{}, faults.Err()
	}
	return made, nil
}

// Props say what a function is, and what it may do.
type Props struct {
	// File is what it runs.
	File function.File
	// Description of the function and its role.
	Description string
	// FileDescription is shown where the file is uploaded, PolicyDescription is that of
	// the policy.
	FileDescription, PolicyDescription string
	// Statements are what it may do, writing to its log group among it.
	Statements func(logGroupArn string) []policy.Statement
	// Key encrypts the log group. CloudWatch Logs may use it already.
	Key awskms.IKey
	// Timeout in whole seconds.
	Timeout time.Duration
	// Environment variables. nil: none.
	Environment map[string]any
	// Unreserved, NoDeadLetter and NoVpc say why it has no reserved concurrency, no
	// dead-letter queue of its own, and no place in a VPC.
	Unreserved, NoDeadLetter, NoVpc string
}

// The least that Lambda has, in MB: the functions wait for AWS nearly all the time.
const memory = 128

// New makes the function ID, and the constructs IDLog, IDPolicy and IDRole beside it.
// The log group stays when they go.
func New(scope constructs.Construct, id string, p *Props) awscdk.CfnResource {
	location, err := asset.Add(scope, p.File.Path, p.File.SHA256, ".zip", p.FileDescription)
	tree.Must("function", scope, id, err)
	log := awslogs.NewLogGroup(scope, jsii.String(id+"Log"), &awslogs.LogGroupProps{
		EncryptionKey: p.Key, Retention: awslogs.RetentionDays_ONE_YEAR, RemovalPolicy: awscdk.RemovalPolicy_RETAIN,
	})
	may := awsiam.NewManagedPolicy(scope, jsii.String(id+"Policy"), &awsiam.ManagedPolicyProps{
		Description: &p.PolicyDescription,
		Document:    attach.Document(p.Statements(*log.LogGroupArn())),
	})
	tree.Acknowledge(may, "the streams of one log group, which the function names itself", "AwsSolutions-IAM5")
	role := awsiam.NewRole(scope, jsii.String(id+"Role"), &awsiam.RoleProps{
		Description:     &p.Description,
		AssumedBy:       awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		ManagedPolicies: &[]awsiam.IManagedPolicy{may},
	})
	// Without a name, which would have to be free, and by which it could not be replaced.
	properties := map[string]any{
		"Description":   p.Description,
		"Code":          map[string]any{"S3Bucket": location.BucketName, "S3Key": location.ObjectKey},
		"Runtime":       function.Runtime,
		"Architectures": []string{function.Architecture},
		"Handler":       function.Handler,
		"Role":          role.RoleArn(),
		"Timeout":       int(p.Timeout.Seconds()),
		"MemorySize":    memory,
		"LoggingConfig": map[string]any{"LogGroup": log.LogGroupName()},
	}
	if p.Environment != nil {
		properties["Environment"] = map[string]any{"Variables": p.Environment}
	}
	f := awscdk.NewCfnResource(scope, &id, &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::Lambda::Function"), Properties: &properties,
	})
	// cdk-nag looks at resources of a class of their own only; these are for who reads
	// the template, and for judges that do.
	tree.Acknowledge(f, p.Unreserved, "NIST.800.53.R5-LambdaConcurrency")
	tree.Acknowledge(f, p.NoDeadLetter, "NIST.800.53.R5-LambdaDLQ")
	tree.Acknowledge(f, p.NoVpc, "NIST.800.53.R5-LambdaInsideVPC", "PCI.DSS.321-LambdaInsideVPC")
	return f
}
