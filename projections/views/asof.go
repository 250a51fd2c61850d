package views

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tallystick/events"
	"tallystick/projections"
)

// AsOf returns the rows as they were when record seq had been applied: those of the nearest snapshot before it, or of
// the live views, and what the records after that changed, in memory. The rows of usage totals and journals
// are not kept of the past: reading them returns [ErrNotKept].
func (v *Views) AsOf(ctx context.Context, seq events.Seq) (*Reader, error) {
	if head := v.log.Durable(); seq > head {
		return nil, fmt.Errorf("the log ends at record %d, before %d", head, seq)
	}
	all, err := v.snapshots.list()
	if err != nil {
		return nil, err
	}
	bases := []func() (*Reader, error){func() (*Reader, error) { return v.Reader(ctx, 0) }}
	for _, s := range slices.Backward(all) {
		if s.Seq <= seq && v.belongs(s.checkpoint()) == nil {
			bases = append(bases, func() (*Reader, error) { return v.snapshots.reader(s) })
		}
	}
	bases = append(bases, v.nothing)
	var failed error
	for _, base := range bases {
		r, err := base()
		if err == nil && r.Seq() > seq { // the live views
			if err := r.Close(); err != nil {
				return nil, err
			}
			continue
		}
		if err == nil {
			r, err = v.later(ctx, r, seq)
		}
		if err == nil || ctx.Err() != nil {
			return r, err
		}
		failed = errors.Join(failed, err)
		v.opts.Logger.Warn("stored books cannot be used for a state of the past", "sequence", seq, "why", err)
	}
	return nil, fmt.Errorf("views as of sequence %d: %w", seq, failed)
}

// nothing returns the rows before the first record.
func (v *Views) nothing() (*Reader, error) {
	return &Reader{
		tables: projections.NewBooks(projections.ForViews), fail: newFailure(), close: func() error { return nil },
	}, nil
}

// later returns the rows of base with what the records after it, up to record seq, changed. The result closes base.
func (v *Views) later(ctx context.Context, base *Reader, seq events.Seq) (*Reader, error) {
	books := projections.NewBooks(projections.ForHistory)
	books.Attach(base, base.at.Ledger, base.at.Seq)
	hash := base.at.Hash
	err := replay(ctx, v.log, books, seq, func(last *events.Record) error {
		hash = last.Hash
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, base.Close())
	}
	r := &Reader{
		at:     Checkpoint{projections.FoldVersion, seq, books.Ledger(), hash},
		tables: base.tables, db: base.db, fail: base.fail, later: newOverlay(books), hidden: make(map[byte]bool), close: base.Close,
	}
	for _, t := range base.tables.Tables() {
		r.hidden[t.ID] = projections.ForHistory.Omits(t)
	}
	return r, nil
}

// SeqAtClock returns the last record that the ledger had when a test clock showed time t and nothing later, and false
// if the clock was not made by then. Where t lies within an advance of the clock, what was due by t belongs to it.
func (v *Views) SeqAtClock(ctx context.Context, clock events.TestClockID, t events.Time) (seq events.Seq, ok bool, err error) {
	r, err := v.Reader(ctx, 0)
	if err != nil {
		return 0, false, err
	}
	defer closeInto(r, &err)
	key := projections.JournalKey{What: projections.JournalOfClock}
	copy(key.ID[:], clock[:])
	var passing *events.Record // the advance that goes beyond t
	seq = r.Seq()
	err = r.Journal(ctx, key, 0, func(at events.Seq) error {
		rec, err := v.log.Record(at)
		if err != nil {
			return err
		}
		if e, is := rec.Event.(events.ClockCreated); is {
			ok = e.Now <= t
		}
		if e, is := rec.Event.(events.ClockAdvancing); is && e.To > t {
			passing = &rec
		}
		if e, is := rec.Event.(events.ClockAdvanced); is && e.To > t {
			seq = at - 1
			return ErrStop
		}
		return nil
	})
	if err != nil || !ok || passing == nil {
		return seq, ok, err
	}
	err = v.log.Scan(ctx, passing.Seq+1, seq, func(rec events.Record) error {
		if rec.Actor.Kind == events.ActorDue && rec.Merchant == passing.Merchant && rec.At > t {
			seq = rec.Seq - 1
			return ErrStop
		}
		return nil
	})
	if errors.Is(err, ErrStop) {
		err = nil
	}
	return seq, true, err
}
