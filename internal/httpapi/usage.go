package httpapi

import (
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
)

// UsageEvent is a report of usage and what it cost.
type UsageEvent struct {
	ID             string            `json:"id"`
	Object         string            `json:"object" enum:"usageEvent"`
	MerchantID     string            `json:"merchantId"`
	CustomerID     string            `json:"customerId"`
	ConsumerID     string            `json:"consumerId,omitempty"`
	SubscriptionID string            `json:"subscriptionId"`
	EntitlementID  string            `json:"entitlementId,omitempty" doc:"The reservation that paid it"`
	IdempotencyKey string            `json:"idempotencyKey"`
	Timestamp      events.Time       `json:"timestamp" format:"date-time"`
	CreatedAt      events.Time       `json:"createdAt" format:"date-time"`
	Properties     []UsageProperty   `json:"properties" nullable:"false"`
	Metadata       map[string]string `json:"metadata,omitempty"`
	Billing        UsageBilling      `json:"billing"`
}

// UsageProperty is one metric's part of a usage event.
type UsageProperty struct {
	BillableMetricID string `json:"billableMetricId"`
	Quantity         int64  `json:"quantity" minimum:"1"`
	Price            string `json:"price,omitempty"`
}

// UsageBilling is what a usage event cost, in billionths of the currency's unit.
type UsageBilling struct {
	BillingEventID string `json:"billingEventId"`
	InvoiceID      string `json:"invoiceId,omitempty"`
	Currency       string `json:"currency"`
	Price          Whole  `json:"price" doc:"Without tax"`
	TotalTax       Whole  `json:"totalTax"`
	TotalAmount    Whole  `json:"totalAmount"`
}

// UsageReport is what a usage event is made of.
type UsageReport struct {
	MerchantID     string                `json:"merchantId" pattern:"^org_[a-zA-Z0-9]+$"`
	CustomerID     string                `json:"customerId" pattern:"^cus_[a-zA-Z0-9]+$"`
	IdempotencyKey string                `json:"idempotencyKey" minLength:"1" maxLength:"255"`
	Timestamp      string                `json:"timestamp" format:"date-time" doc:"When it happened"`
	Properties     []UsagePropertyReport `json:"properties" minItems:"1" maxItems:"100" nullable:"false"`
	EntitlementID  string                `json:"entitlementId,omitempty" pattern:"^(com|ent)_[a-zA-Z0-9]+$" doc:"Pay from this reservation"`
	Metadata       map[string]string     `json:"metadata,omitempty"`
}

// UsagePropertyReport is what was used of one metric.
type UsagePropertyReport struct {
	BillableMetricID string `json:"billableMetricId" pattern:"^bm_[a-zA-Z0-9]+$"`
	Quantity         int64  `json:"quantity" minimum:"1"`
	Price            string `json:"price,omitempty" doc:"For prices of the models dynamic and percentage"`
}

// UsageRefund says that usage is taken back.
type UsageRefund struct {
	Refunded bool   `json:"refunded" enum:"true"`
	Reason   string `json:"reason,omitempty" maxLength:"1000"`
}

// UsageBatch is several usage events.
type UsageBatch struct {
	Events []UsageReport `json:"events" minItems:"1" maxItems:"1000" nullable:"false"`
}

// BatchUsageEvents says what became of several usage events.
type BatchUsageEvents struct {
	Object     string        `json:"object" enum:"batchUsageEvents"`
	Successful []UsageEvent  `json:"successful" nullable:"false"`
	Failed     []FailedUsage `json:"failed" nullable:"false"`
	Summary    BatchSummary  `json:"summary"`
}

// FailedUsage is an entry of a batch that was refused. The others are recorded all the same.
type FailedUsage struct {
	Index          int    `json:"index" doc:"Its place in the batch, from 0"`
	IdempotencyKey string `json:"idempotencyKey"`
	Error          string `json:"error"`
	Code           string `json:"code"`
}

// BatchSummary counts what became of the entries of a batch.
type BatchSummary struct {
	Total      int `json:"total"`
	Successful int `json:"successful"`
	Failed     int `json:"failed"`
}

func renderUsage(u *query.UsageEvent) (UsageEvent, error) {
	v := UsageEvent{
		ID: u.ID.String(), Object: "usageEvent", MerchantID: u.Merchant.String(), CustomerID: u.Customer.String(),
		ConsumerID: u.Consumer.String(), SubscriptionID: u.Subscription.String(), IdempotencyKey: u.Key, Timestamp: u.Timestamp,
		EntitlementID: u.Reservation.String(), CreatedAt: u.RecordedAt, Properties: []UsageProperty{}, Metadata: u.Metadata,
		Billing: UsageBilling{
			BillingEventID: u.Billing.ID.String(), InvoiceID: u.Billing.Invoice.String(), Currency: u.Billing.Currency.String(),
			Price: Whole(u.Billing.Amount), TotalTax: Whole(u.Billing.Tax), TotalAmount: Whole(u.Billing.Total),
		},
	}
	for i := range u.Properties {
		v.Properties = append(v.Properties, UsageProperty{u.Properties[i].Metric.String(), u.Properties[i].Quantity, u.Properties[i].Reported})
	}
	return v, nil
}

