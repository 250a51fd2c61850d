package projections

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Source is a stored copy of books, from which rows are read when they are asked for.
type Source interface {
	// Load returns the stored value of a key of a table. The value must not
	// change afterwards. Two goroutines may call it at a time.
	Load(table byte, key []byte) (value []byte, ok bool, err error)
}

// SourceError is what a fold panics with when its [Source] fails: a fold cannot go on
// without the row, and cannot refuse a record. Whoever runs the fold recovers it.
type SourceError struct{ Err error }

func (e *SourceError) Error() string { return "reading stored books: " + e.Err.Error() }

func (e *SourceError) Unwrap() error { return e.Err }

// table is a table without its types: what storing and loading need of it.
type table interface {
	describe() TableInfo
	attach(Source)
	adopt(key, value []byte) error
	flush(put func(key, value []byte) error, drop func(key []byte) error) error
	changed(key []byte) (value []byte, changed bool)
	eachChange(fn func(key, value []byte))
	shrink(n int)
	size() int
	changes() int
	explain(key, value []byte) (k string, row any, err error)
}

// TableInfo says what a table is.
type TableInfo struct {
	ID         byte   // first byte of its keys in a store; never changes its meaning
	Name       string // "wallets.accounts"
	Projection string // the fold it belongs to: "wallets"
	Rules      bool   // whether rules read it
}

// keyCodec is how the keys of a table are written: in an order that sorts as they do.
type keyCodec[K comparable] struct {
	append func(b []byte, k K) []byte
	parse  func(b []byte) (K, error)
}

// Table is rows of type V by keys of type K. Rows read from its [Source] and rows
// that changed are in memory; flush writes the changed ones.
//
// Reads return pointers into the table. Only a fold, through Edit, may write through one.
type Table[K comparable, V any] struct {
	TableInfo
	key    keyCodec[K]
	value  rowCodec[V]
	rows   map[K]*row[V]
	source Source
	track  bool // remember which rows changed
	off    bool // nobody reads it here: changes are made to a scratch row and forgotten
	dirty  []change[K, V]
	gone   map[K]struct{} // removed since the last flush, or hidden from the source
	buf    []byte
}

type row[V any] struct {
	v     V
	dirty bool // in the table's list of changes, and to be flushed
	used  bool // since shrink last came by
}

// change is a row that has changed since the last flush.
type change[K comparable, V any] struct {
	k K
	r *row[V]
}

// Get returns the row of k, or nil if there is none. It must not be changed.
func (t *Table[K, V]) Get(k K) *V {
	if r := t.find(k); r != nil {
		return &r.v
	}
	return nil
}

func (t *Table[K, V]) find(k K) *row[V] {
	if r := t.rows[k]; r != nil {
		if !r.used {
			r.used = true
		}
		return r
	}
	if t.source == nil {
		return nil
	}
	return t.load(k)
}

func (t *Table[K, V]) load(k K) *row[V] {
	if _, removed := t.gone[k]; removed {
		return nil
	}
	t.buf = t.key.append(t.buf[:0], k)
	value, ok, err := t.source.Load(t.ID, t.buf)
	if err != nil {
		panic(&SourceError{fmt.Errorf("%s: %w", t.Name, err)})
	}
	if !ok {
		return nil
	}
	r := &row[V]{used: true}
	if err := t.value.parse(value, &r.v); err != nil {
		panic(&SourceError{fmt.Errorf("%s: %w", t.Name, err)})
	}
	t.rows[k] = r
	return r
}

// edit returns the row of k to be changed, a new one if there is none.
func (t *Table[K, V]) edit(k K) *V {
	if t.off {
		return new(V)
	}
	r := t.row(k)
	t.touch(k, r)
	return &r.v
}

// row returns the row of k, a new one if there is none. Who changes it calls touch.
func (t *Table[K, V]) row(k K) *row[V] {
	r := t.find(k)
	if r == nil {
		r = t.add(k)
	}
	return r
}

// insert returns a new row for k, in place of the one there may be.
func (t *Table[K, V]) insert(k K) *V {
	if t.off {
		return new(V)
	}
	r := t.add(k)
	t.touch(k, r)
	return &r.v
}

func (t *Table[K, V]) add(k K) *row[V] {
	r := &row[V]{used: true}
	t.rows[k] = r
	if len(t.gone) > 0 {
		delete(t.gone, k)
	}
	return r
}

// touch notes that r, the row of k, changes.
func (t *Table[K, V]) touch(k K, r *row[V]) {
	if t.track && !r.dirty {
		r.dirty, r.used = true, true
		t.dirty = append(t.dirty, change[K, V]{k, r})
	}
}

// remove removes the row of k, if there is one.
func (t *Table[K, V]) remove(k K) {
	if t.off {
		return
	}
	r := t.find(k)
	if r == nil {
		return
	}
	r.dirty = false
	delete(t.rows, k)
	if t.track || t.source != nil {
		t.gone[k] = struct{}{}
	}
}

