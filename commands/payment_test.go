package commands

import (
	"testing"

	"tallystick/events"
	"tallystick/projections"
)

const (
	good   = projections.ChargeSucceeded
	bad    = projections.ChargeFailed
	action = projections.ChargeActionRequired
)

// change alters the command of a step.
func change[C Command](s step, fn func(*C)) step {
	return func(w *world) *Request {
		r := s(w)
		cmd := r.Command.(C)
		fn(&cmd)
		r.Command = cmd
		return r
	}
}

// TestPayments holds the rules of one-off payments, payment sessions and stored payment methods.
func TestPayments(t *testing.T) {
	rival := merchant("rival", seller)
	checkRules(t, shop(), []rule{
		{name: "a payment of anybody is asked for", when: ask("order", "", "12.34")},
		{name: "a payment of a customer is asked for", when: ask("order", "alice", "5000")},
		{name: "its session is paid with a card", given: []step{ask("order", "", "12.34")}, when: pay("order")},
		{name: "the money reaches the merchant", given: []step{ask("order", "", "12.34"), pay("order")}, when: charged("order", good)},
		{
			name: "less the platform's part", given: []step{
				merchant("taxed", events.Settings{FeeBasisPoints: 290}), ask("order", "", "12.34"), pay("order"),
			}, when: charged("order", good),
		},
		{name: "a declined card leaves the session as it was", given: []step{ask("order", "", "1"), pay("order")}, when: charged("order", bad)},
		{name: "the fifth declined card ends it", given: []step{ask("order", "", "1"), declinedTimes(4, "order"), pay("order")}, when: charged("order", bad)},
		{name: "the payer has something to do", given: []step{ask("order", "", "1"), pay("order")}, when: charged("order", action)},
		{name: "what the payer was to do is done", given: []step{ask("order", "", "1"), pay("order"), charged("order", action)}, when: confirm("order")},
		{name: "an outcome that was noted is not noted again", given: []step{ask("order", "", "1"), pay("order"), charged("order", good)}, when: charged("order", bad)},
		{name: "a session is cancelled", given: []step{ask("order", "", "1")}, when: cancelIt("order")},
		{name: "a payment method is asked for", when: setup("card", "alice")},
		{name: "a payment method is stored", given: []step{setup("card", "alice"), pay("card")}, when: charged("card", good)},
		{name: "a payment stores its method, if it is to", given: []step{
			change(ask("order", "alice", "1"), func(c *CreatePayment) { c.Save = true }), pay("order"),
		}, when: charged("order", good)},
		{name: "a payment method is removed", given: []step{setup("card", "alice"), pay("card"), charged("card", good)}, when: removeIt("card", "alice")},

		{name: "less than a unit", when: ask("order", "", "0.99"), refused: Invalid},
		{name: "more than five thousand", when: ask("order", "", "5000.01"), refused: Invalid},
		{name: "parts of cents", when: ask("order", "", "1.001"), refused: Invalid},
		{name: "in a currency that is not taken", when: change(ask("order", "", "1"), func(c *CreatePayment) { c.Currency = events.Currency{'J', 'P', 'Y'} }), refused: Invalid},
		{name: "for longer than 31 days", when: change(ask("order", "", "1"), func(c *CreatePayment) { c.Term = longestTerm + 1 }), refused: Invalid},
		{name: "whose method nobody could own", when: change(ask("order", "", "1"), func(c *CreatePayment) { c.Save = true }), refused: Invalid},
		{name: "of another merchant's customer", given: []step{rival}, when: ask("order", "alice", "1"), refused: NotFound},
		{name: "of a consumer who is erased", given: []step{just(EraseConsumer{Consumer: orgOf("alice")})}, when: ask("order", "alice", "1"), refused: Conflict},
		{name: "paying another merchant's session", given: []step{ask("order", "", "1"), rival}, when: pay("order"), refused: NotFound},
		{name: "paying a session that is being paid", given: []step{ask("order", "", "1"), pay("order")}, when: pay("order"), refused: Conflict},
		{name: "paying twice", given: []step{ask("order", "", "1"), pay("order"), charged("order", good)}, when: pay("order"), refused: Conflict},
		{name: "paying what is cancelled", given: []step{ask("order", "", "1"), cancelIt("order")}, when: pay("order"), refused: Conflict},
		{name: "cancelling what is being paid", given: []step{ask("order", "", "1"), pay("order")}, when: cancelIt("order"), refused: Conflict},
		{name: "confirming what was not asked", given: []step{ask("order", "", "1")}, when: confirm("order"), refused: Conflict},
		{name: "paying without a card", given: []step{ask("order", "", "1")}, when: change(pay("order"), func(c *PaySession) { c.Card = "" }), refused: Invalid},
		{name: "paying what has expired, unnoticed", given: []step{ask("order", "", "1"), later("2025-02-14 10:00")}, when: pay("order"), refused: PaymentSessionExpired},
		{name: "an outcome from somebody else than the provider", given: []step{ask("order", "", "1"), pay("order")}, when: func(w *world) *Request {
			r := charged("order", good)(w)
			r.Actor = events.Actor{Kind: events.ActorOperator}
			return r
		}, refused: NotFound},
		{name: "removing a method of somebody else", given: []step{setup("card", "alice"), pay("card"), charged("card", good), customer("bob")}, when: removeIt("card", "bob"), refused: NotFound},
		{name: "removing a method twice", given: []step{setup("card", "alice"), pay("card"), charged("card", good), removed("card", "alice")}, when: removeIt("card", "alice"), refused: Conflict},
	})
}

