//go:build linux

package recorder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// reserve is disk that nobody can take: half of the MinFreeMiB, in a file, and inodes, in
// empty ones. A person can fill a disk by one call of the kernel, and a record that finds
// it full would end with all others. Where it is full, the reserve is given up, for
// records, and the sessions of the person whose files fill it end. Whether the reserve is
// there is all its state: it is made again where there is room.
type reserve struct {
	mu    sync.Mutex
	whole atomic.Bool
}

// The reserve is beside the records, once for each file system that has some.
const (
	reserveFile   = ".reserve"
	reserveFolder = ".reserve.files"
	reserveFiles  = 2 * leastFiles
)

// How long the search for who fills a disk may take, while all sessions stand still,
// and how deep it goes: who goes deeper hides something.
const (
	searchTime  = 3 * time.Second
	searchDepth = 1000
	searchers   = 8
)

// shortage is a disk that is too full, of bytes or of files.
type shortage struct {
	folder      string
	free, least int64
	files       bool
}

func (s *shortage) Error() string {
	if s.files {
		return fmt.Sprintf("%s: there is room for %d more files, fewer than %d", s.folder, s.free, s.least)
	}
	return fmt.Sprintf("%s: %d MiB of disk are free, fewer than %d", s.folder, s.free>>20, s.least>>20)
}

func (r *Recorder) reserveSize() int64 { return int64(r.settings.Recording.MinFreeMiB) << 20 / 2 }

// least is how much must be free for sessions to go on: with the reserve, the
// MinFreeMiB. Who filled the disk being out, half of the reserve is enough.
func (r *Recorder) least() int64 {
	all := int64(r.settings.Recording.MinFreeMiB) << 20
	if r.reserve.whole.Load() {
		return all - r.reserveSize()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.barred) > 0 {
		return r.reserveSize() / 2
	}
	return all
}

// keepReserve makes the reserve where there is room for it. Then nobody fills the disk
// any more. Where there is none, as after a restart, who fills it is looked for.
func (r *Recorder) keepReserve() {
	r.reserve.mu.Lock()
	defer r.reserve.mu.Unlock()
	if r.reserveSize() == 0 {
		return
	}
	if r.reserve.whole.Load() {
		if !r.fewFiles() {
			r.unbar()
		}
		return
	}
	if err := r.allocate(); err != nil {
		r.release()
		if r.once("reserve " + err.Error()) {
			r.log.Note("no disk is kept for records", "error", err)
		}
		r.mu.Lock()
		known := len(r.barred) > 0
		r.mu.Unlock()
		if short := (*shortage)(nil); !known && errors.As(err, &short) && short.free < r.dangerous(short) {
			r.bar(short.folder, short.files)
		}
		return
	}
	r.reserve.whole.Store(true)
	r.unbar()
}

// dangerous is below what somebody has to go, so that others can go on.
func (r *Recorder) dangerous(s *shortage) int64 {
	if s.files {
		return leastFiles
	}
	return int64(r.settings.Recording.MinFreeMiB) << 20
}

func (r *Recorder) unbar() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.barred) > 0 {
		r.log.Note("there is room on the disk again: everybody may have sessions")
	}
	r.barred = nil
}

// fewFiles looks whether one file system of records has no tenth of its inodes left.
// Somebody takes them; it is no reason to end all sessions while there are some.
func (r *Recorder) fewFiles() bool {
	for _, dir := range []string{settings.LogDir, settings.ShadowDir} {
		var stat unix.Statfs_t
		if unix.Statfs(r.path(dir), &stat) == nil && stat.Files > 0 && stat.Ffree < stat.Files/10 {
			if r.once("inodes " + dir + time.Now().Format("1504")) {
				r.bar(r.path(dir), true)
			}
			return true
		}
	}
	return false
}

