package queries_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/flowlog"
	"github.com/postern-cdk/postern/internal/insights"
	"github.com/postern-cdk/postern/internal/queries"
)

var update = flag.Bool("update", false, "write what AWS tells of the day")

const (
	day      = "testdata/day"
	instance = "i-0123456789abcdef0"
	other    = "i-0fedcba9876543210"
	alice    = "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Developer_2b03e7d876722882/alice"
	bob      = "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Developer_2b03e7d876722882/bob"
	deployer = "arn:aws:sts::111122223333:assumed-role/cdk-hnb659fds-cfn-exec-role-111122223333-eu-west-1/AWSCloudFormation"
)

// files has the log groups of the day.
var files = map[queries.Source]string{
	queries.Hosts: "hosts", queries.Sessions: "sessions", queries.Trail: "trail", queries.FlowLogs: "flowlogs",
}

// line is an event as the AWS CLI gives it out.
type line struct {
	LogStreamName string `json:"logStreamName"`
	Timestamp     int64  `json:"timestamp"`
	Message       string `json:"message"`
}

func events(t testing.TB, source queries.Source) []insights.Event {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(day, "logs", files[source]+".jsonl"))
	require.NoError(t, err)
	var all []insights.Event
	for one := range strings.Lines(string(text)) {
		var l line
		require.NoError(t, json.Unmarshal([]byte(one), &l))
		all = append(all, insights.Event{
			Time: time.UnixMilli(l.Timestamp), Account: "111122223333", Group: "/postern/" + files[source], Stream: l.LogStreamName, Message: l.Message,
		})
	}
	require.NotEmpty(t, all)
	return all
}

// sessionOf is the ID of a person's recorded session, and when it began.
func sessionOf(t testing.TB, person string) (id string, begin time.Time) {
	t.Helper()
	for _, e := range events(t, queries.Hosts) {
		var b struct {
			Event, Person, Session string
			Time                   time.Time
		}
		if json.Unmarshal([]byte(e.Message), &b) == nil && b.Event == "begin" && b.Person == person {
			return b.Session, b.Time
		}
	}
	require.Fail(t, "no session of "+person)
	return "", time.Time{}
}

// call is an event of CloudTrail in the shape that AWS documents:
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
type call struct {
	after    time.Duration // of alice's login
	who      string
	from     string
	service  string
	name     string
	asked    any
	answered any
	fault    string
}

type fields = map[string]any

// What a day leaves at AWS: the calls around what alice did on the host, in another
// account's role by Identity Center, what Session Manager streamed, and flow logs.
var calls = []call{
	{-40 * time.Minute, alice, "198.51.100.23", "ssm", "StartSession", nil, nil, "AccessDenied"},
	{
		-38 * time.Minute, alice, "198.51.100.23", "ssm", "StartSession",
		fields{"target": other, "documentName": "Postern-Shell", "reason": "INC-42"},
		fields{"sessionId": "alice-0e34861185201706f", "tokenValue": "Value hidden due to security reasons.", "streamUrl": "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/alice-0e34861185201706f"},
		"",
	},
	{
		-20 * time.Minute, alice, "198.51.100.23", "ec2", "AuthorizeSecurityGroupIngress", fields{"groupId": "sg-0123456789abcdef0", "ipPermissions": fields{"items": []any{fields{
			"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "ipRanges": fields{"items": []any{fields{"cidrIp": "203.0.113.0/24"}}},
		}}}}, fields{"_return": true}, "",
	},
	{
		-2 * time.Minute, bob, "192.0.2.44", "ssm", "StartSession", fields{"target": instance, "documentName": "Postern-SSH"}, fields{"sessionId": "bob-0a1b2c3d4e5f60718"}, "",
	},
	{
		-6 * time.Second, alice, "198.51.100.23", "ec2-instance-connect", "SendSSHPublicKey",
		fields{"instanceId": instance, "instanceOSUser": "alice", "sSHPublicKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOtAlK45MAEWZ7MUY2QEmi3M6W+peGL3VCrc0qH54xRu"},
		fields{"success": true},
		"",
	},
	{
		-5 * time.Second, alice, "198.51.100.23", "ssm", "StartSession", fields{"target": instance, "documentName": "Postern-SSH"}, fields{"sessionId": "alice-0b6f1d2c3a4958677"}, "",
	},
	{
		3 * time.Minute, alice, "198.51.100.23", "ssm", "StartSession", fields{
			"target": instance, "documentName": "AWS-StartPortForwardingSessionToRemoteHost",
			"parameters": fields{"host": []any{"orders.internal"}, "portNumber": []any{"5432"}, "localPortNumber": []any{"15432"}},
		}, nil, "AccessDenied",
	},
	{
		4 * time.Minute, alice, "198.51.100.23", "ec2-instance-connect", "OpenTunnel",
		fields{"instanceConnectEndpointId": "eice-0123456789abcdef0", "maxTunnelDuration": "3600", "remotePort": "22", "privateIpAddress": "10.0.1.17"},
		nil, "",
	},
	{
		5 * time.Minute, deployer, "cloudformation.amazonaws.com", "ssm", "UpdateDocument", fields{"name": "Postern-Shell", "documentVersion": "$LATEST"}, nil, "",
	},
}

