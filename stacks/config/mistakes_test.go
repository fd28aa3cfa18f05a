package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/stacks/config"
)

// What people write by mistake: each names the key, what was given and what to
// write, once.
func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"region: eu-west-1\n---\nbastion: {spot: true}":       `the document: is followed by another one after a line of ---: write one document`,
		"bastion:\n\tspot: true":                              `not YAML or JSON: yaml: line 2: found character that cannot start any token: line 2 begins with a tab: indent with spaces`,
		"tags: {a: x, a: y}":                                  `tags.a: is written twice: keep one of them`,
		"tags: {\"\": x}":                                     `tags.: a key of 0 characters can't be a tag's: use 1 to 128`,
		"region: \"\"":                                        `region: is an empty text: leave the key out for its default, or write a value`,
		"bastion: {permissionsBoundaryArn: \"\"}":             `bastion.permissionsBoundaryArn: is an empty text: leave the key out for its default, or write a value`,
		"operators: [{name: A, users: [\"\"], viewer: true}]": `operators[0].users[0]: is empty: write a value, or leave the entry out`,
		"operators: [{name: A, roleArns: [~], viewer: true}]": `operators[0].roleArns[0]: is empty: write a value, or leave the entry out`,
		"bastion: {allowedPrefixLists: [\"\"]}":               `bastion.allowedPrefixLists[0]: is empty: write a value, or leave the entry out`,
		"bastion: {allowedCidrs: [\"\"]}":                     `bastion.allowedCidrs[0]: "" is not a CIDR block: write an address and a prefix length, such as 203.0.113.0/24`,
		"archive: {logRetentionDays: 0}":                      `archive.logRetentionDays: 0 is neither a limit nor the lack of one: leave the key out for its default, or write 1 or more`,
		"operators: [{name: A, users: [al], viewer: true, only: {mfaMaxAgeMinutes: 0}}]": `operators[0].only.mfaMaxAgeMinutes: 0 is neither a limit nor the lack of one: leave the key out for its default, or write 1 or more`,
		"targets: [{name: a, securityGroupId: sg-0123456789abcdef0, port: ssh}]":         `targets[0].port: "ssh" is not a whole number: write it as digits, without unit`,
		"archive: {objectLockDays: 99999999999999999999}":                                `archive.objectLockDays: 99999999999999999999 is too large a number: write a smaller one`,
		"session: {idleMinutes: 20m}":                                                    `session.idleMinutes: "20m" is not a whole number: write it as digits, without unit`,
		"session: {idleMinutes: 20.5}":                                                   `session.idleMinutes: "20.5" is not a whole number: write it as digits, without unit`,
		"bastion: {allowedCidrs: 203.0.113.0/24}":                                        `bastion.allowedCidrs: "203.0.113.0/24" is not a list: write a list, such as ["203.0.113.0/24"]`,
		"targets: {name: a}":                                                             `targets: a mapping is not a list: write a list: begin each entry with a hyphen`,
		"allowedCidrs: [203.0.113.0/24]":                                                 `allowedCidrs: "allowedCidrs" is not a key here: did you mean bastion.allowedCidrs? the keys here are name, account, region, tags, archive, network, endpoints, bastion, session, instanceConnect, targets, tunnels, operators, trail, watch, compliance, monthlyCost`,
		"bastion.allowedCidrs: [203.0.113.0/24]":                                         `bastion.allowedCidrs: "bastion.allowedCidrs" is not a key here: write each part as a key of its own, indented below the one before: bastion: {allowedCidrs: ...}`,
		"postern: {name: Gate}":                                                          `postern: "postern" is not a key here: the document begins below it: leave this line out and indent the rest less`,
		"emails: [a@example.com]":                                                        `emails: "emails" is not a key here: did you mean watch.emails? the keys here are name, account, region, tags, archive, network, endpoints, bastion, session, instanceConnect, targets, tunnels, operators, trail, watch, compliance, monthlyCost`,
		"region: us-esat-1":                                                              `region: "us-esat-1" has the wrong form: write its code, such as eu-west-1`,
		"region: eu-west-1a":                                                             `region: "eu-west-1a" has the wrong form: write its code, such as eu-west-1`,
		"bastion: {permissionsBoundaryArn: \"arn:aws:iam::123456789012:role/X\"}":        `bastion.permissionsBoundaryArn: "arn:aws:iam::123456789012:role/X" is not the ARN of a managed policy: write it whole, such as arn:aws:iam::123456789012:policy/Boundary`,
		"account: \"999999999999\"\nbastion: {permissionsBoundaryArn: \"arn:aws:iam::123456789012:policy/X\"}": `bastion.permissionsBoundaryArn: "arn:aws:iam::123456789012:policy/X" is a policy of another account, and only policies of the role's own bound it: name a policy of account 999999999999`,
		"archive: {keyArn: \"arn:aws:kms:eu-west-1:123456789012:alias/x\"}":                                    `archive.keyArn: "arn:aws:kms:eu-west-1:123456789012:alias/x" is the ARN of an alias, which a policy doesn't take for its key: write the ARN of the key, which ends in key/ and its ID`,
		"region: eu-west-1\narchive: {keyArn: \"arn:aws:kms:us-east-1:123456789012:key/x\"}":                   `archive.keyArn: "arn:aws:kms:us-east-1:123456789012:key/x" is in us-east-1, and the stacks are in eu-west-1: name one of the same Region`,
		"region: cn-north-1\narchive: {keyArn: \"arn:aws:kms:cn-north-1:123456789012:key/x\"}":                 `archive.keyArn: "arn:aws:kms:cn-north-1:123456789012:key/x" is in partition aws, out of reach of region cn-north-1: name one of partition aws-cn`,
		"region: cn-north-1\nwatch: {topicArn: \"arn:aws:sns:eu-west-1:123456789012:x\"}":                      `watch.topicArn: "arn:aws:sns:eu-west-1:123456789012:x" is in partition aws, out of reach of region cn-north-1: name one of partition aws-cn`,
		"archive: {keyArn: \"arn:amazon:kms:eu-west-1:123456789012:key/x\"}":                                   `archive.keyArn: "arn:amazon:kms:eu-west-1:123456789012:key/x" has "amazon" for a partition, which there is none of: write aws, as AWS shows the ARN`,
		"watch: {topicArn: \"arn:aws:sns:eu-west-1:123456789012:x:6b0e71bd-7e97-4d97-80ce-4a0994e55286\"}":     `watch.topicArn: "arn:aws:sns:eu-west-1:123456789012:x:6b0e71bd-7e97-4d97-80ce-4a0994e55286" is the ARN of a subscription: write that of its topic: arn:aws:sns:eu-west-1:123456789012:x`,
		"watch: {topicArn: \"arn:aws:sns:eu-west-1:123456789012:x.fifo\"}":                                     `watch.topicArn: "arn:aws:sns:eu-west-1:123456789012:x.fifo" is a FIFO topic, which takes messages of a group only, and alarms have none: name a standard topic`,
		"watch: {topicArn: \"arn:aws:sqs:eu-west-1:123456789012:x\"}":                                          `watch.topicArn: "arn:aws:sqs:eu-west-1:123456789012:x" is not the ARN of an SNS topic: write it whole, such as arn:aws:sns:eu-west-1:123456789012:OnCall`,
		"watch: {topicArn: \"arn:aws:sns:eu-west-1:12345:x\"}":                                                 `watch.topicArn: "arn:aws:sns:eu-west-1:12345:x" is not the ARN of an SNS topic: write it whole, such as arn:aws:sns:eu-west-1:123456789012:OnCall`,
		"watch: {emails: [a@example.com, a@example.com]}":                                                      `watch.emails[1]: "a@example.com" is in the list already: leave one out`,
		"endpoints: {services: [ec2, ec2]}":                                                                    `endpoints.services[1]: "ec2" is in the list already: leave one out`,
		"network: {vpc: {id: vpc-0123456789abcdef0, availabilityZones: [euw1-az1, b], publicSubnetIds: [subnet-0123456789abcdef0, subnet-0123456789abcdef0]}}\nendpoints: {existing: [s3]}":                                                                       "network.vpc.availabilityZones[0]: \"euw1-az1\" is the ID of a zone: write its name in this account, such as eu-west-1a\nnetwork.vpc.availabilityZones[1]: \"b\" is not an Availability Zone: write its name, such as eu-west-1a\nnetwork.vpc.publicSubnetIds[1]: \"subnet-0123456789abcdef0\" is in the list already: leave one out",
		"region: eu-west-1\nnetwork: {vpc: {id: vpc-0123456789abcdef0, availabilityZones: [us-east-1a, eu-west-1a, eu-west-1a], isolatedSubnetIds: [subnet-0123456789abcdef0, subnet-0123456789abcdef1, subnet-0123456789abcdef2]}}\nendpoints: {existing: [s3]}": "network.vpc.publicSubnetIds: is missing, but bastion.address elasticIp is in public subnets: name public subnets, or set bastion.address: none\nnetwork.vpc.availabilityZones[0]: \"us-east-1a\" is not a zone of region eu-west-1: name zones of that region\nnetwork.vpc.availabilityZones[2]: \"eu-west-1a\" is in the list already: leave one out",
		"archive: {bucketName: \"my..bucket\"}":                                                     `archive.bucketName: "my..bucket" has the wrong form: write the name of an S3 bucket, 3 to 63 lower-case letters, digits, dots and hyphens`,
		"archive: {bucketName: \"192.168.1.1\"}":                                                    `archive.bucketName: "192.168.1.1" has the wrong form: write the name of an S3 bucket, 3 to 63 lower-case letters, digits, dots and hyphens`,
		"archive: {bucketName: \"s3://mine\"}":                                                      `archive.bucketName: "s3://mine" has the wrong form: write the name of an S3 bucket, 3 to 63 lower-case letters, digits, dots and hyphens`,
		"account: \"123456789012\"\nregion: eu-west-1\narchive: {replica: {region: us-gov-west-1}}": `archive.replica.region: "us-gov-west-1" is in partition aws-us-gov, out of reach of region eu-west-1: name a Region of the same partition`,
		"account: \"111122223333\"\nregion: eu-west-1\narchive: {logAccount: {bucketName: logs, keyArn: \"arn:aws:kms:eu-west-1:999988887777:key/a\", destinationArn: \"arn:aws:logs:eu-west-1:999988887777:log-group:x\"}}": `archive.logAccount.destinationArn: "arn:aws:logs:eu-west-1:999988887777:log-group:x" is not the ARN of a destination of CloudWatch Logs: write it whole, such as arn:aws:logs:eu-west-1:123456789012:destination:Logs-Archive`,
		"bastion: {absent: true, instanceType: t4g.micro}":                                                                                  `bastion.absent: is set, but other keys configure the bastion: remove it or them`,
		"bastion: {schedule: {start: \"0 8 * * *\", stop: \"0 8 * * *\"}}":                                                                  `bastion.schedule.stop: "0 8 * * *" is when the bastion starts, too: write another time`,
		"bastion: {dns: {hostedZoneId: example.com, zoneName: \"example com\", recordName: bastion}}":                                       "bastion.dns.hostedZoneId: \"example.com\" has the wrong form: write its ID, such as Z0123456789ABCDEFGHIJ\nbastion.dns.zoneName: \"example com\" is not a DNS name: write the name of the hosted zone, such as example.com",
		"targets: [{name: a, securityGroupId: sg-0123456789abcdef0, port: 22, doors: []}]":                                                  `targets[0].doors: is an empty list: leave the key out for the bastion, or name some`,
		"targets: [{name: a, securityGroupId: sg-0123456789abcdef0, port: 22}, {name: b, securityGroupId: sg-0123456789abcdef0, port: 22}]": `targets[1]: is the same group and port as targets[0]: leave one out`,
		"operators: [{name: A, users: [al, al], viewer: true}]":                                                                             `operators[0].users[1]: "al" is in the list already: leave one out`,
		"operators: [{name: A, users: [al], viewer: true, only: {sourceCidrs: [10.0.0.0/8]}}]":                                              `operators[0].only.sourceCidrs[0]: "10.0.0.0/8" is a private range, which AWS sees no request come from: name the public addresses that people come from, or the VPC endpoints`,
		"operators: [{name: A, users: [al], viewer: true, only: {weekly: [], sourceCidrs: []}}]":                                            "operators[0].only.weekly: is an empty list: leave the key out for all hours, or name some\noperators[0].only.sourceCidrs: is an empty list: leave the key out for any address, or name some",
		"operators: [{name: A, users: [al], viewer: true, only: {weekly: [{days: [], from: \"08:00\", until: \"18:00\"}]}}]":                `operators[0].only.weekly[0].days: is an empty list: leave the key out for MON to FRI, or name some`,
		"operators: [{name: A, users: [al], viewer: true, only: {targetTags: {\"\": x}}}]":                                                  `operators[0].only.targetTags.: a key of 0 characters can't be a tag's: use 1 to 128`,
		"session: {targets: [{tags: {\"aws:x\": y}}]}":                                                                                      `session.targets[0].tags.aws:x: "aws:x" begins with aws:, which is for AWS alone: use another key`,
		"compliance: {rules: true, blockedPorts: [22, 22]}":                                                                                 `compliance.blockedPorts[1]: 22 is in the list already: leave one out`,
		"bastion: {host: {bundle: /nowhere/bundle}}":                                                                                        `bastion.host.bundle: "/nowhere/bundle" is no file that can be read: make it by go run ./bin/hostbundle`,
		"session: {accountDefault: create, functionFile: .}\nwatch: {timeZone: UTC, functionFile: /nowhere/a.zip}": `session.functionFile: "." is no file that can be read: make it by go run ./bin/functionzip` + "\n" +
			`watch.functionFile: "/nowhere/a.zip" is no file that can be read: make it by go run ./bin/functionzip`,
		"tags: {" + many(41) + "}": `tags: 41 tags are more than a resource has room for beside those that are here: use up to 40`,
		"bastion: yes":             `bastion: "yes" is not a mapping of keys to values: write a mapping of keys to values`,
	} {
		_, err := config.Parse([]byte(text))
		assert.EqualError(t, err, want, text)
	}
}

