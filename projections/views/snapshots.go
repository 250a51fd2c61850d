package views

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// snapshotFile is the name of the file in a snapshot's directory that makes it one. It is written last.
const snapshotFile = "SNAPSHOT"

// tmpPrefix begins the names of directories that are being made.
const tmpPrefix = "tmp-"

// Snapshot is a copy of the views at one sequence, as its file SNAPSHOT describes it.
type Snapshot struct {
	Fold    uint64          `json:"foldVersion"`
	Ledger  events.LedgerID `json:"ledgerId"`
	Seq     events.Seq      `json:"sequence"`
	Hash    events.Hash     `json:"leafHash"` // of the last record
	Digests []Digest        `json:"digests"`  // none until they are computed, some time after it was taken
}

func (s *Snapshot) checkpoint() Checkpoint { return Checkpoint{s.Fold, s.Seq, s.Ledger, s.Hash} }

// snapshots is the directory that they are in.
type snapshots struct {
	dir    string
	opts   Options
	taking sync.Mutex // held by whoever makes a snapshot or removes some

	mu   sync.Mutex // guards the field below
	open map[events.Seq]*openSnapshot
}

// openSnapshot is a snapshot that is being read. All who read it share one store, for Pebble opens a directory once.
type openSnapshot struct {
	once  sync.Once // opens the store
	store *Store
	err   error

	// guarded by snapshots.mu
	users  int
	closed chan struct{} // closed when the store is; nil until nobody reads any more
}

func (d *snapshots) path(seq events.Seq) string {
	return d.opts.FS.PathJoin(d.dir, fmt.Sprintf("%020d", seq))
}

// list returns the snapshots of this fold version, oldest first. Directories that hold no
// whole snapshot are passed over.
func (d *snapshots) list() ([]Snapshot, error) {
	names, err := list(d.opts.FS, d.dir)
	if err != nil {
		return nil, err
	}
	var found []Snapshot
	for _, name := range names {
		seq, err := strconv.ParseUint(name, 10, 64)
		if err != nil {
			continue
		}
		dir := d.path(events.Seq(seq))
		s, err := readSnapshot(d.opts, dir)
		if err != nil || uint64(s.Seq) != seq || s.Fold != projections.FoldVersion || exists(d.opts.FS, dir, condemnedFile) {
			continue
		}
		found = append(found, s)
	}
	slices.SortFunc(found, func(a, b Snapshot) int { return cmp.Compare(a.Seq, b.Seq) })
	return found, nil
}

func readSnapshot(opts Options, dir string) (s Snapshot, err error) {
	b, err := readFile(opts.FS, dir, snapshotFile)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(b, &s)
}

