package host

import "encoding/json"

// agentConfig writes the configuration of the CloudWatch agent, which measures
// and ships nothing: records go out by our own program.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Agent-Configuration-File-Details.html
func (c Config) agentConfig() ([]byte, error) {
	const group = "AutoScalingGroupName"
	return json.MarshalIndent(map[string]any{
		"agent": map[string]any{"metrics_collection_interval": 60, "run_as_user": "cwagent"},
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
