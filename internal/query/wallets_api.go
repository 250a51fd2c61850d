package query

import (
	"context"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// WalletsArgs are the arguments of [Service.Wallets].
type WalletsArgs struct {
	At
	Page
	Owner events.OrganizationID `json:"ownedBy"`
}

// Wallets lists those of an organization's wallets that the asker may look into.
func (s *Service) Wallets(ctx context.Context, who wire.Who, args WalletsArgs) (list List[Wallet], err error) {
	err = s.read(ctx, who, args.At, func(r *reading) (err error) {
		list, err = listing[events.WalletID, projections.Wallet, Wallet]{
			table: r.books.Wallets, from: source{projections.LinkWallets, args.Owner},
			match: func(w *projections.Wallet) bool { return r.who.sees(merchantOf(w)) },
			render: func(id events.WalletID, _ *projections.Wallet) (Wallet, error) {
				return r.wallet(WalletArgs{Wallet: id})
			},
		}.page(r, args.Page)
		return err
	})
	return list, err
}
