package session

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// PreferencesProps says what the shell sessions of a document are like. Its zero
// value, and nil, are the safest; see [Settings].
type PreferencesProps struct {
	// Name of the document, 3 to 128 letters, digits, _, - and ., by which people
	// ask for it. Another one makes another document. Defaults to the stack's name
	// and the place in it, such as "Access-Shell".
	Name string

	// Description for who lists documents. Defaults to where the document comes
	// from.
	Description string

	// Settings of the sessions.
	Settings Settings

	// Targets that [Preferences.GrantShell] opens. Hosts of the app are added by
	// [Preferences.AllowHost].
	Targets []Target
}

func (p *PreferencesProps) withDefaults() PreferencesProps {
	var q PreferencesProps
	if p != nil {
		q = *p
	}
	q.Settings = q.Settings.withDefaults()
	return q
}

// validate examines props whose defaults are filled in.
func (p *PreferencesProps) validate() error {
	var faults check.Faults
	if p.Name != "" {
		faults.Check("Name", ownName(p.Name))
	}
	faults.Merge("Settings", p.Settings.validate())
	validateTargets(p.Targets, &faults)
	return faults.Err()
}

// Preferences is a session document of its own name for shells. People get the
// sessions it describes where their policies allow it and no other.
type Preferences struct {
	constructs.Construct

	shell    *shell
	name     string
	targets  []Target
	granted  bool
	resource awsssm.CfnDocument
}

var _ constructs.IConstruct = (*Preferences)(nil)

// NewPreferences makes the document, and where it records. props may be nil.
func NewPreferences(scope constructs.Construct, id string, props *PreferencesProps) *Preferences {
	p := props.withDefaults()
	tree.Must("session preferences", scope, id, p.validate())
	tree.Must("session preferences", scope, id, p.Settings.placed())

	n := &Preferences{targets: p.Targets}
	constructs.NewConstruct_Override(n, scope, &id)
	n.shell = newShell(n, p.Settings)
	n.name = documentName(n, p.Name)
	if p.Description == "" {
		p.Description = "Recorded shell of " + *n.Node().Path()
	}
	n.resource = newDocument(n, n.name, n.shell.content(p.Description).JSON())
	n.shell.follow(n.resource)
	return n
}

// newDocument makes a session document.
//
// With the other update method, Replace, CloudFormation refuses every change of a
// document that has a name.
//
// docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ssm-document.html
func newDocument(scope constructs.Construct, name, content string) awsssm.CfnDocument {
	var parsed map[string]any
	if err := json.Unmarshal([]byte(content), &parsed); err != nil {
		panic(err) // made by package policy
	}
	resource := awsssm.NewCfnDocument(scope, jsii.String("Resource"), &awsssm.CfnDocumentProps{
		Name:           &name,
		DocumentType:   jsii.String("Session"),
		DocumentFormat: jsii.String("JSON"),
		UpdateMethod:   jsii.String("NewVersion"),
		Content:        parsed,
	})
	oneName(scope, resource)
	return resource
}

// DocumentName is what people ask for with --document-name.
func (n *Preferences) DocumentName() string { return n.name }

// DocumentArn is what policies allow.
func (n *Preferences) DocumentArn() string { return n.shell.at.Document(n.name) }

// LogGroup takes what is shown while a session lasts, in a stream named by the
// session's ID; nil where there is none.
func (n *Preferences) LogGroup() awslogs.ILogGroup { return n.shell.logGroup }

// Bucket takes the transcripts, PREFIX/SESSION_ID.log; nil where there is none.
func (n *Preferences) Bucket() awss3.IBucket { return n.shell.bucket }

// Key encrypts sessions on their way; nil where only TLS does.
func (n *Preferences) Key() awskms.IKey { return n.shell.key }

// Access is what it takes to start the sessions: the document, the targets and
// the key.
func (n *Preferences) Access() policy.Session { return n.shell.access(n.DocumentArn(), n.targets) }

// ShellHost is a construct whose instances can open recorded shells. A bastion is
// one.
type ShellHost interface {
	constructs.IConstruct
	Host
	// Role is the role of its instances.
	Role() awsiam.IRole
}

