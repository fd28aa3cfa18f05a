//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// synth holds the whole app against the same resources made by plain JavaScript.
func (b *bench) synth() error {
	app, err := b.build("./bin/postern")
	if err != nil {
		return err
	}
	empty, err := b.build("./test/bench/empty")
	if err != nil {
		return err
	}
	plain := []string{"node", filepath.Join(b.root, "test", "bench", "plain.js")}
	emptyPlain := []string{"node", filepath.Join(b.root, "test", "bench", "empty.js")}
	theirs, err := b.resources(plain...)
	if err != nil {
		return fmt.Errorf("%w (its modules: npm ci --prefix test/bench)", err)
	}
	ours, err := b.resources(app)
	if err != nil {
		return err
	}
	if d := difference(ours, theirs); d != "" {
		return fmt.Errorf("plain.js makes other resources than the app, so the comparison is not fair; the app against it: %s", d)
	}

	say("synthesis: %d runs of each", b.runs)
	samples, err := b.turns(b.runs, plain, []string{app}, emptyPlain, []string{empty})
	if err != nil {
		return err
	}
	js, goApp := samples[0], samples[1]
	n := total(ours)
	for _, m := range []struct {
		name string
		of   func(sample) float64
	}{{"elapsed", wall}, {"CPU time", cpu}} {
		j, g := median(pick(js, m.of)), median(pick(goApp, m.of))
		b.hold(g/j <= maxSynthRatio, fmt.Sprintf("Synthesis of the app, %d resources, %s", n, m.name),
			fmt.Sprintf("%.1f × plain JavaScript", maxSynthRatio), "%.2f s against %.2f s: %.2f ×", g, j, g/j)
	}
	b.state("Synthesis of nothing, which is part of both", "%.2f s against %.2f s elapsed, %.2f s against %.2f s CPU time, %.0f MB against %.0f MB",
		median(pick(samples[3], wall)), median(pick(samples[2], wall)), median(pick(samples[3], cpu)), median(pick(samples[2], cpu)),
		median(pick(samples[3], peak)), median(pick(samples[2], peak)))
	largest := slices.Max(pick(goApp, peak))
	b.hold(largest < maxSynthMB, "Its largest process (the CDK in Node), peak resident memory, worst run",
		fmt.Sprintf("%d MB", maxSynthMB), "%.0f MB; plain JavaScript %.0f MB", largest, slices.Max(pick(js, peak)))

	var trees []footprint
	for range 3 {
		f, err := watch(b.command(app))
		if err != nil {
			return err
		}
		trees = append(trees, f)
	}
	top := slices.MaxFunc(trees, func(a, c footprint) int { return int(a.totalMB - c.totalMB) })
	jsTree, err := watch(b.command(plain...))
	if err != nil {
		return err
	}
	b.state("All its processes together, peak, shared memory counted once", "%.0f MB (%s); plain JavaScript %.0f MB",
		top.totalMB, strings.Join(top.parts, ", "), jsTree.totalMB)

	requests, err := b.requests(app)
	if err != nil {
		return err
	}
	b.state("Its calls between Go and Node", "%d, %.1f a resource", requests, float64(requests)/float64(n))
	return nil
}