func many(n int) string {
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprintf("key%d: x", i))
	}
	return strings.Join(keys, ", ")
}

// What editors and templates leave behind is no mistake.
func TestWhatEditorsLeave(t *testing.T) {
	want, err := config.Parse([]byte("name: Gate\nbastion: {spot: true}\ntags: {Team: \"\"}\n"))
	require.NoError(t, err)
	for _, text := range []string{
		"\ufeffname: Gate\nbastion: {spot: true}\ntags: {Team: ''}\n",
		"name: Gate\r\nbastion:\r\n  spot: true\r\ntags:\r\n  Team: \"\"\r\n",
		"---\nname: Gate\nbastion: {spot: true, host: }\ntags: {Team: }\n...\n",
		"{\n\t\"name\": \"Gate\",\n\t\"bastion\": {\n\t\t\"spot\": true\n\t},\n\t\"tags\": {\"Team\": \"\"}\n}\n",
	} {
		got, err := config.Parse([]byte(text))
		if assert.NoError(t, err, text) {
			assert.Equal(t, want, got, text)
		}
	}
}

// The zones and Regions that there are must not be taken for mistakes.
func TestPlaces(t *testing.T) {
	for region, zone := range map[string]string{
		"us-east-1": "us-east-1-wl1-bos-wlz-1", "us-west-2": "us-west-2-lax-1a", "ap-southeast-5": "ap-southeast-5c", "mx-central-1": "mx-central-1a",
		"us-gov-west-1": "us-gov-west-1a", "cn-northwest-1": "cn-northwest-1b", "eusc-de-east-1": "eusc-de-east-1a", "us-isob-east-1": "us-isob-east-1a",
		"eu-isoe-west-1": "eu-isoe-west-1a", "il-central-1": "il-central-1a", "ap-south-2": "ap-south-2a",
	} {
		_, err := config.Parse([]byte("region: " + region + `
bastion: {address: none}
endpoints: {existing: [s3]}
network:
  vpc:
    id: vpc-0123456789abcdef0
    availabilityZones: [` + zone + `]
    isolatedSubnetIds: [subnet-0123456789abcdef0]
`))
		assert.NoError(t, err, region)
	}
}

