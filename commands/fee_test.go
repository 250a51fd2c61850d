package commands

import (
	"testing"

	"tallystick/events"
)

// flat is a fee, and its price.
type flat struct {
	fee      string
	price    string
	term     events.Term
	cadence  events.Cadence
	quantity uint32
}

// withFees adds fees to a plan.
func withFees(plan, product string, fees ...flat) step {
	return func(w *world) *Request {
		w.t.Helper()
		p := w.seq.books.Plans.Get(id[events.PlanNoun](w, plan))
		prices := append([]events.PriceID(nil), p.Prices...)
		for _, f := range fees {
			w.named(f.fee, 0)
			w.do(just(CreateFee{Product: id[events.ProductNoun](w, product), Name: f.fee, Description: "A fee"}))
			w.named(f.fee+"-price", 0)
			w.do(just(CreatePrice{
				Fee: id[events.FeeNoun](w, f.fee), Term: f.term, DisplayName: f.fee, UnitPrice: nanosOf(f.price), Cadence: f.cadence, Quantity: f.quantity,
			}))
			prices = append(prices, id[events.PriceNoun](w, f.fee+"-price"))
		}
		return just(UpdatePlan{Plan: id[events.PlanNoun](w, plan), Prices: given(prices)})(w)
	}
}

// taxedAt sets the rate of tax of a plan, in thousandths of a percent.
func taxedAt(plan string, rate events.TaxRate, behavior events.TaxBehavior) step {
	return func(w *world) *Request {
		return just(UpdatePlan{Plan: id[events.PlanNoun](w, plan), TaxRate: given(rate * 100), TaxBehavior: given(behavior)})(w)
	}
}

// feeShop is a shop with a plan that costs 20 once and 2 × 15 each month, in advance, and 5 a month in arrears; with a part for the platform.
func feeShop() []step {
	return []step{
		merchant("acme", events.Settings{ManagedPrepaid: true, FeeBasisPoints: 250}), product("llm"),
		plan("pro", "llm", instantSum("tokens", "0.25"), arrearsSum("bytes", "0.10")),
		withFees("pro", "llm",
			flat{"setup", "20", events.InAdvance, events.Once, 1}, flat{"base", "15", events.InAdvance, events.Monthly, 2},
			flat{"support", "5", events.InArrears, events.Monthly, 1}),
		customer("bob"),
	}
}

