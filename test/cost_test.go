package test_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/monthlycost"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/cost"
)

// fixed are an app's figures without use, by part, in cents' precision.
func fixed(s synthesized) map[string]string {
	figures := map[string]string{}
	for _, figure := range s.postern.MonthlyCost().Figures() {
		figures[figure.Name] = fmt.Sprintf("%.2f", figure.Fixed())
	}
	return figures
}

// What the reference architecture costs is a promise; a change of it is a change
// that a user pays for.
func TestReferenceArchitectureCosts(t *testing.T) {
	for zones, want := range map[int]map[string]string{
		1: {"Bastion": "10.42", "SessionManager": "14.60", "InstanceConnect": "0.00", "Network": "0.00", "Archive": "1.00", "Watch": "7.40", "Other": "0.00", "Total": "33.42"},
		2: {"Bastion": "10.42", "SessionManager": "29.20", "InstanceConnect": "0.00", "Network": "0.00", "Archive": "1.00", "Watch": "7.40", "Other": "0.00", "Total": "48.02"},
		3: {"Bastion": "10.42", "SessionManager": "43.80", "InstanceConnect": "0.00", "Network": "0.00", "Archive": "1.00", "Watch": "7.40", "Other": "0.00", "Total": "62.62"},
		4: {"Bastion": "10.42", "SessionManager": "58.40", "InstanceConnect": "0.00", "Network": "0.00", "Archive": "1.00", "Watch": "7.40", "Other": "0.00", "Total": "77.22"},
	} {
		s := synthesize(t, cdktest.NewApp(t), fmt.Sprintf("network: {availabilityZones: %d}", zones))
		assert.Equal(t, want, fixed(s), "%d zones", zones)
	}
}

// costMatchesTheTemplates prices the templates that CloudFormation gets and
// compares with what the outputs say, which were made from the tree.
func costMatchesTheTemplates(t *testing.T, apps map[string]synthesized) {
	for _, name := range slices.Sorted(maps.Keys(apps)) {
		s := apps[name]
		if s.postern.MonthlyCost() == nil {
			continue // by choice
		}
		var resources []cost.Resource
		outputs := map[string]string{}
		for _, file := range s.templates(t) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var decoded struct {
				Resources map[string]resource
				Outputs   map[string]struct{ Value any }
			}
			require.NoError(t, json.Unmarshal(text, &decoded))
			stack := strings.TrimSuffix(filepath.Base(file), ".template.json")
			for _, id := range slices.Sorted(maps.Keys(decoded.Resources)) {
				r := decoded.Resources[id]
				resources = append(resources, cost.Resource{Type: r.Type, Stack: stack, LogicalID: id, Properties: r.Properties})
			}
			for id, output := range decoded.Outputs {
				if strings.HasPrefix(id, cost.OutputPrefix) {
					outputs[id], _ = output.Value.(string)
				}
			}
		}
		lines := cost.Estimate(cost.Items(cost.Of(resources)))
		assert.Equal(t, lines.Sum().String(), outputs[cost.OutputTotal], name)
		assert.Empty(t, lines.Unknown(), "%s: price these, or say that they are free, in internal/cost", name)
		figures := s.postern.MonthlyCost().Figures()
		assert.Len(t, outputs, len(figures), name)
		for _, figure := range figures {
			assert.Equal(t, figure.String(), outputs[cost.OutputPrefix+figure.Name], name)
		}
	}
}

func TestMonthlyCostIsByChoice(t *testing.T) {
	s := synthesize(t, cdktest.NewApp(t), "monthlyCost: {absent: true}")
	assert.Nil(t, s.postern.MonthlyCost())
	text, err := os.ReadFile(filepath.Join(s.assembly, "Postern-Watch.template.json"))
	require.NoError(t, err)
	assert.NotContains(t, string(text), "MonthlyCost")
}

