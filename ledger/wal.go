package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
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
func checkWAL(disk vfs.FS, dir string) (err error) {
	name, number, err := lastWAL(disk, dir)
	if err != nil || name == "" {
		return err
	}
	f, err := disk.Open(disk.PathJoin(dir, name))
	if err != nil {
		return err
	}
	defer closeInto(f, &err)
	scan := walScan{number: uint32(number), bad: -1}
	block := make([]byte, walBlock)
	for {
		n, err := io.ReadFull(f, block)
		if scan.block(block[:n]) {
			return &CorruptError{What: fmt.Sprintf("file %s: damaged at offset %d", name, scan.bad)}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading %s: %w", name, err)
		}
	}
}

// lastWAL returns the WAL with the highest number, or "" if there is none.
func lastWAL(disk vfs.FS, dir string) (last string, number uint64, err error) {
	names, err := disk.List(dir)
	if err != nil {
		return "", 0, err
	}
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, ".log")
		n, err := strconv.ParseUint(digits, 10, 64)
		if ok && err == nil && n >= number {
			last, number = name, n
		}
	}
	return last, number, nil
}

// walScan looks for chunks that say that a damaged place was synced.
type walScan struct {
	number uint32
	start  int64 // of the block
	bad    int64 // first place that holds no chunk; -1 before it is found
}

// block reads the next block and reports whether it shows that what is at s.bad was synced.
func (s *walScan) block(b []byte) bool {
	for at := 0; at+walHeader <= len(b); {
		size, synced, ok := s.chunk(b[at:])
		switch {
		case ok && s.bad >= 0 && synced > uint64(s.bad):
			return true
		case ok:
			at += walHeader + size
		default: // what follows, if anything, starts anywhere
			if s.bad < 0 {
				s.bad = s.start + int64(at)
			}
			at++
		}
	}
	s.start += int64(len(b))
	return false
}

// chunk reads the chunk that b begins with.
func (s *walScan) chunk(b []byte) (size int, synced uint64, ok bool) {
	size = int(binary.LittleEndian.Uint16(b[4:]))
	if b[6] < 9 || b[6] > 12 || binary.LittleEndian.Uint32(b[7:]) != s.number || walHeader+size > len(b) {
		return 0, 0, false
	}
	crc := crc32.Checksum(b[6:walHeader+size], crc32.MakeTable(crc32.Castagnoli))
	crc = (crc>>15 | crc<<17) + 0xa282ead8 // as LevelDB does
	return size, binary.LittleEndian.Uint64(b[11:]), crc == binary.LittleEndian.Uint32(b)
}
