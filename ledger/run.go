package ledger

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sort"

	"github.com/cockroachdb/pebble/v2"

	"tallystick/events"
)

// run is the index entries of 65,536 × 4^level records in a row. The store holds it
// as a header and as chunks, in which the entries lie by the upper bits of their
// hashes. A run does not change once written.
type run struct {
	blockBits int
	level     uint8
	first     events.Seq
	count     uint64 // of entries

	// Both are guarded by index.mu.
	block  *block  // the entries, until they are in the store
	prints *prints // nil while not loaded, or where there is no memory
}

// chunkEntryBits is the binary logarithm of how many entries a chunk has when all records have keys.
const chunkEntryBits = 10

// seqBits is how many bits of an entry are the record's offset in its run.
func (r *run) seqBits() int { return r.blockBits + fanBits*int(r.level) }

// span is how many records the run covers.
func (r *run) span() events.Seq { return 1 << r.seqBits() }

// chunkBits is the binary logarithm of how many chunks the run has.
func (r *run) chunkBits() int { return max(r.seqBits()-chunkEntryBits, fanBits*int(r.level)) }

func (r *run) header() []byte {
	b := binary.BigEndian.AppendUint64([]byte{prefixIndex, r.level}, uint64(r.first))
	return b
}

func (r *run) chunkKey(chunk uint32) []byte { return binary.BigEndian.AppendUint32(r.header(), chunk) }

// after is a key above all of the run's.
func (r *run) after() []byte {
	next := run{blockBits: r.blockBits, level: r.level, first: r.first + r.span()}
	return next.header()
}

// write puts the run with the given entries, sorted, into b.
func (r *run) write(b *pebble.Batch, entries []uint64) error {
	if err := b.Set(r.header(), binary.AppendUvarint(nil, r.count), nil); err != nil {
		return err
	}
	shift := 64 - r.chunkBits()
	for chunk := range uint32(1) << r.chunkBits() {
		n := sort.Search(len(entries), func(i int) bool { return uint32(entries[i]>>shift) > chunk })
		if err := r.writeChunk(b, chunk, entries[:n]); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

func (r *run) writeChunk(b *pebble.Batch, chunk uint32, entries []uint64) error {
	key := r.chunkKey(chunk)
	op := b.SetDeferred(len(key), 8*len(entries))
	copy(op.Key, key)
	for i, e := range entries {
		binary.BigEndian.PutUint64(op.Value[8*i:], e)
	}
	return op.Finish()
}

// find returns the records of the run whose keys have the hash, but for its lower
// bits. The error is pebble.ErrNotFound if the run is in the store no more.
func (r *run) find(db pebble.Reader, hash uint64) (found []events.Seq, err error) {
	v, closer, err := db.Get(r.chunkKey(uint32(hash >> (64 - r.chunkBits()))))
	if err != nil {
		return nil, err
	}
	defer closeInto(closer, &err)
	entry := func(i int) uint64 { return binary.BigEndian.Uint64(v[8*i:]) }
	n, shift := len(v)/8, r.seqBits()
	for i := sort.Search(n, func(i int) bool { return entry(i)>>shift >= hash>>shift }); i < n && entry(i)>>shift == hash>>shift; i++ {
		found = append(found, r.first+events.Seq(entry(i)&uint64(r.span()-1)))
	}
	return found, nil
}

// chunks calls fn with the entries of each chunk in order. They are valid during the call only.
func (r *run) chunks(db pebble.Reader, fn func(chunk uint32, entries []uint64) error) (err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: r.chunkKey(0), UpperBound: r.after()})
	if err != nil {
		return err
	}
	defer closeInto(it, &err)
	var entries []uint64
	chunk := uint32(0)
	for ok := it.First(); ok; ok = it.Next() {
		if string(it.Key()) != string(r.chunkKey(chunk)) {
			return &CorruptError{What: fmt.Sprintf("%s: key %x, want chunk %d", r, it.Key(), chunk)}
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return corruption(0, r.String(), err)
		}
		if entries, err = decodeEntries(entries[:0], v); err != nil {
			return &CorruptError{What: fmt.Sprintf("%s: chunk %d", r, chunk), Err: err}
		}
		if err := fn(chunk, entries); err != nil {
			return err
		}
		chunk++
	}
	if err := it.Error(); err != nil {
		return corruption(0, r.String(), err)
	}
	if chunk != 1<<r.chunkBits() {
		return &CorruptError{What: fmt.Sprintf("%s: chunk %d is missing", r, chunk)}
	}
	return nil
}

