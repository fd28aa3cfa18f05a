package archive

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

// A bucket that only has to be there.
type someBucket struct{ awss3.IBucket }

func TestWithDefaults(t *testing.T) {
	want := Props{
		ObjectLock:                ObjectLock{Mode: LockGovernance, Days: 365},
		InfrequentAccessAfterDays: 90,
		AccessLogRetentionDays:    365,
		LogRetentionDays:          365,
	}
	var none *Props
	assert.Equal(t, want, none.withDefaults())

	given := &Props{}
	assert.Equal(t, want, given.withDefaults())
	assert.Equal(t, &Props{}, given, "the caller's props stay as they are")

	off := (&Props{ObjectLock: ObjectLock{Mode: LockOff}}).withDefaults()
	assert.Equal(t, ObjectLock{Mode: LockOff}, off.ObjectLock)

	own := (&Props{Bucket: someBucket{}}).withDefaults()
	assert.Equal(t, Props{Bucket: someBucket{}, LogRetentionDays: 365}, own)
}

func TestValidate(t *testing.T) {
	for name, test := range map[string]struct {
		props Props
		want  string
	}{
		"defaults":         {Props{}, ""},
		"compliance":       {Props{ObjectLock: ObjectLock{Mode: LockCompliance, Days: 2555}}, ""},
		"off":              {Props{ObjectLock: ObjectLock{Mode: LockOff}, ExpireAfterDays: 91}, ""},
		"legal hold":       {Props{ObjectLock: ObjectLock{Mode: LockLegalHold}, ExpireAfterDays: 91}, ""},
		"all of lifecycle": {Props{InfrequentAccessAfterDays: 30, GlacierAfterDays: 60, ExpireAfterDays: 365, AccessLogRetentionDays: 1}, ""},
		"every class":      {Props{InfrequentAccessAfterDays: 30, GlacierAfterDays: 60, GlacierFlexibleAfterDays: 150, DeepArchiveAfterDays: 240, ExpireAfterDays: 365}, ""},
		"deep alone":       {Props{DeepArchiveAfterDays: 120}, ""},
		"replica":          {Props{Replica: ReplicaTarget{BucketName: "mine", Region: "eu-central-1", KeyAlias: "alias/mine"}}, ""},
		"own bucket":       {Props{Bucket: someBucket{}}, ""},
		"own access logs":  {Props{AccessLogBucket: someBucket{}}, ""},

		"unknown mode": {
			Props{ObjectLock: ObjectLock{Mode: "complience"}},
			`ObjectLock.Mode: "complience" is not known: did you mean "compliance"? use one of governance, compliance, legal-hold, off`,
		},
		"lock too long": {
			Props{ObjectLock: ObjectLock{Days: 36501}},
			"ObjectLock.Days: 36501 is out of range: use 1 to 36500",
		},
		"off with days": {
			Props{ObjectLock: ObjectLock{Mode: LockOff, Days: 30}},
			"ObjectLock.Days: 30 days are given, but Mode is LockOff: leave it out, or choose LockGovernance or LockCompliance",
		},
		"legal hold with days": {
			Props{ObjectLock: ObjectLock{Mode: LockLegalHold, Days: 30}},
			"ObjectLock.Days: 30 days are given, but Mode is LockLegalHold, which locks nothing by itself: leave it out, or choose LockGovernance or LockCompliance",
		},
		"compliance without days": {
			Props{ObjectLock: ObjectLock{Mode: LockCompliance}},
			"ObjectLock.Days: is empty, but Mode is LockCompliance, which nobody can shorten or lift, not even AWS: spell out how many days nothing can be deleted, such as 365, or choose LockGovernance",
		},
		"infrequent access too early": {
			Props{InfrequentAccessAfterDays: 29},
			"InfrequentAccessAfterDays: 29 is out of range: use 30 to 36500",
		},
		"glacier too early": {
			Props{GlacierAfterDays: 100},
			"GlacierAfterDays: 100 is out of range: objects stay in STANDARD_IA for 30 days or more, from InfrequentAccessAfterDays 90 on: use 120 to 36500",
		},
		"flexible too early": {
			Props{GlacierAfterDays: 120, GlacierFlexibleAfterDays: 200},
			"GlacierFlexibleAfterDays: 200 is out of range: objects stay in GLACIER_IR for 90 days or more, from GlacierAfterDays 120 on: use 210 to 36500",
		},
		"flexible without instant": {
			Props{GlacierFlexibleAfterDays: 119},
			"GlacierFlexibleAfterDays: 119 is out of range: objects stay in STANDARD_IA for 30 days or more, from InfrequentAccessAfterDays 90 on: use 120 to 36500",
		},
		"deep too early": {
			Props{GlacierFlexibleAfterDays: 180, DeepArchiveAfterDays: 269},
			"DeepArchiveAfterDays: 269 is out of range: objects stay in GLACIER for 90 days or more, from GlacierFlexibleAfterDays 180 on: use 270 to 36500",
		},
		"expires before deep": {
			Props{DeepArchiveAfterDays: 400, ExpireAfterDays: 400},
			"ExpireAfterDays: 400 is not later than DeepArchiveAfterDays 400: use 401 or more, or an earlier DeepArchiveAfterDays",
		},
		"replica without a name": {
			Props{Replica: ReplicaTarget{Region: "eu-central-1", KeyAlias: "alias/mine"}},
			"Replica.BucketName: is empty: pass Target() of a Replica, or name the bucket",
		},
		"replica without a Region and a key": {
			Props{Replica: ReplicaTarget{BucketName: "mine", KeyAlias: "mine"}},
			"Replica.Region: is empty: pass Target() of a Replica, or name the Region of the bucket\n" +
				"Replica.KeyAlias: \"mine\" is no alias of a key: pass Target() of a Replica, or write an alias such as \"alias/evidence\"",
		},
		"replica in a Region that nobody knows": {
			Props{Replica: ReplicaTarget{BucketName: "mine", Region: "${Token[AWS.Region.1]}", KeyAlias: "alias/mine"}},
			"Replica.Region: is only known when the stack is deployed: write it out, such as \"eu-central-1\"",
		},
		"replica without a lock": {
			Props{Replica: ReplicaTarget{BucketName: "mine", Region: "eu-central-1", KeyAlias: "alias/mine", replica: &Replica{props: Props{ObjectLock: ObjectLock{Mode: LockOff}}}}},
			"Replica: has ObjectLock LockOff, but S3 copies a bucket with Object Lock (governance) only to another: give the Replica an ObjectLock, such as LockLegalHold",
		},
		"replica that deletes within the lock": {
			Props{Replica: ReplicaTarget{BucketName: "mine", Region: "eu-central-1", KeyAlias: "alias/mine", replica: &Replica{props: Props{ExpireAfterDays: 100}}}},
			"Replica: deletes after 100 days (ExpireAfterDays), before the end of the lock that copies bring along, which lasts 365 days: " +
				"give the Replica ExpireAfterDays 365 or more, or shorten ObjectLock.Days",
		},
		"expires negative": {
			Props{ExpireAfterDays: -1},
			"ExpireAfterDays: -1 is out of range: use 1 to 36500, or 0 for never",
		},
		"expires within the lock": {
			Props{ExpireAfterDays: 364},
			"ExpireAfterDays: 364 is before the end of the lock, which lasts 365 days: use 365 or more, or shorten ObjectLock.Days",
		},
		"expires before the move": {
			Props{ObjectLock: ObjectLock{Days: 30}, ExpireAfterDays: 90},
			"ExpireAfterDays: 90 is not later than InfrequentAccessAfterDays 90: use 91 or more, or an earlier InfrequentAccessAfterDays",
		},
		"expires before glacier": {
			Props{GlacierAfterDays: 400, ExpireAfterDays: 380},
			"ExpireAfterDays: 380 is not later than GlacierAfterDays 400: use 401 or more, or an earlier GlacierAfterDays",
		},
		"access logs negative": {
			Props{AccessLogRetentionDays: -5},
			"AccessLogRetentionDays: -5 is out of range: use 1 to 36500",
		},
		"access log days without a bucket of ours": {
			Props{AccessLogBucket: someBucket{}, AccessLogRetentionDays: 10},
			"AccessLogRetentionDays: 10 is for a bucket made here, but AccessLogBucket brings another: leave it out, or leave out AccessLogBucket to have a bucket made",
		},
		"retention between": {
			Props{LogRetentionDays: 100},
			"LogRetentionDays: 100 is no retention period of CloudWatch Logs: use 90 or 120, the periods next to it",
		},
		"retention below": {
			Props{LogRetentionDays: -1},
			"LogRetentionDays: -1 is no retention period of CloudWatch Logs: use 1, the shortest, or more",
		},
		"retention above": {
			Props{LogRetentionDays: 4000},
			"LogRetentionDays: 4000 is no retention period of CloudWatch Logs: use 3653, the longest",
		},
		"all at once": {
			Props{ObjectLock: ObjectLock{Mode: "x"}, LogRetentionDays: 2},
			"ObjectLock.Mode: \"x\" is not known: use one of governance, compliance, legal-hold, off\n" +
				"LogRetentionDays: 2 is no retention period of CloudWatch Logs: use 1 or 3, the periods next to it",
		},
		"own bucket with what describes ours": {
			Props{
				Bucket: someBucket{}, AccessLogBucket: someBucket{}, ObjectLock: ObjectLock{Mode: LockOff},
				InfrequentAccessAfterDays: 30, GlacierAfterDays: 60, ExpireAfterDays: 90, AccessLogRetentionDays: 1,
				GlacierFlexibleAfterDays: 150, DeepArchiveAfterDays: 240, Inventory: &Inventory{}, Replica: ReplicaTarget{BucketName: "mine"},
			},
			"AccessLogBucket: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made\n" +
				"ObjectLock: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made\n" +
				"InfrequentAccessAfterDays: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made\n" +
				"GlacierAfterDays: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made\n" +
				"GlacierFlexibleAfterDays: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made\n" +
				"DeepArchiveAfterDays: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made\n" +
				"ExpireAfterDays: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made\n" +
				"AccessLogRetentionDays: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made\n" +
				"Inventory: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made\n" +
				"Replica: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := test.props.withDefaults()
			cdktest.EqualError(t, p.validate(), test.want)
		})
	}
}

