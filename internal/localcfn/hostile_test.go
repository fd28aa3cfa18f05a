package localcfn_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn"
)

const formType = "application/x-www-form-urlencoded"

func TestNoWayInFromElsewhere(t *testing.T) {
	for _, addr := range []string{
		"0.0.0.0:0", "[::]:0", ":0", "0:0", "[::ffff:0.0.0.0]:0", "[fe80::1]:0", "10.0.0.1:0", "example.com:0",
		"localhost.example.com:0", "127.0.0.1.example.com:0", "127.0.0.1 :0", "2130706433:0",
	} {
		s, err := localcfn.New(localcfn.Options{})
		require.NoError(t, err)
		assert.ErrorContains(t, s.Start(addr), "is not a loopback address", addr)
		require.NoError(t, s.Close())
	}
	for _, addr := range []string{"127.0.0.1:0", "127.9.9.9:0", "[::ffff:127.0.0.1]:0", "localhost:0", "[::1]:0"} {
		s, err := localcfn.New(localcfn.Options{})
		require.NoError(t, err)
		if err := s.Start(addr); err != nil {
			assert.NotContains(t, err.Error(), "is not a loopback address", addr) // a machine may have no IPv6
		}
		require.NoError(t, s.Close())
	}

	s, err := localcfn.New(localcfn.Options{})
	require.NoError(t, err)
	for _, c := range []struct {
		remote, host, header string
		status               int
	}{
		{"127.0.0.1:1", "localhost:4566", "", http.StatusOK},
		{"127.0.0.1:1", "LOCALHOST", "", http.StatusOK},
		{"127.0.0.1:1", "127.0.0.1:4566", "", http.StatusOK},
		{"[::1]:1", "[::1]:4566", "", http.StatusOK},
		{"[::ffff:127.0.0.1]:1", "bucket.localhost:4566", "", http.StatusOK},
		{"192.0.2.1:1", "localhost", "", http.StatusForbidden},
		{"[2001:db8::1]:1", "localhost", "", http.StatusForbidden},
		{"", "localhost", "", http.StatusForbidden},
		// A page whose own name was made to resolve to this machine.
		{"127.0.0.1:1", "evil.example", "", http.StatusForbidden},
		{"127.0.0.1:1", "localhost.evil.example:80", "", http.StatusForbidden},
		{"127.0.0.1:1", "192.0.2.1", "", http.StatusForbidden},
		{"127.0.0.1:1", "", "", http.StatusForbidden},
		{"127.0.0.1:1", "localhost", "Origin", http.StatusForbidden},
		{"127.0.0.1:1", "localhost", "Sec-Fetch-Site", http.StatusForbidden},
	} {
		r := httptest.NewRequest(http.MethodGet, "/_localcfn/health", nil)
		r.RemoteAddr, r.Host = c.remote, c.host
		if c.header != "" {
			r.Header.Set(c.header, "x")
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		assert.Equal(t, c.status, w.Code, "%+v", c)
	}
}

// Whatever is asked: an answer of 400 or 404, never a 5xx, which clients try
// again for a minute, and never a connection that just ends.
func TestMalformedRequests(t *testing.T) {
	s := start(t, localcfn.Options{})
	cf := func(pairs ...string) string {
		f := url.Values{"Version": {"2010-05-15"}}
		for i := 0; i < len(pairs); i += 2 {
			f.Set(pairs[i], pairs[i+1])
		}
		return f.Encode()
	}
	create := func(body string) string { return cf("Action", "CreateStack", "StackName", "x", "TemplateBody", body) }
	huge := strings.Repeat("x", 9<<20)
	status, body, _ := do(t, http.MethodPost, s.URL(), cf("Action", "CreateStack", "StackName", "b", "TemplateBody", topic), "Content-Type", formType)
	require.Equal(t, http.StatusOK, status, body)
	for name, c := range map[string]struct {
		body, want string
		header     []string
	}{
		"nothing":            {"", "MissingAction", []string{"Content-Type", formType}},
		"no action":          {cf(), "MissingAction", []string{"Content-Type", formType}},
		"no version":         {"Action=CreateStack", "InvalidAction", []string{"Content-Type", formType}},
		"unknown action":     {cf("Action", "Nope"), "InvalidAction", []string{"Content-Type", formType}},
		"no stack name":      {cf("Action", "CreateStack", "TemplateBody", oneTopic), "stackName", []string{"Content-Type", formType}},
		"bad stack name":     {cf("Action", "CreateStack", "TemplateBody", oneTopic, "StackName", "-x"), "stackName", []string{"Content-Type", formType}},
		"no template":        {cf("Action", "CreateStack", "StackName", "x"), "Either Template URL or Template Body must be specified.", []string{"Content-Type", formType}},
		"bad escape":         {"Action=%zz", "MalformedQueryString", []string{"Content-Type", formType}},
		"bad JSON":           {create(`{"Resources":`), "Template format error", []string{"Content-Type", formType}},
		"JSON and more":      {create(oneTopic + "}"), "Template format error", []string{"Content-Type", formType}},
		"bad YAML":           {create("a: [}"), "YAML not well-formed", []string{"Content-Type", formType}},
		"NUL":                {create("\x00"), "Template format error", []string{"Content-Type", formType}},
		"no UTF-8":           {create("\xff\xfe"), "Template format error", []string{"Content-Type", formType}},
		"a number":           {create("5"), "Template format error", []string{"Content-Type", formType}},
		"deep":               {create(strings.Repeat("[", 25000)), "Template format error", []string{"Content-Type", formType}},
		"deep object":        {create(strings.Repeat(`{"Resources":`, 3000)), "Template format error", []string{"Content-Type", formType}},
		"bomb":               {create("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]"), "YAML aliases are not allowed", []string{"Content-Type", formType}},
		"large template":     {create(strings.Repeat("x", 51201)), "less than or equal to 51200", []string{"Content-Type", formType}},
		"huge":               {create(huge), "request body too large", []string{"Content-Type", formType}},
		"huge JSON":          {huge, "request body too large", []string{"X-Amz-Target", "CloudApiService.ListResources"}},
		"bad token":          {cf("Action", "DescribeStackEvents", "StackName", "b", "NextToken", "x"), "Invalid NextToken", []string{"Content-Type", formType}},
		"token too far":      {cf("Action", "ListStackResources", "StackName", "b", "NextToken", "99"), "Invalid NextToken", []string{"Content-Type", formType}},
		"negative token":     {cf("Action", "DescribeStacks", "NextToken", "-1"), "Invalid NextToken", []string{"Content-Type", formType}},
		"token of no number": {cf("Action", "ListExports", "NextToken", "9999999999999999999999"), "Invalid NextToken", []string{"Content-Type", formType}},
		"no change set":      {cf("Action", "DescribeChangeSet", "StackName", "b", "ChangeSetName", "x"), "ChangeSetNotFound", []string{"Content-Type", formType}},
		"no type":            {"{}", "TypeNotFoundException", []string{"X-Amz-Target", "CloudApiService.ListResources"}},
		"no JSON":            {"<xml/>", "SerializationException", []string{"X-Amz-Target", "CloudApiService.ListResources"}},
		"wrong JSON":         {`{"MaxResults":"many"}`, "SerializationException", []string{"X-Amz-Target", "CloudApiService.ListResources"}},
		"JSON token":         {`{"TypeName":"AWS::SNS::Topic","NextToken":"x"}`, "Invalid NextToken", []string{"X-Amz-Target", "CloudApiService.ListResources"}},
		"no identifier":      {`{"TypeName":"AWS::SNS::Topic"}`, "ResourceNotFoundException", []string{"X-Amz-Target", "CloudApiService.GetResource"}},
		"unknown target":     {"{}", "UnknownOperationException", []string{"X-Amz-Target", "..."}},
		"target of no dot":   {"{}", "UnknownOperationException", []string{"X-Amz-Target", "x"}},
		"no content type":    {"Action=CreateStack", "NotImplemented", nil},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer, _ := do(t, http.MethodPost, s.URL()+"/", c.body, c.header...)
			assert.Equal(t, http.StatusBadRequest, status)
			assert.Contains(t, answer, c.want)
		})
	}
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
	}{
		"chunk that lies":     {http.MethodPut, "/assets/k", "7fffffff\r\nx\r\n", []string{"Content-Encoding", "aws-chunked"}},
		"chunk below zero":    {http.MethodPut, "/assets/k", "-1\r\nx\r\n", []string{"Content-Encoding", "aws-chunked"}},
		"chunk without size":  {http.MethodPut, "/assets/k", "zz\r\n", []string{"Content-Encoding", "aws-chunked"}},
		"chunks without end":  {http.MethodPut, "/assets/k", "1\r\nx\r\n", []string{"Content-Encoding", "aws-chunked"}},
		"part of no upload":   {http.MethodPut, "/assets/k?partNumber=1&uploadId=x", "x", nil},
		"part of no number":   {http.MethodPut, "/assets/k?partNumber=x", "x", nil},
		"unknown upload":      {http.MethodPost, "/assets/k?uploadId=x", "", nil},
		"deletion in no XML":  {http.MethodPost, "/assets?delete", "{", nil},
		"unknown method":      {"BREW", "/assets/k", "", nil},
		"post to a bucket":    {http.MethodPost, "/assets", "x", nil},
		"put to no bucket":    {http.MethodPut, "/nope/k", "x", nil},
		"object that is none": {http.MethodGet, "/assets/../../etc/passwd", "", nil},
		"control":             {http.MethodPost, "/_localcfn/faults", "[", nil},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, _ := do(t, c.method, s.URL()+c.path, c.body, c.header...)
			assert.True(t, status >= 400 && status < 500, status)
		})
	}
	status, _ = call(t, s, "DescribeStacks", "StackName", "b")
	assert.Equal(t, http.StatusOK, status, "and it still answers")
}

