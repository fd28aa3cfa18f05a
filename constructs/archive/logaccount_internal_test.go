package archive

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestSourcesWithDefaults(t *testing.T) {
	var none *Sources
	assert.Nil(t, none.withDefaults())

	given := &Sources{Accounts: []string{"111122223333"}}
	filled := given.withDefaults()
	assert.Equal(t, &Sources{Accounts: []string{"111122223333"}, Buffer: 5 * time.Minute}, filled)
	filled.Accounts[0] = "x"
	assert.Equal(t, &Sources{Accounts: []string{"111122223333"}}, given, "the caller's stay as they are")
}

func TestSourcesValidate(t *testing.T) {
	many := make([]string, MaxAccounts+1)
	for i := range many {
		many[i] = "${Token[A.1]}"
	}
	for name, test := range map[string]struct {
		sources Sources
		want    string
	}{
		"accounts":        {Sources{Accounts: []string{"111122223333", "444455556666"}}, ""},
		"organization":    {Sources{OrganizationID: "o-a1b2c3d4e5"}, ""},
		"both":            {Sources{Accounts: []string{"111122223333"}, OrganizationID: "o-a1b2c3d4e5", Buffer: 15 * time.Minute}, ""},
		"tokens":          {Sources{Accounts: []string{"${Token[A.1]}"}, OrganizationID: "${Token[B.2]}"}, ""},
		"nobody":          {Sources{}, ": names nobody: name Accounts or an OrganizationID, or leave Sources out"},
		"eleven digits":   {Sources{Accounts: []string{"11112222333"}}, `Accounts[0]: "11112222333" is not the ID of an account: write its 12 digits, such as 111122223333`},
		"an alias":        {Sources{Accounts: []string{"111122223333", "prod"}}, `Accounts[1]: "prod" is not the ID of an account: write its 12 digits, such as 111122223333`},
		"everyone":        {Sources{Accounts: []string{"*"}}, `Accounts[0]: "*" is not the ID of an account: write its 12 digits, such as 111122223333`},
		"twice":           {Sources{Accounts: []string{"111122223333", "111122223333"}}, `Accounts[1]: "111122223333" is named before: leave it out`},
		"too many":        {Sources{Accounts: many}, "Accounts: 26 accounts are more than the 25 whose policies fit into one bucket: name the OrganizationID alone, or make a second archive"},
		"an OU":           {Sources{OrganizationID: "ou-ab12-34567890"}, `OrganizationID: "ou-ab12-34567890" is not the ID of an organization: write it as AWS Organizations does, such as "o-a1b2c3d4e5"`},
		"any":             {Sources{OrganizationID: "o-*"}, `OrganizationID: "o-*" is not the ID of an organization: write it as AWS Organizations does, such as "o-a1b2c3d4e5"`},
		"buffer short":    {Sources{OrganizationID: "o-a1b2c3d4e5", Buffer: time.Second}, "Buffer: 1s is out of range: use 1m0s to 15m0s"},
		"buffer long":     {Sources{OrganizationID: "o-a1b2c3d4e5", Buffer: time.Hour}, "Buffer: 1h0m0s is out of range: use 1m0s to 15m0s"},
		"buffer uneven":   {Sources{OrganizationID: "o-a1b2c3d4e5", Buffer: 90*time.Second + 1}, "Buffer: 1m30.000000001s is not: use whole seconds"},
		"all at once":     {Sources{Accounts: []string{"x"}, OrganizationID: "y"}, "Accounts[0]: \"x\" is not the ID of an account: write its 12 digits, such as 111122223333\nOrganizationID: \"y\" is not the ID of an organization: write it as AWS Organizations does, such as \"o-a1b2c3d4e5\""},
		"the rest of org": {Sources{OrganizationID: "o-a1b2c3d4e5/r-ab12"}, `OrganizationID: "o-a1b2c3d4e5/r-ab12" is not the ID of an organization: write it as AWS Organizations does, such as "o-a1b2c3d4e5"`},
	} {
		t.Run(name, func(t *testing.T) {
			cdktest.EqualError(t, test.sources.withDefaults().validate(), test.want)
		})
	}
}

func TestSourcesOfTheOwnAccount(t *testing.T) {
	s := &Sources{Accounts: []string{"111122223333", "444455556666"}}
	require.NoError(t, s.validateIn("999988887777"))
	require.NoError(t, s.validateIn("${Token[AWS.AccountId.4]}"))
	require.EqualError(t, s.validateIn("444455556666"), "Sources.Accounts[1]: 444455556666 is the account of the archive itself: "+
		"leave it out: what is recorded in the archive's own account needs no mention")
}

