// Package totp is the second factor of people on a bastion: one-time codes of
// RFC 6238 (SHA-1, six digits, 30 s, as every authenticator app has them), for sudo
// always and for logins by choice.
//
// A secret lives in /var/lib/postern/totp/NAME, for root only, and where there is a
// ParameterPath as SecureString in PARAMETER_PATH/totp/NAME, so that it survives the
// instance. It is shown once, to the person, when they enrol; it is in no template,
// log or recording. A code is good for the step before and after its own, and once;
// five wrong ones within five minutes lock the second factor for five minutes, twice
// as long the next time, an hour at most (alarm totp-locked). Each host counts for
// itself, and after [Store.Reset] on one another may still have its copy.
//
// # PAM
//
// pam_exec runs `postern-host totp`, by lines that the bootstrap writes. For sudo, a
// service of its own, /etc/pam.d/postern-sudo, which a line of sudoers names for the
// group of people (pam_service, pam_login_service), so that sudo of others stays as it
// is:
//
//	auth     [success=1 default=ignore] pam_exec.so seteuid quiet stdout expose_authtok /opt/postern/bin/postern-host totp
//	auth     requisite pam_deny.so
//	auth     required pam_permit.so
//	account  required pam_unix.so
//	session  required pam_limits.so
//
// pam_exec fails with a system error, after which sudo asks no second time; pam_deny
// makes that a wrong code.
//
// For logins, at the top of /etc/pam.d/sshd, before the distribution's own lines, which
// would ask for a password:
//
//	auth [success=2 default=ignore] pam_exec.so seteuid quiet /opt/postern/bin/postern-host totp --unenrolled
//	auth optional pam_echo.so One-time code of %u
//	auth requisite pam_exec.so seteuid quiet stdout expose_authtok /opt/postern/bin/postern-host totp
//	auth sufficient pam_permit.so
//
// with these in sshd's configuration, which asks for the key first:
//
//	UsePAM yes
//	KbdInteractiveAuthentication yes
//	AuthenticationMethods publickey,keyboard-interactive:pam
//
// The form with pam_deny does not work there: sshd authenticates in one process and
// sets credentials in another, which would come to pam_deny. Without AtLogin the
// program refuses every login, and with it those in which no key came first, so that
// lines in the wrong place open nothing.
//
// # Who is not enrolled
//
// sudo refuses. A login goes on without a code, and the recorder lets such a session
// do nothing but enrol: [EnrolledBefore] says which one that is, also among connections that
// began before, and [Store.Enrol] talks to the person, outside the recording. So until
// a person enrols, their key alone can: the event "totp" with the result "enrolled"
// tells who did, when. Where Parameter Store can't be asked, nobody counts as not
// enrolled.
//
// The instance role needs ssm:GetParameter, ssm:PutParameter (without a condition on
// ssm:Overwrite: another device replaces a secret) and ssm:DeleteParameter on parameter
// PARAMETER_PATH/totp/*, and with a key of one's own kms:Encrypt and
// kms:Decrypt on it (docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html).
package totp
