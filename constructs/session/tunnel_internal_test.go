package session

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
)

var somewhere = policy.Scope{Partition: "aws", Region: "us-east-1", Account: "123456789012", URLSuffix: "amazonaws.com"}

func tunnelFaults(p *TunnelProps, vpcCidrs ...string) []string {
	q := p.withDefaults()
	var got []string
	for _, fault := range check.List(q.validate(vpcCidrs)) {
		got = append(got, fault.Error())
	}
	return got
}

func TestTunnelByDefault(t *testing.T) {
	p := (&TunnelProps{To: Destination{Host: "db.internal", Port: 5432}, Via: Target{InstanceIDs: []string{"i-0123456789abcdef0"}}}).withDefaults()
	require.NoError(t, p.validate(nil))
	assert.Equal(t, 20*time.Minute, p.IdleTimeout)
	assert.Equal(t, 12*time.Hour, p.MaxDuration)
	assert.Zero(t, p.LocalPort)
	assert.Equal(t, []string{
		"To.Port: 0 is out of range: use 1 to 65535",
		"Via: 0 kinds of targets are given: set exactly one of InstanceIDs, Tags and Host",
	}, tunnelFaults(nil))
}

func TestTunnelFaults(t *testing.T) {
	via := Target{Tags: map[string]string{"Role": "relay"}}
	to := Destination{Host: "db.internal", Port: 5432}
	for name, c := range map[string]struct {
		props TunnelProps
		want  string
	}{
		"host":       {TunnelProps{To: Destination{Host: "a b", Port: 1}, Via: via}, `To.Host: "a b" is not a host: write one DNS name or address, such as db.example.internal or 10.0.1.5`},
		"itself":     {TunnelProps{To: Destination{Host: "127.0.0.1", Port: 1}, Via: via}, `To.Host: 127.0.0.1 is the instance itself: leave Host out for a port of the instance`},
		"reserved":   {TunnelProps{To: Destination{Host: "10.0.0.1", Port: 1}, Via: via}, `To.Host: 10.0.0.1 is one of the first four or the last address of 10.0.0.0/16, which AWS keeps and the agent on the instance forwards nothing to: name the host that you mean: none can have this address`},
		"port":       {TunnelProps{To: Destination{Host: "db", Port: -1}, Via: via}, `To.Port: -1 is out of range: use 1 to 65535`},
		"id":         {TunnelProps{To: to, Via: Target{InstanceIDs: []string{"i-x"}}}, `Via.InstanceIDs[0]: "i-x" is no ID of an instance: write it such as i-0123456789abcdef0`},
		"local port": {TunnelProps{To: to, Via: via, LocalPort: 65536}, `LocalPort: 65536 is out of range: use 0 to 65535`},
		"name":       {TunnelProps{To: to, Via: via, Name: "a b"}, `Name: "a b" can't be the name of a document: use 3 to 128 letters, digits and _.-`},
		"idle":       {TunnelProps{To: to, Via: via, IdleTimeout: 90 * time.Minute}, `IdleTimeout: 1h30m is out of range: use 1m to 1h`},
		"total":      {TunnelProps{To: to, Via: via, IdleTimeout: 10 * time.Minute, MaxDuration: 5 * time.Minute}, `MaxDuration: 5m is less than IdleTimeout 10m: use 10m or more, or a shorter IdleTimeout`},
		"too long":   {TunnelProps{To: to, Via: via, MaxDuration: 25 * time.Hour}, `MaxDuration: 25h is out of range: use 1m to 24h`},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, []string{c.want}, tunnelFaults(&c.props, "10.0.0.0/16"))
		})
	}
	assert.Empty(t, tunnelFaults(&TunnelProps{To: Destination{Host: "${Token[TOKEN.1]}", Port: 5432}, Via: via}, "10.0.0.0/16"))
	assert.Empty(t, tunnelFaults(&TunnelProps{To: Destination{Port: 8080}, Via: via}))
}

// The command is one that bash splits as it is meant.
func TestTunnelCommandInBash(t *testing.T) {
	tunnel := &Tunnel{at: somewhere, name: "Access-Orders", via: Target{Tags: map[string]string{"Team": "it's ours", "Role": "re lay"}}}
	assert.Empty(t, tunnel.instance(), "what the CLI would split is left to the reader")
	tunnel.via.Tags["Team"] = "our own"
	script := `aws() { if [[ $1 == ec2 ]]; then printf '%s|' "$@" >&2; echo i-0abc; else printf '%s|' "$@"; fi; }; ` + startCommand(tunnel.at, tunnel.name, tunnel.instance(), "it's me")
	command := exec.Command("bash", "-c", script)
	var asked strings.Builder
	command.Stderr = &asked
	got, err := command.Output()
	require.NoError(t, err)
	assert.Equal(t, "ssm|start-session|--region|us-east-1|--target|i-0abc|--document-name|Access-Orders|--reason|it's me|", string(got))
	assert.Contains(t, asked.String(), "|--filters|Name=tag:Role,Values=re lay|Name=tag:Team,Values=our own|Name=instance-state-name,Values=running|")
}
