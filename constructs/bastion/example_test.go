package bastion_test

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/bastion"
)

// A bastion with a public address in a network of yours, for one office.
func Example() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Access"), nil)
	vpc := awsec2.NewVpc(stack, jsii.String("Vpc"), nil) // or awsec2.Vpc_FromLookup
	database := awsec2.NewSecurityGroup(stack, jsii.String("Database"), &awsec2.SecurityGroupProps{Vpc: vpc})

	host := bastion.New(stack, "Bastion", &bastion.Props{
		Vpc:          vpc,
		Address:      bastion.AddressElasticIP,
		AllowedCidrs: []string{"203.0.113.0/24"},
	})
	host.AllowTo(database, 5432, "psql for support")
	app.Synth(nil)
}

// A private bastion, reached through Session Manager only, from which people
// reach a database.
func ExampleNew_private() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Access"), nil)
	b := bastion.New(stack, "Bastion", nil)
	database := awsec2.NewSecurityGroup(stack, jsii.String("Database"), &awsec2.SecurityGroupProps{Vpc: b.Vpc()})
	b.AllowTo(database, 5432, "psql for support")
	awscdk.NewCfnOutput(stack, jsii.String("Connect"), &awscdk.CfnOutputProps{
		Value: jsii.String(b.StartSessionCommand()),
	})
	app.Synth(nil)
}

// A bastion behind a load balancer whose addresses stay, at working hours only,
// never older than a week.
func ExampleNew_loadBalancer() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Access"), nil)
	vpc := awsec2.NewVpc(stack, jsii.String("Vpc"), nil)
	bastion.New(stack, "Bastion", &bastion.Props{
		Vpc:                 vpc,
		Address:             bastion.AddressNetworkLoadBalancer,
		StaticAddresses:     true,
		AllowedPrefixLists:  []string{"pl-0123456789abcdef0"},
		MaxInstanceLifetime: 7 * 24 * time.Hour,
		Schedule: bastion.Schedule{
			Start: "0 7 * * MON-FRI", Stop: "0 19 * * MON-FRI", TimeZone: "Europe/Berlin",
		},
	})
	app.Synth(nil)
}
