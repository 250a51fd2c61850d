package httpapi

import (
	"net/http"

	"tallystick/events"
	"tallystick/internal/query"
)

// Price is what a metric or a fee costs.
type Price struct {
	ID                   string          `json:"id"`
	Object               string          `json:"object" enum:"price"`
	BillableMetricID     string          `json:"billableMetricId,omitempty"`
	Model                string          `json:"model" enum:"standard,dynamic,volume,percentage"`
	PaymentTerm          string          `json:"paymentTerm" enum:"instant,in_arrears,in_advance"`
	InvoiceDisplayName   string          `json:"invoiceDisplayName"`
	Properties           PriceProperties `json:"properties"`
	GrantDiscountEnabled bool            `json:"grantDiscountEnabled"`
	CreatedAt            events.Time     `json:"createdAt" format:"date-time"`
	UpdatedAt            events.Time     `json:"updatedAt" format:"date-time"`
}

// PriceProperties are the figures of a price. Which there are follows from the model.
type PriceProperties struct {
	UnitPrice string `json:"unitPrice,omitempty" doc:"standard: for each unit"`
}

// PriceCreate is what a price is made of.
type PriceCreate struct {
	BillableMetricID     string         `json:"billableMetricId,omitempty" pattern:"^bm_[a-zA-Z0-9]+$"`
	FeeID                string         `json:"feeId,omitempty" pattern:"^fee_[a-zA-Z0-9]+$"`
	Model                string         `json:"model,omitempty" enum:"standard,dynamic,volume,percentage"`
	InvoiceDisplayName   string         `json:"invoiceDisplayName" minLength:"1" maxLength:"255"`
	PaymentTerm          string         `json:"paymentTerm" enum:"instant,in_arrears,in_advance"`
	BillingCadence       *string        `json:"billingCadence,omitempty" nullable:"true"`
	Properties           map[string]any `json:"properties"`
	Feature              map[string]any `json:"feature,omitempty"`
	GrantDiscountEnabled bool           `json:"grantDiscountEnabled,omitempty"`
}

// Plan is a rate card.
type Plan struct {
	ID                 string      `json:"id"`
	Object             string      `json:"object" enum:"plan"`
	MerchantID         string      `json:"merchantId"`
	ProductID          string      `json:"productId"`
	Name               string      `json:"name"`
	Description        string      `json:"description,omitempty"`
	InvoiceDisplayName string      `json:"invoiceDisplayName,omitempty"`
	Currency           string      `json:"currency"`
	BillingCadence     string      `json:"billingCadence" enum:"P1M,P3M,P1Y"`
	BillingInterval    string      `json:"billingInterval" deprecated:"true"`
	Prices             []Price     `json:"prices" nullable:"false"`
	CreatedAt          events.Time `json:"createdAt" format:"date-time"`
	UpdatedAt          events.Time `json:"updatedAt" format:"date-time"`
}

// PlanCreate is what a plan is made of.
type PlanCreate struct {
	MerchantID             string   `json:"merchantId" pattern:"^org_[a-zA-Z0-9]+$"`
	ProductID              string   `json:"productId" pattern:"^prod_[a-zA-Z0-9]+$"`
	Name                   string   `json:"name" minLength:"1" maxLength:"255"`
	Description            string   `json:"description,omitempty" maxLength:"4096"`
	InvoiceDisplayName     string   `json:"invoiceDisplayName,omitempty" maxLength:"255"`
	Currency               string   `json:"currency" pattern:"^[A-Z]{3}$"`
	BillingCadence         string   `json:"billingCadence,omitempty" enum:"P1M,P3M,P1Y"`
	BillingInterval        string   `json:"billingInterval,omitempty" enum:"monthly,quarterly,yearly,annual"`
	DefaultTaxCode         string   `json:"defaultTaxCode,omitempty"`
	DefaultTaxRate         float64  `json:"defaultTaxRate,omitempty" minimum:"0" maximum:"100"`
	TaxBehavior            string   `json:"taxBehavior,omitempty" enum:"exclusive,inclusive"`
	Prices                 []string `json:"prices,omitempty" maxItems:"200" nullable:"false"`
	RenewalReminderEnabled bool     `json:"renewalReminderEnabled,omitempty"`
	RenewalReminderDays    int      `json:"renewalReminderDays,omitempty" minimum:"1" maximum:"30"`
	BillingVersion         int      `json:"billingVersion,omitempty" enum:"0,1"`
}

