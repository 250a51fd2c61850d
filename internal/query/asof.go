package query

import (
	"context"
	"errors"
	"fmt"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// resolve returns the sequence that at names. rows are the newest books.
func (s *Service) resolve(ctx context.Context, who wire.Who, at At, rows Rows) (events.Seq, error) {
	switch {
	case at.AsOf != 0:
		return at.AsOf, nil
	case at.Clock.IsZero():
		seq, err := s.opts.Log.SeqAt(at.AsOfTime)
		return min(seq, rows.Sequence()), err
	}
	var seq events.Seq
	err := guard(func() (err error) {
		seq, err = s.reading(rows, who).seqOnClock(ctx, at.Clock, at.AsOfTime)
		return err
	})
	return seq, err
}

// seqOnClock returns the last record of the time when a test clock showed t: everything that was
// reported while it stood at t or earlier, and every due action up to t.
//
// The clock's journal lists when it was made, set out for somewhere, and arrived. Between an arrival and the next setting
// out it stands still.
func (r *reading) seqOnClock(ctx context.Context, clock events.TestClockID, t events.Time) (events.Seq, error) {
	row := r.books.Clocks.Get(clock)
	if row == nil || !r.who.sees(row.Merchant) {
		return 0, missing("test clock", clock.String())
	}
	existed := false
	var from, end events.Seq = 0, r.seq + 1 // the way on which it passed t, if it did
	err := r.journal(journalOfClock(clock), 0, func(seq events.Seq) error {
		rec, err := r.opts.Log.Record(seq)
		if err != nil {
			return err
		}
		if e, ok := rec.Event.(events.ClockAdvancing); ok {
			if e.To > t {
				from = seq
			}
			return nil
		}
		if shows(rec.Event) <= t {
			existed = true
			return errStop
		}
		end = seq
		return nil
	})
	switch {
	case err != nil:
		return 0, err
	case !existed:
		return 0, commands.Reject(commands.Invalid, "test clock %s did not exist at %s", clock, t)
	case from == 0:
		return r.seq, nil
	}
	return r.lastUntil(ctx, clock, t, from, end)
}

// lastUntil returns the last record of the due actions up to t, of the way of a clock that began with record from and ended
// before record end; the one before from if there are none. Due actions of one clock are carried out in the order of time.
func (r *reading) lastUntil(ctx context.Context, clock events.TestClockID, t events.Time, from, end events.Seq) (events.Seq, error) {
	last := from - 1
	err := r.opts.Log.ScanBytes(ctx, from, end-1, func(seq events.Seq, b []byte) error {
		rec, err := events.DecodeUnhashed(b)
		switch {
		case err != nil:
			return fmt.Errorf("record %d: %w", seq, err)
		case rec.Actor.Kind != events.ActorDue || r.clockOf(rec.Event) != clock:
			return nil
		case rec.At > t:
			return errStop
		}
		last = seq
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return last, err
}

// shows returns what a test clock shows since an event.
func shows(e events.Event) events.Time {
	if created, ok := e.(events.ClockCreated); ok {
		return created.Now
	}
	if arrived, ok := e.(events.ClockAdvanced); ok {
		return arrived.To
	}
	return 0
}

// clockOf returns the clock of the subscription, or the entitlement, that a due action is about.
func (r *reading) clockOf(e events.Event) events.TestClockID {
	if sub := r.books.Subscriptions.Get(subscriptionOf(e)); sub != nil {
		return sub.Clock
	}
	if ent := r.books.Entitlements.Get(entitlementOf(e)); ent != nil {
		return ent.Clock
	}
	return events.TestClockID{}
}

// entitlementOf returns the entitlement that a due action is about, zero for what is no due action on one.
func entitlementOf(e events.Event) (id events.EntitlementID) {
	switch e := e.(type) {
	case events.EntitlementEnded:
		return e.Entitlement
	case events.EntitlementReset:
		return e.Entitlement
	case events.GrantIssued:
		return e.Entitlement
	case events.GrantRenewed:
		return e.Entitlement
	case events.DueFailed:
		return e.Entitlement
	default:
		return id
	}
}

// subscriptionOf returns the subscription that a due action is about, zero for what is no due action.
func subscriptionOf(e events.Event) (id events.SubscriptionID) {
	switch e := e.(type) {
	case events.InvoiceOpened:
		return e.Subscription
	case events.InvoiceClosing:
		return e.Subscription
	case events.InvoiceLineClosed:
		return e.Subscription
	case events.InvoiceIssued:
		return e.Subscription
	case events.InvoicePaid:
		return e.Subscription
	case events.InvoiceCancelled:
		return e.Subscription
	case events.InvoicePaymentFailed:
		return e.Subscription
	case events.InvoiceDrafted:
		return e.Subscription
	case events.FeeCharged:
		return e.Subscription
	case events.SubscriptionTerminated:
		return e.Subscription
	case events.DueFailed:
		return e.Subscription
	case events.ReservationReleased:
		return e.Subscription
	case events.AuthorizationOpened:
		return e.Subscription
	case events.SubscriptionAuthorized:
		return e.Subscription
	case events.SubscriptionActivated:
		return e.Subscription
	case events.SubscriptionReminded:
		return e.Subscription
	case events.WalletEmptied:
		return e.Subscription
	case events.SubscriptionUpdated:
		return e.Subscription
	case events.SessionOpened:
		return e.Subscription
	case events.ChargeRequested:
		return e.Subscription
	case events.SessionEnded, events.ChargeSucceeded, events.ChargeFailed, events.ChargeActionRequired, events.MethodStored,
		events.MethodRemoved, events.TopUpRequested, events.TopUpEnded, events.PaymentCreated, events.PaymentReceived:
		// their clock is that of what they name
	case events.LedgerOpened, events.KeyCreated, events.KeyRevoked, events.MerchantCreated, events.MerchantUpdated,
		events.ProductCreated, events.MetricCreated, events.PriceCreated, events.PlanCreated,
		events.ProductUpdated, events.MetricUpdated, events.FeeCreated, events.FeeUpdated, events.FeeDeleted,
		events.PriceRevised, events.PriceDeleted, events.PlanUpdated, events.UsageRefunded, events.UsageCorrected, events.LineItemAdded,
		events.InvoiceWrittenOff, events.InvoiceRefunded, events.InvoiceRefundVoided,
		events.ConsumerCreated, events.ConsumerErased, events.CustomerCreated, events.WalletOpened, events.WalletToppedUp,
		events.SubscriptionCreated, events.FeatureCreated, events.FeatureUpdated, events.FeatureDeleted,
		events.EntitlementIssued, events.EntitlementEnded, events.EntitlementReset, events.EntitlementUsed, events.GrantIssued, events.GrantRenewed, events.GrantVoided, events.GrantOrdered, events.ReservationCreated,
		*events.UsageReported, events.ClockCreated, events.ClockAdvancing, events.ClockAdvanced,
		events.ClockDeleted, events.CustomerUpdated, events.CustomerDeleted, events.ConsumerUpdated,
		events.AuthorizationEnded, events.MerchantAuthorized, events.AuthorizationWithdrawn, events.ConsumerClaimed,
		events.UserCreated, events.UserUpdated, events.UserSignedIn, events.UserSignedOut, events.PasskeyAdded, events.PasskeyRemoved, events.PasskeyUsed, events.PortalOpened, events.PortalRevoked,
		events.DisputeOpened, events.DisputeResolved, events.AlertCreated, events.AlertRaised, events.AlertRearmed, events.EventHeld, events.EventReleased, events.HeldDiscarded:
	}
	return id
}

// journalOfClock returns the key of a clock's journal.
func journalOfClock(c events.TestClockID) projections.JournalKey {
	key := projections.JournalKey{What: projections.JournalOfClock}
	copy(key.ID[:], c[:])
	return key
}
