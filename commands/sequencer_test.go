package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// office is a world whose sequencer runs on its own goroutine. It lives in a synctest bubble.
type office struct {
	*world
	mu       sync.Mutex // guards the field below
	answered []*Call    // in the order in which they were
	done     chan struct{}
}

// bubbleTime is the time in the synctest bubble that asks.
func bubbleTime() time.Time {
	epoch := time.Unix(0, 0)
	return epoch.Add(time.Since(epoch))
}

// inOffice runs fn in an office with a shop. It stops the sequencer afterwards, if fn has not.
func inOffice(t *testing.T, change func(*Options), fn func(o *office)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.do(shop()...)
		o := &office{world: w, done: make(chan struct{})}
		opts := w.seq.opts
		opts.Books, opts.Head = w.seq.books, w.seq.head
		opts.Clock = func() time.Time { return w.now.Std() }
		if change != nil {
			change(&opts)
		}
		w.seq = NewSequencer(opts)
		go func() {
			defer close(o.done)
			w.seq.Run(t.Context())
		}()
		if err := w.seq.Filled(t.Context()); err != nil {
			t.Fatal(err)
		}
		running := w.seq
		defer func() {
			running.Stop()
			o.sync()
			<-o.done
			w.catchUp()
		}()
		fn(o)
	})
}

// sync lets all that goes on go on as far as it can, and then the disk have it.
func (o *office) sync() {
	synctest.Wait()
	o.log.sync()
}

// ready returns the request of a step, once nothing goes on any more.
func (o *office) ready(s step) Request {
	synctest.Wait()
	return *s(o.world)
}

// submit gives requests to the sequencer, as one call.
func (o *office) submit(requests ...Request) (*Call, error) {
	call := &Call{Requests: requests}
	call.Done = func(rs []Receipt) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(rs) != len(requests) {
			o.t.Errorf("%d receipts for %d requests", len(rs), len(requests))
		}
		o.answered = append(o.answered, call)
	}
	return call, o.seq.Submit(call)
}

func (o *office) mustSubmit(requests ...Request) *Call {
	o.t.Helper()
	call, err := o.submit(requests...)
	if err != nil {
		o.t.Fatal(err)
	}
	return call
}

// perhaps submits a call that races with the failure of the ledger, and adds it to calls if it was taken.
func (o *office) perhaps(calls []*Call, requests ...Request) []*Call {
	o.t.Helper()
	call, err := o.submit(requests...)
	if err == nil {
		return append(calls, call)
	}
	if CodeOf(err) != LedgerFailed {
		o.t.Errorf("a call after the failure is answered %v", err)
	}
	return calls
}

// expect waits until nothing goes on any more, and checks which calls are answered, in order.
func (o *office) expect(when string, want ...*Call) {
	o.t.Helper()
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Equal(o.answered, want) {
		o.t.Fatalf("%s %d calls are answered, want %d", when, len(o.answered), len(want))
	}
}

// TestNothingIsSaidBeforeItIsDurable checks that every answer waits for all it was decided on (D7): also duplicates,
// conflicts, and refusals that saw money leave that may yet come back.
func TestNothingIsSaidBeforeItIsDurable(t *testing.T) {
	inOffice(t, nil, func(o *office) {
		now := "2025-01-15 10:00"
		o.log.hold()
		spend := o.ready(use("k", "alice", now, q{"tokens", 40}))
		conflict := spend
		conflict.Content[0]++
		calls := []*Call{
			o.mustSubmit(spend),
			o.mustSubmit(spend),
			o.mustSubmit(conflict),
			o.mustSubmit(o.ready(use("k2", "alice", now, q{"tokens", 1}))),
			o.mustSubmit(o.ready(join("again", "alice", "pro", terms{}))),
			o.mustSubmit(),
		}
		o.expect("before the disk has it")
		if n := o.seq.Queued(); n != 5 {
			o.t.Errorf("%d requests are queued, want 5", n)
		}
		o.sync()
		o.expect("when the disk has it", calls...)
		for i, want := range []struct {
			status ReceiptStatus
			code   Code
		}{{Accepted, ""}, {Duplicate, ""}, {Rejected, IdempotencyConflict}, {Rejected, InsufficientFunds}, {Duplicate, ""}} {
			if r := calls[i].receipts[0]; r.Status != want.status || r.Code != want.code {
				o.t.Errorf("call %d is %s %s, want %s %s", i, r.Status, r.Code, want.status, want.code)
			}
		}
		if n := o.seq.Queued(); n != 0 {
			o.t.Errorf("%d requests are queued, want none", n)
		}
		// What was decided on is durable by now: a refusal need not wait for anything.
		last := o.mustSubmit(o.ready(use("k3", "alice", now, q{"tokens", 1})))
		o.expect("with nothing in flight", append(calls, last)...)
	})
}

