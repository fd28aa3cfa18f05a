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

func TestNothingIsTheDefault(t *testing.T) {
	for _, text := range []string{"", "{}", "# only a comment\n", "archive:\n"} {
		c, err := config.Parse([]byte(text))
		require.NoError(t, err, text)
		assert.Equal(t, config.Default(), c, text)
	}
	c := config.Default()
	assert.Equal(t, "Postern", c.Name)
	assert.Equal(t, config.AddressElasticIP, c.Bastion.Address)
	assert.Empty(t, c.Bastion.AllowedCidrs)
}

func TestJSONAndYAMLAreTheSame(t *testing.T) {
	fromYAML, err := config.Parse([]byte("account: 123456789012\nbastion:\n  allowedCidrs: [203.0.113.0/24]\nnetwork: {nat: one}\n"))
	require.NoError(t, err)
	fromJSON, err := config.Parse([]byte(`{"account": "123456789012", "bastion": {"allowedCidrs": ["203.0.113.0/24"]}, "network": {"nat": "one"}}`))
	require.NoError(t, err)
	assert.Equal(t, fromJSON, fromYAML)
	assert.Equal(t, []string{"203.0.113.0/24"}, fromYAML.Bastion.AllowedCidrs)
	assert.Equal(t, config.NatOne, fromYAML.Network.Nat)
	assert.Equal(t, "123456789012", fromYAML.Account, "an account number without quotes keeps its digits")
}

func TestOffIsAWordNotFalse(t *testing.T) {
	c, err := config.Parse([]byte("archive: {objectLock: off}"))
	require.NoError(t, err)
	assert.Equal(t, config.ObjectLockOff, c.Archive.ObjectLock)
	assert.Zero(t, c.Archive.ObjectLockDays)
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, err := config.Parse([]byte(`
bastian: {}
network:
  cidr: 10.0.0.0/99
  availabilityZones: two
bastion:
  alowedCidrs: [203.0.113.0/24]
  allowedCidrs: [0.0.0.0/0, 203.0.113.7]
  spot: "yes"
`))
	assert.EqualError(t, err, strings.Join([]string{
		`bastian: "bastian" is not a key here: did you mean "bastion"? the keys here are name, account, region, tags, archive, network, endpoints, bastion, session, instanceConnect, targets, tunnels, operators, trail, watch, compliance, monthlyCost`,
		`network.availabilityZones: "two" is not a whole number: write it as digits, without unit`,
		`bastion.alowedCidrs: "alowedCidrs" is not a key here: did you mean "allowedCidrs"? the keys here are absent, address, allowedCidrs, allowedPrefixLists, allowEveryone, instanceType, image, maxInstanceLifetimeDays, noRotation, spot, schedule, dns, permissionsBoundaryArn, host`,
		`bastion.spot: "yes" is neither true nor false: write true or false`,
		`network.cidr: "10.0.0.0/99" is not a CIDR block: write an address and a prefix length, such as 203.0.113.0/24`,
		`bastion.allowedCidrs[0]: "0.0.0.0/0" lets the whole internet try SSH: name your own addresses, or set bastion.allowEveryone: true if that is truly meant`,
		`bastion.allowedCidrs[1]: "203.0.113.7" is not a CIDR block: for this one address write 203.0.113.7/32`,
	}, "\n"))
}

