package payments

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/projections"
)

// Cursor is the name under which the log keeps how far charges are settled.
const Cursor = "payments"

// Follower gives the durable records of a log in order, and waits for more.
type Follower interface {
	Next(ctx context.Context) ([]events.Record, error)
}

// Options are what a [Runner] works with. Those without a default must be given.
type Options struct {
	Providers map[string]Provider // by name
	Follow    func(from events.Seq) Follower
	From      events.Seq // the cursor
	Save      func(events.Seq) error
	// Settle records what became of a charge.
	Settle   func(context.Context, commands.SettleCharge) (commands.Receipt, error)
	Logger   *slog.Logger
	Parallel int                            // charges under way at a time; default 8
	Pause    func(try int) <-chan time.Time // before a charge is asked about again; default from 0.1 s to a minute
}

// Runner has charges carried out. See the package comment.
type Runner struct {
	opts Options
	gate chan struct{}

	mu      sync.Mutex // guards the field below
	pending map[events.ChargeID]events.Seq
	running sync.WaitGroup
}

// New returns a runner.
func New(opts Options) *Runner {
	if opts.Parallel == 0 {
		opts.Parallel = 8
	}
	if opts.Pause == nil {
		opts.Pause = func(try int) <-chan time.Time {
			return time.After(min(100*time.Millisecond<<min(try, 10), time.Minute))
		}
	}
	return &Runner{opts: opts, gate: make(chan struct{}, opts.Parallel), pending: make(map[events.ChargeID]events.Seq)}
}

// Run carries out charges until ctx ends or the log does.
func (r *Runner) Run(ctx context.Context) {
	defer r.running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	follower := r.opts.Follow(r.opts.From + 1)
	saved := r.opts.From
	for {
		records, err := follower.Next(ctx)
		if err != nil {
			return // the log reports its failure itself
		}
		for _, q := range r.take(records) {
			r.running.Go(func() { r.carryOut(ctx, q) })
		}
		// A cursor that lags costs nothing but reading: it moves when a charge is settled, or after many records.
		done := r.done(records[len(records)-1].Seq)
		if settles(records) || done-saved >= 100_000 {
			if err := r.opts.Save(done); err != nil {
				return
			}
			saved = done
		}
	}
}

// take notes what records say of charges, and returns the charges that are to be carried out.
func (r *Runner) take(records []events.Record) (todo []events.ChargeRequested) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var requested []events.ChargeRequested
	for i := range records {
		if q, ok := records[i].Event.(events.ChargeRequested); ok {
			r.pending[q.Charge] = records[i].Seq
			requested = append(requested, q)
		} else if id := settled(records[i].Event); !id.IsZero() {
			delete(r.pending, id)
		}
	}
	for _, q := range requested {
		if _, left := r.pending[q.Charge]; left {
			todo = append(todo, q)
		}
	}
	return todo
}

// settled returns the charge whose outcome an event is, zero for other events.
func settled(e events.Event) (id events.ChargeID) {
	if e, ok := e.(events.ChargeSucceeded); ok {
		return e.Charge
	}
	if e, ok := e.(events.ChargeFailed); ok {
		return e.Charge
	}
	if e, ok := e.(events.ChargeActionRequired); ok {
		return e.Charge
	}
	return id
}

func settles(records []events.Record) bool {
	for i := range records {
		if !settled(records[i].Event).IsZero() {
			return true
		}
	}
	return false
}

// done returns the last record behind which no charge is open, given the last one that was taken.
func (r *Runner) done(last events.Seq) events.Seq {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, seq := range r.pending {
		last = min(last, seq-1)
	}
	return last
}

// carryOut has one charge carried out, and its outcome recorded. It gives up when ctx ends or the ledger takes no more
// commands: the charge is found again after the next start.
func (r *Runner) carryOut(ctx context.Context, q events.ChargeRequested) {
	select {
	case r.gate <- struct{}{}:
		defer func() { <-r.gate }()
	case <-ctx.Done():
		return
	}
	out, ok := r.outcome(ctx, q)
	if !ok {
		return
	}
	cmd := commands.SettleCharge{Charge: q.Charge, Reference: out.Reference, Code: out.Code}
	switch out.Status {
	case Succeeded:
		cmd.Status = projections.ChargeSucceeded
	case ActionRequired:
		cmd.Status = projections.ChargeActionRequired
	case Declined, Processing:
		cmd.Status = projections.ChargeFailed
	}
	for try := 0; ; try++ {
		receipt, err := r.opts.Settle(ctx, cmd)
		if err == nil && receipt.Status != commands.Rejected {
			return
		}
		code := receipt.Code
		if err != nil {
			code = commands.CodeOf(err)
		}
		if code == commands.LedgerFailed || code == commands.ShuttingDown || !r.wait(ctx, try) {
			return
		}
		r.opts.Logger.Warn("the outcome of a charge is not recorded yet", "charge", q.Charge, "code", code, "message", receipt.Message, "error", err)
	}
}

// outcome asks the provider until it knows.
func (r *Runner) outcome(ctx context.Context, q events.ChargeRequested) (Outcome, bool) {
	p := r.opts.Providers[q.Provider]
	if p == nil {
		return Outcome{Status: Declined, Code: "no_such_provider"}, true
	}
	c := Charge{
		Key: q.Charge.String(), Card: q.Card, Amount: q.Amount, Currency: q.Currency, OffSession: q.OffSession, Confirms: q.Confirms.String(),
	}
	out, err := p.Charge(ctx, c)
	for try := 0; err != nil || out.Status == Processing; try++ {
		if err != nil {
			r.opts.Logger.Warn("the outcome of a charge is not known; asking for it", "charge", q.Charge, "error", err)
		}
		if !r.wait(ctx, try) {
			return out, false
		}
		known := false
		if out, known, err = p.Outcome(ctx, c.Key); err == nil && !known {
			out, err = p.Charge(ctx, c)
		}
	}
	return out, true
}

// wait waits before another try, and reports whether there is to be one.
func (r *Runner) wait(ctx context.Context, try int) bool {
	select {
	case <-r.opts.Pause(try):
		return true
	case <-ctx.Done():
		return false
	}
}
