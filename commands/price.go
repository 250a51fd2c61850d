package commands

import (
	"math"

	"tallystick/events"
	"tallystick/projections"
)

// CreatePrice makes a price of a metric or of a fee.
type CreatePrice struct {
	Metric        events.MetricID // or
	Fee           events.FeeID
	Model         events.Model
	Term          events.Term
	DisplayName   string
	Description   string
	UnitPrice     events.Nanos        // standard: of one unit; volume: of the first unit
	Min, Max      events.Nanos        // dynamic and volume: of the price of a unit; percentage: of the charge
	Gradient      events.Nanos        // volume: what each unit before changes the price of a unit by
	Part          events.Fraction     // percentage
	Cadence       events.Cadence      // of a fee
	Quantity      uint32              // of a fee; 0 stands for 1
	GrantDiscount bool                // grants lower what this price charges
	Feature       events.FeatureID    // that who subscribes to a plan with this price is entitled to; zero for none
	Template      events.FeatureTerms // of the entitlement
}

// UpdatePrice makes the next revision of a price. It bills the periods that begin from now on; what a period
// has begun with it ends with.
type UpdatePrice struct {
	Price         events.PriceID
	DisplayName   Change[string]
	Description   Change[string]
	Term          Change[events.Term]
	Cadence       Change[events.Cadence]
	Quantity      Change[uint32]
	GrantDiscount Change[bool]
	Formula       Change[Formula] // the model together with all its amounts
}

// Formula is a model with its amounts, as [CreatePrice] has them.
type Formula struct {
	Model     events.Model
	UnitPrice events.Nanos
	Min, Max  events.Nanos
	Gradient  events.Nanos
	Part      events.Fraction
}

// DeletePrice takes back a price that no plan has.
type DeletePrice struct{ Price events.PriceID }

// Bounds of prices.
const (
	maxFeeQuantity = 1_000_000
	maxFraction    = events.Fraction(10 * 10_000) // ten times the base
)

// maxUnitPrice keeps what a unit of volume pricing costs far from where numbers end.
const maxUnitPrice = events.Nanos(math.MaxInt64 / 4)

func createPrice(b *projections.Books, c Context, cmd CreatePrice, d *decision) *Rejection {
	if cmd.Metric.IsZero() == cmd.Fee.IsZero() {
		return wrong("billableMetricId", "or feeId is required, one of them")
	}
	if cmd.Model == "" && !cmd.Fee.IsZero() {
		cmd.Model = events.Standard
	}
	if cmd.Quantity == 0 && !cmd.Fee.IsZero() {
		cmd.Quantity = 1
	}
	t := projections.Tariff{
		Revision: 1, Model: cmd.Model, Term: cmd.Term, DisplayName: cmd.DisplayName, UnitPrice: cmd.UnitPrice, Min: cmd.Min, Max: cmd.Max,
		Gradient: cmd.Gradient, Part: cmd.Part, Cadence: cmd.Cadence, Quantity: cmd.Quantity, Description: cmd.Description, GrantDiscount: cmd.GrantDiscount,
	}
	if r := tariffOK(&t, !cmd.Fee.IsZero()); r != nil {
		return r
	}
	if _, r := merchantOf(b, c); r != nil {
		return r
	}
	if r := priceable(b, c, cmd.Metric, cmd.Fee, &t); r != nil {
		return r
	}
	if r := priceFeatureOK(b, c, &cmd); r != nil {
		return r
	}
	d.add(c, c.Now, events.PriceCreated{
		Price: events.Derive[events.PriceNoun](c.ID, 0), Revision: t.Revision, Metric: cmd.Metric, Fee: cmd.Fee, Model: t.Model, Term: t.Term,
		DisplayName: t.DisplayName, UnitPrice: t.UnitPrice, Min: t.Min, Max: t.Max, Gradient: t.Gradient, Part: t.Part,
		Cadence: t.Cadence, Quantity: t.Quantity, Description: t.Description, GrantDiscount: t.GrantDiscount,
		Feature: cmd.Feature, Template: cmd.Template,
	})
	return nil
}

