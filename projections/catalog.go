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
	UpdatedAt   events.Time           `cbor:"6,keyasint"`
}

// Metric is a thing that is metered.
type Metric struct {
	Merchant      events.OrganizationID `cbor:"1,keyasint"`
	Product       events.ProductID      `cbor:"2,keyasint"`
	Name          string                `cbor:"3,keyasint"`
	Description   string                `cbor:"4,keyasint"`
	Unit          string                `cbor:"5,keyasint"`
	Aggregation   events.Aggregation    `cbor:"6,keyasint"`
	At            events.Time           `cbor:"7,keyasint"`
	UpdatedAt     events.Time           `cbor:"8,keyasint"`
	EventType     string                `cbor:"9,keyasint,omitempty"`
	ValueProperty string                `cbor:"10,keyasint,omitempty"`
	GroupBy       map[string]string     `cbor:"11,keyasint,omitempty"`
	EventFrom     events.Time           `cbor:"12,keyasint,omitzero"`
}

// Fee is a fixed charge.
type Fee struct {
	Merchant    events.OrganizationID `cbor:"1,keyasint"`
	Product     events.ProductID      `cbor:"2,keyasint"`
	Name        string                `cbor:"3,keyasint"`
	Description string                `cbor:"4,keyasint"`
	At          events.Time           `cbor:"5,keyasint"`
	UpdatedAt   events.Time           `cbor:"6,keyasint"`
	Prices      uint32                `cbor:"7,keyasint,omitzero"` // how many are of it
}

// Price is what a metric or a fee costs.
type Price struct {
	Merchant  events.OrganizationID `cbor:"1,keyasint"`
	Metric    events.MetricID       `cbor:"2,keyasint,omitzero"`
	Fee       events.FeeID          `cbor:"3,keyasint,omitzero"`
	Tariff    Tariff                `cbor:"4,keyasint"`
	Past      []Tariff              `cbor:"5,keyasint,omitempty"` // of earlier revisions, oldest first
	Plans     []events.PlanID       `cbor:"6,keyasint,omitempty"` // that have it now
	Feature   events.FeatureID      `cbor:"20,keyasint,omitzero"`
	Template  events.FeatureTerms   `cbor:"21,keyasint,omitzero"`
	At        events.Time           `cbor:"7,keyasint"`
	UpdatedAt events.Time           `cbor:"8,keyasint"`
	Deleted   bool                  `cbor:"9,keyasint,omitempty"` // periods that have begun with it still end with it
}

// Tariff is a price at one revision.
type Tariff struct {
	Revision      uint32          `cbor:"1,keyasint"`
	Model         events.Model    `cbor:"2,keyasint"`
	Term          events.Term     `cbor:"3,keyasint"`
	DisplayName   string          `cbor:"4,keyasint"`
	UnitPrice     events.Nanos    `cbor:"5,keyasint"`
	Min           events.Nanos    `cbor:"6,keyasint,omitzero"`
	Max           events.Nanos    `cbor:"7,keyasint,omitzero"`
	Gradient      events.Nanos    `cbor:"8,keyasint,omitzero"`
	Part          events.Fraction `cbor:"9,keyasint,omitzero"`
	Cadence       events.Cadence  `cbor:"10,keyasint,omitempty"` // of a fee
	Quantity      uint32          `cbor:"11,keyasint,omitzero"`  // of a fee
	Description   string          `cbor:"12,keyasint,omitempty"`
	GrantDiscount bool            `cbor:"13,keyasint,omitempty"`
}

// Revision returns the price at a revision, or nil.
func (p *Price) Revision(revision uint32) *Tariff {
	if p.Tariff.Revision == revision {
		return &p.Tariff
	}
	for i := range p.Past {
		if p.Past[i].Revision == revision {
			return &p.Past[i]
		}
	}
	return nil
}

