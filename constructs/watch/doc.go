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
// # Cost
//
// $0.80 a month for the alarms of a host, by the metric; $1 for the key where
// none is given; $3 for the dashboard after the first three of the account.
package watch
