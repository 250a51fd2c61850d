package httpapi

import (
	"net/http"
	"time"

	"tallystick/events"
	"tallystick/internal/query"
)

// AddressCreate is a postal address, of which not everything must be known.
type AddressCreate struct {
	Line1   string `json:"line1,omitempty" maxLength:"255"`
	Line2   string `json:"line2,omitempty" maxLength:"255"`
	City    string `json:"city,omitempty" maxLength:"255"`
	State   string `json:"state,omitempty" maxLength:"255"`
	Country string `json:"country,omitempty" minLength:"2" maxLength:"2" doc:"Two letters of ISO 3166-1"`
	ZipCode string `json:"zipCode,omitempty" maxLength:"255"`
}

// ConsumerCreate is what a consumer is made of.
type ConsumerCreate struct {
	Name    string        `json:"name" minLength:"1" maxLength:"255"`
	Email   string        `json:"email" minLength:"3" maxLength:"254"`
	Phone   string        `json:"phone,omitempty" maxLength:"255"`
	Address AddressCreate `json:"address"`
}

// ManagedCreate is what a consumer without a customer is made of.
type ManagedCreate struct {
	MerchantID string `json:"merchantId,omitempty" pattern:"^org_[a-zA-Z0-9]+$"`
	ConsumerCreate
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
	CustomerID      events.CustomerID   `json:"customerId"`
	ValidTaxAddress query.APITaxAddress `json:"validTaxAddress"`
}

// CustomerUpdate says what of a customer changes. null takes away what there is.
type CustomerUpdate struct {
	TaxID                *string        `json:"taxId,omitempty" nullable:"true" maxLength:"255"`
	ExternalID           *string        `json:"externalId,omitempty" nullable:"true" maxLength:"255"`
	TaxRates             any            `json:"taxRates,omitempty" doc:"A rate in percent for everything, or rates by plan, metric and default"`
	NotificationSettings *NoticesUpdate `json:"notificationSettings,omitempty"`
}

// NoticesUpdate says which notices a customer gets from now on.
type NoticesUpdate struct {
	InvoiceIssued   bool `json:"invoiceIssued,omitempty"`
	InvoicePaid     bool `json:"invoicePaid,omitempty"`
	RenewalReminder bool `json:"renewalReminder,omitempty"`
}

// ConsumerUpdate says what of a consumer changes.
type ConsumerUpdate struct {
	Name    string         `json:"name,omitempty" minLength:"1" maxLength:"255"`
	Email   string         `json:"email,omitempty" minLength:"3" maxLength:"254"`
	Phone   string         `json:"phone,omitempty" maxLength:"255"`
	Address *AddressCreate `json:"address,omitempty"`
}

// OffSessionMethodCreate says what a consumer is asked to store, and where it goes from the page on which it does.
type OffSessionMethodCreate struct {
	PaymentMethod string `json:"paymentMethod" enum:"card"`
	ReturnURL     string `json:"returnUrl" format:"uri"`
}

// OffSessionMethodSetup says where a consumer stores a payment method.
type OffSessionMethodSetup struct {
	Object   string `json:"object"` // "offSessionPaymentMethodSetup"
	SetupURL string `json:"setupUrl"`
}

