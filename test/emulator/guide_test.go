package emulator_test

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/insights"
	"github.com/postern-cdk/postern/internal/queries"
)

var updateGuide = flag.Bool("update-guide", false, "write into the guide what its commands print")

const (
	guideFile = "../../docs/guide/one-day.md"
	guideDay  = "../../internal/queries/testdata/day"
	trailARN  = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/Postern"
)

// guideBlock is a command of the guide, with what it is said to print.
var guideBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?")

// The guide to a day, from the first message to the replay: each of its commands is
// run, by the real AWS CLI and our own programs, over the day that real programs
// recorded, and prints what the guide says.
func TestGuideToOneDay(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"aws", "bash", "scriptreplay"} {
		if _, err := exec.LookPath(tool); err != nil {
			require.NotEqual(t, "true", os.Getenv("CI"), "%s is not installed", tool)
			fmt.Printf("NOT RUN: %s: %s is not installed\n", t.Name(), tool)
			return
		}
	}
	guide, err := os.ReadFile(guideFile)
	require.NoError(t, err)
	blocks := guideBlock.FindAllSubmatchIndex(guide, -1)
	require.Greater(t, len(blocks), 10)
	aws := newDayAWS(t)
	home := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(home, "bin", "recording"), "../../bin/recording")
	build.Stderr = os.Stderr
	require.NoError(t, build.Run())

	// The first block is the reader's own names.
	variables := string(guide[blocks[0][2]:blocks[0][3]])
	values := map[string]string{
		"RECORD_BUCKET": "records", "HOST_LOGS": "/postern/hosts", "SESSION_LOGS": "/postern/sessions", "TRAIL_LOGS": "/postern/trail",
		"FLOW_LOGS": "/postern/flowlogs", "TRAIL": trailARN,
	}
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	for line := range strings.Lines(variables) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if value, known := values[name]; known {
			line = name + "='" + value + "'\n"
			delete(values, name)
		}
		script.WriteString(line)
	}
	require.Empty(t, values, "the guide sets what its commands need")
	const mark = "\x1e"
	for _, b := range blocks[1:] {
		script.Write(guide[b[2]:b[3]])
		script.WriteString("printf '" + mark + "'\n")
	}
	bash := exec.Command("bash", "-c", script.String())
	bash.Dir = home
	bash.Env = []string{
		"PATH=" + filepath.Join(home, "bin") + ":" + os.Getenv("PATH"), "HOME=" + home, "PYENV_VERSION=" + os.Getenv("PYENV_VERSION"), "PYENV_ROOT=" + os.Getenv("PYENV_ROOT"),
		"AWS_ENDPOINT_URL=" + aws.URL, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true", "AWS_DEFAULT_REGION=eu-west-1", "AWS_PAGER=", "LC_ALL=C.UTF-8", "TERM=dumb",
	}
	var said bytes.Buffer
	bash.Stderr = &said
	out, err := bash.Output()
	require.NoError(t, err, "%s\n%s", out, &said)
	printed := strings.Split(string(out), mark)
	require.Len(t, printed, len(blocks))
	assert.Empty(t, aws.problems)

	if *updateGuide {
		guide = withOutput(guide, blocks, printed)
		require.NoError(t, os.WriteFile(guideFile, guide, 0o600))
		blocks = guideBlock.FindAllSubmatchIndex(guide, -1)
	}
	for i, b := range blocks[1:] {
		want := ""
		if b[4] >= 0 {
			want = string(guide[b[4]:b[5]])
		}
		assert.Equal(t, want, tidy(printed[i]), "go test ./test/emulator -run TestGuideToOneDay -update-guide\n%s", guide[b[2]:b[3]])
	}
	assert.Equal(t, slices.Sorted(maps.Keys(aws.records)), slices.Sorted(maps.Keys(aws.held)), "all records are held")

	// The command that a construct gives for a saved query.
	person := queries.ByID(queries.PersonSessions)
	command := exec.Command("bash", "-c", "set -euo pipefail; person=alice from=$(date -u -d "+aws.day+" +%s) to=$(date -u -d '"+aws.day+" + 1 day' +%s)\n"+
		queries.Command("Postern/"+person.Name, person.Parameters, []string{"/postern/hosts", "/postern/trail"}))
	command.Dir, command.Env = home, bash.Env
	rows, err := command.CombinedOutput()
	require.NoError(t, err, "%s", rows)
	assert.Equal(t, 9, bytes.Count(rows, []byte("\n")), "%s", rows)
	assert.Contains(t, string(rows), "what=OpenTunnel\twho=")

	// A record that somebody changed is found, and so is a trail's file.
	for key := range aws.records {
		if strings.HasSuffix(key, ".cast") {
			aws.objects[key] = bytes.Replace(aws.objects[key], []byte(`"o"`), []byte(`"i"`), 1)
		}
	}
	for key := range aws.objects {
		if strings.Contains(key, "/CloudTrail/") {
			aws.objects[key] = packed([]byte(`{"Records":[]}`))
		}
	}
	for _, command := range []string{
		"aws s3 cp --quiet --recursive s3://records/sessions/ changed/ && recording verify changed/",
		"aws cloudtrail validate-logs --region eu-west-1 --trail-arn " + trailARN + " --start-time " + aws.day + " --end-time " + aws.day + "T23:59:59Z",
	} {
		changed := exec.Command("bash", "-c", command)
		changed.Dir, changed.Env = home, bash.Env
		out, err := changed.CombinedOutput()
		assert.Error(t, err, "%s", out)
		assert.Regexp(t, `altered|INVALID`, string(out))
	}
}

