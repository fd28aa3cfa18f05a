package settings_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/settings"
)

func write(t *testing.T, choices, environment string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{settings.ChoicesFile: choices, settings.EnvironmentFile: environment} {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return root
}

func TestLoad(t *testing.T) {
	root := write(t, `{"recording":{"commands":"record","prefix":"records/"},"people":{"sudo":["alice"]}}`,
		"REGION=eu-west-1\nINSTANCE_ID=i-0abc\nLOG_GROUP=/all\nLOG_GROUP_SESSIONS=/sessions\nRECORD_BUCKET=b=c\nRELAY=orders=db.internal:5432 six=[fd00::5]:443\n")
	s, err := settings.Load(root)
	require.NoError(t, err)
	assert.Equal(t, settings.CommandsRecorded, s.Recording.Commands)
	assert.Equal(t, []string{"alice"}, s.People.Sudo)
	assert.Equal(t, "i-0abc", s.InstanceID)
	assert.Equal(t, "/sessions", s.Group(settings.LogSessions))
	assert.Equal(t, "/all", s.Group(settings.LogCommands))
	assert.Equal(t, "b=c", s.RecordBucket)
	assert.Equal(t, []settings.RelayTarget{{Name: "orders", Host: "db.internal", Port: 5432}, {Name: "six", Host: "fd00::5", Port: 443}}, s.RelayTargets)
}

func TestLoadRefusesWhatItDoesNotKnow(t *testing.T) {
	_, err := settings.Load(write(t, `{"recoding":{}}`, ""))
	assert.ErrorContains(t, err, `unknown field "recoding"`)
	_, err = settings.Load(write(t, `{}`, "nonsense\n"))
	assert.ErrorContains(t, err, `"nonsense" is not KEY=VALUE`)
	for _, word := range []string{"db:5432", "=db:5432", "orders=db", "orders=:5432", "orders=db:0", "orders=db:65536", "orders=db:x"} {
		_, err = settings.Load(write(t, `{}`, "RELAY="+word+"\n"))
		assert.ErrorContains(t, err, `/etc/postern/environment: RELAY: "`+word+`" is not NAME=HOST:PORT`)
	}
}
