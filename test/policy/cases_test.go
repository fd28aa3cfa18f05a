package policy_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/iam"
)

// testCase is one thing that somebody does under some policies.
type testCase struct {
	name string
	// policies are those of the grants, whose names they are.
	policies []string
	who      person
	do       iam.Operation
	want     bool
}

func (c testCase) questions() []question {
	var all []question
	for _, r := range c.do.Requests() {
		account := account
		if parts := strings.Split(r.Resource, ":"); len(parts) > 4 && parts[4] != "" {
			account = parts[4]
		}
		all = append(all, question{Policies: c.policies, Principal: c.who.arn, Action: r.Action, Resource: r.Resource, Account: account, Context: r.Context})
	}
	return all
}

// named is a deed with a name.
type named struct {
	name string
	do   deed
}

// deeds are what people might do. Each is tried under each grant, and what a
// grant does not name is to be denied.
func (w *world) deeds() []named {
	const farAway, other = "us-west-2", "999988887777"
	farHost := w.arn("ec2", farAway, w.Account, "instance/"+host)
	otherHost := w.arn("ec2", w.Region, other, "instance/"+host)
	group := w.arn("autoscaling", w.Region, w.Account, "autoScalingGroup:1:autoScalingGroupName/hosts")
	foreignHost := strings.Replace(w.Node(host), "arn:"+w.Partition+":", "arn:aws-iso:", 1)
	list := append(w.starts(),
		named{"shell on a node outside EC2", w.startAt(w.arn("ssm", w.Region, w.Account, "managed-instance/mi-0aaaaaaaaaaaaaaaa"), "Shell", nil)},
		named{"shell on a task", w.startAt(w.arn("ecs", w.Region, w.Account, "task/cluster/0aaaaaaaaaaaaaaaa"), "Shell", nil)},
		named{"shell on host of another region", w.startAt(farHost, "Shell", nil)},
		named{"shell on bastion of another region", w.startAt(w.arn("ec2", farAway, w.Account, "instance/"+bastion), "Shell", tagKeys("ssm:resourceTag/", bastion))},
		named{"shell on host of another account", w.startAt(otherHost, "Shell", nil)},
		named{"shell on bastion of another account", w.startAt(w.arn("ec2", w.Region, other, "instance/"+bastion), "Shell", tagKeys("ssm:resourceTag/", bastion))},
		named{"shell on host of another partition", w.startAt(foreignHost, "Shell", nil)},
		named{"shell on an instance whose ID begins like host's", w.startAt(w.Node(host+"0"), "Shell", nil)},
		named{"tunnel to database on stranger", w.start(stranger, "TunnelDatabase")},
		named{"default document by name on host", w.start(host, iam.DefaultShell)},
		named{"document whose name begins like Shell", w.start(host, "Shell2")},
		named{"document whose name Shell begins with", w.start(host, "She")},
		named{"document in another case", w.start(host, "SHELL")},
		named{"document of another region", w.start(host, w.arn("ssm", farAway, w.Account, "document/Shell"))},
		named{"document of another account", w.start(host, w.arn("ssm", w.Region, other, "document/Shell"))},
	)
	for _, name := range []string{
		"AWS-StartSSHSession", "AWS-StartPortForwardingSession", "AWS-StartPortForwardingSessionToRemoteHost", "AWS-StartPortForwardingSessionToSocket",
		"AWS-StartInteractiveCommand", "AWS-StartNoninteractiveCommand", "AWS-PasswordReset", "AmazonCloudWatch-ManageAgent",
	} {
		list = append(list, named{name + " on host", w.start(host, name)})
	}
	list = append(list, w.sessions()...)
	list = append(list, named{"control channel", once("ssmmessages:OpenControlChannel", "*", nil)})
	key := w.arn("kms", w.Region, w.Account, "key/session")
	list = append(list,
		named{"resume a session with a name like one's own and no tag", func(p person) iam.Operation {
			return once("ssm:ResumeSession", w.sessionOf(p), nil)(p)
		}},
		named{"end a session with a name like one's own and no tag", func(p person) iam.Operation {
			return once("ssm:TerminateSession", w.sessionOf(p), nil)(p)
		}},
		named{"resume own session of another region", w.mineIn(farAway, "ssm:ResumeSession")},
		named{"end own session of another region", w.mineIn(farAway, "ssm:TerminateSession")},

		named{"data key of the session key", once("kms:GenerateDataKey", key, iam.Context{"kms:EncryptionContext:aws:ssm:SessionId": "alice-1", "kms:EncryptionContext:aws:ssm:TargetId": host})},
		named{"data key for something else", once("kms:GenerateDataKey", key, nil)},
		named{"data key of another key", once("kms:GenerateDataKey", w.arn("kms", w.Region, w.Account, "key/other"), iam.Context{"kms:EncryptionContext:aws:ssm:SessionId": "alice-1"})},
		named{"decrypt with the session key", once("kms:Decrypt", key, iam.Context{"kms:EncryptionContext:aws:ssm:SessionId": "alice-1"})},

		named{"command on host", w.command(host, "AWS-RunShellScript")},
		named{"command by an own document", w.command(host, "Shell")},
		named{"command, document only", once("ssm:SendCommand", w.document("AWS-RunShellScript"), nil)},
		named{"automation", once("ssm:StartAutomationExecution", w.arn("ssm", w.Region, w.Account, "automation-definition/AWS-RunShellScript:1"), nil)},
		named{"change request", once("ssm:StartChangeRequestExecution", w.arn("ssm", w.Region, w.Account, "automation-definition/AWS-RunShellScript:1"), nil)},
		named{"association", once("ssm:CreateAssociation", w.document("Shell"), nil)},
		named{"associations", once("ssm:CreateAssociationBatch", w.document("Shell"), nil)},
		named{"change an association", once("ssm:UpdateAssociation", w.arn("ssm", w.Region, w.Account, "association/1"), nil)},
		named{"run associations", once("ssm:StartAssociationsOnce", "*", nil)},
		named{"task in a maintenance window", once("ssm:RegisterTaskWithMaintenanceWindow", w.arn("ssm", w.Region, w.Account, "maintenancewindow/mw-1"), nil)},
		named{"change a task", once("ssm:UpdateMaintenanceWindowTask", w.arn("ssm", w.Region, w.Account, "maintenancewindow/mw-1"), nil)},
		named{"change a service setting", once("ssm:UpdateServiceSetting", w.arn("ssm", w.Region, w.Account, "servicesetting/ssm/documents/console/public-sharing-permission"), nil)},
		named{"reset a service setting", once("ssm:ResetServiceSetting", w.arn("ssm", w.Region, w.Account, "servicesetting/ssm/documents/console/public-sharing-permission"), nil)},
		named{"change the document", once("ssm:UpdateDocument", w.document("Shell"), nil)},
		named{"other default version", once("ssm:UpdateDocumentDefaultVersion", w.document("Shell"), nil)},
		named{"delete the document", once("ssm:DeleteDocument", w.document("Shell"), nil)},
		named{"share the document", once("ssm:ModifyDocumentPermission", w.document("Shell"), nil)},
		named{"new document", once("ssm:CreateDocument", w.document("Mine"), nil)},
		named{"tag an instance as a bastion", once("ec2:CreateTags", w.Node(stranger), iam.Context{"aws:TagKeys": "postern:bastion"})},
		named{"tag an instance as a bastion, among others", once("ec2:CreateTags", w.Node(stranger), iam.Context{"aws:TagKeys": "Name,Stage"})},
		named{"tag a network interface as a bastion", once("ec2:CreateTags", w.arn("ec2", w.Region, w.Account, "network-interface/eni-1"), iam.Context{"aws:TagKeys": "postern:bastion"})},
		named{"tag an instance otherwise", once("ec2:CreateTags", w.Node(stranger), iam.Context{"aws:TagKeys": "Name"})},
		named{"untag an instance of its stage", once("ec2:DeleteTags", w.Node(staging), iam.Context{"aws:TagKeys": "Stage"})},
		named{"untag an instance", once("ec2:DeleteTags", w.Node(stranger), iam.Context{"aws:TagKeys": "postern:bastion"})},
		named{"tag a node", once("ssm:AddTagsToResource", w.arn("ssm", w.Region, w.Account, "managed-instance/mi-0aaaaaaaaaaaaaaaa"), iam.Context{"aws:TagKeys": "Stage"})},
		named{"tag a node otherwise", once("ssm:AddTagsToResource", w.arn("ssm", w.Region, w.Account, "managed-instance/mi-0aaaaaaaaaaaaaaaa"), iam.Context{"aws:TagKeys": "Name"})},
		named{"untag a node", once("ssm:RemoveTagsFromResource", w.arn("ssm", w.Region, w.Account, "managed-instance/mi-0aaaaaaaaaaaaaaaa"), iam.Context{"aws:TagKeys": "Stage"})},
		named{"tag a group whose next instances are bastions", once("autoscaling:CreateOrUpdateTags", group, iam.Context{"aws:TagKeys": "Stage,postern:bastion"})},
		named{"tag a group otherwise", once("autoscaling:CreateOrUpdateTags", group, iam.Context{"aws:TagKeys": "Name"})},
		named{"untag a group", once("autoscaling:DeleteTags", group, iam.Context{"aws:TagKeys": "Stage"})},
		named{"read a parameter", once("ssm:GetParameter", w.arn("ssm", w.Region, w.Account, "parameter/secret"), nil)},
		named{"remote desktop by Fleet Manager", once("ssm-guiconnect:StartConnection", "*", nil)},
		named{"just-in-time access", once("ssm:StartAccessRequest", w.Node(host), nil)},

		named{"serial console", once("ec2-instance-connect:SendSerialConsoleSSHPublicKey", w.Node(host), nil)},

		named{"read the document", once("ssm:GetDocument", w.document("Shell"), nil)},
		named{"describe the document", once("ssm:DescribeDocument", w.document("Shell"), nil)},
		named{"read the tunnel's document", once("ssm:GetDocument", w.document("TunnelDatabase"), nil)},
		named{"describe the tunnel's document", once("ssm:DescribeDocument", w.document("TunnelDatabase"), nil)},
		named{"read the emergency document", once("ssm:GetDocument", w.document("Emergency"), nil)},
		named{"describe the emergency document", once("ssm:DescribeDocument", w.document("Emergency"), nil)},
		named{"read the SSH document", once("ssm:GetDocument", w.document("SSH"), nil)},
		named{"describe the SSH document", once("ssm:DescribeDocument", w.document("SSH"), nil)},
		named{"read another document", once("ssm:GetDocument", w.document("Private"), nil)},
	)
	list = append(list, w.connects()...)
	for _, action := range []string{
		"ec2:DescribeInstances", "ec2:DescribeInstanceConnectEndpoints", "ssm:DescribeInstanceInformation", "ssm:DescribeInstanceProperties", "ssm:DescribeSessions",
	} {
		list = append(list,
			named{action, once(action, "*", nil)},
			named{action + " in another region", once(action, "*", iam.Context{"aws:RequestedRegion": farAway})},
		)
	}
	return append(list, named{"ssm:GetConnectionStatus", once("ssm:GetConnectionStatus", w.Node(host), tagKeys("ssm:resourceTag/", host))})
}

