package keyring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"tallystick/events"
)

// The measures of the consumers file; the package comment draws it.
const (
	headSize   = 4096
	headCopyAt = 2048 // of the second copy of the head
	headBytes  = 44
	slotSize   = 128
	slotSum    = slotSize - 4
	maxBlob    = 1 + 8 + nonceSize + keySize + tagSize
	format     = 1
)

const magic = "tallystick keys\n"

// state says what a slot holds.
type state byte

const (
	none  state = 0 // there is no slot
	live  state = 1 // a wrapped key
	ended state = 2 // a tombstone
	void  state = 3 // nothing, and never will
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// slot is what the store keeps about one consumer.
type slot struct {
	revision uint64
	synced   uint64 // slots that were on disk when this one was written
	consumer events.OrganizationID
	state    state
	blob     []byte
}

// append appends the slotSize bytes of s.
func (s *slot) append(b []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, s.revision)
	b = binary.BigEndian.AppendUint64(b, s.synced)
	b = append(b, s.consumer[:]...)
	b = append(b, byte(s.state), byte(len(s.blob)))
	b = append(b, s.blob...)
	b = append(b, make([]byte, start+slotSum-len(b))...)
	return binary.BigEndian.AppendUint32(b, checksum(b[start:]))
}

// readSlot reads the first slotSize bytes of b, whose memory the slot shares. It
// reports false for anything that append does not write.
func readSlot(b []byte) (slot, bool) {
	b = b[:slotSize:slotSize]
	if binary.BigEndian.Uint32(b[slotSum:]) != checksum(b[:slotSum]) {
		return slot{}, false
	}
	n := int(b[33])
	s := slot{
		revision: binary.BigEndian.Uint64(b),
		synced:   binary.BigEndian.Uint64(b[8:]),
		consumer: events.OrganizationID(b[16:32]),
		state:    state(b[32]),
	}
	if s.state < live || s.state > void || n > maxBlob {
		return slot{}, false
	}
	s.blob = b[34 : 34+n : 34+n]
	return s, true
}

// head is the first block of the store.
type head struct {
	generation uint64 // of two copies the greater one counts
	synced     uint64 // slots that are on disk
}

func (h head) append(b []byte) []byte {
	start := len(b)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint64(b, format)
	b = binary.BigEndian.AppendUint64(b, h.generation)
	b = binary.BigEndian.AppendUint64(b, h.synced)
	return binary.BigEndian.AppendUint32(b, checksum(b[start:]))
}

// errFormat reports a store that a newer version of this program has written.
var errFormat = errors.New("it was written by a newer version of tally: use that one")

func readHeadCopy(b []byte) (h head, ok bool, err error) {
	b = b[:headBytes]
	if binary.BigEndian.Uint32(b[headBytes-4:]) != checksum(b[:headBytes-4]) || string(b[:len(magic)]) != magic {
		return head{}, false, nil
	}
	if v := binary.BigEndian.Uint64(b[16:]); v != format {
		return head{}, false, fmt.Errorf("format %d: %w", v, errFormat)
	}
	return head{binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[32:])}, true, nil
}

// readHead reads a head of headSize bytes: the newer of its two copies, and
// whether there is a valid one.
func readHead(b []byte) (h head, ok bool, err error) {
	for _, at := range [...]int{0, headCopyAt} {
		c, valid, err := readHeadCopy(b[at:])
		if err != nil {
			return head{}, false, err
		}
		if valid && c.generation >= h.generation {
			h, ok = c, true
		}
	}
	return h, ok, nil
}
