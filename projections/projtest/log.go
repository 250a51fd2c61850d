package projtest

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"tallystick/events"
)

// Log keeps records in memory as a ledger's log does: encoded. Any goroutine may use it.
type Log struct {
	mu      sync.Mutex // guards the fields below
	records [][]byte
	more    chan struct{} // closed and replaced when records are appended
}

// NewLog returns a log of the given records, which follow one another from sequence 1 on.
func NewLog(recs ...events.Record) *Log {
	l := &Log{more: make(chan struct{})}
	l.Append(recs...)
	return l
}

// Append adds records, which follow the last one. They are durable at once.
func (l *Log) Append(recs ...events.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range recs {
		if want := events.Seq(len(l.records) + 1); recs[i].Seq != want {
			panic(fmt.Sprintf("projtest: record %d appended where %d is due", recs[i].Seq, want))
		}
		l.records = append(l.records, recs[i].Bytes)
	}
	close(l.more)
	l.more = make(chan struct{})
}

// Durable returns the last record.
func (l *Log) Durable() events.Seq {
	l.mu.Lock()
	defer l.mu.Unlock()
	return events.Seq(len(l.records))
}

// Record returns one record.
func (l *Log) Record(seq events.Seq) (events.Record, error) {
	recs, err := l.chunk(seq, seq, nil)
	if err != nil || len(recs) == 0 {
		return events.Record{}, fmt.Errorf("no record %d: %w", seq, err)
	}
	return recs[0], nil
}

// chunk decodes the records from from to to, as far as there are any.
func (l *Log) chunk(from, to events.Seq, want func([]byte) bool) ([]events.Record, error) {
	l.mu.Lock()
	all := l.records
	l.mu.Unlock()
	to = min(to, events.Seq(len(all)))
	if from > to || from == 0 {
		return nil, nil
	}
	recs := make([]events.Record, 0, to-from+1)
	for _, b := range all[from-1 : to] {
		if want != nil && !want(b) {
			continue
		}
		rec, err := events.DecodeRecord(b)
		if err != nil {
			return nil, err
		}
		recs = append(recs, rec)
	}
	return recs, nil
}

// chunkSize is how many records are decoded at a time.
const chunkSize = 1024

// Scan calls fn with the records from from to to, in order. Other goroutines decode ahead of it.
func (l *Log) Scan(ctx context.Context, from, to events.Seq, fn func(events.Record) error) error {
	return l.ScanSome(ctx, from, to, nil, fn)
}

// ScanSome is Scan for the records whose bytes are wanted.
func (l *Log) ScanSome(ctx context.Context, from, to events.Seq, want func([]byte) bool, fn func(events.Record) error) error {
	type result struct {
		recs []events.Record
		err  error
	}
	var decoders sync.WaitGroup
	defer decoders.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slots := make(chan chan result, runtime.GOMAXPROCS(0)+1)
	decoders.Go(func() {
		defer close(slots)
		for first := from; first <= min(to, l.Durable()); first += chunkSize {
			slot := make(chan result, 1)
			select {
			case slots <- slot:
			case <-ctx.Done():
				return
			}
			decoders.Go(func() {
				recs, err := l.chunk(first, min(to, first+chunkSize-1), want)
				slot <- result{recs, err}
			})
		}
	})
	for slot := range slots {
		r := <-slot
		if r.err != nil {
			return r.err
		}
		for i := range r.recs {
			if err := fn(r.recs[i]); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// Follow returns a follower whose first record is from.
func (l *Log) Follow(from events.Seq) *Follower { return &Follower{log: l, next: from} }

// Follower gives the records of a log and waits for more.
type Follower struct {
	log  *Log
	next events.Seq
}

// Next returns the records after those it has returned.
func (f *Follower) Next(ctx context.Context) ([]events.Record, error) {
	for {
		f.log.mu.Lock()
		more := f.log.more
		f.log.mu.Unlock()
		recs, err := f.log.chunk(f.next, f.next+chunkSize-1, nil)
		if err != nil || len(recs) > 0 {
			f.next += events.Seq(len(recs))
			return recs, err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
