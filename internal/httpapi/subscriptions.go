package httpapi

import (
	"net/http"
	"strconv"

	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/projections"
)

// Subscription is the agreement of a customer to a plan.
type Subscription struct {
	ID               string        `json:"id"`
	Object           string        `json:"object" enum:"subscription"`
	Name             string        `json:"name"`
	CustomerID       string        `json:"customerId"`
	PlanID           string        `json:"planId"`
	Status           string        `json:"status" enum:"pending_payment,active,terminated"`
	AutoCharge       bool          `json:"autoCharge"`
	TaxExempt        bool          `json:"taxExempt"`
	EstimatedTaxRate query.Percent `json:"estimatedTaxRate" doc:"In percent: of its charges now, where the metric does not matter"`

	StartedAt         events.Time  `json:"startedAt" format:"date-time"`
	EndingAt          *events.Time `json:"endingAt,omitempty" format:"date-time"`
	WalletID          string       `json:"walletId,omitempty"`
	TestClockID       string       `json:"testClockId,omitempty"`
	TerminatedAt      *events.Time `json:"terminatedAt,omitempty" format:"date-time"`
	TerminatedBy      string       `json:"terminatedBy,omitempty"`
	TerminationReason string       `json:"terminationReason,omitempty"`
	CreatedAt         events.Time  `json:"createdAt" format:"date-time"`
	UpdatedAt         events.Time  `json:"updatedAt" format:"date-time"`

	MinimumAccountBalance  string                     `json:"minimumAccountBalance,omitempty" doc:"In billionths of the currency's unit"`
	PrefundAmount          string                     `json:"prefundAmount,omitempty" deprecated:"true"`
	RenewalReminderEnabled *bool                      `json:"renewalReminderEnabled" nullable:"true"`
	RenewalReminderDays    *uint32                    `json:"renewalReminderDays" nullable:"true"`
	Payment                *query.SubscriptionPayment `json:"payment,omitempty" doc:"What is to be paid before it is active, or was"`
	Customer               *query.APIParties          `json:"customer,omitempty" doc:"If asked for with include=customer"`

	Authorization *query.SubscriptionAuthorization `json:"authorization,omitempty" doc:"The link by which the consumer agrees to it, while it waits for that"`
}

// SubscriptionCreate is what a subscription is made of: one of customer and customerId is given.
type SubscriptionCreate struct {
	Name                   string                `json:"name" minLength:"1" maxLength:"255"`
	PlanID                 string                `json:"planId" pattern:"^plan_[a-zA-Z0-9]+$"`
	CustomerID             string                `json:"customerId,omitempty" pattern:"^cus_[a-zA-Z0-9]+$"`
	Customer               *SubscriptionCustomer `json:"customer,omitempty"`
	StartedAt              string                `json:"startedAt" format:"date-time"`
	EndingAt               string                `json:"endingAt,omitempty" format:"date-time"`
	AutoCharge             bool                  `json:"autoCharge,omitempty"`
	TaxExempt              bool                  `json:"taxExempt,omitempty"`
	MinimumAccountBalance  string                `json:"minimumAccountBalance,omitempty" doc:"In units of the currency, such as 200.00"`
	PrefundAmount          string                `json:"prefundAmount,omitempty" deprecated:"true" doc:"What minimumAccountBalance was called"`
	RedirectURLs           *RedirectURLs         `json:"redirectUrls,omitempty"`
	TestClockID            string                `json:"testClockId,omitempty"`
	RenewalReminderEnabled *bool                 `json:"renewalReminderEnabled,omitempty" nullable:"true"`
	RenewalReminderDays    *int                  `json:"renewalReminderDays,omitempty" nullable:"true" minimum:"1" maximum:"30"`
	SessionExpiryMinutes   float64               `json:"sessionExpiryMinutes,omitempty" minimum:"1"`
	WalletID               string                `json:"walletId,omitempty" pattern:"^acc_[a-zA-Z0-9]+$" doc:"The wallet that pays, such as a virtual one that was made for this"`
	VirtualWallet          bool                  `json:"virtualWallet,omitempty" doc:"It is paid from a virtual wallet of its own, which is opened with it"`
}

