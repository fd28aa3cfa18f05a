package host

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/host/settings"
)

func TestRelayReachesTheHost(t *testing.T) {
	c := full()
	c.Choices.Relay.Port = 9050
	u, err := Render(c)
	require.NoError(t, err)
	assert.Contains(t, u.Script, "\nRELAY=orders=db.internal:5432 six=[2001:db8::7]:443\n")
	_, files := unpack(t, u.Script)
	assert.Contains(t, files["choices.sh"], "RELAY_PORT=9050\n")
	var choices settings.Choices
	require.NoError(t, json.Unmarshal([]byte(files["settings.json"]), &choices))
	assert.Equal(t, 9050, choices.Relay.Port)
	u, err = Render(bundled())
	require.NoError(t, err)
	assert.Contains(t, u.Script, "\nRELAY=\n")
}

func TestRelayFaults(t *testing.T) {
	targets := func(list ...RelayTarget) Config { return Config{RelayTargets: list} }
	const surroundings = "name another host: the relay leads to none of the host's own surroundings"
	port := targets(RelayTarget{Name: "a", Host: "db.internal", Port: 5432})
	port.Choices.Relay.Port = 80
	for name, c := range map[string]struct {
		config Config
		want   []string
	}{
		"port without targets": {Config{Choices: settings.Choices{Relay: settings.Relay{Port: 9050}}}, []string{
			"Choices.Relay.Port: 9050 is given, and there is no relay without targets: name targets, or leave it out",
		}},
		"port": {port, []string{"Choices.Relay.Port: 80 is out of range: use 1024 to 65535"}},
		"all": {
			targets(
				RelayTarget{Name: "Orders DB", Host: "db.internal", Port: 0}, RelayTarget{Name: "", Host: "", Port: 1}, RelayTarget{Name: "x", Host: "169.254.169.254", Port: 80}, RelayTarget{Name: "x", Host: "localhost", Port: 22},
				RelayTarget{Name: "y", Host: "db.internal ", Port: 5432}, RelayTarget{Name: "z", Host: "a\nb", Port: 5432}, RelayTarget{Name: "w", Host: "${Token[A.1]}\nKEY=x", Port: 5432},
			),
			[]string{
				`RelayTargets[0].Name: "Orders DB" can't be the name of a target: use lower-case letters, digits and -, up to 31`,
				`RelayTargets[0].Port: 0 is out of range: use 1 to 65535`,
				`RelayTargets[1].Name: "" can't be the name of a target: use lower-case letters, digits and -, up to 31`,
				`RelayTargets[1].Host: "" is not a host: ` + surroundings,
				`RelayTargets[2].Host: 169.254.169.254 is the instance metadata, which the agent on the instance forwards nothing to: ` + surroundings,
				`RelayTargets[3].Name: "x" is named twice: name each target once`,
				`RelayTargets[3].Host: "localhost" is the instance itself: ` + surroundings,
				`RelayTargets[4].Host: "db.internal " is not a host: ` + surroundings,
				`RelayTargets[5].Host: "a\nb" is not a host: ` + surroundings,
				`RelayTargets[6].Host: is more than one host: ` + surroundings,
			},
		},
		"twice": {targets(RelayTarget{Name: "a", Host: "db.internal", Port: 5432}, RelayTarget{Name: "b", Host: "DB.internal", Port: 5432}), []string{
			"RelayTargets[1]: db.internal:5432 is a target already: name each target once",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, fault := range check.List(c.config.Validate()) {
				got = append(got, fault.Error())
			}
			assert.Equal(t, c.want, got)
		})
	}
	assert.NoError(t, targets(RelayTarget{Name: "a", Host: "${Token[A.1]}", Port: 5432}, RelayTarget{Name: "b", Host: "2001:db8::7", Port: 443}, RelayTarget{Name: "c", Host: "db.internal.", Port: 443}).Validate())
}
