package projections

import (
	"slices"

	"tallystick/events"
)

// Waiting is what is known of the events that are held until there is a customer with the external identity that they name.
// There is a row as long as there is such an event. Which they are, stands in the subject's [JournalOfHeld]: those since Opened, behind Ended.
type Waiting struct {
	Opened events.Seq              `cbor:"1,keyasint"` // the first of them, since there was none
	Count  uint64                  `cbor:"2,keyasint"`
	Ended  events.Seq              `cbor:"3,keyasint,omitempty"` // the last that is held no more; they end in their order
	Keys   []events.OrganizationID `cbor:"4,keyasint"`           // that they are sealed under
}

// Subject names, for one merchant, a customer by the keyed digest of the merchant's own id of it.
type Subject = Pair[events.OrganizationID, events.Digest]

// HeldUnder returns a key under which events wait for whoever has an external id of a merchant, zero if none do.
func (b *Books) HeldUnder(merchant events.OrganizationID, external events.Digest) (key events.OrganizationID) {
	if w := b.Waiting.Get(Subject{merchant, external}); w != nil {
		key = w.Keys[0]
	}
	return key
}

func (b *Books) eventHeld(rec *events.Record, e events.EventHeld) {
	of := Subject{rec.Merchant, e.External}
	if b.Waiting.Get(of) == nil {
		b.Waiting.insert(of).Opened = rec.Seq
	}
	w := b.Waiting.edit(of)
	w.Count++
	if !w.SealsUnder(e.Body.Key) {
		w.Keys = append(w.Keys, e.Body.Key)
	}
}

// SealsUnder reports whether events that wait are sealed under a key.
func (w *Waiting) SealsUnder(key events.OrganizationID) bool {
	return slices.Contains(w.Keys, key)
}

func (b *Books) eventReleased(rec *events.Record, e events.EventReleased) {
	of := Subject{rec.Merchant, e.External}
	w := b.Waiting.edit(of)
	assert(e.Held > w.Ended && e.Held >= w.Opened, rec, "an event released twice, or out of order")
	w.Count--
	w.Ended = e.Held
	if w.Count == 0 {
		b.Waiting.remove(of)
	}
}

func (b *Books) heldDiscarded(rec *events.Record, e events.HeldDiscarded) {
	of := Subject{rec.Merchant, e.External}
	assert(b.Waiting.Get(of).Count == e.Count, rec, "other events discarded than are held")
	b.Waiting.remove(of)
}
