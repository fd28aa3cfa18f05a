package accesspath_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/accesspath"
)

func TestDecide(t *testing.T) {
	isolated := accesspath.Subnet{Path: "Net/Isolated1", Zone: "a", Known: true}
	isolated2 := accesspath.Subnet{Path: "Net/Isolated2", Zone: "b", Known: true}
	withGateway := accesspath.Subnet{Path: "Net/Isolated3", Zone: "c", Known: true, S3Gateway: true}
	private := accesspath.Subnet{Path: "Net/Private1", Zone: "a", Known: true, Egress: true}
	public := accesspath.Subnet{Path: "Net/Public1", Zone: "a", Known: true, InternetGateway: true}
	imported := accesspath.Subnet{Path: "Net/Imported1", Zone: "a"}
	importedPublic := accesspath.Subnet{Path: "Net/Imported2", Zone: "a", InternetGateway: true}
	importedPrivate := accesspath.Subnet{Path: "Net/Imported3", Zone: "a", Egress: true}

	for name, c := range map[string]struct {
		request  accesspath.Request
		faults   []string
		warnings []string
	}{
		"NAT": {request: accesspath.Request{Subnets: []accesspath.Subnet{private}, Services: []string{"ssm", "s3"}}},
		"internet gateway and public address": {request: accesspath.Request{
			Subnets: []accesspath.Subnet{public}, Services: []string{"ssm", "s3"}, PublicAddress: true,
		}},
		"endpoints and gateway": {request: accesspath.Request{
			Subnets: []accesspath.Subnet{withGateway}, Services: []string{"ssm", "s3"}, Endpoints: []string{"ssm"},
		}},
		"named as existing":     {request: accesspath.Request{Subnets: []accesspath.Subnet{isolated}, Services: []string{"ssm", "s3"}, Existing: []string{"s3", "ssm"}}},
		"imported with egress":  {request: accesspath.Request{Subnets: []accesspath.Subnet{importedPrivate}, Services: []string{"ssm"}}},
		"imported with address": {request: accesspath.Request{Subnets: []accesspath.Subnet{importedPublic}, Services: []string{"ssm"}, PublicAddress: true}},
		"nothing needed":        {request: accesspath.Request{Subnets: []accesspath.Subnet{isolated}}},
		"isolated": {
			request: accesspath.Request{For: "the bastion", Subnets: []accesspath.Subnet{isolated, isolated2}, Services: []string{"ssm", "ssmmessages", "ssm", "s3"}},
			faults: []string{"the bastion can't reach ssm, ssmmessages and s3 from Net/Isolated1 and Net/Isolated2: there is no route out, and no endpoint in the VPC leads there. " +
				"Either add interface endpoints for ssm and ssmmessages, 29.20 USD a month (2 in 2 zones) and the S3 gateway endpoint, which is free; " +
				"or use subnets with NAT, 36.50 USD a month a gateway; or name what others made in Existing (ExistingEndpoints of a bastion, endpoints.existing of a configuration)"},
		},
		"only S3": {
			request: accesspath.Request{For: "the bastion", Subnets: []accesspath.Subnet{isolated, withGateway}, Services: []string{"ssm", "s3"}, Endpoints: []string{"ssm"}},
			faults: []string{"the bastion can't reach s3 from Net/Isolated1: there is no route out, and no endpoint in the VPC leads there. " +
				"Either add the S3 gateway endpoint, which is free; or use subnets with NAT, 36.50 USD a month a gateway; or name what others made in Existing (ExistingEndpoints of a bastion, endpoints.existing of a configuration)"},
		},
		"an interface endpoint is no gateway": {
			request: accesspath.Request{For: "it", Subnets: []accesspath.Subnet{isolated}, Services: []string{"s3"}, Endpoints: []string{"s3"}},
			faults: []string{"it can't reach s3 from Net/Isolated1: there is no route out, and no endpoint in the VPC leads there. " +
				"Either add the S3 gateway endpoint, which is free; or use subnets with NAT, 36.50 USD a month a gateway; or name what others made in Existing (ExistingEndpoints of a bastion, endpoints.existing of a configuration)"},
		},
		"public without address": {
			request: accesspath.Request{For: "the bastion", Subnets: []accesspath.Subnet{public}, Services: []string{"ssm"}},
			faults: []string{"the bastion can't reach ssm from Net/Public1: the route to the internet gateway needs a public address, which it does not have, and no endpoint in the VPC leads there. " +
				"Either add interface endpoints for ssm, 7.30 USD a month (1 in 1 zone); or give it a public address; or name what others made in Existing (ExistingEndpoints of a bastion, endpoints.existing of a configuration)"},
		},
		"no name": {
			request: accesspath.Request{For: "the bastion", Subnets: []accesspath.Subnet{isolated}, Services: []string{"ssm"}, Nameless: map[string]string{"ssm": "Net/E/ssm"}},
			faults: []string{"the bastion can't reach ssm from Net/Isolated1: there is no route out, and no endpoint in the VPC leads there. " +
				"Net/E/ssm is an endpoint for ssm with private DNS off, so the usual name does not lead to it. " +
				"Either add interface endpoints for ssm, 7.30 USD a month (1 in 1 zone); or use subnets with NAT, 36.50 USD a month a gateway; or name what others made in Existing (ExistingEndpoints of a bastion, endpoints.existing of a configuration)"},
		},
		"imported": {
			request: accesspath.Request{For: "the bastion", Subnets: []accesspath.Subnet{imported}, Services: []string{"ssm", "s3"}},
			warnings: []string{"the bastion needs ssm and s3 from Net/Imported1, whose VPC is not made in this app, so it can't be told whether an endpoint leads there: " +
				"make sure of it, and name what there is in Existing (ExistingEndpoints of a bastion, endpoints.existing of a configuration)"},
		},
	} {
		faults, warnings := accesspath.Decide(&c.request)
		assert.Equal(t, c.faults, faults, name)
		assert.Equal(t, c.warnings, warnings, name)
	}
}