func withOutput(guide []byte, blocks [][]int, printed []string) []byte {
	var b bytes.Buffer
	last := 0
	for i, at := range blocks {
		end := at[3] + len("```\n")
		b.Write(guide[last:end])
		if i > 0 && tidy(printed[i-1]) != "" {
			b.WriteString("\n```text\n" + tidy(printed[i-1]) + "```\n")
		}
		last = at[1]
	}
	b.Write(guide[last:])
	return b.Bytes()
}

// tidy is output as the guide shows it: without blanks at the end of lines.
func tidy(text string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t")
	}
	if text = strings.Join(lines, "\n"); text == "" {
		return ""
	}
	return text + "\n"
}

// dayAWS is as much of AWS as reads the records of the day: CloudWatch Logs, whose
// queries our engine runs, S3, and CloudTrail with files whose digest it signs.
type dayAWS struct {
	*httptest.Server
	t        *testing.T
	day      string
	logs     map[string][]insights.Event
	records  map[string]bool
	objects  map[string][]byte
	metadata map[string]map[string]string
	held     map[string]bool
	results  map[string]insights.Result
	key      *rsa.PrivateKey
	problems []string
}

func newDayAWS(t *testing.T) *dayAWS {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	a := &dayAWS{
		t: t, logs: map[string][]insights.Event{}, records: map[string]bool{}, objects: map[string][]byte{}, metadata: map[string]map[string]string{},
		held: map[string]bool{}, results: map[string]insights.Result{}, key: key,
	}
	for _, group := range []string{"hosts", "sessions", "trail", "flowlogs"} {
		text, err := os.ReadFile(filepath.Join(guideDay, "logs", group+".jsonl"))
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			var l struct {
				LogStreamName, Message string
				Timestamp              int64
			}
			require.NoError(t, json.Unmarshal([]byte(line), &l))
			e := insights.Event{Time: time.UnixMilli(l.Timestamp).UTC(), Account: "111122223333", Group: "/postern/" + group, Stream: l.LogStreamName, Message: l.Message}
			a.logs[e.Group] = append(a.logs[e.Group], e)
			a.day = e.Time.Format(time.DateOnly)
		}
	}
	require.NoError(t, fs.WalkDir(os.DirFS(guideDay+"/bucket"), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		a.records[path] = true
		a.objects[path], err = os.ReadFile(filepath.Join(guideDay, "bucket", path))
		return err
	}))
	a.sign()
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func packed(text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(text)
	_ = w.Close()
	return b.Bytes()
}

