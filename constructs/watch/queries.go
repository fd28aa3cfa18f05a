package watch

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/queries"
	"github.com/postern-cdk/postern/internal/tree"
)

// DefaultQueryFolder is where saved queries are, where QueryOptions says nothing.
const DefaultQueryFolder = "Postern"

const queriesID = "Queries"

// A query takes so many log groups
// (docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html),
// a name so many characters.
const (
	maxQueryGroups = 50
	maxQueryName   = 255
)

// LogGroups are where the records of the ways into the network are, by kind.
type LogGroups struct {
	// Hosts take what bastions ship: a bastion's LogGroup, and those of
	// bastion.LogGroups where kinds have groups of their own.
	Hosts []awslogs.ILogGroup

	// Sessions take what Session Manager streams.
	Sessions []awslogs.ILogGroup

	// Trail takes the events of a CloudTrail trail. Empty stands for the log group of
	// Props.Trail, where that has one.
	Trail []awslogs.ILogGroup

	// FlowLogs take flow logs in the format network.LogFormat: that of package
	// network's VPCs. The queries read no other.
	FlowLogs []awslogs.ILogGroup
}

// QueryOptions says where queries are saved and what they read.
type QueryOptions struct {
	// Folder is where the queries are in the console, below Saved queries. Empty
	// stands for [DefaultQueryFolder]. Give each of several watches in an account and
	// region its own.
	Folder string

	// LogGroups are what the queries read. A query is saved where there is a group
	// that has its records. Required, at least one.
	LogGroups LogGroups
}

// Queries are saved queries of CloudWatch Logs Insights.
type Queries struct {
	constructs.Construct
	folder string
	groups map[queries.Source][]*string
	made   []queries.Query
}

var _ constructs.IConstruct = (*Queries)(nil)

var folderName = regexp.MustCompile(`^[A-Za-z0-9_. -]+(/[A-Za-z0-9_. -]+)*$`)

func (o *QueryOptions) withDefaults() QueryOptions {
	var q QueryOptions
	if o != nil {
		q = *o
	}
	if q.Folder == "" {
		q.Folder = DefaultQueryFolder
	}
	return q
}

// kinds are the lists with the names of their fields.
func (g *LogGroups) kinds() []kindOfGroups {
	return []kindOfGroups{
		{queries.Hosts, "Hosts", g.Hosts},
		{queries.Sessions, "Sessions", g.Sessions},
		{queries.Trail, "Trail", g.Trail},
		{queries.FlowLogs, "FlowLogs", g.FlowLogs},
	}
}

type kindOfGroups struct {
	source queries.Source
	field  string
	groups []awslogs.ILogGroup
}

func (o *QueryOptions) validate() error {
	var faults check.Faults
	longest := 0
	for _, q := range queries.All() {
		longest = max(longest, len(q.Name))
	}
	switch most := maxQueryName - longest - 1; {
	case check.Token(o.Folder):
		faults.Add("Folder", "is a token, and commands are made of it", "write the name itself, such as "+DefaultQueryFolder)
	case !folderName.MatchString(o.Folder):
		faults.Addf("Folder", `use letters, digits, spaces and "._-", and slashes between folders`, "%q is no name of a folder", o.Folder)
	case len(o.Folder) > most:
		faults.Addf("Folder", fmt.Sprintf("use up to %d", most), "has %d characters", len(o.Folder))
	}
	all := 0
	for _, k := range o.LogGroups.kinds() {
		all += len(k.groups)
		for i, g := range k.groups {
			if g == nil {
				faults.Add(fmt.Sprintf("LogGroups.%s[%d]", k.field, i), "is nil", "leave it out, or name a log group")
			}
		}
	}
	if all == 0 {
		faults.Add("LogGroups", "has no log group, so no query could be saved", "name those of bastions, sessions, trail or flow logs")
	}
	if all > maxQueryGroups {
		faults.Addf("LogGroups", fmt.Sprintf("use up to %d, or save queries by several watches", maxQueryGroups), "%d are more than a query takes", all)
	}
	return faults.Err()
}

