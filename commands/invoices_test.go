package commands

import (
	"cmp"
	"math/big"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"tallystick/events"
)

// checkInvoices makes every closed line and issued invoice of a log again from the usage in it, by other means
// than the rules: with big numbers, and with the tree hash of package tlog.
func (w *world) checkInvoices(records []events.Record) {
	w.t.Helper()
	type place struct {
		sub    events.SubscriptionID
		period uint32
	}
	type key struct {
		place
		price events.PriceID
		rate  events.TaxRate
	}
	usage := make(map[key][]events.Record)
	lines := make(map[events.InvoiceID][]events.InvoiceLineClosed)
	places := make(map[events.InvoiceID]place)
	numbers := make(map[events.OrganizationID]uint64)
	counts := make(map[events.MetricID]bool)
	nothingLeft := func(rec *events.Record, p place) {
		for k := range usage {
			if k.place == p {
				w.t.Errorf("record %d: %s without the usage of price %s", rec.Seq, rec.Event.Kind(), k.price)
			}
		}
	}
	for i := range records {
		rec := &records[i]
		if e, ok := rec.Event.(events.MetricCreated); ok {
			counts[e.Metric] = e.Aggregation == events.AggregateCount
		}
		if e, ok := rec.Event.(events.InvoiceOpened); ok {
			places[e.Invoice] = place{e.Subscription, e.Period}
		}
		if e, ok := rec.Event.(*events.UsageReported); ok {
			for _, l := range e.Lines {
				k := key{place{e.Subscription, e.Period}, l.Price, l.TaxRate}
				usage[k] = append(usage[k], *rec)
			}
		}
		if e, ok := rec.Event.(events.InvoiceLineClosed); ok {
			lines[e.Invoice] = append(lines[e.Invoice], e)
			if e.Of == "" {
				k := key{places[e.Invoice], e.Price, e.TaxRate}
				w.checkLine(e, usage[k], counts[e.Metric])
				delete(usage, k)
			}
		}
		if e, ok := rec.Event.(events.InvoiceIssued); ok {
			if numbers[rec.Merchant]++; e.Number != numbers[rec.Merchant] {
				w.t.Errorf("record %d: invoice number %d, want %d", rec.Seq, e.Number, numbers[rec.Merchant])
			}
			w.checkIssued(e, lines[e.Invoice])
			nothingLeft(rec, place{e.Subscription, e.Period})
		}
		if e, ok := rec.Event.(events.InvoiceCancelled); ok {
			nothingLeft(rec, place{e.Subscription, e.Period})
		}
	}
}

// checkLine checks a closed line against the usage events that it must have, and no others.
func (w *world) checkLine(l events.InvoiceLineClosed, usage []events.Record, count bool) {
	w.t.Helper()
	units, nanos := new(big.Int), new(big.Int)
	for i := range usage {
		e := usage[i].Event.(*events.UsageReported)
		u := e.Lines[slices.IndexFunc(e.Lines, func(u events.UsageLine) bool { return u.Price == l.Price })]
		if count {
			u.Quantity = 1
		}
		units.Add(units, big.NewInt(u.Quantity))
		nanos.Add(nanos, big.NewInt(int64(u.Nanos)))
	}
	if l.Count != uint64(len(usage)) || len(usage) == 0 {
		w.t.Errorf("line %s has %d usage events, want %d", l.Line, l.Count, len(usage))
		return
	}
	adds := l.Aggregation == "" // the others are worked out again in TestPreview
	if adds && (l.Quantity.Big().Cmp(units) != 0 || l.Nanos.Big().Cmp(nanos) != 0) {
		w.t.Errorf("line %s has %s units for %s, want %s for %s", l.Line, l.Quantity.Big(), l.Nanos.Big(), units, nanos)
	}
	want := new(big.Int).Mul(units, big.NewInt(int64(l.UnitPrice)))
	if inclusive := l.Nanos.Plus(l.Tax); adds && l.Model == "" && inclusive.Big().Cmp(want) != 0 && l.Nanos.Big().Cmp(want) != 0 {
		w.t.Errorf("line %s costs %s, want %s for %s units at %d", l.Line, l.Nanos.Big(), want, units, l.UnitPrice)
	}
	if l.First != usage[0].Seq || l.Last != usage[len(usage)-1].Seq {
		w.t.Errorf("line %s spans %d to %d, want %d to %d", l.Line, l.First, l.Last, usage[0].Seq, usage[len(usage)-1].Seq)
	}
	if want := treeHash(usage); l.Root != want {
		w.t.Errorf("line %s has root %s, want %s", l.Line, l.Root, want)
	}
}

// treeHash returns the RFC 6962 tree hash of records, as package tlog computes it.
func treeHash(records []events.Record) events.Hash {
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) (hashes []tlog.Hash, _ error) {
		for _, i := range indexes {
			hashes = append(hashes, stored[i])
		}
		return hashes, nil
	})
	for i := range records {
		hashes, err := tlog.StoredHashes(int64(i), records[i].Bytes, read)
		if err != nil {
			panic(err)
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(int64(len(records)), read)
	if err != nil {
		panic(err)
	}
	return events.Hash(root)
}

func (w *world) checkIssued(e events.InvoiceIssued, lines []events.InvoiceLineClosed) {
	w.t.Helper()
	subtotal, total, paid := new(big.Int), new(big.Int), new(big.Int)
	for _, l := range lines {
		subtotal.Add(subtotal, l.Nanos.Big())
		total.Add(total, l.Nanos.Plus(l.Tax).Big())
		if l.Term == events.Instant || l.Term == events.InAdvance {
			paid.Add(paid, l.Nanos.Plus(l.Tax).Big())
		}
	}
	unpaid := new(big.Int).Sub(total, paid)
	if int(e.Lines) != len(lines) || cmp.Or(e.Subtotal.Big().Cmp(subtotal), e.Paid.Big().Cmp(paid), e.Unpaid.Big().Cmp(unpaid)) != 0 {
		w.t.Errorf("invoice %d has %d lines, %s = %s + %s; want %d, %s = %s + %s", e.Number,
			e.Lines, e.Subtotal.Big(), e.Paid.Big(), e.Unpaid.Big(), len(lines), subtotal, paid, unpaid)
	}
}
