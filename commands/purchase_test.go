package commands

import (
	"testing"

	"tallystick/events"
)

// buy has an entitlement's units paid by the wallet.
func buy(entitlement, units, price string) step {
	return func(w *world) *Request {
		amount := nanosOf(units)
		r := keyed("purchase-"+units+"-"+price, w.request(PurchaseGrant{
			CreateGrant: CreateGrant{Entitlement: id[events.EntitlementNoun](w, entitlement), Amount: events.SumOf(amount), MaxRollover: Unlimited()},
			Price:       nanosOf(price),
		}))
		return &r
	}
}

// bought is buy, whose payment session can be paid by name.
func bought(entitlement, units, price string, with func(*PurchaseGrant)) step {
	return func(w *world) *Request {
		w.namedPayment("order")
		r := buy(entitlement, units, price)(w)
		cmd := r.Command.(PurchaseGrant)
		with(&cmd)
		r.Command = cmd
		return r
	}
}

// setupCard stores a payment method of alice's.
func setupCard(w *world) *Request {
	w.do(setup("card", "alice"), pay("card"), charged("card", good))
	return nil
}

// TestPurchaseGrant holds the rules of buying units: the wallet pays them with tax and the platform's part, and they are granted in the
// same step; where it lacks the price, that is asked for, and they are granted when it is paid, or never.
func TestPurchaseGrant(t *testing.T) {
	entitled := func(name, subscription string) step {
		return func(w *world) *Request {
			w.named(name+"-feature", 0)
			w.do(just(CreateFeature{Product: id[events.ProductNoun](w, "llm"), Key: name, Name: name, Type: events.FeatureMetered}))
			w.named(name, 0)
			cmd := IssueEntitlement{
				Customer: id[events.CustomerNoun](w, "alice"), Feature: id[events.FeatureNoun](w, name+"-feature"),
				Terms: events.FeatureTerms{Type: events.FeatureMetered, Interval: "P1M", MaxRollover: Unlimited()},
			}
			if subscription != "" {
				cmd.Subscription = id[events.SubscriptionNoun](w, subscription)
			}
			return just(cmd)(w)
		}
	}
	setup := append(taxedShop(events.Settings{ManagedPrepaid: true, FeeBasisPoints: 1_000}), entitled("credits", "sub"), entitled("loose", ""))
	plain := func(*PurchaseGrant) {}
	more := func(with func(*PurchaseGrant)) step { return bought("credits", "1000", "9.30", with) }
	auto := []step{
		setupCard, func(w *world) *Request {
			return just(UpdateSubscription{Subscription: id[events.SubscriptionNoun](w, "sub"), AutoCharge: Change[bool]{true, true}})(w)
		},
	}
	checkRules(t, setup, []rule{
		{name: "out of the wallet, with tax and a part for the platform", when: buy("credits", "1000", "5")},
		{name: "after a period that is over", given: []step{at("2025-02-15 10:00")}, when: buy("credits", "1000", "5")},
		{name: "with tax in it", given: []step{taxedAt("pro", 19_000, events.Inclusive), at("2025-02-15 10:00")}, when: buy("credits", "1000", "5")},

		{name: "more than the wallet holds is asked for", when: more(func(p *PurchaseGrant) {
			p.OnSuccess, p.OnFailure, p.EffectiveAt = "https://acme.example/ok", "https://acme.example/no", instantOf("2025-01-20 00:00")
		})},
		{name: "until the merchant says", when: more(func(p *PurchaseGrant) { p.PayBy = instantOf("2025-01-17 00:00") })},
		{name: "and no longer than the units are good", when: more(func(p *PurchaseGrant) { p.ExpiresAt = instantOf("2025-01-15 11:00") })},
		{name: "less than the processor takes is asked for", given: []step{use("all", "alice", "2025-01-15 10:00", q{"tokens", 36})}, when: buy("credits", "10", "0.50")},
		{name: "of the stored method, where charges are automatic", given: auto, when: more(plain)},
		{name: "once it is paid they are granted", given: []step{more(plain), pay("order")}, when: charged("order", good)},
		{name: "at what was told, whatever taxes and the wallet have become", given: []step{
			more(plain), taxedAt("pro", 19_000, events.Inclusive), use("all", "alice", "2025-01-15 10:00", q{"tokens", 36}), pay("order"),
		}, when: charged("order", good)},
		{name: "on the invoice of the period in which it is paid", given: []step{
			at("2025-02-15 09:00"), more(func(p *PurchaseGrant) { p.PayBy = instantOf("2025-02-20 00:00") }), at("2025-02-15 10:00"), pay("order"),
		}, when: charged("order", good)},
		{name: "the stored method pays", given: append(auto[:len(auto):len(auto)], more(plain)), when: charged("order", good)},
		{name: "a card is declined, and another may pay", given: []step{more(plain), pay("order")}, when: charged("order", bad)},
		{name: "the fifth declined card ends it", given: []step{more(plain), declinedTimes(4, "order"), pay("order")}, when: charged("order", bad)},
		{name: "it is cancelled", given: []step{more(plain)}, when: cancelIt("order")},
		{name: "it ends with its subscription", given: []step{more(plain)}, when: terminateIt("sub")},
		{name: "paid while its subscription ends, the money stays in the wallet", given: []step{more(plain), pay("order"), terminateIt("sub")}, when: charged("order", good)},
		{name: "declined while its subscription ends, it is over", given: []step{more(plain), pay("order"), terminateIt("sub")}, when: charged("order", bad)},
		{name: "paid after its units have ended, the money stays in the wallet", given: []step{
			more(func(p *PurchaseGrant) { p.ExpiresAt = instantOf("2025-01-15 11:00") }), pay("order"), at("2025-01-15 11:00"),
		}, when: charged("order", good)},

		{name: "more than one payment may be of", when: buy("credits", "1000", "5001"), refused: InsufficientFunds},
		{name: "to be paid by a time that is over", when: more(func(p *PurchaseGrant) { p.PayBy = instantOf("2025-01-15 10:00") }), refused: Invalid},
		{name: "to be paid in more than 31 days", when: more(func(p *PurchaseGrant) { p.PayBy = instantOf("2025-02-16 00:00") }), refused: Invalid},
		{name: "a session that is paid is not paid again", given: []step{more(plain), pay("order"), charged("order", good)}, when: pay("order"), refused: Conflict},
		{name: "nor one that has expired", given: []step{more(plain), at("2025-01-15 14:00")}, when: pay("order"), refused: PaymentSessionExpired},
		{name: "the same key for other units", given: []step{more(plain)}, when: func(w *world) *Request {
			r := buy("credits", "1001", "9.30")(w)
			r.Key = "purchase-1000-9.30"
			return r
		}, refused: IdempotencyConflict},
		{name: "for too little", when: buy("credits", "1000", "0.49"), refused: Invalid},
		{name: "for too much", when: buy("credits", "1000", "4503599.63"), refused: Invalid},
		{name: "nothing", when: buy("credits", "0", "5"), refused: Invalid},
		{name: "without a subscription", when: buy("loose", "1000", "5"), refused: Conflict},
		{name: "after the subscription has ended", given: []step{terminateIt("sub")}, when: buy("credits", "1000", "5"), refused: Conflict},
		{name: "another merchant's", given: []step{merchant("rival", seller)}, when: buy("credits", "1000", "5"), refused: NotFound},
	})
}