// TestFees holds the rules of fees: what is paid before a subscription is active, and what is charged when.
func TestFees(t *testing.T) {
	pending := []step{joinPrepaid("new", "bob", "pro", "200", terms{})}
	stored := []step{setup("card", "bob"), change(pay("card"), func(c *PaySession) { c.Details = sealedFor(orgOf("bob"), "card") }), charged("card", good)}
	with := func(before []step, more ...step) []step { return append(append([]step(nil), before...), more...) }
	free := []step{
		plan("free", "llm", arrearsSum("calls", "1")), withFees("free", "llm", flat{"nothing", "0", events.InAdvance, events.Monthly, 1}),
	}
	dear := []step{
		plan("dear", "llm", arrearsSum("calls", "1")), withFees("dear", "llm", flat{"gold", "5000.01", events.InAdvance, events.Once, 1}),
	}
	cheap := []step{
		plan("cheap", "llm", arrearsSum("calls", "1")), withFees("cheap", "llm", flat{"copper", "0.123456789", events.InAdvance, events.Once, 1}),
	}
	checkRules(t, feeShop(), []rule{
		{name: "they are paid by checkout, with what the wallet lacks", when: joinPrepaid("new", "bob", "pro", "200", terms{})},
		{name: "whatever the wallet holds", given: []step{fund("bob", "500")}, when: joinPrepaid("new", "bob", "pro", "200", terms{})},
		{name: "of the stored method, if charges are automatic", given: stored, when: auto(joinPrepaid("new", "bob", "pro", "200", terms{}))},
		{name: "with tax on top", given: []step{taxedAt("pro", 8_500, events.Exclusive)}, when: joinPrepaid("new", "bob", "pro", "200", terms{})},
		{name: "with tax in them", given: []step{taxedAt("pro", 19_000, events.Inclusive)}, when: joinPrepaid("new", "bob", "pro", "0", terms{})},
		{name: "exempt from tax", given: []step{taxedAt("pro", 8_500, events.Exclusive)}, when: change(joinPrepaid("new", "bob", "pro", "0", terms{}), func(c *CreateSubscription) { c.TaxExempt = true })},
		{name: "of a customer who is made along with it", given: []step{taxedAt("pro", 8_500, events.Exclusive)}, when: joinNew("new", "carl", "pro")},
		{name: "raised to whole cents and to the least that is taken", given: cheap, when: joinPrepaid("new", "bob", "cheap", "0", terms{})},
		{name: "once paid they are charged", given: with(pending, pay("new")), when: charged("new", good)},
		{
			name: "as they were when it was agreed on", given: with(pending,
				taxedAt("pro", 10_000, events.Exclusive),
				func(w *world) *Request {
					return just(UpdatePrice{
						Price: id[events.PriceNoun](w, "base-price"), Formula: given(Formula{Model: events.Standard, UnitPrice: nanosOf("99")}),
					})(w)
				}, pay("new")), when: charged("new", good),
		},
		{name: "the rest of a cheap one stays in the wallet", given: with(cheap, joinPrepaid("new", "bob", "cheap", "0", terms{}), pay("new")), when: charged("new", good)},
		{name: "a fee of nothing is paid at once", given: free, when: joinPrepaid("new", "bob", "free", "0", terms{})},
		{name: "what has ended meanwhile is not charged", given: with(pending, pay("new"), terminateIt("new")), when: charged("new", good)},
		{name: "they are not given back at the end, and what is owed is invoiced", given: with(pending, pay("new"), charged("new", good)), when: terminateIt("new")},
		{name: "more than is taken at once", given: dear, when: joinPrepaid("new", "bob", "dear", "0", terms{}), refused: AmountOutOfRange},
		{name: "more than is taken at once, with the wallet's", when: joinPrepaid("new", "bob", "pro", "4950.01", terms{}), refused: AmountOutOfRange},
	})
}

// anchored makes a plan whose subscriptions' periods are counted from an instant.
func anchored(name, product, anchor string, proration events.Proration, tariffs ...tariff) step {
	return change(plan(name, product, tariffs...), func(c *CreatePlan) { c.Anchor, c.Proration = instantOf(anchor), proration })
}

// TestProration holds what fees cost in a first period that is shorter than the others: all, or the days that are used (A22).
func TestProration(t *testing.T) {
	fees := []flat{
		{"setup", "20", events.InAdvance, events.Once, 1},
		{"base", "15", events.InAdvance, events.Monthly, 2},
		{"support", "5", events.InArrears, events.Monthly, 1},
		{"licence", "90", events.InAdvance, events.Quarterly, 1},
	}
	shop := []step{
		merchant("acme", events.Settings{ManagedPrepaid: true, FeeBasisPoints: 250}), product("llm"), product("db"),
		anchored("all", "llm", "2024-12-01 00:00", ""), withFees("all", "llm", fees...),
		anchored("days", "db", "2024-12-01 00:00", events.ProrateDaily), withFees("days", "db", fees...), customer("bob"),
	}
	paid := []step{joinPrepaid("new", "bob", "days", "0", terms{}), pay("new"), charged("new", good)}
	with := func(before []step, more ...step) []step { return append(append([]step(nil), before...), more...) }
	checkRules(t, shop, []rule{
		{name: "all of it, where nothing else is agreed", when: joinPrepaid("new", "bob", "all", "0", terms{})},
		{name: "the days that are left", when: joinPrepaid("new", "bob", "days", "0", terms{})},
		{name: "with tax", given: []step{taxedAt("days", 8_500, events.Exclusive)}, when: joinPrepaid("new", "bob", "days", "0", terms{})},
		{name: "with tax in it", given: []step{taxedAt("days", 19_000, events.Inclusive)}, when: joinPrepaid("new", "bob", "days", "0", terms{})},
		{name: "from a period's beginning on", given: []step{clock("tc", "2025-01-01 00:30")}, when: joinPrepaid("new", "bob", "days", "0", terms{clock: "tc"})},
		{name: "that begins before the anchor", when: joinPrepaid("new", "bob", "days", "0", terms{started: "2024-11-27 15:00"})},
		{name: "that begins later", when: joinPrepaid("new", "bob", "days", "0", terms{started: "2025-02-15 00:00"})},
		{name: "charged as it was told", given: with(paid[:2], prorated("days", events.ProrateNone)), when: charged("new", good)},
		{name: "the rest of the period, and then whole ones", given: with(paid, fund("bob", "60"), at("2025-02-02 01:00")), when: terminateIt("new")},
		{name: "in arrears, up to the day on which it ends", given: with(paid, at("2025-01-20 12:00")), when: terminateIt("new")},
		{name: "in arrears, when it ends in a later period", given: with(paid, fund("bob", "60"), at("2025-02-10 00:00")), when: terminateIt("new")},
		{name: "another proration counts from the next period on", given: []step{
			joinPrepaid("new", "bob", "all", "0", terms{}), pay("new"), charged("new", good), prorated("all", events.ProrateDaily), fund("bob", "60"), at("2025-02-10 00:00"),
		}, when: terminateIt("new")},
		{name: "by what nobody knows", when: prorated("all", "hourly"), refused: Invalid},
	})
}

