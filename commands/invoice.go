package commands

import (
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// grace is how long after its end late usage still joins a period.
const grace = 24 * time.Hour

// NoUsage is why an invoice of a period without usage is cancelled.
const NoUsage = "NO_USAGE"

// A biller issues the invoices of one decision, so that their numbers follow one another (D27), and each is paid from what those
// before it have left in the wallet.
type biller struct {
	b       *projections.Books
	c       Context
	s       *projections.Subscription
	number  uint64     // last one given
	ids     uint32     // identities derived from the command so far
	balance events.Sum // of the subscription's wallet
}

func newBiller(b *projections.Books, c Context, s *projections.Subscription) *biller {
	bill := &biller{b: b, c: c, s: s, ids: 1 << 8, balance: b.BalanceOf(projections.MainAccount(s.Wallet, s.Currency))} // lower ids name what the command itself makes
	if n := b.Numbers.Get(s.Merchant); n != nil {
		bill.number = *n
	}
	return bill
}

// issue closes the lines of a period and issues its invoice, or drafts it where its merchant approves invoices; without lines it
// cancels it. An invoice with nothing left to pay is paid in the same step.
func (bill *biller) issue(id events.SubscriptionID, p *projections.Period, at events.Time, d *decision) {
	v := Settle(bill.b, id, bill.s, p, at)
	if len(v.Lines) == 0 {
		bill.draft(d, at, p, events.InvoiceCancelled{Invoice: p.Invoice, Subscription: id, Period: p.N, Code: NoUsage})
		return
	}
	for i := range v.Lines {
		bill.draft(d, at, p, bill.closeLine(id, p, &v.Lines[i]))
	}
	if bill.b.Merchants.Get(bill.s.Merchant).Settings.ManualApproval {
		bill.draft(d, at, p, events.InvoiceDrafted{
			Invoice: p.Invoice, Subscription: id, Period: p.N, Lines: uint32(len(v.Lines)),
			Subtotal: v.Subtotal, Tax: v.Tax, Paid: v.Paid, Unpaid: v.Unpaid, UnpaidTax: v.UnpaidTax, Customer: bill.s.Customer,
		})
		return
	}
	e := bill.issued(id, p.Invoice, p.N, at)
	e.Lines, e.Subtotal, e.Tax, e.Paid, e.Unpaid, e.UnpaidTax = uint32(len(v.Lines)), v.Subtotal, v.Tax, v.Paid, v.Unpaid, v.UnpaidTax
	bill.draft(d, at, p, e)
	row := projections.Bill{Merchant: bill.s.Merchant, Subscription: id, Unpaid: v.Unpaid, UnpaidTax: v.UnpaidTax}
	if a := bill.b.Accruals.Get(projections.PeriodKey{Subscription: id, Period: p.N}); a != nil {
		row.Instant = a.Instant
	}
	bill.ask(p.Invoice, &row, at, func(e events.Event) { bill.draft(d, at, p, e) })
}

// ask adds what follows from an invoice having been issued: it is paid, or what it leaves to pay is asked for.
func (bill *biller) ask(id events.InvoiceID, row *projections.Bill, at events.Time, add func(events.Event)) {
	if row.Unpaid.IsZero() {
		add(events.InvoicePaid{Invoice: id, Subscription: row.Subscription, PaidAt: at})
		return
	}
	if o, ok := owingOf(bill.b, id, row); ok {
		bill.collect(o, at, add)
	}
}

// closeLine returns the record of a line, with the movement of what is owed only now.
func (bill *biller) closeLine(id events.SubscriptionID, p *projections.Period, l *SettledLine) events.InvoiceLineClosed {
	bill.ids++
	e := events.InvoiceLineClosed{
		Line: events.Derive[events.LineNoun](bill.c.ID, bill.ids), Invoice: p.Invoice, Subscription: id,
		Metric: l.Metric, Price: l.Price, Revision: l.Revision, Term: l.Term, UnitPrice: l.UnitPrice,
		Count: l.Events.Size, Quantity: l.Quantity, Nanos: l.Nanos, Tax: l.Tax, TaxRate: l.TaxRate,
		Root: l.Events.Root(), First: l.First, Last: l.Last,
	}
	if m := l.More; m != nil {
		e.Of, e.Fee, e.Model, e.Aggregation, e.Text, e.Factors = m.Of, m.Fee, m.Model, m.Aggregation, m.Text, m.Factors
		e.Item, e.Days, e.OfDays = m.Line, m.Days, m.OfDays
	}
	if l.Accrues != 0 {
		e.Wallet, e.Currency = bill.s.Wallet, bill.s.Currency
		e.Postings = []events.Posting{{Role: events.ConsumerUsage, Nanos: l.Accrues.Neg()}, {Role: events.Receivable, Nanos: l.Accrues}}
	}
	return e
}

// issued returns the record that issues an invoice, without its sums. It takes the next number.
func (bill *biller) issued(id events.SubscriptionID, invoice events.InvoiceID, period uint32, at events.Time) events.InvoiceIssued {
	bill.number++
	m := bill.b.Merchants.Get(bill.s.Merchant)
	consumer := bill.b.Consumers.Get(bill.b.Customers.Get(bill.s.Customer).Consumer)
	return events.InvoiceIssued{
		Invoice: invoice, Subscription: id, Period: period, Number: bill.number, Seller: m.Profile, Buyer: consumer.Profile,
		DueAt: at.Add(time.Duration(m.Settings.PaymentDays) * 24 * time.Hour), Customer: bill.s.Customer,
	}
}

func (bill *biller) draft(d *decision, at events.Time, p *projections.Period, e events.Event) {
	d.drafts = append(d.drafts, draft{event: e, at: at, merchant: bill.s.Merchant, cause: max(p.Opened, p.Closed)})
}
