package emulator_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExampleMinimal(t *testing.T) {
	t.Parallel()
	c := fresh(t, "minimal", "examples/minimal")
	c.deploy("")
	assert.Equal(t, []string{"Minimal"}, c.names())

	group, template := c.one("AWS::AutoScaling::AutoScalingGroup"), c.one("AWS::EC2::LaunchTemplate")
	assert.Equal(t, template.id, group.text("LaunchTemplate", "LaunchTemplateId"))
	private(t, c)
	assert.Empty(t, c.list("AWS::EC2::EIP"))
	bastion := c.described(bastionGroup)
	assert.Empty(t, c.ingress(bastion.id), "no open port")
	assert.Equal(t, "required", template.text("LaunchTemplateData", "MetadataOptions", "HttpTokens"))
	assert.Equal(t, "true", template.text("LaunchTemplateData", "BlockDeviceMappings", 0, "Ebs", "Encrypted"))
	host := userData(t, template.text("LaunchTemplateData", "UserData"))
	key := template.text("LaunchTemplateData", "BlockDeviceMappings", 0, "Ebs", "KmsKeyId")
	assert.Equal(t, "true", c.get("AWS::KMS::Key", key[strings.LastIndex(key, "/")+1:]).text("EnableKeyRotation"))
	assert.Equal(t, key, c.get("AWS::Logs::LogGroup", host.environment["LOG_GROUP"]).text("KmsKeyId"))

	t.Run("session manager reaches it", func(t *testing.T) {
		if len(c.list("AWS::EC2::NatGateway")) > 0 {
			return // every service
		}
		assert.Subset(t, services(c), []string{"ssm", "ssmmessages"})
		assert.Equal(t, []string{"tcp 443 " + bastion.id}, c.ingress(c.described(endpointsGroup).id))
	})
	t.Run("again and away", func(t *testing.T) {
		assert.Contains(t, c.deploy(""), "Minimal (no changes)")
		out, err := c.cdk("", "destroy", "--all", "--force")
		require.NoError(t, err, out)
		assert.Empty(t, c.names())
		assert.Empty(t, c.list("AWS::EC2::VPC"))
		assert.NotEmpty(t, c.list("AWS::Logs::LogGroup"), "the records stay")
		assert.NotEmpty(t, c.list("AWS::KMS::Key"), "they could not be read without it")
	})
}

func TestExampleExistingVpc(t *testing.T) {
	t.Parallel()
	c := fresh(t, "existing-vpc", "examples/existing-vpc")
	c.deploy("")
	assert.Equal(t, []string{"Access", "Team"}, c.names())

	// The team's, and no other.
	key, vpc, bucket := c.one("AWS::KMS::Key"), c.one("AWS::EC2::VPC"), c.one("AWS::S3::Bucket")
	for id, r := range c.members("Access") {
		assert.NotContains(t, []string{"AWS::KMS::Key", "AWS::EC2::VPC", "AWS::S3::Bucket", "AWS::EC2::Subnet"}, *r.ResourceType, id)
	}
	assert.Equal(t, *c.members("Team")[logicalID(c, "Team", "AWS::S3::Bucket")].PhysicalResourceId, bucket.id)

	bastion, database := c.described(bastionGroup), c.described("orders database")
	assert.Equal(t, vpc.id, bastion.text("VpcId"))
	assert.Empty(t, c.ingress(bastion.id))
	assert.Equal(t, []string{"tcp 443 0.0.0.0/0", "tcp 5432 " + database.id}, c.egress(bastion.id))
	assert.Equal(t, []string{"tcp 5432 " + bastion.id}, c.ingress(database.id))
	private(t, c)
	for _, subnet := range c.one("AWS::AutoScaling::AutoScalingGroup").list("VPCZoneIdentifier") {
		assert.Equal(t, []string{"nat"}, c.routes(subnet))
	}
	template := c.one("AWS::EC2::LaunchTemplate")
	assert.Equal(t, key.text("Arn"), template.text("LaunchTemplateData", "BlockDeviceMappings", 0, "Ebs", "KmsKeyId"))
	group := c.one("AWS::Logs::LogGroup")
	assert.Equal(t, key.text("Arn"), group.text("KmsKeyId"))
	assert.Equal(t, group.id, userData(t, template.text("LaunchTemplateData", "UserData")).environment["LOG_GROUP"])

	out, err := c.cdk("", "destroy", "Access", "--force")
	require.NoError(t, err, out)
	assert.Equal(t, []string{"Team"}, c.names())
	assert.Empty(t, c.ingress(database.id), "the way to the database is closed again")
	assert.Equal(t, group.id, c.one("AWS::Logs::LogGroup").id, "the records stay")
}