// prorated changes the proration of a plan.
func prorated(plan string, p events.Proration) step {
	return func(w *world) *Request {
		return just(UpdatePlan{Plan: id[events.PlanNoun](w, plan), Proration: given(p)})(w)
	}
}

// TestRenewal checks what is charged when the next period begins, and when the money for it comes later or never.
func TestRenewal(t *testing.T) {
	start := []step{joinPrepaid("new", "bob", "pro", "0", terms{}), pay("new"), charged("new", good)}
	automatic := []step{
		setup("card", "bob"), change(pay("card"), func(c *PaySession) { c.Details = sealedFor(orgOf("bob"), "card") }), charged("card", good),
		auto(joinPrepaid("new", "bob", "pro", "0", terms{})), charged("new", good),
	}
	// renewal names what a due action of the new period has made.
	renewal := func(w *world) *Request {
		for i := range w.log.records {
			switch e := w.log.records[i].Event.(type) {
			case events.SessionOpened:
				w.ids["renewal-session"] = [16]byte(e.Session)
			case events.ChargeRequested:
				w.ids["renewal-charge"] = [16]byte(e.Charge)
			default: // of no interest
			}
		}
		return nil
	}
	const next = "2025-02-15 10:00"
	for _, tt := range []struct {
		name  string
		given []step
		when  []step
	}{
		{"the wallet holds the fees", append(start, fund("bob", "30")), []step{at(next)}},
		{"the wallet lacks a cent", append(start, fund("bob", "29.99")), []step{at(next)}},
		{"the money comes by the session", append(start, at(next), renewal, pay("renewal")), []step{charged("renewal", good)}},
		{"the money comes from the stored method", append(automatic, at(next), renewal), []step{charged("renewal", good)}},
		{"the stored method is declined, and the fees are owed", append(automatic, at(next), renewal), []step{charged("renewal", bad), at("2025-03-16 12:00")}},
		{"the money comes after the end of its period", append(automatic, at(next), renewal, at("2025-03-15 12:00")), []step{charged("renewal", good)}},
		{"the subscription ends before the money comes", append(automatic, at(next), renewal, terminateIt("new")), []step{charged("renewal", good)}},
		{"a wallet with a minimum has it after the fees", append(start, update("new", func(c *UpdateSubscription) { c.Minimum = given(nanosOf("10")) }), fund("bob", "35")), []step{at(next)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.do(feeShop()...)
			w.do(tt.given...)
			before := len(w.log.records)
			w.do(tt.when...)
			golden(t, w.story(Receipt{}, w.log.records[before:]))
		})
	}
}
