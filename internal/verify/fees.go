package verify

import (
	"fmt"
	"slices"
	"time"

	"tallystick/events"
)

// subscribed takes a new subscription, and works out again what it was told that its start costs.
func (a *auditor) subscribed(rec *events.Record, e events.SubscriptionCreated) error {
	sub := subscription{
		rec.Merchant, e.Customer, e.Plan, e.Wallet, e.Currency, e.Cadence, e.Anchor, e.StartedAt, e.TaxExempt, rec.Seq, e.Upfront,
	}
	if err := a.anchored(sub, e); err != nil {
		return err
	}
	a.subs[e.Subscription] = sub
	if err := a.uses(e.Wallet, e.Subscription, a.customers[e.Customer].consumer); err != nil {
		return err
	}
	return a.upfront(rec, sub, e.Upfront)
}

// anchored checks what the periods of a new subscription are counted from: the anchor of its plan, or its own start, down to the hour.
func (a *auditor) anchored(sub subscription, e events.SubscriptionCreated) error {
	if e.Cadence.Months() == 0 {
		return fmt.Errorf("subscription %s has periods of %q", e.Subscription, e.Cadence)
	}
	want := events.Time(0)
	if p := a.plans[sub.plan]; p != nil {
		want = p.anchor
	}
	if want == 0 {
		at, _ := events.TimeOf(sub.started.Std().Truncate(time.Hour))
		want = at
	}
	if e.Anchor != want {
		return fmt.Errorf("the periods of subscription %s are counted from %s, not from %s", e.Subscription, e.Anchor, want)
	}
	return nil
}

// authorized takes what a subscription was told that its start costs when its consumer had agreed to it.
func (a *auditor) authorized(rec *events.Record, e events.SubscriptionAuthorized) error {
	sub := a.subs[e.Subscription]
	if sub.wallet != (events.WalletID{}) || sub.customer != e.Customer {
		return fmt.Errorf("subscription %s did not wait for anybody", e.Subscription)
	}
	sub.wallet, sub.created, sub.upfront = e.Wallet, rec.Seq, e.Upfront
	a.subs[e.Subscription] = sub
	return a.upfront(rec, sub, e.Upfront)
}

// upfront works out again what is to be paid for the start of a subscription.
func (a *auditor) upfront(rec *events.Record, sub subscription, fees []events.QuotedFee) error {
	card := a.plans[sub.plan].at(rec.Seq)
	for i := range fees {
		if err := a.quoted(sub, card, 0, &fees[i], rec.At); err != nil {
			return err
		}
	}
	if due := dueFees(a, sub, card, 0, events.InAdvance); len(fees) > 0 && len(due) != len(fees) {
		return fmt.Errorf("%d fees are due at the start, and it names %d", len(due), len(fees))
	}
	return nil
}

// claimed makes the customers of a managed consumer those of the full one.
func (a *auditor) claimed(_ *events.Record, e events.ConsumerClaimed) {
	for id, c := range a.customers {
		if c.consumer == e.Managed {
			c.consumer = e.Consumer
			a.customers[id] = c
		}
	}
	for _, v := range a.virtual {
		if v.owner == e.Managed {
			v.owner = e.Consumer
		}
	}
}

// quoted works out again what a fee that is paid in advance costs in the nth period of a subscription.
func (a *auditor) quoted(sub subscription, card card, n uint32, q *events.QuotedFee, at events.Time) error {
	price := a.prices[priceRevision{q.Price, q.Revision}]
	if price == nil || price.fee.IsZero() || price.fee != q.Fee || price.Term != events.InAdvance || card.revisions[q.Price] != q.Revision {
		return fmt.Errorf("price %s is no fee of the plan that is paid in advance", q.Price)
	}
	units, used, of, cost := feeCost(sub, card, price, n, 0)
	if units == 0 || q.Quantity != units || q.UnitPrice != price.UnitPrice {
		return fmt.Errorf("fee %s is charged %d times in period %d, not %d", q.Fee, q.Quantity, n, units)
	}
	if q.Days != used || q.OfDays != of {
		return fmt.Errorf("fee %s is charged for %d of %d days, not %d of %d", q.Fee, q.Days, q.OfDays, used, of)
	}
	if want := a.taxRate(sub, card, events.MetricID{}, at); q.TaxRate != want {
		return fmt.Errorf("a fee is taxed at %d ten-millionths, not %d", q.TaxRate, want)
	}
	return taxed(&line{rate: q.TaxRate}, card.inclusive, cost, q.Nanos, q.Tax, "fee "+q.Fee.String())
}

