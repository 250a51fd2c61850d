package ledger

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"tallystick/events"
)

// Log is an open ledger. See the package comment for what it guarantees.
type Log struct {
	opts          Options
	dir           string
	db            *pebble.DB
	readerOptions sstable.ReaderOptions
	lock          *pebble.Lock
	cache         *pebble.Cache
	fail          *failure
	index         *index
	slots         chan struct{} // one for each group in flight
	queue         chan *group   // to the committer; closed by Close
	writes        chan *write   // to the committer: what is not a group
	kick          chan struct{} // to the committer: cursors have changed
	full          chan struct{} // to the indexer: a run was written
	synced        chan pending  // committer to syncer; closed by the committer
	stop          context.CancelFunc
	wait          sync.WaitGroup // for the three goroutines

	closed chan struct{} // closed by Close

	appendMu sync.Mutex // serializes Append, Import and Close; guards the fields below
	closing  bool
	seen     seen
	scopes   scopes

	witnessMu sync.Mutex // serializes writeWitness

	mu      sync.Mutex // guards the fields below
	head    Head
	durable events.Seq    // what is on disk
	raised  chan struct{} // closed and replaced when durable is raised; nil when nobody waits
	tail    tail
	cursors map[string]events.Seq
	changed map[string]struct{} // cursors that are to be written

	users  int           // calls that are reading from Pebble
	unused chan struct{} // made by Close, closed when users is 0

	tree frontier // belongs to the committer
}

// Head is where the log ends.
type Head struct {
	Seq        events.Seq // of the last record; 0 for an empty log, as are all fields
	Ledger     events.LedgerID
	RecordedAt events.Time
	Command    events.CommandID
}

func headOf(rec *events.Record) Head {
	return Head{rec.Seq, rec.Ledger, rec.RecordedAt, rec.Command}
}

// Open opens the ledger in dir, or makes it if there is none and opts.Create is set.
// It returns [ErrMissing], [ErrLocked], [ErrNewerFormat] or [ErrCorrupt] where one
// of them is the reason. Everything that was durable is found again; groups that
// were in flight when the process ended are there whole or not at all.
func Open(dir string, opts Options) (*Log, error) {
	opts = opts.withDefaults()
	if opts.ReadOnly {
		opts.Create = false
	}
	fail := newFailure()
	disk := newGuard(opts.FS, dir, opts.Logger, fail)
	type result struct {
		log *Log
		err error
	}
	opened := make(chan result, 1)
	go func() {
		l, err := openWhole(dir, opts, disk, fail)
		opened <- result{l, err}
	}()
	select {
	case r := <-opened:
		if r.err != nil {
			return nil, fmt.Errorf("opening the ledger in %s: %w", dir, r.err)
		}
		disk.armed.Store(true)
		r.log.start()
		return r.log, nil
	case <-fail.ch: // Pebble is parked
		return nil, fmt.Errorf("opening the ledger in %s: %w", dir, fail.get())
	}
}

func open(dir string, opts Options, disk guard, fail *failure) (*Log, error) {
	cache := pebble.NewCache(opts.CacheBytes)
	db, lock, err := openStore(dir, opts, disk, cache)
	if err != nil {
		cache.Unref()
		return nil, err
	}
	l := &Log{
		opts: opts, dir: dir, db: db, lock: lock, cache: cache, fail: fail,
		readerOptions: readerOptions(opts.store(disk, nil)),
		index:         &index{maxBytes: opts.IndexBytes},
		scopes:        scopes{bytes: make(map[events.Kind]byte)},
		slots:         make(chan struct{}, opts.MaxInFlight),
		queue:         make(chan *group, opts.MaxInFlight),
		writes:        make(chan *write),
		kick:          make(chan struct{}, 1),
		full:          make(chan struct{}, 1),
		synced:        make(chan pending, opts.MaxInFlight+1),
		closed:        make(chan struct{}),
		tail:          tail{maxBytes: opts.TailBytes},
		cursors:       make(map[string]events.Seq),
		changed:       make(map[string]struct{}),
	}
	if err := l.recover(); err != nil {
		return nil, errors.Join(err, l.closeStore())
	}
	return l, nil
}

// openStore opens Pebble and locks its directory. A new store is opened a second time:
// its first WAL is of an older form, in which a flipped byte can hide synced records.
func openStore(dir string, opts Options, disk guard, cache *pebble.Cache) (*pebble.DB, *pebble.Lock, error) {
	for {
		lock, err := lockDirectory(dir, opts)
		if err != nil {
			return nil, nil, err
		}
		if lock != nil {
			if err := checkWAL(opts.FS, dir); err != nil {
				return nil, nil, errors.Join(err, unlock(lock))
			}
		}
		p := opts.store(disk, cache)
		p.Lock = lock
		db, err := pebble.Open(dir, p)
		if err != nil {
			if strings.Contains(err.Error(), "replaying WAL") { // which one, and where, it does not say
				err = cmp.Or(damagedWAL(opts.FS, dir), err)
			}
			return nil, nil, errors.Join(storeError(err), unlock(lock))
		}
		done, err := checkFormat(db, opts.Create, opts.Random)
		if err == nil && done {
			return db, lock, nil
		}
		if err := errors.Join(err, db.Close(), unlock(lock)); err != nil {
			return nil, nil, err
		}
	}
}

// lockDirectory returns the lock of a directory, or nil if there is no directory and
// Pebble is to make it.
func lockDirectory(dir string, opts Options) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, opts.FS)
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, fs.ErrNotExist) && opts.Create:
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w (%w)", ErrMissing, err)
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, err // the lock file cannot be opened
	}
	return nil, fmt.Errorf("%w (%w)", ErrLocked, err)
}

