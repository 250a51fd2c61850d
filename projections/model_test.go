package projections_test

import (
	"math/big"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"tallystick/events"
	"tallystick/projections"
	"tallystick/projections/projtest"
)

// model is what books should say, computed in another way: from all records at once, in big.Int.
type model struct {
	accounts map[events.Account]*big.Int
	totals   map[projections.Pair[events.CustomerID, events.MetricID]]*modelTotal
	lines    map[modelLine]*modelSum
	journals map[projections.JournalKey][]events.Seq
	last     map[events.Account]events.Seq
	done     map[projections.PeriodKey]bool
}

type modelTotal struct {
	count           uint64
	quantity, nanos *big.Int
}

type modelLine struct {
	period projections.PeriodKey
	price  events.PriceID
}

type modelSum struct {
	nanos       *big.Int
	first, last events.Seq
	leaves      []tlog.Hash
}

func newModel(recs []events.Record) *model {
	m := &model{
		accounts: make(map[events.Account]*big.Int), totals: make(map[projections.Pair[events.CustomerID, events.MetricID]]*modelTotal),
		lines: make(map[modelLine]*modelSum), journals: make(map[projections.JournalKey][]events.Seq),
		last: make(map[events.Account]events.Seq), done: make(map[projections.PeriodKey]bool),
	}
	for i := range recs {
		rec := &recs[i]
		money := rec.Event.Money()
		for _, p := range money.Postings {
			a := money.AccountOf(p, rec.Merchant)
			if m.accounts[a] == nil {
				m.accounts[a] = new(big.Int)
			}
			m.accounts[a].Add(m.accounts[a], big.NewInt(int64(p.Nanos)))
			m.last[a] = rec.Seq
		}
		m.journal(rec)
		switch rec.Event.Kind() {
		case events.KindUsageReported:
			m.usage(rec, rec.Event.(*events.UsageReported))
		case events.KindInvoiceIssued:
			e := rec.Event.(events.InvoiceIssued)
			m.done[projections.PeriodKey{Subscription: e.Subscription, Period: e.Period}] = true
		case events.KindInvoiceCancelled:
			e := rec.Event.(events.InvoiceCancelled)
			m.done[projections.PeriodKey{Subscription: e.Subscription, Period: e.Period}] = true
		}
	}
	return m
}

func (m *model) journal(rec *events.Record) {
	note := func(what projections.JournalOf, id [16]byte) {
		k := projections.JournalKey{What: what, ID: id}
		m.journals[k] = append(m.journals[k], rec.Seq)
	}
	clock := func(c events.TestClockID) {
		var id [16]byte
		copy(id[:], c[:])
		note(projections.JournalOfClock, id)
	}
	switch rec.Event.Kind() {
	case events.KindUsageReported:
		e := rec.Event.(*events.UsageReported)
		note(projections.JournalOfWallet, e.Wallet)
		note(projections.JournalOfSubscription, e.Subscription)
	case events.KindWalletToppedUp:
		note(projections.JournalOfWallet, rec.Event.(events.WalletToppedUp).Wallet)
	case events.KindWalletEmptied:
		note(projections.JournalOfWallet, rec.Event.(events.WalletEmptied).Wallet)
		note(projections.JournalOfWallet, rec.Event.(events.WalletEmptied).Parent)
	case events.KindReservationCreated, events.KindReservationReleased:
		if len(rec.Event.Money().Postings) > 0 {
			note(projections.JournalOfWallet, rec.Event.Money().Wallet)
		}
	case events.KindInvoicePaid:
		if e := rec.Event.(events.InvoicePaid); len(e.Postings) > 0 {
			note(projections.JournalOfWallet, e.Wallet)
		}
	case events.KindClockCreated:
		clock(rec.Event.(events.ClockCreated).Clock)
	case events.KindClockAdvancing:
		clock(rec.Event.(events.ClockAdvancing).Clock)
	case events.KindClockAdvanced:
		clock(rec.Event.(events.ClockAdvanced).Clock)
	case events.KindClockDeleted:
		clock(rec.Event.(events.ClockDeleted).Clock)
	default:
		if m := rec.Event.Money(); len(m.Postings) > 0 && !m.Wallet.IsZero() {
			note(projections.JournalOfWallet, m.Wallet)
		}
	}
}

