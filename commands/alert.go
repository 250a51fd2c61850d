package commands

import (
	"slices"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// CreateAlert asks to be told when the prepaid money of a consumer's wallet falls below a threshold: once for each time that it falls
// below it, and not more often than once in a period.
type CreateAlert struct {
	Wallet     events.WalletID
	Threshold  events.Nanos // above 0
	Period     uint32       // seconds that lie between two notices, at least; 0 for none
	Disabled   bool         // it is kept, and never raised
	Recipients events.Sealed
}

// maxAlerts is how many alerts of a wallet may be on: each is looked at whenever the wallet's money changes.
const maxAlerts = 20

func createAlert(b *projections.Books, c Context, cmd CreateAlert, d *decision) *Rejection {
	if cmd.Threshold <= 0 {
		return wrong("config.threshold", "must be above 0")
	}
	w, r := payingWallet(b, c, cmd.Wallet)
	if r != nil {
		return r
	}
	if b.Consumers.Get(w.Owner).Erased {
		return Reject(Conflict, "consumer %s is erased", w.Owner)
	}
	if !cmd.Disabled && len(w.Alerts) >= maxAlerts {
		return Reject(Conflict, "wallet %s has %d alerts already", cmd.Wallet, len(w.Alerts))
	}
	c.Merchant = w.Bound
	balance := b.BalanceOf(projections.MainAccount(cmd.Wallet, w.Currency))
	d.add(c, c.Now, events.AlertCreated{
		Alert: events.Derive[events.AlertNoun](c.ID, 0), Wallet: cmd.Wallet, Currency: w.Currency, Threshold: cmd.Threshold, Period: cmd.Period,
		Disabled: cmd.Disabled, Low: balance.Cmp(events.SumOf(cmd.Threshold)) < 0, Recipients: cmd.Recipients,
	})
	return nil
}

// raiseAlerts adds to a decision what follows from it for the alerts of the wallets whose prepaid money it changes. What counts is
// what a wallet holds once all of the decision is recorded: nothing else can be seen. So that a wallet without alerts costs nothing, usage,
// which changes one wallet, looks at the row that its memo has. A wallet that is emptied at the end of its subscription is not low: there is
// nothing more that it is to pay.
func raiseAlerts(b *projections.Books, d *decision) {
	if len(d.drafts) == 0 {
		return
	}
	if _, ok := d.drafts[0].event.(*events.UsageReported); ok && len(d.usage.rows.wallet.Alerts) == 0 {
		return
	}
	var mem [2]walletChange
	changes := mem[:0]
	var over []events.WalletID
	for i := range d.drafts {
		changes = walletChanges(changes, &d.drafts[i])
		if e, ok := d.drafts[i].event.(events.WalletEmptied); ok {
			over = append(over, e.Wallet)
		}
	}
	for i := range changes {
		if w := b.Wallets.Get(changes[i].wallet); w != nil && len(w.Alerts) > 0 && !slices.Contains(over, changes[i].wallet) {
			changes[i].raise(b, w, d)
		}
	}
}

// walletChange is what a decision changes the prepaid money of a wallet by.
type walletChange struct {
	wallet events.WalletID
	by     events.Sum
	at     events.Time // of the last change
}

// walletChanges adds what a draft changes to changes.
func walletChanges(changes []walletChange, of *draft) []walletChange {
	m := of.event.Money()
	for _, p := range m.Postings {
		if p.Role != events.ConsumerMain {
			continue
		}
		wallet := events.WalletID(m.AccountOf(p, of.merchant).Owner)
		i := 0
		for i < len(changes) && changes[i].wallet != wallet {
			i++
		}
		if i == len(changes) {
			changes = append(changes, walletChange{wallet: wallet})
		}
		changes[i].by, changes[i].at = changes[i].by.Add(p.Nanos), of.at
	}
	return changes
}

// raise raises the alerts of a wallet whose threshold it no longer holds, and rearms those whose threshold it holds again. An alert that
// may not be raised yet, for it was raised less than its period ago, stays armed: if the wallet is still low, the next change raises it.
func (ch *walletChange) raise(b *projections.Books, w *projections.Wallet, d *decision) {
	balance := b.BalanceOf(projections.MainAccount(ch.wallet, w.Currency)).Plus(ch.by)
	for _, id := range w.Alerts {
		a := b.Alerts.Get(id)
		low := balance.Cmp(events.SumOf(a.Threshold)) < 0
		var e events.Event
		switch {
		case low && !a.Low && (a.Notified == 0 || ch.at >= a.Notified.Add(time.Duration(a.Period)*time.Second)):
			e = events.AlertRaised{Alert: id, Wallet: ch.wallet, Currency: w.Currency, Threshold: a.Threshold, Balance: balance}
		case !low && a.Low:
			e = events.AlertRearmed{Alert: id, Wallet: ch.wallet, Currency: w.Currency, Balance: balance}
		default:
			continue
		}
		d.drafts = append(d.drafts, draft{event: e, at: ch.at, merchant: a.Merchant, cause: a.Created})
	}
}
