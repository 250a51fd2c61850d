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

// TestPurchaseGrant holds the rules of buying units: the wallet pays them with tax and the platform's part, and they are granted in the
// same step, or neither happens.
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
	checkRules(t, setup, []rule{
		{name: "out of the wallet, with tax and a part for the platform", when: buy("credits", "1000", "5")},
		{name: "after a period that is over", given: []step{at("2025-02-15 10:00")}, when: buy("credits", "1000", "5")},
		{name: "with tax in it", given: []step{taxedAt("pro", 19_000, events.Inclusive), at("2025-02-15 10:00")}, when: buy("credits", "1000", "5")},

		{name: "more than the wallet holds", when: buy("credits", "1000", "9.30"), refused: InsufficientFunds},
		{name: "for too little", when: buy("credits", "1000", "0.49"), refused: Invalid},
		{name: "for too much", when: buy("credits", "1000", "4503599.63"), refused: Invalid},
		{name: "nothing", when: buy("credits", "0", "5"), refused: Invalid},
		{name: "without a subscription", when: buy("loose", "1000", "5"), refused: Conflict},
		{name: "after the subscription has ended", given: []step{terminateIt("sub")}, when: buy("credits", "1000", "5"), refused: Conflict},
		{name: "another merchant's", given: []step{merchant("rival", seller)}, when: buy("credits", "1000", "5"), refused: NotFound},
	})
}
