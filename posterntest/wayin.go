package posterntest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/postern-cdk/postern/internal/iam"
)

// EveryTargetHasAWayIn fails where a host or a database of the app can't be reached by
// anybody.
//
// A host (an instance, or an Auto Scaling group with its launch template) has a way in where
// its role lets the agent open a session of Session Manager, or where a security group of its
// lets something in on port 22 or 3389. A database (RDS instances and clusters, ElastiCache,
// OpenSearch domains in a VPC) has one where a security group of its lets in a network, a group
// of a host that has a way in itself, or a group that is not of this app.
//
// Routes, network ACLs and endpoints are not looked at: that is the work of accesspath.
func EveryTargetHasAWayIn(t testing.TB, app *App) {
	t.Helper()
	rules := app.rules()
	reachable := map[string]bool{} // groups of hosts that have a way in
	known := map[string]bool{}     // groups of the app
	for _, g := range app.resources("AWS::EC2::SecurityGroup") {
		known[g.stack.unique(g.id)] = true
	}
	var faults []string
	targets := 0
	for _, h := range app.hosts() {
		targets++
		switch open := slices.ContainsFunc(rules, func(u rule) bool {
			return slices.Contains(h.groups, u.group) && (u.covers(22) || u.covers(3389))
		}); {
		case open || h.agent:
			for _, group := range h.groups {
				reachable[group] = true
			}
		default:
			faults = append(faults, fmt.Sprintf("%s %s has no way in: its role does not let the agent open a session%s, and none of its security groups lets port 22 or 3389 in: "+
				"attach the policy AmazonSSMManagedInstanceCore or a narrower one to its role, or let an EC2 Instance Connect Endpoint or a bastion reach it", h.kind, h.label, h.why))
		}
	}
	for _, d := range app.databases() {
		targets++
		if !slices.ContainsFunc(rules, func(u rule) bool {
			if !slices.Contains(d.groups, u.group) {
				return false
			}
			return u.peer == "" || reachable[u.peer] || !known[u.peer]
		}) {
			faults = append(faults, fmt.Sprintf("%s %s has no way in: none of its security groups (%s) lets in a host that people can reach: "+
				"let a bastion or a relay connect to it, as session.NewTunnel does", d.kind, d.label, or(strings.Join(d.groups, ", "), "it has none of its own")))
		}
	}
	if targets == 0 {
		faults = append(faults, "the app has no host and no database: pass the templates of all stacks, or leave the assertion out")
	}
	report(t, "EveryTargetHasAWayIn", faults)
}

type target struct {
	kind, label string
	groups      []string
	agent       bool   // the role lets the agent open sessions
	why         string // what could not be judged
}

func (a *App) hosts() []target {
	var all []target
	for _, i := range a.resources("AWS::EC2::Instance") {
		groups := textsOf(i.at("SecurityGroupIds"))
		for _, n := range listOf(i.at("NetworkInterfaces")) {
			n, _ := n.(map[string]any)
			groups = append(groups, textsOf(n["GroupSet"])...)
		}
		t := target{kind: "instance", label: i.label(), groups: groups}
		profile := i.at("IamInstanceProfile")
		if launch, ok := i.at("LaunchTemplate").(map[string]any); ok {
			more, fromTemplate := a.launch(launch)
			t.groups = append(t.groups, more...)
			if profile == nil {
				profile = fromTemplate
			}
		}
		t.agent, t.why = a.agent(profile)
		all = append(all, t)
	}
	for _, g := range a.resources("AWS::AutoScaling::AutoScalingGroup") {
		t := target{kind: "Auto Scaling group", label: g.label()}
		launch, ok := g.at("LaunchTemplate").(map[string]any)
		if !ok {
			launch, _ = g.at("MixedInstancesPolicy", "LaunchTemplate", "LaunchTemplateSpecification").(map[string]any)
		}
		var profile any
		t.groups, profile = a.launch(launch)
		t.agent, t.why = a.agent(profile)
		all = append(all, t)
	}
	return all
}

