package httpapi

import (
	"cmp"
	"net/http"
	"strconv"

	"github.com/shopspring/decimal"

	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/projections"
)

// Invoice is the bill of a billing period. Until it is issued it says what the period has come to so far.
type Invoice struct {
	ID             string        `json:"id"`
	Object         string        `json:"object" enum:"invoice"`
	MerchantID     string        `json:"merchantId"`
	CustomerID     string        `json:"customerId"`
	SubscriptionID string        `json:"subscriptionId"`
	SequenceNumber uint64        `json:"sequenceNumber" doc:"1, 2, 3… without gaps, of the merchant; 0 until it is issued"`
	InvoiceNumber  *string       `json:"invoiceNumber" nullable:"true"`
	Status         string        `json:"status" enum:"ACTIVE,CLOSING,CLOSED,CALCULATING,DRAFT,ISSUED,PAYMENT_FAILED,PAID,CANCELLED,WRITTEN_OFF,FAILED"`
	Currency       string        `json:"currency"`
	BillingAnchor  events.Time   `json:"billingAnchor" format:"date-time"`
	BillingCadence string        `json:"billingCadence"`
	PeriodStart    events.Time   `json:"periodStart" format:"date-time"`
	PeriodEnd      events.Time   `json:"periodEnd" format:"date-time" doc:"Exclusive"`
	GracePeriodEnd events.Time   `json:"gracePeriodEnd" format:"date-time"`
	AutoApprove    bool          `json:"autoApprove"`
	NextActionAt   *events.Time  `json:"nextActionAt" format:"date-time" nullable:"true"`
	ItemCount      int           `json:"itemCount"`
	Subtotal       string        `json:"subtotal"`
	TotalTax       string        `json:"totalTax"`
	GrandTotal     string        `json:"grandTotal"`
	PaidAmount     string        `json:"paidAmount" doc:"Paid from the wallet"`
	UnpaidAmount   string        `json:"unpaidAmount"`
	CreditedAmount string        `json:"creditedAmount" doc:"What credit notes over usage have left less to pay; the total is what was paid, is unpaid, and was credited so"`
	DueAt          *events.Time  `json:"dueAt" format:"date-time" nullable:"true"`
	PaidAt         *events.Time  `json:"paidAt" format:"date-time" nullable:"true"`
	Permalink      *string       `json:"permalink" format:"uri" nullable:"true" doc:"Where people look at it"`
	PDFURL         *string       `json:"pdfUrl" format:"uri" nullable:"true" doc:"Once it is issued"`
	PaymentURL     *string       `json:"paymentUrl" format:"uri" nullable:"true" doc:"While it is ISSUED or PAYMENT_FAILED, and something is left to pay"`
	InFlight       bool          `json:"paymentInFlight"`
	FailureReason  *string       `json:"failureReason" nullable:"true"`
	Tax            *InvoiceTax   `json:"tax,omitempty" doc:"None where the invoice is never issued"`
	LineItems      *InvoiceLines `json:"lineItems,omitempty" doc:"If asked for with expand=lineItems"`
	CreatedAt      events.Time   `json:"createdAt" format:"date-time"`
	UpdatedAt      events.Time   `json:"updatedAt" format:"date-time"`
}

// InvoiceTax compares the tax that was charged with what an invoice says. Each charge is taxed once, at the rate that holds then, and
// the invoice has these taxes: so there is never a difference, and nothing to adjust.
type InvoiceTax struct {
	EstimatedTax      string       `json:"estimatedTax" doc:"In nanos: of what was charged so far"`
	ActualTax         string       `json:"actualTax,omitempty" doc:"In nanos: of the invoice, once it is issued"`
	Difference        string       `json:"difference,omitempty" doc:"In nanos, once it is issued"`
	AdjustmentNeeded  bool         `json:"adjustmentNeeded"`
	AdjustmentApplied bool         `json:"adjustmentApplied"`
	Reconciled        bool         `json:"reconciled" doc:"It is issued"`
	ReconciledAt      *events.Time `json:"reconciledAt,omitempty" format:"date-time"`
}

// taxOf returns the comparison for an invoice, nil where it is never issued.
func taxOf(q *query.Invoice) *InvoiceTax {
	switch {
	case q.Issued != 0:
		return &InvoiceTax{EstimatedTax: q.Tax.Digits(), ActualTax: q.Tax.Digits(), Difference: "0", Reconciled: true, ReconciledAt: &q.IssuedAt}
	case q.Status == projections.InvoiceCancelled:
		return nil
	}
	return &InvoiceTax{EstimatedTax: q.Tax.Digits()}
}

// InvoiceLines is a part of the lines of an invoice.
type InvoiceLines struct {
	InvoiceID     string        `json:"invoiceId"`
	LineItems     []InvoiceLine `json:"lineItems" nullable:"false"`
	NextPageToken *string       `json:"nextPageToken" nullable:"true"`
	TotalCount    int           `json:"totalCount"`
}

