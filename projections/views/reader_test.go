package views_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
	"tallystick/projections"
	"tallystick/projections/projtest"
	"tallystick/projections/views"
)

// TestReading reads rows in the ways that queries do, and compares them with the records.
func TestReading(t *testing.T) {
	recs := projtest.Records(projtest.Shape{Seed: 30, Merchants: 2, Customers: 5, Usages: 6000, Periods: 2})
	l := projtest.NewLog(recs...)
	v := open(t, vfs.NewMem(), l, views.Options{})
	r, err := v.Reader(t.Context(), l.Durable())
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, r)
	customers := make(map[events.OrganizationID][]events.CustomerID)
	journals := make(map[events.WalletID][]events.Seq)
	for i := range recs {
		if e, ok := recs[i].Event.(events.CustomerCreated); ok {
			customers[recs[i].Merchant] = append(customers[recs[i].Merchant], e.Customer)
		}
		if m := recs[i].Event.Money(); len(m.Postings) > 0 && !m.Wallet.IsZero() {
			journals[m.Wallet] = append(journals[m.Wallet], recs[i].Seq)
		}
		if e, ok := recs[i].Event.(events.WalletEmptied); ok {
			journals[e.Parent] = append(journals[e.Parent], recs[i].Seq)
		}
	}
	for merchant, want := range customers {
		slices.SortFunc(want, func(a, b events.CustomerID) int { return bytes.Compare(a[:], b[:]) })
		for from := range want {
			var got []events.CustomerID
			err := r.Children(t.Context(), projections.LinkCustomers, merchant, want[from], func(child [16]byte, seq events.Seq) error {
				got = append(got, child)
				row, err := views.Get(r, r.Tables().Customers, events.CustomerID(child))
				if err != nil || row.Merchant != merchant || row.Created != seq {
					t.Errorf("customer %v: %+v, %v", events.CustomerID(child), row, err)
				}
				return err
			})
			if err != nil || !slices.Equal(got, want[from:]) {
				t.Errorf("customers of %v from the %dth: %v, %v, want %v", merchant, from, got, err, want[from:])
			}
		}
	}
	for wallet, want := range journals {
		for _, from := range []events.Seq{0, want[len(want)/2], want[len(want)-1], want[len(want)-1] + 1} {
			var got []events.Seq
			collect := func(seq events.Seq) error { got = append(got, seq); return nil }
			err := r.Journal(t.Context(), projections.JournalKey{What: projections.JournalOfWallet, ID: wallet}, from, collect)
			i, _ := slices.BinarySearch(want, from)
			if err != nil || !slices.Equal(got, want[i:]) {
				t.Errorf("journal of %v from %d: %d records, %v, want %d", wallet, from, len(got), err, len(want)-i)
			}
		}
	}
	readingEnds(t, r)
}

// readingEnds ends loops early, by ErrStop, by another error, and by a context.
func readingEnds(t *testing.T, r *views.Reader) {
	t.Helper()
	if row, err := views.Get(r, r.Tables().Wallets, events.WalletID{1}); row != nil || err != nil {
		t.Errorf("a wallet that there is not: %v, %v", row, err)
	}
	n := 0
	each := func(end error) error {
		n = 0
		return views.Each(t.Context(), r, r.Tables().Links, nil, nil, func(projections.LinkKey, *events.Seq) error {
			if n++; n == 3 {
				return end
			}
			return nil
		})
	}
	if err := each(views.ErrStop); err != nil || n != 3 {
		t.Errorf("a loop that was to stop at the third row: %d rows, %v", n, err)
	}
	if err := each(errors.ErrUnsupported); !errors.Is(err, errors.ErrUnsupported) || n != 3 {
		t.Errorf("a loop that failed at the third row: %d rows, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Rows(ctx, nil, nil, func(_, _ []byte) error { return nil }); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("a loop that was cancelled: %v", err)
	}
}
