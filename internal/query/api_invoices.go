package query

import (
	"context"
	"fmt"
	"strings"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// APIInvoiceRefund is a credit note: over all of an invoice, or over a usage event of one that is to be paid.
type APIInvoiceRefund struct {
	Object       string                `json:"object"` // "invoice_refund"
	ID           events.CreditNoteID   `json:"id"`
	Invoice      events.InvoiceID      `json:"invoiceId"`
	Merchant     events.OrganizationID `json:"merchantId"`
	Amount       string                `json:"amount"` // before tax
	TaxAmount    string                `json:"taxAmount"`
	Total        string                `json:"total"`
	Currency     events.Currency       `json:"currency"`
	Status       string                `json:"status"` // ISSUED or VOIDED
	ExternalNote string                `json:"externalCreditNoteId"`
	Permalink    *string               `json:"permalink"`
	PDFURL       *string               `json:"pdfUrl"`
	Reason       *string               `json:"reason"`
	CreatedAt    events.Time           `json:"createdAt"`
	VoidedAt     *events.Time          `json:"voidedAt"`
	Usage        *events.UsageID       `json:"usageEventId,omitempty"`
}

// ListInvoiceRefundsArgs are the arguments of [Service.ListInvoiceRefunds].
type ListInvoiceRefundsArgs struct {
	AtLeast events.Seq       `json:"atLeast,omitzero"`
	Invoice events.InvoiceID `json:"invoiceId"`
}

// APIInvoiceRefunds is the credit notes of an invoice, oldest first.
type APIInvoiceRefunds struct {
	Object string             `json:"object"` // "list"
	Data   []APIInvoiceRefund `json:"data"`
}

// ListInvoiceRefunds lists the credit notes of an invoice.
func (s *Service) ListInvoiceRefunds(ctx context.Context, who wire.Who, args ListInvoiceRefundsArgs) (list APIInvoiceRefunds, err error) {
	list = APIInvoiceRefunds{Object: "list", Data: []APIInvoiceRefund{}}
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) error {
		row := r.books.Invoices.Get(args.Invoice)
		if row == nil || !asker(who).sees(row.Merchant) {
			return missing("invoice", args.Invoice.String())
		}
		notes, err := r.creditNotes(args.Invoice)
		for i := range notes {
			list.Data = append(list.Data, apiRefund(args.Invoice, row, &notes[i]))
		}
		return err
	})
	return list, err
}

func apiRefund(invoice events.InvoiceID, row *projections.Invoice, n *CreditNote) APIInvoiceRefund {
	v := APIInvoiceRefund{
		Object: "invoice_refund", ID: n.ID, Invoice: invoice, Merchant: row.Merchant, Amount: Cents(n.Amount), TaxAmount: Cents(n.Tax),
		Total: Cents(n.Amount.Plus(n.Tax)), Currency: row.Currency, Status: "ISSUED", ExternalNote: n.ID.String(), Permalink: orNull(n.Permalink),
		PDFURL: orNull(n.PDF), Reason: orNull(n.Reason), CreatedAt: n.IssuedAt, VoidedAt: orNull(n.VoidedAt), Usage: n.Usage,
	}
	if n.VoidedAt != 0 {
		v.Status = "VOIDED"
	}
	return v
}

// APILineItem is a line of an invoice, whether it is issued or not.
type APILineItem struct {
	ID              string                `json:"id"`
	Subscription    events.SubscriptionID `json:"subscriptionId"`
	Price           *events.PriceID       `json:"priceId"`
	Invoice         *events.InvoiceID     `json:"invoiceId"`
	Type            string                `json:"type"`   // fee, metered, manual, discount
	Status          string                `json:"status"` // pending, invoiced
	DisplayName     string                `json:"displayName"`
	Description     *string               `json:"description"`
	Currency        events.Currency       `json:"currency"`
	PeriodStart     events.Time           `json:"periodStart"`
	PeriodEnd       events.Time           `json:"periodEnd"`
	InvoiceAt       events.Time           `json:"invoiceAt"`
	CalculatedAt    *events.Time          `json:"calculatedAt"`
	Quantity        *string               `json:"quantity"`
	UnitPrice       string                `json:"unitPrice"`
	MeteredQuantity *string               `json:"meteredQuantity"`
	Term            *events.Term          `json:"paymentTerm"`
	Subtotal        string                `json:"subtotal"`
	TaxesTotal      *string               `json:"taxesTotal"`
	Total           string                `json:"total"`
	CreatedAt       events.Time           `json:"createdAt"`
	UpdatedAt       events.Time           `json:"updatedAt"`
	Estimated       *string               `json:"estimatedMeteredQuantity"`
	EstimatedSum    *string               `json:"estimatedSubtotal"`
}

