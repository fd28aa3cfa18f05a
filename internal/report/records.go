package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/property"
)

func (r *Report) records() {
	r.flowLogs()
	r.trails()
	r.logGroups()
	r.buckets()
	if len(r.Records) == 0 {
		r.fail("nothing records anything: no log group, flow log, trail or bucket", "Deploy the archive")
	}
}

func (r *Report) logGroups() {
	for _, group := range r.Inventory.of("AWS::Logs::LogGroup") {
		name := group.label("LogGroupName")
		kept := "kept for ever"
		if days := group.text("RetentionInDays"); days != "" {
			kept = "kept " + days + " days"
		} else {
			r.note("log group "+name+" keeps its data for ever", "Set a retention")
		}
		state := "encrypted"
		if group.text("KmsKeyId") == "" {
			state = "NO KEY"
			r.fail("log group "+name+" is not encrypted with a key of yours", "Give it the archive's key")
		}
		r.Records = append(r.Records, Row{What: "Log group " + group.label("LogGroupName"), State: state, Detail: kept})
	}
}

func (r *Report) flowLogs() {
	logged := map[string]bool{}
	for _, flow := range r.Inventory.of("AWS::EC2::FlowLog") {
		of := flow.text("ResourceId")
		logged[of] = true
		to := flow.name("LogGroupName", "LogDestination")
		for _, group := range r.Inventory.of("AWS::Logs::LogGroup") {
			if group.Identifier == to {
				to = "log group " + group.label("LogGroupName")
			}
		}
		state := "on"
		if traffic := flow.text("TrafficType"); traffic != "" && traffic != "ALL" {
			state = strings.ToLower(traffic)
			r.note("flow log of "+of+" records "+traffic+" traffic only", "Record ALL: what was let in is the evidence")
		}
		r.Records = append(r.Records, Row{What: "Flow log of " + of, State: state, Detail: "to " + to})
	}
	for _, vpc := range r.Inventory.of("AWS::EC2::VPC") {
		if !logged[vpc.Identifier] {
			r.fail("VPC "+vpc.Identifier+" has no flow log", "Turn its flow logs on")
		}
	}
}

func (r *Report) trails() {
	for _, trail := range r.Inventory.of("AWS::CloudTrail::Trail") {
		state := "on"
		if !property.Yes(trail.at("IsLogging")) {
			state = "OFF"
			r.fail("trail "+trail.name("TrailName")+" is not logging", "Set IsLogging")
		}
		detail := "to bucket " + trail.text("S3BucketName")
		if property.Yes(trail.at("EnableLogFileValidation")) {
			detail += ", with validation"
		}
		r.Records = append(r.Records, Row{What: "Trail " + trail.label("TrailName"), State: state, Detail: detail})
	}
}

func (r *Report) buckets() {
	buckets := r.Inventory.of("AWS::S3::Bucket")
	// S3 cannot deliver access logs to a bucket with Object Lock:
	// docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
	var accessLogs []string
	for _, bucket := range buckets {
		accessLogs = append(accessLogs, bucket.text("LoggingConfiguration", "DestinationBucketName"))
	}
	for _, bucket := range buckets {
		name := bucket.label("BucketName")
		retention := bucket.at("ObjectLockConfiguration", "Rule", "DefaultRetention")
		mode := strings.ToLower(property.Text(property.At(retention, "Mode")))
		var particulars []string
		state := "locked"
		switch {
		case mode != "":
			period := property.Text(property.At(retention, "Days")) + " days"
			if years := property.Text(property.At(retention, "Years")); years != "" {
				period = years + " years"
			}
			particulars = append(particulars, fmt.Sprintf("Object Lock %s %s", mode, period))
		case slices.Contains(accessLogs, bucket.Identifier) || slices.Contains(accessLogs, bucket.text("BucketName")):
			state = "access logs"
			particulars = append(particulars, "of the other buckets; S3 delivers none to a locked bucket")
		default:
			state = "NOT LOCKED"
			r.fail("bucket "+name+" has no Object Lock: who can delete an object can delete evidence",
				"Turn Object Lock on with a default retention; it can't be taken away later")
		}
		if bucket.text("VersioningConfiguration", "Status") == "Enabled" {
			particulars = append(particulars, "versioned")
		} else if state != "access logs" {
			r.fail("bucket "+name+" is not versioned: an overwritten object is gone", "Turn versioning on")
		}
		if !publicAccessBlocked(bucket) {
			r.fail("bucket "+name+" does not block public access in all four ways", "Block public access")
		}
		r.Records = append(r.Records, Row{What: "Bucket " + bucket.label("BucketName"), State: state, Detail: strings.Join(particulars, ", ")})
	}
}

func publicAccessBlocked(bucket Resource) bool {
	for _, setting := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
		if !bucket.yes("PublicAccessBlockConfiguration", setting) {
			return false
		}
	}
	return true
}
