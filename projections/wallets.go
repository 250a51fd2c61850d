package projections

import "tallystick/events"

// Wallet is whose a wallet is. What is in it is in [Books.Accounts].
type Wallet struct {
	Owner    events.OrganizationID `cbor:"1,keyasint"`
	Currency events.Currency       `cbor:"2,keyasint"`
	Bound    events.OrganizationID `cbor:"3,keyasint,omitzero"` // the only merchant that it pays, if not all
	Earning  bool                  `cbor:"4,keyasint,omitempty"`
	At       events.Time           `cbor:"5,keyasint"`
	Alerts   []events.AlertID      `cbor:"6,keyasint,omitempty"` // that are on
}

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

// UsageAccount is the account of a consumer's wallet that holds what is used and not paid.
func UsageAccount(w events.WalletID, c events.Currency) events.Account {
	return events.Account{Role: events.ConsumerUsage, Currency: c, Owner: w}
}

// EarningsAccount is the account that a merchant's wallet shows.
func EarningsAccount(m events.OrganizationID, c events.Currency) events.Account {
	return events.Account{Role: events.Merchant, Currency: c, Owner: m}
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
	*b.Wallets.insert(e.Wallet) = Wallet{Owner: e.Owner, Currency: e.Currency, Bound: e.Bound, Earning: e.Earning, At: rec.At}
	ref := WalletRef{e.Currency, e.Wallet, e.Bound}
	if e.Earning {
		m := b.Merchants.edit(e.Owner)
		m.Wallets = append(m.Wallets, ref)
	} else {
		c := b.Consumers.edit(e.Owner)
		c.Wallets = append(c.Wallets, ref)
	}
	b.link(LinkWallets, e.Owner, e.Wallet, rec.Seq)
}
