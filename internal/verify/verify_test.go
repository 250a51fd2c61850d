package verify

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tallystick/events"
	"tallystick/ledger"
	"tallystick/projections/projtest"
	"tallystick/projections/views"
)

// world is a ledger on disk with views, made of a history.
type world struct {
	dir  string
	log  *ledger.Log
	view *views.Views
	keys people
}

// people are keys in memory.
type people struct {
	erased, live map[events.OrganizationID]bool
}

func (p people) Check(context.Context) (keys, tombstones int, err error) {
	return len(p.live), len(p.erased), nil
}
func (p people) Has(c events.OrganizationID) bool    { return p.live[c] }
func (p people) Erased(c events.OrganizationID) bool { return p.erased[c] }

// shown is the log as views see it: with records changed.
type shown struct {
	*ledger.Log
	change func(*events.Record)
}

func (s shown) Scan(ctx context.Context, from, to events.Seq, fn func(events.Record) error) error {
	return s.Log.Scan(ctx, from, to, func(rec events.Record) error {
		s.change(&rec)
		return fn(rec)
	})
}

// follower is shown as something to follow.
type follower struct {
	*ledger.Follower
	change func(*events.Record)
}

func (f follower) Next(ctx context.Context) ([]events.Record, error) {
	recs, err := f.Follower.Next(ctx)
	recs = slices.Clone(recs)
	for i := range recs {
		f.change(&recs[i])
	}
	return recs, err
}

