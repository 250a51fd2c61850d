package scenario

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tallystick/commands"
	"tallystick/events"
)

var (
	long = flag.Bool("long", false, "the random lives of hundreds of customers, one after another")
	seed = flag.Uint64("seed", 0, "the life to live; 0 draws one, and prints it")
)

// life is a ledger that many customers use at random, with a model of all their money beside it, which foretells what each command is
// answered with. After each command everything that is known of the customer is compared.
type life struct {
	books
	t         testing.TB
	w         *World
	rng       *rand.Rand
	now       time.Time // real time
	merchants []*shop
	people    []*person
	commands  int
	accepted  map[string]int
	refusals  map[commands.Code]int
	answered  commands.Receipt // the latest
	last      string           // the latest command, for what is found after it
}

// time returns what time it is for a shop.
func (l *life) time(s *shop) time.Time {
	if s.clock == "" {
		return l.now
	}
	return s.now
}

// fresh returns what nothing was named with yet.
func (l *life) fresh() string { return strconv.Itoa(l.commands) }

// number is a number as it is written.
func number(s string) json.Number { return json.Number(s) }

// do carries out a command, and fails unless it is answered as foretold.
func (l *life) do(name, command string, body map[string]any, want commands.Code, amount *int64) {
	l.t.Helper()
	l.commands++
	l.last = fmt.Sprintf("%s: %s %v", l.now.Format(time.RFC3339), command, body)
	receipts, answer, err := l.w.command(context.Background(), command, body)
	if err != nil {
		l.t.Fatalf("%s: %v", l.last, err)
	}
	r := receipts[0]
	l.answered = r
	if r.Code != want {
		l.t.Fatalf("%s is answered %q (%s), want %q", l.last, r.Code, r.Message, want)
	}
	if want != "" {
		l.refusals[want]++
		return
	}
	if amount != nil && (r.Amount == nil || r.Amount.Big().Cmp(big.NewInt(*amount)) != 0) {
		l.t.Fatalf("%s moves %s, want %d", l.last, r.Amount.Digits(), *amount)
	}
	l.accepted[command]++
	if v, _ := decode(answer); name != "" {
		if id, ok := at(v, "id").(string); ok {
			l.w.name(name, id)
		}
	}
}

// balance compares the balance in the latest answer.
func (l *life) balance(want int64) {
	l.t.Helper()
	if b := l.answered.Balance; b == nil || b.Big().Cmp(big.NewInt(want)) != 0 {
		l.t.Fatalf("%s: the balance after is %s, want %d", l.last, b.Digits(), want)
	}
}

func (l *life) actAs(s *shop) {
	if err := l.w.as(s.name); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) asOperator() {
	l.w.who.Role, l.w.who.Merchant = events.OperatorKey, events.OrganizationID{}
}

