package query

import (
	"context"
	"encoding/json"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// Units is a number of units, which JSON has as a number.
type Units events.Sum

// MarshalJSON writes digits with at most 9 decimals, without an exponent.
func (u Units) MarshalJSON() ([]byte, error) { return []byte(events.Sum(u).String()), nil }

// APIFeature is a feature.
type APIFeature struct {
	ID        events.FeatureID      `json:"id"`
	Object    string                `json:"object"` // "feature"
	Key       string                `json:"key"`
	Name      string                `json:"name"`
	Type      events.FeatureType    `json:"type"`
	Merchant  events.OrganizationID `json:"merchantId"`
	Product   events.ProductID      `json:"productId"`
	Metadata  map[string]string     `json:"metadata"`
	CreatedAt events.Time           `json:"createdAt"`
	UpdatedAt events.Time           `json:"updatedAt"`
}

// APIEntitlement is an entitlement and what it gives at a moment. The last six are there for metered features.
type APIEntitlement struct {
	ID           events.EntitlementID          `json:"id"`
	Again        events.EntitlementID          `json:"entitlementId"` // as lists call it
	Object       string                        `json:"object"`        // "entitlement"
	Customer     events.CustomerID             `json:"customerId"`
	Feature      events.FeatureID              `json:"featureId"`
	Key          string                        `json:"featureKey"`
	Type         events.FeatureType            `json:"featureType"`
	Product      events.ProductID              `json:"productId"`
	Subscription *events.SubscriptionID        `json:"subscriptionId"`
	Status       projections.EntitlementStatus `json:"status"`
	ActiveFrom   events.Time                   `json:"activeFrom"`
	ActiveTo     *events.Time                  `json:"activeTo"`
	HasAccess    bool                          `json:"hasAccess"`
	Config       json.RawMessage               `json:"config"` // null but for static features
	Metadata     map[string]string             `json:"metadata,omitempty"`
	Halted       string                        `json:"halted,omitempty"` // why its due actions have stopped, if they have

	Soft        *bool        `json:"isSoftLimit,omitempty"`
	Balance     *Units       `json:"balance"`
	Used        *Units       `json:"usageInPeriod"`
	Overage     *Units       `json:"overage"`
	PeriodStart *events.Time `json:"currentPeriodStart"`
	PeriodEnd   *events.Time `json:"currentPeriodEnd"`
}

// APIGrant is a grant of units.
type APIGrant struct {
	Object      string               `json:"object"` // "grant"
	ID          events.GrantID       `json:"id"`
	Entitlement events.EntitlementID `json:"entitlementId"`
	Amount      Units                `json:"amount"`
	Left        Units                `json:"remaining"`
	EffectiveAt events.Time          `json:"effectiveAt"`
	ExpiresAt   *events.Time         `json:"expiresAt"`
	VoidedAt    *events.Time         `json:"voidedAt"`
	CreatedAt   events.Time          `json:"createdAt"`
	Recurrence  *string              `json:"recurrencePeriod"`
	Key         *string              `json:"idempotencyKey"` // null where the entitlement's terms issued it
	Priority    int64                `json:"priority"`
	MaxRollover Units                `json:"resetMaxRollover"`
	MinRollover Units                `json:"resetMinRollover"`
}

// GetFeatureArgs are the arguments of [Service.GetFeature].
type GetFeatureArgs struct {
	AtLeast events.Seq       `json:"atLeast,omitzero"`
	Feature events.FeatureID `json:"featureId"`
}

// GetFeature answers what a feature is.
func (s *Service) GetFeature(ctx context.Context, who wire.Who, args GetFeatureArgs) (APIFeature, error) {
	return apiOne(ctx, s, who, args.AtLeast, "feature", args.Feature,
		func(b *projections.Books) *projections.Table[events.FeatureID, projections.Feature] {
			return b.Features
		},
		func(f *projections.Feature) events.OrganizationID { return f.Merchant }, (*reading).renderFeature)
}

// ListFeaturesArgs are the arguments of [Service.ListFeatures].
type ListFeaturesArgs struct {
	APIPage
	Product events.ProductID `json:"productId"`
	Key     string           `json:"key,omitempty"`
}

// ListFeatures lists the features of a product.
func (s *Service) ListFeatures(ctx context.Context, who wire.Who, args ListFeaturesArgs) (list APIList[APIFeature], err error) {
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) (err error) {
		p := r.books.Products.Get(args.Product)
		if p == nil || !r.who.sees(p.Merchant) {
			return missing("product", args.Product.String())
		}
		list, err = listing[events.FeatureID, projections.Feature, APIFeature]{
			table: r.books.Features, from: source{projections.LinkFeaturesOfProduct, args.Product}, render: r.renderFeature,
			match: func(f *projections.Feature) bool { return args.Key == "" || f.Key == args.Key },
		}.apiPage(r, args.APIPage)
		return err
	})
	return list, err
}

