package events

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// ErrEncoding matches every error about bytes that are no valid record.
var ErrEncoding = errors.New("malformed record")

// encMode and decMode are the two directions of the library's codec. They are
// immutable and safe for concurrent use.
var encMode, decMode = modes()

func modes() (cbor.EncMode, cbor.DecMode) {
	opts := cbor.CoreDetEncOptions()
	opts.NilContainers = cbor.NilContainerAsEmpty // no list and an empty one are the same
	enc, err := opts.EncMode()
	if err != nil {
		panic("events: impossible: " + err.Error())
	}
	dec, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		UTF8:             cbor.UTF8RejectInvalid,
		IntDec:           cbor.IntDecConvertNone,
		MaxArrayElements: 1 << 16,
		MaxMapPairs:      1 << 16,
		MaxNestedLevels:  16,
	}.DecMode()
	if err != nil {
		panic("events: impossible: " + err.Error())
	}
	return enc, dec
}

// marshal returns v in the library's encoding. v is one of our own types, so it cannot fail.
func marshal(v any) []byte {
	b, err := encMode.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("events: impossible: encoding %T: %v", v, err))
	}
	return b
}

// unmarshal reads one T and nothing after it.
func unmarshal[T Event](b []byte) (Event, error) {
	var e T
	r := reader{b: b}
	r.item(shapes[reflect.TypeFor[T]()], 0)
	if err := r.finish(); err != nil {
		return nil, fmt.Errorf("%v: %w", reflect.TypeFor[T](), err)
	}
	if err := decMode.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("%w: %v: %w", ErrEncoding, reflect.TypeFor[T](), err)
	}
	return e, nil
}

// The major types of CBOR, in place.
const (
	majorUint  = 0 << 5
	majorNeg   = 1 << 5
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorMap   = 5 << 5
	majorTag   = 6 << 5
	majorOther = 7 << 5
)

// appendHead appends the head of an item: its major type and n, as short as can be.
func appendHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return append(b, major|25, byte(n>>8), byte(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func appendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendHead(b, majorNeg, uint64(-(n + 1)))
	}
	return appendHead(b, majorUint, uint64(n))
}

func appendBytes(b, v []byte) []byte {
	return append(appendHead(b, majorBytes, uint64(len(v))), v...)
}

func appendText(b []byte, v string) []byte {
	return append(appendHead(b, majorText, uint64(len(v))), v...)
}

func appendSum(b []byte, s Sum) []byte {
	if s.hi == int64(s.lo)>>63 { // fits into 64 bits
		return appendInt(b, int64(s.lo))
	}
	n, tag := s.Big(), byte(2)
	if n.Sign() < 0 {
		n, tag = n.Not(n), 3
	}
	if n.IsUint64() { // as short as can be: a plain integer of 64 bits, or its negative
		return appendHead(b, (tag-2)<<5, n.Uint64())
	}
	return appendBytes(append(b, majorTag|tag), n.Bytes())
}

// A reader takes CBOR items off the front of b. After the first error it reads
// zeros; finish reports the error. It accepts only what the append functions write:
// shortest heads and definite lengths.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: "+format, append([]any{ErrEncoding}, args...)...)
	}
	r.b = nil
}

// finish reports the first error, or that something is left to read.
func (r *reader) finish() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes after the end", len(r.b))
	}
	return r.err
}

// head takes the head of an item.
func (r *reader) head() (major byte, n uint64) {
	if len(r.b) > 0 {
		if first := r.b[0]; first&0x1F < 24 {
			r.b = r.b[1:]
			return first & 0xE0, uint64(first & 0x1F)
		}
	}
	return r.longHead()
}

// longHead takes a head of more than one byte.
func (r *reader) longHead() (major byte, n uint64) {
	if len(r.b) == 0 {
		r.fail("cut short")
		return 0, 0
	}
	major = r.b[0] & 0xE0
	var shortest uint64
	size := 0
	switch b := r.b[1:]; r.b[0] & 0x1F {
	case 24:
		if size = 1; len(b) >= size {
			n, shortest = uint64(b[0]), 24
		}
	case 25:
		if size = 2; len(b) >= size {
			n, shortest = uint64(binary.BigEndian.Uint16(b)), 1<<8
		}
	case 26:
		if size = 4; len(b) >= size {
			n, shortest = uint64(binary.BigEndian.Uint32(b)), 1<<16
		}
	case 27:
		if size = 8; len(b) >= size {
			n, shortest = binary.BigEndian.Uint64(b), 1<<32
		}
	}
	if shortest == 0 {
		r.fail("cut short, or of a length not allowed here")
		return 0, 0
	}
	if n < shortest && major != majorOther {
		r.fail("a number longer than it need be")
		return 0, 0
	}
	r.b = r.b[1+size:]
	return major, n
}

