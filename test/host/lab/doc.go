// Package lab boots a bastion for tests: an operating system under
// systemd-nspawn, with the cloud that it talks to and a client that attacks it.
//
//	l := lab.Boot(t, lab.Options{UserData: []byte(userData.Script), Prepare: func(l *lab.Lab) {
//		l.Person("alice") // her public key is in the bucket before the host boots
//	}})
//	signal := l.WaitSignal(t)                  // as CloudFormation gets it
//	session := l.Login(t, "alice")             // ssh with a terminal, from the client's namespace
//	session.Type("id -un").Expect("alice")
//	out, code := l.Root(t, "journalctl -n 20") // as root on the host, beside sshd
//	defer l.Fault(lab.Fault{Service: "s3", Op: "ListObjectsV2", Page: 2, Status: 403})()
//	l.Kill(t)                                  // the power goes
//	l.Start(t)                                 // and comes back
//
// # What is real
//
// The kernel, systemd, sshd, PAM, cloud-init and the AWS CLI: whatever a package
// of the distribution brings. The user data is run unmodified, by cloud-init,
// which gets it over IMDSv2.
//
// # Three namespaces
//
//	client 198.51.100.10 .. .19 ── router ── 10.0.1.10 bastion (ens5)
//	                                 │
//	aws: 169.254.169.254 IMDSv2, 169.254.169.253 DNS, 52.94.0.x one address for each
//	     service, 10.0.2.20 an internal server that the bastion can reach
//
// The services run in the test's own process: every request is recorded, and can
// be made to fail. TLS certificates are made for each name by an authority that
// the host's trust store knows; DNS answers for *.amazonaws.com and refuses all
// else at once.
//
// # What it leaves behind
//
// Nothing, however the test ends. Processes live in a PID namespace whose first
// process ends when the test's end of a pipe does, mounts and networks in
// namespaces of those processes. What is left of a run that was killed (a folder
// below the temporary one, empty cgroups, what [Room] raised) the next run takes back.
//
// # What a container can't show
//
// Kernel settings outside of namespaces (most of kernel.*), auditd, the clock,
// what an unclean power cut does to a file system (the page cache survives
// [Lab.Kill]), SELinux, the instance's own firmware and boot loader, and the
// unpatched way in which cloud-init finds that it runs on EC2.
//
// # The operating system
//
// Debian bookworm, built once by mmdebstrap, in 2 GiB of memory at most, and cached in
// the user's cache folder. Judges and AIDE are layers over it.
// POSTERN_ROOTFS names another one: a folder, or a tar file such as `docker
// export` of amazonlinux:2023 with systemd, openssh-server, cloud-init and the AWS
// CLI installed. POSTERN_LAB_CACHE is another cache folder.
package lab
