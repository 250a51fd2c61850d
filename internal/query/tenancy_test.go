package query_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
	"tallystick/ledger"
	"tallystick/projections"
	"tallystick/projections/projtest"
)

// TestTenancy asks, as each merchant, for everything that there is: its own is answered, and nothing else is known of.
func TestTenancy(t *testing.T) {
	mem := newMemory(everything())
	s, m := mem.service(), newModel(mem.records)
	merchants := must[query.List[query.Merchant]](t)(s.Merchants(t.Context(), operator, query.MerchantsArgs{}))
	for _, merchant := range merchants.Items {
		who := wire.Who{Role: events.MerchantKey, Merchant: merchant.ID}
		for id, owner := range m.owner {
			_, err := ask(t.Context(), s, who, id, query.At{})
			want := commands.NotFound
			if owner == merchant.ID {
				want = ""
			}
			if commands.CodeOf(err) != want || err != nil && want == "" {
				t.Errorf("merchant %s asks for %s: %v", merchant.ID, id, err)
			}
		}
		for _, rec := range m.reported {
			id := events.Derive[events.UsageNoun](rec.Command, 0)
			_, err := s.UsageEvent(t.Context(), who, query.UsageEventArgs{Usage: id})
			if (err == nil) != (rec.Merchant == merchant.ID) {
				t.Fatalf("merchant %s asks for %s of %s: %v", merchant.ID, id, rec.Merchant, err)
			}
		}
		list := must[query.List[query.Merchant]](t)(s.Merchants(t.Context(), who, query.MerchantsArgs{}))
		if len(list.Items) != 1 || list.Items[0].ID != merchant.ID {
			t.Errorf("merchant %s sees %+v", merchant.ID, list.Items)
		}
		rs := must[query.Records](t)(s.Records(t.Context(), who, query.RecordsArgs{Limit: 1000}))
		for i := range rs.Records {
			if rs.Records[i].Merchant != merchant.ID {
				t.Fatalf("merchant %s sees record %d", merchant.ID, rs.Records[i].Seq)
			}
		}
	}
}

// TestListsAreTheMerchantsOwn goes through every list, and through every query about the whole ledger.
func TestListsAreTheMerchantsOwn(t *testing.T) {
	mem := newMemory(everything())
	s := mem.service()
	merchants := must[query.List[query.Merchant]](t)(s.Merchants(t.Context(), operator, query.MerchantsArgs{}))
	own, other := merchants.Items[0].ID, merchants.Items[1].ID
	who := wire.Who{Role: events.MerchantKey, Merchant: own}
	for _, name := range []string{"Products", "Metrics", "Prices", "Plans", "Customers", "Subscriptions", "Invoices", "Keys", "Clocks"} {
		all, mine := items(t, s, operator, name, `{}`), items(t, s, who, name, `{}`)
		named := items(t, s, operator, name, `{"merchantId":"`+own.String()+`"}`)
		for _, item := range slices.Concat(mine, named) {
			delete(item, "wallets") // a merchant sees those of a full consumer's that are bound to it
		}
		if len(mine) == 0 || len(mine) >= len(all) || !reflect.DeepEqual(mine, named) {
			t.Errorf("%s: a merchant sees %d, an operator %d of it and %d in all", name, len(mine), len(named), len(all))
		}
		for _, item := range mine {
			if item["merchantId"] != own.String() {
				t.Errorf("%s: merchant %s sees %v", name, own, item)
			}
		}
		_, err := s.Query(t.Context(), who, name, []byte(`{"merchantId":"`+other.String()+`"}`))
		if commands.CodeOf(err) != commands.NotFound {
			t.Errorf("%s of another merchant: %v", name, err)
		}
		if _, err := s.Query(t.Context(), wire.Who{}, name, nil); commands.CodeOf(err) != commands.Unauthorized {
			t.Errorf("%s asked by nobody: %v", name, err)
		}
	}
	for _, name := range []string{"TrialBalance", "Digests"} {
		if _, err := s.Query(t.Context(), who, name, nil); commands.CodeOf(err) != commands.Forbidden {
			t.Errorf("%s asked by a merchant: %v", name, err)
		}
		if _, err := s.Query(t.Context(), wire.Who{Role: events.AuditorKey}, name, nil); err != nil {
			t.Errorf("%s asked by an auditor: %v", name, err)
		}
	}
}

