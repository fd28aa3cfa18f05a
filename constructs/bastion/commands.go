package bastion

import (
	"fmt"
	"strings"
)

// InstanceIDCommand is shell for the ID of the running instance, for commands of
// your own; it is the newest instance where a
// successor is coming up.
func (b *Bastion) InstanceIDCommand() string {
	return fmt.Sprintf(`$(aws ec2 describe-instances --region %s`+
		` --filters Name=tag:aws:autoscaling:groupName,Values=%s Name=instance-state-name,Values=running`+
		` --query 'sort_by(Reservations[].Instances[],&LaunchTime)[-1].InstanceId' --output text)`,
		*b.stack.Region(), b.AutoScalingGroupName())
}

// StartSessionCommand opens a shell on the bastion through Session Manager. It
// needs the AWS CLI with its Session Manager plugin.
func (b *Bastion) StartSessionCommand() string {
	return fmt.Sprintf(`aws ssm start-session --region %s --target "%s"`, *b.stack.Region(), b.InstanceIDCommand())
}

// SSHCommand opens an SSH session on the bastion as an OS user, such as
// "ec2-user": through the public address, or, where there is none, through
// Session Manager. It pushes the public key ~/.ssh/id_ed25519.pub by EC2
// Instance Connect first, which holds for 60 seconds.
// See https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-connect-methods.html.
func (b *Bastion) SSHCommand(user string) string {
	ssh := fmt.Sprintf(`ssh %s@%s`, user, b.address)
	if b.address == "" {
		ssh = fmt.Sprintf(`ssh -o ProxyCommand="%s" %s@"$id"`, b.proxyCommand("$id"), user)
	}
	return fmt.Sprintf(`id="%s" && aws ec2-instance-connect send-ssh-public-key --region %s --instance-id "$id" --instance-os-user %s`+
		` --ssh-public-key "file://$HOME/.ssh/id_ed25519.pub" && %s`,
		b.InstanceIDCommand(), *b.stack.Region(), user, ssh)
}

// SSHConfig is a block for ~/.ssh/config, after which "ssh ALIAS" connects to the
// bastion as an OS user whose key it knows.
func (b *Bastion) SSHConfig(alias, user string) string {
	lines := []string{"Host " + alias, "  User " + user}
	if b.address == "" {
		// ssh hands the line to the user's shell, which finds the instance.
		lines = append(lines, "  HostName "+alias, "  ProxyCommand "+b.proxyCommand(b.InstanceIDCommand()))
	} else {
		lines = append(lines, "  HostName "+b.address)
	}
	return strings.Join(append(lines, "  IdentitiesOnly yes", "  IdentityFile ~/.ssh/id_ed25519"), "\n") + "\n"
}

func (b *Bastion) proxyCommand(target string) string {
	return fmt.Sprintf(`aws ssm start-session --region %s --target %s --document-name AWS-StartSSHSession --parameters portNumber=%d`,
		*b.stack.Region(), target, sshPort)
}
