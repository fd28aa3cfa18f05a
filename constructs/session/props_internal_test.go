package session

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/policy"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

func TestSettingsByDefault(t *testing.T) {
	s := Settings{}.withDefaults()
	assert.Equal(t, Settings{Prefix: "session-manager", IdleTimeout: 20 * time.Minute, MaxDuration: 12 * time.Hour}, s)
	assert.NoError(t, s.validate())

	s = Settings{MaxDuration: 10 * time.Minute}.withDefaults()
	assert.Equal(t, 10*time.Minute, s.IdleTimeout, "a shorter session is no fault")
	assert.NoError(t, s.validate())

	s = Settings{NoMaxDuration: true, WithoutBucket: true}.withDefaults()
	assert.Equal(t, Settings{IdleTimeout: 20 * time.Minute, NoMaxDuration: true, WithoutBucket: true}, s)
	assert.NoError(t, s.validate())
}

func TestSettingsFaults(t *testing.T) {
	for name, c := range map[string]struct {
		settings Settings
		want     string
	}{
		"idle too long":      {Settings{IdleTimeout: 90 * time.Minute}, "IdleTimeout: 1h30m is out of range: use 1m to 1h"},
		"idle too short":     {Settings{IdleTimeout: time.Second}, "IdleTimeout: 1s is out of range: use 1m to 1h"},
		"idle a fraction":    {Settings{IdleTimeout: 90 * time.Second}, "IdleTimeout: 1m30s is no number of whole minutes: use 1m or 2m"},
		"total too long":     {Settings{MaxDuration: 25 * time.Hour}, "MaxDuration: 25h is out of range: use 1m to 24h"},
		"total negative":     {Settings{IdleTimeout: time.Minute, MaxDuration: -time.Minute}, "MaxDuration: -1m is out of range: use 1m to 24h"},
		"total below idle":   {Settings{IdleTimeout: 30 * time.Minute, MaxDuration: 15 * time.Minute}, "MaxDuration: 15m is less than IdleTimeout 30m: use 30m or more, or a shorter IdleTimeout"},
		"total and none":     {Settings{MaxDuration: time.Hour, NoMaxDuration: true}, "MaxDuration: is set together with NoMaxDuration: leave out one of them"},
		"nothing recorded":   {Settings{WithoutBucket: true, WithoutLogGroup: true}, "WithoutBucket: is set together with WithoutLogGroup, so that nothing would be recorded: leave out one of them"},
		"streams nowhere":    {Settings{WithoutLogGroup: true, LogAtEnd: true}, "LogAtEnd: is set together with WithoutLogGroup: leave out one of them"},
		"unencrypted group":  {Settings{WithoutLogGroup: true, AllowUnencryptedLogGroup: true}, "AllowUnencryptedLogGroup: is set together with WithoutLogGroup: leave out one of them"},
		"unencrypted bucket": {Settings{WithoutBucket: true, AllowUnencryptedBucket: true}, "AllowUnencryptedBucket: is set together with WithoutBucket: leave out one of them"},
		"prefix of nothing":  {Settings{WithoutBucket: true, Prefix: "x"}, "Prefix: is set together with WithoutBucket: leave out one of them"},
		"prefix with slash":  {Settings{Prefix: "audit/"}, `Prefix: "audit/" can't be a folder for transcripts: use folder names of letters, digits and !_.'()=- with slashes between, such as "audit/sessions"`},
		"prefix wildcard":    {Settings{Prefix: "*"}, `Prefix: "*" can't be a folder for transcripts: use folder names of letters, digits and !_.'()=- with slashes between, such as "audit/sessions"`},
		"prefix upwards":     {Settings{Prefix: "audit/../x"}, `Prefix: "audit/../x" has a "..", which the agent takes out of the path: use folder names of letters, digits and !_.'()=- with slashes between, such as "audit/sessions"`},
		"prefix of people":   {Settings{Prefix: "public-keys/x"}, `Prefix: "public-keys/x" is where a bastion keeps its own in a bucket, and every host may write there: use another, such as "session-manager"`},
		"prefix of records":  {Settings{Prefix: "sessions"}, `Prefix: "sessions" is where a bastion keeps its own in a bucket, and every host may write there: use another, such as "session-manager"`},
		"root":               {Settings{RunAs: RunAs{User: "root"}}, `RunAs.User: "root" is refused by Session Manager too: name a user of the hosts who may not become root, or leave it out and tag people's roles with SSMSessionRunAs`},
		"agent's user":       {Settings{RunAs: RunAs{User: "ssm-user"}}, `RunAs.User: "ssm-user" may become root without a password: name a user of the hosts who may not become root, or leave it out and tag people's roles with SSMSessionRunAs, or set AgentUser to give that up knowingly`},
		"both users":         {Settings{RunAs: RunAs{User: "support", AgentUser: true}}, `RunAs.User: "support" is set together with AgentUser: leave out one of them`},
		"no user":            {Settings{RunAs: RunAs{User: "Domain\\Bob"}}, `RunAs.User: "Domain\\Bob" can't be the name of an OS user: use a lower-case letter, then letters, digits, ., _ and -, up to 32`},
		"profile too long":   {Settings{ShellProfile: ShellProfile{Linux: strings.Repeat("x", 20000)}}, "ShellProfile.Linux: 20000 bytes are too long: use up to 16384, or call a script that is on the host"},
		"profile parameter":  {Settings{ShellProfile: ShellProfile{Windows: "echo {{x}}"}}, "ShellProfile.Windows: has {{, with which Systems Manager begins a parameter: write it in another way, or call a script that is on the host"},
	} {
		s := c.settings.withDefaults()
		assert.EqualError(t, s.validate(), c.want, name)
	}
}