func items(t *testing.T, s *query.Service, who wire.Who, name, args string) []map[string]any {
	t.Helper()
	var list struct{ Items []map[string]any }
	b := must[[]byte](t)(s.Query(t.Context(), who, name, []byte(args)))
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func TestPagesMakeTheList(t *testing.T) {
	mem := newMemory(everything())
	s := mem.service()
	for _, args := range []query.SubscriptionsArgs{{}, {Merchant: mem.records[2].Merchant}, {Status: projections.SubscriptionActive}} {
		all := must[query.List[query.Subscription]](t)(s.Subscriptions(t.Context(), operator, args))
		var got []query.Subscription
		for args.Limit = 2; ; args.Offset += 2 {
			page := must[query.List[query.Subscription]](t)(s.Subscriptions(t.Context(), operator, args))
			got = append(got, page.Items...)
			if !page.More {
				break
			}
		}
		if len(all.Items) == 0 || !reflect.DeepEqual(got, all.Items) {
			t.Errorf("%+v: %d in pages, want %d", args, len(got), len(all.Items))
		}
	}
}

func TestQueryRefuses(t *testing.T) {
	s := newMemory(projtest.Shape{}).service()
	for name, tt := range map[string]struct {
		query, args string
		want        commands.Code
	}{
		"an unknown query":         {"Everything", `{}`, commands.NotFound},
		"an unknown field":         {"Wallet", `{"walet":"x"}`, commands.Invalid},
		"arguments that go on":     {"Status", `{} {}`, commands.Invalid},
		"an identity of another":   {"Wallet", `{"walletId":"cus_01JD3W0000000000000000000"}`, commands.Invalid},
		"no identity":              {"Wallet", `{}`, commands.Invalid},
		"a limit out of range":     {"Customers", `{"limit":1001}`, commands.Invalid},
		"a negative offset":        {"Customers", `{"offset":-1}`, commands.Invalid},
		"two moments":              {"Status", `{"asOf":1,"asOfTime":"2026-01-01T00:00:00Z"}`, commands.Invalid},
		"a clock without a time":   {"Status", `{"testClockId":"tc_0000000000000001"}`, commands.Invalid},
		"an unknown clock":         {"Status", `{"asOfTime":"2026-01-01T00:00:00Z","testClockId":"tc_0000000000000001"}`, commands.NotFound},
		"a sequence not there yet": {"Status", `{"asOf":99999999}`, commands.Invalid},
		"a type of no event":       {"Records", `{"type":"nothing"}`, commands.Invalid},
		"a subject that is none":   {"Records", `{"subject":"nothing"}`, commands.Invalid},
	} {
		if b, err := s.Query(t.Context(), operator, tt.query, []byte(tt.args)); commands.CodeOf(err) != tt.want {
			t.Errorf("%s: %s, %v; want %s", name, b, err, tt.want)
		}
	}
}

func TestEveryNameIsAnswered(t *testing.T) {
	s := newMemory(projtest.Shape{}).service()
	if !slices.IsSorted(query.Names()) {
		t.Error("names are not in order")
	}
	for _, name := range query.Names() {
		_, err := s.Query(t.Context(), operator, name, nil)
		if code := commands.CodeOf(err); err != nil && code != commands.Invalid && code != commands.NotFound {
			t.Errorf("%s without arguments: %v", name, err)
		}
	}
}

// TestWaiting asks for a sequence that the views do not hold.
func TestWaiting(t *testing.T) {
	mem := newMemory(projtest.Shape{})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := mem.service().Status(t.Context(), operator, query.StatusArgs{At: query.At{AtLeast: mem.head() + 1}})
		if commands.CodeOf(err) != commands.Busy || time.Since(began) != 10*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
	if _, err := mem.service().Status(t.Context(), operator, query.StatusArgs{At: query.At{AtLeast: mem.head()}}); err != nil {
		t.Error(err)
	}
}

// TestLeave holds that nobody waits for a record of the future once the service leaves, and that what is decided is waited for.
func TestLeave(t *testing.T) {
	mem := newMemory(projtest.Shape{})
	late := mem.head() + 1
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		for decided, want := range map[events.Seq]commands.Code{mem.head(): commands.ShuttingDown, late: commands.Busy} {
			s := query.New(query.Options{Views: mem, Log: mem, Opener: mem, Head: func() events.Seq { return decided }})
			time.AfterFunc(time.Second, s.Leave)
			for range 2 { // the second asks when it has left
				if _, err := s.Records(t.Context(), operator, query.RecordsArgs{AtLeast: late}); commands.CodeOf(err) != want {
					t.Errorf("decided %d: %v, want %s", decided, err, want)
				}
			}
		}
		if took := time.Since(began); took != 21*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestOperationsNeedTheRole(t *testing.T) {
	mem := newMemory(projtest.Shape{})
	run := func(context.Context, []byte) (any, error) { return "done", nil }
	s := query.New(query.Options{Views: mem, Log: mem, Opener: mem, Operations: map[string]query.Operation{
		"Verify": {Auditors: true, Run: run}, "Backup": {Run: run},
	}})
	for role, allowed := range map[events.KeyRole][]string{
		events.OperatorKey: {"Backup", "Verify"}, events.AuditorKey: {"Verify"}, events.MerchantKey: nil,
	} {
		for _, name := range []string{"Backup", "Verify"} {
			_, err := s.Query(t.Context(), wire.Who{Role: role, Merchant: events.OrganizationID{1}}, name, nil)
			if (err == nil) != slices.Contains(allowed, name) {
				t.Errorf("%s by %s: %v", name, role, err)
			}
		}
	}
}

// proving is a prover that remembers what it was asked to prove.
type proving struct {
	of    *memory
	asked events.Seq
}

func (p *proving) Checkpoint(records events.Seq) (ledger.Checkpoint, error) {
	if records > p.of.Durable() {
		return ledger.Checkpoint{}, ledger.ErrNoRecord
	}
	return ledger.Checkpoint{Size: p.of.Durable(), Note: []byte("signed")}, nil
}

func (p *proving) Prove(_ context.Context, seq events.Seq, c ledger.Checkpoint) (*ledger.Proof, error) {
	if c.Size < seq {
		return nil, ledger.ErrNoRecord
	}
	p.asked = seq
	return new(ledger.Proof), nil
}

func (p *proving) ProveConsistency(first, second ledger.Checkpoint) (*ledger.Consistency, error) {
	if first.Size > second.Size {
		return nil, &ledger.HistoryError{Checkpoint: first, Durable: second.Size}
	}
	return &ledger.Consistency{First: string(first.Note), Second: string(second.Note)}, nil
}

func TestProofs(t *testing.T) {
	mem := newMemory(everything())
	prover := &proving{of: mem}
	s := query.New(query.Options{Views: mem, Log: mem, Opener: mem, Prover: prover})
	lines := 0
	for i := range mem.records {
		rec := &mem.records[i]
		e, ok := rec.Event.(events.InvoiceLineClosed)
		if !ok {
			continue
		}
		lines++
		if _, err := s.Proof(t.Context(), operator, query.ProofArgs{Line: e.Line}); err != nil || prover.asked != rec.Seq {
			t.Fatalf("line %s: record %d, %v; want %d", e.Line, prover.asked, err, rec.Seq)
		}
		_, err := s.Proof(t.Context(), wire.Who{Role: events.MerchantKey, Merchant: rec.Merchant}, query.ProofArgs{Sequence: rec.Seq})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Proof(t.Context(), wire.Who{Role: events.MerchantKey, Merchant: events.OrganizationID{1}}, query.ProofArgs{Sequence: rec.Seq})
		if commands.CodeOf(err) != commands.NotFound {
			t.Fatalf("another merchant's record: %v", err)
		}
		unknown := e.Line
		unknown[15] ^= 0x80
		if _, err := s.Proof(t.Context(), operator, query.ProofArgs{Line: unknown}); commands.CodeOf(err) != commands.NotFound {
			t.Fatalf("a line that is none: %v", err)
		}
	}
	stranger := wire.Who{Role: events.MerchantKey, Merchant: events.OrganizationID{1}}
	c, err := s.Checkpoint(t.Context(), stranger, query.CheckpointArgs{})
	if err != nil || c.Size != mem.Durable() {
		t.Errorf("a checkpoint for anybody with a key: %d, %v", c.Size, err)
	}
	if _, err := s.Checkpoint(t.Context(), wire.Who{}, query.CheckpointArgs{}); commands.CodeOf(err) != commands.Unauthorized {
		t.Errorf("a checkpoint for nobody: %v", err)
	}
	kept := func(size events.Seq) string {
		return fmt.Sprintf("%s\n%d\n%s\n\n", ledger.Origin(mem.records[0].Ledger), size, events.Hash{})
	}
	for since, want := range map[string]commands.Code{"": commands.Invalid, "nothing": commands.Invalid, kept(0): commands.Invalid, kept(c.Size + 1): commands.Conflict, kept(1): ""} {
		if _, err := s.Consistency(t.Context(), stranger, query.ConsistencyArgs{Since: since}); commands.CodeOf(err) != want && (err != nil || want != "") {
			t.Errorf("since %q: %v, want %q", since, err, want)
		}
	}
	if lines == 0 {
		t.Error("no lines in this history")
	}
}
