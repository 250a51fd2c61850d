package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"tallystick/events"
)

// Relation says how a stream stands to the log.
type Relation int

// The relations there are. Any other is a [*ConflictError].
const (
	Equal  Relation = iota // the stream ends where the log does
	Behind                 // the stream ends earlier, with a record of the log: the rest is to be published
	Ahead                  // the stream goes on where the log ends: its tail may be imported
)

// String returns the relation as a word.
func (r Relation) String() string {
	switch r {
	case Equal:
		return "equal"
	case Behind:
		return "behind"
	case Ahead:
		return "ahead"
	}
	return fmt.Sprintf("relation(%d)", int(r))
}

// Comparison is how a stream was found to stand to the log.
type Comparison struct {
	Relation Relation
	Stream   State
	Log      events.Seq // where the log ends
}

// A ConflictError reports that a stream holds what the log does not. Nothing was changed.
type ConflictError struct {
	Seq    events.Seq // the first record known to differ
	Stream events.Seq // where the stream ends
	Log    events.Seq // where the log ends
	Err    error      // how it differs, where more is known
}

func (e *ConflictError) Error() string {
	msg := fmt.Sprintf("the stream LEDGER (up to record %d) and the log (up to record %d) differ at record %d", e.Stream, e.Log, e.Seq)
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	return msg + ". Another ledger publishes to this stream, or one of the two was restored from an older copy and went on: " +
		"see `tally verify`; `tally restore --from-nats` takes the stream's history, and deleting the stream makes it be published again"
}

// Unwrap returns how they differ.
func (e *ConflictError) Unwrap() error { return e.Err }

func isConflict(err error) bool {
	_, ok := errors.AsType[*ConflictError](err)
	return ok
}

// Compare finds how the stream stands to the log, by the bytes of their records. It is asked
// before anything is appended to the log: a log that was restored from an older
// copy must take the stream's tail first. A missing stream is made, and is Behind.
//
// Of what both hold, the first record, the last, and those behind the cursor are compared;
// since each record names its command, the ledger and its sequence, histories that
// part do not meet again. Of a tail that the stream has alone, every record is read and must be the next one of this
// ledger. Whether its signatures are right is for the caller to find out.
//
// Compare returns a [*ConflictError] for anything else, and other errors when it could not find out.
func (p *Publisher) Compare(ctx context.Context) (Comparison, error) {
	durable := p.opts.Log.Durable()
	state, err := p.ensure(ctx, durable)
	if err != nil {
		return Comparison{}, err
	}
	c := Comparison{Stream: state, Log: durable}
	switch {
	case state.Last < durable:
		c.Relation = Behind
	case state.Last > durable:
		c.Relation = Ahead
	}
	if err := p.sameAt(ctx, state, state.First); err != nil {
		return c, err
	}
	if err := p.same(ctx, state); err != nil {
		return c, err
	}
	if c.Relation == Ahead {
		return c, p.chains(ctx, c)
	}
	return c, nil
}

// same returns nil if the stream and the log hold the same where both end, as far as both
// reach, and in all that the stream is not known to hold rightly.
func (p *Publisher) same(ctx context.Context, state State) error {
	end := min(state.Last, p.opts.Log.Durable())
	p.mu.Lock()
	known := p.known
	p.mu.Unlock()
	from := max(known+1, state.First)
	if from > end {
		return p.sameAt(ctx, state, end)
	}
	err := p.opts.Target.Scan(ctx, from, end, func(seq events.Seq, b []byte) error { return p.equal(state, seq, b) })
	if err != nil {
		return fmt.Errorf("comparing the stream with the log: %w", err)
	}
	p.change(func() { p.known = max(p.known, end) })
	return nil
}

// sameAt returns nil if the stream and the log hold the same record at seq, or if not both of
// them hold one there.
func (p *Publisher) sameAt(ctx context.Context, state State, seq events.Seq) error {
	if seq == 0 || seq < state.First || seq > state.Last || seq > p.opts.Log.Durable() {
		return nil
	}
	b, err := p.opts.Target.Bytes(ctx, seq)
	if err != nil {
		return fmt.Errorf("reading record %d of the stream: %w", seq, err)
	}
	return p.equal(state, seq, b)
}

// equal returns nil if b is the log's record seq.
func (p *Publisher) equal(state State, seq events.Seq, b []byte) error {
	rec, err := p.opts.Log.Record(seq)
	if err != nil {
		return fmt.Errorf("reading record %d: %w", seq, err)
	}
	if !bytes.Equal(b, rec.Bytes) {
		return &ConflictError{Seq: seq, Stream: state.Last, Log: p.opts.Log.Durable()}
	}
	return nil
}

// chains returns nil if what the stream has more than the log goes on where the log ends.
func (p *Publisher) chains(ctx context.Context, c Comparison) error {
	if c.Stream.First > c.Log+1 {
		return &ConflictError{
			Seq: c.Log + 1, Stream: c.Stream.Last, Log: c.Log,
			Err: fmt.Errorf("the stream starts at record %d only", c.Stream.First),
		}
	}
	var last events.Record
	if c.Log > 0 {
		var err error
		if last, err = p.opts.Log.Record(c.Log); err != nil {
			return fmt.Errorf("reading record %d: %w", c.Log, err)
		}
	}
	err := p.opts.Target.Scan(ctx, c.Log+1, c.Stream.Last, func(seq events.Seq, b []byte) error {
		rec, err := events.DecodeUnhashed(b)
		switch {
		case err != nil:
		case rec.Seq != seq:
			err = fmt.Errorf("it calls itself record %d", rec.Seq)
		case seq > 1 && rec.Ledger != last.Ledger:
			err = fmt.Errorf("it belongs to ledger %s, not %s", rec.Ledger, last.Ledger)
		case rec.RecordedAt < last.RecordedAt:
			err = fmt.Errorf("it was recorded before its predecessor")
		}
		if err != nil {
			return &ConflictError{Seq: seq, Stream: c.Stream.Last, Log: c.Log, Err: err}
		}
		last = rec
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return &ConflictError{Seq: c.Log + 1, Stream: c.Stream.Last, Log: c.Log, Err: err}
	}
	return err
}

// Tail calls fn with what the stream has more than the log had when c was found, in order,
// some hundred records at a time. The bytes belong to fn.
func (p *Publisher) Tail(ctx context.Context, c Comparison, fn func([][]byte) error) error {
	const mostRecords, mostBytes = 512, 4 << 20
	var group [][]byte
	size := 0
	err := p.opts.Target.Scan(ctx, c.Log+1, c.Stream.Last, func(_ events.Seq, b []byte) error {
		group, size = append(group, bytes.Clone(b)), size+len(b)
		if len(group) < mostRecords && size < mostBytes {
			return nil
		}
		full := group
		group, size = nil, 0
		return fn(full)
	})
	if err != nil || len(group) == 0 {
		return err
	}
	return fn(group)
}
