package stacks

import (
	"os"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/constructs/instanceconnect"
	"github.com/postern-cdk/postern/constructs/monthlycost"
	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/constructs/trail"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/stacks/config"
)

// Postern is the whole reference architecture.
type Postern struct {
	replica *replicaStack // nil where there is none
	archive *archiveStack
	network *networkStack
	access  *accessStack
	watch   *watchStack
	cost    *monthlycost.MonthlyCost
	stacks  []awscdk.Stack
}

// New adds the stacks to an app or stage, configured by c; nil is
// [config.Default].
func New(scope constructs.Construct, c *config.Config) *Postern {
	if c == nil {
		c = config.Default()
	}
	p := &Postern{}
	p.replica = newReplicaStack(scope, c)
	p.archive = newArchiveStack(scope, c, p.replica)
	p.network, p.access = &networkStack{}, &accessStack{}
	if c.Doors() {
		p.network = newNetworkStack(scope, c, p.archive)
		p.access = newAccessStack(scope, c, p.archive, p.network)
	}
	p.watch = newWatchStack(scope, c, p.archive, p.network, p.access)
	if p.replica != nil {
		p.stacks = append(p.stacks, p.replica)
	}
	if empty(p.archive) {
		scope.Node().TryRemoveChild(p.archive.Node().Id())
	} else {
		p.stacks = append(p.stacks, p.archive)
	}
	if p.network.Stack != nil {
		p.stacks = append(p.stacks, p.network)
	}
	if p.access.Stack != nil {
		p.stacks = append(p.stacks, p.access)
	}
	p.stacks = append(p.stacks, p.watch)
	p.addMonthlyCost(c)
	return p
}

// empty reports whether a stack has no resource, which CloudFormation refuses:
// everything it would make is the user's own.
func empty(stack awscdk.Stack) bool {
	for _, construct := range *stack.Node().FindAll(constructs.ConstructOrder_PREORDER) {
		if *awscdk.CfnResource_IsCfnResource(construct) {
			return false
		}
	}
	return true
}

// Archive is where the evidence is kept.
func (p *Postern) Archive() *archive.Archive { return p.archive.archive }

// Replica is the copy of the archive in another Region, or nil where the
// configuration leaves it out.
func (p *Postern) Replica() *archive.Replica {
	if p.replica == nil {
		return nil
	}
	return p.replica.replica
}

// Trail is the record of API calls, made or named, or nil where the configuration
// only says that there is one.
func (p *Postern) Trail() *trail.Trail { return p.archive.trail }

// Network is the VPC that the doors stand in, or nil in a log account without
// doors.
func (p *Postern) Network() *network.Network { return p.network.network }

// Endpoints are the VPC endpoints, or nil where the configuration leaves them out.
func (p *Postern) Endpoints() *endpoints.Endpoints { return p.network.endpoints }

// Bastion is the bastion host, or nil where the configuration leaves it out.
func (p *Postern) Bastion() *bastion.Bastion { return p.access.bastion }

// InstanceConnect is the EC2 Instance Connect Endpoint, or nil where the
// configuration leaves it out.
func (p *Postern) InstanceConnect() *instanceconnect.Endpoint { return p.access.instanceConnect }

// Watch is what tells people.
func (p *Postern) Watch() *watch.Watch { return p.watch.watch }

// MonthlyCost is what the parts cost a month, known after the synthesis, or nil
// where the configuration leaves it out.
func (p *Postern) MonthlyCost() *monthlycost.MonthlyCost { return p.cost }

// Stacks lists the stacks in the order in which they are deployed: Replica, Archive,
// Network, Access and Watch, without those that nothing is left for because
// everything in them is the user's own.
func (p *Postern) Stacks() []awscdk.Stack { return slices.Clone(p.stacks) }

// props are what all stacks share. A stack without account and region fits any;
// looking up a VPC needs to know them.
func props(c *config.Config, description string) *awscdk.StackProps {
	account, region := c.Account, c.Region
	if lookup(c) {
		account = first(account, os.Getenv("CDK_DEFAULT_ACCOUNT"))
		region = first(region, os.Getenv("CDK_DEFAULT_REGION"))
	}
	p := &awscdk.StackProps{Description: jsii.String(description), Env: &awscdk.Environment{}}
	if account != "" {
		p.Env.Account = jsii.String(account)
	}
	if region != "" {
		p.Env.Region = jsii.String(region)
	}
	if len(c.Tags) > 0 {
		tags := map[string]*string{}
		for key, value := range c.Tags {
			tags[key] = jsii.String(value)
		}
		p.Tags = &tags
	}
	return p
}

// lookup reports whether the CDK must look a VPC up.
func lookup(c *config.Config) bool {
	return c.Network.Vpc != nil && len(c.Network.Vpc.AvailabilityZones) == 0
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// output shows one value after a deploy.
func output(stack awscdk.Stack, id, value, description string) {
	awscdk.NewCfnOutput(stack, jsii.String(id), &awscdk.CfnOutputProps{
		Value:       jsii.String(value),
		Description: jsii.String(description),
	})
}
