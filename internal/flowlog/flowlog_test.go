package flowlog_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/flowlog"
)

// The first fields are the default format's, in its order:
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html.
func TestFormatBeginsWithTheDefault(t *testing.T) {
	fields := flowlog.Fields(flowlog.Format)
	assert.Equal(t, strings.Fields("version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"), fields[:14])
	sorted := slices.Sorted(slices.Values(fields))
	assert.Len(t, slices.Compact(sorted), len(fields), "no field twice")
	for _, f := range fields {
		assert.Contains(t, flowlog.Format, "${"+f+"}")
	}
}

func TestParse(t *testing.T) {
	assert.Equal(t, "parse @message \"* * * *\"\n    as account_id, start_time, end_time, tcp_flags",
		flowlog.Parse("${account-id} ${start} ${end} ${tcp-flags}"))
}

// The guide's table has the format's fields, in its order, and its question names no
// other.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guide/flow-logs.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(guide), -1)
	require.Len(t, blocks, 2)
	table, _, _ := strings.Cut(blocks[0][1], "PARTITIONED BY")
	var columns []string
	for _, c := range regexp.MustCompile("([a-z_]+)`? (?:string|int|bigint)\\b").FindAllStringSubmatch(table, -1) {
		columns = append(columns, c[1])
	}
	want := flowlog.Fields(flowlog.Format)
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "-", "_")
	}
	assert.Equal(t, want, columns)
	for _, field := range regexp.MustCompile("`([a-z-]+)`(?:, | \\|)").FindAllStringSubmatch(string(guide), -1) {
		assert.Contains(t, append(flowlog.Fields(flowlog.Format), "ingress"), field[1])
	}
}