// A key is what policies name; an alias is not, however it comes.
func TestAliasIsNoKey(t *testing.T) {
	stack := cdktest.NewStack(t)
	key := awskms.NewKey(stack, jsii.String("Key"), nil)
	const fix = "which a policy doesn't take for its key, so that nobody could use it: pass the key itself, by awskms.Key_FromKeyArn or awskms.Key_FromLookup"
	for name, c := range map[string]struct {
		key  awskms.IKey
		want string
	}{
		"by name": {awskms.Alias_FromAliasName(stack, jsii.String("Named"), jsii.String("alias/sessions")), `Key: "arn:aws:kms:us-east-1:123456789012:alias/sessions" is the ARN of an alias, ` + fix},
		"made":    {awskms.NewAlias(stack, jsii.String("Made"), &awskms.AliasProps{AliasName: jsii.String("alias/made"), TargetKey: key}), "Key: is an alias, " + fix},
	} {
		s := Settings{Key: c.key}.withDefaults()
		assert.EqualError(t, s.validate(), c.want, name)
	}
	for name, good := range map[string]awskms.IKey{
		"made":     key,
		"imported": awskms.Key_FromKeyArn(stack, jsii.String("Imported"), jsii.String("arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab")),
	} {
		s := Settings{Key: good}.withDefaults()
		assert.NoError(t, s.validate(), name)
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	stack := cdktest.NewStack(t)
	group := awslogs.NewLogGroup(stack, jsii.String("Group"), nil)
	bucket := awss3.NewBucket(stack, jsii.String("Bucket"), nil)
	p := (&PreferencesProps{
		Name: "aws-shell",
		Settings: Settings{
			IdleTimeout: 90 * time.Minute, MaxDuration: time.Minute, Prefix: "/x",
			LogGroup: group, WithoutLogGroup: true, Bucket: bucket,
			Key:   awskms.Alias_FromAliasName(stack, jsii.String("Alias"), jsii.String("alias/x")),
			RunAs: RunAs{User: "root"},
		},
		Targets: []Target{{}, {InstanceIDs: []string{"i-1"}}, {Tags: map[string]string{"a": "b"}, InstanceIDs: []string{"i-0123456789abcdef0"}}},
	}).withDefaults()
	err := p.validate()
	for _, want := range []string{
		`Name: "aws-shell" begins with "aws", which is for AWS alone: begin it with another word`,
		"Settings.LogGroup: is set together with WithoutLogGroup",
		`Settings.Prefix: "/x" can't be a folder`,
		`Settings.Key: "arn:aws:kms:us-east-1:123456789012:alias/x" is the ARN of an alias`,
		`Settings.RunAs.User: "root"`,
		"Settings.IdleTimeout: 1h30m is out of range: use 1m to 1h",
		"Targets[0]: 0 kinds of targets are given: set exactly one of InstanceIDs, Tags and Host",
		`Targets[1].InstanceIDs[0]: "i-1" is no ID of an instance: write it such as i-0123456789abcdef0`,
		"Targets[2]: 2 kinds of targets are given",
	} {
		assert.ErrorContains(t, err, want)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"Bastion-Shell":  "",
		"a_b.c":          "",
		"ab":             `"ab" can't be the name of a document: use 3 to 128 letters, digits and _.-`,
		"a b c":          `"a b c" can't be the name of a document: use 3 to 128 letters, digits and _.-`,
		"aws-foo":        `"aws-foo" begins with "aws", which is for AWS alone: begin it with another word`,
		"AmazonShell":    `"AmazonShell" begins with "Amazon", which is for AWS alone: begin it with another word`,
		"AWSSupport-x":   `"AWSSupport-x" begins with "AWS", which is for AWS alone: begin it with another word`,
		accountDefault:   `"SSM-SessionManagerRunShell" is the account's default document: creating it fails where it exists, and deleting the stack would delete the account's preferences: use NewAccountDefault, which keeps what is there, or a name of your own`,
		"${Token[X.1]}y": "",
	} {
		fault := ownName(name)
		if want == "" {
			assert.Nil(t, fault, name)
		} else if assert.NotNil(t, fault, name) {
			assert.Equal(t, want, fault.Problem+": "+fault.Fix)
		}
	}
}

func TestDerivedNames(t *testing.T) {
	assert.Equal(t, "Access-Shell", derivedName("Access", "Access", "Access/Shell"))
	assert.Equal(t, "prod-access-Ops-Shell", derivedName("prod-access", "Stage/Access", "Stage/Access/Ops/Shell"))
	assert.Equal(t, "Access-On-call-Shell", derivedName("Access", "Access", "Access/On call/Shell"))
	assert.Equal(t, "Postern-aws-access-Shell", derivedName("aws-access", "aws-access", "aws-access/Shell"))
	long := derivedName("Access", "Access", "Access/"+strings.Repeat("x", 200))
	assert.Len(t, long, 128)
	assert.NotEqual(t, long, derivedName("Access", "Access", "Access/"+strings.Repeat("x", 201)), "cut names stay apart")
	assert.Nil(t, ownName(long))
	assert.Nil(t, ownName(derivedName("awsome", "awsome", "awsome/"+strings.Repeat("x", 200))))
}

func TestSSHFaults(t *testing.T) {
	p := (*SSHProps)(nil).withDefaults()
	assert.NoError(t, p.validate())
	assert.Equal(t, SSHProps{IdleTimeout: 20 * time.Minute, MaxDuration: 12 * time.Hour}, p)
	p = (&SSHProps{Name: "amzn-ssh", IdleTimeout: 2 * time.Hour, MaxDuration: 48 * time.Hour, Targets: []Target{{}}}).withDefaults()
	assert.EqualError(t, p.validate(), `Name: "amzn-ssh" begins with "amzn", which is for AWS alone: begin it with another word
IdleTimeout: 2h is out of range: use 1m to 1h
MaxDuration: 48h is out of range: use 1m to 24h
Targets[0]: 0 kinds of targets are given: set exactly one of InstanceIDs, Tags and Host`)
}

func TestTargetsInPolicies(t *testing.T) {
	at := policy.Scope{Partition: "aws-us-gov", Region: "us-gov-west-1", Account: "123456789012"}
	for name, c := range map[string]struct {
		target Target
		want   []policy.Target
	}{
		"instances": {Target{InstanceIDs: []string{"i-0123456789abcdef0", "mi-0123456789abcdef0"}}, []policy.Target{
			{ARN: "arn:aws-us-gov:ec2:us-gov-west-1:123456789012:instance/i-0123456789abcdef0"},
			{ARN: "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:managed-instance/mi-0123456789abcdef0"},
		}},
		"tags": {Target{Tags: map[string]string{"team": "a", "env": "prod"}}, []policy.Target{{Tags: []policy.Tag{{Key: "env", Value: "prod"}, {Key: "team", Value: "a"}}}}},
		"host": {Target{Host: marked{}}, []policy.Target{{Tags: []policy.Tag{{Key: "postern:bastion", Value: "/postern/A/B"}}}}},
	} {
		assert.Equal(t, c.want, c.target.of(at), name)
		assert.NoError(t, c.target.validate(), name)
	}
}

type marked struct{}

func (marked) SessionTag() (key, value string) { return "postern:bastion", "/postern/A/B" }

func TestCommands(t *testing.T) {
	at := policy.Scope{Partition: "aws", Region: "eu-west-1", Account: "123456789012"}
	assert.Equal(t, `aws ssm start-session --region eu-west-1 --target "INSTANCE_ID" --document-name Access-Shell`, startCommand(at, "Access-Shell", "", ""))
	assert.Equal(t, `aws ssm start-session --region eu-west-1 --target "i-1" --document-name Access-Shell --reason 'Bob'\''s ticket; $(rm -rf ~)'`,
		startCommand(at, "Access-Shell", "i-1", "Bob's ticket; $(rm -rf ~)"))
	assert.Nil(t, reasonFault("TICKET-1: disk full"))
	assert.Equal(t, "300 characters are too long", reasonFault(strings.Repeat("x", 300)).Problem)
	assert.Equal(t, `"a\nb" has more than plain characters of one line`, reasonFault("a\nb").Problem)

	word, fault := sessionWord("alice@example.com-0a1b2c3d4e5f67890")
	assert.Equal(t, "alice@example.com-0a1b2c3d4e5f67890", word)
	assert.Nil(t, fault)
	word, fault = sessionWord("")
	assert.Equal(t, "$session", word)
	assert.Nil(t, fault)
	_, fault = sessionWord(`x"; rm -rf ~`)
	assert.Equal(t, `"x\"; rm -rf ~" is not the ID of a session`, fault.Problem)
}

// A reason is one word of the command, whatever is in it: nothing of it is run.
func TestCommandsInBash(t *testing.T) {
	folder := t.TempDir()
	at := policy.Scope{Partition: "aws", Region: "eu-west-1", Account: "123456789012"}
	for _, reason := range []string{"TICKET-1", "Bob's \"disk\" is $(touch " + folder + "/run) full", `back\slash 'and' ''`} {
		got := bash(t, folder, startCommand(at, "Access-Shell", "i-1", reason), `printf '%s\n' "$@"`)
		assert.Equal(t, "ssm\nstart-session\n--region\neu-west-1\n--target\ni-1\n--document-name\nAccess-Shell\n--reason\n"+reason+"\n", got)
		assert.NoFileExists(t, folder+"/run")
	}
	assert.Equal(t, "0", bash(t, folder, verifyCommand(at, "X")+"; printf %s $?", "echo True"))
	assert.Equal(t, "1", bash(t, folder, verifyCommand(at, "X")+"; printf %s $?", "echo False"))
}

func TestUnrecordedInBash(t *testing.T) {
	stack := cdktest.NewStack(t)
	sh := &shell{
		at: policy.Scope{Region: "eu-west-1"}, settings: Settings{Prefix: "audit"},
		bucket:   awss3.Bucket_FromBucketName(stack, jsii.String("Bucket"), jsii.String("evidence")),
		logGroup: awslogs.LogGroup_FromLogGroupName(stack, jsii.String("Group"), jsii.String("/sessions")),
	}
	const aws = `case "$*" in
	*describe-sessions*) echo "alice-1	bob-2";;
	*"--bucket evidence --key audit/alice-1.log"*) ;;
	*head-object*) exit 254;;
	*"--log-group-name /sessions --log-stream-name-prefix alice-1 "*) echo "$STREAMS";;
	*) echo 1;;
	esac`
	t.Setenv("STREAMS", "1")
	assert.Equal(t, "bob-2: no transcript\n1", bash(t, t.TempDir(), sh.unrecordedCommand("X")+"; printf %s $?", aws))
	t.Setenv("STREAMS", "0")
	assert.Equal(t, "alice-1: no log stream\nbob-2: no transcript\n1", bash(t, t.TempDir(), sh.unrecordedCommand("X")+"; printf %s $?", aws))
	assert.Equal(t, "0", bash(t, t.TempDir(), sh.unrecordedCommand("X")+"; printf %s $?", "case \"$*\" in *describe-sessions*) ;; esac"))
	sh.bucket = nil
	assert.Equal(t, "alice-1: no log stream\n1", bash(t, t.TempDir(), sh.unrecordedCommand("X")+"; printf %s $?", aws))
}

// bash runs a command with a program in place of the AWS CLI.
func bash(t *testing.T, folder, command, aws string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "aws"), []byte("#!/bin/bash\n"+aws+"\n"), 0o700))
	run := exec.Command("bash", "-c", command)
	run.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"))
	out, err := run.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}
