package commands

import (
	"strings"
	"testing"

	"tallystick/events"
)

// TestCatalog holds the rules of products, metrics, prices and plans.
func TestCatalog(t *testing.T) {
	long := strings.Repeat("n", 4097)
	setup := []step{merchant("acme", seller), product("llm"), product("db"), plan("pro", "llm", instantSum("tokens", "0.25")), plan("basic", "db", instantSum("rows", "1"))}
	rival := merchant("rival", seller)
	nobody := func(w *world) *Request { w.merchant = events.OrganizationID{}; return nil }
	goods := func(change func(*CreateProduct)) step {
		cmd := CreateProduct{Name: "LLM", Description: "A language model", Metadata: map[string]string{"team": "core"}}
		change(&cmd)
		return just(cmd)
	}
	metric := func(change func(*CreateMetric)) step {
		return func(w *world) *Request {
			cmd := CreateMetric{Product: id[events.ProductNoun](w, "llm"), Name: "Tokens", Description: "Out", Unit: "token", Aggregation: events.AggregateSum}
			change(&cmd)
			return just(cmd)(w)
		}
	}
	price := func(change func(*CreatePrice)) step {
		return func(w *world) *Request {
			cmd := CreatePrice{Metric: id[events.MetricNoun](w, "tokens"), Model: events.Standard, Term: events.InArrears, DisplayName: "Tokens", UnitPrice: 1}
			change(&cmd)
			return just(cmd)(w)
		}
	}
	card := func(change func(*world, *CreatePlan)) step {
		return func(w *world) *Request {
			cmd := CreatePlan{
				Product: id[events.ProductNoun](w, "llm"), Name: "Pro", Currency: usd, Cadence: events.Monthly,
				Prices: []events.PriceID{id[events.PriceNoun](w, "pro-tokens-price")},
			}
			change(w, &cmd)
			return just(cmd)(w)
		}
	}
	checkRules(t, setup, []rule{
		{name: "a product", when: goods(func(*CreateProduct) {})},
		{name: "a metric", when: metric(func(c *CreateMetric) { c.Aggregation = events.AggregateCount })},
		{name: "a price", when: price(func(*CreatePrice) {})},
		{name: "a price of nothing", when: price(func(c *CreatePrice) { c.UnitPrice = 0 })},
		{name: "a plan", when: card(func(*world, *CreatePlan) {})},
		{name: "a plan in a currency that the merchant has not earned yet", when: card(func(_ *world, c *CreatePlan) { c.Currency = eur })},

		{name: "a product without a name", when: goods(func(c *CreateProduct) { c.Name = "" }), refused: Invalid},
		{name: "a product without a description", when: goods(func(c *CreateProduct) { c.Description = "" }), refused: Invalid},
		{name: "a product with too long a description", when: goods(func(c *CreateProduct) { c.Description = long }), refused: Invalid},
		{name: "a product with too much metadata", when: goods(func(c *CreateProduct) {
			for i := range 51 {
				c.Metadata[strings.Repeat("k", i)] = "v"
			}
		}), refused: Invalid},
		{name: "a product with too long a key of metadata", when: goods(func(c *CreateProduct) { c.Metadata[long[:256]] = "v" }), refused: Invalid},
		{name: "a product whose metadata is no text", when: goods(func(c *CreateProduct) { c.Metadata["k"] = "\xff" }), refused: Invalid},
		{name: "a product of no merchant", given: []step{nobody}, when: goods(func(*CreateProduct) {}), refused: Invalid},
		{name: "a metric without a name", when: metric(func(c *CreateMetric) { c.Name = "" }), refused: Invalid},
		{name: "a metric without a unit", when: metric(func(c *CreateMetric) { c.Unit = "" }), refused: Invalid},
		{name: "a metric of an unknown aggregation", when: metric(func(c *CreateMetric) { c.Aggregation = "MEDIAN" }), refused: Invalid},
		{name: "a metric of no merchant", given: []step{nobody}, when: metric(func(*CreateMetric) {}), refused: Invalid},
		{name: "a metric of an unknown product", when: metric(func(c *CreateMetric) { c.Product[0]++ }), refused: NotFound},
		{name: "a metric of another merchant's product", given: []step{rival}, when: metric(func(*CreateMetric) {}), refused: NotFound},
		{name: "a price without a name", when: price(func(c *CreatePrice) { c.DisplayName = "" }), refused: Invalid},
		{name: "a price of an unknown model", when: price(func(c *CreatePrice) { c.Model = "tiered" }), refused: Invalid},
		{name: "a price of an unknown term", when: price(func(c *CreatePrice) { c.Term = "in_advance" }), refused: Invalid},
		{name: "a price below nothing", when: price(func(c *CreatePrice) { c.UnitPrice = -1 }), refused: Invalid},
		{name: "a price of no merchant", given: []step{nobody}, when: price(func(*CreatePrice) {}), refused: Invalid},
		{name: "a price of an unknown metric", when: price(func(c *CreatePrice) { c.Metric[0]++ }), refused: NotFound},
		{name: "a price of another merchant's metric", given: []step{rival}, when: price(func(*CreatePrice) {}), refused: NotFound},
		{name: "a plan without a name", when: card(func(_ *world, c *CreatePlan) { c.Name = "" }), refused: Invalid},
		{name: "a plan without a currency", when: card(func(_ *world, c *CreatePlan) { c.Currency = events.Currency{} }), refused: Invalid},
		{name: "a plan of an unknown cadence", when: card(func(_ *world, c *CreatePlan) { c.Cadence = "P1W" }), refused: Invalid},
		{name: "a plan of too many prices", when: card(func(_ *world, c *CreatePlan) { c.Prices = make([]events.PriceID, 201) }), refused: Invalid},
		{name: "a plan of no merchant", given: []step{nobody}, when: card(func(*world, *CreatePlan) {}), refused: Invalid},
		{name: "a plan of an unknown product", when: card(func(_ *world, c *CreatePlan) { c.Product[0]++ }), refused: NotFound},
		{name: "a plan of another merchant's product", given: []step{rival}, when: card(func(*world, *CreatePlan) {}), refused: NotFound},
		{name: "a plan of an unknown price", when: card(func(_ *world, c *CreatePlan) { c.Prices[0][0]++ }), refused: NotFound},
		{name: "a plan with a price of another product", when: card(func(w *world, c *CreatePlan) {
			c.Prices[0] = id[events.PriceNoun](w, "basic-rows-price")
		}), refused: Invalid},
		{name: "a plan with two prices of a metric", when: card(func(_ *world, c *CreatePlan) { c.Prices = append(c.Prices, c.Prices[0]) }), refused: Invalid},
	})
}

