package ledger

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"tallystick/events"
)

// index finds records by their dedupe keys. It is exact and for ever, and made so
// that the usual answer, that a key was never used, costs a few memory reads.
//
// # Model
//
// The log is cut into blocks of 65,536 records (blockBits). The keys of the last block, which
// is not full, are in memory only; when the log is opened they are read from the
// records. When a block is full its keys are written to the store as a run, with the
// batch that holds the first record of the next block. Four neighbouring runs of
// one level are merged into one of the next. So at every moment, and after every
// crash, the runs and the last block hold the key of every record exactly once.
//
// An entry is a word of 64 bits: the upper bits of a hash of the key, and in the
// lower 16 + 2 × level the record's offset in its run. A run is sorted, so entries
// are found by their hashes; whether a record has the very key is seen in the record.
// Nearly every key that is asked for was never used. What costs time then is memory that is in
// no cache, so there is a filter for all keys together, one memory read, 2 bytes a key. For
// keys that pass it there are fingerprints of each run on disk, 2¼ bytes an entry, which
// rule out all but one in 4000 of the runs that do not have the key.
//
// Tried and rejected: a key in the store for each dedupe key. Random keys make three
// quarters of the work of Pebble (skip list, flush, compactions), and a look-up of
// an absent key has to ask every level's Bloom filter.
//
// # Concurrency
//
// The goroutine that appends fills the last block. The indexer (merge.go) loads
// fingerprints and merges runs. All methods may be called from any goroutine.
type index struct {
	seed     sipSeed
	maxBytes int64 // of filter and fingerprints together

	swap sync.Mutex // held while runs in the store are replaced, until runs says so too

	mu     sync.Mutex // guards the fields below, and the contents of last and filter
	last   *block
	runs   []*run // in order of first; they cover what is before last without gaps
	filter filter
	prints int64 // bytes of fingerprints
}

const (
	blockBits = 16 // a block has 1 << blockBits records; fewer in some tests
	fanBits   = 2  // 1 << fanBits runs are merged into one
	maxLevel  = 6  // whose runs, of 268 million records, are not merged
)

// block is the entries of a block in memory: an open hash table whose slots are in
// the order of the hashes, so that its entries are very nearly sorted.
type block struct {
	bits  int // the block has 1 << bits records
	first events.Seq
	count int
	slots []uint64 // 0 is a free slot; at least half of them stay free
}

func newBlock(first events.Seq, bits int) *block {
	size := 2 << bits
	return &block{bits: bits, first: first, slots: make([]uint64, size, size+64)}
}

// size is how many records the block has when it is full.
func (b *block) size() events.Seq { return 1 << b.bits }

// slot is where the search for an entry begins.
func (b *block) slot(hash uint64) uint64 { return hash >> (63 - b.bits) }

func (b *block) add(hash uint64, seq events.Seq) {
	i := b.slot(hash)
	for i < uint64(len(b.slots)) && b.slots[i] != 0 {
		i++
	}
	if i == uint64(len(b.slots)) { // not around to the front: the slots are in order
		b.slots = append(b.slots, 0)
	}
	b.slots[i] = hash>>b.bits<<b.bits | uint64(seq-b.first)
	b.count++
}

// find appends to found the records whose keys have the hash, but for its lower bits.
func (b *block) find(found []events.Seq, hash uint64) []events.Seq {
	for i := b.slot(hash); i < uint64(len(b.slots)) && b.slots[i] != 0; i++ {
		if (b.slots[i]^hash)>>b.bits == 0 {
			found = append(found, b.first+events.Seq(b.slots[i]&uint64(b.size()-1)))
		}
	}
	return found
}

// sorted returns the entries in order.
func (b *block) sorted() []uint64 {
	entries := make([]uint64, 0, b.count)
	for _, e := range b.slots {
		if e == 0 {
			continue
		}
		j := len(entries) // at most a few away from its place
		entries = append(entries, e)
		for ; j > 0 && entries[j-1] > e; j-- {
			entries[j] = entries[j-1]
		}
		entries[j] = e
	}
	return entries
}

