package emulator_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	signer "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/stretchr/testify/require"
)

// The services are asked in their own protocols, signed by the AWS SDK. Its
// client of EC2 alone would take longer to compile than all tests here to run.

// versions of the Query APIs.
var versions = map[string]string{"ec2": "2016-11-15", "autoscaling": "2011-01-01", "iam": "2010-05-08"}

// query asks an API of the Query protocol and reads the XML that it answers.
func (c *cloud) query(service, action string, parameters map[string]string, answer any) {
	c.t.Helper()
	form := url.Values{"Action": {action}, "Version": {versions[service]}}
	for name, value := range parameters {
		form.Set(name, value)
	}
	body := c.send(service, form.Encode(), http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}})
	require.NoError(c.t, xml.Unmarshal(body, answer), "%s", body)
}

// ask asks an API of the JSON protocol, by its target such as Logs_20140328.DescribeLogGroups.
func (c *cloud) ask(service, target string, input, answer any) {
	c.t.Helper()
	request, err := json.Marshal(input)
	require.NoError(c.t, err)
	body := c.send(service, string(request), jsonHeader(target))
	require.NoError(c.t, json.Unmarshal(body, answer), "%s", body)
}

func jsonHeader(target string) http.Header {
	return http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {target}}
}

// send posts to an API, which must agree.
func (c *cloud) send(service, body string, header http.Header) []byte {
	c.t.Helper()
	status, answer := c.call(service, http.MethodPost, "/", body, header)
	require.Equal(c.t, http.StatusOK, status, "%s %s", service, answer)
	return answer
}

// call sends a signed request.
func (c *cloud) call(service, method, path, body string, header http.Header) (status int, answer []byte) {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, *c.config.BaseEndpoint+path, strings.NewReader(body))
	require.NoError(c.t, err)
	maps.Copy(request.Header, header)
	credentials, err := c.config.Credentials.Retrieve(c.t.Context())
	require.NoError(c.t, err)
	hash := sha256.Sum256([]byte(body))
	require.NoError(c.t, signer.NewSigner().SignHTTP(c.t.Context(), credentials, request, hex.EncodeToString(hash[:]), service, region, time.Now()))
	response, err := http.DefaultClient.Do(request)
	require.NoError(c.t, err)
	answer, err = io.ReadAll(response.Body)
	require.NoError(c.t, errors.Join(err, response.Body.Close()))
	return response.StatusCode, answer
}
