package commands

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tallystick/events"
	"tallystick/projections"
)

// TestDue holds what follows when a time has come.
func TestDue(t *testing.T) {
	now := "2025-01-15 10:00"
	both := []step{
		plan("mix", "llm", instantSum("calls", "1"), arrearsSum("bytes", "0.000000001"), arrearsCount("logins", "0.5")),
		customer("carl"), fund("carl", "3"), join("carls", "carl", "mix", terms{}),
	}
	for _, tt := range []struct {
		name  string
		given []step
		when  step
	}{
		{"a period ends, and the next one opens", []step{use("k", "alice", now, q{"tokens", 1})}, at("2025-02-15 10:00")},
		{"nothing happens a nano before", nil, at("2025-02-15 09:59:59.999999999")},
		{
			"when the grace ends the invoice is issued, with late usage",
			[]step{at("2025-02-15 10:00"), use("k", "alice", "2025-01-15 10:00", q{"tokens", 1})},
			at("2025-02-16 10:00"),
		},
		{"without usage the invoice is cancelled", []step{at("2025-02-15 10:00")}, at("2025-02-16 10:00")},
		{
			"every price is a line, in the order of first use, and what is owed is left to pay",
			append(both, use("k1", "carl", now, q{"bytes", 5}), use("k2", "carl", now, q{"calls", 2}, q{"bytes", 7}, q{"logins", 9}), use("k3", "carl", now, q{"logins", 1}), at("2025-02-15 10:00")),
			at("2025-02-16 10:00"),
		},
		{
			"numbers follow one another for each merchant", []step{
				use("k", "alice", now, q{"tokens", 1}), customer("bob"), fund("bob", "1"), join("bobs", "bob", "pro", terms{}), use("k2", "bob", now, q{"tokens", 1}),
				merchant("rival", seller), product("db"), plan("basic", "db", instantSum("rows", "1")),
				customer("eve"), fund("eve", "1"), join("eves", "eve", "basic", terms{}), use("k", "eve", now, q{"rows", 1}),
				at("2025-02-15 10:00"),
			}, at("2025-02-16 10:00"),
		},
		{
			"it ends as planned, and is billed at once", []step{
				customer("bob"), fund("bob", "1"), join("bobs", "bob", "pro", terms{ending: "2025-01-20 12:34"}), use("k", "bob", now, q{"tokens", 1}),
			}, at("2025-01-21 00:00"),
		},
		{
			"it ends as planned at the end of a period, which is the last one", []step{
				customer("bob"), fund("bob", "1"), join("bobs", "bob", "pro", terms{ending: "2025-02-15 10:00"}), use("k", "bob", now, q{"tokens", 1}),
				terminateIt("sub"),
			}, at("2025-03-21 00:00"),
		},
		{
			"it ends as planned in the grace of the last period", []step{
				customer("bob"), fund("bob", "1"), join("bobs", "bob", "pro", terms{ending: "2025-02-15 20:00"}), use("k", "bob", now, q{"tokens", 1}),
				terminateIt("sub"),
			}, at("2025-03-21 00:00"),
		},
		{"what cannot be carried out is parked, once", []step{terminateIt("sub"), customer("kim"), joinBroken("kims", "kim", "pro")}, at("2025-06-01 00:00")},
		{"what is parked holds up nothing else", []step{customer("kim"), joinBroken("kims", "kim", "pro")}, at("2025-02-15 10:00")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.do(shop()...)
			w.do(tt.given...)
			before := len(w.log.records)
			w.do(tt.when)
			golden(t, w.story(Receipt{}, w.log.records[before:]))
		})
	}
}

