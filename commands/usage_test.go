package commands

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tallystick/events"
	"tallystick/projections"
)

// later sets the real time, and lets nothing happen yet.
func later(time string) step {
	return func(w *world) *Request {
		w.now = instantOf(time)
		return nil
	}
}

// changed alters the usage report that a step makes.
func changed(s step, change func(*ReportUsage)) step {
	return func(w *world) *Request {
		r := s(w)
		change(r.Command.(*ReportUsage))
		return r
	}
}

// underWay begins to advance a clock, and stops short of what falls due on the way.
func underWay(name, to string) step {
	return func(w *world) *Request {
		w.seq.carryOut(&Call{Requests: []Request{*advance(name, to)(w)}})
		return nil
	}
}

// TestReportUsage holds the rules of usage: what it costs, whose money moves, and when it is refused.
func TestReportUsage(t *testing.T) {
	now := "2025-01-15 10:00"
	five := q{"tokens", 5}
	many := make([]q, events.MaxUsageLines+1)
	for i := range many {
		many[i] = five
	}
	other := []step{
		merchant("rival", seller), product("db"), plan("basic", "db", instantSum("rows", "1")),
		customer("bob"), join("bobs", "bob", "basic", terms{}),
	}
	mixed := []step{
		plan("mix", "llm", instantSum("calls", "1"), arrearsSum("bytes", "0.000000001"), arrearsCount("logins", "0.5"), instantSum("pings", "0")),
		customer("carl"), fund("carl", "3"), join("carls", "carl", "mix", terms{}),
	}
	checkRules(t, shop(), []rule{
		{name: "usage is priced and paid at once", when: use("k", "alice", now, five)},
		{name: "the last nano may be spent", when: use("k", "alice", now, q{"tokens", 40})},
		{name: "several metrics are one movement of money", given: mixed, when: use("k", "carl", now, q{"calls", 2}, q{"pings", 7}, q{"bytes", 3})},
		{name: "what is billed in arrears is owed and leaves the wallet alone", given: mixed, when: use("k", "carl", now, q{"bytes", 9_000_000_000})},
		{name: "a report counts as one unit of a COUNT metric", given: mixed, when: use("k", "carl", now, q{"logins", 12})},
		{name: "usage that is free moves no money", given: mixed, when: use("k", "carl", now, q{"pings", 1})},
		{name: "at the very start of the subscription", when: use("k", "alice", now, five)},
		{name: "five minutes ahead of the clock", when: use("k", "alice", "2025-01-15 10:05", five)},
		{
			name: "a clock that is ahead at the end of a period bills into it", given: []step{at("2025-02-15 09:58")},
			when: use("k", "alice", "2025-02-15 10:01", five),
		},
		{name: "late usage joins its period until the grace ends", given: []step{at("2025-02-16 09:59")}, when: use("k", "alice", "2025-01-20 00:00", five)},
		{
			name: "in the grace of the last period usage of the new one joins the new one", given: []step{at("2025-02-15 12:00")},
			when: use("k", "alice", "2025-02-15 10:00", five),
		},
		{
			name: "what is overdue on the subscription comes first", given: []step{use("k0", "alice", now, five), later("2025-03-20 00:00")},
			when: use("k", "alice", "2025-03-19 00:00", five),
		},
		{
			name: "the subscription that prices the metrics is billed", given: []step{
				product("disk"), plan("store", "disk", instantSum("gigabytes", "1")), join("second", "alice", "store", terms{}),
			},
			when: use("k", "alice", now, q{"gigabytes", 1}),
		},
		{name: "with metadata, sealed", when: changed(use("k", "alice", now, five), func(r *ReportUsage) {
			r.Metadata = events.Sealed{Key: orgOf("alice"), Box: []byte("sealed")}
		})},
		{name: "a test clock is the time of its subscription", given: []step{
			clock("tc", "2030-06-01 00:00"), customer("dora"), fund("dora", "1"), join("doras", "dora", "pro", terms{clock: "tc"}),
		}, when: use("k", "dora", "2030-06-01 00:03", q{"tokens", 1})},

		{name: "without a key", when: func(w *world) *Request {
			r := use("", "alice", now, five)(w)
			return r
		}, refused: Invalid},
		{name: "with a key that is too long", when: use(strings.Repeat("k", 256), "alice", now, five), refused: Invalid},
		{name: "with a key that is no text", when: use("\xff", "alice", now, five), refused: Invalid},
		{name: "without a timestamp", when: changed(use("k", "alice", now, five), func(r *ReportUsage) { r.HappenedAt = 0 }), refused: Invalid},
		{name: "without properties", when: use("k", "alice", now), refused: Invalid},
		{name: "with too many properties", when: use("k", "alice", now, many...), refused: Invalid},
		{name: "of nothing", when: use("k", "alice", now, q{"tokens", 0}), refused: Invalid},
		{name: "of less than nothing", when: use("k", "alice", now, q{"tokens", -5}), refused: Invalid},
		{name: "of one metric twice", when: use("k", "alice", now, five, five), refused: Invalid},
		{name: "of no customer", when: changed(use("k", "alice", now, five), func(r *ReportUsage) { r.Customer = events.CustomerID{} }), refused: NotFound},
		{name: "of an unknown customer", when: changed(use("k", "alice", now, five), func(r *ReportUsage) { r.Customer[15]++ }), refused: NotFound},
		{name: "of another merchant's customer", given: other, when: use("k", "alice", now, five), refused: NotFound},
		{name: "of another merchant's customer, just after its own", given: append([]step{use("k0", "alice", now, five)}, other...), when: use("k", "alice", now, five), refused: NotFound},
		{name: "of another merchant's metric", given: append(other[:len(other):len(other)], as("acme")), when: use("k", "alice", now, q{"rows", 1}), refused: NotFound},
		{name: "of an unknown metric", when: changed(use("k", "alice", now, five), func(r *ReportUsage) { r.Properties[0].Metric[15]++ }), refused: NotFound},
		{name: "of a metric that the plan has no price for", given: mixed, when: use("k", "alice", now, q{"calls", 1}), refused: MetricNotPriced},
		{name: "of metrics that no one plan has prices for", given: mixed, when: use("k", "alice", now, five, q{"calls", 1}), refused: MetricNotPriced},
		{name: "without a subscription", given: []step{customer("eve")}, when: use("k", "eve", now, five), refused: SubscriptionNotActive},
		{name: "after the subscription", given: []step{terminateIt("sub")}, when: use("k", "alice", now, five), refused: SubscriptionNotActive},
		{
			name: "after the subscription has ended by itself, unnoticed", given: []step{
				customer("fay"), fund("fay", "1"), join("fays", "fay", "pro", terms{ending: "2025-01-20 00:00"}), later("2025-01-20 00:00"),
			},
			when: use("k", "fay", "2025-01-19 00:00", q{"tokens", 1}), refused: SubscriptionNotActive,
		},
		{name: "more than the wallet holds", when: use("k", "alice", now, q{"tokens", 41}), refused: InsufficientFunds},
		{name: "one part of which the wallet does not hold", given: mixed, when: use("k", "carl", now, q{"bytes", 1}, q{"calls", 4}), refused: InsufficientFunds},
		{name: "a nano before the subscription", when: use("k", "alice", "2025-01-15 09:59:59.999999999", five), refused: PeriodClosed},
		{name: "before a subscription that is still to start", given: []step{
			customer("gus"), fund("gus", "1"), join("guss", "gus", "pro", terms{started: "2025-01-16 00:00"}),
		}, when: use("k", "gus", "2025-01-15 10:00", q{"tokens", 1}), refused: PeriodClosed},
		{name: "ahead of the clock by more than five minutes", when: use("k", "alice", "2025-01-15 10:05:00.000000001", five), refused: TimestampInFuture},
		{name: "at the end of the grace", given: []step{at("2025-02-16 10:00")}, when: use("k", "alice", "2025-01-20 00:00", five), refused: PeriodClosed},
		{name: "at the end of the grace, unnoticed", given: []step{later("2025-02-16 10:00")}, when: use("k", "alice", "2025-01-20 00:00", five), refused: PeriodClosed},
		{
			name: "after the planned end", given: []step{
				customer("hal"), fund("hal", "1"), join("hals", "hal", "pro", terms{ending: "2025-01-20 00:00"}), at("2025-01-19 23:58"),
			},
			when: use("k", "hal", "2025-01-20 00:00", q{"tokens", 1}), refused: PeriodClosed,
		},
		{name: "that costs more than there is a number for", given: []step{
			plan("dear", "llm", arrearsSum("gems", "9000000000")), customer("ida"), join("idas", "ida", "dear", terms{}),
		}, when: use("k", "ida", now, q{"gems", math.MaxInt64}), refused: AmountOutOfRange},
		{name: "the sum of which there is no number for", given: []step{
			plan("dear", "llm", arrearsSum("gems", "9000000000"), arrearsSum("pearls", "9000000000")), customer("ida"), join("idas", "ida", "dear", terms{}),
		}, when: use("k", "ida", now, q{"gems", 1}, q{"pearls", 1}), refused: AmountOutOfRange},
		{name: "while the clock is under way", given: []step{
			clock("tc", "2030-06-01 00:00"), customer("jim"), fund("jim", "1"), join("jims", "jim", "pro", terms{clock: "tc"}),
			underWay("tc", "2030-06-02 00:00"),
		}, when: use("k", "jim", "2030-06-01 00:00", q{"tokens", 1}), refused: ClockAdvancing},
		{name: "of a subscription that is halted", given: []step{customer("kim"), fund("kim", "9"), joinBroken("kims", "kim", "pro"), at("2025-02-20 00:00")}, when: use("k", "kim", "2025-02-19 00:00", five), refused: SubscriptionNotActive},
		{name: "with too much metadata", when: changed(use("k", "alice", now, five), func(r *ReportUsage) {
			r.Metadata = events.Sealed{Key: orgOf("alice"), Box: make([]byte, 65<<10+1)}
		}), refused: TooLarge},
	})
}

