//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// bastion holds the cold compile of an app with our bastion against one with the
// CDK's. "Cold" is an empty build cache; the modules are on disk.
func (b *bench) bastion() error {
	packages := []string{"./test/bench/bastionhostlinux", "./test/bench/onlybastion"}
	samples := make([][]sample, len(packages))
	for turn := range b.compileRuns {
		for i, pkg := range packages {
			say("cold compile %d of %d: %s", turn+1, b.compileRuns, pkg)
			cache, err := os.MkdirTemp(b.work, "gocache-")
			if err != nil {
				return err
			}
			s, err := b.compileIn(cache, pkg)
			if err != nil {
				return err
			}
			samples[i] = append(samples[i], s)
			if err := os.RemoveAll(cache); err != nil {
				return err
			}
		}
	}
	for _, m := range []struct {
		name string
		of   func(sample) float64
	}{{"elapsed", wall}, {"CPU time", cpu}} {
		cdk, ours := median(pick(samples[0], m.of)), median(pick(samples[1], m.of))
		b.hold(ours/cdk <= maxCompileRatio, fmt.Sprintf("Cold compile of an app with `bastion.New` alone, CPUs %s, %s", b.cpus, m.name),
			fmt.Sprintf("%.1f × one with `awsec2.NewBastionHostLinux`", maxCompileRatio), "%.0f s against %.0f s: %.2f ×", ours, cdk, ours/cdk)
	}
	return nil
}

// compile measures the app: cold, after a change, after none.
func (b *bench) compile() error {
	const pkg = "./bin/postern"
	cache := filepath.Join(b.work, "gocache")
	say("cold compile: %s", pkg)
	cold, err := b.compileIn(cache, pkg)
	if err != nil {
		return err
	}
	say("warm compiles")
	// What somebody who works on a construct waits for.
	source := filepath.Join(b.root, "constructs", "bastion", "bastion.go")
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	changed := filepath.Join(b.work, "bastion.go")
	if err := os.WriteFile(changed, append(text, "\nvar _ = 1\n"...), 0o600); err != nil { //nolint:gosec // a temporary folder made here
		return err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	if err != nil {
		return err
	}
	replace := filepath.Join(b.work, "overlay.json")
	if err := os.WriteFile(replace, overlay, 0o600); err != nil {
		return err
	}
	edited, err := b.compileIn(cache, "-overlay", replace, pkg)
	if err != nil {
		return err
	}
	same, err := b.compileIn(cache, pkg)
	if err != nil {
		return err
	}
	b.state(fmt.Sprintf("Compile of the app, empty build cache, CPUs %s", b.cpus), "%.0f s elapsed, %.0f s CPU time, largest compiler %.0f MB",
		cold.wall, cold.cpu, cold.peakMB)
	b.state("The same, warm, after a change in constructs/bastion", "%.1f s", edited.wall)
	b.state("The same, warm, nothing changed: linking", "%.1f s", same.wall)
	return nil
}

func (b *bench) compileIn(cache string, args ...string) (sample, error) {
	argv := append([]string{"-c", b.cpus, "go", "build", "-o", filepath.Join(b.work, "compiled")}, args...)
	cmd := exec.Command("taskset", argv...)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "GOCACHE="+cache)
	return measure(cmd)
}

const engineTest = "TestAHundredResourcesDeployInASecond"

// engine reads how long the engine's own test of a hundred resources took.
func (b *bench) engine() error {
	say("engine: %s", engineTest)
	var times []float64
	for range max(b.runs/3, 1) {
		cmd := exec.Command("go", "test", "-count=1", "-json", "-run", "^"+engineTest+"$", "./internal/localcfn/engine")
		cmd.Dir = b.root
		out, err := cmd.Output()
		elapsed, passed := elapsed(out)
		if !passed {
			return fmt.Errorf("%s did not pass: %w\n%s", engineTest, err, out)
		}
		times = append(times, elapsed)
	}
	m := median(times)
	b.hold(m < maxEngineSeconds, "100 resources deployed by the local CloudFormation (`"+engineTest+"`)",
		fmt.Sprintf("%d s", maxEngineSeconds), "%.2f s", m)
	return nil
}

func elapsed(events []byte) (seconds float64, passed bool) {
	for scan := bufio.NewScanner(bytes.NewReader(events)); scan.Scan(); {
		var e struct {
			Action, Test string
			Elapsed      float64
		}
		if json.Unmarshal(scan.Bytes(), &e) == nil && e.Test == engineTest && e.Action == "pass" {
			return e.Elapsed, true
		}
	}
	return 0, false
}

// suite runs `make test` in a fresh clone of what is committed: with every cache
// empty, as on a new machine; with those that it filled; and without the results
// that go test keeps of packages that did not change.
func (b *bench) suite() error {
	clone := filepath.Join(b.work, "clone")
	if err := exec.Command("git", "clone", "--quiet", b.root, clone).Run(); err != nil {
		return fmt.Errorf("git clone: %w", err)
	}
	caches := filepath.Join(b.work, "caches")
	env := append(os.Environ(),
		"MAKEFLAGS=", "MAKELEVEL=", // of the make that runs this
		"GOCACHE="+filepath.Join(caches, "go-build"),
		"GOMODCACHE="+filepath.Join(caches, "go-mod"),
		"GOLANGCI_LINT_CACHE="+filepath.Join(caches, "golangci-lint"),
		"npm_config_cache="+filepath.Join(caches, "npm"),
		"JSII_RUNTIME_PACKAGE_CACHE_ROOT="+filepath.Join(caches, "jsii"),
	)
	run := func(name string, args ...string) error {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = clone, env
		// The table must stand alone on standard output.
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		return cmd.Run()
	}
	// Modules are kept without write permission.
	defer func() { _ = run("go", "clean", "-modcache") }()
	for _, turn := range []struct {
		name  string
		limit float64 // minutes; 0 is none
		anew  bool
	}{
		{name: "every cache empty, modules and tools fetched", limit: maxSuiteColdMin},
		{name: "again", limit: maxSuiteWarmMin},
		{name: "again, no result of a test kept", anew: true},
	} {
		say("make test on CPUs %s: %s", b.cpus, turn.name)
		if turn.anew {
			if err := run("go", "clean", "-testcache"); err != nil {
				return err
			}
		}
		start := time.Now()
		if err := run("taskset", "-c", b.cpus, "make", "test"); err != nil {
			return fmt.Errorf("make test: %w", err)
		}
		what, minutes := fmt.Sprintf("`make test` in a fresh clone, CPUs %s, %s", b.cpus, turn.name), time.Since(start).Minutes()
		if turn.limit == 0 {
			b.state(what, "%.1f min", minutes)
			continue
		}
		b.hold(minutes < turn.limit, what, fmt.Sprintf("%.0f min", turn.limit), "%.1f min", minutes)
	}
	return nil
}
