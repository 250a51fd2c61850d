package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"tallystick/events"
)

// Proof proves to somebody who has neither the ledger nor a connection to its server,
// only a public key, that records are in it. It is kept as JSON. A proof of an invoice
// line has all usage that the line stands for too, and so proves that the line has
// neither more nor less.
type Proof struct {
	Format     string         `json:"format"`     // "tallystick-proof/1"
	Checkpoint string         `json:"checkpoint"` // a signed note; see Checkpoint
	Record     ProvenRecord   `json:"record"`     // what is proved; of a line, its invoice.line_closed event
	Usage      []ProvenRecord `json:"usage,omitempty"`
}

// ProvenRecord is a record with its proof.
type ProvenRecord struct {
	Sequence  events.Seq       `json:"sequence"`
	Bytes     []byte           `json:"bytes"`     // CBOR, as hashed and stored
	Inclusion tlog.RecordProof `json:"inclusion"` // RFC 6962, leaf sequence - 1 in the tree of the checkpoint
}

const proofFormat = "tallystick-proof/1"

// Prove returns the proof that the record seq is in the log. It leads to the tree of c,
// which must have the record and be a checkpoint of this log. If the record closes an
// invoice line, the proof has the line's usage too.
func (l *Log) Prove(ctx context.Context, seq events.Seq, c Checkpoint) (*Proof, error) {
	r, err := l.reader(c.Size)
	if err != nil {
		return nil, err
	}
	defer l.leave()
	p := &Proof{Format: proofFormat, Checkpoint: string(c.Note)}
	rec, err := l.Record(seq)
	if err != nil {
		return nil, err
	}
	if p.Record, err = r.proven(seq, rec.Bytes); err != nil {
		return nil, err
	}
	closed, ok := rec.Event.(events.InvoiceLineClosed)
	if !ok || closed.Of != "" { // a line of something else than usage is one record or few, and names them
		return p, nil
	}
	err = l.usageOf(ctx, &closed, func(seq events.Seq, b []byte) error {
		u, err := r.proven(seq, bytes.Clone(b))
		p.Usage = append(p.Usage, u)
		return err
	})
	if err != nil {
		return nil, err
	}
	if uint64(len(p.Usage)) != closed.Count {
		return nil, fmt.Errorf("line %s stands for %d usage events, the log has %d", closed.Line, closed.Count, len(p.Usage))
	}
	return p, nil
}

func (r *treeReader) proven(seq events.Seq, b []byte) (ProvenRecord, error) {
	inclusion, err := r.prove(seq)
	return ProvenRecord{Sequence: seq, Bytes: b, Inclusion: inclusion}, err
}

// usageOf calls fn with the usage that a line stands for.
func (l *Log) usageOf(ctx context.Context, closed *events.InvoiceLineClosed, fn func(events.Seq, []byte) error) error {
	first, err := l.Record(closed.First)
	if err != nil {
		return err
	}
	u, ok := first.Event.(*events.UsageReported)
	if !ok {
		return fmt.Errorf("the first record of line %s is a %s", closed.Line, first.Event.Kind())
	}
	of := lineOf{closed, u.Period}
	return l.ScanBytes(ctx, closed.First, closed.Last, func(seq events.Seq, b []byte) error {
		if !bytes.Contains(b, closed.Subscription[:]) {
			return nil // nearly all are of others, and not worth decoding
		}
		rec, err := events.DecodeUnhashed(b)
		if err != nil {
			return &CorruptError{Seq: seq, Err: err}
		}
		if of.part(rec.Event) == nil {
			return nil
		}
		return fn(seq, b)
	})
}

// lineOf says which usage an invoice line stands for.
type lineOf struct {
	closed *events.InvoiceLineClosed
	period uint32
}

// part returns the part of a usage event that belongs to the line, or nil.
func (of lineOf) part(e events.Event) *events.UsageLine {
	u, ok := e.(*events.UsageReported)
	if !ok || u.Subscription != of.closed.Subscription || u.Period != of.period {
		return nil
	}
	for i := range u.Lines {
		l := &u.Lines[i]
		if l.Metric == of.closed.Metric && l.Price == of.closed.Price && l.Revision == of.closed.Revision && l.TaxRate == of.closed.TaxRate {
			return l
		}
	}
	return nil
}

// Proven is what a proof was found to prove.
type Proven struct {
	Checkpoint Checkpoint
	Record     events.Record
	Usage      []events.Record // of an invoice line, in log order
}

// maxProofUsage bounds the usage events of a proof, which are all held in memory.
const maxProofUsage = 10_000_000

