// Package judge asks tools that others wrote what they find wrong with a host, and
// compares it with what was accepted, each with a reason, in a file.
//
//	found, err := judge.SSHAudit(ctx, run, "10.0.1.10:22")
//	...
//	accepted, err := judge.Read("testdata/findings.yaml")
//	err = judge.Compare([]judge.Tool{judge.SSHAuditTool}, found, accepted)
//
// A finding that nobody accepted is an error, and so is an accepted one that no
// longer comes up: a reason must not outlive what it explains.
package judge

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Tool that judges.
type Tool string

// The tools.
const (
	SSHAuditTool Tool = "ssh-audit"
	LynisTool    Tool = "lynis"
	OpenSCAPTool Tool = "openscap"
)

// Finding of a tool. ID is what the tool calls it, and what it is about.
type Finding struct {
	Tool Tool   `yaml:"tool"`
	ID   string `yaml:"id"`
}

// Accepted finding.
type Accepted struct {
	Finding `yaml:",inline"`
	// Reason that a security engineer takes.
	Reason string `yaml:"reason"`
}

// minReason is shorter than any reason that says something.
const minReason = 20

// Read takes a file of accepted findings: a YAML list of tool, id and reason.
func Read(path string) ([]Accepted, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var accepted []Accepted
	if err := decoder.Decode(&accepted); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	seen := map[Finding]bool{}
	for i, a := range accepted {
		switch {
		case !slices.Contains([]Tool{SSHAuditTool, LynisTool, OpenSCAPTool}, a.Tool):
			return nil, fmt.Errorf("%s[%d]: there is no tool %q", path, i, a.Tool)
		case a.ID == "":
			return nil, fmt.Errorf("%s[%d]: id is empty", path, i)
		case len(strings.TrimSpace(a.Reason)) < minReason:
			return nil, fmt.Errorf("%s[%d]: %s: the reason %q says nothing", path, i, a.ID, a.Reason)
		case seen[a.Finding]:
			return nil, fmt.Errorf("%s[%d]: %s is accepted twice", path, i, a.ID)
		}
		seen[a.Finding] = true
	}
	return accepted, nil
}

// Compare returns an error that lists the findings that nobody accepted, and the
// accepted ones that did not come up, of the tools that ran.
func Compare(ran []Tool, found []Finding, accepted []Accepted) error {
	var faults []error
	known := map[Finding]bool{}
	for _, a := range accepted {
		known[a.Finding] = true
		if slices.Contains(ran, a.Tool) && !slices.Contains(found, a.Finding) {
			faults = append(faults, fmt.Errorf("%s no longer finds what was accepted, take it from the file: %s", a.Tool, a.ID))
		}
	}
	for _, f := range found {
		if !known[f] {
			known[f] = true
			faults = append(faults, fmt.Errorf("%s finds: %s", f.Tool, f.ID))
		}
	}
	return errors.Join(faults...)
}

// Run runs a command where the tool is: beside the host, or on it. It returns what
// the command printed, whatever its exit status; the error says that it could not
// be run.
type Run func(ctx context.Context, name string, arguments ...string) ([]byte, error)

var (
	auditLine  = regexp.MustCompile(`^\((kex|key|enc|mac|aut|cve|gen|sec)\) (\S+)(?: \([^)]*\))*\s+-- \[(warn|fail|info)\] (.*)$`)
	auditOther = regexp.MustCompile(`^\((gen|cve|sec)\) .*\[(warn|fail)\] `)
)

// SSHAudit tells what ssh-audit warns of or fails, from an address host:port.
func SSHAudit(ctx context.Context, run Run, address string) ([]Finding, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	said, err := run(ctx, "ssh-audit", "-b", "-n", "-p", port, host)
	if err != nil {
		return nil, err
	}
	return parseSSHAudit(said)
}

func parseSSHAudit(said []byte) ([]Finding, error) {
	var found []Finding
	examined := map[string]bool{}
	for line := range strings.Lines(string(said)) {
		line = strings.TrimRight(line, " \r\n")
		m := auditLine.FindStringSubmatch(line)
		switch {
		case m != nil:
			examined[m[1]] = true
			if m[3] != "info" {
				found = append(found, Finding{SSHAuditTool, fmt.Sprintf("%s %s: %s", m[1], m[2], m[4])})
			}
		case auditOther.MatchString(line):
			found = append(found, Finding{SSHAuditTool, line})
		}
	}
	for _, kind := range []string{"kex", "key", "enc", "mac"} {
		if !examined[kind] {
			return nil, fmt.Errorf("ssh-audit examined no %s, so that its silence says nothing; it printed %q", kind, said)
		}
	}
	return found, nil
}