func renderPrice(p *query.Price) (Price, error) {
	return Price{
		ID: p.ID.String(), Object: "price", BillableMetricID: p.Metric.String(), Model: string(p.Model), PaymentTerm: string(p.Term),
		InvoiceDisplayName: p.DisplayName, Properties: PriceProperties{UnitPrice: p.UnitPrice.String()},
		CreatedAt: p.CreatedAt, UpdatedAt: p.CreatedAt,
	}, nil
}

func (c *call) renderPlan(p *query.Plan) (Plan, error) {
	v := Plan{
		ID: p.ID.String(), Object: "plan", MerchantID: p.Merchant.String(), ProductID: p.Product.String(), Name: p.Name,
		Description: p.Description, InvoiceDisplayName: p.DisplayName, Currency: p.Currency.String(),
		BillingCadence: string(p.Cadence), BillingInterval: interval(p.Cadence), Prices: []Price{},
		CreatedAt: p.CreatedAt, UpdatedAt: p.CreatedAt,
	}
	for i := range p.Rates {
		price, err := c.price(p.Rates[i].Price)
		if err != nil {
			return v, err
		}
		v.Prices = append(v.Prices, price)
	}
	return v, nil
}

// interval is what a cadence was called earlier.
func interval(cadence events.Cadence) string {
	switch cadence {
	case "P3M":
		return "quarterly"
	case "P1Y":
		return "yearly"
	}
	return "monthly"
}

func (a *API) prices() []operation {
	return []operation{{
		id: "createPrice", method: http.MethodPost, path: "/v0/prices", tag: "Prices", summary: "Make a price",
		body: bodyOf[PriceCreate](), answers: answers[Price](http.StatusCreated), handle: func(c *call) (answer, error) {
			return made(c, "CreatePrice", http.StatusCreated, c.price)
		},
	}, {
		id: "listPrices", method: http.MethodGet, path: "/v0/prices", tag: "Prices", summary: "List prices",
		params:  paged(identity("billableMetricId", "bm")),
		answers: answers[List[Price]](http.StatusOK), handle: func(c *call) (answer, error) {
			metric, ok := queryID[events.MetricNoun](c, "billableMetricId")
			if !ok {
				return nothing[Price](c)
			}
			args := query.CatalogArgs{At: c.at(), Page: c.page(), Metric: metric}
			list, err := a.opts.Queries.Prices(c.ctx, c.who, args)
			return listing(c, list, err, renderPrice)
		},
	}, {
		id: "getPrice", method: http.MethodGet, path: "/v0/prices/{id}", tag: "Prices", summary: "Show a price",
		answers: answers[Price](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "price", c.price) },
	}}
}

func (a *API) plans() []operation {
	return []operation{{
		id: "createPlan", method: http.MethodPost, path: "/v0/plans", tag: "Plans", summary: "Make a plan",
		body: bodyOf[PlanCreate](), answers: answers[Plan](http.StatusCreated), handle: func(c *call) (answer, error) {
			return made(c, "CreatePlan", http.StatusCreated, c.plan)
		},
	}, {
		id: "listPlans", method: http.MethodGet, path: "/v0/plans", tag: "Plans", summary: "List plans",
		params:  paged(identity("merchantId", "org"), identity("productId", "prod")),
		answers: answers[List[Plan]](http.StatusOK), handle: func(c *call) (answer, error) {
			args, ok := c.ofMerchant()
			product, ok2 := queryID[events.ProductNoun](c, "productId")
			if !ok || !ok2 {
				return nothing[Plan](c)
			}
			args.Product = product
			list, err := a.opts.Queries.Plans(c.ctx, c.who, args)
			return listing(c, list, err, c.renderPlan)
		},
	}, {
		id: "getPlan", method: http.MethodGet, path: "/v0/plans/{id}", tag: "Plans", summary: "Show a plan",
		answers: answers[Plan](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "plan", c.plan) },
	}}
}

func (c *call) price(id events.PriceID) (Price, error) {
	p, err := c.api.opts.Queries.Price(c.ctx, c.who, query.OneArgs[events.PriceID]{At: c.at(), ID: id})
	if err != nil {
		return Price{}, err
	}
	return renderPrice(&p)
}

func (c *call) plan(id events.PlanID) (Plan, error) {
	p, err := c.api.opts.Queries.Plan(c.ctx, c.who, query.OneArgs[events.PlanID]{At: c.at(), ID: id})
	if err != nil {
		return Plan{}, err
	}
	return c.renderPlan(&p)
}