func TestRetentionsAscend(t *testing.T) {
	for i := 1; i < len(retentions); i++ {
		assert.Less(t, retentions[i-1].days, retentions[i].days)
	}
	value, ok := retention(1096)
	assert.True(t, ok)
	assert.EqualValues(t, "THREE_YEARS", value)
}

func TestReplicaProps(t *testing.T) {
	for name, test := range map[string]struct {
		props        ReplicaProps
		name         string
		made         bool
		region, want string
	}{
		"defaults":      {ReplicaProps{}, "evidence-123456789012-eu-central-1", true, "eu-central-1", ""},
		"account later": {ReplicaProps{}, "evidence-${Token[AWS.AccountId.4]}-eu-central-1", true, "eu-central-1", ""},

		"no Region": {
			ReplicaProps{},
			"evidence-${Token[AWS.AccountId.4]}-${Token[AWS.Region.7]}", true, "${Token[AWS.Region.7]}",
			"scope: is in a stack that names no Region, so the archive can't say where to copy to: give the stack's Env a Region",
		},
		"stack with a long name": {
			ReplicaProps{},
			"evidence-of-access-to-private-networks-123456789012-eu-central-1", true, "eu-central-1",
			`BucketName: is empty, and "evidence-of-access-to-private-networks-123456789012-eu-central-1" is no name of a bucket: name it yourself, 3 to 63 lower-case letters, digits and hyphens`,
		},
		"bad name and lock": {
			ReplicaProps{ObjectLock: ObjectLock{Mode: LockCompliance}},
			"evidence.of.access", false, "eu-central-1",
			`BucketName: "evidence.of.access" is no name of a bucket here: use 3 to 63 lower-case letters, digits and hyphens` + "\n" +
				"ObjectLock.Days: is empty, but Mode is LockCompliance, which nobody can shorten or lift, not even AWS: spell out how many days nothing can be deleted, such as 365, or choose LockGovernance",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := test.props.archiveProps()
			cdktest.EqualError(t, validateReplicaProps(&p, test.name, test.made, test.region), test.want)
		})
	}
}

func TestValidatePlace(t *testing.T) {
	p := Props{Replica: ReplicaTarget{BucketName: "mine", Region: "eu-central-1", KeyAlias: "alias/mine"}}
	require.NoError(t, p.validatePlace("us-east-1"))
	require.NoError(t, p.validatePlace("${Token[AWS.Region.7]}"))
	require.EqualError(t, p.validatePlace("eu-central-1"),
		`Replica.Region: "eu-central-1" is the Region of the archive itself: make the Replica in a stack of another Region`)
}