func unlock(lock *pebble.Lock) error {
	if lock == nil {
		return nil
	}
	return lock.Close()
}

// checkFormat reports whether db holds a ledger in a form that we know. In a new
// store it writes the format, and reports false: the store is to be opened again.
func checkFormat(db *pebble.DB, create bool, random io.Reader) (bool, error) {
	v, err := get(db, metaKey("format"))
	if err == nil {
		have, n := binary.Uvarint(v)
		if n <= 0 {
			return false, &CorruptError{What: fmt.Sprintf("format %x", v)}
		}
		if have > format {
			return false, fmt.Errorf("%w: format %d, this one knows %d", ErrNewerFormat, have, format)
		}
		return true, nil
	}
	if !errors.Is(err, pebble.ErrNotFound) {
		return false, storeError(err)
	}
	if !create {
		return false, ErrMissing
	}
	seed := make([]byte, 16)
	if _, err := io.ReadFull(random, seed); err != nil {
		return false, err
	}
	b := db.NewBatch()
	err = errors.Join(b.Set(metaKey("format"), binary.AppendUvarint(nil, format), nil), b.Set(metaKey("seed"), seed, nil))
	if err != nil {
		return false, err
	}
	return false, b.Commit(pebble.Sync)
}

// storeError says what an error of pebble.Open means.
func storeError(err error) error {
	if doesNotExist(err) {
		return fmt.Errorf("%w (%w)", ErrMissing, err)
	}
	return corruption(0, "", err)
}

// recover reads what the log needs to know of itself.
func (l *Log) recover() error {
	last, err := lastRecord(l.db)
	if err != nil {
		return err
	}
	if last.Seq != 0 {
		l.head = headOf(&last)
	}
	l.durable = l.head.Seq
	if err := l.loadIndex(); err != nil {
		return err
	}
	if err := l.loadCursors(); err != nil {
		return err
	}
	if l.tree, err = loadFrontier(l.db, l.durable); err != nil {
		return err
	}
	if err := l.checkCheckpoints(); err != nil {
		return err
	}
	return l.checkWitness()
}

// lastRecord returns the record at the end of the log; it has Seq 0 if there is none.
func lastRecord(db pebble.Reader) (rec events.Record, err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixRecord}, UpperBound: []byte{prefixRecord + 1}})
	if err != nil {
		return rec, storeError(err)
	}
	defer closeInto(it, &err)
	if !it.Last() {
		return rec, corruption(0, "end of the log", it.Error())
	}
	seq, err := seqOfKey(it.Key())
	if err != nil {
		return rec, &CorruptError{What: "end of the log", Err: err}
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return rec, corruption(seq, "", err)
	}
	return decode(seq, append([]byte(nil), v...))
}

// start starts the goroutines of the package comment.
func (l *Log) start() {
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	if l.opts.ReadOnly {
		return
	}
	l.wait.Go(func() { l.keepIndex(ctx) })
	l.wait.Go(l.commit)
	l.wait.Go(l.sync)
}

// Close waits until the groups in flight are durable, and closes the log. Calls that are
// reading end with [ErrClosed] if they would take long. The error
// is ErrFailed if the log has failed; then the store's files stay open, and the
// directory locked, until the process ends.
func (l *Log) Close() error {
	l.appendMu.Lock()
	if l.closing {
		l.appendMu.Unlock()
		return ErrClosed
	}
	l.closing = true
	close(l.closed)
	close(l.queue)
	l.appendMu.Unlock()

	l.stop()
	idle := make(chan error, 1)
	go func() {
		l.wait.Wait()
		<-l.drainUsers()
		if l.Err() == nil {
			idle <- errors.Join(l.seal(), l.closeStore())
		}
	}()
	select {
	case err := <-idle:
		if err != nil {
			return fmt.Errorf("closing the ledger in %s: %w", l.dir, err)
		}
		return nil
	case <-l.fail.ch: // somebody is parked
		return l.Err()
	}
}

// enter is called before Pebble is read from, and leave after. It returns an error if the log
// has failed, for then Pebble's locks may be held for ever, or was closed.
func (l *Log) enter() error {
	if err := l.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unused != nil {
		return ErrClosed
	}
	l.users++
	return nil
}

func (l *Log) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users--
	if l.users == 0 && l.unused != nil {
		close(l.unused)
	}
}

// drainUsers lets nobody enter any more, and returns a channel that is closed when all have left.
func (l *Log) drainUsers() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unused = make(chan struct{})
	if l.users == 0 {
		close(l.unused)
	}
	return l.unused
}

// seal writes a last seal.
func (l *Log) seal() error {
	if l.opts.ReadOnly {
		return nil
	}
	return l.db.LogData(nil, pebble.Sync)
}

func (l *Log) closeStore() error {
	err := l.db.Close()
	l.cache.Unref()
	return errors.Join(err, unlock(l.lock))
}

// Err returns why the log has failed, or nil.
func (l *Log) Err() error { return l.fail.get() }

// Failed returns a channel that is closed when the log fails.
func (l *Log) Failed() <-chan struct{} { return l.fail.ch }

// Head returns where the log ends: the last record appended, durable or not.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// Durable returns the sequence of the last record that is on disk; 0 if there is none.
func (l *Log) Durable() events.Seq {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable
}

// Metrics returns what Pebble counts, or nil once the log has failed or was closed.
func (l *Log) Metrics() *pebble.Metrics {
	if l.enter() != nil {
		return nil
	}
	defer l.leave()
	return l.db.Metrics()
}
