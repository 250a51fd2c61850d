package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"tallystick/events"
)

var errFault = errors.New("injected")

// memStream is a stream in memory that fails when told to.
type memStream struct {
	mu      sync.Mutex
	records [][]byte // nil where one is missing
	down    bool
	steps   int               // operations so far
	fault   func(n int) fault // what goes wrong at the nth operation
}

// fault is what goes wrong with one operation.
type fault int

const (
	none    fault = iota
	refused       // it has no effect, and we are told
	lost          // it has no effect, and we are not told
	unheard       // it has its effect, but we are told that it failed
	cut           // it has no effect, and neither has anything after it on this wire
)

func (s *memStream) stepLocked() fault {
	s.steps++
	if s.fault == nil {
		return none
	}
	return s.fault(s.steps)
}

func (s *memStream) Ensure(context.Context, events.Seq) (State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down || s.stepLocked() != none {
		return State{}, errFault
	}
	return State{Prefix: "_p", First: 1, Last: events.Seq(len(s.records))}, nil
}

func (s *memStream) Bytes(_ context.Context, seq events.Seq) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stepLocked() != none {
		return nil, errFault
	}
	if int(seq) > len(s.records) || s.records[seq-1] == nil {
		return nil, ErrNotFound
	}
	return s.records[seq-1], nil
}

func (s *memStream) Scan(_ context.Context, from, to events.Seq, fn func(events.Seq, []byte) error) error {
	for seq := from; seq <= to; seq++ {
		b, err := s.Bytes(context.Background(), seq)
		if err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		if err := fn(seq, b); err != nil {
			return err
		}
	}
	return nil
}

func (s *memStream) Dial(_ context.Context, acked Acked) (Wire, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stepLocked() != none {
		return nil, errFault
	}
	w := &memWire{stream: s, acks: make(chan func(), 10_000)}
	w.acked = acked
	w.wait.Go(func() {
		for ack := range w.acks {
			ack()
		}
	})
	return w, nil
}

type memWire struct {
	stream *memStream
	acked  Acked
	acks   chan func()
	wait   sync.WaitGroup
	dead   bool
}

func (w *memWire) Publish(_ []byte, last events.Seq, b []byte, ack bool) error {
	s := w.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.stepLocked()
	if f == cut {
		w.dead = true
	}
	if w.dead || f == lost {
		return nil
	}
	if f == refused {
		return errFault
	}
	ok := int(last) == len(s.records)
	if ok {
		s.records = append(s.records, b)
	}
	if ack && f != unheard {
		w.acks <- func() {
			if ok {
				w.acked(last+1, nil)
			} else {
				w.acked(0, errors.New("wrong last sequence"))
			}
		}
	}
	if f == unheard {
		return errFault
	}
	return nil
}

func (w *memWire) Flush() error { return nil }

func (w *memWire) Close() error {
	close(w.acks)
	w.wait.Wait()
	return nil
}

// TestFaults lets every single operation go wrong in every way, one after the other: the
// stream is equal to the log in the end.
func TestFaults(t *testing.T) {
	for _, kind := range []fault{refused, lost, unheard, cut} {
		for n, done := 1, false; !done; n++ {
			stream := &memStream{fault: func(i int) fault {
				if i == n {
					return kind
				}
				return none
			}}
			log := newLog(60)
			p := New(Options{
				Log: log, Follow: log.follow, Target: stream, AckEvery: 4, WindowCount: 16,
				After: func(d time.Duration) <-chan time.Time { return time.After(min(d, time.Millisecond)) },
			})
			stop := start(t, p)
			waitPublished(t, p, 60)
			if err := stop(); err != nil {
				t.Fatalf("fault %d at step %d: Run returned %v", kind, n, err)
			}
			equal(t, stream, log)
			done = stream.steps < n
		}
	}
}

func equal(t *testing.T, stream *memStream, log *memLog) {
	t.Helper()
	if len(stream.records) != len(log.records) {
		t.Fatalf("the stream has %d records, the log %d", len(stream.records), len(log.records))
	}
	for i, b := range stream.records {
		if string(b) != string(log.records[i].Bytes) {
			t.Fatalf("record %d differs", i+1)
		}
	}
}

