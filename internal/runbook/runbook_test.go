package runbook_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/runbook"
)

func TestURL(t *testing.T) {
	assert.Equal(t, "https://github.com/postern-cdk/postern/blob/main/docs/runbooks/in-service.md", runbook.Page("in-service").URL())
	assert.Equal(t, "docs/runbooks/in-service.md", runbook.Page("in-service").String())
}

func TestDescription(t *testing.T) {
	text, err := runbook.Page("cpu").Description("It is busy.")
	require.NoError(t, err)
	assert.Equal(t, "It is busy. Runbook: https://github.com/postern-cdk/postern/blob/main/docs/runbooks/cpu.md", text)

	_, err = runbook.Page("").Description("It is busy.")
	require.EqualError(t, err, "runbook: is missing: name a page of docs/runbooks")
}

func TestDescriptionFits(t *testing.T) {
	const page = runbook.Page("cpu")
	room := runbook.MaxDescription - len(" Runbook: "+page.URL())
	for name, test := range map[string]struct {
		text string
		want string
	}{
		"as long as can be":         {strings.Repeat("a", room), ""},
		"letters count, not bytes":  {strings.Repeat("é", room), ""},
		"one too long":              {strings.Repeat("a", room+1), "can have 1025 characters"},
		"a name counts as it can":   {strings.Repeat("a", room-255) + "${Token[TOKEN.12]}", ""},
		"a name that may not fit":   {strings.Repeat("a", room-254) + "${Token[TOKEN.12]}", "can have 1025 characters"},
		"two names that do not fit": {strings.Repeat("a", room-509) + "${Token[TOKEN.12]}${Token[Bastion.ASG.3]}", "can have 1025 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := page.Description(test.text)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}