const oneTopic = `{"Resources":{"A":{"Type":"AWS::SNS::Topic"}}}`

// "Template body size in an Amazon S3 object: 1 MB"
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
func TestTemplateOfAMegabyte(t *testing.T) {
	s := start(t, localcfn.Options{})
	call(t, s, "CreateStack", "StackName", "b", "TemplateBody", topic)
	for size, want := range map[int]int{1 << 20: http.StatusOK, 1<<20 + 1: http.StatusBadRequest} {
		body := strings.Replace(oneTopic, "{", `{"Metadata":"`+strings.Repeat("x", size-len(oneTopic)-len(`"Metadata":"",`))+`",`, 1)
		require.Len(t, body, size)
		status, _, _ := do(t, http.MethodPut, s.URL()+"/assets/t.json", body)
		require.Equal(t, http.StatusOK, status)
		status, answer := call(t, s, "CreateStack", "StackName", fmt.Sprint("s", size), "TemplateURL", s.URL()+"/assets/t.json")
		assert.Equal(t, want, status, answer)
	}
	status, answer := call(t, s, "CreateStack", "StackName", "x", "TemplateURL", s.URL()+"/assets/none.json")
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, answer, "S3 error")
}

// "Use the NoEcho attribute to mask a parameter value ... returned as asterisks (*****)
// ... for any calls that describe the stack or stack events."
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
func TestNoEcho(t *testing.T) {
	s := start(t, localcfn.Options{})
	body := `{"Parameters":{"P":{"Type":"String","NoEcho":true},"Q":{"Type":"String"}},"Resources":{"A":{"Type":"AWS::SNS::Topic","Properties":{"DisplayName":{"Ref":"Q"}}}}}`
	parameters := []string{
		"Parameters.member.1.ParameterKey", "P", "Parameters.member.1.ParameterValue", "hush",
		"Parameters.member.2.ParameterKey", "Q", "Parameters.member.2.ParameterValue", "loud",
	}
	status, answer := call(t, s, "CreateChangeSet", append(parameters, "StackName", "a", "ChangeSetName", "c", "ChangeSetType", "CREATE", "TemplateBody", body)...)
	require.Equal(t, http.StatusOK, status, answer)
	const shown = "<ParameterKey>P</ParameterKey><ParameterValue>****</ParameterValue>"
	_, answer = call(t, s, "DescribeChangeSet", "StackName", "a", "ChangeSetName", "c")
	assert.Contains(t, answer, shown)
	_, _ = call(t, s, "ExecuteChangeSet", "StackName", "a", "ChangeSetName", "c")
	for _, action := range []string{"DescribeStacks", "DescribeStackEvents", "DescribeStackResources", "GetTemplateSummary", "GetTemplate"} {
		_, answer = call(t, s, action, "StackName", "a")
		assert.NotContains(t, answer, "hush", action)
	}
	_, answer = call(t, s, "DescribeStacks", "StackName", "a")
	assert.Contains(t, answer, shown)
	assert.Contains(t, answer, "<ParameterKey>Q</ParameterKey><ParameterValue>loud</ParameterValue>")
	// The value is still there for an update that takes it over.
	changed := strings.Replace(body, `"Ref":"Q"`, `"Fn::Sub":"${Q}"`, 1)
	status, answer = call(t, s, "UpdateStack", "StackName", "a", "TemplateBody", changed+" ",
		"Parameters.member.1.ParameterKey", "P", "Parameters.member.1.UsePreviousValue", "true",
		"Parameters.member.2.ParameterKey", "Q", "Parameters.member.2.ParameterValue", "louder")
	assert.Equal(t, http.StatusOK, status, answer)
}

