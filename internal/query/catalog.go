package query

import (
	"context"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// Product is something that a merchant offers.
type Product struct {
	ID          events.ProductID      `json:"id"`
	Merchant    events.OrganizationID `json:"merchantId"`
	Name        string                `json:"name"`
	Description string                `json:"description"`
	Metadata    map[string]string     `json:"metadata,omitempty"`
	CreatedAt   events.Time           `json:"createdAt"`
}

// Metric is a thing that is metered.
type Metric struct {
	ID          events.MetricID       `json:"id"`
	Merchant    events.OrganizationID `json:"merchantId"`
	Product     events.ProductID      `json:"productId"`
	Name        string                `json:"name"`
	Description string                `json:"description"`
	Unit        string                `json:"unit"`
	Aggregation events.Aggregation    `json:"aggregation"`
	CreatedAt   events.Time           `json:"createdAt"`
}

// Price is what a metric costs.
type Price struct {
	ID          events.PriceID        `json:"id"`
	Revision    uint32                `json:"revision"`
	Merchant    events.OrganizationID `json:"merchantId"`
	Metric      events.MetricID       `json:"billableMetricId"`
	Model       events.Model          `json:"model"`
	Term        events.Term           `json:"paymentTerm"`
	DisplayName string                `json:"invoiceDisplayName"`
	UnitPrice   events.Sum            `json:"unitPriceNanos"`
	CreatedAt   events.Time           `json:"createdAt"`
}

// Plan is a rate card.
type Plan struct {
	ID          events.PlanID         `json:"id"`
	Merchant    events.OrganizationID `json:"merchantId"`
	Product     events.ProductID      `json:"productId"`
	Name        string                `json:"name"`
	Description string                `json:"description,omitempty"`
	DisplayName string                `json:"invoiceDisplayName,omitempty"`
	Currency    events.Currency       `json:"currency"`
	Cadence     events.Cadence        `json:"billingCadence"`
	Rates       []Rate                `json:"rates"`
	CreatedAt   events.Time           `json:"createdAt"`
}

// Rate is what a plan charges for a metric.
type Rate struct {
	Metric    events.MetricID `json:"billableMetricId"`
	Price     events.PriceID  `json:"priceId"`
	Revision  uint32          `json:"revision"`
	Model     events.Model    `json:"model"`
	Term      events.Term     `json:"paymentTerm"`
	UnitPrice events.Sum      `json:"unitPriceNanos"`
}

// CatalogArgs say which part of a merchant's catalog is listed. Operators and auditors that name no merchant
// get those of all.
type CatalogArgs struct {
	At
	Page
	Merchant events.OrganizationID `json:"merchantId,omitzero"`
}

// Products lists what is offered.
func (s *Service) Products(ctx context.Context, who wire.Who, args CatalogArgs) (List[Product], error) {
	return catalog(ctx, s, who, args, func(r *reading) listing[events.ProductID, projections.Product, Product] {
		return listing[events.ProductID, projections.Product, Product]{
			table: r.books.Products, from: source{link: projections.LinkProducts},
			render: func(id events.ProductID, p *projections.Product) (Product, error) {
				return Product{id, p.Merchant, p.Name, p.Description, p.Metadata, p.At}, nil
			},
		}
	})
}

// Metrics lists what is metered.
func (s *Service) Metrics(ctx context.Context, who wire.Who, args CatalogArgs) (List[Metric], error) {
	return catalog(ctx, s, who, args, func(r *reading) listing[events.MetricID, projections.Metric, Metric] {
		return listing[events.MetricID, projections.Metric, Metric]{
			table: r.books.Metrics, from: source{link: projections.LinkMetrics},
			render: func(id events.MetricID, m *projections.Metric) (Metric, error) {
				return Metric{id, m.Merchant, m.Product, m.Name, m.Description, m.Unit, m.Aggregation, m.At}, nil
			},
		}
	})
}

// Prices lists what metrics cost.
func (s *Service) Prices(ctx context.Context, who wire.Who, args CatalogArgs) (List[Price], error) {
	return catalog(ctx, s, who, args, func(r *reading) listing[events.PriceID, projections.Price, Price] {
		return listing[events.PriceID, projections.Price, Price]{
			table: r.books.Prices, from: source{link: projections.LinkPrices},
			match: func(p *projections.Price) bool { return !p.Deleted },
			render: func(id events.PriceID, p *projections.Price) (Price, error) {
				return Price{
					id, p.Tariff.Revision, p.Merchant, p.Metric, p.Tariff.Model, p.Tariff.Term, p.Tariff.DisplayName,
					events.SumOf(p.Tariff.UnitPrice), p.At,
				}, nil
			},
		}
	})
}

// Plans lists rate cards.
func (s *Service) Plans(ctx context.Context, who wire.Who, args CatalogArgs) (List[Plan], error) {
	return catalog(ctx, s, who, args, func(r *reading) listing[events.PlanID, projections.Plan, Plan] {
		return listing[events.PlanID, projections.Plan, Plan]{
			table: r.books.Plans, from: source{link: projections.LinkPlans},
			render: func(id events.PlanID, p *projections.Plan) (Plan, error) { return renderPlan(id, p), nil },
		}
	})
}

func renderPlan(id events.PlanID, p *projections.Plan) Plan {
	plan := Plan{
		ID: id, Merchant: p.Merchant, Product: p.Product, Name: p.Name, Description: p.Description,
		DisplayName: p.DisplayName, Currency: p.Currency, Cadence: p.Cadence, CreatedAt: p.At, Rates: []Rate{},
	}
	for i := range p.Card.Rates {
		rate := &p.Card.Rates[i]
		plan.Rates = append(plan.Rates, Rate{
			rate.Metric, rate.Price, rate.Revision, rate.Model, rate.Term, events.SumOf(rate.UnitPrice),
		})
	}
	return plan
}

// catalog lists one sort of things of a catalog.
func catalog[K ~[16]byte, V, T any](ctx context.Context, s *Service, who wire.Who, args CatalogArgs, of func(*reading) listing[K, V, T]) (list List[T], err error) {
	merchant, err := asker(who).merchant(args.Merchant)
	if err != nil {
		return list, err
	}
	err = s.read(ctx, who, args.At, func(r *reading) (err error) {
		l := of(r)
		l.from.parent = merchant
		if merchant.IsZero() {
			l.from = source{}
		}
		list, err = l.page(r, args.Page)
		return err
	})
	return list, err
}