func TestFaults(t *testing.T) {
	for text, want := range map[string]string{
		"name: 9lives":                      `name: "9lives" has the wrong form: begin with a letter, then letters, digits and hyphens, 100 at most`,
		"account: 123":                      `account: "123" has the wrong form: write its 12 digits`,
		"region: Frankfurt":                 `region: "Frankfurt" has the wrong form: write its code, such as eu-west-1`,
		"- a list":                          `the document: a list is not a mapping of keys to values: write a mapping of keys to values`,
		"tags: [a]":                         `tags: a list is not a mapping of keys to values: write a mapping of keys to values`,
		"tags: {a: {b: c}}":                 `tags.a: a mapping is not a text: write a text`,
		"region: eu-west-1\nregion: x-x-1":  `region: is written twice: keep one of them`,
		"archive: {keyArn: alias/mine}":     `archive.keyArn: "alias/mine" is not the ARN of a KMS key: write it whole, such as arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab`,
		"archive: {bucketName: Mine}":       `archive.bucketName: "Mine" has the wrong form: write the name of an S3 bucket, 3 to 63 lower-case letters, digits, dots and hyphens`,
		"archive: {objectLock: complience}": `archive.objectLock: "complience" is not known: did you mean "compliance"? use one of governance, compliance, legal-hold, off`,
		"archive: {objectLock: compliance}": `archive.objectLockDays: is missing, but archive.objectLock is compliance, which nobody can shorten or lift, not even AWS: spell out how many days nothing can be deleted, such as 365, or choose governance`,
		"archive: {objectLock: legal-hold, objectLockDays: 9}":                              `archive.objectLockDays: 9 is set, but archive.objectLock is legal-hold: remove it, or choose governance or compliance`,
		"archive: {objectLock: off, objectLockDays: 9}":                                     `archive.objectLockDays: 9 is set, but archive.objectLock is off: remove it, or choose governance or compliance`,
		"archive: {objectLockDays: -1}":                                                     `archive.objectLockDays: -1 is out of range: use 1 to 36500`,
		"archive: {bucketName: mine, objectLock: off}":                                      `archive.objectLock: can't be set on "mine", a bucket of yours: remove it here and set it on the bucket itself`,
		"archive: {expireAfterDays: 300}":                                                   `archive.expireAfterDays: 300 is before the end of the lock, which lasts 365 days: use 365 or more, or fewer archive.objectLockDays`,
		"archive: {objectLock: compliance, objectLockDays: 400, expireAfterDays: 399}":      `archive.expireAfterDays: 399 is before the end of the lock, which lasts 400 days: use 400 or more, or fewer archive.objectLockDays`,
		"archive: {objectLock: off, expireAfterDays: 90}":                                   `archive.expireAfterDays: 90 is not later than archive.infrequentAccessAfterDays, which is 90: use 91 or more, or an earlier archive.infrequentAccessAfterDays`,
		"archive: {objectLock: off, expireAfterDays: -1}":                                   `archive.expireAfterDays: -1 is out of range: use 1 to 36500`,
		"archive: {infrequentAccessAfterDays: 7}":                                           `archive.infrequentAccessAfterDays: 7 is out of range: use 30 to 36500`,
		"archive: {glacierAfterDays: 100}":                                                  `archive.glacierAfterDays: 100 is out of range: objects stay for 30 days or more where archive.infrequentAccessAfterDays (90) puts them: use 120 to 36500`,
		"archive: {glacierAfterDays: 120, deepArchiveAfterDays: 130}":                       `archive.deepArchiveAfterDays: 130 is out of range: objects stay for 90 days or more where archive.glacierAfterDays (120) puts them: use 210 to 36500`,
		"archive: {inventory: monthly}":                                                     `archive.inventory: "monthly" is not known: use one of none, weekly, daily`,
		"archive: {accessLogRetentionDays: -2}":                                             `archive.accessLogRetentionDays: -2 is out of range: use 1 to 36500`,
		"archive: {bucketName: mine, inventory: daily}":                                     `archive.inventory: can't be set on "mine", a bucket of yours: remove it here and set it on the bucket itself`,
		"region: eu-west-1\naccount: 123456789012\narchive: {replica: {}}":                  `archive.replica.region: is missing: write the code of another Region, such as eu-central-1`,
		"region: eu-west-1\naccount: 123456789012\narchive: {replica: {region: eu-west-1}}": `archive.replica.region: "eu-west-1" is the Region of the archive itself: name another`,
		"archive: {replica: {region: eu-west-1}}":                                           `archive.replica: needs to know where the archive is: write account and region, too`,
		"archive: {sources: {}}":                                                            `archive.sources: names nobody: name accounts or an organizationId, or remove it`,
		"archive: {sources: {accounts: [12]}}":                                              `archive.sources.accounts[0]: "12" has the wrong form: write its 12 digits`,
		"archive: {sources: {organizationId: r-abcd}}":                                      `archive.sources.organizationId: "r-abcd" has the wrong form: write it as AWS Organizations does, such as o-a1b2c3d4e5`,
		"account: 123456789012\narchive: {sources: {accounts: [123456789012]}}":             `archive.sources.accounts[0]: "123456789012" is the log account itself: leave it out: its own records are taken anyway`,
		"account: 123456789012\nregion: eu-west-1\narchive: {logAccount: {bucketName: logs, keyArn: 'arn:aws:kms:eu-west-1:999988887777:key/a'}}":                                                                      `archive.logAccount.destinationArn: is missing: paste it from the outputs of the log account's stack`,
		"account: 999988887777\nregion: eu-west-1\narchive: {logAccount: {bucketName: logs, keyArn: 'arn:aws:kms:eu-west-1:999988887777:key/a', destinationArn: 'arn:aws:logs:eu-west-1:111122223333:destination:d'}}": `archive.logAccount.keyArn: 999988887777 is this account itself, where evidence is within reach of those it is about: name the archive of another account, or remove archive.logAccount to have an archive here`,
		"archive: {logAccount: {bucketName: logs, keyArn: 'arn:aws:kms:eu-west-1:999988887777:key/a', destinationArn: 'arn:aws:logs:eu-west-1:999988887777:destination:d'}}":                                           `archive.logAccount: needs to know whose records they are: write account and region, too`,
		"watch: {timeZone: Berlin}":                                                                           `watch.timeZone: "Berlin" is not a time zone: use a name of the IANA time zone database, such as Europe/Berlin, or none for UTC`,
		"watch: {officeHours: {days: [MONDAY], from: '8', until: '18:00'}}":                                   "watch.officeHours.days[0]: \"MONDAY\" is not known: use one of SUN, MON, TUE, WED, THU, FRI, SAT\nwatch.officeHours.from: \"8\" is no time of day: write hours and minutes, such as 08:00",
		"watch: {officeHours: {from: '08:00', until: '08:00'}}":                                               `watch.officeHours.until: "08:00" is when they begin, so that nothing would be outside of them: write a later one`,
		"watch: {knownRanges: [0.0.0.0/0]}":                                                                   `watch.knownRanges[0]: "0.0.0.0/0" is every address, so none would be unknown: name the addresses that people work from, or remove watch.knownRanges`,
		"watch: {knownRanges: [10.0.0.0/8, 10.0.0.0/8]}":                                                      `watch.knownRanges[1]: "10.0.0.0/8" is in the list already: leave one out`,
		"watch: {functionFile: notice.zip}":                                                                   `watch.functionFile: is for the function that watch.timeZone, officeHours and knownRanges need: write one of them, or remove it`,
		"watch: {slack: {workspaceId: team}}":                                                                 "watch.slack.workspaceId: \"team\" has the wrong form: take it from the console of Amazon Q Developer in chat applications, such as T012ABCDEFG\nwatch.slack.channelId: is missing: take the end of the channel's link, such as C012ABCDEFG",
		"watch: {topicKeyArn: 'arn:aws:kms:eu-west-1:123456789012:key/a'}":                                    `watch.topicKeyArn: is of a topic of yours, and watch.topicArn names none: write watch.topicArn, or archive.keyArn for a topic made here`,
		"bastion: {absent: true}\nwatch: {host: {unhealthyMinutes: 9}}":                                       `watch.host.unhealthyMinutes: is set, but bastion.absent leaves the bastion out: remove one of them`,
		"watch: {host: {sudoPerTenMinutes: -1}}":                                                              `watch.host.sudoPerTenMinutes: -1 is out of range: use 1 to 100000`,
		"watch: {endpoints: {droppedPackets: -1}}":                                                            `watch.endpoints.droppedPackets: -1 is out of range: use 1 to 1000000`,
		"watch: {endpoints: {droppedPackets: 9, noAlarms: true}}":                                             `watch.endpoints.droppedPackets: is set, but watch.endpoints.noAlarms gives the alarms up: remove one of them`,
		"endpoints: {absent: true}\nwatch: {endpoints: {droppedPackets: 9}}":                                  `watch.endpoints.droppedPackets: is set, but no endpoint that Session Manager goes through is made here, and only those are watched: remove it`,
		"endpoints: {existing: [ssm, ssmmessages]}\nwatch: {endpoints: {droppedPackets: 9}}":                  `watch.endpoints.droppedPackets: is set, but no endpoint that Session Manager goes through is made here, and only those are watched: remove it`,
		"compliance: {existingRecorder: true}":                                                                `compliance.rules: is missing, but other keys say which rules to make: set it to true, or remove them`,
		"compliance: {rules: true, without: [restrict-ssh]}":                                                  `compliance.without[0]: "restrict-ssh" is not known: did you mean "restricted-ssh"? use one of restricted-ssh, restricted-common-ports, ec2-imdsv2-check, vpc-flow-logs-enabled, encrypted-volumes, ec2-instance-managed-by-systems-manager, cloudwatch-log-group-encrypted`,
		"compliance: {rules: true, blockedPorts: [70000]}":                                                    `compliance.blockedPorts[0]: 70000 is out of range: use 1 to 65535`,
		"compliance: {cisScan: {level: 3, time: '3'}}":                                                        "compliance.cisScan.level: 3 is out of range: use 1 to 2\ncompliance.cisScan.time: \"3\" has the wrong form: write hours and minutes in UTC, such as 03:00",
		"bastion: {absent: true}\ncompliance: {cisScan: {}}":                                                  `compliance.cisScan: scans the bastion, and bastion.absent leaves it out: remove one of them`,
		"trail: {arn: Audit}":                                                                                 `trail.arn: "Audit" is not the ARN of a trail: write it whole, such as arn:aws:cloudtrail:eu-west-1:123456789012:trail/Audit`,
		"trail: {logGroupName: Audit}":                                                                        `trail.logGroupName: is set, but trail.arn names no trail of yours: write trail.arn, too, or trail.logGroup: true for a new trail`,
		"trail: {recordObjects: true}\nwatch: {existingTrail: true}":                                          `trail.recordObjects: describes a new trail, but trail.arn or watch.existingTrail says that there is one: remove one of them`,
		"trail: {arn: 'arn:aws:cloudtrail:eu-west-1:111122223333:trail/Audit'}\nwatch: {existingTrail: true}": `watch.existingTrail: says that there is a trail, but trail.arn names it: remove it`,
		"watch: {account: {refusedCalls: 5}}":                                                                 `watch.account.alarms: is missing, but other keys say which alarms to make: set it to true, or remove them`,
		"watch: {existingTrail: true, account: {alarms: true}}":                                               `watch.account.alarms: counts in the log group of the trail, and none is known of the trail that there is: write trail.arn and trail.logGroupName instead of watch.existingTrail, or remove it`,
		"watch: {account: {alarms: true, without: [root]}}":                                                   `watch.account.without[0]: "root" is not known: use one of root-use, refused-calls, console-without-mfa, iam-policies, trails, console-failures, keys, bucket-policies, config-recorder, security-groups, network-acls, gateways, route-tables, vpcs`,
		"watch: {account: {alarms: true, consoleFailures: -1}}":                                               `watch.account.consoleFailures: -1 is out of range: use 1 to 100000`,
		"watch: {account: {alarms: true, quietCallers: [Scanner]}}":                                           `watch.account.quietCallers[0]: "Scanner" is not the ARN of a user or role: write the ARN of an IAM user or role, such as arn:aws:iam::111122223333:role/Scanner, not of a session`,
		"network: {cidr: 10.0.0.0/25}":                                                                        `network.cidr: "10.0.0.0/25" is not a block that a VPC with its subnets fits in: use an IPv4 block from /16 to /24, such as 10.0.0.0/16`,
		"network: {availabilityZones: 9}":                                                                     `network.availabilityZones: 9 is out of range: use 1 to 4`,
		"network: {nat: perzone}":                                                                             `network.nat: "perzone" is not known: did you mean "perZone"? use one of none, one, perZone`,
		"network: {vpc: {id: vpc-0123456789abcdef0}, nat: one}":                                               `network.nat: describes a new VPC, but network.vpc names one of yours: remove one of them`,
		"network: {vpc: {}}":                                                                                  `network.vpc.id: is missing: write the ID of your VPC, such as vpc-0123456789abcdef0`,
		"network: {vpc: {id: mine}}":                                                                          `network.vpc.id: "mine" has the wrong form: write the ID of a VPC, such as vpc-0123456789abcdef0`,
		"endpoints: {services: [smm]}":                                                                        `endpoints.services[0]: "smm" is not known: did you mean "ssm"? use one of ssm, ssmmessages, ec2messages, ec2, logs, kms, monitoring, cloudformation, autoscaling, secretsmanager`,
		"endpoints: {services: [kms], existing: [kms]}":                                                       `endpoints.services[0]: "kms" is in endpoints.existing too: remove it from one of them`,
		"endpoints: {absent: true, services: [kms]}":                                                          `endpoints.services: is set, but endpoints.absent leaves all out: remove one of them`,
		"bastion: {address: elasticIP}":                                                                       `bastion.address: "elasticIP" is not known: did you mean "elasticIp"? use one of elasticIp, networkLoadBalancer, none`,
		"bastion: {address: none, allowedCidrs: [8.8.8.8/32]}":                                                `bastion.allowedCidrs[0]: "8.8.8.8/32" is a public range, but bastion.address none leaves no public address to reach: choose bastion.address elasticIp or networkLoadBalancer, or a private range`,
		"bastion: {allowedCidrs: [128.0.0.0/1]}":                                                              `bastion.allowedCidrs[0]: "128.0.0.0/1" is wider than any one network: blocks end at /8: name your own addresses, or set bastion.allowEveryone: true if that is truly meant`,
		"tags: {'aws:team': a}":                                                                               `tags.aws:team: "aws:team" begins with aws:, which is for AWS alone: use another key`,
		"bastion: {address: networkLoadBalancer, allowedCidrs: ['2001:db8::/32']}":                            `bastion.allowedCidrs[0]: "2001:db8::/32" is an IPv6 block, and the load balancer listens on IPv4: name IPv4 blocks`,
		"bastion: {allowedCidrs: [10.0.0.0/8, 10.0.0.0/8]}":                                                   `bastion.allowedCidrs[1]: "10.0.0.0/8" is in the list already: leave one out`,
		"bastion: {allowedPrefixLists: [pl-0123456789abcdef0, pl-0123456789abcdef0]}":                         `bastion.allowedPrefixLists[1]: "pl-0123456789abcdef0" is in the list already: leave one out`,
		"bastion: {instanceType: t2.micro}":                                                                   `bastion.instanceType: "t2.micro" is of a generation without EBS optimization: use a current type, such as t4g.micro or t3.micro`,
		"bastion: {dns: {hostedZoneId: Z1, zoneName: example.com, recordName: a b}}":                          `bastion.dns.recordName: "a b" is not a DNS name: write it without the zone's name, such as "bastion"`,
		"targets: [{name: <db>, securityGroupId: sg-0123456789abcdef0, port: 5432}]":                          `targets[0].name: "<db>" can't be the description of a rule: use up to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*`,
		"network: {vpc: {id: vpc-0123456789abcdef0, availabilityZones: [eu-west-1a], isolatedSubnetIds: [subnet-0123456789abcdef0]}}\nbastion: {address: none}": `network.vpc.isolatedRouteTableIds: is missing, and the S3 gateway endpoint is entered in route tables: name one for each subnet, or s3 in endpoints.existing where the VPC has that endpoint`,
		"bastion: {allowEveryone: true}":                                                                     `bastion.allowEveryone: is set, but bastion.allowedCidrs names no block that needs it: remove it`,
		"bastion: {absent: true, allowedCidrs: [10.0.0.0/8]}":                                                `bastion.absent: is set, but other keys configure the bastion: remove it or them`,
		"bastion: {image: latest}":                                                                           `bastion.image: "latest" is not known: use one of atLaunch, latestAtDeploy, or the ID of an image, such as ami-0123456789abcdef0`,
		"bastion: {maxInstanceLifetimeDays: 400}":                                                            `bastion.maxInstanceLifetimeDays: 400 is out of range: use 1 to 365`,
		"bastion: {maxInstanceLifetimeDays: 9, noRotation: true}":                                            `bastion.noRotation: contradicts bastion.maxInstanceLifetimeDays: remove one of them`,
		"bastion: {instanceType: t4g.mcro}":                                                                  `bastion.instanceType: "t4g.mcro" is not an instance type: write family and size, such as t4g.micro`,
		"bastion: {schedule: {start: 0 25 * * *, stop: 0 19 * * *}}":                                         `bastion.schedule.start: "25" cannot be the hour in "0 25 * * *": use 0 to 23, a range such as 1-5, or *`,
		"bastion: {schedule: {start: 0 8 * * *, stop: 0 19 * * *, timeZone: Berlin}}":                        `bastion.schedule.timeZone: "Berlin" is not a time zone: use a name of the IANA time zone database, such as Europe/Berlin, or none for UTC`,
		"bastion: {schedule: {start: 0 8 * * *}}":                                                            `bastion.schedule: needs both start and stop: write two cron expressions, such as start: 0 8 * * MON-FRI and stop: 0 19 * * MON-FRI`,
		"bastion: {address: none, dns: {hostedZoneId: Z1, zoneName: example.com, recordName: door}}":         `bastion.dns: is set, but bastion.address none leaves no public address to name: choose bastion.address elasticIp or networkLoadBalancer, or remove it`,
		"bastion: {dns: {hostedZoneId: Z1}}":                                                                 `bastion.dns: needs hostedZoneId, zoneName and recordName: write all three`,
		"bastion: {absent: true}\ninstanceConnect: {absent: true}":                                           `bastion.absent: together with instanceConnect.absent leaves no way in: keep one of them, name session.targets, or delete the stacks with cdk destroy; a log account has archive.sources`,
		"instanceConnect: {absent: true, preserveClientIp: true}":                                            `instanceConnect.preserveClientIp: is set, but instanceConnect.absent leaves the endpoint out: remove one of them`,
		"targets: [{name: db, securityGroupId: sg-0123456789abcdef0, port: 5432, doors: [instanceConnect]}]": `targets[0].doors[0]: EC2 Instance Connect Endpoint reaches ports 22 and 3389 only, not 5432: use the bastion for other ports`,
		"targets: [{name: db, securityGroupId: sg-0123456789abcdef0, port: 5432, doors: [bastoin]}]":         `targets[0].doors[0]: "bastoin" is not known: did you mean "bastion"? use one of bastion, instanceConnect`,
		"bastion: {absent: true, host: {bundle: x}}":                                                         `bastion.host: is set, but bastion.absent leaves the bastion out: remove one of them`,
		"bastion: {host: {recording: {commands: record}}}":                                                   `bastion.host.recording.commands: "record" is not known: did you mean "recorded"? use one of refused, recorded`,
		"bastion: {host: {recording: {keepDays: -1}}}":                                                       `bastion.host.recording.keepDays: -1 is out of range: use 1 to 3650`,
		"bastion: {host: {people: {sudo: [Alice]}}}":                                                         `bastion.host.people.sudo[0]: "Alice" is not the name of a person: write it as the object with their keys is called, without .pub`,
		"bastion: {host: {people: {bucketName: Keys}}}":                                                      `bastion.host.people.bucketName: "Keys" has the wrong form: write the name of an S3 bucket, 3 to 63 lower-case letters, digits, dots and hyphens`,
		"bastion: {host: {people: {prefix: keys}}}":                                                          `bastion.host.people.prefix: "keys" is not a prefix: use letters, digits, ._-= and end it with a slash, such as access/keys/`,
		"bastion: {host: {people: {maxKeyAgeDays: 4000}}}":                                                   `bastion.host.people.maxKeyAgeDays: 4000 is out of range: use 1 to 3650`,
		"bastion: {host: {people: {secondFactor: true}, hostKeys: {ephemeral: true}}}":                       `bastion.host.hostKeys.ephemeral: leaves nowhere to keep the secrets of one-time passwords: remove it, or both people.sudo and people.secondFactor`,
		"bastion: {host: {hostKeys: {ephemeral: true, version: a}}}":                                         `bastion.host.hostKeys.ephemeral: is set together with choices for keys that are kept: remove it or them`,
		"bastion: {host: {certificates: {authorities: [x]}}}":                                                `bastion.host.certificates.authorities[0]: "x" is not a public key: write the public key of the authority as ssh-keygen writes it, in one line, without options`,
		"bastion: {host: {hardening: {updateRelease: latest}}}":                                              `bastion.host.hardening.updateRelease: "latest" is not a release of Amazon Linux 2023: write it as in 2023.9.20251117`,
		"watch: {emails: [oncall]}":                                                                          `watch.emails[0]: "oncall" is not an e-mail address: write it bare, such as oncall@example.com`,
		"session: {absent: true, ssh: true, maxMinutes: 9}":                                                  `session.absent: is set, but so is session.maxMinutes, session.ssh: remove it or them`,
		"session: {documentName: aws-shell}":                                                                 `session.documentName: "aws-shell" begins with "aws", which is for AWS alone: begin it with another word`,
		"session: {documentName: SSM-SessionManagerRunShell}":                                                `session.documentName: "SSM-SessionManagerRunShell" is the account's default document: choose another, and set session.accountDefault to have that one too`,
		"session: {idleMinutes: 90}":                                                                         `session.idleMinutes: 90 is out of range: use 1 to 60`,
		"session: {maxMinutes: 2000}":                                                                        `session.maxMinutes: 2000 is out of range: use 1 to 1440`,
		"session: {idleMinutes: 30, maxMinutes: 20}":                                                         `session.maxMinutes: 20 is less than idleMinutes 30: use 30 or more, or fewer idleMinutes`,
		"session: {maxMinutes: 20, noMaxDuration: true}":                                                     `session.noMaxDuration: contradicts session.maxMinutes: remove one of them`,
		"session: {keyArn: alias/mine}":                                                                      `session.keyArn: "alias/mine" is not the ARN of a KMS key: write it whole, such as arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab`,
		"session: {keyArn: 'arn:aws:kms:eu-west-1:123456789012:alias/a'}":                                    `session.keyArn: "arn:aws:kms:eu-west-1:123456789012:alias/a" is the ARN of an alias, which a policy doesn't take for its key: write the ARN of the key, which ends in key/ and its ID`,
		"session: {ownKey: true, keyArn: 'arn:aws:kms:eu-west-1:123456789012:key/a'}":                        `session.ownKey: contradicts session.keyArn: remove one of them`,
		"session: {runAs: {tagOnly: true, agentUser: true}}":                                                 `session.runAs.agentUser: contradicts session.runAs.tagOnly: remove one of them`,
		"session: {runAs: {tagOnly: true, user: alice}}":                                                     `session.runAs.user: "alice" is set together with tagOnly or agentUser: remove one of them`,
		"session: {runAs: {user: root}}":                                                                     `session.runAs.user: "root" is refused by Session Manager too: name a user of the hosts who may not become root, or set session.runAs.tagOnly`,
		"session: {runAs: {user: ssm-user}}":                                                                 `session.runAs.user: "ssm-user" may become root without a password: name a user of the hosts who may not become root, or set session.runAs.tagOnly, or set session.runAs.agentUser to give that up knowingly`,
		"session: {runAs: {user: Al}}":                                                                       `session.runAs.user: "Al" can't be the name of an OS user: use a lower-case letter, then letters, digits, ., _ and -, up to 32`,
		"session: {runAs: {user: al}}\nbastion: {host: {people: {sudo: [al]}}}":                              `session.runAs.user: "al" may become root by bastion.host.people.sudo, and everybody without a tag becomes this user: name a user of the hosts who may not become root, or set session.runAs.tagOnly`,
		"session: {shellProfile: {linux: 'echo {{ x }}'}}":                                                   `session.shellProfile.linux: has {{, with which Systems Manager begins a parameter: call a script that is on the host`,
		"session: {targets: [{}]}":                                                                           `session.targets[0]: has neither or both of instanceIds and tags: write one of them`,
		"session: {targets: [{instanceIds: [mine]}]}":                                                        `session.targets[0].instanceIds[0]: "mine" has the wrong form: write the ID of an instance, such as i-0123456789abcdef0`,
		"session: {idleMinutes: 9}\nbastion: {absent: true}":                                                 `session.targets: is missing, and bastion.absent leaves nothing else that session.idleMinutes could be for: name instances of yours, or remove the other keys of session`,
		"watch: {sessions: {notices: true, quiet: [a b]}}":                                                   `watch.sessions.quiet[0]: "a b" has the wrong form: write the name of a session document, 3 to 128 letters, digits and _.-`,
		"watch: {sessions: {notices: true, quiet: [Orders, Orders]}}":                                        `watch.sessions.quiet[1]: "Orders" is in the list already: leave one out`,
		"watch: {sessions: {resumed: true}}":                                                                 `watch.sessions.notices: is missing, but other keys say which notices to send: set it to true, or remove them`,
		"tunnels: [{port: 80}]":                                                                              `tunnels[0].name: is missing: say what it leads to, such as "Orders"`,
		"tunnels: [{name: my db, port: 80}]":                                                                 `tunnels[0].name: "my db" has the wrong form: begin with a letter, then letters and digits, 50 at most`,
		"tunnels: [{name: A, port: 80}, {name: a, port: 81}]":                                                `tunnels[1].name: "a" is the name of tunnels[0] too: give it another`,
		"tunnels: [{name: A}]":                                                                               `tunnels[0].port: 0 is out of range: use 1 to 65535`,
		"tunnels: [{name: A, port: 80, localPort: 70000}]":                                                   `tunnels[0].localPort: 70000 is out of range: use 1 to 65535`,
		"tunnels: [{name: A, port: 80, idleMinutes: 90}]":                                                    `tunnels[0].idleMinutes: 90 is out of range: use 1 to 60`,
		"tunnels: [{name: A, port: 80, idleMinutes: 9, maxMinutes: 8}]":                                      `tunnels[0].maxMinutes: 8 is less than idleMinutes 9: use 9 or more, or fewer idleMinutes`,
		"tunnels: [{name: A, port: 80, host: db.internal}]":                                                  `tunnels[0].securityGroupId: is missing: write the ID of the host's own group, such as sg-0123456789abcdef0: the bastion is let out to it, and in there`,
		"tunnels: [{name: A, port: 80, securityGroupId: sg-0123456789abcdef0}]":                              `tunnels[0].host: is missing, but securityGroupId says that there is one: name the host, or remove securityGroupId for a port of the bastion`,
		"tunnels: [{name: A, port: 80, host: 169.254.169.254, securityGroupId: sg-0123456789abcdef0}]":       `tunnels[0].host: 169.254.169.254 is the instance metadata, which the agent on the instance forwards nothing to: name the host that you mean: a tunnel leads to no other address of the instance's surroundings`,
		"tunnels: [{name: A, port: 80, host: 10.0.0.2, securityGroupId: sg-0123456789abcdef0}]":              `tunnels[0].host: 10.0.0.2 is one of the first four or the last address of 10.0.0.0/16, which AWS keeps and the agent on the instance forwards nothing to: name the host that you mean: none can have this address`,
		"bastion: {absent: true}\ntunnels: [{name: A, port: 80}]":                                            `tunnels[0]: goes through the bastion, which bastion.absent leaves out: keep the bastion, with bastion.address none where it needs no public address`,
		"operators: [{users: [al], viewer: true}]":                                                           `operators[0].name: is missing: say who it is for, such as "Developers"`,
		"operators: [{name: A, users: [al], viewer: true}, {name: a, users: [al], viewer: true}]":            `operators[1].name: "a" is the name of operators[0] too: give it another`,
		"operators: [{name: A, viewer: true}]":                                                               `operators[0]: is for nobody: write users, groups, roleArns or permissionSet`,
		"operators: [{name: A, users: [al]}]":                                                                `operators[0]: may do nothing: set at least one of viewer, shell, ssh, tunnels, instanceConnect and breakGlass`,
		"operators: [{name: A, users: ['a b'], viewer: true}]":                                               `operators[0].users[0]: "a b" has the wrong form: write the name alone, such as alice`,
		"operators: [{name: A, roleArns: [Developer], viewer: true}]":                                        `operators[0].roleArns[0]: "Developer" is not the ARN of a role: write it whole, such as arn:aws:iam::123456789012:role/Developer`,
		"operators: [{name: A, roleArns: ['arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_A_0123456789abcdef'], viewer: true}]": `operators[0].roleArns[0]: "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_A_0123456789abcdef" is a role of IAM Identity Center, which nobody else may change: set permissionSet, and put the policy in the output into the permission set`,
		"operators: [{name: A, roleArns: ['arn:aws:iam::123456789012:role/A'], viewer: true}]\naccount: '210987654321'":                                       `operators[0].roleArns[0]: "arn:aws:iam::123456789012:role/A" is not in account 210987654321, and only roles there can be given a policy: name a role of that account, which people of another may assume`,
		"operators: [{name: A, users: [al], shell: true}]\nsession: {absent: true}":                                                                           `operators[0].shell: is for a door that is not built: there is no session document: remove session.absent, or name session.targets where there is no bastion`,
		"operators: [{name: A, users: [al], ssh: true}]":                                                                                                      `operators[0].ssh: is for a door that is not built: set session.ssh`,
		"operators: [{name: A, users: [al], tunnels: [Orders]}]":                                                                                              `operators[0].tunnels[0]: "Orders" is a tunnel that is not built: add it to tunnels`,
		"operators: [{name: A, users: [al], tunnels: [Order]}]\ntunnels: [{name: Orders, port: 80}]":                                                          `operators[0].tunnels[0]: "Order" is not known: did you mean "Orders"? use one of Orders`,
		"operators: [{name: A, users: [al], tunnels: [A, A]}]\ntunnels: [{name: A, port: 80}]":                                                                `operators[0].tunnels[1]: "A" is in the list already: leave one out`,
		"operators: [{name: A, users: [al], instanceConnect: {rdp: {}}}]\ninstanceConnect: {absent: true}":                                                    `operators[0].instanceConnect: is for a door that is not built: remove instanceConnect.absent`,
		"operators: [{name: A, users: [al], instanceConnect: {ssh: {}}}]\nbastion: {absent: true}":                                                            `operators[0].instanceConnect.ssh.instanceTags: is missing, and there is no bastion to push keys to: name the tags of the instances`,
		"operators: [{name: A, users: [al], instanceConnect: {ssh: {users: [root]}}}]":                                                                        `operators[0].instanceConnect.ssh.users[0]: "root" is nobody in particular: name a user, who may be given sudo on the host`,
		"operators: [{name: A, users: [al], instanceConnect: {rdp: {cidrs: [0.0.0.0/0]}}}]":                                                                   `operators[0].instanceConnect.rdp.cidrs[0]: "0.0.0.0/0" is every address: leave the list out for all that the endpoint reaches`,
		"operators: [{name: A, users: [al], instanceConnect: {rdp: {maxMinutes: 61}}}]":                                                                       `operators[0].instanceConnect.rdp.maxMinutes: 61 is out of range: use 1 to 60`,
		"operators: [{name: A, permissionSet: true, breakGlass: true}]":                                                                                       `operators[0].only.mfaAskedElsewhere: is not set, but requests of a role tell of no second factor: only its trust policy, the identity provider or Identity Center can ask for it: have one of them ask, and set it; or name users or groups`,
		"operators: [{name: A, users: [al], viewer: true, only: {mfaMaxAgeMinutes: 9999}}]":                                                                   `operators[0].only.mfaMaxAgeMinutes: 9999 is out of range: use 1 to 2160`,
		"operators: [{name: A, users: [al], viewer: true, only: {mfaMaxAgeMinutes: 9, withoutMfa: true}}]":                                                    `operators[0].only.withoutMfa: contradicts mfaMaxAgeMinutes: remove one of them`,
		"operators: [{name: A, users: [al], viewer: true, only: {until: tomorrow}}]":                                                                          `operators[0].only.until: "tomorrow" is no moment: write a date such as 2026-12-24, or a time such as 2026-12-24T12:00:00Z`,
		"operators: [{name: A, users: [al], viewer: true, only: {from: 2031-01-02, until: 2031-01-01}}]":                                                      `operators[0].only.until: 2031-01-01 is not after from, 2031-01-02: put it after from`,
		"operators: [{name: A, users: [al], viewer: true, only: {sourceCidrs: [203.0.113.7]}}]":                                                               `operators[0].only.sourceCidrs[0]: "203.0.113.7" is not a CIDR block: for this one address write 203.0.113.7/32`,
		"operators: [{name: A, users: [al], viewer: true, only: {vpcEndpointIds: [mine]}}]":                                                                   `operators[0].only.vpcEndpointIds[0]: "mine" has the wrong form: write the ID of an interface endpoint, such as vpce-0123456789abcdef0`,
		"operators: [{name: A, users: [al], viewer: true, only: {timeZone: Europe/Berlin}}]":                                                                  `operators[0].only.timeZone: is set, but there are no weekly hours: add weekly, or remove it`,
		"operators: [{name: A, users: [al], viewer: true, only: {timeZone: Berlin, weekly: [{from: '08:00', until: '09:00'}]}}]":                              `operators[0].only.timeZone: "Berlin" is not a time zone: use a name of the IANA time zone database, such as Europe/Berlin, or none for UTC`,
		"operators: [{name: A, permissionSet: true, viewer: true, only: {weekly: [{from: '08:00', until: '09:00'}]}}]":                                        `operators[0].only.weekly: is not for a permission set: nobody but IAM Identity Center may change its roles: let the people assume a role of the account, and name that in roleArns`,
		"operators: [{name: A, users: [al], viewer: true, only: {weekly: [{from: '8', until: '09:00'}]}}]":                                                    `operators[0].only.weekly[0].from: "8" is no time of day: write hours and minutes, such as 08:00`,
		"operators: [{name: A, users: [al], viewer: true, only: {weekly: [{from: '24:30', until: '09:00'}]}}]":                                                `operators[0].only.weekly[0].from: "24:30" is no time of day: write hours and minutes, such as 08:00`,
		"operators: [{name: A, users: [al], viewer: true, only: {weekly: [{from: '18:00', until: '09:00'}]}}]":                                                `operators[0].only.weekly[0].until: 09:00 is not after from, 18:00: put it after from; what goes past midnight is two windows`,
		"operators: [{name: A, users: [al], viewer: true, only: {weekly: [{days: [Monday], from: '08:00', until: '09:00'}]}}]":                                `operators[0].only.weekly[0].days[0]: "Monday" is not known: use one of SUN, MON, TUE, WED, THU, FRI, SAT`,
		"operators: [{name: A, users: [al], viewer: true, only: {weekly: [{from: '08:00', until: '12:00'}, {days: [MON], from: '11:00', until: '13:00'}]}}]":  `operators[0].only.weekly[1]: overlaps with weekly[0] on MON: make one window of them`,
		"bastion: {host: {relay: {port: 1080}}}":                                                                                                              `bastion.host.relay.port: is set, but there are no targets: name targets, or remove it`,
		"bastion: {host: {relay: {targets: [{name: a, host: a.internal, port: 80}]}}}":                                                                        `bastion.host.relay.targets[0].securityGroupId: is missing: write the ID of the target's own group, such as sg-0123456789abcdef0: the bastion is let out to it, and in there`,
		"tunnels: [{name: Relay, port: 80}]":                                                                                                                  `tunnels[0].name: "Relay" is the tunnel to bastion.host.relay: give it another`,
		"session: {accountDefault: adopt}":                                                                                                                    `session.accountDefault: "adopt" is not known: use one of create, merge, replace`,
		"session: {functionFile: f.zip}":                                                                                                                      `session.functionFile: is set, but session.accountDefault is not, which it is for: set that, or remove it`,
		"watch: {topicArn: mytopic}":                                                                                                                          `watch.topicArn: "mytopic" is not the ARN of an SNS topic: write it whole, such as arn:aws:sns:eu-west-1:123456789012:OnCall`,
	} {
		_, err := config.Parse([]byte(text))
		assert.EqualError(t, err, want, text)
	}
}

