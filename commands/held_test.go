package commands

import (
	"testing"

	"tallystick/events"
)

// held reports an event for the customer that the merchant calls by an id of its own, sealed under a key of that name.
func held(external, key string, isNew bool) step {
	return func(w *world) *Request {
		r := w.request(&IngestEvent{
			External: external, Type: "call", HappenedAt: instantOf("2025-01-15 10:00"),
			Held: &HeldEvent{External: digestOf(external), Body: sealedFor(orgOf(key), external), NewKey: isNew},
		})
		return &r
	}
}

// knownAs gives a customer an id of the merchant's own, or takes it away.
func knownAs(customer, external string) step {
	return func(w *world) *Request {
		var digest events.Digest
		if external != "" {
			digest = digestOf(external)
		}
		return just(UpdateCustomer{Customer: id[events.CustomerNoun](w, customer), External: given(digest)})(w)
	}
}

// attach bills the nth event that was held to a customer, as an event of a type with so many tokens.
func attach(n int, external, customer, kind, tokens string) step {
	return func(w *world) *Request {
		cmd := &AttachEvent{External: digestOf(external), Held: 1 << 40, Event: IngestEvent{
			Customer: id[events.CustomerNoun](w, customer), Type: kind, HappenedAt: instantOf("2025-01-15 10:00"),
			Data: []EventValue{{"$.bytes", "30"}, {"$.usage.tokens", tokens}},
		}}
		for i := range w.log.records {
			if _, ok := w.log.records[i].Event.(events.EventHeld); ok {
				if n--; n == 0 {
					cmd.Held = w.log.records[i].Seq
				}
			}
		}
		r := w.request(cmd)
		return &r
	}
}

// TestHeldEvents holds how events that came before their customer wait, and what becomes of them.
func TestHeldEvents(t *testing.T) {
	setup := append(taxedShop(seller), counting("tokens", "call", "$.usage.tokens"), counting("bytes", "call", "$.bytes"))
	two := []step{held("a-1", "k", true), held("a-1", "k", false)}
	there := append(two, knownAs("alice", "a-1"))
	with := func(more ...step) []step { return append(there[:len(there):len(there)], more...) }
	checkRules(t, setup, []rule{
		{name: "the first", when: held("a-1", "k", true)},
		{name: "another, under the same key", given: two[:1], when: held("a-1", "k", false)},
		{name: "another, under a key of its own", given: two[:1], when: held("a-1", "l", true)},
		{name: "under a key that is destroyed", when: held("a-1", "k", false), refused: Busy},
		{name: "so too beside those of another key", given: []step{held("a-1", "l", true)}, when: held("a-1", "k", false), refused: Busy},
		{name: "the first is billed", given: there, when: attach(1, "a-1", "alice", "call", "4")},
		{name: "the last, and its key goes", given: with(attach(1, "a-1", "alice", "call", "4")), when: attach(2, "a-1", "alice", "call", "4")},
		{name: "both keys go", given: []step{held("a-1", "k", true), held("a-1", "l", true), knownAs("alice", "a-1"), attach(1, "a-1", "alice", "call", "4")}, when: attach(2, "a-1", "alice", "call", "4")},
		{name: "what nothing counts is let go", given: there, when: attach(1, "a-1", "alice", "chat", "4")},
		{name: "so is what can never be billed", given: there, when: attach(1, "a-1", "alice", "call", "many")},
		{name: "a period that is over is closed first", given: with(at("2025-02-15 10:00")), when: attach(1, "a-1", "alice", "call", "4")},

		{name: "twice", given: with(attach(1, "a-1", "alice", "call", "4")), when: attach(1, "a-1", "alice", "call", "4"), refused: NotFound},
		{name: "after those behind it", given: with(attach(2, "a-1", "alice", "call", "4")), when: attach(1, "a-1", "alice", "call", "4"), refused: NotFound},
		{name: "what was never held", given: there, when: attach(3, "a-2", "alice", "call", "4"), refused: NotFound},
		{name: "to a customer of another id", given: append(two[:2:2], knownAs("alice", "a-2")), when: attach(1, "a-1", "alice", "call", "4"), refused: NotFound},
		{name: "to a customer of that id no longer", given: with(knownAs("alice", "")), when: attach(1, "a-1", "alice", "call", "4"), refused: NotFound},
		{name: "with more than the wallet holds it waits on", given: there, when: attach(1, "a-1", "alice", "call", "1000000"), refused: InsufficientFunds},
		{name: "without a subscription it waits on", given: append(two[:2:2], customer("bob"), knownAs("bob", "a-1")), when: attach(1, "a-1", "bob", "call", "4"), refused: SubscriptionNotActive},

		{name: "discarded", given: two, when: just(DiscardEvents{External: digestOf("a-1"), Named: "a-1"})},
		{name: "discarded, of none", given: two, when: just(DiscardEvents{External: digestOf("a-2"), Named: "a-2"}), refused: NotFound},
		{name: "discarded by another merchant", given: append(two[:2:2], merchant("rival", seller)), when: just(DiscardEvents{External: digestOf("a-1"), Named: "a-1"}), refused: NotFound},
		{name: "billed after it was discarded", given: with(just(DiscardEvents{External: digestOf("a-1"), Named: "a-1"})), when: attach(1, "a-1", "alice", "call", "4"), refused: NotFound},
	})
}
