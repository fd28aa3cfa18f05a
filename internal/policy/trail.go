package policy

// TrailBucketStatements lets one trail deliver its log files and digests to a
// bucket, below a folder ("" for none). organization is the ID of the
// organization whose accounts the trail records, too, or "".
//
// docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
func TrailBucketStatements(s Scope, bucketARN, folder, trailARN, organization string) []Statement {
	if folder != "" {
		folder = "/" + folder
	}
	records := []string{bucketARN + folder + "/AWSLogs/" + s.Account + "/*"}
	if organization != "" {
		records = append(records, bucketARN+folder+"/AWSLogs/"+organization+"/*")
	}
	return []Statement{
		{
			Sid: "CloudTrailCheck", Effect: Allow,
			Principal: service("cloudtrail.amazonaws.com"),
			Action:    []string{"s3:GetBucketAcl"},
			Resource:  []string{bucketARN},
			Condition: Condition{"StringEquals": {"aws:SourceArn": {trailARN}}},
		},
		{
			Sid: "CloudTrailWrite", Effect: Allow,
			Principal: service("cloudtrail.amazonaws.com"),
			Action:    []string{"s3:PutObject"},
			Resource:  records,
			Condition: Condition{"StringEquals": {
				"aws:SourceArn": {trailARN},
				"s3:x-amz-acl":  {"bucket-owner-full-control"},
			}},
		},
	}
}

// TrailLogStatements is what the role of a trail may do in its log group: write
// to the streams that CloudTrail names after the trail's account and home region,
// and after the organization where that is not "". It takes no condition on the
// trail (docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-required-policy-for-cloudwatch-logs.html).
func TrailLogStatements(s Scope, logGroupName, organization string) []Statement {
	streams := s.arn("logs", s.Region, "log-group:"+logGroupName+":log-stream:")
	names := []string{streams + s.Account + "_CloudTrail_" + s.Region + "*"}
	if organization != "" {
		names = append(names, streams+organization+"_*")
	}
	return []Statement{{
		Sid: "CloudTrailStreams", Effect: Allow,
		Action:   []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		Resource: names,
	}}
}
