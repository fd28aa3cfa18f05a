package test_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/constructs/operator"
	"github.com/postern-cdk/postern/constructs/session"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/posterntest"
)

// The test kit, on what the constructs make: as one template, and as the assembly of an
// app of two stacks.
func TestPosterntestOnConstructs(t *testing.T) {
	build := func(app awscdk.App) (access awscdk.Stack) {
		net := cdktest.StackIn(app, "Network")
		vpc := network.New(net, "Network", &network.Props{Nat: network.NatOne}).Vpc()
		access = cdktest.StackIn(app, "Access")
		host := bastion.New(access, "Bastion", &bastion.Props{Vpc: vpc})
		database := newGroup(access, "Database", vpc)
		host.AllowTo(database, 5432, "psql")
		awscdk.NewCfnResource(access, jsii.String("Orders"), &awscdk.CfnResourceProps{
			Type: jsii.String("AWS::RDS::DBInstance"),
			Properties: &map[string]any{
				"DBInstanceClass": "db.t4g.micro", "VPCSecurityGroups": []*string{database.SecurityGroupId()},
				"DBSubnetGroupName": "isolated", "Engine": "postgres", "AllocatedStorage": "20", "ManageMasterUserPassword": true,
				"MasterUsername": "admin", "StorageEncrypted": true,
			},
		})
		shells := session.NewPreferences(access, "Shells", nil)
		shells.AllowHost(host)
		group := awsiam.NewGroup(access, jsii.String("OnCall"), nil)
		operator.New(access, "People", &operator.Props{Groups: []awsiam.IGroup{group}, Shell: []operator.Door{shells}})
		return access
	}
	for _, references := range []string{"strong", "weak"} {
		app := cdktest.NewAppWith(t, map[string]any{"@aws-cdk/core:defaultCrossStackReferences": references})
		build(app)
		checkPosterntest(t, *app.Synth(nil).Directory())
	}
}

func checkPosterntest(t *testing.T, folder string) {
	t.Helper()
	read := posterntest.Read(t, folder)
	posterntest.NoIngressFromInternet(t, read)
	posterntest.EveryTargetHasAWayIn(t, read)
	posterntest.SessionsAreLogged(t, read)

	oncall := posterntest.Person("Access/OnCall")
	target, document := read.ARN("ec2", "instance/i-0123456789abcdef0"), read.ARN("ssm", "document/Access-Shells")
	with := posterntest.Context{
		"ssm:resourceTag/postern:bastion": "/postern/Access/Bastion", "aws:MultiFactorAuthPresent": "true", "aws:userid": "AIDAEXAMPLE", "aws:username": "ann",
	}
	posterntest.Allows(t, read, oncall, posterntest.StartSession(target, document, with))
	posterntest.Denies(t, read, oncall,
		posterntest.StartSession(target, "", with),
		posterntest.StartSession(target, document, posterntest.Context{"aws:MultiFactorAuthPresent": "true"}),
		posterntest.StartSession(target, document, posterntest.Context{"ssm:resourceTag/postern:bastion": "/postern/Access/Bastion"}),
		posterntest.Do("ssm:SendCommand", target, with))
}

// The goldens are what users get: nothing of them is open to the internet, and nobody is locked out.
func TestPosterntestOnGoldens(t *testing.T) {
	folders, err := filepath.Glob("golden/*")
	require.NoError(t, err)
	examples, err := filepath.Glob("golden/examples/*")
	require.NoError(t, err)
	seen := 0
	for _, folder := range append(folders, examples...) {
		files, err := filepath.Glob(folder + "/*.json")
		require.NoError(t, err)
		if len(files) == 0 {
			continue
		}
		seen++
		t.Run(folder, func(t *testing.T) {
			var templates []any
			for _, file := range files {
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				templates = append(templates, text)
			}
			app := posterntest.Of(t, templates...)
			app.TrustedPrefixLists = []string{"pl-0123456789abcdef0"} // what the golden "open" names
			posterntest.NoIngressFromInternet(t, app)
			if folder != "golden/logaccount" && folder != "golden/examples/account" { // they keep records, and have nothing to get into
				posterntest.EveryTargetHasAWayIn(t, app)
			}
		})
	}
	assert.GreaterOrEqual(t, seen, 6)
}
