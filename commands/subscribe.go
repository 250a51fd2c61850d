package commands

import (
	"tallystick/events"
	"tallystick/projections"
)

// shortfall returns what a wallet lacks to a minimum, raised to whole cents and to what the processor takes at least, but no more than a
// limit (12.3).
func shortfall(minimum events.Nanos, balance events.Sum, limit events.Nanos) events.Nanos {
	if minimum == 0 || balance.Cmp(events.SumOf(minimum)) >= 0 {
		return 0
	}
	lacks, ok := balance.Neg().Add(minimum).Nanos()
	if !ok || lacks > limit {
		lacks = limit
	}
	return cents(lacks)
}

// price works out what is to be paid before the subscription is active: the fees that are due at once, with tax, by checkout whatever the
// wallet holds, and what the wallet lacks to its minimum (A18). The sum is raised to whole cents and to what the processor takes at
// least; what is above the charges stays in the wallet.
func (j *agreement) price(b *projections.Books, c Context) *Rejection {
	cmd := &j.cmd
	payer := j.payer(b)
	fees, due, ok := quoteFees(&j.plan.Card, j.schedule, 0, func() events.TaxRate {
		if cmd.TaxExempt {
			return 0
		}
		return payer.rate(StandardTaxes{}, cmd.Plan, &j.plan.Card, events.MetricID{}, j.now)
	})
	if r := j.chooseWallet(b, c); r != nil {
		return r
	}
	upfront, ok2 := wholeCents(due)
	limit := limitOf(j.merchant)
	total, ok3 := upfront.Plus(shortfall(cmd.Minimum, b.BalanceOf(projections.MainAccount(j.wallet, j.plan.Currency)), limit))
	if !ok || !ok2 || !ok3 || total > limit {
		return Reject(AmountOutOfRange, "what is to be paid before the subscription is active is more than %s", limit)
	}
	j.fees, j.upfront, j.amount = fees, upfront, cents(total)
	return nil
}

// payer returns how the customer is taxed, which may still be in the making.
func (j *agreement) payer(b *projections.Books) taxpayer {
	customer := b.Customers.Get(j.cmd.Customer)
	if customer == nil {
		customer = &projections.Customer{Consumer: j.owner}
		if j.cmd.New != nil {
			customer.TaxRates = j.cmd.New.TaxRates
		}
	}
	return taxpayer{owner: j.owner, customer: customer, consumer: j.consumer, merchant: j.merchant}
}

// subscribe adds the subscription, and what is to be paid for it.
func (j *agreement) subscribe(b *projections.Books, c Context, d *decision) {
	now := j.now
	j.openWallets(c, d)
	e := j.created(c)
	e.Wallet = j.wallet
	if j.amount > 0 {
		e.Pending, e.Upfront = true, j.fees
	}
	d.main = len(d.drafts)
	d.add(c, now, e)
	if !e.Pending {
		commence(b, c, e.Subscription, &projections.Subscription{
			Customer: e.Customer, Wallet: e.Wallet, Currency: e.Currency, Clock: e.Clock, Anchor: e.Anchor, Cadence: e.Cadence, StartedAt: e.StartedAt,
			Upfront: j.fees,
		}, j.plan, b.BalanceOf(projections.MainAccount(j.wallet, e.Currency)), now, d)
		return
	}
	j.checkout(b, c, e.Subscription, d)
}

// created returns the agreement, before it is known what is to be paid.
func (j *agreement) created(c Context) events.SubscriptionCreated {
	cmd := &j.cmd
	return events.SubscriptionCreated{
		Subscription: events.Derive[events.SubscriptionNoun](c.ID, 0), Customer: cmd.Customer, Plan: cmd.Plan, Product: j.plan.Product,
		Currency: j.plan.Currency, Name: cmd.Name, StartedAt: cmd.StartedAt, Anchor: j.schedule.anchor, Cadence: j.schedule.cadence,
		EndingAt: cmd.EndingAt, Clock: cmd.Clock, TaxExempt: cmd.TaxExempt, AutoCharge: cmd.AutoCharge, Minimum: cmd.Minimum, Reminders: cmd.Reminders, ReminderDays: cmd.ReminderDays,
	}
}

