package main

import (
	"os"
	"path/filepath"
	"strings"
)

const (
	// testCredential is what emulators take for a key and its secret.
	testCredential = "test"
	defaultRegion  = "us-east-1"
)

// environment is what the CDK CLI, the app and the AWS SDK run with.
//
// For an endpoint that is not AWS every AWS_ variable of the caller is left out
// but the region: no real credential is sent there, and no profile or
// per-service endpoint sends a call elsewhere.
func environment(base []string, endpoint, work string) []string {
	var environ []string
	where := region(base)
	for _, pair := range base {
		name, _, _ := strings.Cut(pair, "=")
		if endpoint != realAccount {
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
	if endpoint == realAccount {
		return environ
	}
	return append(environ,
		"AWS_ENDPOINT_URL="+endpoint,
		"AWS_ACCESS_KEY_ID="+testCredential,
		"AWS_SECRET_ACCESS_KEY="+testCredential,
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

// region is the caller's for an endpoint that is not AWS.
func region(environ []string) string {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if value := lookup(environ, name); value != "" {
			return value
		}
	}
	return defaultRegion
}

func isNoProxy(name string) bool { return strings.EqualFold(name, "NO_PROXY") }

// noColour is https://no-color.org: set and not empty.
func noColour(pair string) bool {
	value, ok := strings.CutPrefix(pair, "NO_COLOR=")
	return ok && value != ""
}

// lookup finds a variable in an environment; the last one counts.
func lookup(environ []string, name string) string {
	found := ""
	for _, pair := range environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			found = value
		}
	}
	return found
}
