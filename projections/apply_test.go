package projections_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tallystick/events"
	"tallystick/projections"
	"tallystick/projections/projtest"
)

// TestGap leaves a record out: those before it are applied, those after it are not.
func TestGap(t *testing.T) {
	recs := projtest.Records(projtest.Shape{Seed: 1, Usages: 1000})
	for _, gap := range []int{0, 1, 100, len(recs) - 2} {
		b := projections.NewBooks(projections.ForViews)
		with := slices.Delete(slices.Clone(recs), gap, gap+1)
		if err := b.ApplyAll(with); err == nil || b.Applied() != events.Seq(gap) {
			t.Errorf("without record %d: applied up to %d, %v", gap+1, b.Applied(), err)
		}
		if err := b.ApplyAll(recs); err != nil || b.Applied() != events.Seq(len(recs)) {
			t.Errorf("after the gap of record %d is filled: applied up to %d, %v", gap+1, b.Applied(), err)
		}
	}
}

// broken is a source that fails to load rows of one table.
type broken struct {
	store
	table byte
}

var errBroken = errors.New("broken")

func (s broken) Load(table byte, key []byte) ([]byte, bool, error) {
	if table == s.table {
		return nil, false, errBroken
	}
	return s.store.Load(table, key)
}

// TestPanics makes folds panic, in short runs and in such as two goroutines share: whoever applies records gets the
// panic, and the goroutines have ended.
func TestPanics(t *testing.T) {
	recs := projtest.Records(projtest.Shape{Seed: 2, Customers: 5, Usages: 2000, Plain: true})
	usage := len(recs) - 1500
	s := make(store)
	b := projections.NewBooks(projections.ForViews)
	if err := b.ApplyAll(recs[:usage]); err != nil {
		t.Fatal(err)
	}
	s.flush(t, b)
	for _, table := range b.Tables() {
		for _, n := range []int{10, 1500} {
			books := projections.NewBooks(projections.ForViews)
			books.Attach(broken{s, table.ID}, recs[0].Ledger, events.Seq(usage))
			p := panicOf(func() { _ = books.ApplyAll(recs[usage : usage+n]) })
			reads := slices.Contains([]string{"wallets.accounts", "invoices.open", "usage.totals", "usage.journals"}, table.Name)
			err, _ := p.(*projections.SourceError)
			if (err != nil) != reads || err != nil && (!errors.Is(err, errBroken) || !strings.Contains(err.Error(), table.Name)) {
				t.Errorf("%d records and %s broken: %v", n, table.Name, p)
			}
		}
	}
	impossible := slices.Clone(recs[usage:])
	last := &impossible[len(impossible)-1]
	e := *last.Event.(*events.UsageReported)
	e.Period = 7
	last.Event = &e
	if p := panicOf(func() { _ = b.ApplyAll(impossible) }); !strings.Contains(fmt.Sprint(p), fmt.Sprintf("record %d ", last.Seq)) {
		t.Errorf("usage in a period that is not open: %v", p)
	}
}

func panicOf(fn func()) (p any) {
	defer func() { p = recover() }()
	fn()
	return nil
}

// TestShrink forgets rows that were not used, keeps those that were, and never one that is not stored.
func TestShrink(t *testing.T) {
	recs := projtest.Records(projtest.Shape{Seed: 3, Customers: 100, Usages: 300, Plain: true})
	s := make(store)
	b := projections.NewBooks(projections.ForViews)
	b.Attach(s, events.LedgerID{}, 0)
	if err := b.ApplyAll(recs); err != nil {
		t.Fatal(err)
	}
	size := func() (n int) {
		b.Wallets.Each(func(events.WalletID, *projections.Wallet) bool { n++; return true })
		return n
	}
	all := size()
	b.Shrink(0)
	if size() != all {
		t.Fatal("rows were forgotten that are not stored")
	}
	s.flush(t, b)
	if b.Changes() != 0 {
		t.Errorf("%d changes after a flush", b.Changes())
	}
	b.Shrink(1 << 20)
	if size() != all {
		t.Error("rows were forgotten although there is room")
	}
	b.Shrink(0) // all of them were used
	var some events.WalletID
	b.Wallets.Each(func(id events.WalletID, _ *projections.Wallet) bool { some = id; return false })
	want := *b.Wallets.Get(some)
	b.Shrink(0)
	if size() != 1 {
		t.Errorf("%d wallets are in memory, want the one that was used", size())
	}
	b.Shrink(0)
	b.Shrink(0)
	if got := b.Wallets.Get(some); got == nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("a forgotten wallet is read as %v, want %v", got, want)
	}
}
