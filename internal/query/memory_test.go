package query_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
	"tallystick/ledger/keyring"
	"tallystick/projections"
	"tallystick/projections/projtest"
)

// memory is a ledger's log and views in memory: the history of a shape. Books at any sequence are made by
// replaying the history from its beginning.
type memory struct {
	records []events.Record
	erased  map[events.OrganizationID]bool
	books   map[events.Seq]*stored
}

func newMemory(s projtest.Shape) *memory {
	m := &memory{records: projtest.Records(s), erased: make(map[events.OrganizationID]bool), books: make(map[events.Seq]*stored)}
	for i := range m.records {
		if e, ok := m.records[i].Event.(events.ConsumerErased); ok {
			m.erased[e.Consumer] = true
		}
	}
	return m
}

func (m *memory) service() *query.Service {
	return query.New(query.Options{Views: m, Log: m, Opener: m})
}

func (m *memory) head() events.Seq { return events.Seq(len(m.records)) }

// The log.

func (m *memory) Durable() events.Seq { return m.head() }

func (m *memory) Record(seq events.Seq) (events.Record, error) {
	if seq < 1 || seq > m.head() {
		return events.Record{}, fmt.Errorf("no record %d", seq)
	}
	return m.records[seq-1], nil
}

func (m *memory) ScanBytes(_ context.Context, from, to events.Seq, fn func(events.Seq, []byte) error) error {
	for seq := max(from, 1); seq <= min(to, m.head()); seq++ {
		if err := fn(seq, m.records[seq-1].Bytes); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) SeqAt(t events.Time) (events.Seq, error) {
	n := sort.Search(len(m.records), func(i int) bool { return m.records[i].RecordedAt > t })
	return events.Seq(n), nil
}

func (m *memory) SeqOf(c events.CommandID) (events.Record, bool, error) {
	n := sort.Search(len(m.records), func(i int) bool { return bytes.Compare(m.records[i].Command[:], c[:]) >= 0 })
	if n == len(m.records) || m.records[n].Command != c {
		return events.Record{}, false, nil
	}
	return m.records[n], true, nil
}

// The views.

func (m *memory) Rows() (query.Rows, error) { return m.at(m.head()) }

func (m *memory) AsOf(_ context.Context, seq events.Seq, x *projections.Extract) (query.Rows, error) {
	if x == nil {
		return m.at(seq)
	}
	b := projections.NewBooks(projections.ForExtract)
	for i := range m.records[:seq] {
		if rec := &m.records[i]; x.Wants(rec.Bytes) {
			b.ApplyExtract(rec, x)
		}
	}
	return store(b, seq)
}

func (m *memory) at(seq events.Seq) (*stored, error) {
	if s := m.books[seq]; s != nil {
		return s, nil
	}
	b := projections.NewBooks(projections.ForViews)
	for i := range m.records[:seq] {
		if err := b.Apply(&m.records[i]); err != nil {
			return nil, err
		}
	}
	s, err := store(b, seq)
	m.books[seq] = s
	return s, err
}

// store returns the rows of books.
func store(b *projections.Books, seq events.Seq) (*stored, error) {
	s := &stored{seq: seq, rows: make(map[string]string)}
	err := b.Flush(func(key, value []byte) error {
		s.rows[string(key)] = string(value)
		return nil
	}, func([]byte) error { return nil })
	for k := range s.rows {
		s.keys = append(s.keys, k)
	}
	slices.Sort(s.keys)
	return s, err
}

func (m *memory) Wait(ctx context.Context, seq events.Seq) error {
	if seq <= m.head() {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (m *memory) Digests(context.Context) (events.Seq, map[string]events.Hash, error) {
	return m.head(), map[string]events.Hash{"wallets": sha256.Sum256(nil)}, nil
}

// stored is books at one sequence.
type stored struct {
	seq  events.Seq
	rows map[string]string
	keys []string // sorted
}

func (s *stored) Sequence() events.Seq { return s.seq }

func (s *stored) Load(table byte, key []byte) ([]byte, bool, error) {
	v, ok := s.rows[string(table)+string(key)]
	return []byte(v), ok, nil
}

func (s *stored) Scan(prefix []byte, fn func(key, value []byte) error) error {
	i, _ := slices.BinarySearch(s.keys, string(prefix))
	for ; i < len(s.keys) && strings.HasPrefix(s.keys[i], string(prefix)); i++ {
		if err := fn([]byte(s.keys[i]), []byte(s.rows[s.keys[i]])); err != nil {
			return err
		}
	}
	return nil
}

func (s *stored) Close() error { return nil }

// Open makes up what was sealed: histories hold random bytes.
func (m *memory) Open(sealed events.Sealed, purpose string) ([]byte, error) {
	switch {
	case sealed.IsZero():
		return nil, nil
	case m.erased[sealed.Key]:
		return nil, keyring.ErrErased
	}
	switch purpose {
	case wire.PurposeProfile:
		return fmt.Appendf(nil, `{"name":"Consumer of %d bytes","email":"c@example.com"}`, len(sealed.Box)), nil
	case wire.PurposeDetails:
		return []byte(`{"externalId":"ext-1"}`), nil
	case wire.PurposeAlert:
		return []byte(`["ops@example.com"]`), nil
	case wire.PurposeLine:
		return []byte(`{"displayName":"Support"}`), nil
	case wire.PurposePayment, wire.PurposeCard, wire.PurposeUser, wire.PurposeWallet:
		return []byte(`{}`), nil
	case wire.PurposeMetadata:
		return []byte(`{"model":"large"}`), nil
	}
	return []byte("a " + purpose), nil
}

// everything is the history that most tests ask about: two months, erasures, terminations, and arrears.
func everything() projtest.Shape {
	return projtest.Shape{Seed: 9, Merchants: 3, Customers: 12, Usages: 3000, Lines: 2, Periods: 3, FeeBasisPoints: 250, Arrears: true}
}

var operator = wire.Who{Role: events.OperatorKey} //nolint:gochecknoglobals // a constant, in all but syntax

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
