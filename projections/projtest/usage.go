package projtest

import (
	"fmt"
	"slices"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// usage makes a usage event of any customer in period n.
func (g *generator) usage(n uint32) {
	c := g.customers[g.rng.IntN(len(g.customers))]
	for c.ended {
		c = g.customers[g.rng.IntN(len(g.customers))]
	}
	p := c.open[len(c.open)-1]
	at := periodStart(n).Add(time.Duration(g.rng.IntN(int(shortest))))
	g.report(c, p, at)
}

// report makes a usage event of c that falls into p.
func (g *generator) report(c *customer, p *openPeriod, at events.Time) {
	g.command(c.merchant.id, events.ActorKey)
	g.env.Actor.ID = c.merchant.key
	g.env.Key = fmt.Sprintf("row-%012d", g.usages)
	g.env.Content = g.digest()
	g.usages++
	e := &events.UsageReported{Customer: c.id, Subscription: c.sub, Wallet: c.wallet, HappenedAt: at, Period: p.n, Currency: usd}
	var instant, accrued events.Nanos
	for i, price := range c.merchant.prices {
		if g.shape.Sparse && g.rng.IntN(3) == 0 && len(e.Lines)+len(c.merchant.prices)-i > 1 {
			continue // one is left
		}
		u := events.UsageLine{Metric: c.merchant.metrics[i], Quantity: 1 + int64(g.rng.IntN(1000)), Price: price.id, Revision: 1}
		if price.term == events.Instant {
			u.Nanos = price.unit * events.Nanos(u.Quantity)
			instant += u.Nanos
		} else {
			u.Nanos = price.unit // it counts
			accrued += u.Nanos
		}
		e.Lines = append(e.Lines, u)
	}
	from := events.ConsumerMain
	if r := c.reserved; r != nil && g.rng.IntN(2) == 0 && r.left.Cmp(events.SumOf(instant)) >= 0 {
		from, e.Reservation = events.ReservationHold, r.id
	}
	fee := g.fee(p.instant.Add(instant)) - g.fee(p.instant)
	for _, post := range []events.Posting{
		{Role: from, Nanos: -instant},
		{Role: events.Merchant, Nanos: instant - fee},
		{Role: events.PlatformFee, Nanos: fee},
		{Role: events.ConsumerUsage, Nanos: -accrued},
		{Role: events.Receivable, Nanos: accrued},
	} {
		if post.Nanos != 0 {
			e.Postings = append(e.Postings, post)
		}
	}
	p.instant = p.instant.Add(instant)
	if from == events.ConsumerMain {
		c.balance = c.balance.Add(-instant)
	}
	e.Balance = c.balance
	p.last = g.emit(at, e)
	if p.first == nil {
		p.first = p.last
	}
	p.add(p.last, e, c.merchant)
	if from == events.ReservationHold {
		c.reserved.left = c.reserved.left.Add(-instant)
		if c.reserved.uses--; c.reserved.uses == 0 {
			g.env.Key, g.env.Content = "", events.Digest{}
			g.release(c, at, projections.ReleasedUsed)
		}
	}
}

// fee returns the platform's part of an amount, rounded half up. Amounts here fit into 64 bits.
func (g *generator) fee(s events.Sum) events.Nanos {
	n, _ := s.Nanos()
	return (n/10_000)*events.Nanos(g.shape.FeeBasisPoints) + (n%10_000*events.Nanos(g.shape.FeeBasisPoints)+5_000)/10_000
}

// add brings the open lines of p up to date with a usage event.
func (p *openPeriod) add(rec *events.Record, e *events.UsageReported, m *merchant) {
	for _, u := range e.Lines {
		i := slices.Index(m.metrics, u.Metric)
		l := &p.lines[i]
		if l.count == 0 {
			l.first = rec.Seq
			p.order = append(p.order, i)
		}
		units := u.Quantity
		if m.prices[i].term == events.InArrears {
			units = 1 // it counts
		}
		l.count++
		l.quantity = l.quantity.Add(events.Nanos(units))
		l.nanos = l.nanos.Add(u.Nanos)
		l.last = rec.Seq
		l.leaves.Append(rec.Hash)
	}
}
