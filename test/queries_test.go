package test_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/flowlog"
	"github.com/postern-cdk/postern/internal/insights"
	"github.com/postern-cdk/postern/internal/queries"
)

func groupIn(stack awscdk.Stack, name string) awslogs.ILogGroup {
	return awslogs.LogGroup_FromLogGroupName(stack, &name, &name)
}

func TestQueriesWithEverything(t *testing.T) {
	for name, app := range map[string]awscdk.App{
		"with flags":    cdktest.NewApp(t),
		"without flags": cdktest.NewAppWithoutFlags(t),
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(app, "Test")
			all := groupIn(stack, "all")
			saved := watch.New(stack, "Watch", trailKnown).AddQueries(&watch.QueryOptions{
				Folder: "Postern/Gate",
				LogGroups: watch.LogGroups{
					Hosts:    []awslogs.ILogGroup{all, groupIn(stack, "commands")},
					Sessions: []awslogs.ILogGroup{groupIn(stack, "sessions")},
					Trail:    []awslogs.ILogGroup{all, groupIn(stack, "trail")},
					FlowLogs: []awslogs.ILogGroup{groupIn(stack, "flows")},
				},
			})
			definitions := definitionsIn(t, stack)
			require.Len(t, definitions, len(queries.All()))
			for _, q := range queries.All() {
				p := definitions["WatchQueries"+q.ID]
				require.NotNil(t, p, q.ID)
				assert.Equal(t, "Postern/Gate/"+q.Name, p["Name"])
				assert.Equal(t, "# "+q.About+"\n"+q.Text, p["QueryString"])
				given, _ := p["Parameters"].([]any)
				require.Len(t, given, len(q.Parameters), q.ID)
				for i, parameter := range q.Parameters {
					assert.Equal(t, map[string]any{"Name": parameter.Name, "Description": parameter.About}, given[i])
				}
			}
			for id, want := range map[string][]any{
				queries.PersonSessions: {"all", "commands", "trail"},
				queries.WhoDidWhat:     {"all", "commands"},
				queries.SessionOutput:  {"sessions"},
				queries.KeysPushed:     {"all", "trail"},
				queries.Port22:         {"flows"},
			} {
				assert.Equal(t, want, definitions["WatchQueries"+id]["LogGroupNames"], id)
			}
			assert.Len(t, saved.Names(), len(definitions))
			assert.Equal(t, "Postern/Gate/All sessions of a person", saved.Names()[0])
			command := saved.RunCommand("All sessions of a person")
			for _, part := range []string{
				"--query-definition-name-prefix 'Postern/Gate/All sessions of a person'", `sed "s|{{person}}|${person:?}|g"`, "--log-group-names all commands trail ",
			} {
				assert.Contains(t, command, part)
			}
			assert.Contains(t, cdktest.Panic(t, func() { saved.RunCommand("nobody's") }),
				`RunCommand: "nobody's" is no query that was saved: use one of Postern/Gate/All sessions of a person, `)
		})
	}
}

// definitionsIn are the properties of the saved queries by logical name.
func definitionsIn(t *testing.T, stack awscdk.Stack) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{}
	for id, resource := range byLogicalName(t, cdktest.Template(stack), "AWS::Logs::QueryDefinition") {
		found[id] = resource["Properties"].(map[string]any)
	}
	return found
}

// A query is saved where there is a log group that has something of what it reads.
func TestQueriesOfWhatThereIs(t *testing.T) {
	for kind, want := range map[string][]string{
		"hosts":    {queries.CommandRuns, queries.FailedLogins, queries.HostAlarms, queries.PeopleChanges, queries.PersonSessions, queries.SessionsNow, queries.TargetAccess, queries.WhoConnected, queries.WhoDidWhat},
		"sessions": {queries.SessionOutput},
		"trail":    {queries.AccessChanges, queries.KeysPushed, queries.PersonSessions, queries.RefusedAttempts, queries.SessionsOpened, queries.TargetAccess},
		"flows":    {queries.Port22},
	} {
		stack := cdktest.NewStack(t)
		one := []awslogs.ILogGroup{groupIn(stack, "one")}
		groups := map[string]watch.LogGroups{"hosts": {Hosts: one}, "sessions": {Sessions: one}, "trail": {Trail: one}, "flows": {FlowLogs: one}}
		saved := watch.New(stack, "Watch", trailKnown).AddQueries(&watch.QueryOptions{LogGroups: groups[kind]})
		definitions := definitionsIn(t, stack)
		ids := slices.Sorted(maps.Keys(definitions))
		for i := range ids {
			ids[i] = strings.TrimPrefix(ids[i], "WatchQueries")
		}
		assert.Equal(t, want, ids, kind)
		for _, p := range definitions {
			assert.True(t, strings.HasPrefix(p["Name"].(string), "Postern/"), p["Name"])
			assert.Equal(t, []any{"one"}, p["LogGroupNames"])
		}
		assert.Len(t, saved.Names(), len(want))
	}
}

type someTrail struct{ group awslogs.ILogGroup }

func (t someTrail) TrailArn() string            { return "arn:aws:cloudtrail:eu-west-1:111122223333:trail/T" }
func (t someTrail) LogGroup() awslogs.ILogGroup { return t.group }

