package session

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAccountDefaultProps(t *testing.T) {
	var none *AccountDefaultProps
	p := none.withDefaults()
	require.NoError(t, p.validate())
	assert.Equal(t, DefaultIdleTimeout, p.Settings.IdleTimeout)
	assert.Equal(t, FailOnExisting, p.OnExisting, "nothing that exists is touched")

	given := AccountDefaultProps{OnExisting: AdoptByMerge}
	_ = given.withDefaults()
	assert.Equal(t, AccountDefaultProps{OnExisting: AdoptByMerge}, given, "the user's own")

	// All at once.
	bad := (&AccountDefaultProps{
		OnExisting:   "AdoptByMarge",
		FunctionFile: "${Token[TOKEN.1]}",
		Settings:     Settings{IdleTimeout: 90 * time.Minute, MaxDuration: 30 * time.Minute, RunAs: RunAs{User: "root"}},
		Targets:      []Target{{}},
	}).withDefaults()
	require.Error(t, bad.validate())
	assert.Equal(t, `Settings.RunAs.User: "root" is refused by Session Manager too: name a user of the hosts who may not become root, or leave it out and tag people's roles with SSMSessionRunAs
Settings.IdleTimeout: 1h30m is out of range: use 1m to 1h
OnExisting: "AdoptByMarge" is not known: did you mean "AdoptByMerge"? use one of AdoptByMerge, AdoptByReplace
Targets[0]: 0 kinds of targets are given: set exactly one of InstanceIDs, Tags and Host
FunctionFile: is a token, and the file is read now: write the path of the file`, bad.validate().Error())
}
