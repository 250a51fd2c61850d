package query

import (
	"context"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// Key is an API key, without its secret.
type Key struct {
	ID       events.KeyID          `json:"id"`
	Role     events.KeyRole        `json:"role"`
	Merchant events.OrganizationID `json:"merchantId,omitzero"`
	Name     string                `json:"name,omitempty"`
	Created  events.Seq            `json:"createdSequence"`
	Revoked  bool                  `json:"revoked"`
}

// KeysArgs are the arguments of [Service.Keys].
type KeysArgs struct {
	At
	Page
	Merchant events.OrganizationID `json:"merchantId,omitzero"`
	Revoked  bool                  `json:"revoked,omitempty"` // those that are revoked too
}

// Keys lists API keys.
func (s *Service) Keys(ctx context.Context, who wire.Who, args KeysArgs) (List[Key], error) {
	of := CatalogArgs{At: args.At, Page: args.Page, Merchant: args.Merchant}
	return catalog(ctx, s, who, of, func(r *reading) listing[events.KeyID, projections.Key, Key] {
		return listing[events.KeyID, projections.Key, Key]{
			table: r.books.Keys, from: source{link: projections.LinkKeys},
			match: func(k *projections.Key) bool { return args.Revoked || !k.Revoked },
			render: func(id events.KeyID, k *projections.Key) (Key, error) {
				return Key{id, k.Role, k.Merchant, k.Name, k.Created, k.Revoked}, nil
			},
		}
	})
}

// Clock is a test clock.
type Clock struct {
	ID          events.TestClockID    `json:"id"`
	Merchant    events.OrganizationID `json:"merchantId"`
	Now         events.Time           `json:"currentTime"`
	To          events.Time           `json:"advancingTo,omitzero"` // where it is under way to, if it is
	Name        string                `json:"name,omitempty"`
	Description string                `json:"description,omitempty"`
	CreatedAt   events.Time           `json:"createdAt"`
	UpdatedAt   events.Time           `json:"updatedAt"`
	DeletedAt   events.Time           `json:"deletedAt,omitzero"`
}

// Clocks lists test clocks.
func (s *Service) Clocks(ctx context.Context, who wire.Who, args CatalogArgs) (list List[Clock], err error) {
	merchant, err := asker(who).merchant(args.Merchant)
	if err != nil {
		return list, err
	}
	if err := args.check(); err != nil {
		return list, err
	}
	defer func() {
		if !args.Count {
			list.Total = 0
		}
	}()
	err = s.read(ctx, who, args.At, func(r *reading) error {
		list = List[Clock]{Sequence: r.seq, Items: []Clock{}}
		skip := args.Offset
		return each(r, r.books.Clocks, nil, func(id events.TestClockID, c *projections.Clock) error {
			switch {
			case !merchant.IsZero() && c.Merchant != merchant || c.DeletedAt != 0:
				return nil
			case skip > 0:
				skip--
				list.Total++
				return nil
			case len(list.Items) == args.Limit:
				list.More = true
				list.Total++
				if args.Count {
					return nil
				}
				return errStop
			}
			list.Total++
			list.Items = append(list.Items, renderClock(id, c))
			return nil
		})
	})
	return list, err
}

func renderClock(id events.TestClockID, c *projections.Clock) Clock {
	return Clock{id, c.Merchant, c.Now, c.To, c.Name, c.Description, c.CreatedAt, c.UpdatedAt, c.DeletedAt}
}
