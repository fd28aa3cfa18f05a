package tree_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/tree"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

func TestMustNamesKindAndPath(t *testing.T) {
	stack := cdktest.NewStack(t)
	tree.Must("bastion", stack, "B", nil)
	assert.Equal(t, `bastion "Test/B": Vpc: is missing`,
		cdktest.Panic(t, func() { tree.Must("bastion", stack, "B", errors.New("Vpc: is missing")) }))
}

func TestValidateStopsTheSynthesis(t *testing.T) {
	stack := cdktest.NewStack(t)
	tree.Validate(stack, func() []string { return []string{"port 22 is open"} })
	assert.Contains(t, cdktest.Panic(t, func() { cdktest.Template(stack) }), "[Test] port 22 is open")
}

func TestAcknowledgeAddsToTheResource(t *testing.T) {
	stack := cdktest.NewStack(t)
	topic := awssns.NewTopic(stack, jsii.String("Topic"), nil)
	tree.Acknowledge(topic, "first reason", "A-1", "A-2")
	tree.Acknowledge(topic, "second reason", "B-1")
	cdktest.Template(stack).HasResource(jsii.String("AWS::SNS::Topic"), map[string]any{
		"Metadata": map[string]any{"cdk_nag": map[string]any{"rules_to_suppress": []any{
			map[string]any{"id": "A-1", "reason": "first reason"},
			map[string]any{"id": "A-2", "reason": "first reason"},
			map[string]any{"id": "B-1", "reason": "second reason"},
		}}},
	})
	assert.Panics(t, func() { tree.Acknowledge(stack, "no resource", "A-1") })
}
