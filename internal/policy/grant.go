package policy

import (
	"slices"
	"strconv"
	"time"
)

// Grant is what somebody may do, and when.
type Grant struct {
	// Sessions of Session Manager that may be started: shells, tunnels and the like.
	Sessions []Session
	// Connects are ways through EC2 Instance Connect Endpoints.
	Connects []Connect
	// Viewer shows nodes, sessions and endpoints, and opens nothing.
	Viewer bool
	// Tags are what targets must carry, besides what the sessions and connects say.
	Tags []Tag
	// When is under which circumstances.
	When When
	// Closes is when what opens ends, by the second; zero is never. It is apart from
	// When, for who moves it on.
	Closes time.Time
}

// Closed is a time at which nothing is open: nothing opens after it.
var Closed = time.Unix(0, 0).UTC()

// Gated are the statements that open something, each with a condition for the
// circumstances. Without them nothing opens.
func (g Grant) Gated(s Scope, who Caller) []Statement {
	var statements []Statement
	if session := g.session(); len(session.Documents) > 0 {
		statements = append(StartStatements(s, session), ResumeStatements(s, who)...)
	}
	for _, connect := range g.Connects {
		connect.Tags = append(connect.Tags[:len(connect.Tags):len(connect.Tags)], g.Tags...)
		statements = append(statements, OpenStatements(s, connect)...)
	}
	if !g.Closes.IsZero() {
		for i := range statements {
			// Another operator than the end of a date range has, as both must hold.
			statements[i].Condition = statements[i].Condition.And(Condition{"DateLessThanEquals": {"aws:CurrentTime": {date(g.Closes)}}})
		}
	}
	return Distinct(g.When.For(who).Limit(Distinct(statements)))
}

// Standing are the statements that hold at all times: to look around, and to end
// a session of one's own.
func (g Grant) Standing(s Scope, who Caller) []Statement {
	var statements []Statement
	session := g.session()
	if len(session.Documents) > 0 {
		statements = standing(s, who, session)
	} else if g.Viewer {
		statements = ReadStatements(s, session)
	}
	if g.Viewer || len(g.Connects) > 0 {
		statements = append(statements, LookStatements(s)...)
	}
	return Distinct(statements)
}

// session is all sessions in one, as IAM takes them: each document on each target.
func (g Grant) session() Session {
	all := Session{Tags: g.Tags}
	for _, session := range g.Sessions {
		all.Documents = append(all.Documents, session.Documents...)
		all.Targets = append(all.Targets, session.Targets...)
		all.Keys = append(all.Keys, session.Keys...)
	}
	return all
}

// Crosses reports whether documents meet targets that they were not meant for:
// two sessions with other documents on other targets. IAM can't keep them apart.
func (g Grant) Crosses() bool {
	for i, a := range g.Sessions {
		for _, b := range g.Sessions[:i] {
			if !sameSet(texts(a.Documents), texts(b.Documents)) && !sameSet(texts(a.Targets), texts(b.Targets)) {
				return true
			}
		}
	}
	return false
}

func texts[T any](list []T) []string {
	var out []string
	for _, item := range list {
		out = append(out, marshal(item))
	}
	return unique(out)
}

func sameSet(a, b []string) bool {
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// Bypasses denies the ways around sessions that are limited and recorded,
// whatever else allows them: commands and automations that run as root on a node
// and leave no session, the documents of AWS that forward any port and run any
// command, changes to documents, and other consoles. A denial holds for all that
// the person does, so it is for people and not for who administers Systems
// Manager.
//
// Documents of one's own can't begin with AWS or Amazon
// (docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html).
func Bypasses(s Scope, g Grant) []Statement {
	statements := []Statement{
		{
			Sid: "NoWayAround", Effect: Deny,
			Action: []string{
				"ec2-instance-connect:SendSerialConsoleSSHPublicKey",
				"ssm-guiconnect:StartConnection",
				"ssm:CreateAssociation*",
				"ssm:CreateDocument",
				"ssm:DeleteDocument",
				"ssm:ModifyDocumentPermission",
				"ssm:RegisterTaskWithMaintenanceWindow",
				"ssm:ResetServiceSetting",
				"ssm:SendCommand",
				"ssm:StartAssociationsOnce",
				"ssm:StartAutomationExecution",
				"ssm:StartChangeRequestExecution",
				"ssm:UpdateAssociation",
				"ssm:UpdateDocument*",
				"ssm:UpdateMaintenanceWindowTask",
				"ssm:UpdateServiceSetting",
			},
			Resource: []string{"*"},
		},
		{
			// AWS's own documents have no account in their ARN.
			Sid: "NoOpenDocuments", Effect: Deny,
			Action: []string{"ssm:StartSession"},
			Resource: []string{
				"arn:" + s.Partition + ":ssm:*:*:document/AWS*",
				"arn:" + s.Partition + ":ssm:*:*:document/Amazon*",
			},
		},
	}
	if keys := g.tagKeys(); len(keys) > 0 {
		statements = append(statements, Statement{
			// Who chooses the tags chooses the targets. Those of an Auto Scaling group
			// are its next instances', too.
			Sid: "NoTagging", Effect: Deny,
			Action: []string{
				"autoscaling:CreateOrUpdateTags", "autoscaling:DeleteTags",
				"ec2:CreateTags", "ec2:DeleteTags",
				"ssm:AddTagsToResource", "ssm:RemoveTagsFromResource",
			},
			Resource:  []string{"*"},
			Condition: Condition{"ForAnyValue:StringEquals": {"aws:TagKeys": keys}},
		})
	}
	return statements
}

func (g Grant) tagKeys() []string {
	var keys []string
	add := func(targets []Target) {
		for _, target := range targets {
			for _, tag := range target.Tags {
				keys = append(keys, tag.Key)
			}
		}
	}
	for _, tag := range g.Tags {
		keys = append(keys, tag.Key)
	}
	for _, session := range g.Sessions {
		add(session.Targets)
	}
	for _, connect := range g.Connects {
		add(connect.Instances)
		for _, tag := range connect.EndpointTags {
			keys = append(keys, tag.Key)
		}
	}
	return unique(keys)
}

// Distinct drops statements that say the same as one before, and numbers the IDs
// of those that share one: IAM refuses two of the same in a policy.
func Distinct(statements []Statement) []Statement {
	var out []Statement
	seen, ids := map[string]bool{}, map[string]int{}
	for _, statement := range statements {
		bare := statement
		bare.Sid = ""
		if key := marshal(bare); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		if statement.Sid != "" {
			ids[statement.Sid]++
			if n := ids[statement.Sid]; n > 1 {
				statement.Sid += "No" + strconv.Itoa(n)
			}
		}
		out = append(out, statement)
	}
	return out
}