// Whatever is below a construct has its price, made with Postern or without.
func TestMonthlyCostOfOwnConstructs(t *testing.T) {
	for name, app := range map[string]awscdk.App{"with flags": cdktest.NewApp(t), "without flags": cdktest.NewAppWithoutFlags(t)} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(app, "Test")
			vpc := awsec2.NewVpc(stack, jsii.String("Vpc"), &awsec2.VpcProps{NatGateways: jsii.Number(1)})
			endpoint := vpc.AddInterfaceEndpoint(jsii.String("Logs"), &awsec2.InterfaceVpcEndpointOptions{Service: awsec2.InterfaceVpcEndpointAwsService_CLOUDWATCH_LOGS()})
			awskms.NewKey(stack, jsii.String("Key"), nil)
			other := cdktest.StackIn(app, "Other")
			awscdk.NewCfnResource(other, jsii.String("Hub"), &awscdk.CfnResourceProps{Type: jsii.String("AWS::EC2::TransitGateway")})
			awscdk.NewCfnResource(other, jsii.String("Zone"), &awscdk.CfnResourceProps{Type: jsii.String("AWS::Route53::HostedZone")})
			made := monthlycost.New(stack, "MonthlyCost", &monthlycost.Props{Parts: []monthlycost.Part{
				{Name: "Logs", Of: []constructs.IConstruct{endpoint}},
				{Name: "Network", Of: []constructs.IConstruct{vpc}},
			}})
			assert.Empty(t, made.Figures(), "known after the synthesis")

			written := *cdktest.Template(stack).ToJSON()
			text, err := json.Marshal(written["Outputs"])
			require.NoError(t, err)
			outputs := map[string]struct{ Value string }{}
			require.NoError(t, json.Unmarshal(text, &outputs))
			assert.Equal(t, "USD 36.50", outputs["MonthlyCostNetwork"].Value)
			assert.Equal(t, "USD 21.90", outputs["MonthlyCostLogs"].Value, "the nearer construct's part has it")
			assert.Equal(t, "over USD 1.50; no price is known for AWS::EC2::TransitGateway", outputs["MonthlyCostRest"].Value)
			assert.Equal(t, "over USD 59.90; no price is known for AWS::EC2::TransitGateway", outputs["MonthlyCostTotal"].Value)
			require.Len(t, outputs, 4)

			figures := made.Figures()
			require.Len(t, figures, 4)
			assert.Equal(t, []string{"AWS::EC2::TransitGateway"}, figures[2].Unpriced())
			assert.InDelta(t, 21.90, figures[0].Fixed(), 0.001)
			assert.Zero(t, figures[0].Use())

			metadata, _ := written["Metadata"].(map[string]any)[monthlycost.MetadataKey].(map[string]any)
			assert.Equal(t, "us-east-1", metadata["Region"])
			assert.Equal(t, []any{map[string]any{
				"What": "interface endpoint in one Availability Zone, plus $0.01 a GB", "Quantity": "3", "USD": "21.90", "Note": "logs in 3 zones",
				"Price": "USD 0.01 per hour", "Source": "aws.amazon.com/privatelink/pricing",
			}}, metadata["Parts"].(map[string]any)["Logs"])
		})
	}
}

func TestMonthlyCostWithin(t *testing.T) {
	app := cdktest.NewApp(t)
	here, there := cdktest.StackIn(app, "Here"), cdktest.StackIn(app, "There")
	awskms.NewKey(here, jsii.String("Key"), nil)
	awskms.NewKey(there, jsii.String("Key"), nil)
	made := monthlycost.New(here, "MonthlyCost", &monthlycost.Props{Within: []constructs.IConstruct{here}})
	app.Synth(nil)
	assert.Equal(t, "USD 1.00", made.Figures()[1].String())
}

func TestMonthlyCostOfAll(t *testing.T) {
	stack := cdktest.NewStack(t)
	awskms.NewKey(stack, jsii.String("Key"), nil)
	monthlycost.New(stack, "MonthlyCost", nil)
	outputs, _ := (*cdktest.Template(stack).ToJSON())["Outputs"].(map[string]any)
	assert.Len(t, outputs, 1)
	assert.Contains(t, textOf(t, outputs["MonthlyCostTotal"]), "USD 1.00")
}

func TestMonthlyCostFaults(t *testing.T) {
	stack := cdktest.NewStack(t)
	key := awskms.NewKey(stack, jsii.String("Key"), nil)
	assert.Equal(t, strings.Join([]string{
		`monthly cost "Test/Cost": Parts[0].Name: "My keys" can't end the ID of an output: use letters and digits, such as Bastion`,
		`Parts[0].Of: is empty: name the constructs whose cost the part is`,
		`Parts[1].Of[0]: is nil: pass a construct, or leave it out`,
		`Parts[2].Name: "Keys" is the name of Parts[1].Name already: use another name`,
		`RestName: "Total" is the sum already: use another name`,
	}, "\n"), cdktest.Panic(t, func() {
		monthlycost.New(stack, "Cost", &monthlycost.Props{RestName: "Total", Parts: []monthlycost.Part{
			{Name: "My keys"}, {Name: "Keys", Of: []constructs.IConstruct{nil}}, {Name: "Keys", Of: []constructs.IConstruct{key}},
		}})
	}))
}
