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
