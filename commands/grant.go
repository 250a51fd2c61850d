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

// PurchaseGrant sells units of a metered entitlement for a price, with tax, with the platform's part, and as a line of the invoice of the period
// under way. The wallet of its subscription pays at once, if it holds enough. Else a payment session asks for the price, and the units are
// granted once it is paid; never if it ends otherwise.
type PurchaseGrant struct {
	CreateGrant
	Price     events.Nanos // of all of them; without tax where the plan has it added
	OnSuccess string       // where the session sends its payer
	OnFailure string
	PayBy     events.Time // when the session expires; zero for as long after now as that of a new subscription
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
		return wrong("amount", "must be above 0")
	}
	if cmd.Recurrence != "" && !cmd.Recurrence.Valid() {
		return wrong("recurrencePeriod", "%.40q is no duration of at least an hour, such as P1M", cmd.Recurrence)
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
		return wrong("expiresAt", "must be after effectiveAt, and after now, which is %s", now)
	}
	if end, ok := cmd.Recurrence.After(from, 1); cmd.Recurrence != "" && (!ok || end <= now) {
		return wrong("effectiveAt", "is longer ago than a recurrencePeriod")
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
		return wrong("price", "must be from %s to %s", events.Nanos(leastGrantPrice), events.Nanos(mostGrantPrice))
	}
	if r := first(optional("successUrl", cmd.OnSuccess, maxURL), optional("cancelUrl", cmd.OnFailure, maxURL), billable("paymentExpiresAt", cmd.PayBy)); r != nil {
		return r
	}
	if r := createGrant(b, c, cmd.CreateGrant, d); r != nil || !d.overdue.isZero() {
		return r
	}
	grant, now := d.drafts[0].event.(events.GrantIssued).Grant, d.drafts[0].at
	d.drafts = d.drafts[:0]
	if cmd.PayBy != 0 && (cmd.PayBy <= now || cmd.PayBy > now.Add(longestTerm)) {
		return wrong("paymentExpiresAt", "must be after now, which is %s, and at most 31 days away", now)
	}
	on := b.Entitlements.Get(cmd.Entitlement).Subscription
	s := b.Subscriptions.Get(on)
	if s == nil {
		return Reject(Conflict, "entitlement %s belongs to no subscription, whose invoice could have it", cmd.Entitlement)
	}
	if overdue(s, now) {
		d.overdue = onSubscription(on)
		return nil
	}
	p := openFor(s, events.InvoiceID{})
	if s.Status != projections.SubscriptionActive || p == nil {
		return Reject(SubscriptionNotActive, "subscription %s is %s", on, s.Status)
	}
	o := events.GrantOrdered{
		Grant: grant, Entitlement: cmd.Entitlement, Subscription: on, Period: p.N, Invoice: p.Invoice, Session: events.Derive[events.SessionNoun](c.ID, 3),
		Amount: cmd.Amount, EffectiveAt: cmd.EffectiveAt, ExpiresAt: cmd.ExpiresAt, Recurrence: cmd.Recurrence, Priority: cmd.Priority,
		MaxRollover: cmd.MaxRollover, MinRollover: cmd.MinRollover, Price: cmd.Price, Currency: s.Currency,
	}
	card := b.Plans.Get(s.Plan).CardAt(s.Agreed(p))
	o.TaxRate = feeRate(b, s, card, now)()
	o.Nanos, o.Tax = taxOn(o.TaxRate, card.Taxed, events.Sum{}, events.Sum{}, cmd.Price)
	balance := b.BalanceOf(projections.MainAccount(s.Wallet, s.Currency))
	if sell(b, c, &o, s, p, balance, now, d) {
		d.main = 1
		return nil
	}
	if owed, fits := wholeCents(o.Nanos + o.Tax); !fits || owed > limitOf(b.Merchants.Get(c.Merchant)) {
		return Reject(InsufficientFunds, "the wallet holds %s %s, and this costs %s, which is more than one payment may be of", balance, s.Currency, o.Nanos+o.Tax)
	}
	order(b, c, &cmd, &o, s, now, d)
	return nil
}
