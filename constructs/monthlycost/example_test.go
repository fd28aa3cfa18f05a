package monthlycost_test

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/monthlycost"
)

func Example() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Network"), nil)
	vpc := awsec2.NewVpc(stack, jsii.String("Vpc"), &awsec2.VpcProps{NatGateways: jsii.Number(1)})
	cost := monthlycost.New(stack, "MonthlyCost", &monthlycost.Props{
		Parts: []monthlycost.Part{{Name: "Network", Of: []constructs.IConstruct{vpc}}},
	})
	app.Synth(nil)
	fmt.Println(cost.Figures()[0])
	// Output: USD 36.50
}
