package test_test

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

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
