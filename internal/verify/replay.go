package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"tallystick/events"
	"tallystick/projections"
	"tallystick/projections/views"
)

// replay works through all records once: it does all billing again, and folds all views again.
func (v *verification) replay(ctx context.Context) {
	r := &replaying{v: v, ctx: ctx, auditor: newAuditor(), people: make(map[events.OrganizationID]bool)}
	if v.sub.Views != nil {
		r.prepare()
	}
	size := v.report.Size
	err := v.sub.Log.Scan(ctx, 1, size, func(rec events.Record) error {
		r.record(rec)
		if rec.Seq%1024 == 0 || rec.Seq == size {
			v.opts.Progress("replay", rec.Seq, size)
		}
		return nil
	})
	if err == nil {
		r.folds(size)
		if r.billing == nil {
			r.billing = r.rest(size)
		}
		if r.billing == nil {
			r.billing = r.auditor.finished()
		}
	}
	unread := ""
	if err != nil {
		unread = "the log cannot be read to its end"
		r.billing = errors.Join(r.billing, err)
	}
	v.add("billing", fmt.Sprintf("%d usage events, %d invoices", r.auditor.reported, r.auditor.issued), r.billing)
	r.finish(unread)
	if v.sub.Keys == nil {
		v.skip("keys", "they were not given")
		return
	}
	detail, err := r.keys()
	v.add("keys", detail, err)
}

// replaying is one replay.
type replaying struct {
	v       *verification
	ctx     context.Context //nolint:containedctx // lives as long as the call
	auditor *auditor
	billing error                          // the first finding
	command events.CommandID               // of the last record
	people  map[events.OrganizationID]bool // consumers, and whether they are erased

	store     *views.Store // nil: nothing is folded
	books     *projections.Books
	chunk     []events.Record
	hash      events.Hash
	live      []views.Digest
	liveAt    events.Seq
	snapshots []views.Snapshot // not yet passed
	passed    int
	viewsErr  error // the first finding about live views
	snapsErr  error // the first about snapshots
	checked   bool  // the live views were compared
}

// foldChunk is how many records are folded at a time.
const foldChunk = 1024

// prepare asks for the digests that are to be compared, and makes a store to fold into.
func (r *replaying) prepare() {
	v := r.v.sub.Views
	if r.viewsErr = v.WaitFor(r.ctx, r.v.report.Size); r.viewsErr != nil {
		r.viewsErr = fmt.Errorf("waiting for the live views: %w", r.viewsErr)
		return
	}
	if r.live, r.liveAt, r.viewsErr = v.Digests(r.ctx); r.viewsErr != nil {
		return
	}
	r.v.report.Size = max(r.v.report.Size, r.liveAt) // appended meanwhile
	if r.snapshots, r.snapsErr = v.Snapshots(); r.snapsErr != nil {
		return
	}
	if r.store, r.viewsErr = views.CreateStore(r.v.sub.Scratch, views.Options{NoSnapshots: true}); r.viewsErr != nil {
		return
	}
	r.books = projections.NewBooks(projections.ForViews)
	r.books.Attach(r.store, events.LedgerID{}, 0)
}

// rest does the billing of what the last command has recorded behind size, if anything: of a ledger that is in use, size may be
// in the middle of what one command records, where things do not add up yet.
func (r *replaying) rest(size events.Seq) error {
	log := r.v.sub.Log
	for next := size + 1; next <= log.Durable(); next++ {
		rec, err := log.Record(next)
		if err != nil || rec.Command != r.command {
			return err
		}
		if err := r.auditor.check(&rec); err != nil {
			return &Finding{rec.Seq, err}
		}
	}
	return nil
}

func (r *replaying) record(rec events.Record) {
	r.command = rec.Command
	if err := r.auditor.check(&rec); err != nil && r.billing == nil {
		r.billing = &Finding{rec.Seq, err}
	}
	if e, ok := rec.Event.(events.ConsumerCreated); ok {
		r.people[e.Consumer] = false
	}
	if e, ok := rec.Event.(events.EventHeld); ok {
		r.people[e.Body.Key] = false
	}
	for _, key := range events.DestroyedKeys(rec.Event) {
		r.people[key] = true
	}
	if r.store == nil {
		return
	}
	r.chunk = append(r.chunk, rec)
	if len(r.chunk) == foldChunk || rec.Seq == r.stop() {
		r.folds(rec.Seq)
	}
}

// stop returns the next sequence at which digests are compared.
func (r *replaying) stop() events.Seq {
	if len(r.snapshots) > 0 && r.snapshots[0].Seq < r.liveAt {
		return r.snapshots[0].Seq
	}
	return r.liveAt
}

// folds folds the records up to at, and compares digests where there are some for that sequence.
func (r *replaying) folds(at events.Seq) {
	if r.store == nil {
		return
	}
	err := r.fold()
	if err == nil && (r.books.Changes() >= 1<<17 || at == r.stop()) {
		err = r.flush(at)
	}
	if err != nil {
		r.viewsErr = errors.Join(err, r.close())
	}
}

