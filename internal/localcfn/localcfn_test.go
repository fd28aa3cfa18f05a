package localcfn_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudcontrol"
	"github.com/aws/aws-sdk-go-v2/service/cloudcontrol/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn"
)

func start(t *testing.T, o localcfn.Options) *localcfn.Server {
	t.Helper()
	s, err := localcfn.New(o)
	require.NoError(t, err)
	require.NoError(t, s.Start("127.0.0.1:0"))
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func do(t *testing.T, method, url, body string, headers ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	b, err := io.ReadAll(answer.Body)
	require.NoError(t, errors.Join(err, answer.Body.Close()))
	return answer.StatusCode, string(b), answer.Header
}

// call makes a Query call to CloudFormation.
func call(t *testing.T, s *localcfn.Server, action string, pairs ...string) (int, string) {
	t.Helper()
	f := url.Values{"Action": {action}, "Version": {"2010-05-15"}}
	for i := 0; i < len(pairs); i += 2 {
		f.Set(pairs[i], pairs[i+1])
	}
	status, body, _ := do(t, http.MethodPost, s.URL(), f.Encode(), "Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return status, body
}

func target(t *testing.T, s *localcfn.Server, target, body string) (int, string) {
	t.Helper()
	status, answer, _ := do(t, http.MethodPost, s.URL(), body, "X-Amz-Target", target, "Content-Type", "application/x-amz-json-1.1")
	return status, answer
}

const topic = `{"Resources":{"T":{"Type":"AWS::SNS::Topic"},"B":{"Type":"AWS::S3::Bucket","Properties":{"BucketName":"assets"}}},"Outputs":{"O":{"Value":{"Ref":"T"},"Export":{"Name":"t"}}}}`

func TestOnlyLoopback(t *testing.T) {
	s, err := localcfn.New(localcfn.Options{})
	require.NoError(t, err)
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.com:0"} {
		assert.ErrorContains(t, s.Start(addr), "not a loopback address", addr)
	}
	assert.ErrorContains(t, s.Start("127.0.0.1"), "missing port")
	require.NoError(t, s.Start("localhost:0"))
	status, _, _ := do(t, http.MethodGet, s.URL()+"/", "", "Origin", "https://example.com")
	assert.Equal(t, http.StatusForbidden, status, "a page in a browser must not deploy")
	require.NoError(t, s.Close())
	answer, err := http.Get(s.URL())
	if err == nil {
		_ = answer.Body.Close()
	}
	assert.Error(t, err, "it must not answer any more")
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := localcfn.New(localcfn.Options{Account: "12"})
	assert.EqualError(t, err, `localcfn: account "12" is not twelve digits`)
	_, err = localcfn.New(localcfn.Options{Region: "here"})
	assert.EqualError(t, err, `localcfn: region "here" does not look like us-east-1`)
	_, err = localcfn.New(localcfn.Options{StateFile: filepath.Join(t.TempDir(), "no", "such.json")})
	assert.ErrorContains(t, err, "state file")
	_, err = localcfn.New(localcfn.Options{Faults: []localcfn.Fail{{Operation: "Break"}}})
	assert.ErrorContains(t, err, `operation "Break"`)
}

func TestLifeByQuery(t *testing.T) {
	s := start(t, localcfn.Options{})
	status, body := call(t, s, "DescribeStacks", "StackName", "app")
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, body, "<Code>ValidationError</Code><Message>Stack with id app does not exist</Message>")

	status, body = call(t, s, "CreateChangeSet", "StackName", "app", "ChangeSetName", "c", "ChangeSetType", "CREATE", "TemplateBody", topic,
		"Tags.member.1.Key", "k", "Tags.member.1.Value", "v")
	require.Equal(t, http.StatusOK, status, body)
	_, body = call(t, s, "DescribeStacks", "StackName", "app")
	assert.Contains(t, body, "<StackStatus>REVIEW_IN_PROGRESS</StackStatus>")
	_, body = call(t, s, "DescribeChangeSet", "StackName", "app", "ChangeSetName", "c")
	assert.Contains(t, body, "<Status>CREATE_COMPLETE</Status>")
	assert.Contains(t, body, "<Action>Add</Action><LogicalResourceId>B</LogicalResourceId>")
	status, body = call(t, s, "ExecuteChangeSet", "StackName", "app", "ChangeSetName", "c")
	require.Equal(t, http.StatusOK, status, body)
	_, body = call(t, s, "DescribeStacks", "StackName", "app")
	assert.Contains(t, body, "<StackStatus>CREATE_COMPLETE</StackStatus>")
	assert.Contains(t, body, "<OutputKey>O</OutputKey><OutputValue>arn:aws:sns:us-east-1:000000000000:app-T-")
	assert.Contains(t, body, "<Tags><member><Key>k</Key><Value>v</Value></member></Tags>")
	for action, want := range map[string]string{
		"ListStacks": "<StackName>app</StackName>", "ListExports": "<Name>t</Name>", "ListStackResources": "<LogicalResourceId>T</LogicalResourceId>",
		"DescribeStackResources": "<PhysicalResourceId>assets</PhysicalResourceId>", "DescribeStackEvents": "<ResourceStatus>CREATE_COMPLETE</ResourceStatus>",
		"GetTemplateSummary": "<ResourceTypes><member>AWS::S3::Bucket</member>", "GetTemplate": "<TemplateBody>{&#34;Resources&#34;",
	} {
		status, body = call(t, s, action, "StackName", "app")
		assert.Equal(t, http.StatusOK, status, action)
		assert.Contains(t, body, want, action)
	}
	status, body = call(t, s, "DescribeStackResource", "StackName", "app", "LogicalResourceId", "T")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "<ResourceType>AWS::SNS::Topic</ResourceType>")
	status, body = call(t, s, "ValidateTemplate", "TemplateBody", `{"Resources":{"A":{"Type":"AWS::Nope::Nope"}}}`)
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, body, "Unrecognized resource types: [AWS::Nope::Nope]")

	changed := strings.Replace(topic, `"AWS::SNS::Topic"`, `"AWS::SNS::Topic","Properties":{"TopicName":"new"}`, 1)
	_, _ = call(t, s, "CreateChangeSet", "StackName", "app", "ChangeSetName", "c", "TemplateBody", changed)
	_, body = call(t, s, "DescribeChangeSet", "StackName", "app", "ChangeSetName", "c", "IncludePropertyValues", "true")
	assert.Contains(t, body, "<Replacement>True</Replacement>")
	assert.Contains(t, body, "<RequiresRecreation>Always</RequiresRecreation>")
	assert.Contains(t, body, "<AfterValue>new</AfterValue>")

	status, _ = call(t, s, "DeleteStack", "StackName", "app")
	assert.Equal(t, http.StatusOK, status)
	status, _ = call(t, s, "DescribeStacks", "StackName", "app")
	assert.Equal(t, http.StatusBadRequest, status)
	status, body = call(t, s, "DetectStackDrift", "StackName", "app")
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, body, "DetectStackDrift is not supported")
}