func (a *API) customers() []operation {
	const tag, path = "Customers", "/v0/customers"
	return []operation{{
		id: "createCustomer", method: http.MethodPost, path: path, tag: tag, summary: "Make a customer, or find the one that there is",
		body: bodyOf[CustomerCreate](), handle: a.createCustomer,
		answers: map[int]bodyType{200: bodyOf[CustomerCreated](), 201: bodyOf[CustomerCreated]()},
	}, {
		id: "listCustomers", rate: rate{10, time.Second}, method: http.MethodGet, path: path, tag: tag, summary: "List customers",
		params: paged(
			identity("organizationId", "org").needed(), text("name", 3, 255), text("email", 3, 255), text("externalId", 0, 255),
		),
		answers: answers[query.APIList[query.APICustomer]](http.StatusOK), handle: func(c *call) (answer, error) {
			id, found := queryID[events.OrganizationNoun](c, "organizationId")
			if !found {
				return nothing[query.APICustomer](c)
			}
			return ok(a.opts.Queries.ListCustomers(c.ctx, c.who, query.ListCustomersArgs{
				APIPage: c.apiPage(), Merchant: id, Name: c.text("name"), Email: c.text("email"), ExternalID: c.text("externalId"),
			}))
		},
	}, {
		id: "getCustomer", method: http.MethodGet, path: path + "/{id}", tag: tag, summary: "Show a customer",
		answers: answers[query.APICustomer](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "customer", c.customer) },
	}, {
		id: "updateCustomer", method: http.MethodPatch, path: path + "/{id}", tag: tag, summary: "Change a customer",
		body: bodyOf[CustomerUpdate](), answers: answers[query.APICustomer](http.StatusOK), handle: func(c *call) (answer, error) {
			return changed(c, "customer", "UpdateCustomer", "customerId", http.StatusOK, c.customer)
		},
	}, {
		id: "deleteCustomer", method: http.MethodDelete, path: path + "/{id}", tag: tag, summary: "Delete a customer with whom nothing is open",
		answers: map[int]bodyType{204: nil},
		handle: func(c *call) (answer, error) {
			return removed[events.CustomerNoun](c, "customer", "DeleteCustomer", "customerId")
		},
	}, {
		id: "createConsumer", method: http.MethodPost, path: "/v0/consumers", tag: tag, summary: "Make a consumer without a customer, or find the one that there is",
		body: bodyOf[ManagedCreate](), handle: a.createConsumer,
		answers: map[int]bodyType{200: bodyOf[query.APIConsumer](), 201: bodyOf[query.APIConsumer]()},
	}, {
		id: "createOffSessionPaymentMethod", method: http.MethodPost, path: "/v0/consumers/{id}/offSessionPaymentMethods", tag: tag,
		summary: "Make a link by which a consumer stores a payment method",
		body:    bodyOf[OffSessionMethodCreate](), answers: answers[OffSessionMethodSetup](http.StatusCreated), handle: func(c *call) (answer, error) {
			id, err := pathID[events.OrganizationNoun](c, "id", "consumer")
			if err != nil {
				return answer{}, err
			}
			return made(c, "SetupOffSessionMethod", http.StatusCreated, c.setup, named("consumerId", id.String()))
		},
	}, {
		id: "getConsumer", method: http.MethodGet, path: "/v0/consumers/{id}", tag: tag, summary: "Show a consumer",
		answers: answers[query.APIConsumer](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "consumer", c.consumer) },
	}, {
		id: "updateConsumer", method: http.MethodPatch, path: "/v0/consumers/{id}", tag: tag, summary: "Change a consumer that the merchant manages",
		body: bodyOf[ConsumerUpdate](), answers: answers[query.APIConsumer](http.StatusOK), handle: func(c *call) (answer, error) {
			return changed(c, "consumer", "UpdateConsumer", "consumerId", http.StatusOK, c.consumer)
		},
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
	return answer{d.status(http.StatusCreated, http.StatusOK), CustomerCreated{customer.ID, customer.TaxAddress}}, err
}

func (a *API) createConsumer(c *call) (answer, error) {
	d, err := c.carryOut("CreateConsumer")
	if err != nil {
		return answer{}, err
	}
	id, err := idOf[events.OrganizationNoun](&d)
	if err != nil {
		return answer{}, err
	}
	consumer, err := c.consumer(id)
	return answer{d.status(http.StatusCreated, http.StatusOK), consumer}, err
}

// setup returns where a consumer stores the payment method that it is asked for.
func (c *call) setup(id events.SessionID) (OffSessionMethodSetup, error) {
	s, err := c.session(id)
	return OffSessionMethodSetup{"offSessionPaymentMethodSetup", s.URL}, err
}

func (c *call) customer(id events.CustomerID) (query.APICustomer, error) {
	return c.api.opts.Queries.GetCustomer(c.ctx, c.who, query.GetCustomerArgs{AtLeast: c.atLeast(), Customer: id})
}

func (c *call) consumer(id events.OrganizationID) (query.APIConsumer, error) {
	return c.api.opts.Queries.GetConsumer(c.ctx, c.who, query.GetConsumerArgs{AtLeast: c.atLeast(), Consumer: id})
}
