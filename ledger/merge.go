package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// keepIndex is the indexer. It loads filter and fingerprints of the runs there are, and then
// merges runs as they come.
func (l *Log) keepIndex(ctx context.Context) {
	if err := l.loadFilter(ctx); err != nil {
		l.opts.Logger.Warn("dedupe look-ups will be slow", "err", err)
		return // look-ups read the runs, and say so too
	}
	for {
		for {
			old := l.index.mergeable()
			if old == nil {
				break
			}
			if err := l.merge(ctx, old); err != nil {
				if ctx.Err() == nil {
					l.opts.Logger.Error("dedupe index cannot be merged", "err", err)
				}
				return
			}
		}
		select {
		case <-l.full:
		case <-ctx.Done():
			return
		}
	}
}

// loadFilter reads all runs and gives the index its filter, and each run its fingerprints.
func (l *Log) loadFilter(ctx context.Context) error {
	runs := l.index.snapshot()
	n := 0
	for _, r := range runs {
		n += int(r.count)
	}
	old := newBloom(max(n, firstBloom))
	for _, r := range runs {
		p := newPrints(r)
		err := r.chunks(l.db, func(_ uint32, entries []uint64) error {
			for _, e := range entries {
				old.add(e)
				p.add(e)
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		p.finish()
		l.index.attach(r, p)
	}
	l.index.complete(old)
	return nil
}

// mergeable returns runs in the store that are to be merged into one: four of one
// level that make up one of the next.
func (x *index) mergeable() []*run {
	x.mu.Lock()
	defer x.mu.Unlock()
	const fan = 1 << fanBits
	for i := 0; i+fan <= len(x.runs); i++ {
		first, last := x.runs[i], x.runs[i+fan-1]
		whole := (first.first-1)%(first.span()*fan) == 0
		if whole && first.level == last.level && first.level < maxLevel && last.block == nil {
			return slices.Clone(x.runs[i : i+fan])
		}
	}
	return nil
}

// maxMergeBatch bounds the bytes of a merged run that are written at a time.
const maxMergeBatch = 1 << 20

// merge merges old runs into one of the next level. What it writes before the last
// batch nobody looks at; if the process ends before, it is written again, the same.
func (l *Log) merge(ctx context.Context, old []*run) (err error) {
	merged := &run{blockBits: old[0].blockBits, level: old[0].level + 1, first: old[0].first}
	for _, r := range old {
		merged.count += r.count
	}
	m, err := newMerger(l.db, old)
	if err != nil {
		return err
	}
	defer closeInto(m, &err)
	b, p := l.db.NewBatch(), newPrints(merged)
	for chunk := range uint32(1) << old[0].chunkBits() {
		entries, err := m.next(chunk)
		if err != nil {
			return err
		}
		for _, e := range entries {
			p.add(e)
		}
		if err := merged.writePart(b, chunk, entries); err != nil {
			return err
		}
		if b.Len() < maxMergeBatch {
			continue
		}
		if err := l.applyMerge(ctx, b); err != nil {
			return err
		}
		b = l.db.NewBatch()
	}
	p.finish()
	if err := b.Set(merged.header(), binary.AppendUvarint(nil, merged.count), nil); err != nil {
		return err
	}
	if err := b.DeleteRange(old[0].header(), old[len(old)-1].after(), nil); err != nil {
		return err
	}
	l.index.swap.Lock()
	defer l.index.swap.Unlock()
	if err := l.applyMerge(ctx, b); err != nil {
		return err
	}
	l.index.replace(old, merged, p)
	return nil
}

func (l *Log) applyMerge(ctx context.Context, b *pebble.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.Err(); err != nil {
		return err
	}
	if err := l.db.Apply(b, pebble.NoSync); err != nil {
		return err
	}
	return b.Close()
}

// writePart puts the chunks of a merged run that come from one chunk of each of its parts into b.
func (r *run) writePart(b *pebble.Batch, part uint32, entries []uint64) error {
	shift := 64 - r.chunkBits()
	for chunk := part << fanBits; chunk < (part+1)<<fanBits; chunk++ {
		n := 0
		for n < len(entries) && uint32(entries[n]>>shift) == chunk {
			n++
		}
		if err := r.writeChunk(b, chunk, entries[:n]); err != nil {
			return err
		}
		entries = entries[n:]
	}
	if len(entries) > 0 {
		return &CorruptError{What: fmt.Sprintf("%s: entry %x in the wrong chunk", r, entries[0])}
	}
	return nil
}

// merger reads runs of one level side by side.
type merger struct {
	old     []*run
	its     []*pebble.Iterator
	from    []uint64 // entries of one chunk of each run, one run after the other
	to      []uint64
	borders []int // where in from each run's begin, and where the last ends
}

func newMerger(db pebble.Reader, old []*run) (*merger, error) {
	m := &merger{old: old}
	for _, r := range old {
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: r.chunkKey(0), UpperBound: r.after()})
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		it.First()
		m.its = append(m.its, it)
	}
	return m, nil
}

// Close closes what the merger reads from.
func (m *merger) Close() (err error) {
	for _, it := range m.its {
		closeInto(it, &err)
	}
	return err
}

// next returns the entries of all runs in the given chunk, as entries of the merged
// run, in the order of their hashes. An entry gives three bits of its hash up for
// the number of its run. Chunks are asked for one after the other.
func (m *merger) next(chunk uint32) ([]uint64, error) {
	m.from, m.borders = m.from[:0], append(m.borders[:0], 0)
	for i, it := range m.its {
		r := m.old[i]
		if !it.Valid() || string(it.Key()) != string(r.chunkKey(chunk)) {
			return nil, errors.Join(&CorruptError{What: fmt.Sprintf("%s: chunk %d is missing", r, chunk)}, it.Error())
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, corruption(0, r.String(), err)
		}
		shift := r.seqBits()
		offset, part := uint64(1)<<shift-1, uint64(i)<<shift
		for ; len(v) >= 8; v = v[8:] {
			e := binary.BigEndian.Uint64(v)
			m.from = append(m.from, e>>(shift+fanBits)<<(shift+fanBits)|part|e&offset)
		}
		m.borders = append(m.borders, len(m.from))
		it.Next()
	}
	return m.sort(), nil
}

// sort merges the runs in from, two and two, until one is left.
func (m *merger) sort() []uint64 {
	for len(m.borders) > 2 {
		m.to = m.to[:0]
		borders := m.borders[:1]
		for i := 0; i+2 < len(m.borders); i += 2 {
			m.to = mergeSorted(m.to, m.from[m.borders[i]:m.borders[i+1]], m.from[m.borders[i+1]:m.borders[i+2]])
			borders = append(borders, len(m.to))
		}
		m.from, m.to, m.borders = m.to, m.from, borders
	}
	return m.from
}

// mergeSorted appends the entries of a and b to to, in order.
func mergeSorted(to, a, b []uint64) []uint64 {
	for len(a) > 0 && len(b) > 0 {
		if a[0] <= b[0] {
			to, a = append(to, a[0]), a[1:]
		} else {
			to, b = append(to, b[0]), b[1:]
		}
	}
	return append(append(to, a...), b...)
}
