package views

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"tallystick/events"
	"tallystick/projections"
)

// Reader is books as they were when one record had been applied, and stay: what is written to
// the store afterwards is not seen. It must be closed.
//
// It implements [projections.Source]. Any goroutine may use it, and many at a time.
type Reader struct {
	at     Checkpoint
	tables *projections.Books // for the codecs of its tables only
	db     pebble.Reader      // nil for no rows
	fail   *failure
	later  *overlay      // what has changed since db, nil if nothing has
	hidden map[byte]bool // tables whose rows are those of another time
	close  func() error  // releases db
	once   sync.Once
}

// ErrStop ends a loop over rows early. It is not returned.
var ErrStop = errors.New("stop")

// overlay is rows that differ from those of a store: what has changed in books, which nobody changes any more.
type overlay struct {
	books *projections.Books

	mu     sync.Mutex // guards the field below
	tables map[byte][]changedRow
}

// changedRow is a row that differs.
type changedRow struct{ key, value []byte } // value nil for one that was removed

func newOverlay(books *projections.Books) *overlay {
	return &overlay{books: books, tables: make(map[byte][]changedRow)}
}

// table returns the changed rows of a table in the order of their keys. They are put in order when they are first asked for:
// most questions are about single rows.
func (o *overlay) table(id byte) []changedRow {
	o.mu.Lock()
	defer o.mu.Unlock()
	rows, ok := o.tables[id]
	if !ok {
		o.books.EachChange(id, func(key, value []byte) { rows = append(rows, changedRow{key, value}) })
		slices.SortFunc(rows, func(a, b changedRow) int { return bytes.Compare(a.key, b.key) })
		o.tables[id] = rows
	}
	return rows
}

// Reader returns the rows of the store as they are now.
func (s *Store) Reader() (*Reader, error) {
	if err := s.fail.parked(); err != nil {
		return nil, err
	}
	snapshot := s.db.NewSnapshot()
	at, err := checkpointOf(snapshot, s.fail)
	if err != nil {
		return nil, errors.Join(err, snapshot.Close())
	}
	return &Reader{at: at, tables: s.tables, db: snapshot, fail: s.fail, close: snapshot.Close}, nil
}

// Close releases what r reads from.
func (r *Reader) Close() (err error) {
	r.once.Do(func() {
		if err = r.fail.parked(); err == nil {
			err = r.close()
		}
	})
	return err
}

// At returns what the rows are current to.
func (r *Reader) At() Checkpoint { return r.at }

// Seq returns the last record that was applied.
func (r *Reader) Seq() events.Seq { return r.at.Seq }

// Tables returns books without rows, to name tables by: Get(r, r.Tables().Wallets, id).
func (r *Reader) Tables() *projections.Books { return r.tables }

// Load implements [projections.Source].
func (r *Reader) Load(table byte, key []byte) (value []byte, ok bool, err error) {
	if r.hidden[table] {
		return nil, false, ErrNotKept
	}
	if r.later != nil {
		if v, changed := r.later.books.Changed(table, key); changed {
			return v, v != nil, nil
		}
	}
	return load(r.db, r.fail, table, key)
}

// Rows calls fn for each row whose whole key begins with prefix, in the order of their keys, from the key from on, if
// it is not nil, until fn returns an error. It returns that error unless it is [ErrStop]. Keys and values are valid
// during the call only.
func (r *Reader) Rows(ctx context.Context, prefix, from []byte, fn func(key, value []byte) error) (err error) {
	if len(prefix) > 0 && r.hidden[prefix[0]] {
		return ErrNotKept
	}
	if err := r.fail.parked(); err != nil {
		return err
	}
	lower := prefix
	if bytes.Compare(from, lower) > 0 {
		lower = from
	}
	if len(lower) == 0 {
		lower = []byte{checkpointKey[0] + 1}
	}
	m := merged{later: r.changedFrom(lower, prefix)}
	if r.db != nil {
		if m.it, err = r.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: after(prefix)}); err != nil {
			return corruption(err)
		}
		defer closeInto(m.it, &err)
	}
	n := 0
	for k, v, ok := m.first(); ok; k, v, ok = m.next() {
		if !bytes.HasPrefix(k, prefix) {
			break
		}
		if n++; n%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if err := fn(k, v); err != nil {
			if errors.Is(err, ErrStop) {
				return nil
			}
			return err
		}
	}
	return corruption(m.err())
}

