package ledger

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/tlog"

	"tallystick/events"
)

// write is something to write that is not a group: a checkpoint.
type write struct {
	key, value []byte
	done       chan struct{} // closed when it is on disk
}

// pending is a batch that is on its way to the disk.
type pending struct {
	batch *pebble.Batch
	last  events.Seq      // of the groups in it; 0 if there are none
	done  []chan struct{} // to be closed when it is on disk
	slots int             // to be given back
	full  []fullRun       // of the dedupe index
}

// fullRun is a run that was written, with its fingerprints.
type fullRun struct {
	run    *run
	prints *prints
}

// maxBatchBytes bounds how much of what is queued goes into one batch.
const maxBatchBytes = 4 << 20

// sealAfter is how long the committer waits for more before it writes a seal: a batch of
// nothing, or of cursors, that says in the WAL how far it is on disk. So checkWAL can tell
// damage to the last group from one that was not written to its end. It costs an fsync, so it
// is not done where it would be in the way.
const sealAfter = 200 * time.Millisecond

// commit is the committer. It takes what is queued, puts it into one batch and gives
// it to Pebble. It does not wait for the disk, so that it can fill the next batch
// meanwhile.
func (l *Log) commit() {
	defer close(l.synced)
	idle := time.NewTimer(sealAfter)
	defer idle.Stop()
	for open := true; open; {
		var groups []*group
		var w *write
		select {
		case g, ok := <-l.queue:
			if open = ok; ok {
				groups = l.drain(g)
			}
		case w = <-l.writes:
		case <-l.kick:
			idle.Reset(sealAfter)
			continue
		case <-idle.C:
		}
		if err := l.apply(groups, w); err != nil {
			l.fail.mark(fmt.Errorf("writing: %w", err))
			return
		}
		if groups != nil || w != nil {
			idle.Reset(sealAfter)
		}
	}
}

// drain returns g and the groups that are queued behind it.
func (l *Log) drain(g *group) []*group {
	groups, size := []*group{g}, g.bytes
	for size < maxBatchBytes {
		select {
		case next, ok := <-l.queue:
			if !ok {
				return groups
			}
			groups, size = append(groups, next), size+next.bytes
		default:
			return groups
		}
	}
	return groups
}

// apply writes groups, w if it is not nil, and changed cursors in one batch, and sends
// the batch to the syncer. If there is nothing to write, the batch is a seal.
func (l *Log) apply(groups []*group, w *write) error {
	size := 1 << 10
	for _, g := range groups {
		size += g.bytes + 128*len(g.records)
	}
	p := pending{batch: l.db.NewBatchWithSize(size), slots: len(groups)}
	for _, g := range groups {
		if err := l.fill(p.batch, &p, g); err != nil {
			return err
		}
		p.last = g.last()
		p.done = append(p.done, g.done)
	}
	if w != nil {
		if err := p.batch.Set(w.key, w.value, nil); err != nil {
			return err
		}
		p.done = append(p.done, w.done)
	}
	if err := l.fillCursors(p.batch); err != nil {
		return err
	}
	if p.batch.Empty() {
		if err := p.batch.LogData(nil, nil); err != nil {
			return err
		}
	}
	if err := l.db.ApplyNoSyncWait(p.batch, pebble.Sync); err != nil {
		return err
	}
	for _, f := range p.full {
		l.index.settle(f.run, f.prints)
	}
	if len(p.full) > 0 {
		l.wake(l.full)
	}
	l.synced <- p
	return nil
}

// fill puts records and tree hashes of g into b, and the full block of the dedupe
// index, if there is one.
func (l *Log) fill(b *pebble.Batch, p *pending, g *group) error {
	for _, r := range g.full {
		entries := r.block.sorted()
		if err := r.write(b, entries); err != nil {
			return err
		}
		prints := newPrints(r)
		for _, e := range entries {
			prints.add(e)
		}
		prints.finish()
		p.full = append(p.full, fullRun{r, prints})
	}
	for i := range g.records {
		rec := &g.records[i]
		op := b.SetDeferred(9, len(rec.Bytes))
		recordKey(op.Key[:0], rec.Seq)
		copy(op.Value, rec.Bytes)
		if err := op.Finish(); err != nil {
			return err
		}
	}
	emit := func(level uint8, index uint64, h tlog.Hash) error {
		return b.Set(treeKey(nil, level, index), h[:], nil)
	}
	for i := range g.records {
		if err := l.tree.add(g.records[i].Hash, emit); err != nil {
			return err
		}
	}
	return nil
}

// sync is the syncer. It waits until one batch after the other is on disk. Where
// Pebble parked a goroutine on a failed write, the write may seem to have succeeded:
// the failure mark, set before, says that it has not.
func (l *Log) sync() {
	for p := range l.synced {
		began := l.opts.Clock()
		if err := p.batch.SyncWait(); err != nil {
			l.fail.mark(fmt.Errorf("syncing: %w", err))
		}
		l.opts.Synced(l.opts.Clock().Sub(began))
		if l.Err() != nil {
			return
		}
		if err := p.batch.Close(); err != nil {
			l.fail.mark(fmt.Errorf("after syncing: %w", err))
			return
		}
		if p.last != 0 {
			l.raise(p.last)
		}
		for _, done := range p.done {
			close(done)
		}
		for range p.slots {
			<-l.slots
		}
	}
}

// wake tells the goroutine that listens on ch, unless it has been told.
func (l *Log) wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// raise makes records up to seq visible.
func (l *Log) raise(seq events.Seq) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.durable = seq
	if l.raised != nil {
		close(l.raised)
		l.raised = nil
	}
}

// write writes one key and waits until it is on disk. It is not for keys of records.
func (l *Log) write(key, value []byte) error {
	if l.opts.ReadOnly {
		return ErrReadOnly
	}
	w := &write{key: key, value: value, done: make(chan struct{})}
	select {
	case l.writes <- w:
	case <-l.closed:
		return ErrClosed
	case <-l.fail.ch:
		return l.Err()
	}
	select {
	case <-w.done:
		return nil
	case <-l.fail.ch:
		return l.Err()
	}
}
