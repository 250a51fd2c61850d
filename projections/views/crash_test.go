package views_test

import (
	"flag"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"tallystick/events"
	"tallystick/projections/projtest"
	"tallystick/projections/views"
)

var crashes = flag.Int("crashes", 24, "how many crashes to simulate")

// life is what happens to views before and around a crash: records come in pieces, a snapshot is taken, the
// views are rebuilt, closed, opened again. It tells safe up to which record they must be found after that.
func life(t *testing.T, fs vfs.FS, recs []events.Record, safe func(events.Seq)) {
	t.Helper()
	l := projtest.NewLog()
	opts := views.Options{FS: fs, TableBytes: 16 << 10, MaxChanges: 60, MaxRows: 40, SnapshotEvery: 150, KeepRecent: 1}
	for part := range slices.Chunk(recs, 1+len(recs)/2) {
		v, err := views.Open("data", l, opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Start(follow(l)); err != nil {
			t.Fatal(err)
		}
		for chunk := range slices.Chunk(part, 29) {
			l.Append(chunk...)
			if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
				t.Fatal(err)
			}
		}
		if s, err := v.TakeSnapshot(t.Context()); err != nil {
			t.Fatal(err)
		} else {
			safe(s.Seq)
		}
		if res, err := v.Rebuild(t.Context(), views.RebuildOptions{}); err != nil {
			t.Fatal(err)
		} else {
			safe(res.Seq)
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		safe(l.Durable())
	}
}

// TestCrash pulls the plug at the first write to disk, then at others up to the last. Whatever the moment, the views that
// are opened afterwards are those of some earlier sequence, and catch up.
func TestCrash(t *testing.T) {
	recs := history(t, 11, 60)
	var total atomic.Int32
	count := errorfs.Wrap(vfs.NewCrashableMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			total.Add(1)
		}
		return nil
	}))
	life(t, count, recs, func(events.Seq) {})
	t.Logf("%d records, %d writes", len(recs), total.Load())
	want := make(map[events.Seq][]views.Digest)
	behind := 0
	for i := range *crashes {
		k := 1 + int32(i)*total.Load()/int32(*crashes)
		disk, safe := crashAt(t, recs, k)
		l := projtest.NewLog(recs...)
		v, err := views.Open("data", l, views.Options{FS: disk, KeepRecent: 1, NoSnapshots: true})
		if err != nil {
			t.Fatalf("crash at write %d: %v", k, err)
		}
		got, seq, err := v.Digests(t.Context())
		if err != nil {
			t.Fatalf("crash at write %d: %v", k, err)
		}
		for _, s := range []events.Seq{seq, l.Durable()} {
			if want[s] == nil {
				want[s] = rebuilt(t, recs[:s])
			}
		}
		if !slices.Equal(got, want[seq]) {
			t.Errorf("crash at write %d: opened at sequence %d with other rows", k, seq)
		}
		if seq < safe {
			t.Errorf("crash at write %d: opened at sequence %d, and %d was on disk", k, seq, safe)
		}
		if seq < l.Durable() {
			behind++
		}
		if err := v.Start(follow(l)); err != nil {
			t.Fatalf("crash at write %d: %v", k, err)
		}
		if got := digestsAt(t, v, l.Durable()); !slices.Equal(got, want[l.Durable()]) {
			t.Errorf("crash at write %d: caught up from sequence %d to other rows", k, seq)
		}
		if all, err := v.Snapshots(); err != nil {
			t.Errorf("crash at write %d: %v", k, err)
		} else {
			for _, s := range all {
				got, err := v.SnapshotDigests(t.Context(), s)
				if err != nil || len(s.Digests) > 0 && !slices.Equal(got, s.Digests) {
					t.Errorf("crash at write %d: snapshot %d: %v", k, s.Seq, err)
				}
			}
		}
		if err := v.Close(); err != nil {
			t.Errorf("crash at write %d: %v", k, err)
		}
	}
	if behind == 0 {
		t.Error("no crash lost anything: this test tests nothing")
	}
}

// crashAt returns what is left of the disk when the plug is pulled at the kth write of a life, and up to which record
// the views must be found on it.
func crashAt(t *testing.T, recs []events.Record, k int32) (*vfs.MemFS, events.Seq) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	var disk *vfs.MemFS
	var safe atomic.Uint64
	var found events.Seq
	pull := sync.OnceFunc(func() {
		found = events.Seq(safe.Load())
		disk = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(k) % 4 * 33, RNG: rand.New(rand.NewPCG(1, uint64(k)))})
	})
	var left atomic.Int32
	left.Store(k)
	life(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && left.Add(-1) == 0 {
			pull()
		}
		return nil
	})), recs, func(seq events.Seq) { safe.Store(uint64(seq)) })
	left.Store(math.MaxInt32)
	pull()
	return disk, found
}
