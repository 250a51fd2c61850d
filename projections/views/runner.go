package views

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// Follower gives the records of a log, those that follow on what it gave before.
type Follower interface {
	// Next waits for more records and returns them: durable, in order, without gaps.
	Next(ctx context.Context) ([]events.Record, error)
}

// Runner brings a store up to date with a log, record after record, for as long as it runs.
//
// Two goroutines belong to it: one asks the follower, the other folds and flushes. They end when the runner is
// stopped or has failed.
type Runner struct {
	store  *Store
	opts   Options
	books  *projections.Books
	hash   events.Hash // of the last record applied
	chunks chan chunk
	wake   chan struct{} // somebody waits for a flush
	stop   context.CancelFunc
	done   chan struct{} // closed when both goroutines have ended

	applied  atomic.Uint64
	flushing flushing
	notify   func(events.Seq) // is told of each flush, on the folding goroutine

	mu      sync.Mutex // guards the fields below
	flushed Checkpoint
	waiting map[*waiter]struct{}
	err     error // why it ended: ErrClosed after Stop
}

type chunk struct {
	recs []events.Record
	err  error
}

type waiter struct {
	seq  events.Seq
	done chan struct{}
}

// flushing is what the folding goroutine knows of its flushes.
type flushing struct {
	last     time.Time     // when the last one ended
	took     time.Duration // how long it took
	unsynced bool
}

// StartRunner begins to bring store up to date with what follow gives, which must be the records after
// the store's checkpoint, or be allowed to begin before it.
func StartRunner(store *Store, follow Follower) (*Runner, error) {
	return startRunner(store, follow, func(events.Seq) {})
}

func startRunner(store *Store, follow Follower, notify func(events.Seq)) (*Runner, error) {
	at, err := store.Checkpoint()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Runner{
		store: store, opts: store.opts, books: projections.NewBooks(projections.ForViews), hash: at.Hash,
		chunks: make(chan chunk, 2), wake: make(chan struct{}, 1), stop: cancel, done: make(chan struct{}),
		notify: notify, flushed: at, waiting: make(map[*waiter]struct{}),
	}
	r.books.Attach(store, at.Ledger, at.Seq)
	r.applied.Store(uint64(at.Seq))
	go r.follow(ctx, follow)
	go r.fold()
	return r, nil
}

// Stop ends the runner, after what it has applied is flushed and on disk. It returns what [Runner.Err] does.
func (r *Runner) Stop() error {
	r.stop()
	<-r.done
	return r.Err()
}

// Applied returns the last record applied, which readers may not see yet.
func (r *Runner) Applied() events.Seq { return events.Seq(r.applied.Load()) }

// Flushed returns the last record that readers of the store see.
func (r *Runner) Flushed() events.Seq {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flushed.Seq
}

// Lag returns how many records readers of the store do not see, of those up to head.
func (r *Runner) Lag(head events.Seq) events.Seq { return head - min(head, r.Flushed()) }

// Err returns why the runner ended: nil while it runs and after Stop.
func (r *Runner) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(r.err, ErrClosed) {
		return nil
	}
	return r.err
}

// Done returns a channel that is closed when the runner has ended.
func (r *Runner) Done() <-chan struct{} { return r.done }

// WaitFor returns when the store holds record seq, so that a caller can read what it wrote. It fails with ctx, and
// when the runner ends.
func (r *Runner) WaitFor(ctx context.Context, seq events.Seq) error {
	r.mu.Lock()
	if r.flushed.Seq >= seq || r.err != nil {
		err := r.err
		if r.flushed.Seq >= seq {
			err = nil
		}
		r.mu.Unlock()
		return err
	}
	w := &waiter{seq, make(chan struct{})}
	r.waiting[w] = struct{}{}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	select {
	case <-w.done:
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.flushed.Seq >= seq {
			return nil
		}
		return r.err
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.waiting, w)
		return ctx.Err()
	}
}

