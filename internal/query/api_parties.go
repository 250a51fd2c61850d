package query

import (
	"context"

	"tallystick/events"
	"tallystick/internal/wire"
)

// APIParties is who the two sides of a customer are.
type APIParties struct {
	ID         events.CustomerID     `json:"id"`
	MerchantID events.OrganizationID `json:"merchantId"`
	Merchant   APIParty              `json:"merchant"`
	Consumer   APIParty              `json:"consumer"`
}

// APIParty is an organization as the other side of a customer sees it.
type APIParty struct {
	ID    events.OrganizationID `json:"id"`
	Name  string                `json:"name"` // "" of an erased one
	Email string                `json:"email"`
}

// Parties answers who the two sides of a customer are.
func (s *Service) Parties(ctx context.Context, who wire.Who, args CustomerArgs) (v APIParties, err error) {
	err = s.read(ctx, who, args.At, func(r *reading) error {
		row, err := r.customer(args.Customer)
		if err != nil {
			return err
		}
		merchant, err := r.merchant(row.Merchant)
		if err != nil {
			return err
		}
		c, err := r.renderCustomer(args.Customer, row)
		if err != nil {
			return err
		}
		v = APIParties{
			ID: args.Customer, MerchantID: row.Merchant, Merchant: APIParty{row.Merchant, merchant.Profile.Name, merchant.Profile.Email},
			Consumer: APIParty{ID: row.Consumer},
		}
		if c.Profile != nil {
			v.Consumer.Name, v.Consumer.Email = c.Profile.Name, c.Profile.Email
		}
		return nil
	})
	return v, err
}
