package bastion

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/postern-cdk/postern/internal/check"
)

// InstanceIDCommand is shell for the ID of the running instance, for commands of
// your own: that of the newest one where a successor is coming up.
func (b *Bastion) InstanceIDCommand() string {
	return fmt.Sprintf(`$(aws ec2 describe-instances --region %s`+
		` --filters Name=tag:aws:autoscaling:groupName,Values=%s Name=instance-state-name,Values=running`+
		` --query 'sort_by(Reservations[].Instances[],&LaunchTime)[-1].InstanceId' --output text)`,
		b.scope.Region, b.AutoScalingGroupName())
}

// StartSessionCommand opens a shell on the bastion through Session Manager. It
// needs the AWS CLI with its Session Manager plugin.
func (b *Bastion) StartSessionCommand() string {
	return fmt.Sprintf(`aws ssm start-session --region %s --target "%s"`, b.scope.Region, b.InstanceIDCommand())
}

// SSHCommand opens an SSH session on the bastion as an OS user, such as
// "ec2-user": through the public address where AllowedCidrs or
// AllowedPrefixLists let somebody in, otherwise through Session Manager. It
// pushes the public key ~/.ssh/id_ed25519.pub by EC2 Instance Connect first,
// which holds for 60 seconds.
// The host must be known by then: see [Bastion.KnownHostsCommand].
// See https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-connect-methods.html.
func (b *Bastion) SSHCommand(user string) string {
	known := ""
	for _, option := range b.knownHost() {
		known += " -o " + strings.Replace(option, " ", "=", 1)
	}
	ssh := fmt.Sprintf(`ssh%s %s@%s`, known, user, b.address)
	if !b.open {
		ssh = fmt.Sprintf(`ssh%s -o ProxyCommand="%s" %s@"$id"`, known, b.proxyCommand("$id"), user)
	}
	return fmt.Sprintf(`id="%s" && %s && %s`, b.InstanceIDCommand(), b.pushCommand(`"$id"`, user, `"`+publicKey+`"`), ssh)
}

// SSHConfig is a block for ~/.ssh/config, after which "ssh ALIAS" connects to the
// bastion as an OS user, the same way as SSHCommand does. Whoever may push a key
// by EC2 Instance Connect needs no other one. The host must be known by then: see
// [Bastion.KnownHostsCommand].
func (b *Bastion) SSHConfig(alias, user string) string {
	// ssh hands both commands to the user's shell, which finds the instance.
	lines := []string{fmt.Sprintf(`Match originalhost %s exec "%s >/dev/null"`, alias, b.pushCommand(b.InstanceIDCommand(), user, publicKey)), "  User " + user}
	if b.open {
		lines = append(lines, "  HostName "+b.address)
	} else {
		lines = append(lines, "  HostName "+alias, "  ProxyCommand "+b.proxyCommand(b.InstanceIDCommand()))
	}
	for _, option := range b.knownHost() {
		lines = append(lines, "  "+option)
	}
	return strings.Join(append(lines, "  IdentitiesOnly yes", "  IdentityFile ~/.ssh/id_ed25519"), "\n") + "\n"
}

const publicKey = "file://$HOME/.ssh/id_ed25519.pub"

// pushCommand puts a public key on the instance for a minute.
func (b *Bastion) pushCommand(instance, user, key string) string {
	return fmt.Sprintf("aws ec2-instance-connect send-ssh-public-key --region %s --instance-id %s --instance-os-user %s --ssh-public-key %s",
		b.scope.Region, instance, user, key)
}

// UseSSHDocument makes the commands for SSH through Session Manager go by a session
// document for port 22 of your own in place of AWS-StartSSHSession, which leads to
// every port of the host. session.SSH.AllowHost calls it; ask for commands after it.
func (b *Bastion) UseSSHDocument(name string) { b.sshDocument = name }

