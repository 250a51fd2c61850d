package views_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"tallystick/projections/projtest"
	"tallystick/projections/views"
)

// tables returns the paths of the sstables in a directory and below.
func tables(t *testing.T, fs vfs.FS, dir string) (paths []string) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		if info, err := fs.Stat(path); err == nil && info.IsDir() {
			paths = append(paths, tables(t, fs, path)...)
		} else if strings.HasSuffix(name, ".sst") {
			paths = append(paths, path)
		}
	}
	return paths
}

// largest returns the largest of some files, and its size: the rows are in it, and nothing newer lies above them.
func largest(t *testing.T, fs vfs.FS, paths []string) (path string, size int) {
	t.Helper()
	for _, p := range paths {
		info, err := fs.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if int(info.Size()) > size {
			path, size = p, int(info.Size())
		}
	}
	return path, size
}

// flip changes one byte of a file. Other names of the file keep the old content.
func flip(t *testing.T, fs vfs.FS, path string, offset int) {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close(), fs.Remove(path)); err != nil {
		t.Fatal(err)
	}
	b[offset%len(b)] ^= 0x20
	if f, err = fs.Create(path, vfs.WriteCategoryUnspecified); err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// flipAll changes a byte of each block of a table but the first ones, in which the checkpoint is: it opens.
func flipAll(t *testing.T, fs vfs.FS, path string) {
	t.Helper()
	info, err := fs.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for offset := int(info.Size()) / 4; offset < int(info.Size())*3/4; offset += 400 {
		flip(t, fs, path, offset)
	}
}