// newWorld makes a ledger of records. change is applied to what the views are told.
func newWorld(t *testing.T, records []events.Record, change func(*events.Record)) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), keys: people{make(map[events.OrganizationID]bool), make(map[events.OrganizationID]bool)}}
	for i := range records {
		switch e := any(records[i].Event).(type) {
		case events.ConsumerCreated:
			w.keys.live[e.Consumer] = true
		case events.EventHeld:
			w.keys.live[e.Body.Key] = true
		default: // the others are of no interest here
		}
		for _, key := range events.DestroyedKeys(records[i].Event) {
			delete(w.keys.live, key)
			w.keys.erased[key] = true
		}
	}
	var err error
	if w.log, err = ledger.Open(filepath.Join(w.dir, "log"), ledger.Options{Create: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.log.Close() })
	for part := range slices.Chunk(records, 100) {
		if err := w.log.Append(slices.Clone(part)); err != nil {
			t.Fatal(err)
		}
	}
	last := events.Seq(len(records))
	if err := w.log.WaitDurable(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.OpenSigner(filepath.Join(w.dir, "keys"), records[0].Ledger, rand.Reader); err != nil {
		t.Fatal(err)
	}
	if w.view, err = views.Open(w.dir, shown{w.log, change}, views.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.view.Close() })
	err = w.view.Start(func(from events.Seq) views.Follower { return follower{w.log.Follow(from), change} })
	if err == nil {
		err = w.view.WaitFor(t.Context(), last)
	}
	if err == nil {
		_, err = w.view.TakeSnapshot(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) verify(t *testing.T, change func(*Subject)) *Report {
	t.Helper()
	sub := Subject{Log: w.log, Views: w.view, Keys: w.keys, Stream: stream{w.log, nil}, Scratch: filepath.Join(w.dir, "scratch"), SigningKeys: filepath.Join(w.dir, "keys")}
	if change != nil {
		change(&sub)
	}
	r, err := Run(t.Context(), sub, Options{Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// stream is the log as it was published, with records changed.
type stream struct {
	log    *ledger.Log
	change map[events.Seq][]byte // nil for a record that is missing
}

func (s stream) Range(context.Context) (first, last events.Seq, err error) {
	return 1, s.log.Durable(), nil
}

func (s stream) Scan(ctx context.Context, from, to events.Seq, fn func(events.Seq, []byte) error) error {
	return s.log.ScanBytes(ctx, from, to, func(seq events.Seq, b []byte) error {
		if c, changed := s.change[seq]; changed {
			if b = c; b == nil {
				return nil
			}
		}
		return fn(seq, b)
	})
}

func nothing(*events.Record) {}

func TestAGoodLedgerPasses(t *testing.T) {
	records := projtest.Records(shape())
	r := newWorld(t, records, nothing).verify(t, nil)
	var names []string
	for _, s := range r.Steps {
		names = append(names, s.Name)
		if s.Skipped {
			t.Errorf("%s is skipped: %s", s.Name, s.Detail)
		}
	}
	if !r.OK || r.Problem() != "" || int(r.Size) != len(records) || r.Root == (events.Hash{}) {
		t.Errorf("report %+v", r)
	}
	if got := strings.Join(names, " "); got != "log billing views snapshots keys signing stream" {
		t.Errorf("steps %s", got)
	}
}

// TestWhatIsWrongIsNamed plants one fault in each thing that is verified.
func TestWhatIsWrongIsNamed(t *testing.T) {
	records := projtest.Records(shape())
	var usage events.Seq // one in the middle
	for i := len(records) / 2; usage == 0; i++ {
		if records[i].Event.Kind() == events.KindUsageReported {
			usage = records[i].Seq
		}
	}
	dearer := func(rec *events.Record) {
		if rec.Seq == usage {
			e := *rec.Event.(*events.UsageReported)
			e.Lines = slices.Clone(e.Lines)
			e.Lines[0].Quantity++
			rec.Event = &e
		}
	}
	var anybody events.OrganizationID
	for _, tt := range []struct {
		name, step, problem string
		record              events.Seq
		views               func(*events.Record)
		subject             func(*Subject)
	}{
		{
			name: "views that were told something else", step: "views", problem: "usage is not what the log makes of it",
			views: dearer,
		},
		{
			name: "a snapshot of such views", step: "snapshots", problem: "usage is not what the log makes of it", views: dearer,
		},
		{
			name: "a published record that differs", step: "stream", record: usage, problem: "something else",
			subject: func(s *Subject) {
				s.Stream = stream{s.Log, map[events.Seq][]byte{usage: {1}}}
			},
		},
		{
			name: "a published record that is missing", step: "stream", record: usage, problem: "does not hold it",
			subject: func(s *Subject) { s.Stream = stream{s.Log, map[events.Seq][]byte{usage: nil}} },
		},
		{
			name: "a key that is missing", step: "keys", problem: "has no key",
			subject: func(s *Subject) {
				keys := s.Keys.(people)
				for anybody = range keys.live {
					break
				}
				delete(keys.live, anybody)
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.views == nil {
				tt.views = nothing
			}
			r := newWorld(t, records, tt.views).verify(t, tt.subject)
			step := find(r, tt.step)
			if r.OK || step.OK || !strings.Contains(step.Problem, tt.problem) || step.Record != tt.record {
				t.Errorf("step %+v, want a problem with %q at record %d; all: %+v", step, tt.problem, tt.record, r)
			}
		})
	}
}

// TestAForgedAmountIsFound puts a record into the log that balances, and charges too much.
func TestAForgedAmountIsFound(t *testing.T) {
	records := projtest.Records(shape())
	at := len(records) - 1
	for records[at].Event.Kind() != events.KindUsageReported {
		at--
	}
	e := *records[at].Event.(*events.UsageReported)
	e.Lines, e.Postings = slices.Clone(e.Lines), slices.Clone(e.Postings)
	e.Lines[0].Nanos++
	for i := range e.Postings {
		switch e.Postings[i].Role {
		case events.ConsumerMain:
			e.Postings[i].Nanos--
		case events.Merchant:
			e.Postings[i].Nanos++
		}
	}
	e.Balance = e.Balance.Add(-1)
	forged, err := events.NewRecord(records[at].Envelope, &e)
	if err != nil {
		t.Fatal(err)
	}
	records[at] = forged
	r := newWorld(t, records, nothing).verify(t, nil)
	step := find(r, "billing")
	if step.OK || step.Record != forged.Seq || !strings.Contains(step.Problem, "cost") {
		t.Errorf("step %+v, want record %d", step, forged.Seq)
	}
	if s := find(r, "log"); !s.OK {
		t.Errorf("step %+v: the log is in order", s)
	}
}

func find(r *Report, name string) Step {
	for _, s := range r.Steps {
		if s.Name == name {
			return s
		}
	}
	return Step{Name: fmt.Sprintf("no step %s", name)}
}

// TestTheLastCommandIsSeenWhole ends a replay between the end of a subscription and that of its virtual wallet, as it may happen while
// the ledger is in use: that is no fault.
func TestTheLastCommandIsSeenWhole(t *testing.T) {
	records := projtest.Records(shape())
	w := newWorld(t, records, nothing)
	r := &replaying{v: &verification{sub: Subject{Log: w.log}}, auditor: newAuditor(), people: make(map[events.OrganizationID]bool)}
	var size events.Seq
	for i := range records {
		if records[i].Event.Kind() == events.KindWalletEmptied {
			break
		}
		if r.record(records[i]); r.billing != nil {
			t.Fatal(r.billing)
		}
		size = records[i].Seq
	}
	if r.auditor.finished() == nil {
		t.Fatalf("record %d: no money is left where nobody can spend it", size)
	}
	if err := r.rest(size); err != nil {
		t.Fatal(err)
	}
	if err := r.auditor.finished(); err != nil {
		t.Errorf("after what the command of record %d has recorded besides: %v", size, err)
	}
}