func TestFailedChangeSetNamesEachProblem(t *testing.T) {
	s := start(t, localcfn.Options{})
	call(t, s, "CreateChangeSet", "StackName", "app", "ChangeSetName", "c", "ChangeSetType", "CREATE", "TemplateBody",
		`{"Resources":{"E":{"Type":"AWS::EC2::EIP","Properties":{"Domaine":"vpc"}}}}`)
	_, body := call(t, s, "DescribeChangeSet", "StackName", "app", "ChangeSetName", "c")
	assert.Contains(t, body, "<Status>FAILED</Status>")
	assert.Contains(t, body, "extraneous key [Domaine] is not permitted, did you mean [Domain]?")
	_, body = call(t, s, "DescribeEvents", "StackName", "app", "ChangeSetName", "c", "Filters.FailedEvents", "true")
	assert.Contains(t, body, "<LogicalResourceId>E</LogicalResourceId>")
	assert.Contains(t, body, "<ValidationPath>/Resources/E/Properties</ValidationPath>")
	status, _ := call(t, s, "DescribeEvents", "StackName", "app")
	assert.Equal(t, http.StatusBadRequest, status)
}

func TestTemplateByURL(t *testing.T) {
	s := start(t, localcfn.Options{})
	call(t, s, "CreateStack", "StackName", "b", "TemplateBody", topic)
	large := `{"Description":"` + strings.Repeat("x", 500) + `","Metadata":"` + strings.Repeat("y", 60000) + `","Resources":{"T":{"Type":"AWS::SNS::Topic"}}}`
	status, body := call(t, s, "CreateStack", "StackName", "large", "TemplateBody", large)
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, body, "less than or equal to 51200")
	status, _, _ = do(t, http.MethodPut, s.URL()+"/assets/t.json", large)
	require.Equal(t, http.StatusOK, status)
	for i, u := range []string{s.URL() + "/assets/t.json", "https://s3.us-east-1.amazonaws.com/assets/t.json", "https://assets.s3.us-east-1.amazonaws.com/t.json"} {
		status, body = call(t, s, "CreateStack", "StackName", "large"+string(rune('a'+i)), "TemplateURL", u)
		assert.Equal(t, http.StatusOK, status, body)
	}
}