var nextToken = regexp.MustCompile(`<NextToken>([^<]*)</NextToken>`)

// Each list is cut at a hundred and told to the end, once each.
func TestPages(t *testing.T) {
	s := start(t, localcfn.Options{})
	var b strings.Builder
	b.WriteString("Resources:\n")
	for i := range 120 {
		fmt.Fprintf(&b, "  T%03d: {Type: AWS::SNS::Topic}\n", i)
	}
	b.WriteString("Outputs:\n")
	for i := range 120 {
		fmt.Fprintf(&b, "  O%03d: {Value: x, Export: {Name: e%d}}\n", i, i)
	}
	_, _ = call(t, s, "CreateChangeSet", "StackName", "big", "ChangeSetName", "c", "ChangeSetType", "CREATE", "TemplateBody", b.String())
	all := func(action, pattern string, pairs ...string) (items []string, pages int) {
		token, re := "", regexp.MustCompile(pattern)
		for {
			more := slices.Clone(pairs)
			if token != "" {
				more = append(more, "NextToken", token)
			}
			status, answer := call(t, s, action, more...)
			require.Equal(t, http.StatusOK, status, answer)
			pages++
			for _, m := range re.FindAllStringSubmatch(answer, -1) {
				items = append(items, m[1])
			}
			next := nextToken.FindStringSubmatch(answer)
			if next == nil {
				return items, pages
			}
			token = next[1]
		}
	}
	check := func(n, wantPages int, items []string, pages int) {
		t.Helper()
		assert.Len(t, items, n)
		assert.Equal(t, wantPages, pages)
		slices.Sort(items)
		assert.Len(t, slices.Compact(items), n, "none twice")
	}
	items, pages := all("DescribeChangeSet", "<LogicalResourceId>(T[0-9]+)</LogicalResourceId>", "StackName", "big", "ChangeSetName", "c")
	check(120, 2, items, pages)
	_, _ = call(t, s, "ExecuteChangeSet", "StackName", "big", "ChangeSetName", "c")
	items, pages = all("ListStackResources", "<LogicalResourceId>(T[0-9]+)</LogicalResourceId>", "StackName", "big")
	check(120, 2, items, pages)
	items, pages = all("ListExports", "<Name>(e[0-9]+)</Name>")
	check(120, 2, items, pages)
	items, pages = all("DescribeStackEvents", "<EventId>([^<]+)</EventId>", "StackName", "big")
	check(120*3+3, 4, items, pages)

	list := func(in map[string]any) (ids []string, token string) {
		body, err := json.Marshal(in)
		require.NoError(t, err)
		status, answer := target(t, s, "CloudApiService.ListResources", string(body))
		require.Equal(t, http.StatusOK, status, answer)
		var out struct {
			NextToken            string
			ResourceDescriptions []struct{ Identifier string }
		}
		require.NoError(t, json.Unmarshal([]byte(answer), &out))
		for _, d := range out.ResourceDescriptions {
			ids = append(ids, d.Identifier)
		}
		return ids, out.NextToken
	}
	one, token := list(map[string]any{"TypeName": "AWS::SNS::Topic"})
	assert.Len(t, one, 100)
	two, end := list(map[string]any{"TypeName": "AWS::SNS::Topic", "NextToken": token})
	assert.Empty(t, end)
	check(120, 2, append(one, two...), 2)
}

