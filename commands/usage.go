package commands

import (
	"fmt"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// ReportUsage reports that a customer used something at a time. It is refused or
// billed as a whole.
type ReportUsage struct {
	Customer    events.CustomerID
	HappenedAt  events.Time
	Properties  []UsageProperty // 1 to events.MaxUsageLines, each metric at most once
	Metadata    events.Sealed
	Reservation events.ReservationID // that is to pay what is debited at once; zero for the wallet
}

// UsageProperty is one metric's part of a report.
type UsageProperty struct {
	Metric   events.MetricID
	Quantity int64        // at least 1
	Price    events.Nanos // where Priced: of a unit, for models that need it
	Priced   bool
}

// maxSealedMetadata is how many bytes the metadata of a report may have, sealed.
const maxSealedMetadata = 65 << 10

// clockSkew is how far a timestamp may lie ahead of the subscription's clock.
const clockSkew = 5 * time.Minute

// usageScratch is what deciding on usage needs for its duration.
type usageScratch struct {
	memos  memos
	rows   *memo               // of the customer
	now    events.Time         // on the subscription's clock
	rates  []*projections.Rate // of the properties, in their order
	period *projections.Period

	granted []granted // units that grants have

	events   slab[events.UsageReported]
	lines    slab[events.UsageLine]
	postings slab[events.Posting]
}

// slab is memory for things that are made one after another, and forgotten at about the same time: one piece for many.
type slab[T any] struct{ free []T }

// take returns n new ones.
func (s *slab[T]) take(n int) []T {
	const pieces = 64
	if len(s.free) < max(n, 1) {
		s.free = make([]T, max(n, pieces))
	}
	taken := s.free[:n:n]
	s.free = s.free[n:]
	return taken
}

func reportUsage(b *projections.Books, c Context, cmd *ReportUsage, d *decision) *Rejection {
	if r := usageWellFormed(cmd); r != nil {
		return r
	}
	u := &d.usage
	if r := u.find(b, c, cmd); r != nil {
		return r
	}
	s := u.rows.sub
	u.now = c.Now
	var arriving events.Time
	if !s.Clock.IsZero() {
		clock := b.Clocks.Get(s.Clock)
		u.now, arriving = clock.Now, clock.To
	}
	if overdue(s, u.now) {
		d.overdue = onSubscription(u.rows.subID)
		return nil
	}
	if arriving != 0 {
		return Reject(ClockAdvancing, "test clock %s is being advanced to %s", s.Clock, arriving)
	}
	if r := u.place(b, cmd); r != nil {
		return r
	}
	taken, overdue := u.consumed(b, c, cmd)
	if !overdue.isZero() {
		d.overdue = overdue
		return nil
	}
	burned := u.burnAll(b, c, cmd, taken)
	e, cost, r := u.price(cmd)
	if r != nil {
		return r
	}
	from, r := u.payingReservation(b, cmd, d)
	if r != nil || !d.overdue.isZero() {
		return r
	}
	if r := u.pay(b, c, cmd, e, from, cost, d); r != nil {
		return r
	}
	for i := range burned {
		d.add(c, u.now, burned[i])
	}
	return nil
}

// pay records usage, paid by a reservation or, without one, by the wallet.
func (u *usageScratch) pay(b *projections.Books, c Context, cmd *ReportUsage, e *events.UsageReported, from *projections.Reservation,
	cost charge, d *decision,
) *Rejection {
	balance := u.rows.balance(b)
	if from != nil {
		if from.Held.Cmp(events.SumOf(cost.instant)) < 0 {
			return Reject(ReservationExceeded, "entitlement %s holds %s %s, and this costs %s", cmd.Reservation, from.Held, e.Currency, cost.instant)
		}
		e.Balance, e.Reservation = balance, cmd.Reservation
		e.Postings = u.post(events.ReservationHold, cost)
		d.add(c, u.now, e)
		paid(b, cmd.Reservation, from, cost.instant, u.now, d)
		return nil
	}
	if balance.Cmp(events.SumOf(cost.instant)) < 0 {
		return Reject(InsufficientFunds, "the wallet holds %s %s, and this costs %s", balance, e.Currency, cost.instant)
	}
	e.Balance = balance.Add(cost.instant.Neg())
	e.Postings = u.post(events.ConsumerMain, cost)
	d.add(c, u.now, e)
	return nil
}

func usageWellFormed(cmd *ReportUsage) *Rejection {
	if cmd.HappenedAt.IsZero() {
		return wrong("timestamp", "is required")
	}
	if len(cmd.Metadata.Box) > maxSealedMetadata {
		return Reject(TooLarge, "metadata has %d bytes, sealed; at most %d are allowed", len(cmd.Metadata.Box), maxSealedMetadata)
	}
	if len(cmd.Properties) == 0 || len(cmd.Properties) > events.MaxUsageLines {
		return wrong("properties", "has %d entries; 1 to %d are allowed", len(cmd.Properties), events.MaxUsageLines)
	}
	for i, p := range cmd.Properties {
		if p.Quantity < 1 {
			return wrong(fmt.Sprintf("properties[%d].quantity", i), "is %d; it must be at least 1", p.Quantity)
		}
		for _, q := range cmd.Properties[:i] {
			if q.Metric == p.Metric {
				return wrong(fmt.Sprintf("properties[%d]", i), "names metric %s a second time", p.Metric)
			}
		}
	}
	return nil
}

// find looks up the customer's one active subscription whose plan prices every metric (A28). There cannot be two,
// for metrics belong to a product, and a customer has one active subscription to a product.
func (u *usageScratch) find(b *projections.Books, c Context, cmd *ReportUsage) *Rejection {
	u.rows = u.memos.of(cmd.Customer)
	if u.rows != nil && u.rows.sub.Status == projections.SubscriptionActive && u.rows.sub.Merchant == c.Merchant &&
		u.rows.payer.current() && u.priced(u.rows.plan, cmd.Properties) {
		return nil
	}
	active := b.Active.Get(cmd.Customer)
	if active == nil {
		if customer := b.Customers.Get(cmd.Customer); customer == nil || customer.Merchant != c.Merchant {
			return Reject(NotFound, "no customer %s", cmd.Customer)
		}
		return Reject(SubscriptionNotActive, "customer %s has no active subscription", cmd.Customer)
	}
	for _, id := range active.Subscriptions {
		sub := b.Subscriptions.Get(id)
		if sub.Merchant != c.Merchant { // then so is the customer
			return Reject(NotFound, "no customer %s", cmd.Customer)
		}
		if plan := b.Plans.Get(sub.Plan); u.priced(plan, cmd.Properties) {
			u.rows = u.memos.add(cmd.Customer)
			*u.rows = memo{customer: cmd.Customer, subID: id, sub: sub, plan: plan, wallet: b.Wallets.Get(sub.Wallet), payer: payerOf(b, cmd.Customer)}
			return nil
		}
	}
	for _, p := range cmd.Properties {
		if m := b.Metrics.Get(p.Metric); m == nil || m.Merchant != c.Merchant {
			return Reject(NotFound, "no billable metric %s", p.Metric)
		}
	}
	return Reject(MetricNotPriced, "no active subscription of customer %s has prices for these metrics", cmd.Customer)
}

// priced finds the plan's rate of every property, and reports whether there is one of each. Where an edited plan has them
// no more, one that it had will do: the period decides.
func (u *usageScratch) priced(plan *projections.Plan, properties []UsageProperty) bool {
	if u.rateAll(&plan.Card, properties) {
		return true
	}
	for i := range plan.Past {
		if u.rateAll(&plan.Past[i], properties) {
			return true
		}
	}
	return false
}

// rateAll finds the card's rate of every property, and reports whether there is one of each.
func (u *usageScratch) rateAll(card *projections.Card, properties []UsageProperty) bool {
	u.rates = u.rates[:0]
	for i := range properties {
		r := card.RateOf(properties[i].Metric)
		if r == nil {
			return false
		}
		u.rates = append(u.rates, r)
	}
	return true
}

// place finds the open period that the usage falls into (A20, D25).
func (u *usageScratch) place(b *projections.Books, cmd *ReportUsage) *Rejection {
	s, t := u.rows.sub, cmd.HappenedAt
	if s.Parked != "" {
		return Reject(SubscriptionNotActive, "subscription %s is halted: %s", u.rows.subID, s.Parked)
	}
	if t > u.now.Add(clockSkew) {
		return Reject(TimestampInFuture, "timestamp %s is later than now, which is %s", t, u.now)
	}
	if t < s.StartedAt {
		return Reject(PeriodClosed, "timestamp %s is before the subscription, which started at %s", t, s.StartedAt)
	}
	if s.EndingAt != 0 && t >= s.EndingAt {
		return Reject(PeriodClosed, "timestamp %s is after the subscription, which ends at %s", t, s.EndingAt)
	}
	if u.period = s.PeriodAt(t); u.period == nil && len(s.Periods) > 0 {
		if last := &s.Periods[len(s.Periods)-1]; t >= last.End {
			u.period = last // within the skew of the period's end
		}
	}
	if u.period == nil {
		return Reject(PeriodClosed, "timestamp %s is in a period that is invoiced; correct it with CorrectUsage", t)
	}
	u.rows.enter(b, u.period.N)
	if plan := u.rows.plan; len(plan.Past) > 0 && !u.rateAll(plan.CardAt(u.rows.sub.Agreed(u.period)), cmd.Properties) {
		return Reject(MetricNotPriced, "the plan of subscription %s had no prices for these metrics in the period of %s", u.rows.subID, t)
	}
	return nil
}

// charge is what a usage event costs, with tax.
type charge struct {
	instant    events.Nanos // debited at once
	instantTax events.Nanos // of it
	accrued    events.Nanos // owed
}

// price rates and taxes every property and returns the event with its lines, and what it costs.
func (u *usageScratch) price(cmd *ReportUsage) (e *events.UsageReported, c charge, _ *Rejection) {
	e = &u.events.take(1)[0]
	*e = events.UsageReported{
		Customer: cmd.Customer, Subscription: u.rows.subID, Wallet: u.rows.sub.Wallet, HappenedAt: cmd.HappenedAt,
		Period: u.period.N, Currency: u.rows.sub.Currency, Metadata: cmd.Metadata, Lines: u.lines.take(len(u.rates)),
	}
	card := u.rows.plan.CardAt(u.rows.sub.Agreed(u.period))
	for i, r := range u.rates {
		if r := priceNamed("properties", i, r, &cmd.Properties[i]); r != nil {
			return nil, c, r
		}
		l := &e.Lines[i]
		units, free := u.unitsOf(cmd, i), int64(0)
		for _, g := range u.granted {
			if g.property == i {
				free = g.units
			}
		}
		ok := u.line(l, card, r, &cmd.Properties[i], units-free)
		l.Granted = free
		sum := &c.accrued
		if r.Term == events.Instant {
			sum = &c.instant
			c.instantTax += l.Tax // at most what is added to instant, which is checked
		}
		gross, fits := l.Nanos.Plus(l.Tax)
		total, fits2 := sum.Plus(gross)
		if *sum = total; !ok || !fits || !fits2 {
			return nil, c, Reject(AmountOutOfRange, "the cost of this usage does not fit")
		}
	}
	if _, fits := c.instant.Plus(c.accrued); !fits {
		return nil, c, Reject(AmountOutOfRange, "the cost of this usage does not fit")
	}
	return e, c, nil
}

// priceNamed refuses a property that lacks the price that its model needs, or has one that does not count or is out of
// bounds: nothing else is billed in its place (A6). list is what the command calls its properties.
func priceNamed(list string, i int, r *projections.Rate, p *UsageProperty) *Rejection {
	switch {
	case !needsPrice(r.Model):
		if p.Priced {
			return wrong(fmt.Sprintf("%s[%d].price", list, i), "is for prices of the models dynamic and percentage; this one is %s", r.Model)
		}
	case !p.Priced:
		return wrong(fmt.Sprintf("%s[%d].price", list, i), "is required: price %s is of model %s", r.Price, r.Model)
	case p.Price < 0:
		return wrong(fmt.Sprintf("%s[%d].price", list, i), "is below zero")
	case r.Model == events.Dynamic && (p.Price < r.Min || p.Price > r.Max):
		return wrong(fmt.Sprintf("%s[%d].price", list, i), "is %s; it must be from %s to %s", p.Price, r.Min, r.Max)
	}
	return nil
}

// line writes what so many units of a property come to at its rate into l, and reports whether it fits.
func (u *usageScratch) line(l *events.UsageLine, card *projections.Card, r *projections.Rate, p *UsageProperty, units int64) bool {
	*l = events.UsageLine{Metric: p.Metric, Quantity: p.Quantity, Price: r.Price, Revision: r.Revision, At: p.Price}
	if !u.rows.sub.TaxExempt {
		l.TaxRate = u.rows.payer.rate(StandardTaxes{}, u.rows.sub.Plan, card, p.Metric, u.now)
	}
	if !r.Aggregation.Adds() {
		return u.fitsAggregate(l, r, p.Quantity)
	}
	var before events.Sum
	if r.Model == events.Volume {
		before = u.rows.accrual.UnitsAt(r.Price, r.Revision)
	}
	cost, ok := rate(r, before, units, p.Price)
	l.Nanos = cost
	if ok && l.TaxRate != 0 {
		var net, tax events.Sum
		if line := u.rows.accrual.Line(r.Price, r.Revision, l.TaxRate); line != nil {
			net, tax = line.Nanos, line.Tax
		}
		l.Nanos, l.Tax = taxOn(l.TaxRate, card.Taxed, net, tax, cost)
	}
	return ok
}

// fitsAggregate reports whether a quantity can join an aggregate that is known only at the end of the period: what it
// costs then must fit, whatever else is reported.
func (u *usageScratch) fitsAggregate(l *events.UsageLine, r *projections.Rate, quantity int64) bool {
	if r.Aggregation == events.AggregateUnique {
		line := u.rows.accrual.Line(r.Price, r.Revision, l.TaxRate)
		if line != nil && len(line.More.Set) >= projections.MaxDistinct {
			return false
		}
		quantity = projections.MaxDistinct
	}
	cost, ok := rate(r, events.Sum{}, quantity, 0)
	if !ok {
		return false
	}
	_, ok = cost.Plus(cost) // with a tax of at most as much
	return ok
}

// post moves what is debited at once from an account of the wallet to the merchant, the
// platform and the tax, and lets what accrues be owed by the consumer and receivable by the merchant.
func (u *usageScratch) post(from events.Role, c charge) []events.Posting {
	net := c.instant - c.instantTax
	var fee events.Nanos
	if points := u.rows.payer.merchant.Settings.FeeBasisPoints; points != 0 {
		fee = feeOf(points, u.rows.accrual.Instant, net)
	}
	all := [...]events.Posting{
		{Role: from, Nanos: c.instant.Neg()},
		{Role: events.Merchant, Nanos: net - fee},
		{Role: events.PlatformFee, Nanos: fee},
		{Role: events.TaxPayable, Nanos: c.instantTax},
		{Role: events.ConsumerUsage, Nanos: c.accrued.Neg()},
		{Role: events.Receivable, Nanos: c.accrued},
	}
	some := all[:0]
	for _, p := range all {
		if p.Nanos != 0 {
			some = append(some, p)
		}
	}
	ps := u.postings.take(len(some))
	copy(ps, some)
	return ps
}
