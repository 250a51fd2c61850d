package commands

import (
	"testing"

	"tallystick/events"
)

// TestRepeats checks that every command may be repeated under its key, by whoever may give it: the answer is the first
// one, nothing is recorded, and the key is good for nothing else. Nothing of that depends on memory.
func TestRepeats(t *testing.T) {
	profile := events.Profile{Name: "Acme"}
	secret := SecretHash("sk_test_1")
	setup := append(shop(), customer("bob"), clock("tc", "2025-01-15 10:00"), func(w *world) *Request {
		w.named("key", 0)
		return just(CreateKey{Role: events.MerchantKey, Secret: secret})(w)
	})
	nobody := func(s step) step { // an operator who names no merchant
		return func(w *world) *Request {
			r := byOperator(s)(w)
			r.Merchant = events.OrganizationID{}
			return r
		}
	}
	revoke := func(w *world) *Request { return just(RevokeKey{Key: id[events.KeyNoun](w, "key")})(w) }
	for _, tt := range []struct {
		name    string
		command step
		other   step // of the same type, with other content
	}{
		{"ReportUsage", use("", "alice", "2025-01-15 10:00", q{"tokens", 1}), use("", "alice", "2025-01-15 10:00", q{"tokens", 2})},
		{"TopUp", fund("alice", "1"), fund("alice", "2")},
		{"TopUp by an operator", nobody(fund("alice", "1")), nobody(fund("alice", "2"))},
		{"CreateMerchant", nobody(just(CreateMerchant{Profile: profile, Currency: usd})), nobody(just(CreateMerchant{Profile: profile, Currency: eur}))},
		{"CreateMerchant in another's name", byOperator(just(CreateMerchant{Profile: profile, Currency: usd})), byOperator(just(CreateMerchant{Profile: profile, Currency: eur}))},
		{"UpdateMerchant", just(UpdateMerchant{Profile: profile, Settings: seller}), just(UpdateMerchant{Profile: events.Profile{Name: "Else"}, Settings: seller})},
		{"CreateKey", just(CreateKey{Role: events.MerchantKey, Secret: secret}), just(CreateKey{Role: events.MerchantKey})},
		{"CreateKey of an auditor", byOperator(just(CreateKey{Role: events.AuditorKey, Secret: secret})), byOperator(just(CreateKey{Role: events.AuditorKey}))},
		{"RevokeKey", revoke, just(RevokeKey{})},
		{"RevokeKey by an operator", nobody(revoke), nil},
		{"CreateProduct", product("p"), just(CreateProduct{Name: "else", Description: "else"})},
		{"CreateMetric", func(w *world) *Request {
			return just(CreateMetric{Product: id[events.ProductNoun](w, "llm"), Name: "m", Description: "d", Unit: "u", Aggregation: events.AggregateSum})(w)
		}, just(CreateMetric{})},
		{"CreatePrice", func(w *world) *Request {
			return just(CreatePrice{Metric: id[events.MetricNoun](w, "tokens"), Model: events.Standard, Term: events.Instant, DisplayName: "d"})(w)
		}, just(CreatePrice{})},
		{"CreatePlan", plan("p", "llm"), just(CreatePlan{})},
		{"CreateCustomer", customer("carl"), customer("dora")},
		{"CreateConsumer", consumer("carl"), consumer("dora")},
		{"EraseConsumer", just(EraseConsumer{Consumer: orgOf("alice")}), just(EraseConsumer{Consumer: orgOf("bob")})},
		{"EraseConsumer by an operator", nobody(just(EraseConsumer{Consumer: orgOf("alice")})), nil},
		{"CreateSubscription", join("bobs", "bob", "pro", terms{}), join("bobs", "bob", "pro", terms{ending: "2025-03-01 00:00"})},
		{"TerminateSubscription", terminateIt("sub"), just(TerminateSubscription{})},
		{"CreateTestClock", just(CreateTestClock{Name: "a"}), just(CreateTestClock{Name: "b"})},
		{"AdvanceTestClock", advance("tc", "2025-02-01 00:00"), advance("tc", "2025-03-01 00:00")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.do(setup...)
			request := keyed("key", *tt.command(w))
			rival := request
			rival.Content[0]++
			receipts := w.send(request, request, rival) // within one group
			head := w.seq.head
			receipts = append(receipts, w.send(request)[0])
			w.restart()
			receipts = append(receipts, w.send(request)[0])
			if tt.other != nil {
				receipts = append(receipts, w.send(keyed("key", *tt.other(w)))[0])
			}
			if receipts[0].Status != Accepted || receipts[0].Seq == 0 {
				t.Fatalf("the first is %s: %s", receipts[0].Status, receipts[0].Message)
			}
			receipts[0].Status = Duplicate
			for i, r := range receipts[1:] {
				if i == 1 || i == 4 {
					if r.Code != IdempotencyConflict {
						t.Errorf("other content is answered %s %s", r.Status, r.Code)
					}
				} else if got, want := string(r.AppendJSON(nil)), string(receipts[0].AppendJSON(nil)); got != want {
					t.Errorf("repeat %d is answered %s, want %s", i, got, want)
				}
			}
			if w.seq.head != head {
				t.Errorf("repeats have recorded something: the head went from %d to %d", head.Seq, w.seq.head.Seq)
			}
		})
	}
}

// TestKeysAreSeparate checks what a key is good for: one merchant, one type of command. A refusal uses up none.
func TestKeysAreSeparate(t *testing.T) {
	w := newWorld(t)
	w.do(shop()...)
	now := "2025-01-15 10:00"
	poor := *use("k", "alice", now, q{"tokens", 41})(w)
	if r := w.send(poor)[0]; r.Code != InsufficientFunds {
		t.Fatalf("usage above the balance is %s %s", r.Status, r.Code)
	}
	w.do(
		under("k", fund("alice", "1")), // the same key, of another type of command
		func(*world) *Request { return &poor },
		merchant("rival", seller), product("db"), plan("basic", "db", instantSum("rows", "1")),
		customer("bob"), fund("bob", "1"), join("bobs", "bob", "basic", terms{}),
		use("k", "bob", now, q{"rows", 1}), // the same key, of another merchant
	)
	// Whoever is not the operator learns nothing by another's key.
	stolen := keyed("k", *fund("alice", "1")(w))
	if r := w.send(stolen)[0]; r.Code != NotFound {
		t.Errorf("another merchant's top-up, repeated, is %s %s, want %s", r.Status, r.Code, NotFound)
	}
}
