package commands

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"tallystick/events"
	"tallystick/projections"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files in testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begin is when a world begins, in real time.
var begin = instantOf("2025-01-15 10:00")

// instantOf reads a day and a time of day, in UTC.
func instantOf(s string) events.Time {
	layout := "2006-01-02 15:04:05.999999999"
	t, err := time.Parse(layout[:min(max(len(s), len("2006-01-02 15:04")), len(layout))], s)
	if err != nil {
		panic(err)
	}
	n, _ := events.TimeOf(t)
	return n
}

func nanosOf(s string) events.Nanos {
	n, err := events.ParseNanos(s)
	if err != nil {
		panic(err)
	}
	return n
}

var usd, eur = events.Currency{'U', 'S', 'D'}, events.Currency{'E', 'U', 'R'}

// world is a ledger whose sequencer is driven by the test itself, without a goroutine. Its things have names.
// When the test ends, its log is checked against all that must hold of any.
type world struct {
	t        testing.TB
	seq      *Sequencer
	log      *memLog
	now      events.Time // real time
	views    *projections.Books
	ids      map[string][16]byte // by name
	operator bool                // who acts
	merchant events.OrganizationID
	sent     int // requests
}

func newWorld(t testing.TB) *world { return newWorldIn(t, events.Sandbox) }

func newWorldIn(t testing.TB, env events.Environment) *world {
	t.Helper()
	w := &world{t: t, log: newMemLog(), now: begin, ids: make(map[string][16]byte)}
	w.views = projections.NewBooks(projections.ForViews)
	w.start(projections.NewBooks(projections.ForRules), Head{})
	if err := w.seq.Genesis(events.LedgerOpened{Environment: env, Format: 1}); err != nil {
		t.Fatal(err)
	}
	w.seq.complete = true
	t.Cleanup(func() {
		if !t.Failed() {
			w.check()
		}
	})
	return w
}