// TestParked checks that a subscription whose due actions have stopped can still be ended, and that a rule that breaks in
// a command refuses that command alone.
func TestParked(t *testing.T) {
	w := newWorld(t)
	w.do(shop()...)
	w.do(
		customer("kim"), fund("kim", "1"), joinBroken("kims", "kim", "pro"), use("k", "kim", "2025-01-15 10:00", q{"tokens", 1}),
		at("2025-03-01 00:00"), terminateIt("kims"),
		tampered(plan("bad", "llm"), func(e events.Event) events.Event {
			if e, ok := e.(events.PlanCreated); ok {
				e.Cadence = "P1D"
				return e
			}
			return e
		}),
		customer("bob"),
	)
	if r := w.send(*join("bobs", "bob", "bad", terms{})(w))[0]; r.Code != Internal {
		t.Errorf("a subscription to a plan that cannot be is %s %s, want %s", r.Status, r.Code, Internal)
	}
	w.do(join("bobs", "bob", "pro", terms{}))
}

// crowd makes customers with subscriptions to the shop's plan.
func crowd(n int, t terms) step {
	return func(w *world) *Request {
		for i := range n {
			name := fmt.Sprintf("c%d", i)
			w.do(customer(name), fund(name, "1"), join(name+"-sub", name, "pro", t))
		}
		return nil
	}
}

// TestDueOrder checks that due actions are carried out in the order of (time, creation), whatever order their times were
// made in.
func TestDueOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		days := rapid.SliceOfN(rapid.IntRange(1, 14), 2, 12).Draw(rt, "start days")
		w := newWorld(t)
		w.do(shop()...)
		for i, day := range days {
			name := fmt.Sprintf("c%d", i)
			w.do(customer(name), join(name+"-sub", name, "pro", terms{started: fmt.Sprintf("2025-01-%02d 00:00", day)}))
		}
		before := len(w.log.records)
		w.do(at("2025-04-20 00:00"))
		type turn struct {
			at      events.Time
			created events.Seq
		}
		var turns []turn
		for _, rec := range w.log.records[before:] {
			if k := rec.Event.Kind(); k == events.KindInvoiceClosing || k == events.KindInvoiceCancelled {
				sub := w.subscriptionOf(fieldsOf(&rec))
				turns = append(turns, turn{rec.At, w.seq.books.Subscriptions.Get(sub).Created})
			}
		}
		if want := 6*len(days) + 6; len(turns) != want {
			rt.Fatalf("%d periods closed or cancelled, want %d", len(turns), want)
		}
		if !slices.IsSortedFunc(turns, func(a, b turn) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.created, b.created)) }) {
			rt.Fatalf("out of order: %v", turns)
		}
	})
}

// TestDueSlices checks that a month's end of many subscriptions comes in small groups, each with the usage that came
// meanwhile.
func TestDueSlices(t *testing.T) {
	const n = 1000
	w := newWorld(t)
	w.do(shop()...)
	w.do(crowd(n, terms{}), later("2025-02-15 10:00"))
	turns, more := 0, true
	for ; more; turns++ {
		before := len(w.log.records)
		call := &Call{Requests: []Request{*use(fmt.Sprint("k", turns), fmt.Sprintf("c%d", turns), "2025-02-15 10:00", q{"tokens", 1})(w)}}
		var answered []*Call
		more, answered = w.turn(call)
		if len(answered) != 1 || call.receipts[0].Status != Accepted {
			t.Fatalf("turn %d: usage is not answered with its group", turns)
		}
		if got := len(w.log.records) - before; got > maxDueSlice+8 {
			t.Fatalf("turn %d records %d events", turns, got)
		}
	}
	if turns < 2*n/maxDueSlice {
		t.Errorf("the month's end took %d turns", turns)
	}
	w.seq.books.Subscriptions.Each(func(id events.SubscriptionID, s *projections.Subscription) bool {
		if len(s.Periods) != 2 || !s.Periods[0].Closing {
			t.Errorf("subscription %s has periods %v", id, s.Periods)
		}
		return true
	})
}

