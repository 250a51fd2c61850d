package main

import (
	"bytes"
	cryptorand "crypto/rand"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"tallystick/events"
	"tallystick/internal/demo"
	"tallystick/internal/server"
	"tallystick/ledger"
)

// evidence is what an auditor is given of a ledger that has billed something.
type evidence struct {
	keys   string         // public
	lines  [][]byte       // proofs of invoice lines
	others [][]byte       // proofs of other records
	grown  [][]byte       // proofs that the ledger has grown since each record
	ours   note.Verifiers // the same keys, for the ledger's own check
}

func gather(t *testing.T) (e evidence) {
	t.Helper()
	dir, ctx := filepath.Join(t.TempDir(), "ledger"), t.Context()
	if _, err := demo.Run(ctx, demo.Options{Dir: dir, Rows: demo.MakeTrace(200, 1), Customers: 3, Clock: time.Now, Tell: t.Logf}); err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(filepath.Join(dir, "keys", ledger.PublicKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	e.keys = string(keys)
	verifier, err := note.NewVerifier(strings.TrimSpace(e.keys))
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Open(ctx, server.Config{Dir: dir, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(ctx)
	c, _, err := s.SignCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	signer, key, second := newKey(t, c.Ledger)
	e.keys, e.ours = e.keys+key+"\n", note.VerifierList(verifier, second)
	err = s.Log.Scan(ctx, 1, c.Size, func(rec events.Record) error {
		root, err := s.Log.Root(rec.Seq)
		if err != nil {
			return err
		}
		then := ledger.Checkpoint{Ledger: c.Ledger, Size: rec.Seq, Root: root}
		then.Note = signNote(t, signer, then)
		growth, err := s.Log.ProveConsistency(then, c)
		if err != nil {
			return err
		}
		b, err := json.Marshal(growth)
		if err != nil {
			return err
		}
		e.grown = append(e.grown, b)
		p, err := s.Log.Prove(ctx, rec.Seq, c)
		if err != nil {
			return err
		}
		b, err = json.Marshal(p)
		if _, line := rec.Event.(events.InvoiceLineClosed); line {
			e.lines = append(e.lines, b)
		} else {
			e.others = append(e.others, b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestCheck holds that what the ledger proves is found proved, and that the two checks, which share nothing, say the same of what
// somebody has changed.
func TestCheck(t *testing.T) {
	e := gather(t)
	if len(e.lines) != 6 { // of input and output tokens, for each of three customers
		t.Fatalf("there are %d lines", len(e.lines))
	}
	for _, b := range slices.Concat(e.lines, e.others, e.grown) {
		if _, err := check(b, e.keys); err != nil {
			t.Errorf("%v: %s", err, b)
		}
	}
	usage := 0
	for _, b := range e.lines {
		found, err := check(b, e.keys)
		var n int
		if _, of, ok := strings.Cut(found, "it stands for these "); ok {
			_, _ = fmt.Sscanf(of, "%d usage events and no others", &n)
		}
		if usage += n; err != nil || n == 0 {
			t.Errorf("%s: %v", found, err)
		}
	}
	if usage < 200 || usage > 400 { // two lines of each usage event, but for tokens of which there are none
		t.Errorf("the lines stand for %d usage events", usage)
	}
	rnd := rand.New(rand.NewPCG(6962, 1))
	for range 600 {
		kind := [][][]byte{e.lines, e.others, e.grown}[rnd.IntN(3)]
		b := bytes.Clone(kind[rnd.IntN(len(kind))])
		b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
		e.agree(t, b)
	}
}

// agree holds that both checks take b, or neither does.
func (e *evidence) agree(t *testing.T, b []byte) (proved bool) {
	t.Helper()
	_, err := check(b, e.keys)
	_, theirs := ledger.CheckProof(b, e.ours)
	if ledger.IsConsistency(b) {
		_, _, theirs = ledger.CheckConsistency(b, e.ours)
	}
	if (err == nil) != (theirs == nil) {
		t.Errorf("here: %v; the ledger: %v; of %s", err, theirs, b)
	}
	return err == nil
}

// TestCheckRefuses holds that nobody is told that a line is whole who is not shown all of it, and nothing else.
func TestCheckRefuses(t *testing.T) {
	e := gather(t)
	for name, change := range map[string]func(p, other *ledger.Proof){
		"usage left out":          func(p, _ *ledger.Proof) { p.Usage = p.Usage[1:] },
		"usage twice":             func(p, _ *ledger.Proof) { p.Usage[1] = p.Usage[0] },
		"usage in another order":  func(p, _ *ledger.Proof) { p.Usage[0], p.Usage[1] = p.Usage[1], p.Usage[0] },
		"usage of somebody else":  func(p, other *ledger.Proof) { p.Usage[0] = other.Usage[0] },
		"all of somebody else":    func(p, other *ledger.Proof) { p.Usage = other.Usage },
		"no usage":                func(p, _ *ledger.Proof) { p.Usage = nil },
		"the path of another":     func(p, _ *ledger.Proof) { p.Record.Inclusion = p.Usage[0].Inclusion },
		"a path that is cut":      func(p, _ *ledger.Proof) { p.Record.Inclusion = p.Record.Inclusion[1:] },
		"another sequence":        func(p, _ *ledger.Proof) { p.Record.Sequence-- },
		"a checkpoint unsigned":   func(p, _ *ledger.Proof) { p.Checkpoint, _, _ = strings.Cut(p.Checkpoint, "—") },
		"a checkpoint of another": func(p, _ *ledger.Proof) { p.Checkpoint = strings.Replace(p.Checkpoint, "\n", "1\n", 2) },
		"another format":          func(p, _ *ledger.Proof) { p.Format = "tallystick-proof/2" },
		"usage beside a product":  func(p, other *ledger.Proof) { p.Record = other.Record },
	} {
		var p, other ledger.Proof
		from := e.lines[3]
		if strings.HasSuffix(name, "a product") {
			from = e.others[4]
		}
		if json.Unmarshal(e.lines[0], &p) != nil || json.Unmarshal(from, &other) != nil {
			t.Fatal("a proof cannot be read")
		}
		change(&p, &other)
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if e.agree(t, b) {
			t.Errorf("%s: it is taken for a proof", name)
		}
	}
	if _, err := check(e.lines[0], strings.Replace(e.keys, "+", "0+", 1)); err == nil {
		t.Error("a key with another name is taken")
	}
}

// TestSignedLies holds that a line is not taken that says something else than its usage, though its ledger has recorded and signed it.
func TestSignedLies(t *testing.T) {
	e := gather(t)
	for name, lie := range map[string]func(*events.InvoiceLineClosed){
		"the truth":        func(*events.InvoiceLineClosed) {},
		"another root":     func(l *events.InvoiceLineClosed) { l.Root[0] ^= 1 },
		"more usage":       func(l *events.InvoiceLineClosed) { l.Count++ },
		"a later end":      func(l *events.InvoiceLineClosed) { l.Last++ },
		"an earlier start": func(l *events.InvoiceLineClosed) { l.First-- },
		"a larger amount":  func(l *events.InvoiceLineClosed) { l.Nanos = l.Nanos.Add(1) },
		"a tax":            func(l *events.InvoiceLineClosed) { l.Tax = l.Tax.Add(1) },
		"a quantity":       func(l *events.InvoiceLineClosed) { l.Quantity = l.Quantity.Add(1) },
		"another price":    func(l *events.InvoiceLineClosed) { l.Revision++ },
		"another tax rate": func(l *events.InvoiceLineClosed) { l.TaxRate++ },
	} {
		b, keys, ours := sign(t, e.lines[0], lie)
		_, err := check(b, keys)
		_, theirs := ledger.CheckProof(b, ours)
		if want := name == "the truth"; want != (err == nil) || want != (theirs == nil) {
			t.Errorf("%s: here: %v; the ledger: %v", name, err, theirs)
		}
	}
}

// sign returns the proof of a changed line from a ledger that has it, with the usage of the line where it was, and the key of that ledger.
func sign(t *testing.T, proof []byte, change func(*events.InvoiceLineClosed)) (b []byte, key string, keys note.Verifiers) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	var p ledger.Proof
	must(json.Unmarshal(proof, &p))
	rec, err := events.DecodeRecord(p.Record.Bytes)
	must(err)
	line := rec.Event.(events.InvoiceLineClosed)
	change(&line)
	rec, err = events.NewRecord(rec.Envelope, line)
	must(err)
	p.Record.Bytes = rec.Bytes

	leaves := make([]tlog.Hash, rec.Seq) // what is in between does not matter
	leaves[rec.Seq-1] = tlog.Hash(rec.Hash)
	for _, u := range p.Usage {
		leaves[u.Sequence-1] = tlog.Hash(events.LeafHash(u.Bytes))
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) (hashes []tlog.Hash, _ error) {
		for _, i := range at {
			hashes = append(hashes, stored[i])
		}
		return hashes, nil
	})
	for i, leaf := range leaves {
		more, err := tlog.StoredHashesForRecordHash(int64(i), leaf, reader)
		must(err)
		stored = append(stored, more...)
	}
	size := int64(len(leaves))
	root, err := tlog.TreeHash(size, reader)
	must(err)
	for i := range p.Usage {
		p.Usage[i].Inclusion, err = tlog.ProveRecord(size, int64(p.Usage[i].Sequence)-1, reader)
		must(err)
	}
	p.Record.Inclusion, err = tlog.ProveRecord(size, size-1, reader)
	must(err)

	signer, key, verifier := newKey(t, rec.Ledger)
	p.Checkpoint = string(signNote(t, signer, ledger.Checkpoint{Ledger: rec.Ledger, Size: rec.Seq, Root: events.Hash(root)}))
	b, err = json.Marshal(p)
	must(err)
	return b, key, note.VerifierList(verifier)
}

// newKey returns another key for the checkpoints of a ledger.
func newKey(t *testing.T, id events.LedgerID) (note.Signer, string, note.Verifier) {
	t.Helper()
	secret, key, err := note.GenerateKey(cryptorand.Reader, ledger.Origin(id))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer, key, verifier
}

// signNote signs what c says.
func signNote(t *testing.T, signer note.Signer, c ledger.Checkpoint) []byte {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", ledger.Origin(c.Ledger), c.Size, c.Root)}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
