package instanceconnect

import (
	"fmt"
	"time"
)

func userOr(user string) string {
	if user == "" {
		return DefaultUser
	}
	return user
}

func sshCommand(region, instanceID, user string, longest time.Duration) string {
	command := fmt.Sprintf("aws ec2-instance-connect ssh --instance-id %s --os-user %s --connection-type eice --region %s",
		instanceOr(instanceID), userOr(user), region)
	if longest > 0 {
		command += fmt.Sprintf(" --eice-options maxTunnelDuration=%d", int(longest.Seconds()))
	}
	return command
}

func openTunnelCommand(region, instanceID string, remotePort, localPort int, longest time.Duration) string {
	return fmt.Sprintf("aws ec2-instance-connect open-tunnel --instance-id %s --remote-port %d --local-port %d --region %s%s",
		instanceOr(instanceID), remotePort, localPort, region, maxTunnelDuration(longest))
}

func sshConfig(region, user string, longest time.Duration) string {
	return fmt.Sprintf("Host i-*\n  User %s\n  ProxyCommand aws ec2-instance-connect open-tunnel --instance-id %%h --remote-port %%p --region %s%s\n",
		userOr(user), region, maxTunnelDuration(longest))
}

// maxTunnelDuration asks for a tunnel as short as the policy allows. Without it a
// client asks for an hour, and is refused.
func maxTunnelDuration(longest time.Duration) string {
	if longest == 0 {
		return ""
	}
	return fmt.Sprintf(" --max-tunnel-duration %d", int(longest.Seconds()))
}
