package policy_test

import (
	"strings"

	"github.com/postern-cdk/postern/internal/iam"
	"github.com/postern-cdk/postern/internal/policy"
)

const (
	host      = "i-0aaaaaaaaaaaaaaaa" // may be reached, by its ID
	bastion   = "i-0bbbbbbbbbbbbbbbb" // may be reached, by its tags
	stranger  = "i-0cccccccccccccccc" // may not: the bastion of others
	staging   = "i-0dddddddddddddddd" // may not: a bastion of another stage
	untagged  = "i-0eeeeeeeeeeeeeeee" // may not: it carries nothing
	endpoint  = "eice-0aaaaaaaaaaaaaaaa"
	account   = "111122223333"
	office    = "203.0.113.9"
	elsewhere = "198.51.100.7"
	noon      = "2026-03-10T12:00:00Z"
)

// tags of each instance.
var tags = map[string]map[string]string{
	bastion:  {"postern:bastion": "Test/Bastion", "Stage": "prod"},
	stranger: {"postern:bastion": "Other/Bastion", "Stage": "prod"},
	staging:  {"postern:bastion": "Test/Bastion", "Stage": "test"},
}

// world is everything that there is in a partition and region.
type world struct {
	policy.Scope
	// label begins the names of policies and cases, where there is more than one world.
	label string
	// Users of IAM. The second has a name that begins with the first's.
	alice, aliceTwo person
	// Sessions of a role, such as IAM Identity Center's, and one of another role.
	carol, carolTwo, otherCarol person
}

func newWorld(partition, region string) *world {
	w := &world{Scope: policy.Scope{Partition: partition, Region: region, Account: account}}
	w.alice = w.user("alice", "AIDAALICE0000000001")
	w.aliceTwo = w.user("alice-2", "AIDAALICE0000000002")
	w.carol = w.session("Operators", "AROAOPERATORS0000001", "carol")
	w.carolTwo = w.session("Operators", "AROAOPERATORS0000001", "carol-2")
	w.otherCarol = w.session("Others", "AROAOTHERS0000000001", "carol")
	return w
}

func (w *world) named(policies []string) []string {
	named := make([]string, len(policies))
	for i, name := range policies {
		named[i] = w.label + name
	}
	return named
}

// person is who asks, and what IAM knows of the request because of that.
type person struct {
	name, arn string
	// state is how the person asks, where it matters.
	state   string
	context iam.Context
	// sessionID begins the IDs of the sessions that they start.
	sessionID string
}

func (p person) with(context iam.Context) person {
	p.context = p.context.With(context)
	return p
}

func (w *world) everyone() iam.Context {
	return iam.Context{"aws:PrincipalAccount": w.Account, "aws:SourceIp": office, "aws:CurrentTime": noon, "aws:RequestedRegion": w.Region}
}

// user is an IAM user that signed in with a second factor five minutes ago.
func (w *world) user(name, id string) person {
	arn := w.arn("iam", "", w.Account, "user/"+name)
	return person{
		name: "user " + name, arn: arn, sessionID: name,
		context: w.everyone().With(iam.Context{
			"aws:PrincipalArn": arn, "aws:PrincipalType": "User", "aws:userid": id, "aws:username": name,
			"aws:MultiFactorAuthPresent": "true", "aws:MultiFactorAuthAge": "300",
		}),
	}
}

// session is who has assumed a role. IAM has no user name for them, and does not
// know of a second factor, even where the role was assumed with one.
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#principaltable
// docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa_configure-api-require.html
func (w *world) session(role, id, name string) person {
	return person{
		name: "role " + role + "/" + name, sessionID: name,
		arn: w.arn("sts", "", w.Account, "assumed-role/"+role+"/"+name),
		context: w.everyone().With(iam.Context{
			"aws:PrincipalArn": w.arn("iam", "", w.Account, "role/"+role), "aws:PrincipalType": "AssumedRole", "aws:userid": id + ":" + name,
		}),
	}
}

func (w *world) arn(service, region, account, resource string) string {
	return strings.Join([]string{"arn", w.Partition, service, region, account, resource}, ":")
}

// document is the ARN of a document of the account, or of AWS's own.
func (w *world) document(name string) string {
	if strings.HasPrefix(name, "AWS-") || strings.HasPrefix(name, "Amazon") {
		return w.arn("ssm", w.Region, "", "document/"+name)
	}
	return w.Document(name)
}

func tagKeys(prefix, id string) iam.Context {
	context := iam.Context{}
	for key, value := range tags[id] {
		context[prefix+key] = value
	}
	return context
}

// deed is something that a person does.
type deed func(p person) iam.Operation

// start starts a session on an instance with a document, "" for none.
func (w *world) start(id, name string) deed {
	return w.startAt(w.Node(id), name, tagKeys("ssm:resourceTag/", id))
}

func (w *world) startAt(target, name string, tags iam.Context) deed {
	return func(p person) iam.Operation {
		arn := name
		if name != "" && !strings.HasPrefix(name, "arn:") {
			arn = w.document(name)
		}
		o := iam.StartSession(target, arn, p.context)
		// A document carries none of the node's tags.
		for i := range o.Alternatives {
			for j := range o.Alternatives[i] {
				if r := &o.Alternatives[i][j]; r.Resource == target {
					r.Context = r.Context.With(tags)
				}
			}
		}
		return o
	}
}

// once is a single request.
func once(action, resource string, context iam.Context) deed {
	return func(p person) iam.Operation {
		return iam.Once(iam.Request{Action: action, Resource: resource, Context: p.context.With(context)})
	}
}

// onSession is a request about a session that somebody started.
func (w *world) onSession(action string, owner person) deed {
	return once(action, w.sessionOf(owner), iam.Context{
		"ssm:resourceTag/aws:ssmmessages:session-id": owner.context["aws:userid"],
		"ssm:resourceTag/aws:ssmmessages:target-id":  host,
	})
}

func (w *world) sessionOf(owner person) string {
	return w.arn("ssm", w.Region, w.Account, "session/"+owner.sessionID+"-0123456789abcdef0")
}

// mine is a request about a session of one's own.
func (w *world) mine(action string) deed {
	return func(p person) iam.Operation { return w.onSession(action, p)(p) }
}

// mineIn is the same in another region.
func (w *world) mineIn(region, action string) deed {
	return func(p person) iam.Operation {
		o := w.mine(action)(p)
		r := &o.Alternatives[0][0]
		r.Resource = strings.Replace(r.Resource, ":"+w.Region+":", ":"+region+":", 1)
		return o
	}
}

// tunnel opens a tunnel of EC2 Instance Connect. A duration of "" is one that
// the client does not ask for.
func (w *world) tunnel(id, address, port, duration string) deed {
	return once("ec2-instance-connect:OpenTunnel", w.arn("ec2", w.Region, w.Account, "instance-connect-endpoint/"+id), iam.Context{
		"ec2-instance-connect:privateIpAddress": address, "ec2-instance-connect:remotePort": port, "ec2-instance-connect:maxTunnelDuration": duration,
	})
}

// push pushes a public key to an account on an instance.
func (w *world) push(id, account string) deed {
	context := tagKeys("aws:ResourceTag/", id).With(tagKeys("ec2:ResourceTag/", id)).With(iam.Context{"ec2:osuser": account})
	return once("ec2-instance-connect:SendSSHPublicKey", w.Node(id), context)
}
