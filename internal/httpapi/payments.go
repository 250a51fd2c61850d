package httpapi

import (
	"net/http"

	"tallystick/events"
	"tallystick/internal/query"
)

// PaymentCreate is what a one-off payment is made of.
type PaymentCreate struct {
	Amount             string              `json:"amount" pattern:"^\\d+(\\.\\d{1,2})?$" doc:"In units of the currency, such as 12.50"`
	Currency           string              `json:"currency" enum:"USD,EUR,GBP,AUD"`
	MerchantID         string              `json:"merchantId,omitempty"`
	CustomerID         string              `json:"customerId,omitempty"`
	IdempotencyKey     string              `json:"idempotencyKey,omitempty" maxLength:"255"`
	Reference          string              `json:"reference,omitempty" maxLength:"255"`
	Metadata           map[string]string   `json:"metadata,omitempty"`
	LineItems          []PaymentLineCreate `json:"lineItems,omitempty" maxItems:"100" nullable:"false"`
	SuccessRedirectURL string              `json:"successRedirectUrl,omitempty" format:"uri"`
	FailureRedirectURL string              `json:"failureRedirectUrl,omitempty" format:"uri"`
	SavePaymentMethod  bool                `json:"savePaymentMethod,omitempty"`
	ExpiresIn          string              `json:"expiresIn,omitempty" doc:"A duration of ISO 8601; default P30D"`
}

// PaymentLineCreate is a part of a one-off payment.
type PaymentLineCreate struct {
	Description string `json:"description" minLength:"1"`
	Amount      string `json:"amount"`
	Quantity    int    `json:"quantity,omitempty" minimum:"1"`
}

// PaymentMethodCreate says where the payer goes from the page on which a payment method is stored.
type PaymentMethodCreate struct {
	SuccessRedirectURL string            `json:"successRedirectUrl,omitempty" format:"uri"`
	FailureRedirectURL string            `json:"failureRedirectUrl,omitempty" format:"uri"`
	Metadata           map[string]string `json:"metadata,omitempty"`
	ExpiresAt          string            `json:"expiresAt,omitempty" format:"date-time"`
}

// SessionPayment is what pays a payment session: one of the three is given.
type SessionPayment struct {
	Token   string       `json:"token,omitempty" doc:"The provider's name for a card, such as tok_visa in a sandbox"`
	Card    *CardDetails `json:"card,omitempty"`
	Confirm bool         `json:"confirm,omitempty" doc:"The payer has done what the card's bank asked for"`
}

// CardDetails are the figures on a card. Only the provider sees them.
type CardDetails struct {
	Number   string `json:"number" minLength:"12" maxLength:"32"`
	ExpMonth int    `json:"expMonth" minimum:"1" maximum:"12"`
	ExpYear  int    `json:"expYear" minimum:"2000" maximum:"9999"`
	CVC      string `json:"cvc,omitempty" maxLength:"4"`
}

