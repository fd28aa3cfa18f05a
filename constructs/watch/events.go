package watch

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/notice"
	"github.com/postern-cdk/postern/internal/runbook"
	"github.com/postern-cdk/postern/internal/tree"
)

// The IDs below which notices of calls stand.
const (
	tamperingID     = "Tampering"
	tunnelsID       = "Tunnels"
	serialConsoleID = "SerialConsole"
	attemptsID      = "Attempts"
	rootID          = "Root"
)

const tampering = runbook.Page("tampering")

// TamperNotices names what nobody should change without others being told. Its zero
// value, and nil, stand for what is told of in any account; see
// [Watch.AddTamperNotices].
type TamperNotices struct {
	// Buckets hold records, such as that of an archive: their policy, lifecycle, lock,
	// versioning, encryption, replication and the like are told of.
	Buckets []awss3.IBucket

	// Keys encrypt records: their deletion, disabling, policy and rotation are told of.
	Keys []awskms.IKey

	// LogGroups take records: their deletion, retention, subscriptions, metric filters,
	// key and masking are told of.
	LogGroups []awslogs.ILogGroup

	// Documents are session documents, by name. Those that sessions use by default
	// are always told of.
	Documents []string
}

func (n *TamperNotices) withDefaults() TamperNotices {
	if n == nil {
		return TamperNotices{}
	}
	return *n
}

func (n *TamperNotices) validate() error {
	var faults check.Faults
	for i, b := range n.Buckets {
		if b == nil {
			faults.Addf(fmt.Sprintf("Buckets[%d]", i), "pass a bucket, or leave it out", "is nil")
		}
	}
	for i, k := range n.Keys {
		if k == nil {
			faults.Addf(fmt.Sprintf("Keys[%d]", i), "pass a key, or leave it out", "is nil")
		}
	}
	for i, g := range n.LogGroups {
		if g == nil {
			faults.Addf(fmt.Sprintf("LogGroups[%d]", i), "pass a log group, or leave it out", "is nil")
		}
	}
	for i, name := range n.Documents {
		if !check.Token(name) && !documentName.MatchString(name) {
			faults.Addf(fmt.Sprintf("Documents[%d]", i), "write the name alone, 3 to 128 letters, digits, hyphens, dots and underscores",
				"%q is no name of a session document", name)
		}
	}
	return faults.Err()
}

