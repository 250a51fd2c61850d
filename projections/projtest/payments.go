package projtest

import (
	"time"

	"tallystick/events"
)

// payments lets a customer pay, in one of the ways there are, or try to.
func (g *generator) payments(c *customer) {
	m := c.merchant
	amount := events.Nanos(1+g.rng.IntN(100)) * events.NanosPerUnit
	g.command(m.id, events.ActorKey)
	id := events.Derive[events.SessionNoun](g.env.Command, 3)
	open := events.SessionOpened{
		Session: id, Mode: events.PayMode, ExpiresAt: g.env.RecordedAt.Add(time.Hour), Amount: amount, Currency: usd, Customer: c.id, Consumer: c.consumer,
	}
	ways := g.rng.IntN(4)
	switch ways {
	case 0, 1:
		open.TopUp, open.Wallet = events.Derive[events.TopUpNoun](g.env.Command, 0), c.wallet
		g.emit(0, events.TopUpRequested{TopUp: open.TopUp, Wallet: c.wallet, Currency: usd, Amount: amount, Method: "session"})
	case 2:
		open.Payment = events.Derive[events.PaymentNoun](g.env.Command, 0)
		g.emit(0, events.PaymentCreated{Payment: open.Payment, Session: id, Currency: usd, Amount: amount, Customer: c.id, Consumer: c.consumer, Details: g.seal(c.consumer)})
	case 3:
		open.Mode, open.Amount, open.Save = events.SetupMode, 0, true
	}
	g.emit(0, open)
	if ways == 1 {
		g.command(m.id, events.ActorDue)
		g.emit(0, events.SessionEnded{Session: id, Status: events.SessionExpired})
		g.emit(0, events.TopUpEnded{TopUp: open.TopUp, Wallet: c.wallet, Status: events.TopUpCancelled})
		return
	}
	g.charge(c, open, false)
	charge := g.charge(c, open, true)
	switch ways {
	case 0:
		c.balance = c.balance.Add(amount)
		g.emit(0, events.WalletToppedUp{
			TopUp: open.TopUp, Wallet: c.wallet, Currency: usd, Balance: c.balance, Method: "session", Charge: charge,
			Postings: []events.Posting{{Role: events.ProcessorClearing, Nanos: -amount}, {Role: events.ConsumerMain, Nanos: amount}},
		})
	case 2:
		fee := amount / 10_000 * events.Nanos(g.shape.FeeBasisPoints) // exact: the amount is whole units
		e := events.PaymentReceived{Payment: open.Payment, Charge: charge, Currency: usd, Postings: []events.Posting{
			{Role: events.ProcessorClearing, Nanos: -amount}, {Role: events.Merchant, Nanos: amount - fee},
		}}
		if fee != 0 {
			e.Postings = append(e.Postings, events.Posting{Role: events.PlatformFee, Nanos: fee})
		}
		g.emit(0, e)
	case 3:
		g.method(c, charge)
	}
	g.emit(0, events.SessionEnded{Session: id, Status: events.SessionCompleted})
}

// charge has a session paid, and its charge declined or not.
func (g *generator) charge(c *customer, s events.SessionOpened, succeeds bool) events.ChargeID {
	g.command(c.merchant.id, events.ActorKey)
	id := events.Derive[events.ChargeNoun](g.env.Command, 4)
	g.emit(0, events.ChargeRequested{
		Charge: id, Provider: "sandbox", Card: "tok_visa", Amount: s.Amount, Currency: usd, Session: s.Session, Customer: c.id,
		Consumer: c.consumer, Wallet: s.Wallet, TopUp: s.TopUp, Details: g.seal(c.consumer),
	})
	g.command(c.merchant.id, events.ActorProvider)
	switch {
	case succeeds:
		g.emit(0, events.ChargeSucceeded{Charge: id, Reference: "ref"})
	case g.rng.IntN(2) == 0:
		g.emit(0, events.ChargeFailed{Charge: id, Reference: "ref", Code: "card_declined"})
	default:
		g.emit(0, events.ChargeActionRequired{Charge: id, Reference: "ref"})
	}
	return id
}

// method stores the payment method of a charge, in place of the one before it.
func (g *generator) method(c *customer, charge events.ChargeID) {
	if c.erased {
		return
	}
	if !c.method.IsZero() {
		g.emit(0, events.MethodRemoved{Method: c.method, Consumer: c.consumer})
	}
	c.method = events.Derive[events.MethodNoun](g.env.Command, 5)
	g.emit(0, events.MethodStored{
		Method: c.method, Consumer: c.consumer, Provider: "sandbox", Card: "tok_visa", Bound: c.merchant.id, Details: g.seal(c.consumer), Charge: charge,
	})
}

// collect has an invoice paid, after a charge that has failed; less than half a cent is not asked for.
func (g *generator) collect(c *customer, e events.InvoiceIssued, instant events.Sum, now events.Time) {
	const cent, least = 10_000_000, 1_000_000_000
	owed, _ := e.Unpaid.Nanos()
	cents := (owed + cent/2) / cent * cent
	part := g.fee(instant.Add(owed)) - g.fee(instant)
	paid := events.InvoicePaid{Invoice: e.Invoice, Subscription: c.sub, PaidAt: now, Currency: usd, Wallet: c.wallet}
	all := []events.Posting{
		{Role: events.ConsumerUsage, Nanos: owed},
		{Role: events.Receivable, Nanos: -owed},
		{Role: events.Merchant, Nanos: owed - part},
		{Role: events.PlatformFee, Nanos: part},
		{Role: events.Rounding, Nanos: cents - owed},
	}
	if cents != 0 {
		amount := max(cents, least)
		session := events.SessionOpened{
			Session: events.Derive[events.SessionNoun](g.env.Command, 3), Mode: events.PayMode, Amount: amount, Currency: usd, Customer: c.id, Consumer: c.consumer,
			Subscription: c.sub, Invoice: e.Invoice, Wallet: c.wallet, Clock: c.merchant.clock,
		}
		g.emit(now, session)
		for _, succeeds := range []bool{false, true} {
			g.command(c.merchant.id, events.ActorKey)
			paid.Charge = events.Derive[events.ChargeNoun](g.env.Command, 4)
			g.emit(now, events.ChargeRequested{
				Charge: paid.Charge, Provider: "sandbox", Card: "tok_visa", Amount: amount, Currency: usd, Customer: c.id, Consumer: c.consumer,
				Subscription: c.sub, Invoice: e.Invoice, Wallet: c.wallet, OffSession: true, Clock: c.merchant.clock,
			})
			g.command(c.merchant.id, events.ActorProvider)
			if succeeds {
				g.emit(now, events.ChargeSucceeded{Charge: paid.Charge, Reference: "ref"})
				continue
			}
			g.emit(now, events.ChargeFailed{Charge: paid.Charge, Reference: "ref", Code: "card_declined"})
			g.emit(now, events.InvoicePaymentFailed{
				Invoice: e.Invoice, Subscription: c.sub, Charge: paid.Charge, Code: "card_declined", Attempts: 1, RetryAt: now.Add(24 * time.Hour),
			})
		}
		c.balance = c.balance.Add(amount - cents)
		paid.Balance = c.balance
		all = append(all, events.Posting{Role: events.ProcessorClearing, Nanos: -amount}, events.Posting{Role: events.ConsumerMain, Nanos: amount - cents})
		defer g.emit(now, events.SessionEnded{Session: session.Session, Status: events.SessionCancelled})
	}
	for _, post := range all {
		if post.Nanos != 0 {
			paid.Postings = append(paid.Postings, post)
		}
	}
	g.emit(now, paid)
}