// growth makes apps of ever more bastions.
func (b *bench) growth() error {
	app, err := b.build("./test/bench/many")
	if err != nil {
		return err
	}
	sizes := []int{1, 10, 25, 50}
	contenders := make([][]string, len(sizes))
	for i, n := range sizes {
		contenders[i] = []string{app, strconv.Itoa(n)}
	}
	runs := max(b.runs/3, 1)
	say("growth: %d runs of each size", runs)
	samples, err := b.turns(runs, contenders...)
	if err != nil {
		return err
	}
	var x, y, calls []float64
	for i, n := range sizes {
		requests, err := b.requests(contenders[i]...)
		if err != nil {
			return err
		}
		x, y, calls = append(x, float64(n)), append(y, median(pick(samples[i], cpu))), append(calls, float64(requests))
		b.state(fmt.Sprintf("Synthesis of an app, bastions in it: %d", n), "%.2f s elapsed, %.2f s CPU time, %d calls, %.0f MB",
			median(pick(samples[i], wall)), y[i], requests, median(pick(samples[i], peak)))
	}
	// Linear is what costs as much for each at the end as at the beginning.
	each := func(of []float64, from, to int) float64 { return (of[to] - of[from]) / (x[to] - x[from]) }
	last := len(x) - 1
	slope, intercept, explained := fit(x, y)
	ratio := each(y, last-1, last) / each(y, 0, last-1)
	b.hold(ratio <= maxGrowthRatio, "Each further bastion, CPU time", fmt.Sprintf("linear: 26th to 50th at most %.1f × 2nd to 25th", maxGrowthRatio),
		"%.2f ×; %.2f s + %.3f s a bastion, R² %.4f", ratio, intercept, slope, explained)
	callRatio := each(calls, last-1, last) / each(calls, 0, last-1)
	b.hold(callRatio <= 1.02, "Each further bastion, calls", "linear: the same within 2 %", "%.1f, then %.1f",
		each(calls, 0, last-1), each(calls, last-1, last))
	return nil
}

// build compiles a command of the module with the caches there are.
func (b *bench) build(pkg string) (string, error) {
	say("building %s", pkg)
	out := filepath.Join(b.work, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Dir = b.root
	_, err := measure(cmd)
	return out, err
}

// command synthesizes into a folder of the work area.
func (b *bench) command(argv ...string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = b.work
	cmd.Env = append(slices.Clone(b.env), "CDK_OUTDIR="+b.assembly())
	return cmd
}

func (b *bench) assembly() string { return filepath.Join(b.work, "cdk.out") }

// turns runs each contender once to warm up, and then lets them take turns.
func (b *bench) turns(runs int, contenders ...[]string) ([][]sample, error) {
	samples := make([][]sample, len(contenders))
	for turn := range runs + 1 {
		for i, argv := range contenders {
			if err := os.RemoveAll(b.assembly()); err != nil {
				return nil, err
			}
			s, err := measure(b.command(argv...))
			if err != nil {
				return nil, err
			}
			if turn > 0 {
				samples[i] = append(samples[i], s)
			}
		}
	}
	return samples, nil
}

// requests counts what passes between Go and the jsii kernel, both ways. It does
// not depend on the machine.
func (b *bench) requests(argv ...string) (int, error) {
	cmd := b.command(argv...)
	cmd.Env = append(cmd.Env, "JSII_DEBUG=1")
	s, err := measure(cmd)
	if err != nil {
		return 0, err
	}
	n := bytes.Count(s.stderr, []byte("\n> {"))
	if n == 0 {
		return 0, fmt.Errorf("%s: JSII_DEBUG shows no calls", cmd)
	}
	return n, nil
}

// resources counts what an app makes by type.
func (b *bench) resources(argv ...string) (map[string]int, error) {
	if err := os.RemoveAll(b.assembly()); err != nil {
		return nil, err
	}
	if _, err := measure(b.command(argv...)); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(b.assembly(), "*.template.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s: no templates", argv[0])
	}
	count := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var template struct {
			Resources map[string]struct{ Type string }
		}
		if err := json.Unmarshal(text, &template); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, r := range template.Resources {
			count[r.Type]++
		}
	}
	return count, nil
}

func total(count map[string]int) int {
	n := 0
	for _, c := range count {
		n += c
	}
	return n
}

// difference says what a has more and less of than b.
func difference(a, b map[string]int) string {
	types := maps.Clone(a)
	maps.Copy(types, b)
	var list []string
	for _, t := range slices.Sorted(maps.Keys(types)) {
		if d := a[t] - b[t]; d != 0 {
			list = append(list, fmt.Sprintf("%s %+d", t, d))
		}
	}
	return strings.Join(list, ", ")
}
