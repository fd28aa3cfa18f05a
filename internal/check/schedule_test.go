package check_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/check"
)

func TestCron(t *testing.T) {
	for _, good := range []string{
		"0 7 * * MON-FRI", "*/15 * * * *", "0,30 8-18/2 1 JAN,jul 0", "59 23 31 12 6", "  0  7 * * * ", "${Token[T.1]}",
	} {
		assert.Nil(t, check.Cron(good), good)
	}
	for _, bad := range []string{
		"", "0 7 * *", "0 7 * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "* * * * FRI-MON",
		"*/0 * * * *", "5/2 * * * *", "-1 * * * *", "+1 * * * *", "a * * * *", "1- * * * *", ", * * * *", "rate(1 day)",
	} {
		assert.NotNil(t, check.Cron(bad), bad)
	}
}

func TestTimeZone(t *testing.T) {
	assert.Nil(t, check.TimeZone(""))
	assert.Nil(t, check.TimeZone("Europe/Berlin"))
	assert.Nil(t, check.TimeZone("Etc/UTC"))
	assert.NotNil(t, check.TimeZone("Local"))
	assert.NotNil(t, check.TimeZone("Berlin"))
}