// What runs on the host is where the user data says, and it is what the user data
// takes nothing else for.
func TestExampleRecordedBastion(t *testing.T) {
	t.Parallel()
	c := fresh(t, "recorded-bastion", "examples/recorded-bastion")
	c.deploy("")
	template := c.one("AWS::EC2::LaunchTemplate")
	host := userData(t, template.text("LaunchTemplateData", "UserData"))
	response, err := http.Get(*c.config.BaseEndpoint + "/" + host.environment["BUNDLE_BUCKET"] + "/" + host.environment["BUNDLE_KEY"])
	require.NoError(t, err)
	bundle, err := io.ReadAll(response.Body)
	require.NoError(t, errors.Join(err, response.Body.Close()))
	require.Equal(t, http.StatusOK, response.StatusCode)
	assert.Equal(t, fmt.Sprintf("%x\n", sha256.Sum256(bundle)), host.files["bundle.sha256"])

	assert.Equal(t, "5432", host.environment["EGRESS_PORTS"])
	assert.Equal(t, "/postern/Recorded/Bastion", host.environment["PARAMETER_PATH"])
	bucket := c.get("AWS::S3::Bucket", host.environment["RECORD_BUCKET"])
	assert.Equal(t, "true", bucket.text("ObjectLockEnabled"))
	assert.Equal(t, bucket.id, host.environment["PEOPLE_BUCKET"])
	for _, kind := range []string{"LOG_GROUP", "LOG_GROUP_SESSIONS", "LOG_GROUP_COMMANDS"} {
		assert.Equal(t, "365", c.get("AWS::Logs::LogGroup", host.environment[kind]).text("RetentionInDays"), kind)
	}
	assert.Equal(t, host.environment["LIFECYCLE_HOOK"],
		c.one("AWS::AutoScaling::AutoScalingGroup").text("LifecycleHookSpecificationList", 0, "LifecycleHookName"))

	outputs := c.outputs("Recorded")
	assert.Equal(t, "aws s3 cp --region us-east-1 alice.pub s3://"+bucket.id+"/public-keys/alice.pub", outputs["AddAlice"])
	assert.Contains(t, outputs["Replay"], `"s3://`+bucket.id+`/sessions/`)

	// The saved queries read the very groups that the host ships to.
	shipped := []string{host.environment["LOG_GROUP"], host.environment["LOG_GROUP_COMMANDS"]}
	for _, query := range c.list("AWS::Logs::QueryDefinition") {
		if query.text("Name") == "Postern/Who did what in a session" {
			assert.Equal(t, []string{query.text("LogGroupNames", 0), query.text("LogGroupNames", 1)}, shipped)
			assert.Equal(t, "session", query.text("Parameters", 0, "Name"))
			shipped = nil
		}
	}
	assert.Empty(t, shipped, "the query is saved")
	assert.Contains(t, outputs["WhoDidWhat"], "--log-group-names "+host.environment["LOG_GROUP"]+" "+host.environment["LOG_GROUP_COMMANDS"]+" ")

	out, err := c.cdk("", "destroy", "--all", "--force")
	require.NoError(t, err, out)
	assert.Equal(t, bucket.id, c.get("AWS::S3::Bucket", bucket.id).id, "the records stay")
}

