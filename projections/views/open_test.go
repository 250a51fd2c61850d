package views_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"tallystick/events"
	"tallystick/projections/projtest"
	"tallystick/projections/views"
)

// TestStoredBooksOfAnother opens views that are not those of the log: of another ledger, beyond its end, of another
// history of the same ledger, of another version of the folds. They are made again, from a
// snapshot where one fits.
func TestStoredBooksOfAnother(t *testing.T) {
	recs := history(t, 20, 300)
	for _, tt := range []struct {
		name string
		// spoil returns the log that the views are opened with, after they were made from recs.
		spoil    func(t *testing.T, fs vfs.FS) *projtest.Log
		snapshot bool // whether the snapshot in the middle is still good
	}{{
		name: "another ledger",
		spoil: func(t *testing.T, _ vfs.FS) *projtest.Log {
			return projtest.NewLog(history(t, 21, 300)...)
		},
	}, {
		name: "beyond the log",
		spoil: func(*testing.T, vfs.FS) *projtest.Log {
			return projtest.NewLog(recs[:len(recs)-10]...)
		},
		snapshot: true,
	}, {
		name: "another history after the snapshot",
		spoil: func(t *testing.T, _ vfs.FS) *projtest.Log {
			return projtest.NewLog(otherEnd(t, recs)...)
		},
		snapshot: true,
	}, {
		name: "another fold version",
		spoil: func(t *testing.T, fs vfs.FS) *projtest.Log {
			if err := views.SpoilFold(fs, "data/views/000001"); err != nil {
				t.Fatal(err)
			}
			return projtest.NewLog(recs...)
		},
		snapshot: true,
	}, {
		name: "no CURRENT, and a snapshot with other rows than it was made with",
		spoil: func(t *testing.T, fs vfs.FS) *projtest.Log {
			err := errors.Join(
				fs.Remove("data/views/CURRENT"),
				views.SpoilRow(fs, fmt.Sprintf("data/snapshots/%020d", len(recs)/2)),
			)
			if err != nil {
				t.Fatal(err)
			}
			return projtest.NewLog(recs...)
		},
	}, {
		name: "no CURRENT",
		spoil: func(t *testing.T, fs vfs.FS) *projtest.Log {
			if err := fs.Remove("data/views/CURRENT"); err != nil {
				t.Fatal(err)
			}
			return projtest.NewLog(recs...)
		},
		snapshot: true,
	}} {
		t.Run(tt.name, func(t *testing.T) {
			fs := vfs.NewMem()
			middle := made(t, fs, recs)
			l := tt.spoil(t, fs)
			v, err := views.Open("data", l, views.Options{FS: fs, NoSnapshots: true, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer closed(t, v)
			_, seq, err := v.Digests(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]events.Seq{true: middle, false: 0}[tt.snapshot]; seq != want {
				t.Errorf("opened at sequence %d, want %d", seq, want)
			}
			if err := v.Start(follow(l)); err != nil {
				t.Fatal(err)
			}
			want, err := fresh(t, l)
			if err != nil {
				t.Fatal(err)
			}
			if got := digestsAt(t, v, l.Durable()); !slices.Equal(got, want) {
				t.Error("caught up to other rows than those of the log")
			}
		})
	}
}

// made makes views of recs with a snapshot in the middle, whose sequence it returns.
func made(t *testing.T, fs vfs.FS, recs []events.Record) events.Seq {
	t.Helper()
	l := projtest.NewLog(recs[:len(recs)/2]...)
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
	s, err := v.TakeSnapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.Append(recs[len(recs)/2:]...)
	if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	return s.Seq
}

// otherEnd returns records that are those of recs but for the time of the last twenty.
func otherEnd(t *testing.T, recs []events.Record) []events.Record {
	t.Helper()
	other := slices.Clone(recs)
	for i := len(recs) - 20; i < len(recs); i++ {
		env := recs[i].Envelope
		env.RecordedAt++
		rec, err := events.NewRecord(env, recs[i].Event)
		if err != nil {
			t.Fatal(err)
		}
		other[i] = rec
	}
	return other
}

func fresh(t *testing.T, l *projtest.Log) ([]views.Digest, error) {
	t.Helper()
	v, err := views.Open("data", l, views.Options{FS: vfs.NewMem(), NoSnapshots: true})
	if err != nil {
		return nil, err
	}
	defer closed(t, v)
	if err := v.Start(follow(l)); err != nil {
		return nil, err
	}
	return digestsAt(t, v, l.Durable()), nil
}

// TestImpossibleHistory gives a record that cannot follow those before it: the runner ends with an error that
// names it, and what was there before can still be read.
func TestImpossibleHistory(t *testing.T) {
	recs := history(t, 22, 100)
	last := recs[len(recs)-1]
	env := last.Envelope
	env.Seq++
	rec, err := events.NewRecord(env, events.InvoiceIssued{Number: 1000})
	if err != nil {
		t.Fatal(err)
	}
	l := projtest.NewLog(recs...)
	v, err := views.Open("data", l, views.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }() // the error that is tested for
	if err := v.Start(follow(l)); err != nil {
		t.Fatal(err)
	}
	want := digestsAt(t, v, last.Seq)
	l.Append(rec)
	err = v.WaitFor(t.Context(), rec.Seq)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("record %d (invoice.issued.v1)", rec.Seq)) {
		t.Errorf("waiting for an impossible record: %v", err)
	}
	if got, seq, err := v.Digests(t.Context()); err != nil || seq != last.Seq || !slices.Equal(got, want) {
		t.Errorf("digests at %d: %v, want those at %d", seq, err, last.Seq)
	}
}

// TestOtherLedger gives a record of another ledger.
func TestOtherLedger(t *testing.T) {
	store, err := views.CreateStore("store", views.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, store)
	a, b := history(t, 23, 10), history(t, 24, 10)
	a[50] = b[50]
	r, err := views.StartRunner(store, &shaky{recs: a[:60], next: 0, rng: newRNG()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Stop() }() // the error that is tested for
	if err := r.WaitFor(t.Context(), 60); !errors.Is(err, views.ErrOther) {
		t.Errorf("a record of another ledger: %v, want ErrOther", err)
	}
}

// limit is how long anything may take on a machine that is busy with other things.
const limit = time.Minute

// TestWaitFor waits for records that come, that come not, and after the end.
func TestWaitFor(t *testing.T) {
	recs := history(t, 25, 100)
	l := projtest.NewLog(recs[:50]...)
	v, err := views.Open("data", l, views.Options{FS: vfs.NewMem(), FlushEvery: time.Hour, IdleFlush: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.WaitFor(t.Context(), 1); err == nil {
		t.Error("views that do not follow the log were waited for")
	}
	if err := v.Start(follow(l)); err != nil {
		t.Fatal(err)
	}
	if err := v.WaitFor(t.Context(), 50); err != nil { // although nothing is flushed for an hour
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := v.WaitFor(ctx, 51); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a record that does not come: %v", err)
	}
	waited := make(chan error)
	go func() { waited <- v.WaitFor(context.Background(), 1000000) }()
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; !errors.Is(err, views.ErrClosed) {
		t.Errorf("waiting until views are closed: %v, want ErrClosed", err)
	}
	if _, err := v.Reader(t.Context(), 0); !errors.Is(err, views.ErrClosed) {
		t.Errorf("reading closed views: %v, want ErrClosed", err)
	}
}

// TestSnapshotsByThemselves lets snapshots be taken as the log grows, and thinned out.
func TestSnapshotsByThemselves(t *testing.T) {
	recs := history(t, 26, 2000)
	recs = recs[:len(recs)/101*101] // a snapshot comes after each chunk
	l := projtest.NewLog()
	v := open(t, vfs.NewMem(), l, views.Options{SnapshotEvery: 100, KeepRecent: 2, MaxChanges: 1})
	for chunk := range slices.Chunk(recs, 101) {
		l.Append(chunk...)
		if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
			t.Fatal(err)
		}
		for { // until it is there, with its digests
			all, err := v.Snapshots()
			if err != nil {
				t.Fatal(err)
			}
			if last := len(all) - 1; last >= 0 && all[last].Seq == l.Durable() && len(all[last].Digests) > 0 || t.Context().Err() != nil {
				break
			}
		}
	}
	all, err := v.Snapshots()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		t.Logf("snapshot at %d", s.Seq)
		err := v.VerifySnapshot(t.Context(), s)
		left, listing := v.Snapshots()
		there := slices.ContainsFunc(left, func(l views.Snapshot) bool { return l.Seq == s.Seq })
		if err != nil && there || listing != nil { // else it was thinned out meanwhile
			t.Error(err, listing)
		}
	}
	if n := len(recs) / 101; len(all) < 3 || len(all) > n/2 {
		t.Errorf("%d snapshots are left of %d", len(all), n)
	}
}

// TestDiskFull fills the disk under views, in a process of its own, for Pebble's goroutines never end then: the
// process goes on, waiting fails, and views close.
func TestDiskFull(t *testing.T) {
	if os.Getenv("VIEWS_DISK_FULL") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDiskFull$", "-test.v")
		cmd.Env = append(os.Environ(), "VIEWS_DISK_FULL=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestDiskFull") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	recs := history(t, 27, 300)
	for k := range 13 {
		syncEvery := time.Millisecond
		if k == 12 { // nothing is written until the views are closed
			k, syncEvery = 0, time.Hour
		}
		var full atomic.Bool
		var left atomic.Int32
		left.Store(int32(k))
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && left.Add(-1) < 0 {
				return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
			}
			return nil
		}))
		l := projtest.NewLog(recs[:100]...)
		v, err := views.Open("data", l, views.Options{FS: fs, SyncEvery: syncEvery})
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Start(follow(l)); err != nil {
			t.Fatal(err)
		}
		if err := v.WaitFor(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
		full.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		for chunk := range slices.Chunk(recs[100:], 5) {
			l.Append(chunk...)
			if err = v.WaitFor(ctx, l.Durable()); err != nil {
				break
			}
		}
		if err == nil {
			t.Logf("write %d: nothing failed", k)
		} else if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("write %d: waited in vain", k)
		}
		closed := make(chan error, 1)
		go func() { closed <- v.Close() }()
		select {
		case err := <-closed:
			t.Logf("write %d: %v", k, err)
		case <-ctx.Done():
			t.Errorf("write %d: Close does not return", k)
		}
		cancel()
	}
}

// TestRunnerOfFailed says why the store has failed, also where the runner was being stopped, and not that it was stopped.
func TestRunnerOfFailed(t *testing.T) {
	for range 20 { // whether the follower's end is still heard of is chance
		store := openOrCreate(t, vfs.NewMem())
		r, err := views.StartRunner(store, projtest.NewLog().Follow(1))
		if err != nil {
			t.Fatal(err)
		}
		views.FailStore(store, errors.New("a block is damaged"))
		if err := r.Stop(); !errors.Is(err, views.ErrFailed) || errors.Is(err, context.Canceled) {
			t.Errorf("the runner ended with %v", err)
		}
		_ = store.Close() // it has failed
	}
}
