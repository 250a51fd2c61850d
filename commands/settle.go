package commands

import (
	"tallystick/events"
	"tallystick/projections"
)

// Settlement is what a period of a subscription comes to: the lines of its invoice and their sums. It is the one computation behind
// an issued invoice, its draft, and every preview of it.
type Settlement struct {
	Lines []SettledLine
	projections.Issuance
}

// SettledLine is a line of an invoice. What it comes to has accrued already, but for Accrues.
type SettledLine struct {
	projections.OpenLine
	Accrues events.Nanos // owed from the moment the line is closed, with tax
}

// Settle returns what a period has come to, if it ended as it stands: usage in the order of first use, with
// aggregates that need the whole period, and then the fees that are due at its end. at is when it is asked, on the
// subscription's clock. It changes nothing.
func Settle(b *projections.Books, id events.SubscriptionID, s *projections.Subscription, p *projections.Period, at events.Time) (v Settlement) {
	accrual := b.Accruals.Get(projections.PeriodKey{Subscription: id, Period: p.N})
	plan := b.Plans.Get(s.Plan)
	card := plan.CardAt(p.Opened)
	if accrual != nil {
		for i := range accrual.Lines {
			l := SettledLine{OpenLine: accrual.Lines[i]}
			if !l.Adds() {
				l.aggregate(card)
			}
			v.Lines = append(v.Lines, l)
		}
	}
	payer := payerOf(b, s.Customer)
	for i := range card.Fees {
		rate := &card.Fees[i]
		if times := FeeTimes(rate, s.Cadence, p.N); rate.Term == events.InArrears && times > 0 {
			v.Lines = append(v.Lines, feeLine(rate, times, s, card, &payer, at))
		}
	}
	open := make([]projections.OpenLine, len(v.Lines))
	for i := range v.Lines {
		open[i] = v.Lines[i].OpenLine
	}
	v.Issuance = projections.Issue(open)
	return v
}

// aggregate works out what a line comes to whose metric is known only at the end: its quantity is the aggregate, but
// for a mean, whose quantity is the sum.
func (l *SettledLine) aggregate(card *projections.Card) {
	r := rateAt(card, l.Price)
	var cost events.Nanos
	if l.More.Aggregation == events.AggregateAvg {
		cost, _ = mean(r.UnitPrice, l.Quantity, l.Events.Size)
	} else {
		value := l.More.Value
		if l.More.Aggregation == events.AggregateUnique {
			value = int64(len(l.More.Set))
		}
		l.Quantity = events.SumOf(events.Nanos(value))
		cost, _ = rate(r, events.Sum{}, value, 0) // it fits: see fitsAggregate
	}
	net, tax := taxOn(l.TaxRate, card.Taxed, events.Sum{}, events.Sum{}, cost)
	l.Nanos, l.Tax, l.Accrues = events.SumOf(net), events.SumOf(tax), net+tax
}

// rateAt returns the rate of a price in a card that has it.
func rateAt(card *projections.Card, price events.PriceID) *projections.Rate {
	for i := range card.Rates {
		if card.Rates[i].Price == price {
			return &card.Rates[i]
		}
	}
	panic("commands: impossible: usage at a price that the period does not have")
}

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

// ChargeFee returns what a fee costs a customer at a time, before tax and the tax: quantity × unit price, times so often.
func ChargeFee(b *projections.Books, customer events.CustomerID, planID events.PlanID, card *projections.Card, rate *projections.Rate, times int64,
	exempt bool, at events.Time,
) (net, tax events.Nanos, taxRate events.TaxRate, ok bool) {
	taxRate = TaxRateFor(b, StandardTaxes{}, customer, planID, card, events.MetricID{}, exempt, at)
	cost, ok := rate.UnitPrice.Times(int64(rate.Quantity) * times)
	net, tax = taxOn(taxRate, card.Taxed, events.Sum{}, events.Sum{}, cost)
	return net, tax, taxRate, ok
}

func feeLine(r *projections.Rate, times int64, s *projections.Subscription, card *projections.Card, payer *taxpayer, at events.Time) SettledLine {
	l := SettledLine{OpenLine: projections.OpenLine{
		Price: r.Price, Revision: r.Revision, Term: r.Term, UnitPrice: r.UnitPrice, Quantity: events.SumOf(events.Nanos(int64(r.Quantity) * times)),
		More: &projections.LineMore{Of: events.LineOfFee, Fee: r.Fee},
	}}
	if !s.TaxExempt {
		l.TaxRate = payer.rate(StandardTaxes{}, s.Plan, card, events.MetricID{}, at)
	}
	cost, _ := r.UnitPrice.Times(int64(r.Quantity) * times) // that it fits was checked when the price was made, for one time
	net, tax := taxOn(l.TaxRate, card.Taxed, events.Sum{}, events.Sum{}, cost)
	l.Nanos, l.Tax, l.Accrues = events.SumOf(net), events.SumOf(tax), net+tax
	return l
}