func (a *API) usage() []operation {
	return []operation{{
		id: "createUsageEvent", method: http.MethodPost, path: "/v0/usage", tag: "Usage", summary: "Report usage",
		body: bodyOf[UsageReport](), loose: true, answers: answers[UsageEvent](http.StatusCreated), handle: a.reportUsage,
	}, {
		id: "batchCreateUsageEvents", method: http.MethodPost, path: "/v0/usage/batch", tag: "Usage", summary: "Report usage, up to 1000 events at once",
		body: bodyOf[UsageBatch](), loose: true, batch: true, limit: maxBatch, handle: a.reportBatch,
		answers: map[int]bodyType{201: bodyOf[BatchUsageEvents](), 207: bodyOf[BatchUsageEvents]()},
	}, {
		id: "refundUsageEvent", method: http.MethodPatch, path: "/v0/usage/{id}", tag: "Usage", summary: "Take usage back",
		body: bodyOf[UsageRefund](), answers: answers[UsageEvent](http.StatusOK), handle: func(c *call) (answer, error) {
			return changed(c, "usage event", "RefundUsage", "usageEventId", http.StatusOK, c.usageEvent)
		},
	}, {
		id: "listUsageEvents", method: http.MethodGet, path: "/v0/usage", tag: "Usage", summary: "List usage events",
		params: paged(
			instant("startTime").needed(), instant("endTime").needed(), identity("merchantId", "org"), identity("consumerId", "org"),
			identity("customerId", "cus"), identity("subscriptionId", "sub"),
		),
		answers: answers[query.APIList[UsageEvent]](http.StatusOK), handle: a.listUsage,
	}, {
		id: "getUsageEvent", method: http.MethodGet, path: "/v0/usage/{id}", tag: "Usage", summary: "Show a usage event",
		answers: answers[UsageEvent](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "usage event", c.usageEvent) },
	}}
}

// reportUsage reports one usage event. A body that is a batch is for the other operation.
func (a *API) reportUsage(c *call) (answer, error) {
	d, err := c.carryOut("ReportUsage")
	if err != nil {
		return answer{}, err
	}
	list, err := a.opts.Queries.UsageAt(c.ctx, c.who, []events.Seq{d.one().Seq})
	if err != nil {
		return answer{}, err
	}
	body, err := renderUsage(&list[0])
	return answer{http.StatusCreated, body}, err
}

func (a *API) reportBatch(c *call) (answer, error) {
	d, err := c.carryOut("ReportUsage")
	if err != nil {
		return answer{}, err
	}
	result := BatchUsageEvents{Object: "batchUsageEvents", Successful: []UsageEvent{}, Failed: []FailedUsage{}}
	var seqs []events.Seq
	for i := range d.receipts {
		if r := &d.receipts[i]; r.Status != commands.Rejected {
			seqs = append(seqs, r.Seq)
		} else {
			result.Failed = append(result.Failed, FailedUsage{Index: i, Error: r.Message, Code: string(r.Code)})
		}
	}
	if len(result.Failed) > 0 {
		keys := batchKeys(c.body)
		for i := range result.Failed {
			if f := &result.Failed[i]; f.Index < len(keys) {
				f.IdempotencyKey = keys[f.Index]
			}
		}
	}
	list, err := a.opts.Queries.UsageAt(c.ctx, c.who, seqs)
	if err != nil {
		return answer{}, err
	}
	for i := range list {
		u, err := renderUsage(&list[i])
		if err != nil {
			return answer{}, err
		}
		result.Successful = append(result.Successful, u)
	}
	result.Summary = BatchSummary{len(d.receipts), len(result.Successful), len(result.Failed)}
	status := http.StatusCreated
	if len(result.Failed) > 0 {
		status = http.StatusMultiStatus
	}
	return answer{status, result}, nil
}

// batchKeys returns the idempotency keys of a batch's entries, "" for one that has none.
func batchKeys(body []byte) []string {
	var batch struct {
		Events []jsontext.Value `json:"events"`
	}
	if json.Unmarshal(body, &batch) != nil {
		return nil
	}
	keys := make([]string, len(batch.Events))
	for i, raw := range batch.Events {
		var entry struct {
			Key string `json:"idempotencyKey"`
		}
		if json.Unmarshal(raw, &entry) == nil {
			keys[i] = entry.Key
		}
	}
	return keys
}

func (a *API) listUsage(c *call) (answer, error) {
	args := query.UsageBetweenArgs{At: c.at(), Page: c.page()}
	var ok [4]bool
	args.Merchant, ok[0] = queryID[events.OrganizationNoun](c, "merchantId")
	args.Consumer, ok[1] = queryID[events.OrganizationNoun](c, "consumerId")
	args.Customer, ok[2] = queryID[events.CustomerNoun](c, "customerId")
	args.Subscription, ok[3] = queryID[events.SubscriptionNoun](c, "subscriptionId")
	var err error
	if args.Start, err = c.moment("startTime"); err != nil {
		return answer{}, err
	}
	if args.End, err = c.moment("endTime"); err != nil {
		return answer{}, err
	}
	if ok != [4]bool{true, true, true, true} {
		return nothing[UsageEvent](c)
	}
	list, err := a.opts.Queries.UsageBetween(c.ctx, c.who, args)
	return listing(c, list, err, renderUsage)
}

func (c *call) usageEvent(id events.UsageID) (UsageEvent, error) {
	u, err := c.api.opts.Queries.UsageEvent(c.ctx, c.who, query.UsageEventArgs{AtLeast: c.at().AtLeast, Usage: id})
	if err != nil {
		return UsageEvent{}, err
	}
	return renderUsage(&u)
}
