package policy_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The known ways to get these policies wrong, and the case of the table that would show it.
func TestEachTrapHasItsCase(t *testing.T) {
	cases, _ := allCases(t)
	wants := map[string]bool{}
	for _, c := range cases {
		wants[c.name] = c.want
	}
	for trap, name := range map[string]string{
		"the default document, where one statement lacks the check": "shell, user alice: no document on host",
		"the default document by its name":                          "shell, user alice: default document by name on host",
		"a document whose name begins alike":                        "shell, user alice: document whose name begins like Shell",
		"a document in another case":                                "shell, user alice: document in another case",
		"a document of another account":                             "shell, user alice: document of another account",
		"the document on every node by a tag condition left out":    "shell, user alice: shell on untagged",
		"one tag of two":                                            "shell, user alice: shell on a node with one tag of two",
		"another Region":                                            "shell, user alice: shell on bastion of another region",
		"another account":                                           "shell, user alice: shell on bastion of another account",
		"another partition":                                         "shell, user alice: shell on host of another partition",
		"ARNs of one partition in another":                          "aws-cn: shell, role Operators/carol: no document on host",
		"another person's session":                                  "shell, user alice: resume session of role Operators/carol",
		"a user whose name begins with one's own":                   "user's shell, user alice: end session of user alice-2",
		"a user whose name one's own begins with":                   "shell, user alice-2: resume session of user alice",
		"a federated person whose name begins with one's own":       "role's shell, role Operators/carol: resume session of role Operators/carol-2",
		"the same name in another role":                             "role's shell, role Operators/carol: end session of role Others/carol",
		"a session without its owner's tag":                         "user's shell, user alice: resume a session with a name like one's own and no tag",
		"a second factor that is too old":                           "fresh MFA, user alice 3601 s after her second factor: shell on host",
		"access keys, whose requests have no key for MFA":           "fresh MFA, user alice with access keys: shell on host",
		"a second factor of no age":                                 "fresh MFA, user alice with a second factor of no age: shell on host",
		"a resumed session without the second factor":               "MFA, user alice with access keys: resume own session",
		"a second before the time":                                  "March, user alice at 2026-03-01T07:59:59Z: shell on host",
		"the second at which it ends":                               "March, role Operators/carol at 2026-04-01T00:00:00Z: shell on host",
		"a second after office hours":                               "office hours, user alice at 2026-03-10T18:00:01Z: shell on bastion",
		"an address just outside":                                   "office, user alice from 203.0.114.0: shell on host",
		"an endpoint whose ID begins alike":                         "office or VPC, user alice by vpce-10: shell on host",
		"a document and a node by two policies, in no circumstance": "March + all documents, user alice at 2026-03-01T07:59:59Z: shell on host",
		"a node of another policy, in no circumstance":              "fresh MFA + all nodes, user alice with access keys: shell on stranger",
		"a tunnel to another target":                                "tunneller, user alice: tunnel to cache on host",
		"any port of any host":                                      "tunneller + everything, role Operators/carol: AWS-StartPortForwardingSessionToRemoteHost on host",
		"AWS's own SSH document":                                    "shell + everything, user alice: AWS-StartSSHSession on host",
		"a command by Run Command":                                  "shell + everything, user alice: command on host",
		"a document that somebody changes":                          "shell + everything, user alice: change the document",
		"a tag that somebody sets":                                  "shell + everything, user alice: tag an instance as a bastion",
		"RDP with a grant of SSH":                                   "SSH, user alice: RDP tunnel",
		"a tunnel to an address outside":                            "SSH, user alice: SSH tunnel just outside the network",
		"a tunnel that is too long":                                 "SSH, user alice: SSH tunnel as long as may be",
		"a tunnel that does not say how long":                       "SSH, user alice: SSH tunnel of no length",
		"another endpoint":                                          "SSH, user alice: SSH tunnel by another endpoint",
		"a key for root":                                            "SSH, user alice: push key to root on bastion",
		"what is not open yet":                                      "made: hours, role Operators/carol: shell on host",
		"decryption with the session key":                           "shell, user alice: decrypt with the session key",
	} {
		want, known := wants[name]
		if assert.True(t, known, "%s: no case %q", trap, name) {
			assert.False(t, want, "%s: %q is no denial", trap, name)
		}
	}
}
