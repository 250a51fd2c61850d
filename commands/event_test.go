package commands

import (
	"testing"

	"tallystick/events"
)

// happened reports an event to a customer under a key; a value named "" is left out.
func happened(key, customer, kind string, data ...EventValue) step {
	return func(w *world) *Request {
		r := keyed(key, w.request(&IngestEvent{Customer: id[events.CustomerNoun](w, customer), Type: kind, Data: data}))
		return &r
	}
}

// counting has a metric count events of a type.
func counting(metric, kind, path string) step {
	return func(w *world) *Request {
		return just(UpdateMetric{Metric: id[events.MetricNoun](w, metric), EventType: given(kind), ValueProperty: given(path)})(w)
	}
}

// TestIngestEvent holds what an event comes to by the metrics that count it.
func TestIngestEvent(t *testing.T) {
	setup := append(taxedShop(seller), counting("tokens", "call", "$.usage.tokens"), counting("bytes", "call", "$.bytes"))
	value := func(path, text string) EventValue { return EventValue{path, text} }
	both := []EventValue{value("$.bytes", "30"), value("$.usage.tokens", "4.000")}
	with := func(tokens string) []EventValue { return []EventValue{both[0], value("$.usage.tokens", tokens)} }
	second := []step{
		product("api"), plan("calls", "api", arrearsCount("requests", "1")), counting("requests", "call", ""), join("more", "alice", "calls", terms{}),
	}
	checkRules(t, setup, []rule{
		{name: "each metric that counts it, in one usage event", when: happened("k", "alice", "call", both...)},
		{name: "one that counts it, of those there are", given: []step{counting("bytes", "", "")}, when: happened("k", "alice", "call", both...)},
		{name: "a sum of nothing is left out", when: happened("k", "alice", "call", with("0")...)},
		{name: "what nothing counts is taken, and not recorded", when: happened("k", "alice", "chat", both...)},
		{name: "so is what happened before a metric counts", given: []step{func(w *world) *Request {
			w.do(counting("bytes", "", ""))
			return just(UpdateMetric{Metric: id[events.MetricNoun](w, "tokens"), EventFrom: given(instantOf("2025-01-15 10:01"))})(w)
		}}, when: happened("k", "alice", "call", both...)},
		{name: "a period that is over is closed first", given: []step{at("2025-02-15 10:00")}, when: happened("k", "alice", "call", both...)},
		{name: "at a time", when: change(happened("k", "alice", "call", both...), func(c **IngestEvent) { (*c).HappenedAt = instantOf("2025-01-15 10:00") })},

		{name: "of no type", when: happened("k", "alice", "", both...), refused: Invalid},
		{name: "without a value", when: happened("k", "alice", "call", both[0]), refused: Invalid},
		{name: "less than nothing", when: happened("k", "alice", "call", with("-1")...), refused: Invalid},
		{name: "a part", when: happened("k", "alice", "call", with("1.5")...), refused: Invalid},
		{name: "no number", when: happened("k", "alice", "call", with("many")...), refused: Invalid},
		{name: "more digits than there are", when: happened("k", "alice", "call", with("1e400000000")...), refused: Invalid},
		{name: "more than fits", when: happened("k", "alice", "call", with("99999999999999999999")...), refused: Invalid},
		{name: "more than the wallet holds", when: happened("k", "alice", "call", with("1000000")...), refused: InsufficientFunds},
		{name: "of a customer without a subscription", given: []step{customer("bob")}, when: happened("k", "bob", "call", both...), refused: SubscriptionNotActive},
		{name: "of another merchant's customer", given: []step{merchant("rival", seller)}, when: happened("k", "alice", "call", both...), refused: NotFound},
		{name: "that two subscriptions count", given: second, when: happened("k", "alice", "call", both...), refused: Conflict},
		{name: "a key that usage has", given: []step{use("k", "alice", "2025-01-15 10:00", q{"tokens", 1})}, when: happened("k", "alice", "call", both...), refused: IdempotencyConflict},
	})
}

// TestDistinctValues checks that texts are told apart by what they say, and numbers by what they are.
func TestDistinctValues(t *testing.T) {
	w := newWorld(t)
	w.do(merchant("acme", seller), product("llm"), plan("pro", "llm", tariff{"users", "3", events.InArrears, events.AggregateUnique}),
		counting("users", "call", "$.user"), customer("alice"), join("sub", "alice", "pro", terms{}))
	for i, user := range []string{"ann", "ben", "ann", "7", "7.0", "-3", "-3"} {
		w.do(happened(string(rune('a'+i)), "alice", "call", EventValue{"$.user", user}))
	}
	w.do(at("2025-02-16 12:00"))
	for _, rec := range w.log.records {
		if e, ok := rec.Event.(events.InvoiceLineClosed); ok && e.Nanos != events.SumOf(12*events.NanosPerUnit) {
			t.Errorf("four users come to %s", e.Nanos)
		}
	}
}