// aged returns a disk with views and snapshots whose rows are in sstables, at the head of the log.
func aged(t *testing.T, l *projtest.Log) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	for range 2 {
		v, err := views.Open("data", l, views.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Start(follow(l)); err != nil {
			t.Fatal(err)
		}
		if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
			t.Fatal(err)
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

// TestFlippedByteInViews changes one byte of the live views, at many places. What is read is never wrong: either
// the byte did not matter, or an error names the file, and views made again take the place of these.
func TestFlippedByteInViews(t *testing.T) {
	recs := history(t, 12, 400)
	l := projtest.NewLog(recs...)
	want := rebuilt(t, recs)
	size := 0
	if paths := tables(t, aged(t, l), "data/views"); len(paths) == 0 {
		t.Fatal("no sstables to corrupt")
	}
	found := 0
	for offset := 0; offset == 0 || offset < size; offset += 1 + size/40 {
		fs := aged(t, l)
		var path string
		path, size = largest(t, fs, tables(t, fs, "data/views"))
		flip(t, fs, path, offset)
		ok := false
		for range 4 {
			v, err := views.Open("data", l, views.Options{FS: fs, NoSnapshots: true})
			if err != nil {
				t.Fatalf("byte %d: %v", offset, err)
			}
			got, seq, err := v.Digests(t.Context())
			switch {
			case errors.Is(err, views.ErrCorrupt):
				found++
				if !strings.Contains(err.Error(), ".sst") {
					t.Errorf("byte %d: an error that names no file: %v", offset, err)
				}
			case err != nil:
				t.Errorf("byte %d: %v", offset, err)
			case seq == l.Durable() && !slices.Equal(got, want):
				t.Errorf("byte %d: wrong rows, and no error", offset)
			}
			if err == nil {
				ok = true
				if err := v.Start(follow(l)); err != nil {
					t.Fatal(err)
				}
				if got := digestsAt(t, v, l.Durable()); !slices.Equal(got, want) {
					t.Errorf("byte %d: wrong rows", offset)
				}
			}
			if err := v.Close(); err != nil && !errors.Is(err, views.ErrCorrupt) && !errors.Is(err, views.ErrFailed) {
				t.Errorf("byte %d: %v", offset, err)
			}
			if ok {
				break
			}
		}
		if !ok {
			t.Errorf("byte %d: the views stay unusable", offset)
		}
	}
	t.Logf("%d bytes, %d errors", size, found)
	if found == 0 {
		t.Error("nothing was found: this test tests nothing")
	}
}

// TestHealsWhileRunning corrupts views that are in use and read from disk: others take their place, in the same
// process.
func TestHealsWhileRunning(t *testing.T) {
	recs := history(t, 13, 400)
	l := projtest.NewLog(recs[:len(recs)-50]...)
	fs := aged(t, l)
	for _, path := range tables(t, fs, "data/views") {
		flipAll(t, fs, path)
	}
	v := open(t, fs, l, views.Options{})
	l.Append(recs[l.Durable():]...)
	for v.WaitFor(t.Context(), l.Durable()) != nil {
		if v.Status().Err != nil {
			t.Fatal(v.Status().Err)
		}
	}
	if got, want := digestsAt(t, v, l.Durable()), rebuilt(t, recs); !slices.Equal(got, want) {
		t.Error("wrong rows after healing")
	}
	if v.Status().Generation == 1 {
		t.Error("nothing was corrupt: this test tests nothing")
	}
}

// TestClosedWhileHealing closes views while others are being made in place of corrupt ones: those are not left behind.
func TestClosedWhileHealing(t *testing.T) {
	recs := history(t, 13, 400)
	l := projtest.NewLog(recs[:len(recs)-50]...)
	disk := aged(t, l)
	for _, path := range tables(t, disk, "data/views") {
		flipAll(t, disk, path)
	}
	healing, goOn := make(chan struct{}), make(chan struct{})
	var opened atomic.Bool
	var first sync.Once
	fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if opened.Load() && strings.HasPrefix(op.Path, "data/views/000002") {
			first.Do(func() { close(healing); <-goOn })
		}
		return nil
	}))
	v, err := views.Open("data", l, views.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	opened.Store(true)
	if err := v.Start(follow(l)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	l.Append(recs[l.Durable():]...)
	select {
	case <-healing:
	case <-ctx.Done():
		t.Fatalf("nothing is made again: %v", v.Status().Err)
	}
	closed := make(chan error, 1)
	go func() { closed <- v.Close() }()
	for !errors.Is(v.WaitFor(t.Context(), 0), views.ErrClosed) { // until Close has begun
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
	}
	close(goOn)
	select {
	case err := <-closed:
		t.Log(err) // that the views were corrupt
	case <-ctx.Done():
		t.Fatal("Close does not return")
	}
}

// TestFlippedByteInSnapshot corrupts a snapshot: it is found when the snapshot is verified, and a state of the past
// that would need it is made from an older one.
func TestFlippedByteInSnapshot(t *testing.T) {
	recs := history(t, 14, 600)
	l := projtest.NewLog()
	fs := vfs.NewMem()
	v := open(t, fs, l, views.Options{SnapshotEvery: 1 << 40})
	for chunk := range slices.Chunk(recs, len(recs)/3) {
		l.Append(chunk...)
		if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
			t.Fatal(err)
		}
		if _, err := v.TakeSnapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	all := snapshotsOf(t, fs, l)
	seq := all[1].Seq
	for _, s := range all[1:] {
		for _, path := range tables(t, fs, fmt.Sprintf("data/snapshots/%020d", s.Seq)) {
			info, err := fs.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			flip(t, fs, path, int(info.Size())/2)
		}
	}
	v, err := views.Open("data", l, views.Options{FS: fs, NoSnapshots: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, v)
	for i, s := range all {
		if err := v.VerifySnapshot(t.Context(), s); (err != nil) != (i > 0) {
			t.Errorf("snapshot %d at sequence %d: %v", i, s.Seq, err)
		}
	}
	r, err := v.AsOf(t.Context(), seq+1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, r)
	if !equal(rows(t, r), rowsOf(t, recs[:seq+1])) {
		t.Error("wrong rows from a corrupt snapshot")
	}
}

func snapshotsOf(t *testing.T, fs vfs.FS, l *projtest.Log) []views.Snapshot {
	t.Helper()
	v, err := views.Open("data", l, views.Options{FS: fs, NoSnapshots: true})
	if err != nil {
		t.Fatal(err)
	}
	all, err := v.Snapshots()
	if err := errors.Join(err, v.Close()); err != nil {
		t.Fatal(err)
	}
	if len(all) < 3 {
		t.Fatalf("%d snapshots, want at least 3", len(all))
	}
	return all
}
