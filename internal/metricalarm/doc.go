// Package metricalarm evaluates CloudWatch alarms as a template has them over data at
// hand, so that a test can see an alarm go off: metrics with their statistics, the
// metric math that our alarms use, M out of N, and what becomes of missing data.
//
//	a, err := metricalarm.Read(properties)
//	state, err := a.State(now, samples)
//
// Windows end at the moment asked for, as CloudWatch's do by default. How many periods
// beyond those of the evaluation it looks at is not documented but for an example of two:
// docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html.
package metricalarm
