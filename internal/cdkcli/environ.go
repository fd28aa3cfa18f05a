package cdkcli

import (
	"os"
	"path/filepath"
	"strings"
)

const (
	// RealAccount is the endpoint that means no endpoint at all: the account of
	// the caller's own credentials.
	RealAccount = "aws"
	// TestCredential is what emulators take for a key and its secret.
	TestCredential = "test"
	// DefaultRegion is taken where the caller's environment names none.
	DefaultRegion = "us-east-1"
)

// Environment is what the CDK CLI, the app and the AWS SDK run with, made from
// the caller's. Work is an existing folder that lives as long as the run.
//
// For an endpoint that is not AWS every AWS_ variable of the caller is left out
// but the region: no real credential is sent there, and no profile or
// per-service endpoint sends a call elsewhere.
func Environment(base []string, endpoint, work string) []string {
	var environ []string
	where := Region(base)
	for _, pair := range base {
		name, _, _ := strings.Cut(pair, "=")
		if endpoint != RealAccount {
			if strings.HasPrefix(name, "AWS_") || name == "CDK_HOME" || isNoProxy(name) {
				continue
			}
		}
		environ = append(environ, pair)
	}
	environ = append(environ,
		"CDK_DISABLE_CLI_TELEMETRY=true",
		"CDK_DISABLE_VERSION_CHECK=1",
		"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20",
		"AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED=true",
	)
	if endpoint == RealAccount {
		return environ
	}
	return append(environ,
		"AWS_ENDPOINT_URL="+endpoint,
		"AWS_ACCESS_KEY_ID="+TestCredential,
		"AWS_SECRET_ACCESS_KEY="+TestCredential,
		"AWS_REGION="+where,
		"AWS_DEFAULT_REGION="+where,
		"AWS_CONFIG_FILE="+os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
		// The CLI remembers there which account a key belongs to.
		"CDK_HOME="+filepath.Join(work, "cdk-home"),
		"NO_PROXY=localhost,127.0.0.1",
		"no_proxy=localhost,127.0.0.1",
	)
}

// Region is the caller's for an endpoint that is not AWS.
func Region(environ []string) string {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if value := Lookup(environ, name); value != "" {
			return value
		}
	}
	return DefaultRegion
}

func isNoProxy(name string) bool { return strings.EqualFold(name, "NO_PROXY") }

// Lookup finds a variable in an environment; the last one counts.
func Lookup(environ []string, name string) string {
	found := ""
	for _, pair := range environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			found = value
		}
	}
	return found
}