// TestEdits holds the rules of changes to the catalog, and of deletions.
func TestEdits(t *testing.T) {
	feePrice := func(change func(*CreatePrice)) step {
		return func(w *world) *Request {
			cmd := CreatePrice{
				Fee: id[events.FeeNoun](w, "setup"), Term: events.InAdvance, DisplayName: "Setup", UnitPrice: nanosOf("5"), Cadence: events.Once,
			}
			change(&cmd)
			return just(cmd)(w)
		}
	}
	named := func(name string, s step) step {
		return func(w *world) *Request {
			w.named(name, 0)
			return s(w)
		}
	}
	fee := named("setup", func(w *world) *Request {
		return just(CreateFee{Product: id[events.ProductNoun](w, "llm"), Name: "Setup", Description: "Once"})(w)
	})
	setup := []step{
		merchant("acme", seller), product("llm"), plan("pro", "llm", instantSum("tokens", "0.25")), fee,
		named("setup-price", feePrice(func(*CreatePrice) {})),
	}
	for _, a := range []events.Aggregation{events.AggregateSum, events.AggregateAvg, events.AggregateMax} {
		setup = append(setup, named(string(a), func(w *world) *Request {
			return just(CreateMetric{Product: id[events.ProductNoun](w, "llm"), Name: "Seats", Description: "Seats", Unit: "seat", Aggregation: a})(w)
		}))
	}
	metered := func(aggregation events.Aggregation, change func(*CreatePrice)) step {
		return func(w *world) *Request {
			cmd := CreatePrice{Metric: id[events.MetricNoun](w, string(aggregation)), Model: events.Standard, Term: events.InArrears, DisplayName: "Seats", UnitPrice: 1}
			change(&cmd)
			return just(cmd)(w)
		}
	}
	revise := func(cmd UpdatePrice) step {
		return func(w *world) *Request {
			cmd.Price = id[events.PriceNoun](w, "pro-tokens-price")
			return just(cmd)(w)
		}
	}
	replan := func(change func(*world, *UpdatePlan)) step {
		return func(w *world) *Request {
			cmd := UpdatePlan{Plan: id[events.PlanNoun](w, "pro")}
			change(w, &cmd)
			return just(cmd)(w)
		}
	}
	to := func(f Formula) func(*CreatePrice) {
		return func(c *CreatePrice) {
			c.Model, c.UnitPrice, c.Min, c.Max, c.Gradient, c.Part = f.Model, f.UnitPrice, f.Min, f.Max, f.Gradient, f.Part
		}
	}
	deleteIt := func(what string) step {
		return func(w *world) *Request {
			if strings.HasSuffix(what, "-price") {
				return just(DeletePrice{Price: id[events.PriceNoun](w, what)})(w)
			}
			return just(DeleteFee{Fee: id[events.FeeNoun](w, what)})(w)
		}
	}
	sum := events.AggregateSum
	checkRules(t, setup, []rule{
		{name: "a price of a fee", when: feePrice(func(c *CreatePrice) { c.Cadence, c.Quantity, c.Term = events.Yearly, 3, events.InArrears })},
		{name: "a price of volume", when: metered(sum, to(Formula{Model: events.Volume, UnitPrice: 10, Min: 5, Max: 10, Gradient: -1}))},
		{name: "a price of a percentage", when: metered(sum, to(Formula{Model: events.Percentage, Max: 100, Part: 290}))},
		{name: "a dynamic price", when: metered(sum, to(Formula{Model: events.Dynamic, Min: 2, Max: 5}))},
		{name: "a price of the largest", when: metered(events.AggregateMax, func(*CreatePrice) {})},
		{name: "the next revision of a price", when: revise(UpdatePrice{Formula: Change[Formula]{true, Formula{Model: events.Standard, UnitPrice: 7}}})},
		{name: "a plan with other prices and tax", when: replan(func(w *world, c *UpdatePlan) {
			c.Prices = Change[[]events.PriceID]{true, []events.PriceID{id[events.PriceNoun](w, "setup-price")}}
			c.TaxBehavior, c.TaxRate = Change[events.TaxBehavior]{true, events.Inclusive}, Change[events.TaxRate]{true, 19 * events.OnePercent}
		})},
		{name: "a price is deleted", when: deleteIt("setup-price")},
		{name: "a fee is deleted after its prices", given: []step{deleteIt("setup-price")}, when: deleteIt("setup")},

		{name: "a price of nothing there is", when: metered(sum, func(c *CreatePrice) { c.Metric = events.MetricID{} }), refused: Invalid},
		{name: "a price of a metric and a fee", when: feePrice(func(c *CreatePrice) { c.Metric[0] = 1 }), refused: Invalid},
		{name: "a price of a fee as it is used", when: feePrice(func(c *CreatePrice) { c.Term = events.Instant }), refused: Invalid},
		{name: "a price of a fee of another model", when: feePrice(func(c *CreatePrice) { c.Model = events.Dynamic }), refused: Invalid},
		{name: "a price of a fee that comes never", when: feePrice(func(c *CreatePrice) { c.Cadence = "" }), refused: Invalid},
		{name: "a price of too many fees", when: feePrice(func(c *CreatePrice) { c.Quantity = 1_000_001 }), refused: Invalid},
		{name: "a price of another merchant's fee", given: []step{merchant("rival", seller)}, when: feePrice(func(*CreatePrice) {}), refused: NotFound},
		{name: "a mean charged as it is used", when: metered(events.AggregateAvg, func(c *CreatePrice) { c.Term = events.Instant }), refused: Invalid},
		{name: "a metric paid in advance", when: metered(sum, func(c *CreatePrice) { c.Term = events.InAdvance }), refused: Invalid},
		{name: "a metric billed once", when: metered(sum, func(c *CreatePrice) { c.Cadence = events.Once }), refused: Invalid},
		{name: "bounds the wrong way round", when: metered(sum, to(Formula{Model: events.Dynamic, Min: 5, Max: 2})), refused: Invalid},
		{name: "a bound below nothing", when: metered(sum, to(Formula{Model: events.Dynamic, Min: -1, Max: 2})), refused: Invalid},
		{name: "a first price outside its bounds", when: metered(sum, to(Formula{Model: events.Volume, UnitPrice: 11, Min: 5, Max: 10})), refused: Invalid},
		{name: "a percentage above ten", when: metered(sum, to(Formula{Model: events.Percentage, Max: 100, Part: 100_001})), refused: Invalid},
		{name: "amounts of another model", when: metered(sum, to(Formula{Model: events.Standard, UnitPrice: 1, Part: 1})), refused: Invalid},
		{name: "a revision that is no price", when: revise(UpdatePrice{Formula: Change[Formula]{true, Formula{Model: events.Standard, UnitPrice: -7}}}), refused: Invalid},
		{name: "another merchant's price", given: []step{merchant("rival", seller)}, when: revise(UpdatePrice{}), refused: NotFound},
		{name: "a plan with a rate above everything", when: replan(func(_ *world, c *UpdatePlan) { c.TaxRate = Change[events.TaxRate]{true, events.MaxTaxRate + 1} }), refused: Invalid},
		{name: "a price that a plan has is not deleted", when: deleteIt("pro-tokens-price"), refused: Conflict},
		{name: "a fee that has a price is not deleted", when: deleteIt("setup"), refused: Conflict},
	})
}

