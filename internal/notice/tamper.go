package notice

import (
	"maps"
	"strings"

	"github.com/postern-cdk/postern/internal/check"
)

// Protected names what nobody should change without others being told. Names may
// be tokens.
type Protected struct {
	// Buckets, by name, hold records.
	Buckets []string
	// KeyIDs are of the keys that records are encrypted with: the UUID, not the ARN.
	KeyIDs []string
	// LogGroups, by name, take records.
	LogGroups []string
	// Documents, by name, say what sessions are like.
	Documents []string
}

// accountDefault is the document that everybody gets who names none.
const accountDefault = "SSM-SessionManagerRunShell"

var changed = map[string]string{
	"trail":        "$.detail.requestParameters.name",
	"selector":     "$.detail.requestParameters.trailName",
	"bucket":       "$.detail.requestParameters.bucketName",
	"key":          "$.detail.requestParameters.keyId",
	"group":        "$.detail.requestParameters.logGroupName",
	"document":     "$.detail.requestParameters.name",
	"setting":      "$.detail.requestParameters.settingId",
	"endpoint":     "$.detail.responseElements.CreateInstanceConnectEndpointResponse.instanceConnectEndpoint.instanceConnectEndpointId",
	"opened":       "$.detail.requestParameters.groupId",
	"modified":     "$.detail.requestParameters.ModifySecurityGroupRulesRequest.GroupId",
	"rule":         "$.detail.requestParameters.name",
	"targets":      "$.detail.requestParameters.rule",
	"function":     "$.detail.requestParameters.functionName",
	"topic":        "$.detail.requestParameters.topicArn",
	"filtered":     "$.detail.requestParameters.resourceArn",
	"subscription": "$.detail.requestParameters.subscriptionArn",
}

const unknown = "If nobody of yours did this, take the caller its rights first: "

// MaxPattern is how many characters EventBridge takes as a pattern
// (docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html).
const MaxPattern = 2048

// tokenLength is how long a name may turn out that is only known when it is
// deployed: names that CloudFormation makes up are shorter.
const tokenLength = 128

// How many characters of names there are beside the rest of a pattern, in the first
// rule, which has more, and in others.
const (
	roomFirst = 800
	room      = 1200
)

// RecordsTampered tells of changes to what keeps records: any trail and flow log of
// the account, and the buckets, keys and log groups that are named. There are as many
// rules as the names need, one at least.
func RecordsTampered(p Protected) []Rule {
	always := []any{
		alternative("cloudtrail.amazonaws.com", nil, "StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"),
		alternative("ec2.amazonaws.com", nil, "DeleteFlowLogs"),
		alternative("logs.amazonaws.com", map[string]any{"deletionProtectionEnabled": []any{false}}, "PutLogGroupDeletionProtection"),
	}
	var rules []Rule
	for first := true; first || !p.empty(); first = false {
		characters := room
		if first {
			characters = roomFirst
		}
		part := p.take(characters)
		var named []any
		if len(part.Buckets) > 0 {
			// Whatever is put to a bucket as a whole, or deleted of it, is its settings.
			named = append(named, map[string]any{
				"eventSource":       []any{"s3.amazonaws.com"},
				"eventName":         []any{map[string]any{"prefix": "PutBucket"}, map[string]any{"prefix": "DeleteBucket"}, "PutObjectLockConfiguration"},
				"requestParameters": map[string]any{"bucketName": list(part.Buckets)},
			})
		}
		if len(part.KeyIDs) > 0 {
			named = append(named, alternative("kms.amazonaws.com", map[string]any{"keyId": suffixes(part.KeyIDs)},
				"DisableKey", "ScheduleKeyDeletion", "PutKeyPolicy", "DisableKeyRotation", "DeleteImportedKeyMaterial"))
		}
		if len(part.LogGroups) > 0 {
			named = append(named, alternative("logs.amazonaws.com", map[string]any{"logGroupName": list(part.LogGroups)},
				"DeleteLogGroup", "DeleteLogStream", "PutRetentionPolicy", "PutSubscriptionFilter", "DeleteSubscriptionFilter",
				"DeleteMetricFilter", "DisassociateKmsKey", "DeleteDataProtectionPolicy"))
		}
		if first {
			named = append(always, named...)
		}
		rules = append(rules, Rule{
			Pattern: pattern(either(named)),
			Words: say(join(caller, done, recorded, changed), "TAMPERING WITH RECORDS: <who>: <what> <trail><selector><bucket><key><group>", origin,
				"This decides what is recorded, for how long, or who can read it. A deployment of yours that changes it is told of, too: then it is from cloudformation.amazonaws.com.",
				record, unknown+"what stopped can be started again (aws cloudtrail start-logging, aws kms cancel-key-deletion, aws kms enable-key), what was not recorded stays lost."),
		})
	}
	return rules
}

