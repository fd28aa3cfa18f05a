// Package compliance has AWS Config and Amazon Inspector look at what a bastion
// stands on: open ports, instance metadata, flow logs, volumes, agents, log groups.
//
//	c := compliance.New(stack, "Compliance", &compliance.Props{
//		ExistingRecorder: true,
//		CisScan:          &compliance.CisScan{Hosts: []compliance.Host{bastion}},
//	})
//	w.AddComplianceNotices(c)
//
// # What is made
//
// A Config rule for each of seven questions, all of AWS's own ("managed"), by choice.
// They look at all resources of the account and Region, not only at those that were
// made here: the port that somebody opened by hand is what they are for.
//
// A CIS scan by Inspector, by choice: the operating system of tagged instances
// against the CIS benchmark for it, once a week.
//
// # The recorder is yours
//
// Config rules need the one configuration recorder of the Region, which many accounts
// have by their landing zone. Two stacks that own it break each other, so none is made
// here: without one, CloudFormation fails with NoAvailableConfigurationRecorderException.
// See whether there is one, and whether it records:
//
//	aws configservice describe-configuration-recorders
//	aws configservice describe-configuration-recorder-status
//
// then set [Props.ExistingRecorder]. It must record the types that [Compliance.RecordedTypes]
// lists. Where there is none, make it once for the account, outside of this app:
//
//	aws configservice put-configuration-recorder --configuration-recorder name=default,roleARN=ROLE --recording-group allSupported=true
//	aws configservice put-delivery-channel --delivery-channel name=default,s3BucketName=BUCKET
//	aws configservice start-configuration-recorder --configuration-recorder-name default
//
// (docs.aws.amazon.com/config/latest/developerguide/gs-cli-subscribe.html).
//
// # Inspector must be on
//
// CloudFormation has no resource that switches Inspector on. Do it once for the
// account and Region, or for the organization by its delegated administrator:
//
//	aws inspector2 enable --resource-types EC2
//	aws inspector2 batch-get-account-status
//
// The scanned instances must be managed by Systems Manager and have an operating
// system that CIS scans know, such as Amazon Linux 2023; their role gets the four
// permissions that a scan takes
// (docs.aws.amazon.com/inspector/latest/user/scanning-cis.html). Security updates that are
// missing (CVEs) Inspector reports by itself once it is on.
//
// # Cost
//
// Config: $0.001 for each evaluation of a rule, and what the recorder costs anyway,
// $0.003 for each recorded change (aws.amazon.com/config/pricing). Five rules are
// evaluated when a resource changes, two once a day for every VPC and log group: with
// 50 of those about $1.50 a month. Inspector: $0.03 for each CIS scan of an instance,
// and $1.26 a month for each instance that is scanned for CVEs
// (aws.amazon.com/inspector/pricing).
package compliance
