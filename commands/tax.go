package commands

import (
	"tallystick/events"
	"tallystick/projections"
)

// TaxTable knows what tax an address makes due. It is the one thing that rules know of tax law.
type TaxTable interface {
	// RateAt returns the rate of a region at a time, and whether the table has it.
	RateAt(region string, at events.Time) (events.TaxRate, bool)
}

// TaxRateFor returns the rate at which a customer's charges under a plan are taxed at a time: the first of
//
//	exempt (0) > the customer's rate for the metric > for the plan > for all > that of the address > the plan's default
//
// that there is (A19). metric is zero for what is no usage. The rate of the address counts only where the merchant has
// automatic tax on and the address is complete.
func TaxRateFor(b *projections.Books, taxes TaxTable, customer events.CustomerID, plan events.PlanID, card *projections.Card,
	metric events.MetricID, exempt bool, at events.Time,
) events.TaxRate {
	if exempt {
		return 0
	}
	t := payerOf(b, customer)
	return t.rate(taxes, plan, card, metric, at)
}

// EstimatedTaxRate returns the rate that a subscription's charges have now, where the metric does not matter.
func EstimatedTaxRate(b *projections.Books, s *projections.Subscription, at events.Time) events.TaxRate {
	plan := b.Plans.Get(s.Plan)
	return TaxRateFor(b, StandardTaxes{}, s.Customer, s.Plan, &plan.Card, events.MetricID{}, s.TaxExempt, at)
}

// taxpayer is the rows that say how a customer is taxed.
type taxpayer struct {
	owner    events.OrganizationID // whose row consumer is
	customer *projections.Customer
	consumer *projections.Consumer
	merchant *projections.MerchantRow
}

func payerOf(b *projections.Books, id events.CustomerID) taxpayer {
	c := b.Customers.Get(id)
	return taxpayer{owner: c.Consumer, customer: c, consumer: b.Consumers.Get(c.Consumer), merchant: b.Merchants.Get(c.Merchant)}
}

// current reports whether t is what payerOf would return: a customer's consumer changes when it is claimed.
func (t *taxpayer) current() bool { return t.owner == t.customer.Consumer }

func (t *taxpayer) rate(taxes TaxTable, plan events.PlanID, card *projections.Card, metric events.MetricID, at events.Time) events.TaxRate {
	if len(t.customer.TaxRates) > 0 {
		if r, ok := agreed(t.customer.TaxRates, plan, metric); ok {
			return r
		}
	}
	if t.merchant.Settings.AutomaticTax && t.consumer.Region != "" {
		if r, ok := taxes.RateAt(t.consumer.Region, at); ok {
			return r
		}
	}
	return card.TaxRate
}

// agreed returns the rate that a merchant has set for a customer: for the metric, else for the plan, else for all.
func agreed(rates []events.TaxRateOf, plan events.PlanID, metric events.MetricID) (best events.TaxRate, ok bool) {
	rank := 0
	for _, r := range rates {
		n := 0
		switch {
		case !r.Metric.IsZero():
			if r.Metric == metric {
				n = 3
			}
		case !r.Plan.IsZero():
			if r.Plan == plan {
				n = 2
			}
		default:
			n = 1
		}
		if n > rank {
			best, rank = r.Rate, n
		}
	}
	return best, rank > 0
}

// taxOn returns the net amount and the tax of the next charge of a line that has come to net and tax so far. A charge
// of an inclusive plan has the tax in it already. The tax is a difference over all of the line, so that any split of an amount
// is taxed the same (D24):
//
//	exclusive: tax = round(r × (net + charge)) − round(r × net)
//	inclusive: tax = round(r ÷ (1 + r) × (gross + charge)) − round(r ÷ (1 + r) × gross),  gross = net + tax so far
func taxOn(r events.TaxRate, inclusive bool, net, tax events.Sum, charge events.Nanos) (events.Nanos, events.Nanos) {
	if r == 0 {
		return charge, 0
	}
	const one = uint64(events.MaxTaxRate)
	if !inclusive {
		return charge, share(uint64(r), one, net, charge)
	}
	part := share(uint64(r), one+uint64(r), net.Plus(tax), charge)
	return charge - part, part
}

// taxRatesOK refuses rates of tax that a customer cannot have.
func taxRatesOK(b *projections.Books, c Context, rates []events.TaxRateOf) *Rejection {
	for i, r := range rates {
		switch {
		case r.Rate > events.MaxTaxRate:
			return wrong("taxRates", "has a rate above 100")
		case !r.Plan.IsZero() && !r.Metric.IsZero():
			return wrong("taxRates", "has a rate for a plan and a metric")
		case !r.Plan.IsZero():
			if _, rejection := planOf(b, c, r.Plan); rejection != nil {
				return rejection
			}
		case !r.Metric.IsZero():
			if _, rejection := metricOf(b, c, r.Metric); rejection != nil {
				return rejection
			}
		}
		for _, other := range rates[:i] {
			if other.Plan == r.Plan && other.Metric == r.Metric {
				return wrong("taxRates", "has two rates for the same")
			}
		}
	}
	return nil
}
