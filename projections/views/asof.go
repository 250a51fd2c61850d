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
//
// With an extract, only the rows that it needs are of that time. That takes a fraction of the time, for the records of others
// are passed over.
func (v *Views) AsOf(ctx context.Context, seq events.Seq, x *projections.Extract) (*Reader, error) {
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
			r, err = v.later(ctx, r, seq, x)
		}
		if err == nil || ctx.Err() != nil {
			return r, err
		}
		if x != nil {
			v.opts.Logger.Warn("an extract of the past cannot be made; all of it is", "sequence", seq, "why", err)
			return v.AsOf(ctx, seq, nil)
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
func (v *Views) later(ctx context.Context, base *Reader, seq events.Seq, x *projections.Extract) (*Reader, error) {
	purpose := projections.ForHistory
	if x != nil {
		purpose = projections.ForExtract
	}
	books := projections.NewBooks(purpose)
	books.Attach(base, base.at.Ledger, base.at.Seq)
	hash := base.at.Hash
	var err error
	if x != nil && base.Seq() < seq {
		hash, err = extract(ctx, v.log, books, seq, x)
	} else {
		err = replay(ctx, v.log, books, seq, func(last *events.Record) error {
			hash = last.Hash
			return nil
		})
	}
	if err != nil {
		return nil, errors.Join(err, base.Close())
	}
	r := &Reader{
		at:     Checkpoint{projections.FoldVersion, seq, books.Ledger(), hash},
		tables: base.tables, db: base.db, fail: base.fail, later: newOverlay(books), hidden: make(map[byte]bool), close: base.Close,
	}
	for _, t := range base.tables.Tables() {
		r.hidden[t.ID] = purpose.Omits(t)
	}
	return r, nil
}

// extract brings books up to date with record to, as far as x needs, and returns the leaf hash of that record.
func extract(ctx context.Context, log Log, books *projections.Books, to events.Seq, x *projections.Extract) (hash events.Hash, err error) {
	defer recoverFold(&err)
	err = log.ScanSome(ctx, books.Applied()+1, to, x.Wants, func(rec events.Record) error {
		books.ApplyExtract(&rec, x)
		return nil
	})
	if err != nil {
		return hash, err
	}
	last, err := log.Record(to)
	return last.Hash, err
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