// feeCharged checks a fee that the wallet pays at once: its amount is that of the catalog, or what was told before.
func (a *auditor) feeCharged(rec *events.Record, e events.FeeCharged) error {
	sub, p, err := a.openPeriod(e.Subscription, e.Period)
	if err != nil {
		return err
	}
	q := events.QuotedFee{
		Fee: e.Fee, Price: e.Price, Revision: e.Revision, Quantity: e.Quantity, UnitPrice: e.UnitPrice, Nanos: e.Nanos, Tax: e.Tax, TaxRate: e.TaxRate,
		Days: e.Days, OfDays: e.OfDays,
	}
	switch {
	case sub.customer != e.Customer || sub.wallet != e.Wallet || sub.currency != e.Currency || e.Term != events.InAdvance:
		return fmt.Errorf("customer, wallet, currency or term are not those of subscription %s", e.Subscription)
	case p.hasFee(e.Fee):
		return fmt.Errorf("fee %s is charged a second time in period %d", e.Fee, e.Period)
	case e.Period == 0 && len(sub.upfront) > 0:
		if !slices.Contains(sub.upfront, q) {
			return fmt.Errorf("fee %s is not charged at what was told before", e.Fee)
		}
	default:
		if err := a.quoted(sub, a.plans[sub.plan].at(p.opened), e.Period, &q, rec.At); err != nil {
			return err
		}
	}
	p.own(rec, &line{
		of: events.LineOfFee, price: a.prices[priceRevision{e.Price, e.Revision}], rate: e.TaxRate, term: e.Term,
		quantity: events.SumOf(events.Nanos(e.Quantity)), nanos: events.SumOf(e.Nanos), tax: events.SumOf(e.Tax), days: e.Days, ofDays: e.OfDays,
	})
	net, tax, terms := events.SumOf(e.Nanos), events.SumOf(e.Tax), a.merchants[rec.Merchant].settings
	fee := part(p.instant.Plus(net), terms).Plus(part(p.instant, terms).Neg())
	p.instant = p.instant.Plus(net)
	gross := net.Plus(tax)
	if err := posted(e.Postings, map[events.Role]events.Sum{
		events.ConsumerMain: gross.Neg(), events.Merchant: net.Plus(fee.Neg()), events.PlatformFee: fee, events.TaxPayable: tax,
	}); err != nil {
		return err
	}
	return a.move(e.Wallet, gross.Neg(), e.Balance)
}

// hasFee reports whether a period has a line of a fee.
func (p *period) hasFee(fee events.FeeID) bool {
	return slices.ContainsFunc(p.lines, func(l *line) bool { return l.of == events.LineOfFee && l.price.fee == fee })
}

// feeOwed checks a fee that is owed from the end of its period: one that is paid in arrears, or one that was to be paid in
// advance and was not.
func (a *auditor) feeOwed(rec *events.Record, p *period, sub subscription, card card, e events.InvoiceLineClosed) error {
	price := a.prices[priceRevision{e.Price, e.Revision}]
	if price == nil || price.fee.IsZero() || price.fee != e.Fee || card.revisions[e.Price] != e.Revision || p.hasFee(e.Fee) {
		return fmt.Errorf("price %s is no fee of the plan that is owed", e.Price)
	}
	units, used, of, cost := feeCost(sub, card, price, p.key.Period, p.end)
	l := &line{of: e.Of, price: price, rate: e.TaxRate, term: e.Term, closed: true, nanos: e.Nanos, tax: e.Tax}
	if want := a.taxRate(sub, card, events.MetricID{}, rec.At); e.TaxRate != want {
		return fmt.Errorf("a fee is taxed at %d ten-millionths, not %d", e.TaxRate, want)
	}
	if units == 0 || e.Quantity != events.SumOf(events.Nanos(units)) || e.UnitPrice != price.UnitPrice {
		return fmt.Errorf("fee %s is charged %s times, not %d", e.Fee, e.Quantity.Digits(), units)
	}
	if e.Days != used || e.OfDays != of {
		return fmt.Errorf("fee %s is charged for %d of %d days, not %d of %d", e.Fee, e.Days, e.OfDays, used, of)
	}
	nanos, _ := e.Nanos.Nanos()
	tax, _ := e.Tax.Nanos()
	if err := taxed(&line{rate: e.TaxRate}, card.inclusive, cost, nanos, tax, "fee "+e.Fee.String()); err != nil {
		return err
	}
	p.lines = append(p.lines, l)
	return accrues(e.Postings, e.Nanos.Plus(e.Tax))
}

// dueFees returns the fees of a term that a card charges in the nth period of a subscription.
func dueFees(a *auditor, sub subscription, card card, n uint32, terms ...events.Term) (fees []events.FeeID) {
	for id, revision := range card.revisions {
		price := a.prices[priceRevision{id, revision}]
		if price != nil && !price.fee.IsZero() && slices.Contains(terms, price.Term) && feeTimes(price, sub.cadence, n) > 0 {
			fees = append(fees, price.fee)
		}
	}
	return fees
}

// allFees checks that no fee of a period is left out of its invoice.
func (a *auditor) allFees(p *period) error {
	sub := a.subs[p.key.Subscription]
	for _, fee := range dueFees(a, sub, a.plans[sub.plan].at(p.opened), p.key.Period, events.InAdvance, events.InArrears) {
		if !p.hasFee(fee) {
			return fmt.Errorf("fee %s is not on invoice %s", fee, p.invoice)
		}
	}
	return nil
}

// feeTimes counts the fees whose own period begins, or ends where it is paid in arrears, in the nth period of a cadence.
func feeTimes(p *price, period events.Cadence, n uint32) int64 {
	if p.Cadence == events.Once {
		if n == 0 {
			return 1
		}
		return 0
	}
	months, every := period.Months(), p.Cadence.Months()
	from, to := int(n)*months, int(n+1)*months
	if p.Term == events.InArrears {
		from, to = from+1, to+1
	}
	count := int64(0)
	for month := from; month < to; month++ {
		if month%every == 0 {
			count++
		}
	}
	return count
}