// starts are those deeds that tell apart who may use which document where.
func (w *world) starts() []named {
	const other = "i-0ffffffffffffffff"
	return []named{
		{"emergency document on host", w.start(host, "Emergency")},
		{"emergency document on bastion", w.start(bastion, "Emergency")},
		{"shell on host", w.start(host, "Shell")},
		{"shell on bastion", w.start(bastion, "Shell")},
		{"shell on stranger", w.start(stranger, "Shell")},
		{"shell on staging", w.start(staging, "Shell")},
		{"shell on untagged", w.start(untagged, "Shell")},
		{"shell on a node with one tag of two", w.startAt(w.Node(other), "Shell", iam.Context{"ssm:resourceTag/postern:bastion": "Test/Bastion"})},
		{"shell on a node with the other tag of two", w.startAt(w.Node(other), "Shell", iam.Context{"ssm:resourceTag/Stage": "prod"})},
		{"SSH document on host", w.start(host, "SSH")},
		{"SSH document on bastion", w.start(bastion, "SSH")},
		{"no document on host", w.start(host, "")},
		{"no document on bastion", w.start(bastion, "")},
		{"tunnel to database on host", w.start(host, "TunnelDatabase")},
		{"tunnel to database on bastion", w.start(bastion, "TunnelDatabase")},
		{"tunnel to cache on host", w.start(host, "TunnelCache")},
		{"tunnel to cache on bastion", w.start(bastion, "TunnelCache")},
	}
}

