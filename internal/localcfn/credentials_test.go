package localcfn_test

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// credentialsFor gives credentials that nobody checks.
func credentialsFor() aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
	})
}
