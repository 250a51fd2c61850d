package pages

import (
	"context"
	"math/big"

	"tallystick/commands"
	"tallystick/internal/query"
)

// maxListed is how many of each list a portal shows.
const maxListed = 100

// entitled is what a subscription gives besides its plan.
type entitled struct {
	Features []portalFeature
	Holds    []portalHold
}

// portalFeature is a feature that a subscription gives, with its grants where its use is counted.
type portalFeature struct {
	query.APIEntitlement
	Name   string
	Grants []query.APIGrant
}

// portalHold is money of the wallet that is reserved for usage.
type portalHold struct {
	query.Reservation
	For []heldFor
}

// heldFor is a part of what a reservation is for.
type heldFor struct {
	Name, Unit, Quantity string
}

// entitledBy returns what a subscription gives: features, grants and reservations.
func (p *Pages) entitledBy(ctx context.Context, sub *query.Subscription) (v entitled, err error) {
	q := p.opts.Queries
	list, err := q.ListEntitlements(ctx, reader, query.ListEntitlementsArgs{
		Customer: sub.Customer, APIPage: query.APIPage{Limit: maxListed},
	})
	if err != nil {
		return v, err
	}
	for _, one := range list.Data {
		if one.Subscription != nil && *one.Subscription != sub.ID {
			continue // what was given by hand is the customer's, whatever it subscribes to
		}
		f := portalFeature{APIEntitlement: one, Name: one.Key}
		feature, err := q.GetFeature(ctx, reader, query.GetFeatureArgs{Feature: one.Feature})
		if err == nil {
			f.Name = feature.Name
		} else if commands.CodeOf(err) != commands.NotFound { // a feature may be gone, and what it has given not
			return v, err
		}
		if one.Balance != nil {
			grants, err := q.ListGrants(ctx, reader, query.ListGrantsArgs{Entitlement: one.ID, APIPage: query.APIPage{Limit: maxListed}})
			if err != nil {
				return v, err
			}
			f.Grants = grants.Data
		}
		v.Features = append(v.Features, f)
	}
	open, err := q.ActiveEntitlements(ctx, reader, query.ActiveEntitlementsArgs{
		Customer: sub.Customer, Subscription: sub.ID, APIPage: query.APIPage{Limit: maxListed},
	})
	if err != nil {
		return v, err
	}
	for _, one := range open.Data {
		hold, err := p.hold(ctx, one.ID)
		if err != nil {
			return v, err
		}
		v.Holds = append(v.Holds, hold)
	}
	return v, nil
}

// hold returns a reservation, with what it is for in words.
func (p *Pages) hold(ctx context.Context, id string) (h portalHold, err error) {
	var args query.ReservationArgs
	if err := args.Reservation.UnmarshalText([]byte(id)); err != nil {
		return h, err
	}
	if h.Reservation, err = p.opts.Queries.Reservation(ctx, reader, args); err != nil {
		return h, err
	}
	for _, part := range h.Metrics {
		metric, err := p.opts.Queries.GetMetric(ctx, reader, query.GetMetricArgs{Metric: part.Metric})
		if err != nil {
			return h, err
		}
		h.For = append(h.For, heldFor{metric.Name, metric.Unit, grouped(big.NewInt(part.Quantity), 0, 0)})
	}
	return h, nil
}

// ownWallet reports whether a portal may show the wallet: one that pays this merchant alone. Any other is its consumer's, who
// signs in to see it; the merchant, who makes the link, has no business there.
func (v *portalView) ownWallet() bool { return v.Wallet.Bound == v.Sub.Merchant }
