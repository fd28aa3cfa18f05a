// Package host makes what runs on a bastion: shell and configuration, embedded
// from files/ so that it can be reviewed. A small core of it is rendered by pure Go
// into EC2 user data; all else, with the programs, comes to the host as one bundle
// of known digest. It knows nothing of the CDK.
//
//	data, err := host.Render(host.Config{
//		StackName:      "Access",
//		SignalResource: "BastionASG",
//		BundleBucket:   "cdk-assets",
//		BundleKey:      "0123abcd.tar.gz",
//		BundleSHA256:   digest,
//	})
//	// data.Script is the user data; data.Size() of host.Limit bytes are used.
//
// # The user data
//
// One plain script for cloud-init: it unpacks base64(gzip(tar)) to
// /var/lib/postern/host, which only root may read, and replaces itself with
// main.sh there. Behind the last command stand the values that only a deployment
// knows, one KEY=VALUE a line. No shell ever parses those lines, so that no value
// can break out of them; the bootstrap reads them as data and refuses one that
// has not the form AWS documents for it. docs/adr/0002 has the reasons.
//
// # The bundle
//
// A tar.gz that the host fetches from S3, holds against the digest in its user data
// and unpacks to /opt/postern, at once or not at all:
//
//	bin/postern-host     0700  the program of root, cmd bin/postern-host
//	bin/postern-session  0700  becomes the shell of a recorded session
//	bin/postern-shell    0711  the login shell of people
//	host/...                   [BundleFiles]: the later steps, units, rules
//
// # The files
//
//	config.go       Config, its defaults and faults, the deploy-time values
//	choices.go      those of the programs on the host, settings.json
//	sshd.go         the drop-in of sshd, as far as it is known at synthesis
//	agent.go        the configuration of the CloudWatch agent
//	render.go       packing, budget
//	bundle.go       what of files/ is in the bundle
//	files/          the core, in the payload
//	  userdata.sh     unpacks and starts; never in the payload itself
//	  main.sh         runs the steps in order
//	  head.sh         what it and the timers' scripts begin with: sources the others
//	  lib.sh          events, reasons, retries, writing files
//	  environment.sh  steps environment (deploy-time values), tools and settings
//	  signal.sh       the EXIT trap and the signal to CloudFormation
//	  seal.sh         step seal: sshd is closed
//	  bundle.sh       step bundle
//	  instance.sh     steps identity (IMDSv2) and address (Elastic IP)
//	files/bundle/host/
//	  steps.sh        the order of the steps below
//	  common.sh       what they share
//	  packages.sh     what is installed, by the name that each system has for it
//	  accounts.sh     the image's user, the account of the check, sudo
//	  confine.sh      logind, user managers, cron, su, core dumps
//	  kernel.sh       sysctl and modules (etc/sysctl.conf, etc/modprobe.conf)
//	  hostkeys.sh     host keys from Parameter Store
//	  sshd.sh         the drop-in, tried and taken back where it isn't kept
//	  units.sh        installs units/, which systemd runs
//	  firewall.sh     what people's programs reach, by user ID
//	  relay.sh        leads tunnels on to listed targets
//	  audit.sh        the kernel's audit (etc/audit.rules)
//	  fail2ban.sh     (etc/fail2ban.conf)
//	  agent.sh        the CloudWatch agent: memory and disk
//	  people.sh       the first reconcile
//	  care.sh         timers: updates, integrity, digest, check
//	  readonly.sh     on a golden image: programs and configuration are read-only
//	  unseal.sh       steps unseal (sshd on trial) and open (for everybody)
//	  selfcheck.sh    step selfcheck: its checks decide the signal
//	  run/            what the timers run; begin.sh is the beginning of each
//
// Comment lines and empty lines of the core are left out of the payload; what is on
// the host is otherwise the reviewed text. `/var/lib/postern/host/main.sh` may be
// run again at any time: it changes nothing that is right already.
//
// # Sealed until proven
//
// The step seal stops sshd, ends what came in through it, and makes sshd wait for a
// mark, by a condition in a drop-in of each of its units. A reboot changes nothing in
// that. The step unseal sets a mark that a reboot forgets, behind a rule of nftables
// that lets in the host itself only; where the self-check passes, with a real
// recorded session through sshd in it, the step open makes it last. A bootstrap that
// fails anywhere leaves sshd closed and says so on the console. Session Manager
// works all the while. What fails later, on a timer or when an operator runs
// main.sh again, closes nothing: it is an alarm line, and sessions without recording
// are the recorder's to refuse.
//
// The image's sshd is open for the seconds before the user data runs, and EC2
// Instance Connect lets in the image's user then, who is root. The step seal looks
// for that in the journal and gives up the instance where it happened. User data that
// begins with #cloud-boothook would run before sshd, but at every boot, in its way,
// and before the image's user is made, so that all else would need a unit to run in
// beside it (https://docs.cloud-init.io/en/latest/explanation/format.html). That is
// not worth it for a login which needs the right to Instance Connect, and is found.
//
// # Steps
//
// A step is a function step_NAME, in a file of its own, that main runs by
// `step NAME`. It
//
//   - works under set -Eeuo pipefail, and is never called in a condition, which
//     would switch that off;
//   - can be run again, changing nothing where nothing is to change (put tells by
//     CHANGED whether it wrote), and leaves the host no worse where it fails: for
//     as long as it is between two states it names in UNDO the function that goes
//     back;
//   - gives up by `die REASON`, not in a subshell, with what to do about it;
//     whatever else fails is reported by line and command;
//   - begins each path with $ROOT, finds each program by PATH, and takes
//     deploy-time values from the variables of environment.sh only;
//   - names by `note` what it could not do on this system and what that means.
//
// A promise that a step makes gets a check: check_NAME returns 0, or says in DETAIL
// why not. It stands beside the step or in selfcheck.sh, and must be true at any time
// later: the timer asks again. To add a step: its file in files/bundle/host, one
// `source` and one `step` line in steps.sh, its checks in the list of selfcheck.sh,
// its tests in bundle_linux_test.go. Its settings are fields of [Config]: rendered to
// choices.sh where they are known at synthesis, a line of the environment where they
// may be tokens. What a program of ours can ask better is a check of
// `postern-host check`, whose lines of JSON count as these do.
//
// # What is told, and where
//
// Each event is one line of JSON on the console (`aws ec2 get-console-output`), in
// the journal (`journalctl -t postern`) and in /var/log/cloud-init-output.log. Its
// key "postern" says which: step (name, result, ms), note, check (name, result,
// detail), signal, and at the end bootstrap with the result, the step that failed,
// the reason, and the time of each step. The signal itself carries no reason: the
// API takes none. An alarm line (name, text) tells of a promise that is broken later:
// check-failed, integrity-changed, integrity-broken, updates-failed, and those of the
// programs. Our own program ships the journal from the step unseal on, beginning with
// what is in it already.
//
// # A golden image
//
// With [Hardening.GoldenImage], postern-readonly.service covers the folders of
// programs and configuration with read-only mounts of themselves: at the end of the
// bootstrap, and at each boot after cloud-init and before the recorder, so that an
// administrator's sudo sees them so too. postern-people has a view of its own in
// which /etc can be written, and so have the checks, which log in with a key; the user
// that Session Manager's agent would make with its first session is made before.
// main.sh makes everything writable while it runs; it stays so where it fails. To
// mend a host by hand, from Session Manager: systemctl stop postern-readonly. What
// writes to /etc by itself fails there: Debian's dhclient, an update of the agent.
//
// # Time to the signal
//
// Each start of the AWS CLI takes most of a second of the processor, so that it only
// fetches the bundle; internal/host/launch asks for the address, the launch hook and
// the signal then, and the AWS CLI where that fails. systemd reads its units again
// once for all steps, which enable units without that. What mostly waits, the host
// keys and the checks of the programs, goes on beside the steps that need none of it.
//
// # Systems
//
// Amazon Linux 2023 first. What a system has no package for is said by name, with
// what it means: there is none of the CloudWatch agent for Debian and Ubuntu. Of what
// was promised without a choice, only a missing nftables stops a host everywhere,
// because people would reach the instance's credentials; a missing audit system or
// AIDE stops Amazon Linux alone, where both have packages. In a container, the
// kernel's settings and its audit system are those of the machine, and left alone.
//
// Amazon Linux can't be booted by our tests. Its documentation, packages and issues
// say: no cron, rsyslog or nft on the image, but nftables, audit and aide in the
// repository; auditd's own rule "-a never,task" switches auditing off; Fail2ban is in
// none of its core repositories (https://github.com/amazonlinux/amazon-linux-2023/issues/383),
// so that there are no bans until somebody puts it on the image; SELinux is
// permissive; UsePAM stands in sshd_config.d/50-redhat.conf, which our drop-in comes
// before. Not proven there: PAM's order with password-auth, labels of /opt/postern
// under an enforcing SELinux, and the paths of the CloudWatch agent on a golden image.
//
// # Tests
//
// go test runs the Go code and, on Linux, the whole user data below a temporary
// root with a bundle of the real files and fakes of the programs, and fakes on the
// PATH. The tag hosttools adds shellcheck, shfmt and the real sshd; those must be
// installed then. test/host boots it all.
package host
