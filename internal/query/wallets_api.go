package query

import (
	"context"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// WalletsArgs are the arguments of [Service.Wallets].
type WalletsArgs struct {
	At
	Page
	Owner     events.OrganizationID `json:"ownedBy,omitzero"`   // whose; or
	Namespace events.OrganizationID `json:"namespace,omitzero"` // that pay this merchant alone
	Plan      events.PlanID         `json:"planId,omitzero"`    // only those that are for subscriptions to it
}

// Wallets lists those wallets of an organization, or in the namespace of a merchant, that the asker may look into.
func (s *Service) Wallets(ctx context.Context, who wire.Who, args WalletsArgs) (list List[Wallet], err error) {
	if args.Owner.IsZero() && args.Namespace.IsZero() {
		return list, commands.Reject(commands.Invalid, "ownedBy or namespace is required")
	}
	err = s.read(ctx, who, args.At, func(r *reading) (err error) {
		list, err = listing[events.WalletID, projections.Wallet, Wallet]{
			table: r.books.Wallets, from: args.source(),
			match: func(w *projections.Wallet) bool {
				return r.who.sees(merchantOf(w)) && (args.Owner.IsZero() || w.Owner == args.Owner) &&
					(args.Namespace.IsZero() || w.Bound == args.Namespace) && (args.Plan.IsZero() || r.planOf(w) == args.Plan)
			},
			render: func(id events.WalletID, _ *projections.Wallet) (Wallet, error) {
				return r.wallet(WalletArgs{Wallet: id})
			},
		}.page(r, args.Page)
		return err
	})
	return list, err
}

// source returns where the wallets stand that are asked for.
func (args *WalletsArgs) source() source {
	if args.Owner.IsZero() {
		return source{projections.LinkWalletsOfNamespace, args.Namespace}
	}
	return source{projections.LinkWallets, args.Owner}
}

// planOf returns the plan of the subscription that a virtual wallet is for, or zero.
func (r *reading) planOf(w *projections.Wallet) (plan events.PlanID) {
	if s := r.books.Subscriptions.Get(w.Subscription); s != nil {
		plan = s.Plan
	}
	return plan
}
