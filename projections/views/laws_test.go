package views_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
	"tallystick/projections"
	"tallystick/projections/projtest"
	"tallystick/projections/views"
)

// TestAnySplitAndAnyRepetition gives the records in random pieces, some of them again, and restarts in between: the
// views come out the same.
func TestAnySplitAndAnyRepetition(t *testing.T) {
	recs := history(t, 2, 1500)
	want := rebuilt(t, recs)
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 2))
		fs := vfs.NewMem()
		for done := 0; done < len(recs); {
			done = min(len(recs), done+1+rng.IntN(len(recs)))
			store := openOrCreate(t, fs)
			r, err := views.StartRunner(store, &shaky{recs: recs[:done], rng: rng})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.WaitFor(t.Context(), events.Seq(done)); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(r.Stop(), store.Close()); err != nil {
				t.Fatal(err)
			}
		}
		store := openOrCreate(t, fs)
		if got := storeDigests(t, store); !slices.Equal(got, want) {
			t.Errorf("seed %d: digests %v, want %v", seed, got, want)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// openOrCreate opens a store with little memory for rows.
func openOrCreate(t *testing.T, fs vfs.FS) *views.Store {
	t.Helper()
	opts := views.Options{FS: fs, MaxChanges: 100, MaxRows: 50}
	store, err := views.OpenStore("store", opts)
	if err != nil {
		store, err = views.CreateStore("store", opts)
	}
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func storeDigests(t *testing.T, s *views.Store) []views.Digest {
	t.Helper()
	r, err := s.Reader()
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, r)
	d, err := r.Digests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// shaky gives records from the first on, in pieces, and often some again that it gave before, as a
// consumer of a stream may.
type shaky struct {
	recs []events.Record
	rng  *rand.Rand
	next int
}

func (s *shaky) Next(ctx context.Context) ([]events.Record, error) {
	if s.next == len(s.recs) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	from := max(0, s.next-s.rng.IntN(20))
	s.next = min(len(s.recs), s.next+1+s.rng.IntN(200))
	return s.recs[from:s.next], nil
}

// TestPrefixTwice replays a prefix of the log onto books that have it already.
func TestPrefixTwice(t *testing.T) {
	recs := history(t, 3, 500)
	want := rebuilt(t, recs)
	for _, prefix := range []int{1, 10, len(recs) / 2, len(recs)} {
		l := projtest.NewLog(recs[:prefix]...)
		fs := vfs.NewMem()
		store := openOrCreate(t, fs)
		for range 2 {
			r, err := views.StartRunner(store, l.Follow(1))
			if err != nil {
				t.Fatal(err)
			}
			if err := r.WaitFor(t.Context(), l.Durable()); err != nil {
				t.Fatal(err)
			}
			if err := r.Stop(); err != nil {
				t.Fatal(err)
			}
			l.Append(recs[l.Durable():]...)
		}
		if got := storeDigests(t, store); !slices.Equal(got, want) {
			t.Errorf("prefix of %d: digests %v, want %v", prefix, got, want)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRebuildUnderLoad rebuilds while the log grows, and reads all the time what was written before: no read
// may see less than it asked for.
func TestRebuildUnderLoad(t *testing.T) {
	recs := history(t, 4, 4000)
	l := projtest.NewLog(recs[:500]...)
	v := open(t, vfs.NewMem(), l, views.Options{MaxChanges: 200})
	growing := make(chan struct{})
	go func() {
		defer close(growing)
		for chunk := range slices.Chunk(recs[500:], 13) {
			l.Append(chunk...)
			r, err := v.Reader(context.Background(), l.Durable())
			if err != nil {
				t.Error(err)
				return
			}
			if r.Seq() < l.Durable() {
				t.Errorf("a reader at sequence %d that was to have %d", r.Seq(), l.Durable())
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}()
	for running := true; running; {
		select {
		case <-growing:
			running = false
		default:
		}
		res, err := v.Rebuild(t.Context(), views.RebuildOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !res.Equal() || !res.Swapped {
			t.Fatalf("rebuilt %+v", res)
		}
	}
	if got, want := digestsAt(t, v, l.Durable()), rebuilt(t, recs); !slices.Equal(got, want) {
		t.Errorf("digests %v, want %v", got, want)
	}
}

// lying changes one record on its way: what the views are made of is not what the log has.
type lying struct {
	*projtest.Follower
	seq events.Seq
}

func (l lying) Next(ctx context.Context) ([]events.Record, error) {
	recs, err := l.Follower.Next(ctx)
	for i := range recs {
		if u, ok := recs[i].Event.(*events.UsageReported); ok && recs[i].Seq == l.seq {
			u.Lines[0].Quantity++
		}
	}
	return recs, err
}

// TestRebuildFindsDifference makes live views from a record that the log does not have: a rebuild names the row, and
// replaces the views only when it is told to.
func TestRebuildFindsDifference(t *testing.T) {
	recs := history(t, 5, 300)
	l := projtest.NewLog(recs...)
	var seq events.Seq
	var customer events.CustomerID
	for i := range recs {
		if u, ok := recs[i].Event.(*events.UsageReported); ok {
			seq, customer = recs[i].Seq, u.Customer
		}
	}
	v, err := views.Open("data", l, views.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, v)
	if err := v.Start(func(from events.Seq) views.Follower { return lying{l.Follow(from), seq} }); err != nil {
		t.Fatal(err)
	}
	if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
		t.Fatal(err)
	}
	res, err := v.Rebuild(t.Context(), views.RebuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if res.Swapped || res.Difference == nil {
		t.Fatalf("rebuilt %+v, want a difference and no swap", res)
	}
	if d := res.Difference; d.Table != "invoices.open" && d.Table != "usage.totals" || d.Live == "" || d.Rebuilt == "" || d.Live == d.Rebuilt {
		t.Errorf("difference %v", d)
	}
	t.Log(res.Difference)
	if res.Difference.Table == "usage.totals" && !strings.Contains(res.Difference.Key, customer.String()) {
		t.Errorf("difference %v, want one of customer %v", res.Difference, customer)
	}
	if s := v.Status(); s.Generation != 1 {
		t.Errorf("generation %d, want 1", s.Generation)
	}
}

// TestAcceptDifference puts views in place of live ones that differ, when told to.
func TestAcceptDifference(t *testing.T) {
	recs := history(t, 6, 300)
	l := projtest.NewLog(recs...)
	v, err := views.Open("data", l, views.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, v)
	lies := events.Seq(0)
	for i := range recs {
		if _, ok := recs[i].Event.(*events.UsageReported); ok && lies == 0 {
			lies = recs[i].Seq
		}
	}
	follow := func(from events.Seq) views.Follower {
		seq := lies
		lies = 0 // the second follower tells the truth
		return lying{l.Follow(from), seq}
	}
	if err := v.Start(follow); err != nil {
		t.Fatal(err)
	}
	if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
		t.Fatal(err)
	}
	res, err := v.Rebuild(t.Context(), views.RebuildOptions{Accept: true})
	if err != nil {
		t.Fatal(err)
	}
	if !res.Swapped || res.Equal() {
		t.Fatalf("rebuilt %+v, want a difference and a swap", res)
	}
	if got, want := digestsAt(t, v, l.Durable()), rebuilt(t, recs); !slices.Equal(got, want) {
		t.Errorf("digests %v, want %v", got, want)
	}
}

// TestRulesStart gives books for rules to a sequencer as it starts: rows come from the stored state when they are asked
// for, or all of them are adopted, while the views go on. Both are what the whole log makes.
func TestRulesStart(t *testing.T) {
	recs := history(t, 7, 1000)
	half := len(recs) / 2
	l := projtest.NewLog(recs[:half]...)
	v := open(t, vfs.NewMem(), l, views.Options{})
	if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
		t.Fatal(err)
	}
	for _, warm := range []bool{false, true} {
		state, err := v.State()
		if err != nil {
			t.Fatal(err)
		}
		l.Append(recs[l.Durable():]...) // the views go on; the state stays
		if err := v.WaitFor(t.Context(), l.Durable()); err != nil {
			t.Fatal(err)
		}
		books := projections.NewBooks(projections.ForRules)
		books.Attach(state, state.At().Ledger, state.Seq())
		if !warm {
			if err := books.ApplyAll(recs[state.Seq():]); err != nil {
				t.Fatal(err)
			}
		}
		if err := state.Warm(t.Context(), books.Adopt); err != nil {
			t.Fatal(err)
		}
		books.Detach()
		if err := state.Close(); err != nil {
			t.Fatal(err)
		}
		if warm {
			if err := books.ApplyAll(recs[books.Applied():]); err != nil {
				t.Fatal(err)
			}
		}
		want := projections.NewBooks(projections.ForRules)
		if err := want.ApplyAll(recs); err != nil {
			t.Fatal(err)
		}
		sameAccounts(t, want, books)
		l = projtest.NewLog(recs...)
	}
}

func sameAccounts(t *testing.T, want, got *projections.Books) {
	t.Helper()
	n := 0
	got.Accounts.Each(func(a events.Account, b *projections.Balance) bool {
		n++
		if w := want.Accounts.Get(a); w == nil || *w != *b {
			t.Errorf("account %v is %v, want %v", a, b, w)
		}
		return true
	})
	want.Accounts.Each(func(events.Account, *projections.Balance) bool { n--; return true })
	if n != 0 {
		t.Errorf("%d accounts too many", n)
	}
}

func newRNG() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }
