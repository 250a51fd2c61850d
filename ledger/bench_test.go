package ledger_test

import (
	"context"
	"encoding/binary"
	"flag"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"tallystick/events"
	"tallystick/ledger"
)

var preload = flag.Int("preload", 0, "records in the log before a benchmark starts")

// cpu returns the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure runs op for groups of 1000 new records until b.N records are through, then end, and
// reports what it took without making the records: CPU time of all goroutines, and time on the
// clock. One op is one record.
func measure(b *testing.B, m *maker, op func([]events.Record), end func()) {
	const ahead, size = 50, 1000
	var used, passed time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		var groups [][]events.Record
		for n := done; n < b.N && len(groups) < ahead; n += size {
			groups = append(groups, m.group(b, size))
		}
		start, began := cpu(), time.Now()
		for _, g := range groups {
			op(g)
			done += size
		}
		if done >= b.N {
			end()
		}
		used += cpu() - start
		passed += time.Since(began)
	}
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/record")
	b.ReportMetric(float64(b.N)/passed.Seconds(), "records/s")
}

// BenchmarkAppend appends groups until all are durable.
func BenchmarkAppend(b *testing.B) {
	log := open(b, b.TempDir(), nil)
	m := newMaker(1, 100)
	fill(b, log, m, *preload)
	measure(b, m, func(g []events.Record) {
		if err := log.Append(g); err != nil {
			b.Fatal(err)
		}
	}, func() {
		if err := log.WaitDurable(context.Background(), log.Head().Seq); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkLookupAbsent looks up keys that were never used, as nearly all are. One op is one look-up.
func BenchmarkLookupAbsent(b *testing.B) {
	log := open(b, b.TempDir(), nil)
	m := newMaker(1, 100)
	fill(b, log, m, max(*preload, 1000))
	settle(b, log)
	keys := keysOf(b, newMaker(2, 100))
	b.ReportAllocs()
	start := cpu()
	for i := 0; b.Loop(); i++ {
		if _, ok, err := log.Lookup(keys[i%len(keys)]); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
	b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op")
}

// BenchmarkLookupPresent looks up keys that were used, spread over the log. One op is one look-up.
func BenchmarkLookupPresent(b *testing.B) {
	log := open(b, b.TempDir(), nil)
	m := newMaker(1, 100)
	n := max(*preload, 100_000)
	var keys []events.DedupeKey
	for done := 0; done < n; done += 1000 {
		g := m.group(b, 1000)
		key, _ := g[500].DedupeKey()
		keys = append(keys, key)
		if err := log.Append(g); err != nil {
			b.Fatal(err)
		}
	}
	settle(b, log)
	b.ReportAllocs()
	start := cpu()
	for i := 0; b.Loop(); i++ {
		if _, ok, err := log.Lookup(keys[i%len(keys)]); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
	b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op")
}

// settle waits until Pebble has nothing left to do.
func settle(tb testing.TB, log *ledger.Log) {
	tb.Helper()
	must(tb, log.Store().Flush())
	must(tb, log.Store().Compact(context.Background(), []byte{0}, []byte{255}, true))
}

func keysOf(tb testing.TB, m *maker) (keys []events.DedupeKey) {
	tb.Helper()
	for _, rec := range m.group(tb, 100_000) {
		if key, ok := rec.DedupeKey(); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// BenchmarkScan reads, decodes and hashes all records. One op is one record.
func BenchmarkScan(b *testing.B) {
	log := open(b, b.TempDir(), nil)
	fill(b, log, newMaker(1, 100), max(*preload, 100_000))
	settle(b, log)
	scanned, start := 0, cpu()
	b.ReportAllocs()
	for b.ResetTimer(); scanned < b.N; {
		err := log.Scan(context.Background(), 1, log.Durable(), func(events.Record) error { scanned++; return nil })
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(scanned)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(cpu()-start)/float64(scanned), "cpu-ns/record")
}

// BenchmarkScanBytes reads all records as they are stored. One op is one record.
func BenchmarkScanBytes(b *testing.B) {
	log := open(b, b.TempDir(), nil)
	fill(b, log, newMaker(1, 100), max(*preload, 100_000))
	settle(b, log)
	scanned, start := 0, cpu()
	b.ReportAllocs()
	for b.ResetTimer(); scanned < b.N; {
		err := log.ScanBytes(context.Background(), 1, log.Durable(), func(events.Seq, []byte) error { scanned++; return nil })
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(scanned)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(cpu()-start)/float64(scanned), "cpu-ns/record")
}

// BenchmarkSize reports the bytes on disk for a record with its key and its part of the tree, after
// compaction, and what Open and Check take. One op is one record.
func BenchmarkSize(b *testing.B) {
	dir := b.TempDir()
	log := open(b, dir, nil)
	m := newMaker(1, 100)
	n := max(*preload, b.N)
	fill(b, log, m, n)
	settle(b, log)
	total := log.Metrics().Total()
	b.ReportMetric(float64(total.TablesSize)/float64(log.Head().Seq), "disk-B/record")
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	log = open(b, dir, nil)
	b.ReportMetric(float64(time.Since(start).Milliseconds()), "open-ms")
	start = time.Now()
	if _, err := log.Check(context.Background(), nil); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(log.Head().Seq)/time.Since(start).Seconds(), "checked/s")
}

func fill(tb testing.TB, log *ledger.Log, m *maker, n int) {
	tb.Helper()
	for done := 0; done < n; done += 1000 {
		if err := log.Append(m.group(tb, 1000)); err != nil {
			tb.Fatal(err)
		}
	}
	if n > 0 {
		if err := log.WaitDurable(context.Background(), log.Head().Seq); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkLookupAndAppend looks each key up before it appends the group, as the rules do.
func BenchmarkLookupAndAppend(b *testing.B) {
	log := open(b, b.TempDir(), nil)
	m := newMaker(1, 100)
	fill(b, log, m, *preload)
	measure(b, m, func(g []events.Record) {
		for i := range g {
			if key, ok := g[i].DedupeKey(); ok {
				if _, used, err := log.Lookup(key); used || err != nil {
					b.Fatal(used, err)
				}
			}
		}
		must(b, log.Append(g))
	}, func() { must(b, log.WaitDurable(context.Background(), log.Head().Seq)) })
}

// BenchmarkRawPebble writes the same bytes as BenchmarkAppend does, records only, to a Pebble
// with default options, each group in a synced batch of its own. One op is one record.
func BenchmarkRawPebble(b *testing.B) {
	db, err := pebble.Open(b.TempDir(), &pebble.Options{Logger: quiet{}, MemTableSize: 64 << 20, FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	m := newMaker(1, 100)
	measure(b, m, func(g []events.Record) {
		batch := db.NewBatch()
		for j := range g {
			if err := batch.Set(binary.BigEndian.AppendUint64(nil, uint64(g[j].Seq)), g[j].Bytes, nil); err != nil {
				b.Fatal(err)
			}
		}
		if err := batch.Commit(pebble.Sync); err != nil {
			b.Fatal(err)
		}
	}, func() {})
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) { panic("pebble gave up") }
