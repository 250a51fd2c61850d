package commands

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// Log is what the rules need of the log (D12).
type Log interface {
	// Append takes a group of records that follow its head. It returns before they are durable.
	Append(group []events.Record) error
	// Lookup returns the record that was appended under a key, durable or not.
	Lookup(key events.DedupeKey) (events.Record, bool, error)
	// WaitDurable returns nil when the record at seq is on disk.
	WaitDurable(ctx context.Context, seq events.Seq) error
}

// Head is where a log ends: what the next record must follow.
type Head struct {
	Seq        events.Seq
	RecordedAt events.Time
	Command    events.CommandID
}

// Options are what a [Sequencer] works with. Those without a default must be given.
type Options struct {
	Books     *projections.Books // for rules, current to Head
	Log       Log
	Head      Head
	Ledger    events.LedgerID
	Clock     func() time.Time // real time
	Seed      func() uint64    // fresh random bits
	Logger    *slog.Logger
	Observer  Observer // default: nobody
	MaxQueued int      // requests that may wait; default 65536
	MaxGroup  int      // records of a group, about; default 4096

	Gather time.Duration // most time that requests may gather between small groups; default none. See Sequencer.rest
}

// Observer is told what a sequencer does, for metrics. It is called on the sequencer's goroutine.
type Observer interface {
	Group(records int)
	Rejected(code Code)
	Due(oldest events.Time) // when the oldest due action of real time is due; 0 if there is none
}

// Request is a command with everything that its envelope needs.
type Request struct {
	Command  Command
	Merchant events.OrganizationID
	Actor    events.Actor
	Operator bool
	Key      string        // idempotency key, at most 255 bytes; "" for none
	Content  events.Digest // of the command, where Key is given
}

// A Call is requests that are answered together. Each is carried out or refused by itself, in order.
type Call struct {
	Requests []Request
	// Done takes the receipts, in the order of the requests. It is called once, on the answering
	// goroutine, and must not block.
	Done func([]Receipt)

	receipts []Receipt
	awaits   int // test clocks that must arrive before it is answered
}

// Sequencer carries out commands, one after another. See the package comment.
type Sequencer struct {
	opts    Options
	queue   chan *Call
	queued  atomic.Int64
	control chan func()   // run between groups; for filling the books
	stopped chan struct{} // closed when Run returns
	answers chan answer
	failed  atomic.Pointer[error]
	applied atomic.Uint64 // last sequence decided

	dueUnder atomic.Int32  // groups with records of due actions that are not durable yet
	eased    chan struct{} // holds a token when there are fewer; nil until Run

	mu     sync.RWMutex // guards the field below
	closed bool         // no more calls are taken

	// What follows belongs to the goroutine of Run.
	books    *projections.Books
	head     Head
	now      events.Time // real time when the call, or the slice of due actions, began
	seed     uint64
	dec      decision
	group    group
	current  *Call // being carried out
	agendas  agendas
	running  map[events.TestClockID][]*Call // clocks that are being advanced or have something overdue, and who awaits their arrival
	lately   int                            // requests of the last group
	asked    time.Time                      // when there were requests last
	dueAfter time.Time                      // when due actions may go on
	complete bool                           // every row of the books is in memory: the agendas know all that is due
}

// NewSequencer returns a sequencer that takes calls, and carries them out once Run is called.
func NewSequencer(opts Options) *Sequencer {
	if opts.MaxQueued == 0 {
		opts.MaxQueued = 1 << 16
	}
	if opts.MaxGroup == 0 {
		opts.MaxGroup = 4096
	}
	if opts.Observer == nil {
		opts.Observer = nobody{}
	}
	s := &Sequencer{
		opts:    opts,
		queue:   make(chan *Call, opts.MaxQueued),
		control: make(chan func()),
		stopped: make(chan struct{}),
		answers: make(chan answer, 64),
		books:   opts.Books,
		head:    opts.Head,
		agendas: make(agendas),
		running: make(map[events.TestClockID][]*Call),
	}
	s.group.keys = make(map[events.DedupeKey]int)
	s.applied.Store(uint64(opts.Head.Seq))
	s.noteAll()
	return s
}

type nobody struct{}

func (nobody) Group(int)       {}
func (nobody) Rejected(Code)   {}
func (nobody) Due(events.Time) {}

// Submit gives a call to the sequencer. It does not wait: a full queue is a [*Rejection] with code
// [Busy], a closed or failed sequencer one with [ShuttingDown] or [LedgerFailed]. Then Done is not called.
func (s *Sequencer) Submit(call *Call) error {
	n := int64(len(call.Requests))
	if s.queued.Add(n) > int64(s.opts.MaxQueued) {
		s.queued.Add(-n)
		return Reject(Busy, "%d requests are waiting already", s.opts.MaxQueued)
	}
	if s.Err() != nil {
		s.queued.Add(-n)
		return Reject(LedgerFailed, "the ledger has failed; nothing was taken")
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		s.queued.Add(-n)
		return Reject(ShuttingDown, "the ledger is shutting down")
	}
	select {
	case s.queue <- call:
		return nil
	default: // calls without requests count nothing, and could fill the channel
		s.queued.Add(-n)
		return Reject(Busy, "the queue is full")
	}
}

