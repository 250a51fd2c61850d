package verify

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"

	"tallystick/commands"
	"tallystick/events"
)

// value is one report of a metric.
type value struct {
	quantity int64
	at       events.Time
}

// rate returns the line that a property belongs to, after working out again what it costs and how it is taxed.
func (a *auditor) rate(rec *events.Record, e *events.UsageReported, sub subscription, p *period, u *events.UsageLine) (*line, error) {
	price := a.prices[priceRevision{u.Price, u.Revision}]
	if price == nil || price.metric != u.Metric {
		return nil, fmt.Errorf("price %s at revision %d of metric %s is not in the catalog", u.Price, u.Revision, u.Metric)
	}
	card := a.plans[sub.plan].at(p.opened)
	if card.revisions[u.Price] != u.Revision {
		return nil, fmt.Errorf("price %s at revision %d is not in plan %s as it was when the period began", u.Price, u.Revision, sub.plan)
	}
	if u.Quantity < 1 {
		return nil, fmt.Errorf("a quantity of %d", u.Quantity)
	}
	if u.At != 0 && price.Model != events.Dynamic && price.Model != events.Percentage {
		return nil, fmt.Errorf("it names a price, which price %s does not need", u.Price)
	}
	if want := a.taxRate(sub, card, u.Metric, rec.At); u.TaxRate != want {
		return nil, fmt.Errorf("it is taxed at %d ten-millionths, not %d", u.TaxRate, want)
	}
	var before events.Sum // units
	var l *line
	for _, other := range p.lines {
		if other.of == "" && other.price == price {
			before = before.Plus(other.quantity)
			if other.rate == u.TaxRate {
				l = other
			}
		}
	}
	if l == nil {
		l = &line{price: price, rate: u.TaxRate, term: price.Term}
		p.lines = append(p.lines, l)
	}
	agg := a.metrics[u.Metric]
	cost := new(big.Int)
	if agg.Adds() {
		n := big.NewInt(units(u, agg))
		cost.Sub(price.total(new(big.Int).Add(before.Big(), n), n, u.At), price.total(before.Big(), new(big.Int), u.At))
	}
	return l, taxed(l, card.inclusive, cost, u.Nanos, u.Tax, fmt.Sprintf("%d of metric %s at price %s", u.Quantity, u.Metric, u.Price))
}

// total returns what all units up to the nth of a period cost. Of models that price each report by itself, which then
// has q units, it returns what that report costs.
func (p *price) total(n, q *big.Int, at events.Nanos) *big.Int {
	named := new(big.Rat).SetInt(new(big.Int).Mul(q, big.NewInt(int64(at))))
	switch p.Model {
	case events.Standard:
		return new(big.Int).Mul(n, big.NewInt(int64(p.UnitPrice)))
	case events.Dynamic:
		return round(named)
	case events.Percentage:
		if q.Sign() == 0 {
			return new(big.Int)
		}
		charge := round(named.Mul(named, big.NewRat(int64(p.Part), 10_000)))
		low, high := big.NewInt(int64(p.Min)), big.NewInt(int64(p.Max))
		if charge.Cmp(low) < 0 {
			return low
		}
		if charge.Cmp(high) > 0 {
			return high
		}
		return charge
	case events.Volume:
		return p.volume(n)
	}
	panic("verify: impossible: a price of model " + string(p.Model)) // see setPrice
}

// volume adds up a price that changes by the gradient from unit to unit until it meets a bound. The unit that
// is the first to be beyond it is found by bisection.
func (p *price) volume(n *big.Int) *big.Int {
	first, gradient := big.NewInt(int64(p.UnitPrice)), big.NewInt(int64(p.Gradient))
	bound := big.NewInt(int64(p.Max))
	if p.Gradient < 0 {
		bound = big.NewInt(int64(p.Min))
	}
	low, high := new(big.Int), new(big.Int).Set(n)
	for low.Cmp(high) < 0 {
		i := new(big.Int).Add(low, high)
		i.Rsh(i, 1)
		at := new(big.Int).Mul(gradient, i)
		if at.Add(at, first).Cmp(bound)*gradient.Sign() > 0 {
			high = i
		} else {
			low = i.Add(i, big.NewInt(1))
		}
	}
	// low units are priced by the line: their mean price is that of the first and the last of them.
	last := new(big.Int).Sub(low, big.NewInt(1))
	sum := new(big.Int).Add(first, first)
	sum.Add(sum, last.Mul(last, gradient)).Mul(sum, low).Rsh(sum, 1)
	rest := new(big.Int).Sub(n, low)
	return sum.Add(sum, rest.Mul(rest, bound))
}

