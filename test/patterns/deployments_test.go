package patterns_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"quamina.net/go/quamina"

	"github.com/postern-cdk/postern/internal/notice/noticetest"
)

// What CloudFormation calls to put a stack of the watch in place, and to change it, is
// asked of all rules of that stack: a deployment must not tell of itself, and must not
// silence them untold. Names and ARNs are as CloudFormation would make them up.
//
// Which calls those are is known from the resource handlers that AWS publishes, such as
// github.com/aws-cloudformation/aws-cloudformation-resource-providers-events.

const (
	deployedAs = "eu-west-1:111122223333"
	service    = "cloudformation.amazonaws.com"
	somebody   = "203.0.113.10"
)

type resource struct {
	Type       string
	Properties map[string]any
}

type deployed struct {
	name      string
	resources map[string]resource
	rules     map[string]*quamina.Quamina // by logical ID
}

// deploy reads a stack as it is synthesized, and resolves what is known when it is
// deployed.
func deploy(t *testing.T, file, name string) *deployed {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var template struct{ Resources map[string]resource }
	require.NoError(t, json.Unmarshal(text, &template))
	d := &deployed{name: name, resources: template.Resources, rules: map[string]*quamina.Quamina{}}
	for id, r := range d.resources {
		r.Properties = d.resolve(t, r.Properties).(map[string]any)
		d.resources[id] = r
	}
	for id, r := range d.resources {
		if r.Type != "AWS::Events::Rule" {
			continue
		}
		q, err := quamina.New()
		require.NoError(t, err)
		for _, alternative := range noticetest.Alternatives(r.Properties["EventPattern"].(map[string]any)) {
			text, err := json.Marshal(translate(t, alternative, nil, nil))
			require.NoError(t, err)
			require.NoError(t, q.AddPattern(id, string(text)), string(text))
		}
		d.rules[id] = q
	}
	require.NotEmpty(t, d.rules)
	return d
}

func (d *deployed) resolve(t *testing.T, value any) any {
	t.Helper()
	switch value := value.(type) {
	case []any:
		list := make([]any, len(value))
		for i, one := range value {
			list[i] = d.resolve(t, one)
		}
		return list
	case map[string]any:
		if len(value) == 1 {
			for function, argument := range value {
				switch function {
				case "Ref":
					return d.ref(argument.(string))
				case "Fn::GetAtt":
					parts := argument.([]any)
					return d.attribute(parts[0].(string), parts[1].(string))
				case "Fn::ImportValue", "Fn::Select": // of another stack: another name
					return "other-" + strings.ReplaceAll(fmt.Sprint(argument), ":", "-")
				case "Fn::Join":
					parts := d.resolve(t, argument.([]any)[1]).([]any)
					var all []string
					for _, part := range parts {
						all = append(all, fmt.Sprint(part))
					}
					return strings.Join(all, argument.([]any)[0].(string))
				}
				require.False(t, strings.HasPrefix(function, "Fn::"), "%s is not known here", function)
			}
		}
		all := map[string]any{}
		for key, one := range value {
			all[key] = d.resolve(t, one)
		}
		return all
	}
	return value
}

func (d *deployed) physical(id string) string { return d.name + "-" + id + "-EXAMPLE" }

func (d *deployed) ref(id string) string {
	switch id {
	case "AWS::StackId":
		return "arn:aws:cloudformation:" + deployedAs + ":stack/" + d.name + "/0a1b2c3d"
	case "AWS::Region", "AWS::AccountId", "AWS::Partition", "AWS::URLSuffix", "AWS::StackName":
		return map[string]string{
			"AWS::Region": "eu-west-1", "AWS::AccountId": "111122223333", "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com", "AWS::StackName": d.name,
		}[id]
	}
	switch d.resources[id].Type {
	case "AWS::SNS::Topic":
		return d.attribute(id, "Arn")
	case "AWS::SQS::Queue":
		return "https://sqs.eu-west-1.amazonaws.com/111122223333/" + d.physical(id)
	}
	return d.physical(id)
}

func (d *deployed) attribute(id, name string) string {
	if name != "Arn" {
		return d.physical(id)
	}
	kind := map[string]string{"AWS::SNS::Topic": "sns:" + deployedAs + ":", "AWS::Lambda::Function": "lambda:" + deployedAs + ":function:", "AWS::Events::Rule": "events:" + deployedAs + ":rule/"}[d.resources[id].Type]
	return "arn:aws:" + kind + d.physical(id)
}

type call struct {
	service, name string
	parameters    map[string]any
}

