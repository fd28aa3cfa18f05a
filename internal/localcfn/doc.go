// Package localcfn is a local CloudFormation: a state model of one AWS account
// in one region that the unmodified CDK CLI, the AWS CLI and the AWS SDKs talk to
// by AWS_ENDPOINT_URL. Nothing runs in it and no permission is checked; it is
// about what CloudFormation itself does with a template. README.md says what
// it models and what not.
//
//	s, err := localcfn.New(localcfn.Options{})
//	...
//	err = s.Start("127.0.0.1:0")
//	defer s.Close()
//	cmd := exec.Command("cdk", "deploy", "--all")
//	cmd.Env = append(os.Environ(), s.Env()...)
package localcfn