// What a change set tells of each property, by the names of the API.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceTargetDefinition.html
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChangeDetail.html
func TestChangeSetDetails(t *testing.T) {
	s := start(t, localcfn.Options{})
	body := `
Parameters: {P: {Type: String, Default: one}}
Resources:
  G: {Type: AWS::EC2::SecurityGroup, Properties: {GroupDescription: !Ref P, Tags: [{Key: k, Value: !Ref P}]}}
  I: {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref G, IpProtocol: tcp, FromPort: 22, ToPort: 22, CidrIp: 10.0.0.0/8, Description: a}}
  Q: {Type: AWS::SQS::Queue, Properties: {DelaySeconds: 1, Tags: [{Key: g, Value: !GetAtt G.GroupId}]}}
`
	status, answer := call(t, s, "CreateStack", "StackName", "a", "TemplateBody", body)
	require.Equal(t, http.StatusOK, status, answer)
	changed := strings.NewReplacer("Default: one", "Default: two", "DelaySeconds: 1, ", "VisibilityTimeout: 5, ", "Description: a", "Description: b").Replace(body)
	status, answer = call(t, s, "CreateChangeSet", "StackName", "a", "ChangeSetName", "c", "TemplateBody", changed)
	require.Equal(t, http.StatusOK, status, answer)
	_, plain := call(t, s, "DescribeChangeSet", "StackName", "a", "ChangeSetName", "c")
	assert.NotContains(t, plain, "BeforeValue")
	assert.NotContains(t, plain, "AfterContext")
	_, full := call(t, s, "DescribeChangeSet", "StackName", "a", "ChangeSetName", "c", "IncludePropertyValues", "true")
	for _, want := range []string{
		// A parameter that changed, and needs a replacement.
		"<Target><Attribute>Properties</Attribute><Name>GroupDescription</Name><RequiresRecreation>Always</RequiresRecreation><Path>/Properties/GroupDescription</Path><BeforeValue>one</BeforeValue><AfterValue>two</AfterValue><AttributeChangeType>Modify</AttributeChangeType></Target><Evaluation>Static</Evaluation><ChangeSource>ParameterReference</ChangeSource><CausingEntity>P</CausingEntity>",
		"<Action>Modify</Action><LogicalResourceId>G</LogicalResourceId>", "<Replacement>True</Replacement><PolicyAction>ReplaceAndDelete</PolicyAction>",
		// What follows from that replacement is only known once it is made.
		"<Name>GroupId</Name><RequiresRecreation>Always</RequiresRecreation><Path>/Properties/GroupId</Path>",
		"<AfterValue>{{changeSet:KNOWN_AFTER_APPLY}}</AfterValue>",
		"<Evaluation>Dynamic</Evaluation><ChangeSource>ResourceReference</ChangeSource><CausingEntity>G</CausingEntity>",
		"<Evaluation>Dynamic</Evaluation><ChangeSource>ResourceAttribute</ChangeSource><CausingEntity>G.GroupId</CausingEntity>",
		"<Replacement>Conditional</Replacement>",
		// Plain changes, additions and removals in place.
		"<Name>Description</Name><RequiresRecreation>Never</RequiresRecreation><Path>/Properties/Description</Path><BeforeValue>a</BeforeValue><AfterValue>b</AfterValue><AttributeChangeType>Modify</AttributeChangeType></Target><Evaluation>Static</Evaluation><ChangeSource>DirectModification</ChangeSource>",
		"<Name>DelaySeconds</Name><RequiresRecreation>Never</RequiresRecreation><Path>/Properties/DelaySeconds</Path><BeforeValue>1</BeforeValue><AttributeChangeType>Remove</AttributeChangeType>",
		"<Name>VisibilityTimeout</Name><RequiresRecreation>Never</RequiresRecreation><Path>/Properties/VisibilityTimeout</Path><AfterValue>5</AfterValue><AttributeChangeType>Add</AttributeChangeType>",
	} {
		assert.Contains(t, full, want)
	}
	// The text by which the CLIs know that there is nothing to do.
	_, _ = call(t, s, "CreateChangeSet", "StackName", "a", "ChangeSetName", "same", "TemplateBody", body)
	_, answer = call(t, s, "DescribeChangeSet", "StackName", "a", "ChangeSetName", "same")
	assert.Contains(t, answer, "<ExecutionStatus>UNAVAILABLE</ExecutionStatus><Status>FAILED</Status>")
	assert.Contains(t, answer, "The submitted information didn&#39;t contain changes. Submit different information to create a change set.")
}

