package commands

import (
	"cmp"
	"slices"

	"tallystick/events"
	"tallystick/projections"
)

// HeldEvent is what is kept of an event while nobody is the customer that it is about.
type HeldEvent struct {
	External events.Digest // of the merchant's own id of the customer
	Body     events.Sealed // JSON of the event
	NewKey   bool          // Body's key was made for this event, and those that were read with it
}

// AttachEvent bills an event that is held, now that the customer is there. Nobody but the server asks for it.
type AttachEvent struct {
	External events.Digest
	Held     events.Seq
	Event    IngestEvent // as its record holds it, and of the customer
}

// DiscardEvents has the events forgotten that are held for an external id. Nothing can read them afterwards.
type DiscardEvents struct {
	External events.Digest
	Named    string // the id itself, to speak of it
}

// The bounds of what is held for one external id: each event waits, and each key is to be destroyed.
const (
	mostHeld     = 100_000
	mostHeldKeys = 256
)

// NotCounted is why an event that was held is no usage: no metric of the customer's plan counts its type.
const NotCounted = "NOT_COUNTED"

// holdEvent keeps an event for the customer that is yet to come. It is not refused for what is in it: that shows when it is billed.
func holdEvent(b *projections.Books, c Context, cmd *IngestEvent, d *decision) *Rejection {
	if _, r := merchantOf(b, c); r != nil {
		return r
	}
	w := b.Waiting.Get(projections.Subject{A: c.Merchant, B: cmd.Held.External})
	known := w != nil && w.SealsUnder(cmd.Held.Body.Key)
	switch {
	case w != nil && w.Count >= mostHeld:
		return Reject(NotFound, "no customer has the externalId %.60q, and %d events are held for it already", cmd.External, w.Count)
	case !known && !cmd.Held.NewKey: // its key is destroyed
		return Reject(Busy, "what was held for the externalId %.60q has just ended; repeat in a moment", cmd.External)
	case !known && w != nil && len(w.Keys) >= mostHeldKeys:
		return Reject(Busy, "too many events for the externalId %.60q come at once; repeat in a moment", cmd.External)
	}
	at := cmp.Or(cmd.HappenedAt, c.Now)
	d.add(c, at, events.EventHeld{External: cmd.Held.External, HappenedAt: at, Body: cmd.Held.Body})
	return nil
}

// attachEvent ends an event's waiting: it is usage, or never will be. What can still change, such as a wallet that is empty, leaves it held.
func attachEvent(b *projections.Books, c Context, cmd *AttachEvent, d *decision) *Rejection {
	w := b.Waiting.Get(projections.Subject{A: c.Merchant, B: cmd.External})
	if w == nil || cmd.Held < w.Opened || cmd.Held <= w.Ended {
		return Reject(NotFound, "record %d is no event that is held", cmd.Held)
	}
	if customer := b.Customers.Get(cmd.Event.Customer); customer == nil || customer.Merchant != c.Merchant || customer.External != cmd.External {
		return Reject(NotFound, "customer %s is not the one that record %d is held for", cmd.Event.Customer, cmd.Held)
	}
	r := ingestEvent(b, c, &cmd.Event, d)
	if !d.overdue.isZero() {
		return nil
	}
	released := events.EventReleased{External: cmd.External, Held: cmd.Held}
	if w.Count == 1 {
		released.Keys = slices.Clone(w.Keys)
	}
	at := c.Now
	switch {
	case r != nil && mayPass(r.Code):
		return r
	case r != nil:
		d.reset()
		released.Code = string(r.Code)
	case d.existing != nil:
		d.reset()
		released.Code = NotCounted
	default:
		d.drafts[0].cause, at = cmd.Held, d.drafts[0].at
	}
	d.add(c, at, released)
	return nil
}

// mayPass reports whether a refusal for this reason need not be the last word on an event.
func mayPass(code Code) bool {
	switch code { //nolint:exhaustive // the others are for good
	case NotFound, SubscriptionNotActive, InsufficientFunds, ClockAdvancing, TimestampInFuture:
		return true
	}
	return false
}

func discardEvents(b *projections.Books, c Context, cmd DiscardEvents, d *decision) *Rejection {
	w := b.Waiting.Get(projections.Subject{A: c.Merchant, B: cmd.External})
	if w == nil {
		return Reject(NotFound, "no events are held for the externalId %.60q", cmd.Named)
	}
	d.add(c, c.Now, events.HeldDiscarded{External: cmd.External, Count: w.Count, Keys: slices.Clone(w.Keys)})
	return nil
}
