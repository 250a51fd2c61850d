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

// TopUp is money that came into a wallet.
type TopUp struct {
	ID        events.TopUpID  `json:"id"`
	Wallet    events.WalletID `json:"walletId"`
	Amount    events.Sum      `json:"amountNanos"`
	Currency  events.Currency `json:"currency"`
	Method    string          `json:"method"`
	CreatedAt events.Time     `json:"createdAt"`
}

// TopUpsArgs are the arguments of [Service.TopUps].
type TopUpsArgs struct {
	At
	Page
	Wallet events.WalletID `json:"walletId"`
	From   events.Time     `json:"from,omitzero"` // inclusive
	To     events.Time     `json:"to,omitzero"`   // exclusive
}

// TopUps lists the top-ups of a wallet, newest first.
func (s *Service) TopUps(ctx context.Context, who wire.Who, args TopUpsArgs) (list List[TopUp], err error) {
	if err := args.check(); err != nil {
		return list, err
	}
	err = s.read(ctx, who, args.At, func(r *reading) error {
		if _, err := r.wallet(WalletArgs{Wallet: args.Wallet}); err != nil {
			return err
		}
		list = List[TopUp]{Sequence: r.seq, Items: []TopUp{}}
		key := projections.JournalKey{What: projections.JournalOfWallet, ID: args.Wallet}
		return r.journal(key, 0, func(seq events.Seq) error {
			rec, err := s.opts.Log.Record(seq)
			if err != nil {
				return err
			}
			e, ok := rec.Event.(events.WalletToppedUp)
			if !ok || rec.At < args.From || !args.To.IsZero() && rec.At >= args.To {
				return nil
			}
			if list.Total++; list.Total > args.Offset && len(list.Items) < args.Limit {
				list.Items = append(list.Items, renderTopUp(&rec, e))
			}
			return nil
		})
	})
	list.More = list.Total > args.Offset+len(list.Items)
	return list, err
}

// TopUp answers what a top-up was.
func (s *Service) TopUp(ctx context.Context, who wire.Who, args OneArgs[events.TopUpID]) (t TopUp, err error) {
	err = s.read(ctx, who, args.At, func(r *reading) error {
		rec, ok, err := s.opts.Log.SeqOf(events.CommandID(args.ID))
		if err != nil {
			return err
		}
		e, topped := rec.Event.(events.WalletToppedUp)
		if !ok || !topped {
			return missing("top-up", args.ID.String())
		}
		if w := r.books.Wallets.Get(e.Wallet); w == nil || !r.who.sees(merchantOf(w)) {
			return missing("top-up", args.ID.String())
		}
		t = renderTopUp(&rec, e)
		return nil
	})
	return t, err
}

func renderTopUp(rec *events.Record, e events.WalletToppedUp) TopUp {
	t := TopUp{ID: e.TopUp, Wallet: e.Wallet, Currency: e.Currency, Method: e.Method, CreatedAt: rec.At}
	for _, p := range e.Postings {
		if p.Role == events.ConsumerMain {
			t.Amount = t.Amount.Add(p.Nanos)
		}
	}
	return t
}
