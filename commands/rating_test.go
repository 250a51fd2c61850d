package commands

import (
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"tallystick/events"
	"tallystick/projections"
)

// TestWorkedFigures holds the models to figures that were worked out by hand.
func TestWorkedFigures(t *testing.T) {
	falling := projections.Rate{Model: events.Volume, UnitPrice: nanosOf("0.10"), Gradient: nanosOf("-0.00001"), Min: nanosOf("0.05"), Max: nanosOf("0.10")}
	card := projections.Rate{Model: events.Percentage, Part: 290, Min: nanosOf("0.30"), Max: nanosOf("100")}
	gpu := projections.Rate{Model: events.Dynamic, Min: nanosOf("2"), Max: nanosOf("5")}
	for _, tt := range []struct {
		what   string
		rate   projections.Rate
		before int64
		units  int64
		price  string // that the usage names
		want   string
	}{
		{"2,500 tokens", projections.Rate{Model: events.Standard, UnitPrice: nanosOf("0.00002")}, 0, 2_500, "", "0.05"},
		{"10,000 tokens", projections.Rate{Model: events.Standard, UnitPrice: nanosOf("0.000025")}, 7, 10_000, "", "0.25"},
		{"calls 0 to 999", falling, 0, 1_000, "", "95.005"},
		{"calls 1000 to 1999", falling, 1_000, 1_000, "", "85.005"},
		{"calls 4000 to 5999, over the floor", falling, 4_000, 2_000, "", "105.005"},
		{"calls 5000 to 5999, on the floor", falling, 5_000, 1_000, "", "50"},
		{"calls 0 to 5999 in one go", falling, 0, 6_000, "", "425.025"},
		{"a payment of $10", card, 0, 1, "10", "0.3"},
		{"a payment of $1,000", card, 0, 1, "1000", "29"},
		{"a payment of $10,000", card, 0, 1, "10000", "100"},
		{"ten payments of $100", card, 0, 10, "100", "29"},
		{"a payment just below the lower break-even", card, 0, 1, "10.344827586", "0.3"},
		{"a payment just above it", card, 0, 1, "10.344827621", "0.300000001"},
		{"three GPU hours at $2.50", gpu, 0, 3, "2.50", "7.5"},
	} {
		at := events.Nanos(0)
		if tt.price != "" {
			at = nanosOf(tt.price)
		}
		got, ok := rate(&tt.rate, events.SumOf(events.Nanos(tt.before)), tt.units, at)
		if !ok || got != nanosOf(tt.want) {
			t.Errorf("%s: %s, %v, want %s", tt.what, got, ok, tt.want)
		}
	}
}

// TestVolume holds the closed form to a sum over all units, and a quantity to any split of it.
func TestVolume(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Int64Range(0, 1000).Draw(t, "min")
		high := rapid.Int64Range(low, 2000).Draw(t, "max")
		first := rapid.Int64Range(low, high).Draw(t, "first")
		gradient := rapid.Int64Range(-50, 50).Draw(t, "gradient")
		r := projections.Rate{Model: events.Volume, UnitPrice: events.Nanos(first), Gradient: events.Nanos(gradient), Min: events.Nanos(low), Max: events.Nanos(high)}
		units := func(from, to int64) *big.Int {
			sum := new(big.Int)
			for i := from; i < to; i++ {
				sum.Add(sum, big.NewInt(min(max(first+gradient*i, low), high)))
			}
			return sum
		}
		v := rapid.Int64Range(0, 300).Draw(t, "before")
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			q := rapid.Int64Range(1, 300).Draw(t, "units")
			got, ok := rate(&r, events.SumOf(events.Nanos(v)), q, 0)
			if want := units(v, v+q); !ok || big.NewInt(int64(got)).Cmp(want) != 0 {
				t.Fatalf("%d units after %d cost %d, %v, want %s", q, v, got, ok, want)
			}
			v += q
		}
	})
	steep := projections.Rate{Model: events.Volume, UnitPrice: 1, Gradient: maxUnitPrice, Max: maxUnitPrice}
	if got, ok := rate(&steep, events.Sum{}, 3, 0); !ok || got != 1+2*maxUnitPrice {
		t.Errorf("three units of a steep price cost %d, %v", got, ok)
	}
	if _, ok := rate(&steep, events.Sum{}, 1<<62, 0); ok {
		t.Error("what does not fit is charged")
	}
}

