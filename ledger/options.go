package ledger

import (
	"crypto/rand"
	"io"
	"log/slog"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
	sstables "github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"
)

// Options say how a log is opened. The zero value opens an existing one for
// reading and writing.
type Options struct {
	FS       vfs.FS // file system; nil means the operating system's
	Create   bool   // make a ledger where there is none
	ReadOnly bool   // for reading only; the directory is left as it is

	CacheBytes  int64 // most memory for blocks read from disk; 0 means 256 MiB
	TailBytes   int64 // most memory, about, for the latest records, kept for followers; 0 means 64 MiB
	IndexBytes  int64 // most memory, about, for what makes dedupe look-ups fast, 4¼ bytes a key; 0 means 2 GiB
	MaxInFlight int   // groups that may wait for the disk before Append blocks; 0 means 16

	Keys   note.Verifiers      // of checkpoints; nil means that signatures are not looked at
	Clock  func() time.Time    // real time, for measuring only; nil means that nothing is measured
	Synced func(time.Duration) // told how long each batch was waited for; called on the syncer; may be nil
	Logger *slog.Logger        // nil means that nothing is logged
	Random io.Reader           // where secrets of a new ledger come from; nil means crypto/rand

	// Tests make these small.
	blockBits     int    // of the dedupe index
	memTableBytes uint64 // of Pebble
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 256 << 20
	}
	if o.TailBytes == 0 {
		o.TailBytes = 64 << 20
	}
	if o.IndexBytes == 0 {
		o.IndexBytes = 2 << 30
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 16
	}
	if o.Synced == nil {
		o.Synced = func(time.Duration) {}
	}
	if o.Clock == nil {
		o.Clock = func() time.Time { return time.Time{} }
	}
	if o.blockBits == 0 {
		o.blockBits = blockBits
	}
	if o.memTableBytes == 0 {
		o.memTableBytes = 64 << 20
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// store returns Pebble's options.
func (o Options) store(disk guard, cache *pebble.Cache) *pebble.Options {
	logger := storeLogger{o.Logger, disk.fail}
	p := &pebble.Options{
		FS:                          disk,
		ReadOnly:                    o.ReadOnly,
		ErrorIfNotExists:            !o.Create,
		FormatMajorVersion:          pebble.FormatNewest,
		Cache:                       cache,
		Logger:                      logger,
		EventListener:               logger.listener(),
		MemTableSize:                o.memTableBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       2, // at every flush: see spanPolicy
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               256 << 20,
		CompactionConcurrencyRange:  func() (lower, upper int) { return 1, max(1, min(4, runtime.GOMAXPROCS(0)-1)) },
	}
	p.Experimental.SpanPolicyFunc = spanPolicy
	for i := range p.Levels {
		l := &p.Levels[i]
		l.BlockSize = 32 << 10
		l.IndexBlockSize = 256 << 10
		l.Compression = func() *sstables.CompressionProfile { return sstables.FastestCompression }
		p.TargetFileSizes[i] = tableBytes
	}
	p.TargetFileSizes[0] = int64(o.memTableBytes) // all that a flush has of a span is one table
	return p
}

// tableBytes is about how large a table is that a compaction writes. What is written again with a few new rows is one such table.
const tableBytes = 8 << 20

// spanPolicy keeps each prefix of the schema in tables of its own, and each level of
// the dedupe index and of the tree. In all of them new keys come behind the ones that are there, so that a table
// of a flush overlaps no others, and sinks to the last level without being written again. Pebble moves a table only if
// it is the only one to go down, so there is one of each span in a flush, and no flush waits for the next one.
//
// The dedupe index is kept out of blob files, whose space is slow to be freed when runs are merged.
func spanPolicy(start []byte) (pebble.SpanPolicy, []byte, error) {
	if len(start) == 0 {
		return pebble.SpanPolicy{}, nil, nil
	}
	policy := pebble.SpanPolicy{}
	prefix := start[0]
	if prefix != prefixRecord {
		policy.ValueStoragePolicy = pebble.ValueStorageLowReadLatency
	}
	if len(start) > 1 && start[1] < 0xFF && (prefix == prefixIndex || prefix == prefixTree) {
		return policy, []byte{prefix, start[1] + 1}, nil
	}
	return policy, []byte{prefix + 1}, nil
}
