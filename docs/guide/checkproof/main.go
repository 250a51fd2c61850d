// Checkproof checks a proof that tally prove has written: of a record, of an invoice line, or that a ledger has only grown. It is for
// auditors who would not take the ledger's word for its own proofs: it shares no code with the ledger and needs the standard
// library alone. docs/proofs.md says what it checks, so that the same can be written in any language.
//
//	go run ./docs/guide/checkproof line.proof checkpoint.pub
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: checkproof PROOF-FILE PUBLIC-KEY-FILE")
		os.Exit(2)
	}
	file, err := os.ReadFile(os.Args[1])
	keys, err2 := os.ReadFile(os.Args[2])
	if err = errors.Join(err, err2); err == nil {
		var found string
		if found, err = check(file, string(keys)); err == nil {
			fmt.Fprintln(os.Stdout, found)
			return
		}
	}
	fmt.Fprintln(os.Stderr, "checkproof:", err)
	os.Exit(1)
}

// proof is the file.
type proof struct {
	Format     string   `json:"format"`
	Checkpoint string   `json:"checkpoint"`
	Record     proven   `json:"record"`
	Usage      []proven `json:"usage"`
}

// proven is a record with the path from it to the root.
type proven struct {
	Sequence  uint64   `json:"sequence"`
	Bytes     []byte   `json:"bytes"`
	Inclusion [][]byte `json:"inclusion"`
}

// check says what a proof proves to somebody who trusts the public keys, one to a line. An error means that it proves nothing.
func check(file []byte, keys string) (string, error) {
	var is struct{ Format string }
	if err := json.Unmarshal(file, &is); err != nil {
		return "", err
	}
	switch is.Format {
	case "tallystick-proof/1":
		return checkRecord(file, keys)
	case "tallystick-consistency/1":
		return checkConsistency(file, keys)
	}
	return "", fmt.Errorf("format %q is not known", is.Format)
}

// decode reads JSON that has no members but those of v, and nothing behind it.
func decode(file []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the proof")
	}
	return nil
}

// checkRecord is check for the proof of a record, or of an invoice line.
func checkRecord(file []byte, keys string) (string, error) {
	var p proof
	if err := decode(file, &p); err != nil {
		return "", err
	}
	c, err := open(p.Checkpoint, keys)
	if err != nil {
		return "", err
	}
	rec, err := p.Record.in(c)
	if err != nil {
		return "", err
	}
	found := fmt.Sprintf("record %d, %s, is in ledger %s, as signed at %d records", rec.seq, rec.kind, c.ledger, c.size)
	if rec.kind != "invoice.line_closed.v1" || rec.body[lineOf] != nil {
		if len(p.Usage) > 0 {
			return "", errors.New("there is usage beside a record that stands for none")
		}
		return found, nil
	}
	var usage []record
	for i := range p.Usage {
		u, err := p.Usage[i].in(c)
		if err != nil {
			return "", err
		}
		usage = append(usage, u)
	}
	sums, err := checkLine(rec, usage)
	if err != nil {
		return "", fmt.Errorf("the line of record %d: %w", rec.seq, err)
	}
	return found + "\n" + sums, nil
}

// record is what the checks need of a record.
type record struct {
	seq      uint64
	ledger   []byte
	merchant []byte
	kind     string
	body     members
	leaf     []byte // its hash as a leaf
}

// The members of a record, as events/schema.cddl numbers them.
const (
	recordSeq      = 1
	recordLedger   = 2
	recordMerchant = 5
	recordKind     = 11
	recordBody     = 12
)

// in returns the record if it is in the tree of c.
func (p *proven) in(c *checkpoint) (rec record, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("record %d: %w", p.Sequence, err)
		}
	}()
	m, err := parse(p.Bytes)
	if err != nil {
		return rec, err
	}
	rec.merchant, _ = m[recordMerchant].([]byte)
	rec.ledger, _ = m[recordLedger].([]byte)
	rec.kind, _ = m[recordKind].(string)
	rec.body, _ = m[recordBody].(members)
	rec.seq, rec.leaf = p.Sequence, hash(0, p.Bytes)
	switch {
	case !m.has(recordSeq, new(big.Int).SetUint64(p.Sequence)):
		return rec, errors.New("its bytes are those of another record")
	case crockford(rec.ledger) != strings.TrimPrefix(c.ledger, "ldg_"):
		return rec, errors.New("it is of another ledger than the checkpoint")
	case rec.seq < 1 || rec.seq > c.size:
		return rec, fmt.Errorf("the checkpoint is of %d records", c.size)
	}
	root, err := climb(rec.leaf, rec.seq-1, c.size, p.Inclusion)
	if err == nil && !bytes.Equal(root, c.root) {
		err = errors.New("it is not in the tree that was signed")
	}
	return rec, err
}

// hash is SHA-256 of a byte and what follows it: 0 for a leaf of the tree, 1 for a node of two (RFC 6962).
func hash(prefix byte, parts ...[]byte) []byte {
	h := sha256.New()
	h.Write([]byte{prefix})
	for _, b := range parts {
		h.Write(b)
	}
	return h.Sum(nil)
}

// climb returns the root of a tree of size leaves to which path leads from the leaf at index (RFC 9162, 2.1.3.2).
func climb(leaf []byte, index, size uint64, path [][]byte) ([]byte, error) {
	at, last := index, size-1
	for _, beside := range path {
		if last == 0 || len(beside) != sha256.Size {
			return nil, errors.New("its path does not fit the tree")
		}
		if at&1 == 1 || at == last {
			leaf = hash(1, beside, leaf)
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		} else {
			leaf = hash(1, leaf, beside)
		}
		at, last = at>>1, last>>1
	}
	if last != 0 {
		return nil, errors.New("its path ends below the root")
	}
	return leaf, nil
}

// rootOf returns the root over leaves, of which there is one at least (RFC 6962, 2.1).
func rootOf(leaves [][]byte) []byte {
	if len(leaves) == 1 {
		return leaves[0]
	}
	left := 1
	for 2*left < len(leaves) {
		left *= 2
	}
	return hash(1, rootOf(leaves[:left]), rootOf(leaves[left:]))
}