// TestBusy checks that a full queue is said at once, and that what was refused leaves no trace.
func TestBusy(t *testing.T) {
	inOffice(t, func(o *Options) { o.MaxQueued = 10 }, func(o *office) {
		o.log.hold()
		var calls []*Call
		for i := range 5 {
			r := o.ready(use(fmt.Sprint("k", i), "alice", "2025-01-15 10:00", q{"tokens", 1}))
			r2 := keyed(fmt.Sprint("l", i), r)
			calls = append(calls, o.mustSubmit(r, r2))
		}
		if _, err := o.submit(o.ready(fund("alice", "1"))); CodeOf(err) != Busy {
			o.t.Errorf("an eleventh request is answered %v, want %s", err, Busy)
		}
		o.sync()
		o.expect("after the disk has it", calls...)
		calls = append(calls, o.mustSubmit(o.ready(fund("alice", "1"))))
		o.sync()
		o.expect("after the queue has room again", calls...)
	})
}

// TestEmptyCallsFillTheQueue checks that calls that ask for nothing cannot grow the queue without bound.
func TestEmptyCallsFillTheQueue(t *testing.T) {
	s := NewSequencer(Options{Books: projections.NewBooks(projections.ForRules), Log: newMemLog(), MaxQueued: 2, Clock: bubbleTime, Seed: func() uint64 { return 1 }})
	for i, want := range []Code{"", "", Busy} {
		if err := s.Submit(&Call{Done: func([]Receipt) {}}); CodeOf(err) != want {
			t.Errorf("empty call %d is answered %v, want %q", i, err, want)
		}
	}
}

// TestStop checks that all that was taken is carried out and answered, and nothing is taken after that.
func TestStop(t *testing.T) {
	inOffice(t, func(o *Options) { o.MaxGroup = 2 }, func(o *office) {
		o.log.hold()
		requests := make([]Request, 20)
		for i := range requests {
			requests[i] = o.ready(use(fmt.Sprint("k", i), "alice", "2025-01-15 10:00", q{"tokens", 1}))
		}
		var calls []*Call
		for _, r := range requests {
			calls = append(calls, o.mustSubmit(r))
		}
		o.seq.Stop()
		o.seq.Stop()
		if _, err := o.submit(o.ready(fund("alice", "1"))); CodeOf(err) != ShuttingDown {
			o.t.Errorf("a call after Stop is answered %v, want %s", err, ShuttingDown)
		}
		o.expect("before the disk has it")
		o.sync()
		o.expect("after Stop", calls...)
		<-o.done
		for i, c := range calls {
			if c.receipts[0].Status != Accepted {
				o.t.Errorf("call %d is %s: %s", i, c.receipts[0].Status, c.receipts[0].Message)
			}
		}
		if err := o.seq.Filled(o.t.Context()); CodeOf(err) != ShuttingDown {
			o.t.Errorf("Filled after Stop returns %v, want %s", err, ShuttingDown)
		}
	})
}

// TestStopOfAnAdvance checks that whoever awaits a clock is answered when the ledger shuts down on the way.
func TestStopOfAnAdvance(t *testing.T) {
	inOffice(t, nil, func(o *office) {
		o.ask(clock("tc", "2025-01-01 00:00"))
		for i := range 700 {
			name := fmt.Sprint("c", i)
			o.ask(customer(name))
			o.ask(join(name+"-sub", name, "pro", terms{clock: "tc"}))
		}
		o.mu.Lock()
		o.answered = nil
		o.mu.Unlock()
		call := o.mustSubmit(o.ready(advance("tc", "2026-01-01 00:00")))
		o.seq.Stop()
		<-o.done
		o.expect("after Stop", call)
		if call.receipts[0].Status != Accepted {
			o.t.Errorf("the advance is %s", call.receipts[0].Status)
		}
		if row := o.seq.books.Clocks.Get(o.clock("tc")); row.To == 0 {
			o.t.Error("the clock has arrived, though it was stopped")
		}
	})
}

