// Package relay leads tunnels on to listed targets, by the names that clients ask
// for. It speaks SOCKS 5 and HTTP CONNECT on one port of the loopback interface,
// which Session Manager's agent forwards to, so that one tunnel reaches several
// targets and a client checks the target's certificate against the target's name.
//
// What it keeps to, whoever asks:
//
//   - It serves root alone, which the agent is: a connection of anybody else on the
//     host is closed before a byte of it is read. The kernel says whose it is.
//   - It connects to what is listed, by the text of host and port, and to nothing
//     else. There is no other command, no authentication and no other protocol.
//   - It resolves a name for each connection, and connects to the addresses that it
//     has examined: never to loopback, link-local and metadata addresses, and never
//     to the host itself. One such address among others refuses the name.
//   - It runs as a user of its own, who owns nothing, and whom the host's firewall
//     lets out to the ports of the targets only.
//
// Each connection is told as one event: the target, the address, bytes each way, how
// long, and how it ended. Who it was is not known here: CloudTrail has the
// StartSession, with the instance and the time.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-auditing.html
package relay
