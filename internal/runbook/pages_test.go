package runbook_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/syntax"

	"github.com/postern-cdk/postern/internal/runbook"
)

var update = flag.Bool("update", false, "write the index of the pages and what is known of the AWS CLI")

const (
	root  = "../.."
	index = "README.md"
	known = "testdata/awscli.json"
)

// headings that each page has, in this order.
var headings = []string{"What it means", "First three commands", "What it is usually", "What to keep as evidence", "When it is over"}

const maxLines = 60

type page struct {
	name, title string
	alarms      string
	doubt       string
	sections    map[string]string
	commands    string
}

var header = regexp.MustCompile("^\\*\\*Alarm:\\*\\* (`[^`]+`(?:, `[^`]+`)*) · \\*\\*in doubt:\\*\\* (evidence|security|availability)$")

func read(t *testing.T, name string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, runbook.Dir, name+".md"))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	assert.LessOrEqual(t, len(lines), maxLines, "a page is short")
	require.Greater(t, len(lines), 3)
	p := page{name: name, sections: map[string]string{}}
	title, found := strings.CutPrefix(lines[0], "# ")
	require.True(t, found, "the first line is the title")
	p.title = title
	match := header.FindStringSubmatch(lines[2])
	require.NotNil(t, match, "the third line is **Alarm:** `ID` · **in doubt:** evidence, security or availability; it is %q", lines[2])
	p.alarms, p.doubt = match[1], match[2]

	var order []string
	var fenced bool
	for _, line := range lines[3:] {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if heading, found := strings.CutPrefix(line, "## "); found && !fenced {
			order = append(order, heading)
			continue
		}
		if len(order) > 0 {
			p.sections[order[len(order)-1]] += line + "\n"
		}
	}
	require.Equal(t, headings, order)
	for _, heading := range headings {
		assert.NotEmpty(t, strings.TrimSpace(p.sections[heading]), "%s says nothing", heading)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(p.sections["First three commands"], -1)
	require.Len(t, blocks, 1, "the commands are one block of sh")
	p.commands = blocks[0][1]
	return p
}

func names(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, runbook.Dir, "*.md"))
	require.NoError(t, err)
	var list []string
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".md"); name+".md" != index {
			list = append(list, name)
		}
	}
	return list
}

// used are the pages that alarms name, with where. What the code says that each
// puts in doubt goes to doubts, by page.
func used(t *testing.T, doubts map[string][]string) map[string]string {
	t.Helper()
	list := map[string]string{}
	files := token.NewFileSet()
	require.NoError(t, filepath.WalkDir(filepath.Join(root, "constructs"), func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		take := func(value ast.Expr) {
			if text, ok := value.(*ast.BasicLit); ok && text.Kind == token.STRING {
				name, _ := strconv.Unquote(text.Value)
				list[name] = files.Position(text.Pos()).String()
			}
		}
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.CompositeLit:
				if name, class := literal(node, "runbook"), literal(node, "class"); name != "" && class != "" {
					doubts[name] = append(doubts[name], class)
				}
			case *ast.KeyValueExpr:
				if key, ok := node.Key.(*ast.Ident); ok && key.Name == "runbook" {
					take(node.Value)
				}
			case *ast.CallExpr:
				if to, ok := node.Fun.(*ast.SelectorExpr); ok && to.Sel.Name == "Page" && len(node.Args) == 1 {
					if from, ok := to.X.(*ast.Ident); ok && from.Name == "runbook" {
						take(node.Args[0])
					}
				}
			}
			return true
		})
		return nil
	}))
	return list
}

// literal is the value of a key of a composite literal: text, or a name.
func literal(node *ast.CompositeLit, key string) string {
	for _, element := range node.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if name, ok := pair.Key.(*ast.Ident); !ok || name.Name != key {
			continue
		}
		switch value := pair.Value.(type) {
		case *ast.BasicLit:
			text, _ := strconv.Unquote(value.Value)
			return text
		case *ast.Ident:
			return value.Name
		}
	}
	return ""
}

func TestEachAlarmHasAPageAndEachPageAnAlarm(t *testing.T) {
	doubts := map[string][]string{}
	have, want := names(t), used(t, doubts)
	require.NotEmpty(t, doubts)
	for name, classes := range doubts {
		for _, class := range classes {
			if class == "strain" {
				class = "availability"
			}
			if slices.Contains(have, name) {
				assert.Equal(t, class, read(t, name).doubt, "what %s says of %s", name, want[name])
			}
		}
	}
	for name, where := range want {
		assert.Contains(t, have, name, "%s names a runbook that is not in %s", where, runbook.Dir)
	}
	for _, name := range have {
		assert.Contains(t, want, name, "no alarm names this page")
	}
}

