package query

import (
	"cmp"
	"context"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// APICustomer is a merchant's relation to a consumer.
type APICustomer struct {
	ID           events.CustomerID     `json:"id"`
	Object       string                `json:"object"` // "customer"
	Merchant     events.OrganizationID `json:"merchantId"`
	Consumer     events.OrganizationID `json:"consumerId"`
	Organization *APIOrganization      `json:"organization,omitempty"` // the consumer; none once it is erased
	TaxID        string                `json:"taxId,omitempty"`
	ExternalID   string                `json:"externalId,omitempty"`
	TaxRates     map[string]Percent    `json:"taxRates,omitempty"` // in percent, by plan, by metric, and default
	TaxAddress   APITaxAddress         `json:"validTaxAddress"`
	Notices      APINotices            `json:"notificationSettings"`
	CreatedAt    events.Time           `json:"createdAt"`
	UpdatedAt    events.Time           `json:"updatedAt"`
}

// APIOrganization is a consumer as its merchants see it.
type APIOrganization struct {
	ID      events.OrganizationID `json:"id"`
	Name    string                `json:"name"`
	Emails  []string              `json:"billingEmails"`
	Phone   string                `json:"phone,omitempty"`
	Address *events.Address       `json:"address,omitempty"`
}

// APITaxAddress says whether the tax of an address can be told.
type APITaxAddress struct {
	Valid   bool   `json:"valid"`
	Message string `json:"message,omitempty"`
}

// APINotices says which notices a customer gets.
type APINotices struct {
	InvoiceIssued   bool `json:"invoiceIssued"`
	InvoicePaid     bool `json:"invoicePaid"`
	RenewalReminder bool `json:"renewalReminder"`
}

// taxAddress reports whether the tax of a consumer's address can be told: it takes the country and the postal code, and
// in the United States and Canada the state.
func taxAddress(p *events.Profile) APITaxAddress {
	switch {
	case p == nil:
		return APITaxAddress{Message: "the consumer is erased"}
	case p.Address.Country == "":
		return APITaxAddress{Message: "country is missing"}
	case p.Address.ZipCode == "":
		return APITaxAddress{Message: "zipCode is missing"}
	case p.Address.State == "" && (p.Address.Country == "US" || p.Address.Country == "CA"):
		return APITaxAddress{Message: "state is missing"}
	}
	return APITaxAddress{Valid: true}
}

func renderAPICustomer(r *reading, id events.CustomerID, row *projections.Customer) (APICustomer, error) {
	c, err := r.renderCustomer(id, row)
	v := APICustomer{
		ID: id, Object: "customer", Merchant: c.Merchant, Consumer: c.Consumer, TaxID: c.TaxID, ExternalID: c.ExternalID,
		TaxAddress: taxAddress(c.Profile), CreatedAt: c.CreatedAt, UpdatedAt: row.UpdatedAt,
		Notices: APINotices{!row.Muted.InvoiceIssued, !row.Muted.InvoicePaid, !row.Muted.RenewalReminder},
	}
	for _, rate := range row.TaxRates {
		if v.TaxRates == nil {
			v.TaxRates = make(map[string]Percent, len(row.TaxRates))
		}
		v.TaxRates[cmp.Or(rate.Metric.String(), rate.Plan.String(), "default")] = Percent(rate.Rate)
	}
	if c.Profile != nil {
		v.Organization = renderAPIOrganization(c.Consumer, c.Profile)
	}
	return v, err
}

func renderAPIOrganization(id events.OrganizationID, p *events.Profile) *APIOrganization {
	o := &APIOrganization{ID: id, Name: p.Name, Phone: p.Phone, Emails: []string{}}
	if p.Email != "" {
		o.Emails = append(o.Emails, p.Email)
	}
	if !p.Address.IsZero() {
		o.Address = &p.Address
	}
	return o
}

// GetCustomerArgs are the arguments of [Service.GetCustomer].
type GetCustomerArgs struct {
	AtLeast  events.Seq        `json:"atLeast,omitzero"`
	Customer events.CustomerID `json:"customerId"`
}

// GetCustomer answers who a customer is.
func (s *Service) GetCustomer(ctx context.Context, who wire.Who, args GetCustomerArgs) (v APICustomer, err error) {
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) error {
		row, err := r.customer(args.Customer)
		if err != nil {
			return err
		}
		if row.Deleted {
			return missing("customer", args.Customer.String())
		}
		v, err = renderAPICustomer(r, args.Customer, row)
		return err
	})
	return v, err
}

// ListCustomersArgs are the arguments of [Service.ListCustomers]. All conditions must hold.
type ListCustomersArgs struct {
	APIPage
	Merchant   events.OrganizationID `json:"organizationId,omitzero"`
	Name       string                `json:"name,omitempty"`  // a part of it, in upper or lower case
	Email      string                `json:"email,omitempty"` // likewise
	ExternalID string                `json:"externalId,omitempty"`
}

// ListCustomers lists customers. What is personal is sealed, so a search by it opens what there is, one after the other.
func (s *Service) ListCustomers(ctx context.Context, who wire.Who, args ListCustomersArgs) (list APIList[APICustomer], err error) {
	return apiCatalog(ctx, s, who, args.Merchant, args.APIPage, func(r *reading) listing[events.CustomerID, projections.Customer, APICustomer] {
		return listing[events.CustomerID, projections.Customer, APICustomer]{
			table: r.books.Customers, from: source{link: projections.LinkCustomers},
			match: func(row *projections.Customer) bool { return !row.Deleted && args.match(r, row) },
			render: func(id events.CustomerID, row *projections.Customer) (APICustomer, error) {
				return renderAPICustomer(r, id, row)
			},
		}
	})
}

// match reports whether a customer is one that is wanted. What cannot be opened is none.
func (args *ListCustomersArgs) match(r *reading, row *projections.Customer) bool {
	if args.Name == "" && args.Email == "" && args.ExternalID == "" {
		return true
	}
	c, err := r.renderCustomer(events.CustomerID{}, row)
	if err != nil || c.Profile == nil {
		return false
	}
	return holds(c.Profile.Name, args.Name) && holds(c.Profile.Email, args.Email) && (args.ExternalID == "" || c.ExternalID == args.ExternalID)
}

// APIConsumer is an organization that buys.
type APIConsumer struct {
	Object string              `json:"object"` // "consumer"
	Kind   events.ConsumerKind `json:"kind"`
	APIOrganization
}

// GetConsumerArgs are the arguments of [Service.GetConsumer].
type GetConsumerArgs struct {
	AtLeast  events.Seq            `json:"atLeast,omitzero"`
	Consumer events.OrganizationID `json:"consumerId"`
}

// GetConsumer answers who a consumer is, to a merchant that manages it, or of which it is a customer, or that it has authorized.
func (s *Service) GetConsumer(ctx context.Context, who wire.Who, args GetConsumerArgs) (v APIConsumer, err error) {
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) error {
		row := r.books.Consumers.Get(args.Consumer)
		known := r.who.everything() || row != nil && row.Manager == who.Merchant ||
			r.books.HasAuthorized(args.Consumer, who.Merchant) || !r.books.CustomerOf(who.Merchant, args.Consumer).IsZero()
		if row == nil || !known {
			return missing("consumer", args.Consumer.String())
		}
		profile, err := r.consumerProfile(row.Sealed)
		if err != nil {
			return err
		}
		if profile == nil {
			return missing("consumer", args.Consumer.String())
		}
		v = APIConsumer{"consumer", row.Type, *renderAPIOrganization(args.Consumer, profile)}
		return nil
	})
	return v, err
}
