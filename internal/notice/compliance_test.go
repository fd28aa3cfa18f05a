package notice_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/notice"
	"github.com/postern-cdk/postern/internal/notice/noticetest"
)

// Nobody's hours or addresses say anything of what AWS Config finds.
func TestWhatConfigFindsIsNotAbnormal(t *testing.T) {
	m := judge(t, berlin).Message(sent(t, notice.NonCompliant([]string{noticetest.ConfigRule}), "config-port-open"))
	assert.NotContains(t, m.Text, "ABNORMAL")
	assert.NotContains(t, m.Text, "Abnormal")
	assert.Contains(t, m.Text, "NOT COMPLIANT: sg-0123456789abcdef0 breaks "+noticetest.ConfigRule)
}
