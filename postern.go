// Package postern is the root of the module: a safe way into a private AWS
// network, as constructs for the AWS CDK in Go.
//
// Import the constructs one by one, from
// [github.com/postern-cdk/postern/constructs/bastion] and its neighbours, or the
// whole reference architecture from [github.com/postern-cdk/postern/stacks].
package postern

import _ "embed"

// CDKJSON is the cdk.json of this repository: the app's command and the feature
// flags that its tests and its stacks are synthesized under.
//
//go:embed cdk.json
var CDKJSON []byte
