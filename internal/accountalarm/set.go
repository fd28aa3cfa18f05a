package accountalarm

// The names of calls are as CloudTrail has them: for S3 see
// docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html.
var all = []Alarm{
	{
		Name: "root-use", ID: "RootUse", Control: 1,
		Benchmark: `{$.userIdentity.type="Root" && $.userIdentity.invokedBy NOT EXISTS && $.eventType !="AwsServiceEvent"}`,
		Look:      `{ $.userIdentity.type = "Root" }`,
		means: "Somebody used the root user of the account, which no policy limits. " +
			"If nobody of you did, change its password and its second factor now, delete its access keys, and end sessions.",
	},
	{
		Name: "refused-calls", ID: "RefusedCalls", Control: 2,
		Benchmark: `{($.errorCode="*UnauthorizedOperation") || ($.errorCode="AccessDenied*")}`,
		Look:      `{ ($.errorCode = "*UnauthorizedOperation") || ($.errorCode = "AccessDenied*") }`,
		means: "Calls to AWS were refused: somebody tries what he may not, or a policy lacks something. " +
			"One caller with many different calls looks around; the same call again and again is a program.",
	},
	{
		Name: "console-without-mfa", ID: "ConsoleWithoutMfa", Control: 3,
		// A login through Identity Center or another provider says MFAUsed No, whatever
		// the provider asked for, so only those of IAM users count.
		Benchmark: `{ ($.eventName = "ConsoleLogin") && ($.additionalEventData.MFAUsed != "Yes") && ($.userIdentity.type = "IAMUser") && ($.responseElements.ConsoleLogin = "Success") }`,
		Look:      `{ ($.eventName = "ConsoleLogin") && ($.additionalEventData.MFAUsed = "No") }`,
		means: "An IAM user logged in to the console by password alone. " +
			"Ask the person; if it was not him, take the user its password and keys. Then give it a second factor, or access by roles.",
	},
	{
		Name: "iam-policies", ID: "IamPolicies", Control: 4,
		Benchmark: of(
			"iam",
			"DeleteGroupPolicy", "DeleteRolePolicy", "DeleteUserPolicy", "PutGroupPolicy", "PutRolePolicy", "PutUserPolicy",
			"CreatePolicy", "DeletePolicy", "CreatePolicyVersion", "DeletePolicyVersion",
			"AttachRolePolicy", "DetachRolePolicy", "AttachUserPolicy", "DetachUserPolicy", "AttachGroupPolicy", "DetachGroupPolicy",
		),
		Beyond: of(
			"iam",
			"SetDefaultPolicyVersion", "UpdateAssumeRolePolicy",
			"PutRolePermissionsBoundary", "DeleteRolePermissionsBoundary", "PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary",
			"AddUserToGroup", "CreateAccessKey", "CreateLoginProfile", "UpdateLoginProfile", "DeactivateMFADevice",
		),
		Look: changesOf("iam"),
		means: "What somebody may do was changed in IAM: a policy, who may take a role, a permissions boundary, or credentials. " +
			"Was it no deploy of yours, put it back and see what was done with it.",
	},
	{
		Name: "trails", ID: "Trails", Control: 5,
		Benchmark: `{` + anyOf("CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging") + `}`,
		Beyond:    of("cloudtrail", "PutEventSelectors", "DeleteEventDataStore", "StopEventDataStoreIngestion"),
		Look:      changesOf("cloudtrail"),
		means: "The record of API calls was changed, stopped or started. Until it runs again, with all events, nobody knows what is done. " +
			"Start it: aws cloudtrail start-logging --name TRAIL.",
	},
	{
		Name: "console-failures", ID: "ConsoleFailures", Control: 6,
		Benchmark: `{($.eventName=ConsoleLogin) && ($.errorMessage="Failed authentication")}`,
		Look:      `{ ($.eventName = "ConsoleLogin") && ($.errorMessage = "Failed authentication") }`,
		means: "Logins to the console failed: a mistyped password, or somebody who guesses. " +
			"Many names from one address, or one name from many, is guessing: see that it did not succeed in the end.",
	},
	{
		Name: "keys", ID: "Keys", Control: 7,
		Benchmark: `{($.eventSource=kms.amazonaws.com) && (` + anyOf("DisableKey", "ScheduleKeyDeletion") + `)}`,
		Beyond:    of("kms", "PutKeyPolicy", "DeleteImportedKeyMaterial"),
		Look:      `{ ($.eventSource = "kms.amazonaws.com") && (` + anyOf("DisableKey", "ScheduleKeyDeletion", "PutKeyPolicy", "DeleteImportedKeyMaterial") + `) }`,
		means: "A KMS key was disabled, is to be deleted, or its policy was changed. What it encrypts, records too, may become unreadable. " +
			"Undo it: aws kms cancel-key-deletion --key-id ID, aws kms enable-key --key-id ID.",
	},
	{
		Name: "bucket-policies", ID: "BucketPolicies", Control: 8,
		Benchmark: of(
			"s3",
			"PutBucketAcl", "PutBucketPolicy", "PutBucketCors", "PutBucketLifecycle", "PutBucketReplication",
			"DeleteBucketPolicy", "DeleteBucketCors", "DeleteBucketLifecycle", "DeleteBucketReplication",
		),
		Beyond: of(
			"s3",
			"PutBucketObjectLockConfiguration", "PutObjectLockConfiguration", "PutBucketVersioning", "PutBucketEncryption", "DeleteBucketEncryption", "PutBucketLogging",
			"PutBucketPublicAccessBlock", "DeleteBucketPublicAccessBlock", "PutAccountPublicAccessBlock", "DeleteAccountPublicAccessBlock", "DeleteBucket",
		),
		Look: changesOf("s3"),
		means: "Who may use a bucket, or how it keeps its objects, was changed: policy, lock, versions, lifecycle, encryption, public access. " +
			"If it is a bucket with records, put it back first and ask then.",
	},
	{
		Name: "config-recorder", ID: "ConfigRecorder", Control: 9,
		Benchmark: of("config", "StopConfigurationRecorder", "DeleteDeliveryChannel", "PutDeliveryChannel", "PutConfigurationRecorder"),
		Beyond:    of("config", "DeleteConfigurationRecorder", "DeleteConfigRule", "DeleteOrganizationConfigRule"),
		Look:      changesOf("config"),
		means: "AWS Config was changed or stopped: rules of it may no longer tell what is wrong. " +
			"See it: aws configservice describe-configuration-recorder-status.",
	},
	{
		Name: "security-groups", ID: "SecurityGroups", Control: 10,
		Benchmark: `{` + anyOf("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress",
			"RevokeSecurityGroupEgress", "CreateSecurityGroup", "DeleteSecurityGroup") + `}`,
		Beyond: of("ec2", "ModifySecurityGroupRules"),
		Look:   named(`$.eventName = "*SecurityGroup*"`),
		means: "A security group was made, changed or deleted: a port may be open now. " +
			"See which: aws ec2 describe-security-group-rules --filters Name=group-id,Values=ID.",
	},
	{
		Name: "network-acls", ID: "NetworkAcls", Control: 11,
		Benchmark: `{` + anyOf("CreateNetworkAcl", "CreateNetworkAclEntry", "DeleteNetworkAcl", "DeleteNetworkAclEntry",
			"ReplaceNetworkAclEntry", "ReplaceNetworkAclAssociation") + `}`,
		Look:  named(`$.eventName = "*NetworkAcl*"`),
		means: "A network ACL was changed: subnets may be open that were closed, or the other way round.",
	},
	{
		Name: "gateways", ID: "Gateways", Control: 12,
		Benchmark: `{` + anyOf("CreateCustomerGateway", "DeleteCustomerGateway", "AttachInternetGateway", "CreateInternetGateway",
			"DeleteInternetGateway", "DetachInternetGateway") + `}`,
		Beyond: of(
			"ec2",
			"CreateNatGateway", "DeleteNatGateway", "CreateEgressOnlyInternetGateway", "DeleteEgressOnlyInternetGateway",
			"CreateVpnGateway", "AttachVpnGateway", "DetachVpnGateway", "DeleteVpnGateway",
			"CreateTransitGatewayVpcAttachment", "ModifyTransitGatewayVpcAttachment", "DeleteTransitGatewayVpcAttachment",
		),
		Look:  named(`$.eventName = "*Gateway*"`),
		means: "A gateway was made, attached, detached or deleted: a private network may have a way out to the internet, or into another network.",
	},
	{
		Name: "route-tables", ID: "RouteTables", Control: 13,
		Benchmark: `{($.eventSource=ec2.amazonaws.com) && (` + anyOf("CreateRoute", "CreateRouteTable", "ReplaceRoute",
			"ReplaceRouteTableAssociation", "DeleteRouteTable", "DeleteRoute", "DisassociateRouteTable") + `)}`,
		Beyond: of("ec2", "AssociateRouteTable", "EnableVgwRoutePropagation", "DisableVgwRoutePropagation"),
		Look:   named(`$.eventName = "*Route*"`),
		means:  "A route or the route table of a subnet was changed: traffic may leave by another way, or past what looks at it.",
	},
	{
		Name: "vpcs", ID: "Vpcs", Control: 14,
		Benchmark: `{` + anyOf("CreateVpc", "DeleteVpc", "ModifyVpcAttribute", "AcceptVpcPeeringConnection", "CreateVpcPeeringConnection",
			"DeleteVpcPeeringConnection", "RejectVpcPeeringConnection", "AttachClassicLinkVpc", "DetachClassicLinkVpc",
			"DisableVpcClassicLink", "EnableVpcClassicLink") + `}`,
		Beyond: of("ec2", "DeleteFlowLogs", "CreateVpcEndpoint", "ModifyVpcEndpoint", "DeleteVpcEndpoints", "ModifyVpcPeeringConnectionOptions"),
		Look:   `{ ($.eventSource = "ec2.amazonaws.com") && (($.eventName = "*Vpc*") || ($.eventName = "DeleteFlowLogs")) }`,
		means: "A VPC, a peering of two, an endpoint or a flow log was made, changed or deleted: networks that were apart may be connected, " +
			"or their traffic is no longer recorded.",
	},
}
