package notice

// What EC2 calls its other doors in CloudTrail.
const (
	instanceConnect = "ec2-instance-connect.amazonaws.com"
	openTunnel      = "OpenTunnel"
	sendKey         = "SendSSHPublicKey"
	sendSerialKey   = "SendSerialConsoleSSHPublicKey"
)

var (
	// docs.aws.amazon.com/AWSEC2/latest/UserGuide/log-ec2-instance-connect-endpoint-using-cloudtrail.html
	tunnel = map[string]string{
		"endpoint": "$.detail.requestParameters.instanceConnectEndpointId",
		"address":  "$.detail.requestParameters.privateIpAddress",
		"port":     "$.detail.requestParameters.remotePort",
		"seconds":  "$.detail.requestParameters.maxTunnelDuration",
	}
	// docs.aws.amazon.com/ec2-instance-connect/latest/APIReference/API_SendSSHPublicKey.html
	pushed = map[string]string{
		"instance": "$.detail.requestParameters.instanceId",
		"user":     "$.detail.requestParameters.instanceOSUser",
	}
	// docs.aws.amazon.com/ec2-instance-connect/latest/APIReference/API_SendSerialConsoleSSHPublicKey.html
	serial = map[string]string{
		"instance": "$.detail.requestParameters.instanceId",
		"port":     "$.detail.requestParameters.serialPort",
	}
	recorded = map[string]string{"event": "$.detail.eventID"}
)

// record shows the whole of what CloudTrail has, which takes some minutes to be
// there.
const record = "Look closer: aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventId,AttributeValue=<event> --region <region>"

// TunnelOpened tells of tunnels through an EC2 Instance Connect Endpoint.
func TunnelOpened() Rule {
	return Rule{
		Pattern: calls(instanceConnect, openTunnel),
		Words: say(join(caller, tunnel, recorded), "Tunnel opened: <who> to <address>, port <port>", origin,
			"Through: <endpoint>, for <seconds> seconds at most.", record,
			"End it: AWS can't end one tunnel. Take the caller the right to ec2-instance-connect:OpenTunnel and end the login at <address>. "+
				"This ends all tunnels of the endpoint, and the endpoint: "+
				"aws ec2 delete-instance-connect-endpoint --instance-connect-endpoint-id <endpoint> --region <region>"),
	}
}

// KeyPushed tells of SSH keys that were put on an instance for a minute.
func KeyPushed() Rule {
	return Rule{
		Pattern: calls(instanceConnect, sendKey),
		Words: say(join(caller, pushed, recorded), "SSH key pushed: <who> to <instance>, for the user <user>", origin,
			"It opens logins for 60 seconds; one that began stays.", record,
			"End it: on <instance>, loginctl terminate-user <user>"),
	}
}

// SerialConsole tells of keys for a serial console, which goes around the network
// and everything that the operating system records of a login by SSH.
func SerialConsole() Rule {
	return Rule{
		Pattern: calls(instanceConnect, sendSerialKey),
		Words: say(join(caller, serial, recorded), "SERIAL CONSOLE IN USE: <who> on <instance>, port <port>", origin,
			"It goes around security groups and SSH: what is typed there is in no session's record.", record,
			"End it: shut it for the account by aws ec2 disable-serial-console-access --region <region>; what is open ends when <instance> is restarted."),
	}
}

// calls matches the calls of some names to one service that succeeded. What
// EventBridge has as the source differs from service to service; eventSource is
// what CloudTrail records.
func calls(service string, names ...string) map[string]any {
	return pattern(map[string]any{"errorCode": absent, "eventSource": []any{service}, "eventName": list(names)})
}

func pattern(detail map[string]any) map[string]any {
	return map[string]any{"detail-type": []any{viaCloudTrail}, "detail": detail}
}

func list(texts []string) []any {
	all := make([]any, len(texts))
	for i, text := range texts {
		all[i] = text
	}
	return all
}