func (r *reading) renderFeature(id events.FeatureID, f *projections.Feature) (APIFeature, error) {
	metadata := f.Metadata
	if metadata == nil {
		metadata = map[string]string{}
	}
	return APIFeature{id, "feature", f.Key, f.Name, f.Type, f.Merchant, f.Product, metadata, f.At, f.UpdatedAt}, nil
}

// GetEntitlementArgs are the arguments of [Service.GetEntitlement].
type GetEntitlementArgs struct {
	AtLeast     events.Seq           `json:"atLeast,omitzero"`
	Entitlement events.EntitlementID `json:"entitlementId"`
	At          events.Time          `json:"at,omitzero"` // what it gives then, as things stand; default now
}

// GetEntitlement answers what an entitlement gives.
func (s *Service) GetEntitlement(ctx context.Context, who wire.Who, args GetEntitlementArgs) (APIEntitlement, error) {
	return apiOne(ctx, s, who, args.AtLeast, entitlement, args.Entitlement,
		func(b *projections.Books) *projections.Table[events.EntitlementID, projections.Entitlement] {
			return b.Entitlements
		},
		func(e *projections.Entitlement) events.OrganizationID { return e.Merchant },
		func(r *reading, id events.EntitlementID, e *projections.Entitlement) (APIEntitlement, error) {
			return r.renderEntitlement(id, e, args.At)
		})
}

// ListEntitlementsArgs are the arguments of [Service.ListEntitlements].
type ListEntitlementsArgs struct {
	APIPage
	Customer     events.CustomerID     `json:"customerId"`
	FeatureKey   string                `json:"featureKey,omitempty"`
	Product      events.ProductID      `json:"productId,omitzero"`
	Subscription events.SubscriptionID `json:"subscriptionId,omitzero"`
	At           events.Time           `json:"at,omitzero"`
}

// ListEntitlements lists what a customer is or was entitled to.
func (s *Service) ListEntitlements(ctx context.Context, who wire.Who, args ListEntitlementsArgs) (list APIList[APIEntitlement], err error) {
	if args.Customer.IsZero() {
		return list, commands.Reject(commands.Invalid, "customerId is required")
	}
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) (err error) {
		if _, err := r.customer(args.Customer); err != nil {
			return err
		}
		list, err = listing[events.EntitlementID, projections.Entitlement, APIEntitlement]{
			table: r.books.Entitlements, from: source{projections.LinkEntitlementsOfCustomer, args.Customer},
			match: func(e *projections.Entitlement) bool {
				return (args.Product.IsZero() || e.Product == args.Product) && (args.Subscription.IsZero() || e.Subscription == args.Subscription) &&
					(args.FeatureKey == "" || r.featureKey(e.Feature) == args.FeatureKey)
			},
			render: func(id events.EntitlementID, e *projections.Entitlement) (APIEntitlement, error) {
				return r.renderEntitlement(id, e, args.At)
			},
		}.apiPage(r, args.APIPage)
		return err
	})
	return list, err
}

// featureKey returns the key of a feature, "" of one that is gone.
func (r *reading) featureKey(id events.FeatureID) string {
	if f := r.books.Features.Get(id); f != nil {
		return f.Key
	}
	return ""
}

