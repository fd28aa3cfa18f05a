package queries_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/flowlog"
	"github.com/postern-cdk/postern/internal/insights"
	"github.com/postern-cdk/postern/internal/notice"
	"github.com/postern-cdk/postern/internal/queries"
)

func parsed(t *testing.T, q queries.Query, values map[string]string) *insights.Query {
	t.Helper()
	if values == nil {
		values = map[string]string{}
		for _, p := range q.Parameters {
			values[p.Name] = p.Example
		}
	}
	text, err := insights.Fill(q.Saved(), values)
	require.NoError(t, err, q.ID)
	query, err := insights.Parse(text)
	require.NoError(t, err, q.ID)
	return query
}

// answer runs a query over the day and shows some fields of each row.
func answer(t *testing.T, id string, values map[string]string, show ...string) []string {
	t.Helper()
	q := queries.ByID(id)
	var all []insights.Event
	for _, s := range q.Sources {
		all = append(all, events(t, s)...)
	}
	result, err := parsed(t, q, values).Run(all)
	require.NoError(t, err, id)
	rows := make([]string, 0, len(result))
	for _, r := range result {
		cells := make([]string, len(show))
		for i, f := range show {
			cells[i] = r.Get(f)
		}
		rows = append(rows, strings.Join(cells, "|"))
	}
	return rows
}