// Plan is a rate card.
type Plan struct {
	Merchant     events.OrganizationID `cbor:"1,keyasint"`
	Product      events.ProductID      `cbor:"2,keyasint"`
	Name         string                `cbor:"3,keyasint"`
	Description  string                `cbor:"4,keyasint,omitempty"`
	Currency     events.Currency       `cbor:"5,keyasint"`
	Cadence      events.Cadence        `cbor:"6,keyasint"`
	Card         Card                  `cbor:"7,keyasint"` // of the periods that begin from now on
	DisplayName  string                `cbor:"8,keyasint,omitempty"`
	At           events.Time           `cbor:"9,keyasint"`
	UpdatedAt    events.Time           `cbor:"10,keyasint"`
	Past         []Card                `cbor:"11,keyasint,omitempty"` // oldest first
	Prices       []events.PriceID      `cbor:"12,keyasint,omitempty"` // as they were listed
	Anchor       events.Time           `cbor:"13,keyasint,omitzero"`
	TaxCode      string                `cbor:"14,keyasint,omitempty"`
	NoReminder   bool                  `cbor:"15,keyasint,omitempty"`
	ReminderDays uint32                `cbor:"16,keyasint,omitzero"`
	Version      uint32                `cbor:"17,keyasint,omitzero"`
}

// Card is what a plan charges in the periods of some time: a change of a plan or of a price of it makes a new one.
type Card struct {
	Until   events.Seq     `cbor:"1,keyasint,omitzero"` // periods opened before this record; 0 for the newest card
	Rates   []Rate         `cbor:"2,keyasint"`          // one for each metric
	Fees    []Rate         `cbor:"3,keyasint,omitempty"`
	Taxed   bool           `cbor:"4,keyasint,omitempty"` // inclusive: the tax is in the amounts
	TaxRate events.TaxRate `cbor:"5,keyasint,omitzero"`  // where nothing better is known
	Daily   bool           `cbor:"6,keyasint,omitempty"` // fees are for the days that are used (A22)
}

// Rate is a price as a plan applies it: all that rating needs, copied together.
type Rate struct {
	Metric      events.MetricID    `cbor:"1,keyasint,omitzero"`
	Aggregation events.Aggregation `cbor:"2,keyasint,omitempty"`
	Price       events.PriceID     `cbor:"3,keyasint"`
	Revision    uint32             `cbor:"4,keyasint"`
	Model       events.Model       `cbor:"5,keyasint"`
	Term        events.Term        `cbor:"6,keyasint"`
	UnitPrice   events.Nanos       `cbor:"7,keyasint"`
	Min         events.Nanos       `cbor:"8,keyasint,omitzero"`
	Max         events.Nanos       `cbor:"9,keyasint,omitzero"`
	Gradient    events.Nanos       `cbor:"10,keyasint,omitzero"`
	Part        events.Fraction    `cbor:"11,keyasint,omitzero"`
	Fee         events.FeeID       `cbor:"12,keyasint,omitzero"`
	Cadence     events.Cadence     `cbor:"13,keyasint,omitempty"` // of a fee
	Quantity    uint32             `cbor:"14,keyasint,omitzero"`  // of a fee
	Feature     events.FeatureID   `cbor:"20,keyasint,omitzero"`  // that who subscribes is entitled to
	Discounted  bool               `cbor:"21,keyasint,omitempty"` // units that grants have are not charged
}

// CardAt returns what p charges in a period that was opened by a record.
func (p *Plan) CardAt(opened events.Seq) *Card {
	for i := range p.Past {
		if opened < p.Past[i].Until {
			return &p.Past[i]
		}
	}
	return &p.Card
}

// RateOf returns the rate at which c bills metric, or nil.
func (c *Card) RateOf(metric events.MetricID) *Rate {
	for i := range c.Rates {
		if c.Rates[i].Metric == metric {
			return &c.Rates[i]
		}
	}
	return nil
}

// Prepays reports whether p takes money from a wallet as usage happens.
func (p *Plan) Prepays() bool {
	return slices.ContainsFunc(p.Card.Rates, func(r Rate) bool { return r.Term == events.Instant })
}