func (a *API) payments() []operation {
	const tag, methods = "Payments", "/v0/customers/{id}/paymentMethods"
	return []operation{{
		id: "createPayment", method: http.MethodPost, path: "/v0/payments", tag: tag, summary: "Make a one-off payment, with a link to pay it",
		body: bodyOf[PaymentCreate](), handle: a.createPayment,
		answers: map[int]bodyType{200: bodyOf[query.Payment](), 201: bodyOf[query.Payment]()},
	}, {
		id: "listPayments", method: http.MethodGet, path: "/v0/payments", tag: tag, summary: "List one-off payments",
		params: paged(
			text("merchantId", 0, 255), text("customerId", 0, 255), words("status", "pending", "processing", "completed", "expired", "cancelled"),
		),
		answers: answers[query.APIList[query.Payment]](http.StatusOK), handle: a.listPayments,
	}, {
		id: "getPayment", method: http.MethodGet, path: "/v0/payments/{id}", tag: tag, summary: "Show a one-off payment",
		answers: answers[query.Payment](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "payment", c.payment) },
	}, {
		id: "listPaymentSessions", method: http.MethodGet, path: "/v0/paymentSessions", tag: tag, summary: "List payment sessions",
		params: paged(
			text("merchantId", 0, 255), text("subscriptionId", 0, 255), text("customerId", 0, 255),
			words("status", "pending", "processing", "completed", "failed", "expired", "cancelled"),
			words("entityType", "invoice", "subscription", "payment", "topup"),
		),
		answers: answers[query.APIList[query.ListedSession]](http.StatusOK), handle: a.listSessions,
	}, {
		id: "getPaymentSession", method: http.MethodGet, path: "/v0/paymentSessions/{id}", tag: tag, summary: "Show a payment session",
		answers: answers[query.PaymentSession](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "payment session", c.session) },
	}, {
		id: "payPaymentSession", method: http.MethodPost, path: "/v0/paymentSessions/{id}/payment", tag: tag, summary: "Pay a payment session, as its page does",
		body: bodyOf[SessionPayment](), answers: answers[query.PaymentSession](http.StatusOK), handle: func(c *call) (answer, error) {
			return changed(c, "payment session", "PaySession", "paymentSessionId", http.StatusOK, c.session)
		},
	}, {
		id: "cancelPaymentSession", method: http.MethodPost, path: "/v0/paymentSessions/{id}/cancellation", tag: tag, summary: "Cancel a payment session",
		answers: answers[query.PaymentSession](http.StatusOK), handle: func(c *call) (answer, error) {
			return changed(c, "payment session", "CancelSession", "paymentSessionId", http.StatusOK, c.session)
		},
	}, {
		id: "listCustomerPaymentMethods", method: http.MethodGet, path: methods, under: ofCustomers, tag: tag, summary: "List a customer's payment methods",
		answers: answers[query.APIList[query.PaymentMethod]](http.StatusOK), handle: func(c *call) (answer, error) {
			id, err := pathID[events.CustomerNoun](c, "id", "customer")
			if err != nil {
				return answer{}, err
			}
			list, err := a.opts.Queries.PaymentMethods(c.ctx, c.who, query.CustomerArgs{At: c.at(), Customer: id})
			list.Total = len(list.Items)
			return listing(c, list, err, itself[query.PaymentMethod])
		},
	}, {
		id: "createCustomerPaymentMethod", method: http.MethodPost, path: methods, tag: tag, summary: "Make a link to store a payment method",
		body: bodyOf[PaymentMethodCreate](), answers: answers[query.PaymentSession](http.StatusCreated), handle: func(c *call) (answer, error) {
			customer, err := pathID[events.CustomerNoun](c, "id", "customer")
			if err != nil {
				return answer{}, err
			}
			return made(c, "SetupPaymentMethod", http.StatusCreated, c.session, named("customerId", customer.String()))
		},
	}, {
		id: "removeCustomerPaymentMethod", method: http.MethodDelete, path: methods + "/{methodId}", tag: tag, summary: "Forget a payment method",
		answers: map[int]bodyType{204: nil}, handle: func(c *call) (answer, error) {
			customer, err := pathID[events.CustomerNoun](c, "id", "customer")
			if err != nil {
				return answer{}, err
			}
			method, err := pathID[events.MethodNoun](c, "methodId", "payment method")
			if err == nil {
				_, err = c.carryOut("RemovePaymentMethod", named("customerId", customer.String()), named("paymentMethodId", method.String()))
			}
			return answer{status: http.StatusNoContent}, err
		},
	}}
}

func (a *API) createPayment(c *call) (answer, error) {
	d, err := c.carryOut("CreatePayment")
	if err != nil {
		return answer{}, err
	}
	id, err := idOf[events.PaymentNoun](&d)
	if err != nil {
		return answer{}, err
	}
	body, err := c.payment(id)
	return answer{d.status(http.StatusCreated, http.StatusOK), body}, err
}

func (a *API) listPayments(c *call) (answer, error) {
	args := query.PaymentsArgs{At: c.at(), Page: c.page(), Status: events.SessionStatus(c.text("status"))}
	var found [2]bool
	args.Merchant, found[0] = queryID[events.OrganizationNoun](c, "merchantId")
	args.Customer, found[1] = queryID[events.CustomerNoun](c, "customerId")
	if found != [2]bool{true, true} {
		return nothing[query.Payment](c)
	}
	list, err := a.opts.Queries.Payments(c.ctx, c.who, args)
	return listing(c, list, err, itself[query.Payment])
}

func (a *API) listSessions(c *call) (answer, error) {
	args := query.PaymentSessionsArgs{
		At: c.at(), Page: c.page(), Status: events.SessionStatus(c.text("status")), EntityType: c.text("entityType"),
	}
	var found [3]bool
	args.Merchant, found[0] = queryID[events.OrganizationNoun](c, "merchantId")
	args.Customer, found[1] = queryID[events.CustomerNoun](c, "customerId")
	args.Subscription, found[2] = queryID[events.SubscriptionNoun](c, "subscriptionId")
	if found != [3]bool{true, true, true} {
		return nothing[query.ListedSession](c)
	}
	list, err := a.opts.Queries.PaymentSessions(c.ctx, c.who, args)
	return listing(c, list, err, itself[query.ListedSession])
}

// itself renders what a query has in the API's form already.
func itself[T any](v *T) (T, error) { return *v, nil }

func (c *call) payment(id events.PaymentID) (query.Payment, error) {
	return c.api.opts.Queries.Payment(c.ctx, c.who, query.PaymentArgs{At: c.at(), Payment: id})
}

func (c *call) session(id events.SessionID) (query.PaymentSession, error) {
	return c.api.opts.Queries.PaymentSession(c.ctx, c.who, query.PaymentSessionArgs{At: c.at(), Session: id})
}
