// Package emulator_test deploys the app and the examples with the unmodified CDK
// CLI and asks the AWS API what is there then: on our own local CloudFormation,
// and (the tests called TestMoto...) on moto, which other people wrote.
//
// It imports no CDK: the app is built once and run as a user's is.
package emulator_test
