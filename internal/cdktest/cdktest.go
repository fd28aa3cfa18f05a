// Package cdktest holds what tests of constructs share: one jsii kernel a test
// binary, apps under known feature flags, and templates to assert on.
package cdktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern"
)

// Main runs the tests of a package and then ends the jsii kernel, which would
// leave its runtime in the temporary folder otherwise. Call it from TestMain.
func Main(m *testing.M) {
	// Read here so that `go test` never takes a cached run without the CDK's
	// validation for one with it.
	_ = os.Getenv("CDK_VALIDATION")
	code := m.Run()
	jsii.Close()
	os.Exit(code)
}

// RecommendedFlags is the context that this repository's cdk.json pins.
func RecommendedFlags(t testing.TB) map[string]any {
	t.Helper()
	var file struct {
		Context map[string]any `json:"context"`
	}
	require.NoError(t, json.Unmarshal(postern.CDKJSON, &file))
	require.NotEmpty(t, file.Context)
	return file.Context
}

// NewApp makes an app under the recommended feature flags, with CloudFormation
// validation findings as errors.
func NewApp(t testing.TB) awscdk.App {
	t.Helper()
	return NewAppWith(t, nil)
}

// NewAppWith is [NewApp] with further context, which wins over the flags.
func NewAppWith(t testing.TB, context map[string]any) awscdk.App {
	t.Helper()
	flags := RecommendedFlags(t)
	maps.Copy(flags, context)
	return newApp(t, flags)
}

// NewAppWithoutFlags makes an app as an old project without feature flags has
// it, with CloudFormation validation findings as errors.
func NewAppWithoutFlags(t testing.TB) awscdk.App {
	t.Helper()
	return newApp(t, map[string]any{})
}

func newApp(t testing.TB, context map[string]any) awscdk.App {
	t.Helper()
	context["@aws-cdk/core:validateAgainstDefaultRules"] = true
	return awscdk.NewApp(&awscdk.AppProps{
		Context:            &context,
		Outdir:             jsii.String(t.TempDir()),
		AnalyticsReporting: jsii.Bool(false),
	})
}

// NewStack makes a stack with a fixed account and region in an app of its own.
func NewStack(t testing.TB) awscdk.Stack {
	t.Helper()
	return StackIn(NewApp(t), "Test")
}

// Account is that of the stacks.
const Account = "123456789012"

// StackIn makes a stack with a fixed account and region.
func StackIn(app awscdk.App, id string) awscdk.Stack { return StackAt(app, id, Account, "us-east-1") }

// StackAt makes a stack in an account and region.
func StackAt(app awscdk.App, id, account, region string) awscdk.Stack {
	return awscdk.NewStack(app, &id, &awscdk.StackProps{Env: &awscdk.Environment{Account: &account, Region: &region}})
}

// Template synthesizes the app of a stack once and returns the stack's template.
func Template(stack awscdk.Stack) assertions.Template {
	return assertions.Template_FromStack(stack, nil)
}

// Panic runs f, which must panic, and returns what it panicked with as text.
func Panic(t testing.TB, f func()) (message string) {
	t.Helper()
	defer func() {
		t.Helper()
		got := recover()
		require.NotNil(t, got, "no panic")
		message = fmt.Sprint(got)
	}()
	f()
	return ""
}

// EqualError looks that err says just this, or that there is none where want is "".
func EqualError(t testing.TB, err error, want string) {
	t.Helper()
	if want == "" {
		require.NoError(t, err)
		return
	}
	require.EqualError(t, err, want)
}