// IAM resources must be acknowledged, those with names by another capability.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
func TestCapabilities(t *testing.T) {
	s := start(t, localcfn.Options{})
	const role = `{"Resources":{"R":{"Type":"AWS::IAM::Role","Properties":{"AssumeRolePolicyDocument":{}}}}}`
	named := strings.Replace(role, `"Assume`, `"RoleName":"r","Assume`, 1)
	n := 0
	for _, c := range []struct {
		body, given, need string
	}{
		{role, "", "CAPABILITY_IAM"},
		{role, "CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM"},
		{role, "CAPABILITY_IAM", ""},
		{role, "CAPABILITY_NAMED_IAM", ""},
		{named, "", "CAPABILITY_NAMED_IAM"},
		{named, "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"},
		{named, "CAPABILITY_NAMED_IAM", ""},
		{oneTopic, "", ""},
	} {
		for action, pairs := range map[string][]string{"CreateStack": nil, "CreateChangeSet": {"ChangeSetName", "c", "ChangeSetType", "CREATE"}} {
			n++
			pairs = append(pairs, "StackName", fmt.Sprint("s", n), "TemplateBody", c.body)
			if c.given != "" {
				pairs = append(pairs, "Capabilities.member.1", c.given)
			}
			status, answer := call(t, s, action, pairs...)
			if c.need == "" {
				assert.Equal(t, http.StatusOK, status, answer)
			} else {
				assert.Equal(t, http.StatusBadRequest, status)
				assert.Contains(t, answer, "<Code>InsufficientCapabilitiesException</Code><Message>Requires capabilities : ["+c.need+"]</Message>")
			}
			_, _ = call(t, s, "DeleteStack", "StackName", fmt.Sprint("s", n))
		}
		_, answer := call(t, s, "GetTemplateSummary", "TemplateBody", c.body)
		want := "<ResourceTypes>"
		if c.body == role {
			want = "<Capabilities><member>CAPABILITY_IAM</member></Capabilities>"
		} else if c.body == named {
			want = "<Capabilities><member>CAPABILITY_NAMED_IAM</member></Capabilities>"
		}
		assert.Contains(t, answer, want)
	}
}

