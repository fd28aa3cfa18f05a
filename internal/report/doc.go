// Package report says what a deployment is worth: which doors are open and from
// where, what records who goes through, who is told, what it costs a month, and
// what a security engineer would object to.
//
// It judges resources as AWS Cloud Control returns them, after the deployment,
// and knows nothing of the templates they came from. So it can disagree with
// them. It calls nothing and needs no account: see bin/demo for who asks.
package report