// String names the run in errors.
func (r *run) String() string {
	return fmt.Sprintf("dedupe index of records %d to %d", r.first, r.first+r.span()-1)
}

func decodeEntries(entries []uint64, v []byte) ([]uint64, error) {
	if len(v)%8 != 0 {
		return nil, fmt.Errorf("%d bytes are no entries", len(v))
	}
	for ; len(v) > 0; v = v[8:] {
		entries = append(entries, binary.BigEndian.Uint64(v))
	}
	return entries, nil
}

// loadRuns returns the runs that are in the store, in order.
func loadRuns(db pebble.Reader, blockBits int) (runs []*run, err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixIndex}, UpperBound: []byte{prefixIndex + 1}})
	if err != nil {
		return nil, err
	}
	defer closeInto(it, &err)
	for ok := it.First(); ok; {
		r, err := runOfKey(it.Key(), blockBits)
		if err != nil {
			return nil, err
		}
		if len(it.Key()) == headerSize { // without a header it is the beginning of a merge
			v, err := it.ValueAndErr()
			if err != nil {
				return nil, corruption(0, r.String(), err)
			}
			n, size := binary.Uvarint(v)
			if size <= 0 || n > uint64(r.span()) || (r.first-1)%r.span() != 0 {
				return nil, &CorruptError{What: fmt.Sprintf("%s: header %x", r, v)}
			}
			r.count = n
			runs = append(runs, r)
		}
		ok = it.SeekGE(r.after())
	}
	if err := it.Error(); err != nil {
		return nil, corruption(0, "dedupe index", err)
	}
	sort.Slice(runs, func(i, j int) bool { return runs[i].first < runs[j].first })
	for i, r := range runs {
		if next := afterRuns(runs[:i]); r.first != next {
			return nil, &CorruptError{What: fmt.Sprintf("%s, where record %d is next", r, next)}
		}
	}
	return runs, nil
}

// afterRuns returns the first record after those that the runs cover.
func afterRuns(runs []*run) events.Seq {
	if len(runs) == 0 {
		return 1
	}
	last := runs[len(runs)-1]
	return last.first + last.span()
}

const headerSize = 10

// runOfKey returns the run that a key belongs to, without its count.
func runOfKey(key []byte, blockBits int) (*run, error) {
	if len(key) != headerSize && len(key) != headerSize+4 || key[1] > maxLevel {
		return nil, &CorruptError{What: fmt.Sprintf("dedupe index: key %x", key)}
	}
	return &run{blockBits: blockBits, level: key[1], first: events.Seq(binary.BigEndian.Uint64(key[2:]))}, nil
}

// prints is the fingerprints of a run: of each entry 16 bits of its hash, in order.
// The bits above them say in which bucket of some 16 it is.
type prints struct {
	seqBits    int // of the run: lower bits that are not of the hash
	bucketBits int
	starts     []uint32 // of each bucket in tags, and where the last ends
	tags       []uint16
}

// newPrints returns the fingerprints of no entries, with room for all of r's.
func newPrints(r *run) *prints {
	p := &prints{seqBits: r.seqBits(), bucketBits: max(0, bits.Len64(r.count)-4)}
	p.starts = make([]uint32, 1, 1<<p.bucketBits+1)
	p.tags = make([]uint16, 0, r.count)
	return p
}

func (p *prints) bytes() int64 { return 4*int64(cap(p.starts)) + 2*int64(cap(p.tags)) }

// place returns the bucket of a hash and its tag.
func (p *prints) place(hash uint64) (bucket int, tag uint16) {
	hash = hash >> p.seqBits << p.seqBits
	return int(hash >> 1 >> (63 - p.bucketBits)), uint16(hash << p.bucketBits >> 48)
}

// add adds an entry; entries come in order.
func (p *prints) add(entry uint64) {
	bucket, tag := p.place(entry)
	for len(p.starts) <= bucket {
		p.starts = append(p.starts, uint32(len(p.tags)))
	}
	p.tags = append(p.tags, tag)
}

// finish tells that there are no more entries.
func (p *prints) finish() {
	for len(p.starts) <= 1<<p.bucketBits {
		p.starts = append(p.starts, uint32(len(p.tags)))
	}
}

// mayHave reports whether there may be an entry with the hash; if there is one it is true.
func (p *prints) mayHave(hash uint64) bool {
	bucket, tag := p.place(hash)
	for _, t := range p.tags[p.starts[bucket]:p.starts[bucket+1]] {
		if t == tag {
			return true
		}
	}
	return false
}
