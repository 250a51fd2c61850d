package ledger

import (
	"encoding/binary"
	"fmt"

	"tallystick/events"
)

// The key schema, format 1. Every key begins with a byte that says what it is;
// numbers in keys are big-endian, so that they sort.
//
//	prefix  rest of the key             value                               example
//	c       size (8)                    checkpoint note, as text (D33)      c 00…2710 → "tallystick/ldg_…\n10000\n…"
//	d       level (1), first seq (8)    count of entries, as uvarint        d 00 00…0001 → 80 80 04
//	d       the same, and chunk (4)     entries of a run, sorted (8 each)   d 00 00…0001 00000000 → 0000012e56b10017 …
//	m       name                        see below                           m "format" → 01
//	p       name of a cursor            seq, as uvarint                     p "publisher" → 90 4e
//	r       seq (8)                     record, as hashed and published     r 00…0001 → a8 01 01 …
//	t       level (1), index (8)        SHA-256 (32)                        t 01 00…0000 → hash of leaves 0 to 255
//
// The node t(level, index) is the hash of the complete subtree over the leaves
// index × 256^level up to, and without, (index+1) × 256^level; level is 1 or
// more. Leaf hashes are not stored: they are computed from the records.
//
// Runs of the dedupe index, under d, are described at type index. They alone are ever
// rewritten.
//
// The names under m are "format", the version of this schema, as uvarint, and "seed",
// the secret (16) of the hashes in the dedupe index.
const (
	prefixCheckpoint = 'c'
	prefixIndex      = 'd'
	prefixMeta       = 'm'
	prefixCursor     = 'p'
	prefixRecord     = 'r'
	prefixTree       = 't'
)

// format is the version of the schema that this code reads and writes.
const format = 1

func recordKey(b []byte, seq events.Seq) []byte {
	return binary.BigEndian.AppendUint64(append(b, prefixRecord), uint64(seq))
}

func checkpointKey(size events.Seq) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixCheckpoint}, uint64(size))
}

func treeKey(b []byte, level uint8, index uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, prefixTree, level), index)
}

func metaKey(name string) []byte { return append([]byte{prefixMeta}, name...) }

func cursorKey(name string) []byte { return append([]byte{prefixCursor}, name...) }

// seqOfKey returns the number in a record's or a checkpoint's key.
func seqOfKey(key []byte) (events.Seq, error) {
	if len(key) != 9 {
		return 0, fmt.Errorf("key %x of %d bytes, want 9", key, len(key))
	}
	return events.Seq(binary.BigEndian.Uint64(key[1:])), nil
}

func seqValue(seq events.Seq) []byte { return binary.AppendUvarint(nil, uint64(seq)) }

func parseSeqValue(v []byte) (events.Seq, error) {
	n, size := binary.Uvarint(v)
	if size != len(v) || size == 0 {
		return 0, fmt.Errorf("value %x is no sequence", v)
	}
	return events.Seq(n), nil
}
