package commands

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"tallystick/events"
)

// memLog is a log in memory. It checks what a log must check, and can be told to hold back durability, or to fail.
type memLog struct {
	mu      sync.Mutex // guards the fields below
	records []events.Record
	keys    map[events.DedupeKey]int
	durable events.Seq
	held    bool          // what is appended becomes durable with sync only
	err     error         // why the log has failed
	changed chan struct{} // closed when durable or err changes
}

func newMemLog() *memLog {
	return &memLog{keys: make(map[events.DedupeKey]int), changed: make(chan struct{})}
}

func (l *memLog) Append(group []events.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	for i := range group {
		rec := &group[i]
		if err := l.follows(rec); err != nil {
			return err
		}
		l.records = append(l.records, *rec)
		if key, ok := rec.DedupeKey(); ok {
			if _, used := l.keys[key]; used {
				return fmt.Errorf("record %d: its key was used before", rec.Seq)
			}
			l.keys[key] = len(l.records) - 1
		}
	}
	if !l.held {
		l.raise()
	}
	return nil
}

// follows returns nil if rec may follow what is there.
func (l *memLog) follows(rec *events.Record) error {
	var last events.Record
	if n := len(l.records); n > 0 {
		last = l.records[n-1]
	}
	switch {
	case rec.Seq != last.Seq+1:
		return fmt.Errorf("record %d after %d", rec.Seq, last.Seq)
	case rec.RecordedAt < last.RecordedAt, string(rec.Command[:]) < string(last.Command[:]):
		return fmt.Errorf("record %d goes back in time or command", rec.Seq)
	case last.Seq != 0 && rec.Ledger != last.Ledger, rec.Ledger.IsZero():
		return fmt.Errorf("record %d is of another ledger", rec.Seq)
	case !rec.Event.Money().Balanced():
		return fmt.Errorf("record %d does not balance", rec.Seq)
	case events.LeafHash(rec.Bytes) != rec.Hash:
		return fmt.Errorf("record %d has a wrong hash", rec.Seq)
	}
	return nil
}

func (l *memLog) raise() {
	l.durable = events.Seq(len(l.records))
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *memLog) Lookup(key events.DedupeKey) (events.Record, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return events.Record{}, false, l.err
	}
	i, ok := l.keys[key]
	if !ok {
		return events.Record{}, false, nil
	}
	rec, err := events.DecodeRecord(l.records[i].Bytes)
	return rec, true, err
}

func (l *memLog) WaitDurable(ctx context.Context, seq events.Seq) error {
	for {
		l.mu.Lock()
		durable, err, changed := l.durable, l.err, l.changed
		l.mu.Unlock()
		if err != nil {
			return err
		}
		if durable >= seq {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hold keeps what is appended from becoming durable until sync is called.
func (l *memLog) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = true
}

// sync makes all that was appended durable.
func (l *memLog) sync() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.raise()
}

var errDisk = errors.New("no space left on device")

// fail lets the log fail.
func (l *memLog) fail() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errDisk
	close(l.changed)
	l.changed = make(chan struct{})
}
