package ledger

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/tlog"

	"tallystick/events"
)

// A node of the tree that is stored covers 256 nodes of the stored level below it:
// together they are a tile. Level 0, the leaf hashes, is not stored.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// frontier is what is to be known of the tree in order to extend it: of each stored
// level, the nodes behind the last complete tile. The zero frontier has no leaves.
type frontier struct {
	size   uint64
	levels [][]tlog.Hash // each shorter than tileWidth
}

// add adds a leaf, and calls emit with the nodes above level 0 that it completes.
func (f *frontier) add(leaf events.Hash, emit func(level uint8, index uint64, h tlog.Hash) error) error {
	f.size++
	h := tlog.Hash(leaf)
	for level := 0; ; level++ {
		if level == len(f.levels) {
			f.levels = append(f.levels, make([]tlog.Hash, 0, tileWidth))
		}
		f.levels[level] = append(f.levels[level], h)
		if len(f.levels[level]) < tileWidth {
			return nil
		}
		h = subtree(f.levels[level])
		f.levels[level] = f.levels[level][:0]
		if err := emit(uint8(level+1), f.size>>(tileHeight*(level+1))-1, h); err != nil {
			return err
		}
	}
}

// root returns the hash of the whole tree, which has leaves.
func (f *frontier) root() events.Hash {
	var root tlog.Hash
	some := false
	var scratch [tileWidth]tlog.Hash
	for _, nodes := range f.levels {
		for len(nodes) > 0 {
			n := len(nodes) & -len(nodes) // the complete subtree on the right
			h := subtree(scratch[:copy(scratch[:], nodes[len(nodes)-n:])])
			if some {
				h = tlog.NodeHash(h, root)
			}
			root, some = h, true
			nodes = nodes[:len(nodes)-n]
		}
	}
	return events.Hash(root)
}

// subtree returns the hash over nodes, a power of two of them, which it overwrites.
func subtree(nodes []tlog.Hash) tlog.Hash {
	for n := len(nodes); n > 1; n /= 2 {
		for i := range n / 2 {
			nodes[i] = tlog.NodeHash(nodes[2*i], nodes[2*i+1])
		}
	}
	return nodes[0]
}

// loadFrontier returns the frontier of the tree over the first size records.
func loadFrontier(db pebble.Reader, size events.Seq) (frontier, error) {
	f := frontier{size: uint64(size)}
	for level := uint8(0); f.size>>(tileHeight*int(level)) > 0; level++ {
		n := f.size >> (tileHeight * int(level))
		nodes, err := readNodes(db, level, n-n%tileWidth, n)
		if err != nil {
			return f, err
		}
		f.levels = append(f.levels, append(make([]tlog.Hash, 0, tileWidth), nodes...))
	}
	return f, nil
}

// readNodes returns the nodes of a stored level, or the leaf hashes, from index from
// up to, and without, to.
func readNodes(db pebble.Reader, level uint8, from, to uint64) (nodes []tlog.Hash, err error) {
	lower, upper := treeKey(nil, level, from), treeKey(nil, level, to)
	if level == 0 { // leaf i is record i + 1
		lower, upper = recordKey(nil, events.Seq(from+1)), recordKey(nil, events.Seq(to+1))
	}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	defer closeInto(it, &err)
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, nodeError(level, from+uint64(len(nodes)), err)
		}
		switch {
		case level == 0:
			nodes = append(nodes, tlog.RecordHash(v))
		case len(v) == tlog.HashSize:
			nodes = append(nodes, tlog.Hash(v))
		default:
			return nil, nodeError(level, from+uint64(len(nodes)), fmt.Errorf("%d bytes are no hash", len(v)))
		}
	}
	if err := it.Error(); err != nil {
		return nil, nodeError(level, from+uint64(len(nodes)), err)
	}
	if uint64(len(nodes)) != to-from {
		return nil, nodeError(level, from+uint64(len(nodes)), fmt.Errorf("%d of %d nodes are missing", to-from-uint64(len(nodes)), to-from))
	}
	return nodes, nil
}

