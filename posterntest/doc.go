// Package posterntest asserts in your own tests what a reviewer of a private
// network asks for: that nothing but people you name reaches port 22 or 3389, that
// every target has a way in, that sessions are logged, and what people may and may
// not do. It reads what the CDK synthesizes, whoever made the constructs, with
// Postern or without.
//
//	func TestAccess(t *testing.T) {
//		app := awscdk.NewApp(nil)
//		host := mine.NewAccess(app, "Access") // your stack, with a bastion in it
//		access := posterntest.Read(t, *app.Synth(nil).Directory())
//
//		posterntest.NoIngressFromInternet(t, access)
//		posterntest.EveryTargetHasAWayIn(t, access)
//		posterntest.SessionsAreLogged(t, access)
//
//		oncall := posterntest.Person("Access/OnCall")
//		bastion := access.ARN("ec2", "instance/i-0123456789abcdef0")
//		tag, value := host.SessionTag() // what its instances carry
//		withMFA := posterntest.Context{
//			"aws:MultiFactorAuthPresent": "true", "aws:MultiFactorAuthAge": "60", "ssm:resourceTag/" + tag: value,
//		}
//		posterntest.Allows(t, access, oncall, posterntest.StartSession(bastion, access.ARN("ssm", "document/OnCall"), withMFA))
//		posterntest.Denies(t, access, oncall,
//			posterntest.StartSession(bastion, "", withMFA), // the account's default shell
//			posterntest.Do("ssm:SendCommand", bastion, withMFA))
//	}
//
// An app of several stacks is read whole, by [Read], or from several templates, by
// [Of]: references between the stacks are followed, and with [Read] nested stacks, too.
// assertions.Template_FromStack gives a template without construct paths: there
// [Person] takes a name or a logical ID.
//
// # What it can know
//
// It reads templates and no account. What only a deployment gives, such as the ID of
// an instance, reads as the logical ID of its resource; in ARNs, too, so that
// "arn:aws:kms:us-east-1:123456789012:key/SessionKey1A2B3C4D" is a key of the app.
// Where a fact that an assertion needs can't be known, the assertion fails and says
// so; it does not assume the best.
//
// [Allows] and [Denies] judge identity-based policies and permissions boundaries, by an
// evaluator of Postern's own that knows actions, resources, the condition operators
// but BinaryEquals, and policy variables. Postern's tests hold it against an independent
// evaluator. What else takes part in AWS's decision is not in it: policies of resources
// and of the organization, session policies. A key for which the request gives no value
// is one that it lacks.
//
// Failures name the resource by its logical ID and, where the template tells, its
// construct path, say what was found, and how to mend it.
package posterntest
