// Command postern-notice is the function that tells people what EventBridge rules saw,
// and what is not usual in it: see package internal/notice/sender.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/postern-cdk/postern/internal/notice/sender"
)

func main() {
	// Lambda gives these; what else a configuration may be made of would be most of
	// the program.
	// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
	s, err := sender.New(os.Getenv, sns.NewFromConfig(aws.Config{
		Region: os.Getenv("AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(
			os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")),
	}))
	if err != nil {
		fmt.Fprintln(os.Stderr, "postern-notice:", err)
		os.Exit(1)
	}
	lambda.Start(s.Handle)
}
