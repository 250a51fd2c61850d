package httpapi

import (
	"net/http"

	"tallystick/events"
	"tallystick/internal/query"
)

// Customer is a merchant's relation to a consumer.
type Customer struct {
	ID              string          `json:"id"`
	Object          string          `json:"object" enum:"customer"`
	MerchantID      string          `json:"merchantId"`
	ConsumerID      string          `json:"consumerId"`
	Organization    *Organization   `json:"organization,omitempty" doc:"The consumer; none once it is erased"`
	TaxID           string          `json:"taxId,omitempty"`
	ExternalID      string          `json:"externalId,omitempty"`
	ValidTaxAddress ValidTaxAddress `json:"validTaxAddress"`
	CreatedAt       events.Time     `json:"createdAt" format:"date-time"`
	UpdatedAt       events.Time     `json:"updatedAt" format:"date-time"`
}

// Organization is a consumer as its merchants see it.
type Organization struct {
	ID            string   `json:"id"`
	Name          string   `json:"name"`
	BillingEmails []string `json:"billingEmails" nullable:"false"`
	Phone         string   `json:"phone,omitempty"`
	Address       *Address `json:"address,omitempty"`
}

// Address is a postal address.
type Address struct {
	Line1   string `json:"line1,omitempty" maxLength:"255"`
	Line2   string `json:"line2,omitempty" maxLength:"255"`
	City    string `json:"city,omitempty" maxLength:"255"`
	State   string `json:"state,omitempty" maxLength:"255"`
	Country string `json:"country,omitempty" minLength:"2" maxLength:"2" doc:"Two letters of ISO 3166-1"`
	ZipCode string `json:"zipCode,omitempty" maxLength:"255"`
}

// ValidTaxAddress says whether the tax of an address can be told.
type ValidTaxAddress struct {
	Valid   bool   `json:"valid"`
	Message string `json:"message,omitempty"`
}

// ConsumerCreate is what a consumer is made of.
type ConsumerCreate struct {
	Name    string  `json:"name" minLength:"1" maxLength:"255"`
	Email   string  `json:"email" minLength:"3" maxLength:"254"`
	Phone   string  `json:"phone,omitempty" maxLength:"255"`
	Address Address `json:"address"`
}

// CustomerCreate is what a customer is made of: one of consumer and consumerId is given.
type CustomerCreate struct {
	MerchantID string             `json:"merchantId" pattern:"^org_[a-zA-Z0-9]+$"`
	Consumer   *ConsumerCreate    `json:"consumer,omitempty"`
	ConsumerID string             `json:"consumerId,omitempty" pattern:"^org_[a-zA-Z0-9]+$"`
	TaxID      string             `json:"taxId,omitempty" maxLength:"255"`
	ExternalID string             `json:"externalId,omitempty" maxLength:"255"`
	TaxRates   map[string]float64 `json:"taxRates,omitempty"`
}

// CustomerCreated says which customer a consumer is.
type CustomerCreated struct {
	CustomerID      string          `json:"customerId"`
	ValidTaxAddress ValidTaxAddress `json:"validTaxAddress"`
}

func renderCustomer(q *query.Customer) (Customer, error) {
	v := Customer{
		ID: q.ID.String(), Object: "customer", MerchantID: q.Merchant.String(), ConsumerID: q.Consumer.String(),
		TaxID: q.TaxID, ExternalID: q.ExternalID, ValidTaxAddress: taxAddress(q.Profile), CreatedAt: q.CreatedAt, UpdatedAt: q.CreatedAt,
	}
	if q.Profile != nil {
		v.Organization = organization(q.Consumer, q.Profile)
	}
	return v, nil
}

func organization(id events.OrganizationID, p *events.Profile) *Organization {
	o := &Organization{ID: id.String(), Name: p.Name, Phone: p.Phone, BillingEmails: []string{}}
	if p.Email != "" {
		o.BillingEmails = append(o.BillingEmails, p.Email)
	}
	if p.Address != (events.Address{}) {
		o.Address = &Address{p.Address.Line1, p.Address.Line2, p.Address.City, p.Address.State, p.Address.Country, p.Address.ZipCode}
	}
	return o
}

// taxAddress reports whether the tax of a consumer's address can be told: it takes the country and the postal code, and
// in the United States and Canada the state.
func taxAddress(p *events.Profile) ValidTaxAddress {
	switch {
	case p == nil:
		return ValidTaxAddress{Message: "the consumer is erased"}
	case p.Address.Country == "":
		return ValidTaxAddress{Message: "country is missing"}
	case p.Address.ZipCode == "":
		return ValidTaxAddress{Message: "zipCode is missing"}
	case p.Address.State == "" && (p.Address.Country == "US" || p.Address.Country == "CA"):
		return ValidTaxAddress{Message: "state is missing"}
	}
	return ValidTaxAddress{Valid: true}
}

func (a *API) customers() []operation {
	return []operation{{
		id: "createCustomer", method: http.MethodPost, path: "/v0/customers", tag: "Customers", summary: "Make a customer, or find the one that there is",
		body: bodyOf[CustomerCreate](), handle: a.createCustomer,
		answers: map[int]bodyType{200: bodyOf[CustomerCreated](), 201: bodyOf[CustomerCreated]()},
	}, {
		id: "listCustomers", method: http.MethodGet, path: "/v0/customers", tag: "Customers", summary: "List customers",
		params:  paged(identity("organizationId", "org").needed()),
		answers: answers[query.APIList[Customer]](http.StatusOK), handle: func(c *call) (answer, error) {
			id, ok := queryID[events.OrganizationNoun](c, "organizationId")
			if !ok {
				return nothing[Customer](c)
			}
			list, err := a.opts.Queries.Customers(c.ctx, c.who, query.CatalogArgs{At: c.at(), Page: c.page(), Merchant: id})
			return listing(c, list, err, renderCustomer)
		},
	}, {
		id: "getCustomer", method: http.MethodGet, path: "/v0/customers/{id}", tag: "Customers", summary: "Show a customer",
		answers: answers[Customer](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "customer", c.customer) },
	}}
}

func (a *API) createCustomer(c *call) (answer, error) {
	d, err := c.carryOut("CreateCustomer")
	if err != nil {
		return answer{}, err
	}
	id, err := idOf[events.CustomerNoun](&d)
	if err != nil {
		return answer{}, err
	}
	customer, err := c.customer(id)
	return answer{d.status(http.StatusCreated, http.StatusOK), CustomerCreated{customer.ID, customer.ValidTaxAddress}}, err
}

func (c *call) customer(id events.CustomerID) (Customer, error) {
	q, err := c.api.opts.Queries.Customer(c.ctx, c.who, query.CustomerArgs{At: c.at(), Customer: id})
	if err != nil {
		return Customer{}, err
	}
	return renderCustomer(&q)
}
