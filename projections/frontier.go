package projections

import (
	"crypto/sha256"
	"math/bits"

	"tallystick/events"
)

// Frontier is the right edge of a growing Merkle tree: the roots of the complete
// subtrees that its leaves make up, largest first, one for each bit set in Size. So
// the root of all leaves is known without them. The zero Frontier has no leaves.
//
// Root() after n calls of Append is the tree hash of those n leaf hashes, as RFC 6962 defines it.
type Frontier struct {
	Size   uint64
	Hashes []events.Hash // as many as Size has bits set
}

// Append adds a leaf hash on the right.
func (f *Frontier) Append(leaf events.Hash) {
	for range bits.TrailingZeros64(^f.Size) {
		last := len(f.Hashes) - 1
		leaf = nodeHash(f.Hashes[last], leaf)
		f.Hashes = f.Hashes[:last]
	}
	f.Hashes = append(f.Hashes, leaf)
	f.Size++
}

// Root returns the hash of the tree. That of no leaves is the hash of nothing.
func (f *Frontier) Root() events.Hash {
	if f.Size == 0 {
		return sha256.Sum256(nil)
	}
	last := len(f.Hashes) - 1
	root := f.Hashes[last]
	for i := last - 1; i >= 0; i-- {
		root = nodeHash(f.Hashes[i], root)
	}
	return root
}

func nodeHash(left, right events.Hash) events.Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}