// SubscriptionCustomer is what a customer is made of along with a subscription.
type SubscriptionCustomer struct {
	Name     string             `json:"name" minLength:"1" maxLength:"255"`
	Email    string             `json:"email" minLength:"3" maxLength:"254"`
	Phone    string             `json:"phone,omitempty" maxLength:"255"`
	Address  FullAddress        `json:"address"`
	TaxRates map[string]float64 `json:"taxRates,omitempty"`
}

// FullAddress is a postal address of which the tax can be told.
type FullAddress struct {
	Line1   string `json:"line1,omitempty" maxLength:"255"`
	Line2   string `json:"line2,omitempty" maxLength:"255"`
	City    string `json:"city,omitempty" maxLength:"255"`
	State   string `json:"state,omitempty" maxLength:"255" doc:"Required in the United States and Canada"`
	Country string `json:"country" minLength:"2" maxLength:"2"`
	ZipCode string `json:"zipCode" minLength:"1" maxLength:"255"`
}

// RedirectURLs say where a payer goes from the checkout.
type RedirectURLs struct {
	OnSuccess string `json:"onSuccess,omitempty" format:"uri"`
	OnFailure string `json:"onFailure,omitempty" format:"uri"`
}

// SubscriptionTermination says why a subscription ends.
type SubscriptionTermination struct {
	Reason string `json:"reason" minLength:"1" maxLength:"1000"`
}

func renderSubscription(s *query.Subscription) (Subscription, error) {
	return Subscription{
		ID: s.ID.String(), Object: "subscription", Name: s.Name, CustomerID: s.Customer.String(), PlanID: s.Plan.String(),
		Status: string(s.Status), StartedAt: s.StartedAt, EndingAt: maybe(s.EndingAt), WalletID: s.Wallet.String(),
		TestClockID: s.Clock.String(), TerminatedAt: maybe(s.EndedAt), TerminatedBy: s.EndedBy, TerminationReason: s.Reason,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, AutoCharge: s.AutoCharge, TaxExempt: s.TaxExempt, EstimatedTaxRate: s.TaxRate, MinimumAccountBalance: nanosText(s.Minimum),
		PrefundAmount: nanosText(s.Minimum), RenewalReminderEnabled: s.Reminders, RenewalReminderDays: s.ReminderDays, Payment: s.Payment,
		Authorization: s.Authorization,
	}, nil
}

// maybe returns a time, or nil for none.
func maybe(t events.Time) *events.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (a *API) subscriptions() []operation {
	return []operation{{
		id: "createSubscription", method: http.MethodPost, path: "/v0/subscriptions", tag: "Subscriptions",
		summary: "Subscribe a customer to a plan, or find the subscription that there is", body: bodyOf[SubscriptionCreate](),
		answers: map[int]bodyType{200: bodyOf[Subscription](), 201: bodyOf[Subscription]()}, handle: a.createSubscription,
	}, {
		id: "listSubscriptions", method: http.MethodGet, path: "/v0/subscriptions", tag: "Subscriptions", summary: "List subscriptions",
		params: []param{
			identity("consumerId", "org"), identity("customerId", "cus"), identity("merchantId", "org"),
			words("status", "active", "terminated", "pending_payment"), instant("startedBefore"), words("include", "customer"),
			text("limit", 0, 20), text("offset", 0, 20),
		},
		answers: answers[query.APIList[Subscription]](http.StatusOK), handle: a.listSubscriptions,
	}, {
		id: "getSubscription", method: http.MethodGet, path: "/v0/subscriptions/{id}", tag: "Subscriptions", summary: "Show a subscription",
		answers: answers[Subscription](http.StatusOK),
		handle:  func(c *call) (answer, error) { return shown(c, "subscription", c.subscription) },
	}, {
		id: "terminateSubscription", method: http.MethodPost, path: "/v0/subscriptions/{id}/termination", tag: "Subscriptions",
		summary: "End a subscription", body: bodyOf[SubscriptionTermination](), answers: answers[Subscription](http.StatusOK),
		handle: func(c *call) (answer, error) {
			return changed(c, "subscription", "TerminateSubscription", "subscriptionId", http.StatusOK, c.subscription)
		},
	}, {
		id: "updateSubscription", method: http.MethodPatch, path: "/v0/subscriptions/{id}", tag: "Subscriptions",
		summary: "Change a subscription", body: bodyOf[SubscriptionUpdate](), answers: answers[Subscription](http.StatusOK),
		handle: func(c *call) (answer, error) {
			return changed(c, "subscription", "UpdateSubscription", "subscriptionId", http.StatusOK, c.subscription)
		},
	}}
}

