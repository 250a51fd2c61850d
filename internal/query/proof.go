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
	if s.opts.Prove == nil {
		return nil, commands.Reject(commands.NotFound, "no proofs are made here")
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
	return s.opts.Prove(ctx, seq)
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
