// Command portless gives people a shell and a way to a database in a VPC that is
// there already, with no port open to anybody: developers in office hours, those on
// call at any hour, both with a second factor, and break-glass for what nobody
// foresaw.
package main

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/operator"
	"github.com/postern-cdk/postern/constructs/session"
	"github.com/postern-cdk/postern/constructs/watch"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	team := newTeamStack(app)

	access := awscdk.NewStack(app, jsii.String("Access"), nil)
	evidence := archive.New(access, "Archive", nil)

	// The host that sessions and tunnels go through: no address, no ingress.
	host := bastion.New(access, "Bastion", &bastion.Props{
		Vpc:      team.vpc,
		Key:      evidence.Key(),
		Bucket:   evidence.Bucket(),
		LogGroup: evidence.AddLogGroup("Host"),
	})

	// The doors. What is shown in a shell is recorded, or there is no shell.
	settings := session.Settings{LogGroup: evidence.AddLogGroup("Shells"), Bucket: evidence.Bucket()}
	shell := session.NewPreferences(access, "Shell", &session.PreferencesProps{Settings: settings})
	shell.AllowHost(host)
	orders := session.NewTunnel(access, "Orders", &session.TunnelProps{
		To:  session.Destination{Host: team.endpoint, Port: 5432, Peer: team.database},
		Via: session.Target{Host: host},
	})

	// For repairs: as root, for half an hour, and everybody hears of it.
	settings.Key, settings.MaxDuration, settings.RunAs.AgentUser = shell.Key(), 30*time.Minute, true
	repair := session.NewPreferences(access, "Repair", &session.PreferencesProps{Settings: settings})
	repair.AllowHost(host)
	awscdk.Annotations_Of(repair).AcknowledgeWarning(jsii.String("postern:session-agent-user"), jsii.String("repairs need root, and are told"))

	// The people.
	developers := operator.New(access, "Developers", &operator.Props{
		Roles:     []awsiam.IRole{newRole(access, "Developer")},
		Shell:     []operator.Door{shell},
		Tunneller: []operator.Door{orders},
		Only: operator.Only{
			MFA:      true,
			Weekly:   []operator.Window{{From: 8 * time.Hour, Until: 18 * time.Hour}},
			TimeZone: "Europe/Berlin",
		},
	})
	onCall := operator.New(access, "OnCall", &operator.Props{
		Roles:      []awsiam.IRole{newRole(access, "Responder")},
		Shell:      []operator.Door{shell},
		Tunneller:  []operator.Door{orders},
		BreakGlass: []operator.Door{repair},
	})

	// Who is told. The account has a trail, see the README.
	w := watch.New(access, "Watch", &watch.Props{Key: evidence.Key(), Emails: []string{"oncall@example.com"}, ExistingTrail: true})
	w.AddHost(host, nil)
	w.AddSessionNotices(&watch.SessionNotices{Quiet: []string{orders.DocumentName()}})
	w.AddBreakGlass(onCall)
	w.AddHours(developers)

	for _, output := range []struct{ id, value string }{
		{"OpenShell", shell.StartCommand(host.InstanceIDCommand(), "")},
		{"OpenOrders", orders.StartCommand(15432, "")},
		{"OpenRepair", repair.StartCommand(host.InstanceIDCommand(), "what is broken")},
		{"LastSessions", shell.SessionsCommand()},
		{"OpenTheOffice", developers.OpenCommand(2 * time.Hour)},
	} {
		awscdk.NewCfnOutput(access, jsii.String(output.id), &awscdk.CfnOutputProps{Value: jsii.String(output.value)})
	}
	app.Synth(nil)
}

// newRole is a role that people of the account assume. Its sessions run as the OS
// user in its tag, who is no sudoer on the bastion.
func newRole(stack awscdk.Stack, id string) awsiam.Role {
	role := awsiam.NewRole(stack, &id, &awsiam.RoleProps{
		AssumedBy:          awsiam.NewAccountRootPrincipal(),
		MaxSessionDuration: awscdk.Duration_Hours(jsii.Number(1)),
	})
	awscdk.Tags_Of(role).Add(jsii.String("SSMSessionRunAs"), jsii.String("ec2-user"), nil)
	return role
}

// teamStack stands for what exists before Postern comes.
type teamStack struct {
	vpc      awsec2.IVpc
	database awsec2.SecurityGroup
	endpoint string
}

func newTeamStack(app awscdk.App) *teamStack {
	stack := awscdk.NewStack(app, jsii.String("Team"), nil)
	vpc := awsec2.NewVpc(stack, jsii.String("Vpc"), &awsec2.VpcProps{
		MaxAzs:                       jsii.Number(2),
		NatGateways:                  jsii.Number(1),
		RestrictDefaultSecurityGroup: jsii.Bool(false),
	})
	group := awsec2.NewSecurityGroup(stack, jsii.String("DatabaseGroup"), &awsec2.SecurityGroupProps{
		Vpc:              vpc,
		Description:      jsii.String("orders database"),
		AllowAllOutbound: jsii.Bool(false),
	})
	// What awsrds.NewDatabaseInstance makes; with that, session.DatabaseInstance is
	// the tunnel's whole destination.
	subnets := awscdk.NewCfnResource(stack, jsii.String("DatabaseSubnets"), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::RDS::DBSubnetGroup"),
		Properties: &map[string]any{
			"DBSubnetGroupDescription": "orders database",
			"SubnetIds":                *vpc.SelectSubnets(&awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PRIVATE_WITH_EGRESS}).SubnetIds,
		},
	})
	database := awscdk.NewCfnResource(stack, jsii.String("Database"), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::RDS::DBInstance"),
		Properties: &map[string]any{
			"Engine": "postgres", "DBInstanceClass": "db.t4g.micro", "AllocatedStorage": "20", "StorageEncrypted": true,
			"MasterUsername": "owner", "ManageMasterUserPassword": true, "PubliclyAccessible": false,
			"DBSubnetGroupName": *subnets.Ref(), "VPCSecurityGroups": []any{*group.SecurityGroupId()},
		},
	})
	database.ApplyRemovalPolicy(awscdk.RemovalPolicy_SNAPSHOT, nil)
	return &teamStack{
		vpc:      vpc,
		database: group,
		endpoint: *database.GetAtt(jsii.String("Endpoint.Address"), awscdk.ResolutionTypeHint_STRING).ToString(),
	}
}
