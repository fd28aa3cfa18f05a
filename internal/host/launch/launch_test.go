package launch

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// services answer as AWS does.
type services struct {
	asked   []string // service, and what it was asked for
	answers map[string]string
	status  int
}

func instance(t *testing.T, s *services) *Instance {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		form, err := url.ParseQuery(string(body))
		assert.NoError(t, err)
		service := strings.Trim(r.URL.Path, "/")
		assert.Contains(t, r.Header.Get("Authorization"), "/eu-west-1/"+service+"/aws4_request, SignedHeaders=")
		assert.Equal(t, "SESSION", r.Header.Get("X-Amz-Security-Token"))
		s.asked = append(s.asked, service+" "+form.Encode())
		if answer, ok := s.answers[form.Get("Action")]; ok {
			if s.status != 0 {
				w.WriteHeader(s.status)
			}
			_, _ = io.WriteString(w, answer)
		}
	}))
	t.Cleanup(server.Close)
	return &Instance{
		Region: "eu-west-1", ID: "i-0abc", Credentials: credentials.NewStaticCredentialsProvider("AKIA", "SECRET", "SESSION"),
		Endpoint: func(service string) string { return server.URL + "/" + service + "/" },
	}
}

func TestRequests(t *testing.T) {
	s := &services{answers: map[string]string{
		"DescribeTags": `<DescribeTagsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>x</requestId><tagSet><item>` +
			`<key>aws:autoscaling:groupName</key><value>group &amp; 1</value></item></tagSet></DescribeTagsResponse>`,
	}}
	i := instance(t, s)
	require.NoError(t, i.Address(t.Context(), "eipalloc-1"))
	require.NoError(t, i.Service(t.Context(), "proved"))
	require.NoError(t, i.Signal(t.Context(), "Access", "BastionASG", "SUCCESS"))
	assert.Equal(t, []string{
		"ec2 Action=AssociateAddress&AllocationId=eipalloc-1&AllowReassociation=true&InstanceId=i-0abc&Version=2016-11-15",
		"ec2 Action=DescribeTags&Filter.1.Name=resource-id&Filter.1.Value.1=i-0abc&Filter.2.Name=key&Filter.2.Value.1=aws%3Aautoscaling%3AgroupName&Version=2016-11-15",
		"autoscaling Action=CompleteLifecycleAction&AutoScalingGroupName=group+%26+1&InstanceId=i-0abc&LifecycleActionResult=CONTINUE&LifecycleHookName=proved&Version=2011-01-01",
		"cloudformation Action=SignalResource&LogicalResourceId=BastionASG&StackName=Access&Status=SUCCESS&UniqueId=i-0abc&Version=2010-05-15",
	}, s.asked)
}

func TestRefusals(t *testing.T) {
	i := instance(t, &services{status: 400, answers: map[string]string{
		"AssociateAddress": `<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>not you</Message></Error></Errors></Response>`,
		"SignalResource":   `<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>no stack</Message></Error></ErrorResponse>`,
		"DescribeTags":     "<html>",
	}})
	require.EqualError(t, i.Address(t.Context(), "eipalloc-1"), "ec2 AssociateAddress: UnauthorizedOperation: not you")
	require.EqualError(t, i.Signal(t.Context(), "Access", "X", "FAILURE"), "cloudformation SignalResource: ValidationError: no stack")
	require.EqualError(t, i.Service(t.Context(), "proved"), "ec2 DescribeTags: 400 Bad Request")
}

func TestServiceNeedsTheGroup(t *testing.T) {
	s := &services{answers: map[string]string{"DescribeTags": "<DescribeTagsResponse><tagSet/></DescribeTagsResponse>"}}
	require.EqualError(t, instance(t, s).Service(t.Context(), "proved"), "ec2 DescribeTags: the instance has no tag aws:autoscaling:groupName")
	assert.Len(t, s.asked, 1)
}

func TestServiceThatSomebodyGaveByHand(t *testing.T) {
	tagged := `<DescribeTagsResponse><tagSet><item><value>group</value></item></tagSet></DescribeTagsResponse>`
	for message, accepted := range map[string]bool{"No active Lifecycle Action found with instance ID i-0abc": true, "No such hook": false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("Action") == "DescribeTags" {
				_, _ = io.WriteString(w, tagged)
				return
			}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "<ErrorResponse><Error><Code>ValidationError</Code><Message>"+message+"</Message></Error></ErrorResponse>")
		}))
		i := Instance{
			Region: "eu-west-1", ID: "i-0abc", Credentials: credentials.NewStaticCredentialsProvider("AKIA", "SECRET", ""),
			Endpoint: func(string) string { return server.URL },
		}
		err := i.Service(t.Context(), "proved")
		assert.Equal(t, accepted, err == nil, "%s: %v", message, err)
		server.Close()
	}
}

func TestEndpoints(t *testing.T) {
	for region, want := range map[string]string{
		"eu-west-1":      "https://ec2.eu-west-1.amazonaws.com/",
		"us-gov-west-1":  "https://ec2.us-gov-west-1.amazonaws.com/",
		"cn-north-1":     "https://ec2.cn-north-1.amazonaws.com.cn/",
		"us-iso-east-1":  "https://ec2.us-iso-east-1.c2s.ic.gov/",
		"eusc-de-east-1": "https://ec2.eusc-de-east-1.amazonaws.eu/",
	} {
		got, err := (&Instance{Region: region}).endpoint(t.Context(), "ec2")
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}
