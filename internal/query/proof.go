package query

import (
	"context"
	"errors"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/ledger"
)

// ProofArgs name what is to be proved: a record, or a closed line of an invoice.
type ProofArgs struct {
	AtLeast  events.Seq    `json:"atLeast,omitzero"`
	Sequence events.Seq    `json:"sequence,omitzero"`
	Line     events.LineID `json:"eventId,omitzero"`
}

// Proof answers with the proof that a record is in the log; of a line, also that it has exactly its usage.
func (s *Service) Proof(ctx context.Context, who wire.Who, args ProofArgs) (*ledger.Proof, error) {
	if err := asker(who).known(); err != nil {
		return nil, err
	}
	if s.opts.Prover == nil {
		return nil, noProofs()
	}
	if (args.Sequence == 0) == args.Line.IsZero() {
		return nil, commands.Reject(commands.Invalid, "give one of sequence and eventId")
	}
	if err := s.await(ctx, args.AtLeast); err != nil {
		return nil, err
	}
	seq := args.Sequence
	if seq == 0 {
		var err error
		if seq, err = s.closing(ctx, args.Line); err != nil {
			return nil, err
		}
	}
	if seq > s.opts.Log.Durable() {
		return nil, commands.Reject(commands.NotFound, "no record %d", seq)
	}
	rec, err := s.opts.Log.Record(seq)
	if err != nil {
		return nil, err
	}
	if !asker(who).sees(rec.Merchant) {
		return nil, commands.Reject(commands.NotFound, "no record %d", seq)
	}
	c, err := s.opts.Prover.Checkpoint(seq)
	if err != nil {
		return nil, err
	}
	return s.opts.Prover.Prove(ctx, seq, c)
}

func noProofs() error { return commands.Reject(commands.NotFound, "no proofs are made here") }

// Checkpoint is a signed checkpoint and what it says.
type Checkpoint struct {
	Ledger events.LedgerID `json:"ledgerId"`
	Size   events.Seq      `json:"size"` // records
	Root   events.Hash     `json:"root"`
	Note   string          `json:"checkpoint"` // as signed
}

// CheckpointArgs are the arguments of [Service.Checkpoint].
type CheckpointArgs struct {
	AtLeast events.Seq `json:"atLeast,omitzero"`
}

// Checkpoint answers with a checkpoint of all that is durable. Anybody with a key may have one: it has no record in it.
func (s *Service) Checkpoint(ctx context.Context, who wire.Who, args CheckpointArgs) (v Checkpoint, err error) {
	c, err := s.checkpoint(ctx, who, args.AtLeast)
	return Checkpoint{c.Ledger, c.Size, c.Root, string(c.Note)}, err
}

func (s *Service) checkpoint(ctx context.Context, who wire.Who, atLeast events.Seq) (c ledger.Checkpoint, err error) {
	if err := asker(who).known(); err != nil {
		return c, err
	}
	if s.opts.Prover == nil {
		return c, noProofs()
	}
	if err := s.await(ctx, atLeast); err != nil {
		return c, err
	}
	if s.opts.Log.Durable() == 0 {
		return c, commands.Reject(commands.NotFound, "there is no record yet")
	}
	return s.opts.Prover.Checkpoint(s.opts.Log.Durable())
}

// ConsistencyArgs are the arguments of [Service.Consistency].
type ConsistencyArgs struct {
	AtLeast events.Seq `json:"atLeast,omitzero"`
	Since   string     `json:"checkpoint"` // that the asker has kept, as signed
}

// Consistency answers with the proof that the ledger has only grown since a checkpoint. The refusal is a Conflict if it was something else.
func (s *Service) Consistency(ctx context.Context, who wire.Who, args ConsistencyArgs) (*ledger.Consistency, error) {
	first, err := ledger.ParseCheckpoint([]byte(args.Since), nil)
	if err != nil {
		return nil, commands.Reject(commands.Invalid, "%v", err)
	}
	second, err := s.checkpoint(ctx, who, args.AtLeast)
	if err != nil {
		return nil, err
	}
	proof, err := s.opts.Prover.ProveConsistency(first, second)
	if history, ok := errors.AsType[*ledger.HistoryError](err); ok {
		return nil, commands.Reject(commands.Conflict, "%v", history)
	}
	return proof, err
}

// commandOf returns the command that made the thing with the given identity. The identities of commands end in 20 zero
// bits; a thing that is derived from one has its number there ([events.Derive]).
func commandOf(id [16]byte) events.CommandID {
	id[13] &= 0xF0
	id[14], id[15] = 0, 0
	return id
}

// closing returns the record that closed an invoice line.
func (s *Service) closing(ctx context.Context, id events.LineID) (events.Seq, error) {
	return s.within(ctx, id, "invoice line", id.String(), func(e events.Event) bool {
		closed, ok := e.(events.InvoiceLineClosed)
		return ok && closed.Line == id
	})
}

// within returns the record that holds what is named so and matches. Its identity is derived from that of the command that made
// it, whose records follow one another.
func (s *Service) within(ctx context.Context, id [16]byte, what, name string, match func(events.Event) bool) (seq events.Seq, err error) {
	command := commandOf(id)
	first, ok, err := s.opts.Log.SeqOf(command)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, missing(what, name)
	}
	err = s.opts.Log.ScanBytes(ctx, first.Seq, s.opts.Log.Durable(), func(at events.Seq, b []byte) error {
		rec, err := events.DecodeUnhashed(b)
		if err != nil || rec.Command != command {
			return errors.Join(errStop, err)
		}
		if match(rec.Event) {
			seq = at
			return errStop
		}
		return nil
	})
	switch {
	case seq != 0:
		return seq, nil
	case err == nil || errors.Is(err, errStop):
		return 0, missing(what, name)
	}
	return 0, err
}