// protected spells out what is told of. What is named twice is told of once.
func (n *TamperNotices) protected() notice.Protected {
	var p notice.Protected
	add := func(list *[]string, name string) {
		if !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
	for _, b := range n.Buckets {
		add(&p.Buckets, *b.BucketName())
	}
	for _, k := range n.Keys {
		add(&p.KeyIDs, *k.KeyId())
	}
	for _, g := range n.LogGroups {
		add(&p.LogGroups, attach.LogGroupName(g))
	}
	for _, name := range n.Documents {
		add(&p.Documents, name)
	}
	return p
}

// AddTamperNotices tells people when somebody changes what keeps records or lets
// people in. options may be nil. In any account and region these are told of:
//
//   - trails: stopped, deleted, changed, or other events selected
//   - flow logs deleted; the deletion protection of a log group taken off
//   - the account's default session document, and settings of Systems Manager
//   - EC2 Instance Connect Endpoints made or changed; the serial console switched on
//   - port 22 or 3389, or all ports, opened in a security group to addresses or a
//     prefix list
//   - the watch itself: rules, alarms and metric filters whose names begin as those of
//     this stack do, its topics, their key and subscriptions, the queue and the function
//
// and what options names. Each notice says who, what, when, from where, and how to
// look closer. Calls that were refused are not told of here.
//
// A deployment that changes what is named is told of, too. Of the watch itself it is
// told what a deployment switches off, mutes, takes away or sends elsewhere, and that
// it changes the rules that tell of this; not that it puts a rule, an alarm or a
// policy in place, whatever is in it, as every deployment of the watch would tell of
// itself. The end of its stack is told once.
//
// Limits: a rule that is switched off can't tell of that, so another one does; who
// switches off both at once by calls of their own is seen in CloudTrail only. What is
// told here comes from CloudTrail, but for deployments, so that a trail must have
// logged it: the stop of the last trail is the last that is told. Who unsubscribes by
// the link in an e-mail makes no call that CloudTrail has
// (docs.aws.amazon.com/sns/latest/dg/sns-logging-using-cloudtrail.html).
func (w *Watch) AddTamperNotices(options *TamperNotices) {
	n := options.withDefaults()
	err := n.validate()
	if err == nil {
		err = w.once("AddTamperNotices", tamperingID)
	}
	tree.Must("watch", w, tamperingID, err)

	t := w.teller(w, tamperingID)
	p := n.protected()
	w.tellOfItself(t, p.KeyIDs)
	for i, rule := range notice.RecordsTampered(p) {
		t.addLoud(numbered("Records", i), "Tells that what keeps records was changed", tampering, rule)
	}
	for i, rule := range notice.DoorsTampered(p) {
		t.addLoud(numbered("Doors", i), "Tells that what lets people in was changed", tampering, rule)
	}
	t.addLoud("Ports", "Tells that port 22 or 3389 was opened", tampering, notice.PortsOpened())
	t.widgets("Tampering", "What was changed")
}

// tellOfItself makes the rules that tell of changes to the watch. Keys by these IDs
// are told of already.
func (w *Watch) tellOfItself(t *teller, keys []string) {
	prefix := notice.Prefix(*awscdk.Stack_Of(w).StackName())
	itself := t.addLoud("Watch", "Tells that rules of the watch were changed", tampering, notice.WatchTampered(prefix, w.delivery.targetArns()))
	delivery := notice.Delivery{Watch: *itself.name, Queue: *w.delivery.queueName}
	if w.delivery.functionName != nil {
		delivery.Function = *w.delivery.functionName
	}
	if w.key != nil && !slices.Contains(keys, *w.key.KeyId()) {
		delivery.KeyID = *w.key.KeyId()
	}
	guards := []*rule{
		itself,
		t.addLoud("Alarms", "Tells that alarms of the watch were changed", tampering, notice.AlarmsTampered(prefix)),
		t.addLoud("Delivery", "Tells that what delivers notices was changed", tampering, notice.DeliveryTampered(delivery)),
	}
	for i, rule := range notice.TopicsTampered(w.topicArns()) {
		guards = append(guards, t.addLoud(numbered("Topics", i), "Tells that who gets messages was changed", tampering, rule))
	}

	// The last of them is also about itself, so its pattern comes after it is made.
	last := t.addLoud("Deployment", "Tells that a deployment changes what tells of tampering with the watch", tampering, notice.GuardsDeployed("", ""))
	var names []string
	for _, guard := range append(guards, last) {
		names = append(names, *guard.made.LogicalId())
	}
	last.made.SetEventPattern(notice.GuardsDeployed(*awscdk.Aws_STACK_ID(), names...).Pattern)

	// With the stack the first guard goes first, and the last one with its way to people
	// after it, so that it can tell of the end.
	itself.made.Node().AddDependency(last.made)
	for _, part := range w.wayToPeople() {
		last.made.Node().AddDependency(part)
	}
}

// wayToPeople is what messages need beside the topics that they are sent to.
func (w *Watch) wayToPeople() []constructs.IConstruct {
	var way []constructs.IConstruct
	children := func(of constructs.IConstruct, ids ...string) {
		for _, id := range ids {
			if child := of.Node().TryFindChild(&id); child != nil {
				way = append(way, child)
			}
		}
	}
	if w.props.Topic == nil {
		children(w.topic, "Policy")
	}
	for _, email := range w.emails {
		way = append(way, email)
	}
	if w.chat != nil {
		children(w.chat, "Policy")
		children(w.Node().FindChild(jsii.String(chatID)), "Slack", "Teams")
	}
	return way
}

// numbered is an ID that stays what it is while more rules come after it.
func numbered(id string, i int) string {
	if i == 0 {
		return id
	}
	return id + strconv.Itoa(i+1)
}

// AddTunnelNotices tells people of each tunnel that is opened through an EC2 Instance
// Connect Endpoint, and of each SSH key that is pushed to an instance. SSH by either
// makes both calls, or only the first with a key that is on the host.
//
// docs.aws.amazon.com/AWSEC2/latest/UserGuide/log-ec2-instance-connect-endpoint-using-cloudtrail.html
func (w *Watch) AddTunnelNotices() {
	tree.Must("watch", w, tunnelsID, w.once("AddTunnelNotices", tunnelsID))
	t := w.teller(w, tunnelsID)
	t.add("Opened", "Tells that a tunnel was opened", notice.TunnelOpened())
	t.add("KeyPushed", "Tells that an SSH key was pushed", notice.KeyPushed())
	t.widgets("Tunnels", "Tunnels opened, keys pushed")
}

// AddSerialConsoleNotices tells people loudly of each use of an instance's serial
// console. It goes around security groups, SSH and what records sessions.
//
// docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-serial-console.html
func (w *Watch) AddSerialConsoleNotices() {
	tree.Must("watch", w, serialConsoleID, w.once("AddSerialConsoleNotices", serialConsoleID))
	t := w.teller(w, serialConsoleID)
	t.addLoud("Used", "Tells that a serial console was used", runbook.Page("serial-console"), notice.SerialConsole())
	t.widgets("Serial console", "Uses of a serial console")
}

// AddFailedAttempts tells people of each call that would have started a session,
// opened a tunnel or pushed a key and that IAM refused. What the caller asked for is
// not in it: nobody has checked that text.
func (w *Watch) AddFailedAttempts() {
	tree.Must("watch", w, attemptsID, w.once("AddFailedAttempts", attemptsID))
	t := w.teller(w, attemptsID)
	t.addLoud("Refused", "Tells that access was refused", runbook.Page("refused-access"), notice.Refused())
	t.widgets("Refused access", "Calls refused")
}

// AddRootNotices tells people whenever the account's root user signs in or changes
// something. CloudTrail has logins of root in us-east-1 alone, whatever region the
// watch is in.
//
// docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-aws-console-sign-in-events.html
func (w *Watch) AddRootNotices() {
	tree.Must("watch", w, rootID, w.once("AddRootNotices", rootID))
	t := w.teller(w, rootID)
	t.addLoud("Used", "Tells that the root user was used", runbook.Page("root-use"), notice.RootUsed())
	t.widgets("Root user", "What the root user did")
}

// once refuses a method that was called before.
func (w *Watch) once(method, id string) error {
	var faults check.Faults
	if w.Node().TryFindChild(jsii.String(id)) != nil {
		faults.Add(method, "was called before, or a host has the name "+id, "call it once, and give the host another name")
	}
	return faults.Err()
}