func TestLogAccountProps(t *testing.T) {
	const (
		bucket      = "evidence-archivebucket-1a2b3c"
		key         = "arn:aws:kms:eu-west-1:999988887777:key/11111111-2222-3333-4444-555555555555"
		destination = "arn:aws:logs:eu-west-1:999988887777:destination:Evidence-Archive"
		outputs     = "paste it from the outputs of the log account's stack"
	)
	good := LogAccountProps{BucketName: bucket, KeyArn: key, DestinationArn: destination}
	with := func(change func(*LogAccountProps)) LogAccountProps {
		p := good
		change(&p)
		return p
	}
	for name, test := range map[string]struct {
		props           LogAccountProps
		account, region string
		want            string
	}{
		"pasted":   {good, "111122223333", "eu-west-1", ""},
		"anywhere": {good, "${Token[AWS.AccountId.4]}", "${Token[AWS.Region.5]}", ""},
		"other Arns": {with(func(p *LogAccountProps) {
			p.KeyArn = "arn:aws-cn:kms:cn-north-1:999988887777:key/mrk-1"
			p.DestinationArn = "arn:aws-cn:logs:cn-north-1:999988887777:destination:D"
		}), "111122223333", "cn-north-1", ""},
		"nothing":       {LogAccountProps{}, "111122223333", "eu-west-1", "BucketName: is missing: " + outputs + "\nKeyArn: is missing: " + outputs + "\nDestinationArn: is missing: " + outputs},
		"a token":       {with(func(p *LogAccountProps) { p.KeyArn = "${Token[K.1]}" }), "111122223333", "eu-west-1", "KeyArn: is only known when the stack is deployed, and the account in it is needed now: " + outputs},
		"a bucket ARN":  {with(func(p *LogAccountProps) { p.BucketName = "arn:aws:s3:::" + bucket }), "111122223333", "eu-west-1", `BucketName: "arn:aws:s3:::` + bucket + `" is not the name of a bucket: ` + outputs},
		"an alias":      {with(func(p *LogAccountProps) { p.KeyArn = "arn:aws:kms:eu-west-1:999988887777:alias/x" }), "111122223333", "eu-west-1", `KeyArn: "arn:aws:kms:eu-west-1:999988887777:alias/x" is not the ARN of a key: ` + outputs + ", such as arn:aws:kms:eu-west-1:999988887777:key/..."},
		"short account": {with(func(p *LogAccountProps) { p.KeyArn = "arn:aws:kms:eu-west-1:99998888777:key/x" }), "111122223333", "eu-west-1", `KeyArn: "arn:aws:kms:eu-west-1:99998888777:key/x" is not the ARN of a key: ` + outputs + ", such as arn:aws:kms:eu-west-1:999988887777:key/..."},
		"the stream": {with(func(p *LogAccountProps) {
			p.DestinationArn = "arn:aws:firehose:eu-west-1:999988887777:deliverystream/S"
		}), "111122223333", "eu-west-1", `DestinationArn: "arn:aws:firehose:eu-west-1:999988887777:deliverystream/S" is not the ARN of a destination of CloudWatch Logs: ` + outputs + ", such as arn:aws:logs:eu-west-1:999988887777:destination:..."},
		"two accounts": {with(func(p *LogAccountProps) { p.DestinationArn = "arn:aws:logs:eu-west-1:555566667777:destination:D" }), "111122223333", "eu-west-1", "DestinationArn: belongs to 555566667777, and KeyArn to 999988887777: " + outputs},
		"two Regions":  {with(func(p *LogAccountProps) { p.KeyArn = "arn:aws:kms:eu-west-2:999988887777:key/x" }), "111122223333", "eu-west-1", "DestinationArn: is in eu-west-1, and KeyArn in eu-west-2: " + outputs},
		"own account": {good, "999988887777", "eu-west-1", "KeyArn: 999988887777 is this stack's own account, where evidence is within reach of those it is about: " +
			"name the archive of another account, or leave Props.LogAccount out to have an archive here"},
		"other Region": {good, "111122223333", "eu-central-1", "DestinationArn: is in eu-west-1 and this stack in eu-central-1, and CloudWatch Logs sends log groups to a destination of their own Region only: " +
			"deploy an archive with Sources to eu-central-1 in the log account, too, and paste its outputs"},
	} {
		t.Run(name, func(t *testing.T) {
			cdktest.EqualError(t, test.props.validate(test.account, test.region), test.want)
		})
	}
}

func TestLogAccountBringsTheBucket(t *testing.T) {
	p := (&Props{LogAccount: &LogAccount{}}).withDefaults()
	require.NoError(t, p.validate())
	assert.Equal(t, Props{LogAccount: p.LogAccount, LogRetentionDays: 365}, p)

	p = (&Props{LogAccount: &LogAccount{}, Bucket: someBucket{}, Sources: &Sources{OrganizationID: "o-a1b2c3d4e5"}, ObjectLock: ObjectLock{Days: 3}}).withDefaults()
	require.EqualError(t, p.validate(), "Bucket: takes the logs in place of the LogAccount's: leave out one of the two\n"+
		"Sources: would send the records of other accounts here, while LogAccount takes this one's away: let the sources name the log account itself\n"+
		"ObjectLock: describes a bucket made here, but LogAccount brings another: leave it out, or leave out LogAccount to have one made")
}
