package commands

import (
	"math"

	"tallystick/events"
	"tallystick/projections"
)

// FeeTimes returns how many times a fee is charged in the nth period of a cadence, n = 0, 1, 2…: a fee that comes more
// often than the period several times, one that comes less often in the periods where its own begin (in advance) or
// end (in arrears), and one that comes once in the first.
func FeeTimes(rate *projections.Rate, period events.Cadence, n uint32) int64 {
	months, every := period.Months(), rate.Cadence.Months()
	switch {
	case rate.Cadence == events.Once:
		if n == 0 {
			return 1
		}
		return 0
	case every <= months:
		return int64(months / every)
	}
	begins := uint32(every / months)
	if rate.Term == events.InArrears {
		n++
	}
	if n%begins == 0 {
		return 1
	}
	return 0
}

// quoteFee returns what a fee of a card that is taxed at a rate costs in the nth period, and whether that fits: quantity × unit price, times so
// often, was checked for one time only. Its quantity is 0 where it is not charged in that period. Where the plan bills days, it is for
// those days alone (A22); until is where the period has ended.
func quoteFee(card *projections.Card, r *projections.Rate, of schedule, n uint32, rate events.TaxRate, until events.Time) (q events.QuotedFee, fits bool) {
	q = events.QuotedFee{
		Fee: r.Fee, Price: r.Price, Revision: r.Revision, Quantity: int64(r.Quantity) * FeeTimes(r, of.cadence, n), UnitPrice: r.UnitPrice, TaxRate: rate,
	}
	if card.Daily {
		q.Days, q.OfDays = of.feeDays(r, n, until)
	}
	cost, fits := r.UnitPrice.Times(q.Quantity)
	q.Nanos, q.Tax = taxOn(q.TaxRate, card.Taxed, events.Sum{}, events.Sum{}, prorate(cost, q.Days, q.OfDays))
	return q, fits
}

// quoteFees returns the fees of a card that are paid in advance in the nth period, as they cost a customer at a time, in the order of the
// card, and their sum with tax. It reports whether they fit.
func quoteFees(card *projections.Card, of schedule, n uint32, rateOf func() events.TaxRate) (fees []events.QuotedFee, total events.Nanos, ok bool) {
	ok = true
	for i := range card.Fees {
		r := &card.Fees[i]
		if r.Term != events.InAdvance || FeeTimes(r, of.cadence, n) == 0 {
			continue
		}
		q, fits := quoteFee(card, r, of, n, rateOf(), 0)
		gross, fits2 := q.Nanos.Plus(q.Tax)
		sum, fits3 := total.Plus(gross)
		fees, total, ok = append(fees, q), sum, ok && fits && fits2 && fits3
	}
	return fees, total, ok
}

// feeRate returns the rate at which the fees of a subscription are taxed at a time.
func feeRate(b *projections.Books, s *projections.Subscription, card *projections.Card, at events.Time) func() events.TaxRate {
	return func() events.TaxRate {
		return TaxRateFor(b, StandardTaxes{}, s.Customer, s.Plan, card, events.MetricID{}, s.TaxExempt, at)
	}
}

// A charger debits fees that are paid in advance from the wallet of a subscription, one after another.
type charger struct {
	b       *projections.Books
	c       Context
	e       events.FeeCharged // what all have in common
	balance events.Sum        // of the wallet
	instant events.Sum        // what the period has debited at once: the base of the platform's part
}

// newCharger returns a charger of a period of a subscription, whose wallet holds so much.
func newCharger(b *projections.Books, c Context, id events.SubscriptionID, s *projections.Subscription, period uint32, balance events.Sum) *charger {
	f := &charger{b: b, c: c, balance: balance, e: events.FeeCharged{
		Subscription: id, Customer: s.Customer, Wallet: s.Wallet, Currency: s.Currency, Period: period, Term: events.InAdvance,
	}}
	if a := b.Accruals.Get(projections.PeriodKey{Subscription: id, Period: period}); a != nil {
		f.instant = a.Instant
	}
	return f
}

