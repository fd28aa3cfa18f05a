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
// manages for SNS alarms could not publish, and would not say so, so that it is
// refused (docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html).
// Each address must be confirmed by the link in the message that SNS sends to it.
//
// A dashboard: what is open and who is in now, alarms by what they put in doubt,
// answers to saved queries, the health of each host, how late records arrive, what
// people were told, and by [Watch.ShowCost] what it costs. It is drawn in
// docs/dashboard.svg. Widgets of your own go below it.
//
// For each host alarms, which report when they go off and when it is over:
//
//   - in service: the group wants an instance and has none
//   - agent silent: an instance is in service, but the CloudWatch agent sends nothing
//   - status checks, CPU, memory, disk
//   - where it names its log group, what its lines say, and that they come at all
//
// A host that is scaled to zero on purpose, by schedule or by hand, is quiet.
//
// Each alarm's description ends with the address of its runbook, a page below
// docs/runbooks with the first three commands.
//
// # One failure is one message
//
// An alarm on evidence or on security tells by itself, always. What only means that
// nobody gets in is told by the composite alarm Door of the host, once, and once
// when it is over; a strain that lets people in by the composite alarm Strained,
// which is quiet while the door is down. Silence counts only while an instance is in
// service, so that one that is gone is told of once. [Watch.AddEndpoints] makes a
// door of the endpoints of Session Manager. AWS documents no metric of EC2 Instance
// Connect Endpoint: its calls are told of by notices.
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
// [Watch.AddComplianceNotices] tells of resources that begin to break a rule of AWS
// Config; package compliance makes such rules.
//
// [Watch.AddHours] alarms when doors that open at some hours of the week did not.
//
// # Other doors, tampering, attempts
//
//	w.AddTamperNotices(&watch.TamperNotices{Buckets: []awss3.IBucket{evidence.Bucket()}})
//	w.AddSerialConsoleNotices()
//	w.AddFailedAttempts()
//
// [Watch.AddTamperNotices] tells of changes to what keeps records or lets people in,
// and to the watch itself, also where a deployment switches a part of it off;
// [Watch.AddTunnelNotices] of tunnels through EC2 Instance Connect and of keys that are
// pushed; [Watch.AddSerialConsoleNotices], [Watch.AddFailedAttempts] and [Watch.AddRootNotices] of what their names say.
//
// What can't be delivered is kept in a queue for 14 days, for all notices, and an
// alarm says that something is in it.
//
// # What is not usual
//
// Where [Props] has TimeZone, OfficeHours or KnownRanges, a function sends the notices,
// with local time, and the first line of what is not usual begins with ABNORMAL:
//
//	ABNORMAL: Tunnel opened: arn:aws:iam::111122223333:user/alice to 10.0.1.17, port 22
//	Abnormal: outside office hours (Sunday 09:15 in Europe/Berlin), from an address outside the known ranges.
//
// Its e-mails have no quotation marks. It is compiled when the app is synthesized, as
// the host's programs are; see docs/adr/0017-notices-of-calls.md.
//
// # Chat
//
// [Props].Slack and Teams send alarms and notices to a channel through Amazon Q
// Developer in chat applications, too. Somebody authorizes the workspace in its console
// once. People in the channel can have AWS do nothing: without a guardrail the service
// would let them do all that their role allows, up to AdministratorAccess.
//
// # The account
//
// [Watch.AddAccountAlarms] alarms on what the CIS AWS Foundations Benchmark asks to be
// told of, by what a trail writes to its log group: use of the root user, refused
// calls, console logins, changes of policies, trails, keys, buckets, AWS Config and
// networks. Each of the fourteen can be left out.
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
// [Watch.AddDelivery] alarms in a log account when log events of other accounts
// don't get into its archive.
//
// # Cost
//
// $1.00 a month for the composite alarms of a host; $0.80 for its alarms, by the
// metric that each reads; $1.20 for those on its lines, $0.10 for office hours, $0.20
// behind a load balancer. Each metric that is made of lines costs $0.30 a month by the
// hours in which there are such lines: the checks and how late records are always, the
// others seldom. $0.10 for each alarm on the account, and $0.30 for its metric likewise.
// $0.10 for the alarm on notices, and $0.10 more where a function sends them; $0.10 for
// each break-glass, $0.20 for each operator's hours; $0.40 for those on a delivery;
// $0.10 for each endpoint of Session Manager, and $0.50 for the composite alarm of them; $1
// for the key where none is given; $3 for the dashboard after the first three of the account.
package watch