func (a *API) createSubscription(c *call) (answer, error) {
	d, err := c.carryOut("CreateSubscription")
	if err != nil {
		return answer{}, err
	}
	id, err := idOf[events.SubscriptionNoun](&d)
	if err != nil {
		return answer{}, err
	}
	body, err := c.subscription(id)
	return answer{d.status(http.StatusCreated, http.StatusOK), body}, err
}

func (a *API) listSubscriptions(c *call) (answer, error) {
	for name, bounds := range map[string][3]int{"limit": {1, mostLimit, usualLimit}, "offset": {0, mostOffset, 0}} {
		n, err := bounds[2], error(nil)
		if s := c.text(name); s != "" {
			n, err = strconv.Atoi(s)
		}
		if err != nil || n < bounds[0] || n > bounds[1] {
			return answer{}, invalid(name, "must be an integer from "+strconv.Itoa(bounds[0])+" to "+strconv.Itoa(bounds[1]))
		}
		c.values[name] = n
	}
	args := query.SubscriptionsArgs{At: c.at(), Page: c.page(), Status: projections.Status(c.text("status"))}
	var ok [3]bool
	args.Merchant, ok[0] = queryID[events.OrganizationNoun](c, "merchantId")
	args.Customer, ok[1] = queryID[events.CustomerNoun](c, "customerId")
	args.Consumer, ok[2] = queryID[events.OrganizationNoun](c, "consumerId")
	var err error
	if args.StartedBefore, err = c.moment("startedBefore"); err != nil {
		return answer{}, err
	}
	if ok != [3]bool{true, true, true} {
		return nothing[Subscription](c)
	}
	list, err := a.opts.Queries.Subscriptions(c.ctx, c.who, args)
	if err != nil || c.text("include") == "" {
		return listing(c, list, err, renderSubscription)
	}
	return listing(c, list, nil, func(s *query.Subscription) (Subscription, error) {
		v, err := renderSubscription(s)
		if err != nil {
			return v, err
		}
		parties, err := a.opts.Queries.Parties(c.ctx, c.who, query.CustomerArgs{At: c.at(), Customer: s.Customer})
		v.Customer = &parties
		return v, err
	})
}

func (c *call) subscription(id events.SubscriptionID) (Subscription, error) {
	s, err := c.api.opts.Queries.Subscription(c.ctx, c.who, query.SubscriptionArgs{At: c.at(), Subscription: id})
	if err != nil {
		return Subscription{}, err
	}
	return renderSubscription(&s)
}

// nanosText returns an amount in nanos as digits.
func nanosText(n events.Nanos) string { return strconv.FormatInt(int64(n), 10) }

// SubscriptionUpdate is what of a subscription can be changed.
type SubscriptionUpdate struct {
	EndingAt               *string `json:"endingAt,omitempty" format:"date-time" nullable:"true"`
	Status                 string  `json:"status,omitempty" enum:"active,terminated"`
	TerminatedAt           string  `json:"terminatedAt,omitempty" format:"date-time" doc:"With the status terminated: when it is to have ended, if nothing was billed since; later than now stands for now"`
	TerminatedBy           string  `json:"terminatedBy,omitempty"`
	TerminationReason      string  `json:"terminationReason,omitempty" maxLength:"1000"`
	AutoCharge             *bool   `json:"autoCharge,omitempty"`
	TaxExempt              *bool   `json:"taxExempt,omitempty"`
	MinimumAccountBalance  string  `json:"minimumAccountBalance,omitempty" doc:"In units of the currency"`
	RenewalReminderEnabled *bool   `json:"renewalReminderEnabled,omitempty" nullable:"true"`
	RenewalReminderDays    *int    `json:"renewalReminderDays,omitempty" nullable:"true" minimum:"1" maximum:"30"`
	PaymentTermDays        *int    `json:"paymentTermDays,omitempty" minimum:"0" maximum:"365"`
}