// checkEnd returns an error if the log cannot end with record last when b is its last block.
func (b *block) checkEnd(last events.Seq) error {
	if last+1 < b.first || last >= b.first+b.size() {
		return &CorruptError{Seq: min(last+1, b.first), What: fmt.Sprintf("the dedupe index ends before record %d, the log with %d", b.first, last)}
	}
	return nil
}

// hash returns the hash of a dedupe key. It is never small, so that no entry is 0.
func (x *index) hash(k events.DedupeKey) uint64 {
	var merchant events.OrganizationID
	if len(k) <= len(merchant) {
		return 0 // not a dedupe key; nothing has this hash
	}
	copy(merchant[:], k)
	return x.hashParts(&merchant, k[len(merchant)], string(k[len(merchant)+1:]))
}

func (x *index) hashParts(merchant *events.OrganizationID, scope byte, key string) uint64 {
	s := x.seed.new()
	s.word(binary.LittleEndian.Uint64(merchant[:8]))
	s.word(binary.LittleEndian.Uint64(merchant[8:]))
	s.word(uint64(scope))
	h := s.sum(key)
	if h < 1<<32 {
		h = ^h
	}
	return h
}

// add adds the records of a group, whose hashes are given, 0 for a record without a
// key. It returns the blocks that became full, as runs that are to be written with
// the group.
func (x *index) add(g *group) (full []*run) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, hash := range g.hashes {
		seq := g.records[i].Seq
		if seq == x.last.first+x.last.size() {
			r := &run{blockBits: x.last.bits, first: x.last.first, count: uint64(x.last.count), block: x.last}
			full = append(full, r)
			x.runs = append(x.runs, r)
			x.last = newBlock(seq, x.last.bits)
		}
		if hash != 0 {
			x.last.add(hash, seq)
			x.filter.add(hash)
		}
	}
	if x.filter.bytes()+x.prints > x.maxBytes {
		x.filter = filter{off: true}
	}
	return full
}

// candidates returns the records that may have the key with this hash: those that
// memory knows, and runs on disk that are to be searched, latest first.
func (x *index) candidates(hash uint64) (seqs []events.Seq, runs []*run) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.filter.rulesOut(hash) {
		return nil, nil
	}
	seqs = x.last.find(nil, hash)
	for i := len(x.runs) - 1; i >= 0; i-- {
		switch r := x.runs[i]; {
		case r.block != nil:
			seqs = r.block.find(seqs, hash)
		case r.prints == nil || r.prints.mayHave(hash):
			runs = append(runs, r)
		}
	}
	return seqs, runs
}

// has reports whether r is one of the runs, and was not merged into another. While
// swap is held, a run that it has is in the store.
func (x *index) has(r *run) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Contains(x.runs, r)
}

// settle tells that a full block is in the store, with these entries.
func (x *index) settle(r *run, p *prints) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r.block = nil
	x.attachLocked(r, p)
}

// attach gives a run that is in the store its fingerprints.
func (x *index) attach(r *run, p *prints) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.attachLocked(r, p)
}

// complete gives the filter the keys that were in the runs when the log was opened.
func (x *index) complete(old *bloom) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.filter.off {
		x.filter.old = old
	}
}

// attachLocked gives a run its fingerprints, if there is memory for them.
func (x *index) attachLocked(r *run, p *prints) {
	if r.prints == nil && x.filter.bytes()+x.prints+p.bytes() <= x.maxBytes {
		r.prints = p
		x.prints += p.bytes()
	}
}

// replace puts merged, with its fingerprints, in the place of the runs it was merged from.
func (x *index) replace(old []*run, merged *run, p *prints) {
	x.mu.Lock()
	defer x.mu.Unlock()
	i := slices.Index(x.runs, old[0])
	runs := append(append([]*run(nil), x.runs[:i]...), merged)
	x.runs = append(runs, x.runs[i+len(old):]...)
	for _, r := range old {
		if r.prints != nil {
			x.prints -= r.prints.bytes()
		}
	}
	x.attachLocked(merged, p)
}

// snapshot returns the runs as they are now.
func (x *index) snapshot() []*run {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.runs)
}
