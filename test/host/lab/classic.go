//go:build linux

package lab

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"
)

// The bootstrap that many bastions run, in the design that articles pass on:
// ForceCommand and script(1), people and logs by cron and the AWS CLI. The words are
// ours, the mechanisms and their faults are not.
//
//go:embed testdata/classic.sh.in
var classic string

// Classic makes of options those of a host of the classic script: the control of
// attacks, which have to succeed there. What Debian lacks of Amazon Linux is put
// beside the script.
func Classic(o Options) Options {
	o.UserData = []byte(strings.NewReplacer("${Bucket}", PeopleBucket, "${AWS::Region}", Region, "${AWS::StackName}", "Classic").Replace(classic))
	o.DefaultUser = "ec2-user"
	files := map[string]File{
		"/usr/bin/yum": {Mode: 0o755, Data: []byte("#!/bin/sh\nexit 0\n")},
		// On Amazon Linux adduser is another name of useradd, which makes a home by default.
		"/usr/sbin/adduser": {Mode: 0o755, Data: []byte("#!/bin/sh\nexec /usr/sbin/useradd --create-home --shell /bin/bash \"$@\"\n")},
		"/opt/aws/bin/cfn-signal": {Mode: 0o755, Data: []byte(`#!/bin/bash
while (($#)); do
  case $1 in
    -e) if [[ $2 == 0 ]]; then status=SUCCESS; else status=FAILURE; fi ;;
    --stack) stack=$2 ;;
    --resource) resource=$2 ;;
    --region) region=$2 ;;
  esac
  shift 2
done
exec aws cloudformation signal-resource --region "$region" --stack-name "$stack" \
  --logical-resource-id "$resource" --unique-id ` + InstanceID + ` --status "$status"
`)},
	}
	for path, file := range o.Files {
		files[path] = file
	}
	o.Files = files
	return o
}

// BootClassic boots a host of the classic script and waits until it is up. Its cron
// is stopped: [Lab.ClassicSync] is one cycle.
func BootClassic(t testing.TB, o Options) *Lab {
	t.Helper()
	l := Boot(t, Classic(o))
	if err := l.classicUp(); err != nil {
		t.Fatal(err)
	}
	return l
}

// NewClassic is [BootClassic] for hosts that several tests share.
func NewClassic(o Options) (*Lab, error) {
	l, err := New(Classic(o))
	if err != nil {
		return nil, err
	}
	if err := l.classicUp(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (l *Lab) classicUp() error {
	signal, err := l.TrySignal()
	if err != nil {
		return err
	}
	if signal.Status != "SUCCESS" {
		return fmt.Errorf("the classic host signals %+v", signal)
	}
	return l.ClassicAlone()
}

// ClassicAlone stops cron on a host of the classic script: [Lab.ClassicSync] is one
// cycle.
func (l *Lab) ClassicAlone() error {
	if out, code, err := l.TryRoot("systemctl stop cron"); err != nil || code != 0 {
		return fmt.Errorf("cron: %s (%d, %w)", out, code, err)
	}
	return nil
}

// ClassicSync runs one cycle of the classic script's reconcile, as cron does, and
// returns what it printed. The AWS CLI in it is the host's, see [Lab.WarmCLI].
func (l *Lab) ClassicSync(t testing.TB) string {
	t.Helper()
	before := l.WarmCLI(t)
	out, _ := l.Root(t, before+"export HOME=/root; cd; /usr/bin/bastion/sync_users")
	t.Logf("sync_users: %s", out)
	return out
}

// ClassicPerson makes a person and leaves on the host what a cycle of the reconcile
// leaves, in a fraction of its time.
func (l *Lab) ClassicPerson(t testing.TB, name string) { l.ClassicPeople(t, name) }

// ClassicPeople is [Lab.ClassicPerson] for several.
func (l *Lab) ClassicPeople(t testing.TB, names ...string) {
	t.Helper()
	var script strings.Builder
	script.WriteString("set -e; exec 9>/run/lab.lock; flock 9\n")
	for _, name := range names {
		fmt.Fprintf(&script, `/usr/sbin/adduser %[1]s
mkdir -m 700 /home/%[1]s/.ssh
echo '%[2]s' >/home/%[1]s/.ssh/authorized_keys
chmod 600 /home/%[1]s/.ssh/authorized_keys
chown -R %[1]s:%[1]s /home/%[1]s/.ssh
echo public-keys/%[1]s.pub >>/root/keys_installed
`, name, strings.TrimSpace(string(AuthorizedKey(l.Person(name)))))
	}
	l.MustRoot(t, script.String())
}

// ClassicForget takes people from the host and from the bucket, without the cost of a
// cycle.
func (l *Lab) ClassicForget(t testing.TB, names ...string) {
	t.Helper()
	script := "exec 9>/run/lab.lock; flock 9\n"
	for _, name := range names {
		l.S3.Delete("public-keys/" + name + ".pub")
		script += fmt.Sprintf("userdel -r -f %[1]s; sed -i '/^public-keys\\/%[1]s.pub$/d' /root/keys_installed\n", name)
	}
	l.Root(t, script)
}
