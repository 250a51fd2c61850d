package ledger

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"tallystick/events"
)

func sizesFor(n, block, fan int) (out []int) {
	blocks := n / block
	unit := 1
	for blocks > 0 {
		for range blocks % fan {
			out = append(out, unit*block)
		}
		blocks /= fan
		unit *= fan
	}
	return out
}

func BenchmarkCandidates(b *testing.B) {
	for _, cfg := range []struct {
		name      string
		bits, fan int
	}{{"16x8", 16, 8}, {"16x4", 16, 4}, {"17x4", 17, 4}, {"16x2", 16, 2}, {"18x4", 18, 4}, {"16x8", 16, 8}, {"16x4", 16, 4}, {"17x4", 17, 4}} {
		b.Run(cfg.name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 1))
			x := &index{maxPrints: 1 << 40, last: newBlock(1, cfg.bits)}
			for i := range 1 << (cfg.bits - 1) {
				x.last.add(rng.Uint64()|1<<40, events.Seq(i+1))
			}
			total := 0
			for _, n := range sizesFor(20_300_000, 1<<cfg.bits, cfg.fan) {
				total++
				r := &run{blockBits: 16, level: 3, count: uint64(n)}
				es := make([]uint64, n)
				for i := range es {
					es[i] = rng.Uint64()
				}
				slices.Sort(es)
				r.prints = newPrints(r)
				for _, e := range es {
					r.prints.add(e)
				}
				r.prints.finish()
				x.runs = append(x.runs, r)
			}
			hits := 0
			start := cpuNow()
			for b.Loop() {
				s, r := x.candidates(rng.Uint64())
				hits += len(s) + len(r)
			}
			b.ReportMetric(float64(cpuNow()-start)/float64(b.N), "cpu-ns")
			b.ReportMetric(float64(total), "runs")
			b.ReportMetric(float64(hits)/float64(b.N), "hits")
		})
	}
}

func cpuNow() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}