func TestAnswers(t *testing.T) {
	mine, _ := sessionOf(t, "alice")
	his, _ := sessionOf(t, "bob")

	assert.Equal(t, []string{
		"StartSession|198.51.100.23|||AccessDenied",
		"StartSession|198.51.100.23|" + other + "|alice-0e34861185201706f|",
		"SendSSHPublicKey|198.51.100.23|" + instance + "||",
		"StartSession|198.51.100.23|" + instance + "|alice-0b6f1d2c3a4958677|",
		"begin|127.0.0.1|" + instance + "|" + mine + "|",
		"end|127.0.0.1||" + mine + "|",
		"refused|127.0.0.1|" + instance + "||",
		"StartSession|198.51.100.23|||AccessDenied",
		"OpenTunnel|198.51.100.23|10.0.1.17||",
	}, answer(t, queries.PersonSessions, map[string]string{"person": "alice"}, "what", "source", "target", "sessionId", "errorCode"))
	assert.Empty(t, answer(t, queries.PersonSessions, map[string]string{"person": "mallory"}))

	assert.Equal(t, []string{
		"begin|alice|||",
		`exec|alice|/bin/bash|"bash","--rcfile","/run/postern/hook.bash","-i"|`,
		`exec|alice|/usr/bin/id|"id","-u"|`,
		"typed|alice|psql -h orders.internal -c 'select * from customers' | tee customers.txt||",
		`exec|alice|/usr/bin/tee|"tee","customers.txt"|`,
		`exec|alice|/usr/local/bin/psql|"psql","-h","orders.internal","-c","select * from customers"|`,
		"done|alice|||0",
		"typed|alice|wc -l customers.txt||",
		`exec|alice|/usr/bin/wc|"wc","-l","customers.txt"|`,
		"done|alice|||0",
		"typed|alice|exit||",
		"end|alice|||0",
	}, answer(t, queries.WhoDidWhat, map[string]string{"session": mine}, "event", "person", "what", "arguments", "result"))

	assert.Equal(t, []string{
		"StartSession|" + bob + "|192.0.2.44|Postern-SSH",
		"SendSSHPublicKey|" + alice + "|198.51.100.23|",
		"StartSession|" + alice + "|198.51.100.23|Postern-SSH",
		"begin|bob|127.0.0.1|", "begin|alice|127.0.0.1|", "refused|alice|127.0.0.1|",
	}, answer(t, queries.TargetAccess, map[string]string{"target": instance}, "what", "who", "source", "document"))
	assert.Equal(t, []string{"OpenTunnel|" + alice}, answer(t, queries.TargetAccess, map[string]string{"target": "10.0.1.17"}, "what", "who"))
	assert.Equal(t, []string{"StartSession|alice-0e34861185201706f"}, answer(t, queries.TargetAccess, map[string]string{"target": "Postern-Shell"}, "what", "sessionId"))

	assert.Equal(t, []string{
		`exec|alice|/usr/local/bin/psql|"psql","-h","orders.internal","-c","select * from customers"`,
		"typed|alice|psql -h orders.internal -c 'select * from customers' | tee customers.txt|",
	}, answer(t, queries.CommandRuns, map[string]string{"text": "psql"}, "event", "person", "what", "arguments"))

	assert.Equal(t, []string{"refused|alice|", "begin|alice|" + mine, "begin|bob|" + his}, answer(t, queries.WhoConnected, nil, "event", "person", "session"))
	assert.Empty(t, answer(t, queries.SessionsNow, nil))
	assert.Equal(t, []string{"203.0.113.66|3|3|5"}, answer(t, queries.FailedLogins, nil, "source", "connections", "accounts", "records"))
	assert.Equal(t, []string{"removed|alice|no longer in the bucket", "refused|mallory|the RSA key has 1024 bits, 3072 are the least; better make an Ed25519 key", "added|carol|"},
		answer(t, queries.PeopleChanges, nil, "action", "person", "reason"))

	assert.Equal(t, []string{
		`alice|"$ cat /etc/app/db.conf","host=orders.internal user=report password=hunter2"`, `alice|"$ exit"`,
	}, answer(t, queries.SessionOutput, map[string]string{"session": "alice-0e34861185201706f"}, "runAsUser", "shown"))

	assert.Equal(t, []string{
		"OpenTunnel|" + alice + "|10.0.1.17||22",
		"StartSession|" + alice + "|" + instance + "|Postern-SSH|",
		"StartSession|" + bob + "|" + instance + "|Postern-SSH|",
		"StartSession|" + alice + "|" + other + "|Postern-Shell|",
	}, answer(t, queries.SessionsOpened, nil, "eventName", "who", "target", "document", "port"))
	assert.Equal(t, []string{alice + "|" + instance + "|alice|ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOtAlK45MAEWZ7MUY2QEmi3M6W+peGL3VCrc0qH54xRu"},
		answer(t, queries.KeysPushed, nil, "who", "instance", "account", "key"))
	assert.Equal(t, []string{"StartSession|AccessDenied|" + alice, "StartSession|AccessDenied|" + alice}, answer(t, queries.RefusedAttempts, nil, "eventName", "errorCode", "who"))
	assert.Equal(t, []string{"UpdateDocument|" + deployer + "|Postern-Shell", "AuthorizeSecurityGroupIngress|" + alice + "|sg-0123456789abcdef0"},
		answer(t, queries.AccessChanges, nil, "eventName", "who", "what"))

	assert.Equal(t, []string{
		"203.0.113.66|ACCEPT|2|1240|1795330000|1795330120", "192.0.2.44|ACCEPT|1|700|1795330000|1795330060", "198.51.100.9|REJECT|1|40|1795330000|1795330060",
	}, answer(t, queries.Port22, nil, "pkt_srcaddr", "action", "records", "sentBytes", "firstSeen", "lastSeen"))
}

