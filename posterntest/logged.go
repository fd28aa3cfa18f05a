package posterntest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// accountDefault is the type of what session.NewAccountDefault makes.
const accountDefault = "Custom::PosternAccountDefault"

// SessionsAreLogged fails where a session document of the app lets a shell be used that
// leaves no transcript, or one that is not encrypted.
//
// Session Manager keeps a transcript where the document names a log group or a bucket. Only
// with the encryption flag does the agent refuse a session whose log it can't write: without
// it, a log group that is missing is a warning on the host, and the session runs unlogged.
// Where the log group or the bucket is in the app, it must be encrypted, or no session opens.
//
// Port documents are left out: what goes through a tunnel is never logged by Session Manager.
// The account's default document counts where session.NewAccountDefault owns it. An app
// without a document for shells fails: people then get the account's default one, of
// which the app does not tell whether it logs.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-schema.html
func SessionsAreLogged(t testing.TB, app *App) {
	t.Helper()
	var faults []string
	shells := 0
	for _, d := range app.resources("AWS::SSM::Document", accountDefault) {
		if d.kind != accountDefault && d.text("DocumentType") != "Session" {
			continue
		}
		content, err := contentOf(d)
		if err != nil {
			shells++
			faults = append(faults, fmt.Sprintf("document %s: %v", d.label(), err))
			continue
		}
		if content["sessionType"] == "Port" {
			continue
		}
		shells++
		for _, fault := range app.unlogged(content) {
			faults = append(faults, fmt.Sprintf("document %s: %s", d.label(), fault))
		}
	}
	if shells == 0 {
		faults = append(faults, "the app has no session document for shells, so people get the account's default one: make one, with session.NewPreferences or your own, and let people use no other")
	}
	report(t, "SessionsAreLogged", faults)
}

// contentOf is a document's content, which templates hold as an object or as text.
func contentOf(d resource) (map[string]any, error) {
	switch content := d.at("Content").(type) {
	case map[string]any:
		return content, nil
	case string:
		var object map[string]any
		if err := json.Unmarshal([]byte(content), &object); err != nil {
			return nil, fmt.Errorf("its content is no JSON: %w", err)
		}
		return object, nil
	default:
		return nil, fmt.Errorf("its content is one that only a deployment gives, so that nobody can tell whether sessions are logged: write it in the app")
	}
}

// unlogged says what keeps sessions from being logged.
func (a *App) unlogged(content map[string]any) []string {
	inputs, _ := content["inputs"].(map[string]any)
	text := func(key string) string {
		if _, unknown := inputs[key].(template.Unknown); unknown {
			return "given by a deployment"
		}
		s, _ := template.Text(inputs[key])
		return s
	}
	group, bucket := text("cloudWatchLogGroupName"), text("s3BucketName")
	if group == "" && bucket == "" {
		return []string{"it names no log group and no bucket, so sessions leave no transcript: set cloudWatchLogGroupName or s3BucketName in its inputs"}
	}
	var faults []string
	if group != "" && text("cloudWatchEncryptionEnabled") != "true" {
		faults = append(faults, fmt.Sprintf("cloudWatchEncryptionEnabled is %q, so a session runs unlogged where the log group %s can't be written: set it to true and encrypt the group", text("cloudWatchEncryptionEnabled"), group))
	} else if group != "" {
		for _, g := range a.resources("AWS::Logs::LogGroup") {
			if name, _ := g.stack.Ref(g.id); name == group && g.at("KmsKeyId") == nil {
				faults = append(faults, fmt.Sprintf("cloudWatchEncryptionEnabled is true, but the log group %s has no KmsKeyId, so the agent refuses every session: give the group a key", g.label()))
			}
		}
	}
	if bucket != "" && text("s3EncryptionEnabled") != "true" {
		faults = append(faults, fmt.Sprintf("s3EncryptionEnabled is %q, so the agent does not see to it that the bucket %s is encrypted: set it to true", text("s3EncryptionEnabled"), bucket))
	}
	if group != "" && text("cloudWatchStreamingEnabled") == "false" && bucket == "" {
		faults = append(faults, "cloudWatchStreamingEnabled is false, so the transcript is written when the session ends, and is lost with a host that ends first: set it to true")
	}
	for i, fault := range faults {
		faults[i] = strings.TrimSpace(fault)
	}
	return faults
}
