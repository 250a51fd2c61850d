package projections

import (
	"slices"

	"tallystick/events"
)

// Accrual is what an invoice that is not issued yet has come to.
type Accrual struct {
	Invoice events.InvoiceID
	Lines   []OpenLine // in the order of their first usage
	Instant events.Sum // what was debited at once, before tax: the base of the platform fee

	joint bool // the lines' Events are one and the same, hashes in memory included
}

// OpenLine is what one price, at one revision, has come to in a period (D26).
type OpenLine struct {
	Metric    events.MetricID
	Price     events.PriceID
	Revision  uint32
	Term      events.Term
	UnitPrice events.Nanos
	Quantity  events.Sum // units
	Nanos     events.Sum // before tax
	Tax       events.Sum
	First     events.Seq
	Last      events.Seq
	Events    Frontier // over the leaf hashes of its usage events
	Counts    bool     // each event counts one unit, whatever its quantity
}

// Units returns how many units a usage of the given quantity adds to l.
func (l *OpenLine) Units(quantity int64) int64 {
	if l.Counts {
		return 1
	}
	return quantity
}

// Line returns the line of a price at a revision, or nil if it has no usage yet.
func (a *Accrual) Line(price events.PriceID, revision uint32) *OpenLine {
	if a == nil {
		return nil
	}
	for i := range a.Lines {
		if l := &a.Lines[i]; l.Price == price && l.Revision == revision {
			return l
		}
	}
	return nil
}

// InvoiceStatus is the state of an invoice on the wire.
type InvoiceStatus string

// The states of an invoice.
const (
	InvoiceActive    InvoiceStatus = "ACTIVE"    // its period is running
	InvoiceClosing   InvoiceStatus = "CLOSING"   // its period is over, late usage still joins it
	InvoiceIssued    InvoiceStatus = "ISSUED"    // final, and something is left to pay
	InvoicePaid      InvoiceStatus = "PAID"      // nothing is left to pay
	InvoiceCancelled InvoiceStatus = "CANCELLED" // never issued
)

// Invoice is the bill of a billing period.
type Invoice struct {
	Merchant     events.OrganizationID `cbor:"1,keyasint"`
	Subscription events.SubscriptionID `cbor:"2,keyasint"`
	Customer     events.CustomerID     `cbor:"3,keyasint"`
	Period       uint32                `cbor:"4,keyasint"`
	Status       InvoiceStatus         `cbor:"5,keyasint"`
	Start        events.Time           `cbor:"6,keyasint"`
	End          events.Time           `cbor:"7,keyasint"`
	GraceEnd     events.Time           `cbor:"8,keyasint"`
	Currency     events.Currency       `cbor:"9,keyasint"`
	Number       uint64                `cbor:"10,keyasint,omitzero"` // once issued
	Lines        uint32                `cbor:"11,keyasint,omitzero"`
	Subtotal     events.Sum            `cbor:"12,keyasint"`
	Tax          events.Sum            `cbor:"13,keyasint"`
	Paid         events.Sum            `cbor:"14,keyasint"`
	Unpaid       events.Sum            `cbor:"15,keyasint"`
	Seller       events.Seq            `cbor:"16,keyasint,omitzero"`
	Buyer        events.Seq            `cbor:"17,keyasint,omitzero"`
	Issued       events.Seq            `cbor:"18,keyasint,omitzero"` // the record that issued it
	IssuedAt     events.Time           `cbor:"19,keyasint,omitzero"`
	DueAt        events.Time           `cbor:"20,keyasint,omitzero"`
	PaidAt       events.Time           `cbor:"21,keyasint,omitzero"`
	Code         string                `cbor:"22,keyasint,omitempty"` // why it was cancelled
}

// Line is a closed line: where it stands in the log.
type Line struct {
	Seq events.Seq `cbor:"1,keyasint"` // its closing record
}

// Issuance is what an accrual comes to as an invoice, line by line. It is the one
// computation behind an issued invoice and the preview of one.
type Issuance struct {
	Subtotal, Tax, Paid, Unpaid events.Sum
}

// Issue adds up the lines of a, which may be nil.
func (a *Accrual) Issue() (i Issuance) {
	if a == nil {
		return i
	}
	for l := range slices.Values(a.Lines) {
		i.Subtotal, i.Tax = i.Subtotal.Plus(l.Nanos), i.Tax.Plus(l.Tax)
		if l.Term == events.Instant {
			i.Paid = i.Paid.Plus(l.Nanos).Plus(l.Tax)
		}
	}
	i.Unpaid = i.Subtotal.Plus(i.Tax).Plus(i.Paid.Neg())
	return i
}

// accrue adds the lines of a usage event to its period's invoice.
func (b *Books) accrue(rec *events.Record, e *events.UsageReported, a *Accrual) {
	assert(!a.Invoice.IsZero(), rec, "usage in a period that is not open")
	for i := range e.Lines {
		u := &e.Lines[i]
		l := a.Line(u.Price, u.Revision)
		if l == nil {
			a.separate()
			a.Lines = append(a.Lines, b.newLine(rec, u))
			l = &a.Lines[len(a.Lines)-1]
		}
		l.Quantity = l.Quantity.Add(events.Nanos(l.Units(u.Quantity)))
		l.Nanos = l.Nanos.Add(u.Nanos)
		if u.Tax != 0 {
			l.Tax = l.Tax.Add(u.Tax)
		}
		l.Last = rec.Seq
		if l.Term == events.Instant {
			a.Instant = a.Instant.Add(u.Nanos)
		}
	}
	a.append(e, rec.Hash)
}

