package commands

import (
	"cmp"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// sell adds that units are paid by a wallet that holds so much, as a line of the invoice of a period, and that they are granted. It reports
// whether the wallet holds their price; else it adds nothing.
func sell(b *projections.Books, c Context, o *events.GrantOrdered, s *projections.Subscription, p *projections.Period,
	balance events.Sum, at events.Time, d *decision,
) bool {
	f := newCharger(b, c, o.Subscription, s, p.N, balance)
	if !f.charge(&events.QuotedFee{Nanos: o.Nanos, Tax: o.Tax, TaxRate: o.TaxRate}, at, d) {
		return false
	}
	last := &d.drafts[len(d.drafts)-1]
	paid := last.event.(events.FeeCharged) // as charge promises
	last.event = events.LineItemAdded{
		Line: events.Derive[events.LineNoun](c.ID, 0), Invoice: p.Invoice, Subscription: o.Subscription, Customer: s.Customer, Wallet: s.Wallet, Period: p.N,
		Quantity: "1", UnitPrice: o.Price.String(), Nanos: o.Nanos, Tax: o.Tax, TaxRate: o.TaxRate, Currency: s.Currency,
		Postings: paid.Postings, Balance: paid.Balance, Grant: o.Grant,
	}
	d.add(c, at, events.GrantIssued{
		Grant: o.Grant, Entitlement: o.Entitlement, Amount: o.Amount, EffectiveAt: cmp.Or(o.EffectiveAt, at), ExpiresAt: o.ExpiresAt,
		Recurrence: o.Recurrence, Priority: o.Priority, MaxRollover: o.MaxRollover, MinRollover: o.MinRollover,
	})
	return true
}

// order adds that a payment session asks for the price of units, in whole cents and at least what the processor takes; the rest goes to the
// wallet. It ends when the units would, if that is sooner. Where charges are automatic the stored method is charged at once.
func order(b *projections.Books, c Context, cmd *PurchaseGrant, o *events.GrantOrdered, s *projections.Subscription, now events.Time, d *decision) {
	d.add(c, now, *o)
	until := cmp.Or(cmd.PayBy, now.Add(subscribeTerm))
	if o.ExpiresAt != 0 {
		until = min(until, o.ExpiresAt)
	}
	owed, _ := wholeCents(o.Nanos + o.Tax) // which fits, as the caller has seen
	owner := b.Customers.Get(s.Customer).Consumer
	e := events.SessionOpened{
		Amount: max(owed, minCharge), Upfront: owed, Currency: s.Currency, Customer: s.Customer, Consumer: owner, Subscription: o.Subscription,
		Wallet: s.Wallet, Save: s.AutoCharge, OnSuccess: cmd.OnSuccess, OnFailure: cmd.OnFailure, Clock: s.Clock, Grant: o.Grant,
	}
	openSession(c, now, time.Duration(until-now), e, d)
	method := b.Consumers.Get(owner).MethodFor(c.Merchant)
	if m := b.Methods.Get(method); s.AutoCharge && m != nil {
		d.add(c, now, events.ChargeRequested{
			Charge: events.Derive[events.ChargeNoun](c.ID, 4), Provider: m.Provider, Card: m.Card, Amount: e.Amount, Currency: s.Currency,
			Session: o.Session, Method: method, Customer: s.Customer, Consumer: owner, Subscription: o.Subscription, Wallet: s.Wallet, OffSession: true, Clock: s.Clock,
		})
	}
}

// deliver adds that units are bought with money that has come to the wallet for them; it holds so much now. If nothing can be granted any
// more, the money stays there.
func deliver(b *projections.Books, c Context, grant events.GrantID, balance events.Sum, now events.Time, d *decision) {
	o := &b.Purchases.Get(grant).Ordered
	s := b.Subscriptions.Get(o.Subscription)
	p := openFor(s, events.InvoiceID{})
	if !wanted(b, o) || p == nil || o.ExpiresAt != 0 && o.ExpiresAt <= now {
		return
	}
	sell(b, c, o, s, p, balance, now, d)
}

// wanted reports whether units can still be granted: their entitlement and its subscription are active.
func wanted(b *projections.Books, o *events.GrantOrdered) bool {
	return b.Entitlements.Get(o.Entitlement).Status == projections.EntitlementActive &&
		b.Subscriptions.Get(o.Subscription).Status == projections.SubscriptionActive
}

// dropOrders adds the ends of the payment sessions for units of an entitlement that ends. What the payment provider is at work on goes on.
func dropOrders(b *projections.Books, e *projections.Entitlement, add func(events.Event)) {
	for _, grant := range e.Orders {
		id := b.Purchases.Get(grant).Ordered.Session
		if b.Sessions.Get(id).Status == events.SessionPending {
			add(events.SessionEnded{Session: id, Status: events.SessionCancelled})
		}
	}
}