// sessions are what people do with sessions of their own and of others.
func (w *world) sessions() []named {
	list := []named{
		{"resume own session", w.mine("ssm:ResumeSession")},
		{"end own session", w.mine("ssm:TerminateSession")},
		{"data channel", once("ssmmessages:OpenDataChannel", "*", nil)},
	}
	for _, owner := range []person{w.alice, w.aliceTwo, w.carol, w.carolTwo, w.otherCarol} {
		list = append(list,
			named{"resume session of " + owner.name, w.onSession("ssm:ResumeSession", owner)},
			named{"end session of " + owner.name, w.onSession("ssm:TerminateSession", owner)},
		)
	}
	return list
}

// connects are what people do with EC2 Instance Connect.
func (w *world) connects() []named {
	const farAway = "us-west-2"
	return []named{
		{"SSH tunnel", w.tunnel(endpoint, "10.0.1.10", "22", "1800")},
		{"SSH tunnel to the last address", w.tunnel(endpoint, "10.0.1.255", "22", "1800")},
		{"SSH tunnel just outside the network", w.tunnel(endpoint, "10.0.2.0", "22", "1800")},
		{"SSH tunnel far outside the network", w.tunnel(endpoint, "192.168.0.1", "22", "1800")},
		{"SSH tunnel to no address", w.tunnel(endpoint, "", "22", "1800")},
		{"SSH tunnel as long as may be", w.tunnel(endpoint, "10.0.1.10", "22", "3600")},
		{"SSH tunnel of no length", w.tunnel(endpoint, "10.0.1.10", "22", "")},
		{"SSH tunnel by another endpoint", w.tunnel("eice-0bbbbbbbbbbbbbbbb", "10.0.1.10", "22", "1800")},
		{"RDP tunnel", w.tunnel(endpoint, "10.0.1.10", "3389", "1800")},
		{"RDP tunnel just outside the network", w.tunnel(endpoint, "10.0.2.0", "3389", "1800")},
		{"RDP tunnel to no address", w.tunnel(endpoint, "", "3389", "1800")},
		{"RDP tunnel by another endpoint", w.tunnel("eice-0bbbbbbbbbbbbbbbb", "10.0.1.10", "3389", "1800")},
		{"RDP tunnel as long as may be", w.tunnel(endpoint, "10.0.1.10", "3389", "3600")},
		{"tunnel to port 2222", w.tunnel(endpoint, "10.0.1.10", "2222", "1800")},
		{"tunnel to no port", w.tunnel(endpoint, "10.0.1.10", "", "1800")},
		{"push key to ec2-user on host", w.push(host, "ec2-user")},
		{"push key to ec2-user on bastion", w.push(bastion, "ec2-user")},
		{"push key to ec2-user on stranger", w.push(stranger, "ec2-user")},
		{"push key to ec2-user on staging", w.push(staging, "ec2-user")},
		{"push key to ec2-user on untagged", w.push(untagged, "ec2-user")},
		{"push key to ec2-user on bastion of another region", func(p person) iam.Operation {
			o := w.push(bastion, "ec2-user")(p)
			o.Alternatives[0][0].Resource = w.arn("ec2", farAway, w.Account, "instance/"+bastion)
			return o
		}},
		{"push key to ec2-user on an instance with one tag of two", once("ec2-instance-connect:SendSSHPublicKey", w.Node(untagged), iam.Context{"ec2:osuser": "ec2-user", "aws:ResourceTag/postern:bastion": "Test/Bastion"})},
		{"push key to ec2-user on an instance with the other tag", once("ec2-instance-connect:SendSSHPublicKey", w.Node(untagged), iam.Context{"ec2:osuser": "ec2-user", "aws:ResourceTag/Stage": "prod"})},
		{"push key to root on host", w.push(host, "root")},
		{"push key to root on bastion", w.push(bastion, "root")},
		{"push key to nobody on host", w.push(host, "")},
		{"push key to nobody on bastion", w.push(bastion, "")},
	}
}

