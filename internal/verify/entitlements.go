package verify

import (
	"fmt"

	"tallystick/events"
	"tallystick/projections"
)

// grant is units of a metered feature.
type grant struct {
	entitlement  events.EntitlementID
	amount, left events.Sum
	least, most  events.Sum // that it keeps when an interval ends
	voided       bool
	allowance    bool // what it keeps goes into the next one
}

// entitlement takes a record that is about reservations, entitlements or grants.
func (a *auditor) entitlement(rec *events.Record) error {
	switch e := rec.Event.(type) {
	case events.ReservationCreated:
		return a.reservationCreated(e)
	case events.ReservationReleased:
		return a.reservationReleased(e)
	case events.GrantIssued:
		if e.Used.Cmp(e.Amount) > 0 {
			return fmt.Errorf("grant %s is issued with %s units used, and has %s", e.Grant, e.Used, e.Amount)
		}
		a.grants[e.Grant] = &grant{
			entitlement: e.Entitlement, amount: e.Amount, left: e.Amount.Plus(e.Used.Neg()), least: e.MinRollover, most: e.MaxRollover,
			allowance: e.Code == projections.GrantOfAllowance,
		}
	case events.EntitlementUsed:
		return a.unitsUsed(e)
	case events.EntitlementReset:
		return a.unitsReset(e)
	case events.GrantRenewed:
		g := a.grants[e.Grant]
		if g == nil || g.entitlement != e.Entitlement || g.voided {
			return fmt.Errorf("grant %s is not one of entitlement %s, or void", e.Grant, e.Entitlement)
		}
		g.left = g.amount
	case events.GrantVoided:
		if g := a.grants[e.Grant]; g != nil {
			g.voided = true
		}
	default: // nothing of it is added up
	}
	return nil
}

// unitsUsed compares what usage took with what the grants had.
func (a *auditor) unitsUsed(e events.EntitlementUsed) error {
	sum := e.Overage
	for _, b := range e.Burned {
		g := a.grants[b.Grant]
		if g == nil || g.entitlement != e.Entitlement || g.voided || b.Units.Sign() <= 0 {
			return fmt.Errorf("it takes %s units of grant %s, which is not one of entitlement %s, or void", b.Units, b.Grant, e.Entitlement)
		}
		if g.left = g.left.Plus(b.Units.Neg()); g.left.Sign() < 0 {
			return fmt.Errorf("grant %s is left with less than nothing: %s", b.Grant, g.left)
		}
		sum = sum.Plus(b.Units)
	}
	if sum != e.Units || e.Overage.Sign() < 0 {
		return fmt.Errorf("%s units are used, and %s taken or beyond the grants", e.Units, sum)
	}
	return nil
}

// unitsReset compares what grants keep with min(most, max(left, least)).
func (a *auditor) unitsReset(e events.EntitlementReset) error {
	for _, l := range e.Left {
		g := a.grants[l.Grant]
		if g == nil || g.entitlement != e.Entitlement {
			return fmt.Errorf("grant %s is not one of entitlement %s", l.Grant, e.Entitlement)
		}
		want := g.left
		if want.Cmp(g.least) < 0 {
			want = g.least
		}
		if want.Cmp(g.most) > 0 {
			want = g.most
		}
		if g.allowance {
			want = events.Sum{}
		}
		if l.Units != want {
			return fmt.Errorf("grant %s keeps %s units, not %s", l.Grant, want, l.Units)
		}
		g.left = want
	}
	return nil
}
