//go:build linux

package host_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/postern-cdk/postern/test/host/lab"
)

// reconcile is the command line of root's that the timer runs, or cron.
func (x *Target) reconcile() string {
	if x.Classic {
		return x.WarmCLI(x.T) + "export HOME=/root; cd; /usr/bin/bastion/sync_users"
	}
	return "/opt/postern/bin/postern-host people"
}

// listing is what a reconcile asks the bucket for first, and object what it asks next.
func (x *Target) listing() string {
	if x.Classic {
		return "ListObjects"
	}
	return "ListObjectsV2"
}

// Attacks on the reconcile by its own kind: cut off, twice at once, between two answers.
func init() {
	const group = "reconcile under faults"
	attacks = append(attacks,
		Attack{
			Group: group, Name: "killed in the middle it leaves an account that nobody can use", Serial: true,
			Try: func(x *Target) (bool, string) {
				next := fresh()
				x.Lab.Person(next)
				if x.Classic {
					defer x.ClassicForget(x.T, next)
				}
				// As soon as there is anything of the account; the shell asks without a program
				// in between.
				out := x.MustRoot(x.T, "set -m; ("+x.reconcile()+") >/dev/null 2>&1 & p=$!; "+
					"until [[ $(</etc/passwd) == *"+next+":* || ! -e /proc/$p ]]; do :; done; kill -9 -- -$p 2>/dev/null; wait; id "+next+" || true")
				x.Cycle()
				ok, err := x.opens(next, lab.SSHOptions{})
				broken, _ := x.Root(x.T, "pwck -rq; grpck -r")
				return !ok || strings.Contains(broken, next), fmt.Sprintf("killed when there was %q; after the next cycle the door opens: %v (%v), %q", out, ok, err, broken)
			},
		},
		Attack{
			Group: group, Name: "a slow listing lets another begin, and together they remove everybody", Serial: true, Others: 3,
			Try: func(x *Target) (bool, string) {
				// The second asks, and waits, while the first goes on. Whom that removed, the
				// second makes again: what is gone is all that they had.
				everybody := append([]string{x.Person}, x.Others...)
				x.MustRoot(x.T, "for p in "+strings.Join(everybody, " ")+"; do touch /home/$p/work; done")
				listed := "sleep 0.3"
				if x.Classic {
					listed = "until [[ -s /root/keys_retrieved_from_s3 ]]; do sleep 0.02; done"
				}
				defer x.Fault(lab.Fault{Service: "s3", Op: x.listing(), After: 1, Delay: 4 * time.Second})()
				x.Root(x.T, "rm -f /root/keys_retrieved_from_s3; ("+x.reconcile()+") >/dev/null 2>&1 & "+listed+"; ("+x.reconcile()+") >/dev/null 2>&1; wait")
				lost := 0
				for _, name := range everybody {
					if !x.Exists("/home/" + name + "/work") {
						lost++
					}
				}
				return lost > 0, fmt.Sprintf("%d of %d lost what they had", lost, len(everybody))
			},
		},
		Attack{
			Group: group, Name: "an object that vanishes after the listing makes an account", Serial: true,
			Try: func(x *Target) (bool, string) {
				next := fresh()
				x.Lab.Person(next)
				if x.Classic {
					defer x.ClassicForget(x.T, next)
				}
				defer x.S3.Delete("public-keys/" + next + ".pub")
				gone := lab.Fault{Service: "s3", Key: "public-keys/" + next + ".pub", Status: 404, Code: "NoSuchKey"}
				defer x.Fault(gone)()
				x.Cycle()
				out, code := x.Root(x.T, "id "+next)
				return code == 0, strings.TrimSpace(out)
			},
		},
	)
}