// charge adds the charge of a fee, and reports whether the wallet holds it.
func (f *charger) charge(q *events.QuotedFee, at events.Time, d *decision) bool {
	gross := q.Nanos + q.Tax // which fits: see quoteFees
	if f.balance.Cmp(events.SumOf(gross)) < 0 {
		return false
	}
	part := feeOf(f.b.Merchants.Get(f.c.Merchant).Settings.FeeBasisPoints, f.instant, q.Nanos)
	f.balance, f.instant = f.balance.Add(gross.Neg()), f.instant.Add(q.Nanos)
	e := f.e
	e.Fee, e.Price, e.Revision, e.Quantity, e.UnitPrice = q.Fee, q.Price, q.Revision, q.Quantity, q.UnitPrice
	e.Nanos, e.Tax, e.TaxRate, e.Balance, e.Days, e.OfDays = q.Nanos, q.Tax, q.TaxRate, f.balance, q.Days, q.OfDays
	for _, p := range []events.Posting{
		{Role: events.ConsumerMain, Nanos: gross.Neg()},
		{Role: events.Merchant, Nanos: q.Nanos - part},
		{Role: events.PlatformFee, Nanos: part},
		{Role: events.TaxPayable, Nanos: q.Tax},
	} {
		if p.Nanos != 0 {
			e.Postings = append(e.Postings, p)
		}
	}
	d.add(f.c, at, e)
	return true
}

// renew pays for the next period of a subscription, which has just begun: its fees, after those of earlier periods that are still to be
// paid, each if the wallet holds it. What the wallet lacks then, to the others and to its minimum, is asked for, and they are charged
// when it has come. Fees that are not charged before their period's invoice is issued are owed with it.
func renew(b *projections.Books, c Context, id events.SubscriptionID, s *projections.Subscription, period uint32, at events.Time, d *decision) {
	balance, due := chargeOpen(b, c, id, s, b.BalanceOf(projections.MainAccount(s.Wallet, s.Currency)), at, d)
	f := newCharger(b, c, id, s, period, balance)
	left := f.chargeAll(s, &b.Plans.Get(s.Plan).Card, at, d)
	want := events.Nanos(math.MaxInt64)
	if sum, fits := due.Plus(left); fits {
		if sum, fits = sum.Plus(s.Minimum); fits {
			want = sum
		}
	}
	topUpAgain(b, c, id, s, shortfall(want, f.balance, limitOf(b.Merchants.Get(c.Merchant))), at, d)
}

// chargeOpen charges the fees of a subscription's open periods that were to be paid at their start and were not, each if the wallet
// holds it. It returns what the wallet holds then, and what the others come to.
func chargeOpen(b *projections.Books, c Context, id events.SubscriptionID, s *projections.Subscription, balance events.Sum, at events.Time, d *decision) (events.Sum, events.Nanos) {
	var due events.Nanos
	for i := range s.Periods {
		p := &s.Periods[i]
		f := newCharger(b, c, id, s, p.N, balance)
		left := f.chargeAll(s, b.Plans.Get(s.Plan).CardAt(s.Agreed(p)), at, d)
		balance = f.balance
		if sum, fits := due.Plus(left); fits {
			due = sum
		}
	}
	return balance, due
}

// chargeAll charges the fees of a period that are paid in advance and are not charged yet, each if the wallet holds it, and returns
// what the others come to.
func (f *charger) chargeAll(s *projections.Subscription, card *projections.Card, at events.Time, d *decision) (left events.Nanos) {
	fees, _, fits := quoteFees(card, scheduleOf(s), f.e.Period, feeRate(f.b, s, card, at))
	accrual := f.b.Accruals.Get(projections.PeriodKey{Subscription: f.e.Subscription, Period: f.e.Period})
	for i := range fees {
		if fits && !accrual.HasFee(fees[i].Fee) && !f.charge(&fees[i], at, d) {
			left += fees[i].Nanos + fees[i].Tax // which fits: see quoteFees
		}
	}
	return left
}

// feeLine returns the line of a fee that is owed from the end of a period on.
func feeLine(r *projections.Rate, s *projections.Subscription, p *projections.Period, card *projections.Card, payer *taxpayer, at events.Time) SettledLine {
	var rate events.TaxRate
	if !s.TaxExempt {
		rate = payer.rate(StandardTaxes{}, s.Plan, card, events.MetricID{}, at)
	}
	q, _ := quoteFee(card, r, scheduleOf(s), p.N, rate, p.End)
	return SettledLine{OpenLine: projections.OpenLine{
		Price: r.Price, Revision: r.Revision, Term: events.InArrears, UnitPrice: r.UnitPrice, Quantity: events.SumOf(events.Nanos(q.Quantity)),
		Nanos: events.SumOf(q.Nanos), Tax: events.SumOf(q.Tax), TaxRate: rate,
		More: &projections.LineMore{Of: events.LineOfFee, Fee: r.Fee, Days: q.Days, OfDays: q.OfDays},
	}, Accrues: q.Nanos + q.Tax}
}
