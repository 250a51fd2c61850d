package commands

import (
	"math"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// PaySession pays a payment session with a card, or stores the card where the session is for that. What becomes of it shows
// in the session, once the payment provider has answered.
type PaySession struct {
	Session  events.SessionID
	Provider string        // of the card
	Card     string        // the provider's name for it
	Details  events.Sealed // what the card looks like
	Confirm  bool          // instead of a card: the payer has done what the latest charge asked for
}

// CancelSession ends a payment session that nobody has paid.
type CancelSession struct {
	Session events.SessionID
}

const (
	maxDeclined   = 5                   // charges of a session that may be declined before it has failed for good
	centNanos     = 10_000_000          // of a cent
	maxCharge     = 5_000_000_000_000   // where a merchant has no limit of its own
	minCharge     = 1_000_000_000       // the processor's floor
	maxURL        = 2048                // bytes of a redirect URL
	shortestTerm  = time.Minute         // of a payment session
	longestTerm   = 31 * 24 * time.Hour // likewise
	maxCardName   = 64
	subscribeTerm = 240 * time.Minute // of the session of a new subscription
)

// limitOf returns the most that one payment to a merchant may be, and a wallet's minimum (A31).
func limitOf(m *projections.MerchantRow) events.Nanos {
	if m == nil || m.Settings.AmountLimit == 0 {
		return maxCharge
	}
	return m.Settings.AmountLimit
}

// chargeable refuses an amount that the processor does not take at once, or that is above a limit.
func chargeable(field string, n, limit events.Nanos) *Rejection {
	switch {
	case n%centNanos != 0:
		return wrong(field, "is %s; it may have at most 2 decimals", n)
	case n < minCharge || n > limit:
		return wrong(field, "is %s; it must be from %s to %s", n, events.Nanos(minCharge), limit)
	}
	return nil
}

// cents rounds an amount up to whole cents, and to the least that the processor takes. Nothing stays nothing.
func cents(n events.Nanos) events.Nanos {
	if n <= 0 {
		return 0
	}
	whole, fits := wholeCents(n)
	if !fits {
		whole = math.MaxInt64 / centNanos * centNanos
	}
	return max(whole, minCharge)
}

// wholeCents rounds an amount, which is not below zero, up to whole cents, and reports whether it fits then.
func wholeCents(n events.Nanos) (events.Nanos, bool) {
	part := n % centNanos
	if part == 0 {
		return n, true
	}
	return n.Plus(centNanos - part)
}

// redirects refuses URLs that nobody can be sent to.
func redirects(onSuccess, onFailure string) *Rejection {
	return first(optional("successRedirectUrl", onSuccess, maxURL), optional("failureRedirectUrl", onFailure, maxURL))
}

// sessionOf returns a payment session that the actor may act upon, and c in the name of its merchant.
func sessionOf(b *projections.Books, c *Context, id events.SessionID) (*projections.Session, *Rejection) {
	s := b.Sessions.Get(id)
	if s == nil || !c.Operator && (s.Merchant.IsZero() || s.Merchant != c.Merchant) {
		return nil, Reject(NotFound, "no payment session %s", id)
	}
	c.Merchant = s.Merchant
	return s, nil
}

// payable refuses a session that is over, under way, or on a clock that is under way. Where it has expired unnoticed, that
// comes first.
func payable(b *projections.Books, c Context, id events.SessionID, s *projections.Session, d *decision) (now events.Time, r *Rejection) {
	if !s.Clock.IsZero() {
		if r := clockUsable(b, c, s.Clock); r != nil {
			return 0, r
		}
	}
	now = b.ClockNow(s.Clock, c.Now)
	switch s.Status {
	case events.SessionPending:
	case events.SessionExpired:
		return 0, Reject(PaymentSessionExpired, "payment session %s expired at %s", id, s.ExpiresAt)
	case events.SessionProcessing:
		return 0, Reject(Conflict, "payment session %s is being paid; wait for the outcome", id)
	case events.SessionCompleted, events.SessionFailed, events.SessionCancelled:
		return 0, Reject(Conflict, "payment session %s is %s", id, s.Status)
	}
	if s.Parked == "" && s.ExpiresAt != 0 && s.ExpiresAt <= now {
		d.overdue = onSession(id)
	}
	return now, nil
}

func paySession(b *projections.Books, c Context, cmd PaySession, d *decision) *Rejection {
	s, r := sessionOf(b, &c, cmd.Session)
	if r != nil {
		return r
	}
	now, r := payable(b, c, cmd.Session, s, d)
	if r != nil || !d.overdue.isZero() {
		return r
	}
	if bill := b.Bills.Get(s.Invoice); bill != nil && !bill.Charge.IsZero() {
		return Reject(Conflict, "invoice %s is being paid with the stored method; wait for the outcome", s.Invoice)
	}
	e := sessionCharge(cmd.Session, s)
	e.Charge = events.Derive[events.ChargeNoun](c.ID, 4)
	e.Provider, e.Card, e.Details = cmd.Provider, cmd.Card, cmd.Details
	if cmd.Confirm {
		before := b.Charges.Get(s.Charge)
		if before == nil || before.Status != projections.ChargeActionRequired || cmd.Card != "" {
			return Reject(Conflict, "payment session %s waits for a card, not for a confirmation", cmd.Session)
		}
		e.Provider, e.Card, e.Details = before.Requested.Provider, before.Requested.Card, before.Requested.Details
		e.Confirms = before.Requested.Charge
	}
	if r := first(text("card", e.Card, maxCardName), text("provider", e.Provider, maxName)); r != nil {
		return r
	}
	if s.Consumer.IsZero() {
		e.Details = events.Sealed{} // there is nobody under whose key it could be kept
	}
	d.add(c, now, e)
	return nil
}

// sessionCharge returns the charge that pays a session, without a card.
func sessionCharge(id events.SessionID, s *projections.Session) events.ChargeRequested {
	return events.ChargeRequested{
		Amount: s.Amount, Currency: s.Currency, Session: id, Customer: s.Customer, Consumer: s.Consumer,
		Subscription: s.Subscription, Invoice: s.Invoice, Wallet: s.Wallet, TopUp: s.TopUp, Clock: s.Clock,
	}
}

func cancelSession(b *projections.Books, c Context, cmd CancelSession, d *decision) *Rejection {
	s, r := sessionOf(b, &c, cmd.Session)
	if r != nil {
		return r
	}
	now, r := payable(b, c, cmd.Session, s, d)
	if r != nil || !d.overdue.isZero() {
		return r
	}
	endSession(b, c, cmd.Session, s, now, events.SessionCancelled, "", d)
	return nil
}

// endSession ends a session that was not paid, and what waited for it.
func endSession(b *projections.Books, c Context, id events.SessionID, s *projections.Session, at events.Time,
	status events.SessionStatus, code string, d *decision,
) {
	d.add(c, at, events.SessionEnded{Session: id, Status: status, Code: code})
	if !s.TopUp.IsZero() {
		e := events.TopUpEnded{TopUp: s.TopUp, Wallet: s.Wallet, Status: events.TopUpCancelled, Code: code}
		if status == events.SessionFailed {
			e.Status = events.TopUpFailed
		}
		d.add(c, at, e)
	}
	abandon(b, c, s, at, status, d)
}

// openSession adds the opening of a payment session that ends after a term.
func openSession(c Context, now events.Time, term time.Duration, e events.SessionOpened, d *decision) events.SessionID {
	e.Session = events.Derive[events.SessionNoun](c.ID, 3)
	e.ExpiresAt = now.Add(term)
	if e.Mode == "" {
		e.Mode = events.PayMode
	}
	d.add(c, now, e)
	return e.Session
}
