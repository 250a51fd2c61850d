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

// hour returns t rounded down to the hour (D28).
func hour(t events.Time) events.Time {
	const h = events.Time(time.Hour)
	r := t % h
	if r < 0 {
		r += h
	}
	return t - r
}

// periodEnd returns the end of the nth period, n = 0, 1, 2…: n + 1 cadences after
// the anchor, always counted from the anchor, clamped to the end of the month (A21).
func periodEnd(anchor events.Time, c events.Cadence, n uint32) events.Time {
	months := c.Months()
	if months == 0 {
		panic("commands: impossible: cadence " + string(c))
	}
	return addMonths(anchor, (int(n)+1)*months)
}

// addMonths returns the instant n months after t: the same day and time of day, or
// the last day of a month that has no such day.
func addMonths(t events.Time, n int) events.Time {
	s := t.Std()
	year, month, day := s.Date()
	firstOfMonth := time.Date(year, month+time.Month(n), 1, s.Hour(), s.Minute(), s.Second(), s.Nanosecond(), time.UTC)
	last := firstOfMonth.AddDate(0, 1, -1).Day()
	end, _ := events.TimeOf(firstOfMonth.AddDate(0, 0, min(day, last)-1))
	return end
}

// A biller issues the invoices of one decision, so that their numbers follow one another (D27).
type biller struct {
	b      *projections.Books
	c      Context
	s      *projections.Subscription
	number uint64 // last one given
	ids    uint32 // identities derived from the command so far
}

func newBiller(b *projections.Books, c Context, s *projections.Subscription) *biller {
	bill := &biller{b: b, c: c, s: s, ids: 1 << 8} // lower ones name what the command itself makes
	if n := b.Numbers.Get(s.Merchant); n != nil {
		bill.number = *n
	}
	return bill
}

// issue closes the lines of a period and issues its invoice; without lines it cancels it. An
// invoice with nothing left to pay is paid in the same step.
func (bill *biller) issue(id events.SubscriptionID, p *projections.Period, at events.Time, d *decision) {
	accrual := bill.b.Accruals.Get(projections.PeriodKey{Subscription: id, Period: p.N})
	if accrual == nil || len(accrual.Lines) == 0 {
		bill.draft(d, at, p, events.InvoiceCancelled{Invoice: p.Invoice, Subscription: id, Period: p.N, Code: NoUsage})
		return
	}
	for i := range accrual.Lines {
		l := &accrual.Lines[i]
		bill.ids++
		bill.draft(d, at, p, events.InvoiceLineClosed{
			Line: events.Derive[events.LineNoun](bill.c.ID, bill.ids), Invoice: p.Invoice, Subscription: id,
			Metric: l.Metric, Price: l.Price, Revision: l.Revision, Term: l.Term, UnitPrice: l.UnitPrice,
			Count: l.Events.Size, Quantity: l.Quantity, Nanos: l.Nanos, Tax: l.Tax,
			Root: l.Events.Root(), First: l.First, Last: l.Last,
		})
	}
	bill.number++
	sum := accrual.Issue()
	consumer := bill.b.Consumers.Get(bill.b.Customers.Get(bill.s.Customer).Consumer)
	bill.draft(d, at, p, events.InvoiceIssued{
		Invoice: p.Invoice, Subscription: id, Period: p.N, Number: bill.number, Lines: uint32(len(accrual.Lines)),
		Subtotal: sum.Subtotal, Tax: sum.Tax, Paid: sum.Paid, Unpaid: sum.Unpaid,
		Seller: bill.b.Merchants.Get(bill.s.Merchant).Profile, Buyer: consumer.Profile, DueAt: at, Customer: bill.s.Customer,
	})
	if sum.Unpaid.IsZero() {
		bill.draft(d, at, p, events.InvoicePaid{Invoice: p.Invoice, Subscription: id, PaidAt: at})
	}
}

func (bill *biller) draft(d *decision, at events.Time, p *projections.Period, e events.Event) {
	d.drafts = append(d.drafts, draft{event: e, at: at, merchant: bill.s.Merchant, cause: max(p.Opened, p.Closed)})
}
