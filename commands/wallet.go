package commands

import (
	"tallystick/events"
	"tallystick/projections"
)

// TopUp adds money from the payment processor to a consumer's wallet: by a payment session, by a stored payment method, or,
// in sandbox ledgers alone, out of nothing at once.
type TopUp struct {
	Wallet    events.WalletID
	Amount    events.Nanos    // above 0
	Method    string          // "sandbox", "session" or "stored"
	Stored    events.MethodID // for "stored"; zero for the one stored last
	OnSuccess string          // for "session": where the payer is sent
	OnFailure string
}

func topUp(b *projections.Books, c Context, cmd TopUp, d *decision) *Rejection {
	if cmd.Amount <= 0 {
		return wrong("amount", "must be above 0")
	}
	switch cmd.Method {
	case methodSandbox, methodSession, methodStored:
	default:
		return wrong("method", "%.40q is none of sandbox, session, stored", cmd.Method)
	}
	if o := b.Opened.Get(struct{}{}); cmd.Method == methodSandbox && (o == nil || o.Environment != events.Sandbox) {
		return Reject(SandboxOnly, "the sandbox processor pays in sandbox ledgers only")
	}
	w, r := payingWallet(b, c, cmd.Wallet)
	if r != nil {
		return r
	}
	if w.Ended {
		return Reject(Conflict, "wallet %s was for subscription %s, which has ended; top up wallet %s", cmd.Wallet, w.Subscription, w.Parent)
	}
	byOwner := c.Actor.Kind == events.ActorUser || c.Operator
	c.Merchant = w.Bound
	if cmd.Method == methodStored && !byOwner && b.Consumers.Get(w.Owner).Type == events.Full {
		return Reject(Forbidden, "the payment methods of consumer %s are under its own control", w.Owner)
	}
	if cmd.Method != methodSandbox {
		return requestTopUp(b, c, cmd, w, d)
	}
	balance := b.BalanceOf(projections.MainAccount(cmd.Wallet, w.Currency))
	d.add(c, c.Now, toppedUp(c, cmd.Wallet, w.Currency, cmd.Amount, balance))
	return nil
}

// toppedUp returns that money has come into a wallet out of nothing, as the sandbox processor brings it.
func toppedUp(c Context, id events.WalletID, currency events.Currency, amount events.Nanos, balance events.Sum) events.WalletToppedUp {
	return events.WalletToppedUp{
		TopUp: events.Derive[events.TopUpNoun](c.ID, 0), Wallet: id, Currency: currency,
		Postings: []events.Posting{
			{Role: events.ProcessorClearing, Nanos: amount.Neg()},
			{Role: events.ConsumerMain, Nanos: amount},
		},
		Balance: balance.Add(amount), Method: methodSandbox,
	}
}

// requestTopUp asks the payment provider for the money.
func requestTopUp(b *projections.Books, c Context, cmd TopUp, w *projections.Wallet, d *decision) *Rejection {
	if r := first(chargeable("amount", cmd.Amount, limitOf(b.Merchants.Get(c.Merchant))), redirects(cmd.OnSuccess, cmd.OnFailure)); r != nil {
		return r
	}
	consumer := b.Consumers.Get(w.Owner)
	if consumer.Erased {
		return Reject(Conflict, "consumer %s is erased", w.Owner)
	}
	if !mayPrepay(b, c, consumer) {
		return Reject(ManagedPostpaidOnly, "a managed consumer cannot prepay")
	}
	id := events.Derive[events.TopUpNoun](c.ID, 0)
	d.add(c, c.Now, events.TopUpRequested{TopUp: id, Wallet: cmd.Wallet, Currency: w.Currency, Amount: cmd.Amount, Method: cmd.Method})
	if cmd.Method == methodSession {
		openSession(c, c.Now, subscribeTerm, events.SessionOpened{
			Amount: cmd.Amount, Currency: w.Currency, Consumer: w.Owner, Wallet: cmd.Wallet, TopUp: id,
			Customer: b.CustomerOf(c.Merchant, w.Owner), OnSuccess: cmd.OnSuccess, OnFailure: cmd.OnFailure,
		}, d)
		return nil
	}
	if cmd.Stored.IsZero() {
		cmd.Stored = consumer.MethodFor(c.Merchant)
	}
	m := b.Methods.Get(cmd.Stored)
	if m == nil || m.Removed || m.Consumer != w.Owner {
		return Reject(NoPaymentMethod, "consumer %s has no such payment method", w.Owner)
	}
	d.add(c, c.Now, events.ChargeRequested{
		Charge: events.Derive[events.ChargeNoun](c.ID, 4), Provider: m.Provider, Card: m.Card, Amount: cmd.Amount, Currency: w.Currency,
		Method: cmd.Stored, Customer: b.CustomerOf(c.Merchant, w.Owner), Consumer: w.Owner, Wallet: cmd.Wallet, TopUp: id, OffSession: true,
	})
	return nil
}

// mayPrepay reports whether money of a consumer may be taken before it has used anything (A3, D31).
func mayPrepay(b *projections.Books, c Context, consumer *projections.Consumer) bool {
	if consumer.Type != events.Managed {
		return true
	}
	m := b.Merchants.Get(c.Merchant)
	return m != nil && m.Settings.ManagedPrepaid
}

// payingWallet returns a consumer's wallet that the caller may do something with: an operator, who may be acting for a user of
// the owner, or the one merchant that the wallet is for.
func payingWallet(b *projections.Books, c Context, id events.WalletID) (*projections.Wallet, *Rejection) {
	w := b.Wallets.Get(id)
	if w == nil || w.Earning || !c.Operator && (w.Bound.IsZero() || w.Bound != c.Merchant) {
		return nil, Reject(NotFound, "no wallet %s", id)
	}
	if c.Actor.Kind == events.ActorUser {
		if r := mayActFor(b, c, w.Owner, events.BillingRole); r != nil {
			return nil, r
		}
	}
	return w, nil
}
