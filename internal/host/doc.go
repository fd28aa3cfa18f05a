// Package host makes what runs on a bastion: shell and configuration, embedded
// from files/ so that it can be reviewed, rendered by pure Go into EC2 user data.
// It knows nothing of the CDK.
//
//	data, err := host.Render(host.Config{
//		StackName:      "Access",
//		SignalResource: "BastionASG",
//		LogGroup:       "/postern/bastion",
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
// # The files
//
//	config.go       Config, its defaults and faults, the deploy-time values
//	sshd.go         the drop-in of sshd, as far as it is known at synthesis
//	agent.go        the configuration of the CloudWatch agent
//	render.go       packing, budget
//	files/
//	  userdata.sh     unpacks and starts; never in the payload itself
//	  main.sh         sources the others and runs the steps in order
//	  lib.sh          events, reasons, retries, writing files
//	  environment.sh  steps environment (deploy-time values) and tools
//	  signal.sh       the EXIT trap and the signal to CloudFormation
//	  instance.sh     steps identity (IMDSv2) and address (Elastic IP)
//	  sshd.sh         step sshd
//	  agent.sh        step agent, with rsyslog.conf and logrotate.conf
//	  selfcheck.sh    step selfcheck: its checks decide the signal
//
// Comment lines and empty lines of files/ are left out of the payload; what is on
// the host is otherwise the reviewed text. `/var/lib/postern/host/main.sh` may be
// run again at any time: it changes nothing that is right already.
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
// A promise that a step makes gets a check in selfcheck.sh: check_NAME returns 0,
// or says in DETAIL why not. To add a step: its file in files/, one `source` and
// one `step` line in main.sh, its checks in the list of step_selfcheck, its tests
// in shell_linux_test.go. Its settings are fields of [Config]: rendered to a file
// of the payload where they are known at synthesis, a line of the environment
// where they may be tokens.
//
// # What is told, and where
//
// Each event is one line of JSON on the console (`aws ec2 get-console-output`), in
// the journal (`journalctl -t postern`) and in /var/log/cloud-init-output.log. Its
// key "postern" says which: step (name, result, ms), note, check (name, result,
// detail), signal, and at the end bootstrap with the result, the step that failed,
// the reason, and the time of each step. The signal itself carries no reason: the
// API takes none. The CloudWatch agent ships the journal from its own start on, so
// that of the bootstrap the checks and the last event reach the log group.
//
// # Systems
//
// Amazon Linux 2023 first. Debian and Ubuntu have no package of the CloudWatch
// agent: there the host comes up, and says in a note and in the check
// cloudwatch-agent that nothing is shipped, unless the image brings the agent. An
// sshd older than 9.2 can't end idle sessions; the login shell then does, which a
// person can get around.
//
// # Tests
//
// go test runs the Go code and, on Linux, the whole user data below a temporary
// root with fakes on the PATH. The tag hosttools adds shellcheck, shfmt and the
// real sshd; those must be installed then.
package host
