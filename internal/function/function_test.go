package function

import (
	"archive/zip"
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/accountdefault"
	"github.com/postern-cdk/postern/internal/compile"
)

const program = accountdefault.Program

// copied is a copy of what of the module a function is made of, in another folder.
func copied(t *testing.T) string {
	t.Helper()
	from, err := compile.ModuleDir(t.Context())
	require.NoError(t, err)
	to := t.TempDir()
	list := []string{"go.mod", "go.sum"}
	for _, top := range []string{"bin", "internal"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(from, top), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, err := filepath.Rel(from, path)
			list = append(list, name)
			return err
		}))
	}
	for _, name := range list {
		data, err := os.ReadFile(filepath.Join(from, name))
		require.NoError(t, err)
		path := filepath.Join(to, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
	return to
}

// Offline, in another folder, with settings of a person's own.
func TestEverywhereTheSameBytes(t *testing.T) {
	first, err := Build(t.Context(), program, Options{})
	require.NoError(t, err)
	assert.Regexp(t, `^[0-9a-f]{64}$`, first.SHA256)

	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "-tags=theirs")
	t.Setenv("GOARM64", "v9.0")
	var told bytes.Buffer
	second, err := Build(t.Context(), program, Options{CacheDir: t.TempDir(), Progress: &told, module: copied(t)})
	require.NoError(t, err)
	assert.Equal(t, "postern: building the function postern-account-default, once\n", told.String())
	assert.Equal(t, first.SHA256, second.SHA256)

	// What was made elsewhere is taken as it is.
	given, err := Build(t.Context(), program, Options{File: second.Path})
	require.NoError(t, err)
	assert.Equal(t, second, given)
}

func TestArchive(t *testing.T) {
	f, err := Build(t.Context(), program, Options{})
	require.NoError(t, err)
	info, err := os.Stat(f.Path)
	require.NoError(t, err)
	t.Logf("%d bytes", info.Size())
	assert.Less(t, info.Size(), int64(4<<20), "it starts in no time because it is small")
	archive, err := zip.OpenReader(f.Path)
	require.NoError(t, err)
	defer func() { assert.NoError(t, archive.Close()) }()
	require.Len(t, archive.File, 1)
	header := archive.File[0]
	assert.Equal(t, "bootstrap", header.Name)
	assert.Equal(t, fs.FileMode(0o755), header.Mode())
	assert.Equal(t, 1980, header.Modified.UTC().Year())
}

func TestHitRunsNothing(t *testing.T) {
	_, err := Build(t.Context(), program, Options{})
	require.NoError(t, err)
	t.Setenv("PATH", "")
	var told bytes.Buffer
	_, err = Build(t.Context(), program, Options{Progress: &told})
	require.NoError(t, err)
	assert.Empty(t, told.String())
}

func TestKeyFollowsWhatItIsMadeOf(t *testing.T) {
	dir := copied(t)
	key := func() string {
		key, err := recipe(program).CacheKey(dir)
		require.NoError(t, err)
		return key
	}
	before := key()
	change := func(name string) string {
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
		require.NoError(t, err)
		_, err = file.WriteString("\n")
		require.NoError(t, err)
		require.NoError(t, file.Close())
		return key()
	}
	assert.Equal(t, before, change("bin/postern-host/main.go"), "another program")
	assert.Equal(t, before, change("internal/accountdefault/owner/owner_test.go"), "a test")
	for _, name := range []string{"go.mod", "go.sum", "bin/" + program + "/main.go", "internal/accountdefault/owner/apply.go", "internal/function/function.go", "internal/compile/compile.go"} {
		after := change(name)
		assert.NotEqual(t, before, after, name)
		before = after
	}
}

