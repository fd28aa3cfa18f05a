package ship

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/settings"
)

const (
	purgeEvery    = 10 * time.Minute
	pressureEvery = 5 * time.Second
)

// sweepSpool removes copies of the journal that were delivered.
func (s *Shipper) sweepSpool(c *source, before int) {
	if !c.spool {
		return
	}
	for _, n := range c.numbers() {
		if n < before {
			_ = os.Remove(segmentPath(c.dir, n, c.suffix))
		}
	}
}

// pressed tells whether the disk has less than twice of what the recorder wants.
func (s *Shipper) pressed() bool {
	var st unix.Statfs_t
	if err := unix.Statfs(s.path(settings.LogDir), &st); err != nil {
		return false
	}
	return st.Bavail*uint64(st.Bsize)>>20 < 2*uint64(max(0, s.Settings.Recording.MinFreeMiB)) //nolint:gosec // a size of a block is positive
}

// purge removes what was delivered and is old, and more of it while the disk is
// short of room.
func (s *Shipper) purge() {
	now := time.Now()
	if now.Sub(s.purged) < pressureEvery {
		return
	}
	due := now.Sub(s.purged) >= purgeEvery
	pressed := s.pressed()
	if !due && !pressed {
		return
	}
	s.purged = now
	keep := time.Duration(s.Settings.Recording.KeepDays) * 24 * time.Hour
	old := func(file string) bool {
		if pressed && s.pressed() { // until there is room
			return true
		}
		info, err := os.Stat(file)
		return err == nil && keep > 0 && now.Sub(info.ModTime()) > keep
	}
	s.purgeSessions(old)
	for _, kind := range []settings.Log{settings.LogCommands, settings.LogPeople} {
		if c := s.sources[string(kind)]; c != nil && s.configured(kind) {
			s.purgeLog(c, old)
		}
	}
}

// purgeSessions goes from the oldest to the newest: names sort by time.
func (s *Shipper) purgeSessions(old func(string) bool) {
	if !s.configured(settings.LogSessions) {
		return
	}
	root := s.path(settings.LogDir, "sessions")
	entries, err := os.ReadDir(root)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !sessionName.MatchString(e.Name()) || s.sources["session-"+e.Name()] != nil {
			continue
		}
		c := &source{kind: settings.LogSessions, name: "session-" + e.Name(), dir: filepath.Join(root, e.Name()), suffix: chain.Cast}
		text, err := os.ReadFile(s.stateFile(c))
		if err != nil || json.Unmarshal(text, &c.state) != nil || !c.state.Done {
			continue
		}
		last, ended := c.ended()
		// What was done with other settings may not be in both sinks of today.
		if last > 0 && (!ended || !s.complete(c.state, c, last) || !old(segmentPath(c.dir, last, c.suffix))) {
			continue
		}
		shadow := s.path(settings.ShadowDir, "sessions", e.Name())
		if errors.Join(removeChain(shadow, c.suffix, 0), removeChain(c.dir, c.suffix, 0)) == nil {
			_ = os.Remove(s.stateFile(c))
		}
	}
}

// purgeLog removes the first segments of a log. The last one that was delivered
// stays: the chain goes on behind it.
func (s *Shipper) purgeLog(c *source, old func(string) bool) {
	c.mu.Lock()
	st := c.state
	c.mu.Unlock()
	upTo := st.Logs.Segment
	if s.Settings.Group(c.kind) == "" || s.Settings.RecordBucket != "" && st.Bucket < upTo {
		upTo = st.Bucket
	}
	keep := 0
	for _, n := range c.numbers() {
		if n >= upTo || !old(segmentPath(c.dir, n, c.suffix)) {
			keep = n
			break
		}
	}
	if keep > 0 {
		_ = errors.Join(removeChain(s.path(settings.ShadowDir, string(c.kind)), c.suffix, keep), removeChain(c.dir, c.suffix, keep))
	}
}

// removeChain removes segments in their order, before a number or, where that is 0,
// all of them and the directory.
func removeChain(dir, suffix string, before int) error {
	c := &source{dir: dir, suffix: suffix}
	for _, n := range c.numbers() {
		if before > 0 && n >= before {
			return nil
		}
		if err := chain.Remove(segmentPath(dir, n, suffix)); err != nil {
			return err
		}
	}
	if before > 0 {
		return nil
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
