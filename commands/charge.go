package commands

import (
	"tallystick/events"
	"tallystick/projections"
)

// SettleCharge notes what the payment provider says of a charge. No door takes it: it comes from whoever asks the provider.
type SettleCharge struct {
	Charge    events.ChargeID
	Status    projections.ChargeStatus // not requested
	Reference string                   // the provider's
	Code      string                   // of a failed one: the provider's reason
}

func settleCharge(b *projections.Books, c Context, cmd SettleCharge, d *decision) *Rejection {
	row := b.Charges.Get(cmd.Charge)
	if row == nil || c.Actor.Kind != events.ActorProvider {
		return Reject(NotFound, "no charge %s", cmd.Charge)
	}
	if row.Status != projections.ChargeRequested {
		d.existing = &Receipt{Status: Duplicate, Seq: row.Seq, ID: Ref{refCharge, cmd.Charge}}
		return nil
	}
	c.Merchant = row.Merchant
	q := &row.Requested
	now := max(b.ClockNow(q.Clock, c.Now), row.At)
	switch cmd.Status {
	case projections.ChargeRequested:
		return Reject(Invalid, "the outcome of a charge is no request")
	case projections.ChargeActionRequired:
		if q.OffSession { // there is nobody to act
			failed(b, c, q, now, events.ChargeFailed{Charge: cmd.Charge, Reference: cmd.Reference, Code: authenticationRequired}, d)
			return nil
		}
		d.add(c, now, events.ChargeActionRequired{Charge: cmd.Charge, Reference: cmd.Reference})
	case projections.ChargeFailed:
		failed(b, c, q, now, events.ChargeFailed{Charge: cmd.Charge, Reference: cmd.Reference, Code: cmd.Code}, d)
	case projections.ChargeSucceeded:
		d.add(c, now, events.ChargeSucceeded{Charge: cmd.Charge, Reference: cmd.Reference})
		succeeded(b, c, q, now, d)
	}
	return nil
}

// authenticationRequired is why a charge fails whose payer is not there to act.
const authenticationRequired = "authentication_required"

// failed adds that a charge has failed, and what follows.
func failed(b *projections.Books, c Context, q *events.ChargeRequested, now events.Time, e events.ChargeFailed, d *decision) {
	d.add(c, now, e)
	switch {
	case !q.Session.IsZero() && !q.Invoice.IsZero():
		s := b.Sessions.Get(q.Session)
		if s.Declined+1 >= maxDeclined {
			endSession(b, c, q.Session, s, now, events.SessionFailed, e.Code, d)
		}
		uncollected(b, c, q.Invoice, e.Charge, false, e.Code, now, d)
	case !q.Invoice.IsZero():
		uncollected(b, c, q.Invoice, e.Charge, true, e.Code, now, d)
	case !q.Session.IsZero():
		s := b.Sessions.Get(q.Session)
		if pointless(b, s) {
			endSession(b, c, q.Session, s, now, events.SessionCancelled, e.Code, d) // there is nothing to pay for any more
		} else if s.Declined+1 >= maxDeclined {
			endSession(b, c, q.Session, s, now, events.SessionFailed, e.Code, d)
		}
	case !q.TopUp.IsZero():
		d.add(c, now, events.TopUpEnded{TopUp: q.TopUp, Wallet: q.Wallet, Status: events.TopUpFailed, Code: e.Code})
	}
}

// pointless reports whether there is nothing to pay for any more by a session: its subscription, or what it buys units of, has ended.
func pointless(b *projections.Books, s *projections.Session) bool {
	if !s.Grant.IsZero() {
		return !wanted(b, &b.Purchases.Get(s.Grant).Ordered)
	}
	sub := b.Subscriptions.Get(s.Subscription)
	return sub != nil && sub.Status == projections.SubscriptionTerminated
}

// succeeded adds what follows from the money having come.
func succeeded(b *projections.Books, c Context, q *events.ChargeRequested, now events.Time, d *decision) {
	if q.Session.IsZero() {
		if !q.Invoice.IsZero() {
			collected(b, c, q, now, d)
		}
		if !q.TopUp.IsZero() {
			balance := credit(b, c, q, methodStored, now, d)
			topped(b, c, q.Subscription, balance, now, d)
		}
		return
	}
	defer d.add(c, now, events.SessionEnded{Session: q.Session, Status: events.SessionCompleted})
	s := b.Sessions.Get(q.Session)
	if s.Save && !q.Consumer.IsZero() && q.Method.IsZero() {
		store(b, c, q, now, d)
	}
	switch {
	case !s.TopUp.IsZero():
		balance := credit(b, c, q, methodSession, now, d)
		topped(b, c, s.Subscription, balance, now, d)
	case !s.Invoice.IsZero():
		collected(b, c, q, now, d)
	case !s.Payment.IsZero():
		receive(b, c, s, q, now, d)
	case !s.Grant.IsZero():
		balance := credit(b, c, q, methodSession, now, d)
		deliver(b, c, s.Grant, balance, now, d)
	case !s.Subscription.IsZero():
		balance := credit(b, c, q, methodSession, now, d)
		activate(b, c, s.Subscription, balance, now, d)
	}
}