// Every field that a query names is carried by lines that are shipped: those of the
// day, which the real programs wrote, and those that the tests of recorder, relay
// and check see to.
func TestEveryFieldIsCarried(t *testing.T) {
	elsewhere := map[queries.Source][]string{
		// internal/host/relay and internal/host/check: TestSavedQueries.
		queries.Hosts: {"target", "host", "result", "detail", "name"},
		// What calls have that nobody made on that day.
		queries.Trail: documented,
	}
	carried := map[queries.Source][]string{}
	for source := range files {
		carried[source] = elsewhere[source]
		for _, e := range events(t, source) {
			names, err := insights.Fields(e.Message)
			require.NoError(t, err)
			carried[source] = append(carried[source], names...)
		}
	}
	for source, names := range carried {
		slices.Sort(names)
		carried[source] = slices.Compact(names)
	}
	for _, q := range queries.All() {
		var known []string
		for _, s := range q.Sources {
			known = append(known, carried[s]...)
		}
		query := parsed(t, q, nil)
		for _, f := range query.Reads() {
			assert.Contains(t, known, f, q.ID)
		}
	}
	assert.NotContains(t, carried[queries.FlowLogs], "srcAddr", "the format is not the default one: fields are found by parse alone")
}

// documented are parameters of calls that AWS's documentation of each has:
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html and others.
var documented = []string{
	"requestParameters.instanceIds.0",           // SendCommand
	"requestParameters.osUser",                  // SendSSHPublicKey, in the EC2 guide's example
	"requestParameters.SSHKey.publicKey",        // the same
	"requestParameters.parameters.host.0",       // StartSession with AWS-StartPortForwardingSessionToRemoteHost
	"requestParameters.parameters.portNumber.0", // the same
	"requestParameters.bucketName",              // PutBucketPolicy
	"requestParameters.keyId",                   // ScheduleKeyDeletion
	"requestParameters.logGroupName",            // DeleteLogGroup
	"requestParameters.roleName",                // PutRolePolicy
	"requestParameters.userName",                // CreateAccessKey
	"requestParameters.settingId",               // UpdateServiceSetting
}

func TestForm(t *testing.T) {
	ids, names := map[string]bool{}, map[string]bool{}
	for _, q := range queries.All() {
		assert.False(t, ids[q.ID] || names[q.Name], "%s: twice", q.ID)
		ids[q.ID], names[q.Name] = true, true
		assert.Regexp(t, `^[A-Z][A-Za-z0-9 ]+$`, q.Name, "a name that goes into a folder")
		assert.Regexp(t, `^[A-Z].*\.$`, q.About, q.ID)
		assert.NotContains(t, q.About, "\n", q.ID)
		assert.NotEmpty(t, q.Sources, q.ID)
		assert.LessOrEqual(t, len(q.Saved()), insights.MaxLength, q.ID)
		want := make([]string, 0, len(q.Parameters))
		for _, p := range q.Parameters {
			want = append(want, p.Name)
			assert.LessOrEqual(t, len(p.About), 512, "the most that a description may have")
		}
		got := insights.Placeholders(q.Text)
		assert.ElementsMatch(t, want, got, q.ID)
		assert.Regexp(t, `\| limit [0-9]+$`, q.Text, q.ID)
		assert.Regexp(t, `\| limit 20$`, q.Top(20), q.ID)
		assert.Equal(t, q, queries.ByID(q.ID))
	}
	assert.Panics(t, func() { queries.ByID("Nothing") })
}

// Whatever call a notice tells of, a query finds.
func TestCallsThatNoticesTellOf(t *testing.T) {
	records := notice.RecordsTampered(notice.Protected{Buckets: []string{"b"}, KeyIDs: []string{"k"}, LogGroups: []string{"/g"}})
	doors := notice.DoorsTampered(notice.Protected{Documents: []string{"d"}})
	changes := slices.Concat(records, doors, notice.TopicsTampered([]string{"t"}), []notice.Rule{
		notice.PortsOpened(), notice.WatchTampered("p", []string{"t"}), notice.AlarmsTampered("p"),
		notice.DeliveryTampered(notice.Delivery{Watch: "w", Queue: "q", Function: "f", KeyID: "k"}),
	})
	for id, test := range map[string]struct {
		rules []notice.Rule
		more  string
	}{
		queries.AccessChanges:   {changes, ""},
		queries.RefusedAttempts: {[]notice.Rule{notice.Refused()}, `,"errorCode":"AccessDenied"`},
		queries.SessionsOpened:  {[]notice.Rule{notice.TunnelOpened(), notice.SessionStarted(nil), notice.SessionResumed()}, ""},
		queries.KeysPushed:      {[]notice.Rule{notice.KeyPushed(), notice.SerialConsole()}, ""},
	} {
		names := map[string]bool{}
		for _, r := range test.rules {
			text, err := json.Marshal(r.Pattern)
			require.NoError(t, err)
			var pattern any
			require.NoError(t, json.Unmarshal(text, &pattern))
			eventNames(pattern, names)
		}
		require.NotEmpty(t, names, id)
		for name := range names {
			if name == "EnableSerialConsoleAccess" && id == queries.KeysPushed {
				continue // among the changes
			}
			rows, err := parsed(t, queries.ByID(id), nil).Run([]insights.Event{{Message: `{"eventName":"` + name + `"` + test.more + `}`}})
			require.NoError(t, err)
			assert.Len(t, rows, 1, "%s: %s", id, name)
		}
	}
}