// priceable refuses what cannot have a price of the given term: an aggregate that is known only at the end of a
// period cannot be charged as it happens.
func priceable(b *projections.Books, c Context, metric events.MetricID, fee events.FeeID, t *projections.Tariff) *Rejection {
	if !fee.IsZero() {
		_, r := feeOfMerchant(b, c, fee)
		return r
	}
	m, r := metricOf(b, c, metric)
	switch {
	case r != nil || m.Aggregation.Adds():
		return r
	case t.Term == events.Instant:
		return wrong("paymentTerm", "instant is for metrics that are a SUM or a COUNT; this one is %s", m.Aggregation)
	case t.GrantDiscount:
		return wrong("grantDiscountEnabled", "is for metrics that are a SUM or a COUNT; this one is %s", m.Aggregation)
	case t.Model != events.Standard && (t.Model != events.Volume || m.Aggregation == events.AggregateAvg):
		return wrong("model", "%s is not for metrics that are %s", t.Model, m.Aggregation)
	}
	return nil
}

// tariffOK refuses a price that cannot be applied.
func tariffOK(t *projections.Tariff, ofFee bool) *Rejection {
	if r := first(text("invoiceDisplayName", t.DisplayName, maxName), optional("description", t.Description, maxDescription)); r != nil {
		return r
	}
	if ofFee {
		return feeTariffOK(t)
	}
	switch {
	case t.Term != events.Instant && t.Term != events.InArrears:
		return wrong("paymentTerm", "%.40q is none of instant, in_arrears, which a metric may have", t.Term)
	case t.Cadence == events.Once:
		return wrong("billingCadence", "P0D is for fees")
	case t.Cadence != "" && t.Cadence.Months() == 0:
		return wrong("billingCadence", "%.40q is none of P1M, P3M, P1Y", t.Cadence)
	case t.Quantity != 0:
		return wrong("quantity", "is for prices of fees")
	case t.GrantDiscount && t.Model != events.Standard:
		return wrong("grantDiscountEnabled", "is for prices of model standard; this one is %s", t.Model)
	}
	f := Formula{t.Model, t.UnitPrice, t.Min, t.Max, t.Gradient, t.Part}
	return f.wellFormed()
}

func feeTariffOK(t *projections.Tariff) *Rejection {
	switch {
	case t.Model != events.Standard:
		return wrong("model", "%.40q is not standard, which prices of fees are", t.Model)
	case t.Term != events.InAdvance && t.Term != events.InArrears:
		return wrong("paymentTerm", "%.40q is none of in_advance, in_arrears, which a fee may have", t.Term)
	case t.Cadence != events.Once && t.Cadence.Months() == 0:
		return wrong("billingCadence", "%.40q is none of P1M, P3M, P1Y, P0D; a fee needs one", t.Cadence)
	case t.Quantity < 1 || t.Quantity > maxFeeQuantity:
		return wrong("quantity", "is %d; 1 to %d are allowed", t.Quantity, maxFeeQuantity)
	case t.GrantDiscount:
		return wrong("grantDiscountEnabled", "is for prices of metrics")
	case t.UnitPrice < 0:
		return wrong("properties.unitPrice", "is below zero")
	}
	if _, fits := t.UnitPrice.Times(2 * 12 * int64(t.Quantity)); !fits {
		return Reject(AmountOutOfRange, "a year of this fee does not fit")
	}
	return nil
}

