// Package session opens shells, SSH and tunnels on private instances through AWS
// Systems Manager Session Manager, with no port open to anyone.
//
//	shell := session.NewPreferences(stack, "Shell", nil)
//	shell.AllowHost(bastion)           // the host may record; people may reach it
//	shell.GrantShellAs(alice, "alice") // this document, on this host, as this user
//
// What a session is like (where it is recorded, as whom it runs, when it ends) is
// said by a session document. There are two ways to have one's own say.
//
// # A document of your own name, or the account's default
//
// [NewPreferences] makes a document of its own name. It touches nothing that
// others in the account use, is changed and deleted with its stack, and there may
// be one for each role. People ask for it by name (--document-name), and it is IAM
// that forces it on them: GrantShell allows this document and no other, and has
// Session Manager check that ("ssm:SessionDocumentAccessCheck",
// docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-specify-session-document.html).
// Whoever has wider rights from elsewhere, such as AdministratorAccess, is not
// forced. Choose this one.
//
// [NewAccountDefault] takes over SSM-SessionManagerRunShell, of which an account
// has one in each Region. It is what everybody gets who names no document, the
// console's Connect button and administrators among them. It keeps what was there
// and puts it back when it goes. Choose it where one team owns the account, beside
// documents of their own names or alone.
//
// Both take the same [Settings], and the same values mean the same sessions.
//
// # No session without its log
//
// Before it opens a shell, the agent on the host examines where it will log to
// (github.com/aws/amazon-ssm-agent, agent/session/shell/shell.go, validate):
//
//   - The log group is missing, or the host may not list log groups: the agent warns
//     in its own log and goes on with no record. Only where the document asks for an
//     encrypted log group (cloudWatchEncryptionEnabled), it refuses: a group that
//     it can't find is not encrypted.
//   - The log group has no KMS key: refused, where the document asks for one.
//   - The bucket's default encryption can't be read, or there is none: refused, where
//     the document asks for it (s3EncryptionEnabled).
//
// So both are asked for. For sessions to be possible at all, hosts need exactly
// what [Preferences.AllowHost] and [Preferences.AllowRole] allow, and CloudFormation
// makes the log group, the bucket with its policy, the key and that policy before
// the document, which can't be used until then.
//
// After that the agent refuses nothing. These fail open, and this is what stands
// against them:
//
//   - Writing is refused (PutLogEvents, PutObject, GenerateDataKey), by a policy
//     of the organization, of an endpoint or of the bucket that came later: the agent
//     says so in its own log on the host, and the session goes on. The record is in
//     two places, of which one may still work: [Preferences.UnrecordedCommand] finds
//     sessions that one of them lacks. Run it on a schedule.
//   - The disk is full when a session begins: newer agents open it and record
//     nothing, older ones refuse. Package watch has an alarm on the disk of a
//     bastion, which goes off before.
//   - The host dies, or root on it stops the agent: the transcript, which is sent at
//     the end, is lost, and so is the stream from then on. RunAs keeps people from
//     being root.
//   - The key of the log group or the bucket is disabled: as where writing is refused.
//
// # As whom
//
// With RunAs, which is on, a session runs as the OS user that the tag
// SSMSessionRunAs of the caller's IAM role or user names, and there is no session
// for a caller without it, unless [RunAs] has a User. [Preferences.GrantShellAs] sets
// the tag on a role or user of the app. Federated people can bring it
// as a session tag; the roles of IAM Identity Center can't be tagged, and take it
// from an attribute for access control
// (docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-run-as.html).
// Who may tag roles, or pass session tags, says who is who: guard iam:TagRole,
// iam:TagUser and sts:TagSession.
//
// The user must exist on the host. A bastion's people do, from the moment their key
// is there; so does its image's user, whom it takes sudo from. One document for each
// role of people is what keeps their users apart.
//
// Without RunAs a session is ssm-user's. The agent makes that user, and a rule by
// which it becomes root without a password, on every host. A bastion leaves it so,
// for mending: a document with AgentUser is for breaking glass, and for nobody else.
//
// Session Manager starts sh, not the user's login shell: a bastion's own recorder is
// not in between. A session on a bastion is recorded by Session Manager, and what it
// runs by the host's audit.
//
// # SSH
//
// [NewSSH] leads ssh, scp and whatever speaks SSH through Session Manager to port 22
// of a host. It is not there unless made: Session Manager records nothing of what
// passes, and doesn't encrypt it under a key of yours
// (docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-logging.html).
// A bastion records such sessions like all others that come to its sshd.
//
// AWS's own document for it, AWS-StartSSHSession, takes the port as a parameter, and
// so is a tunnel to every port of the host. This one has port 22 written in it.
//
// # Tunnels
//
// [NewTunnel] forwards a port of a person's computer to one port of one host: a
// database, a cache, a console. Host and port are written in the document, so that
// [Tunnel.GrantTunnel] opens these and nothing else. AWS's own documents
// (AWS-StartPortForwardingSessionToRemoteHost) take both as parameters, and lead
// wherever the security groups of the instance let it go.
//
//	tunnel := session.NewTunnel(stack, "Orders", &session.TunnelProps{
//		To:  session.DatabaseInstance(database),
//		Via: session.Target{Host: bastion},
//	})
//	tunnel.GrantTunnel(developers)
//
// The agent on the instance resolves the name for each connection and is the one
// that connects: the database sees the instance's address, and the target's security
// group admits that of the bastion, which NewTunnel sees to. People on a bastion are
// refused there by its firewall all the same. A client that speaks to localhost must
// be told which name the certificate has: docs/guide/database-tunnel.md shows it for
// each. What passes is not recorded, nor encrypted under a key of yours: CloudTrail
// has who opened which tunnel when, and the target its own log.
//
// The agent forwards nothing to the instance metadata, the VPC's DNS and time
// services and the addresses that a VPC keeps
// (github.com/aws/amazon-ssm-agent, agent/session/plugins/port/port.go); NewTunnel
// refuses them, and all that is link-local, when the app is synthesized.
//
// Where one tunnel is to serve several targets, lead it to the relay of a bastion:
// bastion.Host.Relay.
//
// # Changes
//
// An update makes a new version of a document, which AWS documents to become the one
// that is used
// (docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ssm-document.html).
// As it was reported not to, there is [Preferences.VerifyCommand]. Sessions that are
// open stay as they began. Another Name makes another document, and takes the old one
// away.
//
// # Cost
//
// Session Manager on EC2 costs nothing. With nothing given, a key for sessions and one
// for records are made, $1 a month each; storage and requests as used. A host decrypts
// with the former: where endpoints are its only way out, it needs one for KMS, at $7.30
// a month and zone, which AllowHost gives a bastion. Settings.WithoutKey saves both.
package session
