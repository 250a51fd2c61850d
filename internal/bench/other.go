package bench

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"tallystick/events"
	"tallystick/internal/server"
	"tallystick/projections/views"
)

// Latency is what one client that sends one usage event at a time sees.
type Latency struct {
	Requests    int     `json:"requests"`
	P50Millis   float64 `json:"p50Millis"`
	P99Millis   float64 `json:"p99Millis"`
	FsyncMillis float64 `json:"fsyncMillis"` // the median time of a small synced write on this disk
	Ratio       float64 `json:"ratio"`       // P50Millis / FsyncMillis
}

// MeasureLatency measures one client, one usage event at a time.
func MeasureLatency(ctx context.Context, o Options) (res Latency, err error) {
	o.Batch, o.InFlight = 1, 1
	if o.Usages == 0 {
		o.Usages = 5_000
	}
	o = o.withDefaults()
	s, err := server.Open(ctx, server.Config{Dir: filepath.Join(o.Dir, "ledger"), Create: true, Clock: o.Clock})
	if err != nil {
		return res, err
	}
	defer func() {
		if e := s.Close(ctx); err == nil {
			err = e
		}
	}()
	w, err := build(ctx, s, 1, 100, trade{term: events.Instant})
	if err != nil {
		return res, err
	}
	in, err := w.ingest(ctx, o)
	if err != nil {
		return res, err
	}
	sync, err := RawSync(o.Dir, 1_000, o.Clock)
	if err != nil {
		return res, err
	}
	return Latency{
		Requests: o.Usages, P50Millis: in.P50Millis, P99Millis: in.P99Millis,
		FsyncMillis: millis(sync), Ratio: in.P50Millis / millis(sync),
	}, nil
}

// Rebuild is how fast all views are made again from the log.
type Rebuild struct {
	Records         int     `json:"records"`
	RecordsPerScond float64 `json:"recordsPerSecond"`
	RawPerSecond    float64 `json:"rawPerSecond"` // a bare Pebble scan of as many records of the same size
	Ratio           float64 `json:"ratio"`
	Identical       bool    `json:"identical"`
}

// MeasureRebuild makes a ledger and rebuilds its views.
func MeasureRebuild(ctx context.Context, o Options) (res Rebuild, err error) {
	if o.Usages == 0 {
		o.Usages = 3_000_000
	}
	o = o.withDefaults()
	s, err := filled(ctx, o)
	if err != nil {
		return res, err
	}
	defer func() {
		if e := s.Close(ctx); err == nil {
			err = e
		}
	}()
	if err := s.Views.WaitFor(ctx, s.Sequencer.Applied()); err != nil {
		return res, err
	}
	o.Progress("rebuilding")
	stop, err := profile(o.Profile)
	if err != nil {
		return res, err
	}
	start := o.Clock()
	done, err := s.Views.Rebuild(ctx, views.RebuildOptions{})
	took := o.Clock().Sub(start)
	stop()
	if err != nil {
		return res, err
	}
	res.Records = int(done.Seq)
	res.RecordsPerScond = float64(done.Seq) / took.Seconds()
	res.Identical = done.Difference == nil
	rec, err := s.Log.Record(s.Log.Durable())
	if err != nil {
		return res, err
	}
	if _, res.RawPerSecond, err = RawBatches(filepath.Join(o.Dir, "raw"), noise(len(rec.Bytes)), res.Records, o.Clock); err != nil {
		return res, err
	}
	res.Ratio = res.RecordsPerScond / res.RawPerSecond
	return res, nil
}

// noise returns bytes that do not compress, so that the bare store reads as much as it seems to.
func noise(n int) []byte {
	b := make([]byte, n)
	rnd := rand.New(rand.NewPCG(7, 7))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// filled opens a new ledger and preloads usage into it.
func filled(ctx context.Context, o Options) (*server.Server, error) {
	s, err := server.Open(ctx, server.Config{Dir: filepath.Join(o.Dir, "ledger"), Create: true, Clock: o.Clock})
	if err != nil {
		return nil, err
	}
	o.Progress("making %d merchants with %d customers", o.Merchants, o.Customers)
	w, err := build(ctx, s, o.Merchants, o.Customers/o.Merchants, trade{term: events.Instant})
	if err == nil {
		err = w.preload(ctx, o.Usages, func(n int) {
			if n%1_000_000 == 0 {
				o.Progress("%d usage events recorded", n)
			}
		})
	}
	if err != nil {
		_ = s.Close(ctx)
		return nil, err
	}
	return s, nil
}

// Size is what a usage event takes on disk in the log: record, idempotency key and tree, after compaction. The stream's copy and the
// views are not in it.
type Size struct {
	Usages        int     `json:"usages"`
	LogBytes      int64   `json:"logBytes"` // its tables; without the write-ahead log, whose size has a bound
	WALBytes      int64   `json:"walBytes"`
	BytesPerUsage float64 `json:"bytesPerUsage"`
	ViewsBytes    int64   `json:"viewsBytes"` // likewise
}

// MeasureSize makes a ledger, compacts its log and weighs it.
func MeasureSize(ctx context.Context, o Options) (res Size, err error) {
	o = o.withDefaults()
	s, err := filled(ctx, o)
	if err != nil {
		return res, err
	}
	o.Progress("compacting")
	if err := s.Log.Compact(ctx); err != nil {
		_ = s.Close(ctx)
		return res, err
	}
	if err := s.Close(ctx); err != nil {
		return res, err
	}
	res.Usages = o.Usages
	log := filepath.Join(o.Dir, "ledger", "log")
	if res.WALBytes, err = weigh(log, ".log"); err != nil {
		return res, err
	}
	if res.LogBytes, err = weigh(log, ""); err != nil {
		return res, err
	}
	res.LogBytes -= res.WALBytes
	res.BytesPerUsage = float64(res.LogBytes) / float64(o.Usages)
	res.ViewsBytes, err = weigh(filepath.Join(o.Dir, "ledger", "views"), ".sst")
	return res, err
}

// weigh returns the bytes of all files in a directory whose names have a suffix.
func weigh(dir, suffix string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(d.Name(), suffix) {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}
