package ledger_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"tallystick/events"
	"tallystick/ledger"
)

// proofs is a log that ends with a closed invoice line, and what is needed to check its proofs.
type proofs struct {
	log        *ledger.Log
	records    []events.Record
	line       events.InvoiceLineClosed
	usage      []events.Record // of the line
	checkpoint ledger.Checkpoint
	keys       note.Verifiers
}

func newProofs(tb testing.TB) *proofs {
	m := newMaker(1, 1)
	m.customers, m.merchants = m.customers[:5], m.merchants[:5]
	p := &proofs{log: open(tb, "log", vfs.NewMem()), records: m.group(tb, 400)}
	first := p.records[9].Event.(*events.UsageReported)
	price := first.Lines[0]
	p.line = events.InvoiceLineClosed{
		Subscription: first.Subscription, Metric: price.Metric, Price: price.Price, Revision: price.Revision, Term: events.Instant,
	}
	m.id(p.line.Line[:])
	m.id(p.line.Invoice[:])
	for _, rec := range p.records[9:] {
		u := rec.Event.(*events.UsageReported)
		if u.Subscription != first.Subscription {
			continue
		}
		p.usage = append(p.usage, rec)
		p.line.Quantity = p.line.Quantity.Add(events.Nanos(u.Lines[0].Quantity))
		p.line.Nanos = p.line.Nanos.Add(u.Lines[0].Nanos)
	}
	p.line.Count = uint64(len(p.usage))
	p.line.First, p.line.Last = p.usage[0].Seq, p.usage[len(p.usage)-1].Seq
	p.line.Root = treeHash(p.usage)
	env := m.next()
	env.Merchant = m.merchants[0]
	rec, err := events.NewRecord(env, p.line)
	must(tb, err)
	p.records = append(append(p.records, rec), m.group(tb, 50)...)
	appendDurably(tb, p.log, p.records)
	signer, err := ledger.OpenSigner(tb.TempDir(), m.head.Ledger, rand.Reader)
	must(tb, err)
	p.keys, err = signer.Keys()
	must(tb, err)
	p.checkpoint, err = p.log.Sign(signer)
	must(tb, err)
	return p
}

func (p *proofs) prove(tb testing.TB, seq events.Seq) []byte {
	tb.Helper()
	proof, err := p.log.Prove(context.Background(), seq, p.checkpoint)
	must(tb, err)
	b, err := json.Marshal(proof)
	must(tb, err)
	return b
}

// TestProveAndCheck proves records and a line, and checks the proofs with nothing but the key.
func TestProveAndCheck(t *testing.T) {
	p := newProofs(t)
	for i := range p.records {
		seq := p.records[i].Seq
		proven, err := ledger.CheckProof(p.prove(t, seq), p.keys)
		must(t, err)
		same(t, &proven.Record, &p.records[i])
		want := 0
		if seq == 401 {
			want = len(p.usage)
		}
		if len(proven.Usage) != want || proven.Checkpoint.Root != p.checkpoint.Root {
			t.Fatalf("record %d: %d usage records, root %v", seq, len(proven.Usage), proven.Checkpoint.Root)
		}
	}
	if _, err := ledger.CheckProof(p.prove(t, 5), nil); err == nil {
		t.Error("a proof was accepted without a key")
	}
	other := newProofs(t) // another key of the same name
	if _, err := ledger.CheckProof(p.prove(t, 5), other.keys); err == nil {
		t.Error("a proof was accepted with another key")
	}
	if _, err := p.log.Prove(context.Background(), p.checkpoint.Size+1, p.checkpoint); err == nil {
		t.Error("a record was proved that is not there")
	}
}

