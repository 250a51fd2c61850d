package views_test

import (
	"context"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"tallystick/events"
	"tallystick/projections/projtest"
	"tallystick/projections/views"
)

func TestMain(m *testing.M) {
	if os.Getenv("VIEWS_DISK_FULL") != "" { // see TestDiskFull: Pebble's goroutines stay
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

// history is a ledger's log with everything in it.
func history(t testing.TB, seed uint64, usages int) []events.Record {
	t.Helper()
	return projtest.Records(projtest.Shape{
		Seed: seed, Merchants: 3, Customers: 20, Usages: usages, Periods: 4, Arrears: true, FeeBasisPoints: 137,
	})
}

func follow(l *projtest.Log) views.Follow {
	return func(from events.Seq) views.Follower { return l.Follow(from) }
}

// open opens the views of a log on fs and follows it.
func open(t testing.TB, fs vfs.FS, l *projtest.Log, opts views.Options) *views.Views {
	t.Helper()
	opts.FS = fs
	v, err := views.Open("data", l, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := v.Start(follow(l)); err != nil {
		t.Fatal(err)
	}
	return v
}

// digestsAt waits for a sequence and returns the digests at it.
func digestsAt(t testing.TB, v *views.Views, seq events.Seq) []views.Digest {
	t.Helper()
	if err := v.WaitFor(t.Context(), seq); err != nil {
		t.Fatal(err)
	}
	d, at, err := v.Digests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if at != seq {
		t.Fatalf("digests at sequence %d, want %d", at, seq)
	}
	return d
}

// rebuilt returns the digests of a log's records.
func rebuilt(t testing.TB, recs []events.Record) []views.Digest {
	t.Helper()
	l := projtest.NewLog(recs...)
	v := open(t, vfs.NewMem(), l, views.Options{NoSnapshots: true})
	return digestsAt(t, v, l.Durable())
}

// TestRebuildEqualsLive lets views follow a log that grows in pieces, and makes them again.
func TestRebuildEqualsLive(t *testing.T) {
	recs := history(t, 1, 2000)
	l := projtest.NewLog()
	v := open(t, vfs.NewMem(), l, views.Options{MaxChanges: 50, MaxRows: 100})
	for chunk := range slices.Chunk(recs, 97) {
		l.Append(chunk...)
		if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
			t.Fatal(err)
		}
	}
	live := digestsAt(t, v, l.Durable())
	res, err := v.Rebuild(context.Background(), views.RebuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !res.Equal() || !res.Swapped || !slices.Equal(res.Rebuilt, live) {
		t.Errorf("rebuilt %+v, live digests %v", res, live)
	}
	if got := digestsAt(t, v, l.Durable()); !slices.Equal(got, live) {
		t.Errorf("digests after the swap %v, want %v", got, live)
	}
	if s := v.Status(); s.Generation != 2 {
		t.Errorf("generation %d after a rebuild, want 2", s.Generation)
	}
}

// closed closes c and fails t if that fails.
func closed(t testing.TB, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
