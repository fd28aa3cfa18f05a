// Package iam decides what identity-based policies allow, as IAM does: an
// explicit deny wins, then an allow, and the rest is denied. What the policy of a
// resource adds to that, or takes away, [EvaluateResource] decides.
//
// It is small on purpose and refuses what it doesn't know: a policy with an
// element, an operator or a form that it can't judge is an error of [Parse], never
// a guess. It knows no permissions boundaries, session policies or organization
// policies, all of which can only take away what this allows.
//
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
package iam