// CheckProof returns what a proof proves. It needs nothing but the proof and public keys,
// of which one at least must have signed the checkpoint. An error means that the proof
// proves nothing.
//
// For an invoice line it checks that every usage record is in the ledger, belongs to
// the line, and comes after the one before it; that their leaf hashes have the root that
// the line names; and that their number and quantities add up to the line's, as do their
// amounts where the price is due at once.
func CheckProof(b []byte, keys note.Verifiers) (*Proven, error) {
	if keys == nil {
		return nil, errors.New("proof: no public key to check it with")
	}
	var p Proof
	if err := decodeProof(b, &p); err != nil {
		return nil, err
	}
	if p.Format != proofFormat {
		return nil, fmt.Errorf("proof: format %.40q, want %q", p.Format, proofFormat)
	}
	c, err := ParseCheckpoint([]byte(p.Checkpoint), keys)
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	proven := &Proven{Checkpoint: c}
	if proven.Record, err = p.Record.check(&c); err != nil {
		return nil, err
	}
	closed, isLine := proven.Record.Event.(events.InvoiceLineClosed)
	if !isLine || closed.Of != "" {
		if len(p.Usage) > 0 {
			return nil, fmt.Errorf("proof: usage beside a %s", proven.Record.Event.Kind())
		}
		return proven, nil
	}
	if len(p.Usage) == 0 || len(p.Usage) > maxProofUsage || uint64(len(p.Usage)) != closed.Count {
		return nil, fmt.Errorf("proof: %d usage events, where the line stands for %d", len(p.Usage), closed.Count)
	}
	for i := range p.Usage {
		rec, err := p.Usage[i].check(&c)
		if err != nil {
			return nil, err
		}
		proven.Usage = append(proven.Usage, rec)
	}
	return proven, checkLine(&proven.Record, &closed, proven.Usage)
}

// decodeProof reads JSON that has no members but those of v, and nothing behind it.
func decodeProof(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("proof: it is no proof, or not all of one: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("proof: something follows it")
	}
	return nil
}

// check returns the record if it is in the tree of c.
func (p *ProvenRecord) check(c *Checkpoint) (events.Record, error) {
	rec, err := events.DecodeRecord(p.Bytes)
	if err != nil {
		return rec, fmt.Errorf("proof of record %d: %w", p.Sequence, err)
	}
	switch {
	case rec.Seq != p.Sequence:
		return rec, fmt.Errorf("proof of record %d: its bytes are those of record %d", p.Sequence, rec.Seq)
	case rec.Ledger != c.Ledger:
		return rec, fmt.Errorf("proof of record %d: it is of ledger %s, the checkpoint of %s", rec.Seq, rec.Ledger, c.Ledger)
	case rec.Seq > c.Size:
		return rec, fmt.Errorf("proof of record %d: the checkpoint has %d records", rec.Seq, c.Size)
	}
	err = tlog.CheckRecord(p.Inclusion, int64(c.Size), tlog.Hash(c.Root), int64(rec.Seq-1), tlog.Hash(rec.Hash))
	if err != nil {
		return rec, fmt.Errorf("proof of record %d: %w", rec.Seq, err)
	}
	return rec, nil
}

// checkLine returns nil if usage is exactly what the line stands for.
func checkLine(line *events.Record, closed *events.InvoiceLineClosed, usage []events.Record) error {
	wrong := func(seq events.Seq, what string, got, want any) error {
		return fmt.Errorf("proof of line %s: record %d: %s is %v, want %v", closed.Line, seq, what, got, want)
	}
	var quantity, nanos, tax events.Sum
	counted := events.SumOf(events.Nanos(len(usage))) // of a metric that counts, each event is a unit
	var tree frontier
	of := lineOf{closed: closed}
	if u, ok := usage[0].Event.(*events.UsageReported); ok {
		of.period = u.Period
	}
	before := events.Seq(0)
	for i := range usage {
		rec := &usage[i]
		part := of.part(rec.Event)
		switch {
		case part == nil || rec.Merchant != line.Merchant:
			return wrong(rec.Seq, "what it reports", "something else", "usage of the line")
		case rec.Seq <= before:
			return wrong(rec.Seq, "its place", "not after the one before it", "in log order")
		case rec.Seq >= line.Seq:
			return wrong(rec.Seq, "its place", "after the line was closed", "before")
		}
		before = rec.Seq
		quantity, counted = quantity.Add(events.Nanos(part.Quantity-part.Granted)), counted.Add(events.Nanos(-part.Granted))
		nanos, tax = nanos.Add(part.Nanos), tax.Add(part.Tax)
		_ = tree.add(rec.Hash, func(uint8, uint64, tlog.Hash) error { return nil }) // which is the only error there could be
	}
	switch {
	case usage[0].Seq != closed.First || before != closed.Last:
		return wrong(line.Seq, "first and last usage", [2]events.Seq{usage[0].Seq, before}, [2]events.Seq{closed.First, closed.Last})
	case tree.root() != closed.Root:
		return wrong(line.Seq, "root of the usage", tree.root(), closed.Root)
	case closed.Aggregation == "" && quantity != closed.Quantity && counted != closed.Quantity:
		return wrong(line.Seq, "quantity of the usage", quantity, closed.Quantity)
	case closed.Term == events.Instant && (nanos != closed.Nanos || tax != closed.Tax):
		return wrong(line.Seq, "amount and tax of the usage", [2]events.Sum{nanos, tax}, [2]events.Sum{closed.Nanos, closed.Tax})
	}
	return nil
}