// The methods of top-ups.
const (
	methodSandbox = "sandbox" // money out of nothing, in sandbox ledgers
	methodSession = "session" // a payment session
	methodStored  = "stored"  // a stored payment method
)

// topped adds what follows from money for the renewal of a subscription having come to its wallet.
func topped(b *projections.Books, c Context, id events.SubscriptionID, balance events.Sum, now events.Time, d *decision) {
	if !id.IsZero() {
		chargeOpen(b, c, id, b.Subscriptions.Get(id), balance, now, d)
	}
}

// credit adds the money of a charge to its wallet, and returns what that holds then.
func credit(b *projections.Books, c Context, q *events.ChargeRequested, method string, now events.Time, d *decision) events.Sum {
	topUp := q.TopUp
	if topUp.IsZero() {
		topUp = events.Derive[events.TopUpNoun](c.ID, 6)
	}
	balance := b.BalanceOf(projections.MainAccount(q.Wallet, q.Currency)).Add(q.Amount)
	d.add(c, now, events.WalletToppedUp{
		TopUp: topUp, Wallet: q.Wallet, Currency: q.Currency, Postings: []events.Posting{
			{Role: events.ProcessorClearing, Nanos: q.Amount.Neg()},
			{Role: events.ConsumerMain, Nanos: q.Amount},
		},
		Balance: balance, Method: method, Charge: q.Charge,
	})
	return balance
}

// receive adds the money of a one-off payment to what its merchant has earned, less the platform's part.
func receive(b *projections.Books, c Context, s *projections.Session, q *events.ChargeRequested, now events.Time, d *decision) {
	e := events.PaymentReceived{Payment: s.Payment, Charge: q.Charge, Currency: q.Currency}
	fee := feeOf(b.Merchants.Get(c.Merchant).Settings.FeeBasisPoints, events.Sum{}, q.Amount)
	earned, _ := q.Amount.Plus(fee.Neg())
	for _, p := range []events.Posting{
		{Role: events.ProcessorClearing, Nanos: q.Amount.Neg()},
		{Role: events.Merchant, Nanos: earned},
		{Role: events.PlatformFee, Nanos: fee},
	} {
		if p.Nanos != 0 {
			e.Postings = append(e.Postings, p)
		}
	}
	d.add(c, now, e)
}

// store adds the card of a charge to those that its consumer can be charged with.
func store(b *projections.Books, c Context, q *events.ChargeRequested, now events.Time, d *decision) {
	consumer, owner := b.Consumers.Get(q.Consumer), q.Consumer
	if !consumer.ClaimedBy.IsZero() { // since the session was opened; what is stored now goes where what was stored before has gone
		owner = consumer.ClaimedBy
	}
	if b.Consumers.Get(owner).Erased {
		return
	}
	e := events.MethodStored{
		Method: events.Derive[events.MethodNoun](c.ID, 5), Consumer: owner, Provider: q.Provider, Card: q.Card,
		Bound: consumer.Manager, Details: q.Details, Charge: q.Charge,
	}
	if e.Details.Key != q.Consumer {
		e.Details = events.Sealed{}
	}
	d.add(c, now, e)
}

// topUpAgain asks for what the wallet of a subscription that is renewed lacks: of the stored method where charges are
// automatic, else by a payment session.
func topUpAgain(b *projections.Books, c Context, id events.SubscriptionID, s *projections.Subscription, lacks events.Nanos, at events.Time, d *decision) {
	if lacks == 0 || s.Status != projections.SubscriptionActive {
		return
	}
	owner := b.Customers.Get(s.Customer).Consumer
	method := b.Consumers.Get(owner).MethodFor(c.Merchant)
	e := events.TopUpRequested{
		TopUp: events.Derive[events.TopUpNoun](c.ID, 0), Wallet: s.Wallet, Currency: s.Currency, Amount: lacks, Method: methodSession,
	}
	if m := b.Methods.Get(method); s.AutoCharge && m != nil {
		e.Method = methodStored
		d.add(c, at, e)
		d.add(c, at, events.ChargeRequested{
			Charge: events.Derive[events.ChargeNoun](c.ID, 4), Provider: m.Provider, Card: m.Card, Amount: lacks, Currency: s.Currency,
			Method: method, Customer: s.Customer, Consumer: owner, Subscription: id, Wallet: s.Wallet, TopUp: e.TopUp, OffSession: true, Clock: s.Clock,
		})
		return
	}
	d.add(c, at, e)
	openSession(c, at, paymentTerm, events.SessionOpened{
		Amount: lacks, Currency: s.Currency, Customer: s.Customer, Consumer: owner, Subscription: id, Wallet: s.Wallet, TopUp: e.TopUp, Clock: s.Clock,
	}, d)
}
