package verify

import (
	"testing"

	"tallystick/events"
)

// TestUnitsNotCharged holds that usage is free for as many whole units as grants have of it, in the order of its properties, where the price
// says so; and that nothing is free of which no grant has anything.
func TestUnitsNotCharged(t *testing.T) {
	feature, entitlement, grantID := events.FeatureID{1}, events.EntitlementID{2}, events.GrantID{3}
	reported := &events.Record{Envelope: events.Envelope{Command: events.CommandID{4}}}
	next := &events.Record{Envelope: events.Envelope{Command: events.CommandID{5}}}
	for _, tt := range []struct {
		name   string
		covers []cover // of 8 units, of which the grants have 5.75
		hard   bool    // its limit: the other units are not charged either
		alone  bool    // nothing is burned
		ok     bool
	}{
		{name: "what the grants have", covers: []cover{{8, 5, true}}, ok: true},
		{name: "by order", covers: []cover{{3, 3, true}, {5, 2, true}}, ok: true},
		{name: "not where the price does not say so", covers: []cover{{3, 0, false}, {5, 2, true}}, ok: true},
		{name: "all, beyond a hard limit", covers: []cover{{3, 3, true}, {5, 5, true}}, hard: true, ok: true},
		{name: "what the grants have, beyond a hard limit", covers: []cover{{8, 5, true}}, hard: true},
		{name: "more", covers: []cover{{8, 6, true}}},
		{name: "less", covers: []cover{{8, 4, true}}},
		{name: "in another order", covers: []cover{{3, 0, true}, {5, 5, true}}},
		{name: "where the price does not say so", covers: []cover{{8, 5, false}}},
		{name: "without a grant", covers: []cover{{8, 5, true}}, alone: true},
		{name: "nothing without a grant", covers: []cover{{8, 0, true}}, alone: true, ok: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAuditor()
			a.features[entitlement] = entitled{feature, !tt.hard}
			a.grants[grantID] = &grant{entitlement: entitlement, left: events.SumOf(5_750_000_000)}
			a.covers[feature], a.coversOf = tt.covers, reported.Command
			err := a.covered(reported)
			if err == nil && !tt.alone {
				err = a.unitsUsed(events.EntitlementUsed{
					Entitlement: entitlement, Units: events.SumOfWhole(8), Overage: events.SumOf(2_250_000_000),
					Burned: []events.GrantUnits{{Grant: grantID, Units: events.SumOf(5_750_000_000)}},
				})
			}
			if err == nil {
				err = a.covered(next)
			}
			if ok := err == nil; ok != tt.ok {
				t.Errorf("found %v", err)
			}
			if tt.ok && len(a.covers) > 0 {
				t.Errorf("%v is still looked for", a.covers)
			}
		})
	}
}