// launch is what a launch template gives: security groups and instance profile.
func (a *App) launch(specification map[string]any) (groups []string, profile any) {
	name := textsOf(specification["LaunchTemplateId"])
	name = append(name, textsOf(specification["LaunchTemplateName"])...)
	for _, l := range a.resources("AWS::EC2::LaunchTemplate") {
		if ref, _ := l.stack.Ref(l.id); !slices.Contains(name, ref.(string)) && !slices.Contains(name, or(l.text("LaunchTemplateName"), l.id)) {
			continue
		}
		groups = textsOf(l.at("LaunchTemplateData", "SecurityGroupIds"))
		for _, n := range listOf(l.at("LaunchTemplateData", "NetworkInterfaces")) {
			n, _ := n.(map[string]any)
			groups = append(groups, textsOf(n["Groups"])...)
		}
		p, _ := l.at("LaunchTemplateData", "IamInstanceProfile").(map[string]any)
		if p["Arn"] != nil {
			return groups, p["Arn"]
		}
		return groups, p["Name"]
	}
	return nil, nil
}

// managedCore are AWS's policies with which the agent opens sessions.
var managedCore = []string{"/AmazonSSMManagedInstanceCore", "/AmazonSSMManagedEC2InstanceDefaultPolicy"}

// agent tells whether the role of an instance profile lets the agent open sessions. Why says
// what stands in the way of knowing.
func (a *App) agent(profile any) (ok bool, why string) {
	names := textsOf(profile)
	if len(names) == 0 {
		return false, " (it has none that this app tells)"
	}
	for _, p := range a.resources("AWS::IAM::InstanceProfile") {
		arn, _ := p.stack.GetAtt(p.id, "Arn")
		if ref, _ := p.stack.Ref(p.id); names[0] != ref && names[0] != arn && names[0] != or(p.text("InstanceProfileName"), p.id) {
			continue
		}
		for _, role := range textsOf(p.at("Roles")) {
			for _, r := range a.resources("AWS::IAM::Role") {
				if ref, _ := r.stack.Ref(r.id); ref != role {
					continue
				}
				for _, arn := range textsOf(r.at("ManagedPolicyArns")) {
					if slices.ContainsFunc(managedCore, func(core string) bool { return strings.HasSuffix(arn, core) }) {
						return true, ""
					}
				}
				s, err := a.policiesOf(r)
				if err != nil {
					return false, fmt.Sprintf(" as far as can be judged (%v)", err)
				}
				for _, action := range []string{"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"} {
					if !s.allows(a.fill(s, iam.Request{Action: action, Resource: "*"})) {
						return false, fmt.Sprintf(" (%s may not %s)", r.label(), action)
					}
				}
				return true, ""
			}
		}
	}
	return false, " (its instance profile is not in the app)"
}

// databaseGroups are where each kind of database keeps its security groups.
var databaseGroups = map[string][]string{
	"AWS::RDS::DBInstance":               {"VPCSecurityGroups"},
	"AWS::RDS::DBCluster":                {"VpcSecurityGroupIds"},
	"AWS::ElastiCache::CacheCluster":     {"VpcSecurityGroupIds"},
	"AWS::ElastiCache::ReplicationGroup": {"SecurityGroupIds"},
	"AWS::ElastiCache::ServerlessCache":  {"SecurityGroupIds"},
	"AWS::OpenSearchService::Domain":     {"VPCOptions", "SecurityGroupIds"},
}

func (a *App) databases() []target {
	var all []target
	for _, d := range a.resources(sorted(databaseGroups)...) {
		switch {
		case d.kind == "AWS::RDS::DBInstance" && d.at("DBClusterIdentifier") != nil:
			continue // reached by its cluster
		case d.kind == "AWS::OpenSearchService::Domain" && d.at("VPCOptions") == nil:
			continue // not in a VPC
		}
		all = append(all, target{kind: d.kind, label: d.label(), groups: textsOf(d.at(databaseGroups[d.kind]...))})
	}
	return all
}

func sorted(m map[string][]string) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
