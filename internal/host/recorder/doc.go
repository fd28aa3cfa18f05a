// Package recorder is the daemon that people's sessions on a bastion run under,
// postern-host record. A person's login shell, postern-shell, hands it the terminal
// or the streams that sshd made; the daemon starts the person's bash on others, and
// nothing passes between the two before it is in the record.
//
// # What holds the person
//
//   - Who asks is what the kernel says of the other end of the socket: our shell,
//     started by the host's sshd, not from within a session. Name, address, command
//     and environment are read from /proc, of a process that its owner can't touch.
//   - The terminal of sshd becomes root's. The session has a new one, in an instance
//     of devpts of its own: no other session, of the same person either, can open it.
//   - The session is a control group, which is killed whole at its end, and the
//     kernel tells of every program that starts in it (seccomp user notification),
//     before it does. Where that can't be recorded, it doesn't start.
//   - People without sudo have no_new_privs, no capabilities, and none of the system
//     calls that nobody needs on a bastion. The sockets of the system's services, and
//     files by whose locks others would have to wait, are not in their session's view
//     of the system.
//   - What programs share in memory is the session's own, and ends with it.
//   - What can't be recorded ends: a write error, a full disk, a folder or a file that
//     was replaced. The person is told, an alarm is raised, and nobody else gets in
//     until it is well again.
//   - Who fills the disk goes alone. Half of MinFreeMiB is kept in a file; where the
//     disk gets full, all sessions stand still, those end whose person has the largest
//     files on it, and the records get what was kept. The person has no session until
//     there is room again. Who has so many sockets that ports get scarce goes, too.
//
// # What is written
//
// Below /var/log/postern, with a shadow below /var/lib/postern/shadow:
//
//	sessions/SESSION-ID/NNNNNN.cast  the recording, a chained asciicast v2
//	commands/NNNNNN.jsonl            begin, typed, done, exec, end of all sessions, chained
//	bastion.log                      one line of text for each typed line and program
//
// Lines of the command log have the keys "time", "event" and "session". Those that
// the shell's hook tells have the source "shell": they are the person's own word.
// Those of the source "kernel" and "recorder" are not.
//
// # Commands
//
// A session that brings a command (ssh host cmd, scp, sftp) is refused, or, by
// choice, recorded with all that goes in and out. Bytes of such streams that aren't
// UTF-8 are in events O and I only, in base64; an empty event E before an event
// says that it was of the standard error.
//
// # Second factor
//
// Where logins need a one-time code, a session of a person who has no second factor
// yet does nothing but set one up, as does one that brings the command "enrol". No
// process of the person's runs in it, and what is shown and typed is a secret: the
// command log has its begin and end, with the command "enrolment", and there is no
// recording. A connection from before the person had the factor brings no session
// afterwards.
//
// # Needs
//
// Linux 5.14 or newer, control groups of version 2 (Delegate=yes), and root.
package recorder