// cdk rollback asks for RetainExceptOnCreate.
func TestRetainExceptOnCreateByQuery(t *testing.T) {
	body := `{"Resources":{"A":{"Type":"AWS::SNS::Topic","DeletionPolicy":"Retain"},"Z":{"Type":"AWS::SQS::Queue","DependsOn":"A"}}}`
	topics := func(s *localcfn.Server) int {
		_, answer := target(t, s, "CloudApiService.ListResources", `{"TypeName":"AWS::SNS::Topic"}`)
		return strings.Count(answer, "Identifier")
	}
	for flag, left := range map[string]int{"true": 0, "false": 1, "": 1} {
		s := start(t, localcfn.Options{Faults: []localcfn.Fail{{Type: "AWS::SQS::Queue", Operation: "Create", Every: true}}})
		call(t, s, "CreateStack", "StackName", "a", "TemplateBody", body, "RetainExceptOnCreate", flag)
		assert.Equal(t, left, topics(s), "CreateStack %s", flag)
		call(t, s, "CreateChangeSet", "StackName", "b", "ChangeSetName", "c", "ChangeSetType", "CREATE", "TemplateBody", body)
		call(t, s, "ExecuteChangeSet", "StackName", "b", "ChangeSetName", "c", "RetainExceptOnCreate", flag)
		assert.Equal(t, 2*left, topics(s), "ExecuteChangeSet %s", flag)
		call(t, s, "CreateStack", "StackName", "d", "TemplateBody", body, "DisableRollback", "true")
		status, answer := call(t, s, "RollbackStack", "StackName", "d", "RetainExceptOnCreate", flag)
		require.Equal(t, http.StatusOK, status, answer)
		assert.Equal(t, 3*left, topics(s), "RollbackStack %s", flag)
	}
}

