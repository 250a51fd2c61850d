package verify

import (
	"fmt"
	"math/big"

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
	if e.Period == 0 {
		p.opened = sub.created // however long it took to pay
	}
	a.periods[key], a.open[e.Invoice] = p, p
	return a.bounds(p, sub, e)
}

// lineClosed compares a line with what it stands for.
func (a *auditor) lineClosed(rec *events.Record, e events.InvoiceLineClosed) error {
	p := a.open[e.Invoice]
	if p == nil || p.key.Subscription != e.Subscription {
		return fmt.Errorf("invoice %s is not that of an open period of subscription %s", e.Invoice, e.Subscription)
	}
	sub := a.subs[e.Subscription]
	card := a.plans[sub.plan].at(p.opened)
	for _, l := range p.lines {
		manual := l.of == events.LineOfManual
		same := l.of == e.Of && l.rate == e.TaxRate && !manual && l.price.id == (priceRevision{e.Price, e.Revision}) && (!l.closed || l.of != events.LineOfFee)
		if !same && (!manual || e.Of != events.LineOfManual || l.id != e.Item) {
			continue
		}
		if !manual {
			if err := l.aggregate(a.metrics[l.price.metric], card.inclusive, &e); err != nil {
				return err
			}
		}
		if err := closes(sub, &e); err != nil {
			return err
		}
		var agg events.Aggregation
		var model events.Model
		var fee events.FeeID
		if !manual {
			fee = l.price.fee
		}
		if l.of == "" {
			agg, model = a.metrics[l.price.metric], l.price.Model
			if agg.Adds() {
				agg = ""
			}
			if model == events.Standard {
				model = ""
			}
		}
		if e.Aggregation != agg || e.Model != model || e.Fee != fee {
			return fmt.Errorf("the line of price %s is of another model, aggregation or fee", e.Price)
		}
		return l.close(e)
	}
	if e.Of == events.LineOfFee && e.Term == events.InArrears {
		return a.feeOwed(rec, p, sub, card, e)
	}
	return fmt.Errorf("no usage at price %s was reported for invoice %s", e.Price, e.Invoice)
}

