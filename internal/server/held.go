package server

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/ledger/keyring"
	"tallystick/projections"
)

// attaching bills events that are held, once there is the customer for whom they are (see commands.AttachEvent). What to look at it
// is told by what is recorded; nothing of it needs to be stored, since the events that are left are in the books.
type attaching struct {
	s *Server

	wake chan struct{} // has room for one

	mu    sync.Mutex                   // guards the fields below
	news  map[projections.Subject]bool // to be looked at
	stuck map[projections.Subject]bool // with a customer that could not be billed
	again bool                         // those are to be looked at too
	busy  bool
	noted events.Seq // the last record of which note was told
}

func newAttaching(s *Server) *attaching {
	return &attaching{
		s: s, wake: make(chan struct{}, 1),
		news: make(map[projections.Subject]bool), stuck: make(map[projections.Subject]bool),
	}
}

// note takes the next record of the log.
func (a *attaching) note(rec *events.Record) {
	switch e := any(rec.Event).(type) {
	case events.EventHeld:
		a.look(projections.Subject{A: rec.Merchant, B: e.External})
	case events.CustomerCreated:
		a.look(projections.Subject{A: rec.Merchant, B: e.External})
	case events.CustomerUpdated:
		a.look(projections.Subject{A: rec.Merchant, B: e.External})
	case events.SubscriptionCreated, events.SubscriptionActivated, events.ClockAdvanced, events.WalletToppedUp, events.PaymentReceived, events.ChargeSucceeded:
		a.retry()
	default: // the others change nothing for an event that is held
	}
}

func (a *attaching) look(of projections.Subject) {
	if of.B.IsZero() {
		return
	}
	a.mu.Lock()
	a.news[of] = true
	a.mu.Unlock()
	a.signal()
}

// retry has those looked at again that could not be billed. What is being looked at may turn out to be one of them, for what stood before.
func (a *attaching) retry() {
	a.mu.Lock()
	a.again = a.busy || len(a.stuck) > 0
	again := a.again
	a.mu.Unlock()
	if again {
		a.signal()
	}
}

func (a *attaching) signal() {
	select {
	case a.wake <- struct{}{}:
	default: // it is awake
	}
}

// idle reports whether all is done that follows from the records up to a sequence.
func (a *attaching) idle(seq events.Seq) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.noted >= seq && len(a.news) == 0 && !a.again && !a.busy
}

// Attached reports whether the events that are held are billed, as far as the records up to a sequence allow it.
func (s *Server) Attached(seq events.Seq) bool { return s.attaching.idle(seq) }

// advance says that note was told of all records up to a sequence.
func (a *attaching) advance(seq events.Seq) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.noted = seq
}

// take returns what is to be looked at.
func (a *attaching) take() []projections.Subject {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.again {
		for of := range a.stuck {
			a.news[of] = true
		}
		clear(a.stuck)
		a.again = false
	}
	a.busy = true
	list := make([]projections.Subject, 0, len(a.news))
	for of := range a.news {
		list = append(list, of)
	}
	clear(a.news)
	return list
}

// run bills what can be billed until ctx ends or the ledger takes no more commands. It takes a tenth of the time at most, so that many
// that cannot be billed are not tried again at each top-up of another.
func (a *attaching) run(ctx context.Context) {
	if a.s.unheld(ctx) != nil {
		return
	}
	if err := a.s.Queries.EachWaiting(ctx, a.look); err != nil && ctx.Err() == nil {
		a.s.cfg.Logger.Error("events that are held from before are not billed until the next start", "error", err)
	}
	for {
		select {
		case <-a.wake:
		case <-ctx.Done():
			return
		}
		began := a.s.cfg.Clock()
		for _, of := range a.take() {
			if err := a.attach(ctx, of); err != nil {
				if ctx.Err() == nil && commands.CodeOf(err) != commands.ShuttingDown {
					a.s.cfg.Logger.Error("events that are held are not billed until the next start", "error", err)
				}
				return
			}
		}
		a.rest()
		select {
		case <-time.After(max(9*a.s.cfg.Clock().Sub(began), 10*time.Millisecond)):
		case <-ctx.Done():
			return
		}
	}
}

func (a *attaching) rest() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy = false
}

// attach bills the events that are held for somebody, in their order, as far as they can be billed now.
func (a *attaching) attach(ctx context.Context, of projections.Subject) error {
	if err := a.s.directory.views.Wait(ctx, a.s.Sequencer.Applied()); err != nil {
		return err
	}
	held, err := a.s.Queries.HeldFor(ctx, of)
	if err != nil {
		return err
	}
	d := a.s.decoders.Get().(*wire.Decoder)
	defer a.s.decoders.Put(d)
	for _, seq := range held {
		rec, err := a.s.Log.Record(seq)
		if err != nil {
			return err
		}
		request, found, err := d.Attach(ctx, &rec, rec.Event.(events.EventHeld))
		switch {
		case errors.Is(err, keyring.ErrErased): // they are discarded
			return nil
		case err != nil && ctx.Err() == nil: // the others can be billed all the same
			a.s.cfg.Logger.Error("an event that is held cannot be read; it waits until the next start", "sequence", seq, "error", err)
			return nil
		case err != nil:
			return err
		case !found:
			return nil
		}
		receipt, err := a.s.Sequencer.Do(ctx, request)
		if err != nil && commands.CodeOf(err) != commands.Busy {
			return err
		}
		switch code := cmp.Or(receipt.Code, commands.CodeOf(err)); code {
		case "": // and the next
		case commands.ShuttingDown, commands.LedgerFailed:
			return commands.Reject(code, "%s", receipt.Message)
		case commands.Busy:
			a.look(of)
			return nil
		default: // something has to come first
			a.mu.Lock()
			a.stuck[of] = true
			a.mu.Unlock()
			return nil
		}
	}
	return nil
}
