// Package queries is the texts of the saved queries of CloudWatch Logs Insights: who
// did what, when, from where. It is apart from the constructs so that the texts are
// tried over records (internal/insights), and used by what shows them.
//
// # What they read
//
// Lines of hosts, as internal/host ships them: of the stream INSTANCE/commands what
// recorded sessions did, of INSTANCE/people who was added and removed, of
// INSTANCE/sshd what sshd said, of INSTANCE/host alarms, checks and relayed
// connections. What Session Manager streams of sessions. CloudTrail's events, where a
// trail has a log group. VPC flow logs in the format of internal/flowlog.
//
// A query over several kinds of log groups works with those that there are.
package queries

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/postern-cdk/postern/internal/flowlog"
	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/words"
)

// Source is a kind of log groups.
type Source string

// The kinds of log groups.
const (
	Hosts    Source = "hosts"
	Sessions Source = "sessions"
	Trail    Source = "trail"
	FlowLogs Source = "flow logs"
)

// Parameter is what whoever runs a query fills in: {{Name}} in its text.
type Parameter struct {
	Name, About string
	// Example is a value.
	Example string
}

// Query of Logs Insights.
type Query struct {
	// ID is its name in code.
	ID string
	// Name is what people see, in a folder.
	Name string
	// About says in a line what the answer is, and is not.
	About      string
	Sources    []Source
	Parameters []Parameter
	Text       string
}

// The IDs.
const (
	WhoDidWhat      = "WhoDidWhat"
	PersonSessions  = "PersonSessions"
	TargetAccess    = "TargetAccess"
	CommandRuns     = "CommandRuns"
	WhoConnected    = "WhoConnected"
	SessionsNow     = "SessionsNow"
	FailedLogins    = "FailedLogins"
	PeopleChanges   = "PeopleChanges"
	HostAlarms      = "HostAlarms"
	SessionOutput   = "SessionOutput"
	SessionsOpened  = "SessionsOpened"
	KeysPushed      = "KeysPushed"
	RefusedAttempts = "RefusedAttempts"
	AccessChanges   = "AccessChanges"
	Port22          = "Port22"
)

// Doors are the calls by which people come in, whether or not they were allowed.
var Doors = []string{
	"StartSession", "ResumeSession", "OpenTunnel", "SendSSHPublicKey", "SendSerialConsoleSSHPublicKey", "SendCommand",
	"StartAutomationExecution", "ExecuteCommand",
}

// Changes are calls that change who gets in, or what is recorded of it.
var Changes = []string{
	// The documents and settings that sessions are held to.
	"CreateDocument", "UpdateDocument", "UpdateDocumentDefaultVersion", "DeleteDocument", "ModifyDocumentPermission", "UpdateServiceSetting", "ResetServiceSetting",
	// Rules and endpoints.
	"AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules", "CreateInstanceConnectEndpoint", "DeleteInstanceConnectEndpoint", "ModifyInstanceConnectEndpoint",
	"EnableSerialConsoleAccess", "ModifyInstanceMetadataOptions", "ModifyInstanceAttribute",
	// Records of network and calls.
	"DeleteFlowLogs", "StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors",
	"DeleteLogGroup", "DeleteLogStream", "PutRetentionPolicy", "DeleteRetentionPolicy", "DisassociateKmsKey", "DeleteDataProtectionPolicy",
	"PutSubscriptionFilter", "DeleteSubscriptionFilter", "DeleteMetricFilter",
	"PutLogGroupDeletionProtection",
	// The archive's key; its buckets are matched by how the names of the calls begin.
	"PutObjectLockConfiguration", "ScheduleKeyDeletion", "DisableKey", "DisableKeyRotation", "DeleteImportedKeyMaterial", "PutKeyPolicy", "CreateGrant",
	// What tells of all this.
	"PutRule", "DeleteRule", "DisableRule", "PutTargets", "RemoveTargets", "PutMetricAlarm", "PutCompositeAlarm", "DeleteAlarms", "DisableAlarmActions", "SetAlarmState",
	"UpdateEventBus", "PutAlarmMuteRule", "PutMetricFilter", "PurgeQueue", "DeleteQueue", "SetQueueAttributes",
	"SetTopicAttributes", "DeleteTopic", "AddPermission", "PutDataProtectionPolicy", "Unsubscribe", "SetSubscriptionAttributes",
	// Who may.
	"AttachUserPolicy", "AttachRolePolicy", "AttachGroupPolicy", "PutUserPolicy", "PutRolePolicy", "PutGroupPolicy", "CreatePolicyVersion", "SetDefaultPolicyVersion",
	"UpdateAssumeRolePolicy", "DeleteRolePermissionsBoundary", "DeleteUserPermissionsBoundary", "AddUserToGroup", "CreateAccessKey", "CreateLoginProfile",
	"DeactivateMFADevice", "AttachManagedPolicyToPermissionSet", "PutInlinePolicyToPermissionSet", "CreateAccountAssignment",
}

