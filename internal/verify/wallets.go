package verify

import (
	"fmt"

	"tallystick/events"
)

// virtual is a wallet that is for one subscription alone.
type virtual struct {
	owner  events.OrganizationID
	parent events.WalletID
	sub    events.SubscriptionID // zero while there is none
	ended  bool
}

// walletOpened notes a wallet. The parent of a virtual one is an ordinary one of the same owner.
func (a *auditor) walletOpened(e events.WalletOpened) error {
	if e.Earning {
		return nil
	}
	if _, there := a.wallets[e.Wallet]; there {
		return fmt.Errorf("wallet %s is opened twice", e.Wallet)
	}
	a.wallets[e.Wallet] = events.Sum{}
	if e.Parent.IsZero() {
		return nil
	}
	if _, there := a.wallets[e.Parent]; !there || a.virtual[e.Parent] != nil {
		return fmt.Errorf("wallet %s cannot be the parent of %s", e.Parent, e.Wallet)
	}
	a.virtual[e.Wallet] = &virtual{owner: e.Owner, parent: e.Parent}
	return nil
}

// uses notes that a subscription is paid from a wallet.
func (a *auditor) uses(wallet events.WalletID, sub events.SubscriptionID, consumer events.OrganizationID) error {
	v := a.virtual[wallet]
	switch {
	case v == nil:
		return nil
	case !v.sub.IsZero():
		return fmt.Errorf("wallet %s is for subscription %s alone", wallet, v.sub)
	case v.owner != consumer:
		return fmt.Errorf("wallet %s is of consumer %s, not of %s", wallet, v.owner, consumer)
	}
	v.sub = sub
	return nil
}

// ended notes that a subscription has ended: its wallet, if it has one of its own, is to be emptied by the records that follow.
func (a *auditor) ended(e events.SubscriptionTerminated) {
	if v := a.virtual[a.subs[e.Subscription].wallet]; v != nil {
		v.ended = true
	}
}

// emptied checks that all that was in a virtual wallet is in its parent, once its subscription has ended.
func (a *auditor) emptied(e events.WalletEmptied) error {
	v := a.virtual[e.Wallet]
	if v == nil || !v.ended || v.sub != e.Subscription || v.parent != e.Parent || a.subs[v.sub].currency != e.Currency {
		return fmt.Errorf("wallet %s is not one whose subscription %s has ended, with the parent %s", e.Wallet, e.Subscription, e.Parent)
	}
	held := a.wallets[e.Wallet]
	var out, in events.Sum
	for _, p := range e.Postings {
		switch {
		case p.Role != events.ConsumerMain || !p.Wallet.IsZero() && p.Wallet != e.Parent:
			return fmt.Errorf("it posts to %s of wallet %s", p.Role, p.Wallet)
		case p.Wallet.IsZero():
			out = out.Add(p.Nanos)
		default:
			in = in.Add(p.Nanos)
		}
	}
	if in != held || out != held.Neg() || held.Sign() <= 0 {
		return fmt.Errorf("wallet %s holds %s, and %s of it goes to %s", e.Wallet, held, in, e.Parent)
	}
	if err := a.move(e.Wallet, out, events.Sum{}); err != nil {
		return err
	}
	return a.move(e.Parent, in, e.Balance)
}

// finished returns what is wrong with where the records end: a wallet holds money that nobody can spend.
func (a *auditor) finished() error {
	for id, v := range a.virtual {
		if held, small := a.wallets[id].Nanos(); v.ended && small && held != 0 {
			return fmt.Errorf("wallet %s holds %s, and its subscription %s has ended", id, held, v.sub)
		}
	}
	if was := a.attached; was.held != 0 {
		return &Finding{was.usage, fmt.Errorf("record %d became usage, and is still held", was.held)}
	}
	return nil
}
