package projections

import (
	"slices"

	"tallystick/events"
)

// Product is something that a merchant offers.
type Product struct {
	Merchant    events.OrganizationID `cbor:"1,keyasint"`
	Name        string                `cbor:"2,keyasint"`
	Description string                `cbor:"3,keyasint"`
	Metadata    map[string]string     `cbor:"4,keyasint,omitempty"`
	At          events.Time           `cbor:"5,keyasint"`
}

// Metric is a thing that is metered.
type Metric struct {
	Merchant    events.OrganizationID `cbor:"1,keyasint"`
	Product     events.ProductID      `cbor:"2,keyasint"`
	Name        string                `cbor:"3,keyasint"`
	Description string                `cbor:"4,keyasint"`
	Unit        string                `cbor:"5,keyasint"`
	Aggregation events.Aggregation    `cbor:"6,keyasint"`
	At          events.Time           `cbor:"7,keyasint"`
}

// Price is what a metric costs.
type Price struct {
	Merchant    events.OrganizationID `cbor:"1,keyasint"`
	Metric      events.MetricID       `cbor:"2,keyasint"`
	Revision    uint32                `cbor:"3,keyasint"`
	Model       events.Model          `cbor:"4,keyasint"`
	Term        events.Term           `cbor:"5,keyasint"`
	DisplayName string                `cbor:"6,keyasint"`
	UnitPrice   events.Nanos          `cbor:"7,keyasint"`
	At          events.Time           `cbor:"8,keyasint"`
}

// Plan is a rate card.
type Plan struct {
	Merchant    events.OrganizationID `cbor:"1,keyasint"`
	Product     events.ProductID      `cbor:"2,keyasint"`
	Name        string                `cbor:"3,keyasint"`
	Description string                `cbor:"4,keyasint,omitempty"`
	Currency    events.Currency       `cbor:"5,keyasint"`
	Cadence     events.Cadence        `cbor:"6,keyasint"`
	Rates       []Rate                `cbor:"7,keyasint"` // one for each metric
	DisplayName string                `cbor:"8,keyasint,omitempty"`
	At          events.Time           `cbor:"9,keyasint"`
}

// Rate is a price as a plan applies it: all that rating needs, copied together.
type Rate struct {
	Metric      events.MetricID    `cbor:"1,keyasint"`
	Aggregation events.Aggregation `cbor:"2,keyasint"`
	Price       events.PriceID     `cbor:"3,keyasint"`
	Revision    uint32             `cbor:"4,keyasint"`
	Model       events.Model       `cbor:"5,keyasint"`
	Term        events.Term        `cbor:"6,keyasint"`
	UnitPrice   events.Nanos       `cbor:"7,keyasint"`
}

// RateOf returns the rate at which p bills metric, or nil.
func (p *Plan) RateOf(metric events.MetricID) *Rate {
	for i := range p.Rates {
		if p.Rates[i].Metric == metric {
			return &p.Rates[i]
		}
	}
	return nil
}

// Prepays reports whether p takes money from a wallet as usage happens.
func (p *Plan) Prepays() bool {
	return slices.ContainsFunc(p.Rates, func(r Rate) bool { return r.Term == events.Instant })
}

func (b *Books) productCreated(rec *events.Record, e events.ProductCreated) {
	*b.Products.insert(e.Product) = Product{rec.Merchant, e.Name, e.Description, e.Metadata, rec.At}
	b.link(LinkProducts, rec.Merchant, e.Product, rec.Seq)
}

func (b *Books) metricCreated(rec *events.Record, e events.MetricCreated) {
	*b.Metrics.insert(e.Metric) = Metric{rec.Merchant, e.Product, e.Name, e.Description, e.Unit, e.Aggregation, rec.At}
	b.link(LinkMetrics, rec.Merchant, e.Metric, rec.Seq)
}

func (b *Books) priceCreated(rec *events.Record, e events.PriceCreated) {
	*b.Prices.insert(e.Price) = Price{rec.Merchant, e.Metric, e.Revision, e.Model, e.Term, e.DisplayName, e.UnitPrice, rec.At}
	b.link(LinkPrices, rec.Merchant, e.Price, rec.Seq)
}

func (b *Books) planCreated(rec *events.Record, e events.PlanCreated) {
	p := b.Plans.edit(e.Plan)
	*p = Plan{
		Merchant: rec.Merchant, Product: e.Product, Name: e.Name, Description: e.Description,
		Currency: e.Currency, Cadence: e.Cadence, DisplayName: e.DisplayName, At: rec.At,
	}
	for _, id := range e.Prices {
		price := b.Prices.Get(id)
		assert(price != nil, rec, "plan of an unknown price")
		metric := b.Metrics.Get(price.Metric)
		assert(metric != nil, rec, "price of an unknown metric")
		p.Rates = append(p.Rates, Rate{
			price.Metric, metric.Aggregation, id, price.Revision, price.Model, price.Term, price.UnitPrice,
		})
	}
	b.link(LinkPlans, rec.Merchant, e.Plan, rec.Seq)
}