// DoorsTampered tells of changes to the ways in: session documents, settings of
// Systems Manager, new endpoints, the serial console. There are as many rules as the
// names of documents need.
func DoorsTampered(p Protected) []Rule {
	documents := append([]string{accountDefault}, p.Documents...)
	always := []any{
		alternative("ssm.amazonaws.com", nil, "UpdateServiceSetting", "ResetServiceSetting"),
		alternative("ec2.amazonaws.com", nil, "CreateInstanceConnectEndpoint", "ModifyInstanceConnectEndpoint", "EnableSerialConsoleAccess"),
	}
	var rules []Rule
	for len(documents) > 0 {
		// Each is there twice, by its name and by what ends its ARN.
		part := Protected{Documents: documents}
		names := []any{}
		for _, name := range part.takeDocuments(room) {
			names = append(names, name, map[string]any{"suffix": ":document/" + name})
		}
		documents = part.Documents
		rules = append(rules, Rule{
			Pattern: pattern(either(append([]any{
				alternative("ssm.amazonaws.com", map[string]any{"name": names},
					"CreateDocument", "UpdateDocument", "UpdateDocumentDefaultVersion", "DeleteDocument", "ModifyDocumentPermission"),
			}, always...))),
			Words: say(join(caller, done, recorded, changed), "TAMPERING WITH A WAY IN: <who>: <what> <document><setting><endpoint>", origin,
				"This decides who gets in, or whether what they do is recorded. A deployment of yours that changes it is told of, too: then it is from cloudformation.amazonaws.com.",
				record, unknown+"then deploy the stack that owns it again, which the record names."),
		})
		always = nil
	}
	return rules
}

// PortsOpened tells of security groups that let addresses in on the port of SSH or
// of RDP, or on every port: whichever group, and whichever range the port is in.
// Rules that name another security group are the usual way from a host to its
// targets, and are not told of.
//
// docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html
func PortsOpened() Rule {
	items := func(key, value string) map[string]any {
		return map[string]any{key: map[string]any{"items": map[string]any{value: present}}}
	}
	permissions := ports("ipProtocol", "fromPort", "toPort",
		items("ipRanges", "cidrIp"), items("ipv6Ranges", "cidrIpv6"), items("prefixListIds", "prefixListId"))
	// What old programs send: one rule, beside an empty list.
	alone := ports("ipProtocol", "fromPort", "toPort", map[string]any{"cidrIp": present})
	modified := ports("IpProtocol", "FromPort", "ToPort",
		map[string]any{"CidrIpv4": present}, map[string]any{"CidrIpv6": present}, map[string]any{"PrefixListId": present})
	return Rule{
		Pattern: pattern(map[string]any{
			"errorCode": absent, "eventSource": []any{"ec2.amazonaws.com"},
			"eventName": []any{"AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules"},
			"requestParameters": map[string]any{"$or": []any{
				map[string]any{"ipPermissions": map[string]any{"items": map[string]any{"$or": permissions}}},
				map[string]any{"$or": alone},
				map[string]any{"ModifySecurityGroupRulesRequest": map[string]any{
					"SecurityGroupRule": map[string]any{"SecurityGroupRule": map[string]any{"$or": modified}},
				}},
			}},
		}),
		Words: say(join(caller, done, recorded, changed), "PORT 22 OR 3389 OPENED: <who>: <what> <opened><modified>", origin,
			"Addresses may now reach what has this security group by SSH or RDP, past every door.", record,
			"See it: aws ec2 describe-security-group-rules --filters Name=group-id,Values=<opened><modified> --region <region>",
			"End it: aws ec2 revoke-security-group-ingress --group-id <opened><modified> --security-group-rule-ids ID_FROM_ABOVE --region <region>"),
	}
}

