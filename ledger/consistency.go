package ledger

import (
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"tallystick/events"
)

// Consistency proves to somebody who has kept a checkpoint that a later one only adds to it: the records that the first commits to
// are the first of those that the second commits to, none changed, left out or put in. It is kept as JSON.
type Consistency struct {
	Format string         `json:"format"` // "tallystick-consistency/1"
	First  string         `json:"first"`  // a signed note, as it was kept
	Second string         `json:"second"` // a signed note of as many records or more
	Path   tlog.TreeProof `json:"path"`   // RFC 6962, 2.1.2; empty between trees of the same size
}

const consistencyFormat = "tallystick-consistency/1"

// A HistoryError says that a checkpoint is none of this log: whoever signed it has had another log, or this one has been changed or
// has lost records since.
type HistoryError struct {
	Checkpoint Checkpoint
	Root       events.Hash // of the log at the same size; zero if it is of another ledger, or has not as many records
	Durable    events.Seq
	Ledger     events.LedgerID
}

func (e *HistoryError) Error() string {
	c := &e.Checkpoint
	switch {
	case c.Ledger != e.Ledger:
		return fmt.Sprintf("the checkpoint is of ledger %s, this one is %s", c.Ledger, e.Ledger)
	case c.Size > e.Durable:
		return fmt.Sprintf("the checkpoint has %d records, the ledger only %d", c.Size, e.Durable)
	}
	return fmt.Sprintf("the first %d records are not those of the checkpoint: they have the root %s, it has %s", c.Size, e.Root, c.Root)
}

// ProveConsistency returns the proof that second adds to first, both of this log. It fails with a [*HistoryError] if
// first is not, which is what somebody who keeps checkpoints wants to know.
func (l *Log) ProveConsistency(first, second Checkpoint) (*Consistency, error) {
	history := &HistoryError{Checkpoint: first, Durable: l.Durable(), Ledger: l.Head().Ledger}
	if first.Ledger != history.Ledger || first.Size > history.Durable {
		return nil, history
	}
	var err error
	if history.Root, err = l.Root(first.Size); err != nil {
		return nil, err
	}
	if history.Root != first.Root {
		return nil, history
	}
	path, err := l.ProveTree(second.Size, first.Size)
	if err != nil {
		return nil, err
	}
	return &Consistency{consistencyFormat, string(first.Note), string(second.Note), path}, nil
}

// CheckConsistency returns the two checkpoints of a consistency proof. It needs nothing but the proof and public keys, of which one
// at least must have signed each. An error means that the proof proves nothing; but two checkpoints that are both signed, and that nobody
// can prove consistent, are the proof that somebody has signed two histories.
func CheckConsistency(b []byte, keys note.Verifiers) (first, second Checkpoint, err error) {
	if keys == nil {
		return first, second, errors.New("proof: no public key to check it with")
	}
	var p Consistency
	if err := decodeProof(b, &p); err != nil {
		return first, second, err
	}
	if p.Format != consistencyFormat {
		return first, second, fmt.Errorf("proof: format %.40q, want %q", p.Format, consistencyFormat)
	}
	if first, err = ParseCheckpoint([]byte(p.First), keys); err != nil {
		return first, second, fmt.Errorf("proof: the first: %w", err)
	}
	if second, err = ParseCheckpoint([]byte(p.Second), keys); err != nil {
		return first, second, fmt.Errorf("proof: the second: %w", err)
	}
	if first.Ledger != second.Ledger {
		return first, second, fmt.Errorf("proof: of ledgers %s and %s", first.Ledger, second.Ledger)
	}
	if first.Size > second.Size {
		return first, second, fmt.Errorf("proof: the second has %d records, the first %d", second.Size, first.Size)
	}
	if err := tlog.CheckTree(p.Path, int64(second.Size), tlog.Hash(second.Root), int64(first.Size), tlog.Hash(first.Root)); err != nil {
		return first, second, fmt.Errorf("proof: the second does not add to the first: %w", err)
	}
	return first, second, nil
}

// IsConsistency reports whether a proof says that it is one of consistency.
func IsConsistency(b []byte) bool {
	var p struct {
		Format string `json:"format"`
	}
	return json.Unmarshal(b, &p) == nil && p.Format == consistencyFormat
}
