package verify

import (
	"fmt"

	"tallystick/events"
	"tallystick/projections"
)

// openPeriod returns a period whose invoice can have more lines.
func (a *auditor) openPeriod(sub events.SubscriptionID, n uint32) (subscription, *period, error) {
	p := a.periods[projections.PeriodKey{Subscription: sub, Period: n}]
	if p == nil {
		return subscription{}, nil, fmt.Errorf("period %d of subscription %s is not open", n, sub)
	}
	return a.subs[sub], p, nil
}

// lineFor returns a line of a kind at a price, a new one if there is none.
func (a *auditor) lineFor(p *period, of events.LineKind, u *events.UsageLine, term events.Term) (*line, error) {
	price := a.prices[priceRevision{u.Price, u.Revision}]
	if price == nil || price.metric != u.Metric {
		return nil, fmt.Errorf("price %s at revision %d of metric %s is not in the catalog", u.Price, u.Revision, u.Metric)
	}
	for _, l := range p.lines {
		if l.of == of && l.price == price && l.rate == u.TaxRate {
			return l, nil
		}
	}
	l := &line{of: of, price: price, rate: u.TaxRate, term: price.Term}
	if term != "" {
		l.term = term
	}
	p.lines = append(p.lines, l)
	return l, nil
}

// refund checks that what was debited for a usage event is credited again, and what was owed is owed no more.
func (a *auditor) refund(rec *events.Record, e events.UsageRefunded) error {
	if a.refunded[e.Usage] {
		return fmt.Errorf("usage %s is refunded a second time", e.Usage)
	}
	a.refunded[e.Usage] = true
	if err := a.givesBack(e); err != nil {
		return err
	}
	var debited, tax, owed, owedTax events.Sum
	for i := range e.Lines {
		u := &e.Lines[i]
		price := a.prices[priceRevision{u.Price, u.Revision}]
		if price == nil {
			return fmt.Errorf("price %s at revision %d is not in the catalog", u.Price, u.Revision)
		}
		if price.Term == events.Instant {
			debited, tax = debited.Add(u.Nanos).Add(u.Tax), tax.Add(u.Tax)
		} else {
			owed, owedTax = owed.Add(u.Nanos).Add(u.Tax), owedTax.Add(u.Tax)
		}
		if !e.Joins {
			continue
		}
		_, p, err := a.openPeriod(e.Subscription, e.Period)
		if err != nil {
			return err
		}
		l, err := a.lineFor(p, events.LineOfRefund, u, "")
		if err != nil {
			return err
		}
		l.add(rec, u, a.metrics[u.Metric], -1)
	}
	var fee events.Sum
	for _, p := range e.Postings {
		if p.Role == events.PlatformFee {
			fee = fee.Add(p.Nanos)
		}
	}
	if err := a.lessOwed(&e, owed, owedTax); err != nil {
		return err
	}
	if a.returned(e.Subscription, e.Charged).givenUp && !owed.IsZero() {
		return fmt.Errorf("usage %s is given back %s that will never be paid", e.Usage, owed)
	}
	to := events.ConsumerMain
	sums := map[events.Role]events.Sum{
		events.Merchant: debited.Neg().Plus(tax).Plus(fee.Neg()), events.PlatformFee: fee, events.TaxPayable: tax.Neg(),
		events.ConsumerUsage: owed, events.Receivable: owed.Neg(),
	}
	if !e.Reservation.IsZero() {
		r := a.reserved[e.Reservation]
		if r == nil || r.subscription != e.Subscription {
			return fmt.Errorf("reservation %s is not one of subscription %s, or is released already", e.Reservation, e.Subscription)
		}
		to, r.left = events.ReservationHold, r.left.Plus(debited)
	}
	sums[to] = debited
	if err := posted(e.Postings, sums); err != nil {
		return err
	}
	if to != events.ConsumerMain {
		debited = events.Sum{}
	}
	return a.move(e.Wallet, debited, e.Balance)
}

// lessOwed checks a credit note against an invoice that is issued and to be paid: it leaves less to pay by what was owed for usage of its
// period, which no other invoice shows. Where there is none, the refund names no invoice.
func (a *auditor) lessOwed(e *events.UsageRefunded, owed, tax events.Sum) error {
	if e.Invoice.IsZero() {
		if !e.CreditNote.IsZero() || e.OwedTax != 0 {
			return fmt.Errorf("usage %s is refunded by credit note %s, against no invoice", e.Usage, e.CreditNote)
		}
		return nil
	}
	b, err := a.owed(e.Invoice)
	switch {
	case err != nil:
		return err
	case e.Joins || e.CreditNote.IsZero() || b.sub != e.Subscription || b.period != e.Charged:
		return fmt.Errorf("usage %s is no usage of invoice %s, another one shows its refund, or no credit note does", e.Usage, e.Invoice)
	case tax != events.SumOf(e.OwedTax):
		return fmt.Errorf("the tax of what is owed less of invoice %s is %s, not %s", e.Invoice, tax, e.OwedTax)
	}
	b.unpaid, b.unpaidTax = b.unpaid.Plus(owed.Neg()), b.unpaidTax.Plus(tax.Neg())
	if b.unpaidTax.Sign() < 0 || b.unpaid.Cmp(b.unpaidTax) < 0 {
		return fmt.Errorf("invoice %s leaves %s to pay, and in it %s of tax", e.Invoice, b.unpaid, b.unpaidTax)
	}
	return nil
}

