package network

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An EC2 API of one security group, in place of boto3.
const fakeBoto3 = `
import json, os
class EC2:
    def __init__(self):
        with open(os.environ["FAKE_GROUP"]) as f: self.group = json.load(f)
        self.calls = []
    def describe_security_groups(self, GroupIds):
        assert GroupIds == ["sg-1"], GroupIds
        return {"SecurityGroups": [self.group]}
    def revoke_security_group_ingress(self, GroupId, IpPermissions):
        self._revoke("IpPermissions", IpPermissions)
    def revoke_security_group_egress(self, GroupId, IpPermissions):
        self._revoke("IpPermissionsEgress", IpPermissions)
    def _revoke(self, key, rules):
        assert rules, "MissingParameter: IpPermissions"
        if not self.group.get("Stuck"):
            self.group[key] = [r for r in self.group[key] if r not in rules]
        with open(os.environ["FAKE_GROUP"], "w") as f: json.dump(self.group, f)
def client(name):
    assert name == "ec2", name
    return EC2()
`

type fakeGroup struct {
	GroupName                          string
	IpPermissions, IpPermissionsEgress []string
	Stuck                              bool
}

// closeGroup runs the runbook's script on a group and returns the group after
// it and what the script printed.
func closeGroup(t *testing.T, group fakeGroup) (fakeGroup, string, error) {
	t.Helper()
	dir := t.TempDir()
	text, err := json.Marshal(group)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "group.json"), text, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "boto3.py"), []byte(fakeBoto3), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "closer.py"), []byte(closer), 0o600))
	command := exec.Command("python3", "-c", `import closer; print(closer.close({"GroupId": "sg-1"}, {}))`)
	command.Dir = dir
	command.Env = append(os.Environ(), "PYTHONPATH="+dir, "FAKE_GROUP="+filepath.Join(dir, "group.json"))
	out, runErr := command.CombinedOutput()
	text, err = os.ReadFile(filepath.Join(dir, "group.json"))
	require.NoError(t, err)
	var after fakeGroup
	require.NoError(t, json.Unmarshal(text, &after))
	return after, string(out), runErr
}

func TestCloser(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "python3 is needed to test the runbook's script")
		t.Log("NOT TESTED: the runbook's script, for want of python3")
		return
	}
	open := fakeGroup{GroupName: "default", IpPermissions: []string{"self"}, IpPermissionsEgress: []string{"everywhere"}}
	after, out, err := closeGroup(t, open)
	require.NoError(t, err, out)
	assert.Equal(t, fakeGroup{GroupName: "default", IpPermissions: []string{}, IpPermissionsEgress: []string{}}, after)
	assert.Contains(t, out, "{'Revoked': 2}")

	_, out, err = closeGroup(t, fakeGroup{GroupName: "default", IpPermissions: []string{}, IpPermissionsEgress: []string{}})
	require.NoError(t, err, out)
	assert.Contains(t, out, "{'Revoked': 0}", "nothing to do is no fault")

	other := open
	other.GroupName = "web"
	after, out, err = closeGroup(t, other)
	require.Error(t, err)
	assert.Contains(t, out, "sg-1 is not a default security group")
	assert.Equal(t, other, after, "another group is left alone")

	stuck := open
	stuck.Stuck = true
	_, out, err = closeGroup(t, stuck)
	require.Error(t, err)
	assert.Contains(t, out, "sg-1 still has rules")
}
