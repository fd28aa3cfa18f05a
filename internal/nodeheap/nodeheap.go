// Package nodeheap keeps the process of Node.js small that the CDK runs in, for an
// app that imports it:
//
//	import _ "github.com/postern-cdk/postern/internal/nodeheap"
//
// Node gives young objects up to 48 MB before it looks which of them are still
// needed. A synthesis makes many and keeps few, so that with 12 MB it takes 20 MB less
// and no longer. Who sets NODE_OPTIONS decides it themselves.
//
// The jsii runtime takes the environment while packages are initialized, before main.
// Go initializes the packages that are ready in the order of their paths, and this one
// needs nothing but os; the runtime needs os/exec, which comes after it
// (go.dev/ref/spec#Package_initialization).
package nodeheap

import "os"

// options are those that the jsii runtime sets, and the size of a half of the space
// for young objects in MB (nodejs.org/api/cli.html#--max-semi-space-sizesize-in-mib).
const options = "--max-old-space-size=4069 --max-semi-space-size=4"

func init() {
	if os.Getenv("NODE_OPTIONS") == "" {
		_ = os.Setenv("NODE_OPTIONS", options)
	}
}
