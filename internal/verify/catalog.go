package verify

import (
	"fmt"

	"tallystick/events"
)

// priceRevision names a price at a revision.
type priceRevision struct {
	price    events.PriceID
	revision uint32
}

// price is a price at one revision, as its record has it.
type price struct {
	id     priceRevision
	metric events.MetricID
	fee    events.FeeID
	of     events.FeatureID // whose grants its usage burns
	events.PriceRevised
}

// plan is what a plan has charged, since which record: the newest last.
type plan struct {
	cards  []card
	anchor events.Time // of its subscriptions' periods; 0 where each has its own
}

type card struct {
	since     events.Seq
	prices    []events.PriceID
	revisions map[events.PriceID]uint32
	inclusive bool
	rate      events.TaxRate
	daily     bool // fees are for the days that are used
}

// at returns what p charges in a period that a record has opened.
func (p *plan) at(opened events.Seq) card {
	if p == nil {
		return card{}
	}
	for i := len(p.cards) - 1; i >= 0; i-- {
		if p.cards[i].since < opened {
			return p.cards[i]
		}
	}
	return card{}
}

// catalog takes a record of a price or of a plan.
func (a *auditor) catalog(rec *events.Record) error {
	switch e := rec.Event.(type) {
	case events.PriceCreated:
		if e.Revision != 1 || a.newest[e.Price] != 0 {
			return fmt.Errorf("price %s begins at revision %d", e.Price, e.Revision)
		}
		return a.setPrice(&price{priceRevision{e.Price, 1}, e.Metric, e.Fee, e.Feature, events.PriceRevised{
			Price: e.Price, Revision: 1, Model: e.Model, Term: e.Term, UnitPrice: e.UnitPrice, Min: e.Min, Max: e.Max, Gradient: e.Gradient,
			Part: e.Part, Cadence: e.Cadence, Quantity: e.Quantity, GrantDiscount: e.GrantDiscount,
		}})
	case events.PriceRevised:
		before := a.prices[priceRevision{e.Price, e.Revision - 1}]
		if before == nil || a.newest[e.Price] != e.Revision-1 {
			return fmt.Errorf("price %s has no revision before %d", e.Price, e.Revision)
		}
		if err := a.setPrice(&price{priceRevision{e.Price, e.Revision}, before.metric, before.fee, before.of, e}); err != nil {
			return err
		}
		for _, p := range a.plans {
			newest := p.cards[len(p.cards)-1]
			if _, has := newest.revisions[e.Price]; has {
				p.cards = append(p.cards, a.card(rec.Seq, newest.prices, newest))
			}
		}
	case events.PlanCreated:
		a.plans[e.Plan] = &plan{[]card{a.card(rec.Seq, e.Prices, terms(e.TaxBehavior, e.TaxRate, e.Proration))}, e.Anchor}
	case events.PlanUpdated:
		p := a.plans[e.Plan]
		if p == nil {
			return fmt.Errorf("plan %s does not exist", e.Plan)
		}
		p.cards = append(p.cards, a.card(rec.Seq, e.Prices, terms(e.TaxBehavior, e.TaxRate, e.Proration)))
	default: // the others say nothing of prices
	}
	return nil
}

func (a *auditor) setPrice(p *price) error {
	a.prices[p.id] = p
	a.newest[p.id.price] = p.id.revision
	if p.metric.IsZero() == p.fee.IsZero() || p.fee.IsZero() != (p.Quantity == 0) {
		return fmt.Errorf("price %s is not of a metric or of a fee", p.id.price)
	}
	unit, bounds, gradient, part := p.UnitPrice != 0, p.Min != 0 || p.Max != 0, p.Gradient != 0, p.Part != 0
	wrong := true
	switch p.Model {
	case events.Standard:
		wrong = bounds || gradient || part
	case events.Dynamic:
		wrong = unit || gradient || part
	case events.Volume:
		wrong = part
	case events.Percentage:
		wrong = unit || gradient
	}
	if wrong {
		return fmt.Errorf("price %s of model %s has amounts of another", p.id.price, p.Model)
	}
	return nil
}

// terms returns a card without prices.
func terms(behavior events.TaxBehavior, rate events.TaxRate, proration events.Proration) card {
	return card{inclusive: behavior == events.Inclusive, rate: rate, daily: proration == events.ProrateDaily}
}

// card returns what a plan charges with prices as they are now, on the terms of another card.
func (a *auditor) card(since events.Seq, prices []events.PriceID, c card) card {
	c.since, c.prices, c.revisions = since, prices, make(map[events.PriceID]uint32, len(prices))
	for _, id := range prices {
		c.revisions[id] = a.newest[id]
	}
	return c
}
