package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sort"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"tallystick/events"
)

// get returns a copy of what db holds under key.
func get(db pebble.Reader, key []byte) ([]byte, error) {
	v, closer, err := db.Get(key)
	if err != nil {
		return nil, err
	}
	v = append([]byte(nil), v...)
	return v, closer.Close()
}

// closeInto closes c, and sets err unless there is one.
func closeInto(c io.Closer, err *error) {
	if e := c.Close(); *err == nil && e != nil {
		*err = e
	}
}

// decode reads the record that is stored as number seq.
func decode(seq events.Seq, b []byte) (events.Record, error) {
	rec, err := events.DecodeRecord(b)
	if err != nil {
		return rec, &CorruptError{Seq: seq, Err: err}
	}
	if rec.Seq != seq {
		return rec, &CorruptError{Seq: seq, What: fmt.Sprintf("it says that it is record %d", rec.Seq)}
	}
	return rec, nil
}

// Record returns a durable record. Its bytes are its own.
func (l *Log) Record(seq events.Seq) (events.Record, error) {
	if seq == 0 || seq > l.Durable() {
		return events.Record{}, fmt.Errorf("record %d: %w", seq, ErrNoRecord)
	}
	return l.record(seq)
}

// record is Record for any record that was appended.
func (l *Log) record(seq events.Seq) (events.Record, error) {
	l.mu.Lock()
	recent := l.tail.find(seq)
	l.mu.Unlock()
	if recent != nil {
		return recent[0], nil
	}
	if err := l.enter(); err != nil {
		return events.Record{}, err
	}
	defer l.leave()
	b, err := get(l.db, recordKey(nil, seq))
	if errors.Is(err, pebble.ErrNotFound) {
		return events.Record{}, &CorruptError{Seq: seq, What: "missing"}
	}
	if err != nil {
		return events.Record{}, corruption(seq, "", err)
	}
	return decode(seq, b)
}

// ScanBytes calls fn with the bytes of each durable record from from to to, both
// included, in order, until fn returns an error, which it returns. A to beyond the
// last durable record means that. The bytes are valid during the call only.
func (l *Log) ScanBytes(ctx context.Context, from, to events.Seq, fn func(events.Seq, []byte) error) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.leave()
	return l.source().scanBytes(ctx, max(from, 1), min(to, l.Durable()), fn)
}

// source is where records are read from: the store, or a snapshot of it. Reading ends when
// the log is closed.
type source struct {
	db     pebble.Reader
	closed <-chan struct{}
}

func (l *Log) source() source { return source{l.db, l.closed} }

