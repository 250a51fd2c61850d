package httpapi

import (
	"net/http"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
)

// EntitlementCreate is what a reservation of money is made of.
type EntitlementCreate struct {
	MerchantID      string            `json:"merchantId" pattern:"^org_[a-zA-Z0-9]+$"`
	CustomerID      string            `json:"customerId" pattern:"^cus_[a-zA-Z0-9]+$"`
	EntitlementData []EntitlementPart `json:"entitlementData" minItems:"1" nullable:"false"`
	MaxUses         int               `json:"maxUses,omitempty" minimum:"1" maximum:"1000"`
	ExpiresAt       string            `json:"expiresAt,omitempty" format:"date-time"`
}

// EntitlementPart is what is reserved for one metric.
type EntitlementPart struct {
	BillableMetricID string  `json:"billableMetricId" pattern:"^bm_[a-zA-Z0-9]+$"`
	Quantity         float64 `json:"quantity" minimum:"0"`
	Price            string  `json:"price,omitempty" pattern:"^[0-9]+(\\.[0-9]{1,9})?$"`
}

func (a *API) entitlements() []operation {
	const tag = "Entitlements"
	return []operation{{
		id: "createEntitlement", method: http.MethodPost, path: "/v0/entitlements", tag: tag, summary: "Set money aside for usage to come",
		body: bodyOf[EntitlementCreate](), answers: answers[query.Reservation](http.StatusCreated), known: map[commands.Code]int{
			commands.InsufficientFunds: http.StatusBadRequest, commands.SubscriptionNotActive: http.StatusBadRequest,
			commands.MetricNotPriced: http.StatusBadRequest, commands.AmountOutOfRange: http.StatusBadRequest,
		},
		handle: func(c *call) (answer, error) { return made(c, "CreateEntitlement", http.StatusCreated, c.reservation) },
	}, {
		id: "getActiveEntitlements", method: http.MethodGet, path: "/v0/entitlements/activeEntitlements", tag: tag, summary: "List a customer's reservations that can be used",
		params:  paged(identity("customerId", "cus").needed(), identity("productId", "prod"), identity("subscriptionId", "sub")),
		answers: answers[query.APIList[query.ActiveEntitlement]](http.StatusOK), handle: a.activeEntitlements,
	}}
}

func (a *API) activeEntitlements(c *call) (answer, error) {
	args := query.ActiveEntitlementsArgs{APIPage: c.apiPage()}
	var found [3]bool
	args.Customer, found[0] = queryID[events.CustomerNoun](c, "customerId")
	args.Product, found[1] = queryID[events.ProductNoun](c, "productId")
	args.Subscription, found[2] = queryID[events.SubscriptionNoun](c, "subscriptionId")
	switch {
	case !found[0]:
		return answer{}, missing("customer", c.text("customerId"))
	case found != [3]bool{true, true, true}:
		return nothing[query.ActiveEntitlement](c)
	}
	return ok(a.opts.Queries.ActiveEntitlements(c.ctx, c.who, args))
}

func (c *call) reservation(id events.ReservationID) (query.Reservation, error) {
	args := query.ReservationArgs{At: c.at()}
	if err := args.Reservation.UnmarshalText(id.AppendText(nil)); err != nil {
		return query.Reservation{}, err
	}
	return c.api.opts.Queries.Reservation(c.ctx, c.who, args)
}
