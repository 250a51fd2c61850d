package httpapi

import (
	"net/http"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
)

// LineItemCreate is a line that a merchant adds to an invoice which is not issued: one of subscriptionId and invoiceId is given.
type LineItemCreate struct {
	SubscriptionID string  `json:"subscriptionId,omitempty" doc:"The line joins the invoice of its period"`
	InvoiceID      string  `json:"invoiceId,omitempty" pattern:"^inv_[a-zA-Z0-9]+$"`
	DisplayName    string  `json:"displayName" minLength:"1" maxLength:"255"`
	Description    *string `json:"description,omitempty" nullable:"true" maxLength:"1000"`
	Currency       string  `json:"currency" minLength:"3" maxLength:"3"`
	Quantity       float64 `json:"quantity" doc:"Above 0"`
	UnitPrice      float64 `json:"unitPrice" doc:"Below 0 for a discount"`
	InvoiceAt      *string `json:"invoiceAt,omitempty" nullable:"true" format:"date-time" doc:"Only null: a line is invoiced with its period"`
	PeriodStart    *string `json:"periodStart,omitempty" nullable:"true" format:"date-time"`
	PeriodEnd      *string `json:"periodEnd,omitempty" nullable:"true" format:"date-time"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" nullable:"true" minLength:"1" maxLength:"255" doc:"Instead of the header"`
}

// Because says why something is done.
type Because struct {
	Reason string `json:"reason,omitempty" maxLength:"1000"`
}

// billing is what is done to invoices.
func (a *API) billing() []operation {
	refunding := map[commands.Code]int{
		commands.AlreadyRefunded: http.StatusBadRequest, commands.InvoiceState: http.StatusBadRequest,
		commands.InsufficientFunds: http.StatusBadRequest, commands.AmountOutOfRange: http.StatusBadRequest,
	}
	const tag, path = "Invoices", "/v2/invoices"
	ops := []operation{{
		id: "listLineItems", method: http.MethodGet, path: path + "/lineItems", tag: tag,
		summary: "List the lines of an invoice, or of all invoices of a subscription",
		params: []param{
			identity("subscriptionId", "sub"), identity("invoiceId", "inv"), words("status", "pending", "invoiced"),
			whole("limit", 1, 1000, 100), whole("offset", 0, 10_000, 0),
		},
		answers: answers[query.APILineItems](http.StatusOK), handle: a.listLineItems,
	}, {
		id: "createLineItem", rate: rate{60, time.Minute}, method: http.MethodPost, path: path + "/lineItems", tag: tag, summary: "Add a line to an invoice that is not issued",
		body: bodyOf[LineItemCreate](), handle: a.createLineItem,
		answers: map[int]bodyType{200: bodyOf[query.APILineItem](), 201: bodyOf[query.APILineItem]()},
	}, {
		id: "listInvoiceRefunds", method: http.MethodGet, path: path + "/{id}/refunds", tag: tag, summary: "List the credit notes of an invoice",
		answers: answers[query.APIInvoiceRefunds](http.StatusOK), handle: func(c *call) (answer, error) {
			return shown(c, "invoice", c.refunds)
		},
	}, {
		id: "createInvoiceRefund", method: http.MethodPost, path: path + "/{id}/refunds", tag: tag, summary: "Give all of a paid invoice back",
		body: bodyOf[Because](), answers: answers[query.APIInvoiceRefund](http.StatusCreated), handle: a.createRefund, known: refunding,
	}, {
		id: "voidInvoiceRefund", method: http.MethodPost, path: path + "/{id}/refunds/{refundId}/void", tag: tag, summary: "Take such a refund back",
		body: bodyOf[Because](), answers: answers[query.APIInvoiceRefund](http.StatusOK), handle: a.voidRefund, known: refunding,
	}}
	for _, does := range []struct {
		id, part, summary, command string
		body                       bodyType
	}{
		{"approveInvoice", "approval", "Issue a draft", "ApproveInvoice", nil},
		{"cancelInvoice", "cancellation", "Cancel a draft of which nothing is paid", "CancelInvoice", nil},
		{"writeOffInvoice", "writeOff", "Give up what is not paid of an issued invoice", "WriteOffInvoice", bodyOf[Because]()},
	} {
		ops = append(ops, operation{
			id: does.id, method: http.MethodPost, path: path + "/{id}/" + does.part, tag: tag, summary: does.summary,
			body: does.body, answers: answers[Invoice](http.StatusOK), handle: func(c *call) (answer, error) {
				return changed(c, "invoice", does.command, "invoiceId", http.StatusOK, c.oneInvoice)
			},
		})
	}
	return ops
}

