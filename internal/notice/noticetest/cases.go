// Package noticetest holds which recorded call is told of by which rule, for the
// tests that ask several matchers. The calls are in ../testdata, in the shape in which
// EventBridge gets them, written after AWS's documentation.
package noticetest

import "github.com/postern-cdk/postern/internal/notice"

// What the recorded calls are about.
const (
	Bucket     = "postern-archive-records-example"
	KeyID      = "1234abcd-12ab-34cd-56ef-1234567890ab"
	LogGroup   = "Postern-Archive-ArchiveSessions1A2B3C4D-EXAMPLE"
	WatchRule  = "Postern-Watch-WatchTamperingWatch0A1B2C-EXAMPLE"
	ConfigRule = "Watch-ComplianceRestrictedSsh-EXAMPLE"
	Topic      = "arn:aws:sns:eu-west-1:111122223333:Postern-Watch-WatchTopic7A8B9C0D-EXAMPLE"
	TopicKeyID = "5678abcd-56ab-78cd-90ef-567890abcdef"
	Queue      = "Postern-Watch-WatchNoticesUndelivered3C4D-EXAMPLE"
	Function   = "Postern-Watch-WatchNoticesFunction1F2E-EXAMPLE"
	Stack      = "arn:aws:cloudformation:eu-west-1:111122223333:stack/Postern-Watch/0a1b2c3d-1111-2222-3333-444455556666"
)

// Document names a session document of the account.
func Document(name string) notice.Document {
	return notice.Document{Name: name, Arn: "arn:aws:ssm:eu-west-1:111122223333:document/" + name}
}

// Case is a rule and all recorded calls that it tells of.
type Case struct {
	Name string
	Rule notice.Rule
	Want []string
	// ListsOfObjects says that the pattern looks into a list of objects, which moto
	// does not: it finds nothing there.
	ListsOfObjects []string
}

