package session

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/accountdefault"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/function"
	"github.com/postern-cdk/postern/internal/lambda"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/survey"
	"github.com/postern-cdk/postern/internal/tree"
)

// OnExisting is what becomes of preferences that somebody else made.
type OnExisting string

// Choices of [AccountDefaultProps].OnExisting.
const (
	// FailOnExisting touches nothing that was not made here: the deployment fails,
	// and its message says how to choose otherwise.
	FailOnExisting OnExisting = ""
	// AdoptByMerge puts these settings over those that are there. What is not set
	// here stays: a destination as a whole, the key, the default user, shell profiles,
	// and fields that are not known here. Of two timeouts the shorter one is taken, and
	// RunAs stays on where it was.
	AdoptByMerge OnExisting = accountdefault.Merge
	// AdoptByReplace puts these settings in the place of those that are there.
	AdoptByReplace OnExisting = accountdefault.Replace
)

// AccountDefaultProps says what the sessions of an account are like. Its zero
// value, and nil, are the safest settings, and touch nothing that exists.
type AccountDefaultProps struct {
	// Description for who lists documents. Defaults to where it comes from.
	Description string

	// Settings of the sessions.
	Settings Settings

	// OnExisting is what becomes of preferences that are there already, such as those
	// that the console saves, and of what somebody changes afterwards. Whatever is
	// replaced is kept, and comes back when this construct goes. Defaults to
	// [FailOnExisting].
	OnExisting OnExisting

	// Targets that [AccountDefault.GrantShell] opens. Hosts of the app are added by
	// [AccountDefault.AllowHost].
	Targets []Target

	// FunctionFile is the file that bin/functionzip made of the function behind this,
	// for where there is no Go or not its modules at synthesis. Defaults to building
	// it, of the very version of this module.
	FunctionFile string
}

func (p *AccountDefaultProps) withDefaults() AccountDefaultProps {
	var q AccountDefaultProps
	if p != nil {
		q = *p
	}
	q.Settings = q.Settings.withDefaults()
	return q
}

// validate examines props whose defaults are filled in.
func (p *AccountDefaultProps) validate() error {
	var faults check.Faults
	faults.Merge("Settings", p.Settings.validate())
	if p.OnExisting != FailOnExisting {
		faults.Check("OnExisting", check.OneOf(p.OnExisting, AdoptByMerge, AdoptByReplace))
	}
	validateTargets(p.Targets, &faults)
	if check.Token(p.FunctionFile) {
		faults.Add("FunctionFile", "is a token, and the file is read now", "write the path of the file")
	}
	return faults.Err()
}

// What the function may take, and what CloudFormation waits for its answer where
// there is none. Lambda calls a function that fails twice more, some minutes apart.
const (
	functionTimeout = 2 * time.Minute
	answerWithin    = 15 * time.Minute
)

// AccountDefault owns the account's preferences in a Region, the document
// SSM-SessionManagerRunShell: what everybody gets who names no document.
//
// A function behind a custom resource does so, as CloudFormation can't: it fails
// where the document exists, replaces what it should change, and deletes the
// account's preferences with the stack
// (github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/460).
// The function keeps what it found in Parameter Store, puts its version in force and
// looks that it is, and goes back when the stack does. The parameters, and the
// function's log group, stay after the stack: see docs/guide/session-preferences.md
// for how to restore preferences by hand.
//
// The function costs nothing while nobody deploys. The parameters are standard ones,
// which are free; preferences of more than 4 KB take an advanced one, $0.05 a month.
type AccountDefault struct {
	constructs.Construct

	document *Preferences // its methods; no construct of its own
}

var _ constructs.IConstruct = (*AccountDefault)(nil)

// NewAccountDefault takes over the account's default. props may be nil.
func NewAccountDefault(scope constructs.Construct, id string, props *AccountDefaultProps) *AccountDefault {
	p := props.withDefaults()
	err := p.validate()
	var file function.File
	if err == nil {
		file, err = lambda.Build(accountdefault.Program, p.FunctionFile)
	}
	tree.Must("session account default", scope, id, err)
	tree.Must("session account default", scope, id, p.Settings.placed())

	a := &AccountDefault{}
	constructs.NewConstruct_Override(a, scope, &id)
	sh := newShell(a, p.Settings)
	a.document = &Preferences{Construct: a, shell: sh, name: accountdefault.Document, targets: p.Targets}
	if p.Description == "" {
		p.Description = "Session preferences of this account, from " + *a.Node().Path()
	}
	owner := a.newFunction(sh, file)
	choice := string(p.OnExisting)
	if choice == "" {
		choice = accountdefault.Fail
	}
	resource := awscdk.NewCustomResource(a, jsii.String("Resource"), &awscdk.CustomResourceProps{
		ServiceToken:   awscdk.Token_AsString(owner.GetAtt(jsii.String("Arn"), awscdk.ResolutionTypeHint_STRING), nil),
		ResourceType:   jsii.String(accountdefault.ResourceType),
		ServiceTimeout: awscdk.Duration_Minutes(jsii.Number(answerWithin.Minutes())),
		Properties: &map[string]any{
			accountdefault.Content:    sh.content(p.Description).JSON(),
			accountdefault.OnExisting: choice,
		},
	})
	sh.follow(resource.Node().DefaultChild().(awscdk.CfnResource))
	a.onlyOne()
	tree.Warn(a, "session-account-default", accountdefault.Document+" is for every host of the account in this Region. "+
		"Where one may not do what HostPolicy has, or the caller has no tag SSMSessionRunAs and Settings.RunAs no User, its sessions are refused: "+
		"see to all hosts and people, then acknowledge this")
	return a
}

