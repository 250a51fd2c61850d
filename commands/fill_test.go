package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tallystick/events"
	"tallystick/projections"
)

// stored is books as a store keeps them.
type stored struct {
	rows map[string][]byte
	err  error // what every reading of a row comes to
}

func (s *stored) Load(table byte, key []byte) ([]byte, bool, error) {
	v, ok := s.rows[string(append([]byte{table}, key...))]
	return v, ok, s.err
}

// store returns the books of w as they are stored now.
func (w *world) store() *stored {
	w.t.Helper()
	s := &stored{rows: make(map[string][]byte)}
	err := w.replay(w.log.records, projections.ForViews)[0].Flush(
		func(key, value []byte) error {
			s.rows[string(key)] = slices.Clone(value)
			return nil
		},
		func(key []byte) error {
			delete(s.rows, string(key))
			return nil
		},
	)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// reopen starts w's sequencer again on stored books of which nothing is in memory yet.
func (w *world) reopen(s *stored) {
	books := projections.NewBooks(projections.ForRules)
	books.Attach(s, w.seq.books.Ledger(), w.seq.books.Applied())
	w.start(books, w.seq.head)
}

// between lets the sequencer do what fn asks of it from another goroutine.
func (w *world) between(fn func(context.Context) error) error {
	done := make(chan error, 1)
	go func() { done <- fn(w.t.Context()) }()
	(<-w.seq.control)()
	return <-done
}

// TestFill checks that books whose rows are read when they are asked for, and taken in bit by bit meanwhile, decide
// the same as books that are complete: to the byte, and also what is due afterwards.
func TestFill(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lazy, whole := newWorld(t), newWorld(t)
		for _, w := range []*world{lazy, whole} {
			w.do(shop()...)
			w.do(clock("tc", "2024-01-31 00:00"), crowd(6, terms{}))
			for i := range 3 {
				name := fmt.Sprint("d", i)
				w.do(customer(name), fund(name, "5"), join(name+"-sub", name, "pro", terms{clock: "tc"}))
			}
			w.do(use("k", "c0", "2025-01-15 10:00", q{"tokens", 1}))
		}
		s := lazy.store()
		lazy.reopen(s)
		whole.restart()
		whole.seq.complete = false
		if rapid.Bool().Draw(rt, "a clock is under way") {
			for _, w := range []*world{lazy, whole} {
				w.seq.complete = true
				underWay("tc", "2024-06-01 00:00")(w)
				w.seq.complete = false
			}
		}

		keys := rapid.Permutation(slices.Sorted(maps.Keys(s.rows))).Draw(rt, "rows")
		for len(keys) > 0 {
			n := rapid.IntRange(1, len(keys)).Draw(rt, "rows at a time")
			var rows []Row
			for _, k := range keys[:n] {
				rows = append(rows, Row{[]byte(k), s.rows[k]})
			}
			keys = keys[n:]
			if err := lazy.between(func(ctx context.Context) error { return lazy.seq.Fill(ctx, rows) }); err != nil {
				rt.Fatal(err)
			}
			next := rapid.SampledFrom([]step{
				use(fmt.Sprint("k", len(keys)), "c1", "2025-01-15 10:00", q{"tokens", 1}),
				use("k", "c0", "2025-01-15 10:00", q{"tokens", 1}),
				use(fmt.Sprint("k", len(keys)), "d1", "2024-01-31 00:00", q{"tokens", 2}),
				fund("c2", "1"), terminateIt("c3-sub"), terminateIt("d2-sub"), join("c3-again", "c3", "pro", terms{}),
				customer("c4"), customer(fmt.Sprint("e", len(keys))), later("2025-02-20 00:00"), later("2025-04-01 00:00"),
			}).Draw(rt, "step")
			if a, b := lazy.try(next), whole.try(next); a != b {
				rt.Fatalf("answered %s, want %s", a, b)
			}
		}
		if err := errors.Join(
			lazy.between(lazy.seq.Filled), whole.between(whole.seq.Filled),
		); err != nil {
			rt.Fatal(err)
		}
		clear(s.rows) // nobody reads it any more
		s.err = errDisk
		for _, w := range []*world{lazy, whole} {
			w.settle()
			w.do(at("2025-06-01 00:00"), advance("tc", "2025-01-01 00:00"))
		}
		if !slices.EqualFunc(lazy.log.records, whole.log.records, func(a, b events.Record) bool { return bytes.Equal(a.Bytes, b.Bytes) }) {
			rt.Fatalf("the logs differ:\n%s", cmp.Diff(whole.story(Receipt{}, whole.log.records), lazy.story(Receipt{}, lazy.log.records)))
		}
	})
}

// try carries out a step, and returns its receipt as text, or "".
func (w *world) try(s step) string {
	r := s(w)
	if r == nil {
		return ""
	}
	receipt := w.send(*r)[0]
	return string(receipt.AppendJSON(nil))
}

// TestStoreFails checks that a store that cannot be read fails the ledger: a rule that lacks a row must not guess.
func TestStoreFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(w *world, s *stored) error
	}{
		{"while deciding", func(w *world, s *stored) error {
			s.err = errDisk
			call := &Call{Requests: []Request{*use("k", "alice", "2025-01-15 10:00", q{"tokens", 1})(w)}}
			w.seq.turn(call)
			if a := <-w.seq.answers; len(a.calls) != 1 || a.calls[0] != call {
				w.t.Errorf("%d calls are answered", len(a.calls))
			}
			return errDisk
		}},
		{"while carrying out what is due", func(w *world, s *stored) error {
			w.now = instantOf("2025-02-15 10:00")
			w.seq.complete = true
			w.seq.agendas.note(w.seq.books, onSubscription(id[events.SubscriptionNoun](w, "sub")))
			s.err = errDisk
			w.seq.turn(nil)
			return errDisk
		}},
		{"while filling", func(w *world, _ *stored) error {
			return w.between(func(ctx context.Context) error {
				return w.seq.Fill(ctx, []Row{{Key: []byte{w.seq.books.Subscriptions.ID, 1}, Value: []byte{1}}})
			})
		}},
		{"after filling", func(w *world, _ *stored) error {
			return w.between(func(ctx context.Context) error { return w.seq.Fill(ctx, []Row{{Key: []byte{0xFF}}}) })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.do(shop()...)
			s := w.store()
			w.reopen(s)
			err := tt.do(w, s)
			if err == nil || w.seq.Err() == nil {
				t.Errorf("the ledger goes on: %v", w.seq.Err())
			}
			w.restart()
		})
	}
}

// TestFillGivesUp checks that filling ends with its context.
func TestFillGivesUp(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.seq.Filled(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Filled returns %v when its context ends", err)
	}
}

// TestAdvanceNeedsAll checks that no clock moves before all that may be due is known.
func TestAdvanceNeedsAll(t *testing.T) {
	w := newWorld(t)
	w.do(shop()...)
	w.do(clock("tc", "2025-01-15 10:00"))
	w.seq.complete = false
	if r := w.send(*advance("tc", "2025-02-15 10:00")(w))[0]; r.Code != Busy {
		t.Errorf("an advance is %s %s, want %s", r.Status, r.Code, Busy)
	}
}