// AddQueries saves queries for CloudWatch Logs Insights: all sessions of a person,
// who did what in one, all access to a target, keys pushed, port-22 connections by
// source and others, see the package comment. Some ask for a value, such as the
// person: the console has a field for it, and [Queries.RunCommand] takes it as a
// variable.
//
// Saving costs nothing; asking costs $0.005 for each GB of lines looked through
// (aws.amazon.com/cloudwatch/pricing), so that a query is best asked of few days.
func (w *Watch) AddQueries(options *QueryOptions) *Queries {
	o := options.withDefaults()
	if len(o.LogGroups.Trail) == 0 && w.trail != nil {
		if group := w.trail.LogGroup(); group != nil {
			o.LogGroups.Trail = []awslogs.ILogGroup{group}
		}
	}
	err := o.validate()
	if err == nil && w.Node().TryFindChild(jsii.String(queriesID)) != nil {
		var faults check.Faults
		faults.Add("AddQueries", "was called before, or a host has the name Queries", "call it once with all log groups, and give the host another name")
		err = faults.Err()
	}
	tree.Must("watch", w, queriesID, err)

	q := &Queries{folder: o.Folder, groups: map[queries.Source][]*string{}}
	constructs.NewConstruct_Override(q, w, jsii.String(queriesID))
	for _, k := range o.LogGroups.kinds() {
		for _, g := range k.groups {
			q.groups[k.source] = append(q.groups[k.source], jsii.String(attach.LogGroupName(g)))
		}
	}
	for _, query := range queries.All() {
		if groups := q.read(&query); len(groups) > 0 {
			q.save(&query, groups)
		}
	}
	w.queries = q
	return q
}

// read is the names of the log groups that a query reads, each once.
func (q *Queries) read(query *queries.Query) []*string {
	var names []*string
	seen := map[string]bool{}
	for _, source := range query.Sources {
		for _, name := range q.groups[source] {
			if !seen[*name] {
				seen[*name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

func (q *Queries) save(query *queries.Query, groups []*string) {
	names := make([]any, len(groups))
	for i, g := range groups {
		names[i] = *g
	}
	var parameters []any
	for _, p := range query.Parameters {
		parameters = append(parameters, &awslogs.CfnQueryDefinition_QueryParameterProperty{Name: jsii.String(p.Name), Description: jsii.String(p.About)})
	}
	props := &awslogs.CfnQueryDefinitionProps{
		Name:          jsii.String(q.name(query)),
		QueryString:   jsii.String(query.Saved()),
		LogGroupNames: &names,
	}
	if parameters != nil {
		props.Parameters = parameters
	}
	awslogs.NewCfnQueryDefinition(q, jsii.String(query.ID), props)
	q.made = append(q.made, *query)
}

func (q *Queries) name(query *queries.Query) string { return q.folder + "/" + query.Name }

// Names are the names of the queries, with their folder, in the order in which an
// investigation asks them.
func (q *Queries) Names() []string {
	names := make([]string, len(q.made))
	for i := range q.made {
		names[i] = q.name(&q.made[i])
	}
	return names
}

// RunCommand is a command for a shell that asks a saved query, by its name in the
// folder, for the last day, and waits for the answer. What the query asks for is
// taken from variables of the names that the text has in double braces:
//
//	person=alice
//
// It panics where there is no such query.
func (q *Queries) RunCommand(name string) string {
	i := slices.IndexFunc(q.made, func(query queries.Query) bool { return query.Name == name })
	if i < 0 {
		var faults check.Faults
		faults.Addf("RunCommand", "use one of "+strings.Join(q.Names(), ", ")+", without the folder", "%q is no query that was saved", name)
		tree.Must("watch queries", q, name, faults.Err())
	}
	query := &q.made[i]
	groups := q.read(query)
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = *g
	}
	return queries.Command(q.name(query), query.Parameters, names)
}
