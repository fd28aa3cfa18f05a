package bastion

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// addressTag marks the instances and network interfaces that may take the
// bastion's Elastic IP address, by the address's allocation ID.
const addressTag = "postern:address"

// groupTag marks the Auto Scaling group that a bastion's instances may ask to be
// taken into service by, and the instances, for policies of people.
const groupTag = "postern:bastion"

// key is the given key, or a new one, with the statements that the volumes and
// the log group made here need.
func (b *Bastion) key(p *Props) awskms.IKey {
	key := p.Key
	if key == nil {
		key = awskms.NewKey(b, jsii.String("Key"), &awskms.KeyProps{
			Description:       jsii.String("Volumes, records and secrets of the bastion " + b.path),
			EnableKeyRotation: jsii.Bool(true),
			RemovalPolicy:     awscdk.RemovalPolicy_RETAIN, // what it encrypted is retained too
		})
	}
	if p.Bucket == nil {
		return key // the archive asks for all of it
	}
	needs := func(s policy.Scope) []policy.Statement {
		statements := policy.AutoScalingVolumeStatements(s)
		if p.LogGroup == nil {
			statements = append(statements, policy.LogGroupKeyStatements(s)...)
		}
		return statements
	}
	if !attach.ToKey(key, needs(b.scope)) {
		attach.Ask(b, "bastion-key-policy", "Key", "no instance will start", needs(policy.Placeholders()))
	}
	return key
}

// makeRole makes the role and its policies, which hold exactly what the host does.
// They are returned, for the instances to wait for them.
func (b *Bastion) makeRole(p *Props) []constructs.IDependable {
	b.role = p.Role
	if b.role == nil {
		b.role = awsiam.NewRole(b, jsii.String("Role"), &awsiam.RoleProps{
			Description:         jsii.String("Instances of the bastion " + b.path),
			AssumedBy:           awsiam.NewServicePrincipal(jsii.String("ec2.amazonaws.com"), nil),
			PermissionsBoundary: p.PermissionsBoundary,
		})
	}
	statements := []policy.Statement{
		allow("Sessions", []string{"*"}, nil,
			"ssm:UpdateInstanceInformation",
			"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
			"ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"),
		allow("Log", b.logGroupArns(p), nil,
			"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
		allow("Metrics", []string{"*"}, is("cloudwatch:namespace", MetricsNamespace), "cloudwatch:PutMetricData"),
		// The agent puts the group's name on its metrics and finds it in the tags.
		allow("GroupName", []string{"*"}, nil, "ec2:DescribeTags"),
		allow("Ready", []string{*awscdk.Aws_STACK_ID()}, nil, "cloudformation:SignalResource"),
		// By tag, as the group waits for this policy.
		// See https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2autoscaling.html.
		allow("InService", []string{b.scope.ARN("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")},
			is("aws:ResourceTag/"+groupTag, b.own), "autoscaling:CompleteLifecycleAction"),
	}
	if b.elasticIP != nil {
		// One request is checked against the address, the instance and, by some
		// requests, its network interface.
		// See https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html.
		allocation := *b.elasticIP.AttrAllocationId()
		statements = append(statements,
			allow("Address", []string{b.scope.ARN("ec2", "elastic-ip/"+allocation)}, nil, "ec2:AssociateAddress"),
			allow("AddressHolders", []string{b.scope.ARN("ec2", "instance/*"), b.scope.ARN("ec2", "network-interface/*")},
				is("aws:ResourceTag/"+addressTag, allocation), "ec2:AssociateAddress"),
		)
	}
	// Two, as IAM counts 6,144 characters for one.
	return []constructs.IDependable{
		b.makePolicy("Policy", "How the bastion "+b.path+" is run", statements,
			"These actions know no narrower resource: ssmmessages, ec2:DescribeTags and cloudwatch:PutMetricData take none, "+
				"and the agent registers the instance before its ID is known. Metrics are limited by namespace, address and Auto Scaling group by tag, logs to their groups."),
		b.makePolicy("RecordsPolicy", "What the bastion "+b.path+" keeps and reads", append(b.recordStatements(p), b.parameterStatements()...),
			"Objects and parameters are limited to the bastion's own prefixes, where it names them itself, and keys to what they encrypt there."),
	}
}

func (b *Bastion) makePolicy(id, description string, statements []policy.Statement, why string) awsiam.ManagedPolicy {
	managed := awsiam.NewManagedPolicy(b, &id, &awsiam.ManagedPolicyProps{
		Description: &description,
		Roles:       &[]awsiam.IRole{b.role},
		Document:    attach.Document(statements),
	})
	tree.Acknowledge(managed, why, "AwsSolutions-IAM5")
	return managed
}

func allow(sid string, resources []string, conditions policy.Condition, actions ...string) policy.Statement {
	return policy.Statement{Sid: sid, Effect: policy.Allow, Action: actions, Resource: resources, Condition: conditions}
}

func is(key, value string) policy.Condition {
	return policy.Condition{"StringEquals": {key: {value}}}
}