// nearest returns num / den rounded half away from zero.
func nearest(num, den *big.Int) *big.Int {
	s := new(big.Rat).SetFrac(num, den).FloatString(0)
	n, _ := new(big.Int).SetString(s, 10)
	return n
}

// TestTax holds that tax is a difference over all that came before: any split is taxed as the whole, rounded once.
func TestTax(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := events.TaxRate(rapid.Uint32Range(0, uint32(events.MaxTaxRate)).Draw(t, "rate"))
		inclusive := rapid.Bool().Draw(t, "inclusive")
		var net, tax, charged events.Sum
		for range rapid.IntRange(1, 6).Draw(t, "charges") {
			c := events.Nanos(rapid.Int64Range(0, 1<<61).Draw(t, "charge"))
			n, x := taxOn(r, inclusive, net, tax, c)
			net, tax, charged = net.Add(n), tax.Add(x), charged.Add(c)
		}
		one := int64(events.MaxTaxRate)
		want := nearest(new(big.Int).Mul(charged.Big(), big.NewInt(int64(r))), big.NewInt(one))
		if inclusive {
			want = nearest(new(big.Int).Mul(charged.Big(), big.NewInt(int64(r))), big.NewInt(one+int64(r)))
			if charged != net.Plus(tax) {
				t.Fatalf("net %s and tax %s are not %s", net, tax, charged)
			}
		} else if net != charged {
			t.Fatalf("net is %s, not %s", net, charged)
		}
		if tax.Big().Cmp(want) != 0 {
			t.Fatalf("tax on %s at %d is %s, want %s", charged, r, tax, want)
		}
	})
	for _, tt := range []struct {
		gross, rate, net, tax string
		inclusive             bool
	}{
		{"0.05", "8.5", "0.05", "0.00425", false},
		{"5", "10", "5", "0.5", false},
		{"1234.50", "9", "1234.5", "111.105", false},
		{"6345", "9", "6345", "571.05", false},
		{"100", "8.5", "92.165898618", "7.834101382", true},
	} {
		net, tax := taxOn(events.TaxRate(nanosOf(tt.rate)/10_000), tt.inclusive, events.Sum{}, events.Sum{}, nanosOf(tt.gross))
		if net != nanosOf(tt.net) || tax != nanosOf(tt.tax) {
			t.Errorf("%s at %s%%: net %s and tax %s, want %s and %s", tt.gross, tt.rate, net, tax, tt.net, tt.tax)
		}
	}
}

// TestTaxPrecedence holds the order of the sources of a rate (A19).
func TestTaxPrecedence(t *testing.T) {
	plan, metric := events.PlanID{1}, events.MetricID{2}
	at := instantOf("2026-01-15 10:00")
	card := &projections.Card{TaxRate: 1}
	all := []events.TaxRateOf{{Rate: 3}, {Plan: plan, Rate: 4}, {Metric: metric, Rate: 5}, {Plan: events.PlanID{9}, Rate: 6}, {Metric: events.MetricID{9}, Rate: 7}}
	for _, tt := range []struct {
		what      string
		rates     []events.TaxRateOf
		automatic bool
		region    string
		want      events.TaxRate
	}{
		{"the plan's default", nil, false, "DE", 1},
		{"the plan's default, for the address is not known", nil, true, "", 1},
		{"the plan's default, for the region is not in the table", nil, true, "BR", 1},
		{"the address", nil, true, "DE", 19 * events.OnePercent},
		{"the customer's for all", all[:1], true, "DE", 3},
		{"the customer's for the plan", all[:2], true, "DE", 4},
		{"the customer's for the metric", all, true, "DE", 5},
		{"nothing of other plans and metrics", all[3:], false, "", 1},
	} {
		payer := taxpayer{
			customer: &projections.Customer{TaxRates: tt.rates}, consumer: &projections.Consumer{Region: tt.region},
			merchant: &projections.MerchantRow{Settings: events.Settings{AutomaticTax: tt.automatic}},
		}
		if got := payer.rate(StandardTaxes{}, plan, card, metric, at); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.what, got, tt.want)
		}
	}
}

