package commands

import (
	"slices"

	"tallystick/events"
	"tallystick/projections"
)

// CreateWallet opens a wallet for a consumer that the merchant may make a customer. It pays this merchant alone. The first one in a
// currency pays for all that is used in it; each later one is virtual: it waits for the one subscription that is made to use it.
type CreateWallet struct {
	Owner    events.OrganizationID
	Currency events.Currency
	Label    events.Sealed // what it is called
	Timezone string        // of the tz database; "" for UTC
	Initial  events.Nanos  // what is in it from the start: in sandboxes only
}

// Which wallets are derived from a command that may open several.
const (
	mainWallet    = 2
	virtualWallet = 8
)

// maxWallets is how many wallets a consumer may have that can pay.
const maxWallets = 200

func createWallet(b *projections.Books, c Context, cmd CreateWallet, d *decision) *Rejection {
	if cmd.Initial < 0 {
		return wrong("initialBalance", "must not be below 0")
	}
	if r := optional("timezone", cmd.Timezone, maxTimezone); r != nil {
		return r
	}
	m, r := merchantOf(b, c)
	if r != nil {
		return r
	}
	if cmd.Owner.IsZero() {
		return wrong("ownedBy", "is required")
	}
	if cmd.Owner == c.Merchant {
		return Reject(Conflict, "a merchant's wallets are opened with its plans and payments, one for each currency")
	}
	if r := mayReuse(b, c, cmd.Owner); r != nil {
		return r
	}
	consumer := b.Consumers.Get(cmd.Owner)
	switch {
	case !b.AwaitedBy(c.Merchant, cmd.Owner, consumer).IsZero():
		return Reject(Forbidden, "consumer %s must authorize this merchant itself: send it an authorization link", cmd.Owner)
	case len(consumer.Wallets) >= maxWallets:
		return Reject(Conflict, "consumer %s has %d wallets; no more are allowed", cmd.Owner, len(consumer.Wallets))
	case !cmd.Label.IsZero() && !goesWith(b, cmd.Label.Key, cmd.Owner):
		return Reject(Busy, "the consumer was made by another command just now; repeat")
	case cmd.Initial > limitOf(m):
		return wrong("initialBalance", "is %s; it must be from 0 to %s", cmd.Initial, limitOf(m))
	}
	if o := b.Opened.Get(struct{}{}); cmd.Initial > 0 && o.Environment != events.Sandbox {
		return Reject(SandboxOnly, "money comes into a wallet by a top-up; initialBalance is for sandbox ledgers")
	}

	e := events.WalletOpened{
		Wallet: events.Derive[events.WalletNoun](c.ID, virtualWallet), Owner: cmd.Owner, Currency: cmd.Currency, Bound: c.Merchant,
		Label: cmd.Label, Timezone: cmd.Timezone, Parent: consumer.WalletFor(cmd.Currency, c.Merchant),
	}
	if e.Parent.IsZero() && consumer.Type != events.Managed { // a full consumer's first one is no merchant's
		e.Parent = openMain(c, c.Now, cmd.Owner, cmd.Currency, events.OrganizationID{}, d)
	}
	d.main = len(d.drafts)
	d.add(c, c.Now, e)
	if cmd.Initial > 0 {
		d.add(c, c.Now, toppedUp(c, e.Wallet, cmd.Currency, cmd.Initial, events.Sum{}))
	}
	return nil
}

// maxTimezone is how long the name of a time zone may be.
const maxTimezone = 64

// openMain adds the wallet that pays for all that a consumer uses in a currency.
func openMain(c Context, at events.Time, owner events.OrganizationID, currency events.Currency, bound events.OrganizationID, d *decision) events.WalletID {
	id := events.Derive[events.WalletNoun](c.ID, mainWallet)
	d.add(c, at, events.WalletOpened{Wallet: id, Owner: owner, Currency: currency, Bound: bound})
	return id
}