// sign puts the day's calls into a file of CloudTrail, and a signed digest beside it:
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html
func (a *dayAWS) sign() {
	folder := strings.ReplaceAll(a.day, "-", "/")
	stamp := strings.ReplaceAll(a.day, "-", "")
	var events []json.RawMessage
	for _, e := range a.logs["/postern/trail"] {
		events = append(events, json.RawMessage(e.Message))
	}
	file, err := json.Marshal(map[string]any{"Records": events})
	require.NoError(a.t, err)
	log := "AWSLogs/111122223333/CloudTrail/eu-west-1/" + folder + "/111122223333_CloudTrail_eu-west-1_" + stamp + "T0710Z_Mu0KsOhtH1ar15ZZ.json.gz"
	a.objects[log] = packed(file)
	digest := "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/" + folder + "/111122223333_CloudTrail-Digest_eu-west-1_Postern_eu-west-1_" + stamp + "T080000Z.json.gz"
	sum := sha256.Sum256(file)
	text, err := json.Marshal(map[string]any{
		"awsAccountId": "111122223333", "digestStartTime": a.day + "T07:00:00Z", "digestEndTime": a.day + "T08:00:00Z", "digestS3Bucket": "trail", "digestS3Object": digest,
		"digestPublicKeyFingerprint": "31e8b5433410dfb61a9dc45cc65b22ff", "digestSignatureAlgorithm": "SHA256withRSA",
		"previousDigestS3Bucket": nil, "previousDigestS3Object": nil, "previousDigestHashValue": nil, "previousDigestHashAlgorithm": nil, "previousDigestSignature": nil,
		"logFiles": []any{map[string]any{"s3Bucket": "trail", "s3Object": log, "hashValue": hex.EncodeToString(sum[:]), "hashAlgorithm": "SHA-256"}},
	})
	require.NoError(a.t, err)
	a.objects[digest] = packed(text)
	whole := sha256.Sum256(text)
	signed := sha256.Sum256([]byte(a.day + "T08:00:00Z\ntrail/" + digest + "\n" + hex.EncodeToString(whole[:]) + "\nnull"))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, signed[:])
	require.NoError(a.t, err)
	a.metadata[digest] = map[string]string{"signature": hex.EncodeToString(signature), "signature-algorithm": "SHA256withRSA"}
}

