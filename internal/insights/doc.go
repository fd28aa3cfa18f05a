// Package insights runs queries of CloudWatch Logs Insights over lines at hand, so
// that a saved query is proved by its answer and not by its looks.
//
// It knows the commands and functions that Postern's queries need: fields, display,
// filter, parse, stats, sort, limit, dedup. Everything else is an error, and so is
// all that AWS's documentation leaves open: and beside or without parentheses, how a
// missing field compares by != or not, how text compares by <, the order of a sort
// without direction, Booleans. A query that has an answer here has the same one
// there, or there is a fault in this package. The order of rows whose sort keys are
// the same is that of the events given; Insights promises none.
//
// Fields are found as Insights finds them: those of JSON by their path with dots,
// a.0.b in arrays, at most 200 of them; those of VPC flow logs in the default format
// of 14 fields alone, so that other formats need parse.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html
package insights
