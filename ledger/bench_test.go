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

func TestMetricsX(t *testing.T) {
	log := open(t, t.TempDir(), nil)
	m := newMaker(1, 100)
	fill(t, log, m, *preload)
	t.Log(log.Metrics())
}
