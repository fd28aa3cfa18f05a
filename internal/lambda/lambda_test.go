package lambda_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/accountdefault"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/lambda"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

func TestFaultsNameTheField(t *testing.T) {
	file := filepath.Join(t.TempDir(), "theirs.zip")
	require.NoError(t, os.WriteFile(file, []byte("theirs"), 0o600))
	_, err := lambda.Build(accountdefault.Program, file)
	require.ErrorContains(t, err, "FunctionFile: "+file+" is not the function postern-account-default: zip: not a valid zip file: make it by "+
		"go run github.com/postern-cdk/postern/bin/functionzip -function postern-account-default -o "+file+", of the same version as the app requires")
}
