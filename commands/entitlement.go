package commands

import (
	"cmp"

	"tallystick/events"
	"tallystick/projections"
)

// IssueEntitlement lets a customer use a feature.
type IssueEntitlement struct {
	Customer     events.CustomerID
	Feature      events.FeatureID
	Terms        events.FeatureTerms
	ActiveFrom   events.Time           // zero means now
	ActiveTo     events.Time           // zero means for ever
	Subscription events.SubscriptionID // with which it ends; zero for none
	Metadata     events.Sealed
}

func issueEntitlement(b *projections.Books, c Context, cmd IssueEntitlement, d *decision) *Rejection {
	if r := first(billable("activeFrom", cmd.ActiveFrom), billable("activeTo", cmd.ActiveTo)); r != nil {
		return r
	}
	customer := b.Customers.Get(cmd.Customer)
	if customer == nil || customer.Merchant != c.Merchant {
		return Reject(NotFound, "no customer %s", cmd.Customer)
	}
	f, r := featureOf(b, c, cmd.Feature)
	if r != nil {
		return r
	}
	if r := termsOK(&cmd.Terms, f.Type); r != nil {
		return r
	}
	var clock events.TestClockID
	now := c.Now
	if !cmd.Subscription.IsZero() {
		s := b.Subscriptions.Get(cmd.Subscription)
		if s == nil || s.Customer != cmd.Customer {
			return Reject(NotFound, "customer %s has no subscription %s", cmd.Customer, cmd.Subscription)
		}
		if r := clockUsable(b, c, s.Clock); r != nil {
			return r
		}
		clock, now = s.Clock, b.ClockNow(s.Clock, c.Now)
		if overdue(s, now) {
			d.overdue = onSubscription(cmd.Subscription)
			return nil
		}
		if s.Status != projections.SubscriptionActive {
			return Reject(SubscriptionNotActive, "subscription %s is %s", cmd.Subscription, s.Status)
		}
	}
	from := cmp.Or(cmd.ActiveFrom, now)
	if cmd.ActiveTo != 0 && (cmd.ActiveTo <= from || cmd.ActiveTo <= now) {
		return wrong("activeTo", "must be after activeFrom, and after now, which is %s", now)
	}
	if id, on := entitled(b, cmd.Customer, cmd.Feature, c.Now); !on.isZero() {
		d.overdue = on
		return nil
	} else if !id.IsZero() {
		return Reject(Conflict, "customer %s has entitlement %s to feature %s", cmd.Customer, id, cmd.Feature)
	}
	issue(c, 0, events.EntitlementIssued{
		Customer: cmd.Customer, Feature: cmd.Feature, Product: f.Product, Subscription: cmd.Subscription, Clock: clock,
		ActiveFrom: from, ActiveTo: cmd.ActiveTo, Terms: cmd.Terms, Metadata: cmd.Metadata,
	}, now, d)
	return nil
}

// entitled returns the customer's active entitlement to a feature, or what is overdue on it; zero if there is none.
func entitled(b *projections.Books, customer events.CustomerID, feature events.FeatureID, real events.Time) (id events.EntitlementID, overdue subject) {
	list := b.Entitled.Get(customer)
	if list == nil {
		return id, overdue
	}
	for _, id := range list.Entitlements {
		if e := b.Entitlements.Get(id); e.Feature == feature {
			if at, _ := entitlementDue(b, e); at != 0 && at <= b.ClockNow(e.Clock, real) {
				return id, onEntitlement(id)
			}
			return id, subject{}
		}
	}
	return id, overdue
}

// issue records an entitlement, the nth thing that the command makes, with the units of its first interval.
func issue(c Context, n uint32, e events.EntitlementIssued, at events.Time, d *decision) {
	e.Entitlement = events.Derive[events.EntitlementNoun](c.ID, n)
	if i := e.Terms.Interval; i != "" {
		anchor := cmp.Or(e.Terms.Anchor, e.ActiveFrom)
		e.Terms.Anchor = anchor
		if e.PeriodEnd = anchor; anchor <= e.ActiveFrom {
			e.PeriodEnd, _ = i.Next(anchor, e.ActiveFrom)
		}
	}
	d.add(c, at, e)
	if !e.Terms.Issue.IsZero() {
		d.add(c, at, allowance(events.Derive[events.GrantNoun](c.ID, n), e.Entitlement, &e.Terms, e.ActiveFrom))
	}
}

