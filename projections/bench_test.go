package projections_test

import (
	"testing"
	"time"

	"tallystick/events"
	"tallystick/projections"
	"tallystick/projections/projtest"
)

// BenchmarkFold decodes and applies usage events of two lines to books of 100 merchants and 10,000 wallets. One op
// is one usage event; fold-ns/op is the part of the fold in it.
func BenchmarkFold(b *testing.B) {
	recs := projtest.Records(projtest.Shape{Seed: 1, Merchants: 100, Customers: 10_000, Usages: 500_000, Plain: true})
	for _, bb := range []struct {
		name    string
		purpose projections.Purpose
	}{{"rules", projections.ForRules}, {"views", projections.ForViews}} {
		b.Run(bb.name, func(b *testing.B) {
			const chunk = 1024
			b.ReportAllocs()
			start := len(recs) / 4
			next := len(recs)
			var books *projections.Books
			decoded := make([]events.Record, chunk)
			var fold time.Duration
			n := 0
			for b.Loop() {
				if n++; n%chunk != 0 {
					continue
				}
				if next+chunk > len(recs) {
					b.StopTimer()
					books = projections.NewBooks(bb.purpose)
					if err := books.ApplyAll(recs[:start]); err != nil {
						b.Fatal(err)
					}
					next = start
					b.StartTimer()
				}
				for i := range decoded {
					var err error
					if decoded[i], err = events.DecodeRecord(recs[next+i].Bytes); err != nil {
						b.Fatal(err)
					}
				}
				next += chunk
				before := b.Elapsed()
				if err := books.ApplyAll(decoded); err != nil {
					b.Fatal(err)
				}
				fold += b.Elapsed() - before
			}
			b.ReportMetric(float64(fold.Nanoseconds())/float64(b.N), "fold-ns/op")
		})
	}
}