func TestIndex(t *testing.T) {
	path := filepath.Join(root, runbook.Dir, index)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	const begin, end = "<!-- pages -->\n", "<!-- end of pages -->\n"
	before, rest, found := strings.Cut(string(text), begin)
	require.True(t, found)
	_, after, found := strings.Cut(rest, end)
	require.True(t, found)
	var table strings.Builder
	for _, doubt := range []string{"evidence", "security", "availability"} {
		fmt.Fprintf(&table, "\n### %s\n\n| Page | Alarm |\n|---|---|\n", map[string]string{
			"evidence": "Evidence in doubt", "security": "Security in doubt", "availability": "A door in doubt",
		}[doubt])
		for _, name := range names(t) {
			if p := read(t, name); p.doubt == doubt {
				fmt.Fprintf(&table, "| [%s](%s.md) | %s |\n", p.title, name, p.alarms)
			}
		}
	}
	want := before + begin + table.String() + "\n" + end + after
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o600))
		return
	}
	assert.Equal(t, want, string(text), "write the index anew: go test ./internal/runbook -update")
}

// link to another file of the repository.
var link = regexp.MustCompile(`\]\(([^):#]+)(?:#[^)]*)?\)`)

func TestPages(t *testing.T) {
	cli := commandLine(t)
	require.NotEmpty(t, names(t))
	for _, name := range names(t) {
		t.Run(name, func(t *testing.T) {
			p := read(t, name)
			for _, fault := range faults(p.commands, cli) {
				assert.Fail(t, fault)
			}
			for _, section := range p.sections {
				for _, match := range link.FindAllStringSubmatch(section, -1) {
					assert.FileExists(t, filepath.Join(root, runbook.Dir, match[1]), "a link leads nowhere")
				}
			}
		})
	}
}

// tools that are there on a workstation or on the host, beside those that are
// looked into.
var tools = strings.Fields("jq grep tail head sort uniq cut tr sed awk date df du ps w who last lastlog ss nft ausearch aureport chronyc sshd cat ls less sha256sum printf xargs base64 dig nc ssh curl")

// units of other people's that are on a host.
var units = strings.Fields("amazon-cloudwatch-agent amazon-ssm-agent sshd ssh auditd fail2ban chronyd systemd-journald")

// faults are what is wrong with the commands of a page.
func faults(text string, cli map[string]arguments) []string {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "commands")
	if err != nil {
		return []string{err.Error()}
	}
	var list []string
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }

	count := 0
	for _, statement := range file.Stmts {
		if call, ok := statement.Cmd.(*syntax.CallExpr); !ok || len(call.Args) > 0 {
			count++
		}
	}
	if count != 3 {
		say("has %d commands, not three", count)
	}
	set := map[string]bool{"HOME": true}
	syntax.Walk(file, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.Assign:
			set[node.Name.Value] = true
		case *syntax.ParamExp:
			if name := node.Param.Value; !set[name] {
				say("$%s is not set before it is used", name)
			}
		case *syntax.CallExpr:
			// What it is given is looked at when the walk gets there.
			if words := spell(node.Args); len(words) > 0 {
				list = append(list, fault(words, cli)...)
			}
		}
		return true
	})
	return list
}

// spell is the words of a command, "" for what is known only when it runs.
func spell(args []*syntax.Word) []string {
	var words []string
	for _, word := range args {
		text := word.Lit()
		if len(word.Parts) == 1 {
			if quoted, ok := word.Parts[0].(*syntax.SglQuoted); ok {
				text = quoted.Value
			}
		}
		words = append(words, text)
	}
	if len(words) > 0 && words[0] == "sudo" {
		words = words[1:]
	}
	return words
}

func fault(words []string, cli map[string]arguments) []string {
	name, rest := words[0], words[1:]
	switch {
	case name == "aws":
		return awsFaults(rest, cli)
	case name == "journalctl":
		return unitFaults(following(rest, "-u"))
	case name == "systemctl":
		if len(rest) == 0 {
			return []string{"systemctl does nothing without a verb"}
		}
		return unitFaults(slices.DeleteFunc(slices.Clone(rest[1:]), func(word string) bool { return strings.HasPrefix(word, "-") }))
	case name == "/opt/postern/bin/postern-host":
		return ownFaults("postern-host", rest)
	case name == "recording":
		return ownFaults("recording", rest)
	case strings.HasPrefix(name, "/opt/postern/host/"):
		path := filepath.Join(root, "internal/host/files/bundle/host", strings.TrimPrefix(name, "/opt/postern/host/"))
		if _, err := os.Stat(path); err != nil {
			return []string{name + " is not on a host"}
		}
	case !slices.Contains(tools, name):
		return []string{fmt.Sprintf("%q is a tool that this test does not know: see that people have it, and add it", name)}
	}
	return nil
}

