package bastion

import (
	"fmt"
	"strings"
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
// See https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-connect-methods.html.
func (b *Bastion) SSHCommand(user string) string {
	ssh := fmt.Sprintf(`ssh %s@%s`, user, b.address)
	if !b.open {
		ssh = fmt.Sprintf(`ssh -o ProxyCommand="%s" %s@"$id"`, b.proxyCommand("$id"), user)
	}
	return fmt.Sprintf(`id="%s" && %s && %s`, b.InstanceIDCommand(), b.pushCommand(`"$id"`, user, `"`+publicKey+`"`), ssh)
}

// SSHConfig is a block for ~/.ssh/config, after which "ssh ALIAS" connects to the
// bastion as an OS user, the same way as SSHCommand does. Whoever may push a key
// by EC2 Instance Connect needs no other one.
func (b *Bastion) SSHConfig(alias, user string) string {
	// ssh hands both commands to the user's shell, which finds the instance.
	lines := []string{fmt.Sprintf(`Match originalhost %s exec "%s >/dev/null"`, alias, b.pushCommand(b.InstanceIDCommand(), user, publicKey)), "  User " + user}
	if b.open {
		lines = append(lines, "  HostName "+b.address)
	} else {
		lines = append(lines, "  HostName "+alias, "  ProxyCommand "+b.proxyCommand(b.InstanceIDCommand()))
	}
	return strings.Join(append(lines, "  IdentitiesOnly yes", "  IdentityFile ~/.ssh/id_ed25519"), "\n") + "\n"
}

const publicKey = "file://$HOME/.ssh/id_ed25519.pub"

// pushCommand puts a public key on the instance for a minute.
func (b *Bastion) pushCommand(instance, user, key string) string {
	return fmt.Sprintf("aws ec2-instance-connect send-ssh-public-key --region %s --instance-id %s --instance-os-user %s --ssh-public-key %s",
		b.scope.Region, instance, user, key)
}

func (b *Bastion) proxyCommand(target string) string {
	return fmt.Sprintf(`aws ssm start-session --region %s --target %s --document-name AWS-StartSSHSession --parameters portNumber=%d`,
		b.scope.Region, target, sshPort)
}
