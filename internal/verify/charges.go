package verify

import (
	"fmt"

	"tallystick/events"
)

// charge is money that the payment provider was asked for.
type charge struct {
	amount  events.Nanos
	least   events.Nanos // that the provider takes
	wallet  events.WalletID
	invoice events.InvoiceID // that it pays, if it is for one
	session events.SessionID // likewise
	came    bool             // the provider has taken it
	spent   bool             // and it stands in the books
}

// requested notes a charge.
func (a *auditor) requested(e events.ChargeRequested) error {
	if a.charges[e.Charge] != nil {
		return fmt.Errorf("charge %s is requested twice", e.Charge)
	}
	a.charges[e.Charge] = &charge{amount: e.Amount, least: 1_000_000_000, wallet: e.Wallet, invoice: e.Invoice, session: e.Session}
	return nil
}

// came notes that the provider has taken the money of a charge. If that buys units, its command grants them.
func (a *auditor) came(rec *events.Record, id events.ChargeID) error {
	c := a.charges[id]
	if c == nil || c.came {
		return fmt.Errorf("charge %s was not requested, or has succeeded already", id)
	}
	c.came = true
	if p := a.selling[c.session]; p != nil {
		p.command, p.at = rec.Command, rec.At
		a.due = p
	}
	return nil
}

// spend checks that money in the books is that of a charge: the amount, once, after it came.
func (a *auditor) spend(id events.ChargeID, in events.Sum) error {
	c := a.charges[id]
	switch {
	case c == nil || !c.came:
		return fmt.Errorf("charge %s has not succeeded", id)
	case c.spent:
		return fmt.Errorf("the money of charge %s is in the books already", id)
	case in != events.SumOf(c.amount):
		return fmt.Errorf("charge %s brought %s, not %s", id, c.amount, in)
	}
	c.spent = true
	return nil
}
