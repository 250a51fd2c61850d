package commands

import (
	"context"
	"errors"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// A group takes about maxDueSlice records of due actions at most besides those of commands, or what can be decided in maxDueTime, and
// there are at most maxDueUnder groups with such records on their way to the disk: so a month's end does not hold up usage,
// which would wait behind all of them (D13). And while there are commands, due actions rest dueRest times as long as they took: all that
// follows from them, such as the views, takes its part of the processor too, and usage crosses a dozen goroutines on its way, each of which has
// to wait for its turn where the processor is always busy.
const (
	maxDueSlice = 256
	maxDueTime  = 300 * time.Microsecond
	maxDueUnder = 2
	dueRest     = 10
	dueLately   = 100 * time.Millisecond // how long ago a command counts
)

// noteDue enters what falls due on the subscription that an event is about.
func (s *Sequencer) noteDue(e events.Event) {
	switch e := e.(type) {
	case *events.UsageReported:
	case events.InvoiceOpened:
		s.noteNext(onSubscription(e.Subscription))
	case events.InvoiceClosing:
		s.noteNext(onSubscription(e.Subscription))
	case events.InvoiceIssued:
		s.noteNext(onSubscription(e.Subscription))
	case events.InvoiceCancelled:
		s.noteNext(onSubscription(e.Subscription))
	case events.InvoicePaymentFailed:
		s.noteNext(onBill(e.Invoice))
	case events.InvoiceDrafted:
		s.noteNext(onSubscription(e.Subscription))
	case events.FeeCharged, events.UsageRefunded, events.UsageCorrected, events.LineItemAdded, events.InvoiceWrittenOff,
		events.InvoiceRefunded, events.InvoiceRefundVoided:
		// nothing falls due sooner
	case events.ReservationCreated:
		s.noteNext(onReservation(e.Reservation))
	case events.EntitlementIssued:
		s.noteNext(onEntitlement(e.Entitlement))
	case events.EntitlementReset:
		s.noteNext(onEntitlement(e.Entitlement))
	case events.GrantIssued:
		s.noteNext(onEntitlement(e.Entitlement))
	case events.GrantRenewed:
		s.noteNext(onEntitlement(e.Entitlement))
	case events.FeatureCreated, events.FeatureUpdated, events.FeatureDeleted, events.EntitlementEnded, events.EntitlementUsed, events.GrantVoided, events.GrantOrdered:
		// nothing falls due sooner
	case events.ClockAdvancing:
		s.run(e.Clock)
	case events.SubscriptionUpdated:
		s.noteNext(onSubscription(e.Subscription))
	case events.SubscriptionReminded:
		s.noteNext(onSubscription(e.Subscription))
	case events.SessionOpened:
		s.noteNext(onSession(e.Session))
	case events.ChargeSucceeded:
		s.noteCharge(e.Charge)
	case events.ChargeFailed:
		s.noteCharge(e.Charge)
	case events.ChargeActionRequired:
		s.noteCharge(e.Charge)
	case events.SessionEnded, events.ChargeRequested, events.MethodStored, events.MethodRemoved, events.TopUpRequested,
		events.TopUpEnded, events.PaymentCreated, events.PaymentReceived:
		// nothing falls due sooner
	case events.LedgerOpened, events.KeyCreated, events.KeyRevoked, events.MerchantCreated, events.MerchantUpdated,
		events.ProductCreated, events.MetricCreated, events.PriceCreated, events.PlanCreated, events.ProductUpdated,
		events.MetricUpdated, events.FeeCreated, events.FeeUpdated, events.FeeDeleted, events.PriceRevised, events.PriceDeleted, events.PlanUpdated,
		events.ConsumerCreated, events.ConsumerErased, events.CustomerCreated, events.WalletOpened, events.WalletToppedUp,
		events.ReservationReleased, events.InvoiceLineClosed, events.InvoicePaid, events.ClockCreated, events.ClockAdvanced, events.DueFailed,
		events.ClockDeleted, events.CustomerUpdated, events.CustomerDeleted, events.ConsumerUpdated,
		events.AuthorizationEnded, events.MerchantAuthorized, events.AuthorizationWithdrawn,
		events.ConsumerClaimed, events.UserCreated, events.UserUpdated, events.UserSignedIn, events.UserSignedOut, events.PasskeyAdded, events.PasskeyRemoved, events.PasskeyUsed, events.PortalOpened, events.PortalRevoked,
		events.DisputeOpened, events.DisputeResolved, events.AlertCreated, events.AlertRaised, events.AlertRearmed, events.WalletEmptied,
		events.EventHeld, events.EventReleased, events.HeldDiscarded:
		// nothing falls due sooner
	case events.SubscriptionCreated:
		if e.Pending {
			s.noteNext(onSubscription(e.Subscription))
		}
	case events.AuthorizationOpened:
		s.noteNext(onAuthorization(e.Authorization))
	case events.SubscriptionAuthorized, events.SubscriptionActivated, events.SubscriptionTerminated:
		// what follows on the invoices of its periods says it
	}
}

// noteCharge enters what falls due once a charge is settled: its session may have expired meanwhile, and its clock goes on.
func (s *Sequencer) noteCharge(id events.ChargeID) {
	q := &s.books.Charges.Get(id).Requested
	if !q.Session.IsZero() {
		s.noteNext(onSession(q.Session))
	}
	if !q.Invoice.IsZero() {
		s.noteNext(onBill(q.Invoice))
	}
	if !q.Clock.IsZero() {
		s.run(q.Clock)
	}
}

// noteNext enters what falls due next on a subject, and lets its clock run if that is due already.
func (s *Sequencer) noteNext(on subject) {
	next, clock := s.agendas.note(s.books, on)
	if !clock.IsZero() && next.at != 0 && next.at <= s.books.Clocks.Get(clock).Now {
		s.run(clock)
	}
}

// noteAll enters what falls due on everything that is in memory.
func (s *Sequencer) noteAll() {
	s.books.Subscriptions.Each(func(id events.SubscriptionID, _ *projections.Subscription) bool {
		s.agendas.note(s.books, onSubscription(id))
		return true
	})
	s.books.Reservations.Each(func(id events.ReservationID, _ *projections.Reservation) bool {
		s.agendas.note(s.books, onReservation(id))
		return true
	})
	s.books.Sessions.Each(func(id events.SessionID, _ *projections.Session) bool {
		s.agendas.note(s.books, onSession(id))
		return true
	})
	s.books.Authorizations.Each(func(id events.AuthorizationID, _ *projections.Authorization) bool {
		s.agendas.note(s.books, onAuthorization(id))
		return true
	})
	s.books.Entitlements.Each(func(id events.EntitlementID, _ *projections.Entitlement) bool {
		s.agendas.note(s.books, onEntitlement(id))
		return true
	})
	s.books.Bills.Each(func(id events.InvoiceID, _ *projections.Bill) bool {
		s.agendas.note(s.books, onBill(id))
		return true
	})
}

// noteRow enters what falls due on a stored row that was taken in, given its whole key.
func (s *Sequencer) noteRow(key []byte) {
	if key[0] == s.books.Subscriptions.ID {
		s.agendas.note(s.books, onSubscription(events.SubscriptionID(key[1:])))
	}
	if key[0] == s.books.Reservations.ID {
		s.agendas.note(s.books, onReservation(events.ReservationID(key[1:])))
	}
	if key[0] == s.books.Sessions.ID {
		s.agendas.note(s.books, onSession(events.SessionID(key[1:])))
	}
	if key[0] == s.books.Authorizations.ID {
		s.agendas.note(s.books, onAuthorization(events.AuthorizationID(key[1:])))
	}
	if key[0] == s.books.Entitlements.ID {
		s.agendas.note(s.books, onEntitlement(events.EntitlementID(key[1:])))
	}
	if key[0] == s.books.Bills.ID {
		s.agendas.note(s.books, onBill(events.InvoiceID(key[1:])))
	}
}

// run has a test clock's due actions carried out until none is left.
func (s *Sequencer) run(clock events.TestClockID) {
	if _, ok := s.running[clock]; !ok {
		s.running[clock] = nil
	}
}

// dueSlice carries out due actions, of real time and of test clocks, until the group has enough. It reports
// whether more are due already.
func (s *Sequencer) dueSlice() (more bool) {
	if !s.complete || s.Err() != nil {
		return false
	}
	start := s.opts.Clock()
	if s.dueUnder.Load() >= maxDueUnder || start.Before(s.dueAfter) {
		return true
	}
	before := len(s.group.records)
	defer func() {
		s.group.due = len(s.group.records) > before
		if end := s.opts.Clock(); end.Sub(s.asked) < dueLately {
			s.dueAfter = end.Add(dueRest * end.Sub(start))
		}
	}()
	s.tick()
	more = s.carryOutUntil(events.TestClockID{}, s.now)
	clocks := slices.SortedFunc(maps.Keys(s.running), func(a, b events.TestClockID) int { return slices.Compare(a[:], b[:]) })
	for _, clock := range clocks {
		row := s.books.Clocks.Get(clock)
		if row.Charging > 0 {
			continue // what follows depends on how the charge comes out
		}
		if s.carryOutUntil(clock, max(row.Now, row.To)) {
			return true // the clocks behind it have their turn when it has arrived
		}
		s.arrive(clock, row)
	}
	return more
}

// carryOutUntil carries out what is due on a clock at a time, in the order of (time, creation), but no more than
// a slice. It reports whether it stopped for that.
func (s *Sequencer) carryOutUntil(clock events.TestClockID, now events.Time) (more bool) {
	limit := len(s.group.records) + maxDueSlice
	end := s.opts.Clock().Add(maxDueTime)
	for i := range maxDueSlice { // for entries that are out of date too
		if i%8 == 7 && s.opts.Clock().After(end) {
			return true
		}
		d, ok := s.agendas.take(clock, now)
		if !ok {
			return false
		}
		if next, _ := nextDueOn(s.books, d.on); next.at == d.at {
			s.carryOutDue(d.on)
		}
		if row := s.books.Clocks.Get(clock); row != nil && row.Charging > 0 {
			return true
		}
		if len(s.group.records) >= limit {
			return true
		}
	}
	return true
}

// carryOutDue records what follows from the time having come on a subject.
func (s *Sequencer) carryOutDue(on subject) {
	c := Context{Now: s.now, ID: s.newID(), Actor: events.Actor{Kind: events.ActorDue}}
	err := s.tryDue(c, on)
	if err == nil {
		if r := s.record(c, nil, ""); r != nil {
			err = r
		}
	}
	if err != nil {
		s.park(c, on, err)
	}
}

// tryDue decides what is due. A rule that breaks halts this one subject, not the ledger:
// deciding changes nothing, so it is safe to go on (D13).
func (s *Sequencer) tryDue(c Context, on subject) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = broken(p)
			s.opts.Logger.Error("a rule broke", "due on", on, "error", err, "stack", string(debug.Stack()))
		}
	}()
	s.dec.reset()
	decideDue(s.books, c, on, &s.dec)
	emptyWallets(s.books, &s.dec)
	raiseAlerts(s.books, &s.dec)
	if len(s.dec.drafts) == 0 {
		return errors.New("nothing follows from it")
	}
	return nil
}