// The trail of the watch is read without being named again, where it has a log group.
func TestQueriesOfTheWatchsTrail(t *testing.T) {
	stack := cdktest.NewStack(t)
	watch.New(stack, "Watch", &watch.Props{Emails: []string{"a@example.com"}, Trail: someTrail{groupIn(stack, "events")}}).AddQueries(nil)
	assert.Equal(t, []any{"events"}, definitionsIn(t, stack)["WatchQueriesAccessChanges"]["LogGroupNames"])

	without := watch.New(cdktest.NewStack(t), "Watch", &watch.Props{Emails: []string{"a@example.com"}, Trail: someTrail{}})
	assert.Contains(t, cdktest.Panic(t, func() { without.AddQueries(nil) }), "LogGroups: has no log group")
}

func TestQueriesFaults(t *testing.T) {
	stack := cdktest.NewStack(t)
	w := watch.New(stack, "Watch", trailKnown)
	one := groupIn(stack, "one")
	for name, test := range map[string]struct {
		options *watch.QueryOptions
		want    string
	}{
		"nil":       {nil, "LogGroups: has no log group, so no query could be saved: name those of bastions, sessions, trail or flow logs"},
		"nil group": {&watch.QueryOptions{LogGroups: watch.LogGroups{Trail: []awslogs.ILogGroup{one, nil}}}, "LogGroups.Trail[1]: is nil: leave it out, or name a log group"},
		"folder": {
			&watch.QueryOptions{Folder: "/a'", LogGroups: watch.LogGroups{Hosts: []awslogs.ILogGroup{one}}},
			`Folder: "/a'" is no name of a folder: use letters, digits, spaces and "._-", and slashes between folders`,
		},
		"token": {
			&watch.QueryOptions{Folder: "${Token[TOKEN.1]}", LogGroups: watch.LogGroups{Hosts: []awslogs.ILogGroup{one}}},
			"Folder: is a token, and commands are made of it: write the name itself, such as Postern",
		},
		"long folder": {
			&watch.QueryOptions{Folder: strings.Repeat("a", 255), LogGroups: watch.LogGroups{Hosts: []awslogs.ILogGroup{one}}},
			"Folder: has 255 characters: use up to ",
		},
		"many": {
			&watch.QueryOptions{LogGroups: watch.LogGroups{Hosts: slices.Repeat([]awslogs.ILogGroup{one}, 30), Trail: slices.Repeat([]awslogs.ILogGroup{one}, 21)}},
			"LogGroups: 51 are more than a query takes: use up to 50, or save queries by several watches",
		},
	} {
		message := cdktest.Panic(t, func() { w.AddQueries(test.options) })
		assert.Contains(t, message, "Test/Watch/Queries", name)
		assert.Contains(t, message, test.want, name)
	}
	w.AddQueries(&watch.QueryOptions{LogGroups: watch.LogGroups{Hosts: []awslogs.ILogGroup{one}}})
	assert.Contains(t, cdktest.Panic(t, func() {
		w.AddQueries(&watch.QueryOptions{LogGroups: watch.LogGroups{Hosts: []awslogs.ILogGroup{one}}})
	}), "AddQueries: was called before")
}

// The query on port 22 reads what the networks' flow logs write: from a new VPC and
// from one that was there, to a log group of their own and to one that is given.
func TestFlowLogsSuitTheQuery(t *testing.T) {
	assert.Equal(t, flowlog.Format, network.LogFormat)
	stack := cdktest.NewStack(t)
	made := network.New(stack, "Made", nil)
	given := network.New(stack, "Given", &network.Props{Vpc: made.Vpc(), FlowLogs: &network.FlowLogs{LogGroup: awslogs.NewLogGroup(stack, jsii.String("Flows"), nil)}})
	bucketed := network.New(stack, "Bucketed", &network.Props{Vpc: made.Vpc(), FlowLogs: &network.FlowLogs{Bucket: awss3.NewBucket(stack, jsii.String("Records"), nil)}})
	assert.Nil(t, bucketed.FlowLogGroup())
	watch.New(stack, "Watch", trailKnown).AddQueries(&watch.QueryOptions{LogGroups: watch.LogGroups{
		FlowLogs: []awslogs.ILogGroup{made.FlowLogGroup(), given.FlowLogGroup()},
	}})
	logs := byLogicalName(t, cdktest.Template(stack), "AWS::EC2::FlowLog")
	require.Len(t, logs, 3)
	for id, l := range logs {
		assert.Equal(t, flowlog.Format, l["Properties"].(map[string]any)["LogFormat"], id)
	}
	query, err := insights.Parse(definitionsIn(t, stack)["WatchQueriesPort22"]["QueryString"].(string))
	require.NoError(t, err)
	fields := flowlog.Fields(logs["MadeFlowLog"]["Properties"].(map[string]any)["LogFormat"].(string))
	record := make([]string, len(fields))
	for i, f := range fields {
		record[i] = map[string]string{
			"dstport": "22", "protocol": "6", "flow-direction": "ingress", "packets": "3", "bytes": "180", "start": "1", "end": "60", "action": "ACCEPT",
		}[f]
		if record[i] == "" {
			record[i] = f
		}
	}
	rows, err := query.Run([]insights.Event{{Message: strings.Join(record, " ")}})
	require.NoError(t, err)
	require.Len(t, rows, 1)
	assert.Equal(t, "action=ACCEPT  pkt_srcaddr=pkt-srcaddr  pkt_dstaddr=pkt-dstaddr  interface_id=interface-id  instance_id=instance-id  "+
		"records=1  sentPackets=3  sentBytes=180  firstSeen=1  lastSeen=60\n", fmt.Sprint(rows))
}
