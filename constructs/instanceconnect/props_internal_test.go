package instanceconnect

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

func TestPropsNeedVpc(t *testing.T) {
	p := (*Props)(nil).withDefaults()
	assert.EqualError(t, p.validate(), "Vpc: is missing: pass network.New(...).Vpc(), or awsec2.Vpc_FromLookup(...) for one that exists")
}

func TestTargets(t *testing.T) {
	assert.NoError(t, validateTarget(true, 22, "administration"))
	assert.NoError(t, validateTarget(true, 3389, "${Token[TOKEN.1]}"))
	for name, c := range map[string]struct {
		target bool
		port   int
		why    string
		want   string
	}{
		"nil":        {false, 22, "x", "target: is nil: pass what has security groups, such as an instance or a group"},
		"port":       {true, 5432, "x", "port: 5432 does not pass an EC2 Instance Connect Endpoint: use 22 or 3389; for another port use a bastion's AllowTo"},
		"no reason":  {true, 22, "", "why: is empty: say what the target is reached for, it becomes the description of the rule"},
		"characters": {true, 22, "José's", `why: "José's" can't be the description of a rule: use up to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*`},
		"too long":   {true, 22, strings.Repeat("x", 256), `why: "` + strings.Repeat("x", 256) + `" can't be the description of a rule: use up to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*`},
	} {
		assert.EqualError(t, validateTarget(c.target, c.port, c.why), c.want, name)
	}
}

func TestRecord(t *testing.T) {
	assert.Equal(t, "subnet=Net/Isolated1 preserveClientIp=true", record("Net/Isolated1", true))
}

func TestGrantDefaults(t *testing.T) {
	assert.Equal(t, []string{"ec2-user"}, (*SSHGrant)(nil).withDefaults().Users)
	given := &SSHGrant{AnyInstance: true}
	_ = given.withDefaults()
	assert.Empty(t, given.Users, "what was given is left alone")
	g := given.withDefaults()
	assert.NoError(t, g.validate())
	r := (*RDPGrant)(nil).withDefaults()
	assert.NoError(t, r.validate())
}

func TestGrantFaults(t *testing.T) {
	for name, c := range map[string]struct {
		grant SSHGrant
		want  string
	}{
		"nowhere":       {SSHGrant{}, "Instances: is empty, as is InstanceTags, so no key could be pushed anywhere: name the instances or their tags, or give the limit up with AnyInstance"},
		"any and some":  {SSHGrant{AnyInstance: true, Instances: []string{"i-0123456789abcdef0"}}, "AnyInstance: is set, and Instances or InstanceTags, too: leave one of them out"},
		"no instance":   {SSHGrant{Instances: []string{"i-0123456789abcdef0", "web"}}, `Instances[1]: "web" is no ID of an instance: write it such as i-0123456789abcdef0`},
		"pattern":       {SSHGrant{Instances: []string{"*"}}, `Instances[0]: "*" is no ID of an instance: write it such as i-0123456789abcdef0`},
		"root":          {SSHGrant{AnyInstance: true, Users: []string{"root"}}, `Users[0]: "root" is nobody in particular: name a user, who may be given sudo on the host`},
		"any user":      {SSHGrant{AnyInstance: true, Users: []string{"*"}}, `Users[0]: "*" is no name of a user: name one user of the instance's system`},
		"variable":      {SSHGrant{AnyInstance: true, Users: []string{"${aws:username}"}}, `Users[0]: "${aws:username}" is no name of a user: name one user of the instance's system`},
		"CIDR":          {SSHGrant{AnyInstance: true, CIDRs: []string{"10.0.0.1"}}, `CIDRs[0]: "10.0.0.1" is not a CIDR block: for this one address write 10.0.0.1/32`},
		"everywhere":    {SSHGrant{AnyInstance: true, CIDRs: []string{"::/0"}}, `CIDRs[0]: "::/0" is every address: leave CIDRs out for all that the endpoint reaches`},
		"too long":      {SSHGrant{AnyInstance: true, MaxDuration: time.Hour + time.Second}, "MaxDuration: 1h0m1s is out of range: use 1s to 1h0m0s"},
		"negative":      {SSHGrant{AnyInstance: true, MaxDuration: -time.Second}, "MaxDuration: -1s is out of range: use 1s to 1h0m0s"},
		"parts":         {SSHGrant{AnyInstance: true, MaxDuration: 1500 * time.Millisecond}, "MaxDuration: 1.5s has a part of a second: use whole seconds"},
		"tag":           {SSHGrant{InstanceTags: map[string]string{"aws:x": "y"}}, `InstanceTags: "aws:x" begins with aws:, which is for AWS alone: use another key`},
		"endpoint tag":  {SSHGrant{AnyInstance: true, EndpointTags: map[string]string{"": "y"}}, "EndpointTags: a key of 0 characters can't be a tag's: use 1 to 128"},
		"several":       {SSHGrant{Users: []string{"root"}, MaxDuration: 2 * time.Hour, AnyInstance: true}, "Users[0]: \"root\" is nobody in particular: name a user, who may be given sudo on the host\nMaxDuration: 2h0m0s is out of range: use 1s to 1h0m0s"},
		"tokens parsed": {SSHGrant{Instances: []string{"${Token[TOKEN.1]}"}, Users: []string{"${Token[TOKEN.2]}"}, CIDRs: []string{"${Token[TOKEN.3]}"}}, ""},
	} {
		g := c.grant.withDefaults()
		got := ""
		if err := g.validate(); err != nil {
			got = err.Error()
		}
		assert.Equal(t, c.want, got, name)
	}
}
