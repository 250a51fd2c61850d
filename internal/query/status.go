package query

import (
	"context"

	"tallystick/events"
	"tallystick/internal/wire"
)

// Status is how far the ledger and everything derived from it have come.
type Status struct {
	Sequence    events.Seq             `json:"sequence"` // the views'
	Ledger      events.LedgerID        `json:"ledgerId"`
	Environment events.Environment     `json:"environment"`
	Format      uint32                 `json:"format"`
	OpenedAt    events.Time            `json:"openedAt"`
	Head        events.Seq             `json:"head"`      // decided
	Durable     events.Seq             `json:"durable"`   // on disk
	Published   events.Seq             `json:"published"` // in the stream
	RecordedAt  events.Time            `json:"recordedAt,omitzero"`
	Failed      string                 `json:"failed,omitempty"`
	Digests     map[string]events.Hash `json:"digests,omitempty"`
}

// StatusArgs are the arguments of [Service.Status].
type StatusArgs struct {
	At
	Digests bool `json:"digests,omitempty"` // read all views for their digests; for operators and auditors
}

// Status answers how far the ledger has come.
func (s *Service) Status(ctx context.Context, who wire.Who, args StatusArgs) (st Status, err error) {
	if args.Digests {
		if err := asker(who).whole(); err != nil {
			return st, err
		}
	}
	err = s.read(ctx, who, args.At, func(r *reading) error {
		st = Status{
			Sequence: r.seq, Head: s.opts.Head(), Durable: s.opts.Log.Durable(), Published: s.opts.Published(),
		}
		if err := s.opts.Failed(); err != nil {
			st.Failed = err.Error()
		}
		if o := r.books.Opened.Get(struct{}{}); o != nil {
			st.Environment, st.Format, st.OpenedAt = o.Environment, o.Format, o.At
		}
		if r.seq == 0 {
			return nil
		}
		last, err := s.opts.Log.Record(r.seq)
		st.Ledger, st.RecordedAt = last.Ledger, last.RecordedAt
		return err
	})
	if err == nil && args.Digests {
		st.Sequence, st.Digests, err = s.opts.Views.Digests(ctx)
	}
	return st, err
}

// Digests is the digest of every projection at one sequence (D17).
type Digests struct {
	Sequence events.Seq             `json:"sequence"`
	Digests  map[string]events.Hash `json:"digests"`
}

// DigestsArgs are the arguments of [Service.Digests].
type DigestsArgs struct {
	AtLeast events.Seq `json:"atLeast,omitzero"`
}

// Digests reads all views and returns their digests. For operators and auditors.
func (s *Service) Digests(ctx context.Context, who wire.Who, args DigestsArgs) (d Digests, err error) {
	if err := asker(who).whole(); err != nil {
		return d, err
	}
	if err := s.await(ctx, args.AtLeast); err != nil {
		return d, err
	}
	d.Sequence, d.Digests, err = s.opts.Views.Digests(ctx)
	return d, err
}
