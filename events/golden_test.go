package events

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// golden is one record as it was once written: its bytes, and how people see it.
type golden struct {
	title string
	bytes []byte
	view  string
}

// TestGolden holds the form of every record that was ever written. In testdata/golden
// each kind has a file with records of every form that the kind ever had; the first are a
// full and a minimal example. What is there must be read for ever, and written as
// it was. -rewrite adds examples of a form that is not there yet, and renews the
// views, but never takes a record away.
func TestGolden(t *testing.T) {
	files := make(map[string]bool)
	for _, zero := range zeros() {
		t.Run(string(zero.Kind()), func(t *testing.T) {
			path := filepath.Join("testdata", "golden", string(zero.Kind())+".txt")
			files[filepath.Base(path)] = true
			all := readGolden(t, path)
			for _, full := range []bool{true, false} {
				rec, err := exampleRecord(zero, full)
				if err != nil {
					t.Fatal(err)
				}
				if there(all, rec.Bytes) {
					continue
				}
				if !*rewrite {
					t.Errorf("the form of the example (full: %v) is not there; run with -rewrite to add it, "+
						"but not if it differs from what a released version writes:\n%x", full, rec.Bytes)
					continue
				}
				title := map[bool]string{true: "full", false: "minimal"}[full]
				all = append(all, golden{title: title, bytes: rec.Bytes})
			}
			for i := range all {
				all[i].check(t, zero.Kind())
			}
			if *rewrite {
				writeGolden(t, path, all)
			}
		})
	}
	entries, err := os.ReadDir(filepath.Join("testdata", "golden"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !files[e.Name()] {
			t.Errorf("%s: there is no such kind any more, but its records are in logs", e.Name())
		}
	}
}

func there(all []golden, b []byte) bool {
	for _, g := range all {
		if bytes.Equal(g.bytes, b) {
			return true
		}
	}
	return false
}

// check reads the record, writes it again, and compares.
func (g *golden) check(t *testing.T, kind Kind) {
	t.Helper()
	rec, err := DecodeRecord(g.bytes)
	if err != nil {
		t.Errorf("%s: %v", g.title, err)
		return
	}
	if rec.Event.Kind() != kind {
		t.Errorf("%s: it is a record of %s", g.title, rec.Event.Kind())
	}
	again, err := NewRecord(rec.Envelope, rec.Event)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Bytes, g.bytes) {
		t.Errorf("%s: written again as\n%x\nwant\n%x", g.title, again.Bytes, g.bytes)
	}
	if diff := cmp.Diff(rec, again, exactly...); diff != "" {
		t.Errorf("%s: (-read +written):\n%s", g.title, diff)
	}
	view, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		g.view = string(view)
	}
	if diff := cmp.Diff(g.view, string(view)); diff != "" {
		t.Errorf("%s: people see another record; if intended, run with -rewrite (-want +got):\n%s", g.title, diff)
	}
}

// exactly lets cmp look into sums, and take an empty list for none.
var exactly = []cmp.Option{cmp.AllowUnexported(Sum{}), cmpopts.EquateEmpty()}

// A golden file is sections of a title after "# ", lines of hexadecimal digits, and a JSON view.
func readGolden(t *testing.T, path string) []golden {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		if os.IsNotExist(err) && *rewrite {
			return nil
		}
		t.Fatalf("%v (run with -rewrite to make it)", err)
	}
	var all []golden
	for section := range strings.SplitSeq("\n"+string(b), "\n# ") {
		title, rest, _ := strings.Cut(section, "\n")
		digits, view, found := strings.Cut(rest, "{")
		if !found {
			continue
		}
		raw, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, golden{title, raw, strings.TrimSpace("{" + view)})
	}
	return all
}

