package words_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/words"
)

func TestCount(t *testing.T) {
	assert.Equal(t, "0 subnets", words.Count(0, "subnet"))
	assert.Equal(t, "1 subnet", words.Count(1, "subnet"))
	assert.Equal(t, "2 subnets", words.Count(2, "subnet"))
}

func TestWrap(t *testing.T) {
	assert.Empty(t, words.Wrap(nil, 10, "  "))
	assert.Equal(t, "one", words.Wrap([]string{"one"}, 0, "  "))
	assert.Equal(t, "one, two, six,\n   ten, two", words.Wrap([]string{"one", "two", "six", "ten", "two"}, 10, "  "))
}
