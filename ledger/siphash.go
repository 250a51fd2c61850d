package ledger

import (
	"encoding/binary"
	"math/bits"
)

// sipSeed is the secret of a SipHash.
type sipSeed struct{ k0, k1 uint64 }

func newSIPSeed(b []byte) sipSeed {
	return sipSeed{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

// sip is the state of SipHash-2-4, a keyed hash of 64 bits: who does not know the
// seed cannot make keys whose hashes collide.
type sip struct {
	v0, v1, v2, v3 uint64
	n              int // of bytes
}

func (s sipSeed) new() sip {
	return sip{
		v0: s.k0 ^ 0x736f6d6570736575, v1: s.k1 ^ 0x646f72616e646f6d,
		v2: s.k0 ^ 0x6c7967656e657261, v3: s.k1 ^ 0x7465646279746573,
	}
}

func (s *sip) round() {
	s.v0 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v2 = bits.RotateLeft64(s.v2, 32)
}

// word takes eight bytes. All words come before sum.
func (s *sip) word(m uint64) {
	s.n += 8
	s.v3 ^= m
	s.round()
	s.round()
	s.v0 ^= m
}

// sum takes the last bytes and returns the hash.
func (s *sip) sum(rest string) uint64 {
	for len(rest) >= 8 {
		s.word(uint64(rest[0]) | uint64(rest[1])<<8 | uint64(rest[2])<<16 | uint64(rest[3])<<24 |
			uint64(rest[4])<<32 | uint64(rest[5])<<40 | uint64(rest[6])<<48 | uint64(rest[7])<<56)
		rest = rest[8:]
	}
	last := uint64(s.n+len(rest)) << 56
	for i := range len(rest) {
		last |= uint64(rest[i]) << (8 * i)
	}
	s.word(last)
	s.v2 ^= 0xff
	s.round()
	s.round()
	s.round()
	s.round()
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}
