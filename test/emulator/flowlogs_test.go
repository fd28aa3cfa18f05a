package emulator_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/flowlog"
)

// inSQLite asks the guide's question of records. SQLite has no partitions, external
// tables or from_unixtime; all else of it is what Athena would be asked.
const inSQLite = `
import json, sqlite3, sys
given = json.load(sys.stdin)
db = sqlite3.connect(":memory:")
db.create_function("from_unixtime", 1, lambda at: at)
db.execute(given["table"])
for record in given["records"]:
    db.execute("INSERT INTO flow_logs VALUES (" + ",".join("?" * (len(record) + 1)) + ")", [None if v == "-" else v for v in record] + [given["hour"]])
for row in db.execute(given["question"]):
    print("|".join(str(v) for v in row))
`

// The guide's question for Athena has the answer that the saved query has.
func TestGuideToFlowLogs(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "python3 is not installed")
		fmt.Printf("NOT RUN: %s: python3 is not installed\n", t.Name())
		return
	}
	guide, err := os.ReadFile("../../docs/guide/flow-logs.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(guide), -1)
	require.Len(t, blocks, 2)
	table, _, _ := strings.Cut(strings.Replace(blocks[0][1], "EXTERNAL ", "", 1), ")\nPARTITIONED BY")
	text, err := os.ReadFile(filepath.Join(guideDay, "logs", "flowlogs.jsonl"))
	require.NoError(t, err)
	var records [][]string
	for line := range strings.Lines(string(text)) {
		var l struct{ Message string }
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		records = append(records, strings.Fields(l.Message))
		require.Len(t, records[0], len(flowlog.Fields(flowlog.Format)))
	}
	given, err := json.Marshal(map[string]any{"table": table + ", hour string)", "records": records, "hour": "2026/11/22/07", "question": blocks[1][1]})
	require.NoError(t, err)
	ask := exec.Command(python, "-c", inSQLite)
	ask.Stdin = strings.NewReader(string(given))
	out, err := ask.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, "ACCEPT|203.0.113.66|10.0.0.5|eni-0a1b2c3d4e5f60718|i-0123456789abcdef0|2|15|1240|1795330000|1795330120\n"+
		"ACCEPT|192.0.2.44|10.0.0.5|eni-0a1b2c3d4e5f60718|i-0123456789abcdef0|1|7|700|1795330000|1795330060\n"+
		"REJECT|198.51.100.9|10.0.0.5|eni-0a1b2c3d4e5f60718|i-0123456789abcdef0|1|1|40|1795330000|1795330060\n", string(out))
}
