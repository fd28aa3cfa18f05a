//go:build linux

package host_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/test/host/lab"
)

// command attacks by one command line in a session. PERSON and OTHER in it are the
// attacker and the first of the others; it succeeded where it shows the text.
func command(line, shows string) func(*Target) (bool, string) {
	return func(x *Target) (bool, string) {
		return x.Try(func(s *lab.Session) (bool, string) {
			out, _, err := s.Run(x.named(line))
			return strings.Contains(out, shows), fmt.Sprintf("%.300q, %v", out, err)
		})
	}
}

// named puts the names into a command line.
func (x *Target) named(line string) string {
	names := []string{"PERSON", x.Person}
	if len(x.Others) > 0 {
		names = append(names, "OTHER", x.Others[0])
	}
	return strings.NewReplacer(names...).Replace(line)
}

// as is [Target.Try] as somebody else.
func (x *Target) as(person string, f func(*lab.Session) (bool, string)) (bool, string) {
	y := *x
	y.Person = person
	return y.Try(f)
}

// opens says whether a key opens the door as a person.
func (x *Target) opens(person string, o lab.SSHOptions) (bool, error) {
	client, err := x.Dial(person, o)
	if err == nil {
		_ = client.Close()
	}
	return err == nil, err
}

// weaken is a Weaken of two commands of root's.
func weaken(do, undo string) func(*Target) func() {
	return func(x *Target) func() {
		x.MustRoot(x.T, x.named(do))
		return func() { x.MustRoot(x.T, x.named(undo)) }
	}
}

