package httpapi

import (
	"net/http"

	"tallystick/events"
	"tallystick/internal/query"
)

// FeatureCreate is what a feature is made of.
type FeatureCreate struct {
	MerchantID string            `json:"merchantId" pattern:"^org_[a-zA-Z0-9]+$"`
	ProductID  string            `json:"productId" pattern:"^prod_[a-zA-Z0-9]+$"`
	Key        string            `json:"key" pattern:"^[a-z0-9]+(?:-[a-z0-9]+)*$" maxLength:"255" doc:"What programs call it"`
	Name       string            `json:"name" minLength:"1" maxLength:"255"`
	Type       string            `json:"type,omitempty" enum:"metered,static,boolean" default:"boolean"`
	Metadata   map[string]string `json:"metadata,omitempty"`
}

// FeatureUpdate says what of a feature changes.
type FeatureUpdate struct {
	Key      string            `json:"key,omitempty" pattern:"^[a-z0-9]+(?:-[a-z0-9]+)*$" maxLength:"255"`
	Name     string            `json:"name,omitempty" minLength:"1" maxLength:"255"`
	Type     string            `json:"type,omitempty" enum:"metered,static,boolean"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// EntitlementIssue is what an entitlement to a feature is made of.
type EntitlementIssue struct {
	MerchantID     string            `json:"merchantId,omitempty" pattern:"^org_[a-zA-Z0-9]+$"`
	CustomerID     string            `json:"customerId" pattern:"^cus_[a-zA-Z0-9]+$"`
	FeatureID      string            `json:"featureId" pattern:"^feat_[a-zA-Z0-9]+$"`
	Template       map[string]any    `json:"template" doc:"What it gives: type, and for metered features the period and the limits"`
	ActiveFrom     string            `json:"activeFrom,omitempty" format:"date-time"`
	ActiveTo       *string           `json:"activeTo,omitempty" format:"date-time" nullable:"true"`
	SubscriptionID *string           `json:"subscriptionId,omitempty" nullable:"true"`
	Metadata       map[string]string `json:"metadata,omitempty"`
}

// GrantCreate is what a grant of units is made of.
type GrantCreate struct {
	Amount           float64 `json:"amount" doc:"Units"`
	IdempotencyKey   string  `json:"idempotencyKey" minLength:"1" maxLength:"255"`
	EffectiveAt      string  `json:"effectiveAt,omitempty" format:"date-time"`
	ExpiresAt        *string `json:"expiresAt,omitempty" format:"date-time" nullable:"true"`
	RecurrencePeriod *string `json:"recurrencePeriod,omitempty" nullable:"true"`
	Priority         int     `json:"priority,omitempty" minimum:"-32768" maximum:"32767"`
	ResetMaxRollover float64 `json:"resetMaxRollover,omitempty"`
	ResetMinRollover float64 `json:"resetMinRollover,omitempty"`
}

// GrantPurchase is what a grant of units is bought with.
type GrantPurchase struct {
	Amount           float64 `json:"amount" doc:"Units"`
	Price            string  `json:"price" pattern:"^[0-9]+(\\.[0-9]{1,9})?$" doc:"Of all of them, 0.50 to 4503599.62. The wallet pays it at once, if it holds enough"`
	IdempotencyKey   string  `json:"idempotencyKey" minLength:"1" maxLength:"255"`
	EffectiveAt      string  `json:"effectiveAt,omitempty" format:"date-time"`
	ExpiresAt        *string `json:"expiresAt,omitempty" format:"date-time" nullable:"true"`
	SuccessURL       string  `json:"successUrl,omitempty" format:"uri" doc:"Where a payment session sends its payer, if there is one"`
	CancelURL        string  `json:"cancelUrl,omitempty" format:"uri" doc:"Likewise, if it ends unpaid"`
	PaymentExpiresAt string  `json:"paymentExpiresAt,omitempty" format:"date-time" doc:"When the payment session expires, in at most 31 days; 240 minutes from now where it is not given, and when the units do at the latest"`
}

// purchaseGrant sells units, which the wallet pays, or else a payment session.
func (a *API) purchaseGrant(c *call) (answer, error) {
	id, err := pathID[events.EntitlementNoun](c, "entitlementId", "entitlement")
	if err != nil {
		return answer{}, err
	}
	return made(c, "PurchaseGrant", http.StatusCreated, func(grant events.GrantID) (query.PurchaseGrantResponse, error) {
		return a.opts.Queries.GetGrantPurchase(c.ctx, c.who, query.GetGrantPurchaseArgs{AtLeast: c.atLeast(), Entitlement: id, Grant: grant})
	}, named("entitlementId", id.String()))
}

func (a *API) features() []operation {
	const tag, path = "Features", "/v0/features"
	return []operation{{
		id: "createFeature", method: http.MethodPost, path: path, tag: tag, summary: "Make a feature",
		body: bodyOf[FeatureCreate](), answers: answers[query.APIFeature](http.StatusCreated),
		handle: func(c *call) (answer, error) { return made(c, "CreateFeature", http.StatusCreated, c.feature) },
	}, {
		id: "listFeatures", method: http.MethodGet, path: path, tag: tag, summary: "List the features of a product",
		params:  paged(identity("productId", "prod").needed(), text("key", 0, 255)),
		answers: answers[query.APIList[query.APIFeature]](http.StatusOK), handle: func(c *call) (answer, error) {
			product, found := queryID[events.ProductNoun](c, "productId")
			if !found {
				return answer{}, missing("product", c.text("productId"))
			}
			return ok(a.opts.Queries.ListFeatures(c.ctx, c.who, query.ListFeaturesArgs{APIPage: c.apiPage(), Product: product, Key: c.text("key")}))
		},
	}, {
		id: "getFeature", method: http.MethodGet, path: path + "/{id}", tag: tag, summary: "Show a feature",
		answers: answers[query.APIFeature](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "feature", c.feature) },
	}, {
		id: "updateFeature", method: http.MethodPatch, path: path + "/{id}", tag: tag, summary: "Change a feature",
		body: bodyOf[FeatureUpdate](), answers: answers[query.APIFeature](http.StatusOK),
		handle: func(c *call) (answer, error) {
			return changed(c, "feature", "UpdateFeature", "featureId", http.StatusOK, c.feature)
		},
	}, {
		id: "deleteFeature", method: http.MethodDelete, path: path + "/{id}", tag: tag, summary: "Delete a feature",
		answers: map[int]bodyType{204: nil},
		handle: func(c *call) (answer, error) {
			return removed[events.FeatureNoun](c, "feature", "DeleteFeature", "featureId")
		},
	}}
}

func (a *API) access() []operation {
	const tag, path = "Entitlements", "/v1/entitlements"
	const grants = path + "/{entitlementId}/grants"
	return []operation{{
		id: "issueEntitlement", method: http.MethodPost, path: path, tag: tag, summary: "Entitle a customer to a feature",
		body: bodyOf[EntitlementIssue](), answers: answers[query.APIEntitlement](http.StatusCreated),
		handle: func(c *call) (answer, error) { return made(c, "IssueEntitlement", http.StatusCreated, c.entitlement) },
	}, {
		id: "listEntitlements", method: http.MethodGet, path: path, tag: tag, summary: "List what a customer is entitled to",
		params: paged(
			identity("customerId", "cus").needed(), text("featureKey", 0, 255), identity("productId", "prod"), identity("subscriptionId", "sub"), instant("at"),
		),
		answers: answers[query.APIList[query.APIEntitlement]](http.StatusOK), handle: a.listEntitlements,
	}, {
		id: "getEntitlement", method: http.MethodGet, path: path + "/{entitlementId}", tag: tag, summary: "Show what an entitlement gives",
		params:  []param{instant("at")},
		answers: answers[query.APIEntitlement](http.StatusOK), handle: func(c *call) (answer, error) {
			id, err := pathID[events.EntitlementNoun](c, "entitlementId", "entitlement")
			if err != nil {
				return answer{}, err
			}
			return ok(c.entitlement(id))
		},
	}, {
		id: "purchaseEntitlementGrant", method: http.MethodPost, path: grants + "/purchase", tag: tag, summary: "Buy units, out of the wallet or by a payment session",
		body: bodyOf[GrantPurchase](), answers: answers[query.PurchaseGrantResponse](http.StatusCreated), handle: a.purchaseGrant,
	}, {
		id: "createEntitlementGrant", method: http.MethodPost, path: grants, tag: tag, summary: "Grant units",
		body: bodyOf[GrantCreate](), answers: answers[query.APIGrant](http.StatusCreated), handle: func(c *call) (answer, error) {
			id, err := pathID[events.EntitlementNoun](c, "entitlementId", "entitlement")
			if err != nil {
				return answer{}, err
			}
			show := func(grant events.GrantID) (query.APIGrant, error) { return c.grant(id, grant) }
			return made(c, "CreateGrant", http.StatusCreated, show, named("entitlementId", id.String()))
		},
	}, {
		id: "listEntitlementGrants", method: http.MethodGet, path: grants, tag: tag, summary: "List the grants of an entitlement",
		params: []param{
			whole("limit", 1, mostLimit, 20), whole("offset", 0, mostOffset, 0), words("includeVoided", "true", "false"),
		},
		answers: answers[query.APIList[query.APIGrant]](http.StatusOK), handle: func(c *call) (answer, error) {
			id, err := pathID[events.EntitlementNoun](c, "entitlementId", "entitlement")
			if err != nil {
				return answer{}, err
			}
			args := query.ListGrantsArgs{APIPage: c.apiPage(), Entitlement: id, Voided: c.text("includeVoided") == "true"}
			return ok(a.opts.Queries.ListGrants(c.ctx, c.who, args))
		},
	}, {
		id: "getEntitlementGrant", method: http.MethodGet, path: grants + "/{grantId}", tag: tag, summary: "Show a grant",
		answers: answers[query.APIGrant](http.StatusOK), handle: func(c *call) (answer, error) { return a.oneGrant(c, "") },
	}, {
		id: "voidEntitlementGrant", method: http.MethodDelete, path: grants + "/{grantId}", tag: tag, summary: "Void a grant",
		answers: answers[query.APIGrant](http.StatusOK), handle: func(c *call) (answer, error) { return a.oneGrant(c, "VoidGrant") },
	}}
}

func (a *API) listEntitlements(c *call) (answer, error) {
	args := query.ListEntitlementsArgs{APIPage: c.apiPage(), FeatureKey: c.text("featureKey")}
	var found [3]bool
	var err error
	args.Customer, found[0] = queryID[events.CustomerNoun](c, "customerId")
	args.Product, found[1] = queryID[events.ProductNoun](c, "productId")
	args.Subscription, found[2] = queryID[events.SubscriptionNoun](c, "subscriptionId")
	if args.At, err = c.moment("at"); err != nil {
		return answer{}, err
	}
	switch {
	case !found[0]:
		return answer{}, missing("customer", c.text("customerId"))
	case found != [3]bool{true, true, true}:
		return nothing[query.APIEntitlement](c)
	}
	return ok(a.opts.Queries.ListEntitlements(c.ctx, c.who, args))
}

// oneGrant carries out a command about the grant in the path, if there is one, and answers with the grant.
func (a *API) oneGrant(c *call, command string) (answer, error) {
	entitlement, err := pathID[events.EntitlementNoun](c, "entitlementId", "entitlement")
	if err != nil {
		return answer{}, err
	}
	grant, err := pathID[events.GrantNoun](c, "grantId", "grant")
	if err == nil && command != "" {
		_, err = c.carryOut(command, named("entitlementId", entitlement.String()), named("grantId", grant.String()))
	}
	if err != nil {
		return answer{}, err
	}
	return ok(c.grant(entitlement, grant))
}

func (c *call) feature(id events.FeatureID) (query.APIFeature, error) {
	return c.api.opts.Queries.GetFeature(c.ctx, c.who, query.GetFeatureArgs{AtLeast: c.atLeast(), Feature: id})
}

func (c *call) entitlement(id events.EntitlementID) (query.APIEntitlement, error) {
	at, err := c.moment("at")
	if err != nil {
		return query.APIEntitlement{}, err
	}
	return c.api.opts.Queries.GetEntitlement(c.ctx, c.who, query.GetEntitlementArgs{AtLeast: c.atLeast(), Entitlement: id, At: at})
}

func (c *call) grant(entitlement events.EntitlementID, id events.GrantID) (query.APIGrant, error) {
	return c.api.opts.Queries.GetGrant(c.ctx, c.who, query.GetGrantArgs{AtLeast: c.atLeast(), Entitlement: entitlement, Grant: id})
}