// puts are the calls that make a resource what the template says. Types without a call
// that could be told of have none here; every type has to be known.
func (d *deployed) puts(t *testing.T, id string) []call {
	t.Helper()
	r := d.resources[id]
	p := r.Properties
	switch r.Type {
	case "AWS::Events::Rule":
		return []call{
			{"events", "PutRule", map[string]any{"name": d.ref(id), "state": p["State"]}},
			{"events", "PutTargets", map[string]any{"rule": d.ref(id), "targets": targetsOf(p["Targets"])}},
		}
	case "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm":
		name := "PutMetricAlarm"
		if r.Type == "AWS::CloudWatch::CompositeAlarm" {
			name = "PutCompositeAlarm"
		}
		parameters := map[string]any{"alarmName": d.ref(id)}
		for from, to := range map[string]string{"ActionsEnabled": "actionsEnabled", "AlarmActions": "alarmActions", "ActionsSuppressor": "actionsSuppressor"} {
			if value, ok := p[from]; ok {
				parameters[to] = value
			}
		}
		return []call{{"monitoring", name, parameters}}
	case "AWS::Logs::MetricFilter":
		return []call{{"logs", "PutMetricFilter", map[string]any{"filterName": d.ref(id), "logGroupName": p["LogGroupName"]}}}
	case "AWS::SNS::Topic":
		return []call{{"sns", "CreateTopic", map[string]any{"name": d.physical(id)}}}
	case "AWS::SNS::TopicPolicy":
		return []call{{"sns", "SetTopicAttributes", map[string]any{"topicArn": p["Topics"].([]any)[0], "attributeName": "Policy", "attributeValue": "{}"}}}
	case "AWS::SNS::Subscription":
		return []call{{"sns", "Subscribe", map[string]any{"topicArn": p["TopicArn"], "protocol": p["Protocol"]}}}
	case "AWS::SQS::Queue":
		return []call{{"sqs", "CreateQueue", map[string]any{"queueName": d.physical(id)}}}
	case "AWS::SQS::QueuePolicy":
		return []call{{"sqs", "SetQueueAttributes", map[string]any{"queueUrl": p["Queues"].([]any)[0], "attributes": map[string]any{"Policy": "{}"}}}}
	case "AWS::Lambda::Function":
		named := map[string]any{"functionName": d.ref(id)}
		return []call{{"lambda", "CreateFunction20150331", named}, {"lambda", "UpdateFunctionCode20150331v2", named}, {"lambda", "UpdateFunctionConfiguration20150331v2", named}}
	case "AWS::Lambda::Permission":
		return []call{{"lambda", "AddPermission20150331v2", map[string]any{"functionName": p["FunctionName"]}}}
	case "AWS::Lambda::EventInvokeConfig":
		return []call{{"lambda", "PutFunctionEventInvokeConfig", map[string]any{"functionName": p["FunctionName"], "qualifier": p["Qualifier"]}}}
	case "AWS::Logs::LogGroup":
		return []call{{"logs", "CreateLogGroup", map[string]any{"logGroupName": d.physical(id)}}, {"logs", "PutRetentionPolicy", map[string]any{"logGroupName": d.physical(id)}}}
	case "AWS::Config::ConfigRule":
		return []call{{"config", "PutConfigRule", map[string]any{"configRule": map[string]any{"configRuleName": d.ref(id)}}}}
	case "AWS::CloudWatch::Dashboard", "AWS::Logs::QueryDefinition", "AWS::Chatbot::SlackChannelConfiguration", "AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::InspectorV2::CisScanConfiguration":
		return nil
	}
	require.Failf(t, "a type of resource that is not known here", "%s of %s", r.Type, id)
	return nil
}

func targetsOf(targets any) []any {
	var all []any
	for _, target := range targets.([]any) {
		all = append(all, map[string]any{"id": target.(map[string]any)["Id"], "arn": target.(map[string]any)["Arn"]})
	}
	return all
}

// tell are the rules that tell of a call.
func (d *deployed) tell(t *testing.T, c call, from string) []string {
	t.Helper()
	return d.match(t, map[string]any{
		"detail-type": "AWS API Call via CloudTrail", "source": "aws." + c.service,
		"detail": map[string]any{"eventSource": c.service + ".amazonaws.com", "eventName": c.name, "sourceIPAddress": from, "requestParameters": c.parameters},
	})
}

// tellOfStep are the rules that tell of what CloudFormation does with a resource.
func (d *deployed) tellOfStep(t *testing.T, id, status string) []string {
	t.Helper()
	return d.match(t, map[string]any{
		"detail-type": "CloudFormation Resource Status Change", "source": "aws.cloudformation",
		"detail": map[string]any{"stack-id": d.ref("AWS::StackId"), "logical-resource-id": id, "status-details": map[string]any{"status": status}},
	})
}

func (d *deployed) match(t *testing.T, event map[string]any) []string {
	t.Helper()
	text, err := json.Marshal(event)
	require.NoError(t, err)
	var told []string
	for _, id := range slices.Sorted(maps.Keys(d.rules)) {
		found, err := d.rules[id].MatchesForEvent(text)
		require.NoError(t, err)
		if len(found) > 0 {
			told = append(told, id)
		}
	}
	return told
}

// others are rules without one, which can't tell of itself.
func others(told []string, id string) []string {
	return slices.DeleteFunc(told, func(one string) bool { return one == id })
}

