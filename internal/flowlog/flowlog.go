// Package flowlog is the format of VPC flow log records that Postern's networks
// have, and how a query reads it.
package flowlog

import (
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/words"
)

// Format is the format of the records: the 14 fields of the default format in their
// order, then what tells who talked to whom through NAT, load balancers and
// endpoints, in which direction, and who began. See
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html.
const Format = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} " +
	"${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status} " +
	"${vpc-id} ${subnet-id} ${instance-id} ${tcp-flags} ${type} ${pkt-srcaddr} ${pkt-dstaddr} " +
	"${region} ${az-id} ${pkt-src-aws-service} ${pkt-dst-aws-service} ${flow-direction} ${traffic-path}"

// Fields are the names in a format, in order.
func Fields(format string) []string {
	var fields []string
	for _, part := range strings.Fields(format) {
		fields = append(fields, strings.TrimSuffix(strings.TrimPrefix(part, "${"), "}"))
	}
	return fields
}

// Name is what a field is called in queries, where a hyphen would need backticks, and
// start and end alone would say of what.
func Name(field string) string {
	switch field {
	case "start", "end":
		return field + "_time"
	}
	return strings.ReplaceAll(field, "-", "_")
}

// Parse is the command by which Logs Insights reads a format: it finds the fields of
// the default format by itself, and of no other
// (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html).
func Parse(format string) string {
	fields := Fields(format)
	names := make([]string, len(fields))
	for i, field := range fields {
		names[i] = Name(field)
	}
	return `parse @message "` + strings.Join(slices.Repeat([]string{"*"}, len(fields)), " ") + "\"\n    as " + words.Wrap(names, 90, "      ")
}