// ports are the ways in which a rule for one of the sources includes one of the two
// ports. All of a rule is in one alternative, so that EventBridge does not take the
// port from one rule of a call and the address from another.
func ports(protocol, from, to string, sources ...map[string]any) []any {
	span := func(port int) map[string]any {
		return map[string]any{
			from: []any{map[string]any{"numeric": []any{"<=", port}}},
			to:   []any{map[string]any{"numeric": []any{">=", port}}},
		}
	}
	ways := []any{}
	for _, way := range []map[string]any{span(22), span(3389), {protocol: []any{"-1"}}} {
		if len(sources) == 1 {
			maps.Copy(way, sources[0])
		} else {
			alternatives := make([]any, len(sources))
			for i, source := range sources {
				alternatives[i] = source
			}
			way["$or"] = alternatives
		}
		ways = append(ways, way)
	}
	return ways
}

// byOthers is everybody but CloudFormation. No caller can write that name: it is
// there only where the service itself calls.
//
// docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
var byOthers = []any{map[string]any{"anything-but": []any{"cloudformation.amazonaws.com"}}}

// What is told of the watch itself is in two parts. What switches it off, or takes a
// part away, is told of whoever calls, so that the right to update its stack is no
// right to silence it. What puts a part in place is told of but for CloudFormation:
// a deployment does nothing else, and would tell of itself.

// WatchTampered tells of changes to the rules that tell: those whose names have the
// prefix, and that send to none but the targets, by ARN.
func WatchTampered(prefix string, targets []string) Rule {
	names := []any{map[string]any{"prefix": prefix}}
	changes := rulesTampered(names)
	changes = append(changes,
		map[string]any{
			"eventSource": []any{events}, "eventName": []any{"PutTargets"},
			// Of several, one that is not ours is enough.
			"requestParameters": map[string]any{"rule": names, "targets": map[string]any{"arn": []any{map[string]any{"anything-but": list(targets)}}}},
		},
		// All of them listen to one bus. It can be given a key, and an end.
		alternative(events, map[string]any{"name": []any{"default"}}, "UpdateEventBus"),
	)
	return Rule{Pattern: pattern(either(changes)), Words: tampering("<rule><targets>")}
}

const events = "events.amazonaws.com"

// rulesTampered are the changes to some rules. CloudFormation takes a target away
// only where the template has it no more, and all of them before it deletes a rule.
//
// docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
func rulesTampered(names []any) []any {
	return []any{
		changing(events, map[string]any{"name": names}, []any{"DisableRule", "DeleteRule"}, []any{"PutRule"}),
		alternative(events, map[string]any{"name": names, "state": []any{"DISABLED"}}, "PutRule"),
		changing(events, map[string]any{"rule": names}, []any{"RemoveTargets"}, []any{"PutTargets"}),
	}
}

// AlarmsTampered tells of changes to the alarms whose names have the prefix, and to
// the metric filters that they count by. Neither name is in the message: it may hold
// any text. That a metric filter is deleted is told of with the log group's records.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutAlarmMuteRule.html
func AlarmsTampered(prefix string) Rule {
	const source = "monitoring.amazonaws.com"
	ours := []any{map[string]any{"prefix": prefix}}
	filters := alternative("logs.amazonaws.com", map[string]any{"filterName": ours}, "PutMetricFilter")
	filters["sourceIPAddress"] = byOthers
	return Rule{
		Pattern: pattern(either([]any{
			alternative(source, map[string]any{"alarmNames": ours}, "DeleteAlarms", "DisableAlarmActions"),
			alternative(source, map[string]any{"muteTargets": map[string]any{"alarmNames": ours}}, "PutAlarmMuteRule"),
			alternative(source, map[string]any{"alarmName": ours, "actionsEnabled": []any{false}}, "PutMetricAlarm", "PutCompositeAlarm"),
			map[string]any{
				"eventSource": []any{source}, "eventName": []any{"PutMetricAlarm", "PutCompositeAlarm", "SetAlarmState"},
				"requestParameters": map[string]any{"alarmName": ours}, "sourceIPAddress": byOthers,
			},
			filters,
		})),
		Words: tampering(""),
	}
}

// Delivery is what brings notices to people, beside topics. Names may be tokens.
type Delivery struct {
	// Watch is the name of the rule of [WatchTampered], so that each of the two tells
	// when the other is switched off.
	Watch string
	// Queue, by name, keeps what could not be told.
	Queue string
	// Function, by name, tells; "" where there is none.
	Function string
	// KeyID is of the key of the topics; "" where it is told of elsewhere, or nobody
	// knows it.
	KeyID string
}

