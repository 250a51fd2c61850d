package query

import (
	"context"
	"encoding/json"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// APIProduct is a product.
type APIProduct struct {
	ID          events.ProductID      `json:"id"`
	Object      string                `json:"object"` // "product"
	CreatedAt   events.Time           `json:"createdAt"`
	Description string                `json:"description"`
	Merchant    events.OrganizationID `json:"merchantId"`
	Metadata    map[string]string     `json:"metadata"`
	Name        string                `json:"name"`
	UpdatedAt   events.Time           `json:"updatedAt"`
}

// APIMetric is a billable metric.
type APIMetric struct {
	ID            events.MetricID       `json:"id"`
	Object        string                `json:"object"` // "billableMetric"
	Aggregation   events.Aggregation    `json:"aggregation"`
	CreatedAt     events.Time           `json:"createdAt"`
	Description   string                `json:"description"`
	Merchant      events.OrganizationID `json:"merchantId"`
	Name          string                `json:"name"`
	Product       events.ProductID      `json:"productId"`
	Unit          string                `json:"unit"`
	UpdatedAt     events.Time           `json:"updatedAt"`
	EventType     *string               `json:"eventType"`
	ValueProperty *string               `json:"valueProperty"`
	GroupBy       map[string]string     `json:"groupBy"`
	EventFrom     *events.Time          `json:"eventFrom"`
}

// APIFee is a fee.
type APIFee struct {
	ID          events.FeeID          `json:"id"`
	Object      string                `json:"object"` // "fee"
	Name        string                `json:"name"`
	Description string                `json:"description"`
	Merchant    events.OrganizationID `json:"merchantId"`
	Product     events.ProductID      `json:"productId"`
	CreatedAt   events.Time           `json:"createdAt"`
	UpdatedAt   events.Time           `json:"updatedAt"`
}

// APIPrice is a price, at its newest revision.
type APIPrice struct {
	ID            events.PriceID  `json:"id"`
	Object        string          `json:"object"` // "price"
	Metric        events.MetricID `json:"billableMetricId,omitzero"`
	Fee           events.FeeID    `json:"feeId,omitzero"`
	Cadence       *events.Cadence `json:"billingCadence"`
	CreatedAt     events.Time     `json:"createdAt"`
	Currency      string          `json:"currency,omitempty"` // of the plan, where it is part of one
	Description   string          `json:"description,omitempty"`
	DisplayName   string          `json:"invoiceDisplayName"`
	Model         events.Model    `json:"model"`
	Term          events.Term     `json:"paymentTerm"`
	Properties    json.RawMessage `json:"properties"`
	Quantity      uint32          `json:"quantity,omitzero"` // of a fee
	Revision      uint32          `json:"revision"`
	UpdatedAt     events.Time     `json:"updatedAt"`
	GrantDiscount bool            `json:"grantDiscountEnabled"`

	Features []APIPriceFeature `json:"features,omitempty"`
}

// APIPriceFeature is a feature that whoever subscribes to a price is entitled to.
type APIPriceFeature struct {
	ID       events.FeatureID `json:"id"` // the same: a price has a feature once
	Feature  events.FeatureID `json:"featureId"`
	Template APITemplate      `json:"entitlementTemplate"`
	About    APIFeatureName   `json:"feature"`
}

// APIFeatureName says what a feature is called.
type APIFeatureName struct {
	Key  string             `json:"key"`
	Name string             `json:"name"`
	Type events.FeatureType `json:"type"`
}

// APITemplate is what entitlements are made by, as it was given. All but the type and the configuration, which is of static ones, is of metered ones.
type APITemplate struct {
	Type          events.FeatureType `json:"type"`
	Config        json.RawMessage    `json:"config,omitempty"`
	Period        *APIUsagePeriod    `json:"usagePeriod,omitempty"`
	Soft          *bool              `json:"isSoftLimit,omitempty"`
	Issue         *Units             `json:"issueAfterReset,omitempty"`
	IssuePriority *int64             `json:"issueAfterResetPriority,omitempty"`
	Preserve      *bool              `json:"preserveOverageAtReset,omitempty"`
	MaxRollover   *Units             `json:"resetMaxRollover,omitempty"`
	MinRollover   *Units             `json:"resetMinRollover,omitempty"`
}

// APIUsagePeriod says how often units are granted anew.
type APIUsagePeriod struct {
	Interval events.Interval `json:"interval"`
	Anchor   *events.Time    `json:"anchor,omitempty"`
}

// APIFeePrice is what a fee costs a subscription.
type APIFeePrice struct {
	ID          events.PriceID  `json:"id"`
	Fee         events.FeeID    `json:"feeId"`
	Model       events.Model    `json:"model"`
	Term        events.Term     `json:"paymentTerm"`
	DisplayName string          `json:"invoiceDisplayName"`
	Properties  json.RawMessage `json:"properties"`
	TaxRate     Percent         `json:"taxRate"`
}

func renderAPIProduct(_ *reading, id events.ProductID, p *projections.Product) (APIProduct, error) {
	metadata := p.Metadata
	if metadata == nil {
		metadata = map[string]string{}
	}
	return APIProduct{id, "product", p.At, p.Description, p.Merchant, metadata, p.Name, p.UpdatedAt}, nil
}

func renderAPIMetric(_ *reading, id events.MetricID, m *projections.Metric) (APIMetric, error) {
	v := APIMetric{
		ID: id, Object: "billableMetric", Aggregation: m.Aggregation, CreatedAt: m.At, Description: m.Description, Merchant: m.Merchant,
		Name: m.Name, Product: m.Product, Unit: m.Unit, UpdatedAt: m.UpdatedAt, GroupBy: m.GroupBy,
		EventType: orNull(m.EventType), ValueProperty: orNull(m.ValueProperty), EventFrom: orNull(m.EventFrom),
	}
	return v, nil
}

// orNull returns a pointer to v, nil where v is zero: null in JSON.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func renderAPIFee(_ *reading, id events.FeeID, f *projections.Fee) (APIFee, error) {
	return APIFee{id, "fee", f.Name, f.Description, f.Merchant, f.Product, f.At, f.UpdatedAt}, nil
}

