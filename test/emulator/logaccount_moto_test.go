package emulator_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inAccount is a cloud of moto as one of its accounts.
type inAccount struct {
	*cloud
	id string
}

func (a inAccount) call(service, method, path, body string, header http.Header) (int, []byte) {
	a.t.Helper()
	own := http.Header{"X-Moto-Account-Id": {a.id}}
	maps.Copy(own, header)
	return a.cloud.call(service, method, path, body, own)
}

// json asks an API of the JSON protocol, which must agree.
func (a inAccount) json(service, target string, input any) map[string]any {
	a.t.Helper()
	body, err := json.Marshal(input)
	require.NoError(a.t, err)
	status, answer := a.call(service, http.MethodPost, "/", string(body), jsonHeader(target))
	require.Equal(a.t, http.StatusOK, status, "%s: %s", target, answer)
	out := map[string]any{}
	if len(answer) > 0 {
		require.NoError(a.t, json.Unmarshal(answer, &out), "%s", answer)
	}
	return out
}

// TestMotoLogAccount gives moto's services, which its CloudFormation has not, what
// the local CloudFormation made of the log account's stack, and sends a log event
// through.
//
// What it does not show: a subscription across accounts, as moto takes a
// destination for a log group; unpacking and buffering, which moto's Firehose
// leaves out; and that any policy is heeded.
func TestMotoLogAccount(t *testing.T) {
	t.Parallel()
	made := accountOf(t, evidenceAccount, "logaccount")
	out, err := made.cdk("", "deploy", "Evidence", "--require-approval", "never", "--progress", "events")
	require.NoError(t, err, out)
	stream, destination := made.one("AWS::KinesisFirehose::DeliveryStream"), made.one("AWS::Logs::Destination")
	to := stream.at("ExtendedS3DestinationConfiguration").(map[string]any)
	bucket := strings.TrimPrefix(to["BucketARN"].(string), "arn:aws:s3:::")

	moto := startMoto(t, "logaccount", ".")
	evidence, workload := inAccount{moto, evidenceAccount}, inAccount{moto, workloadAccount}
	status, answer := evidence.call("s3", http.MethodPut, "/"+bucket, "", nil)
	require.Equal(t, http.StatusOK, status, "%s", answer)

	created := evidence.json("firehose", "Firehose_20150804.CreateDeliveryStream", map[string]any{
		"DeliveryStreamName": stream.id, "DeliveryStreamType": stream.text("DeliveryStreamType"),
		"DeliveryStreamEncryptionConfigurationInput": stream.at("DeliveryStreamEncryptionConfigurationInput"),
		"ExtendedS3DestinationConfiguration":         to,
	})
	assert.Equal(t, stream.text("Arn"), created["DeliveryStreamARN"], "both name it alike")

	const logs = "Logs_20140328."
	put := evidence.json("logs", logs+"PutDestination", map[string]any{
		"destinationName": destination.text("DestinationName"), "targetArn": destination.text("TargetArn"), "roleArn": destination.text("RoleArn"),
	})["destination"].(map[string]any)
	assert.Equal(t, destination.text("Arn"), put["arn"], "what is pasted is what it is called")
	evidence.json("logs", logs+"PutDestinationPolicy", map[string]any{
		"destinationName": destination.text("DestinationName"), "accessPolicy": destination.text("DestinationPolicy"),
	})
	kept := evidence.json("logs", logs+"DescribeDestinations", map[string]any{})["destinations"].([]any)
	require.Len(t, kept, 1)
	assert.Equal(t, destination.text("DestinationPolicy"), kept[0].(map[string]any)["accessPolicy"])
	assert.Equal(t, stream.text("Arn"), kept[0].(map[string]any)["targetArn"])
	assert.Empty(t, workload.json("logs", logs+"DescribeDestinations", map[string]any{})["destinations"], "it is the log account's")

	subscribe := func(destination string) map[string]any {
		return map[string]any{"logGroupName": "Sessions", "filterName": "Forward", "filterPattern": "", "destinationArn": destination}
	}
	t.Run("across accounts is not shown", func(t *testing.T) {
		workload.json("logs", logs+"CreateLogGroup", map[string]any{"logGroupName": "Sessions"})
		body, err := json.Marshal(subscribe(destination.text("Arn")))
		require.NoError(t, err)
		status, answer := workload.call("logs", http.MethodPost, "/", string(body), jsonHeader(logs+"PutSubscriptionFilter"))
		assert.Equal(t, http.StatusBadRequest, status, "moto has learned it: send the event from here then. %s", answer)
	})
	t.Run("an event gets into the bucket", func(t *testing.T) {
		evidence.json("logs", logs+"CreateLogGroup", map[string]any{"logGroupName": "Sessions"})
		evidence.json("logs", logs+"PutSubscriptionFilter", subscribe(destination.text("TargetArn")))
		evidence.json("logs", logs+"CreateLogStream", map[string]any{"logGroupName": "Sessions", "logStreamName": "i-0123456789abcdef0"})
		evidence.json("logs", logs+"PutLogEvents", map[string]any{
			"logGroupName": "Sessions", "logStreamName": "i-0123456789abcdef0",
			"logEvents": []any{map[string]any{"timestamp": time.Now().UnixMilli(), "message": "alice ran id"}},
		})

		status, answer := evidence.call("s3", http.MethodGet, "/"+bucket+"?list-type=2&prefix=logs/", "", nil)
		require.Equal(t, http.StatusOK, status, "%s", answer)
		var list struct {
			Keys []string `xml:"Contents>Key"`
		}
		require.NoError(t, xml.Unmarshal(answer, &list))
		require.Len(t, list.Keys, 1, "%s", answer)
		// moto leaves the rest of the prefix as it is.
		status, answer = evidence.call("s3", http.MethodGet, "/"+bucket+"/"+strings.NewReplacer("!", "%21", "{", "%7B", "}", "%7D").Replace(list.Keys[0]), "", nil)
		require.Equal(t, http.StatusOK, status, "%s", answer)
		unpacked, err := gzip.NewReader(bytes.NewReader(answer))
		require.NoError(t, err)
		var batch struct {
			MessageType, Owner, LogGroup, LogStream string
			SubscriptionFilters                     []string
			LogEvents                               []struct{ Message string }
		}
		require.NoError(t, json.NewDecoder(unpacked).Decode(&batch))
		assert.Equal(t, "DATA_MESSAGE", batch.MessageType)
		assert.Equal(t, evidenceAccount, batch.Owner)
		assert.Equal(t, "Sessions", batch.LogGroup)
		assert.Equal(t, "i-0123456789abcdef0", batch.LogStream)
		require.Len(t, batch.LogEvents, 1)
		assert.Equal(t, "alice ran id", batch.LogEvents[0].Message)
	})
}