func TestTaxTable(t *testing.T) {
	for _, tt := range []struct{ region, at, want string }{
		{"US-CA", "2026-01-01 00:00", "7.25"},
		{"US-OR", "2026-01-01 00:00", "0"},
		{"US-MN", "2026-01-01 00:00", "6.875"},
		{"US-DC", "2026-01-01 00:00", "6"},
		{"US", "2026-01-01 00:00", ""},
		{"US-XX", "2026-01-01 00:00", ""},
		{"US-", "2026-01-01 00:00", ""},
		{"DE", "2026-01-01 00:00", "19"},
		{"FI", "2026-01-01 00:00", "25.5"},
		{"FI", "2024-08-31 23:59", "24"},
		{"FI", "2024-09-01 00:00", "25.5"},
		{"SK", "2024-12-31 23:59", "20"},
		{"SK", "2025-01-01 00:00", "23"},
		{"RO", "2025-07-31 23:59", "19"},
		{"RO", "2025-08-01 00:00", "21"},
		{"EE", "2025-06-30 23:59", "22"},
		{"EE", "2025-07-01 00:00", "24"},
		{"CA-ON", "2026-01-01 00:00", ""},
		{"", "2026-01-01 00:00", ""},
		{"=2", "2026-01-01 00:00", ""},
	} {
		got, ok := StandardTaxes{}.RateAt(tt.region, instantOf(tt.at))
		if ok != (tt.want != "") || ok && got != events.TaxRate(nanosOf(tt.want)/10_000) {
			t.Errorf("%s at %s: %d, %v, want %s", tt.region, tt.at, got, ok, tt.want)
		}
	}
	for _, tt := range []struct {
		address events.Address
		region  string
	}{
		{events.Address{Country: "DE", ZipCode: "1"}, "DE"},
		{events.Address{Country: "DE"}, ""},
		{events.Address{ZipCode: "1"}, ""},
		{events.Address{Country: "US", ZipCode: "1", State: "ca"}, "US-CA"},
		{events.Address{Country: "US", ZipCode: "1"}, ""},
		{events.Address{Country: "US", ZipCode: "1", State: "California"}, ""},
		{events.Address{Country: "US", ZipCode: "1", State: "PR"}, ""},
		{events.Address{Country: "US", ZipCode: "1", State: "A="}, ""},
		{events.Address{Country: "CA", ZipCode: "1", State: "ON"}, "CA-ON"},
		{events.Address{Country: "CA", ZipCode: "1", State: "CA"}, ""},
	} {
		if got, lacks := TaxRegionOf(tt.address); got != tt.region || (lacks == "") != (got != "") {
			t.Errorf("%+v is in %q (%q), want %q", tt.address, got, lacks, tt.region)
		}
	}
}

// TestFeeTimes counts how often fees come in periods of other lengths.
func TestFeeTimes(t *testing.T) {
	for _, tt := range []struct {
		fee, period events.Cadence
		term        events.Term
		want        string // for the periods 0 to 12
	}{
		{events.Monthly, events.Monthly, events.InAdvance, "1111111111111"},
		{events.Once, events.Monthly, events.InAdvance, "1000000000000"},
		{events.Monthly, events.Quarterly, events.InArrears, "3333333333333"},
		{events.Quarterly, events.Monthly, events.InAdvance, "1001001001001"},
		{events.Quarterly, events.Monthly, events.InArrears, "0010010010010"},
		{events.Yearly, events.Quarterly, events.InArrears, "0001000100010"},
	} {
		got := ""
		for n := range uint32(13) {
			got += fmt.Sprint(FeeTimes(&projections.Rate{Cadence: tt.fee, Term: tt.term}, tt.period, n))
		}
		if got != tt.want {
			t.Errorf("a fee of %s %s in periods of %s: %s, want %s", tt.fee, tt.term, tt.period, got, tt.want)
		}
	}
}
