package httpapi

import (
	"net/http"

	"tallystick/events"
	"tallystick/internal/query"
)

// ProductCreate is what a product is made of.
type ProductCreate struct {
	MerchantID  string            `json:"merchantId" pattern:"^org_[a-zA-Z0-9]+$"`
	Name        string            `json:"name" minLength:"1" maxLength:"255"`
	Description string            `json:"description" minLength:"1" maxLength:"4096"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// NameUpdate says what of a product or a fee changes.
type NameUpdate struct {
	Name        string `json:"name,omitempty" minLength:"1" maxLength:"255"`
	Description string `json:"description,omitempty" minLength:"1" maxLength:"4096"`
}

// BillableMetricCreate is what a metric is made of.
type BillableMetricCreate struct {
	MerchantID    string            `json:"merchantId" pattern:"^org_[a-zA-Z0-9]+$"`
	ProductID     string            `json:"productId" pattern:"^prod_[a-zA-Z0-9]+$"`
	Name          string            `json:"name" minLength:"1" maxLength:"255"`
	Description   string            `json:"description" minLength:"1" maxLength:"4096"`
	Unit          string            `json:"unit" minLength:"1" maxLength:"255"`
	Aggregation   string            `json:"aggregation" enum:"SUM,COUNT,AVG,MIN,MAX,UNIQUE_COUNT,LATEST"`
	EventType     string            `json:"eventType,omitempty" doc:"The type of the meter events that it counts"`
	ValueProperty string            `json:"valueProperty,omitempty" doc:"Where in a meter event's data the value is, such as $.tokens"`
	GroupBy       map[string]string `json:"groupBy,omitempty"`
	EventFrom     string            `json:"eventFrom,omitempty" format:"date-time"`
}

// BillableMetricUpdate says what of a metric changes.
type BillableMetricUpdate struct {
	Name          string             `json:"name,omitempty" minLength:"1" maxLength:"255"`
	Description   string             `json:"description,omitempty" minLength:"1" maxLength:"4096"`
	Unit          string             `json:"unit,omitempty" minLength:"1" maxLength:"255"`
	EventType     *string            `json:"eventType,omitempty" nullable:"true"`
	ValueProperty *string            `json:"valueProperty,omitempty" nullable:"true"`
	GroupBy       *map[string]string `json:"groupBy,omitempty"`
	EventFrom     *string            `json:"eventFrom,omitempty" format:"date-time" nullable:"true"`
}

// FeeCreate is what a fee is made of.
type FeeCreate struct {
	MerchantID  string `json:"merchantId" pattern:"^org_[a-zA-Z0-9]+$"`
	ProductID   string `json:"productId" pattern:"^prod_[a-zA-Z0-9]+$"`
	Name        string `json:"name" minLength:"1" maxLength:"255"`
	Description string `json:"description" minLength:"1" maxLength:"4096"`
}

func (a *API) products() []operation {
	const tag = "Products"
	q := a.opts.Queries
	return []operation{{
		id: "createProduct", method: http.MethodPost, path: "/v0/products", tag: tag, summary: "Make a product",
		body: bodyOf[ProductCreate](), answers: answers[query.APIProduct](http.StatusCreated),
		handle: func(c *call) (answer, error) { return made(c, "CreateProduct", http.StatusCreated, c.product) },
	}, {
		id: "listProducts", method: http.MethodGet, path: "/v0/products", tag: tag, summary: "List products",
		params:  paged(identity("merchantId", "org")),
		answers: answers[query.APIList[query.APIProduct]](http.StatusOK), handle: func(c *call) (answer, error) {
			return catalogList(c, q.ListProducts)
		},
	}, {
		id: "getProduct", method: http.MethodGet, path: "/v0/products/{id}", tag: tag, summary: "Show a product",
		answers: answers[query.APIProduct](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "product", c.product) },
	}, {
		id: "updateProduct", method: http.MethodPatch, path: "/v0/products/{id}", tag: tag, summary: "Change a product",
		body: bodyOf[NameUpdate](), answers: answers[query.APIProduct](http.StatusOK),
		handle: func(c *call) (answer, error) {
			return changed(c, "product", "UpdateProduct", "productId", http.StatusOK, c.product)
		},
	}}
}

func (a *API) metrics() []operation {
	const tag = "Billable metrics"
	q := a.opts.Queries
	return []operation{{
		id: "createBillableMetric", method: http.MethodPost, path: "/v0/billableMetrics", tag: tag, summary: "Make a metric",
		body: bodyOf[BillableMetricCreate](), answers: answers[query.APIMetric](http.StatusCreated),
		handle: func(c *call) (answer, error) { return made(c, "CreateMetric", http.StatusCreated, c.metric) },
	}, {
		id: "listBillableMetrics", method: http.MethodGet, path: "/v0/billableMetrics", tag: tag, summary: "List metrics",
		params:  paged(identity("merchantId", "org").needed(), identity("productId", "prod")),
		answers: answers[query.APIList[query.APIMetric]](http.StatusOK), handle: func(c *call) (answer, error) {
			return catalogList(c, q.ListMetrics)
		},
	}, {
		id: "getBillableMetric", method: http.MethodGet, path: "/v0/billableMetrics/{id}", tag: tag, summary: "Show a metric",
		answers: answers[query.APIMetric](http.StatusOK),
		handle:  func(c *call) (answer, error) { return shown(c, "billable metric", c.metric) },
	}, {
		id: "updateBillableMetric", method: http.MethodPatch, path: "/v0/billableMetrics/{id}", tag: tag, summary: "Change a metric",
		body: bodyOf[BillableMetricUpdate](), answers: answers[query.APIMetric](http.StatusOK),
		handle: func(c *call) (answer, error) {
			return changed(c, "billable metric", "UpdateMetric", "billableMetricId", http.StatusOK, c.metric)
		},
	}}
}

func (a *API) fees() []operation {
	const tag = "Fees"
	q := a.opts.Queries
	return []operation{{
		id: "createFee", method: http.MethodPost, path: "/v0/fees", tag: tag, summary: "Make a fee",
		body: bodyOf[FeeCreate](), answers: answers[query.APIFee](http.StatusCreated),
		handle: func(c *call) (answer, error) { return made(c, "CreateFee", http.StatusCreated, c.fee) },
	}, {
		id: "listFees", method: http.MethodGet, path: "/v0/fees", tag: tag, summary: "List fees",
		params:  paged(identity("merchantId", "org").needed(), identity("productId", "prod")),
		answers: answers[query.APIList[query.APIFee]](http.StatusOK), handle: func(c *call) (answer, error) {
			return catalogList(c, q.ListFees)
		},
	}, {
		id: "getFee", method: http.MethodGet, path: "/v0/fees/{id}", tag: tag, summary: "Show a fee",
		answers: answers[query.APIFee](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "fee", c.fee) },
	}, {
		id: "updateFee", method: http.MethodPatch, path: "/v0/fees/{id}", tag: tag, summary: "Change a fee",
		body: bodyOf[NameUpdate](), answers: answers[query.APIFee](http.StatusOK),
		handle: func(c *call) (answer, error) { return changed(c, "fee", "UpdateFee", "feeId", http.StatusOK, c.fee) },
	}, {
		id: "deleteFee", method: http.MethodDelete, path: "/v0/fees/{id}", tag: tag, summary: "Delete a fee that no price uses",
		answers: map[int]bodyType{204: nil},
		handle:  func(c *call) (answer, error) { return removed[events.FeeNoun](c, "fee", "DeleteFee", "feeId") },
	}, {
		id: "getFeePrice", method: http.MethodGet, path: "/v0/fees/{id}/price/{subscriptionId}", tag: tag, summary: "Show what a fee costs a subscription",
		answers: answers[query.APIFeePrice](http.StatusOK), handle: a.feePrice,
	}}
}

func (a *API) feePrice(c *call) (answer, error) {
	fee, err := pathID[events.FeeNoun](c, "id", "fee")
	if err != nil {
		return answer{}, err
	}
	sub, err := pathID[events.SubscriptionNoun](c, "subscriptionId", "subscription")
	if err != nil {
		return answer{}, err
	}
	return ok(a.opts.Queries.GetFeePrice(c.ctx, c.who, query.GetFeePriceArgs{AtLeast: c.atLeast(), Fee: fee, Subscription: sub}))
}

func (c *call) product(id events.ProductID) (query.APIProduct, error) {
	return c.api.opts.Queries.GetProduct(c.ctx, c.who, query.GetProductArgs{AtLeast: c.atLeast(), Product: id})
}

func (c *call) metric(id events.MetricID) (query.APIMetric, error) {
	return c.api.opts.Queries.GetMetric(c.ctx, c.who, query.GetMetricArgs{AtLeast: c.atLeast(), Metric: id})
}

func (c *call) fee(id events.FeeID) (query.APIFee, error) {
	return c.api.opts.Queries.GetFee(c.ctx, c.who, query.GetFeeArgs{AtLeast: c.atLeast(), Fee: id})
}

// catalogList answers with a list of a merchant's things, of one product if it is named.
func catalogList[T any](c *call, list lister[query.CatalogListArgs, T]) (answer, error) {
	merchant, ok1 := queryID[events.OrganizationNoun](c, "merchantId")
	product, ok2 := queryID[events.ProductNoun](c, "productId")
	if !ok1 || !ok2 {
		return nothing[T](c)
	}
	return ok(list(c.ctx, c.who, query.CatalogListArgs{APIPage: c.apiPage(), Merchant: merchant, Product: product}))
}
