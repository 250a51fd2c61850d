package verify

import (
	"fmt"

	"tallystick/events"
	"tallystick/projections"
)

func (a *auditor) opened(rec *events.Record, e events.InvoiceOpened) error {
	sub, ok := a.subs[e.Subscription]
	if !ok || sub.merchant != rec.Merchant || sub.customer != e.Customer || sub.currency != e.Currency {
		return fmt.Errorf("merchant, customer or currency are not those of subscription %s", e.Subscription)
	}
	key := projections.PeriodKey{Subscription: e.Subscription, Period: e.Period}
	if a.periods[key] != nil || a.open[e.Invoice] != nil {
		return fmt.Errorf("period %d of subscription %s, or its invoice, is open already", e.Period, e.Subscription)
	}
	p := &period{key: key, invoice: e.Invoice, opened: rec.Seq}
	a.periods[key], a.open[e.Invoice] = p, p
	return nil
}

// lineClosed compares a line with the usage that it stands for.
func (a *auditor) lineClosed(e events.InvoiceLineClosed) error {
	p := a.open[e.Invoice]
	if p == nil || p.key.Subscription != e.Subscription {
		return fmt.Errorf("invoice %s is not that of an open period of subscription %s", e.Invoice, e.Subscription)
	}
	for _, l := range p.lines {
		if l.price.id == (priceRevision{e.Price, e.Revision}) {
			return l.close(e)
		}
	}
	return fmt.Errorf("no usage at price %s was reported for invoice %s", e.Price, e.Invoice)
}

// difference names the first thing that is not as it must be.
type difference []struct {
	what      string
	got, want any
}

func (d difference) err(of string) error {
	for _, c := range d {
		if c.got != c.want {
			return fmt.Errorf("the %s of %s is %v by its usage, not %v", c.what, of, c.want, c.got)
		}
	}
	return nil
}

func (l *line) close(e events.InvoiceLineClosed) error {
	if l.closed {
		return fmt.Errorf("the line of price %s is closed a second time", e.Price)
	}
	l.closed = true
	return difference{
		{"count", e.Count, l.count},
		{"quantity", e.Quantity.Digits(), l.quantity.Digits()},
		{"amount", e.Nanos, l.nanos},
		{"tax", e.Tax, l.tax},
		{"root", e.Root, l.leaves.Root()},
		{"first record", e.First, l.first},
		{"last record", e.Last, l.last},
		{"metric", e.Metric, l.price.metric},
		{"payment term", e.Term, l.price.Term},
		{"unit price", e.UnitPrice, l.price.UnitPrice},
	}.err("the line of price " + e.Price.String())
}

// close ends a period: nothing joins it any more.
func (a *auditor) close(sub events.SubscriptionID, n uint32, invoice events.InvoiceID) (*period, error) {
	p := a.periods[projections.PeriodKey{Subscription: sub, Period: n}]
	if p == nil || p.invoice != invoice {
		return nil, fmt.Errorf("invoice %s is not that of an open period %d of subscription %s", invoice, n, sub)
	}
	delete(a.periods, p.key)
	delete(a.open, invoice)
	return p, nil
}

// invoiceIssued compares an invoice with its lines and its parties.
func (a *auditor) invoiceIssued(rec *events.Record, e events.InvoiceIssued) error {
	p, err := a.close(e.Subscription, e.Period, e.Invoice)
	if err != nil {
		return err
	}
	var subtotal, tax, paid events.Sum
	for _, l := range p.lines {
		if !l.closed {
			return fmt.Errorf("the line of price %s is not closed", l.price.id.price)
		}
		subtotal, tax = subtotal.Plus(l.nanos), tax.Plus(l.tax)
		if l.price.Term == events.Instant {
			paid = paid.Plus(l.nanos).Plus(l.tax)
		}
	}
	unpaid := subtotal.Plus(tax).Plus(paid.Neg())
	m, buyer := a.merchants[rec.Merchant], a.customers[e.Customer]
	if m == nil || a.subs[e.Subscription].customer != e.Customer || buyer.merchant != rec.Merchant {
		return fmt.Errorf("its merchant or customer are not those of subscription %s", e.Subscription)
	}
	m.number++
	a.unpaid[e.Invoice] = unpaid
	a.issued++
	return difference{
		{"number", e.Number, m.number},
		{"number of lines", int(e.Lines), len(p.lines)},
		{"subtotal", e.Subtotal, subtotal},
		{"tax", e.Tax, tax},
		{"paid sum", e.Paid, paid},
		{"unpaid sum", e.Unpaid, unpaid},
		{"record of the seller's profile", e.Seller, m.profile},
		{"record of the buyer's profile", e.Buyer, a.profiles[buyer.consumer]},
	}.err("invoice " + e.Invoice.String())
}

func (a *auditor) cancelled(e events.InvoiceCancelled) error {
	p, err := a.close(e.Subscription, e.Period, e.Invoice)
	if err == nil && len(p.lines) > 0 {
		err = fmt.Errorf("invoice %s has usage, and cannot be cancelled", e.Invoice)
	}
	return err
}

func (a *auditor) paid(e events.InvoicePaid) error {
	left, ok := a.unpaid[e.Invoice]
	if !ok {
		return fmt.Errorf("invoice %s is not issued, or paid already", e.Invoice)
	}
	if !left.IsZero() {
		return fmt.Errorf("%s of invoice %s is not paid", left, e.Invoice)
	}
	delete(a.unpaid, e.Invoice)
	return nil
}
