package commands

import (
	"testing"

	"tallystick/events"
	"tallystick/projections"
)

// disputeOf disputes the usage that was reported under a key.
func disputeOf(key string) step {
	return func(w *world) *Request {
		rec := recordOf(w, key)
		return just(CreateDispute{
			Usage: events.Derive[events.UsageNoun](rec.Command, 0), Original: rec.Event.(*events.UsageReported), Merchant: rec.Merchant,
			Message: sealedFor(orgOf("alice"), "message"),
		})(w)
	}
}

// answered resolves the dispute of the usage that was reported under a key.
func answered(key string, accept bool) step {
	return func(w *world) *Request {
		rec := recordOf(w, key)
		return just(ResolveDispute{
			Dispute: events.Derive[events.DisputeNoun](rec.Command, 0), Original: rec.Event.(*events.UsageReported), Merchant: rec.Merchant,
			Accept: accept, Reason: sealedFor(orgOf("alice"), "reason"),
		})(w)
	}
}

// TestDisputes holds the rules of disputes (A25): one for each usage event, and to accept it is to take the event back.
func TestDisputes(t *testing.T) {
	setup := append(taxedShop(events.Settings{ManagedPrepaid: true, FeeBasisPoints: 1_000}),
		use("one", "alice", "2025-01-15 10:00", q{"tokens", 8}, q{"bytes", 3}), use("two", "alice", "2025-01-15 10:00", q{"tokens", 1}))
	rival := merchant("rival", seller)
	remove := func(w *world) *Request { return just(DeleteCustomer{id[events.CustomerNoun](w, "alice")})(w) }
	checkRules(t, setup, []rule{
		{name: "a usage event is disputed", when: disputeOf("one")},
		{name: "accepted, the event is taken back", given: []step{disputeOf("one")}, when: answered("one", true)},
		{name: "declined, the event stands", given: []step{disputeOf("one")}, when: answered("one", false)},
		{name: "a declined one may still be taken back", given: []step{disputeOf("one"), answered("one", false)}, when: refundOf("one")},
		{name: "accepted, where the event was taken back meanwhile", given: []step{disputeOf("one"), refundOf("one")}, when: answered("one", true)},
		{name: "it is answered in a later period", given: []step{disputeOf("two"), at("2025-02-16 12:00")}, when: answered("two", true)},
		{name: "accepted, where the event is on an issued invoice, that leaves less to pay", given: []step{disputeOf("one"), at("2025-02-16 12:00")}, when: answered("one", true)},
		{name: "its customer goes once it is answered", given: []step{disputeOf("two"), terminateIt("sub"), at("2025-01-15 12:00"), answered("two", false), writeOff}, when: remove},

		{name: "an event is disputed once", given: []step{disputeOf("one")}, when: disputeOf("one"), refused: Conflict},
		{name: "also where the dispute was declined", given: []step{disputeOf("one"), answered("one", false)}, when: disputeOf("one"), refused: Conflict},
		{name: "an event that was taken back", given: []step{refundOf("one")}, when: disputeOf("one"), refused: AlreadyRefunded},
		{name: "accepted, where the event is on an invoice that is being paid", given: []step{disputeOf("one"), at("2025-02-16 12:00"), latest, pay("owed")}, when: answered("one", true), refused: Conflict},
		{name: "accepted, where the event is on a paid invoice", given: []step{
			disputeOf("one"), at("2025-02-16 12:00"), latest, pay("owed"), latest, charged("owed", good),
		}, when: answered("one", true), refused: NotRefundable},
		{name: "answered twice", given: []step{disputeOf("one"), answered("one", true)}, when: answered("one", false), refused: Conflict},
		{name: "of what is no usage", when: just(CreateDispute{Usage: events.UsageID{1}}), refused: NotFound},
		{name: "somebody else's event", given: []step{rival}, when: disputeOf("one"), refused: NotFound},
		{name: "somebody else's dispute", given: []step{disputeOf("one"), rival}, when: answered("one", true), refused: NotFound},
		{name: "an answer to no dispute", when: answered("one", true), refused: NotFound},
		{name: "its customer does not go before", given: []step{disputeOf("two"), terminateIt("sub"), at("2025-01-15 12:00"), writeOff}, when: remove, refused: Conflict},
	})
}

// TestRefusedDispute holds that a dispute which cannot be accepted is as it was: to accept and to take back is one step.
func TestRefusedDispute(t *testing.T) {
	w := newWorld(t)
	w.do(taxedShop(seller)...)
	w.do(use("one", "alice", "2025-01-15 10:00", q{"bytes", 3}), disputeOf("one"), at("2025-02-16 12:00"), latest, pay("owed"))
	before := len(w.log.records)
	if r := w.send(*answered("one", true)(w))[0]; r.Code != Conflict {
		t.Fatalf("what is on an invoice that is being paid is accepted: %s", r.Code)
	}
	row := w.seq.books.Disputes.Get(events.Derive[events.DisputeNoun](recordOf(w, "one").Command, 0))
	if len(w.log.records) != before || row.Status != projections.DisputePending {
		t.Errorf("a refused answer left %d records and the dispute %s", len(w.log.records)-before, row.Status)
	}
}
