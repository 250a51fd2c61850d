package query

import (
	"context"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// OneArgs name a thing by its identity.
type OneArgs[K any] struct {
	At
	ID K `json:"id"`
}

// one answers what a thing is, to those who may know of it.
func one[K interface {
	comparable
	String() string
}, V, T any](ctx context.Context, s *Service, who wire.Who, args OneArgs[K], what string, of func(*reading, K) (*V, events.OrganizationID), render func(*reading, K, *V) (T, error),
) (thing T, err error) {
	err = s.read(ctx, who, args.At, func(r *reading) (err error) {
		row, merchant := of(r, args.ID)
		if row == nil || !r.who.sees(merchant) {
			return missing(what, args.ID.String())
		}
		thing, err = render(r, args.ID, row)
		return err
	})
	return thing, err
}

// Clock answers what a test clock shows.
func (s *Service) Clock(ctx context.Context, who wire.Who, args OneArgs[events.TestClockID]) (Clock, error) {
	of := func(r *reading, id events.TestClockID) (*projections.Clock, events.OrganizationID) {
		row := r.books.Clocks.Get(id)
		if row == nil {
			return nil, events.OrganizationID{}
		}
		return row, row.Merchant
	}
	return one(ctx, s, who, args, "test clock", of, func(_ *reading, id events.TestClockID, c *projections.Clock) (Clock, error) {
		return renderClock(id, c), nil
	})
}

// Product answers what a product is.
func (s *Service) Product(ctx context.Context, who wire.Who, args OneArgs[events.ProductID]) (Product, error) {
	of := func(r *reading, id events.ProductID) (*projections.Product, events.OrganizationID) {
		row := r.books.Products.Get(id)
		if row == nil {
			return nil, events.OrganizationID{}
		}
		return row, row.Merchant
	}
	return one(ctx, s, who, args, "product", of, func(_ *reading, id events.ProductID, p *projections.Product) (Product, error) {
		return Product{id, p.Merchant, p.Name, p.Description, p.Metadata, p.At}, nil
	})
}

// Metric answers what a metric is.
func (s *Service) Metric(ctx context.Context, who wire.Who, args OneArgs[events.MetricID]) (Metric, error) {
	of := func(r *reading, id events.MetricID) (*projections.Metric, events.OrganizationID) {
		row := r.books.Metrics.Get(id)
		if row == nil {
			return nil, events.OrganizationID{}
		}
		return row, row.Merchant
	}
	return one(ctx, s, who, args, "billable metric", of, func(_ *reading, id events.MetricID, m *projections.Metric) (Metric, error) {
		return Metric{id, m.Merchant, m.Product, m.Name, m.Description, m.Unit, m.Aggregation, m.At}, nil
	})
}

// Price answers what a price is.
func (s *Service) Price(ctx context.Context, who wire.Who, args OneArgs[events.PriceID]) (Price, error) {
	of := func(r *reading, id events.PriceID) (*projections.Price, events.OrganizationID) {
		row := r.books.Prices.Get(id)
		if row == nil {
			return nil, events.OrganizationID{}
		}
		return row, row.Merchant
	}
	return one(ctx, s, who, args, "price", of, func(_ *reading, id events.PriceID, p *projections.Price) (Price, error) {
		return Price{id, p.Revision, p.Merchant, p.Metric, p.Model, p.Term, p.DisplayName, events.SumOf(p.UnitPrice), p.At}, nil
	})
}

// Plan answers what a plan is.
func (s *Service) Plan(ctx context.Context, who wire.Who, args OneArgs[events.PlanID]) (Plan, error) {
	of := func(r *reading, id events.PlanID) (*projections.Plan, events.OrganizationID) {
		row := r.books.Plans.Get(id)
		if row == nil {
			return nil, events.OrganizationID{}
		}
		return row, row.Merchant
	}
	return one(ctx, s, who, args, "plan", of, func(_ *reading, id events.PlanID, p *projections.Plan) (Plan, error) {
		return renderPlan(id, p), nil
	})
}

// Key answers what an API key is for.
func (s *Service) Key(ctx context.Context, who wire.Who, args OneArgs[events.KeyID]) (Key, error) {
	of := func(r *reading, id events.KeyID) (*projections.Key, events.OrganizationID) {
		row := r.books.Keys.Get(id)
		if row == nil {
			return nil, events.OrganizationID{}
		}
		return row, row.Merchant
	}
	return one(ctx, s, who, args, "key", of, func(_ *reading, id events.KeyID, k *projections.Key) (Key, error) {
		return Key{id, k.Role, k.Merchant, k.Name, k.Created, k.Revoked}, nil
	})
}
