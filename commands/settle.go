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

// Settle returns what a period has come to, if it ended as it stands: usage and what was charged in the order in which they came, with
// aggregates that need the whole period, and then the fees that are due at its end, together with those that should have been paid at
// its start and were not. at is when it is asked, on the subscription's clock. It changes nothing.
func Settle(b *projections.Books, id events.SubscriptionID, s *projections.Subscription, p *projections.Period, at events.Time) (v Settlement) {
	accrual := b.Accruals.Get(projections.PeriodKey{Subscription: id, Period: p.N})
	plan := b.Plans.Get(s.Plan)
	card := plan.CardAt(s.Agreed(p))
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
		if FeeTimes(rate, s.Cadence, p.N) > 0 && (rate.Term == events.InArrears || !accrual.HasFee(rate.Fee)) {
			v.Lines = append(v.Lines, feeLine(rate, s, p, card, &payer, at))
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
