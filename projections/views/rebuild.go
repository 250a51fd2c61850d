package views

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"tallystick/events"
	"tallystick/projections"
)

// RebuildOptions say how a rebuild goes.
type RebuildOptions struct {
	Accept   bool                         // put the rebuilt views in place of live ones that differ
	Progress func(done, total events.Seq) // is called now and then, may be nil
}

// Rebuilt is the outcome of a rebuild.
type Rebuilt struct {
	Seq        events.Seq  `json:"sequence"` // at which live and rebuilt views were compared
	Live       []Digest    `json:"live"`
	Rebuilt    []Digest    `json:"rebuilt"`
	Difference *Difference `json:"difference,omitempty"` // the first one, nil if they are equal
	LiveErr    error       `json:"-"`                    // why the live views could not be read, nil if they could
	Swapped    bool        `json:"swapped"`              // whether the rebuilt views are in use
}

// Equal reports whether the live views were what the log makes of them.
func (r *Rebuilt) Equal() bool { return r.LiveErr == nil && r.Difference == nil }

// Rebuild makes the views again from the first record, beside the live ones, which stay in use meanwhile; compares both
// at the same sequence; and puts the new ones in place of the live ones if they are equal, or if it is told to
// accept a difference. Otherwise it removes the new ones. It returns [ErrBusy] while another rebuild is under way.
func (v *Views) Rebuild(ctx context.Context, opts RebuildOptions) (res Rebuilt, err error) {
	if !v.rebuild.TryLock() {
		return res, ErrBusy
	}
	defer v.rebuild.Unlock()
	if opts.Progress == nil {
		opts.Progress = func(events.Seq, events.Seq) {}
	}
	live, err := v.Reader(ctx, 0)
	if errors.Is(err, ErrClosed) {
		return res, err
	}
	res.LiveErr, res.Seq = err, v.log.Durable()
	if live != nil {
		defer closeInto(live, &err)
		res.Seq = live.Seq()
	}
	n, err := v.fs.next()
	if err != nil {
		return res, err
	}
	store, err := CreateStore(v.fs.path(n), v.opts)
	if err != nil {
		return res, fmt.Errorf("rebuilding views: %w", err)
	}
	if err = v.refold(ctx, store, res.Seq, opts.Progress); err == nil {
		synced := make(chan error, 1)
		go func() { synced <- store.Sync() }()
		err = errors.Join(compare(ctx, live, store, &res), <-synced)
	}
	if err == nil && (res.Equal() || opts.Accept) {
		err = v.replace(ctx, newGeneration(n, store))
		res.Swapped = err == nil
	}
	if !res.Swapped {
		err = errors.Join(err, store.Close(), v.opts.FS.RemoveAll(v.fs.path(n)))
	}
	if err != nil {
		return res, fmt.Errorf("rebuilding views: %w", err)
	}
	return res, nil
}

// refold brings an empty store to record to. It does not wait for the disk.
func (v *Views) refold(ctx context.Context, store *Store, to events.Seq, progress func(done, total events.Seq)) error {
	books := projections.NewBooks(projections.ForViews)
	books.Attach(store, events.LedgerID{}, 0)
	var hash events.Hash
	flush := func() error {
		if err := store.Flush(books, hash); err != nil {
			return err
		}
		books.Shrink(v.opts.MaxRows)
		return nil
	}
	err := replay(ctx, v.log, books, to, func(last *events.Record) error {
		hash = last.Hash
		progress(last.Seq, to)
		if books.Changes() < v.opts.MaxChanges {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// foldChunk is how many records are folded at a time.
const foldChunk = 1024

// replay applies the records of log that books lacks, up to record to. It calls each after each chunk with its last
// record. Panics of the folds become errors.
func replay(ctx context.Context, log Log, books *projections.Books, to events.Seq, each func(last *events.Record) error) (err error) {
	defer recoverFold(&err)
	from := books.Applied() + 1
	if from > to {
		return nil
	}
	chunk := make([]events.Record, 0, foldChunk)
	apply := func() error {
		if len(chunk) == 0 {
			return nil
		}
		if err := books.ApplyAll(chunk); err != nil {
			return err
		}
		last := chunk[len(chunk)-1]
		chunk = chunk[:0]
		return each(&last)
	}
	err = log.Scan(ctx, from, to, func(rec events.Record) error {
		if chunk = append(chunk, rec); len(chunk) < foldChunk {
			return nil
		}
		return apply()
	})
	if err == nil {
		err = apply()
	}
	if err == nil && books.Applied() != to {
		err = fmt.Errorf("the log ends at record %d, where %d was due", books.Applied(), to)
	}
	return err
}

// compare fills in how live views and rebuilt ones relate. live is nil if they cannot be read.
func compare(ctx context.Context, live *Reader, store *Store, res *Rebuilt) (err error) {
	rebuilt, err := store.Reader()
	if err != nil {
		return err
	}
	defer closeInto(rebuilt, &err)
	var liveErr error
	var comparing sync.WaitGroup
	if live != nil {
		comparing.Go(func() { res.Live, liveErr = live.Digests(ctx) })
	}
	res.Rebuilt, err = rebuilt.Digests(ctx)
	comparing.Wait()
	if err != nil || live == nil {
		return err
	}
	if err = liveErr; err == nil && !slices.Equal(res.Live, res.Rebuilt) {
		res.Difference, err = firstDifference(ctx, live, rebuilt)
	}
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrFailed) {
		res.LiveErr, err = err, nil
	}
	return err
}

// replace puts g in place of the live views, once it is as far as they are.
func (v *Views) replace(ctx context.Context, g *generation) error {
	v.mu.Lock()
	follow, live := v.follow, v.current.runner
	v.mu.Unlock()
	if follow != nil && live != nil {
		if err := v.run(g); err != nil {
			return err
		}
		if err := g.runner.WaitFor(ctx, live.Flushed()); err != nil {
			return errors.Join(err, g.runner.Stop())
		}
	}
	if err := v.fs.setCurrent(g.number); err != nil {
		if g.runner != nil {
			err = errors.Join(err, g.runner.Stop())
		}
		return err
	}
	return v.swap(g)
}