// merchant makes a shop with prices of every model and aggregation, at scales of their own.
func (l *life) merchant(i int) {
	scale := []int64{1_000, 300_000, 20_000_000}[i%3]
	some := func() int64 { return 1 + l.rng.Int64N(scale) }
	s := &shop{
		name: fmt.Sprintf("shop%d", i), part: l.rng.Int64N(3) * 137, inclusive: i%3 == 1, byHand: i%4 == 3, retries: []int{1, 3},
		months: 1, rate: []int64{0, 7_000}[l.rng.IntN(2)], allowance: l.rng.Int64N(300), rollover: l.rng.Int64N(100), soft: l.rng.IntN(3) > 0, now: begin,
	}
	if l.rng.IntN(4) == 0 {
		s.months = 3
	}
	if l.rng.IntN(2) == 0 {
		s.anchor, s.daily = begin.Add(-time.Duration(l.rng.IntN(400*24))*time.Hour), l.rng.IntN(3) > 0
	}
	for _, t := range []tariff{
		{name: "calls", aggregation: "SUM", model: "standard", instant: true, unit: some()},
		{name: "cuts", aggregation: "SUM", model: "percentage", instant: true, percentage: 1 + l.rng.Int64N(999), low: some(), high: 100*scale - some()},
		{name: "falls", aggregation: "SUM", model: "volume", instant: true, unit: 2 * scale, low: some(), high: 2 * scale, gradient: -scale / 1000},
		{name: "offers", aggregation: "SUM", model: "dynamic", instant: true, low: 1, high: some()},
		{name: "counts", aggregation: "COUNT", model: "standard", instant: true, unit: 10 * some()},
		{name: "bytes", aggregation: "SUM", model: "standard", unit: some(), featured: true, discounted: l.rng.IntN(2) == 0},
		{name: "rises", aggregation: "SUM", model: "volume", unit: 1, low: 1, high: some(), gradient: scale / 1000},
		{name: "parts", aggregation: "SUM", model: "percentage", percentage: 1 + l.rng.Int64N(999), low: some(), high: 100*scale - some()},
		{name: "mean", aggregation: "AVG", model: "standard", unit: some()},
		{name: "peak", aggregation: "MAX", model: "standard", unit: some()},
		{name: "floor", aggregation: "MIN", model: "standard", unit: some()},
		{name: "last", aggregation: "LATEST", model: "standard", unit: some()},
		{name: "users", aggregation: "UNIQUE_COUNT", model: "standard", unit: some()},
	} {
		t.name = s.name + "-" + t.name
		s.tariffs = append(s.tariffs, &t)
	}
	all := []fee{
		{name: "setup", advance: true, unit: 10 * some(), quantity: 1},
		{name: "base", advance: true, every: 1, unit: 30 * some(), quantity: 2},
		{name: "support", every: 1, unit: 10 * some(), quantity: 1},
		{name: "audit", every: 3, unit: 50 * some(), quantity: 1},
		{name: "licence", advance: true, every: 3, unit: 20 * some(), quantity: 3},
	}
	for _, j := range l.rng.Perm(len(all))[:l.rng.IntN(len(all)+1)] {
		f := all[j]
		f.name = s.name + "-" + f.name
		s.fees = append(s.fees, &f)
	}
	if i%3 > 0 {
		s.clock = s.name + "-clock"
	}
	l.found(s)
	l.merchants = append(l.merchants, s)
}

// found makes the shop in the ledger.
func (l *life) found(s *shop) {
	l.asOperator()
	l.do(s.name, "CreateMerchant", map[string]any{
		"profile": map[string]any{"name": s.name}, "currency": "USD", "settings": map[string]any{
			"managedPrepaid": true, "feeBasisPoints": s.part, "autoApprove": !s.byHand, "paymentRetries": "1,3",
		},
	}, "", nil)
	l.actAs(s)
	product := s.name + "-product"
	l.do(product, "CreateProduct", map[string]any{"name": "P", "description": "P"}, "", nil)
	l.do(s.name+"-feature", "CreateFeature", map[string]any{"productId": l.w.names[product], "key": "bytes", "name": "Bytes", "type": "metered"}, "", nil)
	var prices []string
	price := func(name string, body map[string]any) {
		body["invoiceDisplayName"] = name
		l.do(name+"-price", "CreatePrice", body, "", nil)
		prices = append(prices, l.w.names[name+"-price"])
	}
	for _, t := range s.tariffs {
		l.do(t.name, "CreateMetric", map[string]any{
			"productId": l.w.names[product], "name": t.name, "description": "M", "unit": "u", "aggregation": t.aggregation,
			"eventType": t.name, "valueProperty": "$.n",
		}, "", nil)
		price(t.name, l.priceOf(s, t))
	}
	for _, f := range s.fees {
		l.do(f.name, "CreateFee", map[string]any{"productId": l.w.names[product], "name": f.name, "description": "F"}, "", nil)
		price(f.name, map[string]any{
			"feeId": l.w.names[f.name], "paymentTerm": map[bool]string{true: "in_advance", false: "in_arrears"}[f.advance],
			"billingCadence": map[int]string{0: "P0D", 1: "P1M", 3: "P3M"}[f.every], "quantity": f.quantity,
			"properties": map[string]any{"unitPrice": amount(f.unit)},
		})
	}
	plan := map[string]any{
		"productId": l.w.names[product], "name": "P", "currency": "USD", "billingCadence": fmt.Sprintf("P%dM", s.months), "prices": prices,
		"taxBehavior": map[bool]string{true: "inclusive", false: "exclusive"}[s.inclusive], "defaultTaxRate": percent(s.rate),
		"prorationPolicy": map[bool]string{true: "daily", false: "none"}[s.daily],
	}
	if !s.anchor.IsZero() {
		plan["billingAnchor"] = s.anchor
	}
	l.do(s.name+"-plan", "CreatePlan", plan, "", nil)
	if s.clock != "" {
		l.do(s.clock, "CreateTestClock", map[string]any{"currentTime": begin}, "", nil)
	}
}