// reader opens a snapshot for reading. It stays where it is until it is closed.
func (d *snapshots) reader(s Snapshot) (*Reader, error) {
	d.mu.Lock()
	o := d.open[s.Seq]
	for o != nil && o.closed != nil {
		d.mu.Unlock()
		<-o.closed
		d.mu.Lock()
		o = d.open[s.Seq]
	}
	if o == nil {
		o = new(openSnapshot)
		d.open[s.Seq] = o
	}
	o.users++
	d.mu.Unlock()

	o.once.Do(func() {
		opts := d.opts
		opts.CacheBytes = min(opts.CacheBytes, 32<<20)
		o.store, o.err = openReadOnly(d.path(s.Seq), opts)
	})
	if o.err != nil {
		return nil, errors.Join(o.err, d.release(s.Seq, o))
	}
	r, err := o.store.Reader()
	if err != nil {
		return nil, errors.Join(err, d.release(s.Seq, o))
	}
	closeRows := r.close
	r.close = func() error { return errors.Join(closeRows(), d.release(s.Seq, o)) }
	if r.at != s.checkpoint() {
		err = fmt.Errorf("%w: snapshot %d holds books at sequence %d", ErrCorrupt, s.Seq, r.Seq())
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// release is called when a user of an open snapshot has closed it. The last one closes its store.
func (d *snapshots) release(seq events.Seq, o *openSnapshot) error {
	d.mu.Lock()
	o.users--
	last := o.users == 0
	if last {
		o.closed = make(chan struct{})
	}
	d.mu.Unlock()
	if !last {
		return nil
	}
	var err error
	if o.store != nil {
		err = o.store.Close()
	}
	d.mu.Lock()
	delete(d.open, seq)
	d.mu.Unlock()
	close(o.closed)
	return err
}

// verify reads all of a snapshot and compares its digests with those that were computed when it was new.
func (d *snapshots) verify(ctx context.Context, s Snapshot) (err error) {
	if len(s.Digests) == 0 {
		return fmt.Errorf("snapshot %d: its digests were not computed yet", s.Seq)
	}
	digests, err := d.digests(ctx, s, func(int) error { return nil })
	if err == nil && !slices.Equal(digests, s.Digests) {
		err = fmt.Errorf("%w: snapshot %d: its rows are not those it was made with", ErrCorrupt, s.Seq)
	}
	return err
}

// digests reads all of a snapshot, and calls rest with the bytes of each row.
func (d *snapshots) digests(ctx context.Context, s Snapshot, rest func(bytes int) error) (digests []Digest, err error) {
	r, err := d.reader(s)
	if err != nil {
		return nil, err
	}
	defer closeInto(r, &err)
	return r.digests(ctx, rest)
}

// take makes a snapshot of a store that is in use, as it is now, without digests. Writers are not held up: Pebble links the
// files of the store.
func (d *snapshots) take(store *Store) (s Snapshot, err error) {
	d.taking.Lock()
	defer d.taking.Unlock()
	fs := d.opts.FS
	tmp := fs.PathJoin(d.dir, tmpPrefix+"snapshot")
	if err := errors.Join(makeDir(fs, d.dir), fs.RemoveAll(tmp)); err != nil {
		return s, err
	}
	if err := store.Sync(); err != nil {
		return s, err
	}
	if err := store.checkpoint(tmp); err != nil {
		return s, err
	}
	if s, err = label(tmp, d.opts); err != nil {
		return s, errors.Join(err, fs.RemoveAll(tmp))
	}
	final := d.path(s.Seq)
	if exists(fs, final, snapshotFile) && !exists(fs, final, condemnedFile) {
		return s, fs.RemoveAll(tmp)
	}
	if err := errors.Join(fs.RemoveAll(final), fs.Rename(tmp, final)); err != nil {
		return s, err
	}
	return s, syncDir(fs, d.dir)
}

// label makes the file SNAPSHOT of a copy of a store.
func label(dir string, opts Options) (s Snapshot, err error) {
	store, err := openReadOnly(dir, opts)
	if err != nil {
		return s, err
	}
	defer closeInto(store, &err)
	at, err := store.Checkpoint()
	if err != nil {
		return s, err
	}
	s = Snapshot{Fold: at.Fold, Ledger: at.Ledger, Seq: at.Seq, Hash: at.Hash}
	return s, s.write(dir, opts)
}

func (s *Snapshot) write(dir string, opts Options) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(opts.FS, dir, snapshotFile, append(b, '\n'))
}

// describe computes the digests of a snapshot that has none, at a moderate pace: with many rows that takes longer than it takes
// until the next snapshot is due. A state of the past can do without; a new generation of the views begins with
// a snapshot that has them.
func (d *snapshots) describe(ctx context.Context, s Snapshot) (Snapshot, error) {
	digests, err := d.digests(ctx, s, newPace(ctx, d.opts.Clock).rest)
	if err != nil {
		return s, err
	}
	s.Digests = digests
	d.taking.Lock() // it may have been thinned out
	defer d.taking.Unlock()
	if !exists(d.opts.FS, d.path(s.Seq), snapshotFile) {
		return s, nil
	}
	return s, s.write(d.path(s.Seq), d.opts)
}

// undescribed returns the newest snapshot that has no digests, and whether there is one.
func (d *snapshots) undescribed() (Snapshot, bool, error) {
	all, err := d.list()
	for _, s := range slices.Backward(all) {
		if len(s.Digests) == 0 {
			return s, true, nil
		}
	}
	return Snapshot{}, false, err
}

// A pace makes work that nobody waits for rest three times as long as it takes.
type pace struct {
	ctx   context.Context
	clock func() time.Time
	start time.Time
	bytes int
}

// stretch is how many bytes are worked through between two rests.
const stretch = 2 << 20

func newPace(ctx context.Context, clock func() time.Time) *pace {
	return &pace{ctx: ctx, clock: clock, start: clock()}
}

func (p *pace) rest(bytes int) error {
	if p.bytes += bytes; p.bytes < stretch {
		return nil
	}
	p.bytes = 0
	t := time.NewTimer(3 * p.clock().Sub(p.start))
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
	p.start = p.clock()
	return nil
}

// thin removes snapshots that are not worth their place, and what is left of attempts to make some.
//
// The newest KeepRecent are kept. Of older ones, those stay that are the first in their stretch of the log; the
// stretches double in length each time that the distance from the newest snapshot doubles. So up to
// KeepRecent × SnapshotEvery records back a state of the past is within SnapshotEvery records of a snapshot, further back
// within two fifths of its distance from now, and the number of snapshots grows with the logarithm of the log.
func (d *snapshots) thin() error {
	d.taking.Lock()
	defer d.taking.Unlock()
	names, err := list(d.opts.FS, d.dir)
	if err != nil {
		return err
	}
	good, err := d.list()
	if err != nil || len(good) == 0 {
		return err
	}
	kept := make(map[string]bool)
	d.mu.Lock()
	for seq := range d.open {
		kept[d.opts.FS.PathBase(d.path(seq))] = true
	}
	d.mu.Unlock()
	for _, s := range d.worthKeeping(good) {
		kept[d.opts.FS.PathBase(d.path(s.Seq))] = true
	}
	removed := false
	for _, name := range names {
		if _, err := strconv.ParseUint(name, 10, 64); err == nil && !kept[name] {
			if err := d.opts.FS.RemoveAll(d.opts.FS.PathJoin(d.dir, name)); err != nil {
				return err
			}
			removed = true
		}
	}
	if !removed {
		return nil
	}
	return syncDir(d.opts.FS, d.dir)
}

// worthKeeping returns those of the snapshots, which come oldest first, that thin keeps.
func (d *snapshots) worthKeeping(all []Snapshot) (kept []Snapshot) {
	newest := all[len(all)-1].Seq
	var last uint64
	for i, s := range all {
		n := uint64(s.Seq / d.opts.SnapshotEvery)
		distance := uint64((newest - s.Seq) / d.opts.SnapshotEvery)
		length := bits.Len64(distance / uint64(d.opts.KeepRecent))
		if i == 0 || i >= len(all)-d.opts.KeepRecent || n>>length != last>>length {
			kept = append(kept, s)
			last = n
		}
	}
	return kept
}

// removeUnfinished removes what a crash has left of attempts to make snapshots.
func (d *snapshots) removeUnfinished() error {
	names, err := list(d.opts.FS, d.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, tmpPrefix) {
			if err := d.opts.FS.RemoveAll(d.opts.FS.PathJoin(d.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
