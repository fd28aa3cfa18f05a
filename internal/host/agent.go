package host

import "encoding/json"

// logSource is what the CloudWatch agent reads: the journal itself where the
// agent is new enough (1.300070.0), a file that rsyslog writes where it isn't.
type logSource string

const (
	journald logSource = "journald"
	logFile  logSource = "files"
)

// The host puts its own values where these stand.
const (
	logGroupMark = "@LOG_GROUP@"
	logFilePath  = "/var/log/postern/journal.log"
)

// agentConfig writes the configuration of the CloudWatch agent.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Agent-Configuration-File-Details.html
func (c Config) agentConfig(source logSource) ([]byte, error) {
	entry := map[string]any{"log_group_name": logGroupMark, "log_stream_name": "{instance_id}"}
	if source == logFile {
		entry["file_path"] = logFilePath
	}
	const group = "AutoScalingGroupName"
	return json.MarshalIndent(map[string]any{
		"agent": map[string]any{"metrics_collection_interval": 60, "run_as_user": "cwagent"},
		"logs": map[string]any{
			"force_flush_interval": 5,
			"logs_collected":       map[string]any{string(source): map[string]any{"collect_list": []any{entry}}},
		},
		"metrics": map[string]any{
			"namespace":              c.MetricsNamespace,
			"append_dimensions":      map[string]any{group: "${aws:" + group + "}"},
			"aggregation_dimensions": [][]string{{group}},
			"metrics_collected": map[string]any{
				"mem":  map[string]any{"measurement": []string{"mem_used_percent"}},
				"disk": map[string]any{"measurement": []string{"used_percent"}, "resources": []string{"/"}},
			},
		},
	}, "", " ")
}
