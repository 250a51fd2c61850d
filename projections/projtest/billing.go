package projtest

import (
	"slices"

	"tallystick/events"
)

// extras adds lines to an invoice that are no usage: a line of the merchant's, usage that is taken back and such that is
// corrected.
func (g *generator) extras(c *customer, p *openPeriod) {
	if p.last == nil || p.extras {
		return
	}
	p.extras = true
	now := periodStart(p.n + 1)
	m := c.merchant
	g.command(m.id, events.ActorKey)
	item := extraLine{closed: events.InvoiceLineClosed{
		Item: events.Derive[events.LineNoun](g.env.Command, 7), Of: events.LineOfManual, Term: events.InArrears, Quantity: events.SumOf(1), Nanos: events.SumOf(manualLine),
		Factors: []string{"1.5", "0.02"}, Text: g.seal(c.consumer),
	}}
	item.emit(g, now, events.LineItemAdded{
		Line: item.closed.Item, Invoice: p.invoice, Subscription: c.sub, Customer: c.id, Wallet: c.wallet, Period: p.n, Text: item.closed.Text,
		Quantity: "1.5", UnitPrice: "0.02", Nanos: manualLine, Currency: usd,
		Postings: []events.Posting{{Role: events.ConsumerUsage, Nanos: -manualLine}, {Role: events.Receivable, Nanos: manualLine}},
	})
	p.extra = append(p.extra, item)
	g.raise(c, now)
	g.refund(c, p, now)
	g.correct(c, p, now)
}

// chargeFee charges the fee of a period, which has just begun, and is the same each time.
func (g *generator) chargeFee(c *customer, p *openPeriod, q events.QuotedFee) {
	net := q.Nanos
	part := g.fee(p.instant.Add(net)) - g.fee(p.instant)
	p.instant, c.balance = p.instant.Add(net), c.balance.Add(-net-q.Tax)
	e := events.FeeCharged{
		Subscription: c.sub, Customer: c.id, Wallet: c.wallet, Period: p.n, Fee: q.Fee, Price: q.Price, Revision: q.Revision, Term: events.InAdvance,
		Quantity: q.Quantity, UnitPrice: q.UnitPrice, Nanos: net, Tax: q.Tax, TaxRate: q.TaxRate, Currency: usd, Balance: c.balance,
	}
	for _, post := range []events.Posting{
		{Role: events.ConsumerMain, Nanos: -net - q.Tax},
		{Role: events.Merchant, Nanos: net - part},
		{Role: events.PlatformFee, Nanos: part},
		{Role: events.TaxPayable, Nanos: q.Tax},
	} {
		if post.Nanos != 0 {
			e.Postings = append(e.Postings, post)
		}
	}
	x := extraLine{closed: events.InvoiceLineClosed{
		Of: events.LineOfFee, Fee: q.Fee, Price: q.Price, Revision: q.Revision, Term: events.InAdvance, UnitPrice: q.UnitPrice,
		Quantity: events.SumOf(events.Nanos(q.Quantity)), Nanos: events.SumOf(net), Tax: events.SumOf(q.Tax), TaxRate: q.TaxRate,
	}}
	x.emit(g, periodStart(p.n), e)
	p.extra = append(p.extra, x)
}

// flatFee is what a month of a merchant costs in advance.
func (m *merchant) flatFee() events.QuotedFee {
	return events.QuotedFee{
		Fee: m.fee, Price: m.flat, Revision: 1, Quantity: 2, UnitPrice: flatUnit, Nanos: 2 * flatUnit,
	}
}

// manualLine is what the line of a merchant comes to.
const manualLine = 30_000_000

// flatUnit is the price of one of the two units of each merchant's fee.
const flatUnit = 7_000_000_030

// emit records an event that is a line of its own.
func (x *extraLine) emit(g *generator, at events.Time, e events.Event) {
	rec := g.emit(at, e)
	if x.leaves.Size == 0 {
		x.closed.First = rec.Seq
	}
	x.closed.Last = rec.Seq
	x.leaves.Append(rec.Hash)
}

