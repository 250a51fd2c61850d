package query_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"tallystick/events"
	"tallystick/projections/projtest"
)

// TestAnswers keeps the JSON of every query in testdata/answers, so that a change of it shows up in review. One
// command: query name=Q, with the arguments in JSON below; $wallet, $customer and so on stand for the identities of
// the first of each.
func TestAnswers(t *testing.T) {
	mem := newMemory(projtest.Shape{Seed: 1, Merchants: 1, Customers: 1, Usages: 3, Lines: 2, Periods: 2, FeeBasisPoints: 100, Arrears: true})
	s := mem.service()
	var names []string
	name := func(what, id string) { names = append(names, "$"+what, id) }
	for i := range mem.records {
		switch e := any(mem.records[i].Event).(type) {
		case events.MerchantCreated:
			name("merchant", mem.records[i].Merchant.String())
		case events.CustomerCreated:
			name("customer", e.Customer.String())
		case events.WalletOpened:
			if !e.Earning {
				name("wallet", e.Wallet.String())
			}
		case events.SubscriptionCreated:
			name("subscription", e.Subscription.String())
		case *events.UsageReported:
			name("usage", events.Derive[events.UsageNoun](mem.records[i].Command, 0).String())
		case events.InvoiceIssued:
			name("invoice", e.Invoice.String())
		default: // the others are of no interest here
		}
	}
	replace := strings.NewReplacer(names...)
	datadriven.RunTest(t, "testdata/answers", func(t *testing.T, d *datadriven.TestData) string {
		var q string
		d.ScanArgs(t, "name", &q)
		b, err := s.Query(t.Context(), operator, q, []byte(replace.Replace(d.Input)))
		if err != nil {
			return err.Error() + "\n"
		}
		var out bytes.Buffer
		if err := json.Indent(&out, b, "", "  "); err != nil {
			d.Fatalf(t, "%v", err)
		}
		return out.String() + "\n"
	})
}