// InvoiceLine is all that one price came to in the period.
type InvoiceLine struct {
	EventType          string  `json:"eventType" enum:"usage,fee,discount"`
	EventID            string  `json:"eventId" doc:"Of the event that closed the line"`
	EventSourceID      string  `json:"eventSourceId" doc:"The metric"`
	BillableMetricID   string  `json:"billableMetricId"`
	LineItemType       string  `json:"lineItemType" enum:"charge,refund"`
	MeterEventID       string  `json:"meterEventId"`
	InvoiceDisplayName string  `json:"invoiceDisplayName"`
	MetricName         string  `json:"metricName"`
	MetricDescription  string  `json:"metricDescription"`
	MetricUnit         string  `json:"metricUnit"`
	Quantity           Decimal `json:"quantity"`
	UnitPrice          string  `json:"unitPrice"`
	TotalPrice         string  `json:"totalPrice"`
	TaxRate            Decimal `json:"taxRate" doc:"A fraction"`
	TotalTax           string  `json:"totalTax"`
	TotalAmount        string  `json:"totalAmount"`
	DaysUsed           *uint32 `json:"daysUsed,omitempty" doc:"Of a fee that is prorated: totalPrice is for so many days"`
	DaysInPeriod       uint32  `json:"daysInPeriod,omitempty" doc:"Of so many"`
}

func (c *call) renderInvoice(q *query.Invoice) (Invoice, error) {
	v := Invoice{
		ID: q.ID.String(), Object: "invoice", MerchantID: q.Merchant.String(), CustomerID: q.Customer.String(),
		SubscriptionID: q.Subscription.String(), SequenceNumber: q.Number, Status: string(q.Status), Currency: q.Currency.String(),
		PeriodStart: q.Start, PeriodEnd: q.End, GracePeriodEnd: q.GraceEnd, AutoApprove: true, ItemCount: q.ItemCount,
		Subtotal: q.Subtotal.String(), TotalTax: q.Tax.String(), GrandTotal: q.GrandTotal, PaidAmount: q.Paid.String(),
		UnpaidAmount: q.Unpaid.String(), CreditedAmount: q.Credited.String(), DueAt: maybe(q.DueAt), PaidAt: maybe(q.PaidAt), CreatedAt: q.Start, UpdatedAt: q.Start,
		Permalink: orNull(q.Permalink), PDFURL: orNull(q.PDF),
	}
	v.InFlight, v.Tax = q.InFlight, taxOf(q)
	if q.PaymentURL != "" {
		v.PaymentURL = &q.PaymentURL
	}
	if q.Failure != "" {
		v.FailureReason = &q.Failure
	}
	if q.Number != 0 {
		v.InvoiceNumber = new(strconv.FormatUint(q.Number, 10))
		v.UpdatedAt = max(q.IssuedAt, q.PaidAt)
	}
	switch q.Status {
	case projections.InvoiceActive:
		v.NextActionAt = &q.End
	case projections.InvoiceClosing:
		v.NextActionAt = &q.GraceEnd
	case projections.InvoiceUnpaid:
		v.NextActionAt = maybe(q.RetryAt)
	default: // nothing is due
	}
	s, err := c.api.opts.Queries.Subscription(c.ctx, c.who, query.SubscriptionArgs{Subscription: q.Subscription})
	v.BillingAnchor, v.BillingCadence = s.Anchor, string(s.Cadence)
	return v, err
}

func renderLine(l *query.InvoiceLine) InvoiceLine {
	source := l.Metric.String()
	v := InvoiceLine{
		EventType: "usage", EventID: l.ID.String(), BillableMetricID: source,
		LineItemType: "charge", MeterEventID: l.ID.String(), InvoiceDisplayName: l.DisplayName, MetricName: l.MetricName,
		MetricDescription: cmp.Or(l.Description, l.MetricName), MetricUnit: l.Unit, Quantity: Decimal{decimal.NewFromBigInt(l.Quantity.Big(), 0)},
		UnitPrice: l.UnitPrice.String(), TaxRate: Decimal{decimal.New(int64(l.TaxRate), -7)}, TotalPrice: l.Amount.String(), TotalTax: l.Tax.String(), TotalAmount: l.Amount.Plus(l.Tax).String(),
	}
	if mean, ok := l.Mean(); ok {
		v.Quantity = Decimal{decimal.NewFromBigInt(events.Sum(mean).Big(), -9)}
	}
	if !l.Fee.IsZero() {
		v.EventType, source = "fee", l.Fee.String()
	}
	if l.OfDays != 0 {
		v.DaysUsed, v.DaysInPeriod = &l.Days, l.OfDays
	}
	switch l.Kind {
	case events.LineOfManual:
		v.EventType, source = "fee", l.Item.String()
		if l.Amount.Sign() < 0 {
			v.EventType = "discount"
		}
		if len(l.Factors) == 2 {
			if quantity, err := decimal.NewFromString(l.Factors[0]); err == nil {
				v.Quantity = Decimal{quantity}
			}
			v.UnitPrice = l.Factors[1]
		}
	case events.LineOfRefund:
		v.LineItemType = "refund"
	case events.LineOfFee, events.LineOfCorrection:
	}
	v.EventSourceID = source
	return v
}