// A policy of AWS's own is nobody's account.
func TestBoundaryOfAWS(t *testing.T) {
	_, err := config.Parse([]byte("account: 123456789012\nbastion: {permissionsBoundaryArn: 'arn:aws:iam::aws:policy/PowerUserAccess'}"))
	assert.NoError(t, err)
}

func TestLoadNamesWhatItCannotRead(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	require.NoError(t, err)
	for given, want := range map[string]string{
		"":             "-c postern=: names no file: write -c postern=postern.yaml, or leave it out for the defaults",
		"prod.yaml":    "-c postern=prod.yaml: open prod.yaml: no such file or directory: the path is taken from " + here,
		"/no/prod.yml": "-c postern=/no/prod.yml: open /no/prod.yml: no such file or directory: name a file that can be read",
		`{"name": "A"}`: `-c postern={"name": "A"}: is a document, and the command line takes the name of a file: ` +
			"save it as postern.yaml and write -c postern=postern.yaml, or put it under the key postern of the context in cdk.json",
	} {
		_, err := config.Load(given)
		assert.EqualError(t, err, want)
	}
	require.NoError(t, os.Mkdir(filepath.Join(here, "folder"), 0o700))
	_, err = config.Load("folder")
	assert.ErrorContains(t, err, "-c postern=folder: read folder: is a directory")
}

// JSON's numbers come as floating point; an account has 12 digits all the same.
func TestNumbersOfTheContext(t *testing.T) {
	var object any
	require.NoError(t, json.Unmarshal([]byte(`{"account": 123456789012, "bastion": {"maxInstanceLifetimeDays": 30}}`), &object))
	c, err := config.Load(object)
	require.NoError(t, err)
	assert.Equal(t, "123456789012", c.Account)
	assert.Equal(t, 30, c.Bastion.MaxInstanceLifetimeDays)

	_, err = config.Load(true)
	assert.ErrorContains(t, err, `context key postern:`+"\n"+`the document: "true" is not a mapping of keys to values`)
}

func TestMisspeltKey(t *testing.T) {
	require.NoError(t, config.Misspelt([]string{"postern", "@aws-cdk/core:checkSecretUsage", "aws:cdk:enable-path-metadata", "pattern", "stage"}))
	for _, key := range []string{"Postern", "posten", "postren", "postern-"} {
		assert.EqualError(t, config.Misspelt([]string{"stage", key}),
			`context key "`+key+`": is read by nobody, so that the defaults would be deployed: did you mean postern? write -c postern=FILE`)
	}
}
