package events

// EventHeld records a meter event about somebody whom the merchant calls by an id of its own, and nobody has that id yet. It is
// billed once a customer has it: an [EventReleased] says so. Until then no money moves.
type EventHeld struct {
	External   Digest `cbor:"1,keyasint" json:"externalDigest"`
	HappenedAt Time   `cbor:"2,keyasint" json:"timestamp"` // as the merchant says, or when it was recorded
	// Body is JSON of the event. Its key is nobody's but that of the events which wait for the same customer, and is destroyed
	// with the last of them.
	Body Sealed `cbor:"3,keyasint" json:"body"`
}

// EventReleased records that an event is held no more. It is a usage event by the same command, which has the
// held one for its cause, or Code says why it is none. Those that wait for one customer are released in their order.
type EventReleased struct {
	External Digest           `cbor:"1,keyasint" json:"externalDigest"`
	Held     Seq              `cbor:"2,keyasint" json:"heldSequence"`
	Code     string           `cbor:"3,keyasint,omitempty" json:"code,omitempty"`
	Keys     []OrganizationID `cbor:"4,keyasint,omitempty" json:"keys,omitempty"` // to be destroyed: it was the last
}

// HeldDiscarded records that the merchant has no use for events that are held. Their keys are to be destroyed.
type HeldDiscarded struct {
	External Digest           `cbor:"1,keyasint" json:"externalDigest"`
	Count    uint64           `cbor:"2,keyasint" json:"count"`
	Keys     []OrganizationID `cbor:"3,keyasint" json:"keys"`
}

func (EventHeld) Kind() Kind     { return KindEventHeld }
func (EventReleased) Kind() Kind { return KindEventReleased }
func (HeldDiscarded) Kind() Kind { return KindHeldDiscarded }

func (EventHeld) Subject() (aggregate, name string)     { return "usage", "EventHeld" }
func (EventReleased) Subject() (aggregate, name string) { return "usage", "EventReleased" }
func (HeldDiscarded) Subject() (aggregate, name string) { return "usage", "HeldDiscarded" }

func (EventHeld) Money() Movement     { return Movement{} }
func (EventReleased) Money() Movement { return Movement{} }
func (HeldDiscarded) Money() Movement { return Movement{} }

func (EventHeld) sealed()     {}
func (EventReleased) sealed() {}
func (HeldDiscarded) sealed() {}

// DestroyedKeys returns the consumers, and what else has a key of its own, whose keys are to be destroyed since e (D4).
func DestroyedKeys(e Event) []OrganizationID {
	switch e := any(e).(type) {
	case ConsumerErased:
		return []OrganizationID{e.Consumer}
	case EventReleased:
		return e.Keys
	case HeldDiscarded:
		return e.Keys
	default:
		return nil
	}
}