// No port, and yet a shell, a way to the database, and people who may use them.
func TestExamplePortless(t *testing.T) {
	t.Parallel()
	c := fresh(t, "portless", "examples/portless")
	c.deploy("")
	assert.Equal(t, []string{"Access", "Team"}, c.names())
	bastion, database := c.described(bastionGroup), c.described("orders database")
	assert.Empty(t, c.ingress(bastion.id), "no open port")
	assert.Empty(t, c.list("AWS::EC2::InstanceConnectEndpoint"))
	private(t, c)
	assert.Equal(t, []string{"tcp 443 0.0.0.0/0", "tcp 5432 " + database.id}, c.egress(bastion.id))
	assert.Equal(t, []string{"tcp 5432 " + bastion.id}, c.ingress(database.id))

	documents := map[string]resource{}
	for _, d := range c.list("AWS::SSM::Document") {
		documents[d.text("Name")] = d
	}
	require.Len(t, documents, 3)
	rds := c.one("AWS::RDS::DBInstance")
	assert.Equal(t, rds.text("Endpoint", "Address"), documents["Access-Orders"].text("Content", "properties", "host"))
	for _, name := range []string{"Access-Shell", "Access-Repair"} {
		inputs := documents[name]
		assert.Equal(t, "true", inputs.text("Content", "inputs", "cloudWatchEncryptionEnabled"), name)
		assert.Equal(t, "true", inputs.text("Content", "inputs", "s3EncryptionEnabled"), name)
		group := c.get("AWS::Logs::LogGroup", inputs.text("Content", "inputs", "cloudWatchLogGroupName"))
		assert.NotEmpty(t, group.text("KmsKeyId"), "or every session would be refused")
		assert.Equal(t, "true", c.get("AWS::S3::Bucket", inputs.text("Content", "inputs", "s3BucketName")).text("ObjectLockEnabled"), name)
	}
	assert.Equal(t, "30", documents["Access-Repair"].text("Content", "inputs", "maxSessionDuration"))

	granted := map[string]string{} // by role, what its policies let it start
	for _, p := range c.list("AWS::IAM::ManagedPolicy") {
		statements, _ := p.at("PolicyDocument", "Statement").([]any)
		for _, role := range p.list("Roles") {
			granted[role] += ""
			for _, statement := range statements {
				text, err := json.Marshal(statement)
				require.NoError(t, err)
				if allow := string(text); strings.Contains(allow, `"Effect":"Allow"`) && strings.Contains(allow, `"ssm:StartSession"`) {
					granted[role] += allow
				}
			}
		}
	}
	developer, responder := "", ""
	for id, r := range c.members("Access") { // not those that open the hours, whose names begin alike
		switch {
		case regexp.MustCompile(`^Developer[0-9A-F]{8}$`).MatchString(id):
			developer = *r.PhysicalResourceId
		case regexp.MustCompile(`^Responder[0-9A-F]{8}$`).MatchString(id):
			responder = *r.PhysicalResourceId
		}
	}
	require.NotEmpty(t, developer)
	assert.Empty(t, granted[developer], "nothing opens but in office hours")
	for _, document := range []string{"Access-Shell", "Access-Orders", "Access-Repair"} {
		assert.Contains(t, granted[responder], "document/"+document)
	}
	hours := c.one("AWS::IAM::RolePolicy")
	assert.Equal(t, developer, hours.text("RoleName"))
	assert.Equal(t, "cron(0 8 ? * MON,TUE,WED,THU,FRI *) Europe/Berlin",
		c.one("AWS::Scheduler::Schedule").text("ScheduleExpression")+" "+c.one("AWS::Scheduler::Schedule").text("ScheduleExpressionTimezone"))
	for _, role := range []string{developer, responder} {
		trust, err := json.Marshal(c.get("AWS::IAM::Role", role).at("AssumeRolePolicyDocument"))
		require.NoError(t, err)
		assert.Contains(t, string(trust), `"aws:MultiFactorAuthPresent":"false"`, role)
	}
	assert.Len(t, c.list("AWS::Events::Rule"), 3)
	assert.Contains(t, c.outputs("Access")["OpenOrders"], " --document-name Access-Orders --parameters localPortNumber=15432")

	assert.Contains(t, c.deploy(""), "Access (no changes)")
	out, err := c.cdk("", "destroy", "Access", "--force")
	require.NoError(t, err, out)
	assert.Empty(t, c.ingress(database.id), "the way to the database is closed again")
	assert.NotEmpty(t, c.list("AWS::Logs::LogGroup"), "the records stay")
}

