package publisher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tallystick/events"
)

// CursorName is the name under which the publisher notes in the log how far it has come.
const CursorName = "publisher"

// Log is what the publisher needs of the ledger's log.
type Log interface {
	// Durable returns the last record that is on disk.
	Durable() events.Seq
	// Record returns a durable record.
	Record(events.Seq) (events.Record, error)
	// Cursor returns what SetCursor noted last, 0 if nothing.
	Cursor(name string) events.Seq
	// SetCursor notes how far the named reader has come.
	SetCursor(name string, seq events.Seq) error
}

// Follower returns the records from some place on, in order, without gaps, and waits
// for more at the end. One goroutine at a time uses it.
type Follower interface {
	Next(context.Context) ([]events.Record, error)
}

// State is where a stream stands.
type State struct {
	Prefix string     // the subjects it listens on, without the last dot
	First  events.Seq // the first record it holds, or would hold
	Last   events.Seq // the last; First-1 where it holds none

	Missing uint64 // records between First and Last that it does not hold; it has lost them
}

// Target is the stream that is published to. [Stream] is the one in JetStream.
type Target interface {
	// Ensure returns where the stream stands. A stream that is missing is made, with
	// first as its first sequence.
	Ensure(ctx context.Context, first events.Seq) (State, error)
	// Bytes returns what the stream holds at seq, or an error that matches [ErrNotFound].
	Bytes(ctx context.Context, seq events.Seq) ([]byte, error)
	// Scan calls fn with what the stream holds from from to to, in order. It returns an error
	// that matches [ErrNotFound] at the first sequence that is missing.
	Scan(ctx context.Context, from, to events.Seq, fn func(events.Seq, []byte) error) error
	// Dial opens a wire. See [Acked] for acked.
	Dial(ctx context.Context, acked Acked) (Wire, error)
}

// Options say what a publisher reads, where it publishes, and how patient it is. The
// first three fields are needed; the others have defaults.
type Options struct {
	Log    Log
	Follow func(from events.Seq) Follower
	Target Target

	Keep uint64 // records that the stream keeps; a stream that is made starts so far back; 0 means all

	AckEvery    int           // records to an acknowledgement; 0 means 512
	WindowCount int           // most records that are not acknowledged; 0 means 8192
	WindowBytes int           // most bytes that are not acknowledged; 0 means 16 MiB
	Patience    time.Duration // how long an answer may take before the connection is given up; 0 means 10 s
	RetryFirst  time.Duration // how long to wait after the first failure; doubles each time; 0 means 50 ms
	RetryMost   time.Duration // how long to wait at most; 0 means 5 s

	After  func(time.Duration) <-chan time.Time // nil means time.After
	Logger *slog.Logger                         // nil means that nothing is logged
}