// ask carries out a step through the running sequencer. Nothing else may go on.
func (o *office) ask(s step) {
	o.t.Helper()
	receipt, err := o.seq.Do(o.t.Context(), o.ready(s))
	if err != nil || receipt.Status != Accepted {
		o.t.Fatalf("%s %s (%v)", receipt.Status, receipt.Message, err)
	}
}

// TestFailure checks that when the log fails, all that is in flight is answered LEDGER_FAILED, which says that
// the outcome is unknown; so is what was taken but not decided; and then nothing is taken any more.
func TestFailure(t *testing.T) {
	inOffice(t, nil, func(o *office) {
		now := "2025-01-15 10:00"
		o.log.hold()
		var calls []*Call
		for i := range 3 {
			calls = append(calls, o.mustSubmit(o.ready(use(fmt.Sprint("k", i), "alice", now, q{"tokens", 1}))))
			synctest.Wait()
		}
		k, l := o.ready(use("k", "alice", now, q{"tokens", 1})), o.ready(use("l", "alice", now, q{"tokens", 1}))
		o.log.fail()
		calls = o.perhaps(calls, k, l)
		o.expect("after the failure", calls...)
		for i, c := range calls {
			for _, r := range c.receipts {
				if r.Status != Rejected || r.Code != LedgerFailed {
					o.t.Errorf("call %d is %s %s, want %s", i, r.Status, r.Code, LedgerFailed)
				}
			}
		}
		if _, err := o.submit(o.ready(fund("alice", "1"))); CodeOf(err) != LedgerFailed {
			o.t.Errorf("a call after the failure is answered %v, want %s", err, LedgerFailed)
		}
		if err := o.seq.Err(); !errors.Is(err, errDisk) {
			o.t.Errorf("Err() = %v, want %v", err, errDisk)
		}
		if n := o.seq.Queued(); n != 0 {
			o.t.Errorf("%d requests are queued, want none", n)
		}
		o.now = instantOf("2025-03-01 00:00") // when something is due, which cannot be carried out any more
		<-time.After(time.Hour)               // the bubble's clock would stand still if anybody went round in circles
		o.rollBack()
	})
}

// rollBack lets the world forget what its failed log did not take, so that what is left can be checked.
func (o *office) rollBack() {
	o.log.mu.Lock()
	o.log.err = nil
	o.log.mu.Unlock()
	o.seq.Stop()
	<-o.done
	o.seq = NewSequencer(Options{Books: o.replay(o.log.records, projections.ForRules)[0], Log: o.log, Clock: bubbleTime, Seed: func() uint64 { return 1 }})
	close(o.seq.queue)
	o.seq.closed = true
}

// breaking is a log that fails in one way or another at its nth append.
type breaking struct {
	*memLog
	appends int
	panics  bool
}

func (l *breaking) Append(group []events.Record) error {
	if l.appends--; l.appends == 0 {
		if l.panics {
			panic("the log broke")
		}
		return errDisk
	}
	return l.memLog.Append(group)
}

// TestFailureOfAppend checks that a refused append fails the ledger, and so does a panic: all that was taken is answered.
func TestFailureOfAppend(t *testing.T) {
	for _, panics := range []bool{false, true} {
		log := new(breaking)
		inOffice(t, func(o *Options) {
			log.memLog, log.appends, log.panics = o.Log.(*memLog), 2, panics
			o.Log = log
		}, func(o *office) {
			fine := o.mustSubmit(o.ready(fund("alice", "1")))
			o.expect("after the first append", fine)
			request := o.ready(fund("alice", "1"))
			calls := []*Call{fine, o.mustSubmit(request, request)}
			calls = o.perhaps(calls, request)
			o.expect("after the second append", calls...)
			for _, c := range calls[1:] {
				for _, r := range c.receipts {
					if r.Code != LedgerFailed {
						o.t.Errorf("a receipt is %s %s, want %s", r.Status, r.Code, LedgerFailed)
					}
				}
			}
			o.rollBack()
		})
	}
}

