package server

import (
	"context"
	"fmt"
	"sync/atomic"

	"tallystick/events"
	"tallystick/internal/natsbus"
)

// effectsCursor is the name under which the log keeps how far effects are carried out.
const effectsCursor = "effects"

// effects carries out what a recorded fact demands outside the log: destroying the key of an erased
// consumer, closing the connections of a revoked API key (D14). It follows the log with a durable cursor; each effect may be
// carried out again after a crash, and is then without consequence.
type effects struct {
	s       *Server
	revoked atomic.Pointer[func(events.KeyID)] // closes the connections of a key; nil while there are no doors
}

func newEffects(s *Server) *effects { return &effects{s: s} }

// run carries out effects until ctx ends or the log does.
func (e *effects) run(ctx context.Context) {
	from := min(e.s.Log.Cursor(effectsCursor), e.s.keys.known()) + 1 // keys are known as far as the log went at the start
	e.s.attaching.advance(from - 1)
	follower := e.s.Log.Follow(from)
	for {
		records, err := follower.Next(ctx)
		if err != nil {
			return // the log reports its failure itself
		}
		due := false
		for i := range records {
			acted, err := e.act(&records[i])
			if err != nil {
				e.s.cfg.Logger.Error("an effect is not carried out; it is tried again at the next start", "sequence", records[i].Seq, "error", err)
				return
			}
			due = due || acted
		}
		last := records[len(records)-1].Seq
		e.s.keys.advance(last)
		e.s.attaching.advance(last)
		if due || last-from >= 100_000 { // else there is little to go through again
			if err := e.s.Log.SetCursor(effectsCursor, last); err != nil {
				return
			}
			from = last
		}
	}
}

// act carries out the effect of one record, if it has one.
func (e *effects) act(rec *events.Record) (acted bool, err error) {
	e.s.attaching.note(rec)
	if keys := events.DestroyedKeys(rec.Event); len(keys) > 0 {
		if err := e.s.Keyring.DestroyMany(keys); err != nil {
			return false, fmt.Errorf("destroying keys: %w", err)
		}
		return true, nil
	}
	if created, ok := rec.Event.(events.KeyCreated); ok && rec.Seq > e.s.keys.known() {
		e.s.keys.add(natsbus.Identity{Key: created.Key, Role: created.Role, Merchant: rec.Merchant}, created.Secret)
		return false, nil
	}
	if revoked, ok := rec.Event.(events.KeyRevoked); ok {
		e.s.keys.remove(revoked.Key)
		if disconnect := e.revoked.Load(); disconnect != nil {
			(*disconnect)(revoked.Key)
		}
		return true, nil
	}
	return false, nil
}
