package demo

import (
	"testing"
	"time"
)

// TestRun runs the whole demonstration on a small trace.
func TestRun(t *testing.T) {
	f, err := Run(t.Context(), Options{Dir: t.TempDir(), Rows: MakeTrace(1_500, 7), Customers: 7, Clock: time.Now, Tell: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if !f.OK() {
		t.Fatalf("the demonstration does not add up: verify %q, rebuild %q, mismatches %q", f.Verify, f.Rebuild, f.Mismatches)
	}
	if want := (1_500 + 9) / 10; f.Duplicates != want {
		t.Errorf("%d duplicates, want %d", f.Duplicates, want)
	}
}

// TestCompareFindsDifferences holds that the demonstration's own arithmetic would notice a wrong cent.
func TestCompareFindsDifferences(t *testing.T) {
	rows := []Row{{Input: 100, Output: 10}, {Input: 1, Output: 0}}
	want := expect(rows, 1)
	right := Figures{
		UsageAccepted: 2, MerchantWallet: "0.0003525",
		Customers: []Customer{{Name: "A", InputTokens: 101, OutputTokens: 10, UsageTotal: "0.0003525", InvoiceTotal: "0.0003525", WalletBalance: "19.9996475"}},
	}
	right.compare(want)
	if len(right.Mismatches) > 0 {
		t.Fatalf("right figures do not match: %q", right.Mismatches)
	}
	for name, spoil := range map[string]func(*Figures){
		"tokens":   func(f *Figures) { f.Customers[0].InputTokens++ },
		"usage":    func(f *Figures) { f.Customers[0].UsageTotal = "0.0003524" },
		"invoice":  func(f *Figures) { f.Customers[0].InvoiceTotal = "0" },
		"balance":  func(f *Figures) { f.Customers[0].WalletBalance = "20" },
		"merchant": func(f *Figures) { f.MerchantWallet = "0.0003526" },
		"count":    func(f *Figures) { f.UsageAccepted = 3 },
	} {
		wrong := right
		wrong.Customers = []Customer{right.Customers[0]}
		spoil(&wrong)
		if wrong.compare(want); len(wrong.Mismatches) != 1 {
			t.Errorf("%s: %d mismatches found, want 1: %q", name, len(wrong.Mismatches), wrong.Mismatches)
		}
	}
}