func TestS3(t *testing.T) {
	s := start(t, localcfn.Options{Region: "eu-west-1"})
	status, body, _ := do(t, http.MethodGet, s.URL()+"/assets?list-type=2", "")
	assert.Equal(t, http.StatusNotFound, status)
	assert.Contains(t, body, "NoSuchBucket")
	call(t, s, "CreateStack", "StackName", "b", "TemplateBody", topic)
	_, body, _ = do(t, http.MethodGet, s.URL()+"/assets?location", "")
	assert.Contains(t, body, ">eu-west-1</LocationConstraint>")
	_, body, _ = do(t, http.MethodGet, s.URL()+"/assets?encryption", "")
	assert.Contains(t, body, "<SSEAlgorithm>AES256</SSEAlgorithm>")

	for _, k := range []string{"a/1", "a/2", "b"} {
		status, _, _ = do(t, http.MethodPut, s.URL()+"/assets/"+k, "body of "+k, "Content-Type", "text/plain")
		require.Equal(t, http.StatusOK, status)
	}
	_, body, _ = do(t, http.MethodGet, s.URL()+"/assets?list-type=2&prefix=a/&max-keys=1", "")
	assert.Contains(t, body, "<IsTruncated>true</IsTruncated><NextContinuationToken>a/1</NextContinuationToken><Contents><Key>a/1</Key>")
	_, body, _ = do(t, http.MethodGet, s.URL()+"/assets?list-type=2&prefix=a/&continuation-token=a/1", "")
	assert.Contains(t, body, "<IsTruncated>false</IsTruncated><Contents><Key>a/2</Key>")
	status, body, header := do(t, http.MethodGet, s.URL()+"/assets/a/1", "")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "body of a/1", body)
	assert.Equal(t, "text/plain", header.Get("Content-Type"))
	status, _, header = do(t, http.MethodHead, s.URL()+"/assets/a/1", "")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "11", header.Get("Content-Length"))
	status, _, _ = do(t, http.MethodHead, s.URL()+"/assets/none", "")
	assert.Equal(t, http.StatusNotFound, status)

	chunked := "5;chunk-signature=x\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n"
	status, _, _ = do(t, http.MethodPut, s.URL()+"/assets/c", chunked, "X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding", "aws-chunked")
	require.Equal(t, http.StatusOK, status)
	_, body, _ = do(t, http.MethodGet, s.URL()+"/assets/c", "")
	assert.Equal(t, "hello world", body)

	_, body, _ = do(t, http.MethodPost, s.URL()+"/assets/big?uploads", "")
	id := regexp.MustCompile(`<UploadId>(.*)</UploadId>`).FindStringSubmatch(body)[1]
	do(t, http.MethodPut, s.URL()+"/assets/big?partNumber=2&uploadId="+id, "two")
	do(t, http.MethodPut, s.URL()+"/assets/big?partNumber=1&uploadId="+id, "one")
	status, _, _ = do(t, http.MethodPost, s.URL()+"/assets/big?uploadId="+id, "<CompleteMultipartUpload/>")
	require.Equal(t, http.StatusOK, status)
	_, body, _ = do(t, http.MethodGet, s.URL()+"/assets/big", "")
	assert.Equal(t, "onetwo", body)
	status, _, _ = do(t, http.MethodDelete, s.URL()+"/assets/big", "")
	assert.Equal(t, http.StatusNoContent, status)
	status, _, _ = do(t, http.MethodGet, s.URL()+"/assets?acl", "")
	assert.Equal(t, http.StatusBadRequest, status, "never a 5xx, which clients retry")
}