// checkout adds the payment session by which a subscription becomes active, and the charge of the stored method where that is wanted.
func (j *agreement) checkout(b *projections.Books, c Context, id events.SubscriptionID, d *decision) {
	cmd, now := &j.cmd, j.now
	session := openSession(c, now, cmd.Term, events.SessionOpened{
		Amount: j.amount, Upfront: j.upfront, Currency: j.plan.Currency, Customer: cmd.Customer, Consumer: j.owner,
		Subscription: id, Wallet: j.wallet,
		Save: cmd.AutoCharge || j.save, OnSuccess: cmd.OnSuccess, OnFailure: cmd.OnFailure, Clock: cmd.Clock,
	}, d)
	if m := b.Methods.Get(j.consumer.MethodFor(c.Merchant)); cmd.AutoCharge && m != nil {
		d.add(c, now, events.ChargeRequested{
			Charge: events.Derive[events.ChargeNoun](c.ID, 4), Provider: m.Provider, Card: m.Card, Amount: j.amount, Currency: j.plan.Currency,
			Session: session, Method: j.consumer.MethodFor(c.Merchant), Customer: cmd.Customer, Consumer: j.owner, Subscription: id,
			Wallet: j.wallet, OffSession: true, Clock: cmd.Clock,
		})
	}
}

// commence adds what a subscription that is active from now on begins with: its first period, the fees that are due at once, and
// what it is entitled to.
func commence(b *projections.Books, c Context, id events.SubscriptionID, s *projections.Subscription, plan *projections.Plan, balance events.Sum, now events.Time, d *decision) {
	end := scheduleOf(s).end(0)
	d.add(c, now, events.InvoiceOpened{
		Invoice: events.Derive[events.InvoiceNoun](c.ID, 1), Subscription: id, Customer: s.Customer, Period: 0,
		Start: s.StartedAt, End: end, GraceEnd: end.Add(grace), Currency: s.Currency,
	})
	f := newCharger(b, c, id, s, 0, balance)
	for i := range s.Upfront {
		f.charge(&s.Upfront[i], now, d)
	}
	provision(b, c, events.EntitlementIssued{Customer: s.Customer, Subscription: id, Clock: s.Clock, ActiveFrom: s.StartedAt}, plan, now, d)
}

// activate adds that a subscription is paid for, if it waits for that; its wallet holds so much by now. What was paid for one that has
// ended meanwhile stays in the wallet.
func activate(b *projections.Books, c Context, id events.SubscriptionID, balance events.Sum, now events.Time, d *decision) {
	s := b.Subscriptions.Get(id)
	if s.Status != projections.SubscriptionPending {
		return
	}
	d.add(c, now, events.SubscriptionActivated{Subscription: id, Customer: s.Customer, Plan: s.Plan})
	commence(b, c, id, s, b.Plans.Get(s.Plan), balance, now, d)
}

// abandon ends a subscription that waits for a payment session which has ended unpaid (A16).
func abandon(b *projections.Books, c Context, session *projections.Session, at events.Time, status events.SessionStatus, d *decision) {
	id := session.Subscription
	if id.IsZero() {
		return
	}
	s := b.Subscriptions.Get(id)
	if s.Status != projections.SubscriptionPending {
		return
	}
	code := SessionNotPaid
	switch status {
	case events.SessionCancelled:
		code = SessionNotWanted
	case events.SessionFailed:
		code = SessionDeclined
	case events.SessionPending, events.SessionProcessing, events.SessionCompleted, events.SessionExpired:
	}
	d.add(c, at, events.SubscriptionTerminated{Subscription: id, EndedAt: at, By: c.Merchant.String(), Code: code})
}