// refund takes the last usage of a period back.
func (g *generator) refund(c *customer, p *openPeriod, now events.Time) {
	used := p.last.Event.(*events.UsageReported)
	g.command(c.merchant.id, events.ActorKey)
	usage := events.Derive[events.UsageNoun](p.last.Command, 0)
	dispute := events.DisputeID(usage)
	net, tax := used.Total()
	if p.n%2 == 0 {
		g.emit(now, events.DisputeOpened{
			Dispute: dispute, Usage: usage, Subscription: c.sub, Customer: c.id, Currency: usd, Amount: events.SumOf(net).Add(tax), Message: g.seal(c.consumer),
		})
		g.command(c.merchant.id, events.ActorKey)
		g.emit(now, events.DisputeResolved{Dispute: dispute, Usage: usage, Customer: c.id, Accepted: p.n%4 == 0, Message: g.seal(c.consumer)})
		if p.n%4 != 0 {
			return // declined: the usage stands
		}
	}
	e := refunded{events.UsageRefunded{
		Usage: usage, Subscription: c.sub, Customer: c.id, Wallet: c.wallet, Joins: true, Period: p.n,
		Lines: used.Lines, Currency: usd, Reason: g.seal(c.consumer), Charged: p.n,
	}}
	e.moveBack(c, used)
	rec := g.emit(now, e.UsageRefunded)
	for _, u := range used.Lines {
		i := slices.Index(c.merchant.metrics, u.Metric)
		x := extraLine{closed: g.usageLine(c, i, u, events.LineOfRefund, -1)}
		x.closed.Term, x.closed.First, x.closed.Last = c.merchant.prices[i].term, rec.Seq, rec.Seq
		x.leaves.Append(rec.Hash)
		p.extra = append(p.extra, x)
	}
}

// refunded is a refund in the making.
type refunded struct{ events.UsageRefunded }

// moveBack undoes the movement of usage.
func (e *refunded) moveBack(c *customer, used *events.UsageReported) {
	if r := c.reserved; r != nil && r.id == used.Reservation {
		e.Reservation = r.id
	}
	for _, q := range used.Postings {
		role := q.Role
		switch {
		case role == events.ReservationHold && !e.Reservation.IsZero():
			c.reserved.left = c.reserved.left.Add(-q.Nanos)
		case role == events.ReservationHold, role == events.ConsumerMain:
			role, c.balance = events.ConsumerMain, c.balance.Add(-q.Nanos)
		}
		e.Postings = append(e.Postings, events.Posting{Role: role, Nanos: -q.Nanos})
	}
	e.Balance = c.balance
}

// credit takes the first usage of an invoice back that is to be paid, and returns what is left of it to pay.
func (g *generator) credit(c *customer, p *openPeriod, issued events.InvoiceIssued, now events.Time) events.Sum {
	used := p.first.Event.(*events.UsageReported)
	owed := events.Nanos(0)
	for _, q := range used.Postings {
		if q.Role == events.Receivable {
			owed += q.Nanos
		}
	}
	if p.first.Seq == p.last.Seq || owed == 0 || issued.Unpaid.Cmp(events.SumOf(owed)) <= 0 {
		return issued.Unpaid
	}
	e := refunded{events.UsageRefunded{
		Usage: events.Derive[events.UsageNoun](p.first.Command, 0), Subscription: c.sub, Customer: c.id, Wallet: c.wallet, Lines: used.Lines, Currency: usd,
		Reason: g.seal(c.consumer), Charged: p.n, Invoice: issued.Invoice, CreditNote: events.Derive[events.CreditNoteNoun](g.env.Command, 0),
	}}
	e.moveBack(c, used)
	g.emit(now, e.UsageRefunded)
	return issued.Unpaid.Add(-owed)
}

// correct adds usage of an earlier period.
func (g *generator) correct(c *customer, p *openPeriod, now events.Time) {
	price := c.merchant.prices[0]
	g.command(c.merchant.id, events.ActorKey)
	u := events.UsageLine{Metric: c.merchant.metrics[0], Quantity: 3, Price: price.id, Revision: 1, Nanos: 3 * price.unit}
	rec := g.emit(now, events.UsageCorrected{
		Subscription: c.sub, Customer: c.id, Wallet: c.wallet, Period: p.n, HappenedAt: epoch, Lines: []events.UsageLine{u}, Currency: usd,
		Postings: []events.Posting{{Role: events.ConsumerUsage, Nanos: -u.Nanos}, {Role: events.Receivable, Nanos: u.Nanos}},
	})
	x := extraLine{closed: g.usageLine(c, 0, u, events.LineOfCorrection, 1)}
	x.closed.Term, x.closed.First, x.closed.Last = events.InArrears, rec.Seq, rec.Seq
	x.leaves.Append(rec.Hash)
	p.extra = append(p.extra, x)
}

