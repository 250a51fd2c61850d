package views

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"tallystick/events"
	"tallystick/projections"
)

// Log is what views need of the log of record, or of the stream that carries it.
type Log interface {
	// Durable returns the last record there is.
	Durable() events.Seq
	// Record returns one record.
	Record(seq events.Seq) (events.Record, error)
	// Scan calls fn with the records from from to to, both included, in order, with their leaf hashes, until
	// fn returns an error, which it returns. It should read and decode them ahead of fn, on other goroutines.
	Scan(ctx context.Context, from, to events.Seq, fn func(events.Record) error) error
	// ScanSome is Scan for those records whose bytes are wanted. Several goroutines call want, which keeps no bytes.
	ScanSome(ctx context.Context, from, to events.Seq, want func([]byte) bool, fn func(events.Record) error) error
}

// Follow returns a follower whose first record is from.
type Follow func(from events.Seq) Follower

// Views is the views of one ledger: the generation in use, its runner, and the snapshots. Any
// goroutine may use it.
type Views struct {
	opts      Options
	fs        viewsDir
	log       Log
	snapshots *snapshots
	rebuild   sync.Mutex // held by the one rebuild
	tasks     sync.WaitGroup
	ctx       context.Context // ends the tasks
	cancel    context.CancelFunc
	snapshot  chan struct{} // asks for a snapshot
	describe  chan struct{} // says that there is one without digests
	heals     atomic.Int32
	unusable  error // why the live views that Open found are not used, nil if they are

	mu      sync.Mutex // guards the fields below
	current *generation
	follow  Follow // nil before Start
	closed  bool
	err     error // why the views stand still, nil if they do not
}

// Open opens the views in dir, which has the sub-directories "views" and "snapshots", or makes them.
//
// It begins with the newest stored books that are of this ledger, made by this version of the folds, no further than
// log, and part of its history: the live views if they are, else the newest such snapshot whose digests are right,
// else empty ones. Live views are taken as they are, so that this takes no time; an error of the disk in them is
// found when it is read, and then they are not used at the next Open.
func Open(dir string, log Log, opts Options) (*Views, error) {
	opts = opts.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	v := &Views{
		opts: opts, log: log, ctx: ctx, cancel: cancel, snapshot: make(chan struct{}, 1), describe: make(chan struct{}, 1),
		fs:        viewsDir{opts.FS.PathJoin(dir, "views"), opts},
		snapshots: &snapshots{dir: opts.FS.PathJoin(dir, "snapshots"), opts: opts, open: make(map[events.Seq]*openSnapshot)},
	}
	if err := errors.Join(makeDir(opts.FS, v.fs.dir), v.snapshots.removeUnfinished()); err != nil {
		return nil, fmt.Errorf("opening views: %w", err)
	}
	n, err := v.fs.current()
	if err != nil {
		return nil, fmt.Errorf("opening views: %w", err)
	}
	store, why := v.usable(n)
	if why != nil {
		if n != 0 {
			opts.Logger.Warn("views cannot be used and are made again", "generation", n, "why", why)
			v.unusable = why
		}
		if n, store, err = v.restore(ctx); err != nil {
			return nil, fmt.Errorf("opening views: %w", err)
		}
	}
	if err := v.fs.removeOthers(n); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	v.current = newGeneration(n, store)
	if !opts.NoSnapshots {
		v.tasks.Go(v.takeSnapshots)
		v.tasks.Go(v.describeSnapshots)
	}
	return v, nil
}

// Unusable returns why the live views that [Open] found could not be used, so that it made them again, or nil. An error that matches
// [ErrCorrupt] names the file and the place in it.
func (v *Views) Unusable() error { return v.unusable }

