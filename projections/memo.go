package projections

import (
	"encoding/binary"
	"math/bits"
)

// A memo remembers things by a hash of their key, in less time and memory than a map: one look at one place. Two
// keys may have the same hash, so whoever finds a thing compares its key; it forgets everything now and then, so
// whoever does not find it looks it up where it is.
type memo[T any] struct {
	slots []memoSlot[T] // as many as a power of two, less than half in use
	used  int
}

type memoSlot[T any] struct {
	hash  uint64 // 0 for a slot that was never used
	thing *T     // nil for one that was forgotten
}

// memoLimit is how many things a memo remembers.
const memoLimit = 1 << 17

// memoHash returns the hash of an identity and a number. It is never 0.
func memoHash(id [16]byte, n uint32) uint64 {
	hi, lo := bits.Mul64(
		binary.LittleEndian.Uint64(id[:8])^0x9E3779B97F4A7C15,
		binary.LittleEndian.Uint64(id[8:])^0xC2B2AE3D27D4EB4F^uint64(n)*0x165667B19E3779F9,
	)
	return hi ^ lo | 1
}

// find returns what is remembered under hash, nil if nothing is.
func (m *memo[T]) find(hash uint64) *T {
	if s := m.slot(hash); s != nil && s.hash == hash {
		return s.thing
	}
	return nil
}

// slot returns the slot of hash or the free one where it belongs, nil if there are no slots.
func (m *memo[T]) slot(hash uint64) *memoSlot[T] {
	if len(m.slots) == 0 {
		return nil
	}
	mask := uint64(len(m.slots) - 1)
	for i := hash >> 32 & mask; ; i = (i + 1) & mask {
		if s := &m.slots[i]; s.hash == hash || s.hash == 0 {
			return s
		}
	}
}

func (m *memo[T]) put(hash uint64, thing *T) {
	if m.used >= memoLimit {
		m.clear()
	}
	if 2*(m.used+1) > len(m.slots) {
		old := m.slots
		m.slots, m.used = make([]memoSlot[T], max(1<<8, 2*len(old))), 0
		for _, s := range old {
			if s.thing != nil {
				m.put(s.hash, s.thing)
			}
		}
	}
	s := m.slot(hash)
	if s.hash == 0 {
		m.used++
	}
	*s = memoSlot[T]{hash, thing}
}

// forget drops what is remembered under hash.
func (m *memo[T]) forget(hash uint64) {
	if s := m.slot(hash); s != nil {
		s.thing = nil
	}
}

func (m *memo[T]) clear() {
	clear(m.slots)
	m.used = 0
}
