package views

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"tallystick/events"
	"tallystick/projections"
)

// checkpointKey is the key of the row that says what the others are current to. No table has this byte.
var checkpointKey = []byte{0x00}

// Checkpoint says which books a store holds.
type Checkpoint struct {
	Fold   uint64          // version of the folds that made them: projections.FoldVersion
	Seq    events.Seq      // last record applied; 0 for books before the first
	Ledger events.LedgerID // zero before the first record
	Hash   events.Hash     // leaf hash of the last record, which tells two histories apart
}

func (c Checkpoint) append(b []byte) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, c.Fold), uint64(c.Seq))
	return append(append(b, c.Ledger[:]...), c.Hash[:]...)
}

func parseCheckpoint(b []byte) (c Checkpoint, err error) {
	var n int
	if c.Fold, n = binary.Uvarint(b); n > 0 {
		b = b[n:]
		var seq uint64
		if seq, n = binary.Uvarint(b); n > 0 && len(b) == n+len(c.Ledger)+len(c.Hash) {
			c.Seq = events.Seq(seq)
			copy(c.Hash[:], b[n+copy(c.Ledger[:], b[n:]):])
			return c, nil
		}
	}
	return c, fmt.Errorf("%w: checkpoint %x", ErrCorrupt, b)
}

// Store is books on disk: all rows, and the checkpoint that they are current to. Both are always written
// together, so that after a crash a store holds books as they were at some time before. Pebble's write-ahead log
// is off. It would bring back later books, which the log of records does too, at about the cost of writing
// them a second time; and an error of the disk when Pebble begins a new one ends the process.
//
// It implements [projections.Source]. One goroutine at a time may write to it; reads may
// come from any.
type Store struct {
	opts   Options
	dir    string
	db     *pebble.DB
	cache  *pebble.Cache
	fail   *failure
	tables *projections.Books // for the codecs of its tables only
	frozen bool               // opened for reading only
	size   int                // of the last flush, in bytes
}

// CreateStore makes an empty store in dir, which must not hold one.
func CreateStore(dir string, opts Options) (*Store, error) {
	if err := makeDir(opts.withDefaults().FS, dir); err != nil {
		return nil, err
	}
	s, err := openStore(dir, opts, func(p *pebble.Options) { p.ErrorIfExists = true })
	if err != nil {
		return nil, err
	}
	err = s.await(func() error {
		if err := s.db.Set(checkpointKey, Checkpoint{Fold: projections.FoldVersion}.append(nil), pebble.NoSync); err != nil {
			return err
		}
		return s.db.Flush()
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenStore opens the store in dir.
func OpenStore(dir string, opts Options) (*Store, error) {
	return openStore(dir, opts, func(p *pebble.Options) { p.ErrorIfNotExists = true })
}

// openReadOnly opens the store in dir for reading only; the directory is left as it is.
func openReadOnly(dir string, opts Options) (*Store, error) {
	return openStore(dir, opts, func(p *pebble.Options) { p.ErrorIfNotExists, p.ReadOnly = true, true })
}

func openStore(dir string, opts Options, set func(*pebble.Options)) (*Store, error) {
	s := &Store{opts: opts.withDefaults(), dir: dir, fail: newFailure(), tables: projections.NewBooks(projections.ForViews)}
	s.cache = pebble.NewCache(s.opts.CacheBytes)
	p := s.opts.pebble(storeLogger{s.opts.Logger, s.fail, s.condemn}, s.cache)
	set(p)
	s.frozen = p.ReadOnly
	opened := make(chan *pebble.DB, 1)
	err := s.do(func() error {
		db, err := pebble.Open(dir, p)
		opened <- db
		return err
	})
	if err != nil {
		if s.fail.parked() == nil {
			s.cache.Unref()
		}
		return nil, fmt.Errorf("opening the views in %s: %w", dir, err)
	}
	s.db = <-opened
	return s, nil
}

// do calls fn, which enters Pebble to change something, and returns its error. Where Pebble cannot go on, fn never
// returns: it stays behind on a goroutine of its own, and do returns without it.
func (s *Store) do(fn func() error) error { return s.doUntil(s.fail.dead, fn) }

// await is do where fn waits for the disk. Pebble tries again for ever what the disk refuses, so await returns without fn as soon as
// the store has failed.
func (s *Store) await(fn func() error) error { return s.doUntil(s.fail.marked, fn) }

func (s *Store) doUntil(given <-chan struct{}, fn func() error) error {
	if err := s.fail.parked(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				s.fail.park(fmt.Errorf("panic: %v", p)) // whatever locks it held
			}
		}()
		done <- fn()
	}()
	select {
	case err := <-done:
		return corruption(err)
	case <-given:
		return s.fail.failed()
	}
}

// Close closes the store after what was flushed is on disk.
func (s *Store) Close() error {
	err := s.Sync()
	if s.fail.parked() != nil {
		return err // Pebble cannot be entered any more
	}
	if err := errors.Join(err, s.do(s.db.Close)); s.fail.parked() != nil {
		return err
	}
	s.cache.Unref()
	return err
}

// condemnedFile is the name of a file in a store's directory that says not to use it any more.
const condemnedFile = "CONDEMNED"

// condemn notes that the store is corrupt, in memory and on disk, so that it is not used again.
func (s *Store) condemn(cause error) {
	if !s.fail.condemn(cause) {
		return
	}
	if err := writeFile(s.opts.FS, s.dir, condemnedFile, []byte(cause.Error()+"\n")); err != nil {
		s.opts.Logger.Error("views store: condemning", "dir", s.dir, "err", err)
	}
}

// Load implements [projections.Source].
func (s *Store) Load(table byte, key []byte) (value []byte, ok bool, err error) {
	return load(s.db, s.fail, table, key)
}

func load(db pebble.Reader, fail *failure, table byte, key []byte) ([]byte, bool, error) {
	if err := fail.parked(); err != nil || db == nil {
		return nil, false, err
	}
	var mem [64]byte
	return get(db, append(append(mem[:0], table), key...))
}

// get returns a copy of what db holds under a whole key.
func get(db pebble.Reader, key []byte) ([]byte, bool, error) {
	v, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, corruption(err)
	}
	v = append([]byte(nil), v...)
	return v, true, closer.Close()
}