// FuzzCalls sends anything anywhere.
func FuzzCalls(f *testing.F) {
	s, err := localcfn.New(localcfn.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("POST", "/", formType, "", "", "Action=CreateStack&Version=2010-05-15&StackName=a&TemplateBody="+url.QueryEscape(topic))
	f.Add("POST", "/", formType, "", "", "Action=UpdateStack&Version=2010-05-15&StackName=a&UsePreviousTemplate=true&Tags.member.1.Key=k&Tags.member.1.Value=v")
	f.Add("POST", "/", formType, "", "", "Action=CreateChangeSet&Version=2010-05-15&StackName=a&ChangeSetName=c&TemplateBody=Resources%3A+%7BA%3A+%7BType%3A+AWS%3A%3ASQS%3A%3AQueue%7D%7D")
	f.Add("POST", "/", formType, "", "", "Action=ContinueUpdateRollback&Version=2010-05-15&StackName=a&ResourcesToSkip.member.1=A")
	f.Add("POST", "/", "application/x-amz-json-1.0", "CloudApiService.ListResources", "", `{"TypeName":"AWS::SNS::Topic","MaxResults":1,"NextToken":"1"}`)
	f.Add("POST", "/", "application/x-amz-json-1.1", "AmazonSSM.GetParameters", "", `{"Names":["/a"]}`)
	f.Add("PUT", "/assets/k?partNumber=1&uploadId=x", "", "", "aws-chunked", "5\r\nhello\r\n0\r\n\r\n")
	f.Add("POST", "/assets?delete", "", "", "", "<Delete><Object><Key>k</Key></Object></Delete>")
	f.Add("GET", "/assets?list-type=2&max-keys=0&continuation-token=x", "", "", "", "")
	f.Add("POST", "/_localcfn/faults", "", "", "", `{"type":"AWS::SNS::Topic","nth":2}`)
	f.Fuzz(func(t *testing.T, method, path, content, target, encoding, body string) {
		u, err := url.Parse("http://localhost" + path)
		if err != nil || u.Host != "localhost" {
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Method, r.URL, r.Host, r.RemoteAddr = method, u, "localhost", "127.0.0.1:1"
		r.Header.Set("Content-Type", content)
		r.Header.Set("Content-Encoding", encoding)
		if target != "" {
			r.Header.Set("X-Amz-Target", target)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r) // a panic ends the test
		answer := w.Result()
		if answer.StatusCode >= 500 {
			t.Fatalf("%d for %s %s %q", answer.StatusCode, method, path, body)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	})
}
