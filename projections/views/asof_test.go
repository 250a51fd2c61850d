package views_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
	"tallystick/projections"
	"tallystick/projections/projtest"
	"tallystick/projections/views"
)

// rows returns all rows of a reader that are kept of the past, as text.
func rows(t *testing.T, r *views.Reader) map[string]string {
	t.Helper()
	m := make(map[string]string)
	for _, table := range r.Tables().Tables() {
		if projections.ForHistory.Omits(table) {
			continue
		}
		var last []byte
		err := r.Rows(t.Context(), []byte{table.ID}, nil, func(k, v []byte) error {
			if bytes.Compare(k, last) <= 0 {
				t.Fatalf("key %x after %x", k, last)
			}
			last = slices.Clone(k)
			m[string(k)] = string(v)
			got, ok, err := r.Load(k[0], k[1:])
			if err != nil || !ok || !bytes.Equal(got, v) {
				t.Fatalf("key %x: Load gives %x %v %v, Rows %x", k, got, ok, err, v)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// TestAsOf asks for states of the past, of which some are before every snapshot, some between two and some after the
// live views, and compares them with books made from the log up to there.
func TestAsOf(t *testing.T) {
	recs := history(t, 8, 2000)
	l := projtest.NewLog()
	v := open(t, vfs.NewMem(), l, views.Options{SnapshotEvery: 1 << 40})
	for chunk := range slices.Chunk(recs[:len(recs)-300], 700) {
		l.Append(chunk...)
		if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
			t.Fatal(err)
		}
		if _, err := v.TakeSnapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := v.Snapshots(); err != nil || len(all) < 3 {
		t.Fatalf("snapshots %v, %v", all, err)
	}
	for seq := events.Seq(0); seq <= l.Durable(); seq += 1 + events.Seq(len(recs)/23) {
		got, err := v.AsOf(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if got.Seq() != seq {
			t.Errorf("as of %d: at sequence %d", seq, got.Seq())
		}
		want := rowsOf(t, recs[:seq])
		if have := rows(t, got); !equal(have, want) {
			t.Errorf("as of %d: %d rows differ from the %d of a fold up to there", seq, len(have), len(want))
		}
		if _, err := views.Get(got, got.Tables().Totals, projections.Pair[events.CustomerID, events.MetricID]{}); !errors.Is(err, views.ErrNotKept) {
			t.Errorf("reading totals of the past: %v, want ErrNotKept", err)
		}
		if err := got.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.AsOf(t.Context(), l.Durable()+1); err == nil {
		t.Error("a state of the future was given")
	}
}

func equal(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if a[k] != b[k] {
			return false
		}
	}
	return true
}

// rowsOf folds records in memory.
func rowsOf(t *testing.T, recs []events.Record) map[string]string {
	t.Helper()
	books := projections.NewBooks(projections.ForHistory)
	if err := books.ApplyAll(recs); err != nil {
		t.Fatal(err)
	}
	m := make(map[string]string)
	err := books.Flush(func(k, v []byte) error { m[string(k)] = string(v); return nil }, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSeqAtClock finds the last record of each period of a test clock.
func TestSeqAtClock(t *testing.T) {
	recs := history(t, 9, 400)
	l := projtest.NewLog(recs...)
	v := open(t, vfs.NewMem(), l, views.Options{})
	if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
		t.Fatal(err)
	}
	var clock events.TestClockID
	for i := range recs {
		if e, ok := recs[i].Event.(events.ClockCreated); ok && clock.IsZero() {
			clock = e.Clock
			check(t, v, clock, e.Now-1, 0, false)
		}
		if e, ok := recs[i].Event.(events.ClockAdvancing); ok && e.Clock == clock {
			// The first thing done on the way is due at To: just before that time nothing of it has happened.
			check(t, v, clock, e.To-1, recs[i].Seq, true)
		}
	}
	check(t, v, clock, 1<<62, l.Durable(), true)
}

func check(t *testing.T, v *views.Views, clock events.TestClockID, at events.Time, want events.Seq, wantOK bool) {
	t.Helper()
	got, ok, err := v.SeqAtClock(t.Context(), clock, at)
	if err != nil || ok != wantOK || ok && got != want {
		t.Errorf("clock %v at %v: sequence %d %v %v, want %d %v", clock, at, got, ok, err, want, wantOK)
	}
}
