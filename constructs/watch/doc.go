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
// # What happens on a host
//
// Where the host has a log group, as a bastion does, each of these is an alarm of its
// own, made of the lines that the host delivers (the names are those of the alarms):
//
//	FailedKeys         keys or one-time codes of people are refused, [HostOptions.FailedKeysPerTenMinutes] (20)
//	InvalidUsers       who has no account tries, [HostOptions.InvalidUsersPerTenMinutes] (5)
//	LoginOutsideHours  a login outside of [Props.OfficeHours], where those are named
//	Sudo               sudo is used, or refused, [HostOptions.SudoPerTenMinutes] (1)
//	IntegrityChanged   programs or configuration differ from the baseline
//	AuditStopped       the kernel's audit is off, or rules of it are gone
//	PeopleFailed       people are not reconciled with the bucket of keys, or not for a while
//	UsersRefused       an object of the bucket makes nobody, or somebody has no key left
//	RecordingGap       something is not recorded, a record is missing, or records do not leave the host
//	DiskFilled         the disk is full, so that sessions end
//	HostPromise        any other alarm or failed check of the host
//	HostUnproven       the host reports no check
//	NoHealthyDoor      the load balancer of a bastion has no healthy instance
//
// One line counts for one alarm. What a person on the host writes to the journal
// counts for none, as the filters ask who spoke; but for words in the name of sudo from
// a process that was gone before anybody could know what it was. A line that arrives late, after the host
// could not deliver, may come too late for its own alarm; RecordingGap tells of that.
//
// Office hours are followed through daylight saving until 2037, by the clock of each
// login in whole minutes. A zone that changes its rules is followed from the first
// deployment with a newer time zone database.
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
// # Queries
//
// [Watch.AddQueries] saves queries for CloudWatch Logs Insights in a folder of the
// console, each over the log groups that have what it reads:
//
//	All sessions of a person              hosts, trail    asks for the person
//	Who did what in a session             hosts           asks for the session
//	All access to a target                hosts, trail    asks for the target
//	Who ran a command                     hosts           asks for a part of it
//	Logins on hosts                       hosts
//	Sessions going on                     hosts
//	Failed logins by source               hosts
//	What a Session Manager session showed sessions        asks for the session
//	Sessions and tunnels opened           trail
//	SSH keys pushed                       trail
//	Refused attempts to come in           trail
//	Changes to access and to records      trail
//	People added and removed              hosts
//	What hosts complain of                hosts
//	Port 22 connections by source         flow logs
//
// Those on CloudTrail's events need a trail with a log group. docs/guide/one-day.md
// follows a person through a day with them.
//
// # Cost
//
// $0.80 a month for the alarms of a host, by the metric that each reads; $1.20 for
// those on its lines, $0.10 for office hours, $0.20 behind a load balancer. Each metric
// that is made of lines costs $0.30 a month by the hours in which there are such lines:
// the checks always, the others seldom. $0.20 for those on
// session notices, and $0.20 for each break-glass and for each operator's hours; $1 for the key where
// none is given; $3 for the dashboard after the first three of the account.
package watch