func TestSTSAndEC2AndSSM(t *testing.T) {
	s := start(t, localcfn.Options{Account: "111122223333"})
	form := "application/x-www-form-urlencoded"
	_, body, _ := do(t, http.MethodPost, s.URL(), "Action=GetCallerIdentity&Version=2011-06-15", "Content-Type", form)
	assert.Contains(t, body, "<Account>111122223333</Account>")
	_, body, _ = do(t, http.MethodPost, s.URL(), "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::111122223333:role/r&RoleSessionName=x", "Content-Type", form)
	assert.Contains(t, body, "arn:aws:sts::111122223333:assumed-role/r/x")
	_, body, _ = do(t, http.MethodPost, s.URL(), "Action=DescribeAvailabilityZones&Version=2016-11-15", "Content-Type", form)
	assert.Contains(t, body, "<zoneName>us-east-1f</zoneName>")
	status, body, _ := do(t, http.MethodPost, s.URL(), "Action=RunInstances&Version=2016-11-15", "Content-Type", form)
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, body, "RunInstances is not supported by this local CloudFormation")

	status, body = target(t, s, "AmazonSSM.GetParameter", `{"Name":"/none"}`)
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, body, "ParameterNotFound")
	_, body = target(t, s, "AmazonSSM.GetParameters", `{"Names":["/none","/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"]}`)
	assert.Contains(t, body, `"InvalidParameters":["/none"]`)
	assert.Contains(t, body, `"Value":"ami-0`)
	status, _ = target(t, s, "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents", `{}`)
	assert.Equal(t, http.StatusBadRequest, status)
}

// The AWS SDK reads any resource.
func TestCloudControlBySDK(t *testing.T) {
	s := start(t, localcfn.Options{})
	status, body := call(t, s, "CreateStack", "StackName", "app", "TemplateBody",
		`{"Resources":{"E":{"Type":"AWS::EC2::EIP"},"A":{"Type":"AWS::SNS::Topic"},"B":{"Type":"AWS::SNS::Topic"},"C":{"Type":"AWS::SNS::Topic"}}}`)
	require.Equal(t, http.StatusOK, status, body)
	client := cloudcontrol.New(cloudcontrol.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL()), Credentials: credentialsFor(),
	})
	ctx := t.Context()
	var topics []string
	pages := cloudcontrol.NewListResourcesPaginator(client, &cloudcontrol.ListResourcesInput{TypeName: aws.String("AWS::SNS::Topic"), MaxResults: aws.Int32(2)})
	count := 0
	for pages.HasMorePages() {
		p, err := pages.NextPage(ctx)
		require.NoError(t, err)
		count++
		for _, r := range p.ResourceDescriptions {
			topics = append(topics, *r.Identifier)
		}
	}
	assert.Len(t, topics, 3)
	assert.Equal(t, 2, count)

	eips, err := client.ListResources(ctx, &cloudcontrol.ListResourcesInput{TypeName: aws.String("AWS::EC2::EIP")})
	require.NoError(t, err)
	id := *eips.ResourceDescriptions[0].Identifier
	assert.Regexp(t, `^[0-9.]+\|eipalloc-[0-9a-f]{17}$`, id)
	eip, err := client.GetResource(ctx, &cloudcontrol.GetResourceInput{TypeName: aws.String("AWS::EC2::EIP"), Identifier: &id})
	require.NoError(t, err)
	var model map[string]string
	require.NoError(t, json.Unmarshal([]byte(*eip.ResourceDescription.Properties), &model))
	assert.Equal(t, id, model["PublicIp"]+"|"+model["AllocationId"])

	_, err = client.GetResource(ctx, &cloudcontrol.GetResourceInput{TypeName: aws.String("AWS::EC2::EIP"), Identifier: aws.String("x")})
	var missing *types.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)
	_, err = client.ListResources(ctx, &cloudcontrol.ListResourcesInput{TypeName: aws.String("AWS::EC2::EIPs")})
	assert.ErrorContains(t, err, "The type nearest to it is AWS::EC2::EIP.")
}

