// Package notice holds what people are told of as plain Go: EventBridge patterns
// that say which calls, and input transformers that say in which words.
//
// It knows nothing of the CDK: what comes in may be tokens, and a pattern is
// matched against recorded calls in milliseconds.
package notice