// wellFormed refuses amounts that the model cannot work with.
func (f *Formula) wellFormed() *Rejection {
	switch f.Model {
	case events.Standard:
		if f.UnitPrice < 0 {
			return wrong("properties.unitPrice", "is below zero")
		}
		return f.nothingElse(Formula{Model: f.Model, UnitPrice: f.UnitPrice})
	case events.Dynamic:
		if r := bounds("properties.minPrice", "maxPrice", f.Min, f.Max); r != nil {
			return r
		}
		return f.nothingElse(Formula{Model: f.Model, Min: f.Min, Max: f.Max})
	case events.Volume:
		if r := bounds("properties.parameters.min", "parameters.max", f.Min, f.Max); r != nil {
			return r
		}
		if f.UnitPrice < f.Min || f.UnitPrice > f.Max {
			return wrong("properties.default", "is %s; it must be from min to max", f.UnitPrice)
		}
		if f.Gradient > maxUnitPrice || f.Gradient < -maxUnitPrice || f.Max > maxUnitPrice {
			return Reject(AmountOutOfRange, "gradient or max is too large")
		}
		return f.nothingElse(Formula{Model: f.Model, UnitPrice: f.UnitPrice, Min: f.Min, Max: f.Max, Gradient: f.Gradient})
	case events.Percentage:
		if f.Part > maxFraction {
			return wrong("properties.percentage", "is above 10")
		}
		if r := bounds("properties.minCharge", "maxCharge", f.Min, f.Max); r != nil {
			return r
		}
		return f.nothingElse(Formula{Model: f.Model, Min: f.Min, Max: f.Max, Part: f.Part})
	}
	return wrong("model", "%.40q is none of standard, dynamic, volume, percentage", f.Model)
}

// nothingElse refuses amounts that the model does not have; f without them is only.
func (f *Formula) nothingElse(only Formula) *Rejection {
	if *f != only {
		return wrong("properties", "has amounts that model %s does not have", f.Model)
	}
	return nil
}

func bounds(lowName, highName string, low, high events.Nanos) *Rejection {
	if low < 0 {
		return wrong(lowName, "is below zero")
	}
	if low > high {
		return wrong(lowName, "is %s, which is more than %s, %s", low, highName, high)
	}
	return nil
}

func priceOf(b *projections.Books, c Context, id events.PriceID) (*projections.Price, *Rejection) {
	p := b.Prices.Get(id)
	if p == nil || p.Merchant != c.Merchant || p.Deleted {
		return nil, Reject(NotFound, "no price %s", id)
	}
	return p, nil
}

func updatePrice(b *projections.Books, c Context, cmd UpdatePrice, d *decision) *Rejection {
	p, r := priceOf(b, c, cmd.Price)
	if r != nil {
		return r
	}
	t := p.Tariff
	t.Revision++
	t.DisplayName, t.Description, t.Term = cmd.DisplayName.over(t.DisplayName), cmd.Description.over(t.Description), cmd.Term.over(t.Term)
	t.Cadence, t.Quantity, t.GrantDiscount = cmd.Cadence.over(t.Cadence), cmd.Quantity.over(t.Quantity), cmd.GrantDiscount.over(t.GrantDiscount)
	f := cmd.Formula.over(Formula{t.Model, t.UnitPrice, t.Min, t.Max, t.Gradient, t.Part})
	t.Model, t.UnitPrice, t.Min, t.Max, t.Gradient, t.Part = f.Model, f.UnitPrice, f.Min, f.Max, f.Gradient, f.Part
	if r := first(tariffOK(&t, !p.Fee.IsZero()), priceable(b, c, p.Metric, p.Fee, &t)); r != nil {
		return r
	}
	d.add(c, c.Now, events.PriceRevised{
		Price: cmd.Price, Revision: t.Revision, Model: t.Model, Term: t.Term, DisplayName: t.DisplayName, UnitPrice: t.UnitPrice,
		Min: t.Min, Max: t.Max, Gradient: t.Gradient, Part: t.Part, Cadence: t.Cadence, Quantity: t.Quantity,
		Description: t.Description, GrantDiscount: t.GrantDiscount,
	})
	return nil
}

func deletePrice(b *projections.Books, c Context, cmd DeletePrice, d *decision) *Rejection {
	p, r := priceOf(b, c, cmd.Price)
	if r != nil {
		return r
	}
	if n := len(p.Plans); n > 0 {
		return Reject(Conflict, "price %s is in %d plans; take it out of those first", cmd.Price, n).blockedBy(Blocker{Type: "plans", Count: n})
	}
	d.add(c, c.Now, events.PriceDeleted{Price: cmd.Price})
	return nil
}