// usable opens generation n, or says why it cannot be used.
func (v *Views) usable(n uint64) (*Store, error) {
	if n == 0 {
		return nil, errors.New("there are none")
	}
	if b, err := readFile(v.opts.FS, v.fs.path(n), condemnedFile); err == nil {
		return nil, errors.New(strings.TrimSpace(string(b)))
	}
	store, err := OpenStore(v.fs.path(n), v.opts)
	if err != nil {
		return nil, err
	}
	at, err := store.Checkpoint()
	if err == nil {
		err = v.belongs(at)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

// belongs returns nil if a checkpoint is one of this log and this version of the folds.
func (v *Views) belongs(at Checkpoint) error {
	switch {
	case at.Fold != projections.FoldVersion:
		return fmt.Errorf("%w: fold version %d, this is %d", ErrOther, at.Fold, projections.FoldVersion)
	case at.Seq == 0:
		return nil
	case at.Seq > v.log.Durable():
		return fmt.Errorf("%w: at sequence %d, beyond the log, which ends at %d", ErrOther, at.Seq, v.log.Durable())
	}
	rec, err := v.log.Record(at.Seq)
	if err != nil {
		return err
	}
	if rec.Ledger != at.Ledger || rec.Hash != at.Hash {
		return fmt.Errorf("%w: made from another record %d", ErrOther, at.Seq)
	}
	return nil
}

// restore makes a new generation from the newest snapshot that is good, or else an empty one, and makes it current.
func (v *Views) restore(ctx context.Context) (n uint64, store *Store, err error) {
	if n, err = v.fs.next(); err != nil {
		return 0, nil, err
	}
	all, err := v.snapshots.list()
	if err != nil {
		return 0, nil, err
	}
	for _, s := range slices.Backward(all) {
		if err = v.belongs(s.checkpoint()); err == nil {
			err = v.snapshots.verify(ctx, s)
		}
		if err == nil {
			store, err = v.fromSnapshot(n, s)
		}
		if err == nil {
			return n, store, v.fs.setCurrent(n)
		}
		v.opts.Logger.Warn("snapshot cannot be used", "sequence", s.Seq, "why", err)
	}
	if store, err = CreateStore(v.fs.path(n), v.opts); err != nil {
		return 0, nil, err
	}
	return n, store, v.fs.setCurrent(n)
}

// fromSnapshot makes generation n of a snapshot, whose tables it shares.
func (v *Views) fromSnapshot(n uint64, s Snapshot) (*Store, error) {
	from, to := v.snapshots.path(s.Seq), v.fs.path(n)
	if err := errors.Join(v.opts.FS.RemoveAll(to), cloneStore(v.opts.FS, from, to)); err != nil {
		return nil, err
	}
	return OpenStore(to, v.opts)
}

// Start begins to follow the log. It is called once.
func (v *Views) Start(follow Follow) error {
	v.mu.Lock()
	v.follow = follow
	g := v.current
	v.mu.Unlock()
	return v.run(g)
}

// run starts the runner of a generation.
func (v *Views) run(g *generation) error {
	at, err := g.store.Checkpoint()
	if err != nil {
		return err
	}
	next := at.Seq/v.opts.SnapshotEvery + 1 // number of the next snapshot
	notify := func(seq events.Seq) {
		if n := seq / v.opts.SnapshotEvery; n >= next {
			next = n + 1
			select {
			case v.snapshot <- struct{}{}:
			default: // one is being made
			}
		}
	}
	runner, err := startRunner(g.store, v.follow(at.Seq+1), notify)
	if err != nil {
		return err
	}
	v.mu.Lock()
	g.runner = runner
	v.mu.Unlock()
	v.tasks.Go(func() { v.supervise(g, runner) })
	return nil
}

// maxHeals is how often views of a process are made again because their store was corrupt or failed.
const maxHeals = 3

// supervise waits for the end of a runner. If its store was corrupt or has failed, it puts another generation in
// its place.
func (v *Views) supervise(g *generation, runner *Runner) {
	<-runner.Done()
	err := errors.Join(g.store.fail.failed(), g.store.fail.condemned())
	if err == nil || v.ctx.Err() != nil {
		if err = runner.Err(); err != nil {
			v.stand(err)
		}
		return
	}
	v.opts.Logger.Error("views have failed and are made again", "generation", g.number, "err", err)
	if v.heals.Add(1) > maxHeals {
		v.stand(err)
		return
	}
	n, store, err2 := v.restore(v.ctx)
	if err2 != nil {
		v.stand(errors.Join(err, err2))
		return
	}
	healed := newGeneration(n, store)
	if err = v.run(healed); err == nil {
		err = v.swap(healed)
	}
	if err != nil {
		v.stand(errors.Join(err, store.Close()))
	}
}

// stand notes why the views stand still.
func (v *Views) stand(err error) {
	v.opts.Logger.Error("views stand still", "err", err)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}

// swap makes g the generation in use. The one before it is removed when its last reader has gone. Once the views are closed nobody would
// stop what is put in place: then swap stops the runner of g, if it has one, and returns [ErrClosed].
func (v *Views) swap(g *generation) error {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		if g.runner == nil {
			return ErrClosed
		}
		return errors.Join(ErrClosed, g.runner.Stop())
	}
	old := v.current
	v.current = g
	v.mu.Unlock()
	if old.runner != nil {
		if err := old.runner.Stop(); err != nil {
			v.opts.Logger.Warn("views that were replaced had failed", "generation", old.number, "err", err)
		}
	}
	v.unpin(old)
	v.tasks.Go(func() {
		<-old.unused
		if err := old.store.Close(); err != nil {
			v.opts.Logger.Warn("closing views that were replaced", "generation", old.number, "err", err)
			return
		}
		if err := v.opts.FS.RemoveAll(v.fs.path(old.number)); err != nil {
			v.opts.Logger.Warn("removing views that were replaced", "generation", old.number, "err", err)
		}
	})
	return nil
}

// pin returns the generation in use, and keeps it open until unpin.
func (v *Views) pin() (*generation, *Runner, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, nil, ErrClosed
	}
	v.current.users++
	return v.current, v.current.runner, nil
}

