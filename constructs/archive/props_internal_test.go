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
			},
			"AccessLogBucket: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made\n" +
				"ObjectLock: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made\n" +
				"InfrequentAccessAfterDays: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made\n" +
				"GlacierAfterDays: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made\n" +
				"ExpireAfterDays: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made\n" +
				"AccessLogRetentionDays: describes a bucket made here, but Bucket brings another: leave it out, or leave out Bucket to have one made",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := test.props.withDefaults()
			err := p.validate()
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, test.want)
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