func (b *Books) productCreated(rec *events.Record, e events.ProductCreated) {
	*b.Products.insert(e.Product) = Product{rec.Merchant, e.Name, e.Description, e.Metadata, rec.At, rec.At}
	b.link(LinkProducts, rec.Merchant, e.Product, rec.Seq)
}

func (b *Books) productUpdated(rec *events.Record, e events.ProductUpdated) {
	p := b.Products.edit(e.Product)
	p.Name, p.Description, p.UpdatedAt = e.Name, e.Description, rec.At
}

func (b *Books) metricCreated(rec *events.Record, e events.MetricCreated) {
	*b.Metrics.insert(e.Metric) = Metric{
		rec.Merchant, e.Product, e.Name, e.Description, e.Unit, e.Aggregation, rec.At, rec.At,
		e.EventType, e.ValueProperty, e.GroupBy, e.EventFrom,
	}
	b.link(LinkMetrics, rec.Merchant, e.Metric, rec.Seq)
}

func (b *Books) metricUpdated(rec *events.Record, e events.MetricUpdated) {
	m := b.Metrics.edit(e.Metric)
	m.Name, m.Description, m.Unit, m.UpdatedAt = e.Name, e.Description, e.Unit, rec.At
	m.EventType, m.ValueProperty, m.GroupBy, m.EventFrom = e.EventType, e.ValueProperty, e.GroupBy, e.EventFrom
}

func (b *Books) feeCreated(rec *events.Record, e events.FeeCreated) {
	*b.Fees.insert(e.Fee) = Fee{rec.Merchant, e.Product, e.Name, e.Description, rec.At, rec.At, 0}
	b.link(LinkFees, rec.Merchant, e.Fee, rec.Seq)
}

func (b *Books) feeUpdated(rec *events.Record, e events.FeeUpdated) {
	f := b.Fees.edit(e.Fee)
	f.Name, f.Description, f.UpdatedAt = e.Name, e.Description, rec.At
}

func (b *Books) feeDeleted(rec *events.Record, e events.FeeDeleted) {
	assert(b.Fees.edit(e.Fee).Prices == 0, rec, "a fee deleted that has prices")
	b.Fees.remove(e.Fee)
	b.unlink(LinkFees, rec.Merchant, e.Fee)
}

func (b *Books) priceCreated(rec *events.Record, e events.PriceCreated) {
	*b.Prices.insert(e.Price) = Price{
		Merchant: rec.Merchant, Metric: e.Metric, Fee: e.Fee, At: rec.At, UpdatedAt: rec.At,
		Feature: e.Feature, Template: e.Template,
		Tariff: Tariff{
			e.Revision, e.Model, e.Term, e.DisplayName, e.UnitPrice, e.Min, e.Max, e.Gradient, e.Part,
			e.Cadence, e.Quantity, e.Description, e.GrantDiscount,
		},
	}
	if !e.Fee.IsZero() {
		b.Fees.edit(e.Fee).Prices++
	}
	if !e.Feature.IsZero() {
		b.Features.edit(e.Feature).Prices++
	}
	b.link(LinkPrices, rec.Merchant, e.Price, rec.Seq)
}

func (b *Books) priceRevised(rec *events.Record, e events.PriceRevised) {
	p := b.Prices.edit(e.Price)
	assert(e.Revision == p.Tariff.Revision+1, rec, "a revision left out, or made twice")
	p.Past = append(p.Past, p.Tariff)
	p.Tariff = Tariff{
		e.Revision, e.Model, e.Term, e.DisplayName, e.UnitPrice, e.Min, e.Max, e.Gradient, e.Part,
		e.Cadence, e.Quantity, e.Description, e.GrantDiscount,
	}
	p.UpdatedAt = rec.At
	for _, id := range p.Plans {
		b.newCard(rec, b.Plans.edit(id))
	}
}

func (b *Books) priceDeleted(rec *events.Record, e events.PriceDeleted) {
	p := b.Prices.edit(e.Price)
	assert(len(p.Plans) == 0, rec, "a price deleted that plans have")
	if !p.Fee.IsZero() {
		b.Fees.edit(p.Fee).Prices--
	}
	if !p.Feature.IsZero() {
		b.Features.edit(p.Feature).Prices--
	}
	p.Deleted, p.UpdatedAt = true, rec.At
	b.unlink(LinkPrices, rec.Merchant, e.Price)
}