// nodeError says that a node of the tree is bad, and which record is the first under it.
func nodeError(level uint8, index uint64, err error) error {
	bad := &CorruptError{Seq: events.Seq(index<<(tileHeight*int(level)) + 1), Err: err}
	if level > 0 {
		bad.What = fmt.Sprintf("tree node %d/%d, whose first leaf it is", level, index)
	}
	return bad
}

// treeReader reads hashes of the tree over the first size records as tlog numbers
// them. It remembers the tiles that it has read.
type treeReader struct {
	db    pebble.Reader
	size  events.Seq
	tiles map[tileID][]tlog.Hash
}

type tileID struct {
	level uint8
	index uint64
}

// maxTiles is how many tiles, of 8 KiB, a treeReader remembers.
const maxTiles = 512

func newTreeReader(db pebble.Reader, size events.Seq) *treeReader {
	return &treeReader{db: db, size: size, tiles: make(map[tileID][]tlog.Hash)}
}

// ReadHashes implements tlog.HashReader.
func (r *treeReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		within := level % tileHeight
		first := uint64(n) << within
		nodes, err := r.tile(tileID{uint8(level / tileHeight), first / tileWidth})
		if err != nil {
			return nil, err
		}
		start, end := int(first%tileWidth), int(first%tileWidth)+1<<within
		if end > len(nodes) {
			return nil, fmt.Errorf("ledger: the tree of %d records has no node %d at level %d", r.size, n, level)
		}
		hashes[i] = subtree(append([]tlog.Hash(nil), nodes[start:end]...))
	}
	return hashes, nil
}

// tile returns the nodes of a tile, as far as there are any.
func (r *treeReader) tile(id tileID) ([]tlog.Hash, error) {
	if nodes, ok := r.tiles[id]; ok {
		return nodes, nil
	}
	there := uint64(r.size) >> (tileHeight * int(id.level))
	first := min(id.index*tileWidth, there)
	nodes, err := readNodes(r.db, id.level, first, min(first+tileWidth, there))
	if err != nil {
		return nil, err
	}
	if len(r.tiles) >= maxTiles {
		clear(r.tiles)
	}
	r.tiles[id] = nodes
	return nodes, nil
}

// reader returns a reader of the tree over the first size records, which must be durable.
// Unless it returns an error, leave is to be called.
func (l *Log) reader(size events.Seq) (*treeReader, error) {
	if size == 0 || size > l.Durable() {
		return nil, fmt.Errorf("tree of %d records: %w", size, ErrNoRecord)
	}
	if err := l.enter(); err != nil {
		return nil, err
	}
	return newTreeReader(l.db, size), nil
}

// Root returns the hash of the RFC 6962 tree over the first size records, which must
// be durable, and one at least.
func (l *Log) Root(size events.Seq) (events.Hash, error) {
	r, err := l.reader(size)
	if err != nil {
		return events.Hash{}, err
	}
	defer l.leave()
	h, err := tlog.TreeHash(int64(size), r)
	return events.Hash(h), err
}

// ProveRecord returns the proof that the record seq is in the tree over the first size records.
func (l *Log) ProveRecord(seq, size events.Seq) (tlog.RecordProof, error) {
	r, err := l.reader(size)
	if err != nil {
		return nil, err
	}
	defer l.leave()
	return r.prove(seq)
}

func (r *treeReader) prove(seq events.Seq) (tlog.RecordProof, error) {
	if seq == 0 || seq > r.size {
		return nil, fmt.Errorf("proof of record %d in a tree of %d: %w", seq, r.size, ErrNoRecord)
	}
	return tlog.ProveRecord(int64(r.size), int64(seq-1), r)
}

// ProveTree returns the proof that the tree over the first newSize records begins with
// that over the first oldSize.
func (l *Log) ProveTree(newSize, oldSize events.Seq) (tlog.TreeProof, error) {
	r, err := l.reader(newSize)
	if err != nil {
		return nil, err
	}
	defer l.leave()
	if oldSize == 0 || oldSize > newSize {
		return nil, fmt.Errorf("proof of a tree of %d records in one of %d: %w", oldSize, newSize, ErrNoRecord)
	}
	return tlog.ProveTree(int64(newSize), int64(oldSize), r)
}