// allowance is the units that terms promise for an interval.
func allowance(id events.GrantID, of events.EntitlementID, t *events.FeatureTerms, from events.Time) events.GrantIssued {
	return events.GrantIssued{
		Grant: id, Entitlement: of, Amount: t.Issue, EffectiveAt: from, Priority: t.IssuePriority,
		MaxRollover: t.MaxRollover, MinRollover: t.MinRollover, Code: projections.GrantOfAllowance,
	}
}

// provision entitles a customer to the features of a plan's prices. What the customer is entitled to already stays as it is.
func provision(b *projections.Books, c Context, e events.EntitlementIssued, plan *projections.Plan, at events.Time, d *decision) {
	const names = 1 << 12 // lower ones name what the command itself makes
	for i, id := range plan.Prices {
		price := b.Prices.Get(id)
		if price.Feature.IsZero() {
			continue
		}
		if has, _ := entitled(b, e.Customer, price.Feature, c.Now); !has.IsZero() {
			continue
		}
		e.Feature, e.Product, e.Terms = price.Feature, plan.Product, price.Template
		issue(c, names+uint32(i), e, at, d)
	}
}

// cancelEntitlements ends what a customer was entitled to by a subscription that ends.
func cancelEntitlements(b *projections.Books, c Context, sub events.SubscriptionID, customer events.CustomerID, at events.Time, d *decision) {
	list := b.Entitled.Get(customer)
	if list == nil {
		return
	}
	for _, id := range list.Entitlements {
		if e := b.Entitlements.Get(id); e.Subscription == sub {
			dropOrders(b, e, func(ended events.Event) { d.add(c, at, ended) })
			d.add(c, at, events.EntitlementEnded{Entitlement: id, Status: string(projections.EntitlementCanceled)})
		}
	}
}

// entitlementDue returns when something falls due on an entitlement next, and what; 0 if nothing does.
func entitlementDue(b *projections.Books, e *projections.Entitlement) (at events.Time, kind dueKind) {
	if e.Status != projections.EntitlementActive || e.Parked != "" {
		return 0, 0
	}
	consider := func(t events.Time, k dueKind) {
		if t != 0 && (at == 0 || t < at || t == at && k < kind) {
			at, kind = t, k
		}
	}
	consider(e.ActiveTo, dueEntitlementEnd)
	consider(e.PeriodEnd, dueReset)
	for _, id := range e.Grants {
		if g := b.Grants.Get(id); g.RenewsAt != 0 && (g.ExpiresAt == 0 || g.RenewsAt < g.ExpiresAt) {
			consider(g.RenewsAt, dueRenewal)
		}
	}
	return at, kind
}

// decideEntitlementDue carries out what is due on an entitlement.
func decideEntitlementDue(b *projections.Books, c Context, id events.EntitlementID, d *decision) {
	e := b.Entitlements.Get(id)
	at, kind := entitlementDue(b, e)
	c.Merchant = e.Merchant
	add := func(ev events.Event) {
		d.drafts = append(d.drafts, draft{event: ev, at: at, merchant: e.Merchant, cause: e.Created})
	}
	switch kind {
	case dueEntitlementEnd:
		dropOrders(b, e, add)
		add(events.EntitlementEnded{Entitlement: id, Status: string(projections.EntitlementExpired)})
	case dueReset:
		reset(b, c, id, e, at, add)
	case dueRenewal:
		for _, grant := range e.Grants {
			if g := b.Grants.Get(grant); g.RenewsAt == at {
				add(events.GrantRenewed{Grant: grant, Entitlement: id, At: at})
			}
		}
	case duePeriodEnd, dueGraceEnd, dueEnding, dueRelease: // of others
	}
}

