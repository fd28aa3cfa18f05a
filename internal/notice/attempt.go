package notice

// done are variables that any call has, a refused one too: nothing in them is the
// caller's own text.
var done = map[string]string{
	"what":    "$.detail.eventName",
	"service": "$.detail.eventSource",
	"error":   "$.detail.errorCode",
}

// Refused tells of calls that would have opened a way in, had they been allowed.
// What they asked for is left to CloudTrail, as nobody looked at it.
//
// docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
func Refused() Rule {
	return Rule{
		Pattern: pattern(map[string]any{
			"eventSource": []any{"ssm.amazonaws.com", instanceConnect},
			"eventName":   []any{startSession, resumeSession, openTunnel, sendKey, sendSerialKey},
			"errorCode": []any{
				map[string]any{"prefix": "AccessDenied"}, map[string]any{"suffix": "UnauthorizedOperation"}, "AuthException",
			},
		}),
		Words: say(join(caller, done, recorded), "ACCESS REFUSED: <who> tried <what>", origin,
			"AWS answered <error>. One may be a mistake; several, or from an address that nobody knows, are an attempt.", record,
			"End it: if it was not the person, deactivate the access key or revoke the role's sessions, which the record names."),
	}
}

// viaSignIn is the detail-type of logins to the console.
//
// docs.aws.amazon.com/eventbridge/latest/ref/events-ref-signin.html
const viaSignIn = "AWS Console Sign In via CloudTrail"

// RootUsed tells of what the account's root user does that is more than reading.
//
// docs.aws.amazon.com/IAM/latest/UserGuide/root-user-best-practices.html
func RootUsed() Rule {
	return Rule{
		Pattern: map[string]any{
			"detail-type": []any{viaCloudTrail, viaSignIn},
			"detail": map[string]any{
				"userIdentity": map[string]any{"type": []any{"Root"}, "invokedBy": absent},
				"eventType":    []any{map[string]any{"anything-but": []any{"AwsServiceEvent"}}},
			},
		},
		Words: say(join(caller, done, recorded), "ROOT USER IN USE: <what> at <service>", origin,
			"No policy holds this user. If nobody had to use it, change its password, delete its access keys and close its sessions. Error, if any: <error>.", record,
			"End it: sign in as root, change the password, and remove its keys under Security credentials."),
	}
}