// start makes a sequencer on books that are current to head.
func (w *world) start(books *projections.Books, head Head) {
	w.seq = NewSequencer(Options{
		Books: books, Log: w.log, Head: head, Ledger: events.LedgerID{1},
		Clock:  func() time.Time { return w.now.Std() },
		Seed:   func() uint64 { return 42 },
		Logger: quiet(), MaxQueued: 1 << 10,
	})
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// restart replays the log into fresh books, as a process that starts again does.
func (w *world) restart() {
	w.t.Helper()
	w.start(w.replay(w.log.records, projections.ForRules)[0], w.seq.head)
	if err := w.between(w.seq.Filled); err != nil {
		w.t.Fatal(err)
	}
}

// replay makes books of records, as their bytes tell them, for each purpose.
func (w *world) replay(records []events.Record, purposes ...projections.Purpose) []*projections.Books {
	w.t.Helper()
	books := make([]*projections.Books, len(purposes))
	for i, p := range purposes {
		books[i] = projections.NewBooks(p)
	}
	for i := range records {
		rec, err := events.DecodeRecord(records[i].Bytes)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, b := range books {
			if err := b.Apply(&rec); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return books
}

// turn lets the sequencer carry out one call, which may be nil, and a slice of what is due. It returns whether more is
// due and the calls that are answered.
func (w *world) turn(call *Call) (more bool, answered []*Call) {
	w.t.Helper()
	more = w.seq.turn(call)
	for {
		select {
		case a := <-w.seq.answers:
			answered = append(answered, a.calls...)
		default:
			if err := w.seq.Err(); err != nil {
				w.t.Fatalf("the ledger failed: %v", err)
			}
			w.catchUp()
			return more, answered
		}
	}
}

// catchUp brings the views up to date.
func (w *world) catchUp() {
	w.t.Helper()
	for range w.log.records[w.views.Applied():] {
		if err := w.views.Apply(&w.log.records[w.views.Applied()]); err != nil {
			w.t.Fatal(err)
		}
	}
}

// settle carries out all that is due.
func (w *world) settle() {
	w.t.Helper()
	for more := true; more; {
		more, _ = w.turn(nil)
	}
}

// send carries out requests as one call, and all that is due, and returns the receipts.
func (w *world) send(requests ...Request) []Receipt {
	w.t.Helper()
	call := &Call{Requests: requests}
	w.sent += len(requests)
	more, answered := w.turn(call)
	for more {
		var others []*Call
		more, others = w.turn(nil)
		answered = append(answered, others...)
	}
	if n := len(slices.DeleteFunc(answered, func(c *Call) bool { return c != call })); n != 1 {
		w.t.Fatalf("a call is answered %d times", n)
	}
	return call.receipts
}

// request returns a command as the world's actor sends it.
func (w *world) request(cmd Command) Request {
	r := Request{Command: cmd, Merchant: w.merchant, Operator: w.operator, Actor: events.Actor{Kind: events.ActorKey, ID: [16]byte{7}}}
	if w.operator {
		r.Actor = events.Actor{Kind: events.ActorOperator}
	}
	return r
}

// contentOf stands for the keyed hash that a door makes of a command.
func contentOf(cmd Command) (d events.Digest) {
	h := events.LeafHash(fmt.Appendf(nil, "%T%+v", cmd, reflect.Indirect(reflect.ValueOf(cmd)).Interface()))
	copy(d[:], h[:])
	return d
}

// keyed returns r under an idempotency key.
func keyed(key string, r Request) Request {
	r.Key, r.Content = key, contentOf(r.Command)
	return r
}

// A step is one thing that happens in a world: it returns a request to be carried out, or nil.
type step func(w *world) *Request

// do carries out steps, all of which must be accepted.
func (w *world) do(steps ...step) {
	w.t.Helper()
	for i, s := range steps {
		if r := s(w); r != nil {
			if receipt := w.send(*r)[0]; receipt.Status != Accepted {
				w.t.Fatalf("step %d (%T) is %s: %s %s", i, r.Command, receipt.Status, receipt.Code, receipt.Message)
			}
		}
	}
}

// id returns the identity that goes by a name.
func id[K events.Noun](w *world, name string) events.ID[K] {
	w.t.Helper()
	v, ok := w.ids[name]
	if !ok {
		w.t.Fatalf("nothing is called %q", name)
	}
	return events.ID[K](v)
}

// next returns the identity that the next command will have.
func (w *world) next() events.CommandID {
	w.seq.tick()
	return w.seq.newID()
}

// named remembers the nth thing that the next command makes under a name.
func (w *world) named(name string, n uint32) {
	w.ids[name] = events.Derive[events.CommandNoun](w.next(), n)
}

// story returns records as text, after the receipt of what led to them: with names for identities, and without hashes.
func (w *world) story(receipt Receipt, records []events.Record) string {
	var b strings.Builder
	if receipt.Status != "" {
		fmt.Fprintf(&b, "%s\n", receipt.AppendJSON(nil))
	}
	w.nameNew(records)
	for i := range records {
		rec := &records[i]
		body, err := json.Marshal(rec.Event)
		if err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s by %s", rec.At, rec.Event.Kind(), rec.Actor)
		if !rec.Merchant.IsZero() {
			fmt.Fprintf(&b, " for %s", rec.Merchant)
		}
		if rec.Key != "" {
			fmt.Fprintf(&b, " key %q", rec.Key)
		}
		fmt.Fprintf(&b, "\n    %s\n", body)
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(w.ids)) {
		for _, text := range textsOf(w.ids[name]) {
			pairs = append(pairs, text, name)
		}
	}
	return hashes.ReplaceAllString(strings.NewReplacer(pairs...).Replace(b.String()), `"root":"…"`)
}

var hashes = regexp.MustCompile(`"root":"[^"]*"`)

// nameNew names what the commands behind records have made, and has no name yet.
func (w *world) nameNew(records []events.Record) {
	known := make(map[[16]byte]bool)
	for _, v := range w.ids {
		known[v] = true
	}
	for i, n := 0, 0; i < len(records); i++ {
		if i > 0 && records[i].Command == records[i-1].Command {
			continue
		}
		n++
		for _, thing := range []uint32{0, 1, 2, 3, 4, 5, 6, 7, 257, 258, 259} {
			if v := events.Derive[events.CommandNoun](records[i].Command, thing); !known[v] {
				w.ids[fmt.Sprintf("new%d.%d", n, thing)] = v
			}
		}
	}
}

// textsOf returns what 16 bytes look like as the identity of any kind of thing.
func textsOf(v [16]byte) (texts []string) {
	for k := refUsage; k < refClock; k++ {
		texts = append(texts, Ref{k, v}.String())
	}
	return append(texts, events.InvoiceID(v).String(), events.LineID(v).String(), refToClock(events.TestClockID(v[:10])).String())
}

// golden fails the test unless got is the content of the golden file that is named after it.
func golden(t *testing.T, got string) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(t.Name())+".golden")
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run with -rewrite to create it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); if intended, run with -rewrite:\n%s", path, diff)
	}
}

// rule is one row of a table: after given, when is refused for this reason, or followed by the events in the golden file.
type rule struct {
	name    string
	given   []step
	when    step
	refused Code
	field   string // that the refusal names; "" where it is not looked at
}

// checkRules runs a table. setup comes before the given of every row.
func checkRules(t *testing.T, setup []step, rules []rule) {
	t.Helper()
	for _, tt := range rules {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.do(setup...)
			w.do(tt.given...)
			before := int(w.seq.head.Seq)
			receipt := w.send(*tt.when(w))[0]
			if receipt.Code != tt.refused {
				t.Fatalf("%s for %q (%s), want %q", receipt.Status, receipt.Code, receipt.Message, tt.refused)
			}
			if tt.field != "" && receipt.Field != tt.field {
				t.Errorf("the refusal (%s) names the field %q, want %q", receipt.Message, receipt.Field, tt.field)
			}
			added := w.log.records[before:]
			if tt.refused == "" {
				golden(t, w.story(receipt, added))
				return
			}
			for i := range added { // what is overdue comes first, whatever becomes of the command
				if added[i].Actor.Kind != events.ActorDue {
					t.Errorf("a refused command recorded %s", added[i].Event.Kind())
				}
			}
		})
	}
}

