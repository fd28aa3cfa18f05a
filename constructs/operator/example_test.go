package operator_test

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"

	"github.com/postern-cdk/postern/constructs/instanceconnect"
	"github.com/postern-cdk/postern/constructs/operator"
	"github.com/postern-cdk/postern/constructs/session"
)

var (
	stack      awscdk.Stack
	developers awsiam.IRole
	onCall     awsiam.Role
	support    awsiam.Group
	shell      *session.Preferences
	emergency  *session.Preferences
	orders     *session.Tunnel
	endpoint   *instanceconnect.Endpoint
)

// A shell and a tunnel to a database in office hours, with a second factor.
func Example() {
	operator.New(stack, "Developers", &operator.Props{
		Roles:     []awsiam.IRole{developers},
		Shell:     []operator.Door{shell},
		Tunneller: []operator.Door{orders},
		Only: operator.Only{
			MFA:      true,
			Weekly:   []operator.Window{{From: 8 * time.Hour, Until: 18 * time.Hour}},
			TimeZone: "Europe/Berlin",
		},
	})
}

// A document that was made elsewhere, on all instances with a tag.
func ExampleDocument() {
	operator.New(stack, "Support", &operator.Props{
		Groups: []awsiam.IGroup{support},
		Tunneller: []operator.Door{operator.Document{
			Name: "Orders-Database",
			Tags: map[string]string{"Role": "bastion"},
		}},
	})
}

// SSH through an EC2 Instance Connect Endpoint, for contractors, until they leave.
func ExampleProps_instanceConnect() {
	operator.New(stack, "Contractors", &operator.Props{
		Roles: []awsiam.IRole{developers},
		InstanceConnect: []operator.Connection{endpoint.ForSSH(&instanceconnect.SSHGrant{
			InstanceTags: map[string]string{"Team": "orders"},
			MaxDuration:  30 * time.Minute,
		})},
		Only: operator.Only{
			Until:       time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC),
			SourceCIDRs: []string{"203.0.113.0/24"},
		},
	})
}

// A policy for a permission set of IAM Identity Center.
func ExampleOperator_PermissionSetJSON() {
	people := operator.New(stack, "Auditors", &operator.Props{PermissionSet: true, Viewer: true})
	_ = people.PermissionSetJSON() // for awssso.CfnPermissionSetProps.InlinePolicy
}

// An emergency door, and what an alarm knows its use by.
func ExampleOperator_BreakGlassDocuments() {
	people := operator.New(stack, "OnCall", &operator.Props{
		Roles:      []awsiam.IRole{onCall},
		BreakGlass: []operator.Door{emergency},
	})
	_ = people.BreakGlassDocuments()
}