// append adds a usage event to the trees of its lines. Lines whose events are all the same
// have their tree once: hashing is a good part of the work of a fold.
func (a *Accrual) append(e *events.UsageReported, leaf events.Hash) {
	if len(e.Lines) == len(a.Lines) && (a.joint || a.alike()) {
		a.joint = true
		a.Lines[0].Events.Append(leaf)
		for i := range a.Lines[1:] {
			a.Lines[1+i].Events = a.Lines[0].Events
		}
		return
	}
	a.separate()
	for i := range e.Lines {
		a.Line(e.Lines[i].Price, e.Lines[i].Revision).Events.Append(leaf)
	}
}

// alike reports whether all lines have the same usage events.
func (a *Accrual) alike() bool {
	for i := range a.Lines[1:] {
		if f, g := &a.Lines[0].Events, &a.Lines[1+i].Events; f.Size != g.Size || !slices.Equal(f.Hashes, g.Hashes) {
			return false
		}
	}
	return true
}

// separate gives every line hashes of its own.
func (a *Accrual) separate() {
	if !a.joint {
		return
	}
	a.joint = false
	for i := 1; i < len(a.Lines); i++ {
		a.Lines[i].Events.Hashes = slices.Clone(a.Lines[i].Events.Hashes)
	}
}

func (b *Books) newLine(rec *events.Record, u *events.UsageLine) OpenLine {
	price := b.Prices.Get(u.Price)
	assert(price != nil && price.Revision(u.Revision) != nil, rec, "usage at an unknown price")
	tariff := price.Revision(u.Revision)
	metric := b.Metrics.Get(u.Metric)
	assert(metric != nil, rec, "usage of an unknown metric")
	return OpenLine{
		Metric: u.Metric, Price: u.Price, Revision: u.Revision, Term: tariff.Term,
		UnitPrice: tariff.UnitPrice, First: rec.Seq, Counts: metric.Aggregation == events.AggregateCount,
	}
}

func (b *Books) invoiceOpened(rec *events.Record, e events.InvoiceOpened) {
	s := b.Subscriptions.edit(e.Subscription)
	s.Periods = append(s.Periods, Period{N: e.Period, Invoice: e.Invoice, Start: e.Start, End: e.End, GraceEnd: e.GraceEnd, Opened: rec.Seq})
	*b.Accruals.insert(PeriodKey{e.Subscription, e.Period}) = Accrual{Invoice: e.Invoice}
	*b.Invoices.insert(e.Invoice) = Invoice{
		Merchant: rec.Merchant, Subscription: e.Subscription, Customer: e.Customer, Period: e.Period,
		Status: InvoiceActive, Start: e.Start, End: e.End, GraceEnd: e.GraceEnd, Currency: e.Currency,
	}
	b.owe(e.Customer, e.Invoice)
	b.link(LinkInvoices, rec.Merchant, e.Invoice, rec.Seq)
	b.link(LinkInvoicesOfCustomer, e.Customer, e.Invoice, rec.Seq)
	b.link(LinkInvoicesOfSubscription, e.Subscription, e.Invoice, rec.Seq)
}

func (b *Books) invoiceClosing(rec *events.Record, e events.InvoiceClosing) {
	s := b.Subscriptions.edit(e.Subscription)
	inv := b.Invoices.edit(e.Invoice)
	inv.Status = InvoiceClosing
	for i := range s.Periods {
		p := &s.Periods[i]
		if p.N != e.Period {
			continue
		}
		p.Closing, p.Closed = true, rec.Seq
		if e.End != 0 {
			p.End, p.GraceEnd = e.End, e.GraceEnd
			inv.End, inv.GraceEnd = e.End, e.GraceEnd
		}
		return
	}
	assert(false, rec, "a period closed that is not open")
}

func (b *Books) invoiceLineClosed(rec *events.Record, e events.InvoiceLineClosed) {
	*b.Lines.insert(Pair[events.InvoiceID, events.LineID]{e.Invoice, e.Line}) = Line{rec.Seq}
}

func (b *Books) invoiceIssued(rec *events.Record, e events.InvoiceIssued) {
	number := b.Numbers.edit(rec.Merchant)
	assert(e.Number == *number+1, rec, "an invoice number left out, or given twice")
	*number = e.Number
	inv := b.Invoices.edit(e.Invoice)
	inv.Status, inv.Number, inv.Lines = InvoiceIssued, e.Number, e.Lines
	inv.Subtotal, inv.Tax, inv.Paid, inv.Unpaid = e.Subtotal, e.Tax, e.Paid, e.Unpaid
	inv.Seller, inv.Buyer = e.Seller, e.Buyer
	inv.Issued, inv.IssuedAt, inv.DueAt = rec.Seq, rec.At, e.DueAt
	b.periodDone(e.Subscription, e.Period)
}

func (b *Books) invoicePaid(_ *events.Record, e events.InvoicePaid) {
	inv := b.Invoices.edit(e.Invoice)
	inv.Status, inv.PaidAt = InvoicePaid, e.PaidAt
	b.settled(e.Subscription, e.Invoice)
}

func (b *Books) invoiceCancelled(_ *events.Record, e events.InvoiceCancelled) {
	inv := b.Invoices.edit(e.Invoice)
	inv.Status, inv.Code = InvoiceCancelled, e.Code
	b.settled(e.Subscription, e.Invoice)
	b.periodDone(e.Subscription, e.Period)
}

// periodDone forgets a period of a subscription: nothing joins its invoice any more.
func (b *Books) periodDone(id events.SubscriptionID, n uint32) {
	s := b.Subscriptions.edit(id)
	s.Periods = slices.DeleteFunc(s.Periods, func(p Period) bool { return p.N == n })
	key := PeriodKey{id, n}
	b.Accruals.remove(key)
	b.charges.forget(memoHash(id, n))
}
