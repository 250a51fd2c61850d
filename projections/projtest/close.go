package projtest

import (
	"fmt"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// other makes, now and then, something that is no usage.
func (g *generator) other(n uint32) {
	now := periodStart(n)
	c := g.customers[g.rng.IntN(len(g.customers))]
	m := c.merchant
	switch g.rng.IntN(400) {
	case 0, 1, 2:
		g.topUp(c, events.Nanos(1+g.rng.IntN(100))*events.NanosPerUnit)
	case 3:
		g.command(m.id, events.ActorOperator)
		m.profile = g.emit(0, events.MerchantUpdated{
			Profile:  events.Profile{Name: fmt.Sprintf("Renamed %d", g.rng.IntN(100))},
			Settings: events.Settings{FeeBasisPoints: g.shape.FeeBasisPoints, ManagedPrepaid: true},
		}).Seq
	case 4:
		g.command(m.id, events.ActorOperator)
		g.emit(0, events.KeyRevoked{Key: m.key})
		m.key = events.Derive[events.KeyNoun](g.env.Command, 0)
		g.emit(0, events.KeyCreated{Key: m.key, Role: events.MerchantKey, Secret: events.LeafHash(m.key[:]), Name: "next"})
	case 5:
		if !c.erased {
			c.erased = true
			g.command(m.id, events.ActorKey)
			g.emit(0, events.ConsumerErased{Consumer: c.consumer})
		}
	case 6:
		if !c.ended && c != g.customers[0] { // somebody is left
			g.terminate(c, now)
		}
	case 12, 13, 14, 19, 20:
		g.payments(c)
	case 15:
		if !c.ended {
			g.command(m.id, events.ActorKey)
			g.emit(now, events.SubscriptionUpdated{
				Subscription: c.sub, AutoCharge: g.rng.IntN(2) == 0, Minimum: 5 * events.NanosPerUnit, Reminders: events.RemindersOn, ReminderDays: uint32(1 + g.rng.IntN(30)),
			})
		}
	case 16:
		if !c.ended {
			g.command(m.id, events.ActorDue)
			g.emit(now, events.SubscriptionReminded{Subscription: c.sub, Customer: c.id, Period: n, RenewsAt: periodStart(n + 1)})
		}
	case 17, 18:
		g.authorizations(c)
	case 21, 22:
		g.hold(m)
	case 23:
		g.letGo()
	case 7:
		if !c.ended {
			g.command(m.id, events.ActorDue)
			g.emit(now, events.DueFailed{Subscription: c.sub, Action: "close", Due: now, Code: "AMOUNT_OUT_OF_RANGE", Message: "the sum does not fit"})
		}
	case 8, 9, 10:
		if !c.ended && c.reserved == nil {
			g.reserve(c, now)
		}
	case 11:
		if c.reserved != nil {
			g.command(m.id, events.ActorDue)
			g.release(c, now, projections.ReleasedExpired)
		}
	}
}

// terminate ends c's subscription and invoices its open periods.
func (g *generator) terminate(c *customer, now events.Time) {
	c.ended = true
	g.command(c.merchant.id, events.ActorKey)
	g.emit(now, events.SubscriptionTerminated{Subscription: c.sub, EndedAt: now, By: c.merchant.id.String(), Reason: g.seal(c.consumer)})
	if c.reserved != nil {
		g.release(c, now, projections.ReleasedTerminated)
	}
	for _, p := range c.open {
		g.emit(now, events.InvoiceClosing{Invoice: p.invoice, Subscription: c.sub, Period: p.n, End: now, GraceEnd: now})
		g.issue(c, p, now)
	}
	c.open = nil
}

// close ends period n of every subscription, lets some late usage join it, and invoices it.
func (g *generator) close(n uint32) {
	for _, m := range g.merchants {
		g.closePeriods(m, n)
		g.lateUsage(m)
		g.issueAll(m, n)
	}
}

func (g *generator) advance(m *merchant, to events.Time, do func(now events.Time)) {
	g.command(m.id, events.ActorKey)
	from := to.Add(-time.Hour)
	g.emit(from, events.ClockAdvancing{Clock: m.clock, To: to})
	do(to)
	g.command(m.id, events.ActorDue)
	g.emit(to, events.ClockAdvanced{Clock: m.clock, To: to})
}

func (g *generator) closePeriods(m *merchant, n uint32) {
	g.advance(m, periodStart(n+1), func(now events.Time) {
		for _, c := range m.customers {
			if c.ended {
				continue
			}
			g.command(m.id, events.ActorDue)
			p := c.open[len(c.open)-1]
			g.emit(now, events.InvoiceClosing{Invoice: p.invoice, Subscription: c.sub, Period: n})
			p.closed = true
			g.openPeriod(c, n+1, events.Derive[events.InvoiceNoun](g.env.Command, 0))
		}
	})
}

func (g *generator) lateUsage(m *merchant) {
	for _, c := range m.customers {
		if !c.ended && g.rng.IntN(4) == 0 {
			g.report(c, c.open[0], periodStart(c.open[0].n).Add(time.Hour))
		}
		if !c.ended && !g.shape.Plain && g.rng.IntN(2) == 0 {
			g.extras(c, c.open[0])
		}
	}
}

func (g *generator) issueAll(m *merchant, n uint32) {
	g.advance(m, periodStart(n+1).Add(grace), func(now events.Time) {
		for _, c := range m.customers {
			if c.ended {
				continue
			}
			g.command(m.id, events.ActorDue)
			g.issue(c, c.open[0], now)
			c.open = c.open[1:]
		}
	})
}

// issue issues the invoice of p, or cancels it if it has no lines.
func (g *generator) issue(c *customer, p *openPeriod, now events.Time) {
	var subtotal, tax, unpaid events.Sum
	lines := uint32(len(p.order))
	for _, i := range p.order {
		l := &p.lines[i]
		price := c.merchant.prices[i]
		subtotal = subtotal.Plus(l.nanos)
		if price.term == events.InArrears {
			unpaid = unpaid.Plus(l.nanos)
		}
		g.emit(now, events.InvoiceLineClosed{
			Line: events.Derive[events.LineNoun](g.env.Command, uint32(1000*int(p.n)+i+1)), Invoice: p.invoice, Subscription: c.sub,
			Metric: c.merchant.metrics[i], Price: price.id, Revision: 1, Term: price.term, UnitPrice: price.unit,
			Count: l.count, Quantity: l.quantity, Nanos: l.nanos, Root: l.leaves.Root(), First: l.first, Last: l.last,
		})
	}
	for _, x := range p.extra {
		e := x.closed
		lines++
		subtotal, tax = subtotal.Plus(e.Nanos), tax.Plus(e.Tax)
		if e.Term == events.InArrears {
			unpaid = unpaid.Plus(e.Nanos)
		}
		e.Line, e.Invoice, e.Subscription, e.Root, e.Count = events.Derive[events.LineNoun](g.env.Command, 500_000+lines), p.invoice, c.sub, x.leaves.Root(), x.leaves.Size
		g.emit(now, e)
	}
	if lines == 0 {
		g.emit(now, events.InvoiceCancelled{Invoice: p.invoice, Subscription: c.sub, Period: p.n, Code: "NO_USAGE"})
		return
	}
	issued := events.InvoiceIssued{
		Invoice: p.invoice, Subscription: c.sub, Period: p.n, Lines: lines,
		Subtotal: subtotal, Tax: tax, Paid: subtotal.Plus(tax).Plus(unpaid.Neg()), Unpaid: unpaid, DueAt: now, Customer: c.id,
	}
	c.merchant.settled++
	if c.merchant.settled%3 == 0 && !g.shape.Plain {
		g.draft(c, issued, now)
	}
	c.merchant.number++
	issued.Number, issued.Seller, issued.Buyer = c.merchant.number, c.merchant.profile, c.profile
	g.emit(now, issued)
	if unpaid.IsZero() {
		g.emit(now, events.InvoicePaid{Invoice: p.invoice, Subscription: c.sub, PaidAt: now})
	}
	if !g.shape.Plain {
		g.afterIssue(c, p, issued, now)
	}
}
