package trail

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

type someLogGroup struct{ awslogs.ILogGroup }

func TestDefaults(t *testing.T) {
	var none *Props
	assert.Equal(t, Props{Prefix: "trail"}, none.withDefaults())
	given := &Props{}
	assert.Equal(t, Props{Prefix: "trail"}, given.withDefaults())
	assert.Equal(t, &Props{}, given, "the caller's props stay as they are")
}

func TestValidate(t *testing.T) {
	const nameFix = ": use 3 to 128 letters, digits and ._-, no two of those together, beginning and ending with a letter or digit"
	for name, test := range map[string]struct {
		props Props
		want  string
	}{
		"nothing":    {Props{}, ""},
		"everything": {Props{Name: "Audit-1.all_x", Prefix: "a/b.c/d", LogGroup: someLogGroup{}, RecordObjects: true, OrganizationID: "o-exampleorgid"}, ""},
		"tokens":     {Props{Name: "${Token[TOKEN.1]}", Prefix: "${Token[TOKEN.2]}/", OrganizationID: "${Token[TOKEN.3]}", WithLogGroup: true}, ""},
		"longest":    {Props{Name: strings.Repeat("a", 128), Prefix: strings.Repeat("p", 200)}, ""},
		"short name": {Props{Name: "ab"}, `Name: "ab" is no name of a trail` + nameFix},
		"long name":  {Props{Name: strings.Repeat("a", 129)}, `Name: "` + strings.Repeat("a", 129) + `" is no name of a trail` + nameFix},
		"two dots":   {Props{Name: "a._b"}, `Name: "a._b" is no name of a trail` + nameFix},
		"ends badly": {Props{Name: "audit-"}, `Name: "audit-" is no name of a trail` + nameFix},
		"an address": {Props{Name: "192.168.5.4"}, `Name: "192.168.5.4" is no name of a trail` + nameFix},
		"slashes":    {Props{Prefix: "/trail"}, `Prefix: "/trail" begins or ends with a slash: leave the slashes around it out`},
		"characters": {Props{Prefix: "a b"}, `Prefix: "a b" can't be the folder of a trail: use up to 200 letters, digits and !_.*'()-, with slashes between folders`},
		"empty part": {Props{Prefix: "a//b"}, `Prefix: "a//b" can't be the folder of a trail: use up to 200 letters, digits and !_.*'()-, with slashes between folders`},
		"all at once": {
			Props{Name: "x", Prefix: "trail/", LogGroup: someLogGroup{}, WithLogGroup: true, OrganizationID: "r-abcd"},
			`Name: "x" is no name of a trail` + nameFix + "\n" +
				`Prefix: "trail/" begins or ends with a slash: leave the slashes around it out` + "\n" +
				"WithLogGroup: has a log group made, but LogGroup brings one: leave one of the two out\n" +
				`OrganizationID: "r-abcd" is no ID of an organization: write it as "aws organizations describe-organization" shows it, such as o-exampleorgid`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := test.props.withDefaults()
			cdktest.EqualError(t, p.validate(), test.want)
		})
	}
}

func TestAttributes(t *testing.T) {
	for name, test := range map[string]struct {
		attributes Attributes
		want       string
	}{
		"trail":            {Attributes{TrailArn: "arn:aws:cloudtrail:eu-west-1:111122223333:trail/Audit"}, ""},
		"other partition":  {Attributes{TrailArn: "arn:aws-us-gov:cloudtrail:us-gov-west-1:111122223333:trail/Audit", LogGroupName: "/aws/trail"}, ""},
		"tokens":           {Attributes{TrailArn: "${Token[TOKEN.1]}", LogGroupName: "${Token[TOKEN.2]}"}, ""},
		"nothing":          {Attributes{}, "TrailArn: is empty: take it from aws cloudtrail describe-trails"},
		"name for the arn": {Attributes{TrailArn: "Audit"}, `TrailArn: "Audit" is no ARN of a trail: take it from aws cloudtrail describe-trails, such as arn:aws:cloudtrail:eu-west-1:111122223333:trail/Audit`},
		"arn for the name": {
			Attributes{TrailArn: "arn:aws:cloudtrail:eu-west-1:111122223333:trail/Audit", LogGroupName: "arn:aws:logs:eu-west-1:111122223333:log-group:trail:*"},
			`LogGroupName: "arn:aws:logs:eu-west-1:111122223333:log-group:trail:*" is no name of a log group: write the name alone: up to 512 letters, digits and _./#-`,
		},
	} {
		t.Run(name, func(t *testing.T) { cdktest.EqualError(t, test.attributes.validate(), test.want) })
	}
}
