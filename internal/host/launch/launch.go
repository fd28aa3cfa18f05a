// Package launch asks AWS for what an instance needs once: its Elastic IP address,
// its place in the Auto Scaling group, and that CloudFormation hears how its
// bootstrap went. The AWS CLI can do the same and is the bootstrap's way where this
// program isn't there or fails, but each of its starts takes most of a second of
// the processor, and this takes some hundredths.
//
// Each function is one attempt: the bootstrap asks again. All of them can be asked
// again after an answer that was lost.
package launch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// Instance is the one that asks.
type Instance struct {
	Region, ID string
	// Credentials sign. nil: those of the instance's role.
	Credentials aws.CredentialsProvider
	// Endpoint of a service. nil: that of AWS.
	Endpoint func(service string) string
}

// limit of a request: the connection that takes a new address may lose its answer.
const limit = 10 * time.Second

// versions of the services' Query APIs, which are part of each request.
var versions = map[string]string{
	"autoscaling":    "2011-01-01",
	"cloudformation": "2010-05-15",
	"ec2":            "2016-11-15",
}

// Address gives the instance an Elastic IP address, whoever has it now.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateAddress.html
func (i *Instance) Address(ctx context.Context, allocation string) error {
	_, err := i.ask(ctx, "ec2", "AssociateAddress", "AllocationId", allocation, "InstanceId", i.ID, "AllowReassociation", "true")
	return err
}

// Signal tells CloudFormation SUCCESS or FAILURE.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_SignalResource.html
func (i *Instance) Signal(ctx context.Context, stack, resource, status string) error {
	_, err := i.ask(ctx, "cloudformation", "SignalResource", "StackName", stack, "LogicalResourceId", resource, "UniqueId", i.ID, "Status", status)
	return err
}

// Service ends the wait of a launch hook: the group takes the instance into
// service. It is no error where nothing waits any more, as when somebody let the
// instance in by hand.
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CompleteLifecycleAction.html
func (i *Instance) Service(ctx context.Context, hook string) error {
	// The launch template can't name the group that is made of it; its tag does.
	// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeTags.html
	answer, err := i.ask(ctx, "ec2", "DescribeTags", "Filter.1.Name", "resource-id", "Filter.1.Value.1", i.ID,
		"Filter.2.Name", "key", "Filter.2.Value.1", "aws:autoscaling:groupName")
	if err != nil {
		return err
	}
	var tags struct {
		Value []string `xml:"tagSet>item>value"`
	}
	if err := xml.Unmarshal(answer, &tags); err != nil {
		return fmt.Errorf("ec2 DescribeTags: %w", err)
	}
	if len(tags.Value) != 1 {
		return errors.New("ec2 DescribeTags: the instance has no tag aws:autoscaling:groupName")
	}
	_, err = i.ask(ctx, "autoscaling", "CompleteLifecycleAction", "AutoScalingGroupName", tags.Value[0], "InstanceId", i.ID,
		"LifecycleHookName", hook, "LifecycleActionResult", "CONTINUE")
	if err != nil && strings.Contains(err.Error(), "No active Lifecycle Action") {
		return nil
	}
	return err
}

// ask makes one signed request. pairs are parameters and values in turn.
func (i *Instance) ask(ctx context.Context, service, action string, pairs ...string) ([]byte, error) {
	answer, err := i.try(ctx, service, action, pairs)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", service, action, err)
	}
	return answer, nil
}

func (i *Instance) try(ctx context.Context, service, action string, pairs []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	form := url.Values{"Action": {action}, "Version": {versions[service]}}
	for at := 0; at+1 < len(pairs); at += 2 {
		form.Set(pairs[at], pairs[at+1])
	}
	body := []byte(form.Encode())
	endpoint, err := i.endpoint(ctx, service)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if err := i.sign(ctx, request, body, service); err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	switch {
	case response.StatusCode != http.StatusOK:
		return nil, refusal(response.Status, answer)
	case err != nil:
		return nil, err
	}
	return answer, nil
}

func (i *Instance) sign(ctx context.Context, request *http.Request, body []byte, service string) error {
	provider := i.Credentials
	if provider == nil {
		loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(i.Region))
		if err != nil {
			return err
		}
		provider = loaded.Credentials
	}
	credentials, err := provider.Retrieve(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	return v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(sum[:]), service, i.Region, time.Now())
}

// endpoint of a service. The SDK knows the domains of the partitions; the three
// services have the form of Parameter Store's in each of them.
// https://docs.aws.amazon.com/general/latest/gr/rande.html
func (i *Instance) endpoint(ctx context.Context, service string) (string, error) {
	if i.Endpoint != nil {
		return i.Endpoint(service), nil
	}
	resolved, err := ssm.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, ssm.EndpointParameters{Region: &i.Region})
	if err != nil {
		return "", err
	}
	_, domain, found := strings.Cut(resolved.URI.Host, "ssm.")
	if !found {
		return "", fmt.Errorf("the SDK knows no endpoints of the region %q", i.Region)
	}
	return "https://" + service + "." + domain + "/", nil
}

// refusal is what a service says, of which EC2 has a form of its own.
func refusal(status string, answer []byte) error {
	type said struct{ Code, Message string }
	var of struct {
		All []said `xml:"Error"`
		EC2 []said `xml:"Errors>Error"`
	}
	if xml.Unmarshal(answer, &of) == nil {
		if told := append(of.All, of.EC2...); len(told) > 0 {
			return fmt.Errorf("%s: %s", told[0].Code, told[0].Message)
		}
	}
	return errors.New(status)
}