// going returns why a reader should read no further, if there is a reason.
func (s source) going(ctx context.Context) error {
	select {
	case <-s.closed:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

func (s source) scanBytes(ctx context.Context, from, to events.Seq, fn func(events.Seq, []byte) error) (err error) {
	if from > to {
		return nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: recordKey(nil, from), UpperBound: recordKey(nil, to+1)})
	if err != nil {
		return err
	}
	defer closeInto(it, &err)
	next := from
	for ok := it.First(); ok; ok = it.Next() {
		if seq, err := seqOfKey(it.Key()); err != nil || seq != next {
			return errors.Join(&CorruptError{Seq: next, What: "missing"}, err)
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return corruption(next, "", err)
		}
		if next%256 == 0 {
			if err := s.going(ctx); err != nil {
				return err
			}
		}
		if err := fn(next, v); err != nil {
			return err
		}
		next++
	}
	if err := it.Error(); err != nil {
		return corruption(next, "", err)
	}
	if next != to+1 {
		return &CorruptError{Seq: next, What: "missing"}
	}
	return nil
}

// scanChunk is how many records are decoded at a time. Their bytes share one piece
// of memory.
const scanChunk = 1024

// readChunk returns the records from from to to, at most scanChunk of them, that are wanted. Those
// before an error are good.
func (s source) readChunk(ctx context.Context, from, to events.Seq, want func([]byte) bool) ([]events.Record, error) {
	to = min(to, from+scanChunk-1)
	type place struct {
		seq events.Seq
		end int
	}
	var arena []byte
	var places []place
	if want == nil { // all
		arena, places = make([]byte, 0, 384*scanChunk), make([]place, 0, scanChunk)
	}
	err := s.scanBytes(ctx, from, to, func(seq events.Seq, b []byte) error {
		if want == nil || want(b) {
			arena = append(arena, b...)
			places = append(places, place{seq, len(arena)})
		}
		return nil
	})
	records, start := make([]events.Record, 0, len(places)), 0
	for _, p := range places {
		rec, err := decode(p.seq, arena[start:p.end:p.end])
		if err != nil {
			return records, err
		}
		records, start = append(records, rec), p.end
	}
	return records, err
}

// Scan calls fn with each durable record from from to to, both included, in order,
// until fn returns an error, which it returns. A to beyond the last durable record
// means that. Records may be kept; they must not be changed.
//
// Records are read and decoded by other goroutines while fn is at work.
func (l *Log) Scan(ctx context.Context, from, to events.Seq, fn func(events.Record) error) error {
	return l.ScanSome(ctx, from, to, nil, fn)
}

// ScanSome is Scan for those records whose bytes are wanted; those of others are not decoded, only found to be there. Several
// goroutines call want, which may not keep the bytes.
func (l *Log) ScanSome(ctx context.Context, from, to events.Seq, want func([]byte) bool, fn func(events.Record) error) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.leave()
	return l.source().scan(ctx, max(from, 1), min(to, l.Durable()), want, fn)
}

// chunk is the outcome of reading some records.
type chunk struct {
	records []events.Record
	err     error
}

func (s source) scan(ctx context.Context, from, to events.Seq, want func([]byte) bool, fn func(events.Record) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	for c := range s.readAhead(ctx, &readers, from, to, want) {
		got := <-c
		for i := range got.records {
			if err := fn(got.records[i]); err != nil {
				return err
			}
		}
		if got.err != nil {
			return got.err
		}
	}
	return ctx.Err()
}

// readAhead reads records in goroutines that belong to readers and end with ctx. Each
// channel that it sends brings one chunk, in order.
func (s source) readAhead(ctx context.Context, readers *sync.WaitGroup, from, to events.Seq, want func([]byte) bool) <-chan chan chunk {
	workers := runtime.GOMAXPROCS(0)
	chunks := make(chan chan chunk, 2*workers)
	free := make(chan struct{}, workers)
	readers.Go(func() {
		defer close(chunks)
		for first := from; first <= to; first += scanChunk {
			c := make(chan chunk, 1)
			select {
			case chunks <- c:
			case <-ctx.Done():
				return
			}
			free <- struct{}{}
			readers.Go(func() {
				records, err := s.readChunk(ctx, first, to, want)
				c <- chunk{records, err}
				<-free
			})
		}
	})
	return chunks
}

// SeqAt returns the last durable record that was recorded at t or before, 0 if there
// is none.
func (l *Log) SeqAt(t events.Time) (events.Seq, error) {
	seq, err := l.search(func(rec *events.Record) bool { return rec.RecordedAt > t })
	return seq - 1, err
}

// SeqOf returns the first durable record of a command, and whether there is one.
func (l *Log) SeqOf(c events.CommandID) (events.Record, bool, error) {
	seq, err := l.search(func(rec *events.Record) bool { return bytes.Compare(rec.Command[:], c[:]) >= 0 })
	if err != nil || seq > l.Durable() {
		return events.Record{}, false, err
	}
	rec, err := l.Record(seq)
	return rec, err == nil && rec.Command == c, err
}

// search returns the first durable record for which beyond is true; it must be true
// for all after that. If there is none it returns the sequence after the last.
func (l *Log) search(beyond func(*events.Record) bool) (events.Seq, error) {
	var failed error
	n := sort.Search(int(l.Durable()), func(i int) bool {
		rec, err := l.Record(events.Seq(i + 1))
		if err != nil {
			failed = err
			return true
		}
		return beyond(&rec)
	})
	return events.Seq(n + 1), failed
}
