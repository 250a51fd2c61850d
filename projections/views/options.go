package views

import (
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
)

// Options say how views are kept. The zero value is fit for a server.
type Options struct {
	FS         vfs.FS // file system; nil means the operating system's
	CacheBytes int64  // most memory for blocks read from disk, for each open store; 0 means 64 MiB
	TableBytes uint64 // memory for rows on their way to disk, of small flushes: one of about half as much goes there by itself; 0 means 8 MiB

	FlushEvery time.Duration // most time between a record and its rows in the store, where nobody waits for them and there are many; 0 means 2 s
	IdleFlush  time.Duration // the same when no more records come; 0 means 250 ms
	SyncEvery  time.Duration // most time until what was flushed is on its way to disk; 0 means 2 s
	MaxChanges int           // changed rows before a flush is made at once; 0 means 1<<19
	MaxRows    int           // rows kept in memory beside the changed ones, about; 0 means 1<<18

	SnapshotEvery events.Seq // records between two snapshots; 0 means 1,000,000
	KeepRecent    int        // snapshots that are not thinned out; 0 means 10
	NoSnapshots   bool       // take none, such as in a remote projector

	Clock  func() time.Time // real time, for measuring only; nil means that nothing is measured
	Logger *slog.Logger     // nil means that nothing is logged
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.TableBytes == 0 {
		o.TableBytes = 8 << 20
	}
	if o.FlushEvery == 0 {
		o.FlushEvery = 2 * time.Second
	}
	if o.IdleFlush == 0 {
		o.IdleFlush = 250 * time.Millisecond
	}
	if o.SyncEvery == 0 {
		o.SyncEvery = 2 * time.Second
	}
	if o.MaxChanges == 0 {
		o.MaxChanges = 1 << 19
	}
	if o.MaxRows == 0 {
		o.MaxRows = 1 << 18
	}
	if o.SnapshotEvery == 0 {
		o.SnapshotEvery = 1_000_000
	}
	if o.KeepRecent == 0 {
		o.KeepRecent = 10
	}
	if o.Clock == nil {
		o.Clock = func() time.Time { return time.Time{} }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// pebble returns Pebble's options for a store of books.
func (o Options) pebble(logger storeLogger, cache *pebble.Cache) *pebble.Options {
	p := &pebble.Options{
		FS:                          o.FS,
		FormatMajorVersion:          pebble.FormatNewest,
		Cache:                       cache,
		Logger:                      logger,
		EventListener:               logger.listener(),
		DisableWAL:                  true, // see Store
		MemTableSize:                o.TableBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       8, // every fourth table of changed rows: each time all of the store is written again
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               64 << 20,
	}
	for i := range p.Levels {
		l := &p.Levels[i]
		l.BlockSize = 16 << 10
		l.IndexBlockSize = 256 << 10
		l.FilterPolicy = bloom.FilterPolicy(10)
		l.FilterType = pebble.TableFilter
		l.Compression = func() *block.CompressionProfile { return block.FastestCompression }
	}
	return p
}
