package projtest

import "tallystick/events"

// heldEvents are those that wait for one external identity.
type heldEvents struct {
	merchant *merchant
	external events.Digest
	key      events.OrganizationID
	records  []events.Seq
}

// hold holds an event for somebody who is no customer, or for the one before.
func (g *generator) hold(m *merchant) {
	if g.waiting != nil {
		m = g.waiting.merchant
	}
	g.command(m.id, events.ActorKey)
	if g.waiting == nil {
		g.waiting = &heldEvents{merchant: m, external: g.digest(), key: events.Derive[events.OrganizationNoun](g.env.Command, 0)}
	}
	h := g.waiting
	h.records = append(h.records, g.emit(0, events.EventHeld{External: h.external, HappenedAt: g.env.RecordedAt, Body: g.seal(h.key)}).Seq)
}

// letGo ends the waiting of an event, or, where there are many, of all.
func (g *generator) letGo() {
	h := g.waiting
	if h == nil {
		return
	}
	g.command(h.merchant.id, events.ActorKey)
	if len(h.records) > 2 {
		g.emit(0, events.HeldDiscarded{External: h.external, Count: uint64(len(h.records)), Keys: []events.OrganizationID{h.key}})
		g.waiting = nil
		return
	}
	e := events.EventReleased{External: h.external, Held: h.records[0], Code: "PERIOD_CLOSED"}
	if h.records = h.records[1:]; len(h.records) == 0 {
		e.Keys = []events.OrganizationID{h.key}
		g.waiting = nil
	}
	g.emit(0, e)
}
