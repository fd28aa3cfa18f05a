package trail

// managementEvents are all calls that manage resources, read and write, those of
// KMS and the RDS Data API included.
//
// docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-management-events-with-cloudtrail.html
var managementEvents = []any{map[string]any{"ReadWriteType": "All", "IncludeManagementEvents": true}}

// selectors are management events and those of the objects in the trail's bucket.
// Each delivery of a log file would be an event to deliver, so that PutObject is
// left out below the trail's own folder; who reads or deletes there is recorded.
//
// docs.aws.amazon.com/awscloudtrail/latest/userguide/filtering-data-events.html
func selectors(bucketARN, prefix string) []any {
	own := bucketARN + "/" + prefix + "/AWSLogs/"
	objects := []any{field("eventCategory", "Equals", "Data"), field("resources.type", "Equals", "AWS::S3::Object")}
	return []any{
		selector("Management events", field("eventCategory", "Equals", "Management")),
		selector("Objects of the archive", append(objects[:2:2], map[string]any{
			"Field": "resources.ARN", "StartsWith": []any{bucketARN + "/"}, "NotStartsWith": []any{own},
		})...),
		selector("Log files, but for their delivery", append(objects[:2:2],
			field("resources.ARN", "StartsWith", own), field("eventName", "NotEquals", "PutObject"))...),
	}
}

func selector(name string, fields ...any) any {
	return map[string]any{"Name": name, "FieldSelectors": fields}
}

func field(name, operator, value string) any {
	return map[string]any{"Field": name, operator: []any{value}}
}
