// Package filterpattern reads the filter patterns of CloudWatch Logs and says which
// log lines they match, so that a metric filter can be tried on real lines before it
// is deployed.
//
//	p, err := filterpattern.Parse(`{ ($.postern = "check") && ($.result = "fail") }`)
//	p.Match(`{"postern":"check","name":"clock","result":"fail"}`) // true
//
// The syntax is the documented one, and no more of it:
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html and
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html.
// A pattern that the documentation does not explain is refused by [Parse], also where
// CloudWatch would take it. Where the documentation explains a pattern but not what
// becomes of some line, such as a number compared with text, [Pattern.Judge] says
// [Undocumented].
//
// One answer comes from observation: a comparison with a property that the line lacks
// is false, != too (github.com/DataBiosphere/azul/issues/5884). A pattern that wants
// such lines says so with NOT EXISTS.
package filterpattern