// renderAPIPrice renders a price as it stands alone. Its currency is that of its plans, if it has any.
func renderAPIPrice(r *reading, id events.PriceID, p *projections.Price) (APIPrice, error) {
	t := &p.Tariff
	v := APIPrice{
		ID: id, Object: "price", Metric: p.Metric, Fee: p.Fee, Cadence: orNull(t.Cadence), CreatedAt: p.At, Description: t.Description,
		DisplayName: t.DisplayName, Model: t.Model, Term: t.Term, Properties: priceProperties(t), Quantity: t.Quantity, Revision: t.Revision,
		UpdatedAt: p.UpdatedAt, GrantDiscount: t.GrantDiscount,
	}
	if len(p.Plans) > 0 {
		v.Currency = r.books.Plans.Get(p.Plans[0]).Currency.String()
	}
	if f := r.books.Features.Get(p.Feature); f != nil {
		v.Features = []APIPriceFeature{{p.Feature, p.Feature, renderTemplate(&p.Template), APIFeatureName{f.Key, f.Name, f.Type}}}
	}
	return v, nil
}

func renderTemplate(t *events.FeatureTerms) APITemplate {
	v := APITemplate{Type: t.Type, Config: json.RawMessage(t.Config)}
	if t.Type != events.FeatureMetered {
		return v
	}
	if t.Interval != "" {
		v.Period = &APIUsagePeriod{t.Interval, orNull(t.Anchor)}
	}
	issue, most, least := Units(t.Issue), Units(t.MaxRollover), Units(t.MinRollover)
	v.Soft, v.Preserve, v.IssuePriority, v.Issue, v.MaxRollover, v.MinRollover = &t.Soft, &t.Preserve, &t.IssuePriority, &issue, &most, &least
	return v
}

// priceProperties returns the amounts of a price, as its model has them.
func priceProperties(t *projections.Tariff) json.RawMessage {
	unit, low, high := decimalAmount(t.UnitPrice), decimalAmount(t.Min), decimalAmount(t.Max)
	switch t.Model {
	case events.Dynamic:
		return rawJSON(map[string]string{"minPrice": low, "maxPrice": high})
	case events.Volume:
		return rawJSON(map[string]any{"default": unit, "parameters": map[string]string{
			"function": "linear", "gradient": decimalAmount(t.Gradient), "min": low, "max": high,
		}})
	case events.Percentage:
		part := events.Nanos(int64(t.Part) * 100_000).String() // ten-thousandths
		return rawJSON(map[string]string{"percentage": part, "minCharge": low, "maxCharge": high})
	case events.Standard:
	}
	return rawJSON(map[string]string{"unitPrice": unit})
}