func TestFaultsSayWhatToDo(t *testing.T) {
	_, err := Build(t.Context(), "theirs", Options{})
	require.EqualError(t, err, `no function "theirs": use one of postern-account-default, postern-notice`)

	t.Setenv("PATH", "")
	_, err = Build(t.Context(), program, Options{CacheDir: t.TempDir(), Progress: &bytes.Buffer{}})
	require.ErrorContains(t, err, "the function postern-account-default can't be built: there is no go command in the PATH")
	assert.ErrorContains(t, err, "go run github.com/postern-cdk/postern/bin/functionzip -function postern-account-default -o FILE")

	file := filepath.Join(t.TempDir(), "f.zip")
	for want, write := range map[string]func() error{
		"no such file":                            func() error { return nil },
		"not a valid zip file":                    func() error { return os.WriteFile(file, []byte("theirs"), 0o600) },
		"bootstrap is no program: bad magic":      func() error { return pack([]byte("#!/bin/sh and then some more of it"), file) },
		"bootstrap is for EM_X86_64":              func() error { return stored(file, thisProgram(t, elf.EM_X86_64)) },
		"internal/function.test":                  func() error { return stored(file, thisProgram(t, elf.EM_AARCH64)) },
		"it does not hold the one program bootst": func() error { return stored(file, nil) },
	} {
		require.NoError(t, write())
		_, err = Build(t.Context(), program, Options{File: file})
		require.ErrorContains(t, err, file+" is not the function postern-account-default: ")
		require.ErrorContains(t, err, want)
		_ = os.Remove(file)
	}
}

// thisProgram is the one that runs, as if it were for another machine.
func thisProgram(t *testing.T, machine elf.Machine) []byte {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	data, err := os.ReadFile(self)
	require.NoError(t, err)
	binary.LittleEndian.PutUint16(data[18:], uint16(machine))
	return data
}

// stored is an archive without compression, of two programs where there is none.
func stored(file string, program []byte) error {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	names := []string{"bootstrap"}
	if program == nil {
		names = append(names, "more")
	}
	for _, name := range names {
		header := &zip.FileHeader{Name: name}
		header.SetMode(0o755)
		entry, err := archive.CreateHeader(header)
		if err == nil {
			_, err = entry.Write(program)
		}
		if err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o600)
}

// The program speaks the runtime's protocol: it asks for an event, and posts what
// came of it. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func TestProgramRuns(t *testing.T) {
	dir, err := compile.ModuleDir(t.Context())
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", out, "./bin/"+program)
	build.Dir = dir
	text, err := build.CombinedOutput()
	require.NoError(t, err, string(text))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	posted := make(chan string, 2)
	answers := make(chan string, 2)
	given := false
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/invocation/next") && given:
			<-r.Context().Done() // nothing more to do
		case strings.HasSuffix(r.URL.Path, "/invocation/next"):
			given = true
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "1")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", "9999999999999")
			_, _ = w.Write([]byte(`{"RequestType":"Read","RequestId":"r","LogicalResourceId":"l","StackId":"s","ResponseURL":"http://` + listener.Addr().String() + `/answer"}`))
		case r.URL.Path == "/answer":
			var body bytes.Buffer
			_, _ = body.ReadFrom(r.Body)
			answers <- body.String()
		default:
			w.WriteHeader(http.StatusAccepted)
			posted <- r.URL.Path
		}
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { assert.NoError(t, server.Close()) })

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, out)
	command.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "AWS_REGION=us-east-1", "_HANDLER=bootstrap"}
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	require.NoError(t, command.Start())
	select {
	case answer := <-answers:
		assert.JSONEq(t, `{"Status":"FAILED","RequestId":"r","LogicalResourceId":"l","StackId":"s","PhysicalResourceId":"SSM-SessionManagerRunShell","Reason":"the request type \"Read\" is not known"}`, answer)
		assert.Equal(t, "/2018-06-01/runtime/invocation/1/response", <-posted)
	case <-ctx.Done():
		assert.Fail(t, "no answer")
	}
	cancel()
	_ = command.Wait()
	assert.Contains(t, said.String(), `"msg":"fails"`)
}
