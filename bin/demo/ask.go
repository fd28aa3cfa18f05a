package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudcontrol"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/sync/errgroup"

	"github.com/postern-cdk/postern/internal/cdkcli"
	"github.com/postern-cdk/postern/internal/report"
)

// cloud is the AWS API, wherever it is.
type cloud struct {
	region  string
	sts     *sts.Client
	stacks  stackAPI
	control controlAPI
}

// stackAPI is what is asked of CloudFormation.
type stackAPI interface {
	cloudformation.DescribeStacksAPIClient
	cloudformation.ListStackResourcesAPIClient
}

// controlAPI is what is asked of Cloud Control.
type controlAPI interface {
	cloudcontrol.ListResourcesAPIClient
	GetResource(context.Context, *cloudcontrol.GetResourceInput, ...func(*cloudcontrol.Options)) (*cloudcontrol.GetResourceOutput, error)
}

// connect makes clients from an environment, which need not be the process's.
func connect(ctx context.Context, environ []string) (*cloud, error) {
	var options []func(*config.LoadOptions) error
	if endpoint := cdkcli.Lookup(environ, "AWS_ENDPOINT_URL"); endpoint != "" && cdkcli.Lookup(environ, "AWS_ACCESS_KEY_ID") == cdkcli.TestCredential {
		options = append(options,
			config.WithSharedConfigFiles([]string{}),
			config.WithSharedCredentialsFiles([]string{}),
			config.WithBaseEndpoint(endpoint),
			config.WithRegion(cdkcli.Lookup(environ, "AWS_REGION")),
			config.WithCredentialsProvider(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: cdkcli.TestCredential, SecretAccessKey: cdkcli.TestCredential}, nil
			})),
		)
	}
	configuration, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, err
	}
	return &cloud{
		region:  configuration.Region,
		sts:     sts.NewFromConfig(configuration),
		stacks:  cloudformation.NewFromConfig(configuration),
		control: cloudcontrol.NewFromConfig(configuration),
	}, nil
}

// identity says whose account and which region the calls reach.
func (c *cloud) identity(ctx context.Context) (account, region string, err error) {
	if c.region == "" {
		return "", "", errors.New("no region: set AWS_REGION")
	}
	who, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", "", err
	}
	return aws.ToString(who.Account), c.region, nil
}

// atOnce is how many resources are asked for at a time; Cloud Control throttles
// more on a real account.
const atOnce = 8

// inventory reads all resources of the stacks that the report is interested in.
// A type that Cloud Control can't read there is listed as unread: a report on
// what was not looked at would be worth nothing.
func (c *cloud) inventory(ctx context.Context, stacks []string) (report.Inventory, error) {
	inventory := report.Inventory{Stacks: stacks}
	wanted := report.Types()
	for _, stack := range stacks {
		described, err := c.stacks.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
		if err != nil {
			return inventory, fmt.Errorf("stack %s: %w", stack, err)
		}
		for _, s := range described.Stacks {
			for _, o := range s.Outputs {
				inventory.Outputs = append(inventory.Outputs, report.Output{
					Stack: stack, Key: aws.ToString(o.OutputKey), Value: aws.ToString(o.OutputValue), Description: aws.ToString(o.Description),
				})
			}
		}
		pages := cloudformation.NewListStackResourcesPaginator(c.stacks, &cloudformation.ListStackResourcesInput{StackName: &stack})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return inventory, fmt.Errorf("resources of stack %s: %w", stack, err)
			}
			for _, r := range page.StackResourceSummaries {
				if slices.Contains(wanted, aws.ToString(r.ResourceType)) && r.ResourceStatus != types.ResourceStatusDeleteComplete {
					inventory.Resources = append(inventory.Resources, report.Resource{
						Type: aws.ToString(r.ResourceType), Identifier: aws.ToString(r.PhysicalResourceId),
						Stack: stack, LogicalID: aws.ToString(r.LogicalResourceId),
					})
				}
			}
		}
	}
	return c.read(ctx, inventory)
}

// read fills in the properties.
func (c *cloud) read(ctx context.Context, inventory report.Inventory) (report.Inventory, error) {
	var lock sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range inventory.Resources {
		r := &inventory.Resources[i]
		group.Go(func() error {
			properties, err := c.properties(ctx, r.Type, r.Identifier)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				lock.Lock()
				defer lock.Unlock()
				inventory.Unread = append(inventory.Unread, r.Type)
				return nil // said in the report
			}
			r.Properties = properties
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return inventory, err
	}
	inventory.Resources = slices.DeleteFunc(inventory.Resources, func(r report.Resource) bool { return r.Properties == nil })
	slices.Sort(inventory.Unread)
	inventory.Unread = slices.Compact(inventory.Unread)
	return inventory, nil
}

// properties reads one resource. CloudFormation's physical ID is Cloud
// Control's identifier for most types; for the others it is a part of it, as
// the address is of an Elastic IP's "address|allocation", and the name of a
// rule's ARN.
func (c *cloud) properties(ctx context.Context, typeName, id string) (map[string]any, error) {
	got, err := c.control.GetResource(ctx, &cloudcontrol.GetResourceInput{TypeName: &typeName, Identifier: &id})
	if err != nil {
		whole, found := c.identifier(ctx, typeName, id)
		if !found {
			return nil, err
		}
		got, err = c.control.GetResource(ctx, &cloudcontrol.GetResourceInput{TypeName: &typeName, Identifier: &whole})
		if err != nil {
			return nil, err
		}
	}
	if got.ResourceDescription == nil {
		return nil, fmt.Errorf("%s %s: no description", typeName, id)
	}
	var properties map[string]any
	if err := json.Unmarshal([]byte(aws.ToString(got.ResourceDescription.Properties)), &properties); err != nil {
		return nil, fmt.Errorf("%s %s: %w", typeName, id, err)
	}
	return properties, nil
}

func (c *cloud) identifier(ctx context.Context, typeName, part string) (string, bool) {
	pages := cloudcontrol.NewListResourcesPaginator(c.control, &cloudcontrol.ListResourcesInput{TypeName: &typeName})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", false
		}
		for _, description := range page.ResourceDescriptions {
			whole := aws.ToString(description.Identifier)
			if whole != part && (slices.Contains(strings.Split(whole, "|"), part) || strings.HasSuffix(whole, "/"+part)) {
				return whole, true
			}
		}
	}
	return "", false
}