// round returns r rounded half away from zero.
func round(r *big.Rat) *big.Int {
	n, _ := new(big.Int).SetString(r.FloatString(0), 10)
	return n
}

// taxed compares a charge and its tax with what they must be on a line that has come to something already.
func taxed(l *line, inclusive bool, cost *big.Int, nanos, tax events.Nanos, what string) error {
	if !cost.IsInt64() {
		return fmt.Errorf("%s cost %s nanos, which is no amount", what, cost)
	}
	of := func(base *big.Int) *big.Int {
		r := big.NewRat(int64(l.rate), int64(events.MaxTaxRate))
		if inclusive {
			r.Quo(r, new(big.Rat).Add(r, big.NewRat(1, 1)))
		}
		return round(r.Mul(r, new(big.Rat).SetInt(base)))
	}
	base := l.nanos.Big()
	if inclusive {
		base = l.nanos.Plus(l.tax).Big()
	}
	due := new(big.Int).Sub(of(new(big.Int).Add(base, cost)), of(base))
	net := new(big.Int).Set(cost)
	if inclusive {
		net.Sub(cost, due)
	}
	if big.NewInt(int64(nanos)).Cmp(net) != 0 || big.NewInt(int64(tax)).Cmp(due) != 0 {
		return fmt.Errorf("%s cost %s nanos and %s tax, not %d and %d", what, net, due, nanos, tax)
	}
	return nil
}

// taxRate returns the rate at which a subscription's charges are taxed.
func (a *auditor) taxRate(sub subscription, card card, metric events.MetricID, at events.Time) events.TaxRate {
	if sub.exempt {
		return 0
	}
	c := a.customers[sub.customer]
	sources := []func(events.TaxRateOf) bool{
		func(r events.TaxRateOf) bool { return !metric.IsZero() && r.Metric == metric },
		func(r events.TaxRateOf) bool { return r.Metric.IsZero() && r.Plan == sub.plan },
		func(r events.TaxRateOf) bool { return r.Metric.IsZero() && r.Plan.IsZero() },
	}
	for _, from := range sources {
		if i := slices.IndexFunc(c.rates, from); i >= 0 {
			return c.rates[i].Rate
		}
	}
	if m := a.merchants[sub.merchant]; m != nil && m.settings.AutomaticTax {
		if r, ok := (commands.StandardTaxes{}).RateAt(a.regions[c.consumer], at); ok {
			return r
		}
	}
	return card.rate
}

// aggregate works out what a line comes to whose metric is known only at the end of the period.
func (l *line) aggregate(agg events.Aggregation, inclusive bool, e *events.InvoiceLineClosed) error {
	if agg.Adds() || l.of != "" {
		return nil
	}
	sum := new(big.Int)
	for _, v := range l.values {
		sum.Add(sum, big.NewInt(v.quantity))
	}
	byQuantity := func(a, b value) int { return cmp.Compare(a.quantity, b.quantity) }
	n := new(big.Int)
	switch agg {
	case events.AggregateMin:
		n.SetInt64(slices.MinFunc(l.values, byQuantity).quantity)
	case events.AggregateMax:
		n.SetInt64(slices.MaxFunc(l.values, byQuantity).quantity)
	case events.AggregateLatest:
		latest := l.values[0]
		for _, v := range l.values {
			if v.at >= latest.at {
				latest = v
			}
		}
		n.SetInt64(latest.quantity)
	case events.AggregateUnique:
		different := make(map[int64]bool)
		for _, v := range l.values {
			different[v.quantity] = true
		}
		n.SetInt64(int64(len(different)))
	case events.AggregateAvg, events.AggregateSum, events.AggregateCount:
		n = sum
	}
	cost := l.price.total(n, n, 0)
	if agg == events.AggregateAvg {
		mean := new(big.Rat).SetFrac(sum, big.NewInt(int64(len(l.values))))
		cost = round(mean.Mul(mean, new(big.Rat).SetInt64(int64(l.price.UnitPrice))))
	}
	l.quantity, _ = events.SumOfBig(n)
	nanos, _ := e.Nanos.Nanos()
	tax, _ := e.Tax.Nanos()
	if err := taxed(l, inclusive, cost, nanos, tax, "the "+string(agg)+" of the period"); err != nil {
		return err
	}
	l.nanos, l.tax = e.Nanos, e.Tax
	return accrues(e.Postings, e.Nanos.Plus(e.Tax))
}

// accrues checks that an amount is owed by the consumer, and receivable.
func accrues(postings []events.Posting, amount events.Sum) error {
	return posted(postings, map[events.Role]events.Sum{events.ConsumerUsage: amount.Neg(), events.Receivable: amount})
}