// Each calls fn for every row in memory, in no order, until it returns false. With a Source attached these
// are not all rows.
func (t *Table[K, V]) Each(fn func(k K, v *V) bool) {
	for k, r := range t.rows {
		if !fn(k, &r.v) {
			return
		}
	}
}

// Decode reads a stored key, without the table's first byte, and value.
func (t *Table[K, V]) Decode(key, value []byte) (k K, v V, err error) {
	if k, err = t.key.parse(key); err == nil {
		err = t.value.parse(value, &v)
	}
	return k, v, err
}

// Key returns the whole stored key of k: the table's first byte and the encoded key.
func (t *Table[K, V]) Key(k K) []byte { return t.key.append([]byte{t.ID}, k) }

func (t *Table[K, V]) describe() TableInfo { return t.TableInfo }

func (t *Table[K, V]) size() int { return len(t.rows) }

func (t *Table[K, V]) changes() int { return len(t.dirty) + len(t.gone) }

func (t *Table[K, V]) explain(key, value []byte) (string, any, error) {
	k, v, err := t.Decode(key, value)
	if err != nil {
		return "", nil, err
	}
	return keyText(k), &v, nil
}

func (t *Table[K, V]) attach(s Source) {
	t.source = s
	if s == nil && !t.track {
		clear(t.gone)
	}
}

// adopt takes a stored row in, unless a newer one is there.
func (t *Table[K, V]) adopt(key, value []byte) error {
	if t.off {
		return nil
	}
	k, err := t.key.parse(key)
	if err != nil {
		return fmt.Errorf("%s: %w", t.Name, err)
	}
	if _, removed := t.gone[k]; removed || t.rows[k] != nil {
		return nil
	}
	r := new(row[V])
	if err := t.value.parse(value, &r.v); err != nil {
		return fmt.Errorf("%s: %w", t.Name, err)
	}
	t.rows[k] = r
	return nil
}

// flush gives every change since the last flush to put and drop, and forgets that it was one.
func (t *Table[K, V]) flush(put func(key, value []byte) error, drop func(key []byte) error) error {
	for _, c := range t.dirty {
		if !c.r.dirty {
			continue // removed since
		}
		c.r.dirty = false
		t.buf = t.key.append(append(t.buf[:0], t.ID), c.k)
		n := len(t.buf)
		t.buf = t.value.append(t.buf, &c.r.v)
		if err := put(t.buf[:n:n], t.buf[n:]); err != nil {
			return err
		}
	}
	clear(t.dirty)
	t.dirty = t.dirty[:0]
	for k := range t.gone {
		t.buf = t.key.append(append(t.buf[:0], t.ID), k)
		if err := drop(t.buf); err != nil {
			return err
		}
	}
	clear(t.gone)
	return nil
}

// changed returns the stored form of the row of a stored key, nil for one that was removed, if it has changed since the last flush.
// It leaves t as it is, so any goroutine may call it while nobody changes t.
func (t *Table[K, V]) changed(key []byte) (value []byte, changed bool) {
	k, err := t.key.parse(key)
	if err != nil {
		return nil, false
	}
	if r := t.rows[k]; r != nil && r.dirty {
		return t.value.append(nil, &r.v), true
	}
	_, removed := t.gone[k]
	return nil, removed
}

// eachChange calls fn for what flush would give, in no order, and leaves t as it is.
func (t *Table[K, V]) eachChange(fn func(key, value []byte)) {
	for _, c := range t.dirty {
		if c.r.dirty {
			fn(t.Key(c.k), t.value.append(nil, &c.r.v))
		}
	}
	for k := range t.gone {
		fn(t.Key(k), nil)
	}
}

// shrink forgets about n rows that are stored and were not used since it last came by them; fewer if most were. It goes on
// where chance leads it, so that no row is always the first to go. There must be no changes to flush.
func (t *Table[K, V]) shrink(n int) {
	if len(t.dirty) != 0 || t.source == nil {
		return
	}
	for k, r := range t.rows {
		if n <= 0 {
			return
		}
		if !r.used {
			delete(t.rows, k)
			n--
		}
		r.used = false
	}
}

// rowEncoding and rowDecoding are the canonical form of rows: core deterministic CBOR.
var rowEncoding, rowDecoding = rowModes()

func rowModes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic("projections: impossible: " + err.Error())
	}
	dec, err := cbor.DecOptions{IndefLength: cbor.IndefLengthForbidden, MaxArrayElements: 1 << 24}.DecMode()
	if err != nil {
		panic("projections: impossible: " + err.Error())
	}
	return enc, dec
}

func encode(v any) []byte {
	b, err := rowEncoding.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("projections: impossible: encoding %T: %v", v, err))
	}
	return b
}

func decode(b []byte, v any) error { return rowDecoding.Unmarshal(b, v) }