// returned is what was given back of what the invoice of a period has charged.
type returned struct {
	back, backTax   events.Sum // by refunds of usage that it does not show
	shown, shownTax events.Sum // by refunds that it shows of usage that others have charged
	credited        bool       // by a credit note that is not void
	givenUp         bool       // what it left to pay never will be
}

func (a *auditor) returned(sub events.SubscriptionID, n uint32) *returned {
	key := projections.PeriodKey{Subscription: sub, Period: n}
	r := a.returns[key]
	if r == nil {
		r = new(returned)
		a.returns[key] = r
	}
	return r
}

// givesBack checks that usage is not taken back whose invoice was given back as a whole, and remembers what comes off it.
func (a *auditor) givesBack(e events.UsageRefunded) error {
	of := a.returned(e.Subscription, e.Charged)
	if of.credited {
		return fmt.Errorf("usage %s is refunded, and so was its invoice", e.Usage)
	}
	if e.Joins && e.Period == e.Charged {
		return nil
	}
	net, tax := events.TotalOf(e.Lines)
	of.back, of.backTax = of.back.Plus(net), of.backTax.Plus(tax)
	if e.Joins {
		by := a.returned(e.Subscription, e.Period)
		by.shown, by.shownTax = by.shown.Plus(net), by.shownTax.Plus(tax)
	}
	return nil
}

// corrected checks that late usage is owed, as a line of another period's invoice.
func (a *auditor) corrected(rec *events.Record, e events.UsageCorrected) error {
	sub, p, err := a.openPeriod(e.Subscription, e.Period)
	if err != nil {
		return err
	}
	if sub.customer != e.Customer || sub.wallet != e.Wallet {
		return fmt.Errorf("customer or wallet are not those of subscription %s", e.Subscription)
	}
	var owed events.Sum
	for i := range e.Lines {
		u := &e.Lines[i]
		l, err := a.lineFor(p, events.LineOfCorrection, u, events.InArrears)
		if err != nil {
			return err
		}
		l.add(rec, u, a.metrics[u.Metric], 1)
		owed = owed.Add(u.Nanos).Add(u.Tax)
	}
	return accrues(e.Postings, owed)
}

// own adds a line that is an event of its own.
func (p *period) own(rec *events.Record, l *line) {
	l.count, l.first, l.last = 1, rec.Seq, rec.Seq
	l.leaves.Append(rec.Hash)
	p.lines = append(p.lines, l)
}

func (a *auditor) lineItem(rec *events.Record, e events.LineItemAdded) error {
	sub, p, err := a.openPeriod(e.Subscription, e.Period)
	if err != nil {
		return err
	}
	if !e.Grant.IsZero() {
		return a.bought(rec, sub, p, e)
	}
	amount := events.SumOf(e.Nanos).Add(e.Tax)
	p.own(rec, &line{
		of: events.LineOfManual, id: e.Line, rate: e.TaxRate, term: events.InArrears, quantity: events.SumOf(1),
		nanos: events.SumOf(e.Nanos), tax: events.SumOf(e.Tax),
	})
	return accrues(e.Postings, amount)
}

// charged is what a paid invoice has charged and nothing has given back, before tax and the tax.
func (a *auditor) charged(b *bill) (net, tax events.Sum) {
	r := a.returned(b.sub, b.period)
	return b.subtotal.Plus(r.shown).Plus(r.back.Neg()), b.tax.Plus(r.shownTax).Plus(r.backTax.Neg())
}

// refundedInvoice checks a credit note: all that a paid invoice has charged goes back to the wallet, but what did before.
func (a *auditor) refundedInvoice(e events.InvoiceRefunded) error {
	b := a.bills[e.Invoice]
	if b == nil || !b.settled || !b.issued || b.sub != e.Subscription || b.period != e.Period {
		return fmt.Errorf("invoice %s is not paid, or not that of period %d of subscription %s", e.Invoice, e.Period, e.Subscription)
	}
	r := a.returned(b.sub, b.period)
	if r.credited || r.givenUp {
		return fmt.Errorf("invoice %s is refunded already, or was never paid", e.Invoice)
	}
	net, tax := a.charged(b)
	if e.Nanos != net || e.Tax != tax {
		return fmt.Errorf("invoice %s of %s, not refunded yet, is refunded with %s", e.Invoice, net.Plus(tax), e.Nanos.Plus(e.Tax))
	}
	r.credited = true
	all := net.Plus(tax)
	if err := posted(e.Postings, map[events.Role]events.Sum{events.ConsumerMain: all, events.Merchant: net.Neg(), events.TaxPayable: tax.Neg()}); err != nil {
		return err
	}
	return a.move(e.Wallet, all, e.Balance)
}

// voided checks that all goes back that a credit note gave: nothing has come off the invoice since.
func (a *auditor) voided(e events.InvoiceRefundVoided) error {
	b := a.bills[e.Invoice]
	if b == nil || b.sub != e.Subscription || b.period != e.Period || !a.returned(b.sub, b.period).credited {
		return fmt.Errorf("invoice %s has no credit note to void", e.Invoice)
	}
	a.returned(b.sub, b.period).credited = false
	net, tax := a.charged(b)
	all := net.Plus(tax)
	if err := posted(e.Postings, map[events.Role]events.Sum{events.ConsumerMain: all.Neg(), events.Merchant: net, events.TaxPayable: tax}); err != nil {
		return err
	}
	return a.move(e.Wallet, all.Neg(), e.Balance)
}