// changesBegin is how the names of other such calls begin.
const changesBegin = "/^(PutBucket|DeleteBucket|UpdateFunction|DeleteFunction|PutFunction|RemovePermission)/"

var (
	session = Parameter{"session", "The ID of the session, from the notice or another query", "20261121T234501Z-1a2b3c4d"}
	person  = Parameter{"person", "The name of a person: of the account on the host, of the IAM user, or of the role session (an e-mail address with Identity Center)", "alice"}
	target  = Parameter{"target", "The ID of an instance, a private address, the name of a session document, or the host name of a database", "i-0123456789abcdef0"}
	typed   = Parameter{"text", "Part of what was typed, or of the path of the program", "psql"}
)

// All queries, in the order in which an investigation asks them.
func All() []Query {
	return []Query{
		{
			PersonSessions, "All sessions of a person",
			"Every way in that a person used: logins on hosts, and the calls to AWS that opened sessions and tunnels or pushed keys, also those that were refused.",
			[]Source{Hosts, Trail},
			[]Parameter{person},
			`fields @timestamp, coalesce(event, eventName) as what, coalesce(person, userIdentity.arn) as who, coalesce(address, sourceIPAddress) as source,
    coalesce(instance, requestParameters.target, requestParameters.instanceId, requestParameters.privateIpAddress) as target,
    coalesce(session, responseElements.sessionId) as sessionId, coalesce(reason, requestParameters.reason) as why, errorCode
| filter (person = "{{person}}" and event in ["begin", "refused", "end"])
    or (userIdentity.arn like "/{{person}}" and eventName in ` + list(Doors) + `)
| sort @timestamp asc
| limit 10000`,
		},
		{
			WhoDidWhat, "Who did what in a session",
			"One recorded session on a host from its beginning to its end; sum is the digest of its last segment. typed is what the shell says was typed, exec what the kernel saw start: that is the one to trust.",
			[]Source{Hosts},
			[]Parameter{session},
			`filter session = "{{session}}" and isPresent(event)
| parse @message /"argv":\[(?<arguments>.*)\]/
| fields time, event, person, address, dir, coalesce(line, path, command) as what, arguments, coalesce(status, why) as result, sum
| sort time asc
| limit 10000`,
		},
		{
			TargetAccess, "All access to a target",
			"Who came to an instance, an address or a database, by whatever door: sessions, tunnels, keys and commands by CloudTrail, logins and relayed connections by the hosts.",
			[]Source{Hosts, Trail},
			[]Parameter{target},
			`fields @timestamp, coalesce(event, eventName, postern) as what, coalesce(person, userIdentity.arn) as who, coalesce(address, sourceIPAddress) as source,
    coalesce(session, responseElements.sessionId) as sessionId, requestParameters.documentName as document, errorCode
| filter (instance = "{{target}}" and event in ["begin", "refused"])
    or (postern = "relay" and (target = "{{target}}" or host = "{{target}}" or address like "{{target}}"))
    or (eventName in ` + list(Doors) + ` and (requestParameters.target = "{{target}}" or requestParameters.instanceId = "{{target}}"
      or requestParameters.privateIpAddress = "{{target}}" or requestParameters.instanceIds.0 = "{{target}}"
      or requestParameters.documentName = "{{target}}" or requestParameters.parameters.host.0 = "{{target}}"))
| sort @timestamp asc
| limit 10000`,
		},
		{
			CommandRuns, "Who ran a command",
			"Lines that were typed and programs that were started on hosts, by a part of them.",
			[]Source{Hosts},
			[]Parameter{typed},
			`filter event in ["typed", "exec"] and (line like "{{text}}" or path like "{{text}}")
| parse @message /"argv":\[(?<arguments>.*)\]/
| fields time, person, address, session, event, dir, coalesce(line, path) as what, arguments
| sort time desc
| limit 1000`,
		},
		{
			WhoConnected, "Logins on hosts",
			"Sessions that began on hosts: who, from where, with which key. The host's own check, every five minutes, is left out.",
			[]Source{Hosts},
			nil,
			`filter event in ["begin", "refused"] and isPresent(person) and person != "` + settings.CheckUser + `"
| fields @timestamp, person, address, instance, event, session, key.fingerprint as fingerprint, reason
| sort @timestamp desc
| limit 1000`,
		},
		{
			SessionsNow, "Sessions going on",
			"Sessions on hosts that have begun and not ended. One that began before the time that is looked at is not seen.",
			[]Source{Hosts},
			nil,
			`filter event in ["begin", "end"] and isPresent(session)
| stats earliest(@timestamp) as since, earliest(person) as who, earliest(address) as source, earliest(instance) as host, latest(event) as last by session
| filter last = "begin" and isPresent(who) and who != "` + settings.CheckUser + `"
| sort since asc
| limit 1000`,
		},
		{
			FailedLogins, "Failed logins by source",
			"What sshd refused, by the address that it came from. A connection has several lines; behind a load balancer the address is the client's where it is preserved.",
			[]Source{Hosts},
			nil,
			`filter identifier like /^sshd/
    and message like /^(Failed|Invalid user|error: maximum authentication attempts|(Connection (closed|reset) by|Disconnected from) (authenticating|invalid) user)/
| parse message /(?<word>user|for) (?<account>[^ ]*) (?<from>from )?(?<source>[0-9a-fA-F.:]+) port (?<port>[0-9]+)/
| filter isPresent(source)
| stats count_distinct(port) as connections, count_distinct(account) as accounts, count(*) as records, min(@timestamp) as firstSeen, max(@timestamp) as lastSeen by source
| sort connections desc, records desc, source asc
| limit 1000`,
		},
		{
			SessionOutput, "What a Session Manager session showed",
			"What Session Manager streamed of one session, in order. What was typed is there as far as the terminal showed it.",
			[]Source{Sessions},
			[]Parameter{{"session", "The ID of the session in Session Manager, from the notice", "alice-0e34861185201706f"}},
			`filter sessionId = "{{session}}"
| parse @message /"sessionData":\s*\[(?<shown>[\s\S]*)\]/
| fields @timestamp, userIdentity.arn as who, runAsUser, target.id as instance, shown
| sort @timestamp asc
| limit 10000`,
		},
		{
			SessionsOpened, "Sessions and tunnels opened",
			"Calls that opened a session of Session Manager or a tunnel of EC2 Instance Connect: who, from where, to what. What passed through a tunnel is recorded nowhere.",
			[]Source{Trail},
			nil,
			`filter eventName in ["StartSession", "ResumeSession", "OpenTunnel"] and not isPresent(errorCode)
| fields @timestamp, eventName, userIdentity.arn as who, sourceIPAddress as source, coalesce(requestParameters.target, requestParameters.privateIpAddress) as target,
    requestParameters.documentName as document, coalesce(requestParameters.remotePort, requestParameters.parameters.portNumber.0) as port,
    requestParameters.parameters.host.0 as host, responseElements.sessionId as sessionId, requestParameters.reason as reason
| sort @timestamp desc
| limit 1000`,
		},
		{
			KeysPushed, "SSH keys pushed",
			"Keys that somebody put on an instance by EC2 Instance Connect, or on its serial console.",
			[]Source{Trail},
			nil,
			`filter eventName in ["SendSSHPublicKey", "SendSerialConsoleSSHPublicKey"]
| fields @timestamp, eventName, userIdentity.arn as who, sourceIPAddress as source, requestParameters.instanceId as instance,
    coalesce(requestParameters.instanceOSUser, requestParameters.osUser) as account, coalesce(requestParameters.sSHPublicKey, requestParameters.SSHKey.publicKey) as key,
    errorCode
| sort @timestamp desc
| limit 1000`,
		},
		{
			RefusedAttempts, "Refused attempts to come in",
			"Calls that would have opened a way in and were refused.",
			[]Source{Trail},
			nil,
			`filter isPresent(errorCode) and eventName in ` + list(Doors) + `
| fields @timestamp, eventName, errorCode, userIdentity.arn as who, sourceIPAddress as source,
    coalesce(requestParameters.target, requestParameters.instanceId, requestParameters.privateIpAddress) as target, errorMessage
| sort @timestamp desc
| limit 1000`,
		},
		{
			AccessChanges, "Changes to access and to records",
			"Calls that change who gets in, or what is recorded of it. Deployments are among them; look at who and when.",
			[]Source{Trail},
			nil,
			`filter eventName in ` + list(Changes) + ` or eventName like ` + changesBegin + `
| fields @timestamp, eventSource, eventName, userIdentity.arn as who, sourceIPAddress as source,
    coalesce(requestParameters.name, requestParameters.groupId, requestParameters.bucketName, requestParameters.keyId, requestParameters.logGroupName,
      requestParameters.roleName, requestParameters.userName, requestParameters.settingId, requestParameters.instanceId) as what, errorCode
| sort @timestamp desc
| limit 1000`,
		},
		{
			PeopleChanges, "People added and removed",
			"What hosts did about accounts and keys, and why keys were refused.",
			[]Source{Hosts},
			nil,
			`filter @logStream like /\/people$/ and isPresent(action)
| fields time, action, person, reason, object, version, fingerprints.0 as fingerprint, before.0 as fingerprintBefore, instance
| sort time desc
| limit 1000`,
		},
		{
			HostAlarms, "What hosts complain of",
			"Alarms of hosts, and checks that failed.",
			[]Source{Hosts},
			nil,
			`filter postern = "alarm" or (postern = "check" and result = "fail")
| fields @timestamp, @logStream, name, coalesce(text, detail) as what
| sort @timestamp desc
| limit 1000`,
		},
		{
			Port22, "Port 22 connections by source",
			"Who still comes to port 22, as flow logs have it: accepted and refused, by the address before translation. SSH through Session Manager is not among it; EC2 Instance Connect comes from its endpoint's address.",
			[]Source{FlowLogs},
			nil,
			flowlog.Parse(flowlog.Format) + `
| filter protocol = 6 and dstport = 22 and flow_direction = "ingress"
| stats count(*) as records, sum(packets) as sentPackets, sum(bytes) as sentBytes, min(start_time) as firstSeen, max(end_time) as lastSeen
    by action, pkt_srcaddr, pkt_dstaddr, interface_id, instance_id
| sort records desc, pkt_srcaddr asc, interface_id asc, action asc
| limit 1000`,
		},
	}
}

// ByID is a query. Its ID is one of the constants.
func ByID(id string) Query {
	all := All()
	i := slices.IndexFunc(all, func(q Query) bool { return q.ID == id })
	if i < 0 {
		panic(fmt.Sprintf("queries: there is no %q", id))
	}
	return all[i]
}

var lastLimit = regexp.MustCompile(`\| limit [0-9]+$`)

// Top is the text for as many rows.
func (q Query) Top(rows int) string {
	return lastLimit.ReplaceAllString(q.Text, fmt.Sprintf("| limit %d", rows))
}

// Saved is the text as it is saved: with what the answer is on top.
func (q Query) Saved() string { return "# " + q.About + "\n" + q.Text }

// list is texts in brackets, in lines that can be read.
func list(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = `"` + text + `"`
	}
	return "[" + words.Wrap(quoted, 120, "     ") + "]"
}