// TestEditsFromTheNextPeriod holds that what a period has begun with it ends with: an edit of a price bills the periods
// that begin after it.
func TestEditsFromTheNextPeriod(t *testing.T) {
	w := newWorld(t)
	w.do(shop()...)
	cost := func(key, at string) string {
		t.Helper()
		r := w.send(*use(key, "alice", at, q{"tokens", 2})(w))[0]
		if r.Status != Accepted {
			t.Fatalf("%s is %s: %s", key, r.Status, r.Message)
		}
		return r.Amount.String()
	}
	price := id[events.PriceNoun](w, "pro-tokens-price")
	if got := cost("before", "2025-01-15 10:00"); got != "0.5" {
		t.Errorf("before the edit: %s", got)
	}
	w.do(just(UpdatePrice{Price: price, Formula: Change[Formula]{true, Formula{Model: events.Standard, UnitPrice: nanosOf("1")}}}))
	if got := cost("after", "2025-01-15 10:00"); got != "0.5" {
		t.Errorf("in the period of the edit: %s", got)
	}
	w.do(at("2025-02-15 11:00"))
	if got := cost("next", "2025-02-15 10:30"); got != "2" {
		t.Errorf("in the next period: %s", got)
	}
	if got := cost("late", "2025-02-14 10:30"); got != "0.5" {
		t.Errorf("late, in the period before: %s", got)
	}
	w.do(just(UpdatePlan{Plan: id[events.PlanNoun](w, "pro"), Prices: Change[[]events.PriceID]{Given: true}}))
	if got := cost("dropped", "2025-02-15 10:30"); got != "2" {
		t.Errorf("after the price has left the plan: %s", got)
	}
	w.do(at("2025-03-16 11:00"))
	if r := w.send(*use("gone", "alice", "2025-03-16 10:30", q{"tokens", 2})(w))[0]; r.Code != MetricNotPriced {
		t.Errorf("in the period after that: %s %s", r.Status, r.Code)
	}
}