// park records that what is due on a subject cannot be carried out, and halts it.
func (s *Sequencer) park(c Context, on subject, err error) {
	next, _ := nextDueOn(s.books, on)
	s.opts.Logger.Error("a due action is parked", "due on", on, "action", next.kind, "due", next.at, "error", err)
	const most = 1 << 10
	message := err.Error()
	message = strings.ToValidUTF8(message[:min(len(message), most)], "")
	s.dec.reset()
	e := events.DueFailed{Action: next.kind.String(), Due: next.at, Code: string(Internal), Message: message}
	switch on.kind {
	case noSubject:
	case subjectSubscription:
		e.Subscription = events.SubscriptionID(on.id)
	case subjectReservation:
		e.Reservation = events.ReservationID(on.id)
	case subjectEntitlement:
		e.Entitlement = events.EntitlementID(on.id)
	case subjectSession:
		e.Session = events.SessionID(on.id)
	case subjectAuthorization:
		e.Authorization = events.AuthorizationID(on.id)
	case subjectInvoice:
		e.Invoice = events.InvoiceID(on.id)
	}
	s.dec.drafts = append(s.dec.drafts, draft{event: e, at: next.at, merchant: next.merchant, cause: next.created})
	s.mustRecord(c)
}

// arrive ends the run of a test clock on which nothing is due any more, and the advance if it was one.
func (s *Sequencer) arrive(clock events.TestClockID, row *projections.Clock) {
	if row.To != 0 {
		c := Context{Now: s.now, ID: s.newID(), Actor: events.Actor{Kind: events.ActorDue}}
		s.dec.reset()
		s.dec.drafts = append(s.dec.drafts, draft{
			event: events.ClockAdvanced{Clock: clock, To: row.To}, at: row.To, merchant: row.Merchant, cause: row.Started,
		})
		s.mustRecord(c)
	}
	s.arrived(clock)
	delete(s.running, clock)
}

// Genesis records the first event of a new ledger. It must be called before Run, on books and a log that are empty.
func (s *Sequencer) Genesis(e events.LedgerOpened) error {
	if s.head.Seq != 0 {
		return errors.New("the ledger has its first record already")
	}
	s.tick()
	c := Context{Now: s.now, ID: s.newID(), Actor: events.Actor{Kind: events.ActorOperator}, Operator: true}
	s.dec.reset()
	s.dec.add(c, c.Now, e)
	s.mustRecord(c)
	if err := s.opts.Log.Append(s.group.records); err != nil {
		return err
	}
	seq := s.head.Seq
	s.handOver()
	return s.opts.Log.WaitDurable(context.Background(), seq)
}
