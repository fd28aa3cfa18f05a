//go:build linux

package host_test

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/postern-cdk/postern/test/host/lab"
)

// Attacks by what sshd, the network and the instance's role allow.
func init() {
	attacks = append(attacks,
		Attack{Group: "forwarding", Name: "the agent is forwarded", Try: func(x *Target) (bool, string) {
			client, err := x.Dial(x.Person, lab.SSHOptions{Wait: 5 * time.Second})
			if err != nil {
				return false, err.Error()
			}
			defer func() { _ = client.Close() }()
			if err := agent.ForwardToAgent(client, agent.NewKeyring()); err != nil {
				return false, err.Error()
			}
			session, err := client.NewSession()
			if err != nil {
				return false, err.Error()
			}
			err = agent.RequestAgentForwarding(session)
			return err == nil, fmt.Sprintf("asked for it: %v", err)
		}},
		Attack{Group: "forwarding", Name: "a listener of the client opens on the host", Try: func(x *Target) (bool, string) {
			client, err := x.Dial(x.Person, lab.SSHOptions{Wait: 5 * time.Second})
			if err != nil {
				return false, err.Error()
			}
			defer func() { _ = client.Close() }()
			listener, err := client.Listen("tcp", "127.0.0.1:0")
			if err == nil {
				_ = listener.Close()
			}
			return err == nil, fmt.Sprintf("-R 0: %v", err)
		}, Weaken: func(x *Target) func() {
			return x.withoutSSHD("AllowTcpForwarding", "PermitListen", "DisableForwarding")
		}},
		Attack{Group: "keys and names", Name: "a password opens the door", Try: func(x *Target) (bool, string) {
			// An account that got a password somehow.
			x.MustRoot(x.T, "echo "+x.Person+":guessed-password | chpasswd")
			_, err := x.Dial(x.Person, lab.SSHOptions{Auth: []ssh.AuthMethod{ssh.Password("guessed-password")}})
			return err == nil, fmt.Sprint(err)
		}},
		Attack{Group: "keys and names", Name: "a person adds a key of the account", Try: func(x *Target) (bool, string) {
			key := lab.NewKey()
			return x.Try(func(s *lab.Session) (bool, string) {
				line := strings.TrimSpace(string(lab.AuthorizedKey(key)))
				out, _, err := s.Run(`mkdir -p .ssh; echo '` + line + `' >>.ssh/authorized_keys; echo '` + line + `' >>/etc/postern/keys/$USER`)
				if err != nil {
					return false, err.Error()
				}
				client, err := x.Dial(x.Person, lab.SSHOptions{Key: key})
				if err == nil {
					_ = client.Close()
				}
				return err == nil, fmt.Sprintf("login with the second key: %v (%s)", err, out)
			})
		}},
		Attack{Group: "keys and names", Name: "an object's name puts a key into root's account", Serial: true, Try: func(x *Target) (bool, string) {
			// Unquoted in a command line of the AWS CLI, spaces make arguments of a name.
			key := lab.NewKey()
			x.S3.Put("public-keys/k", lab.AuthorizedKey(key))
			x.S3.Put("public-keys/k /root/.ssh/authorized_keys --grants /eve.pub", lab.AuthorizedKey(key))
			defer x.S3.Delete("public-keys/k")
			defer x.S3.Delete("public-keys/k /root/.ssh/authorized_keys --grants /eve.pub")
			x.Cycle()
			client, err := x.Dial("root", lab.SSHOptions{Key: key})
			if err == nil {
				_ = client.Close()
			}
			out, _ := x.Root(x.T, "ls -l /root/.ssh; wc -c /root/.ssh/*")
			return err == nil, fmt.Sprintf("ssh root@bastion: %v\n%s", err, out)
		}},

		Attack{Group: "credentials", Name: "a person reads the role's credentials from IMDS", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				out, _, err := s.Run(`T=$(curl -sm 3 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token); ` +
					`curl -sm 3 -H "X-aws-ec2-metadata-token: $T" http://169.254.169.254/latest/meta-data/iam/security-credentials/` + lab.RoleName)
				return strings.Contains(out, "SecretAccessKey"), fmt.Sprintf("%.120q, %v", out, err)
			})
		}},
		Attack{Group: "credentials", Name: "a person writes into the bucket as the instance", Try: func(x *Target) (bool, string) {
			key := "logs/forged-by-" + x.Person
			return x.Try(func(s *lab.Session) (bool, string) {
				out, _, err := s.RunFor(`echo forged >f; timeout 10 aws s3 cp f s3://`+lab.RecordBucket+`/`+key+` --region `+lab.Region, 30*time.Second)
				_, there := x.S3.Get(lab.RecordBucket, key)
				return there, fmt.Sprintf("%.200q, %v", out, err)
			})
		}},
		Attack{Group: "network", Name: "the recorded shell reaches an internal port", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				out, _, err := s.Run(`timeout 5 cat </dev/tcp/` + lab.InternalIP + `/5432`)
				return strings.Contains(out, "internal database"), fmt.Sprintf("%q, %v", out, err)
			})
		}},
	)
}
