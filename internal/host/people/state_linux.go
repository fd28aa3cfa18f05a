package people

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/postern-cdk/postern/internal/host/atomic"
	"github.com/postern-cdk/postern/internal/host/settings"
)

const (
	stateFile  = settings.StateDir + "/people.json"
	removedDir = settings.StateDir + "/removed"
)

// state is what one run leaves for the next. It can be lost: accounts say themselves
// whose they are, and the objects are read again.
type state struct {
	// NextUID is higher than every UID that was ever given away.
	NextUID int `json:"nextUID"`
	// Policy by which Objects were read.
	Policy Policy `json:"policy"`
	// Objects with keys, by name of the person.
	Objects map[string]*object `json:"objects"`
	// People who have an account, or whose account is being made.
	People map[string]*person `json:"people"`
	// Removing are accounts whose removal has begun.
	Removing map[string]*removal `json:"removing"`
	// Gone are those whose account was removed, with the last UID they had.
	Gone map[string]int `json:"gone"`
	// Refused objects that are no person's, with the reason told.
	Refused map[string]string `json:"refused"`
	// NoSudo are those named for sudo who have no account.
	NoSudo []string `json:"noSudo,omitempty"`
	// Revoked is the ETag of the revocation list in place.
	Revoked string `json:"revoked,omitempty"`
}

// object is one in S3, as far as it was read.
type object struct {
	ETag     string    `json:"etag"`
	Version  string    `json:"version,omitempty"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	Keys     []string  `json:"keys,omitempty"`
	Faults   []string  `json:"faults,omitempty"`
	// Expired keys are older than they may be.
	Expired bool `json:"expired,omitempty"`
	// Warned is the day of the last warning about their age.
	Warned string `json:"warned,omitempty"`
}

// person who has an account.
type person struct {
	UID int `json:"uid"`
	// Keys that are in place.
	Keys []string `json:"keys,omitempty"`
	// Told are the reasons for which keys were refused.
	Told []string `json:"told,omitempty"`
}

type removal struct {
	UID   int       `json:"uid"`
	Since time.Time `json:"since"`
}

// loadState also returns its text, and says whether there was none, or none that
// could be read.
func loadState(root string) (*state, []byte, error) {
	s := &state{}
	path := filepath.Join(root, stateFile)
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, s)
		if err != nil {
			err = fmt.Errorf("%s: %w", stateFile, err)
			s = &state{}
			// Kept for who wants to know what happened.
			_ = os.Rename(path, path+".broken")
		}
	}
	if s.Refused == nil {
		s.Refused = map[string]string{}
	}
	if s.Objects == nil {
		s.Objects = map[string]*object{}
	}
	if s.People == nil {
		s.People = map[string]*person{}
	}
	if s.Removing == nil {
		s.Removing = map[string]*removal{}
	}
	if s.Gone == nil {
		s.Gone = map[string]int{}
	}
	return s, text, err
}

func (s *state) save(root string, had []byte) ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return had, err
	}
	if bytes.Equal(text, had) {
		return had, nil
	}
	if err := os.MkdirAll(filepath.Join(root, settings.StateDir), 0o700); err != nil {
		return had, err
	}
	return text, atomic.Write(filepath.Join(root, stateFile), text, 0o600)
}

// firstFree is a UID that nobody had, where the state doesn't know: above those of
// accounts, of who owns a home, and of what was kept of the removed.
func firstFree(root string, a *accounts) int {
	last := a.lastID()
	up := func(id int) {
		if id <= settings.LastUID {
			last = max(last, id)
		}
	}
	entries, _ := os.ReadDir(filepath.Join(root, homes))
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			if system, ok := info.Sys().(*syscall.Stat_t); ok {
				up(int(system.Uid))
			}
		}
	}
	for _, dir := range []string{removedDir, homes + removedHomes} {
		entries, _ := os.ReadDir(filepath.Join(root, dir))
		for _, entry := range entries {
			parts := strings.Split(entry.Name(), "-")
			if len(parts) < 3 {
				continue
			}
			if id, err := strconv.Atoi(parts[len(parts)-2]); err == nil {
				up(id)
			}
		}
	}
	return last + 1
}

// absent says whether an error of loadState means a first run.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