// percent writes thousandths of a percent.
func percent(rate int64) json.Number { return number(fmt.Sprintf("%d.%03d", rate/1000, rate%1000)) }

// priceOf returns a metric's price as it is sent.
func (l *life) priceOf(s *shop, t *tariff) map[string]any {
	properties := map[string]any{"unitPrice": amount(t.unit)}
	switch t.model {
	case "dynamic":
		properties = map[string]any{"minPrice": amount(t.low), "maxPrice": amount(t.high)}
	case "percentage":
		properties = map[string]any{
			"percentage": fmt.Sprintf("0.%04d", t.percentage), "minCharge": amount(t.low), "maxCharge": amount(t.high),
		}
	case "volume":
		properties = map[string]any{"default": amount(t.unit), "parameters": map[string]any{
			"function": "linear", "gradient": amount(t.gradient), "min": amount(t.low), "max": amount(t.high),
		}}
	}
	body := map[string]any{
		"billableMetricId": l.w.names[t.name], "model": t.model, "properties": properties,
		"paymentTerm": map[bool]string{true: "instant", false: "in_arrears"}[t.instant],
	}
	if t.featured {
		body["grantDiscountEnabled"] = t.discounted
		body["feature"] = map[string]any{"featureId": l.w.names[s.name+"-feature"], "entitlementTemplate": map[string]any{
			"type": "metered", "usagePeriod": map[string]any{"interval": "P1W"}, "issueAfterReset": s.allowance, "resetMaxRollover": s.rollover, "isSoftLimit": s.soft,
		}}
	}
	return body
}

func (l *life) customer(i int) {
	p := &person{name: fmt.Sprintf("person%d", i), shop: l.merchants[i%len(l.merchants)], rate: -1, rates: make(map[*tariff]int64)}
	rates := map[string]any{}
	if l.rng.IntN(2) == 0 {
		p.rate = []int64{0, 8_875, 19_000}[l.rng.IntN(3)]
		rates["default"] = percent(p.rate)
	}
	for range l.rng.IntN(3) {
		p.rates[p.shop.tariffs[l.rng.IntN(len(p.shop.tariffs))]] = l.rng.Int64N(25_000)
	}
	for _, t := range named(p.rates) {
		rates[l.w.names[t.name]] = percent(p.rates[t])
	}
	l.actAs(p.shop)
	l.do(p.name, "CreateCustomer", map[string]any{
		"consumer": map[string]any{"name": p.name, "email": p.name + "@example.com", "address": map[string]any{"country": "US"}}, "taxRates": rates,
	}, "", nil)
	l.people = append(l.people, p)
	l.subscribe(p)
	l.w.name(p.name+"-wallet", l.text(l.ask1("Subscription", map[string]any{"subscriptionId": l.w.names[p.subs[0].name]}), "walletId"))
	l.check(p)
}

// TestLife lets many customers live at random: usage of every model of price, repeated and late, fees, top-ups, checkouts, reservations,
// grants, units that are bought, refunds, disputes, corrections, discounts, cards that are declined, invoices that are paid, charged again, written off and
// refunded, terminations, and time that goes by. Each answer must be what the model foretells, and so must be, after each step, the
// wallet, the units, the open sessions and all invoices of the customer, open ones as they stand; in the end, the accounts of everybody,
// and all that must hold of every ledger.
func TestLife(t *testing.T) {
	lives, people, steps := 1, 12, 900
	if *long {
		lives, people, steps = 8, 200, 12_000 // make life
	}
	for range lives {
		s := *seed
		if s == 0 {
			s = rand.Uint64() //nolint:forbidigo // it is printed, and can be given
		}
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			t.Logf("live it again with -run TestLife -seed %d", s)
			w, err := NewWorld(t.Context(), filepath.Join(t.TempDir(), "ledger"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := w.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			l := &life{
				t: t, w: w, rng: rand.New(rand.NewPCG(s, 1)), now: begin, accepted: make(map[string]int), refusals: make(map[commands.Code]int),
			}
			for i := range 4 {
				l.merchant(i)
			}
			for i := range people {
				l.customer(i)
			}
			for range steps {
				l.live()
			}
			l.audit()
			t.Logf("%d commands until %s; accepted: %v; refused: %v", l.commands, l.now.Format(time.DateOnly), l.accepted, l.refusals)
		})
	}
}
