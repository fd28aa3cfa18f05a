//go:build linux

// Command bench measures what docs/performance.md states: it prints a table in
// Markdown and fails where a budget is broken. Run it by `make bench`.
//
// Contenders take turns within a run, so that whatever else the machine does
// falls on both. Medians are shown; CPU time (user and system, of all processes)
// stands beside elapsed time, for it hardly depends on that.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// The budgets.
const (
	maxSynthRatio    = 2.5
	maxSynthMB       = 150
	maxGrowthRatio   = 1.3
	maxCompileRatio  = 1.5
	maxEngineSeconds = 1
	maxSuiteColdMin  = 15
	maxSuiteWarmMin  = 4
)

type bench struct {
	root, work  string
	runs        int
	compileRuns int
	cpus        string
	env         []string
	rows        []row
	broken      bool
}

type row struct{ what, measured, budget, verdict string }

// section is one part that -only can choose.
type section struct {
	name string
	run  func(*bench) error
	// alone is left out unless chosen.
	alone bool
}

var sections = []section{
	{name: "synth", run: (*bench).synth},
	{name: "growth", run: (*bench).growth},
	{name: "engine", run: (*bench).engine},
	{name: "bastion", run: (*bench).bastion},
	{name: "compile", run: (*bench).compile},
	{name: "host-bytes", run: (*bench).hostBytes},
	{name: "host-boot", run: hostSection((*bench).hostBoot)},
	{name: "host-people", run: hostSection((*bench).hostPeople)},
	{name: "host-login", run: hostSection((*bench).hostLogin)},
	{name: "host-recorder", run: hostSection((*bench).hostRecorder)},
	{name: "host-burst", run: hostSection((*bench).hostBurst)},
	{name: "host-loss", run: hostSection((*bench).hostLoss)},
	{name: "host-idle", run: hostSection((*bench).hostIdle)},
	{name: "suite", run: (*bench).suite, alone: true},
}

func main() {
	names := make([]string, len(sections))
	for i, s := range sections {
		names[i] = s.name
	}
	b := &bench{}
	only := flag.String("only", "", "comma-separated `parts`: "+strings.Join(names, ", ")+"; default all but suite; host is all that begin with it")
	flag.IntVar(&b.runs, "runs", 9, "how often each synthesis is measured")
	flag.IntVar(&b.compileRuns, "compile-runs", 3, "how often each of the two bastion apps is compiled")
	flag.StringVar(&b.cpus, "cpus", "0,1", "the `CPUs` that compilers and the test suite may use, as taskset takes them")
	flag.Parse()
	if err := b.main(*only, names); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if b.broken {
		fmt.Fprintln(os.Stderr, "bench: a budget is broken")
		os.Exit(1)
	}
}

func (b *bench) main(only string, names []string) (err error) {
	var chosen []string
	if only != "" {
		for name := range strings.SplitSeq(only, ",") {
			of := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n != name && !strings.HasPrefix(n, name+"-") })
			if len(of) == 0 {
				return fmt.Errorf("-only %s: there are %s", name, strings.Join(names, ", "))
			}
			chosen = append(chosen, of...)
		}
	}
	if b.root, err = os.Getwd(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(b.root, "test", "bench", "plain.js")); err != nil {
		return fmt.Errorf("run it from the top of the repository: %w", err)
	}
	if b.work, err = os.MkdirTemp("", "postern-bench-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.work) }()
	if b.env, err = environment(b.root); err != nil {
		return err
	}

	before := load()
	for _, s := range sections {
		if len(chosen) == 0 && s.alone || len(chosen) > 0 && !slices.Contains(chosen, s.name) {
			continue
		}
		// One that can't be measured must not hide what the others found.
		say("measuring: %s", s.name)
		if e := s.run(b); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", s.name, e))
		}
	}
	fmt.Printf("%s, %d CPUs, %s, Node %s; load average %s before, %s after.\n\n%s",
		cpuModel(), runtime.NumCPU(), runtime.Version(), nodeVersion(), before, load(), table(b.rows))
	return err
}

// environment is that of the CDK CLI, which hands the context of cdk.json on.
func environment(root string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(root, "cdk.json"))
	if err != nil {
		return nil, err
	}
	var file struct {
		Context json.RawMessage `json:"context"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("cdk.json: %w", err)
	}
	return append(os.Environ(),
		"CDK_VALIDATION=false",
		"CDK_CONTEXT_JSON="+string(file.Context),
		"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20",
	), nil
}

// state adds what was measured without a budget.
func (b *bench) state(what, format string, args ...any) {
	b.rows = append(b.rows, row{what, fmt.Sprintf(format, args...), "", ""})
}

// hold adds what was measured against its budget.
func (b *bench) hold(ok bool, what, budget, format string, args ...any) {
	verdict := "met"
	if !ok {
		verdict, b.broken = "**broken**", true
	}
	b.rows = append(b.rows, row{what, fmt.Sprintf(format, args...), budget, verdict})
}

func table(rows []row) string {
	var t strings.Builder
	t.WriteString("| What | Measured | Budget | |\n|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&t, "| %s | %s | %s | %s |\n", r.what, r.measured, r.budget, r.verdict)
	}
	return t.String()
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