// check checks all that holds of every log: whatever is recorded balances, ids are never used twice, and the
// records alone make the same books again, for rules and for views.
func (w *world) check() {
	w.t.Helper()
	w.catchUp()
	records := w.log.records
	rules := dump(w.seq.books)
	for _, books := range append(w.replay(records, projections.ForRules, projections.ForViews), w.views) {
		if other := dump(books); !maps.Equal(rules, other) {
			w.t.Errorf("replayed books differ (-live +replayed):\n%s", cmp.Diff(rules, other))
		}
	}
	sums := make(map[events.Currency]events.Sum)
	w.seq.books.Accounts.Each(func(a events.Account, b *projections.Balance) bool {
		sums[a.Currency] = sums[a.Currency].Plus(b.Sum)
		return true
	})
	for c, sum := range sums {
		if !sum.IsZero() {
			w.t.Errorf("all accounts in %s come to %s, want 0", c, sum)
		}
	}
	w.checkIDs(records)
	w.checkInvoices(records)
}

// checkIDs checks that no identity is given to two things of a kind.
func (w *world) checkIDs(records []events.Record) {
	w.t.Helper()
	made := make(map[string]events.Seq)
	makes := []events.Kind{
		events.KindKeyCreated, events.KindMerchantCreated, events.KindConsumerCreated, events.KindCustomerCreated,
		events.KindWalletOpened, events.KindWalletToppedUp, events.KindSubscriptionCreated, events.KindUsageReported, events.KindReservationCreated, events.KindFeatureCreated, events.KindEntitlementIssued, events.KindGrantIssued,
	}
	for i := range records {
		rec := &records[i]
		var id string
		if e, ok := rec.Event.(events.InvoiceOpened); ok {
			id = e.Invoice.String()
		} else if e, ok := rec.Event.(events.InvoiceLineClosed); ok {
			id = e.Line.String()
		} else if slices.Contains(makes, rec.Event.Kind()) {
			id = ReceiptOf(rec).ID.String()
		} else {
			continue
		}
		if other, ok := made[id]; ok || id == "" {
			w.t.Errorf("records %d and %d make %q", other, rec.Seq, id)
		}
		made[id] = rec.Seq
	}
}

// dump returns every row that rules read, by its stored key.
func dump(b *projections.Books) map[string]string {
	m := make(map[string]string)
	dumpTable(m, b.Opened)
	dumpTable(m, b.Keys)
	dumpTable(m, b.Merchants)
	dumpTable(m, b.Consumers)
	dumpTable(m, b.Emails)
	dumpTable(m, b.Customers)
	dumpTable(m, b.Pairs)
	dumpTable(m, b.Externals)
	dumpTable(m, b.Products)
	dumpTable(m, b.Metrics)
	dumpTable(m, b.Fees)
	dumpTable(m, b.Prices)
	dumpTable(m, b.Plans)
	dumpTable(m, b.Wallets)
	dumpTable(m, b.Accounts)
	dumpTable(m, b.Subscriptions)
	dumpTable(m, b.Active)
	dumpTable(m, b.Pending)
	dumpTable(m, b.Clocks)
	dumpTable(m, b.Accruals)
	dumpTable(m, b.Numbers)
	dumpTable(m, b.Reservations)
	dumpTable(m, b.Held)
	dumpTable(m, b.Sessions)
	dumpTable(m, b.Charges)
	dumpTable(m, b.Methods)
	dumpTable(m, b.Bills)
	dumpTable(m, b.Credits)
	dumpTable(m, b.Refunds)
	dumpTable(m, b.Features)
	dumpTable(m, b.FeatureKeys)
	dumpTable(m, b.Entitlements)
	dumpTable(m, b.Entitled)
	dumpTable(m, b.Grants)
	return m
}

// rowForm is the form that rows are stored in.
var rowForm, _ = cbor.CoreDetEncOptions().EncMode()

func dumpTable[K comparable, V any](m map[string]string, t *projections.Table[K, V]) {
	t.Each(func(k K, v *V) bool {
		row, err := rowForm.Marshal(v)
		if err != nil {
			panic(err)
		}
		m[fmt.Sprintf("%s %x", t.Name, t.Key(k)[1:])] = string(row)
		return true
	})
}

// digestOf returns a made-up keyed hash of a text.
func digestOf(s string) (d events.Digest) {
	h := events.LeafHash([]byte(s))
	copy(d[:], h[:])
	return d
}

// orgOf returns a made-up identity, as a door draws them.
func orgOf(s string) (o events.OrganizationID) {
	binary.BigEndian.PutUint64(o[:], uint64(begin)/1e6<<16)
	h := events.LeafHash([]byte(s))
	copy(o[8:], h[:])
	return o
}

func sealedFor(o events.OrganizationID, text string) events.Sealed {
	return events.Sealed{Key: o, Box: bytes.Repeat([]byte(text), 2)}
}
