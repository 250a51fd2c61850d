package ledger

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
)

// TestSipHash compares with the vectors of the reference implementation.
func TestSipHash(t *testing.T) {
	key := make([]byte, 16)
	msg := make([]byte, 0, 64)
	for i := range key {
		key[i] = byte(i)
	}
	for i, want := range []string{
		"310e0edd47db6f72", "fd67dc93c539f874", "5a4fa9d909806c0d", "2d7efbd796666785", "b7877127e09427cf",
		"8da699cd64557618", "cee3fe586e46c9cb", "37d1018bf50002ab", "6224939a79f5f593", "b0e4a90bdf82009e",
		"f3b9dd94c5bb5d7a", "a7ad6b22462fb3f4", "fbe50e86bc8f1e75", "903d84c02756ea14", "eef27a8e90ca23f7",
		"e545be4961ca29a1", "db9bc2577fcc2a3f", "9447be2cf5e99a69",
	} {
		s := newSIPSeed(key).new()
		rest := string(msg)
		for len(rest) >= 8 && len(rest)%3 == 1 { // some take words, some do not
			s.word(binary.LittleEndian.Uint64([]byte(rest)))
			rest = rest[8:]
		}
		var got [8]byte
		binary.LittleEndian.PutUint64(got[:], s.sum(rest))
		if hex.EncodeToString(got[:]) != want {
			t.Errorf("hash of %d bytes is %x, want %s", i, got, want)
		}
		msg = append(msg, byte(i))
	}
}

// TestBlock fills blocks with hashes, spread and crowded, and compares with a sorted slice.
func TestBlock(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, tt := range []struct {
		what string
		hash func() uint64
	}{
		{"spread", rng.Uint64},
		{"at the end", func() uint64 { return 1<<64 - 1 - rng.Uint64N(1<<40) }},
		{"few", func() uint64 { return (rng.Uint64N(5) + 1) << 50 }},
	} {
		b := newBlock(1+1<<10, 10)
		var want []uint64
		for i := range uint64(1 << 10) {
			if i%7 == 0 {
				continue
			}
			hash := tt.hash() | 1<<40
			seq := b.first + events.Seq(i)
			b.add(hash, seq)
			want = append(want, hash>>10<<10|i)
			if !slices.Contains(b.find(nil, hash), seq) {
				t.Fatalf("%s: entry %d is not found", tt.what, i)
			}
		}
		slices.Sort(want)
		if got := b.sorted(); !slices.Equal(got, want) {
			t.Errorf("%s: entries are not in order", tt.what)
		}
		if found := b.find(nil, rng.Uint64()|1); len(found) > 0 {
			t.Errorf("%s: found %v", tt.what, found)
		}
	}
}

// TestRuns writes runs of keys and merges them, level by level, and looks all hashes up in each
// state, with fingerprints and without, and hashes that were never added.
func TestRuns(t *testing.T) {
	db, err := pebble.Open("", &pebble.Options{FS: vfs.NewMem(), Logger: storeLogger{slog.New(slog.DiscardHandler), newFailure()}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const bits, blocks = 12, 16
	rng := rand.New(rand.NewPCG(2, 1))
	hashes := make([]uint64, blocks<<bits)
	l := &Log{db: db, fail: newFailure(), index: &index{maxBytes: 1 << 30, last: newBlock(1+blocks<<bits, bits)}}
	for first := 0; first < len(hashes); first += 1 << bits {
		b := newBlock(events.Seq(first+1), bits)
		for i := range 1 << bits {
			if rng.IntN(10) > 0 {
				hashes[first+i] = rng.Uint64() | 1<<40
				b.add(hashes[first+i], events.Seq(first+i+1))
			}
		}
		r := &run{blockBits: bits, first: b.first, count: uint64(b.count)}
		batch := db.NewBatch()
		if err := r.write(batch, b.sorted()); err != nil {
			t.Fatal(err)
		}
		if err := batch.Commit(pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		l.index.runs = append(l.index.runs, r)
	}
	for level := 0; ; level++ {
		l.lookUpAll(t, rng, hashes)
		if err := l.loadFilter(context.Background()); err != nil {
			t.Fatal(err)
		}
		l.lookUpAll(t, rng, hashes)
		l.index.filter = filter{} // and fingerprints alone
		l.lookUpAll(t, rng, hashes)
		loaded, err := loadRuns(db, bits)
		if err != nil || len(loaded) != len(l.index.runs) {
			t.Fatalf("level %d: %d runs in the store, want %d: %v", level, len(loaded), len(l.index.runs), err)
		}
		old := l.index.mergeable()
		if old == nil {
			break
		}
		if err := l.merge(context.Background(), old); err != nil {
			t.Fatal(err)
		}
		for _, r := range l.index.runs {
			r.prints = nil
		}
	}
	if n := len(l.index.runs); n != 1 {
		t.Errorf("%d runs are left", n)
	}
}

func (l *Log) lookUpAll(t *testing.T, rng *rand.Rand, hashes []uint64) {
	t.Helper()
	look := func(hash uint64) (found []events.Seq, searched int) {
		_, runs := l.index.candidates(hash)
		for _, r := range runs {
			seqs, err := r.find(l.db, hash)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, seqs...)
		}
		return found, len(runs)
	}
	for i := 0; i < len(hashes); i += 7 {
		if hashes[i] == 0 {
			continue
		}
		if found, _ := look(hashes[i]); !slices.Equal(found, []events.Seq{events.Seq(i + 1)}) {
			t.Fatalf("hash %d: found %v", i, found)
		}
	}
	searched := 0
	for range 1000 {
		found, n := look(rng.Uint64())
		if len(found) > 0 {
			t.Fatalf("found %v", found)
		}
		searched += n
	}
	if l.index.runs[0].prints != nil && searched > 30 || l.index.filter.old != nil && searched > 3 {
		t.Errorf("fingerprints ruled out all but %d of %d runs", searched, 1000*len(l.index.runs))
	}
}

// TestPrints adds entries to fingerprints of all sizes and finds each of them.
func TestPrints(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for n := range 200 {
		r := &run{blockBits: 8, count: uint64(n)}
		entries := make([]uint64, n)
		for i := range entries {
			entries[i] = rng.Uint64()>>8<<8 | uint64(i)
		}
		slices.Sort(entries)
		p := newPrints(r)
		for _, e := range entries {
			p.add(e)
		}
		p.finish()
		for _, e := range entries {
			if !p.mayHave(e) || !p.mayHave(e^0xff) {
				t.Fatalf("of %d entries %x is not found", n, e)
			}
		}
	}
}
