package verify

import (
	"fmt"
	"math/big"

	"tallystick/events"
)

// purchase is units that a payment session asks the price of.
type purchase struct {
	events.GrantOrdered
	command   events.CommandID // by which it was paid
	at        events.Time      // likewise: when
	delivered bool             // they are granted
}

// priced checks what is asked for units: their price, taxed as it is now.
func (a *auditor) priced(rec *events.Record, sub subscription, c card, what string, price events.Nanos, rate events.TaxRate, nanos, tax events.Nanos) error {
	if want := a.taxRate(sub, c, events.MetricID{}, rec.At); want != rate {
		return fmt.Errorf("%s is taxed at %d ten-millionths, not %d", what, rate, want)
	}
	return taxed(&line{rate: rate}, c.inclusive, big.NewInt(int64(price)), nanos, tax, what)
}

// ordered checks what units cost that are asked to be paid.
func (a *auditor) ordered(rec *events.Record, e events.GrantOrdered) error {
	sub, p, err := a.openPeriod(e.Subscription, e.Period)
	switch {
	case err != nil:
		return err
	case a.orders[e.Grant] != nil || a.grants[e.Grant] != nil || a.selling[e.Session] != nil:
		return fmt.Errorf("grant %s is ordered a second time, or by a session of another", e.Grant)
	case sub.merchant != rec.Merchant || sub.currency != e.Currency || p.invoice != e.Invoice || e.Price <= 0:
		return fmt.Errorf("merchant, currency or invoice of grant %s are not those of subscription %s", e.Grant, e.Subscription)
	}
	o := &purchase{GrantOrdered: e}
	a.orders[e.Grant], a.selling[e.Session] = o, o
	return a.priced(rec, sub, a.plans[sub.plan].at(p.opened), "grant "+e.Grant.String(), e.Price, e.TaxRate, e.Nanos, e.Tax)
}

// asked checks that a payment session asks for what units cost: in whole cents, rounded up, and at least a unit of money.
func (a *auditor) asked(e events.SessionOpened) error {
	if e.Grant.IsZero() {
		return nil
	}
	o := a.orders[e.Grant]
	if o == nil || o.Session != e.Session || o.Subscription != e.Subscription || o.Currency != e.Currency {
		return fmt.Errorf("session %s asks for grant %s, which was not ordered by it", e.Session, e.Grant)
	}
	const cent, least = 10_000_000, 1_000_000_000
	owed := new(big.Int).Add(big.NewInt(int64(o.Nanos)), big.NewInt(int64(o.Tax)))
	owed.Add(owed, big.NewInt(cent-1)).Div(owed, big.NewInt(cent)).Mul(owed, big.NewInt(cent))
	if owed.Cmp(big.NewInt(int64(e.Upfront))) != 0 || e.Amount != max(e.Upfront, least) {
		return fmt.Errorf("session %s asks for %s, of which %s are for grant %s, which costs %s", e.Session, e.Amount, e.Upfront, e.Grant, o.Nanos+o.Tax)
	}
	return nil
}

// granted checks that a grant that was ordered is what was ordered, and bought.
func (a *auditor) granted(rec *events.Record, e *events.GrantIssued) error {
	o := a.orders[e.Grant]
	if o == nil {
		return nil
	}
	from := o.EffectiveAt
	if from == 0 {
		from = rec.At
	}
	if !o.delivered || a.grants[e.Grant] != nil || o.Entitlement != e.Entitlement || o.Amount != e.Amount || !e.Used.IsZero() || e.EffectiveAt != from ||
		o.ExpiresAt != e.ExpiresAt || o.Recurrence != e.Recurrence || o.Priority != e.Priority || o.MaxRollover != e.MaxRollover || o.MinRollover != e.MinRollover {
		return fmt.Errorf("grant %s is not what was ordered, or is not paid", e.Grant)
	}
	return nil
}

// supplied checks that units which were paid are granted by the command that says so, unless they cannot be any more: then the money is in
// the wallet.
func (a *auditor) supplied(rec *events.Record) error {
	o := a.due
	if o == nil || rec.Command == o.command {
		return nil
	}
	a.due = nil
	if o.delivered || a.over[o.Entitlement] || o.ExpiresAt != 0 && o.ExpiresAt <= o.at {
		return nil
	}
	return fmt.Errorf("grant %s was paid, and is not issued", o.Grant)
}

// bought checks units that were paid out of the wallet: their tax, the platform's part, and that they are granted next. Where a payment session
// has asked the price of them, they cost what was told then, and it is paid.
func (a *auditor) bought(rec *events.Record, sub subscription, p *period, e events.LineItemAdded) error {
	price, err := events.ParseNanos(e.UnitPrice)
	card := a.plans[sub.plan].at(p.opened)
	switch {
	case err != nil || e.Quantity != "1" || price <= 0:
		return fmt.Errorf("grant %s is bought %s times for %s", e.Grant, e.Quantity, e.UnitPrice)
	case sub.wallet != e.Wallet || sub.currency != e.Currency || sub.customer != e.Customer:
		return fmt.Errorf("customer, wallet or currency are not those of subscription %s", e.Subscription)
	}
	if o := a.orders[e.Grant]; o != nil {
		if q := &o.GrantOrdered; o != a.due || o.delivered || q.Price != price || q.Nanos != e.Nanos || q.Tax != e.Tax || q.TaxRate != e.TaxRate || q.Subscription != e.Subscription {
			return fmt.Errorf("grant %s was ordered for %s, and is bought for %s, or is not paid just now", e.Grant, q.Nanos+q.Tax, e.Nanos+e.Tax)
		}
		o.delivered = true
	} else if err := a.priced(rec, sub, card, "grant "+e.Grant.String(), price, e.TaxRate, e.Nanos, e.Tax); err != nil {
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
