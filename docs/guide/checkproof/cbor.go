package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/big"
)

// members is a CBOR map whose keys are numbers.
type members map[uint64]any

// number returns a member that is a number, 0 if it is not there.
func (m members) number(key uint64) *big.Int {
	if n, ok := m[key].(*big.Int); ok {
		return n
	}
	return new(big.Int)
}

// has reports whether a member is n; one that is not there is 0.
func (m members) has(key uint64, n *big.Int) bool { return m.number(key).Cmp(n) == 0 }

// equal reports whether two values of records are the same.
func equal(a, b any) bool {
	switch a := a.(type) {
	case []byte:
		b, ok := b.([]byte)
		return ok && bytes.Equal(a, b)
	case *big.Int:
		b, ok := b.(*big.Int)
		return ok && a.Cmp(b) == 0
	}
	return false
}

var errCBOR = errors.New("its bytes are not CBOR of a record")

// parse reads the CBOR of a record (RFC 8949): numbers become [*big.Int], maps members, arrays []any.
func parse(b []byte) (members, error) {
	v, rest, err := item(b, 0)
	m, ok := v.(members)
	if err == nil && (!ok || len(rest) > 0) {
		err = errCBOR
	}
	return m, err
}

// item reads one value off the front of b.
func item(b []byte, depth int) (v any, rest []byte, err error) {
	n, rest, err := head(b)
	if err != nil || depth > 16 {
		return nil, nil, errCBOR
	}
	number := new(big.Int).SetUint64(n)
	switch major := b[0] >> 5; major {
	case 0:
		return number, rest, nil
	case 1:
		return number.Not(number), rest, nil
	case 2, 3:
		if n > uint64(len(rest)) {
			return nil, nil, errCBOR
		}
		if major == 3 {
			return string(rest[:n]), rest[n:], nil
		}
		return rest[:n], rest[n:], nil
	case 4:
		return list(n, rest, depth)
	case 5:
		return table(n, rest, depth)
	case 6: // of a number that does not fit 64 bits
		v, rest, err := item(rest, depth+1)
		digits, ok := v.([]byte)
		if err != nil || !ok || n != 2 && n != 3 {
			return nil, nil, errCBOR
		}
		if number.SetBytes(digits); n == 3 {
			number.Not(number)
		}
		return number, rest, nil
	default:
		return n == 21, rest, nil // true or false
	}
}

// head reads the first bytes of a value: its number, or how long it is.
func head(b []byte) (n uint64, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, errCBOR
	}
	more := 0
	switch info := b[0] & 31; {
	case info < 24:
		return uint64(info), b[1:], nil
	case info < 28:
		more = 1 << (info - 24)
	}
	if more == 0 || len(b) < 1+more {
		return 0, nil, errCBOR
	}
	var wide [8]byte
	copy(wide[8-more:], b[1:1+more])
	return binary.BigEndian.Uint64(wide[:]), b[1+more:], nil
}

func list(n uint64, b []byte, depth int) (all []any, rest []byte, err error) {
	for rest = b; n > 0; n-- {
		var v any
		if v, rest, err = item(rest, depth+1); err != nil {
			return nil, nil, err
		}
		all = append(all, v)
	}
	return all, rest, nil
}

func table(n uint64, b []byte, depth int) (m members, rest []byte, err error) {
	m = members{}
	for rest = b; n > 0; n-- {
		var k, v any
		if k, rest, err = item(rest, depth+1); err != nil {
			return nil, nil, err
		}
		key, ok := k.(*big.Int)
		if v, rest, err = item(rest, depth+1); err != nil || !ok || !key.IsUint64() {
			return nil, nil, errCBOR
		}
		m[key.Uint64()] = v
	}
	return m, rest, nil
}
