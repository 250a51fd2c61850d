package ledger

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"tallystick/events"
)

// Cursor returns where the named reader of the log stands, 0 if it has never said so.
func (l *Log) Cursor(name string) events.Seq {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cursors[name]
}

// SetCursor says where the named reader of the log stands: at a durable record, or at 0.
// It is written with the next group, or soon: after a crash the cursor may be an older
// one, so a reader must bear to see records twice.
func (l *Log) SetCursor(name string, seq events.Seq) error {
	if l.opts.ReadOnly {
		return ErrReadOnly
	}
	if err := l.Err(); err != nil {
		return err
	}
	if err := l.setCursor(name, seq); err != nil {
		return err
	}
	l.wake(l.kick)
	return nil
}

func (l *Log) setCursor(name string, seq events.Seq) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq > l.durable {
		return fmt.Errorf("cursor %s at record %d: %w", name, seq, ErrNoRecord)
	}
	l.cursors[name] = seq
	l.changed[name] = struct{}{}
	return nil
}

func (l *Log) loadCursors() (err error) {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixCursor}, UpperBound: []byte{prefixCursor + 1}})
	if err != nil {
		return storeError(err)
	}
	defer closeInto(it, &err)
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return corruption(0, "a cursor", err)
		}
		name := string(it.Key()[1:])
		if l.cursors[name], err = parseSeqValue(v); err != nil {
			return &CorruptError{What: "cursor " + name, Err: err}
		}
	}
	return corruption(0, "cursors", it.Error())
}

// fillCursors puts the cursors that have changed into b.
func (l *Log) fillCursors(b *pebble.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.changed {
		if err := b.Set(cursorKey(name), seqValue(l.cursors[name]), nil); err != nil {
			return err
		}
	}
	clear(l.changed)
	return nil
}
