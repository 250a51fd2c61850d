package ledger

import (
	"context"

	"tallystick/events"
)

// Follower reads the log from some record on and waits for more at its end. One
// goroutine at a time may use it; it need not be closed.
type Follower struct {
	log  *Log
	next events.Seq
}

// Follow returns a follower whose first record is from.
func (l *Log) Follow(from events.Seq) *Follower {
	return &Follower{log: l, next: max(from, 1)}
}

// Next returns the records that follow those it returned before: at least one, all
// durable, in order, without gaps, and at most some thousands. It waits where there
// are none. The records are shared with other readers and must not be changed.
//
// Near the head they come from memory as they were appended. After what is durable
// was delivered it returns [ErrFailed] if the log has failed, and [ErrClosed] if it
// was closed.
func (f *Follower) Next(ctx context.Context) ([]events.Record, error) {
	l := f.log
	for {
		l.mu.Lock()
		durable := l.durable
		var records []events.Record
		var raised chan struct{}
		if f.next <= durable {
			records = l.tail.find(f.next)
		} else {
			if l.raised == nil {
				l.raised = make(chan struct{})
			}
			raised = l.raised
		}
		l.mu.Unlock()

		if raised == nil {
			var err error
			if records == nil {
				records, err = f.read(ctx, durable)
			}
			if len(records) > 0 { // an error behind them comes again
				err = nil
			}
			f.next += events.Seq(len(records))
			return records, err
		}
		select {
		case <-raised:
		case <-l.fail.ch:
			return nil, l.Err()
		case <-l.closed:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// read returns records from the store.
func (f *Follower) read(ctx context.Context, durable events.Seq) ([]events.Record, error) {
	if err := f.log.enter(); err != nil {
		return nil, err
	}
	defer f.log.leave()
	return f.log.source().readChunk(ctx, f.next, durable, nil)
}
