package query

import (
	"context"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// APIDispute is a usage event that a customer does not agree with.
type APIDispute struct {
	ID              events.DisputeID          `json:"id"`
	Object          string                    `json:"object"` // "dispute"
	Usage           events.UsageID            `json:"usageEventId"`
	CustomerID      events.CustomerID         `json:"customerId"`
	Merchant        events.OrganizationID     `json:"merchantId"`
	CustomerMessage string                    `json:"customerMessage"`
	MerchantMessage *string                   `json:"merchantMessage"`
	Status          projections.DisputeStatus `json:"status"`
	Amount          string                    `json:"disputedAmount"` // in units, with tax
	Currency        events.Currency           `json:"currency"`
	ResolvedAt      *events.Time              `json:"resolvedAt"`
	CreatedAt       events.Time               `json:"createdAt"`
	UpdatedAt       events.Time               `json:"updatedAt"`
	Customer        APIDisputeCustomer        `json:"customer"`
}

// APIDisputeCustomer says whose dispute it is. An erased consumer has neither name nor e-mail address.
type APIDisputeCustomer struct {
	ID    events.CustomerID `json:"id"`
	Name  string            `json:"name"`
	Email string            `json:"email"`
}

// APIDisputes is a page of a list of disputes.
type APIDisputes struct {
	Object     string            `json:"object"` // "list"
	Data       []APIDispute      `json:"data"`
	Pagination DisputePagination `json:"pagination"`
}

// DisputePagination says which part of a list a page is, and whether there is more behind it.
type DisputePagination struct {
	Pagination
	HasMore bool `json:"hasMore"`
}

// GetDisputeArgs are the arguments of [Service.GetDispute].
type GetDisputeArgs struct {
	AtLeast events.Seq       `json:"atLeast,omitzero"`
	Dispute events.DisputeID `json:"disputeId"`
}

// GetDispute answers how a dispute stands.
func (s *Service) GetDispute(ctx context.Context, who wire.Who, args GetDisputeArgs) (APIDispute, error) {
	return apiOne(ctx, s, who, args.AtLeast, "dispute", args.Dispute,
		func(b *projections.Books) *projections.Table[events.DisputeID, projections.Dispute] {
			return b.Disputes
		},
		func(d *projections.Dispute) events.OrganizationID { return d.Merchant }, (*reading).renderDispute)
}

// ListDisputesArgs are the arguments of [Service.ListDisputes]. At least one of the identities is given, and all conditions must hold.
type ListDisputesArgs struct {
	APIPage
	Merchant events.OrganizationID     `json:"merchantId,omitzero"`
	Customer events.CustomerID         `json:"customerId,omitzero"`
	Consumer events.OrganizationID     `json:"consumerId,omitzero"`
	Status   projections.DisputeStatus `json:"status,omitempty"`
}

// ListDisputes lists the disputes of a merchant, a customer or a consumer, in the order of their usage events.
func (s *Service) ListDisputes(ctx context.Context, who wire.Who, args ListDisputesArgs) (list APIDisputes, err error) {
	if args.Merchant.IsZero() && args.Customer.IsZero() && args.Consumer.IsZero() {
		return list, commands.Reject(commands.Invalid, "give one of merchantId, customerId and consumerId")
	}
	merchant, err := asker(who).merchant(args.Merchant)
	if err != nil {
		return list, err
	}
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) (err error) {
		list, err = r.disputes(merchant, &args)
		return err
	})
	return list, err
}

// disputes lists the disputes that args ask for, of one merchant unless it is zero.
func (r *reading) disputes(merchant events.OrganizationID, args *ListDisputesArgs) (list APIDisputes, err error) {
	l := listing[events.DisputeID, projections.Dispute, APIDispute]{
		table: r.books.Disputes, from: source{projections.LinkDisputes, merchant}, render: r.renderDispute,
		match: func(d *projections.Dispute) bool {
			customer := r.books.Customers.Get(d.Customer)
			return (merchant.IsZero() || d.Merchant == merchant) && (args.Status == "" || d.Status == args.Status) &&
				(args.Customer.IsZero() || d.Customer == args.Customer) && (args.Consumer.IsZero() || customer.Consumer == args.Consumer)
		},
	}
	switch {
	case !args.Customer.IsZero():
		if _, err := r.customer(args.Customer); err != nil {
			return list, err
		}
		l.from = source{projections.LinkDisputesOfCustomer, args.Customer}
	case merchant.IsZero():
		l.from = source{}
	}
	page, err := l.apiPage(r, args.APIPage)
	list = APIDisputes{Object: "list", Data: page.Data, Pagination: DisputePagination{Pagination: page.Pagination}}
	list.Pagination.HasMore = page.Pagination.Offset+len(page.Data) < page.Pagination.Total
	return list, err
}

func (r *reading) renderDispute(id events.DisputeID, row *projections.Dispute) (v APIDispute, err error) {
	v = APIDispute{
		ID: id, Object: "dispute", Usage: row.Usage, CustomerID: row.Customer, Merchant: row.Merchant, Status: row.Status,
		Amount: row.Amount.String(), Currency: row.Currency, CreatedAt: row.At, UpdatedAt: row.At,
		Customer: APIDisputeCustomer{ID: row.Customer},
	}
	opened, err := r.opts.Log.Record(row.Opened)
	if err != nil {
		return v, err
	}
	if e, ok := opened.Event.(events.DisputeOpened); ok {
		if v.CustomerMessage, _, err = r.text(e.Message, wire.PurposeDispute); err != nil {
			return v, err
		}
	}
	if customer := r.books.Customers.Get(row.Customer); customer != nil {
		profile, err := r.consumerProfile(r.books.Consumers.Get(customer.Consumer).Sealed)
		if err != nil {
			return v, err
		}
		if profile != nil {
			v.Customer.Name, v.Customer.Email = profile.Name, profile.Email
		}
	}
	if row.Resolved == 0 {
		return v, nil
	}
	v.ResolvedAt, v.UpdatedAt = &row.ResolvedAt, row.ResolvedAt
	resolved, err := r.opts.Log.Record(row.Resolved)
	if err != nil {
		return v, err
	}
	if e, ok := resolved.Event.(events.DisputeResolved); ok && !e.Message.IsZero() {
		text, _, err := r.text(e.Message, wire.PurposeDispute)
		if err != nil {
			return v, err
		}
		v.MerchantMessage = &text
	}
	return v, nil
}

// disputeQueries are the names of the queries about disputes.
func disputeQueries() []string { return []string{"GetDispute", "ListDisputes"} }

// disputeQuery returns the query of a name, nil for the name of another.
func (s *Service) disputeQuery(name string) asked {
	switch name {
	case "GetDispute":
		return answering(s.GetDispute)
	case "ListDisputes":
		return answering(s.ListDisputes)
	}
	return nil
}