func (c *call) event(begin time.Time) string {
	e := fields{
		"eventVersion": "1.11", "eventTime": begin.Add(c.after).UTC().Format(time.RFC3339), "eventSource": c.service + ".amazonaws.com", "eventName": c.name,
		"awsRegion": "eu-west-1", "sourceIPAddress": c.from, "userAgent": "aws-cli/2.31.0", "requestParameters": c.asked, "responseElements": c.answered,
		"userIdentity": fields{
			"type": "AssumedRole", "principalId": "AROAEXAMPLEID1234567:" + c.who[strings.LastIndex(c.who, "/")+1:], "arn": c.who, "accountId": "111122223333",
			"sessionContext": fields{"attributes": fields{"creationDate": begin.Add(-time.Hour).UTC().Format(time.RFC3339), "mfaAuthenticated": "false"}},
		},
		"readOnly": false, "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "111122223333", "eventCategory": "Management",
	}
	if c.fault != "" {
		// What was asked for is left out of a refused StartSession.
		e["errorCode"], e["errorMessage"], e["requestParameters"] = c.fault, "User: "+c.who+" is not authorized to perform: "+c.service+":"+c.name, nil
	}
	text, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// shown is what Session Manager streams of a session:
// https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-logging-cwl-streaming.html
func shown(at time.Time, session, who string, lines ...string) line {
	text, err := json.Marshal(struct {
		EventVersion string            `json:"eventVersion"`
		EventTime    string            `json:"eventTime"`
		AwsRegion    string            `json:"awsRegion"`
		Target       map[string]string `json:"target"`
		UserIdentity map[string]string `json:"userIdentity"`
		RunAsUser    string            `json:"runAsUser"`
		SessionID    string            `json:"sessionId"`
		SessionData  []string          `json:"sessionData"`
	}{"1.0", at.UTC().Format(time.RFC3339), "eu-west-1", map[string]string{"id": other}, map[string]string{"arn": who}, "alice", session, lines})
	if err != nil {
		panic(err)
	}
	return line{session, at.UnixMilli(), string(text)}
}

// flow is a record in the format that our networks have.
func flow(values map[string]string) string {
	parts := flowlog.Fields(flowlog.Format)
	for i, name := range parts {
		v, given := values[name]
		if !given {
			v = map[string]string{
				"version": "5", "account-id": "111122223333", "protocol": "6", "log-status": "OK", "vpc-id": "vpc-0a1b2c3d", "subnet-id": "subnet-0a1b2c3d",
				"type": "IPv4", "region": "eu-west-1", "az-id": "euw1-az1", "flow-direction": "ingress", "dstport": "22", "action": "ACCEPT",
				"interface-id": "eni-0a1b2c3d4e5f60718", "instance-id": instance, "dstaddr": "10.0.0.5", "pkt-dstaddr": "10.0.0.5", "tcp-flags": "2",
			}[name]
		}
		if v == "" {
			v = "-"
		}
		parts[i] = v
	}
	return strings.Join(parts, " ")
}

func flows(begin time.Time) []line {
	from := func(address string, more map[string]string) map[string]string {
		m := map[string]string{"srcaddr": address, "pkt-srcaddr": address, "srcport": "50000", "packets": "10", "bytes": "840", "start": "1795330000", "end": "1795330060"}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	var all []line
	for i, values := range []map[string]string{
		from("203.0.113.66", nil),
		from("203.0.113.66", map[string]string{"start": "1795330060", "end": "1795330120", "packets": "5", "bytes": "400"}),
		from("198.51.100.9", map[string]string{"action": "REJECT", "packets": "1", "bytes": "40"}),
		from("10.0.0.5", map[string]string{"srcport": "22", "dstport": "50000", "flow-direction": "egress", "dstaddr": "203.0.113.66", "pkt-dstaddr": "203.0.113.66"}),
		from("203.0.113.66", map[string]string{"dstport": "443"}),
		from("203.0.113.67", map[string]string{"protocol": "17"}),
		// Through a network load balancer: the address on the wire is the balancer's.
		{"srcaddr": "10.0.0.9", "pkt-srcaddr": "192.0.2.44", "srcport": "50001", "packets": "7", "bytes": "700", "start": "1795330000", "end": "1795330060"},
		{"log-status": "NODATA", "action": "-", "protocol": "-", "dstport": "-", "flow-direction": "-", "start": "1795330000", "end": "1795330060"},
	} {
		all = append(all, line{"eni-0a1b2c3d4e5f60718-all", begin.Add(time.Duration(i) * time.Second).UnixMilli(), flow(values)})
	}
	return all
}

// TestDay keeps what AWS tells of the day as it is made here.
func TestDay(t *testing.T) {
	_, begin := sessionOf(t, "alice")
	begin = begin.Truncate(time.Second)
	made := map[queries.Source][]line{queries.FlowLogs: flows(begin)}
	for _, c := range calls {
		made[queries.Trail] = append(made[queries.Trail], line{"111122223333_CloudTrail_eu-west-1", begin.Add(c.after).UnixMilli(), c.event(begin)})
	}
	shell := begin.Add(-38 * time.Minute)
	made[queries.Sessions] = []line{
		shown(shell.Add(5*time.Second), "alice-0e34861185201706f", alice, "$ cat /etc/app/db.conf", "host=orders.internal user=report password=hunter2"),
		shown(shell.Add(9*time.Second), "alice-0e34861185201706f", alice, "$ exit"),
		shown(shell.Add(7*time.Second), "bob-0123456789abcdef0", bob, "$ uptime", " 06:13:06 up 10 days"),
	}
	for source, lines := range made {
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		for _, l := range lines {
			require.NoError(t, encoder.Encode(l))
		}
		path := filepath.Join(day, "logs", files[source]+".jsonl")
		if *update {
			require.NoError(t, os.WriteFile(path, text.Bytes(), 0o600))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), text.String(), "go test ./internal/queries -update")
	}
}