// command runs a command on an instance, which takes the permission for both.
func (w *world) command(id, name string) deed {
	return func(p person) iam.Operation {
		return iam.Operation{Name: "ssm:SendCommand", Alternatives: [][]iam.Request{{
			{Action: "ssm:SendCommand", Resource: w.Node(id), Context: p.context.With(tagKeys("ssm:resourceTag/", id))},
			{Action: "ssm:SendCommand", Resource: w.document(name), Context: p.context},
		}}}
	}
}

// under is all deeds of somebody under a grant, of which those named are allowed.
func (w *world) under(grant string, who person, allowed ...string) []testCase {
	return w.table(w.deeds(), []string{grant}, who, func(name string) bool { return slices.Contains(allowed, name) }, allowed)
}

// besides is what somebody may not do who else may do everything: the deeds named
// and no others. What another account owns takes that account's word, too.
func (w *world) besides(grant string, who person, denied ...string) []testCase {
	deeds := slices.DeleteFunc(w.deeds(), func(d named) bool { return strings.Contains(d.name, "another account") })
	if grant != "shell" { // that nothing else is denied is seen once
		deeds = slices.DeleteFunc(deeds, func(d named) bool {
			return !slices.Contains(waysAround, d.name) && !slices.Contains(tagging, d.name) && !strings.HasSuffix(d.name, "otherwise") && d.name != "shell on stranger"
		})
	}
	return w.table(deeds, []string{grant, "everything"}, who, func(name string) bool { return !slices.Contains(denied, name) }, denied)
}

