package verify

import (
	"fmt"

	"tallystick/events"
	"tallystick/projections"
)

// entitled is what an entitlement is of, and whether more than its grants have is charged.
type entitled struct {
	feature events.FeatureID
	soft    bool
}

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
		if err := a.granted(rec, &e); err != nil {
			return err
		}
		if e.Used.Cmp(e.Amount) > 0 {
			return fmt.Errorf("grant %s is issued with %s units used, and has %s", e.Grant, e.Used, e.Amount)
		}
		a.grants[e.Grant] = &grant{
			entitlement: e.Entitlement, amount: e.Amount, left: e.Amount.Plus(e.Used.Neg()), least: e.MinRollover, most: e.MaxRollover,
			allowance: e.Code == projections.GrantOfAllowance,
		}
	case events.EntitlementIssued:
		a.features[e.Entitlement] = entitled{e.Feature, e.Terms.Soft}
	case events.EntitlementEnded:
		a.over[e.Entitlement] = true
	case events.GrantOrdered:
		return a.ordered(rec, e)
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
	of := a.features[e.Entitlement]
	left := e.Units.Plus(e.Overage.Neg()).Whole()
	if !of.soft {
		left = e.Units.Whole() // what goes beyond a hard limit is not charged
	}
	for _, c := range a.covers[of.feature] {
		n := min(c.units, left)
		if left -= n; !c.discounted {
			n = 0
		}
		if c.granted != n {
			return fmt.Errorf("%d units of %d are not charged, and by the grants and the limit of entitlement %s it is %d", c.granted, c.units, e.Entitlement, n)
		}
	}
	delete(a.covers, of.feature)
	return nil
}

// cover is what usage has taken of a feature at a price: how many units, and how many of them it was not charged for.
type cover struct {
	units, granted int64
	discounted     bool
}

// discounted remembers what a property of usage was not charged for, until it is seen that grants had it.
func (a *auditor) discounted(rec *events.Record, p *price, u *events.UsageLine) error {
	c := cover{units(u, a.metrics[u.Metric]) + u.Granted, u.Granted, p.GrantDiscount}
	if c.granted < 0 || c.granted > c.units || c.granted > 0 && (!c.discounted || p.of.IsZero()) {
		return fmt.Errorf("%d of %d units at price %s are not charged", c.granted, c.units, p.id.price)
	}
	if !p.of.IsZero() {
		a.covers[p.of], a.coversOf = append(a.covers[p.of], c), rec.Command
	}
	return nil
}

// covered checks that all that was not charged was burned by the command that reported it.
func (a *auditor) covered(rec *events.Record) error {
	if len(a.covers) == 0 || rec.Command == a.coversOf {
		return nil
	}
	defer clear(a.covers)
	for feature, of := range a.covers {
		for _, c := range of {
			if c.granted > 0 {
				return fmt.Errorf("the usage before was not charged for %d units, and no grants of feature %s had them", c.granted, feature)
			}
		}
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