func (g *generator) usageLine(c *customer, i int, u events.UsageLine, of events.LineKind, sign int64) events.InvoiceLineClosed {
	units := u.Quantity
	if c.merchant.prices[i].term == events.InArrears {
		units = 1 // it counts
	}
	return events.InvoiceLineClosed{
		Of: of, Metric: u.Metric, Price: u.Price, Revision: 1, UnitPrice: c.merchant.prices[i].unit,
		Quantity: events.SumOf(events.Nanos(sign * units)), Nanos: events.SumOf(events.Nanos(sign) * u.Nanos),
	}
}

// draft lets an invoice wait for approval, which its merchant wants for a moment.
func (g *generator) draft(c *customer, e events.InvoiceIssued, now events.Time) {
	m := c.merchant
	update := func(manual bool) {
		m.profile = g.emit(0, events.MerchantUpdated{
			Profile:  events.Profile{Name: "Approving"},
			Settings: events.Settings{FeeBasisPoints: g.shape.FeeBasisPoints, ManagedPrepaid: true, ManualApproval: manual},
		}).Seq
	}
	update(true)
	g.emit(now, events.InvoiceDrafted{
		Invoice: e.Invoice, Subscription: e.Subscription, Period: e.Period, Lines: e.Lines, Subtotal: e.Subtotal, Tax: e.Tax, Paid: e.Paid,
		Unpaid: e.Unpaid, Customer: e.Customer,
	})
	update(false)
}

// afterIssue refunds what is paid, and voids every other refund; and gives up what is left to pay of some invoices, and has others paid.
func (g *generator) afterIssue(c *customer, p *openPeriod, e events.InvoiceIssued, now events.Time) {
	g.command(c.merchant.id, events.ActorKey)
	net, fits := e.Subtotal.Nanos()
	tax, _ := e.Tax.Nanos()
	all := net + tax
	switch {
	case !e.Unpaid.IsZero() && c.merchant.settled%2 == 0:
		owed, _ := e.Unpaid.Nanos()
		g.emit(now, events.InvoiceWrittenOff{
			Invoice: e.Invoice, Subscription: c.sub, Wallet: c.wallet, Currency: usd,
			Postings: []events.Posting{{Role: events.ConsumerUsage, Nanos: owed}, {Role: events.Receivable, Nanos: -owed}},
		})
	case !e.Unpaid.IsZero():
		e.Unpaid = g.credit(c, p, e, now)
		g.collect(c, e, p.instant, now)
	case e.Unpaid.IsZero() && fits && all > 0:
		note := events.Derive[events.CreditNoteNoun](g.env.Command, 0)
		c.balance = c.balance.Add(all)
		g.emit(now, events.InvoiceRefunded{
			CreditNote: note, Invoice: e.Invoice, Subscription: c.sub, Period: p.n, Wallet: c.wallet, Nanos: e.Subtotal, Tax: e.Tax, Currency: usd, Balance: c.balance,
			Postings: creditPostings(net, tax),
		})
		if c.merchant.settled%2 == 0 {
			c.balance = c.balance.Add(-all)
			g.emit(now, events.InvoiceRefundVoided{
				CreditNote: note, Invoice: e.Invoice, Subscription: c.sub, Period: p.n, Wallet: c.wallet, Currency: usd, Balance: c.balance,
				Postings: creditPostings(-net, -tax),
			})
		}
	}
}

// creditPostings gives what was paid back.
func creditPostings(net, tax events.Nanos) []events.Posting {
	ps := []events.Posting{{Role: events.ConsumerMain, Nanos: net + tax}, {Role: events.Merchant, Nanos: -net}}
	if tax != 0 {
		ps = append(ps, events.Posting{Role: events.TaxPayable, Nanos: -tax})
	}
	return ps
}