func (v *Views) unpin(g *generation) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if g.users--; g.users == 0 {
		close(g.unused)
	}
}

// Close stops following the log, waits for readers to be closed, and closes the views.
func (v *Views) Close() error {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return nil
	}
	v.closed = true
	g := v.current
	v.mu.Unlock()
	v.cancel()
	var err error
	if g.runner != nil {
		err = g.runner.Stop()
	}
	v.unpin(g)
	<-g.unused
	v.tasks.Wait()
	return errors.Join(err, g.store.Close())
}

// Reader returns the rows as they are now, but not before they hold record atLeast, for which it waits: so a caller can
// read what it wrote.
func (v *Views) Reader(ctx context.Context, atLeast events.Seq) (*Reader, error) {
	for {
		if err := v.WaitFor(ctx, atLeast); err != nil {
			return nil, err
		}
		g, _, err := v.pin()
		if err != nil {
			return nil, err
		}
		r, err := g.store.Reader()
		if err != nil {
			v.unpin(g)
			return nil, err
		}
		closeRows := r.close
		r.close = func() error {
			defer v.unpin(g)
			return closeRows()
		}
		if r.Seq() >= atLeast {
			return r, nil
		}
		if err := r.Close(); err != nil { // another generation, not as far yet
			return nil, err
		}
	}
}

// WaitFor returns when a new Reader will hold record seq. It fails with ctx, and when the views stand still.
func (v *Views) WaitFor(ctx context.Context, seq events.Seq) error {
	for {
		g, runner, err := v.pin()
		if err != nil {
			return err
		}
		if runner == nil {
			at, err := g.store.Checkpoint()
			if v.unpin(g); err == nil && at.Seq < seq {
				err = fmt.Errorf("the views are at sequence %d and do not follow the log", at.Seq)
			}
			return err
		}
		err = runner.WaitFor(ctx, seq)
		v.unpin(g)
		if !errors.Is(err, ErrClosed) {
			return err
		}
		// Closed, or replaced: then the next round asks its successor.
	}
}

