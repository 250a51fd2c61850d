package views_test

import (
	"errors"
	"testing"

	"tallystick/projections/projtest"
	"tallystick/projections/views"
)

// BenchmarkRebuild makes the views of 100 merchants and 10,000 wallets from the encoded records of usage events of two
// lines, on the disk. One op is one usage event.
func BenchmarkRebuild(b *testing.B) {
	l := projtest.NewLog()
	for rec := range projtest.Each(projtest.Shape{Seed: 1, Merchants: 100, Customers: 10_000, Usages: b.N, Plain: true}) {
		l.Append(rec)
	}
	v, err := views.Open(b.TempDir(), l, views.Options{NoSnapshots: true})
	if err != nil {
		b.Fatal(err)
	}
	if err := v.Start(follow(l)); err != nil {
		b.Fatal(err)
	}
	if err := v.WaitFor(b.Context(), l.Durable()); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	b.ReportAllocs()
	res, err := v.Rebuild(b.Context(), views.RebuildOptions{})
	b.StopTimer()
	if err := errors.Join(err, v.Close()); err != nil {
		b.Fatal(err)
	}
	if !res.Equal() {
		b.Fatal(res.Difference)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "usage/s")
}