// Do carries out one request and waits for its receipt. If ctx ends first, the outcome is unknown.
func (s *Sequencer) Do(ctx context.Context, r Request) (Receipt, error) {
	done := make(chan Receipt, 1)
	if err := s.Submit(&Call{Requests: []Request{r}, Done: func(rs []Receipt) { done <- rs[0] }}); err != nil {
		return Receipt{}, err
	}
	select {
	case receipt := <-done:
		return receipt, nil
	case <-ctx.Done():
		return Receipt{}, fmt.Errorf("awaiting the receipt; repeat with the same idempotency key to learn the outcome: %w", ctx.Err())
	}
}

// Queued returns how many requests wait.
func (s *Sequencer) Queued() int { return int(s.queued.Load()) }

// Applied returns the last sequence that was decided. It may not be durable yet.
func (s *Sequencer) Applied() events.Seq { return events.Seq(s.applied.Load()) }

// Err returns why the sequencer has stopped carrying out commands, or nil.
func (s *Sequencer) Err() error {
	if p := s.failed.Load(); p != nil {
		return *p
	}
	return nil
}

func (s *Sequencer) fail(err error) {
	if s.failed.CompareAndSwap(nil, &err) {
		s.opts.Logger.Error("the ledger has failed; it must be restarted", "error", err)
	}
}

// Stop lets Run carry out what was taken, answer it, and return.
func (s *Sequencer) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.queue)
	}
}

// Run carries out commands until Stop, and returns when all that was taken is answered. It owns the
// books from its call on.
//
// The end of ctx is no orderly one: it gives up waiting for the disk, so that what is in flight is answered with
// [LedgerFailed], and so is all that comes after it until Stop.
func (s *Sequencer) Run(ctx context.Context) {
	s.eased = make(chan struct{}, 1)
	var answering sync.WaitGroup
	answering.Go(func() { s.answer(ctx) })
	s.loop()
	s.release()
	s.handOver()
	close(s.answers)
	answering.Wait()
	close(s.stopped)
}

func (s *Sequencer) loop() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if rest := s.rest(); rest > 0 {
			timer.Reset(rest)
			<-timer.C
		}
		more := s.turn(nil)
		wait := s.untilDue(more)
		if more && s.dueUnder.Load() < maxDueUnder {
			wait = max(s.dueAfter.Sub(s.opts.Clock()), 0) // take what is there, and go on with what is due
		}
		timer.Reset(wait)
		select {
		case call, ok := <-s.queue:
			if !ok {
				return
			}
			s.turn(call)
		case fn := <-s.control:
			fn()
		case <-s.eased: // what is due can go on, if there is any
		case <-timer.C:
		}
	}
}

// rest returns how long to let requests gather before the next group. Each group costs a batch, a sync and a wake-up of
// everybody downstream, however small it is; so where many ask for little at once, groups that follow each other at once would
// spend the processor on that. The rest grows with the group before, of which there must have been others to wait for: a client alone
// never waits, and neither does anybody behind a large group.
func (s *Sequencer) rest() time.Duration {
	const each, small = 50 * time.Microsecond, 256
	n := s.lately
	s.lately = 0
	if n < 2 || n > small {
		return 0
	}
	return min(time.Duration(n)*each, s.opts.Gather)
}

// untilDue returns how long nothing falls due.
func (s *Sequencer) untilDue(more bool) time.Duration {
	const longest = time.Minute // the clock may be set
	if more || !s.complete || s.Err() != nil {
		return longest
	}
	at := s.agendas.soonest(events.TestClockID{})
	s.opts.Observer.Due(at)
	if at == 0 {
		return longest
	}
	return min(max(at.Std().Sub(s.opts.Clock()), 0), longest)
}

// maxGroupBytes is about how many bytes of records a group may come to (D5).
const maxGroupBytes = 4 << 20

// turn carries out a call and what waits behind it, and a slice of what is due, as one group.
// It reports whether more is due already.
func (s *Sequencer) turn(call *Call) (more bool) {
	defer func() {
		if p := recover(); p != nil {
			s.opts.Logger.Error("the sequencer broke", "stack", string(debug.Stack()))
			s.fail(fmt.Errorf("deciding: %w", asError(p)))
			s.handOver()
			more = false
		}
	}()
	for call != nil {
		s.lately += len(call.Requests)
		s.asked = s.opts.Clock()
		s.carryOut(call)
		if len(s.group.records) >= s.opts.MaxGroup || s.group.bytes >= maxGroupBytes {
			break
		}
		select {
		case call = <-s.queue: // nil when it is closed and empty
		default:
			call = nil
		}
	}
	more = s.dueSlice()
	if len(s.group.records) > 0 && s.Err() == nil {
		s.opts.Observer.Group(len(s.group.records))
		if err := s.opts.Log.Append(s.group.records); err != nil {
			s.fail(fmt.Errorf("appending: %w", err))
		}
	}
	s.handOver()
	return more && s.Err() == nil
}

// asError returns what a panic was called with as an error.
func asError(p any) error {
	if err, ok := p.(error); ok {
		return err
	}
	return fmt.Errorf("%v", p)
}
