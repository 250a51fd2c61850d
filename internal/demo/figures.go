package demo

import (
	"fmt"
	"math/big"

	"tallystick/events"
)

// Figures is what the demonstration comes to. Amounts are decimal strings in dollars, exact to the nanodollar.
type Figures struct {
	UsageAccepted  int           `json:"usageAccepted"`
	Duplicates     int           `json:"duplicates"`
	Customers      []Customer    `json:"customers"`
	MerchantWallet string        `json:"merchantWallet"`
	Ledger         LedgerFigures `json:"ledger"`
	Verify         string        `json:"verify"`  // "ok", or what is wrong
	Rebuild        string        `json:"rebuild"` // "identical", or the first difference
	UsagePerSecond float64       `json:"usagePerSecond"`
	Seconds        float64       `json:"seconds"`

	Mismatches []string `json:"mismatches,omitempty"` // what differs from the demonstration's own arithmetic
}

// LedgerFigures is the tree that all records make.
type LedgerFigures struct {
	Size events.Seq  `json:"size"`
	Root events.Hash `json:"root"`
}

// Customer is one customer's part.
type Customer struct {
	CustomerID    string `json:"customerId"`
	Name          string `json:"name"`
	InputTokens   int64  `json:"inputTokens"`
	OutputTokens  int64  `json:"outputTokens"`
	UsageTotal    string `json:"usageTotal"`
	InvoiceTotal  string `json:"invoiceTotal"`
	WalletBalance string `json:"walletBalance"`
}

// OK reports whether everything is as it must be.
func (f *Figures) OK() bool {
	return f.Verify == "ok" && f.Rebuild == "identical" && len(f.Mismatches) == 0
}

// The prices of the LLM API, in nanodollars a token: $0.0000025 and $0.00001.
const (
	inputPrice  = 2_500
	outputPrice = 10_000
)

// expectation is what one customer must come to, by arithmetic that shares nothing with the ledger's rules.
type expectation struct {
	rows          int
	input, output int64
	topUp         int64 // dollars
}

func (e *expectation) cost() *big.Int {
	in := new(big.Int).Mul(big.NewInt(e.input), big.NewInt(inputPrice))
	out := new(big.Int).Mul(big.NewInt(e.output), big.NewInt(outputPrice))
	return in.Add(in, out)
}

// expect deals the rows to n customers and works out what each must come to.
func expect(rows []Row, n int) []expectation {
	all := make([]expectation, n)
	for i, r := range rows {
		e := &all[i%n]
		if r.Input > 0 || r.Output > 0 {
			e.rows++
		}
		e.input += r.Input
		e.output += r.Output
	}
	for i := range all { // enough, and a little more
		dollars := new(big.Int).Div(all[i].cost(), big.NewInt(events.NanosPerUnit)).Int64()
		all[i].topUp = dollars/10*10 + 20
	}
	return all
}

// compare notes where the ledger's figures differ from what is expected.
func (f *Figures) compare(want []expectation) {
	mismatch := func(format string, args ...any) {
		f.Mismatches = append(f.Mismatches, fmt.Sprintf(format, args...))
	}
	earned, rows := new(big.Int), 0
	for i := range want {
		w, got := &want[i], &f.Customers[i]
		cost := w.cost()
		earned.Add(earned, cost)
		rows += w.rows
		left := new(big.Int).Mul(big.NewInt(w.topUp), big.NewInt(events.NanosPerUnit))
		left.Sub(left, cost)
		if got.InputTokens != w.input || got.OutputTokens != w.output {
			mismatch("%s: %d and %d tokens, want %d and %d", got.Name, got.InputTokens, got.OutputTokens, w.input, w.output)
		}
		for what, pair := range map[string][2]string{
			"usage total":    {got.UsageTotal, dollars(cost)},
			"invoice total":  {got.InvoiceTotal, dollars(cost)},
			"wallet balance": {got.WalletBalance, dollars(left)},
		} {
			if pair[0] != pair[1] {
				mismatch("%s: %s is %s, want %s", got.Name, what, pair[0], pair[1])
			}
		}
	}
	if f.MerchantWallet != dollars(earned) {
		mismatch("the merchant's wallet holds %s, want %s", f.MerchantWallet, dollars(earned))
	}
	if f.UsageAccepted != rows {
		mismatch("%d usage events accepted, want %d", f.UsageAccepted, rows)
	}
}

// dollars returns nanodollars as a decimal string.
func dollars(nanos *big.Int) string {
	s, ok := events.SumOfBig(nanos)
	if !ok {
		return nanos.String() + " nanos"
	}
	return s.String()
}