// Cases are all rules.
func Cases() []Case {
	shell, emergency := Document("Postern-Shell"), Document("Postern-BreakGlass")
	records := notice.RecordsTampered(notice.Protected{
		Buckets: []string{Bucket}, KeyIDs: []string{KeyID}, LogGroups: []string{LogGroup},
	})
	return []Case{
		{Name: "started", Rule: notice.SessionStarted(nil), Want: []string{
			"break-glass", "identity-center-with-parameters", "reason-with-quotes", "user-with-document", "user-with-document-arn",
		}},
		{Name: "started-quiet", Rule: notice.SessionStarted([]notice.Document{shell}), Want: []string{"break-glass", "identity-center-with-parameters"}},
		{Name: "by-default", Rule: notice.SessionStartedByDefault(), Want: []string{"role-by-default"}},
		{Name: "resumed", Rule: notice.SessionResumed(), Want: []string{"resumed"}},
		{Name: "ended", Rule: notice.SessionEnded(), Want: []string{"terminated"}},
		{Name: "break-glass", Rule: notice.BreakGlass("OnCall", []notice.Document{emergency}), Want: []string{"break-glass"}},
		{Name: "break-glass-by-arn", Rule: notice.BreakGlass("OnCall", []notice.Document{emergency, shell}), Want: []string{
			"break-glass", "reason-with-quotes", "user-with-document", "user-with-document-arn",
		}},
		{Name: "tunnel", Rule: notice.TunnelOpened(), Want: []string{"tunnel-opened", "tunnel-opened-for-rdp"}},
		{Name: "key-pushed", Rule: notice.KeyPushed(), Want: []string{"key-pushed"}},
		{Name: "serial-console", Rule: notice.SerialConsole(), Want: []string{"serial-console-used"}},
		{Name: "refused", Rule: notice.Refused(), Want: []string{
			"key-refused", "key-refused-by-service", "refused", "resume-refused", "serial-console-refused", "tunnel-refused",
		}},
		{Name: "root", Rule: notice.RootUsed(), Want: []string{"root-failed-to-sign-in", "root-made-a-key", "root-signed-in"}},
		{Name: "records", Rule: records[0], Want: []string{
			"bucket-deleted", "bucket-encryption-deleted", "bucket-lifecycle-changed", "bucket-lock-changed", "bucket-policy-changed",
			"bucket-policy-changed-by-deployment", "bucket-policy-deleted", "bucket-replication-deleted", "bucket-versioning-suspended",
			"flow-log-deleted", "flow-logs-deleted",
			"key-deletion-scheduled", "key-disabled-by-arn", "key-policy-changed", "key-rotation-disabled",
			"log-group-deleted", "log-metric-filter-deleted", "log-protection-off", "log-retention-shortened", "log-stream-deleted",
			"log-subscription-deleted", "log-subscription-put",
			"trail-deleted", "trail-selectors-changed", "trail-stopped", "trail-updated",
		}},
		{Name: "records-of-any-account", Rule: notice.RecordsTampered(notice.Protected{})[0], Want: []string{
			"flow-log-deleted", "flow-logs-deleted", "log-protection-off", "trail-deleted", "trail-selectors-changed", "trail-stopped", "trail-updated",
		}},
		{Name: "doors", Rule: notice.DoorsTampered(notice.Protected{Documents: []string{"Postern-Shell"}})[0], Want: []string{
			"document-default-changed", "document-deleted-by-arn", "document-shared", "document-updated",
			"endpoint-created", "preferences-updated", "serial-console-switched-on", "setting-reset", "setting-updated",
		}},
		{Name: "ports", Rule: notice.PortsOpened(), Want: []string{
			"port-22-modified", "port-22-opened", "port-22-opened-by-deployment", "port-22-opened-by-old-program", "port-22-opened-for-one-address",
			"port-22-opened-ipv6", "port-3389-modified-ipv6", "port-3389-opened-for-prefix-list", "port-443-opened-and-22",
			"ports-20-to-25-opened", "ports-all-opened", "protocols-all-modified", "protocols-all-opened",
		}, ListsOfObjects: []string{
			"port-22-opened", "port-22-opened-by-deployment", "port-22-opened-for-one-address", "port-22-opened-ipv6", "port-3389-opened-for-prefix-list",
			"port-443-opened-and-22", "ports-20-to-25-opened", "ports-all-opened", "protocols-all-opened",
		}},
		{Name: "watch", Rule: notice.WatchTampered(notice.Prefix("Postern-Watch"), []string{Topic}), Want: []string{
			"bus-changed", "rule-deleted-by-deployment", "rule-disabled", "rule-disabled-by-deployment",
			"rule-of-the-watch-disabled", "rule-of-the-watch-disabled-by-deployment", "rule-of-the-watch-rewritten", "rule-of-the-watch-targets-removed",
			"rule-rewritten", "rule-target-replaced-by-deployment", "rule-targets-put", "rule-targets-removed", "rule-targets-removed-by-deployment",
		}, ListsOfObjects: []string{"rule-target-replaced-by-deployment"}},
		{Name: "alarms", Rule: notice.AlarmsTampered(notice.Prefix("Postern-Watch")), Want: []string{
			"alarm-actions-disabled", "alarm-muted", "alarm-muted-by-deployment", "alarm-rewritten", "alarm-silenced-by-deployment", "alarm-state-set",
			"alarms-deleted", "composite-alarm-silenced-by-deployment", "metric-filter-rewritten",
		}},
		{Name: "delivery", Rule: notice.DeliveryTampered(notice.Delivery{Watch: WatchRule, Queue: Queue, Function: Function, KeyID: TopicKeyID}), Want: []string{
			"function-code-changed", "function-code-changed-by-arn", "function-deleted-by-deployment", "function-held-back", "function-held-back-by-deployment",
			"function-permission-removed", "function-tries-changed", "function-tries-deleted-by-deployment",
			"queue-deleted-by-deployment", "queue-policy-changed", "queue-purged",
			"rule-of-the-watch-disabled", "rule-of-the-watch-disabled-by-deployment", "rule-of-the-watch-rewritten", "rule-of-the-watch-targets-removed",
			"topic-key-disabled", "topic-key-policy-changed",
		}},
		{Name: "delivery-without-function", Rule: notice.DeliveryTampered(notice.Delivery{Watch: WatchRule, Queue: Queue}), Want: []string{
			"queue-deleted-by-deployment", "queue-policy-changed", "queue-purged",
			"rule-of-the-watch-disabled", "rule-of-the-watch-disabled-by-deployment", "rule-of-the-watch-rewritten", "rule-of-the-watch-targets-removed",
		}},
		{Name: "deployment", Rule: notice.GuardsDeployed(Stack, "WatchTamperingWatch0A1B2C", "WatchTamperingTopics3D4E5F", "WatchTamperingDeployment6A7B8C"), Want: []string{
			"stack-guard-deleting", "stack-guard-updating", "stack-last-guard-updating",
		}},
		{Name: "non-compliant", Rule: notice.NonCompliant([]string{"Watch-ComplianceImdsv2-EXAMPLE", ConfigRule}), Want: []string{
			"config-port-open", "config-port-open-at-first",
		}},
		{Name: "topics", Rule: notice.TopicsTampered([]string{"arn:aws:sns:eu-west-1:111122223333:other", Topic})[1], Want: []string{
			"subscription-filtered-by-deployment", "subscription-removed", "subscription-removed-by-deployment",
			"topic-attributes-changed", "topic-deleted", "topic-deleted-by-deployment", "topic-filtered-by-deployment",
			"topic-key-changed-by-deployment", "topic-permission-removed",
		}},
	}
}