func (b *Books) planCreated(rec *events.Record, e events.PlanCreated) {
	p := b.Plans.insert(e.Plan)
	*p = Plan{
		Merchant: rec.Merchant, Product: e.Product, Name: e.Name, Description: e.Description,
		Currency: e.Currency, Cadence: e.Cadence, DisplayName: e.DisplayName, At: rec.At, UpdatedAt: rec.At,
		Anchor: e.Anchor, TaxCode: e.TaxCode, NoReminder: e.NoReminder, ReminderDays: e.ReminderDays, Version: e.Version,
		Card: Card{Taxed: e.TaxBehavior == events.Inclusive, TaxRate: e.TaxRate, Daily: e.Proration == events.ProrateDaily},
	}
	b.setPrices(rec, e.Plan, p, e.Prices)
	b.price(rec, p)
	b.link(LinkPlans, rec.Merchant, e.Plan, rec.Seq)
}

func (b *Books) planUpdated(rec *events.Record, e events.PlanUpdated) {
	p := b.Plans.edit(e.Plan)
	p.Name, p.Description, p.Cadence, p.DisplayName, p.UpdatedAt = e.Name, e.Description, e.Cadence, e.DisplayName, rec.At
	p.TaxCode, p.NoReminder, p.ReminderDays = e.TaxCode, e.NoReminder, e.ReminderDays
	taxed, daily := e.TaxBehavior == events.Inclusive, e.Proration == events.ProrateDaily
	if slices.Equal(p.Prices, e.Prices) && p.Card.Taxed == taxed && p.Card.TaxRate == e.TaxRate && p.Card.Daily == daily {
		return
	}
	b.setPrices(rec, e.Plan, p, e.Prices)
	b.newCard(rec, p)
	p.Card.Taxed, p.Card.TaxRate, p.Card.Daily = taxed, e.TaxRate, daily
}

// setPrices changes which prices a plan has.
func (b *Books) setPrices(rec *events.Record, id events.PlanID, p *Plan, prices []events.PriceID) {
	for _, old := range p.Prices {
		if row := b.Prices.edit(old); !slices.Contains(prices, old) {
			row.Plans = slices.DeleteFunc(row.Plans, func(plan events.PlanID) bool { return plan == id })
		}
	}
	for _, now := range prices {
		assert(b.Prices.Get(now) != nil, rec, "plan of an unknown price")
		if row := b.Prices.edit(now); !slices.Contains(row.Plans, id) {
			row.Plans = append(row.Plans, id)
		}
	}
	p.Prices = prices
}

// newCard gives p another card, which holds for the periods that open after rec.
func (b *Books) newCard(rec *events.Record, p *Plan) {
	old := p.Card
	old.Until = rec.Seq
	p.Past = append(p.Past, old)
	b.price(rec, p)
}

// price writes the rates of a plan's prices, as they are now, into its card.
func (b *Books) price(rec *events.Record, p *Plan) {
	p.Card.Rates, p.Card.Fees = nil, nil
	for _, id := range p.Prices {
		price := b.Prices.Get(id)
		t := &price.Tariff
		rate := Rate{
			Metric: price.Metric, Price: id, Revision: t.Revision, Model: t.Model, Term: t.Term, UnitPrice: t.UnitPrice,
			Min: t.Min, Max: t.Max, Gradient: t.Gradient, Part: t.Part, Fee: price.Fee, Cadence: t.Cadence, Quantity: t.Quantity,
			Feature: price.Feature, Discounted: t.GrantDiscount,
		}
		if !price.Fee.IsZero() {
			p.Card.Fees = append(p.Card.Fees, rate)
			continue
		}
		metric := b.Metrics.Get(price.Metric)
		assert(metric != nil, rec, "price of an unknown metric")
		rate.Aggregation = metric.Aggregation
		p.Card.Rates = append(p.Card.Rates, rate)
	}
}
