package check_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/check"
)

func TestCIDR(t *testing.T) {
	for _, good := range []string{"203.0.113.0/24", "10.0.0.1/32", "2001:db8::/32", "0.0.0.0/0", "${Token[TOKEN.24]}"} {
		assert.Nil(t, check.CIDR(good), good)
	}
	for given, want := range map[string]string{
		"203.0.113.7":     `"203.0.113.7" is not a CIDR block: for this one address write 203.0.113.7/32`,
		"2001:db8::1":     `"2001:db8::1" is not a CIDR block: for this one address write 2001:db8::1/128`,
		"10.0.0.0/33":     `"10.0.0.0/33" is not a CIDR block: write an address and a prefix length, such as 203.0.113.0/24`,
		"office":          `"office" is not a CIDR block: write an address and a prefix length, such as 203.0.113.0/24`,
		"203.0.113.9/24":  `"203.0.113.9/24" has bits set outside its prefix: write 203.0.113.0/24 for the block or 203.0.113.9/32 for the address`,
		"":                `"" is not a CIDR block: write an address and a prefix length, such as 203.0.113.0/24`,
		"203.0.113.0/24 ": `"203.0.113.0/24 " is not a CIDR block: write an address and a prefix length, such as 203.0.113.0/24`,
	} {
		var faults check.Faults
		faults.Check("f", check.CIDR(given))
		assert.EqualError(t, faults.Err(), "f: "+want)
	}
}

func TestEveryone(t *testing.T) {
	assert.True(t, check.Everyone("0.0.0.0/0"))
	assert.True(t, check.Everyone("::/0"))
	assert.False(t, check.Everyone("0.0.0.0/1"))
	assert.False(t, check.Everyone("nonsense"))
}

func TestRanges(t *testing.T) {
	assert.Nil(t, check.Port(1))
	assert.Nil(t, check.Port(65535))
	assert.NotNil(t, check.Port(0))
	assert.NotNil(t, check.Port(65536))
	assert.Nil(t, check.Within(time.Minute, time.Minute, time.Hour))
	assert.Equal(t, "1h0m1s is out of range", check.Within(time.Hour+time.Second, time.Minute, time.Hour).Problem)
}

func TestOneOfNamesTheNearest(t *testing.T) {
	assert.Nil(t, check.OneOf("governance", "governance", "compliance"))
	assert.Contains(t, check.OneOf("complience", "governance", "compliance").Fix, `did you mean "compliance"?`)
	assert.NotContains(t, check.OneOf("zzz", "governance", "compliance").Fix, "did you mean")
}

func TestEmail(t *testing.T) {
	assert.Nil(t, check.Email("oncall@example.com"))
	assert.NotNil(t, check.Email("On Call <oncall@example.com>"))
	assert.NotNil(t, check.Email("oncall"))
}

func TestNearest(t *testing.T) {
	known := []string{"allowedCidrs", "address", "image"}
	assert.Equal(t, "allowedCidrs", check.Nearest("alowedCIDRs", known))
	assert.Equal(t, "image", check.Nearest("imgae", known), "swapped letters")
	assert.Empty(t, check.Nearest("colour", known))
}

func TestFaultsAreKeptApartAndInOrder(t *testing.T) {
	var inner check.Faults
	inner.Add("[1]", "is bad", "mend it")
	inner.Add("Name", "is bad too", "")
	wrapped := fmt.Errorf("bastion %q: %w", "S/B", inner.Err())

	var outer check.Faults
	require.NoError(t, outer.Err())
	outer.Merge("Cidrs", wrapped)
	outer.Merge("", errors.New("plain"))
	assert.EqualError(t, outer.Err(), "Cidrs[1]: is bad: mend it\nCidrs.Name: is bad too\n: plain")
}

func TestDocumentName(t *testing.T) {
	for _, name := range []string{"Orders-Database", "a.b", "x_1", "${Token[TOKEN.1]}-x", strings.Repeat("x", 128), "maws"} {
		assert.Nil(t, check.DocumentName(name), name)
	}
	for name, want := range map[string]string{
		"":           `"" can't be the name of a document: use 3 to 128 letters, digits and _.-`,
		"ab":         `"ab" can't be the name of a document: use 3 to 128 letters, digits and _.-`,
		"a b c":      `"a b c" can't be the name of a document: use 3 to 128 letters, digits and _.-`,
		"aws-orders": `"aws-orders" begins with "aws", which is for AWS alone: begin it with another word`,
		"AWSEC2-x":   `"AWSEC2-x" begins with "AWS", which is for AWS alone: begin it with another word`,
		"Amazon-x":   `"Amazon-x" begins with "Amazon", which is for AWS alone: begin it with another word`,
		"amznOrders": `"amznOrders" begins with "amzn", which is for AWS alone: begin it with another word`,
	} {
		fault := check.DocumentName(name)
		if assert.NotNil(t, fault, name) {
			assert.Equal(t, want, strings.TrimPrefix(fault.Error(), ": "))
		}
	}
}
