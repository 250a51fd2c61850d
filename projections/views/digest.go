package views

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"tallystick/events"
)

// Digest stands for all rows of one projection: two that are equal have equal rows (D17).
//
// It is SHA-256 over its rows in the order of their keys, each as the length of the key (4 bytes), the
// length of the value (4 bytes), the key, with its table's byte, and the value.
type Digest struct {
	Projection string      `json:"projection"`
	Rows       uint64      `json:"rows"`
	Hash       events.Hash `json:"sha256"`
}

// Digests returns the digest of every projection, in the order of their names.
func (r *Reader) Digests(ctx context.Context) ([]Digest, error) {
	return r.digests(ctx, func(int) error { return nil })
}

// digests calls rest after each row with the bytes that it had.
func (r *Reader) digests(ctx context.Context, rest func(n int) error) ([]Digest, error) {
	type sum struct {
		hash hash.Hash
		rows uint64
	}
	sums := make(map[string]*sum)
	for _, t := range r.tables.Tables() { // those of a projection need not be neighbours
		if r.hidden[t.ID] {
			return nil, ErrNotKept
		}
		s := sums[t.Projection]
		if s == nil {
			s = &sum{hash: sha256.New()}
			sums[t.Projection] = s
		}
		var buf []byte
		err := r.Rows(ctx, []byte{t.ID}, nil, func(key, value []byte) error {
			buf = binary.BigEndian.AppendUint32(buf[:0], uint32(len(key)))
			buf = binary.BigEndian.AppendUint32(buf, uint32(len(value)))
			buf = append(append(buf, key...), value...)
			s.hash.Write(buf)
			s.rows++
			return rest(len(buf))
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	digests := make([]Digest, 0, len(sums))
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		d := Digest{Projection: name, Rows: sums[name].rows}
		sums[name].hash.Sum(d.Hash[:0])
		digests = append(digests, d)
	}
	return digests, nil
}

// Difference is the first row in which two books differ.
type Difference struct {
	Table   string `json:"table"`   // "wallets.accounts"
	Key     string `json:"key"`     // as people write it
	Live    string `json:"live"`    // the row in JSON, "" if there is none
	Rebuilt string `json:"rebuilt"` // likewise
}

// String returns d on one line.
func (d *Difference) String() string {
	show := func(s string) string {
		if s == "" {
			return "no row"
		}
		return s
	}
	return fmt.Sprintf("%s %s: live %s, rebuilt %s", d.Table, d.Key, show(d.Live), show(d.Rebuilt))
}

// firstDifference returns the first row in which two readers differ, nil if there is none.
func firstDifference(ctx context.Context, live, rebuilt *Reader) (d *Difference, err error) {
	iter := func(r *Reader) (*pebble.Iterator, error) {
		if err := r.fail.parked(); err != nil {
			return nil, err
		}
		return r.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: []byte{checkpointKey[0] + 1}})
	}
	a, err := iter(live)
	if err != nil {
		return nil, corruption(err)
	}
	defer closeInto(a, &err)
	b, err := iter(rebuilt)
	if err != nil {
		return nil, corruption(err)
	}
	defer closeInto(b, &err)
	for okA, okB := a.First(), b.First(); okA || okB; okA, okB = a.Next(), b.Next() {
		if err := errors.Join(a.Error(), b.Error()); err != nil {
			return nil, corruption(err)
		}
		order := 0
		switch {
		case okA && okB:
			order = bytes.Compare(a.Key(), b.Key())
		case okA:
			order = -1
		default:
			order = 1
		}
		switch {
		case order < 0:
			return difference(live, a.Key(), a.Value(), nil), nil
		case order > 0:
			return difference(live, b.Key(), nil, b.Value()), nil
		case !bytes.Equal(a.Value(), b.Value()):
			return difference(live, a.Key(), a.Value(), b.Value()), nil
		}
	}
	return nil, corruption(errors.Join(a.Error(), b.Error()))
}

func difference(r *Reader, key, live, rebuilt []byte) *Difference {
	d := &Difference{Table: "none", Key: fmt.Sprintf("%x", key)}
	show := func(value []byte) string {
		if value == nil {
			return ""
		}
		table, k, row, err := r.tables.Explain(key, value)
		if err != nil {
			return fmt.Sprintf("%x (%v)", value, err)
		}
		d.Table, d.Key = table.Name, k
		text, err := json.Marshal(row)
		if err != nil {
			return fmt.Sprintf("%x (%v)", value, err)
		}
		return string(text)
	}
	d.Live, d.Rebuilt = show(live), show(rebuilt)
	return d
}
