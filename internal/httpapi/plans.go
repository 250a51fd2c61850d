package httpapi

import (
	"net/http"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
)

// PriceCreate is what a price is made of.
type PriceCreate struct {
	MerchantID           string         `json:"merchantId,omitempty" pattern:"^org_[a-zA-Z0-9]+$"`
	BillableMetricID     string         `json:"billableMetricId,omitempty" pattern:"^bm_[a-zA-Z0-9]+$"`
	FeeID                string         `json:"feeId,omitempty" pattern:"^fee_[a-zA-Z0-9]+$"`
	Model                string         `json:"model,omitempty" enum:"standard,dynamic,volume,percentage"`
	InvoiceDisplayName   string         `json:"invoiceDisplayName" minLength:"1" maxLength:"255"`
	Description          string         `json:"description,omitempty" maxLength:"4096"`
	PaymentTerm          string         `json:"paymentTerm" enum:"instant,in_arrears,in_advance"`
	BillingCadence       *string        `json:"billingCadence,omitempty" nullable:"true"`
	Quantity             int            `json:"quantity,omitempty" minimum:"1" maximum:"1000000" doc:"Of a fee: how many"`
	Properties           map[string]any `json:"properties" doc:"The figures that the model has"`
	Feature              map[string]any `json:"feature,omitempty"`
	GrantDiscountEnabled bool           `json:"grantDiscountEnabled,omitempty"`
}

// PriceUpdate says what of a price changes, from the next period on.
type PriceUpdate struct {
	BillableMetricID     string          `json:"billableMetricId,omitempty" pattern:"^bm_[a-zA-Z0-9]+$"`
	InvoiceDisplayName   string          `json:"invoiceDisplayName,omitempty" minLength:"1" maxLength:"255"`
	Description          string          `json:"description,omitempty" maxLength:"4096"`
	Model                string          `json:"model,omitempty" enum:"standard,dynamic,volume,percentage"`
	Properties           map[string]any  `json:"properties,omitempty"`
	PaymentTerm          string          `json:"paymentTerm,omitempty" enum:"instant,in_arrears,in_advance"`
	BillingCadence       *string         `json:"billingCadence,omitempty" nullable:"true"`
	Quantity             int             `json:"quantity,omitempty" minimum:"1" maximum:"1000000"`
	Feature              *map[string]any `json:"feature,omitempty"`
	GrantDiscountEnabled bool            `json:"grantDiscountEnabled,omitempty"`
}

// PlanTerms are the terms that a plan may be made with and that may change.
type PlanTerms struct {
	Description            string   `json:"description,omitempty" maxLength:"4096"`
	InvoiceDisplayName     string   `json:"invoiceDisplayName,omitempty" maxLength:"255"`
	BillingCadence         string   `json:"billingCadence,omitempty" enum:"P1M,P3M,P1Y"`
	BillingInterval        string   `json:"billingInterval,omitempty" enum:"monthly,quarterly,yearly,annual" deprecated:"true"`
	DefaultTaxCode         string   `json:"defaultTaxCode,omitempty"`
	DefaultTaxRate         float64  `json:"defaultTaxRate,omitempty" minimum:"0" maximum:"100" doc:"In percent"`
	TaxBehavior            string   `json:"taxBehavior,omitempty" enum:"exclusive,inclusive"`
	Prices                 []string `json:"prices,omitempty" maxItems:"200" nullable:"false"`
	RenewalReminderEnabled bool     `json:"renewalReminderEnabled,omitempty"`
	RenewalReminderDays    int      `json:"renewalReminderDays,omitempty" minimum:"1" maximum:"30"`
	ProrationPolicy        string   `json:"prorationPolicy,omitempty" enum:"none,daily" doc:"Of fees whose period is not used from its beginning, or, in arrears, to its end: all of it, or the days that are used"`
}

// PlanCreate is what a plan is made of.
type PlanCreate struct {
	MerchantID     string  `json:"merchantId" pattern:"^org_[a-zA-Z0-9]+$"`
	ProductID      string  `json:"productId,omitempty" pattern:"^prod_[a-zA-Z0-9]+$"`
	Name           string  `json:"name" minLength:"1" maxLength:"255"`
	Currency       string  `json:"currency" pattern:"^[A-Z]{3}$"`
	BillingVersion int     `json:"billingVersion,omitempty" enum:"0,1"`
	BillingAnchor  *string `json:"billingAnchor,omitempty" format:"date-time" nullable:"true" doc:"What the periods of all its subscriptions are counted from; else each counts from its start"`
	PlanTerms
}

// PlanUpdate says what of a plan changes, from the next period of each subscription on.
type PlanUpdate struct {
	Name string `json:"name,omitempty" minLength:"1" maxLength:"255"`
	PlanTerms
}