func (a *API) listLineItems(c *call) (answer, error) {
	args := query.ListLineItemsArgs{AtLeast: c.atLeast(), Status: c.text("status"), Limit: c.number("limit"), Offset: c.number("offset")}
	var found [2]bool
	args.Subscription, found[0] = queryID[events.SubscriptionNoun](c, "subscriptionId")
	args.Invoice, found[1] = queryID[events.InvoiceNoun](c, "invoiceId")
	if found != [2]bool{true, true} {
		return answer{}, missing("invoice or subscription", c.text("invoiceId")+c.text("subscriptionId"))
	}
	return ok(a.opts.Queries.ListLineItems(c.ctx, c.who, args))
}

func (a *API) createLineItem(c *call) (answer, error) {
	d, err := c.carryOut("CreateLineItem")
	if err != nil {
		return answer{}, err
	}
	id, err := idOf[events.LineNoun](&d)
	if err != nil {
		return answer{}, err
	}
	item, err := a.opts.Queries.GetLineItem(c.ctx, c.who, query.GetLineItemArgs{AtLeast: c.atLeast(), Item: id})
	return answer{d.status(http.StatusCreated, http.StatusOK), item}, err
}

func (c *call) refunds(id events.InvoiceID) (query.APIInvoiceRefunds, error) {
	return c.api.opts.Queries.ListInvoiceRefunds(c.ctx, c.who, query.ListInvoiceRefundsArgs{AtLeast: c.atLeast(), Invoice: id})
}

// refund returns one credit note of an invoice.
func (c *call) refund(invoice events.InvoiceID, id events.CreditNoteID) (query.APIInvoiceRefund, error) {
	list, err := c.refunds(invoice)
	for i := range list.Data {
		if list.Data[i].ID == id {
			return list.Data[i], nil
		}
	}
	if err == nil {
		err = missing("refund", id.String())
	}
	return query.APIInvoiceRefund{}, err
}

func (a *API) createRefund(c *call) (answer, error) {
	invoice, err := pathID[events.InvoiceNoun](c, "id", "invoice")
	if err != nil {
		return answer{}, err
	}
	return made(c, "RefundInvoice", http.StatusCreated, func(id events.CreditNoteID) (query.APIInvoiceRefund, error) {
		return c.refund(invoice, id)
	}, named("invoiceId", invoice.String()))
}

func (a *API) voidRefund(c *call) (answer, error) {
	invoice, err := pathID[events.InvoiceNoun](c, "id", "invoice")
	if err != nil {
		return answer{}, err
	}
	id, err := pathID[events.CreditNoteNoun](c, "refundId", "refund")
	if err == nil {
		_, err = c.carryOut("VoidInvoiceRefund", named("invoiceId", invoice.String()), named("refundId", id.String()))
	}
	if err != nil {
		return answer{}, err
	}
	return ok(c.refund(invoice, id))
}

func (c *call) oneInvoice(id events.InvoiceID) (Invoice, error) {
	q, err := c.api.opts.Queries.Invoice(c.ctx, c.who, query.InvoiceArgs{At: c.at(), Invoice: id})
	if err != nil {
		return Invoice{}, err
	}
	return c.renderInvoice(&q)
}
