package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"tallystick/events"
)

// Lookup returns the record that was appended under the dedupe key, and whether there
// is one, at whatever age. It sees groups that are in flight: an answer that rests
// on the record must wait until it is durable.
func (l *Log) Lookup(key events.DedupeKey) (events.Record, bool, error) {
	return l.lookup(key, l.index.hash(key))
}

func (l *Log) lookup(key events.DedupeKey, hash uint64) (events.Record, bool, error) {
	for {
		seqs, runs := l.index.candidates(hash)
		if len(seqs) == 0 && len(runs) == 0 {
			return events.Record{}, false, nil
		}
		rec, ok, err := l.match(key, seqs)
		if ok || err != nil {
			return rec, ok, err
		}
		rec, ok, err = l.matchRuns(key, hash, runs)
		if !errors.Is(err, errMerged) {
			return rec, ok, err
		}
	}
}

// match returns the one among the given records that has the key.
func (l *Log) match(key events.DedupeKey, seqs []events.Seq) (events.Record, bool, error) {
	for _, seq := range seqs {
		rec, err := l.record(seq)
		if err != nil {
			return events.Record{}, false, fmt.Errorf("looking up a dedupe key: %w", err)
		}
		if k, _ := rec.DedupeKey(); k == key {
			return rec, true, nil
		}
	}
	return events.Record{}, false, nil
}

// errMerged is that a run was merged into another while it was to be searched.
var errMerged = errors.New("ledger: run was merged")

// matchRuns is match for records found in runs in the store.
func (l *Log) matchRuns(key events.DedupeKey, hash uint64, runs []*run) (events.Record, bool, error) {
	if err := l.enter(); err != nil {
		return events.Record{}, false, err
	}
	defer l.leave()
	for _, r := range runs {
		seqs, err := r.find(l.db, hash)
		if errors.Is(err, pebble.ErrNotFound) {
			seqs, err = l.findSettled(r, hash)
		}
		if err != nil {
			return events.Record{}, false, corruption(0, r.String(), err)
		}
		if rec, ok, err := l.match(key, seqs); ok || err != nil {
			return rec, ok, err
		}
	}
	return events.Record{}, false, nil
}

// findSettled is run.find while no run is being replaced by another.
func (l *Log) findSettled(r *run, hash uint64) ([]events.Seq, error) {
	l.index.swap.Lock()
	defer l.index.swap.Unlock()
	if !l.index.has(r) {
		return nil, errMerged
	}
	seqs, err := r.find(l.db, hash)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, &CorruptError{What: r.String() + ": a chunk is missing"}
	}
	return seqs, err
}

// checkUnused returns nil if no record has the key of the ith record of g, whose hash
// is given; neither one in the log nor one before it in g.
func (l *Log) checkUnused(g *group, i int, hash uint64) error {
	rec := &g.records[i]
	if l.seen.add(hash) {
		key, _ := rec.DedupeKey()
		for j := range g.records[:i] {
			if k, ok := g.records[j].DedupeKey(); ok && k == key {
				return refuse(rec.Seq, "record %d has its dedupe key", g.records[j].Seq)
			}
		}
	}
	if seqs, runs := l.index.candidates(hash); len(seqs) == 0 && len(runs) == 0 {
		return nil
	}
	key, _ := rec.DedupeKey()
	other, used, err := l.lookup(key, hash)
	if err != nil {
		return err
	}
	if used {
		return refuse(rec.Seq, "record %d has its dedupe key", other.Seq)
	}
	return nil
}

// seen is the set of hashes in one group.
type seen struct {
	slots []uint64 // an open hash table; 0 is a free slot
	shift int
}

// reset empties s and makes room for n hashes.
func (s *seen) reset(n int) {
	if 2*n > len(s.slots) {
		s.shift = 64
		size := 1
		for ; size < 2*n; size *= 2 {
			s.shift--
		}
		s.slots = make([]uint64, size)
		return
	}
	clear(s.slots)
}

// add adds a hash, which is not 0, and reports whether it was in s.
func (s *seen) add(hash uint64) bool {
	for i := hash >> s.shift; ; i = (i + 1) % uint64(len(s.slots)) {
		switch s.slots[i] {
		case 0:
			s.slots[i] = hash
			return false
		case hash:
			return true
		}
	}
}

// scopes remembers which byte stands for a kind in dedupe keys.
type scopes struct {
	bytes map[events.Kind]byte
	last  events.Kind
	byte  byte // of last
}

func (s *scopes) of(kind events.Kind) byte {
	if kind == s.last {
		return s.byte
	}
	b, ok := s.bytes[kind]
	if !ok {
		var none events.OrganizationID
		b = events.NewDedupeKey(none, kind, "")[len(none)]
		s.bytes[kind] = b
	}
	s.last, s.byte = kind, b
	return b
}

// loadIndex reads which runs there are, and the keys of the records after them.
func (l *Log) loadIndex() error {
	seed, err := get(l.db, metaKey("seed"))
	if err != nil || len(seed) != 16 {
		return errors.Join(&CorruptError{What: "the seed of the dedupe index"}, err)
	}
	x := l.index
	x.seed = newSIPSeed(seed)
	if x.runs, err = loadRuns(l.db, l.opts.blockBits); err != nil {
		return err
	}
	next := afterRuns(x.runs)
	x.last = newBlock(next, l.opts.blockBits)
	if err := x.last.checkEnd(l.head.Seq); err != nil {
		return err
	}
	return l.source().scanBytes(context.Background(), next, l.head.Seq, func(seq events.Seq, b []byte) error {
		rec, err := events.DecodeUnhashed(b)
		if err != nil {
			return &CorruptError{Seq: seq, Err: err}
		}
		if key, ok := rec.DedupeKey(); ok {
			hash := x.hash(key)
			x.last.add(hash, seq)
			x.filter.add(hash)
		}
		return nil
	})
}