// GetProductArgs are the arguments of [Service.GetProduct].
type GetProductArgs struct {
	AtLeast events.Seq       `json:"atLeast,omitzero"`
	Product events.ProductID `json:"productId"`
}

// GetProduct answers with a product.
func (s *Service) GetProduct(ctx context.Context, who wire.Who, args GetProductArgs) (APIProduct, error) {
	return apiOne(ctx, s, who, args.AtLeast, "product", args.Product,
		func(b *projections.Books) *projections.Table[events.ProductID, projections.Product] {
			return b.Products
		},
		func(p *projections.Product) events.OrganizationID { return p.Merchant }, renderAPIProduct)
}

// GetMetricArgs are the arguments of [Service.GetMetric].
type GetMetricArgs struct {
	AtLeast events.Seq      `json:"atLeast,omitzero"`
	Metric  events.MetricID `json:"billableMetricId"`
}

// GetMetric answers with a billable metric.
func (s *Service) GetMetric(ctx context.Context, who wire.Who, args GetMetricArgs) (APIMetric, error) {
	return apiOne(ctx, s, who, args.AtLeast, "billable metric", args.Metric,
		func(b *projections.Books) *projections.Table[events.MetricID, projections.Metric] { return b.Metrics },
		func(m *projections.Metric) events.OrganizationID { return m.Merchant }, renderAPIMetric)
}

// GetFeeArgs are the arguments of [Service.GetFee].
type GetFeeArgs struct {
	AtLeast events.Seq   `json:"atLeast,omitzero"`
	Fee     events.FeeID `json:"feeId"`
}

// GetFee answers with a fee.
func (s *Service) GetFee(ctx context.Context, who wire.Who, args GetFeeArgs) (APIFee, error) {
	return apiOne(ctx, s, who, args.AtLeast, "fee", args.Fee,
		func(b *projections.Books) *projections.Table[events.FeeID, projections.Fee] { return b.Fees },
		func(f *projections.Fee) events.OrganizationID { return f.Merchant }, renderAPIFee)
}

// GetPriceArgs are the arguments of [Service.GetPrice].
type GetPriceArgs struct {
	AtLeast events.Seq     `json:"atLeast,omitzero"`
	Price   events.PriceID `json:"priceId"`
}

// GetPrice answers with a price.
func (s *Service) GetPrice(ctx context.Context, who wire.Who, args GetPriceArgs) (APIPrice, error) {
	return apiOne(ctx, s, who, args.AtLeast, "price", args.Price,
		func(b *projections.Books) *projections.Table[events.PriceID, projections.Price] { return b.Prices },
		func(p *projections.Price) events.OrganizationID { return p.Merchant }, func(r *reading, id events.PriceID, p *projections.Price) (APIPrice, error) {
			if p.Deleted {
				return APIPrice{}, missing("price", id.String())
			}
			return renderAPIPrice(r, id, p)
		})
}

// CatalogListArgs say which things of a catalog are listed.
type CatalogListArgs struct {
	APIPage
	Merchant events.OrganizationID `json:"merchantId,omitzero"`
	Product  events.ProductID      `json:"productId,omitzero"`
}

// ListProducts lists products.
func (s *Service) ListProducts(ctx context.Context, who wire.Who, args CatalogListArgs) (APIList[APIProduct], error) {
	return apiCatalog(ctx, s, who, args.Merchant, args.APIPage, func(r *reading) listing[events.ProductID, projections.Product, APIProduct] {
		return listing[events.ProductID, projections.Product, APIProduct]{
			table: r.books.Products, from: source{link: projections.LinkProducts},
			render: func(id events.ProductID, p *projections.Product) (APIProduct, error) {
				return renderAPIProduct(r, id, p)
			},
		}
	})
}

// ListMetrics lists billable metrics, of one product if it is named.
func (s *Service) ListMetrics(ctx context.Context, who wire.Who, args CatalogListArgs) (APIList[APIMetric], error) {
	return apiCatalog(ctx, s, who, args.Merchant, args.APIPage, func(r *reading) listing[events.MetricID, projections.Metric, APIMetric] {
		return listing[events.MetricID, projections.Metric, APIMetric]{
			table: r.books.Metrics, from: source{link: projections.LinkMetrics},
			match:  func(m *projections.Metric) bool { return args.Product.IsZero() || m.Product == args.Product },
			render: func(id events.MetricID, m *projections.Metric) (APIMetric, error) { return renderAPIMetric(r, id, m) },
		}
	})
}