func (o Options) withDefaults() Options {
	if o.AckEvery == 0 {
		o.AckEvery = 512
	}
	if o.WindowCount == 0 {
		o.WindowCount = 8192
	}
	if o.WindowBytes == 0 {
		o.WindowBytes = 16 << 20
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	if o.RetryFirst == 0 {
		o.RetryFirst = 50 * time.Millisecond
	}
	if o.RetryMost == 0 {
		o.RetryMost = 5 * time.Second
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Publisher publishes a log to a stream. See the package comment for what it guarantees.
type Publisher struct {
	opts Options

	mu        sync.Mutex // guards the fields below
	published events.Seq
	noted     events.Seq    // the cursor in the log
	known     events.Seq    // what the stream holds up to here was acknowledged, or compared with the log
	err       error         // why it stands still; nil while it does not
	failed    bool          // err is final
	raised    chan struct{} // closed when any of the above changes; nil when nobody waits
}

// New returns a publisher, which does nothing until it is run.
func New(opts Options) *Publisher {
	noted := opts.Log.Cursor(CursorName)
	return &Publisher{opts: opts.withDefaults(), noted: noted, known: noted}
}

// Status is how a publisher fares.
type Status struct {
	Published events.Seq // the stream holds all up to here
	Durable   events.Seq // the log does
	Err       error      // why it stands still at present; nil while all is well
	Failed    bool       // it will not try again
}

// Lag returns how many records the stream is behind the log.
func (s Status) Lag() uint64 { return uint64(s.Durable - min(s.Published, s.Durable)) }

// Status returns how p fares.
func (p *Publisher) Status() Status {
	durable := p.opts.Log.Durable()
	p.mu.Lock()
	defer p.mu.Unlock()
	return Status{p.published, durable, p.err, p.failed}
}

// Published returns the last record that the stream is known to hold, with all before
// it. It goes back when the stream turns out to have lost its end.
func (p *Publisher) Published() events.Seq {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.published
}

// WaitPublished returns nil once the stream holds all up to seq, and an error when the
// publisher has failed for good or ctx is done.
func (p *Publisher) WaitPublished(ctx context.Context, seq events.Seq) error {
	for {
		p.mu.Lock()
		published, err, failed := p.published, p.err, p.failed
		if p.raised == nil {
			p.raised = make(chan struct{})
		}
		raised := p.raised
		p.mu.Unlock()
		switch {
		case published >= seq:
			return nil
		case failed:
			return err
		}
		select {
		case <-raised:
		case <-ctx.Done():
			return fmt.Errorf("waiting until record %d is published (at %d): %w", seq, published, context.Cause(ctx))
		}
	}
}

// change applies fn to what others can see and wakes who waits for it.
func (p *Publisher) change(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
	if p.raised != nil {
		close(p.raised)
		p.raised = nil
	}
}

// Run publishes until ctx is done, and then returns nil. It returns an error only when
// there is no going on: a [*ConflictError], [ErrTakenOver], or what the log said. It is called once.
func (p *Publisher) Run(ctx context.Context) error {
	defer p.note(1)
	wait := p.opts.RetryFirst
	for {
		before := p.Published()
		final, err := p.attempt(ctx)
		if ctx.Err() != nil {
			return nil
		}
		p.change(func() { p.err, p.failed = err, final })
		if final {
			p.opts.Logger.Error("publishing has stopped for good", "error", err)
			return err
		}
		if p.Published() > before {
			wait = p.opts.RetryFirst
		}
		p.opts.Logger.Warn("publishing is interrupted", "error", err, "retry", wait)
		select {
		case <-p.opts.After(wait):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, p.opts.RetryMost)
	}
}

// attempt finds where the stream ends and publishes from there, until something goes
// wrong. It reports whether that is final.
func (p *Publisher) attempt(ctx context.Context) (final bool, err error) {
	state, err := p.locate(ctx)
	if err != nil {
		return isConflict(err) || errors.Is(err, ErrTakenOver), err
	}
	p.change(func() { p.published, p.known, p.err = state.Last, state.Last, nil })
	return p.session(ctx, state)
}

// locate makes the stream where it is missing and checks that it ends with records of
// the log.
func (p *Publisher) locate(ctx context.Context) (State, error) {
	durable := p.opts.Log.Durable()
	state, err := p.ensure(ctx, durable)
	if err != nil {
		return state, err
	}
	if state.Last > durable { // only what is durable was ever published
		return state, &ConflictError{Seq: durable + 1, Stream: state.Last, Log: durable}
	}
	if before := p.Published(); state.Last < before {
		p.opts.Logger.Warn("the stream has lost its end: publishing it again", "last", state.Last, "was", before)
	}
	return state, p.same(ctx, state)
}

func (p *Publisher) ensure(ctx context.Context, durable events.Seq) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, p.opts.Patience)
	defer cancel()
	state, err := p.opts.Target.Ensure(ctx, p.first(durable))
	if err != nil {
		return state, fmt.Errorf("opening the stream: %w", err)
	}
	return state, nil
}

// first returns the first record of a stream that is made.
func (p *Publisher) first(durable events.Seq) events.Seq {
	if p.opts.Keep == 0 || uint64(durable) <= p.opts.Keep {
		return 1
	}
	return durable - events.Seq(p.opts.Keep) + 1
}

// note writes how far the stream has come into the log, if that is every records from
// what stands there.
func (p *Publisher) note(every events.Seq) {
	p.mu.Lock()
	published := p.published
	far := published >= p.noted+every || published < p.noted
	if far {
		p.noted = published
	}
	p.mu.Unlock()
	if !far {
		return
	}
	if err := p.opts.Log.SetCursor(CursorName, published); err != nil {
		p.opts.Logger.Warn("noting how far the stream has come", "error", err)
	}
}
