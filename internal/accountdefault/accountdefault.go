// Package accountdefault is what the construct and the function that own the
// account's Session Manager preferences agree on. The function itself is in package
// owner below.
package accountdefault

// Document is where Session Manager looks for the preferences of an account in a
// Region. There is one, whoever made it.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-preferences-cli.html
const Document = "SSM-SessionManagerRunShell"

// Parameters of Parameter Store that outlive the stack. Their path is the same in
// every account, so that somebody finds them without knowing the stack.
const (
	Path = "/postern/session-preferences/"
	// Original has the preferences as they were before the adoption, and earlier
	// ones in its history.
	Original = Path + "original"
	// Record has who owns the document, and what was done last, in words.
	Record = Path + "record"
)

// Program is the folder below bin, and the name of the function's file.
const Program = "postern-account-default"

// ResourceType is the type of the custom resource.
const ResourceType = "Custom::PosternAccountDefault"

// Properties of the custom resource.
const (
	// Content is the document's content, as text: CloudFormation makes text of
	// every number and boolean in an object.
	Content = "Content"
	// OnExisting is one of the choices.
	OnExisting = "OnExisting"
)

// Choices for preferences that somebody else made.
const (
	Fail    = "Fail"
	Merge   = "AdoptByMerge"
	Replace = "AdoptByReplace"
)