// TestPlatformFee checks that the platform's fee is a difference over the period: however an amount is split, the
// fee comes to the same.
func TestPlatformFee(t *testing.T) {
	setup := []step{
		merchant("acme", events.Settings{ManagedPrepaid: true, FeeBasisPoints: 333}), product("llm"),
		plan("pro", "llm", instantSum("tokens", "0.000000007"), arrearsSum("bytes", "1")),
		customer("alice"), fund("alice", "10"), join("sub", "alice", "pro", terms{}),
	}
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOfN(rapid.Int64Range(1, 5000), 1, 12).Draw(rt, "parts")
		w := newWorld(t)
		w.do(setup...)
		total := int64(0)
		for i, n := range parts {
			w.do(use(fmt.Sprint(i), "alice", "2025-01-15 10:00", q{"tokens", n}, q{"bytes", 1}))
			total += 7 * n
		}
		want := (total*333 + 5000) / 10_000
		fee := w.seq.books.BalanceOf(events.Account{Role: events.PlatformFee, Currency: usd})
		earned := w.seq.books.BalanceOf(events.Account{Role: events.Merchant, Currency: usd, Owner: w.merchant})
		if fee != events.SumOf(events.Nanos(want)) || earned != events.SumOf(events.Nanos(total-want)) {
			rt.Fatalf("fee %s and earnings %s of %d nanos, want a fee of %d", fee.Digits(), earned.Digits(), total, want)
		}
	})
}

func TestFeeOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bp := rapid.Uint32Range(0, 10_000).Draw(t, "basis points")
		base := events.SumOf(events.Nanos(rapid.Int64Range(0, math.MaxInt64).Draw(t, "base"))).
			Add(events.Nanos(rapid.Int64Range(0, math.MaxInt64).Draw(t, "more")))
		amount := events.Nanos(rapid.Int64Range(0, math.MaxInt64).Draw(t, "amount"))
		part := func(s events.Sum) *big.Int { // floor(p × s + 1/2)
			r := new(big.Rat).SetFrac(s.Big(), big.NewInt(10_000))
			r.Mul(r, new(big.Rat).SetInt64(int64(bp))).Add(r, big.NewRat(1, 2))
			return new(big.Int).Div(r.Num(), r.Denom())
		}
		want := new(big.Int).Sub(part(base.Add(amount)), part(base))
		if got := feeOf(bp, base, amount); want.Cmp(big.NewInt(int64(got))) != 0 || got < 0 || got > amount {
			t.Fatalf("feeOf(%d, %s, %d) = %d, want %s", bp, base.Digits(), amount, got, want)
		}
	})
}

// TestRate checks the law of every model: any split of a quantity comes to the same total (D24).
func TestRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := projections.Rate{Model: events.Standard, UnitPrice: events.Nanos(rapid.Int64Range(0, 1e12).Draw(t, "unit price"))}
		before := events.SumOf(events.Nanos(rapid.Int64Range(0, 1e9).Draw(t, "before")))
		parts := rapid.SliceOfN(rapid.Int64Range(1, 1e5), 1, 10).Draw(t, "parts")
		v, q, sum := before, int64(0), events.Nanos(0)
		for _, n := range parts {
			cost, ok := rate(&r, v, n, 0)
			if !ok {
				t.Fatalf("rate(%d units) does not fit", n)
			}
			v, q, sum = v.Add(events.Nanos(n)), q+n, sum+cost
		}
		if whole, ok := rate(&r, before, q, 0); !ok || whole != sum {
			t.Fatalf("%d units cost %d, and %d in parts", q, whole, sum)
		}
	})
	if _, ok := rate(&projections.Rate{Model: events.Standard, UnitPrice: 2}, events.Sum{}, math.MaxInt64, 0); ok {
		t.Error("a charge above 9 billion is accepted")
	}
}