func (b *Bastion) proxyCommand(target string) string {
	if b.sshDocument != "" {
		return fmt.Sprintf(`aws ssm start-session --region %s --target %s --document-name %s`, b.scope.Region, target, b.sshDocument)
	}
	return fmt.Sprintf(`aws ssm start-session --region %s --target %s --document-name AWS-StartSSHSession --parameters portNumber=%d`,
		b.scope.Region, target, sshPort)
}

// knownHost are options by which ssh knows the host under one name, whichever way
// it is reached, and takes no other one for it.
func (b *Bastion) knownHost() []string {
	if b.parameters == "" {
		return nil
	}
	return []string{"HostKeyAlias " + hostKeyAlias(b.parameters), "StrictHostKeyChecking yes"}
}

// hostKeyAlias is the name that the host publishes its keys under.
func hostKeyAlias(path string) string {
	return strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "-")
}

// KnownHostsCommand adds the bastion's public host keys to ~/.ssh/known_hosts,
// once for each version of them: they are the same on every instance. It needs
// ssm:GetParameter on [Bastion.ParameterPath] + "/known_hosts". With ephemeral
// host keys there is none, and it is "".
func (b *Bastion) KnownHostsCommand() string {
	if b.parameters == "" {
		return ""
	}
	return fmt.Sprintf("aws ssm get-parameter --region %s --name %s/known_hosts --query Parameter.Value --output text >> ~/.ssh/known_hosts",
		b.scope.Region, b.parameters)
}

var (
	personForm  = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,31}$`)
	sessionForm = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$`)
)

// AddPersonCommand gives a person an account on the bastion within a minute: it
// puts their public key, a file of yours, where the host looks. More keys of the
// same person are further lines of the file.
func (b *Bastion) AddPersonCommand(name, keyFile string) string {
	return fmt.Sprintf("aws s3 cp --region %s %s %s", b.scope.Region, keyFile, b.personObject("AddPersonCommand", name))
}

// RemovePersonCommand locks a person out within a minute and ends their sessions.
// The last person stays: an empty listing raises an alarm and removes nobody,
// unless Host.People.AllowEmpty says so.
// Under versioning and Object Lock the key itself stays, marked as deleted: who
// had an account when is evidence.
func (b *Bastion) RemovePersonCommand(name string) string {
	return fmt.Sprintf("aws s3 rm --region %s %s", b.scope.Region, b.personObject("RemovePersonCommand", name))
}

func (b *Bastion) personObject(method, name string) string {
	if !personForm.MatchString(name) {
		var faults check.Faults
		faults.Addf("name", "use a lower-case letter, then letters, digits, ., _ and -, up to 32", "%q can't be the name of an account", name)
		b.must(method, faults.Err())
	}
	return fmt.Sprintf("s3://%s/%s%s.pub", *b.peopleBucket.BucketName(), b.peoplePrefix, name)
}

// ReplayCommand fetches the recording of a session by its ID, such as
// "20261121T234501Z-0a1b2c3d", and plays it with asciinema. It needs s3:ListBucket
// and s3:GetObject on [Bastion.Bucket], and kms:Decrypt on its key.
func (b *Bastion) ReplayCommand(session string) string {
	if !sessionForm.MatchString(session) {
		var faults check.Faults
		faults.Addf("session", "write it such as 20261121T234501Z-0a1b2c3d: the command log names it", "%q is not the ID of a session", session)
		b.must("ReplayCommand", faults.Err())
	}
	return b.replay(session, session[:4]+"/"+session[4:6]+"/"+session[6:8])
}

// ReplayScript is [Bastion.ReplayCommand] for whichever session the shell variable
// "session" names.
func (b *Bastion) ReplayScript() string {
	return b.replay("$session", "${session:0:4}/${session:4:2}/${session:6:2}")
}

func (b *Bastion) replay(session, day string) string {
	return fmt.Sprintf(`to=$(mktemp -d) && aws s3 cp --region %s --recursive --exclude "*" --include "*/%s/*" "s3://%s/%s%s/" "$to" && `+
		`cat "$to"/*/%s/*.cast > "$to/session.cast" && asciinema play "$to/session.cast"`,
		b.scope.Region, session, *b.bucket.BucketName(), b.recordPrefix, day, session)
}