// TestStaleEntries checks that what was due on subscriptions that have ended meanwhile is passed over in slices too.
func TestStaleEntries(t *testing.T) {
	w := newWorld(t)
	w.do(shop()...)
	w.do(crowd(maxDueSlice+50, terms{}))
	for i := range maxDueSlice + 50 {
		w.do(terminateIt(fmt.Sprintf("c%d-sub", i)))
	}
	w.do(terminateIt("sub"), later("2025-02-15 10:00"))
	left := w.seq.agendas[events.TestClockID{}].Len()
	for more := true; more; {
		more, _ = w.turn(nil)
		now := w.seq.agendas[events.TestClockID{}].Len()
		if left-now > maxDueSlice {
			t.Fatalf("%d entries are passed over at once", left-now)
		}
		left = now
	}
	if left != 0 {
		t.Errorf("%d entries are left", left)
	}
}

// fieldsOf returns the fields of a record's event as people see them.
func fieldsOf(rec *events.Record) (fields map[string]any) {
	body, err := json.Marshal(rec.Event)
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(body, &fields); err != nil {
		panic(err)
	}
	return fields
}

// subscriptionOf returns the subscription that an event is about, or zero.
func (w *world) subscriptionOf(fields map[string]any) (sub events.SubscriptionID) {
	text, _ := fields["subscriptionId"].(string)
	if err := sub.UnmarshalText([]byte(text)); err != nil {
		w.t.Fatal(err)
	}
	return sub
}

// perSubscription returns what happened to each subscription, without identities and sequences.
func (w *world) perSubscription() map[events.SubscriptionID][]string {
	stories := make(map[events.SubscriptionID][]string)
	for i := range w.log.records {
		rec := &w.log.records[i]
		fields := fieldsOf(rec)
		sub := w.subscriptionOf(fields)
		if sub.IsZero() {
			continue
		}
		for _, name := range []string{"invoiceId", "lineId", "firstSequence", "lastSequence", "root", "paymentSessionId", "topUpId"} {
			delete(fields, name)
		}
		stories[sub] = append(stories[sub], fmt.Sprintf("%s %s by %v: %v", rec.At, rec.Event.Kind(), rec.Actor, fields))
	}
	return stories
}

// TestAdvanceInSteps checks that it is all the same whether a test clock moves two years in one step or in any others (D32): for
// subscriptions that have periods of their own, and for those whose periods are counted from an anchor and whose fees are prorated.
func TestAdvanceInSteps(t *testing.T) {
	begin := instantOf("2024-01-31 00:00")
	end := instantOf("2026-01-31 00:00")
	rapid.Check(t, func(rt *rapid.T) {
		starts := rapid.SliceOfN(rapid.IntRange(0, 40*24), 1, 5).Draw(rt, "hours to the start")
		endings := rapid.SliceOfN(rapid.IntRange(1, 1000), len(starts), len(starts)).Draw(rt, "days to the end")
		stops := rapid.SliceOfN(rapid.Int64Range(1, 731*24), 0, 24).Draw(rt, "hours at which to stop")
		run := func(stops []events.Time) map[events.SubscriptionID][]string {
			w := newWorld(t)
			w.do(shop()...)
			w.do(product("calendar"), anchored("days", "calendar", "2023-12-31 05:00", events.ProrateDaily))
			w.do(withFees("days", "calendar", flat{"base", "3", events.InAdvance, events.Monthly, 1}, flat{"care", "2", events.InArrears, events.Monthly, 1}))
			w.do(clock("tc", "2024-01-31 00:00"))
			for i, hours := range starts {
				name, plan := fmt.Sprintf("c%d", i), "pro"
				if i%2 == 1 {
					plan = "days"
				}
				w.do(customer(name), fund(name, "10"), change(joinPrepaid(name+"-sub", name, plan, "0", terms{clock: "tc"}), func(c *CreateSubscription) {
					c.StartedAt = begin + events.Time(hours)*3600e9
					c.EndingAt = c.StartedAt + events.Time(endings[i])*24*3600e9
				}))
				if plan == "days" {
					w.do(pay(name+"-sub"), charged(name+"-sub", good))
				} else if hours == 0 {
					w.do(use("k"+name, name, "2024-01-31 00:01", q{"tokens", 2}))
				}
			}
			for _, stop := range append(stops, end) {
				w.do(just(AdvanceTestClock{Clock: w.clock("tc"), To: stop}))
			}
			return w.perSubscription()
		}
		slices.Sort(stops)
		var times []events.Time
		for _, h := range slices.Compact(stops) {
			if at := begin + events.Time(h)*3600e9; at < end {
				times = append(times, at)
			}
		}
		if d := diff.Diff(run(nil), run(times)); d != "" {
			rt.Fatalf("the steps make a difference (-one +%d):\n%s", len(times)+1, d)
		}
	})
}