// Checkpoint returns what the rows of the store are current to.
func (s *Store) Checkpoint() (Checkpoint, error) { return checkpointOf(s.db, s.fail) }

func checkpointOf(db pebble.Reader, fail *failure) (Checkpoint, error) {
	v, ok, err := load(db, fail, checkpointKey[0], nil)
	if err != nil {
		return Checkpoint{}, err
	}
	if !ok {
		return Checkpoint{}, fmt.Errorf("%w: a store without a checkpoint", ErrCorrupt)
	}
	return parseCheckpoint(v)
}

// Flush writes what has changed in books since the last Flush, and the checkpoint that this brings the store to,
// in one batch. It does not wait for the disk.
func (s *Store) Flush(books *projections.Books, hash events.Hash) error {
	if err := s.fail.failed(); err != nil {
		return err
	}
	batch := s.db.NewBatchWithSize(max(s.size+s.size/8, 1<<12))
	err := books.Flush(
		func(key, value []byte) error { return batch.Set(key, value, nil) },
		func(key []byte) error { return batch.Delete(key, nil) },
	)
	if err != nil {
		return errors.Join(err, batch.Close())
	}
	at := Checkpoint{projections.FoldVersion, books.Applied(), books.Ledger(), hash}
	if err := batch.Set(checkpointKey, at.append(nil), nil); err != nil {
		return errors.Join(err, batch.Close())
	}
	s.size = batch.Len()
	return s.do(func() error { return errors.Join(batch.Commit(pebble.NoSync), batch.Close()) })
}

// Sync waits until everything that was flushed is on disk.
func (s *Store) Sync() error {
	if err := s.fail.failed(); err != nil || s.frozen {
		return err
	}
	return s.await(s.db.Flush)
}

// SyncSoon begins to bring what was flushed to disk, and does not wait for it.
func (s *Store) SyncSoon() error {
	if err := s.fail.failed(); err != nil {
		return err
	}
	return s.do(func() error {
		_, err := s.db.AsyncFlush()
		return err
	})
}

// checkpoint makes a copy of what is on disk, which shares the files of the store.
func (s *Store) checkpoint(dir string) error {
	if err := s.fail.failed(); err != nil {
		return err
	}
	return s.do(func() error { return s.db.Checkpoint(dir) })
}

// closeInto closes c, and sets err unless there is one.
func closeInto(c io.Closer, err *error) {
	if e := c.Close(); *err == nil && e != nil {
		*err = e
	}
}