// TestCheckProofRefuses changes a proof of a line in every way that would let somebody claim more or less usage.
func TestCheckProofRefuses(t *testing.T) {
	p := newProofs(t)
	good := p.prove(t, 401)
	foreign := p.prove(t, 2)
	for _, tt := range []struct {
		what   string
		change func(*ledger.Proof)
	}{
		{"other format", func(p *ledger.Proof) { p.Format = "tallystick-proof/2" }},
		{"one usage less", func(p *ledger.Proof) { p.Usage = p.Usage[1:] }},
		{"no usage", func(p *ledger.Proof) { p.Usage = nil }},
		{"one twice", func(p *ledger.Proof) { p.Usage[1] = p.Usage[0] }},
		{"one more", func(p *ledger.Proof) { p.Usage = append(p.Usage, p.Usage[0]) }},
		{"other order", func(p *ledger.Proof) { slices.Reverse(p.Usage) }},
		{"usage of somebody else", func(p *ledger.Proof) {
			var other ledger.Proof
			must(t, json.Unmarshal(foreign, &other))
			p.Usage[0] = other.Record
		}},
		{"a byte of a record", func(p *ledger.Proof) { p.Usage[2].Bytes[40] ^= 1 }},
		{"the line's bytes", func(p *ledger.Proof) { p.Record.Bytes[len(p.Record.Bytes)-1] ^= 1 }},
		{"a hash", func(p *ledger.Proof) { p.Usage[2].Inclusion[3][0] ^= 1 }},
		{"a hash less", func(p *ledger.Proof) { p.Record.Inclusion = p.Record.Inclusion[1:] }},
		{"other sequence", func(p *ledger.Proof) { p.Record.Sequence++ }},
		{"checkpoint of another size", func(p *ledger.Proof) { p.Checkpoint = strings.Replace(p.Checkpoint, "\n451\n", "\n450\n", 1) }},
		{"checkpoint without a signature", func(p *ledger.Proof) { p.Checkpoint, _, _ = strings.Cut(p.Checkpoint, "—") }},
	} {
		var proof ledger.Proof
		must(t, json.Unmarshal(good, &proof))
		tt.change(&proof)
		b, err := json.Marshal(&proof)
		must(t, err)
		if _, err := ledger.CheckProof(b, p.keys); err == nil {
			t.Errorf("%s: accepted", tt.what)
		}
	}
	for what, b := range map[string]string{
		"trailing bytes": string(good) + "{}", "unknown field": strings.Replace(string(good), `"format"`, `"more":1,"format"`, 1),
		"cut short": string(good[:len(good)-1]), "nothing": "", "null": "null",
	} {
		if _, err := ledger.CheckProof([]byte(b), p.keys); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

// TestLinesThatLie closes lines whose sums or root are not those of their usage. The records are in
// the log, so their inclusion is proved; that is not enough.
func TestLinesThatLie(t *testing.T) {
	for _, tt := range []struct {
		what   string
		change func(*events.InvoiceLineClosed)
		ok     bool
	}{
		{"truth", func(*events.InvoiceLineClosed) {}, true},
		{"quantity", func(l *events.InvoiceLineClosed) { l.Quantity = l.Quantity.Add(1) }, false},
		{"amount", func(l *events.InvoiceLineClosed) { l.Nanos = l.Nanos.Add(1) }, false},
		{"amount that was due later", func(l *events.InvoiceLineClosed) { l.Nanos, l.Term = l.Nanos.Add(1), events.InArrears }, true},
		{"tax", func(l *events.InvoiceLineClosed) { l.Tax = l.Tax.Add(1) }, false},
		{"root", func(l *events.InvoiceLineClosed) { l.Root[0]++ }, false},
		{"other merchant's", func(*events.InvoiceLineClosed) {}, false},
	} {
		p := newProofs(t)
		line, env := p.line, p.records[400].Envelope
		env.Seq, env.RecordedAt, env.Command = 452, p.records[450].RecordedAt, p.records[450].Command
		tt.change(&line)
		if tt.what == "other merchant's" {
			env.Merchant[0]++
		}
		rec, err := events.NewRecord(env, line)
		must(t, err)
		appendDurably(t, p.log, []events.Record{rec})
		signer, err := ledger.OpenSigner(t.TempDir(), env.Ledger, rand.Reader)
		must(t, err)
		p.checkpoint, err = p.log.Sign(signer)
		must(t, err)
		p.keys, err = signer.Keys()
		must(t, err)
		_, err = ledger.CheckProof(p.prove(t, 452), p.keys)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}

// FuzzCheckProof checks that what CheckProof accepts is in the log: whatever is done to a proof, it
// proves what is true or nothing, and does not panic.
func FuzzCheckProof(f *testing.F) {
	p := newProofs(f)
	f.Add(p.prove(f, 1))
	f.Add(p.prove(f, 401))
	f.Add([]byte(`{"format":"tallystick-proof/1","checkpoint":"","record":{"sequence":1,"bytes":"","inclusion":[]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		proven, err := ledger.CheckProof(b, p.keys)
		if err != nil {
			return
		}
		for _, rec := range append(proven.Usage, proven.Record) {
			if rec.Seq == 0 || int(rec.Seq) > len(p.records) {
				t.Fatalf("record %d was proved", rec.Seq)
			}
			same(t, &rec, &p.records[rec.Seq-1])
		}
	})
}
