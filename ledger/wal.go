package ledger

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A WAL of Pebble's newest format is blocks of 32 KiB, made up of chunks:
//
//	CRC (4)   size of payload (2)   type (1)   WAL number (4)   synced offset (8)   payload
//
// all little-endian. The CRC is over what follows the size. Types 9 to 12 are chunks;
// the end is a header of another type, stale chunks with another WAL's number, or zeros.
// The synced offset is how far the WAL was on disk when the chunk was written.
const (
	walBlock  = 32 << 10
	walHeader = 19
)

// checkWAL reads the last WAL in dir and returns a [*CorruptError] if it is damaged
// at a place that was on disk. Pebble takes a damaged chunk of the last WAL for its end,
// unless a chunk in a later block says that it was synced. This looks in the same
// block too; and the committer sees to it that a chunk comes after each sync.
func checkWAL(disk vfs.FS, dir string) error {
	all, err := wals(disk, dir)
	if err != nil || len(all) == 0 {
		return err
	}
	return all[len(all)-1].check(disk, dir, false)
}

// damagedWAL returns a [*CorruptError] for the first WAL in dir, other than the last, that is damaged before its end, or nil. All of it was
// on disk before the next one was begun. Pebble does not open what has a damaged one that it needs, and does not say where.
func damagedWAL(disk vfs.FS, dir string) error {
	all, err := wals(disk, dir)
	if err != nil || len(all) == 0 {
		return err
	}
	for _, w := range all[:len(all)-1] {
		if err := w.check(disk, dir, true); err != nil {
			return err
		}
	}
	return nil
}

// check looks for a damaged place in a WAL that was on disk: before any later chunk if it is whole, else before one that says so.
func (w wal) check(disk vfs.FS, dir string, whole bool) (err error) {
	f, err := disk.Open(disk.PathJoin(dir, w.name))
	if err != nil {
		return err
	}
	defer closeInto(f, &err)
	scan := walScan{number: uint32(w.number), whole: whole, bad: -1}
	block := make([]byte, walBlock)
	for {
		n, err := io.ReadFull(f, block)
		over := err != nil
		if scan.block(block[:n]) || over && whole && scan.torn {
			return &CorruptError{What: fmt.Sprintf("file %s: damaged at offset %d", w.name, scan.bad)}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading %s: %w", w.name, err)
		}
	}
}

// wal is a file.
type wal struct {
	name   string
	number uint64
}

// wals returns the WALs in a directory, the oldest first.
func wals(disk vfs.FS, dir string) (all []wal, err error) {
	names, err := disk.List(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, ".log")
		if n, err := strconv.ParseUint(digits, 10, 64); ok && err == nil {
			all = append(all, wal{name, n})
		}
	}
	slices.SortFunc(all, func(a, b wal) int { return cmp.Compare(a.number, b.number) })
	return all, nil
}

// walScan looks for chunks that say that a damaged place was synced.
type walScan struct {
	number uint32
	whole  bool  // every chunk was
	start  int64 // of the block
	bad    int64 // first place that holds no chunk; -1 before it is found
	torn   bool  // it looks like one
}

// block reads the next block and reports whether it shows that what is at s.bad was synced.
func (s *walScan) block(b []byte) bool {
	for at := 0; at+walHeader <= len(b); {
		size, synced, ok := s.chunk(b[at:])
		switch {
		case ok && s.bad >= 0 && (s.whole || synced > uint64(s.bad)):
			return true
		case ok:
			at += walHeader + size
		default: // what follows, if anything, starts anywhere
			if s.bad < 0 {
				s.bad, s.torn = s.start+int64(at), s.heads(b[at:])
			}
			at++
		}
	}
	s.start += int64(len(b))
	return false
}

// heads reports whether b begins like a chunk of this WAL.
func (s *walScan) heads(b []byte) bool {
	return b[6] >= 9 && b[6] <= 12 && binary.LittleEndian.Uint32(b[7:]) == s.number
}

// chunk reads the chunk that b begins with.
func (s *walScan) chunk(b []byte) (size int, synced uint64, ok bool) {
	size = int(binary.LittleEndian.Uint16(b[4:]))
	if !s.heads(b) || walHeader+size > len(b) {
		return 0, 0, false
	}
	crc := crc32.Checksum(b[6:walHeader+size], crc32.MakeTable(crc32.Castagnoli))
	crc = (crc>>15 | crc<<17) + 0xa282ead8 // as LevelDB does
	return size, binary.LittleEndian.Uint64(b[11:]), crc == binary.LittleEndian.Uint32(b)
}