func following(words []string, option string) []string {
	var list []string
	for i, word := range words {
		if word == option && i+1 < len(words) {
			list = append(list, words[i+1])
		}
	}
	return list
}

func unitFaults(list []string) []string {
	var wrong []string
	for _, unit := range list {
		if slices.Contains(units, strings.TrimSuffix(unit, ".service")) {
			continue
		}
		name := unit
		if !strings.Contains(name, ".") {
			name += ".service"
		}
		if _, err := os.Stat(filepath.Join(root, "internal/host/files/bundle/host/units", name)); err != nil {
			wrong = append(wrong, fmt.Sprintf("no host has the unit %q", unit))
		}
	}
	return wrong
}

var helps = map[string]string{}

// ownFaults asks a program of this module for its help.
func ownFaults(program string, words []string) []string {
	if len(words) == 0 || words[0] == "" {
		return []string{program + " is called without a command"}
	}
	command := words[0]
	help, asked := helps[program+" "+command]
	if !asked && program == "postern-host" && runtime.GOOS != "linux" {
		fmt.Printf("NOT COMPARED: %s %s with its help, which is there on Linux\n", program, command)
		return nil
	}
	if !asked {
		call := exec.Command("go", "run", "./bin/"+program, command, "--help")
		call.Dir = root
		out, err := call.CombinedOutput()
		if err != nil {
			return []string{fmt.Sprintf("%s %s: %s", program, command, bytes.TrimSpace(out))}
		}
		help = string(out)
		helps[program+" "+command] = help
	}
	var wrong []string
	for _, word := range words[1:] {
		if option, _, _ := strings.Cut(word, "="); strings.HasPrefix(word, "--") && !regexp.MustCompile(regexp.QuoteMeta(option)+`\b`).MatchString(help) {
			wrong = append(wrong, fmt.Sprintf("%s %s has no %s", program, command, option))
		}
	}
	return wrong
}

// arguments of a command of the AWS CLI, by name: whether it must be given.
type arguments map[string]bool

// global options, which every command takes.
var global = strings.Fields("--region --query --output --no-paginate --profile --no-cli-pager")

// byHand are commands that version 2 of the AWS CLI has and version 1 has not.
//
// docs.aws.amazon.com/cli/latest/reference/logs/tail.html
var byHand = map[string]arguments{
	"logs tail": {
		"group_name": true, "since": false, "follow": false, "format": false, "filter-pattern": false,
		"log-stream-names": false, "log-stream-name-prefix": false,
	},
}

func awsFaults(words []string, cli map[string]arguments) []string {
	if len(words) < 2 || words[0] == "" || words[1] == "" {
		return []string{"aws is called without a service and an operation"}
	}
	command := words[0] + " " + words[1]
	takes, ok := byHand[command]
	if !ok {
		takes, ok = cli[command]
	}
	if !ok {
		return []string{fmt.Sprintf("aws %s is not known: go test ./internal/runbook -update asks the AWS CLI", command)}
	}
	if takes == nil {
		return []string{fmt.Sprintf("aws has no command %q", command)}
	}
	var wrong []string
	given := map[string]bool{}
	for _, word := range words[2:] {
		option, _, _ := strings.Cut(word, "=")
		if !strings.HasPrefix(option, "--") || slices.Contains(global, option) {
			continue
		}
		name := strings.TrimPrefix(option, "--")
		if _, ok := takes[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("aws %s has no --%s", command, name))
		}
		given[name] = true
	}
	positional := map[string]bool{"paths": true, "group_name": true}
	for _, name := range slices.Sorted(maps.Keys(takes)) {
		if takes[name] && !positional[name] && !given[name] && !given["no-"+name] {
			wrong = append(wrong, fmt.Sprintf("aws %s needs --%s", command, name))
		}
	}
	return wrong
}

// ask has the AWS CLI itself say what its commands take.
const ask = `
import json, sys
from awscli.clidriver import create_clidriver
services = create_clidriver()._get_command_table()
out = {}
for command in json.load(sys.stdin):
    service, operation = command.split(" ")
    out[command] = None
    if service not in services: continue
    operations = services[service].create_help_command().command_table
    if operation not in operations: continue
    found = operations[operation]
    table = found.arg_table if hasattr(found, "arg_table") else found.create_help_command().arg_table
    out[command] = {name: bool(arg.required) for name, arg in table.items()}
json.dump(out, sys.stdout)
`

