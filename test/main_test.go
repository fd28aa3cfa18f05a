package test_test

import (
	"testing"

	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestMain(m *testing.M) { cdktest.Main(m) }
