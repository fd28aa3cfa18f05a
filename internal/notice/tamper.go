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
	"topic":        "$.detail.requestParameters.topicArn",
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
// rules as the names need, one at least. watch is the name of the rule of
// [WatchTampered], so that each of the two tells when the other is switched off.
func RecordsTampered(p Protected, watch string) []Rule {
	always := []any{
		alternative("cloudtrail.amazonaws.com", nil, "StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"),
		alternative("ec2.amazonaws.com", nil, "DeleteFlowLogs"),
		alternative("logs.amazonaws.com", map[string]any{"deletionProtectionEnabled": []any{false}}, "PutLogGroupDeletionProtection"),
	}
	if watch != "" {
		always = append(always, alternative("events.amazonaws.com", map[string]any{"name": []any{watch}}, "DisableRule", "DeleteRule"))
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

// byOthers is everybody but CloudFormation.
var byOthers = []any{map[string]any{"anything-but": []any{"cloudformation.amazonaws.com"}}}

// WatchTampered tells of changes to the rules, alarms and functions that tell of
// changes. What a deployment puts in place is left out, as it would tell of itself;
// what one removes is not.
func WatchTampered(prefix string) Rule {
	ours := []any{map[string]any{"prefix": prefix}}
	return Rule{
		Pattern: pattern(either([]any{
			alternative("events.amazonaws.com", map[string]any{"name": ours}, "DisableRule", "DeleteRule"),
			alternative("monitoring.amazonaws.com", map[string]any{"alarmNames": ours}, "DeleteAlarms", "DisableAlarmActions"),
			map[string]any{"sourceIPAddress": byOthers, "$or": []any{
				alternative("events.amazonaws.com", map[string]any{"name": ours}, "PutRule"),
				alternative("events.amazonaws.com", map[string]any{"rule": ours}, "PutTargets", "RemoveTargets"),
				alternative("monitoring.amazonaws.com", map[string]any{"alarmName": ours}, "PutMetricAlarm", "PutCompositeAlarm", "SetAlarmState"),
				map[string]any{
					"eventSource":       []any{"lambda.amazonaws.com"},
					"eventName":         []any{map[string]any{"prefix": "UpdateFunction"}, map[string]any{"prefix": "DeleteFunction"}, map[string]any{"prefix": "PutFunctionConcurrency"}},
					"requestParameters": map[string]any{"functionName": ours},
				},
			}},
		})),
		Words: watchTampered,
	}
}

// TopicsTampered tells of changes to topics, by ARN, and to who gets their messages.
func TopicsTampered(topics []string) Rule {
	var subscriptions []any
	for _, topic := range topics {
		subscriptions = append(subscriptions, map[string]any{"prefix": topic})
	}
	changes := either([]any{
		alternative("sns.amazonaws.com", map[string]any{"topicArn": list(topics)}, "DeleteTopic", "SetTopicAttributes", "AddPermission", "RemovePermission"),
		alternative("sns.amazonaws.com", map[string]any{"subscriptionArn": subscriptions}, "Unsubscribe", "SetSubscriptionAttributes"),
	})
	changes["sourceIPAddress"] = byOthers
	return Rule{Pattern: pattern(changes), Words: watchTampered}
}

var watchTampered = say(join(caller, done, recorded, changed), "TAMPERING WITH THE WATCH: <who>: <what> <rule><topic><subscription>", origin,
	"Notices or alarms of the ways in may not come any more.", record,
	unknown+"then deploy the stack of the watch again. What was not told meanwhile is in CloudTrail.")

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
