package httpapi

import (
	"net/http"

	"tallystick/events"
	"tallystick/internal/query"
)

// BillableMetric is a thing that is metered.
type BillableMetric struct {
	ID          string      `json:"id"`
	Object      string      `json:"object" enum:"billableMetric"`
	MerchantID  string      `json:"merchantId"`
	ProductID   string      `json:"productId"`
	Name        string      `json:"name"`
	Description string      `json:"description"`
	Unit        string      `json:"unit"`
	Aggregation string      `json:"aggregation" enum:"SUM,COUNT,AVG,MIN,MAX,UNIQUE_COUNT,LATEST"`
	CreatedAt   events.Time `json:"createdAt" format:"date-time"`
	UpdatedAt   events.Time `json:"updatedAt" format:"date-time"`
}

// BillableMetricCreate is what a metric is made of.
type BillableMetricCreate struct {
	MerchantID    string            `json:"merchantId" pattern:"^org_[a-zA-Z0-9]+$"`
	ProductID     string            `json:"productId" pattern:"^prod_[a-zA-Z0-9]+$"`
	Name          string            `json:"name" minLength:"1" maxLength:"255"`
	Description   string            `json:"description" minLength:"1" maxLength:"4096"`
	Unit          string            `json:"unit" minLength:"1" maxLength:"255"`
	Aggregation   string            `json:"aggregation" enum:"SUM,COUNT,AVG,MIN,MAX,UNIQUE_COUNT,LATEST"`
	EventType     string            `json:"eventType,omitempty"`
	ValueProperty string            `json:"valueProperty,omitempty"`
	GroupBy       map[string]string `json:"groupBy,omitempty"`
	EventFrom     string            `json:"eventFrom,omitempty" format:"date-time"`
}

func renderMetric(m *query.Metric) (BillableMetric, error) {
	return BillableMetric{
		ID: m.ID.String(), Object: "billableMetric", MerchantID: m.Merchant.String(), ProductID: m.Product.String(), Name: m.Name,
		Description: m.Description, Unit: m.Unit, Aggregation: string(m.Aggregation), CreatedAt: m.CreatedAt, UpdatedAt: m.CreatedAt,
	}, nil
}

func (a *API) metrics() []operation {
	return []operation{{
		id: "createBillableMetric", method: http.MethodPost, path: "/v0/billableMetrics", tag: "Billable metrics", summary: "Make a metric",
		body: bodyOf[BillableMetricCreate](), answers: answers[BillableMetric](http.StatusCreated), handle: func(c *call) (answer, error) {
			return made(c, "CreateMetric", http.StatusCreated, c.metric)
		},
	}, {
		id: "listBillableMetrics", method: http.MethodGet, path: "/v0/billableMetrics", tag: "Billable metrics", summary: "List metrics",
		params:  paged(identity("merchantId", "org").needed(), identity("productId", "prod")),
		answers: answers[List[BillableMetric]](http.StatusOK), handle: func(c *call) (answer, error) {
			args, ok := c.ofMerchant()
			product, ok2 := queryID[events.ProductNoun](c, "productId")
			if !ok || !ok2 {
				return nothing[BillableMetric](c)
			}
			args.Product = product
			list, err := a.opts.Queries.Metrics(c.ctx, c.who, args)
			return listing(c, list, err, renderMetric)
		},
	}, {
		id: "getBillableMetric", method: http.MethodGet, path: "/v0/billableMetrics/{id}", tag: "Billable metrics", summary: "Show a metric",
		answers: answers[BillableMetric](http.StatusOK),
		handle:  func(c *call) (answer, error) { return shown(c, "billable metric", c.metric) },
	}}
}

func (c *call) metric(id events.MetricID) (BillableMetric, error) {
	m, err := c.api.opts.Queries.Metric(c.ctx, c.who, query.OneArgs[events.MetricID]{At: c.at(), ID: id})
	if err != nil {
		return BillableMetric{}, err
	}
	return renderMetric(&m)
}