// core is the deeds that circumstances are about.
func (w *world) core(grant string, who person, allowed ...string) []testCase {
	deeds := append(w.starts(), w.sessions()...)
	return w.table(deeds, []string{grant}, who, func(name string) bool { return slices.Contains(allowed, name) }, nil)
}

// withDocuments and withNodes are the starts of somebody whom another policy lets use
// all documents of the account, or all nodes: both policies add up.
func (w *world) withDocuments(grant string, who person, allowed ...string) []testCase {
	return w.table(w.starts(), []string{grant, "all documents"}, who, func(name string) bool { return slices.Contains(allowed, name) }, allowed)
}

func (w *world) withNodes(grant string, who person, allowed ...string) []testCase {
	return w.table(w.starts(), []string{grant, "all nodes"}, who, func(name string) bool { return slices.Contains(allowed, name) }, allowed)
}

func (w *world) table(deeds []named, policies []string, who person, want func(name string) bool, names []string) []testCase {
	var cases []testCase
	known := map[string]bool{}
	for _, d := range deeds {
		known[d.name] = true
		cases = append(cases, testCase{
			name: w.label + fmt.Sprintf("%s, %s: %s", strings.Join(policies, " + "), who.name+who.state, d.name), policies: w.named(policies),
			who: who, do: d.do(who), want: want(d.name),
		})
	}
	for _, name := range names {
		if !known[name] {
			panic("no deed " + name)
		}
	}
	return cases
}
