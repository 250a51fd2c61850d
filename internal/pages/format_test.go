package pages

import (
	"fmt"
	"testing"

	"tallystick/events"
	"tallystick/internal/query"
)

// TestSums adds up what an invoice shows: cents only, of which the total is the sum, and of which what is paid and what is not are
// the parts.
func TestSums(t *testing.T) {
	for _, tt := range []struct {
		subtotal, tax, paid events.Nanos
		want                string
	}{
		{1_234_500_000_000, 111_105_000_000, 0, "Subtotal 1,234.50; Tax 111.11; Total 1,345.61; Paid 0.00; To be paid 1,345.61"},
		{4_000_000, 3_000_000, 7_000_000, "Subtotal 0.00; Tax 0.00; Rounding 0.01; Total 0.01; Paid 0.01; To be paid 0.00"},
		{5_000_000, 5_000_000, 0, "Subtotal 0.01; Tax 0.01; Rounding −0.01; Total 0.01; Paid 0.00; To be paid 0.01"},
		{308_000_000, 0, 104_000_000, "Subtotal 0.31; Tax 0.00; Total 0.31; Paid 0.11; To be paid 0.20"},
		{-2_000_000_000, 0, -2_000_000_000, "Subtotal −2.00; Tax 0.00; Total −2.00; Paid −2.00; To be paid 0.00"},
	} {
		v := invoiceView{Invoice: query.Invoice{
			Currency: events.Currency{'U', 'S', 'D'}, Subtotal: events.SumOf(tt.subtotal), Tax: events.SumOf(tt.tax),
			Total: events.SumOf(tt.subtotal + tt.tax), Paid: events.SumOf(tt.paid), Unpaid: events.SumOf(tt.subtotal + tt.tax - tt.paid),
		}}
		got := ""
		for i, row := range v.Sums() {
			if i > 0 {
				got += "; "
			}
			got += row.Name + " " + row.Amount[:len(row.Amount)-len(" USD")]
		}
		if got != tt.want {
			t.Errorf("%d and %d of tax: %s, want %s", tt.subtotal, tt.tax, got, tt.want)
		}
	}
}

// TestDetail reads what lines of usage say they are of: of a mean, the mean and not the sum of what was reported.
func TestDetail(t *testing.T) {
	line := query.InvoiceLine{Unit: "GB", Count: 19, Quantity: events.SumOf(8770), UnitPrice: events.SumOf(1_100_000_000)}
	for aggregation, want := range map[events.Aggregation]string{
		"": "8,770 GB at 1.10 USD each", events.AggregateMax: "8,770 GB", events.AggregateAvg: "461.578947368 GB on average",
	} {
		line.Aggregation = aggregation
		if got := detail(line, events.Currency{'U', 'S', 'D'}); got != want {
			t.Errorf("%q: %s, want %s", aggregation, got, want)
		}
	}
}

// TestRates reads what prices say of themselves: cents, and more digits only where a price has them.
func TestRates(t *testing.T) {
	for _, tt := range []struct {
		model      events.Model
		properties string
		want       string
	}{
		{events.Standard, `{"unitPrice":"5"}`, "5.00 each"},
		{events.Standard, `{"unitPrice":"0.00002"}`, "0.00002 each"},
		{events.Dynamic, `{"minPrice":"2","maxPrice":"5.5"}`, "2.00 to 5.50 each"},
		{events.Volume, `{"default":"0.10","parameters":{"min":"0.05","max":"0.1"}}`, "from 0.10, never below 0.05 or above 0.10 each"},
		{events.Percentage, `{"percentage":"0.029","minCharge":"0.3","maxCharge":"100"}`, "2.9% of the value, from 0.30 to 100.00"},
	} {
		if got := rate(query.APIPrice{Model: tt.model, Properties: []byte(tt.properties)}); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.model, tt.properties, got, tt.want)
		}
	}
	if got, want := fmt.Sprint(money(events.SumOf(2_344_999_999), events.Currency{'E', 'U', 'R'})), "2.34 EUR"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
