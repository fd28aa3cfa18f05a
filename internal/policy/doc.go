// Package policy holds the IAM, KMS and resource policies of Postern as plain
// Go values that marshal to the JSON that AWS reads.
//
// It knows nothing of the CDK: partition, region and account come in as text
// and may be tokens, so that each policy is read and tested without a stack.
package policy
