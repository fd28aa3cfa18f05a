package emulator_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Set by TestMain.
var (
	repository string // top of the repository
	cdkPath    string // the CDK CLI that package-lock.json pins
	binaries   string // folder with the app and the examples, built
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	folder, err := os.MkdirTemp("", "postern-emulator-")
	if err != nil {
		return fail(err)
	}
	defer func() {
		if err := os.RemoveAll(folder); err != nil {
			code = fail(err)
		}
	}()
	if err := prepare(folder); err != nil {
		return fail(err)
	}
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintf(os.Stderr, "test/emulator can't run: %v\n", err)
	return 1
}

// prepare finds what the tests run and builds the rest, once.
func prepare(folder string) (err error) {
	if repository, err = filepath.Abs(filepath.Join("..", "..")); err != nil {
		return err
	}
	if _, err := exec.LookPath("node"); err != nil {
		return fmt.Errorf("no node: install Node.js 22 or newer: %w", err)
	}
	cdkPath = filepath.Join(repository, "node_modules", ".bin", "cdk")
	if _, err := os.Stat(cdkPath); err != nil {
		return fmt.Errorf("no CDK CLI: run npm ci: %w", err)
	}
	binaries = folder
	build := exec.Command("go", "build", "-o", binaries+string(filepath.Separator), "./bin/postern", "./test/emulator/accountdefault", "./examples/minimal", "./examples/existing-vpc", "./examples/recorded-bastion", "./examples/portless", "./examples/audited", "./examples/account",
		"./test/emulator/sessions", "./test/emulator/logaccount", "./test/emulator/replica")
	build.Dir = repository
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}