func (r *reading) renderEntitlement(id events.EntitlementID, e *projections.Entitlement, at events.Time) (APIEntitlement, error) {
	if at == 0 {
		now, _ := events.TimeOf(r.opts.Clock())
		at = r.books.ClockNow(e.Clock, now)
	}
	out := APIEntitlement{
		ID: id, Again: id, Object: entitlement, Customer: e.Customer, Feature: e.Feature, Key: r.featureKey(e.Feature), Type: e.Terms.Type,
		Product: e.Product, Subscription: orNull(e.Subscription), Status: e.Status, ActiveFrom: e.ActiveFrom, ActiveTo: orNull(e.ActiveTo),
		HasAccess: e.ActiveAt(at), Halted: e.Parked,
	}
	switch e.Terms.Type {
	case events.FeatureStatic:
		out.Config = json.RawMessage(e.Terms.Config)
	case events.FeatureMetered:
		units := r.books.UnitsAt(e, at)
		out.HasAccess = out.HasAccess && (e.Terms.Soft || units.Sign() > 0)
		balance, used, overage := Units(units), Units(e.Used), Units(e.Overage)
		out.Soft, out.Balance, out.Used, out.Overage = &e.Terms.Soft, &balance, &used, &overage
		out.PeriodStart, out.PeriodEnd = orNull(e.PeriodStart), orNull(e.PeriodEnd)
	case events.FeatureBoolean:
	}
	if e.Metadata.IsZero() {
		return out, nil
	}
	_, err := r.unsealInto(e.Metadata, wire.PurposeEntitlement, &out.Metadata)
	return out, err
}

// GetGrantArgs are the arguments of [Service.GetGrant].
type GetGrantArgs struct {
	AtLeast     events.Seq           `json:"atLeast,omitzero"`
	Entitlement events.EntitlementID `json:"entitlementId"`
	Grant       events.GrantID       `json:"grantId"`
}

// GetGrant answers how a grant stands.
func (s *Service) GetGrant(ctx context.Context, who wire.Who, args GetGrantArgs) (grant APIGrant, err error) {
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) (err error) {
		g := r.books.Grants.Get(args.Grant)
		if g == nil || g.Entitlement != args.Entitlement || !r.who.sees(r.books.Entitlements.Get(g.Entitlement).Merchant) {
			return missing("grant", args.Grant.String())
		}
		grant, err = renderGrant(args.Grant, g)
		return err
	})
	return grant, err
}

// ListGrantsArgs are the arguments of [Service.ListGrants].
type ListGrantsArgs struct {
	APIPage
	Entitlement events.EntitlementID `json:"entitlementId"`
	Voided      bool                 `json:"includeVoided,omitempty"`
}

// ListGrants lists the grants of an entitlement.
func (s *Service) ListGrants(ctx context.Context, who wire.Who, args ListGrantsArgs) (list APIList[APIGrant], err error) {
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) (err error) {
		e := r.books.Entitlements.Get(args.Entitlement)
		if e == nil || !r.who.sees(e.Merchant) {
			return missing(entitlement, args.Entitlement.String())
		}
		if args.Limit == 0 {
			args.Limit = 20
		}
		list, err = listing[events.GrantID, projections.Grant, APIGrant]{
			table: r.books.Grants, from: source{projections.LinkGrantsOfEntitlement, args.Entitlement}, render: renderGrant,
			match: func(g *projections.Grant) bool { return args.Voided || g.VoidedAt == 0 },
		}.apiPage(r, args.APIPage)
		return err
	})
	return list, err
}

func renderGrant(id events.GrantID, g *projections.Grant) (APIGrant, error) {
	return APIGrant{
		Object: "grant", ID: id, Entitlement: g.Entitlement, Amount: Units(g.Amount), Left: Units(g.Left), EffectiveAt: g.EffectiveAt,
		ExpiresAt: orNull(g.ExpiresAt), VoidedAt: orNull(g.VoidedAt), CreatedAt: g.CreatedAt, Recurrence: orNull(string(g.Recurrence)),
		Key: orNull(g.Key), Priority: g.Priority, MaxRollover: Units(g.MaxRollover), MinRollover: Units(g.MinRollover),
	}, nil
}