// commandLine is what the AWS CLI takes of the commands on the pages: as it was
// written down, and compared with the CLI where version 1 is installed, which is
// a Python package that can be asked.
func commandLine(t *testing.T) map[string]arguments {
	t.Helper()
	var list []string
	for _, name := range names(t) {
		file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(read(t, name).commands), name)
		require.NoError(t, err)
		syntax.Walk(file, func(node syntax.Node) bool {
			if call, ok := node.(*syntax.CallExpr); ok {
				if words := spell(call.Args); len(words) > 2 && words[0] == "aws" {
					list = append(list, words[1]+" "+words[2])
				}
			}
			return true
		})
	}
	slices.Sort(list)
	list = slices.DeleteFunc(slices.Compact(list), func(command string) bool { return byHand[command] != nil })
	question, err := json.Marshal(list)
	require.NoError(t, err)
	call := exec.Command("python3", "-c", ask)
	call.Stdin = bytes.NewReader(question)
	answer, err := call.Output()
	if err == nil {
		var pretty bytes.Buffer
		var told map[string]arguments
		require.NoError(t, json.Unmarshal(answer, &told))
		text, err := json.MarshalIndent(told, "", " ")
		require.NoError(t, err)
		pretty.Write(append(text, '\n'))
		if *update {
			require.NoError(t, os.WriteFile(known, pretty.Bytes(), 0o600))
		}
		written, err := os.ReadFile(known)
		require.NoError(t, err)
		var kept map[string]arguments
		require.NoError(t, json.Unmarshal(written, &kept))
		for _, command := range list {
			// Versions of the CLI add options.
			for name, required := range kept[command] {
				now, ok := told[command][name]
				assert.True(t, ok, "the AWS CLI has no %s --%s any more", command, name)
				assert.Equal(t, required, now, "%s --%s", command, name)
			}
			assert.Contains(t, kept, command, "go test ./internal/runbook -update")
		}
		assert.Len(t, kept, len(list), "commands that no page has: go test ./internal/runbook -update")
		return kept
	}
	require.False(t, *update, "the AWS CLI can't be asked: version 1 is needed, for python3: %v", err)
	fmt.Printf("NOT COMPARED: %s with the AWS CLI, of which version 1 is not installed for python3\n", known)
	written, err := os.ReadFile(known)
	require.NoError(t, err)
	var kept map[string]arguments
	require.NoError(t, json.Unmarshal(written, &kept))
	return kept
}

// The test of the pages finds what it is for.
func TestFaultsAreFound(t *testing.T) {
	cli := map[string]arguments{
		"ssm start-session":  {"target": true, "reason": false},
		"autoscaling mumble": nil,
	}
	const fine = "INSTANCE=...\naws ssm start-session --target \"$INSTANCE\" | jq .\nsudo journalctl -u postern-ship\nsystemctl status postern-check.timer\n"
	assert.Empty(t, faults(fine, cli))
	for name, test := range map[string]struct{ text, want string }{
		"two commands":        {"df\ndf\n", "has 2 commands, not three"},
		"no variable":         {"df\ndf\ndf $WHERE\n", "$WHERE is not set before it is used"},
		"no syntax":           {"df\ndf\ndf 'x\n", "commands:3:4: reached EOF without closing quote `'`"},
		"no such command":     {"df\ndf\naws autoscaling mumble\n", `aws has no command "autoscaling mumble"`},
		"no such service":     {"df\ndf\naws ec3 stop\n", "aws ec3 stop is not known: go test ./internal/runbook -update asks the AWS CLI"},
		"no such option":      {"df\ndf\naws ssm start-session --target x --why y\n", "aws ssm start-session has no --why"},
		"option missing":      {"df\ndf\naws ssm start-session --reason x\n", "aws ssm start-session needs --target"},
		"within another":      {"df\ndf\ndf \"$(aws ssm start-session)\"\n", "aws ssm start-session needs --target"},
		"no such unit":        {"df\ndf\njournalctl -u postern-mail\n", `no host has the unit "postern-mail"`},
		"no such timer":       {"df\ndf\nsystemctl status postern-ship.timer\n", `no host has the unit "postern-ship.timer"`},
		"no such own command": {"df\ndf\n/opt/postern/bin/postern-host dance\n", "postern-host dance: postern-host: unknown command \"dance\" for \"postern-host\"\nexit status 1"},
		"no such own option":  {"df\ndf\n/opt/postern/bin/postern-host people --force\n", "postern-host people has no --force"},
		"no such script":      {"df\ndf\n/opt/postern/host/run/gone.sh\n", "/opt/postern/host/run/gone.sh is not on a host"},
		"unknown tool":        {"df\ndf\nterraform apply\n", `"terraform" is a tool that this test does not know: see that people have it, and add it`},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, []string{test.want}, faults(test.text, cli))
		})
	}
}