func TestDeploymentsOfTheWatch(t *testing.T) {
	for file, name := range map[string]string{
		"../golden/default/Postern-Watch.json":       "Postern-Watch",
		"../golden/people/Team-Watch.json":           "Team-Watch",
		"../golden/examples/audited/Gate-Watch.json": "Gate-Watch",
		"../golden/examples/audited/Logs-Watch.json": "Logs-Watch",
	} {
		t.Run(file, func(t *testing.T) {
			d := deploy(t, file, name)
			ids := slices.Sorted(maps.Keys(d.resources))
			var guards, updated, deleted []string
			calls, byHand := 0, 0
			for _, id := range ids {
				if isRule := d.rules[id] != nil; isRule {
					for _, guard := range []string{"Watch", "Alarms", "Delivery", "Topics", "Deployment"} {
						if strings.HasPrefix(id, "WatchTampering"+guard) {
							guards = append(guards, id)
						}
					}
				}
				assert.Empty(t, d.tellOfStep(t, id, "CREATE_IN_PROGRESS"), "%s is made", id)
				if told := d.tellOfStep(t, id, "UPDATE_IN_PROGRESS"); len(told) > 0 {
					updated = append(updated, id)
				}
				if told := d.tellOfStep(t, id, "DELETE_IN_PROGRESS"); len(told) > 0 {
					deleted = append(deleted, id)
				}
				for _, c := range d.puts(t, id) {
					calls++
					assert.Empty(t, d.tell(t, c, service), "%s of %s by a deployment", c.name, id)
					if strings.HasPrefix(c.name, "Create") || strings.HasPrefix(c.name, "AddPermission") || c.name == "Subscribe" || c.name == "PutConfigRule" || d.resources[id].Type == "AWS::Logs::LogGroup" {
						continue // makes what was not there
					}
					byHand++
					assert.NotEmpty(t, others(d.tell(t, c, somebody), id), "%s of %s by hand", c.name, id)
				}
			}
			assert.Greater(t, calls, 25)
			assert.Greater(t, byHand, 20)
			assert.Greater(t, len(guards), 4)
			assert.Equal(t, guards, updated, "a deployment tells of itself where it changes what would tell")
			assert.Len(t, deleted, 1, "the end of the stack is told once")

			for _, id := range ids {
				for _, c := range d.silencing(id) {
					told := others(d.tell(t, c, service), id)
					if d.rules[id] != nil {
						told = append(told, others(d.tellOfStep(t, id, "UPDATE_IN_PROGRESS"), id)...)
					}
					assert.NotEmpty(t, told, "%s of %s by a deployment, with %v", c.name, id, c.parameters)
				}
			}
		})
	}
}

// silencing are calls of a deployment that switches a part of the watch off.
func (d *deployed) silencing(id string) []call {
	p := d.resources[id].Properties
	switch d.resources[id].Type {
	case "AWS::Events::Rule":
		return []call{
			{"events", "PutRule", map[string]any{"name": d.ref(id), "state": "DISABLED"}},
			{"events", "RemoveTargets", map[string]any{"rule": d.ref(id), "ids": []any{"Topic"}}},
			{"events", "PutTargets", map[string]any{"rule": d.ref(id), "targets": []any{map[string]any{"id": "Topic", "arn": "arn:aws:sns:eu-west-1:111122223333:nobody"}}}},
			{"events", "DeleteRule", map[string]any{"name": d.ref(id)}},
		}
	case "AWS::CloudWatch::Alarm":
		return []call{
			{"monitoring", "PutMetricAlarm", map[string]any{"alarmName": d.ref(id), "actionsEnabled": false}},
			{"monitoring", "PutAlarmMuteRule", map[string]any{"name": "night", "muteTargets": map[string]any{"alarmNames": []any{"another", d.ref(id)}}}},
			{"monitoring", "DeleteAlarms", map[string]any{"alarmNames": []any{d.ref(id)}}},
		}
	case "AWS::CloudWatch::CompositeAlarm":
		return []call{{"monitoring", "PutCompositeAlarm", map[string]any{"alarmName": d.ref(id), "actionsEnabled": false}}}
	case "AWS::SNS::Topic":
		return []call{
			{"sns", "DeleteTopic", map[string]any{"topicArn": d.ref(id)}},
			{"sns", "SetTopicAttributes", map[string]any{"topicArn": d.ref(id), "attributeName": "KmsMasterKeyId", "attributeValue": "alias/aws/sns"}},
		}
	case "AWS::SNS::Subscription":
		named := map[string]any{"subscriptionArn": p["TopicArn"].(string) + ":0a1b2c3d"}
		return []call{{"sns", "Unsubscribe", named}, {"sns", "SetSubscriptionAttributes", named}}
	case "AWS::Lambda::Function":
		return []call{
			{"lambda", "PutFunctionConcurrency20171031", map[string]any{"functionName": d.ref(id), "reservedConcurrentExecutions": 0}},
			{"lambda", "DeleteFunction20150331", map[string]any{"functionName": d.ref(id)}},
		}
	case "AWS::SQS::Queue":
		return []call{{"sqs", "DeleteQueue", map[string]any{"queueUrl": d.ref(id)}}}
	}
	return nil
}
