package verify

import (
	"fmt"
	"slices"

	"tallystick/events"
)

// waiting names events that are held, by whose and for whom.
type waiting struct {
	merchant events.OrganizationID
	external events.Digest
}

// attached is a usage event that was held before.
type attached struct {
	usage    events.Seq
	command  events.CommandID
	held     events.Seq
	customer events.CustomerID
}

// released checks that what was held comes out once, in its order, for whom it was held, and that an event which became usage
// is held no more.
func (a *auditor) released(rec *events.Record) error {
	if a.attached.held != 0 && rec.Command != a.attached.command {
		return fmt.Errorf("record %d became usage, and is still held", a.attached.held)
	}
	switch e := any(rec.Event).(type) {
	case *events.UsageReported:
		if rec.Cause != 0 {
			a.attached = attached{rec.Seq, rec.Command, rec.Cause, e.Customer}
		}
	case events.EventHeld:
		of := waiting{rec.Merchant, e.External}
		a.held[of] = append(a.held[of], rec.Seq)
		if !slices.Contains(a.heldKeys[of], e.Body.Key) {
			a.heldKeys[of] = append(a.heldKeys[of], e.Body.Key)
		}
	case events.EventReleased:
		return a.attach(waiting{rec.Merchant, e.External}, e)
	case events.HeldDiscarded:
		of := waiting{rec.Merchant, e.External}
		if n := uint64(len(a.held[of])); n == 0 || n != e.Count {
			return fmt.Errorf("%d events are discarded, and %d are held", e.Count, n)
		}
		return a.forget(of, e.Keys)
	default: // the others say nothing of that
	}
	return nil
}

func (a *auditor) attach(of waiting, e events.EventReleased) error {
	was := a.attached
	a.attached = attached{}
	switch {
	case len(a.held[of]) == 0 || a.held[of][0] != e.Held:
		return fmt.Errorf("record %d is released, and it is not the first that is held", e.Held)
	case (e.Code == "") != (was.held == e.Held):
		return fmt.Errorf("record %d is released with the code %q, and the usage event beside it is of record %d", e.Held, e.Code, was.held)
	case e.Code == "" && (a.customers[was.customer].merchant != of.merchant || a.customers[was.customer].external != of.external):
		return fmt.Errorf("record %d is billed to customer %s, for whom it was not held", e.Held, was.customer)
	}
	if a.held[of] = a.held[of][1:]; len(a.held[of]) == 0 {
		return a.forget(of, e.Keys)
	}
	if len(e.Keys) > 0 {
		return fmt.Errorf("keys are destroyed under which %d events are still held", len(a.held[of]))
	}
	return nil
}

// forget checks that the keys go with the last event.
func (a *auditor) forget(of waiting, keys []events.OrganizationID) error {
	for _, key := range a.heldKeys[of] {
		if !slices.Contains(keys, key) {
			return fmt.Errorf("no event is held under key %s any more, and it is not destroyed", key)
		}
	}
	delete(a.held, of)
	delete(a.heldKeys, of)
	return nil
}
