package commands

import (
	"tallystick/events"
	"tallystick/projections"
)

// TopUp adds money from the payment processor to a consumer's wallet. The sandbox processor
// always pays; it exists in sandbox ledgers only.
type TopUp struct {
	Wallet events.WalletID
	Amount events.Nanos // above 0
	Method string       // "sandbox"
}

func topUp(b *projections.Books, c Context, cmd TopUp, d *decision) *Rejection {
	if cmd.Amount <= 0 {
		return Reject(Invalid, "amount must be above 0")
	}
	if cmd.Method != "sandbox" {
		return Reject(Invalid, "method %.40q is not sandbox", cmd.Method)
	}
	if o := b.Opened.Get(struct{}{}); o == nil || o.Environment != events.Sandbox {
		return Reject(SandboxOnly, "the sandbox processor pays in sandbox ledgers only")
	}
	w := b.Wallets.Get(cmd.Wallet)
	if w == nil || w.Earning || !c.Operator && (w.Bound.IsZero() || w.Bound != c.Merchant) {
		return Reject(NotFound, "no wallet %s", cmd.Wallet)
	}
	c.Merchant = w.Bound
	balance := b.BalanceOf(projections.MainAccount(cmd.Wallet, w.Currency))
	d.add(c, c.Now, events.WalletToppedUp{
		TopUp: events.Derive[events.TopUpNoun](c.ID, 0), Wallet: cmd.Wallet, Currency: w.Currency,
		Postings: []events.Posting{
			{Role: events.ProcessorClearing, Nanos: cmd.Amount.Neg()},
			{Role: events.ConsumerMain, Nanos: cmd.Amount},
		},
		Balance: balance.Add(cmd.Amount), Method: cmd.Method,
	})
	return nil
}
