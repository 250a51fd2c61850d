package commands

import (
	"tallystick/events"
	"tallystick/projections"
)

// CreateProduct makes something to sell.
type CreateProduct struct {
	Name        string
	Description string
	Metadata    map[string]string
}

// CreateMetric makes something to meter.
type CreateMetric struct {
	Product     events.ProductID
	Name        string
	Description string
	Unit        string
	Aggregation events.Aggregation
}

// CreatePrice makes a price of a metric.
type CreatePrice struct {
	Metric      events.MetricID
	Model       events.Model
	Term        events.Term
	DisplayName string
	UnitPrice   events.Nanos // of one unit; at least 0
}

// CreatePlan makes a rate card of one product.
type CreatePlan struct {
	Product     events.ProductID
	Name        string
	Description string
	DisplayName string
	Currency    events.Currency
	Cadence     events.Cadence
	Prices      []events.PriceID
}

const (
	maxDescription = 4096
	maxMetadata    = 50
	maxPlanPrices  = 200
)

func createProduct(b *projections.Books, c Context, cmd CreateProduct, d *decision) *Rejection {
	if r := first(text("name", cmd.Name, maxName), text("description", cmd.Description, maxDescription)); r != nil {
		return r
	}
	if len(cmd.Metadata) > maxMetadata {
		return Reject(Invalid, "metadata has %d entries; at most %d are allowed", len(cmd.Metadata), maxMetadata)
	}
	for k, v := range cmd.Metadata {
		if optional("key", k, maxName) != nil || optional("value", v, maxDescription) != nil {
			return Reject(Invalid, "metadata is UTF-8, with keys of at most %d and values of at most %d bytes", maxName, maxDescription)
		}
	}
	if _, r := merchantOf(b, c); r != nil {
		return r
	}
	d.add(c, c.Now, events.ProductCreated{
		Product: events.Derive[events.ProductNoun](c.ID, 0), Name: cmd.Name, Description: cmd.Description, Metadata: cmd.Metadata,
	})
	return nil
}

func createMetric(b *projections.Books, c Context, cmd CreateMetric, d *decision) *Rejection {
	if r := first(
		text("name", cmd.Name, maxName), text("description", cmd.Description, maxDescription), text("unit", cmd.Unit, maxName),
	); r != nil {
		return r
	}
	if cmd.Aggregation != events.AggregateSum && cmd.Aggregation != events.AggregateCount {
		return Reject(Invalid, "aggregation %.40q is none of SUM, COUNT", cmd.Aggregation)
	}
	if _, r := merchantOf(b, c); r != nil {
		return r
	}
	if p := b.Products.Get(cmd.Product); p == nil || p.Merchant != c.Merchant {
		return Reject(NotFound, "no product %s", cmd.Product)
	}
	d.add(c, c.Now, events.MetricCreated{
		Metric: events.Derive[events.MetricNoun](c.ID, 0), Product: cmd.Product, Name: cmd.Name,
		Description: cmd.Description, Unit: cmd.Unit, Aggregation: cmd.Aggregation,
	})
	return nil
}

func createPrice(b *projections.Books, c Context, cmd CreatePrice, d *decision) *Rejection {
	if r := text("invoiceDisplayName", cmd.DisplayName, maxName); r != nil {
		return r
	}
	if cmd.Model != events.Standard {
		return Reject(Invalid, "model %.40q is not standard", cmd.Model)
	}
	if cmd.Term != events.Instant && cmd.Term != events.InArrears {
		return Reject(Invalid, "paymentTerm %.40q is none of instant, in_arrears", cmd.Term)
	}
	if cmd.UnitPrice < 0 {
		return Reject(Invalid, "unitPrice is below zero")
	}
	if _, r := merchantOf(b, c); r != nil {
		return r
	}
	if m := b.Metrics.Get(cmd.Metric); m == nil || m.Merchant != c.Merchant {
		return Reject(NotFound, "no billable metric %s", cmd.Metric)
	}
	d.add(c, c.Now, events.PriceCreated{
		Price: events.Derive[events.PriceNoun](c.ID, 0), Revision: 1, Metric: cmd.Metric, Model: cmd.Model,
		Term: cmd.Term, DisplayName: cmd.DisplayName, UnitPrice: cmd.UnitPrice,
	})
	return nil
}

func createPlan(b *projections.Books, c Context, cmd CreatePlan, d *decision) *Rejection {
	if r := first(
		text("name", cmd.Name, maxName), optional("description", cmd.Description, maxDescription),
		optional("invoiceDisplayName", cmd.DisplayName, maxName),
	); r != nil {
		return r
	}
	if cmd.Currency.IsZero() {
		return Reject(Invalid, "currency is required, such as USD")
	}
	if cmd.Cadence != events.Monthly {
		return Reject(Invalid, "billingCadence %.40q is not P1M", cmd.Cadence)
	}
	if len(cmd.Prices) > maxPlanPrices {
		return Reject(Invalid, "a plan of %d prices; at most %d are allowed", len(cmd.Prices), maxPlanPrices)
	}
	m, r := merchantOf(b, c)
	if r != nil {
		return r
	}
	if p := b.Products.Get(cmd.Product); p == nil || p.Merchant != c.Merchant {
		return Reject(NotFound, "no product %s", cmd.Product)
	}
	priced := make(map[events.MetricID]bool, len(cmd.Prices))
	for _, id := range cmd.Prices {
		price := b.Prices.Get(id)
		if price == nil || price.Merchant != c.Merchant {
			return Reject(NotFound, "no price %s", id)
		}
		if m := b.Metrics.Get(price.Metric); m == nil || m.Product != cmd.Product {
			return Reject(Invalid, "price %s is of a metric of another product", id)
		}
		if priced[price.Metric] {
			return Reject(Invalid, "metric %s has two prices in one plan", price.Metric)
		}
		priced[price.Metric] = true
	}
	d.add(c, c.Now, events.PlanCreated{
		Plan: events.Derive[events.PlanNoun](c.ID, 0), Product: cmd.Product, Name: cmd.Name, Description: cmd.Description,
		Currency: cmd.Currency, Cadence: cmd.Cadence, Prices: cmd.Prices, DisplayName: cmd.DisplayName,
	})
	if m.WalletFor(cmd.Currency).IsZero() { // its first plan in this currency
		d.add(c, c.Now, events.WalletOpened{
			Wallet: events.Derive[events.WalletNoun](c.ID, 1), Owner: c.Merchant, Currency: cmd.Currency, Earning: true,
		})
	}
	return nil
}