// fold applies what has come. What a record that cannot follow makes the folds panic with is an error.
func (r *replaying) fold() (err error) {
	if len(r.chunk) == 0 {
		return nil
	}
	last := r.chunk[len(r.chunk)-1]
	defer func() {
		if p := recover(); p != nil {
			err = &Finding{r.books.Applied() + 1, fmt.Errorf("%v", p)}
		}
	}()
	if err := r.books.ApplyAll(r.chunk); err != nil {
		return err
	}
	r.hash, r.chunk = last.Hash, r.chunk[:0]
	return nil
}

func (r *replaying) flush(at events.Seq) error {
	if err := r.store.Flush(r.books, r.hash); err != nil {
		return err
	}
	r.books.Shrink(1 << 22)
	if at != r.stop() {
		return nil
	}
	rows, err := r.store.Reader()
	if err != nil {
		return err
	}
	again, err := rows.Digests(r.ctx)
	if err = errors.Join(err, rows.Close()); err != nil {
		return err
	}
	for len(r.snapshots) > 0 && r.snapshots[0].Seq <= at {
		r.snapshot(r.snapshots[0], at, again)
		r.snapshots = r.snapshots[1:]
	}
	if at == r.liveAt {
		r.checked = true
		r.viewsErr = differ(r.live, again)
	}
	return nil
}

// snapshot compares a snapshot, and what was noted of it, with the replay.
func (r *replaying) snapshot(s views.Snapshot, at events.Seq, again []views.Digest) {
	digests, err := r.v.sub.Views.SnapshotDigests(r.ctx, s)
	if err == nil && len(s.Digests) > 0 {
		err = differ(digests, s.Digests)
	}
	if err == nil && s.Seq == at {
		err = differ(digests, again)
	}
	if err != nil && r.snapsErr == nil {
		r.snapsErr = fmt.Errorf("snapshot %d: %w", s.Seq, err)
	}
	r.passed++
}

// differ returns which projection's digest is not what the replay came to, or nil.
func differ(got, want []views.Digest) error {
	if slices.Equal(got, want) {
		return nil
	}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			return fmt.Errorf("%s is not what the log makes of it", want[i].Projection)
		}
	}
	return fmt.Errorf("there are %d projections, not %d", len(got), len(want))
}

// finish reports on views and snapshots.
func (r *replaying) finish(unread string) {
	v := r.v
	if v.sub.Views == nil {
		v.skip("views", "they were not given")
		v.skip("snapshots", "they were not given")
		return
	}
	err := r.viewsErr
	if err == nil && r.checked {
		v.add("views", fmt.Sprintf("%d projections at sequence %d%s", len(r.live), r.liveAt, replaced(v.sub.Views)), nil)
	} else {
		if err == nil {
			err = errors.New(unread)
		}
		v.add("views", "", r.explain(err))
	}
	v.add("snapshots", fmt.Sprintf("%d snapshots", r.passed), r.snapsErr)
	if err := r.close(); err != nil {
		v.add("scratch", "", err)
	}
}

// replaced says what the views were made again for when they were opened, "" if they were not: who looks for damage
// is to hear of it, though it is mended.
func replaced(v *views.Views) string {
	why := v.Unusable()
	if why == nil {
		return ""
	}
	return fmt.Sprintf("; they were made again when they were opened: %v", why)
}

// explain adds to a difference the first row that differs.
func (r *replaying) explain(err error) error {
	if !r.checked {
		return err
	}
	again, failed := r.v.sub.Views.Rebuild(r.ctx, views.RebuildOptions{})
	if failed == nil && again.Difference != nil {
		return fmt.Errorf("%w: %s; `tally rebuild --accept` makes the views again", err, again.Difference)
	}
	return err
}

// close removes the store that was folded into.
func (r *replaying) close() error {
	if r.store == nil {
		return nil
	}
	err := r.store.Close()
	r.store = nil
	return errors.Join(err, os.RemoveAll(r.v.sub.Scratch))
}

// keys compares the keys that there are with the consumers.
func (r *replaying) keys() (string, error) {
	keys, tombstones, err := r.v.sub.Keys.Check(r.ctx)
	if err != nil {
		return "", err
	}
	detail := fmt.Sprintf("%d keys, %d destroyed", keys, tombstones)
	for consumer, erased := range r.people {
		switch {
		case erased && !r.gone(consumer):
			return detail, fmt.Errorf("consumer %s is erased, and its key is still there", consumer)
		case !erased && !r.v.sub.Keys.Has(consumer):
			return detail, fmt.Errorf("consumer %s is not erased, and has no key", consumer)
		}
	}
	return detail, nil
}

// gone reports whether a consumer's key is destroyed. It may be about to be.
func (r *replaying) gone(consumer events.OrganizationID) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 250 {
		if r.v.sub.Keys.Erased(consumer) {
			return true
		}
		select {
		case <-tick.C:
		case <-r.ctx.Done():
			return false
		}
	}
	return false
}
