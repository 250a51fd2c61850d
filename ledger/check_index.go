package ledger

import (
	"container/heap"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"tallystick/events"
)

// entrySums says whether two multisets of index entries are the same: those of the
// records, in log order, and those of a run, in the order of their hashes. They are no
// defence against somebody who wants them to be equal, whom the index does not help:
// the records are what counts, and the tree is about them.
type entrySums struct{ count, a, b uint64 }

func (s *entrySums) add(entry uint64) {
	s.count++
	s.a += entry * 0x9E3779B97F4A7C15
	x := (entry ^ entry>>31) * 0xD6E8FEB86659FD93
	s.b += x ^ x>>29
}

// entry returns the run's entry for a record whose key has the hash.
func (r *run) entry(hash uint64, seq events.Seq) uint64 {
	return hash>>r.seqBits()<<r.seqBits() | uint64(seq-r.first)
}

// checkRun compares a run with the sums over its records.
func (c *checker) checkRun(r *run) error {
	var sums entrySums
	before, shift := uint64(0), 64-r.chunkBits()
	err := r.chunks(c.snap, func(chunk uint32, entries []uint64) error {
		for _, e := range entries {
			if uint32(e>>shift) != chunk || e>>r.seqBits() < before {
				return c.badEntry(r, e, "out of place")
			}
			before = e >> r.seqBits()
			sums.add(e)
		}
		return c.ctx.Err()
	})
	if err != nil {
		return err
	}
	if sums == c.sums && sums.count == r.count {
		return nil
	}
	return c.nameDifference(r)
}

func (c *checker) badEntry(r *run, e uint64, what string) error {
	seq := r.first + events.Seq(e&uint64(r.span()-1))
	return &CorruptError{Seq: seq, What: fmt.Sprintf("%s: entry %016x is %s", r, e, what)}
}

// nameDifference finds a record for which a run has no entry, or an entry for which there is no record.
func (c *checker) nameDifference(r *run) error {
	entries := make(map[uint64]int)
	err := r.chunks(c.snap, func(_ uint32, es []uint64) error {
		for _, e := range es {
			entries[e]++
		}
		return c.ctx.Err()
	})
	if err != nil {
		return err
	}
	err = c.source().scan(c.ctx, r.first, r.first+r.span()-1, nil, func(rec events.Record) error {
		key, ok := rec.DedupeKey()
		if !ok {
			return nil
		}
		e := r.entry(c.log.index.hash(key), rec.Seq)
		if entries[e] != 1 {
			return &CorruptError{Seq: rec.Seq, What: fmt.Sprintf("%s has its key %d times", r, entries[e])}
		}
		delete(entries, e)
		return nil
	})
	if err != nil {
		return err
	}
	for e := range entries {
		return c.badEntry(r, e, "that of no record")
	}
	return &CorruptError{What: fmt.Sprintf("%s: its header says %d", r, r.count)}
}

// checkUnique looks for two records with one dedupe key. It goes through all runs side
// by side, in the order of hashes, and looks at the records whose hashes are equal
// as far as all runs have them.
func (c *checker) checkUnique(runs []*run) (err error) {
	var streams entryHeap
	defer func() {
		for _, s := range streams {
			closeInto(s, &err)
		}
	}()
	coarse := c.last.bits
	for _, r := range runs {
		coarse = max(coarse, r.seqBits())
		s := &entryStream{run: r}
		if s.it, err = c.snap.NewIter(&pebble.IterOptions{LowerBound: r.chunkKey(0), UpperBound: r.after()}); err != nil {
			return err
		}
		streams = append(streams, s)
	}
	streams = append(streams, &entryStream{run: &run{blockBits: c.last.bits, first: c.last.first}, entries: c.last.sorted()})
	for _, s := range streams {
		if err := s.fill(); err != nil {
			return err
		}
	}
	heap.Init(&streams)
	var same []events.Seq // records whose hashes are equal
	var hash uint64
	for !streams[0].end {
		s := streams[0]
		if h := s.entries[0] >> coarse; h != hash {
			if err := c.checkDifferent(same); err != nil {
				return err
			}
			same, hash = same[:0], h
		}
		same = append(same, s.run.first+events.Seq(s.entries[0]&uint64(s.run.span()-1)))
		if err := s.next(); err != nil {
			return err
		}
		heap.Fix(&streams, 0)
	}
	return c.checkDifferent(same)
}

// checkDifferent returns an error if two of the records have the same key.
func (c *checker) checkDifferent(seqs []events.Seq) error {
	if len(seqs) < 2 {
		return c.ctx.Err()
	}
	seen := make(map[events.DedupeKey]events.Seq, len(seqs))
	for _, seq := range seqs {
		b, err := get(c.snap, recordKey(nil, seq))
		if err != nil {
			return corruption(seq, "", err)
		}
		rec, err := decode(seq, b)
		if err != nil {
			return err
		}
		key, _ := rec.DedupeKey()
		if other, ok := seen[key]; ok {
			return &CorruptError{Seq: max(seq, other), What: fmt.Sprintf("it has the dedupe key of record %d", min(seq, other))}
		}
		seen[key] = seq
	}
	return nil
}

// entryStream is the entries of a run, one after the other.
type entryStream struct {
	run     *run
	it      *pebble.Iterator // before the next chunk; nil if there are no more than entries
	started bool
	entries []uint64
	buf     []uint64
	end     bool
}

// Close closes what the stream reads from.
func (s *entryStream) Close() error {
	if s.it == nil {
		return nil
	}
	return s.it.Close()
}

func (s *entryStream) next() error {
	s.entries = s.entries[1:]
	return s.fill()
}

// fill reads the next chunk if there is no entry left.
func (s *entryStream) fill() error {
	for len(s.entries) == 0 {
		if s.it == nil || !s.advance() {
			s.end = true
			if s.it == nil {
				return nil
			}
			return corruption(0, s.run.String(), s.it.Error())
		}
		v, err := s.it.ValueAndErr()
		if err != nil {
			return corruption(0, s.run.String(), err)
		}
		if s.buf, err = decodeEntries(s.buf[:0], v); err != nil {
			return &CorruptError{What: s.run.String(), Err: err}
		}
		s.entries = s.buf
	}
	return nil
}

func (s *entryStream) advance() bool {
	if s.started {
		return s.it.Next()
	}
	s.started = true
	return s.it.First()
}

// entryHeap is a heap of streams, that with the smallest entry first.
type entryHeap []*entryStream

// Len implements heap.Interface.
func (h entryHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h entryHeap) Less(i, j int) bool {
	if h[i].end || h[j].end {
		return !h[i].end
	}
	return h[i].entries[0] < h[j].entries[0]
}

// Swap implements heap.Interface.
func (h entryHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *entryHeap) Push(s any) { *h = append(*h, s.(*entryStream)) }

// Pop implements heap.Interface.
func (h *entryHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	*h = old[:len(old)-1]
	return s
}
