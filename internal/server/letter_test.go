package server

import (
	"strings"
	"testing"

	"tallystick/events"
	"tallystick/internal/mail"
	"tallystick/internal/query"
)

// TestInvoiceLetters reads what people are written of invoices: cents, and what a card is charged.
func TestInvoiceLetters(t *testing.T) {
	const due = events.Time(1_700_000_000_000_000_000)
	for _, tt := range []struct {
		what         string
		total, owing events.Nanos
		paid         bool
		want         string
	}{
		{"whole cents", 12_500_000_000, 12_500_000_000, false, "comes to 12.50 USD, of which 12.50 USD are to be paid by 14 November 2023.\n"},
		{"nanos", 12_345_678_901, 2_344_999_999, false, "comes to 12.35 USD, of which 2.34 USD are to be paid by 14 November 2023.\n"},
		{"half a cent", 5_005_000_000, 5_005_000_000, false, "comes to 5.01 USD, of which 5.01 USD are to be paid by 14 November 2023.\n"},
		{"less than a card is charged", 340_000_001, 340_000_001, false, "of which 0.34 USD are to be paid by 14 November 2023. A card is charged no less than 1.00 USD; the rest goes to your wallet.\n"},
		{"less than half a cent", 1_004_999_999, 4_999_999, false, "comes to 1.00 USD. Nothing of it is left to pay.\n"},
		{"nothing", 1_000_000_000, 0, false, "comes to 1.00 USD. Nothing of it is left to pay.\n"},
		{"paid", 1_000_000_000, 0, true, "comes to 1.00 USD, and is paid. Thank you.\n"},
	} {
		var m mail.Message
		inv := query.Invoice{
			Number: 7, Currency: events.Currency{'U', 'S', 'D'}, GrandTotal: query.Cents(events.SumOf(tt.total)), Unpaid: events.SumOf(tt.owing),
			DueAt: due, Permalink: "https://bill.example/i",
		}
		writeInvoice(&m, &inv, "Acme", tt.paid)
		if !strings.HasPrefix(m.Text, "invoice 7 of Acme ") || !strings.Contains(m.Text, tt.want) || !strings.HasSuffix(m.Text, "https://bill.example/i") {
			t.Errorf("%s: %q, want %q", tt.what, m.Text, tt.want)
		}
	}
}
