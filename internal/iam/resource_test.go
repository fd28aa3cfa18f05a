package iam_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/iam"
)

func TestEvaluateResource(t *testing.T) {
	const (
		home, away = "111122223333", "444455556666"
		object     = "arn:aws:s3:::evidence/x"
		key        = "arn:aws:kms:eu-west-1:111122223333:key/k"
	)
	carol := iam.Caller{ARN: "arn:aws:sts::111122223333:assumed-role/Operators/carol"}
	stranger := iam.Caller{ARN: "arn:aws:iam::444455556666:user/eve"}
	logs := iam.Caller{Service: "logs.amazonaws.com"}
	resource := func(statement string) string {
		return `{"Version": "2012-10-17", "Statement": [` + statement + `]}`
	}
	allow := func(principal string) string {
		return resource(`{"Effect": "Allow", "Principal": ` + principal + `, "Action": ["s3:GetObject", "kms:Decrypt"], "Resource": "*"}`)
	}
	deny := func(principal string) string {
		return resource(`{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Principal": ` + principal + `, "Action": "s3:*", "Resource": "*"}`)
	}
	everything, err := iam.Parse("everything", []byte(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}`))
	require.NoError(t, err)
	nothing, err := iam.Parse("nothing", []byte(`{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}`))
	require.NoError(t, err)

	for name, test := range map[string]struct {
		who    iam.Caller
		own    *iam.Policy
		policy string
		key    bool
		want   bool
	}{
		"own policy is enough at home":                   {carol, everything, allow(`{"Service": "other.amazonaws.com"}`), false, true},
		"own policy is not enough for a key":             {carol, everything, allow(`{"Service": "other.amazonaws.com"}`), true, false},
		"a key leaves it to the account":                 {carol, everything, allow(`{"AWS": "arn:aws:iam::111122223333:root"}`), true, true},
		"a key leaves it to the account by its number":   {carol, everything, allow(`{"AWS": "111122223333"}`), true, true},
		"left to the account is no grant":                {carol, nil, allow(`{"AWS": "111122223333"}`), true, false},
		"left to another account":                        {carol, everything, allow(`{"AWS": "444455556666"}`), true, false},
		"resource's policy is enough at home":            {carol, nil, allow(`{"AWS": "arn:aws:iam::111122223333:role/Operators"}`), false, true},
		"a session by its own name":                      {carol, nil, allow(`{"AWS": "arn:aws:sts::111122223333:assumed-role/Operators/carol"}`), true, true},
		"another session":                                {carol, nil, allow(`{"AWS": "arn:aws:sts::111122223333:assumed-role/Operators/dan"}`), false, false},
		"another role":                                   {carol, nil, allow(`{"AWS": "arn:aws:iam::111122223333:role/Operator"}`), false, false},
		"everybody":                                      {carol, nil, allow(`{"AWS": "*"}`), false, true},
		"own denial wins":                                {carol, nothing, allow(`"*"`), false, false},
		"resource's denial wins":                         {carol, everything, deny(`"*"`), false, false},
		"denial of the account":                          {carol, everything, deny(`{"AWS": "111122223333"}`), false, false},
		"denial of another account":                      {carol, everything, deny(`{"AWS": "444455556666"}`), false, true},
		"denial of others by ARN":                        {carol, everything, deny(`{"AWS": ["arn:aws:iam::111122223333:role/Others"]}`), false, true},
		"across accounts both":                           {stranger, everything, allow(`{"AWS": "arn:aws:iam::444455556666:user/eve"}`), false, true},
		"across accounts both, by the account":           {stranger, everything, allow(`{"AWS": "444455556666"}`), true, true},
		"across accounts not the own alone":              {stranger, everything, allow(`{"AWS": "111122223333"}`), false, false},
		"across accounts not the resource's alone":       {stranger, nil, allow(`"*"`), false, false},
		"a service":                                      {logs, nil, allow(`{"Service": "logs.amazonaws.com"}`), true, true},
		"one of two services":                            {logs, nil, allow(`{"Service": ["s3.amazonaws.com", "logs.amazonaws.com"]}`), true, true},
		"another service":                                {logs, nil, allow(`{"Service": "logs.eu-west-1.amazonaws.com"}`), true, false},
		"a service is everybody, too":                    {logs, nil, deny(`"*"`), false, false},
		"nobody in particular, where everybody may":      {iam.Caller{}, nil, allow(`"*"`), false, true},
		"nobody in particular, where an account may":     {iam.Caller{}, nil, allow(`{"AWS": "111122223333"}`), false, false},
		"an action of another statement":                 {logs, nil, resource(`{"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "*"}`), false, false},
		"a condition that is not met":                    {logs, nil, resource(`{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {"StringEquals": {"aws:SourceAccount": "444455556666"}}}`), false, false},
		"a resource that is another":                     {logs, nil, resource(`{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::evidence/y"}`), false, false},
		"what own policies allow is not what others ask": {logs, everything, resource(`{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "s3:*", "Resource": "*"}`), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			policy, err := iam.ParseResource("P", []byte(test.policy))
			require.NoError(t, err)
			r := iam.Request{Action: "s3:GetObject", Resource: object, Context: iam.Context{"aws:SourceAccount": home}}
			if test.key {
				r.Action, r.Resource = "kms:Decrypt", key
			}
			var own []*iam.Policy
			if test.own != nil {
				own = append(own, test.own)
			}
			assert.Equal(t, test.want, iam.EvaluateResource(test.who, own, home, policy, r).Allowed)
		})
	}
	assert.NotEqual(t, home, away)
}

func TestParseResourceRefuses(t *testing.T) {
	for statement, want := range map[string]string{
		`{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}`:                                                "policy P, statement 1: needs Principal",
		`{"Effect": "Allow", "Principal": "me", "Action": "s3:*", "Resource": "*"}`:                             `policy P, statement 1: has Principal "me", which is not "*"`,
		`{"Effect": "Allow", "Principal": {"Federated": "x"}, "Action": "s3:*", "Resource": "*"}`:               `policy P, statement 1: has Principal Federated "x", which can't be judged here`,
		`{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::*:root"}, "Action": "s3:*", "Resource": "*"}`:   `policy P, statement 1: has Principal AWS "arn:aws:iam::*:root", which can't be judged here`,
		`{"Effect": "Allow", "Principal": {"Service": "*.amazonaws.com"}, "Action": "s3:*", "Resource": "*"}`:   `policy P, statement 1: has Principal Service "*.amazonaws.com", which can't be judged here`,
		`{"Sid": "S", "Effect": "Allow", "Principal": "*", "Action": "s3:*"}`:                                   "policy P, S: needs Resource or NotResource, one of the two and not empty",
		`{"Effect": "Allow", "Principal": [1], "Action": "s3:*", "Resource": "*"}`:                              "policy P, statement 1: has Principal [1]: json: cannot unmarshal array into Go value of type map[string]iam.list",
		`{"Effect": "Deny", "Principal": "*", "NotPrincipal": {"AWS": "1"}, "Action": "s3:*", "Resource": "*"}`: `policy P, statement 1: is not an identity-based policy that can be judged: json: unknown field "NotPrincipal"`,
	} {
		_, err := iam.ParseResource("P", []byte(`{"Version": "2012-10-17", "Statement": [`+statement+`]}`))
		assert.EqualError(t, err, want)
	}
	_, err := iam.ParseResource("P", []byte(`{"Version": "2020", "Statement": []}`))
	assert.EqualError(t, err, `policy P: Version "2020" is not one of IAM's`)
}