// TestCrash stops the publisher after each number of operations, starts another one with nothing
// but the stream and the log, and lets the stream forget its end in between.
func TestCrash(t *testing.T) {
	for n := 1; n < 70; n++ {
		stream := &memStream{}
		log := newLog(40)
		reached := make(chan struct{})
		stream.fault = func(i int) fault {
			if i == n {
				close(reached)
			}
			if i >= n {
				return cut
			}
			return none
		}
		opts := Options{Log: log, Follow: log.follow, Target: stream, AckEvery: 3, After: atOnce}
		stop := start(t, New(opts))
		select {
		case <-reached:
		case <-time.After(20 * time.Millisecond): // there are not so many operations
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		stream.fault = nil
		stream.records = stream.records[:len(stream.records)/2]
		log.grow(10)
		p := New(opts)
		stop = start(t, p)
		waitPublished(t, p, 50)
		_ = stop()
		equal(t, stream, log)
	}
}

// TestCompare holds the ways in which a stream can stand to a log.
func TestCompare(t *testing.T) {
	other := events.LedgerID{15: 9}
	history := func(ledger events.LedgerID, from, to events.Seq, mark byte) (b [][]byte) {
		for n := from; n <= to; n++ {
			b = append(b, record(ledger, n, mark).Bytes)
		}
		return b
	}
	good := func(n events.Seq) [][]byte { return history(testLedger, 1, n, 0) }
	for _, tt := range []struct {
		name     string
		log      int
		stream   [][]byte
		want     Relation
		conflict events.Seq // 0 means none
	}{
		{name: "both empty", want: Equal},
		{name: "the same", log: 10, stream: good(10), want: Equal},
		{name: "the stream is empty", log: 10, want: Behind},
		{name: "the stream is behind", log: 10, stream: good(4), want: Behind},
		{name: "the stream goes on where the log ends", log: 4, stream: good(10), want: Ahead},
		{name: "the log is empty", stream: good(10), want: Ahead},
		{name: "another ledger's stream", log: 10, stream: history(other, 1, 10, 0), conflict: 1},
		{name: "another ledger's stream, longer", log: 4, stream: history(other, 1, 10, 0), conflict: 1},
		{name: "histories that part, the stream is longer", log: 6, stream: append(good(4), history(testLedger, 5, 10, 1)...), conflict: 5},
		{name: "histories that part, the log is longer", log: 10, stream: append(good(4), history(testLedger, 5, 6, 1)...), conflict: 5},
		{name: "another ledger's tail", log: 4, stream: append(good(4), history(other, 5, 6, 0)...), conflict: 5},
		{name: "a tail with a wrong number in it", log: 4, stream: append(good(5), good(5)[4]), conflict: 6},
		{name: "a tail with a gap", log: 4, stream: append(good(5), nil, good(7)[6]), conflict: 5},
		{name: "a tail that is no record", log: 4, stream: append(good(4), []byte("x")), conflict: 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := newLog(tt.log)
			p := New(Options{Log: log, Follow: log.follow, Target: &memStream{records: tt.stream}})
			got, err := p.Compare(t.Context())
			if tt.conflict != 0 {
				if conflict, ok := errors.AsType[*ConflictError](err); !ok || conflict.Seq != tt.conflict {
					t.Fatalf("Compare = %v, %v; want a conflict at %d", got.Relation, err, tt.conflict)
				}
				return
			}
			if err != nil || got.Relation != tt.want {
				t.Fatalf("Compare = %v, %v; want %v", got.Relation, err, tt.want)
			}
			var tail [][]byte
			if err := p.Tail(t.Context(), got, func(b [][]byte) error { tail = append(tail, b...); return nil }); err != nil {
				t.Fatal(err)
			}
			if want := max(0, len(tt.stream)-tt.log); len(tail) != want {
				t.Errorf("the tail has %d records, want %d", len(tail), want)
			}
		})
	}
}