func (a *API) invoices() []operation {
	return []operation{{
		id: "listInvoices", method: http.MethodGet, path: "/v2/invoices", tag: "Invoices", summary: "List invoices",
		params: []param{
			whole("limit", 1, mostLimit, usualLimit), whole("offset", 0, 10_000, 0), words("nextActionAt", "ready"),
			words("status", "ACTIVE", "CLOSING", "CLOSED", "CALCULATING", "DRAFT", "ISSUED", "PAYMENT_FAILED", "PAID", "CANCELLED", "WRITTEN_OFF", "FAILED"),
			identity("subscriptionId", "sub"), identity("customerId", "cus"), identity("merchantId", "org"),
		},
		answers: answers[query.APIList[Invoice]](http.StatusOK), handle: a.listInvoices,
	}, {
		id: "getInvoice", method: http.MethodGet, path: "/v2/invoices/{id}", tag: "Invoices", summary: "Show an invoice",
		params: []param{
			text("expand", 0, 255), whole("lineItemsLimit", 1, 1000, 100), text("lineItemsPageToken", 0, 255),
		},
		answers: answers[Invoice](http.StatusOK), handle: a.getInvoice,
	}, {
		id: "getInvoiceLineItems", method: http.MethodGet, path: "/v2/invoices/{id}/lineItems", tag: "Invoices", summary: "List the lines of an invoice",
		params:  []param{whole("limit", 1, 1000, 100), text("pageToken", 0, 255)},
		answers: answers[InvoiceLines](http.StatusOK), handle: func(c *call) (answer, error) {
			q, err := c.invoice()
			if err != nil {
				return answer{}, err
			}
			lines, err := invoiceLines(&q, "pageToken", c.text("pageToken"), c.number("limit"))
			return answer{http.StatusOK, lines}, err
		},
	}}
}

func (a *API) listInvoices(c *call) (answer, error) {
	args := query.InvoicesArgs{At: c.at(), Page: c.page(), Status: projections.InvoiceStatus(c.text("status"))}
	var ok [3]bool
	args.Merchant, ok[0] = queryID[events.OrganizationNoun](c, "merchantId")
	args.Customer, ok[1] = queryID[events.CustomerNoun](c, "customerId")
	args.Subscription, ok[2] = queryID[events.SubscriptionNoun](c, "subscriptionId")
	if ok != [3]bool{true, true, true} {
		return nothing[Invoice](c)
	}
	list, err := a.opts.Queries.Invoices(c.ctx, c.who, args)
	return listing(c, list, err, c.renderInvoice)
}

// invoice returns the invoice in the path.
func (c *call) invoice() (q query.Invoice, err error) {
	id, err := pathID[events.InvoiceNoun](c, "id", "invoice")
	if err != nil {
		return q, err
	}
	return c.api.opts.Queries.Invoice(c.ctx, c.who, query.InvoiceArgs{At: c.at(), Invoice: id})
}

func (a *API) getInvoice(c *call) (answer, error) {
	q, err := c.invoice()
	if err != nil {
		return answer{}, err
	}
	body, err := c.renderInvoice(&q)
	if err == nil && c.text("expand") == "lineItems" {
		var lines InvoiceLines
		lines, err = invoiceLines(&q, "lineItemsPageToken", c.text("lineItemsPageToken"), c.number("lineItemsLimit"))
		body.LineItems = &lines
	}
	return answer{http.StatusOK, body}, err
}

// invoiceLines returns the lines of an invoice from where a page token says.
func invoiceLines(q *query.Invoice, name, token string, limit int) (InvoiceLines, error) {
	from, ok := place(token)
	if !ok {
		return InvoiceLines{}, invalid(name, "is none that was given out")
	}
	v := InvoiceLines{InvoiceID: q.ID.String(), LineItems: []InvoiceLine{}, TotalCount: len(q.Lines)}
	from = min(from, len(q.Lines))
	to := min(from+limit, len(q.Lines))
	for i := from; i < to; i++ {
		v.LineItems = append(v.LineItems, renderLine(&q.Lines[i]))
	}
	if to < len(q.Lines) {
		v.NextPageToken = new(pageToken(to))
	}
	return v, nil
}
