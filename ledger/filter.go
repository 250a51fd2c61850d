package ledger

// filter says of most keys that were never used that they were not. It is a list of Bloom
// filters: one with the keys of the runs that were there when the log was opened, filled
// beside the log's work, and young ones with the keys appended since, each for more keys than the
// one before. While the first is not filled, and after it took too much memory, it rules out
// nothing.
type filter struct {
	old   *bloom // nil until it is filled
	young []*bloom
	off   bool
}

// bloom is a Bloom filter in which all bits of a key lie in one word. It has 16 bits and sets 5
// for each key; about one absent key in 300 seems present.
type bloom struct {
	words    []uint64
	capacity int // in keys
	count    int
}

const (
	keysPerWord = 4
	firstBloom  = 1 << 17 // keys
	bloomGrowth = 4

	// filterBits is how many lower bits of a hash make no difference: those that entries
	// of the largest runs do not have.
	filterBits = blockBits + fanBits*maxLevel
)

func newBloom(capacity int) *bloom {
	return &bloom{words: make([]uint64, capacity/keysPerWord+1), capacity: capacity}
}

// place returns the word in which a key lies, and its bits. The upper bits of the hash choose the
// word, so that entries of a run, which are in order, are added in order of their words.
func (b *bloom) place(hash uint64) (word *uint64, bits uint64) {
	x := hash >> filterBits * 0x9E3779B97F4A7C15
	bits = 1<<(x>>58) | 1<<(x>>52&63) | 1<<(x>>46&63) | 1<<(x>>40&63) | 1<<(x>>34&63)
	return &b.words[hash>>32*uint64(len(b.words))>>32], bits
}

func (b *bloom) add(hash uint64) {
	word, bits := b.place(hash)
	*word |= bits
	b.count++
}

func (b *bloom) mayHave(hash uint64) bool {
	word, bits := b.place(hash)
	return *word&bits == bits
}

// rulesOut reports whether no key with this hash was added.
func (f *filter) rulesOut(hash uint64) bool {
	if f.old == nil || f.old.mayHave(hash) {
		return false
	}
	for _, b := range f.young {
		if b.mayHave(hash) {
			return false
		}
	}
	return true
}

// add adds a key that was appended.
func (f *filter) add(hash uint64) {
	if f.off {
		return
	}
	n := len(f.young)
	if n == 0 || f.young[n-1].count == f.young[n-1].capacity {
		capacity := firstBloom
		if n > 0 {
			capacity = bloomGrowth * f.young[n-1].capacity
		}
		f.young = append(f.young, newBloom(capacity))
		n++
	}
	f.young[n-1].add(hash)
}

// bytes returns how much memory f takes.
func (f *filter) bytes() (n int64) {
	for _, b := range f.young {
		n += 8 * int64(len(b.words))
	}
	if f.old != nil {
		n += 8 * int64(len(f.old.words))
	}
	return n
}