// Status is how far the views are.
type Status struct {
	Generation uint64
	Applied    events.Seq
	Flushed    events.Seq // what readers see
	Err        error      // why the views stand still, nil if they do not
}

// Status returns how far the views are.
func (v *Views) Status() Status {
	v.mu.Lock()
	s := Status{Generation: v.current.number, Err: v.err}
	runner, store := v.current.runner, v.current.store
	v.mu.Unlock()
	if runner != nil {
		s.Applied, s.Flushed = runner.Applied(), runner.Flushed()
	} else if at, err := store.Checkpoint(); err == nil {
		s.Applied, s.Flushed = at.Seq, at.Seq
	}
	return s
}

// State returns what a sequencer begins with: the stored books, to be given to [projections.Books.Attach], and to
// be closed when all of their rows are adopted. It takes no time, however many rows there are.
func (v *Views) State() (*Reader, error) { return v.Reader(context.Background(), 0) }

// Digests returns the digest of every projection, and the sequence that they are of.
func (v *Views) Digests(ctx context.Context) (digests []Digest, seq events.Seq, err error) {
	r, err := v.Reader(ctx, 0)
	if err != nil {
		return nil, 0, err
	}
	defer closeInto(r, &err)
	digests, err = r.Digests(ctx)
	return digests, r.Seq(), err
}

// takeSnapshots is the goroutine that takes a snapshot when it is asked to.
func (v *Views) takeSnapshots() {
	for {
		select {
		case <-v.snapshot:
		case <-v.ctx.Done():
			return
		}
		if _, err := v.takeSnapshot(); err != nil && v.ctx.Err() == nil {
			v.opts.Logger.Error("taking a snapshot of the views", "err", err)
		}
		select {
		case v.describe <- struct{}{}:
		default: // it goes on until there is none without digests
		}
	}
}

// describeSnapshots is the goroutine that computes the digests of snapshots.
func (v *Views) describeSnapshots() {
	for {
		s, found, err := v.snapshots.undescribed()
		if err == nil && found {
			_, err = v.snapshots.describe(v.ctx, s)
		}
		if err != nil && v.ctx.Err() == nil {
			v.opts.Logger.Error("computing the digests of a snapshot", "sequence", s.Seq, "err", err)
		}
		if err == nil && found {
			continue
		}
		select {
		case <-v.describe:
		case <-v.ctx.Done():
			return
		}
	}
}

func (v *Views) takeSnapshot() (Snapshot, error) {
	g, _, err := v.pin()
	if err != nil {
		return Snapshot{}, err
	}
	s, err := v.snapshots.take(g.store)
	v.unpin(g)
	if err != nil {
		return s, err
	}
	return s, v.snapshots.thin()
}

// TakeSnapshot takes a snapshot of the views as they are now, with its digests, and thins out the older ones.
func (v *Views) TakeSnapshot(ctx context.Context) (Snapshot, error) {
	s, err := v.takeSnapshot()
	if err != nil {
		return s, err
	}
	return v.snapshots.describe(ctx, s)
}

// Snapshots returns the snapshots there are, oldest first.
func (v *Views) Snapshots() ([]Snapshot, error) { return v.snapshots.list() }

// SnapshotDigests reads all of a snapshot and returns its digests, which should be those it has.
func (v *Views) SnapshotDigests(ctx context.Context, s Snapshot) ([]Digest, error) {
	return v.snapshots.digests(ctx, s, func(int) error { return nil })
}

// VerifySnapshot reads all of a snapshot and compares its digests with those that it has. It does not
// look at the log.
func (v *Views) VerifySnapshot(ctx context.Context, s Snapshot) error {
	return v.snapshots.verify(ctx, s)
}
