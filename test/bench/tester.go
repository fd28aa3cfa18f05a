//go:build linux

package main

import (
	"errors"
	"fmt"
	"testing"
)

// tester lets be used here what the lab has for tests: what would fail one ends the
// function that [withTester] runs.
type tester struct {
	testing.TB

	failed   bool
	cleanups []func()
}

type ended struct{ err error }

// withTester runs f, then what f left to be cleaned up.
func withTester(f func(t *tester) error) (err error) {
	t := &tester{}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case ended:
			err = r.err
		default:
			panic(r)
		}
	}()
	defer func() {
		for i := len(t.cleanups) - 1; i >= 0; i-- {
			t.cleanups[i]()
		}
	}()
	return f(t)
}

func (t *tester) Helper()                 {}
func (t *tester) Cleanup(f func())        { t.cleanups = append(t.cleanups, f) }
func (t *tester) Failed() bool            { return t.failed }
func (t *tester) Log(args ...any)         { say("%s", fmt.Sprint(args...)) }
func (t *tester) Logf(f string, a ...any) { say(f, a...) }
func (t *tester) Fatalf(f string, a ...any) {
	t.Fatal(fmt.Sprintf(f, a...))
}

func (t *tester) Fatal(args ...any) {
	t.failed = true
	panic(ended{errors.New(fmt.Sprint(args...))})
}