// DeliveryTampered tells of changes to what brings notices to people. The URL of the
// queue is not in the message, as a caller writes it.
func DeliveryTampered(d Delivery) Rule {
	changes := append(rulesTampered([]any{d.Watch}),
		changing("sqs.amazonaws.com", map[string]any{"queueUrl": []any{map[string]any{"suffix": "/" + d.Queue}}},
			[]any{"PurgeQueue", "DeleteQueue"}, []any{"SetQueueAttributes", "AddPermission", "RemovePermission"}))
	where := "<rule><targets>"
	if d.Function != "" {
		begin := func(text string) any { return map[string]any{"prefix": text} }
		// It may be called by its name or ARN, with a version or without.
		// docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html
		names := []any{begin(d.Function), map[string]any{"wildcard": "*:function:" + d.Function + "*"}}
		changes = append(changes, changing("lambda.amazonaws.com", map[string]any{"functionName": names},
			// A deployment of ours reserves nothing: whoever does means to hold it back.
			[]any{begin("DeleteFunction"), begin("PutFunctionConcurrency")},
			[]any{begin("UpdateFunction"), begin("PutFunction"), begin("RemovePermission")}))
		where += "<function>"
	}
	if d.KeyID != "" {
		changes = append(changes, changing("kms.amazonaws.com", map[string]any{"keyId": suffixes([]string{d.KeyID})},
			[]any{"DisableKey", "ScheduleKeyDeletion"}, []any{"PutKeyPolicy"}))
		where += "<key>"
	}
	return Rule{Pattern: pattern(either(changes)), Words: tampering(where)}
}

// TopicsTampered tells of changes to topics, by ARN, and to who gets their messages,
// by a rule for each topic. Who unsubscribes by the link in an e-mail makes no call
// that CloudTrail has.
//
// docs.aws.amazon.com/sns/latest/dg/sns-logging-using-cloudtrail.html
func TopicsTampered(topics []string) []Rule {
	const source = "sns.amazonaws.com"
	var rules []Rule
	for _, topic := range topics {
		named := []any{topic}
		rules = append(rules, Rule{
			Pattern: pattern(either([]any{
				changing(source, map[string]any{"topicArn": named}, []any{"DeleteTopic", "RemovePermission"}, []any{"SetTopicAttributes", "AddPermission"}),
				// With a key that CloudWatch can't use, alarms vanish.
				alternative(source, map[string]any{"topicArn": named, "attributeName": []any{"KmsMasterKeyId"}}, "SetTopicAttributes"),
				alternative(source, map[string]any{"resourceArn": named}, "PutDataProtectionPolicy"),
				// A deployment sets what a subscription has as it makes it.
				alternative(source, map[string]any{"subscriptionArn": []any{map[string]any{"prefix": topic + ":"}}}, "Unsubscribe", "SetSubscriptionAttributes"),
			})),
			Words: tampering("<topic><filtered><subscription>"),
		})
	}
	return rules
}

func tampering(where string) Words {
	return say(join(caller, done, recorded, changed), strings.TrimRight("TAMPERING WITH THE WATCH: <who>: <what> "+where, " "), origin,
		"Notices or alarms of the ways in may not come any more. A deployment that switches something off or takes it away is told of, too: then it is from cloudformation.amazonaws.com.", record,
		unknown+"then deploy the stack of the watch again. What was not told meanwhile is in CloudTrail.")
}

// viaCloudFormation is the detail-type of what CloudFormation does with one resource.
//
// docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/event-detail-resource-status-change.html
const viaCloudFormation = "CloudFormation Resource Status Change"

