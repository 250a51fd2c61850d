package commands

import (
	"cmp"

	"tallystick/events"
	"tallystick/projections"
)

// CreateGrant gives a metered entitlement units to use.
type CreateGrant struct {
	Entitlement events.EntitlementID
	Amount      events.Sum      // above 0
	EffectiveAt events.Time     // zero means now
	ExpiresAt   events.Time     // zero means never
	Recurrence  events.Interval // after which it has its amount again; none if empty
	Priority    int64           // the lowest is used first
	MaxRollover events.Sum      // what it keeps at most when an interval ends
	MinRollover events.Sum
}

// VoidGrant takes back what is left of a grant. To void it again changes nothing.
type VoidGrant struct {
	Entitlement events.EntitlementID
	Grant       events.GrantID
}

// maxGrants bounds the grants of an entitlement that may have units.
const maxGrants = 1000

// entitlementOf returns a merchant's entitlement and what time it is for it, or what is overdue on it.
func entitlementOf(b *projections.Books, c Context, id events.EntitlementID) (e *projections.Entitlement, now events.Time, overdue subject, _ *Rejection) {
	e = b.Entitlements.Get(id)
	if e == nil || e.Merchant != c.Merchant {
		return nil, 0, overdue, Reject(NotFound, "no entitlement %s", id)
	}
	if r := clockUsable(b, c, e.Clock); r != nil {
		return nil, 0, overdue, r
	}
	now = b.ClockNow(e.Clock, c.Now)
	if at, _ := entitlementDue(b, e); at != 0 && at <= now {
		overdue = onEntitlement(id)
	}
	return e, now, overdue, nil
}

func createGrant(b *projections.Books, c Context, cmd CreateGrant, d *decision) *Rejection {
	if r := first(
		billable("effectiveAt", cmd.EffectiveAt), billable("expiresAt", cmd.ExpiresAt), unitsOK("amount", cmd.Amount),
		priorityOK("priority", cmd.Priority), unitsOK("resetMaxRollover", cmd.MaxRollover), unitsOK("resetMinRollover", cmd.MinRollover),
		rolloverOK(cmd.MinRollover, cmd.MaxRollover),
	); r != nil {
		return r
	}
	if cmd.Amount.IsZero() {
		return Reject(Invalid, "amount must be above 0")
	}
	if cmd.Recurrence != "" && !cmd.Recurrence.Valid() {
		return Reject(Invalid, "recurrencePeriod %.40q is no duration of at least an hour, such as P1M", cmd.Recurrence)
	}
	e, now, overdue, r := entitlementOf(b, c, cmd.Entitlement)
	if r != nil {
		return r
	}
	if !overdue.isZero() {
		d.overdue = overdue
		return nil
	}
	if e.Status != projections.EntitlementActive {
		return Reject(Conflict, "entitlement %s is %s", cmd.Entitlement, e.Status)
	}
	if e.Terms.Type != events.FeatureMetered {
		return Reject(Invalid, "entitlement %s is %s; only metered ones have grants", cmd.Entitlement, e.Terms.Type)
	}
	if len(e.Grants) >= maxGrants {
		return Reject(Conflict, "entitlement %s has %d grants; no more are allowed", cmd.Entitlement, maxGrants)
	}
	from := cmp.Or(cmd.EffectiveAt, now)
	if cmd.ExpiresAt != 0 && (cmd.ExpiresAt <= from || cmd.ExpiresAt <= now) {
		return Reject(Invalid, "expiresAt must be after effectiveAt, and after now, which is %s", now)
	}
	if end, ok := cmd.Recurrence.After(from, 1); cmd.Recurrence != "" && (!ok || end <= now) {
		return Reject(Invalid, "effectiveAt is longer ago than a recurrencePeriod")
	}
	d.add(c, now, events.GrantIssued{
		Grant: events.Derive[events.GrantNoun](c.ID, 0), Entitlement: cmd.Entitlement, Amount: cmd.Amount, EffectiveAt: from,
		ExpiresAt: cmd.ExpiresAt, Recurrence: cmd.Recurrence, Priority: cmd.Priority, MaxRollover: cmd.MaxRollover, MinRollover: cmd.MinRollover,
	})
	return nil
}

func voidGrant(b *projections.Books, c Context, cmd VoidGrant, d *decision) *Rejection {
	_, now, overdue, r := entitlementOf(b, c, cmd.Entitlement)
	if r != nil {
		return r
	}
	if !overdue.isZero() {
		d.overdue = overdue
		return nil
	}
	g := b.Grants.Get(cmd.Grant)
	if g == nil || g.Entitlement != cmd.Entitlement {
		return Reject(NotFound, "entitlement %s has no grant %s", cmd.Entitlement, cmd.Grant)
	}
	if g.VoidedAt != 0 {
		d.existing = &Receipt{Status: Duplicate, Seq: g.Created, ID: Ref{refGrant, cmd.Grant}}
		return nil
	}
	d.add(c, now, events.GrantVoided{Grant: cmd.Grant, Entitlement: cmd.Entitlement})
	return nil
}
