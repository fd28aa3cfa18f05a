// Command postern-account-default is the function of the custom resource that owns
// the account's Session Manager preferences: see package
// internal/accountdefault/owner.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/postern-cdk/postern/internal/accountdefault/owner"
)

func main() {
	// Lambda gives these; what else a configuration may be made of would be most of
	// the program.
	// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
	config := aws.Config{
		Region: os.Getenv("AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(
			os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")),
	}
	lambda.Start(owner.New(config, os.Stdout).Handle)
}