// closes checks that a line moves money, if it does, in the wallet and the currency of its subscription.
func closes(sub subscription, e *events.InvoiceLineClosed) error {
	wallet, currency := sub.wallet, sub.currency
	if len(e.Postings) == 0 {
		wallet, currency = events.WalletID{}, events.Currency{}
	}
	if e.Of != events.LineOfManual && !e.Item.IsZero() {
		return fmt.Errorf("line %s is of something that a merchant has added", e.Line)
	}
	if e.Wallet != wallet || e.Currency != currency {
		return fmt.Errorf("line %s moves money of another wallet or currency", e.Line)
	}
	return nil
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
	if l.of == events.LineOfManual {
		return difference{
			{"amount", e.Nanos, l.nanos},
			{"tax", e.Tax, l.tax},
			{"rate of tax", e.TaxRate, l.rate},
			{"root", e.Root, l.leaves.Root()},
			{"payment term", e.Term, l.term},
		}.err("manual line " + e.Line.String())
	}
	return difference{
		{"count", e.Count, l.count},
		{"quantity", e.Quantity.Digits(), l.quantity.Digits()},
		{"amount", e.Nanos, l.nanos},
		{"tax", e.Tax, l.tax},
		{"root", e.Root, l.leaves.Root()},
		{"first record", e.First, l.first},
		{"last record", e.Last, l.last},
		{"metric", e.Metric, l.price.metric},
		{"payment term", e.Term, l.term},
		{"rate of tax", e.TaxRate, l.rate},
		{"unit price", e.UnitPrice, l.price.UnitPrice},
		{"number of days", e.Days, l.days},
		{"number of days in its period", e.OfDays, l.ofDays},
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

// bill is an invoice that is drafted or issued, and not paid or given up.
type bill struct {
	sub                         events.SubscriptionID
	period                      uint32
	lines                       int
	subtotal, tax, paid, unpaid events.Sum
	unpaidTax, instant          events.Sum
	issued, settled             bool
}

// total closes a period and adds up its lines.
func (a *auditor) total(sub events.SubscriptionID, n uint32, invoice events.InvoiceID) (*bill, error) {
	p, err := a.close(sub, n, invoice)
	if err != nil {
		return nil, err
	}
	if err := a.allFees(p); err != nil {
		return nil, err
	}
	b := &bill{sub: sub, period: n, lines: len(p.lines)}
	for _, l := range p.lines {
		if !l.closed {
			return nil, fmt.Errorf("a line of invoice %s is not closed", invoice)
		}
		b.subtotal, b.tax = b.subtotal.Plus(l.nanos), b.tax.Plus(l.tax)
		if l.term == events.Instant || l.term == events.InAdvance {
			b.paid = b.paid.Plus(l.nanos).Plus(l.tax)
		} else {
			b.unpaidTax = b.unpaidTax.Plus(l.tax)
		}
	}
	b.instant = p.instant
	b.unpaid = b.subtotal.Plus(b.tax).Plus(b.paid.Neg())
	a.bills[invoice] = b
	return b, nil
}

func (a *auditor) drafted(rec *events.Record, e events.InvoiceDrafted) error {
	b, err := a.total(e.Subscription, e.Period, e.Invoice)
	if err != nil {
		return err
	}
	if m := a.merchants[rec.Merchant]; m == nil || !m.settings.ManualApproval {
		return fmt.Errorf("invoice %s is a draft, and its merchant approves none", e.Invoice)
	}
	return b.compare(e.Invoice, int(e.Lines), e.Subtotal, e.Tax, e.Paid, e.Unpaid, e.UnpaidTax)
}

func (b *bill) compare(id events.InvoiceID, lines int, subtotal, tax, paid, unpaid, unpaidTax events.Sum) error {
	return difference{
		{"number of lines", lines, b.lines},
		{"subtotal", subtotal, b.subtotal},
		{"tax", tax, b.tax},
		{"paid sum", paid, b.paid},
		{"unpaid sum", unpaid, b.unpaid},
		{"tax in it", unpaidTax, b.unpaidTax},
	}.err("invoice " + id.String())
}

// invoiceIssued compares an invoice with its lines and its parties.
func (a *auditor) invoiceIssued(rec *events.Record, e events.InvoiceIssued) error {
	b := a.bills[e.Invoice]
	if b == nil {
		var err error
		if b, err = a.total(e.Subscription, e.Period, e.Invoice); err != nil {
			return err
		}
	}
	if b.issued || b.settled {
		return fmt.Errorf("invoice %s is issued a second time", e.Invoice)
	}
	b.issued = true
	m, buyer := a.merchants[rec.Merchant], a.customers[e.Customer]
	if m == nil || a.subs[e.Subscription].customer != e.Customer || buyer.merchant != rec.Merchant || b.sub != e.Subscription || b.period != e.Period {
		return fmt.Errorf("its merchant, customer or period are not those of subscription %s", e.Subscription)
	}
	m.number++
	a.issued++
	if err := b.compare(e.Invoice, int(e.Lines), e.Subtotal, e.Tax, e.Paid, e.Unpaid, e.UnpaidTax); err != nil {
		return err
	}
	return difference{
		{"number", e.Number, m.number},
		{"record of the seller's profile", e.Seller, m.profile},
		{"record of the buyer's profile", e.Buyer, a.profiles[buyer.consumer]},
	}.err("invoice " + e.Invoice.String())
}

func (a *auditor) cancelled(e events.InvoiceCancelled) error {
	if b := a.bills[e.Invoice]; b != nil {
		if b.issued || b.settled {
			return fmt.Errorf("invoice %s is issued, and cannot be cancelled", e.Invoice)
		}
		b.settled = true
		a.returned(b.sub, b.period).givenUp = true
		return accrues(e.Postings, b.unpaid.Neg())
	}
	p, err := a.close(e.Subscription, e.Period, e.Invoice)
	if err != nil {
		return err
	}
	if len(p.lines) > 0 {
		return fmt.Errorf("invoice %s has usage, and cannot be cancelled", e.Invoice)
	}
	return a.allFees(p)
}

// owed returns the bill of an invoice that is issued and not paid.
func (a *auditor) owed(id events.InvoiceID) (*bill, error) {
	b := a.bills[id]
	if b == nil || !b.issued || b.settled {
		return nil, fmt.Errorf("invoice %s is not issued, or settled already", id)
	}
	return b, nil
}

// paid checks that what is left to pay of an invoice is received by its merchant, less the platform's part, and by the tax: with the money
// of a charge, which is of whole cents and at least a unit, or from the wallet. What is rounded is less than a cent.
func (a *auditor) paid(rec *events.Record, e events.InvoicePaid) error {
	b, err := a.owed(e.Invoice)
	if err != nil {
		return err
	}
	b.settled = true
	if b.unpaid.IsZero() {
		return posted(e.Postings, map[events.Role]events.Sum{})
	}
	net, terms := b.unpaid.Plus(b.unpaidTax.Neg()), a.merchants[rec.Merchant].settings
	fee := part(b.instant.Plus(net), terms).Plus(part(b.instant, terms).Neg())
	want := map[events.Role]events.Sum{
		events.ConsumerUsage: b.unpaid, events.Receivable: b.unpaid.Neg(), events.Merchant: net.Plus(fee.Neg()), events.PlatformFee: fee, events.TaxPayable: b.unpaidTax,
	}
	cents := new(big.Int).Add(b.unpaid.Big(), big.NewInt(5_000_000))
	cents.Sub(cents, new(big.Int).Mod(cents, big.NewInt(10_000_000)))
	asked, _ := events.SumOfBig(cents)
	var main events.Sum
	switch {
	case !e.Charge.IsZero():
		c := a.charges[e.Charge]
		if c == nil || c.invoice != e.Invoice {
			return fmt.Errorf("charge %s is not of invoice %s", e.Charge, e.Invoice)
		}
		if err := a.spend(e.Charge, events.SumOf(max(c.least, c.amount))); err != nil {
			return err
		}
		main = events.SumOf(c.amount).Plus(asked.Neg())
		if main.Sign() < 0 || main.Sign() > 0 && c.amount != c.least {
			return fmt.Errorf("charge %s of %s is not for the %s that are left to pay", e.Charge, c.amount, b.unpaid)
		}
		want[events.ProcessorClearing], want[events.Rounding] = events.SumOf(c.amount.Neg()), asked.Plus(b.unpaid.Neg())
	case asked.IsZero():
		want[events.Rounding] = b.unpaid.Neg()
	default:
		main = b.unpaid.Neg()
	}
	want[events.ConsumerMain] = main
	if err := posted(e.Postings, want); err != nil || main.IsZero() {
		return err
	}
	return a.move(a.subs[b.sub].wallet, main, e.Balance)
}

// unpaid checks that only what is issued and to be paid is said not to be.
func (a *auditor) unpaid(e events.InvoicePaymentFailed) error {
	_, err := a.owed(e.Invoice)
	return err
}

func (a *auditor) writtenOff(e events.InvoiceWrittenOff) error {
	b, err := a.owed(e.Invoice)
	if err != nil {
		return err
	}
	b.settled = true
	a.returned(b.sub, b.period).givenUp = true
	return accrues(e.Postings, b.unpaid.Neg())
}