// Attacks on other people's files, and by names and keys in the bucket.
func init() {
	const files = "files and other people"
	attacks = append(attacks,
		Attack{
			Group: files, Name: "a person reads the home of another", Others: 1,
			Try: func(x *Target) (bool, string) {
				x.MustRoot(x.T, x.named(`echo not-"yours" >/home/OTHER/plan; chmod 644 /home/OTHER/plan; chown OTHER: /home/OTHER/plan`))
				return command(`cat /home/OTHER/plan`, `not-yours`)(x)
			},
			Weaken: weaken("chmod 755 /home/OTHER", "chmod 700 /home/OTHER"),
		},
		Attack{
			Group: files, Name: "what a person writes can be read by others",
			Try: command(`echo x >/var/tmp/PERSON; stat -c 'mode-%a' /var/tmp/PERSON`, "mode-644"),
		},
		Attack{
			Group: files, Name: "a person sees the processes of others", Others: 1,
			Try: func(x *Target) (bool, string) {
				return x.as(x.Others[0], func(s *lab.Session) (bool, string) {
					s.Type(`bash -c 'sleep 30; true' a-secret-argument`)
					if _, err := s.Wait("a-secret-argument", lab.Expectation); err != nil {
						return false, err.Error()
					}
					return command(`sleep 0.3; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -c ^a-secret'-argument$' | sed 's/^/found-/'`, "found-1")(x)
				})
			},
			// The whole of what keeps them apart is this: /proc of the session.
			Weaken: weaken(`systemd-run -q --collect --unit=lab-proc bash -c 'while sleep 0.05; do for p in $(pgrep -u PERSON -x bash); do `+
				`nsenter -t $p -m mount -o remount,hidepid=0 /proc; done; done'`, "systemctl stop lab-proc"),
		},
		Attack{
			Group: files, Name: "a person reads the recording of another", Others: 1,
			Try: func(x *Target) (bool, string) {
				x.as(x.Others[0], func(s *lab.Session) (bool, string) {
					_, _, err := s.Run(`echo con"fidential"`)
					return false, fmt.Sprint(err)
				})
				x.Root(x.T, `chmod 755 /var/log/postern/sessions /var/log/postern/sessions/*; find /var/log/postern /var/lib/postern/shadow -name '*.cast' | while read -r f; do chattr -a "$f"; chmod 644 "$f"; chattr +a "$f"; done`)
				return command(`grep -rhc confidential /var/log/postern/sessions /var/lib/postern/shadow 2>/dev/null | grep -v '^0' | sed 's/.*/found/' | sort -u`, "found")(x)
			},
			Weaken: weaken("chmod 755 /var/log/postern", "chmod 700 /var/log/postern /var/log/postern/sessions"),
		},
		Attack{
			Group: files, Name: "a person replaces the keys of another", Others: 1,
			Try: func(x *Target) (bool, string) {
				key := lab.NewKey()
				line := strings.TrimSpace(string(lab.AuthorizedKey(key)))
				x.Try(func(s *lab.Session) (bool, string) {
					out, _, err := s.Run(x.named(`cd /etc/postern/keys; sleep 0.5; echo '` + line + `' >.new && mv -f .new OTHER; ls -la`))
					return false, fmt.Sprintf("%q, %v", out, err)
				})
				_, code := x.Root(x.T, x.named(`grep -q '`+line+`' /etc/postern/keys/OTHER`))
				return code == 0, fmt.Sprintf("the key is among those of %s: %v", x.Others[0], code == 0)
			},
			// While everybody may write there, sshd lets nobody in.
			Weaken: weaken(`systemd-run -q --collect bash -c 'until pgrep -u PERSON -x bash; do sleep 0.05; done; chmod 777 /etc/postern/keys'`,
				"chmod 755 /etc/postern/keys; rm -f /etc/postern/keys/OTHER /etc/postern/keys/.new"),
		},
		Attack{
			Group: files, Name: "the reconcile writes through a link of the person's", Serial: true,
			Try: func(x *Target) (bool, string) {
				x.MustRoot(x.T, x.named("mkdir -p -m 755 /etc/canary-PERSON; echo intact >/etc/canary-PERSON/authorized_keys"))
				x.Try(func(s *lab.Session) (bool, string) {
					_, _, err := s.Run(x.named(`rm -rf .ssh; ln -s /etc/canary-PERSON .ssh`))
					return false, fmt.Sprint(err)
				})
				x.S3.Put("public-keys/"+x.Person+".pub", lab.AuthorizedKey(lab.NewKey()))
				x.Cycle()
				out, _ := x.Root(x.T, x.named("ls -l /etc/canary-PERSON; cat /etc/canary-PERSON/authorized_keys"))
				return !strings.Contains(out, "intact"), out
			},
		},
		Attack{
			Group: files, Name: "a hard link keeps what is recorded from being deleted",
			Try: command(`ln /var/log/postern/bastion.log ~/kept 2>&1; stat -c 'links-%h' ~/kept`, "links-2"),
			// Root's folder, the mode and the attribute of the file: each is enough.
			Weaken: weaken("chmod 711 /var/log/postern; chattr -a /var/log/postern/bastion.log; chmod 666 /var/log/postern/bastion.log",
				"rm -f /home/PERSON/kept; chmod 700 /var/log/postern; chmod 600 /var/log/postern/bastion.log; chattr +a /var/log/postern/bastion.log"),
		},
		Attack{
			Group: files, Name: "a person leaves a program for others that runs as its owner", Others: 1,
			Try: func(x *Target) (bool, string) {
				x.Try(func(s *lab.Session) (bool, string) {
					_, _, err := s.Run(x.named(`chmod 711 ~; cp /bin/bash ~/as-PERSON; chmod 4755 ~/as-PERSON`))
					return false, fmt.Sprint(err)
				})
				return x.as(x.Others[0], func(s *lab.Session) (bool, string) {
					out, _, err := s.Run(x.named(`/home/PERSON/as-PERSON -p -c 'id -un'`))
					return out == x.Person, fmt.Sprintf("it runs as %q, %v", out, err)
				})
			},
		},
	)

	const names = "keys and names"
	// bring puts content into the bucket as the attacker's object.
	bring := func(x *Target, content string) {
		x.S3.Put("public-keys/"+x.Person+".pub", []byte(content))
		x.Cycle()
	}
	attacks = append(attacks,
		Attack{
			Group: names, Name: "a name with commands, or of another folder, makes an account", Serial: true,
			Try: func(x *Target) (bool, string) {
				p := x.Person
				key := lab.AuthorizedKey(lab.NewKey())
				objects := map[string]string{ // and the account that it would make
					"sub/" + p + "a.pub": p + "a", "$(touch /run/" + p + ").pub": "$(touch", "../../" + p + "b.pub": p + "b", p + "c\nroot.pub": p + "c",
					strings.ToUpper(p) + ".pub": strings.ToUpper(p), "m\u0430llory.pub": "m\u0430llory", ".pub": "", "-" + p + ".pub": "-" + p,
					p + "d.pub.pub": p + "d", p + ":0:0::/:.pub": p, "`touch /run/" + p + "`.pub": "`touch", p + "e .pub": p + "e",
				}
				before := x.MustRoot(x.T, "cat /etc/passwd")
				for object := range objects {
					x.S3.Put("public-keys/"+object, key)
				}
				defer func() {
					for object := range objects {
						x.S3.Delete("public-keys/" + object)
					}
				}()
				x.Cycle()
				after := x.MustRoot(x.T, "cat /etc/passwd")
				var made []string
				for _, name := range objects {
					if strings.Contains(after, "\n"+name+":") && !strings.Contains(before, "\n"+name+":") {
						made = append(made, name)
					}
				}
				ran := x.Exists("/run/" + p)
				if x.Classic {
					x.ClassicForget(x.T, p+"a", p+"b", p+"d")
				}
				return ran || len(made) > 0, fmt.Sprintf("accounts: %q, commands ran: %v", made, ran)
			},
		},
		Attack{
			Group: names, Name: "a name that the system gives power makes an account", Serial: true,
			Try: func(x *Target) (bool, string) {
				// "admin", "wheel" and "docker" name groups that sudoers and daemons believe in.
				powers := []string{"root", "sshd", "ubuntu", "admin", "wheel", "docker", "sudo", "postern-check", "ssm-user", "systemd-x"}
				before := x.MustRoot(x.T, "cat /etc/passwd /etc/group; ls /root/.ssh /etc/postern/keys 2>/dev/null | grep -x -e root -e authorized_keys")
				for _, name := range powers {
					x.S3.Put("public-keys/"+name+".pub", lab.AuthorizedKey(lab.NewKey()))
				}
				defer func() {
					for _, name := range powers {
						x.S3.Delete("public-keys/" + name + ".pub")
					}
				}()
				x.Cycle()
				var made []string
				for _, name := range powers {
					_, had := x.Root(x.T, "grep -q '^"+name+":' <<'END'\n"+before+"\nEND")
					_, has := x.Root(x.T, "id "+name+" && test -e /etc/postern/keys/"+name+" -o -e /home/"+name+"/.ssh/authorized_keys")
					if has == 0 && had != 0 {
						made = append(made, name)
					}
				}
				if x.Classic {
					x.ClassicForget(x.T, made...)
				}
				return len(made) > 0, fmt.Sprintf("accounts: %q", made)
			},
		},
		Attack{
			Group: names, Name: "options in the line of a key give its owner more", Serial: true,
			Try: func(x *Target) (bool, string) {
				key := lab.NewKey()
				bring(x, `environment="A=b",permitopen="*:*",pty `+string(lab.AuthorizedKey(key)))
				ok, err := x.opens(x.Person, lab.SSHOptions{Key: key})
				return ok, fmt.Sprint(err)
			},
		},
		Attack{
			Group: names, Name: "a line makes the attacker an authority over the name", Serial: true,
			Try: func(x *Target) (bool, string) {
				authority, key := lab.NewKey(), lab.NewKey()
				bring(x, "cert-authority "+string(lab.AuthorizedKey(authority)))
				certificate := &ssh.Certificate{
					Key: key.PublicKey(), CertType: ssh.UserCert, KeyId: "anybody at all", ValidPrincipals: []string{x.Person},
					ValidBefore: ssh.CertTimeInfinity, Permissions: ssh.Permissions{Extensions: map[string]string{"permit-pty": ""}},
				}
				if err := certificate.SignCert(rand.Reader, authority); err != nil {
					return false, err.Error()
				}
				signer, err := ssh.NewCertSigner(certificate, key)
				if err != nil {
					return false, err.Error()
				}
				ok, err := x.opens(x.Person, lab.SSHOptions{Key: signer})
				return ok, fmt.Sprint(err)
			},
		},
		Attack{
			Group: names, Name: "a key that can be factored opens the door", Serial: true,
			Try: func(x *Target) (bool, string) {
				private, err := rsa.GenerateKey(rand.Reader, 1024)
				if err != nil {
					return false, err.Error()
				}
				key, err := ssh.NewSignerFromKey(private)
				if err != nil {
					return false, err.Error()
				}
				bring(x, string(lab.AuthorizedKey(key)))
				ok, err := x.opens(x.Person, lab.SSHOptions{Key: key})
				return ok, fmt.Sprint(err)
			},
		},
		Attack{
			Group: names, Name: "one key opens the door as two people", Serial: true, Others: 1,
			Try: func(x *Target) (bool, string) {
				key := lab.NewKey()
				x.S3.Put("public-keys/"+x.Others[0]+".pub", lab.AuthorizedKey(key))
				x.Cycle()
				bring(x, string(lab.AuthorizedKey(key)))
				first, _ := x.opens(x.Others[0], lab.SSHOptions{Key: key})
				second, err := x.opens(x.Person, lab.SSHOptions{Key: key})
				return first && second, fmt.Sprintf("%s: %v, %s: %v (%v)", x.Others[0], first, x.Person, second, err)
			},
		},
		Attack{
			Group: names, Name: "an object as large as a disk is written to it", Serial: true,
			Try: func(x *Target) (bool, string) {
				bring(x, strings.Repeat("# a comment that goes on and on\n", 100_000))
				out, _ := x.Root(x.T, x.named("cat /etc/postern/keys/PERSON /home/PERSON/.ssh/authorized_keys 2>/dev/null | wc -c"))
				return len(strings.TrimSpace(out)) > 6, strings.TrimSpace(out) + " bytes of keys"
			},
		},
	)

	const credentials = "credentials"
	attacks = append(attacks,
		Attack{
			Group: credentials, Name: "other spellings of the metadata address give the credentials",
			Try: command(`for a in 2852039166 0xa9fea9fe '[::ffff:169.254.169.254]' 169.254.43518; do `+
				`T=$(curl -gsm 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://$a/latest/api/token); `+
				`curl -gsm 2 -H "X-aws-ec2-metadata-token: $T" http://$a/latest/meta-data/iam/security-credentials/`+lab.RoleName+`; done`, "SecretAccessKey"),
		},
		Attack{
			Group: credentials, Name: "the metadata service answers by IPv6",
			Try: command(`T=$(curl -gsm 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' 'http://[fd00:ec2::254]/latest/api/token'); `+
				`curl -gsm 2 -H "X-aws-ec2-metadata-token: $T" 'http://[fd00:ec2::254]/latest/meta-data/iam/security-credentials/`+lab.RoleName+`'`, "SecretAccessKey"),
		},
		Attack{
			Group: credentials, Name: "the metadata service is reached through sshd's forwarding", Serial: true,
			Try: func(x *Target) (bool, string) {
				// A bastion on which people may forward.
				defer x.withoutSSHD("AllowTcpForwarding", "PermitOpen", "DisableForwarding")()
				client, err := x.Dial(x.Person, lab.SSHOptions{Wait: 5 * time.Second})
				if err != nil {
					return false, err.Error()
				}
				defer func() { _ = client.Close() }()
				conn, err := client.Dial("tcp", "169.254.169.254:80")
				if err != nil {
					return false, err.Error()
				}
				defer func() { _ = conn.Close() }()
				_, _ = io.WriteString(conn, "GET /latest/meta-data/ HTTP/1.0\r\n\r\n")
				answer := make([]byte, 512)
				n, err := conn.Read(answer)
				return n > 0, fmt.Sprintf("%.60q, %v", answer[:n], err)
			},
			Weaken: weaken("nft delete table inet postern", "nft -f /etc/postern/firewall.nft"),
		},
		Attack{
			Group: credentials, Name: "a person reads the private keys of the host",
			Try:    command(`cat /etc/ssh/ssh_host_*_key 2>/dev/null | grep -c 'PRIVATE KEY' | sed 's/^/lines-/'`, "lines-2"),
			Weaken: weaken("chmod 644 /etc/ssh/ssh_host_ed25519_key", "chmod 600 /etc/ssh/ssh_host_ed25519_key"),
		},
		Attack{
			Group: credentials, Name: "a person reads the host's parameters as the instance",
			Try: func(x *Target) (bool, string) {
				name := "/postern/Access/Bastion/of-" + x.Person
				x.SSM.Put(name, "the host's private key")
				return x.Try(func(s *lab.Session) (bool, string) {
					out, _, err := s.RunFor(`AWS_PAGER= timeout 10 aws ssm get-parameter --with-decryption --name `+name+` --region `+lab.Region, 30*time.Second)
					return strings.Contains(out, "private key"), fmt.Sprintf("%.200q, %v", out, err)
				})
			},
		},
		Attack{
			Group: credentials, Name: "a person reads what root keeps of the deployment",
			Try: command(`cat /etc/postern/environment /etc/postern/settings.json /var/lib/postern/* /var/lib/cloud/instance/user-data.txt 2>/dev/null | `+
				`grep -c -e '^RECORD_BUCKET=' | sed 's/^/lines-/'`, "lines-1"),
			Weaken: weaken("chmod 644 /etc/postern/environment", "chmod 600 /etc/postern/environment"),
		},
	)

	const network = "network"
	attacks = append(attacks,
		Attack{
			Group: network, Name: "a person opens a door of one's own on the host",
			Try: func(x *Target) (bool, string) {
				return x.Try(func(s *lab.Session) (bool, string) {
					s.Type(`python3 -c 'import socket; s=socket.socket(); s.bind(("",0)); s.listen(); print("port-%d;" % s.getsockname()[1], flush=True); c,_=s.accept(); c.send(b"unrecorded"); c.close()'`)
					found, err := s.Wait(`port-\d+;`, lab.Expectation)
					if err != nil {
						return false, err.Error()
					}
					conn, err := x.Connect(net.JoinHostPort(lab.BastionIP, strings.Trim(found, "port-;")), "")
					if err != nil {
						return false, err.Error()
					}
					defer func() { _ = conn.Close() }()
					_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
					text, err := io.ReadAll(conn)
					return string(text) == "unrecorded", fmt.Sprintf("%q, %v", text, err)
				})
			},
		},
		Attack{
			Group: network, Name: "a port beside those that were asked for is open", Serial: true,
			Try: func(x *Target) (bool, string) {
				if _, code := x.Root(x.T, "nft list table inet postern | grep -q 8080"); code != 0 {
					defer egress("5432")(x)()
				}
				return x.Try(func(s *lab.Session) (bool, string) {
					asked, _, err := s.Run(`timeout 3 cat </dev/tcp/` + lab.InternalIP + `/5432`)
					if asked != "internal database" {
						x.T.Errorf("the port that was asked for is closed: %q, %v", asked, err)
					}
					beside, _, err := s.Run(`timeout 3 cat </dev/tcp/` + lab.InternalIP + `/8080`)
					return strings.Contains(beside, "internal database"), fmt.Sprintf("%q, %v", beside, err)
				})
			},
			Weaken: egress("5432 8080"),
		},
		Attack{
			Group: network, Name: "a person reaches S3",
			Try: command(`curl -sm 5 -o /dev/null -w 'status-%{http_code}' https://s3.`+lab.Region+`.amazonaws.com/; echo`, "status-403"),
		},
		Attack{
			Group: network, Name: "a person logs in from the host itself",
			Try: command(`timeout 3 head -c 3 </dev/tcp/127.0.0.1/22; timeout 3 head -c 3 </dev/tcp/`+lab.BastionIP+`/22`, "SSH"),
		},
		Attack{
			Group: network, Name: "a person makes a network of one's own, with raw sockets",
			Try: command(`unshare -Urn python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); print("raw" + "-socket")'`, "raw-socket"),
		},
	)
}

// egress makes the firewall's rules for other ports, by what the host makes them of.
func egress(ports string) func(*Target) func() {
	return func(x *Target) func() {
		x.MustRoot(x.T, `source /opt/postern/host/run/begin.sh >/dev/null; EGRESS_PORTS="`+ports+`"; firewall_rules | nft -f -`)
		return func() { x.MustRoot(x.T, "nft -f /etc/postern/firewall.nft") }
	}
}