func (a *dayAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	target := r.Header.Get("X-Amz-Target")
	if target == "" {
		a.bucket(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	var in map[string]any
	if err := json.Unmarshal(body, &in); err != nil {
		a.problems = append(a.problems, err.Error())
	}
	_, action, _ := strings.Cut(target, ".")
	answer, err := a.answer(action[strings.LastIndex(action, ".")+1:], in)
	if err != nil {
		a.problems = append(a.problems, err.Error())
		w.WriteHeader(http.StatusBadRequest)
		answer = map[string]any{"__type": "InvalidParameterException", "message": err.Error()}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (a *dayAWS) answer(action string, in map[string]any) (any, error) {
	switch action {
	case "DescribeQueryDefinitions":
		prefix, _ := in["queryDefinitionNamePrefix"].(string)
		list := []any{}
		for _, q := range queries.All() {
			if strings.HasPrefix("Postern/"+q.Name, prefix) {
				list = append(list, map[string]any{"name": "Postern/" + q.Name, "queryString": q.Saved()})
			}
		}
		return map[string]any{"queryDefinitions": list}, nil
	case "StartQuery":
		return a.query(in)
	case "GetQueryResults":
		rows := []any{}
		for i, row := range a.results[in["queryId"].(string)] {
			cells := []any{}
			for _, c := range row {
				cells = append(cells, map[string]string{"field": c.Field, "value": c.Value})
			}
			rows = append(rows, append(cells, map[string]string{"field": "@ptr", "value": fmt.Sprint(i)}))
		}
		return map[string]any{"status": "Complete", "results": rows}, nil
	case "LookupEvents":
		list := []any{}
		for _, e := range a.logs["/postern/trail"] {
			var call struct {
				EventName    string
				UserIdentity struct{ Arn string }
			}
			if err := json.Unmarshal([]byte(e.Message), &call); err != nil {
				return nil, err
			}
			attribute := in["LookupAttributes"].([]any)[0].(map[string]any)
			if attribute["AttributeKey"] == "Username" && strings.HasSuffix(call.UserIdentity.Arn, "/"+attribute["AttributeValue"].(string)) {
				list = append(list, map[string]any{"EventName": call.EventName, "CloudTrailEvent": e.Message})
			}
		}
		return map[string]any{"Events": list}, nil
	case "DescribeTrails":
		return map[string]any{"trailList": []any{map[string]any{"Name": "Postern", "TrailARN": trailARN, "S3BucketName": "trail", "HomeRegion": "eu-west-1"}}}, nil
	case "ListPublicKeys":
		return map[string]any{"PublicKeyList": []any{map[string]any{
			"Fingerprint": "31e8b5433410dfb61a9dc45cc65b22ff", "Value": base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&a.key.PublicKey)),
		}}}, nil
	}
	return nil, fmt.Errorf("%s is not known here", action)
}

func (a *dayAWS) query(in map[string]any) (any, error) {
	query, err := insights.Parse(in["queryString"].(string))
	if err != nil {
		return nil, err
	}
	var events []insights.Event
	from, to := int64(in["startTime"].(float64)), int64(in["endTime"].(float64))
	for _, group := range in["logGroupNames"].([]any) {
		lines, there := a.logs[group.(string)]
		if !there {
			return nil, fmt.Errorf("there is no log group %s", group)
		}
		for _, e := range lines {
			if at := e.Time.Unix(); at >= from && at <= to {
				events = append(events, e)
			}
		}
	}
	result, err := query.Run(events)
	if err != nil {
		return nil, err
	}
	id := fmt.Sprintf("q-%d", len(a.results))
	a.results[id] = result
	return map[string]string{"queryId": id}, nil
}

// bucket is both buckets: their keys differ.
func (a *dayAWS) bucket(w http.ResponseWriter, r *http.Request) {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	form := r.URL.Query()
	switch {
	case form.Has("location"):
		_, _ = io.WriteString(w, `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-west-1</LocationConstraint>`)
	case r.Method == http.MethodPut && form.Has("legal-hold"):
		a.held[key] = true
	case r.Method == http.MethodGet && key == "":
		type content struct {
			Key          string
			Size         int
			LastModified string
			ETag         string
		}
		var list struct {
			XMLName     xml.Name `xml:"ListBucketResult"`
			IsTruncated bool
			Contents    []content
		}
		for _, k := range slices.Sorted(maps.Keys(a.objects)) {
			if strings.HasPrefix(k, form.Get("prefix")) && k > form.Get("marker") {
				list.Contents = append(list.Contents, content{k, len(a.objects[k]), a.day + "T08:00:00.000Z", etag(a.objects[k])})
			}
		}
		_ = xml.NewEncoder(w).Encode(list)
	case a.objects[key] == nil:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `<Error><Code>NoSuchKey</Code></Error>`)
	default:
		for name, value := range a.metadata[key] {
			w.Header()["x-amz-meta-"+name] = []string{value} // as S3 writes them
		}
		w.Header().Set("ETag", etag(a.objects[key]))
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		_, _ = w.Write(a.objects[key])
	}
}

func etag(text []byte) string {
	sum := md5.Sum(text)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}
