package projections

import (
	"slices"

	"tallystick/events"
)

// join adds usage that was taken back, or corrected, to the invoice of a period: as lines of its own.
func (b *Books) join(rec *events.Record, key PeriodKey, of events.LineKind, lines []events.UsageLine, sign int64) {
	a := b.Accruals.edit(key)
	assert(!a.Invoice.IsZero(), rec, "a line of a period that is not open")
	a.separate()
	for i := range lines {
		u := &lines[i]
		l := a.line(of, u.Price, u.Revision, u.TaxRate)
		if l == nil {
			line := b.newLine(rec, u)
			line.More = &LineMore{Of: of}
			if of == events.LineOfCorrection {
				line.Term = events.InArrears
			}
			a.Lines = append(a.Lines, line)
			l = &a.Lines[len(a.Lines)-1]
		}
		times := events.Nanos(sign)
		l.Quantity = l.Quantity.Add(times * events.Nanos(l.Units(u)))
		l.Nanos, l.Tax, l.Last = l.Nanos.Add(times*u.Nanos), l.Tax.Add(times*u.Tax), rec.Seq
		l.Events.Append(rec.Hash)
	}
}

func (b *Books) usageRefunded(rec *events.Record, e events.UsageRefunded) {
	assert(b.Refunds.Get(e.Usage) == nil, rec, "usage refunded twice")
	*b.Refunds.insert(e.Usage) = Refund{rec.Seq, rec.At, e.Reason}
	if e.Joins {
		b.join(rec, PeriodKey{e.Subscription, e.Period}, events.LineOfRefund, e.Lines, -1)
	}
	if !e.Reservation.IsZero() {
		b.Reservations.edit(e.Reservation).getBack(rec, e)
	}
	if e.Joins && e.Period == e.Charged {
		return
	}
	net, tax := events.TotalOf(e.Lines)
	if !e.Invoice.IsZero() {
		b.credited(rec, &e, Credit{
			ID: e.CreditNote, Merchant: rec.Merchant, Nanos: net, Tax: tax, Currency: e.Currency, Reason: e.Reason, At: rec.At, Issued: rec.Seq,
			Usage: e.Usage, Less: e.Owed(),
		})
	}
	charged := b.Returns.edit(PeriodKey{e.Subscription, e.Charged})
	charged.Back, charged.BackTax = charged.Back.Plus(net), charged.BackTax.Plus(tax)
	if e.Joins {
		shown := b.Returns.edit(PeriodKey{e.Subscription, e.Period})
		shown.Shown, shown.ShownTax = shown.Shown.Plus(net), shown.ShownTax.Plus(tax)
	}
}

// credited notes a credit note over usage against an invoice that is to be paid: it leaves so much less to pay.
func (b *Books) credited(rec *events.Record, e *events.UsageRefunded, note Credit) {
	bill := b.Bills.edit(e.Invoice)
	assert(bill.Issued != 0 && bill.Charge.IsZero(), rec, "a credit against an invoice that is not to be paid, or being paid")
	bill.Unpaid, bill.UnpaidTax = bill.Unpaid.Add(note.Less.Neg()), bill.UnpaidTax.Add(e.OwedTax.Neg())
	assert(bill.Unpaid.Sign() >= 0, rec, "a credit of more than an invoice leaves to pay")
	inv := b.Invoices.edit(e.Invoice)
	inv.Unpaid, inv.Credited, inv.UpdatedAt = inv.Unpaid.Add(note.Less.Neg()), inv.Credited.Add(note.Less), rec.At
	list := b.Credits.edit(e.Invoice)
	list.Notes = append(list.Notes, note)
}

func (b *Books) usageCorrected(rec *events.Record, e events.UsageCorrected) {
	b.join(rec, PeriodKey{e.Subscription, e.Period}, events.LineOfCorrection, e.Lines, 1)
}

// HasFee reports whether a fee was charged already.
func (a *Accrual) HasFee(fee events.FeeID) bool {
	return a != nil && slices.ContainsFunc(a.Lines, func(l OpenLine) bool { return l.Kind() == events.LineOfFee && l.More.Fee == fee })
}

// own adds a line of its own to the invoice of a period.
func (b *Books) own(rec *events.Record, key PeriodKey, l OpenLine) {
	a := b.Accruals.edit(key)
	assert(!a.Invoice.IsZero(), rec, "a line of a period that is not open")
	a.separate()
	l.First, l.Last = rec.Seq, rec.Seq
	l.Events.Append(rec.Hash)
	a.Lines = append(a.Lines, l)
}

func (b *Books) feeCharged(rec *events.Record, e events.FeeCharged) {
	if a := b.Accruals.edit(PeriodKey{e.Subscription, e.Period}); e.Term == events.InAdvance {
		a.Instant = a.Instant.Add(e.Nanos)
	}
	b.own(rec, PeriodKey{e.Subscription, e.Period}, OpenLine{
		Price: e.Price, Revision: e.Revision, Term: e.Term, UnitPrice: e.UnitPrice, Quantity: events.SumOf(events.Nanos(e.Quantity)),
		Nanos: events.SumOf(e.Nanos), Tax: events.SumOf(e.Tax), TaxRate: e.TaxRate,
		More: &LineMore{Of: events.LineOfFee, Fee: e.Fee, Days: e.Days, OfDays: e.OfDays},
	})
}

func (b *Books) lineItemAdded(rec *events.Record, e events.LineItemAdded) {
	term := events.InArrears
	if !e.Grant.IsZero() {
		term = events.InAdvance
		a := b.Accruals.edit(PeriodKey{e.Subscription, e.Period})
		a.Instant = a.Instant.Add(e.Nanos)
		if b.Purchases.Get(e.Grant) != nil {
			b.Purchases.edit(e.Grant).Invoice = e.Invoice
		}
	}
	b.own(rec, PeriodKey{e.Subscription, e.Period}, OpenLine{
		Term: term, Quantity: events.SumOf(1), Nanos: events.SumOf(e.Nanos), Tax: events.SumOf(e.Tax), TaxRate: e.TaxRate,
		More: &LineMore{Of: events.LineOfManual, Line: e.Line, Text: e.Text, Factors: []string{e.Quantity, e.UnitPrice}},
	})
}