func TestFaultsWhileRunning(t *testing.T) {
	s := start(t, localcfn.Options{})
	require.NoError(t, s.Fail(localcfn.Fail{Type: "AWS::SNS::Topic", Operation: "Create"}))
	call(t, s, "CreateStack", "StackName", "a", "TemplateBody", topic)
	_, body := call(t, s, "DescribeStacks", "StackName", "a")
	assert.Contains(t, body, "<StackStatus>ROLLBACK_COMPLETE</StackStatus>")

	status, body, _ := do(t, http.MethodPost, s.URL()+"/_localcfn/faults", `{"type":"AWS::SNS::Topic","operation":"Create","message":"by path"}`)
	require.Equal(t, http.StatusOK, status, body)
	call(t, s, "CreateStack", "StackName", "b", "TemplateBody", topic, "OnFailure", "DELETE")
	status, _ = call(t, s, "DescribeStacks", "StackName", "b")
	assert.Equal(t, http.StatusBadRequest, status, "deleted on failure")
	for _, bad := range []string{`{"typo":1}`, `{"operation":"Break"}`, `{"nth":-1}`, `{`} {
		status, _, _ = do(t, http.MethodPost, s.URL()+"/_localcfn/faults", bad)
		assert.Equal(t, http.StatusBadRequest, status, bad)
	}
	do(t, http.MethodPost, s.URL()+"/_localcfn/faults", `{"type":"AWS::SNS::Topic","operation":"Create"}`)
	do(t, http.MethodDelete, s.URL()+"/_localcfn/faults", "")
	call(t, s, "CreateStack", "StackName", "c", "TemplateBody", topic)
	_, body = call(t, s, "DescribeStacks", "StackName", "c")
	assert.Contains(t, body, "<StackStatus>CREATE_COMPLETE</StackStatus>")
	_, body, _ = do(t, http.MethodGet, s.URL()+"/_localcfn/health", "")
	assert.Contains(t, body, `"status":"ok"`)
}

func TestDelayLetsProgressBeSeen(t *testing.T) {
	s := start(t, localcfn.Options{Delay: 30 * time.Millisecond})
	call(t, s, "CreateStack", "StackName", "a", "TemplateBody", topic)
	_, body := call(t, s, "DescribeStacks", "StackName", "a")
	assert.Contains(t, body, "<StackStatus>CREATE_IN_PROGRESS</StackStatus>")
	status, body := call(t, s, "DeleteStack", "StackName", "a")
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, body, "Stack [a] cannot be deleted while in status CREATE_IN_PROGRESS")
	require.Eventually(t, func() bool {
		_, body := call(t, s, "DescribeStacks", "StackName", "a")
		return strings.Contains(body, "<StackStatus>CREATE_COMPLETE</StackStatus>")
	}, 5*time.Second, 5*time.Millisecond)
}

func TestStateFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	s, err := localcfn.New(localcfn.Options{StateFile: file})
	require.NoError(t, err)
	require.NoError(t, s.Start("127.0.0.1:0"))
	call(t, s, "CreateStack", "StackName", "a", "TemplateBody", topic)
	require.NoError(t, s.Close())
	s = start(t, localcfn.Options{StateFile: file})
	_, body := call(t, s, "DescribeStacks")
	assert.Contains(t, body, "<StackName>a</StackName>")
	_, err = localcfn.New(localcfn.Options{StateFile: file, Region: "eu-west-1"})
	assert.ErrorContains(t, err, "is of account 000000000000 in us-east-1, not of 000000000000 in eu-west-1")
}

func TestEnv(t *testing.T) {
	s := start(t, localcfn.Options{})
	assert.Contains(t, s.Env(), "AWS_ENDPOINT_URL="+s.URL())
	assert.True(t, strings.HasPrefix(s.URL(), "http://localhost:"))
}

func FuzzRequests(f *testing.F) {
	s, err := localcfn.New(localcfn.Options{})
	if err != nil {
		f.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	f.Add("Resources: {A: {Type: AWS::SNS::Topic}}")
	f.Add(`{"Resources":{"A":{"Type":"AWS::SNS::Topic","Properties":{"TopicName":{"Fn::Sub":["${x}",{"x":{"Ref":"A"}}]}}}}}`)
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, body string) {
		form := url.Values{"Action": {"CreateStack"}, "Version": {"2010-05-15"}, "StackName": {"a"}, "TemplateBody": {body}}
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.URL(), bytes.NewBufferString(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("no answer, the handler must have panicked: %v", err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode >= 500 {
			t.Fatalf("%d for %q", answer.StatusCode, body)
		}
	})
}
