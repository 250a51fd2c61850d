package httpapi

import (
	"net/http"
	"time"

	"tallystick/events"
	"tallystick/internal/query"
)

// ofCustomers is the pattern of what there is of a customer, and of the sessions by which somebody becomes one.
const ofCustomers = "/v0/customers/{id}/{part}"

// AuthorizationCreate says whom a merchant asks to become its customer.
type AuthorizationCreate struct {
	Email       string `json:"email" minLength:"3" maxLength:"254" format:"email"`
	RedirectURL string `json:"redirectUrl,omitempty" format:"uri" maxLength:"2048" doc:"Where the consumer goes when it is done"`
	PlanID      string `json:"planId,omitempty" pattern:"^plan_[a-zA-Z0-9]+$" doc:"What the consumer is asked to subscribe to"`
	MerchantID  string `json:"merchantId,omitempty" pattern:"^org_[a-zA-Z0-9]+$" doc:"Default: the key's"`

	MinimumAccountBalance string `json:"minimumAccountBalance,omitempty" doc:"In units of the currency, such as 200.00: what the consumer's wallet is to hold before the subscription starts; it needs a plan"`
}

// AuthorizationSession is a link by which a consumer signs up itself and becomes a customer.
type AuthorizationSession struct {
	ID           string      `json:"id"`
	Object       string      `json:"object" enum:"authorizationSession"`
	Status       string      `json:"status" enum:"pending,completed,expired"`
	ExpiresAt    events.Time `json:"expiresAt" format:"date-time"`
	URL          string      `json:"url" format:"uri"`
	Email        string      `json:"email"`
	MerchantID   string      `json:"merchantId"`
	MerchantName string      `json:"merchantName"`
	PlanID       *string     `json:"planId" nullable:"true"`
	PlanName     *string     `json:"planName" nullable:"true"`
	RedirectURL  *string     `json:"redirectUrl" nullable:"true"`
	CustomerID   *string     `json:"customerId" nullable:"true" doc:"Once it is completed"`
	CreatedAt    events.Time `json:"createdAt" format:"date-time"`

	MinimumAccountBalance string `json:"minimumAccountBalance,omitempty" doc:"In billionths of the currency's unit"`
}

// PortalCreate says how long a link to a portal is good.
type PortalCreate struct {
	ExpiresIn string `json:"expiresIn,omitempty" maxLength:"64" doc:"A duration in ISO 8601 from PT1M to P7D; default PT10M"`
}

// SubscriptionPortal is a link by which a consumer looks at its subscription, without a key.
type SubscriptionPortal struct {
	ID        string      `json:"id"`
	Object    string      `json:"object" enum:"subscriptionPortal"`
	ExpiresAt events.Time `json:"expiresAt" format:"date-time"`
	URL       string      `json:"url" format:"uri"`
}

func (a *API) authorizations() []operation {
	const tag, path = "Customers", "/v0/customers/authorization"
	return []operation{{
		id: "createAuthorizationSession", method: http.MethodPost, path: path, tag: tag,
		summary: "Make a link by which a consumer signs up and becomes a customer",
		body:    bodyOf[AuthorizationCreate](), answers: answers[AuthorizationSession](http.StatusCreated),
		handle: func(c *call) (answer, error) {
			return made(c, "CreateAuthorization", http.StatusCreated, c.authorization)
		},
	}, {
		id: "getAuthorizationSession", method: http.MethodGet, path: path + "/{id}", under: ofCustomers, tag: tag,
		summary: "Show how far a consumer has come", answers: answers[AuthorizationSession](http.StatusOK),
		handle: func(c *call) (answer, error) { return shown(c, "authorization session", c.authorization) },
	}, {
		id: "generatePortalLink", rate: rate{1, time.Second}, method: http.MethodPost, path: "/v0/subscriptions/{id}/portal", tag: "Subscriptions",
		summary: "Make a link by which a consumer looks at its subscription",
		body:    bodyOf[PortalCreate](), answers: answers[SubscriptionPortal](http.StatusOK), handle: func(c *call) (answer, error) {
			sub, err := pathID[events.SubscriptionNoun](c, "id", "subscription")
			if err != nil {
				return answer{}, err
			}
			return made(c, "CreatePortal", http.StatusOK, c.portal, named("subscriptionId", sub.String()))
		},
	}, {
		id: "revokePortalLink", method: http.MethodDelete, path: "/v0/subscriptions/{id}/portal/{portalId}", tag: "Subscriptions",
		summary: "Make such a link good for nothing", answers: map[int]bodyType{204: nil}, handle: func(c *call) (answer, error) {
			return answer{status: http.StatusNoContent}, c.revokePortal()
		},
	}}
}

func (c *call) authorization(id events.AuthorizationID) (AuthorizationSession, error) {
	a, err := c.api.opts.Queries.Authorization(c.ctx, c.who, query.AuthorizationArgs{At: c.at(), Authorization: id})
	switch a.Status {
	case events.AuthorizationPending, events.AuthorizationCompleted, events.AuthorizationExpired:
	case events.AuthorizationRefused, events.AuthorizationCancelled: // clients know no more than that it is good for nothing
		a.Status = events.AuthorizationExpired
	}
	return AuthorizationSession{
		ID: a.ID.String(), Object: "authorizationSession", Status: string(a.Status), ExpiresAt: a.ExpiresAt, URL: a.URL, Email: a.Email,
		MerchantID: a.Merchant.String(), MerchantName: a.MerchantName, PlanID: orNull(a.Plan.String()), PlanName: orNull(a.PlanName),
		RedirectURL: orNull(a.RedirectURL), CustomerID: orNull(a.Customer.String()), CreatedAt: a.CreatedAt,
		MinimumAccountBalance: nanosText(a.Minimum),
	}, err
}

func (c *call) portal(id events.PortalID) (SubscriptionPortal, error) {
	p, err := c.api.opts.Queries.Portal(c.ctx, c.who, query.PortalArgs{At: c.at(), Portal: id})
	return SubscriptionPortal{ID: p.ID.String(), Object: p.Object, ExpiresAt: p.ExpiresAt, URL: p.URL}, err
}

// revokePortal ends a link to the subscription in the path.
func (c *call) revokePortal() error {
	id, err := pathID[events.PortalNoun](c, "portalId", "portal link")
	if err != nil {
		return err
	}
	p, err := c.api.opts.Queries.Portal(c.ctx, c.who, query.PortalArgs{At: c.at(), Portal: id})
	if err == nil && p.Subscription.String() != c.request.PathValue("id") {
		err = missing("portal link", id.String())
	}
	if err == nil {
		_, err = c.carryOut("RevokePortal", named("portalId", id.String()))
	}
	return err
}
