package projections

import (
	"slices"

	"tallystick/events"
)

// Wallet is whose a wallet is. What is in it is in [Books.Accounts].
type Wallet struct {
	Owner    events.OrganizationID `cbor:"1,keyasint"`
	Currency events.Currency       `cbor:"2,keyasint"`
	Bound    events.OrganizationID `cbor:"3,keyasint,omitzero"` // the only merchant that it pays, if not all
	Earning  bool                  `cbor:"4,keyasint,omitempty"`
	At       events.Time           `cbor:"5,keyasint"`
	Alerts   []events.AlertID      `cbor:"6,keyasint,omitempty"` // that are on

	Parent       events.WalletID       `cbor:"30,keyasint,omitzero"`  // of a virtual one: where its money goes in the end
	Subscription events.SubscriptionID `cbor:"31,keyasint,omitzero"`  // the one that a virtual wallet pays for, once there is one
	Ended        bool                  `cbor:"32,keyasint,omitempty"` // that subscription has ended: what comes in goes on to the parent
	Label        events.Sealed         `cbor:"33,keyasint,omitzero"`
	Timezone     string                `cbor:"34,keyasint,omitempty"`
}

// Virtual reports whether w is for one subscription alone.
func (w *Wallet) Virtual() bool { return !w.Parent.IsZero() }

// Balance is the sum of all postings to an account.
type Balance struct {
	Sum  events.Sum
	Last events.Seq // the record that posted last
}

// BalanceOf returns the balance of an account, zero where nothing was ever posted.
func (b *Books) BalanceOf(a events.Account) events.Sum {
	if row := b.Accounts.Get(a); row != nil {
		return row.Sum
	}
	return events.Sum{}
}

// MainAccount is the account of a consumer's wallet that holds prepaid money.
func MainAccount(w events.WalletID, c events.Currency) events.Account {
	return events.Account{Role: events.ConsumerMain, Currency: c, Owner: w}
}

// post adds the postings of a record to their accounts.
func (b *Books) post(rec *events.Record, m events.Movement) {
	for i := range m.Postings {
		p := &m.Postings[i]
		account := m.AccountOf(*p, rec.Merchant)
		b.postTo(rec, p, account, b.Accounts.row(account))
	}
}

func (b *Books) postTo(rec *events.Record, p *events.Posting, account events.Account, r *row[Balance]) {
	b.Accounts.touch(account, r)
	r.v.Sum = r.v.Sum.Add(p.Nanos)
	r.v.Last = rec.Seq
	assert(p.Role != events.ConsumerMain || r.v.Sum.Sign() >= 0, rec, "a prepaid balance below zero")
	assert(p.Role != events.ReservationHold || r.v.Sum.Sign() >= 0, rec, "money set aside below zero")
}

func (b *Books) walletOpened(rec *events.Record, e events.WalletOpened) {
	*b.Wallets.insert(e.Wallet) = Wallet{
		Owner: e.Owner, Currency: e.Currency, Bound: e.Bound, Earning: e.Earning, At: rec.At, Parent: e.Parent, Label: e.Label, Timezone: e.Timezone,
	}
	ref := WalletRef{e.Currency, e.Wallet, e.Bound, !e.Parent.IsZero()}
	if e.Earning {
		m := b.Merchants.edit(e.Owner)
		m.Wallets = append(m.Wallets, ref)
	} else {
		c := b.Consumers.edit(e.Owner)
		c.Wallets = append(c.Wallets, ref)
	}
	b.link(LinkWallets, e.Owner, e.Wallet, rec.Seq)
	if !e.Bound.IsZero() {
		b.link(LinkWalletsOfNamespace, e.Bound, e.Wallet, rec.Seq)
	}
}

// useWallet notes that a virtual wallet pays for a subscription from now on.
func (b *Books) useWallet(rec *events.Record, id events.WalletID, sub events.SubscriptionID) {
	if w := b.Wallets.Get(id); w == nil || !w.Virtual() {
		return
	}
	w := b.Wallets.edit(id)
	assert(w.Subscription.IsZero(), rec, "a virtual wallet for two subscriptions")
	w.Subscription = sub
}

// leaveWallet notes that the subscription has ended that a virtual wallet pays for. Its owner has it no longer among those that can pay.
func (b *Books) leaveWallet(id events.WalletID) {
	if w := b.Wallets.Get(id); w == nil || !w.Virtual() {
		return
	}
	w := b.Wallets.edit(id)
	w.Ended = true
	c := b.Consumers.edit(w.Owner)
	c.Wallets = slices.DeleteFunc(c.Wallets, func(ref WalletRef) bool { return ref.Wallet == id })
}

func (b *Books) walletEmptied(rec *events.Record, e events.WalletEmptied) {
	w := b.Wallets.Get(e.Wallet)
	assert(w != nil && w.Ended && w.Parent == e.Parent, rec, "a wallet emptied that pays for a subscription")
}
