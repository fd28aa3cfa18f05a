package policy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/postern-cdk/postern/internal/iam"
	"github.com/postern-cdk/postern/internal/policy"
)

// march is when the grant "March" holds: from 08:00 on its first day, to the end.
var march = struct{ first, last time.Time }{time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}

// others are policies that somebody has besides.
func (w *world) others() map[string]json.RawMessage {
	allow := func(action, resource, condition string) json.RawMessage {
		return json.RawMessage(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "` + action + `", "Resource": "` + resource + `"` + condition + `}]}`)
	}
	const check = `, "Condition": {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}`
	return map[string]json.RawMessage{
		"everything":    allow("*", "*", ""),
		"all documents": allow("ssm:StartSession", w.Document("*"), check),
		"all nodes":     allow("ssm:StartSession", w.Node("*"), check),
	}
}

func (w *world) othersNames() []string {
	return w.named(slices.Collect(maps.Keys(w.others())))
}

// grants are policies by name, each as it is attached to somebody.
func (w *world) grants() map[string]json.RawMessage {
	tagged := policy.Target{Tags: []policy.Tag{{Key: "postern:bastion", Value: "Test/Bastion"}, {Key: "Stage", Value: "prod"}}}
	shell := policy.Session{
		Documents: []string{w.document("Shell")},
		Targets:   []policy.Target{{ARN: w.Node(host)}, tagged},
		Keys:      []string{w.arn("kms", w.Region, w.Account, "key/session")},
	}
	anywhere := policy.Session{Documents: []string{w.document("Shell")}, Targets: []policy.Target{{ARN: w.Node(host)}, {ARN: w.Node(bastion)}, {ARN: w.Node(staging)}, {ARN: w.Node(untagged)}}}
	tunnel := policy.Session{Documents: []string{w.document("TunnelDatabase")}, Targets: []policy.Target{{ARN: w.Node(host)}}}
	emergency := policy.Session{Documents: []string{w.document("Emergency")}, Targets: []policy.Target{{ARN: w.Node(host)}}}
	ssh := policy.Connect{
		Endpoint: endpoint, Port: 22, CIDRs: []string{"10.0.1.0/24"}, MaxDuration: 30 * time.Minute,
		Users: []string{"ec2-user"}, Instances: []policy.Target{{ARN: w.Node(host)}, tagged},
	}
	rdp := policy.Connect{Endpoint: endpoint, Port: 3389, CIDRs: []string{"10.0.1.0/24"}}

	all := map[string]json.RawMessage{}
	for name, text := range w.others() {
		all[w.label+name] = text
	}
	for name, of := range map[string]struct {
		who   policy.Caller
		grant policy.Grant
	}{
		"viewer":        {"", policy.Grant{Viewer: true}},
		"user's shell":  {policy.User, policy.Grant{Sessions: []policy.Session{shell}}},
		"role's shell":  {policy.Role, policy.Grant{Sessions: []policy.Session{shell}}},
		"shell":         {"", policy.Grant{Sessions: []policy.Session{shell}}},
		"tunneller":     {"", policy.Grant{Sessions: []policy.Session{tunnel}}},
		"SSH":           {"", policy.Grant{Connects: []policy.Connect{ssh}}},
		"RDP":           {"", policy.Grant{Connects: []policy.Connect{rdp}}},
		"break-glass":   {policy.User, policy.Grant{Sessions: []policy.Session{emergency}, When: policy.When{MFAMaxAge: 15 * time.Minute}}},
		"Stage prod":    {"", policy.Grant{Sessions: []policy.Session{anywhere}, Tags: []policy.Tag{{Key: "Stage", Value: "prod"}}}},
		"MFA":           {policy.User, policy.Grant{Sessions: []policy.Session{shell}, Connects: []policy.Connect{ssh}, When: policy.When{MFA: true}}},
		"fresh MFA":     {policy.User, policy.Grant{Sessions: []policy.Session{shell}, When: policy.When{MFAMaxAge: time.Hour}}},
		"March":         {"", policy.Grant{Sessions: []policy.Session{shell}, When: policy.When{NotBefore: march.first, NotAfter: march.last}}},
		"office hours":  {"", policy.Grant{Sessions: []policy.Session{shell}, Closes: time.Date(2026, 3, 10, 18, 0, 0, 0, time.UTC)}},
		"closed":        {"", policy.Grant{Sessions: []policy.Session{shell}, Closes: policy.Closed}},
		"office":        {"", policy.Grant{Sessions: []policy.Session{shell}, When: policy.When{SourceCIDRs: []string{"203.0.113.0/24", "2001:db8::/32"}}}},
		"office or VPC": {"", policy.Grant{Sessions: []policy.Session{shell}, When: policy.When{SourceCIDRs: []string{"203.0.113.0/24"}, VpcEndpoints: []string{"vpce-1", "vpce-2"}}}},
	} {
		statements := of.grant.Gated(w.Scope, of.who)
		statements = append(statements, of.grant.Standing(w.Scope, of.who)...)
		statements = append(statements, policy.Bypasses(w.Scope, of.grant)...)
		all[w.label+name] = json.RawMessage(policy.Document(statements))
	}
	return all
}

// What is allowed to whom.
var (
	// look is what everybody may read who may start sessions.
	look = []string{
		"ec2:DescribeInstances", "ssm:DescribeInstanceInformation", "ssm:DescribeInstanceProperties", "ssm:DescribeSessions", "ssm:GetConnectionStatus",
	}
	// lookForEndpoints is what everybody may read who may open tunnels.
	lookForEndpoints = []string{"ec2:DescribeInstances", "ec2:DescribeInstanceConnectEndpoints"}
	shellStands      = []string{"data key of the session key", "read the document", "describe the document"}
	shellOpens       = []string{"shell on host", "shell on bastion"}
	sshOpens         = []string{
		"SSH tunnel", "SSH tunnel to the last address", "push key to ec2-user on host", "push key to ec2-user on bastion",
	}
	// waysAround are denied to everybody, whatever else they may do.
	waysAround = []string{
		"AWS-StartSSHSession on host", "AWS-StartPortForwardingSession on host", "AWS-StartPortForwardingSessionToRemoteHost on host",
		"AWS-StartPortForwardingSessionToSocket on host", "AWS-StartInteractiveCommand on host", "AWS-StartNoninteractiveCommand on host",
		"AWS-PasswordReset on host", "AmazonCloudWatch-ManageAgent on host",
		"command on host", "command by an own document", "command, document only", "automation", "change request", "association", "associations",
		"change an association", "run associations", "task in a maintenance window", "change a task", "change a service setting", "reset a service setting",
		"change the document", "other default version", "delete the document", "share the document", "new document",
		"remote desktop by Fleet Manager", "serial console",
	}
	tagging = []string{
		"tag an instance as a bastion", "tag an instance as a bastion, among others", "untag an instance", "untag an instance of its stage", "tag a network interface as a bastion", "tag a node", "untag a node",
		"tag a group whose next instances are bastions", "untag a group",
	}
	// anyDocument is what may be done on the nodes of a shell with a document of any name, anywhere what may be done
	// with its document on any node.
	anyDocument = []string{
		"emergency document on host", "emergency document on bastion", "SSH document on host", "SSH document on bastion", "tunnel to database on bastion",
		"shell on host", "shell on bastion", "tunnel to database on host", "tunnel to cache on host", "tunnel to cache on bastion",
		"no document on host", "no document on bastion",
	}
	anywhere = []string{
		"shell on host", "shell on bastion", "shell on stranger", "shell on staging", "shell on untagged",
		"shell on a node with one tag of two", "shell on a node with the other tag of two",
	}
)

// ends is what everybody may do who may start sessions, at all times; resumes is
// what takes the circumstances of the start.
func ends(who person) []string {
	return []string{"end own session", "end session of " + who.name, "data channel"}
}

func resumes(who person) []string {
	return []string{"resume own session", "resume session of " + who.name}
}

func join(lists ...[]string) []string {
	var all []string
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// shellUnder is all deeds under a grant of a shell: of somebody in the right
// circumstances, and of some who are not.
func (w *world) shellUnder(grant string, opens []string, right []person, wrong ...person) []testCase {
	var cases []testCase
	for i, p := range right {
		table := w.core
		if i == 0 {
			table = w.under
		}
		cases = append(cases, table(grant, p, join(look, shellStands, ends(p), resumes(p), opens)...)...)
		cases = append(cases, w.withDocuments(grant, p, anyDocument...)...)
		cases = append(cases, w.withNodes(grant, p, anywhere...)...)
	}
	for i, p := range wrong {
		table := w.core
		if i == 0 {
			table = w.under
		}
		cases = append(cases, table(grant, p, join(look, shellStands, ends(p))...)...)
		cases = append(cases, w.withDocuments(grant, p)...)
		cases = append(cases, w.withNodes(grant, p)...)
	}
	return append(cases, w.besides(grant, right[0], join(waysAround, tagging)...)...)
}

func (w *world) cases() []testCase {
	var cases []testCase
	add := func(more []testCase) { cases = append(cases, more...) }
	with := func(p person, name string, context iam.Context) person {
		p = p.with(context)
		p.state = name
		return p
	}
	at := func(p person, when string) person { return with(p, " at "+when, iam.Context{"aws:CurrentTime": when}) }
	from := func(p person, address string) person {
		return with(p, " from "+address, iam.Context{"aws:SourceIp": address})
	}
	by := func(p person, endpoint string) person {
		return with(p, " by "+endpoint, iam.Context{"aws:SourceIp": "", "aws:SourceVpce": endpoint, "aws:VpcSourceIp": "10.0.0.9"})
	}
	keys := with(w.alice, " with access keys", iam.Context{"aws:MultiFactorAuthPresent": "", "aws:MultiFactorAuthAge": ""})
	unsure := with(w.alice, " without a second factor", iam.Context{"aws:MultiFactorAuthPresent": "false", "aws:MultiFactorAuthAge": ""})
	ago := func(seconds string) person {
		return with(w.alice, " "+seconds+" s after her second factor", iam.Context{"aws:MultiFactorAuthAge": seconds})
	}
	ageless := with(w.alice, " with a second factor of no age", iam.Context{"aws:MultiFactorAuthAge": ""})

	add(w.under("viewer", w.alice, join(look, lookForEndpoints)...))
	add(w.besides("viewer", w.alice, waysAround...))

	add(w.shellUnder("user's shell", shellOpens, []person{w.alice, keys}))
	add(w.shellUnder("role's shell", shellOpens, []person{w.carol}))
	add(w.shellUnder("shell", shellOpens, []person{w.alice}))
	for _, p := range []person{w.aliceTwo, w.carol, w.carolTwo, w.otherCarol} {
		add(w.core("shell", p, join(look, shellStands, ends(p), resumes(p), shellOpens)...))
	}
	tunnel := []string{"tunnel to database on host", "read the tunnel's document", "describe the tunnel's document"}
	add(w.under("tunneller", w.alice, join(look, ends(w.alice), resumes(w.alice), tunnel)...))
	add(w.under("tunneller", w.carol, join(look, ends(w.carol), resumes(w.carol), tunnel)...))
	add(w.besides("tunneller", w.carol, waysAround...))
	add(w.under("SSH", w.alice, join(lookForEndpoints, sshOpens)...))
	add(w.under("SSH", w.carol, join(lookForEndpoints, sshOpens)...))
	add(w.besides("SSH", w.alice, join(waysAround, tagging)...))
	add(w.under("RDP", w.alice, join(lookForEndpoints, []string{"RDP tunnel", "RDP tunnel as long as may be"})...))
	add(w.besides("RDP", w.alice, waysAround...))

	add(w.shellUnder("March", shellOpens,
		[]person{at(w.alice, "2026-03-01T08:00:00Z"), at(w.carol, "2026-03-31T23:59:59Z")},
		at(w.alice, "2026-03-01T07:59:59Z"), at(w.carol, "2026-04-01T00:00:00Z"), at(w.alice, "2027-03-10T12:00:00Z")))
	add(w.shellUnder("office hours", shellOpens,
		[]person{at(w.alice, "2026-03-10T18:00:00Z"), w.carol}, at(w.alice, "2026-03-10T18:00:01Z"), at(w.carol, "2026-03-11T09:00:00Z")))
	add(w.shellUnder("office", shellOpens,
		[]person{w.alice, from(w.carol, "203.0.113.255"), from(w.carol, "2001:db8::1")},
		from(w.alice, "203.0.114.0"), from(w.alice, elsewhere), from(w.carol, "2001:db9::1"), by(w.alice, "vpce-1")))
	vpc := by(w.carol, "vpce-1")
	add(w.under("office or VPC", vpc, join(look, shellStands, ends(vpc), resumes(vpc), shellOpens)...))
	add(w.shellUnder("office or VPC", shellOpens,
		[]person{w.alice, by(w.carol, "vpce-2")}, from(w.alice, elsewhere), by(w.alice, "vpce-10"), by(w.alice, "vpce-3")))
	forged := with(w.alice, " with an age of no second factor", iam.Context{"aws:MultiFactorAuthPresent": "false"})
	halfForged := with(w.alice, " with an age and no more", iam.Context{"aws:MultiFactorAuthPresent": ""})
	add(w.shellUnder("fresh MFA", shellOpens, []person{w.alice, ago("3600")}, ago("3601"), keys, unsure, ageless, forged, halfForged))
	for _, p := range []person{w.alice, ago("86400"), ageless} {
		add(w.core("MFA", p, join(look, lookForEndpoints, shellStands, ends(p), resumes(p), shellOpens, sshOpens)...))
	}
	add(w.under("MFA", w.alice, join(look, lookForEndpoints, shellStands, ends(w.alice), resumes(w.alice), shellOpens, sshOpens)...))
	for _, p := range []person{keys, unsure} {
		add(w.core("MFA", p, join(look, lookForEndpoints, shellStands, ends(p))...))
		add(w.table(w.connects(), []string{"MFA"}, p, func(string) bool { return false }, nil))
	}
	add(w.withDocuments("MFA", keys))
	add(w.withNodes("MFA", keys))
	add(w.withDocuments("MFA", unsure))
	add(w.withNodes("MFA", unsure))
	add(w.besides("MFA", w.alice, join(waysAround, tagging)...))
	reads := []string{"read the emergency document", "describe the emergency document"}
	add(w.under("break-glass", w.alice, join(look, ends(w.alice), resumes(w.alice), reads, []string{"emergency document on host"})...))
	add(w.core("break-glass", ago("900"), join(ends(w.alice), resumes(w.alice), []string{"emergency document on host"})...))
	for _, p := range []person{ago("901"), keys, unsure, ageless, forged, halfForged} {
		add(w.core("break-glass", p, ends(p)...))
		add(w.withDocuments("break-glass", p))
		add(w.withNodes("break-glass", p))
	}
	add(w.withDocuments("break-glass", w.alice,
		"emergency document on host", "shell on host", "SSH document on host", "tunnel to database on host", "tunnel to cache on host", "no document on host"))
	add(w.withNodes("break-glass", w.alice, "emergency document on host", "emergency document on bastion"))
	add(w.besides("break-glass", w.alice, waysAround...))

	// Nothing opens while it is closed, whatever the time.
	for _, p := range []person{w.alice, at(w.carol, "1970-01-01T00:00:01Z")} {
		add(w.core("closed", p, join(look, shellStands, ends(p))...))
		add(w.withDocuments("closed", p))
		add(w.withNodes("closed", p))
	}
	for i, id := range []string{host, staging, untagged} {
		prod := w.startAt(w.Node(id), "Shell", iam.Context{"ssm:resourceTag/Stage": "prod"})
		add(w.table([]named{{fmt.Sprintf("shell on node %d with the tag", i+1), prod}}, []string{"Stage prod"}, w.carol, func(string) bool { return true }, nil))
	}
	add(w.under("Stage prod", w.carol, join(look, ends(w.carol), resumes(w.carol), []string{"shell on bastion", "read the document", "describe the document"})...))
	add(w.besides("Stage prod", w.carol, join(waysAround, []string{"tag an instance as a bastion, among others", "untag an instance of its stage", "tag a node", "untag a node", "tag a group whose next instances are bastions", "untag a group"})...))
	return cases
}

// partitionCases are enough to see that no ARN is of the partition aws.
func (w *world) partitionCases() []testCase {
	var cases []testCase
	cases = append(cases, w.under("shell", w.carol, join(look, shellStands, ends(w.carol), resumes(w.carol), shellOpens)...)...)
	cases = append(cases, w.under("SSH", w.alice, join(lookForEndpoints, sshOpens)...)...)
	return append(cases, w.besides("SSH", w.alice, join(waysAround, tagging)...)...)
}