// follow is the goroutine that asks the follower.
func (r *Runner) follow(ctx context.Context, f Follower) {
	defer close(r.chunks)
	for {
		recs, err := f.Next(ctx)
		select {
		case r.chunks <- chunk{recs, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// fold is the goroutine that applies and flushes.
func (r *Runner) fold() {
	defer close(r.done)
	err := r.loop()
	r.stop()
	for range r.chunks { // until the other goroutine has ended
	}
	if failed := r.store.fail.failed(); failed != nil && errors.Is(err, context.Canceled) { // that is what has ended it
		err = failed
	}
	if err == nil || errors.Is(err, context.Canceled) {
		err = ErrClosed
	}
	r.end(err)
}

// loop applies chunks until there are no more. After an error of the follower everything applied is flushed;
// after any other one the books are not to be used.
func (r *Runner) loop() (err error) {
	defer recoverFold(&err)
	syncs := time.NewTicker(r.opts.SyncEvery)
	defer syncs.Stop()
	regular := time.NewTicker(r.opts.FlushEvery / 8)
	defer regular.Stop()
	idle := time.NewTimer(r.opts.IdleFlush)
	defer idle.Stop()
	for {
		due := false
		select {
		case c, ok := <-r.chunks:
			if !ok || c.err != nil {
				if err := r.flush(); err != nil {
					return err
				}
				return errors.Join(r.store.Sync(), c.err)
			}
			if err := r.apply(c.recs); err != nil {
				return err
			}
			due = r.books.Changes() >= r.opts.MaxChanges
			idle.Reset(r.opts.IdleFlush)
		case <-regular.C:
			due = r.opts.Clock().Sub(r.flushing.last) >= min(leisure*r.flushing.took, r.opts.FlushEvery)
		case <-idle.C:
			due = true
		case <-r.wake:
		case <-syncs.C:
			if err := r.sync(); err != nil {
				return err
			}
		}
		if due || r.awaited() {
			if err := r.flush(); err != nil {
				return err
			}
		}
	}
}

// leisure is how many times as long as it takes a flush waits, where nobody asks for it. With many records the same rows change again
// and again, and a flush writes each of them once.
const leisure = 50

// recoverFold turns a panic of a fold into an error: a source that failed, or an impossible history.
func recoverFold(err *error) {
	switch p := recover().(type) {
	case nil:
	case *projections.SourceError:
		*err = p
	case error:
		*err = fmt.Errorf("views: folding: %w", p)
	default:
		*err = fmt.Errorf("views: folding: %v", p)
	}
}

func (r *Runner) apply(recs []events.Record) error {
	ledger := r.books.Ledger()
	for i := range recs {
		if ledger.IsZero() {
			ledger = recs[i].Ledger
		}
		if recs[i].Ledger != ledger {
			return fmt.Errorf("record %d is of ledger %s, the views of %s: %w", recs[i].Seq, recs[i].Ledger, ledger, ErrOther)
		}
	}
	if err := r.books.ApplyAll(recs); err != nil {
		return err
	}
	if n := len(recs); n > 0 && recs[n-1].Seq == r.books.Applied() {
		r.hash = recs[n-1].Hash
	}
	r.applied.Store(uint64(r.books.Applied()))
	return nil
}

// awaited reports whether to flush because somebody waits for what is applied. Flushes take at
// most a fifth of the time that way, however many wait.
func (r *Runner) awaited() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.waiting {
		if w.seq <= r.Applied() {
			return r.opts.Clock().Sub(r.flushing.last) >= 4*r.flushing.took
		}
	}
	return false
}

// flush makes what is applied visible to readers of the store.
func (r *Runner) flush() error {
	r.mu.Lock()
	done := r.flushed.Seq
	r.mu.Unlock()
	if r.books.Applied() == done {
		return nil
	}
	start := r.opts.Clock()
	if err := r.store.Flush(r.books, r.hash); err != nil {
		return fmt.Errorf("flushing views at sequence %d: %w", r.books.Applied(), err)
	}
	r.books.Shrink(r.opts.MaxRows)
	r.flushing.last = r.opts.Clock()
	r.flushing.took = r.flushing.last.Sub(start)
	r.flushing.unsynced = true

	r.mu.Lock()
	r.flushed = Checkpoint{projections.FoldVersion, r.books.Applied(), r.books.Ledger(), r.hash}
	for w := range r.waiting {
		if w.seq <= r.flushed.Seq {
			close(w.done)
			delete(r.waiting, w)
		}
	}
	r.mu.Unlock()
	r.notify(r.books.Applied())
	return nil
}

func (r *Runner) sync() error {
	if !r.flushing.unsynced {
		return nil
	}
	r.flushing.unsynced = false
	return r.store.SyncSoon()
}

// end notes why the runner ended and lets go of everyone who waits. Only the first reason counts.
func (r *Runner) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return
	}
	r.err = err
	for w := range r.waiting {
		close(w.done)
		delete(r.waiting, w)
	}
}