// newFunction makes what owns the document, and may do nothing else.
func (a *AccountDefault) newFunction(sh *shell, file function.File) awscdk.CfnResource {
	const what = "Owns the document " + accountdefault.Document
	return lambda.New(a, "Function", &lambda.Props{
		File:              file,
		Description:       what,
		FileDescription:   "What owns " + accountdefault.Document,
		PolicyDescription: what + ", and no other",
		Statements: func(logGroupArn string) []policy.Statement {
			return policy.AccountDefaultOwner(sh.at, logGroupArn)
		},
		Key:          a.logKey(sh),
		Timeout:      functionTimeout,
		Unreserved:   "CloudFormation asks it one thing at a time, and new accounts have no concurrency to reserve",
		NoDeadLetter: "what it can't do is an event of the stack, and in its log",
		NoVpc:        "it speaks to Systems Manager and CloudFormation alone, and is asked by CloudFormation alone: nothing of it is in a VPC",
	})
}

// logKey is the key of the records, or a new one where they have none that is known.
func (a *AccountDefault) logKey(sh *shell) awskms.IKey {
	if made, ok := a.Node().TryFindChild(jsii.String(recordsKeyID)).(awskms.Key); ok {
		return made // for a log group of the sessions
	}
	return sh.recordsKey("Encrypts the records of session preferences")
}

// onlyOne refuses a second owner in an account and Region when the tree is
// finished: the deploy of it would fail.
func (a *AccountDefault) onlyOne() {
	own := *a.Node().Path()
	survey.Validate(a, func(s *survey.Survey) []string {
		where := environment(a)
		var faults []string
		for _, node := range s.Nodes {
			path := *node.Node().Path()
			switch other := node.(type) {
			case *AccountDefault:
				if path >= own || environment(other) != where { // of two, the later one tells
					continue
				}
			case awsssm.CfnDocument:
				if other.Name() == nil || *other.Name() != accountdefault.Document || environment(other) != where {
					continue
				}
			default:
				continue
			}
			faults = append(faults, fmt.Sprintf("%s owns %s too, and an account has one in a Region: keep one of them", path, accountdefault.Document))
		}
		return faults
	})
}

// DocumentName is SSM-SessionManagerRunShell.
func (a *AccountDefault) DocumentName() string { return a.document.DocumentName() }

// DocumentArn is what policies allow.
func (a *AccountDefault) DocumentArn() string { return a.document.DocumentArn() }

// LogGroup takes what is shown while a session lasts, in a stream named by the
// session's ID; nil where there is none.
func (a *AccountDefault) LogGroup() awslogs.ILogGroup { return a.document.LogGroup() }

// Bucket takes the transcripts, PREFIX/SESSION_ID.log; nil where there is none.
func (a *AccountDefault) Bucket() awss3.IBucket { return a.document.Bucket() }

// Key encrypts sessions on their way; nil where only TLS does.
func (a *AccountDefault) Key() awskms.IKey { return a.document.Key() }

// Access is what it takes to start the sessions: the document, the targets and
// the key.
func (a *AccountDefault) Access() policy.Session { return a.document.Access() }

// AllowHost is [Preferences.AllowHost].
func (a *AccountDefault) AllowHost(host ShellHost) { a.document.AllowHost(host) }

// AllowRole is [Preferences.AllowRole]. Every role of the account whose hosts take
// sessions needs it, or [AccountDefault.HostPolicy].
func (a *AccountDefault) AllowRole(role awsiam.IRole) { a.document.AllowRole(role) }

// HostPolicy is [Preferences.HostPolicy].
func (a *AccountDefault) HostPolicy() string { return a.document.HostPolicy() }

// GrantShell is [Preferences.GrantShell].
func (a *AccountDefault) GrantShell(who awsiam.IGrantable) awsiam.Grant {
	return a.document.GrantShell(who)
}

// StartCommand starts a session on an instance as the console does, with the
// account's default; see [Preferences.StartCommand].
func (a *AccountDefault) StartCommand(target, reason string) string {
	return strings.Replace(a.document.StartCommand(target, reason), " --document-name "+accountdefault.Document, "", 1)
}

// VerifyCommand fails unless sessions use the document's newest version. The
// function has seen that they did; somebody else may have changed it since.
func (a *AccountDefault) VerifyCommand() string { return a.document.VerifyCommand() }

// SessionsCommand is [Preferences.SessionsCommand].
func (a *AccountDefault) SessionsCommand() string { return a.document.SessionsCommand() }

// UnrecordedCommand is [Preferences.UnrecordedCommand].
func (a *AccountDefault) UnrecordedCommand() string { return a.document.UnrecordedCommand() }

// TranscriptCommand is [Preferences.TranscriptCommand].
func (a *AccountDefault) TranscriptCommand(session string) string {
	return a.document.TranscriptCommand(session)
}

// FollowCommand is [Preferences.FollowCommand].
func (a *AccountDefault) FollowCommand(session string) string {
	return a.document.FollowCommand(session)
}

// OriginalCommand shows the preferences that were there before. It needs
// ssm:GetParameter.
func (a *AccountDefault) OriginalCommand() string { return a.parameterCommand(accountdefault.Original) }

// RecordCommand shows who owns the document and what was done last. It needs
// ssm:GetParameter.
func (a *AccountDefault) RecordCommand() string { return a.parameterCommand(accountdefault.Record) }

func (a *AccountDefault) parameterCommand(name string) string {
	return fmt.Sprintf("aws ssm get-parameter --region %s --name %s --query Parameter.Value --output text", a.document.shell.at.Region, name)
}