func (m *model) usage(rec *events.Record, e *events.UsageReported) {
	for _, l := range e.Lines {
		k := projections.Pair[events.CustomerID, events.MetricID]{A: e.Customer, B: l.Metric}
		if m.totals[k] == nil {
			m.totals[k] = &modelTotal{quantity: new(big.Int), nanos: new(big.Int)}
		}
		t := m.totals[k]
		t.count++
		t.quantity.Add(t.quantity, big.NewInt(l.Quantity))
		t.nanos.Add(t.nanos, big.NewInt(int64(l.Nanos)))

		line := modelLine{projections.PeriodKey{Subscription: e.Subscription, Period: e.Period}, l.Price}
		if m.lines[line] == nil {
			m.lines[line] = &modelSum{nanos: new(big.Int), first: rec.Seq}
		}
		s := m.lines[line]
		s.nanos.Add(s.nanos, big.NewInt(int64(l.Nanos)))
		s.last = rec.Seq
		s.leaves = append(s.leaves, tlog.Hash(rec.Hash))
	}
}

// TestModel compares books with the model, for histories of several shapes, applied one by one and all at
// once, in one piece and through a stored copy.
func TestModel(t *testing.T) {
	for _, s := range []projtest.Shape{
		{Seed: 1},
		{Seed: 2, Periods: 3, Usages: 3000},
		{Seed: 3, Merchants: 3, Customers: 40, Usages: 4000, Periods: 4, Lines: 3, Arrears: true, FeeBasisPoints: 137},
		{Seed: 4, Merchants: 1, Customers: 1, Usages: 3000, Lines: 1},
		{Seed: 5, Merchants: 5, Customers: 30, Usages: 3000, Lines: 5, Sparse: true, Arrears: true, Periods: 2},
	} {
		recs := projtest.Records(s)
		want := newModel(recs)
		for name, books := range map[string]*projections.Books{
			"one by one": oneByOne(t, recs), "in runs": inRuns(t, recs), "stored": stored(t, recs),
		} {
			t.Run(name, func(t *testing.T) { want.compare(t, books) })
		}
	}
}