func (a *API) prices() []operation {
	const tag = "Prices"
	return []operation{{
		id: "createPrice", method: http.MethodPost, path: "/v0/prices", tag: tag, summary: "Make a price",
		body: bodyOf[PriceCreate](), answers: answers[query.APIPrice](http.StatusCreated),
		handle: func(c *call) (answer, error) { return made(c, "CreatePrice", http.StatusCreated, c.price) },
	}, {
		id: "listPrices", method: http.MethodGet, path: "/v0/prices", tag: tag, summary: "List prices",
		params:  paged(identity("billableMetricId", "bm")),
		answers: answers[query.APIList[query.APIPrice]](http.StatusOK), handle: func(c *call) (answer, error) {
			metric, found := queryID[events.MetricNoun](c, "billableMetricId")
			if !found {
				return nothing[query.APIPrice](c)
			}
			return ok(a.opts.Queries.ListPrices(c.ctx, c.who, query.ListPricesArgs{APIPage: c.apiPage(), Metric: metric}))
		},
	}, {
		id: "getPrice", method: http.MethodGet, path: "/v0/prices/{id}", tag: tag, summary: "Show a price",
		answers: answers[query.APIPrice](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "price", c.price) },
	}, {
		id: "updatePrice", method: http.MethodPatch, path: "/v0/prices/{id}", tag: tag, summary: "Change a price from the next period on",
		body: bodyOf[PriceUpdate](), answers: answers[query.APIPrice](http.StatusOK),
		handle: func(c *call) (answer, error) {
			return changed(c, "price", "UpdatePrice", "priceId", http.StatusOK, c.price)
		},
	}, {
		id: "deletePrice", method: http.MethodDelete, path: "/v0/prices/{id}", tag: tag, summary: "Delete a price that no plan uses",
		answers: map[int]bodyType{204: nil}, known: map[commands.Code]int{commands.Conflict: http.StatusBadRequest},
		handle: func(c *call) (answer, error) { return removed[events.PriceNoun](c, "price", "DeletePrice", "priceId") },
	}}
}

func (a *API) plans() []operation {
	const tag = "Plans"
	return []operation{{
		id: "createPlan", method: http.MethodPost, path: "/v0/plans", tag: tag, summary: "Make a plan",
		body: bodyOf[PlanCreate](), answers: answers[query.APIPlan](http.StatusCreated),
		handle: func(c *call) (answer, error) { return made(c, "CreatePlan", http.StatusCreated, c.plan) },
	}, {
		id: "listPlans", method: http.MethodGet, path: "/v0/plans", tag: tag, summary: "List plans",
		params:  paged(identity("merchantId", "org"), identity("productId", "prod")),
		answers: answers[query.APIList[query.APIPlan]](http.StatusOK),
		handle:  func(c *call) (answer, error) { return catalogList(c, a.opts.Queries.ListPlans) },
	}, {
		id: "listAvailablePlans", method: http.MethodGet, path: "/v0/plans/available", tag: tag, summary: "List the plans that a customer could take",
		params:  paged(identity("customerId", "cus").needed(), identity("productId", "prod"), text("search", 0, 255)),
		answers: answers[query.APIList[query.APIPlan]](http.StatusOK), handle: a.availablePlans,
	}, {
		id: "getPlan", method: http.MethodGet, path: "/v0/plans/{id}", tag: tag, summary: "Show a plan",
		answers: answers[query.APIPlan](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "plan", c.plan) },
	}, {
		id: "updatePlan", method: http.MethodPatch, path: "/v0/plans/{id}", tag: tag, summary: "Change a plan",
		body: bodyOf[PlanUpdate](), answers: answers[query.APIPlan](http.StatusOK),
		handle: func(c *call) (answer, error) {
			return changed(c, "plan", "UpdatePlan", "planId", http.StatusOK, c.plan)
		},
	}}
}

func (a *API) availablePlans(c *call) (answer, error) {
	customer, found := queryID[events.CustomerNoun](c, "customerId")
	if !found {
		return answer{}, missing("customer", c.text("customerId"))
	}
	product, found := queryID[events.ProductNoun](c, "productId")
	if !found {
		return nothing[query.APIPlan](c)
	}
	return ok(a.opts.Queries.ListAvailablePlans(c.ctx, c.who, query.ListAvailablePlansArgs{
		APIPage: c.apiPage(), Customer: customer, Product: product, Search: c.text("search"),
	}))
}

func (c *call) price(id events.PriceID) (query.APIPrice, error) {
	return c.api.opts.Queries.GetPrice(c.ctx, c.who, query.GetPriceArgs{AtLeast: c.atLeast(), Price: id})
}

func (c *call) plan(id events.PlanID) (query.APIPlan, error) {
	return c.api.opts.Queries.GetPlan(c.ctx, c.who, query.GetPlanArgs{AtLeast: c.atLeast(), Plan: id})
}