// APILineItems is a part of a list of lines.
type APILineItems struct {
	Object     string        `json:"object"` // "list"
	Data       []APILineItem `json:"data"`
	TotalCount int           `json:"totalCount"`
	Summary    struct {
		FeeSubtotal string          `json:"feeSubtotal"`
		Metered     string          `json:"meteredEstimatedSubtotal"`
		Currency    events.Currency `json:"currency"`
	} `json:"summary"` // of what is not invoiced yet
}

// ListLineItemsArgs are the arguments of [Service.ListLineItems]. A subscription or an invoice is named.
type ListLineItemsArgs struct {
	AtLeast      events.Seq            `json:"atLeast,omitzero"`
	Subscription events.SubscriptionID `json:"subscriptionId,omitzero"`
	Invoice      events.InvoiceID      `json:"invoiceId,omitzero"`
	Status       string                `json:"status,omitempty"` // pending, invoiced
	Limit        int                   `json:"limit,omitzero"`   // 1 to 1000; default 100
	Offset       int                   `json:"offset,omitzero"`
}

// ListLineItems lists the lines of an invoice, or of all invoices of a subscription, oldest period first.
func (s *Service) ListLineItems(ctx context.Context, who wire.Who, args ListLineItemsArgs) (list APILineItems, err error) {
	page := Page{Limit: args.Limit, Offset: args.Offset}
	if err := page.check(); err != nil {
		return list, err
	}
	if args.Subscription.IsZero() == args.Invoice.IsZero() {
		return list, commands.Reject(commands.Invalid, "give one of subscriptionId and invoiceId")
	}
	list = APILineItems{Object: "list", Data: []APILineItem{}}
	var fees, metered events.Sum
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) error {
		each := func(child [16]byte) error {
			return r.lineItems(child, func(v APILineItem, amount events.Sum) {
				if args.Status != "" && v.Status != args.Status {
					return
				}
				if n := list.TotalCount; n >= page.Offset && len(list.Data) < page.Limit {
					list.Data = append(list.Data, v)
				}
				list.TotalCount++
				list.Summary.Currency = v.Currency
				switch {
				case v.Status != "pending":
				case v.Type == "metered":
					metered = metered.Plus(amount)
				default:
					fees = fees.Plus(amount)
				}
			})
		}
		if !args.Invoice.IsZero() {
			row := r.books.Invoices.Get(args.Invoice)
			if row == nil || !asker(who).sees(row.Merchant) {
				return missing("invoice", args.Invoice.String())
			}
			list.Summary.Currency = row.Currency
			return each(args.Invoice)
		}
		sub, err := r.subscription(args.Subscription)
		if err != nil {
			return err
		}
		list.Summary.Currency = sub.Currency
		return r.links(projections.LinkInvoicesOfSubscription, args.Subscription, each)
	})
	list.Summary.FeeSubtotal, list.Summary.Metered = fees.String(), metered.String()
	return list, err
}