// logicalID finds the only resource of a type in a stack.
func logicalID(c *cloud, stack, kind string) string {
	c.t.Helper()
	var found []string
	for id, r := range c.members(stack) {
		if *r.ResourceType == kind {
			found = append(found, id)
		}
	}
	require.Len(c.t, found, 1, kind)
	return found[0]
}

// Two accounts: what the log account outputs is pasted into the other's.
func TestExampleAudited(t *testing.T) {
	t.Parallel()
	logs := accountOf(t, "999988887777", "audited")
	out, err := logs.cdk("", "deploy", "Logs-Archive", "Logs-Watch", "--require-approval", "never", "--progress", "events")
	require.NoError(t, err, out)
	assert.Equal(t, []string{"Logs-Archive", "Logs-Watch"}, logs.names())
	pasted := ""
	for key, value := range logs.outputs("Logs-Archive") {
		if strings.Contains(key, "SourcesYaml") {
			pasted = value
		}
	}
	require.NotEmpty(t, pasted)

	gate := accountOf(t, "111122223333", "audited")
	out, err = gate.cdk(pasted, "deploy", "Gate-Archive", "Gate-Network", "Gate-Access", "Gate-Watch", "--require-approval", "never", "--progress", "events")
	require.NoError(t, err, out)
	assert.Equal(t, []string{"Gate-Access", "Gate-Archive", "Gate-Network", "Gate-Watch"}, gate.names())

	stream := logs.one("AWS::KinesisFirehose::DeliveryStream")
	bucket := logs.get("AWS::S3::Bucket", strings.TrimPrefix(stream.text("ExtendedS3DestinationConfiguration", "BucketARN"), "arn:aws:s3:::"))
	assert.Equal(t, "COMPLIANCE", bucket.text("ObjectLockConfiguration", "Rule", "DefaultRetention", "Mode"))
	assert.Equal(t, bucket.id, gate.one("AWS::CloudTrail::Trail").text("S3BucketName"), "the trail of the one is in the other")
	assert.Equal(t, "true", gate.one("AWS::CloudTrail::Trail").text("IsMultiRegionTrail"))
	for _, filter := range gate.list("AWS::Logs::SubscriptionFilter") {
		assert.Equal(t, logs.one("AWS::Logs::Destination").text("Arn"), filter.text("DestinationArn"))
	}
	assert.NotEmpty(t, gate.list("AWS::Logs::SubscriptionFilter"))
	assert.Equal(t, "C012ABCDEFG", gate.one("AWS::Chatbot::SlackChannelConfiguration").text("SlackChannelId"))
	assert.Len(t, gate.list("AWS::Config::ConfigRule"), 7)
	assert.NotEmpty(t, gate.list("AWS::Logs::QueryDefinition"))
	assert.NotEmpty(t, gate.list("AWS::Events::Rule"))
	assert.NotEmpty(t, logicalID(gate, "Gate-Watch", "AWS::Lambda::Function"), "which says what is not usual")
	assert.Contains(t, gate.outputs("Gate-Watch")["MonthlyCostTotal"], "USD ")
}
