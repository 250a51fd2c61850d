package commands

import (
	"context"
	"fmt"

	"tallystick/events"
	"tallystick/projections"
)

// Fill takes rows of the stored books that the sequencer's books are attached to. Whoever fills them calls
// Fill with some rows at a time, from one goroutine, while Run runs; it returns when they are taken in.
func (s *Sequencer) Fill(ctx context.Context, rows []Row) error {
	return s.between(ctx, func() error {
		for _, r := range rows {
			if err := s.books.Adopt(r.Key, r.Value); err != nil {
				return err
			}
			s.noteRow(r.Key)
		}
		return nil
	})
}

// Row is a stored row: its whole key, and its value.
type Row struct{ Key, Value []byte }

// Filled says that every row was taken in. From then on nothing is read from the stored books,
// and due actions are carried out. Books that were empty or complete to begin with are filled at once.
func (s *Sequencer) Filled(ctx context.Context) error {
	return s.between(ctx, func() error {
		s.books.Detach()
		s.books.Clocks.Each(func(id events.TestClockID, clock *projections.Clock) bool {
			if at := s.agendas.soonest(id); clock.To != 0 || at != 0 && at <= clock.Now {
				s.run(id)
			}
			return true
		})
		s.complete = true
		return nil
	})
}

// between runs fn between two groups, on the goroutine of Run. Once Run has returned, it is refused with [ShuttingDown].
func (s *Sequencer) between(ctx context.Context, fn func() error) error {
	done := make(chan error, 1)
	run := func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("filling the books: %w", asError(p))
			}
		}()
		done <- fn()
	}
	select {
	case s.control <- run:
	case <-s.stopped:
		return Reject(ShuttingDown, "the ledger is shutting down")
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		if err != nil {
			s.fail(err)
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