// eventNames collects the names of calls in a pattern; of a prefix, one that begins so.
func eventNames(pattern any, names map[string]bool) {
	switch p := pattern.(type) {
	case map[string]any:
		for key, value := range p {
			if key != "eventName" {
				eventNames(value, names)
				continue
			}
			for _, one := range value.([]any) {
				switch one := one.(type) {
				case string:
					names[one] = true
				case map[string]any:
					names[one["prefix"].(string)+"Something"] = true
				}
			}
		}
	case []any:
		for _, one := range p {
			eventNames(one, names)
		}
	}
}

// While they go on, and when the check has logged in.
func TestSessionsNow(t *testing.T) {
	var before []insights.Event
	for _, e := range events(t, queries.Hosts) {
		if strings.Contains(e.Message, `"event":"end"`) && strings.Contains(e.Message, `"person":"alice"`) {
			continue
		}
		before = append(before, e)
		if strings.Contains(e.Message, `"event":"begin"`) && strings.Contains(e.Message, `"person":"bob"`) {
			checks := e
			checks.Message = strings.NewReplacer(`"person":"bob"`, `"person":"postern-check"`, `"session":"2`, `"session":"3`).Replace(e.Message)
			before = append(before, checks)
		}
	}
	rows, err := parsed(t, queries.ByID(queries.SessionsNow), nil).Run(before)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	mine, _ := sessionOf(t, "alice")
	assert.Equal(t, mine+" alice 127.0.0.1 "+instance, rows[0].Get("session")+" "+rows[0].Get("who")+" "+rows[0].Get("source")+" "+rows[0].Get("host"))
	rows, err = parsed(t, queries.ByID(queries.WhoConnected), nil).Run(before)
	require.NoError(t, err)
	assert.NotContains(t, rows.String(), "postern-check")
}

func TestTop(t *testing.T) {
	q, err := insights.Parse(queries.ByID(queries.WhoConnected).Top(1))
	require.NoError(t, err)
	result, err := q.Run(events(t, queries.Hosts))
	require.NoError(t, err)
	assert.Len(t, result, 1)
}

// The query on port 22 reads the very format of our networks: each of its names is
// one of the format's, and a field more or less in the format moves none.
func TestPort22ReadsTheFormat(t *testing.T) {
	text := queries.ByID(queries.Port22).Text
	for _, name := range []string{"pkt-srcaddr", "pkt-dstaddr", "flow-direction", "interface-id", "instance-id", "tcp-flags", "action", "log-status"} {
		assert.Contains(t, flowlog.Fields(flowlog.Format), name, "what evidence needs")
		assert.Contains(t, text, flowlog.Name(name))
	}
	stars := regexp.MustCompile(`parse @message "([* ]+)"`).FindStringSubmatch(text)
	require.NotNil(t, stars)
	assert.Equal(t, len(flowlog.Fields(flowlog.Format)), strings.Count(stars[1], "*"))
}