// chooseWallet finds what a subscription will be paid from: the wallet that is named, one of its own that is still to be opened, or the one that
// pays for everything.
func (j *agreement) chooseWallet(b *projections.Books, c Context) *Rejection {
	cmd := &j.cmd
	if cmd.Wallet.IsZero() {
		if j.main = j.consumer.WalletFor(j.plan.Currency, c.Merchant); !cmd.Virtual {
			j.wallet = j.main
		} else if len(j.consumer.Wallets) >= maxWallets {
			return Reject(Conflict, "consumer %s has %d wallets; no more are allowed", j.owner, len(j.consumer.Wallets))
		}
		return nil
	}
	w := b.Wallets.Get(cmd.Wallet)
	switch {
	case cmd.Virtual:
		return Reject(Invalid, "give either walletId or virtualWallet")
	case w == nil || w.Owner != j.owner || !w.Bound.IsZero() && w.Bound != c.Merchant:
		return Reject(NotFound, "the consumer has no wallet %s", cmd.Wallet)
	case w.Currency != j.plan.Currency:
		return Reject(Invalid, "wallet %s holds %s, and the plan's prices are in %s", cmd.Wallet, w.Currency, j.plan.Currency)
	case !w.Subscription.IsZero():
		return Reject(Conflict, "wallet %s is for subscription %s alone", cmd.Wallet, w.Subscription)
	}
	j.wallet = cmd.Wallet
	return nil
}

// openWallets adds the wallets that a subscription still lacks.
func (j *agreement) openWallets(c Context, d *decision) {
	if !j.wallet.IsZero() {
		return
	}
	if j.main.IsZero() {
		j.main = openMain(c, j.now, j.owner, j.plan.Currency, j.consumer.Manager, d)
	}
	if j.wallet = j.main; j.cmd.Virtual {
		j.wallet = events.Derive[events.WalletNoun](c.ID, virtualWallet)
		d.add(c, j.now, events.WalletOpened{Wallet: j.wallet, Owner: j.owner, Currency: j.plan.Currency, Bound: c.Merchant, Parent: j.main})
	}
}

// walletNow returns the wallet that has what a subscription's held: the parent, once the subscription of a virtual one has ended.
func walletNow(b *projections.Books, s *projections.Subscription) events.WalletID {
	if w := b.Wallets.Get(s.Wallet); w.Ended {
		return w.Parent
	}
	return s.Wallet
}

// emptyWallets adds to a decision that what it leaves in a virtual wallet whose subscription has ended, or ends by it, goes to the parent.
// So nothing is ever left in such a wallet, whatever comes in later. Usage is of subscriptions that are active, and is passed over.
func emptyWallets(b *projections.Books, d *decision) {
	if len(d.drafts) == 0 {
		return
	}
	if _, ok := d.drafts[0].event.(*events.UsageReported); ok {
		return
	}
	var emptied []events.WalletID
	drafts := d.drafts
	for i := range drafts {
		if e, ok := drafts[i].event.(events.SubscriptionTerminated); ok {
			emptied = append(emptied, b.Subscriptions.Get(e.Subscription).Wallet)
		}
	}
	ending := len(emptied)
	for i := range drafts {
		m := drafts[i].event.Money()
		for _, p := range m.Postings {
			if p.Role == events.ConsumerMain && p.Nanos > 0 {
				emptied = append(emptied, events.WalletID(m.AccountOf(p, drafts[i].merchant).Owner))
			}
		}
	}
	for i, id := range emptied {
		w := b.Wallets.Get(id)
		if w != nil && w.Virtual() && (i < ending || w.Ended) && !slices.Contains(emptied[:i], id) {
			emptyWallet(b, id, w, drafts, d)
		}
	}
}

// emptyWallet adds the way of all that is left in a wallet once the drafts are recorded to its parent.
func emptyWallet(b *projections.Books, id events.WalletID, w *projections.Wallet, drafts []draft, d *decision) {
	left, ok := balanceAfter(b, id, w.Currency, drafts).Nanos()
	if !ok || left <= 0 { // what does not fit into one movement stays
		return
	}
	last := &drafts[len(drafts)-1]
	d.drafts = append(d.drafts, draft{at: last.at, merchant: w.Bound, cause: last.cause, event: events.WalletEmptied{
		Wallet: id, Parent: w.Parent, Subscription: w.Subscription, Currency: w.Currency,
		Postings: []events.Posting{
			{Role: events.ConsumerMain, Nanos: left.Neg()},
			{Role: events.ConsumerMain, Nanos: left, Wallet: w.Parent},
		},
		Balance: balanceAfter(b, w.Parent, w.Currency, drafts).Add(left),
	}})
}

// balanceAfter returns what a wallet holds once the drafts are recorded.
func balanceAfter(b *projections.Books, id events.WalletID, currency events.Currency, drafts []draft) events.Sum {
	account := projections.MainAccount(id, currency)
	sum := b.BalanceOf(account)
	for i := range drafts {
		m := drafts[i].event.Money()
		for _, p := range m.Postings {
			if m.AccountOf(p, drafts[i].merchant) == account {
				sum = sum.Add(p.Nanos)
			}
		}
	}
	return sum
}