func oneByOne(t *testing.T, recs []events.Record) *projections.Books {
	t.Helper()
	b := projections.NewBooks(projections.ForViews)
	for i := range recs {
		if err := b.Apply(&recs[i]); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func inRuns(t *testing.T, recs []events.Record) *projections.Books {
	t.Helper()
	b := projections.NewBooks(projections.ForViews)
	for n := 1; len(recs) > 0; n = n*3 + 1 {
		n = min(n, len(recs))
		if err := b.ApplyAll(recs[:n]); err != nil {
			t.Fatal(err)
		}
		recs = recs[n:]
	}
	return b
}

// store is a stored copy of books in memory.
type store map[string][]byte

func (s store) Load(table byte, key []byte) ([]byte, bool, error) {
	v, ok := s[string(append([]byte{table}, key...))]
	return v, ok, nil
}

func (s store) flush(t *testing.T, b *projections.Books) {
	t.Helper()
	err := b.Flush(
		func(k, v []byte) error { s[string(k)] = slices.Clone(v); return nil },
		func(k []byte) error { delete(s, string(k)); return nil },
	)
	if err != nil {
		t.Fatal(err)
	}
}

// stored applies records with hardly any rows in memory, and returns books that have none.
func stored(t *testing.T, recs []events.Record) *projections.Books {
	t.Helper()
	s := make(store)
	b := projections.NewBooks(projections.ForViews)
	b.Attach(s, events.LedgerID{}, 0)
	for chunk := range slices.Chunk(recs, 71) {
		if err := b.ApplyAll(chunk); err != nil {
			t.Fatal(err)
		}
		s.flush(t, b)
		b.Shrink(20)
	}
	b = projections.NewBooks(projections.ForViews)
	b.Attach(s, recs[0].Ledger, recs[len(recs)-1].Seq)
	for k, v := range s {
		if err := b.Adopt([]byte(k), v); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (m *model) compare(t *testing.T, b *projections.Books) {
	t.Helper()
	m.compareMoney(t, b)
	m.compareLines(t, b)
	for k, seqs := range m.journals {
		if got := journalOf(t, b, k); !slices.Equal(got, seqs) {
			t.Errorf("journal %v has %d records, want %d", k, len(got), len(seqs))
		}
	}
}

func (m *model) compareMoney(t *testing.T, b *projections.Books) {
	t.Helper()
	sum := new(big.Int)
	for a, want := range m.accounts {
		sum.Add(sum, want)
		if got := b.BalanceOf(a); got.Big().Cmp(want) != 0 || b.Accounts.Get(a).Last != m.last[a] {
			t.Errorf("account %v is %v, want %v", a, got.Digits(), want)
		}
	}
	if sum.Sign() != 0 {
		t.Errorf("the history moves money out of nothing: %v", sum)
	}
	b.Accounts.Each(func(a events.Account, _ *projections.Balance) bool {
		if m.accounts[a] == nil {
			t.Errorf("account %v, where nothing was posted", a)
		}
		return true
	})
	for k, want := range m.totals {
		got := b.Totals.Get(k)
		if got == nil || got.Count != want.count || got.Quantity.Big().Cmp(want.quantity) != 0 || got.Nanos.Big().Cmp(want.nanos) != 0 {
			t.Errorf("total %v is %+v, want %+v", k, got, want)
		}
	}
}

func (m *model) compareLines(t *testing.T, b *projections.Books) {
	t.Helper()
	for k, want := range m.lines {
		got := b.Accruals.Get(k.period).Line(k.price, 1, 0)
		if m.done[k.period] {
			if got != nil {
				t.Errorf("period %v is invoiced, and still has line %v", k.period, k.price)
			}
			continue
		}
		if got == nil || got.Nanos.Big().Cmp(want.nanos) != 0 || got.First != want.first || got.Last != want.last || got.Events.Size != uint64(len(want.leaves)) {
			t.Errorf("line %v is %+v, want %v of %d records from %d to %d", k, got, want.nanos, len(want.leaves), want.first, want.last)
			continue
		}
		if root := treeHash(t, want.leaves); got.Events.Root() != root {
			t.Errorf("line %v has root %v, want %v", k, got.Events.Root(), root)
		}
	}
}

// treeHash returns the tree hash of leaves as package tlog computes it.
func treeHash(t *testing.T, leaves []tlog.Hash) events.Hash {
	t.Helper()
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var hs []tlog.Hash
		for _, i := range indexes {
			hs = append(hs, stored[i])
		}
		return hs, nil
	})
	for i, leaf := range leaves {
		hs, err := tlog.StoredHashesForRecordHash(int64(i), leaf, read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hs...)
	}
	root, err := tlog.TreeHash(int64(len(leaves)), read)
	if err != nil {
		t.Fatal(err)
	}
	return events.Hash(root)
}

func journalOf(t *testing.T, b *projections.Books, k projections.JournalKey) (seqs []events.Seq) {
	t.Helper()
	j := b.Journals.Get(k)
	if j == nil {
		return nil
	}
	add := func(start events.Seq, body []byte) {
		more, err := projections.Sequences(start, body)
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, more...)
	}
	for page := range j.Pages {
		p := b.Pages.Get(projections.PageKey{Journal: k, Page: page})
		add(p.Start, p.Body)
		if p.Last != seqs[len(seqs)-1] {
			t.Errorf("page %d of %v says it ends at %d, and ends at %d", page, k, p.Last, seqs[len(seqs)-1])
		}
	}
	add(j.Start, j.Tail)
	if j.Count != uint64(len(seqs)) || j.Last != seqs[len(seqs)-1] {
		t.Errorf("journal %v says %d records up to %d, and has %d up to %d", k, j.Count, j.Last, len(seqs), seqs[len(seqs)-1])
	}
	return seqs
}