// GuardsDeployed tells when a deployment begins to change one of some resources of a
// stack, or to delete the first, by their logical IDs. EventBridge gets it from
// CloudFormation itself, before the change and without a trail: calls are told of
// minutes later, when a deployment may have changed whatever would tell of them.
// That the first is deleted stands for all of them, so that the end of the stack is
// told once.
//
// docs.aws.amazon.com/eventbridge/latest/ref/events-ref-cloudformation.html
func GuardsDeployed(stackID string, guards ...string) Rule {
	step := func(status string, resources []string) any {
		return map[string]any{"logical-resource-id": list(resources), "status-details": map[string]any{"status": []any{status}}}
	}
	return Rule{
		Pattern: map[string]any{
			"source":      []any{"aws.cloudformation"},
			"detail-type": []any{viaCloudFormation},
			"detail": map[string]any{
				"stack-id": []any{stackID},
				"$or":      []any{step("UPDATE_IN_PROGRESS", guards), step("DELETE_IN_PROGRESS", guards[:1])},
			},
		},
		Words: say(map[string]string{
			"status":   "$.detail.status-details.status",
			"resource": "$.detail.logical-resource-id",
			"stack":    "$.detail.stack-id",
			"when":     "$.time",
			"region":   "$.region",
			"account":  "$.account",
		}, "TAMPERING WITH THE WATCH: a deployment: <status> <resource>",
			"In: <stack>. When: <when>. Where: account <account>, region <region>.",
			"This is one of the rules that tell of tampering with the watch. A new version of Postern may change it, and whoever deletes the stack takes it away. Notices may not come any more.",
			"Look closer: aws cloudformation describe-stack-events --stack-name <stack> --region <region>",
			"Who: aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventSource,AttributeValue=cloudformation.amazonaws.com --region <region>",
			unknown+"then deploy the stack of the watch again. What was not told meanwhile is in CloudTrail."),
	}
}

// changing are calls about one thing: some by whoever makes them, others by all but
// CloudFormation.
func changing(service string, parameters map[string]any, whoever, others []any) map[string]any {
	return map[string]any{
		"eventSource": []any{service}, "requestParameters": parameters,
		"$or": []any{map[string]any{"eventName": whoever}, map[string]any{"eventName": others, "sourceIPAddress": byOthers}},
	}
}

// alternative is one of several ways in which a call may match.
func alternative(service string, parameters map[string]any, names ...string) map[string]any {
	a := map[string]any{"eventSource": []any{service}, "eventName": list(names)}
	if parameters != nil {
		a["requestParameters"] = parameters
	}
	return a
}

// either matches calls that succeeded and fit one alternative. EventBridge wants two
// at least.
//
// docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-complex-example-or
func either(alternatives []any) map[string]any {
	detail := map[string]any{"errorCode": absent}
	if len(alternatives) > 1 {
		detail["$or"] = alternatives
		return detail
	}
	maps.Copy(detail, alternatives[0].(map[string]any))
	return detail
}

func suffixes(texts []string) []any {
	all := make([]any, len(texts))
	for i, text := range texts {
		all[i] = map[string]any{"suffix": text}
	}
	return all
}

func (p *Protected) empty() bool { return len(p.Buckets)+len(p.KeyIDs)+len(p.LogGroups) == 0 }

// take removes what there is room for, one name at least.
func (p *Protected) take(characters int) Protected {
	var part Protected
	taken := false
	for _, kind := range []struct{ from, to *[]string }{
		{&p.Buckets, &part.Buckets}, {&p.KeyIDs, &part.KeyIDs}, {&p.LogGroups, &part.LogGroups},
	} {
		for len(*kind.from) > 0 {
			name := (*kind.from)[0]
			length := len(name)
			if check.Token(name) {
				length = tokenLength
			}
			length += len(`{"suffix":""},`)
			if taken && length > characters {
				return part
			}
			*kind.to = append(*kind.to, name)
			*kind.from = (*kind.from)[1:]
			characters -= length
			taken = true
		}
	}
	return part
}

// takeDocuments removes what there is room for, one name at least.
func (p *Protected) takeDocuments(characters int) []string {
	n := 0
	for n < len(p.Documents) {
		length := len(p.Documents[n])
		if check.Token(p.Documents[n]) {
			length = tokenLength
		}
		characters -= 2*length + len(`"",{"suffix":":document/"},`)
		if n > 0 && characters < 0 {
			break
		}
		n++
	}
	taken := p.Documents[:n]
	p.Documents = p.Documents[n:]
	return taken
}

// Prefix is how CloudFormation begins the names that it makes up of 64 characters
// for what is in a stack: names of rules and functions.
func Prefix(stack string) string {
	if check.Token(stack) {
		return stack
	}
	// It cuts long names, somewhere after 20 characters.
	const kept = 20
	if len(stack) > kept {
		return stack[:kept]
	}
	return strings.TrimSuffix(stack, "-") + "-"
}
