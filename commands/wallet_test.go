package commands

import (
	"testing"

	"tallystick/events"
)

// TestTopUp holds the rules of top-ups.
func TestTopUp(t *testing.T) {
	cmd := func(w *world) TopUp {
		return TopUp{Wallet: id[events.WalletNoun](w, "alice-wallet"), Amount: 5, Method: "sandbox"}
	}
	with := func(change func(*TopUp)) step {
		return func(w *world) *Request {
			c := cmd(w)
			change(&c)
			return just(c)(w)
		}
	}
	rival := merchant("rival", seller)
	checkRules(t, shop(), []rule{
		{name: "money comes in from the processor", when: fund("alice", "0.000000001")},
		{name: "an operator need not name the merchant", given: []step{func(w *world) *Request {
			w.merchant = events.OrganizationID{}
			return nil
		}}, when: byOperator(fund("alice", "1"))},
		{name: "an operator may act for any merchant", given: []step{rival}, when: byOperator(fund("alice", "1"))},

		{name: "nothing", when: with(func(c *TopUp) { c.Amount = 0 }), refused: Invalid},
		{name: "less than nothing", when: with(func(c *TopUp) { c.Amount = -1 }), refused: Invalid},
		{name: "by an unknown method", when: with(func(c *TopUp) { c.Method = "stripe" }), refused: Invalid},
		{name: "a wallet that is not there", when: with(func(c *TopUp) { c.Wallet[0]++ }), refused: NotFound},
		{name: "a wallet of another merchant's", given: []step{rival}, when: fund("alice", "1"), refused: NotFound},
		{name: "a merchant's own wallet", when: fund("acme", "1"), refused: NotFound},
	})
}
