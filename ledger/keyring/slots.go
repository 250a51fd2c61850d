package keyring

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// slots is the consumers file.
type slots struct {
	name string
	file vfs.File

	// content is held while slots are overwritten, and for reading while they are read.
	content sync.RWMutex

	// The fields below belong to whoever holds Keyring.writer.
	head  head
	count uint64 // slots in the file
}

func offset(n uint64) int64 { return headSize + int64(n)*slotSize }

// read reads slot n.
func (s *slots) read(n uint64) (slot, error) {
	b := make([]byte, slotSize)
	s.content.RLock()
	_, err := s.file.ReadAt(b, offset(n))
	s.content.RUnlock()
	if err != nil {
		return slot{}, fmt.Errorf("keyring: reading %s at %d: %w", s.name, offset(n), err)
	}
	sl, ok := readSlot(b)
	if !ok {
		return slot{}, &CorruptError{s.name, offset(n), "the checksum of a slot is wrong"}
	}
	return sl, nil
}

// scan calls fn with the bytes of each slot from the first to the one before end. They
// are fn's until it returns.
func (s *slots) scan(end uint64, fn func(n uint64, b []byte) error) error {
	const chunk = 4096
	buf := make([]byte, min(chunk, end)*slotSize)
	for n := uint64(0); n < end; {
		b := buf[:min(chunk, end-n)*slotSize]
		s.content.RLock()
		_, err := s.file.ReadAt(b, offset(n))
		s.content.RUnlock()
		if err != nil {
			return fmt.Errorf("keyring: reading %s at %d: %w", s.name, offset(n), err)
		}
		for ; len(b) > 0; n, b = n+1, b[slotSize:] {
			if err := fn(n, b[:slotSize]); err != nil {
				return err
			}
		}
	}
	return nil
}

// change is a slot to write at a place.
type change struct {
	at uint64
	slot
}

// write writes changes and puts them on disk. Those at s.count and after it follow
// on each other.
func (s *slots) write(changes []change) error {
	var tail []byte
	s.content.Lock()
	var err error
	for i := range changes {
		c := &changes[i]
		c.synced = s.head.synced
		if c.at >= s.count {
			if tail == nil {
				tail = make([]byte, 0, len(changes)*slotSize)
			}
			tail = c.append(tail)
		} else if err == nil {
			_, err = s.file.WriteAt(c.append(nil), offset(c.at))
		}
	}
	s.content.Unlock()
	if err == nil && len(tail) > 0 {
		_, err = s.file.WriteAt(tail, offset(s.count))
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("keyring: writing %s: %w", s.name, err)
	}
	s.count += uint64(len(tail) / slotSize)
	return s.writeHead(s.count)
}

// writeHead notes that so many slots are on disk. It does not wait for the note to be
// there as well: until it is, the slots written next say the same.
func (s *slots) writeHead(synced uint64) error {
	s.head = head{s.head.generation + 1, synced}
	at := int64(s.head.generation%2) * headCopyAt
	if _, err := s.file.WriteAt(s.head.append(nil), at); err != nil {
		return fmt.Errorf("keyring: writing %s: %w", s.name, err)
	}
	return nil
}

// writeStore fills a new consumers file: a head, and the given slots.
func writeStore(f io.Writer, content []slot) error {
	h := make([]byte, headSize)
	for _, at := range [...]int{0, headCopyAt} {
		head{1, uint64(len(content))}.append(h[:at])
	}
	for i := range content {
		h = content[i].append(h)
	}
	_, err := f.Write(h)
	return err
}

// survey is what a first look at the store finds.
type survey struct {
	damaged []uint64 // slots that were on disk before and are not what they were
	torn    []uint64 // slots that a power cut left in pieces, with whole ones after them
}

// open reads the head, and then every slot: fn is called with the whole ones in
// order, after expect with about how many there are. It sets count behind the last of them.
func (s *slots) open(expect func(n uint64), fn func(n uint64, sl slot)) (survey, error) {
	b := make([]byte, headSize)
	if _, err := s.file.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return survey{}, fmt.Errorf("keyring: reading %s: %w", s.name, err)
	}
	h, ok, err := readHead(b)
	if err != nil {
		return survey{}, fmt.Errorf("keyring: %s: %w", s.name, err)
	}
	if !ok {
		return survey{}, &CorruptError{s.name, 0, "it does not begin like a store of keys"}
	}
	info, err := s.file.Stat()
	if err != nil {
		return survey{}, fmt.Errorf("keyring: %s: %w", s.name, err)
	}
	inFile := uint64(max(info.Size()-headSize, 0)) / slotSize
	expect(inFile)
	var bad []uint64
	synced := h.synced
	err = s.scan(inFile, func(n uint64, b []byte) error {
		sl, ok := readSlot(b)
		if !ok {
			bad = append(bad, n)
			return nil
		}
		synced, s.count = max(synced, sl.synced), n+1
		fn(n, sl)
		return nil
	})
	if err != nil {
		return survey{}, err
	}
	for n := inFile; n < synced; n++ { // cut off
		bad = append(bad, n)
		s.count = synced
	}
	s.head = h
	return s.judge(bad, synced), nil
}

// judge tells damage from what a power cut may leave behind.
func (s *slots) judge(bad []uint64, synced uint64) survey {
	s.count = max(s.count, synced)
	var found survey
	for _, n := range bad {
		switch {
		case n < synced:
			found.damaged = append(found.damaged, n)
		case n < s.count:
			found.torn = append(found.torn, n)
		}
	}
	return found
}