func writeGolden(t *testing.T, path string, all []golden) {
	t.Helper()
	var b strings.Builder
	for _, g := range all {
		fmt.Fprintf(&b, "# %s\n", g.title)
		for digits := hex.EncodeToString(g.bytes); digits != ""; {
			n := min(80, len(digits))
			fmt.Fprintln(&b, digits[:n])
			digits = digits[n:]
		}
		fmt.Fprintf(&b, "%s\n\n", g.view)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestKinds holds the tables of kinds together.
func TestKinds(t *testing.T) {
	kinds := Kinds()
	seen := make(map[Kind]bool)
	names := make(map[string]bool)
	scopes := make(map[byte]Kind)
	for i, zero := range zeros() {
		if i >= len(kinds) || zero.Kind() != kinds[i] || seen[zero.Kind()] {
			t.Fatalf("kind %d is %s, not as Kinds has it", i, zero.Kind())
		}
		seen[zero.Kind()] = true
		aggregate, name := zero.Subject()
		if names[name] || strings.ContainsAny(aggregate+name, ".*> ") || aggregate == "" || name == "" {
			t.Errorf("%s: subject %q %q", zero.Kind(), aggregate, name)
		}
		names[name] = true
		if structOf(zero).Name() != name {
			t.Errorf("%s: the event is called %s and its type %s", zero.Kind(), name, structOf(zero).Name())
		}
		if s := scope(zero.Kind()); s != noScope {
			other, taken := scopes[s]
			either := other == KindGrantIssued && zero.Kind() == KindGrantOrdered || other == KindUsageReported && zero.Kind() == KindEventHeld // by which one command is answered
			if taken && !either || s == 0 {
				t.Errorf("%s has the scope %d of %s", zero.Kind(), s, other)
			}
			scopes[s] = zero.Kind()
		}
	}
	if len(kinds) != len(seen) {
		t.Errorf("%d kinds, %d events", len(kinds), len(seen))
	}
}

// TestScopes holds the bytes that stand in the keys of logs.
func TestScopes(t *testing.T) {
	want := map[Kind]byte{
		KindUsageReported: 1, KindWalletToppedUp: 2, KindMerchantCreated: 3, KindMerchantUpdated: 4,
		KindProductCreated: 5, KindMetricCreated: 6, KindPriceCreated: 7, KindPlanCreated: 8,
		KindCustomerCreated: 9, KindSubscriptionCreated: 10, KindSubscriptionTerminated: 11,
		KindClockCreated: 12, KindClockAdvancing: 13, KindKeyCreated: 14, KindKeyRevoked: 15,
		KindCustomerUpdated: 100, KindCustomerDeleted: 101, KindConsumerUpdated: 102, KindClockDeleted: 103,
		KindConsumerErased: 16, KindWalletOpened: 17, KindConsumerCreated: 18,
		KindInvoiceIssued: 19, KindInvoicePaid: 20, KindInvoiceCancelled: 21,
		KindPlanUpdated:         37,
		KindPriceDeleted:        36,
		KindPriceRevised:        35,
		KindFeeDeleted:          34,
		KindFeeUpdated:          33,
		KindFeeCreated:          32,
		KindMetricUpdated:       31,
		KindProductUpdated:      30,
		KindReservationCreated:  90,
		KindSessionOpened:       60,
		KindSessionEnded:        61,
		KindChargeRequested:     62,
		KindMethodRemoved:       63,
		KindTopUpRequested:      64,
		KindPaymentCreated:      65,
		KindInvoiceRefundVoided: 43,
		KindInvoiceRefunded:     42,
		KindInvoiceWrittenOff:   41,
		KindLineItemAdded:       40,
		KindUsageCorrected:      39,
		KindUsageRefunded:       38,
		KindFeatureCreated:      91, KindFeatureUpdated: 92, KindFeatureDeleted: 93, KindEntitlementIssued: 94, KindGrantIssued: 95, KindGrantOrdered: 95, KindGrantVoided: 96,
		KindSubscriptionUpdated:    66,
		KindAuthorizationOpened:    80,
		KindAuthorizationEnded:     81,
		KindMerchantAuthorized:     82,
		KindAuthorizationWithdrawn: 83,
		KindUserCreated:            84,
		KindUserUpdated:            85,
		KindUserSignedIn:           140,
		KindUserSignedOut:          141,
		KindPasskeyAdded:           142,
		KindPasskeyRemoved:         143,
		KindPasskeyUsed:            144,
		KindPortalOpened:           86,
		KindPortalRevoked:          87,
		KindDisputeOpened:          120,
		KindDisputeResolved:        121,
		KindAlertCreated:           122,
		KindEventHeld:              1,
		KindHeldDiscarded:          160,
	}
	for _, k := range Kinds() {
		if w, ok := want[k]; ok && scope(k) != w || !ok && scope(k) != noScope {
			t.Errorf("scope(%s) = %d, want %d", k, scope(k), w)
		}
	}
	key := NewDedupeKey(OrganizationID{1, 15: 2}, KindUsageReported, "x")
	if key != "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x01x" {
		t.Errorf("NewDedupeKey = %q", key)
	}
	rec := Record{Envelope: Envelope{Merchant: OrganizationID{1, 15: 2}, Key: "x"}, Event: &UsageReported{}}
	if got, ok := rec.DedupeKey(); !ok || got != key {
		t.Errorf("DedupeKey = %q, %v", got, ok)
	}
	rec.Key = ""
	if got, ok := rec.DedupeKey(); ok {
		t.Errorf("DedupeKey without a key = %q", got)
	}
}
