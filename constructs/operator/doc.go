// Package operator says what people may do, by intent, and under which
// circumstances, and makes the IAM policies of it.
//
//	operator.New(stack, "Developers", &operator.Props{
//		Roles:     []awsiam.IRole{developers},
//		Shell:     []operator.Door{shell},     // session.NewPreferences
//		Tunneller: []operator.Door{orders},    // session.NewTunnel
//		Only: operator.Only{
//			MFA:      true,
//			Weekly:   []operator.Window{{From: 8 * time.Hour, Until: 18 * time.Hour}},
//			TimeZone: "Europe/Berlin",
//		},
//	})
//
// It costs nothing but the little that the hours of a week cost; see below.
//
// # Which intent
//
//	Someone wants to                         Intent           Door                     What is recorded
//	see which hosts there are, and who       Viewer           none                     nothing but the calls
//	is on them
//	reach a database or a web page           Tunneller        session.NewTunnel        who, when, to where
//	type commands on a host                  Shell            session.NewPreferences   all that is shown
//	use scp, rsync, Ansible or an editor     SSH              session.NewSSH           who, when, to where; on
//	over SSH, without an open port                                                     a bastion all that is shown
//	use SSH or RDP where there is no agent   InstanceConnect  instanceconnect's        who, when, to where
//	                                                          ForSSH and ForRDP
//	mend at night what nobody foresaw        BreakGlass       a session.NewPreferences all that is shown, and an
//	                                                          of its own               alarm that it was used
//
// Take the first that does. Each includes what it takes to find one's way, and to
// end one's own sessions. A [Document] is a door by a document that was made
// elsewhere.
//
// # What every policy keeps to
//
//   - Each statement that allows ssm:StartSession asks for the permission on the
//     document, too (ssm:SessionDocumentAccessCheck). One without it, in any other
//     policy of the same person, opens the account's default shell on all that it
//     names (https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-specify-session-document.html).
//   - Conditions on tags are on instances and never on documents, which don't have
//     them: a statement for both would allow nothing.
//   - Sessions are ended and resumed only by who started them; see the next part.
//   - Ways around are denied, whatever else allows them: Run Command, automations
//     and associations, which run as root and leave no session; AWS's own documents,
//     which forward any port or run any command; changes to documents and to the
//     tags that choose targets; the serial console. [Props].BypassesAllowed gives
//     that up.
//   - No resource is a pattern where a narrower one does, and what has no narrower
//     one is held to the region.
//   - Policies are split where they get too long, and refused with the name of the
//     limit where IAM takes no more of them.
//
// # Traps
//
// Own sessions. AWS's samples name a person's sessions by session/${aws:username}-*.
// There is no ${aws:username} for who has assumed a role, as everybody has who
// comes by IAM Identity Center, SAML or OpenID Connect: such a statement allows
// nothing. And for users it allows too much: "ann-*" is also where the sessions of
// a user "ann-marie" are. ${aws:userid} in the ARN doesn't help, as a session's ID
// begins with a name. What is right for everybody is the tag that Session Manager
// puts on each session, compared with ${aws:userid}; that is what is used here
// (https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-examples.html).
// Write ${aws:userid} into no Fn::Sub: CloudFormation would look for a resource of
// that name.
//
// Second factors. The credentials of an assumed role don't tell whether there was
// one. A condition on aws:MultiFactorAuthPresent in a role's policy lets nobody
// in, and written with BoolIfExists everybody
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa_configure-api-require.html).
// So [Only].MFA denies the assumption itself, in the role's trust policy. For roles
// that are assumed out of another role's session, such as one of Identity Center,
// there is no second factor to be seen at all: ask for it there, and set
// MFAAskedElsewhere.
//
// Doors that cross. IAM looks at the document and at the target of a session one
// by one. Who has a tunnel on one host and a shell on another has both on both. A
// warning says so; what must be kept apart goes to another role.
//
// Sessions outlast permissions. IAM is asked when a session starts or is resumed.
// One that is open when the window ends, or when the permission is taken away,
// goes on until its document's MaxDuration ends it.
//
// # Hours of the week
//
// IAM knows dates and no days of the week. So what opens something is an inline
// policy of each principal that holds until a date, and at the beginning of each
// window EventBridge Scheduler has a state machine write it anew, with the end of
// the window in it. Nothing has to happen for the doors to close: where the
// scheduler, the state machine or IAM fails, they stay closed, and what was not
// opened is in a dead-letter queue. docs/adr/0012 weighs the other ways.
//
// A changed policy is closed until the next window begins, as is a new one;
// [Operator.OpenCommand] opens it before. On the days on which clocks change a
// window that spans the change ends an hour early or late, as its length is what
// counts. The state machine may write inline policies of these principals: who may
// change state machines and pass its role could use that, so leave both to
// administrators. A window costs one scheduled call and a few state transitions,
// all but free (https://aws.amazon.com/step-functions/pricing/).
//
// # Emergencies
//
// Give BreakGlass a document of its own with a short MaxDuration, and a role of
// its own that lives for an hour at most:
//
//	role := awsiam.NewRole(stack, jsii.String("Emergency"), &awsiam.RoleProps{
//		AssumedBy:          awsiam.NewAccountRootPrincipal(),
//		MaxSessionDuration: awscdk.Duration_Hours(jsii.Number(1)),
//	})
//
// A warning says where either lasts longer. It always asks for a second factor,
// given within the last 15 minutes, and holds at any hour. [Operator.BreakGlassDocuments] tells the documents by whose use an
// alarm knows an emergency, as watch.AddBreakGlass does.
package operator
