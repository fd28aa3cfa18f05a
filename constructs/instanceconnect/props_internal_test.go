package instanceconnect

import (
	"strings"
	"testing"

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