func TestVpcSubnetsMustMatchTheirZones(t *testing.T) {
	_, err := config.Parse([]byte(`
network:
  vpc:
    id: vpc-0123456789abcdef0
    availabilityZones: [eu-west-1a, eu-west-1b]
    publicSubnetIds: [subnet-0123456789abcdef0]
    publicRouteTableIds: [rtb-0123456789abcdef0, rtb-0123456789abcdef1]
`))
	assert.EqualError(t, err, "network.vpc.publicSubnetIds: has 1 subnets for 2 zones: name one for each zone, in the zones' order\n"+
		"network.vpc.publicRouteTableIds: has 2 route tables for 1 subnets: name one for each subnet, in the subnets' order")
}

func TestNotYAML(t *testing.T) {
	_, err := config.Parse([]byte("a: [b"))
	assert.ErrorContains(t, err, "not YAML or JSON")
}

func TestLoad(t *testing.T) {
	c, err := config.Load(nil)
	require.NoError(t, err)
	assert.Equal(t, config.Default(), c)

	file := filepath.Join(t.TempDir(), "postern.yaml")
	require.NoError(t, os.WriteFile(file, []byte("name: Gate\n"), 0o600))
	c, err = config.Load(file)
	require.NoError(t, err)
	assert.Equal(t, "Gate", c.Name)

	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(`{"name": "Gate", "bastion": {"maxInstanceLifetimeDays": 30}}`), &object))
	c, err = config.Load(object)
	require.NoError(t, err)
	assert.Equal(t, 30, c.Bastion.MaxInstanceLifetimeDays)

	_, err = config.Load("/nowhere/postern.yaml")
	assert.ErrorContains(t, err, "-c postern=/nowhere/postern.yaml: open /nowhere/postern.yaml")

	require.NoError(t, os.WriteFile(file, []byte("nam: Gate\n"), 0o600))
	_, err = config.Load(file)
	assert.ErrorContains(t, err, file+":\nnam: ")
}