// ListFees lists fees, of one product if it is named.
func (s *Service) ListFees(ctx context.Context, who wire.Who, args CatalogListArgs) (APIList[APIFee], error) {
	return apiCatalog(ctx, s, who, args.Merchant, args.APIPage, func(r *reading) listing[events.FeeID, projections.Fee, APIFee] {
		return listing[events.FeeID, projections.Fee, APIFee]{
			table: r.books.Fees, from: source{link: projections.LinkFees},
			match:  func(f *projections.Fee) bool { return args.Product.IsZero() || f.Product == args.Product },
			render: func(id events.FeeID, f *projections.Fee) (APIFee, error) { return renderAPIFee(r, id, f) },
		}
	})
}

// ListPricesArgs are the arguments of [Service.ListPrices].
type ListPricesArgs struct {
	APIPage
	Merchant events.OrganizationID `json:"merchantId,omitzero"`
	Metric   events.MetricID       `json:"billableMetricId,omitzero"`
}

// ListPrices lists prices, of one metric if it is named.
func (s *Service) ListPrices(ctx context.Context, who wire.Who, args ListPricesArgs) (APIList[APIPrice], error) {
	return apiCatalog(ctx, s, who, args.Merchant, args.APIPage, func(r *reading) listing[events.PriceID, projections.Price, APIPrice] {
		return listing[events.PriceID, projections.Price, APIPrice]{
			table: r.books.Prices, from: source{link: projections.LinkPrices},
			match: func(p *projections.Price) bool {
				return !p.Deleted && (args.Metric.IsZero() || p.Metric == args.Metric)
			},
			render: func(id events.PriceID, p *projections.Price) (APIPrice, error) { return renderAPIPrice(r, id, p) },
		}
	})
}

// GetFeePriceArgs are the arguments of [Service.GetFeePrice].
type GetFeePriceArgs struct {
	AtLeast      events.Seq            `json:"atLeast,omitzero"`
	Fee          events.FeeID          `json:"feeId"`
	Subscription events.SubscriptionID `json:"subscriptionId"`
}

// GetFeePrice answers with the price of a fee in the plan of a subscription.
func (s *Service) GetFeePrice(ctx context.Context, who wire.Who, args GetFeePriceArgs) (v APIFeePrice, err error) {
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) error {
		sub, err := r.subscription(args.Subscription)
		if err != nil {
			return err
		}
		plan := r.books.Plans.Get(sub.Plan)
		for i := range plan.Card.Fees {
			rate := &plan.Card.Fees[i]
			if rate.Fee != args.Fee {
				continue
			}
			t := r.books.Prices.Get(rate.Price).Revision(rate.Revision)
			v = APIFeePrice{rate.Price, rate.Fee, rate.Model, rate.Term, t.DisplayName, priceProperties(t), Percent(plan.Card.TaxRate)}
			return nil
		}
		return missing("price of fee", args.Fee.String())
	})
	return v, err
}

// catalogQueries are the names of the queries of this file.
func catalogQueries() []string {
	return []string{
		"GetFee", "GetFeePrice", "GetMetric", "GetPlan", "GetPrice", "GetProduct", "ListAvailablePlans", "ListFees", "ListMetrics",
		"ListPlans", "ListPrices", "ListProducts",
	}
}

// catalogQuery returns the query of a name, nil for the name of another.
func (s *Service) catalogQuery(name string) asked {
	switch name {
	case "GetFee":
		return answering(s.GetFee)
	case "GetFeePrice":
		return answering(s.GetFeePrice)
	case "GetMetric":
		return answering(s.GetMetric)
	case "GetPlan":
		return answering(s.GetPlan)
	case "GetPrice":
		return answering(s.GetPrice)
	case "GetProduct":
		return answering(s.GetProduct)
	case "ListAvailablePlans":
		return answering(s.ListAvailablePlans)
	case "ListFees":
		return answering(s.ListFees)
	case "ListMetrics":
		return answering(s.ListMetrics)
	case "ListPlans":
		return answering(s.ListPlans)
	case "ListPrices":
		return answering(s.ListPrices)
	case "ListProducts":
		return answering(s.ListProducts)
	}
	return nil
}
