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

// PurchaseGrant sells units of a metered entitlement for a price, which its subscription's wallet pays at once: with tax, with the platform's part,
// and as a line of the invoice of the period under way.
type PurchaseGrant struct {
	CreateGrant
	Price events.Nanos // of all of them; without tax where the plan has it added
}

// The bounds of what is paid for a grant.
const (
	leastGrantPrice = events.NanosPerUnit / 2
	mostGrantPrice  = 4_503_599*events.NanosPerUnit + 620_000_000
)

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

func purchaseGrant(b *projections.Books, c Context, cmd PurchaseGrant, d *decision) *Rejection {
	if cmd.Price < leastGrantPrice || cmd.Price > mostGrantPrice {
		return Reject(Invalid, "price must be from %s to %s", events.Nanos(leastGrantPrice), events.Nanos(mostGrantPrice))
	}
	if r := createGrant(b, c, cmd.CreateGrant, d); r != nil || !d.overdue.isZero() {
		return r
	}
	granted := d.drafts[0]
	d.drafts = d.drafts[:0]
	on := b.Entitlements.Get(cmd.Entitlement).Subscription
	s := b.Subscriptions.Get(on)
	if s == nil {
		return Reject(Conflict, "entitlement %s belongs to no subscription, whose invoice could have it", cmd.Entitlement)
	}
	if overdue(s, granted.at) {
		d.overdue = onSubscription(on)
		return nil
	}
	p := openFor(s, events.InvoiceID{})
	if s.Status != projections.SubscriptionActive || p == nil {
		return Reject(SubscriptionNotActive, "subscription %s is %s", on, s.Status)
	}
	card := b.Plans.Get(s.Plan).CardAt(s.Agreed(p))
	q := events.QuotedFee{TaxRate: feeRate(b, s, card, granted.at)()}
	q.Nanos, q.Tax = taxOn(q.TaxRate, card.Taxed, events.Sum{}, events.Sum{}, cmd.Price)
	f := newCharger(b, c, on, s, p.N, b.BalanceOf(projections.MainAccount(s.Wallet, s.Currency)))
	if !f.charge(&q, granted.at, d) {
		return Reject(InsufficientFunds, "the wallet holds %s %s, and this costs %s", f.balance, s.Currency, q.Nanos+q.Tax)
	}
	paid := d.drafts[0].event.(events.FeeCharged) // as charge promises
	d.drafts[0].event = events.LineItemAdded{
		Line: events.Derive[events.LineNoun](c.ID, 0), Invoice: p.Invoice, Subscription: on, Customer: s.Customer, Wallet: s.Wallet, Period: p.N,
		Quantity: "1", UnitPrice: cmd.Price.String(), Nanos: q.Nanos, Tax: q.Tax, TaxRate: q.TaxRate, Currency: s.Currency,
		Postings: paid.Postings, Balance: paid.Balance, Grant: granted.event.(events.GrantIssued).Grant,
	}
	d.drafts, d.main = append(d.drafts, granted), 1
	return nil
}