func FuzzParse(f *testing.F) {
	f.Add("bastion: {allowedCidrs: [0.0.0.0/0]}")
	f.Add("a: &a [*a]")
	f.Add("targets: [{}]")
	f.Add("network: {vpc: {id: x, publicSubnetIds: [1]}}")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Parse([]byte(text))
		if (c == nil) == (err == nil) {
			t.Fatal("either a configuration or an error")
		}
	})
}

// What would lose evidence or alarms without a word is refused with the reason, all
// of it at once.
func TestEvidenceFaultsAtOnce(t *testing.T) {
	callers := make([]string, 20)
	for i := range callers {
		callers[i] = fmt.Sprintf("arn:aws:iam::123456789012:role/a-scanner-with-a-long-name-%d", i)
	}
	_, err := config.Parse([]byte(`
account: "123456789012"
region: eu-west-1
archive:
  objectLock: compliance
  expireAfterDays: 91
  glacierAfterDays: 120
  logAccount:
    bucketName: logs
    keyArn: arn:aws:kms:eu-west-1:123456789012:key/a
    destinationArn: arn:aws:logs:eu-west-1:123456789012:destination:d
watch:
  topicArn: arn:aws:sns:eu-west-1:123456789012:pager
  topicKeyArn: arn:aws:kms:eu-west-1:123456789012:alias/aws/sns
  timeZone: Europe/Bielefeld
  officeHours: {from: "08:00", until: "18:00"}
  account: {alarms: true, quietCallers: [` + strings.Join(callers, ", ") + `]}
`))
	require.Error(t, err)
	got := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		`archive.objectLockDays: is missing, but archive.objectLock is compliance, which nobody can shorten or lift, not even AWS: spell out how many days nothing can be deleted, such as 365, or choose governance`,
		`archive.expireAfterDays: 91 is before the end of the lock, which lasts 365 days: use 365 or more, or fewer archive.objectLockDays`,
		`archive.logAccount.keyArn: 123456789012 is this account itself, where evidence is within reach of those it is about: name the archive of another account, or remove archive.logAccount to have an archive here`,
		`watch.topicKeyArn: "arn:aws:kms:eu-west-1:123456789012:alias/aws/sns" is AWS's own key, which CloudWatch and EventBridge can't use: alarms and notices would be lost, and nothing would say so: encrypt the topic with a customer managed key whose policy lets cloudwatch.amazonaws.com and events.amazonaws.com use it`,
		`watch.timeZone: "Europe/Bielefeld" is not a time zone: use a name of the IANA time zone database, such as Europe/Berlin, or none for UTC`,
	} {
		assert.Contains(t, got, want)
	}
	assert.Regexp(t, `(?m)^watch\.account\.quietCallers: .*1,?024`, err.Error())
}
