package views_test

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
	"tallystick/projections"
	"tallystick/projections/projtest"
	"tallystick/projections/views"
)

// rows returns all rows of a reader that are kept of the past, as text.
func rows(t *testing.T, r *views.Reader) map[string]string {
	t.Helper()
	m := make(map[string]string)
	for _, table := range r.Tables().Tables() {
		if projections.ForHistory.Omits(table) {
			continue
		}
		var last []byte
		err := r.Rows(t.Context(), []byte{table.ID}, nil, func(k, v []byte) error {
			if bytes.Compare(k, last) <= 0 {
				t.Fatalf("key %x after %x", k, last)
			}
			last = slices.Clone(k)
			m[string(k)] = string(v)
			got, ok, err := r.Load(k[0], k[1:])
			if err != nil || !ok || !bytes.Equal(got, v) {
				t.Fatalf("key %x: Load gives %x %v %v, Rows %x", k, got, ok, err, v)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// TestAsOf asks for states of the past, of which some are before every snapshot, some between two and some after the
// live views, and compares them with books made from the log up to there.
func TestAsOf(t *testing.T) {
	recs := history(t, 8, 2000)
	l := projtest.NewLog()
	v := open(t, vfs.NewMem(), l, views.Options{SnapshotEvery: 1 << 40})
	for chunk := range slices.Chunk(recs[:len(recs)-300], 700) {
		l.Append(chunk...)
		if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
			t.Fatal(err)
		}
		if _, err := v.TakeSnapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := v.Snapshots(); err != nil || len(all) < 3 {
		t.Fatalf("snapshots %v, %v", all, err)
	}
	for seq := events.Seq(0); seq <= l.Durable(); seq += 1 + events.Seq(len(recs)/23) {
		got, err := v.AsOf(t.Context(), seq, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.Seq() != seq {
			t.Errorf("as of %d: at sequence %d", seq, got.Seq())
		}
		want := rowsOf(t, recs[:seq])
		if have := rows(t, got); !equal(have, want) {
			t.Errorf("as of %d: %d rows differ from the %d of a fold up to there", seq, len(have), len(want))
		}
		if _, err := views.Get(got, got.Tables().Totals, projections.Pair[events.CustomerID, events.MetricID]{}); !errors.Is(err, views.ErrNotKept) {
			t.Errorf("reading totals of the past: %v, want ErrNotKept", err)
		}
		if err := got.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.AsOf(t.Context(), l.Durable()+1, nil); err == nil {
		t.Error("a state of the future was given")
	}
}

func equal(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if a[k] != b[k] {
			return false
		}
	}
	return true
}

// rowsOf folds records in memory.
func rowsOf(t *testing.T, recs []events.Record) map[string]string {
	t.Helper()
	books := projections.NewBooks(projections.ForHistory)
	if err := books.ApplyAll(recs); err != nil {
		t.Fatal(err)
	}
	m := make(map[string]string)
	err := books.Flush(func(k, v []byte) error { m[string(k)] = string(v); return nil }, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSeqAtClock finds the last record of each period of a test clock.
func TestSeqAtClock(t *testing.T) {
	recs := history(t, 9, 400)
	l := projtest.NewLog(recs...)
	v := open(t, vfs.NewMem(), l, views.Options{})
	if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
		t.Fatal(err)
	}
	var clock events.TestClockID
	for i := range recs {
		if e, ok := recs[i].Event.(events.ClockCreated); ok && clock.IsZero() {
			clock = e.Clock
			check(t, v, clock, e.Now-1, 0, false)
		}
		if e, ok := recs[i].Event.(events.ClockAdvancing); ok && e.Clock == clock {
			// The first thing done on the way is due at To: just before that time nothing of it has happened.
			check(t, v, clock, e.To-1, recs[i].Seq, true)
		}
	}
	check(t, v, clock, 1<<62, l.Durable(), true)
}

func check(t *testing.T, v *views.Views, clock events.TestClockID, at events.Time, want events.Seq, wantOK bool) {
	t.Helper()
	got, ok, err := v.SeqAtClock(t.Context(), clock, at)
	if err != nil || ok != wantOK || ok && got != want {
		t.Errorf("clock %v at %v: sequence %d %v %v, want %d %v", clock, at, got, ok, err, want, wantOK)
	}
}

// TestAsOfExtract holds what an extract of the past says of its subject against what the whole past says of it.
func TestAsOfExtract(t *testing.T) {
	recs := history(t, 10, 3000)
	l := projtest.NewLog()
	var said strings.Builder // an extract that cannot be made is, and all of it is restored
	v := open(t, vfs.NewMem(), l, views.Options{SnapshotEvery: 1 << 40, Logger: slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	for chunk := range slices.Chunk(recs, 1100) {
		l.Append(chunk...)
		if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
			t.Fatal(err)
		}
		if _, err := v.TakeSnapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	newest, err := v.Reader(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer newest.Close()
	compared := 0
	for seq := events.Seq(400); seq <= l.Durable(); seq += 1 + events.Seq(len(recs)/5) {
		whole, err := v.AsOf(t.Context(), seq, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := rows(t, whole)
		for _, s := range subjects(t, newest) {
			part, err := v.AsOf(t.Context(), seq, &s.extract)
			if err != nil {
				t.Fatal(err)
			}
			for k, value := range want {
				if s.concerns(k, value) {
					now, _, err := part.Load(k[0], []byte(k[1:]))
					if err != nil {
						t.Fatal(err)
					}
					if compared++; string(now) != value {
						t.Errorf("as of %d: row %x is %x in an extract for %x, and %x in all", seq, k, now, s.ids, value)
					}
				}
			}
			if err := part.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := whole.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if compared < 1000 || said.Len() > 0 {
		t.Errorf("%d rows compared\n%s", compared, said.String())
	}
}

// aSubject is what an extract is for, and what it must be right about: rows that mention one of the ids.
type aSubject struct {
	extract projections.Extract
	ids     [][]byte
}

func (s *aSubject) concerns(key, value string) bool {
	for _, id := range s.ids {
		if strings.Contains(key, string(id)) || strings.Contains(value, string(id)) {
			return true
		}
	}
	return false
}

// subjects returns every consumer with all that is its own, and every merchant with its accounts.
func subjects(t *testing.T, r *views.Reader) (all []*aSubject) {
	t.Helper()
	books := r.Tables()
	consumer := func(id events.OrganizationID, row *projections.Consumer) error {
		if !row.ClaimedBy.IsZero() {
			return nil // all it had is another's
		}
		s := new(aSubject)
		name := func(id [16]byte, _ events.Seq) error {
			s.extract.Names = append(s.extract.Names, id)
			s.ids = append(s.ids, id[:])
			return nil
		}
		invoice := func(id [16]byte, _ events.Seq) error {
			s.ids = append(s.ids, id[:])
			return nil
		}
		emptied := func(id [16]byte, _ events.Seq) error {
			s.extract.Names = append(s.extract.Names, id)
			return nil
		}
		for _, id := range row.Claimed {
			if err := errors.Join(emptied(id, 0), r.Children(t.Context(), projections.LinkWallets, id, [16]byte{}, emptied)); err != nil {
				return err
			}
		}
		all = append(all, s)
		return errors.Join(name(id, 0), r.Children(t.Context(), projections.LinkWallets, id, [16]byte{}, name),
			r.Children(t.Context(), projections.LinkCustomersOfConsumer, id, [16]byte{}, func(customer [16]byte, _ events.Seq) error {
				return errors.Join(name(customer, 0),
					r.Children(t.Context(), projections.LinkSubscriptionsOfCustomer, customer, [16]byte{}, name),
					r.Children(t.Context(), projections.LinkInvoicesOfCustomer, customer, [16]byte{}, invoice))
			}))
	}
	err := errors.Join(
		views.Each(t.Context(), r, books.Consumers, nil, nil, consumer),
		views.Each(t.Context(), r, books.Merchants, nil, nil, func(id events.OrganizationID, _ *projections.MerchantRow) error {
			s := &aSubject{extract: projections.Extract{Merchant: id}}
			for _, role := range []events.Role{events.Merchant, events.Receivable, events.Settlement} {
				key := books.Accounts.Key(events.Account{Role: role, Currency: events.Currency{'U', 'S', 'D'}, Owner: id})
				s.ids = append(s.ids, key)
			}
			all = append(all, s)
			return r.Children(t.Context(), projections.LinkWallets, id, [16]byte{}, func(wallet [16]byte, _ events.Seq) error {
				s.ids = append(s.ids, books.Wallets.Key(wallet))
				return nil
			})
		}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