// TestAdvanceResumes checks that an advance goes on after a restart where it stopped, and that nothing is
// done twice: what happens to each subscription is the same as without the restart.
func TestAdvanceResumes(t *testing.T) {
	setup := func(w *world) {
		w.do(shop()...)
		w.do(clock("tc", "2025-01-01 00:00"), crowd(400, terms{clock: "tc"}))
	}
	whole := newWorld(t)
	setup(whole)
	whole.do(advance("tc", "2025-04-01 00:00"))

	w := newWorld(t)
	setup(w)
	_, answered := w.turn(&Call{Requests: []Request{*advance("tc", "2025-04-01 00:00")(w)}})
	for range 4 {
		more, others := w.turn(nil)
		if answered = append(answered, others...); !more || len(answered) != 0 {
			t.Fatal("the clock has arrived too soon for this test")
		}
		w.restart()
	}
	w.settle()
	if row := w.seq.books.Clocks.Get(w.clock("tc")); row.To != 0 || row.Now != instantOf("2025-04-01 00:00") {
		t.Errorf("the clock shows %s, on its way to %s", row.Now, row.To)
	}
	if d := diff.Diff(whole.perSubscription(), w.perSubscription()); d != "" {
		t.Errorf("the restarts make a difference (-without +with):\n%s", d)
	}
}

// TestAdvanceIsAwaited checks who is answered when: the receipt of an advance comes when the clock has arrived, also
// to whoever repeats it, and also in a call that has other requests.
func TestAdvanceIsAwaited(t *testing.T) {
	w := newWorld(t)
	w.do(shop()...)
	w.do(clock("tc", "2025-01-01 00:00"), clock("other", "2025-01-01 00:00"), crowd(400, terms{clock: "tc"}))
	first := keyed("a", *advance("tc", "2025-04-01 00:00")(w))
	calls := []*Call{
		{Requests: []Request{*fund("alice", "1")(w), first, *advance("other", "2025-04-01 00:00")(w)}},
		{Requests: []Request{first}},
		{Requests: []Request{*advance("tc", "2025-05-01 00:00")(w)}}, // refused
		{Requests: []Request{*use("k", "c0", "2025-01-01 00:00", q{"tokens", 1})(w)}},
	}
	var answered []*Call
	for i, call := range calls {
		_, others := w.turn(call)
		if answered = append(answered, others...); len(answered) != max(i-1, 0) {
			t.Fatalf("after call %d, %d are answered", i, len(answered))
		}
	}
	for more := true; more; {
		var others []*Call
		more, others = w.turn(nil)
		answered = append(answered, others...)
	}
	if len(answered) != len(calls) {
		t.Fatalf("%d of %d calls are answered", len(answered), len(calls))
	}
	if a, b := calls[0].receipts[1], calls[1].receipts[0]; a.Status != Accepted || b.Status != Duplicate || a.Seq != b.Seq {
		t.Errorf("the advance and its repeat are answered %v and %v", a, b)
	}
	if a, b := calls[2].receipts[0].Code, calls[3].receipts[0].Code; a != ClockAdvancing || b != ClockAdvancing {
		t.Errorf("an advance and usage meanwhile are answered %q and %q", a, b)
	}
}