func (r *reader) expect(want byte) uint64 {
	major, n := r.head()
	if major != want && r.err == nil {
		r.fail("major type %d where %d is due", major>>5, want>>5)
		return 0
	}
	return n
}

func (r *reader) uint() uint64 { return r.expect(majorUint) }

// uintMax takes a number that is at most limit.
func (r *reader) uintMax(limit uint64) uint64 {
	n := r.uint()
	if n > limit {
		r.fail("%d is out of range", n)
		return 0
	}
	return n
}

func (r *reader) int() int64 {
	major, n := r.head()
	if n > 1<<63-1 || major > majorNeg {
		r.fail("no integer of 64 bits where one is due")
		return 0
	}
	if major == majorNeg {
		return -int64(n) - 1
	}
	return int64(n)
}

func (r *reader) nanos() Nanos {
	n := r.int()
	if n == -1<<63 {
		r.fail("%d is out of range", n)
		return 0
	}
	return Nanos(n)
}

// bytes takes a byte string. It shares memory with what is read.
func (r *reader) bytes() []byte { return r.take(r.expect(majorBytes)) }

// text takes a text. It shares memory with what is read.
func (r *reader) text() []byte {
	t := r.take(r.expect(majorText))
	if !utf8.Valid(t) {
		r.fail("text that is not UTF-8")
		return nil
	}
	return t
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail("cut short")
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// id takes a byte string of 16 bytes into dst.
func (r *reader) id(dst *[16]byte) {
	if len(r.b) > 16 && r.b[0] == majorBytes|16 {
		*dst, r.b = [16]byte(r.b[1:17]), r.b[17:]
		return
	}
	r.fixed(dst[:])
}

// fixed takes a byte string of exactly len(dst) bytes into dst.
func (r *reader) fixed(dst []byte) {
	v := r.bytes()
	if len(v) != len(dst) {
		r.fail("%d bytes where %d are due", len(v), len(dst))
		return
	}
	copy(dst, v)
}

func (r *reader) currency() (c Currency) {
	if t := r.take(r.expect(majorText)); r.err == nil && len(t) == len(c) {
		c = Currency(t)
	}
	if !c.valid() {
		r.fail("no currency where one is due")
	}
	return c
}

func (r *reader) sum() Sum {
	major, n := r.head()
	switch major {
	case majorUint:
		return Sum{0, n}
	case majorNeg:
		return Sum{-1, ^n}
	case majorTag:
		if n != 2 && n != 3 {
			break
		}
		v := r.bytes()
		if len(v) <= 8 || len(v) > 16 || v[0] == 0 {
			break
		}
		b := new(big.Int).SetBytes(v)
		if n == 3 {
			b.Not(b)
		}
		if s, ok := SumOfBig(b); ok {
			return s
		}
	}
	r.fail("no balance where one is due")
	return Sum{}
}

// fields goes through a map of small integer keys, which must ascend: after each next that
// reports true, key is a key, and its value is to be taken.
type fields struct {
	key  uint64
	seen uint64 // a bit for each key below 64
	left uint64
	then uint64 // the least that the next key may be
}

func (r *reader) fields() fields {
	return fields{left: r.uintHeadMax(majorMap, 1<<10)}
}

func (m *fields) next(r *reader) bool {
	if m.left == 0 {
		return false
	}
	m.left--
	if len(r.b) > 0 {
		if key := uint64(r.b[0]); key < 24 && key >= m.then {
			r.b = r.b[1:]
			m.key, m.then = key, key+1
			m.seen |= 1 << key
			return true
		}
	}
	return m.nextLong(r)
}

// nextLong is next where the key is of more than one byte, or wrong.
func (m *fields) nextLong(r *reader) bool {
	m.key = r.uint()
	if m.key < m.then || m.key > 1<<20 {
		r.fail("map key %d where at least %d is due", m.key, m.then)
	}
	m.then = m.key + 1
	if m.key < 64 {
		m.seen |= 1 << m.key
	}
	return r.err == nil
}

// need fails r unless m had all of the wanted keys.
func (m *fields) need(r *reader, what string, wanted uint64) {
	if r.err == nil && m.seen&wanted != wanted {
		r.fail("%s without all that it must have", what)
	}
}

func (r *reader) uintHeadMax(major byte, limit uint64) uint64 {
	n := r.expect(major)
	if n > limit {
		r.fail("%d elements", n)
		return 0
	}
	return n
}

// UnmarshalCBOR reads an integer that has a negation.
func (n *Nanos) UnmarshalCBOR(b []byte) error {
	r := reader{b: b}
	*n = r.nanos()
	return r.finish()
}