// after returns the least key that sorts after all with the given prefix, nil if there is none.
func after(prefix []byte) []byte {
	end := slices.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// changedFrom returns the changed rows from a key on, of the table of that key, or of all tables from it on.
func (r *Reader) changedFrom(lower, prefix []byte) (rows []changedRow) {
	if r.later == nil {
		return nil
	}
	for _, t := range r.tables.Tables() {
		if t.ID >= lower[0] && (len(prefix) == 0 || t.ID == prefix[0]) {
			rows = append(rows, r.later.table(t.ID)...)
		}
	}
	if len(prefix) == 0 {
		slices.SortFunc(rows, func(a, b changedRow) int { return bytes.Compare(a.key, b.key) })
	}
	i, _ := slices.BinarySearchFunc(rows, lower, func(row changedRow, key []byte) int { return bytes.Compare(row.key, key) })
	return rows[i:]
}

// merged goes through the rows of a store and those of an overlay in the order of their keys. Of two with
// the same key it gives that of the overlay.
type merged struct {
	it    *pebble.Iterator // nil for no rows
	later []changedRow
	value error // from reading a value
}

func (m *merged) valid() bool { return m.it != nil && m.it.Valid() }

func (m *merged) first() (k, v []byte, ok bool) {
	if m.it != nil {
		m.it.First()
	}
	return m.current()
}

func (m *merged) next() (k, v []byte, ok bool) {
	switch m.order() {
	case -1:
		m.it.Next()
	case 0:
		m.it.Next()
		m.later = m.later[1:]
	case 1:
		m.later = m.later[1:]
	}
	return m.current()
}

// order returns -1 if the next key is the store's, 1 if it is the overlay's, 0 if it is that of both.
func (m *merged) order() int {
	switch {
	case len(m.later) == 0:
		return -1
	case !m.valid():
		return 1
	}
	return bytes.Compare(m.it.Key(), m.later[0].key)
}

func (m *merged) current() (k, v []byte, ok bool) {
	for {
		order := m.order()
		if order < 0 {
			if !m.valid() {
				return nil, nil, false
			}
			v, m.value = m.it.ValueAndErr()
			return m.it.Key(), v, m.value == nil
		}
		if row := m.later[0]; row.value != nil {
			return row.key, row.value, true
		}
		m.later = m.later[1:] // removed
		if order == 0 {
			m.it.Next()
		}
	}
}

func (m *merged) err() error {
	if m.it == nil {
		return nil
	}
	return errors.Join(m.value, m.it.Error())
}

// Warm calls fn for each row that rules read, in the order of their keys, to be given to [projections.Books.Adopt].
// Keys and values are valid during the call only.
func (r *Reader) Warm(ctx context.Context, fn func(key, value []byte) error) error {
	for _, t := range r.tables.Tables() {
		if !t.Rules {
			continue
		}
		if err := r.Rows(ctx, []byte{t.ID}, nil, fn); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	return nil
}

// Get returns the row of k in one of [Reader.Tables], or nil if there is none.
func Get[K comparable, V any](r *Reader, t *projections.Table[K, V], k K) (*V, error) {
	key := t.Key(k)
	value, ok, err := r.Load(key[0], key[1:])
	if err != nil || !ok {
		return nil, err
	}
	_, row, err := t.Decode(key[1:], value)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, t.Name, err)
	}
	return &row, nil
}

// Each calls fn for each row of one of [Reader.Tables] whose encoded key begins with prefix, in the order of their
// keys, from the encoded key from on, if it is not nil, until fn returns an error. It returns that error unless it is
// [ErrStop].
func Each[K comparable, V any](ctx context.Context, r *Reader, t *projections.Table[K, V], prefix, from []byte, fn func(K, *V) error) error {
	whole := func(b []byte) []byte { return append([]byte{t.ID}, b...) }
	var start []byte
	if from != nil {
		start = whole(from)
	}
	return r.Rows(ctx, whole(prefix), start, func(key, value []byte) error {
		k, row, err := t.Decode(key[1:], value)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrCorrupt, t.Name, err)
		}
		return fn(k, &row)
	})
}

// Children calls fn for each child that is linked to parent, in the order of their identities, from the identity from
// on, with the record that linked it, until fn returns an error. It returns that error unless it is [ErrStop].
func (r *Reader) Children(ctx context.Context, what projections.LinkOf, parent, from [16]byte, fn func(child [16]byte, seq events.Seq) error) error {
	prefix := append([]byte{byte(what)}, parent[:]...)
	start := append(slices.Clone(prefix), from[:]...)
	return Each(ctx, r, r.tables.Links, prefix, start, func(k projections.LinkKey, seq *events.Seq) error {
		return fn(k.Child, *seq)
	})
}

// Journal calls fn for each record that is about one thing, in the order of the log, from record from on, until fn
// returns an error. It returns that error unless it is [ErrStop].
func (r *Reader) Journal(ctx context.Context, k projections.JournalKey, from events.Seq, fn func(events.Seq) error) error {
	j, err := Get(r, r.tables.Journals, k)
	if err != nil || j == nil {
		return err
	}
	each := func(start events.Seq, body []byte) error {
		seqs, err := projections.Sequences(start, body)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		for _, seq := range seqs {
			if seq >= from {
				if err := fn(seq); err != nil {
					return err
				}
			}
		}
		return nil
	}
	prefix := r.tables.Journals.Key(k)[1:]
	stopped := false
	err = Each(ctx, r, r.tables.Pages, prefix, nil, func(_ projections.PageKey, p *projections.Page) error {
		if p.Last < from {
			return nil
		}
		err := each(p.Start, p.Body)
		stopped = errors.Is(err, ErrStop)
		return err
	})
	if err != nil || stopped {
		return err
	}
	if err := each(j.Start, j.Tail); !errors.Is(err, ErrStop) {
		return err
	}
	return nil
}