func (r *Recorder) allocate() error {
	seen := map[uint64]bool{}
	for _, dir := range []string{settings.LogDir, settings.ShadowDir} {
		dir = r.path(dir)
		var stat unix.Stat_t
		if err := unix.Stat(dir, &stat); err != nil {
			return err
		}
		if seen[stat.Dev] {
			continue
		}
		seen[stat.Dev] = true
		if err := allocateFiles(dir); err != nil {
			return err
		}
		path := filepath.Join(dir, reserveFile)
		// One from before may be there, whole.
		var had unix.Stat_t
		if unix.Lstat(path, &had) == nil && had.Mode&unix.S_IFMT == unix.S_IFREG && had.Blocks*512 >= r.reserveSize() {
			continue
		}
		free, err := r.free(dir)
		if err != nil {
			return err
		}
		if least := int64(r.settings.Recording.MinFreeMiB)<<20 + r.reserveSize(); free < least {
			return &shortage{folder: dir, free: free, least: least}
		}
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return err
		}
		if err := errors.Join(unix.Fallocate(int(file.Fd()), 0, 0, r.reserveSize()), file.Close()); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// allocateFiles takes inodes, where the file system has a number of them.
func allocateFiles(dir string) error {
	folder := filepath.Join(dir, reserveFolder)
	if had, err := os.ReadDir(folder); err == nil && len(had) >= reserveFiles {
		return nil
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil || stat.Files == 0 {
		return err
	}
	if free := int64(stat.Ffree); free < leastFiles+reserveFiles { //nolint:gosec // no disk has so many
		return &shortage{folder: dir, free: free, least: leastFiles + reserveFiles, files: true}
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for n := range reserveFiles {
		file, err := os.OpenFile(filepath.Join(folder, strconv.Itoa(n)), os.O_CREATE|os.O_WRONLY|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

// release gives the reserve to whoever writes next.
func (r *Recorder) release() {
	for _, dir := range []string{settings.LogDir, settings.ShadowDir} {
		_ = os.Truncate(r.path(dir, reserveFile), 0)
		_ = os.RemoveAll(r.path(dir, reserveFolder))
	}
	r.reserve.whole.Store(false)
}

// room is asked where a disk is full or nearly so. It tells whether there is room to
// write then. Meanwhile no session does anything.
func (r *Recorder) room() bool {
	r.reserve.mu.Lock()
	defer r.reserve.mu.Unlock()
	if !r.reserve.whole.Load() {
		return r.roomy() // another one has asked just before
	}
	r.cgroups.freeze(true)
	defer r.cgroups.freeze(false)
	for _, dir := range []string{settings.LogDir, settings.ShadowDir} {
		if free, err := r.free(r.path(dir)); err != nil || free < r.least() {
			short := (*shortage)(nil)
			r.bar(r.path(dir), errors.As(err, &short) && short.files)
			break
		}
	}
	r.release()
	return r.roomy()
}

func (r *Recorder) roomy() bool {
	for _, dir := range []string{settings.LogDir, settings.ShadowDir} {
		if free, err := freeBytes(r.path(dir)); err != nil || free < 1<<20 {
			return false
		}
	}
	return true
}

// bar ends the sessions of the person who takes most of the disk that a folder is on,
// of its bytes or its files, and lets none begin. Where nobody has as much as the
// reserve, it is nobody.
func (r *Recorder) bar(folder string, files bool) {
	who, most := r.heaviest(folder, files)
	if least := r.reserveSize(); !files && most.size < least || files && most.files < reserveFiles {
		return
	}
	r.mu.Lock()
	if r.barred == nil {
		r.barred = map[int]bool{}
	}
	r.barred[who.uid] = true
	r.mu.Unlock()
	r.log.Alarm("disk-filled", "a person's files fill the disk: their sessions end, and none begins until there is room again",
		"person", who.name, "mib", most.size>>20, "files", most.files, "folder", folder)
	for _, s := range r.all() {
		if s.peer.uid == who.uid {
			s.end(whyDisk)
			s.destroy()
		}
	}
}

// heaviest is who has most on the file system of a folder, of those who have sessions
// and of people as far as the time allows. Who can't be measured has the most.
func (r *Recorder) heaviest(folder string, files bool) (account, amount) {
	ctx, cancel := context.WithTimeout(context.Background(), searchTime)
	defer cancel()
	var on unix.Stat_t
	if unix.Stat(folder, &on) != nil {
		return account{}, amount{}
	}
	ids := map[int][]string{}
	for _, s := range r.all() {
		ids[s.peer.uid] = append(ids[s.peer.uid], s.id)
	}
	var here, gone []account
	for _, line := range lines(r.path("/etc/passwd")) {
		f := strings.Split(line, ":")
		if len(f) != 7 {
			continue
		}
		uid, err := strconv.Atoi(f[2])
		a := account{name: f[0], uid: uid, home: f[5]}
		switch {
		case err != nil:
		case ids[uid] != nil:
			here = append(here, a)
		case uid >= settings.FirstUID && uid <= settings.LastUID:
			gone = append(gone, a)
		}
	}
	var mu sync.Mutex
	var most account
	var largest amount
	var searching sync.WaitGroup
	turn := make(chan account)
	// Each of those who have sessions at once: nobody can hide behind another's files.
	search := func(a account) {
		u := usage{ctx: ctx, device: on.Dev, seen: map[file]bool{}}
		u.home(r.path(a.home))
		for _, id := range ids[a.uid] {
			for _, pid := range r.cgroups.processes(id) {
				u.deleted(pid)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if files && u.files > largest.files || !files && u.size > largest.size {
			most, largest = a, u.amount
		}
	}
	for _, a := range here {
		searching.Go(func() { search(a) })
	}
	for range searchers {
		searching.Go(func() {
			for a := range turn {
				search(a)
			}
		})
	}
	for _, a := range gone {
		turn <- a
	}
	close(turn)
	searching.Wait()
	return most, largest
}

// amount is what files take of a file system.
type amount struct{ size, files int64 }

// usage is what somebody's files take of a file system.
type usage struct {
	amount

	ctx    context.Context
	device uint64
	seen   map[file]bool // of several names, or none
}

type file struct{ device, inode uint64 }

// unmeasurable is more than any disk has.
const unmeasurable = int64(1) << 60

func (u *usage) add(stat *unix.Stat_t) {
	if stat.Nlink != 1 {
		f := file{stat.Dev, stat.Ino}
		if u.seen[f] {
			return
		}
		u.seen[f] = true
	}
	u.size = min(unmeasurable, u.size+stat.Blocks*512)
	u.files = min(unmeasurable, u.files+1)
}

func (u *usage) home(path string) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	var stat unix.Stat_t
	if unix.Fstat(fd, &stat) != nil || stat.Dev != u.device {
		_ = unix.Close(fd)
		return
	}
	u.folder(os.NewFile(uintptr(fd), path), 0)
}

// folder goes from file to file without a path, which its owner could change
// meanwhile, and which could be longer than the kernel takes.
func (u *usage) folder(dir *os.File, depth int) {
	defer func() { _ = dir.Close() }()
	if depth == searchDepth {
		u.amount = amount{unmeasurable, unmeasurable}
		return
	}
	for u.ctx.Err() == nil && u.size < unmeasurable {
		names, err := dir.Readdirnames(1000)
		for _, name := range names {
			var stat unix.Stat_t
			if unix.Fstatat(int(dir.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW) != nil {
				continue
			}
			u.add(&stat)
			if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
				continue
			}
			if fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err == nil {
				u.folder(os.NewFile(uintptr(fd), name), depth+1)
			}
		}
		if err != nil || len(names) == 0 {
			return
		}
	}
}

// deleted counts files that have no name any more, for as long as a process has them
// open. Those in memory are no disk's.
func (u *usage) deleted(pid int) {
	entries, err := os.ReadDir(procPath(pid, "fd"))
	if err != nil {
		return
	}
	for _, entry := range entries {
		path := procPath(pid, "fd/"+entry.Name())
		var stat unix.Stat_t
		var system unix.Statfs_t
		if u.ctx.Err() != nil || unix.Stat(path, &stat) != nil || stat.Nlink != 0 || stat.Mode&unix.S_IFMT != unix.S_IFREG ||
			unix.Statfs(path, &system) != nil || system.Type == unix.TMPFS_MAGIC {
			continue
		}
		u.add(&stat)
	}
}
