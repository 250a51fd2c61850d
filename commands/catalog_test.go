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
		{name: "a metric of an unknown aggregation", when: metric(func(c *CreateMetric) { c.Aggregation = "AVG" }), refused: Invalid},
		{name: "a metric of no merchant", given: []step{nobody}, when: metric(func(*CreateMetric) {}), refused: Invalid},
		{name: "a metric of an unknown product", when: metric(func(c *CreateMetric) { c.Product[0]++ }), refused: NotFound},
		{name: "a metric of another merchant's product", given: []step{rival}, when: metric(func(*CreateMetric) {}), refused: NotFound},
		{name: "a price without a name", when: price(func(c *CreatePrice) { c.DisplayName = "" }), refused: Invalid},
		{name: "a price of an unknown model", when: price(func(c *CreatePrice) { c.Model = "volume" }), refused: Invalid},
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
