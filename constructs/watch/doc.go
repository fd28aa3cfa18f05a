// Package watch tells people when a way into the network is broken, full or
// silent: a topic, alarms that say what to do, a dashboard.
//
//	w := watch.New(stack, "Watch", &watch.Props{Emails: []string{"oncall@example.com"}})
//	w.AddHost(bastion, nil)
//
// # What is made
//
// An SNS topic, encrypted with a customer managed key, that takes messages over
// TLS only and from the account's CloudWatch alarms only. With the key that AWS
// manages for SNS alarms could not publish, and would not say so
// (docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html).
// Each address must be confirmed by the link in the message that SNS sends to it.
//
// A dashboard with the state and the metrics of each host.
//
// For each host six alarms, which report when they go off and when it is over:
//
//   - in service: the group wants an instance and has none
//   - agent silent: an instance should run, but the CloudWatch agent sends nothing,
//     so neither does what it ships: logs
//   - status checks, CPU, memory, disk
//
// A host that is scaled to zero on purpose, by schedule or by hand, is quiet: the
// first two compare with the capacity that the group wants.
//
// The alarms read group metrics, which the Auto Scaling group must have switched
// on, and what the agent sends with the dimension AutoScalingGroupName alone.
// Where group metrics are missing, the alarm that depends on them goes off.
//
// # Sessions
//
// [Watch.AddSessionNotices] tells of each session that somebody starts through
// Session Manager, and [Watch.AddBreakGlass] of each use of a way in that is for
// emergencies:
//
//	Session started: arn:aws:iam::111122223333:user/alice on i-0123456789abcdef0
//	Who: arn:aws:iam::111122223333:user/alice (AIDAEXAMPLE). From: 203.0.113.10. When: 2026-11-22T08:15:24Z. Where: account 111122223333, region eu-west-1.
//	To: i-0123456789abcdef0, with document Postern-Shell. Session: alice-0e34861185201706f.
//	Look closer: aws ssm describe-sessions --state Active --filters key=SessionId,value=alice-0e34861185201706f --region eu-west-1
//	End it: aws ssm terminate-session --session-id alice-0e34861185201706f --region eu-west-1
//
// SNS shows each of the lines in quotation marks in an e-mail. The reason that
// somebody gave is not in it: EventBridge puts text in as it is, and a quotation
// mark could break the message. CloudTrail has it.
//
// [Watch.AddHours] alarms when doors that open at some hours of the week did not.
//
// [Watch.AddDelivery] alarms in a log account when log events of other accounts
// don't get into its archive.
//
// # Cost
//
// $0.80 a month for the alarms of a host, by the metric; $0.20 for those on
// session notices, and $0.20 for each break-glass and for each operator's hours; $0.40
// for those on a delivery; $1 for the key where
// none is given; $3 for the dashboard after the first three of the account.
package watch