// LynisReport is where Lynis leaves its findings on the host.
const LynisReport = "/tmp/postern-lynis.dat"

// Lynis tells what it warns of or suggests about sshd. run runs on the host.
func Lynis(ctx context.Context, run Run) ([]Finding, error) {
	if _, err := run(ctx, "lynis", "audit", "system", "--tests-from-group", "ssh", "--no-plugins", "--quick", "--quiet", "--no-colors",
		"--report-file", LynisReport, "--logfile", "/dev/null"); err != nil {
		return nil, err
	}
	report, err := run(ctx, "cat", LynisReport)
	if err != nil {
		return nil, err
	}
	return parseLynis(report)
}

// lynisSSH are the tests of the group, by their first letters.
const lynisSSH = "SSH-"

func parseLynis(report []byte) ([]Finding, error) {
	var found []Finding
	examined := false
	for line := range strings.Lines(string(report)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "tests_executed":
			examined = strings.Contains(value, lynisSSH+"7408")
		case "warning[]", "suggestion[]":
			// ID, text, details, solution.
			fields := strings.Split(value, "|")
			if len(fields) < 3 || !strings.HasPrefix(fields[0], lynisSSH) {
				continue
			}
			about := fields[1]
			if fields[2] != "" && fields[2] != "-" {
				about = fields[2]
			}
			found = append(found, Finding{LynisTool, fields[0] + " " + about})
		}
	}
	if !examined {
		return nil, fmt.Errorf("Lynis did not examine sshd, so that its silence says nothing; its report has %d bytes", len(report))
	}
	return found, nil
}

// OpenSCAPResults is where OpenSCAP leaves its findings on the host.
const OpenSCAPResults = "/tmp/postern-openscap.xml"

// OpenSCAP tells which rules about sshd fail. run runs on the host; content is a
// data stream there, without its <platform> elements where the host is not what it
// was written for, or no rule applies.
func OpenSCAP(ctx context.Context, run Run, content, profile string) ([]Finding, error) {
	text, err := run(ctx, "sed", "-n", fmt.Sprintf(`/Profile id="%s"/,/Profile>/p`, profile), content)
	if err != nil {
		return nil, err
	}
	// One rule of twenty is about sshd, and only their results count. Nor does content
	// of the distribution have to be validated.
	arguments := []string{"xccdf", "eval", "--skip-valid", "--profile", profile, "--results", OpenSCAPResults}
	rules := selected.FindAllSubmatch(text, -1)
	if len(rules) == 0 {
		return nil, fmt.Errorf("%s: the profile %s has no rule about sshd", content, profile)
	}
	for _, m := range rules {
		arguments = append(arguments, "--rule", string(m[1]))
	}
	if _, err := run(ctx, "oscap", append(arguments, content)...); err != nil {
		return nil, err
	}
	results, err := run(ctx, "cat", OpenSCAPResults)
	if err != nil {
		return nil, err
	}
	return parseOpenSCAP(results)
}

// selected is a rule about sshd that a profile has.
var selected = regexp.MustCompile(`<[\w.-]*:?select idref="([\w.-]*ssh[\w.-]*)" selected="true"`)

// fewestRules about sshd that a profile worth running has.
const fewestRules = 5

func parseOpenSCAP(results []byte) ([]Finding, error) {
	var document struct {
		Results []struct {
			Rule   string `xml:"idref,attr"`
			Result string `xml:"result"`
		} `xml:"TestResult>rule-result"`
	}
	if err := xml.Unmarshal(results, &document); err != nil {
		return nil, fmt.Errorf("the results of OpenSCAP: %w", err)
	}
	var found []Finding
	examined := 0
	for _, r := range document.Results {
		rule := strings.TrimPrefix(r.Rule, "xccdf_org.ssgproject.content_rule_")
		if !strings.Contains(rule, "ssh") {
			continue
		}
		switch r.Result {
		case "pass", "fixed":
			examined++
		case "fail", "error", "unknown":
			examined++
			found = append(found, Finding{OpenSCAPTool, rule + ": " + r.Result})
		}
	}
	if examined < fewestRules {
		return nil, fmt.Errorf("OpenSCAP examined %d rules about sshd, so that its silence says nothing: does the content have <platform> elements?", examined)
	}
	return found, nil
}