// AllowHost makes a host one of the targets, and lets it do all that the agent
// asks for before it opens a session and writes in it. Where a bastion's only way
// out are endpoints, it gets one for KMS, unless there is no key: $7.30 a month and
// zone. Call it before [Preferences.GrantShell].
func (n *Preferences) AllowHost(host ShellHost) {
	var faults check.Faults
	if host == nil {
		faults.Add("host", "is nil", "pass a bastion, or use AllowRole and Targets")
	} else if known, ok := host.(interface{ Sudoers() []string }); ok {
		for _, name := range known.Sudoers() {
			if name == n.shell.settings.RunAs.User {
				faults.Addf("Settings.RunAs.User", "name a user who may not become root, or leave it out", "%q may become root on %s", name, *host.Node().Path())
			}
		}
	}
	if n.granted {
		faults.Add("host", "comes after GrantShell, whose grants don't have it", "call AllowHost first")
	}
	must("session preferences", n, "AllowHost", &faults)
	n.targets = append(n.targets, Target{Host: host})
	n.shell.allowRole(host.Role())
	if reaching, ok := host.(interface {
		RequireServices(services ...endpoints.Service)
	}); ok && n.shell.key != nil {
		reaching.RequireServices(endpoints.KMS) // the agent decrypts the session's data key
	}
}

// AllowRole lets the instances of a role do all that the agent asks for before it
// opens a session and writes in it. Which of them people may reach is for Targets
// to say. The instances need a way to Systems Manager, CloudWatch Logs, S3 and, with
// a key, KMS. For roles of another app, see [Preferences.HostPolicy].
func (n *Preferences) AllowRole(role awsiam.IRole) {
	var faults check.Faults
	if role == nil {
		faults.Add("role", "is nil", "pass the role of the instances")
	}
	must("session preferences", n, "AllowRole", &faults)
	n.shell.allowRole(role)
}

// HostPolicy is the policy that [Preferences.AllowRole] attaches, as JSON, for
// roles that this app can't change. Such a role needs what the agent itself does
// too, as the AWS managed policy AmazonSSMManagedInstanceCore has it.
func (n *Preferences) HostPolicy() string {
	h := n.shell.host()
	return policy.Text(h.Statements(n.shell.at))
}

// GrantShell lets somebody start recorded shells on the targets with this
// document, and with no other one; end and resume their own sessions; and use the
// session's key. It allows, and denies nothing: see package operator for that.
func (n *Preferences) GrantShell(who awsiam.IGrantable) awsiam.Grant {
	var faults check.Faults
	if who == nil {
		faults.Add("who", "is nil", "pass a role, a user or a group")
	}
	if len(n.targets) == 0 {
		faults.Add("Targets", "are none, so there is nothing to start a shell on", "call AllowHost with a bastion, or name Targets")
	}
	must("session preferences", n, "GrantShell", &faults)
	n.granted = true
	return attach.ToPrincipal(who, policy.SessionStatements(n.shell.at, attach.CallerOf(who), n.Access(), policy.When{}))
}

// GrantShellAs is [Preferences.GrantShell] for somebody whose sessions run as an OS
// user: a role or a user made in this app gets the tag SSMSessionRunAs. The user
// must exist on the host, as a person of a bastion does.
func (n *Preferences) GrantShellAs(who awsiam.IGrantable, user string) awsiam.Grant {
	var faults check.Faults
	_, role := who.(awsiam.Role)
	_, person := who.(awsiam.User)
	if who != nil && !role && !person {
		faults.Add("who", "is neither a role nor a user that is made here, so it can't be tagged", "tag it with SSMSessionRunAs where it is made, and call GrantShell")
	}
	switch {
	case n.shell.settings.RunAs.AgentUser:
		faults.Add("user", "is nobody's choice with Settings.RunAs.AgentUser", "leave that out, or call GrantShell")
	case user == "root" || user == "ssm-user":
		faults.Addf("user", "name a user of the hosts who may not become root", "%q is for nobody's sessions", user)
	case !userForm.MatchString(user):
		faults.Addf("user", `write the name of the account on the host, such as "alice"`, "%q can't be the name of an OS user", user)
	}
	must("session preferences", n, "GrantShellAs", &faults)
	grant := n.GrantShell(who)
	awscdk.Tags_Of(who.(constructs.IConstruct)).Add(jsii.String(runAsTag), &user, nil)
	return grant
}

// runAsTag is where Session Manager looks first for the OS user of a session.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-run-as.html
const runAsTag = "SSMSessionRunAs"

func ownName(name string) *check.Fault {
	if fault := check.DocumentName(name); fault != nil {
		return fault
	}
	if name == accountDefault {
		return &check.Fault{
			Problem: fmt.Sprintf("%q is the account's default document: creating it fails where it exists, and deleting the stack would delete the account's preferences", name),
			Fix:     "use NewAccountDefault, which keeps what is there, or a name of your own",
		}
	}
	return nil
}

// access is what it takes to start sessions of a document that record here.
func (sh *shell) access(documentArn string, targets []Target) policy.Session {
	session := policy.Session{Documents: []string{documentArn}, Targets: targetsOf(targets, sh.at), Longest: sh.settings.MaxDuration}
	if session.Longest == 0 {
		session.Longest = policy.Endless
	}
	if sh.key != nil {
		session.Keys = []string{*sh.key.KeyArn()}
	}
	return session
}
