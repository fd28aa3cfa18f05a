//go:build linux

package recorder

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/host/totp"
	"github.com/postern-cdk/postern/internal/host/uptime"
)

func TestWhoEnrols(t *testing.T) {
	// The clock was set back by an hour since they enrolled.
	here := uptime.Moment{Boot: "this", Since: time.Minute}
	before, after := uptime.Moment{Boot: "this", Since: time.Minute - time.Second}, uptime.Moment{Boot: "this", Since: time.Minute + time.Second}
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, totp.Dir), 0o700))
	for _, name := range []string{"carol", "dave"} {
		text, err := json.Marshal(map[string]any{"secret": "JBSWY3DPEHPK3PXP", "enrolled": time.Now().Add(time.Hour), "here": here})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(root, totp.Dir, name), text, 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, totp.Dir, "broken"), []byte("{"), 0o600))

	for _, test := range []struct {
		what    string
		atLogin bool
		peer    peer
		noTerm  bool
		enrols  bool
		refused error
	}{
		{what: "codes at login, not enrolled", atLogin: true, peer: peer{account: account{name: "alice"}}, enrols: true},
		{what: "codes at login, not enrolled, a command", atLogin: true, peer: peer{account: account{name: "alice"}, command: "sh"}, enrols: true},
		{what: "codes at login, not enrolled, no terminal", atLogin: true, peer: peer{account: account{name: "alice"}, command: "sh"}, noTerm: true, refused: refusedTerminal},
		{what: "codes at login, the factor is unreadable", atLogin: true, peer: peer{account: account{name: "broken"}}, enrols: true},
		{what: "codes at login, enrolled before the connection", atLogin: true, peer: peer{account: account{name: "carol"}, connected: after}},
		{what: "codes at login, enrolled after the connection began", atLogin: true, peer: peer{account: account{name: "carol"}, connected: before}, refused: refusedStale},
		{what: "codes at login, another device over an older connection", atLogin: true, peer: peer{account: account{name: "carol"}, connected: before, command: enrolCommand}, refused: refusedStale},
		{what: "codes at login, another device", atLogin: true, peer: peer{account: account{name: "dave"}, connected: after, command: enrolCommand}, enrols: true},
		{what: "the check of the host itself", atLogin: true, peer: peer{account: account{name: settings.CheckUser}, address: "127.0.0.1"}},
		{what: "somebody else with the name of the check", atLogin: true, peer: peer{account: account{name: settings.CheckUser}, address: "198.51.100.10"}, enrols: true},
		{what: "an address that is none", atLogin: true, peer: peer{account: account{name: settings.CheckUser}, address: "UNKNOWN"}, enrols: true},
		{what: "codes for sudo", peer: peer{account: account{name: "carol"}}},
		{what: "codes for sudo, carol wants one", peer: peer{account: account{name: "carol"}, command: enrolCommand}, enrols: true},
		{what: "codes for sudo, carol has no terminal", peer: peer{account: account{name: "carol"}, command: enrolCommand}, noTerm: true, refused: refusedTerminal},
		{what: "codes for sudo, alice may not", peer: peer{account: account{name: "alice"}, command: enrolCommand}, refused: refusedEnrol},
	} {
		r := &Recorder{root: root, settings: settings.Settings{Choices: settings.Choices{
			SecondFactor: settings.SecondFactor{AtLogin: test.atLogin}, People: settings.People{Sudo: []string{"carol"}},
		}}}
		enrols, err := r.enrols(&test.peer, !test.noTerm)
		assert.Equal(t, test.enrols, enrols, test.what)
		assert.Equal(t, test.refused, err, test.what)
	}
}

func TestStartOfAProcess(t *testing.T) {
	p, err := readProcess(os.Getpid())
	require.NoError(t, err)
	now, err := uptime.Now()
	require.NoError(t, err)
	assert.Less(t, p.started, now.Since)
	assert.Greater(t, p.started, now.Since-10*time.Minute)
	first, err := readProcess(1)
	if err == nil {
		assert.Less(t, first.started, p.started)
	}
}
