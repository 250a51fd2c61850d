package projtest

import "math/bits"

// random is a source of numbers that depend on its seed alone: SplitMix64.
type random struct{ state uint64 }

// Uint64 returns the next number.
func (r *random) Uint64() uint64 {
	r.state += 0x9E3779B97F4A7C15
	z := r.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// IntN returns the next number from 0 up to, and without, n.
func (r *random) IntN(n int) int {
	hi, _ := bits.Mul64(r.Uint64(), uint64(n))
	return int(hi)
}