func removeIt(name, customer string) step {
	return func(w *world) *Request {
		return just(RemovePaymentMethod{Customer: id[events.CustomerNoun](w, customer), Method: id[events.MethodNoun](w, name+"-method")})(w)
	}
}

func removed(name, customer string) step { return removeIt(name, customer) }

// TestTopUps holds the rules of money that comes to wallets through the payment provider.
func TestTopUps(t *testing.T) {
	stored := []step{setup("card", "alice"), pay("card"), charged("card", good)}
	with := func(more ...step) []step { return append(append([]step(nil), stored...), more...) }
	strict := []step{merchant("strict", events.Settings{}), customer("bob")}
	checkRules(t, shop(), []rule{
		{name: "by a session", when: topUpBy("more", "alice", "20", "session")},
		{name: "paid", given: []step{topUpBy("more", "alice", "20", "session"), pay("more")}, when: charged("more", good)},
		{name: "cancelled", given: []step{topUpBy("more", "alice", "20", "session")}, when: cancelIt("more")},
		{name: "failed", given: []step{topUpBy("more", "alice", "20", "session"), declinedTimes(4, "more"), pay("more")}, when: charged("more", bad)},
		{name: "by a stored method", given: stored, when: topUpBy("more", "alice", "20", "stored")},
		{name: "by a stored method, paid", given: with(topUpBy("more", "alice", "20", "stored")), when: charged("more", good)},
		{name: "by a stored method, declined", given: with(topUpBy("more", "alice", "20", "stored")), when: charged("more", bad)},
		{name: "by a stored method whose owner would have to act", given: with(topUpBy("more", "alice", "20", "stored")), when: charged("more", action)},

		{name: "by no method", when: topUpBy("more", "alice", "20", "cheque"), refused: Invalid},
		{name: "too little", when: topUpBy("more", "alice", "0.5", "session"), refused: Invalid},
		{name: "without a stored method", when: topUpBy("more", "alice", "20", "stored"), refused: NoPaymentMethod},
		{name: "with a removed method", given: with(removed("card", "alice")), when: topUpBy("more", "alice", "20", "stored"), refused: NoPaymentMethod},
		{name: "of a managed consumer who may not prepay", given: strict, when: topUpBy("more", "bob", "20", "session"), refused: ManagedPostpaidOnly},
	})
}

// TestSessionExpiry checks that a session ends when its time has come, unless it is being paid, and what then.
func TestSessionExpiry(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given []step
		when  []step
	}{
		{"nobody has paid", []step{topUpBy("more", "alice", "20", "session")}, []step{at("2025-01-15 14:00")}},
		{"not a nano before", []step{topUpBy("more", "alice", "20", "session")}, []step{at("2025-01-15 13:59:59.999999999")}},
		{"the provider is at work, and succeeds", []step{topUpBy("more", "alice", "20", "session"), pay("more")}, []step{at("2025-01-15 14:00"), charged("more", good)}},
		{"the provider is at work, and fails", []step{topUpBy("more", "alice", "20", "session"), pay("more")}, []step{at("2025-01-15 14:00"), charged("more", bad)}},
		{"after a restart", []step{topUpBy("more", "alice", "20", "session"), func(w *world) *Request { w.restart(); return nil }}, []step{at("2025-01-15 14:00")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.do(shop()...)
			w.do(tt.given...)
			before := len(w.log.records)
			w.do(tt.when...)
			golden(t, w.story(Receipt{}, w.log.records[before:]))
		})
	}
}
