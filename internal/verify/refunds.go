package verify

import (
	"fmt"
	"math/big"

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
	var debited, tax, owed events.Sum
	for i := range e.Lines {
		u := &e.Lines[i]
		price := a.prices[priceRevision{u.Price, u.Revision}]
		if price == nil {
			return fmt.Errorf("price %s at revision %d is not in the catalog", u.Price, u.Revision)
		}
		if price.Term == events.Instant {
			debited, tax = debited.Add(u.Nanos).Add(u.Tax), tax.Add(u.Tax)
		} else {
			owed = owed.Add(u.Nanos).Add(u.Tax)
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
	if err := posted(e.Postings, map[events.Role]events.Sum{
		events.ConsumerMain: debited, events.Merchant: debited.Neg().Plus(tax).Plus(fee.Neg()), events.PlatformFee: fee, events.TaxPayable: tax.Neg(),
		events.ConsumerUsage: owed, events.Receivable: owed.Neg(),
	}); err != nil {
		return err
	}
	return a.move(e.Wallet, debited, e.Balance)
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

// bought checks units that were paid out of the wallet: their tax, the platform's part, and that they are granted next.
func (a *auditor) bought(rec *events.Record, sub subscription, p *period, e events.LineItemAdded) error {
	price, err := events.ParseNanos(e.UnitPrice)
	card := a.plans[sub.plan].at(p.opened)
	switch {
	case err != nil || e.Quantity != "1" || price <= 0:
		return fmt.Errorf("grant %s is bought %s times for %s", e.Grant, e.Quantity, e.UnitPrice)
	case sub.wallet != e.Wallet || sub.currency != e.Currency || sub.customer != e.Customer:
		return fmt.Errorf("customer, wallet or currency are not those of subscription %s", e.Subscription)
	case a.taxRate(sub, card, events.MetricID{}, rec.At) != e.TaxRate:
		return fmt.Errorf("grant %s is taxed at %d ten-millionths", e.Grant, e.TaxRate)
	}
	if err := taxed(&line{rate: e.TaxRate}, card.inclusive, big.NewInt(int64(price)), e.Nanos, e.Tax, "grant "+e.Grant.String()); err != nil {
		return err
	}
	net, tax, terms := events.SumOf(e.Nanos), events.SumOf(e.Tax), a.merchants[rec.Merchant].settings
	fee := part(p.instant.Plus(net), terms).Plus(part(p.instant, terms).Neg())
	p.instant = p.instant.Plus(net)
	p.own(rec, &line{of: events.LineOfManual, id: e.Line, rate: e.TaxRate, term: events.InAdvance, quantity: events.SumOf(1), nanos: net, tax: tax})
	if err := posted(e.Postings, map[events.Role]events.Sum{
		events.ConsumerMain: net.Plus(tax).Neg(), events.Merchant: net.Plus(fee.Neg()), events.PlatformFee: fee, events.TaxPayable: tax,
	}); err != nil {
		return err
	}
	a.sold = e.Grant
	return a.move(e.Wallet, net.Plus(tax).Neg(), e.Balance)
}

// delivered checks that a grant which the record before has sold is what this one issues.
func (a *auditor) delivered(rec *events.Record) error {
	sold := a.sold
	a.sold = events.GrantID{}
	if e, ok := rec.Event.(events.GrantIssued); !sold.IsZero() && (!ok || e.Grant != sold) {
		return fmt.Errorf("grant %s was bought, and is not issued", sold)
	}
	return nil
}

// refundedInvoice checks a credit note: all of a paid invoice goes back to the wallet.
func (a *auditor) refundedInvoice(e events.InvoiceRefunded) error {
	b := a.bills[e.Invoice]
	if b == nil || !b.settled || !b.issued || b.credited || b.sub != e.Subscription {
		return fmt.Errorf("invoice %s is not paid, or refunded already", e.Invoice)
	}
	b.credited = true
	if e.Nanos != b.subtotal || e.Tax != b.tax {
		return fmt.Errorf("invoice %s of %s is refunded with %s", e.Invoice, b.subtotal.Plus(b.tax), e.Nanos.Plus(e.Tax))
	}
	all := b.subtotal.Plus(b.tax)
	if err := posted(e.Postings, map[events.Role]events.Sum{events.ConsumerMain: all, events.Merchant: b.subtotal.Neg(), events.TaxPayable: b.tax.Neg()}); err != nil {
		return err
	}
	return a.move(e.Wallet, all, e.Balance)
}

func (a *auditor) voided(e events.InvoiceRefundVoided) error {
	b := a.bills[e.Invoice]
	if b == nil || !b.credited {
		return fmt.Errorf("invoice %s has no credit note to void", e.Invoice)
	}
	b.credited = false
	all := b.subtotal.Plus(b.tax)
	if err := posted(e.Postings, map[events.Role]events.Sum{events.ConsumerMain: all.Neg(), events.Merchant: b.subtotal, events.TaxPayable: b.tax}); err != nil {
		return err
	}
	return a.move(e.Wallet, all.Neg(), e.Balance)
}