// reset begins an interval. Each grant keeps min(most, max(left, least)) of what is left of it. What an allowance keeps goes into
// the next one, together with the units that the terms promise, so there is one at a time. Overage that is to be preserved is
// taken from it.
func reset(b *projections.Books, c Context, id events.EntitlementID, e *projections.Entitlement, at events.Time, add func(events.Event)) {
	next, _ := e.Terms.Interval.Next(e.Terms.Anchor, at)
	r := events.EntitlementReset{Entitlement: id, PeriodStart: at, PeriodEnd: next}
	units := e.Terms.Issue
	for _, grant := range e.Grants {
		g := b.Grants.Get(grant)
		if !g.LiveAt(at) {
			continue
		}
		left := g.Left
		if left.Cmp(g.MinRollover) < 0 {
			left = g.MinRollover
		}
		if left.Cmp(g.MaxRollover) > 0 {
			left = g.MaxRollover
		}
		if g.Code == projections.GrantOfAllowance {
			units, left = units.Plus(left), events.Sum{}
		}
		r.Left = append(r.Left, events.GrantUnits{Grant: grant, Units: left})
	}
	var from events.Sum // what preserved overage takes from the new units
	if e.Terms.Preserve {
		r.Overage = e.Overage
		if from = e.Overage; from.Cmp(units) > 0 {
			from = units
		}
		r.Overage = r.Overage.Plus(from.Neg())
	}
	add(r)
	if !e.Terms.Issue.IsZero() {
		g := allowance(events.Derive[events.GrantNoun](c.ID, 0), id, &e.Terms, at)
		g.Amount, g.Used = units, from
		add(g)
	}
}

// consumption is units of a metered feature that a usage event takes.
type consumption struct {
	id    events.EntitlementID
	units events.Sum
	of    []int // the properties that take them, in order
}

// consumed finds the metered entitlements that usage takes units of, or what is overdue on one of them.
func (u *usageScratch) consumed(b *projections.Books, c Context, cmd *ReportUsage) (taken []consumption, overdue subject) {
	for i, r := range u.rates {
		if r.Feature.IsZero() {
			continue
		}
		id, on := entitled(b, cmd.Customer, r.Feature, c.Now)
		if !on.isZero() {
			return nil, on
		}
		if id.IsZero() {
			continue
		}
		e := b.Entitlements.Get(id)
		if e.Terms.Type != events.FeatureMetered || !e.ActiveAt(u.now) {
			continue
		}
		sum := events.SumOfWhole(u.unitsOf(cmd, i))
		for j := range taken {
			if taken[j].id == id {
				taken[j].units, sum = taken[j].units.Plus(sum), events.Sum{}
				taken[j].of = append(taken[j].of, i)
			}
		}
		if !sum.IsZero() {
			taken = append(taken, consumption{id, sum, []int{i}})
		}
	}
	return taken, overdue
}

// burnAll takes what usage consumes out of grants, and finds the units that are not charged for that: of each entitlement, what its grants have
// goes to its properties in their order, whole units only, and is not charged where the price says so. Neither is, there, what goes beyond a
// hard limit: it gave no access to more.
func (u *usageScratch) burnAll(b *projections.Books, c Context, cmd *ReportUsage, taken []consumption) (burned []events.EntitlementUsed) {
	u.granted = u.granted[:0]
	for _, t := range taken {
		used := burn(b, c, t, u.now)
		burned = append(burned, used)
		left := used.Units.Plus(used.Overage.Neg()).Whole()
		if !b.Entitlements.Get(t.id).Terms.Soft {
			left = used.Units.Whole()
		}
		for _, i := range t.of {
			n := min(u.unitsOf(cmd, i), left)
			if left -= n; n > 0 && u.rates[i].Discounted {
				u.granted = append(u.granted, granted{i, n})
			}
		}
	}
	return burned
}

// granted is units of a property that are not charged.
type granted struct {
	property int
	units    int64
}

// unitsOf returns how many units a property of usage is of.
func (u *usageScratch) unitsOf(cmd *ReportUsage, i int) int64 {
	if u.rates[i].Aggregation == events.AggregateCount {
		return 1
	}
	return cmd.Properties[i].Quantity
}

// burn takes units from an entitlement's grants: from each what it has, in their order. What none has is overage.
func burn(b *projections.Books, c Context, t consumption, at events.Time) events.EntitlementUsed {
	e := events.EntitlementUsed{Entitlement: t.id, Usage: events.Derive[events.UsageNoun](c.ID, 0), Units: t.units, Overage: t.units}
	for _, g := range b.LiveGrants(b.Entitlements.Get(t.id), at) {
		if e.Overage.IsZero() {
			break
		}
		units := g.Left
		if units.Cmp(e.Overage) > 0 {
			units = e.Overage
		}
		if units.Sign() > 0 {
			e.Burned = append(e.Burned, events.GrantUnits{Grant: g.ID, Units: units})
			e.Overage = e.Overage.Plus(units.Neg())
		}
	}
	return e
}