// TestContextEnds checks what the end of Run's context means: no more waiting for the disk.
func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		s := NewSequencer(Options{
			Books: projections.NewBooks(projections.ForRules), Log: log, Ledger: events.LedgerID{1},
			Clock: bubbleTime, Seed: func() uint64 { return 1 }, Logger: quiet(),
		})
		if err := s.Genesis(events.LedgerOpened{Environment: events.Sandbox}); err != nil {
			t.Fatal(err)
		}
		if err := s.Genesis(events.LedgerOpened{Environment: events.Sandbox}); err == nil {
			t.Error("a ledger is opened twice")
		}
		log.hold()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.Run(ctx) })
		var receipt Receipt
		running.Go(func() {
			receipt, _ = s.Do(t.Context(), Request{Command: CreateMerchant{Profile: events.Profile{Name: "n"}, Currency: usd}, Operator: true})
		})
		synctest.Wait()
		short, stop := context.WithCancel(t.Context())
		stop()
		if _, err := s.Do(short, Request{Command: CreateMerchant{}}); !errors.Is(err, context.Canceled) {
			t.Errorf("Do returns %v when its context ends", err)
		}
		cancel()
		synctest.Wait()
		if receipt.Code != LedgerFailed {
			t.Errorf("what was in flight is %s %s, want %s", receipt.Status, receipt.Code, LedgerFailed)
		}
		s.Stop()
		running.Wait()
	})
}

// TestDueByItself checks that due actions of real time happen when they are due, without anybody asking.
func TestDueByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.do(shop()...)
		<-time.After(time.Until(begin.Std())) // in the bubble
		opts := w.seq.opts
		opts.Books, opts.Head, opts.Clock = w.seq.books, w.seq.head, bubbleTime
		oldest := make(map[events.Time]bool)
		opts.Observer = observer{oldest}
		w.seq = NewSequencer(opts)
		before := len(w.log.records)
		var running sync.WaitGroup
		running.Go(func() { w.seq.Run(t.Context()) })
		if err := w.seq.Filled(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-time.After(40 * 24 * time.Hour)
		synctest.Wait()
		w.seq.Stop()
		running.Wait()
		added := w.log.records[before:]
		if len(added) != 4 { // reminded, closed, opened, cancelled
			t.Fatalf("%d events in forty days, want 4", len(added))
		}
		for _, rec := range added {
			if late := rec.RecordedAt.Std().Sub(rec.At.Std()); late < 0 || late > time.Second {
				t.Errorf("%s happened %s after its time", rec.Event.Kind(), late)
			}
		}
		if !oldest[added[0].At] {
			t.Error("the observer was not told when the period ends")
		}
		w.catchUp()
	})
}

type observer struct{ due map[events.Time]bool }

func (observer) Group(int)                {}
func (observer) Rejected(Code)            {}
func (o observer) Due(oldest events.Time) { o.due[oldest] = true }

// TestManyAtOnce lets many goroutines report usage while the disk comes and goes: every key is recorded once, and
// everybody learns of it.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	w.do(shop()...)
	opts := w.seq.opts
	opts.Books, opts.Head, opts.MaxGroup = w.seq.books, w.seq.head, 16
	w.seq = NewSequencer(opts)
	var running, callers sync.WaitGroup
	running.Go(func() { w.seq.Run(t.Context()) })
	if err := w.seq.Filled(t.Context()); err != nil {
		t.Fatal(err)
	}
	const keys, repeats = 30, 4
	requests := make([]Request, keys)
	for i := range requests {
		requests[i] = *use(fmt.Sprint("k", i), "alice", "2025-01-15 10:00", q{"tokens", 1})(w)
	}
	seqs := make([][repeats]events.Seq, keys)
	for i := range requests {
		for j := range repeats {
			callers.Go(func() {
				r, err := w.seq.Do(t.Context(), requests[i])
				if err != nil || r.Status == Rejected {
					t.Errorf("key %d: %s %s (%v)", i, r.Status, r.Message, err)
				}
				seqs[i][j] = r.Seq
			})
		}
	}
	callers.Wait()
	w.seq.Stop()
	running.Wait()
	for i, s := range seqs {
		for _, seq := range s {
			if seq != s[0] {
				t.Errorf("key %d is recorded at %v", i, s)
			}
		}
	}
	w.catchUp()
}