// lineItems calls fn with every line of an invoice and what it comes to before tax.
func (r *reading) lineItems(id events.InvoiceID, fn func(APILineItem, events.Sum)) error {
	row := r.books.Invoices.Get(id)
	lines, err := r.invoiceLines(id, row)
	if err != nil {
		return err
	}
	_, pending := r.live(row)
	for i := range lines {
		l := &lines[i]
		v := APILineItem{
			ID: l.ID.String(), Subscription: row.Subscription, Price: orNull(l.Price), Invoice: orNull(id), Type: "metered", Status: "invoiced",
			DisplayName: l.DisplayName, Description: orNull(l.Description), Currency: row.Currency, PeriodStart: row.Start, PeriodEnd: row.End,
			InvoiceAt: row.GraceEnd, UnitPrice: l.UnitPrice.String(), Subtotal: l.Amount.String(), TaxesTotal: new(l.Tax.String()),
			Total: l.Amount.Plus(l.Tax).String(), CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
		}
		units := new(l.Quantity.Digits())
		if mean, ok := l.Mean(); ok {
			units = new(events.Sum(mean).String())
		}
		switch l.Kind {
		case events.LineOfFee:
			v.Type, v.Quantity = "fee", units
		case events.LineOfManual:
			v.Type = "manual"
			if l.Amount.Sign() < 0 {
				v.Type = "discount"
			}
			v.ID, v.Quantity, v.UnitPrice = l.Item.String(), &l.Factors[0], l.Factors[1]
		case events.LineOfRefund, events.LineOfCorrection:
			v.MeteredQuantity = units
		default:
			v.MeteredQuantity = units
		}
		if l.Term != events.Instant {
			v.Term = &l.Term
		}
		if pending {
			v.Status = "pending"
			if v.Type == "metered" {
				v.Estimated, v.EstimatedSum = v.MeteredQuantity, &v.Subtotal
			}
			if l.Kind != events.LineOfManual { // a line has no identity before it is closed
				v.ID = fmt.Sprintf("li_%s%03d", strings.TrimPrefix(id.String(), "inv_"), i)
			}
		} else {
			v.CalculatedAt = orNull(row.IssuedAt)
		}
		fn(v, l.Amount)
	}
	return nil
}

// GetLineItemArgs are the arguments of [Service.GetLineItem].
type GetLineItemArgs struct {
	AtLeast events.Seq    `json:"atLeast,omitzero"`
	Item    events.LineID `json:"lineItemId"` // of a line that a merchant has added
}

// GetLineItem answers with a line that a merchant has added.
func (s *Service) GetLineItem(ctx context.Context, who wire.Who, args GetLineItemArgs) (v APILineItem, err error) {
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) error {
		rec, e, err := s.lineAdded(ctx, args.Item, func(e *events.LineItemAdded) bool { return e.Line == args.Item })
		if err != nil {
			return err
		}
		if !asker(who).sees(rec.Merchant) {
			return missing("line item", args.Item.String())
		}
		found := false
		err = r.lineItems(e.Invoice, func(item APILineItem, _ events.Sum) {
			if item.ID == args.Item.String() {
				v, found = item, true
				v.CreatedAt = rec.At
				if e.Start != 0 {
					v.PeriodStart = e.Start
				}
				if e.End != 0 {
					v.PeriodEnd = e.End
				}
			}
		})
		if err == nil && !found {
			err = missing("line item", args.Item.String())
		}
		return err
	})
	return v, err
}

// lineAdded returns the record of a line that was put on an invoice by the command that something is named after.
func (s *Service) lineAdded(ctx context.Context, id events.LineID, match func(*events.LineItemAdded) bool) (rec events.Record, e events.LineItemAdded, err error) {
	seq, err := s.within(ctx, id, "line item", id.String(), func(event events.Event) bool {
		added, ok := event.(events.LineItemAdded)
		return ok && match(&added)
	})
	if err != nil {
		return rec, e, err
	}
	rec, err = s.opts.Log.Record(seq)
	e, _ = rec.Event.(events.LineItemAdded) // which it is
	return rec, e, err
}

// invoiceQueries are the names of the queries of this file.
func invoiceQueries() []string { return []string{"GetLineItem", "ListInvoiceRefunds", "ListLineItems"} }

// invoiceQuery returns the query of a name, nil for the name of another.
func (s *Service) invoiceQuery(name string) asked {
	switch name {
	case "GetLineItem":
		return answering(s.GetLineItem)
	case "ListInvoiceRefunds":
		return answering(s.ListInvoiceRefunds)
	case "ListLineItems":
		return answering(s.ListLineItems)
	}
	return nil
}
