package ledger

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guard is a file system that does not return from a failed write in the log's
// directory: it marks the log failed and parks the goroutine, as storeLogger does. So Pebble
// never learns of a failed write, and need not be trusted to do the right thing then.
// It does not everywhere: it panics while it holds a mutex when a WAL cannot be
// created, and returns from the sync of a batch before it has logged the failure.
//
// While the log is being opened, nothing is in flight and errors are returned as they are.
type guard struct {
	vfs.FS
	dir   string
	log   *slog.Logger
	fail  *failure
	armed *atomic.Bool // whether the log is open
}

func newGuard(fs vfs.FS, dir string, log *slog.Logger, fail *failure) guard {
	return guard{FS: fs, dir: dir, log: log, fail: fail, armed: new(atomic.Bool)}
}

// check returns err, unless it is that of a write to a file of the log.
func (g guard) check(err error, name string) error {
	if err == nil || !g.armed.Load() || !strings.HasPrefix(name, g.dir) || g.PathDir(name) != g.PathDir(g.PathJoin(g.dir, "x")) && name != g.dir {
		return err
	}
	g.fail.mark(fmt.Errorf("writing %s: %w", name, err))
	g.log.Error("store: a write failed", "file", name, "err", err)
	select {}
}

func (g guard) wrap(f vfs.File, err error, name string) (vfs.File, error) {
	if err != nil {
		return nil, g.check(err, name)
	}
	return guardedFile{File: f, guard: g, name: name}, nil
}

// Create implements vfs.FS. A marker names another file, a MANIFEST for one, whose own name
// Pebble does not make sure to be on disk first; so that is done here.
func (g guard) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(g.PathBase(name), "marker.") {
		if err := syncDir(g, g.PathDir(name)); err != nil {
			return nil, err
		}
	}
	f, err := g.FS.Create(name, category)
	return g.wrap(f, err, name)
}

// OpenReadWrite implements vfs.FS.
func (g guard) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := g.FS.OpenReadWrite(name, category, opts...)
	return g.wrap(f, err, name)
}

// ReuseForWrite implements vfs.FS.
func (g guard) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(oldname, newname, category)
	return g.wrap(f, err, newname)
}

// OpenDir implements vfs.FS.
func (g guard) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	return g.wrap(f, err, name)
}

// Rename implements vfs.FS.
func (g guard) Rename(oldname, newname string) error {
	return g.check(g.FS.Rename(oldname, newname), newname)
}

// MkdirAll implements vfs.FS.
func (g guard) MkdirAll(dir string, perm os.FileMode) error {
	return g.check(g.FS.MkdirAll(dir, perm), dir)
}

// Unwrap implements vfs.FS.
func (g guard) Unwrap() vfs.FS { return g.FS }

// guardedFile is a file that was opened for writing, or a directory.
type guardedFile struct {
	vfs.File
	guard guard
	name  string
}

// Write implements vfs.File.
func (f guardedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, f.guard.check(err, f.name)
}

// WriteAt implements vfs.File.
func (f guardedFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(b, off)
	return n, f.guard.check(err, f.name)
}

// Sync implements vfs.File.
func (f guardedFile) Sync() error { return f.guard.check(f.File.Sync(), f.name) }

// SyncData implements vfs.File.
func (f guardedFile) SyncData() error { return f.guard.check(f.File.SyncData(), f.name) }

// SyncTo implements vfs.File.
func (f guardedFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.guard.check(err, f.name)
}

// Preallocate implements vfs.File. It is an optimization, which may fail.
func (f guardedFile) Preallocate(offset, length int64) error {
	_ = f.File.Preallocate(offset, length)
	return nil
}

// Close implements vfs.File.
func (f guardedFile) Close() error { return f.guard.check(f.File.Close(), f.name) }
