package ledger

import (
	"bytes"
	"context"
	"fmt"

	"tallystick/events"
)

// Append adds a group of records to the end of the log and returns before they are
// on disk. The group and the bytes of its records belong to the log afterwards, and
// must not be changed.
//
// A [*RefusedError] means that nothing was written: a record does not follow the one
// before it in sequence, time or command, is of another ledger, moves money that does
// not balance, has no bytes or hash, or has the dedupe key of another record. Append
// trusts Bytes and Hash to be those of the record, as [events.NewRecord] made it.
//
// Append blocks while Options.MaxInFlight groups wait for the disk. One goroutine at
// a time may call it.
func (l *Log) Append(records []events.Record) error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	return l.appendLocked(records)
}

func (l *Log) appendLocked(records []events.Record) error {
	switch {
	case l.closing:
		return ErrClosed
	case l.opts.ReadOnly:
		return ErrReadOnly
	case len(records) == 0:
		return nil
	}
	if err := l.Err(); err != nil {
		return err
	}
	g := &group{records: records, hashes: make([]uint64, len(records)), done: make(chan struct{})}
	l.seen.reset(len(records))
	head := l.Head()
	for i := range records {
		rec := &records[i]
		if err := follows(head, rec); err != nil {
			return err
		}
		head = headOf(rec)
		g.bytes += len(rec.Bytes)
		if rec.Key == "" {
			continue
		}
		hash := l.index.hashParts(&rec.Merchant, l.scopes.of(rec.Event.Kind()), rec.Key)
		if err := l.checkUnused(g, i, hash); err != nil {
			return err
		}
		g.hashes[i] = hash
	}
	select {
	case l.slots <- struct{}{}:
	case <-l.fail.ch:
		return l.Err()
	}
	l.mu.Lock()
	l.head = head
	l.tail.push(g, l.durable)
	l.mu.Unlock()
	g.full = l.index.add(g)
	l.queue <- g // has room for as many groups as there are slots
	return nil
}

// follows returns nil if rec may follow head.
func follows(head Head, rec *events.Record) error {
	switch {
	case rec.Seq != head.Seq+1:
		return refuse(rec.Seq, "the head is at %d", head.Seq)
	case rec.Event == nil || len(rec.Bytes) == 0 || rec.Hash == events.Hash{}:
		return refuse(rec.Seq, "it was not encoded")
	case len(rec.Bytes) > events.MaxRecordBytes:
		return refuse(rec.Seq, "it has %d bytes", len(rec.Bytes))
	case rec.Ledger.IsZero():
		return refuse(rec.Seq, "it names no ledger")
	case !rec.Event.Money().Balanced():
		return refuse(rec.Seq, "its postings do not balance")
	}
	if head.Seq == 0 {
		return nil
	}
	switch {
	case rec.Ledger != head.Ledger:
		return refuse(rec.Seq, "it is of ledger %s, not %s", rec.Ledger, head.Ledger)
	case rec.RecordedAt < head.RecordedAt:
		return refuse(rec.Seq, "it was recorded at %s, before %s", rec.RecordedAt, head.RecordedAt)
	case bytes.Compare(rec.Command[:], head.Command[:]) < 0:
		return refuse(rec.Seq, "its command %s is before %s", rec.Command, head.Command)
	}
	return nil
}

// WaitDurable returns nil once the record seq is on disk. It returns [ErrFailed]
// once the log has failed: then it is unknown whether it is. A record that was not
// appended yet is not waited for; it is an [ErrNoRecord].
func (l *Log) WaitDurable(ctx context.Context, seq events.Seq) error {
	l.mu.Lock()
	if seq <= l.durable {
		l.mu.Unlock()
		return nil
	}
	g := l.tail.group(seq)
	l.mu.Unlock()
	if g == nil {
		return fmt.Errorf("waiting for record %d: %w", seq, ErrNoRecord)
	}
	select {
	case <-g.done:
		return nil
	case <-l.fail.ch:
		return l.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
