//go:build trace

package demo

import (
	"bufio"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestTrace runs the demonstration on the file that TALLY_TRACE names, and checks every total against a computation that
// shares no code with it, down to the reading of the file. `make trace` runs it.
func TestTrace(t *testing.T) {
	path := os.Getenv("TALLY_TRACE")
	rows, err := ReadTraceFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const customers = 10
	f, err := Run(t.Context(), Options{Dir: t.TempDir(), Rows: rows, Customers: customers, Clock: time.Now, Tell: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if !f.OK() {
		t.Fatalf("the demonstration does not add up: verify %q, rebuild %q, mismatches %q", f.Verify, f.Rebuild, f.Mismatches)
	}
	used, earned, n := independent(t, path, customers)
	for i, c := range f.Customers {
		if got := nanos(t, c.UsageTotal); got.Cmp(used[i]) != 0 {
			t.Errorf("%s used %s nanodollars, want %s", c.Name, got, used[i])
		}
		if got := nanos(t, c.InvoiceTotal); got.Cmp(used[i]) != 0 {
			t.Errorf("%s was invoiced %s nanodollars, want %s", c.Name, got, used[i])
		}
	}
	if got := nanos(t, f.MerchantWallet); got.Cmp(earned) != 0 {
		t.Errorf("the merchant has earned %s nanodollars, want %s", got, earned)
	}
	if f.UsageAccepted != n {
		t.Errorf("%d usage events accepted, want %d", f.UsageAccepted, n)
	}
}

// independent adds up the trace: what each customer used and the sum, in nanodollars, and how many rows used anything.
func independent(t *testing.T, path string, customers int) (used []*big.Int, earned *big.Int, n int) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	used, earned = make([]*big.Int, customers), new(big.Int)
	for i := range used {
		used[i] = new(big.Int)
	}
	lines := bufio.NewScanner(file)
	lines.Scan() // the header
	for row := 0; lines.Scan(); row++ {
		parts := strings.Split(strings.TrimSpace(lines.Text()), ",")
		in, _ := strconv.ParseInt(parts[1], 10, 64)
		out, _ := strconv.ParseInt(parts[2], 10, 64)
		cost := big.NewInt(in*2500 + out*10000)
		used[row%customers].Add(used[row%customers], cost)
		earned.Add(earned, cost)
		if in+out > 0 {
			n++
		}
	}
	return used, earned, n
}

// nanos reads a decimal amount of dollars.
func nanos(t *testing.T, s string) *big.Int {
	t.Helper()
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("%q is no number", s)
	}
	r.Mul(r, big.NewRat(1_000_000_000, 1))
	if !r.IsInt() {
		t.Fatalf("%q has more than nine decimals", s)
	}
	return r.Num()
}
