package verify

import (
	"fmt"

	"tallystick/events"
)

// alert is a threshold of a wallet.
type alert struct {
	wallet    events.WalletID
	currency  events.Currency
	threshold events.Nanos
	period    events.Time // that lies between two notices, at least
	off, low  bool
	raised    events.Time // 0 for never
}

// alert compares what an alert says with what its wallet holds: that it is raised where the wallet has fallen below the
// threshold, and once until the threshold is reached again.
func (a *auditor) alert(rec *events.Record) error {
	switch e := rec.Event.(type) {
	case events.AlertCreated:
		held, ok := a.wallets[e.Wallet]
		if low := held.Cmp(events.SumOf(e.Threshold)) < 0; !ok || a.alerts[e.Alert] != nil || low != e.Low {
			return fmt.Errorf("alert %s: it exists already, or wallet %s does not, or low is %t where it holds %s", e.Alert, e.Wallet, e.Low, held)
		}
		a.alerts[e.Alert] = &alert{e.Wallet, e.Currency, e.Threshold, events.Time(e.Period) * 1e9, e.Disabled, e.Low, 0}
	case events.AlertRaised:
		x, err := a.turned(e.Alert, e.Wallet, e.Currency, e.Balance, true)
		if err != nil {
			return err
		}
		if x.threshold != e.Threshold || x.raised != 0 && rec.At < x.raised+x.period {
			return fmt.Errorf("alert %s: the threshold is not its own, or it was raised less than its period ago", e.Alert)
		}
		x.raised = rec.At
	case events.AlertRearmed:
		_, err := a.turned(e.Alert, e.Wallet, e.Currency, e.Balance, false)
		return err
	default: // the others say nothing of that
	}
	return nil
}

// turned lets an alert become low, or not low any more, which it must not be yet.
func (a *auditor) turned(id events.AlertID, wallet events.WalletID, currency events.Currency, balance events.Sum, low bool) (*alert, error) {
	x := a.alerts[id]
	if x == nil || x.off || x.wallet != wallet || x.currency != currency {
		return nil, fmt.Errorf("alert %s does not exist, is off, or is not of wallet %s in %s", id, wallet, currency)
	}
	if held := a.wallets[wallet]; held != balance || held.Cmp(events.SumOf(x.threshold)) < 0 != low || x.low == low {
		return nil, fmt.Errorf("alert %s turns low=%t where it was low=%t, at %s, and wallet %s holds %s", id, low, x.low, balance, wallet, held)
	}
	x.low = low
	return x, nil
}
