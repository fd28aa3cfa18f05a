// Package owner is the function behind the custom resource that owns an account's
// Session Manager preferences, the document SSM-SessionManagerRunShell.
//
// The document may be there already, and who has a look at it at 3 a.m. may not
// know of the stack. So:
//
//   - Before the document is touched, its content is in the parameter
//     [accountdefault.Original], and the claim of the stack in
//     [accountdefault.Record]. No version of the document is ever deleted, unless the
//     whole document was made here and nobody else has made a version of it.
//   - What was not made here is not overwritten, unless the user chose so.
//   - A version counts when DescribeDocument shows it as the default and GetDocument
//     returns its content; where it doesn't, the former default is made the default
//     again and the request fails.
//   - A deletion goes back to what was before, and never fails: a stack that can't be
//     deleted helps nobody. What could not be done is in the log, in the answer and in
//     the record.
//   - The same request may come twice, and late. The record knows which have ended.
package owner
