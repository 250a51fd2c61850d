package query

import (
	"cmp"
	"context"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// Wallet is a consumer's or a merchant's money in one currency. A consumer's has Balance, Used and Held, a
// merchant's Balance, Receivable and PaidOut.
type Wallet struct {
	Sequence   events.Seq            `json:"sequence"`
	ID         events.WalletID       `json:"id"`
	Owner      events.OrganizationID `json:"ownedBy"`
	Bound      events.OrganizationID `json:"boundTo,omitzero"`        // the only merchant that it pays, if not all
	Earning    bool                  `json:"earning"`                 // a merchant's
	Parent     events.WalletID       `json:"parentWalletId,omitzero"` // of a virtual one, which is for one subscription alone: where its money goes in the end
	For        events.SubscriptionID `json:"subscriptionId,omitzero"` // the one that a virtual one is for, once there is one
	Ended      bool                  `json:"ended,omitempty"`         // that subscription has ended
	Currency   events.Currency       `json:"currency"`
	Balance    events.Sum            `json:"balanceNanos"`              // prepaid money; of a merchant, what it has earned
	Used       *events.Sum           `json:"usedNanos,omitempty"`       // used and not paid: zero or less
	Held       *events.Sum           `json:"heldNanos,omitempty"`       // set aside
	Receivable *events.Sum           `json:"receivableNanos,omitempty"` // of a merchant: the other side of what consumers have used
	PaidOut    *events.Sum           `json:"paidOutNanos,omitempty"`    // of a merchant: zero or less
	Timezone   string                `json:"timezone"`
	Label
	Erased    bool        `json:"erased,omitempty"` // what it was called
	CreatedAt events.Time `json:"createdAt"`
}

// Label is what a wallet is called by whoever has made it.
type Label = wire.WalletLabel

// WalletArgs name a wallet: by itself, or as that of a customer or a merchant in a currency (which may be left
// out where there is one only).
type WalletArgs struct {
	At
	Wallet   events.WalletID       `json:"walletId,omitzero"`
	Customer events.CustomerID     `json:"customerId,omitzero"`
	Merchant events.OrganizationID `json:"merchantId,omitzero"`
	Currency *events.Currency      `json:"currency,omitempty"`
}

// Wallet answers what is in a wallet.
func (s *Service) Wallet(ctx context.Context, who wire.Who, args WalletArgs) (w Wallet, err error) {
	err = s.readOf(ctx, who, args.At, ofWallet(args), func(r *reading) (err error) {
		w, err = r.wallet(args)
		return err
	})
	return w, err
}

// MerchantWalletArgs are the arguments of [Service.MerchantWallet]. A merchant need not name itself.
type MerchantWalletArgs struct {
	At
	Merchant events.OrganizationID `json:"merchantId,omitzero"`
	Currency *events.Currency      `json:"currency,omitempty"`
}

// MerchantWallet answers what a merchant has earned.
func (s *Service) MerchantWallet(ctx context.Context, who wire.Who, args MerchantWalletArgs) (w Wallet, err error) {
	merchant, err := asker(who).merchant(args.Merchant)
	if err != nil {
		return w, err
	}
	return s.Wallet(ctx, who, WalletArgs{At: args.At, Merchant: merchant, Currency: args.Currency})
}

func (r *reading) wallet(args WalletArgs) (Wallet, error) {
	id, err := r.walletID(args)
	if err != nil {
		return Wallet{}, err
	}
	row := r.books.Wallets.Get(id)
	if row == nil || !r.who.sees(merchantOf(row)) {
		return Wallet{}, missing("wallet", id.String())
	}
	w := Wallet{
		Sequence: r.seq, ID: id, Owner: row.Owner, Bound: row.Bound, Earning: row.Earning, Currency: row.Currency, CreatedAt: row.At,
		Parent: row.Parent, For: row.Subscription, Ended: row.Ended, Timezone: cmp.Or(row.Timezone, "UTC"),
	}
	if w.Erased, err = r.unsealInto(row.Label, wire.PurposeWallet, &w.Label); err != nil {
		return Wallet{}, err
	}
	balance := func(role events.Role, owner [16]byte) *events.Sum {
		sum := r.books.BalanceOf(events.Account{Role: role, Currency: row.Currency, Owner: owner})
		return &sum
	}
	if row.Earning {
		w.Balance = *balance(events.Merchant, row.Owner)
		w.Receivable, w.PaidOut = balance(events.Receivable, row.Owner), balance(events.Settlement, row.Owner)
	} else {
		w.Balance = *balance(events.ConsumerMain, id)
		w.Used, w.Held = balance(events.ConsumerUsage, id), balance(events.ReservationHold, id)
	}
	return w, nil
}

// merchantOf returns the one merchant that may look into a wallet: its owner, or the one it is bound to;
// zero for the wallet of a full consumer, which merchants may not.
func merchantOf(w *projections.Wallet) events.OrganizationID {
	if w.Earning {
		return w.Owner
	}
	return w.Bound
}

func (r *reading) walletID(args WalletArgs) (id events.WalletID, err error) {
	var refs []projections.WalletRef
	var owner string
	switch {
	case !args.Wallet.IsZero():
		return args.Wallet, nil
	case !args.Customer.IsZero():
		row, err := r.customer(args.Customer)
		if err != nil {
			return id, err
		}
		owner = args.Customer.String()
		if c := r.books.Consumers.Get(row.Consumer); c != nil {
			refs = c.Wallets
		}
	case !args.Merchant.IsZero():
		row := r.books.Merchants.Get(args.Merchant)
		owner = args.Merchant.String()
		if row == nil || !r.who.sees(args.Merchant) {
			return id, missing("merchant", owner)
		}
		refs = row.Wallets
	default:
		return id, commands.Reject(commands.Invalid, "name a wallet, a customer or a merchant")
	}
	for i := range refs {
		if refs[i].Virtual || args.Currency != nil && refs[i].Currency != *args.Currency || !refs[i].Bound.IsZero() && !r.who.sees(refs[i].Bound) {
			continue
		}
		if !id.IsZero() {
			return id, commands.Reject(commands.Invalid, "%s has wallets in several currencies; name one", owner)
		}
		id = refs[i].Wallet
	}
	if id.IsZero() {
		return id, missing("wallet of", owner)
	}
	return id, nil
}

// Entry is a line of a wallet's statement.
type Entry struct {
	Sequence    events.Seq      `json:"sequence"`
	RecordedAt  events.Time     `json:"recordedAt"`
	EffectiveAt events.Time     `json:"effectiveAt"` // on the subject's clock
	Type        events.Kind     `json:"type"`
	ID          string          `json:"id,omitempty"`           // of the usage event, the top-up, …
	Amount      events.Sum      `json:"amountNanos"`            // what the prepaid balance changed by
	Used        events.Sum      `json:"usedNanos,omitzero"`     // what the used and not paid sum changed by
	Held        events.Sum      `json:"heldNanos,omitzero"`     // what was set aside
	Balance     *events.Sum     `json:"balanceNanos,omitempty"` // the prepaid balance after
	Currency    events.Currency `json:"currency"`
}

// Statement is what moved a wallet's money, newest first.
type Statement struct {
	Sequence events.Seq `json:"sequence"`
	Wallet   Wallet     `json:"wallet"`
	Total    uint64     `json:"total,omitzero"` // entries there are; not known of the past
	Entries  []Entry    `json:"entries"`
	More     bool       `json:"more"`
}

// StatementArgs are the arguments of [Service.Statement].
type StatementArgs struct {
	WalletArgs
	Page
	Before events.Seq `json:"before,omitzero"` // only older entries than this record
}

// Statement answers what moved a consumer's wallet's money.
func (s *Service) Statement(ctx context.Context, who wire.Who, args StatementArgs) (st Statement, err error) {
	err = s.readOf(ctx, who, args.At, ofWallet(args.WalletArgs), func(r *reading) error {
		w, err := r.wallet(args.WalletArgs)
		if err != nil {
			return err
		}
		if w.Earning {
			return commands.Reject(commands.Invalid, "statements are kept of consumers' wallets; the events of merchant %s show what moved this one", w.Owner)
		}
		key := projections.JournalKey{What: projections.JournalOfWallet, ID: w.ID}
		st = Statement{Sequence: r.seq, Wallet: w, Entries: []Entry{}}
		found, err := r.records(key, args.Before, args.Page, func(rec *events.Record) error {
			st.Entries = append(st.Entries, entryOf(rec, w.ID))
			return nil
		})
		st.Total, st.More = found.total, found.more
		return err
	})
	return st, err
}

// entryOf returns what a record did to a wallet.
func entryOf(rec *events.Record, wallet events.WalletID) Entry {
	m, receipt := rec.Event.Money(), commands.ReceiptOf(rec)
	e := Entry{
		Sequence: rec.Seq, RecordedAt: rec.RecordedAt, EffectiveAt: rec.At, Type: rec.Event.Kind(),
		ID: receipt.ID.String(), Balance: receipt.Balance, Currency: m.Currency,
	}
	if emptied, ok := rec.Event.(events.WalletEmptied); ok && emptied.Wallet == wallet { // it says where to, and what is there then
		e.ID, e.Balance = emptied.Parent.String(), new(events.Sum)
	}
	for _, p := range m.Postings {
		if m.AccountOf(p, rec.Merchant).Owner != wallet {
			continue
		}
		switch p.Role {
		case events.ConsumerMain:
			e.Amount = e.Amount.Add(p.Nanos)
		case events.ConsumerUsage:
			e.Used = e.Used.Add(p.Nanos)
		case events.ReservationHold:
			e.Held = e.Held.Add(p.Nanos)
		case events.Receivable, events.Merchant, events.PlatformFee, events.TaxPayable, events.ProcessorClearing,
			events.Settlement, events.Rounding: // not a consumer's
		}
	}
	return e
}
