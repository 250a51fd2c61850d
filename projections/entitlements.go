package projections

import (
	"cmp"
	"math"
	"slices"

	"tallystick/events"
)

// Feature is something that a product can do for those who are entitled to it.
type Feature struct {
	Merchant     events.OrganizationID `cbor:"1,keyasint"`
	Product      events.ProductID      `cbor:"2,keyasint"`
	Key          string                `cbor:"3,keyasint"`
	Name         string                `cbor:"4,keyasint"`
	Type         events.FeatureType    `cbor:"5,keyasint"`
	Metadata     map[string]string     `cbor:"6,keyasint,omitempty"`
	At           events.Time           `cbor:"7,keyasint"`
	UpdatedAt    events.Time           `cbor:"8,keyasint"`
	Prices       uint32                `cbor:"9,keyasint,omitzero"`  // how many have it
	Entitlements uint32                `cbor:"10,keyasint,omitzero"` // how many are active
}

// EntitlementStatus is the state of an entitlement on the wire.
type EntitlementStatus string

// The states of an entitlement.
const (
	EntitlementActive   EntitlementStatus = "active"
	EntitlementCanceled EntitlementStatus = "canceled" // with its subscription
	EntitlementExpired  EntitlementStatus = "expired"
)

// Entitlement is the right of a customer to use a feature.
type Entitlement struct {
	Merchant     events.OrganizationID `cbor:"1,keyasint"`
	Customer     events.CustomerID     `cbor:"2,keyasint"`
	Feature      events.FeatureID      `cbor:"3,keyasint"`
	Product      events.ProductID      `cbor:"4,keyasint"`
	Subscription events.SubscriptionID `cbor:"5,keyasint,omitzero"`
	Clock        events.TestClockID    `cbor:"6,keyasint,omitzero"`
	ActiveFrom   events.Time           `cbor:"7,keyasint"`
	ActiveTo     events.Time           `cbor:"8,keyasint,omitzero"` // exclusive
	Terms        events.FeatureTerms   `cbor:"9,keyasint"`
	Metadata     events.Sealed         `cbor:"10,keyasint,omitzero"`
	Status       EntitlementStatus     `cbor:"11,keyasint"`
	PeriodStart  events.Time           `cbor:"12,keyasint,omitzero"` // of the interval under way
	PeriodEnd    events.Time           `cbor:"13,keyasint,omitzero"`
	Used         events.Sum            `cbor:"14,keyasint,omitzero"`  // in this interval
	Overage      events.Sum            `cbor:"15,keyasint,omitzero"`  // in this interval, and what was preserved
	Grants       []events.GrantID      `cbor:"16,keyasint,omitempty"` // that may have units now or later, in the order in which they were issued
	Created      events.Seq            `cbor:"17,keyasint"`           // orders due actions of the same time
	CreatedAt    events.Time           `cbor:"18,keyasint"`
	UpdatedAt    events.Time           `cbor:"19,keyasint"`
	Parked       string                `cbor:"20,keyasint,omitempty"` // why its due actions have stopped, if they have
	Orders       []events.GrantID      `cbor:"21,keyasint,omitempty"` // that are asked to be paid
}

// ActiveAt reports whether e gives anything at a time.
func (e *Entitlement) ActiveAt(t events.Time) bool {
	return e.Status == EntitlementActive && t >= e.ActiveFrom && (e.ActiveTo == 0 || t < e.ActiveTo)
}

// Entitled is the entitlements of a customer that are active, or will be.
type Entitled struct {
	Entitlements []events.EntitlementID `cbor:"1,keyasint"`
}

// Grant is units of a metered feature.
type Grant struct {
	Entitlement events.EntitlementID `cbor:"1,keyasint"`
	Amount      events.Sum           `cbor:"2,keyasint"`
	Left        events.Sum           `cbor:"3,keyasint"`
	EffectiveAt events.Time          `cbor:"4,keyasint"`
	ExpiresAt   events.Time          `cbor:"5,keyasint,omitzero"` // exclusive
	VoidedAt    events.Time          `cbor:"6,keyasint,omitzero"`
	Recurrence  events.Interval      `cbor:"7,keyasint,omitempty"`
	RenewsAt    events.Time          `cbor:"8,keyasint,omitzero"` // when it has its amount again, if it recurs
	Priority    int64                `cbor:"9,keyasint,omitzero"`
	MaxRollover events.Sum           `cbor:"10,keyasint,omitzero"`
	MinRollover events.Sum           `cbor:"11,keyasint,omitzero"`
	Code        string               `cbor:"12,keyasint,omitempty"`
	Key         string               `cbor:"13,keyasint,omitempty"` // the idempotency key that it was issued under
	Created     events.Seq           `cbor:"14,keyasint"`
	CreatedAt   events.Time          `cbor:"15,keyasint"`
}

// Purchase is units that a payment session asks the price of. Its state is that of the session.
type Purchase struct {
	Merchant events.OrganizationID `cbor:"1,keyasint"`
	Ordered  events.GrantOrdered   `cbor:"2,keyasint"`
	Key      string                `cbor:"3,keyasint,omitempty"` // idempotency key
	Invoice  events.InvoiceID      `cbor:"4,keyasint,omitzero"`  // that has it, once it is paid
	At       events.Time           `cbor:"5,keyasint"`
}

// GrantOfAllowance is why a grant is issued that an entitlement's terms promise.
const GrantOfAllowance = "ALLOWANCE"

// LiveAt reports whether g can be used at a time.
func (g *Grant) LiveAt(t events.Time) bool {
	return g.VoidedAt == 0 && t >= g.EffectiveAt && (g.ExpiresAt == 0 || t < g.ExpiresAt)
}

// over reports whether g will never have units from t on.
func (g *Grant) over(t events.Time) bool {
	return g.VoidedAt != 0 || g.ExpiresAt != 0 && t >= g.ExpiresAt
}

// Holding is a grant with its identity.
type Holding struct {
	ID events.GrantID
	*Grant
}

// LiveGrants returns the grants of an entitlement that can be used at a time, in the order in which they are used: the lowest
// priority, then the soonest end, then the first that was issued.
func (b *Books) LiveGrants(e *Entitlement, t events.Time) (live []Holding) {
	for _, id := range e.Grants {
		if g := b.Grants.Get(id); g.LiveAt(t) {
			live = append(live, Holding{id, g})
		}
	}
	end := func(g *Grant) events.Time {
		if g.ExpiresAt == 0 {
			return math.MaxInt64
		}
		return g.ExpiresAt
	}
	slices.SortStableFunc(live, func(x, y Holding) int {
		return cmp.Or(cmp.Compare(x.Priority, y.Priority), cmp.Compare(end(x.Grant), end(y.Grant)), cmp.Compare(x.Created, y.Created))
	})
	return live
}

// UnitsAt returns how many units an entitlement has at a time.
func (b *Books) UnitsAt(e *Entitlement, t events.Time) (sum events.Sum) {
	for _, id := range e.Grants {
		if g := b.Grants.Get(id); g.LiveAt(t) {
			sum = sum.Plus(g.Left)
		}
	}
	return sum
}

func (b *Books) featureCreated(rec *events.Record, e events.FeatureCreated) {
	*b.Features.insert(e.Feature) = Feature{
		Merchant: rec.Merchant, Product: e.Product, Key: e.Key, Name: e.Name, Type: e.Type, Metadata: e.Metadata, At: rec.At, UpdatedAt: rec.At,
	}
	*b.FeatureKeys.insert(FeatureKey{e.Product, e.Key}) = e.Feature
	b.link(LinkFeaturesOfProduct, e.Product, e.Feature, rec.Seq)
}

func (b *Books) featureUpdated(rec *events.Record, e events.FeatureUpdated) {
	f := b.Features.edit(e.Feature)
	if f.Key != e.Key {
		b.FeatureKeys.remove(FeatureKey{f.Product, f.Key})
		*b.FeatureKeys.insert(FeatureKey{f.Product, e.Key}) = e.Feature
	}
	f.Key, f.Name, f.Type, f.Metadata, f.UpdatedAt = e.Key, e.Name, e.Type, e.Metadata, rec.At
}

func (b *Books) featureDeleted(rec *events.Record, e events.FeatureDeleted) {
	f := b.Features.edit(e.Feature)
	assert(f.Prices == 0 && f.Entitlements == 0, rec, "a feature deleted that somebody has")
	b.FeatureKeys.remove(FeatureKey{f.Product, f.Key})
	b.unlink(LinkFeaturesOfProduct, f.Product, e.Feature)
	b.Features.remove(e.Feature)
}

func (b *Books) entitlementIssued(rec *events.Record, e events.EntitlementIssued) {
	*b.Entitlements.insert(e.Entitlement) = Entitlement{
		Merchant: rec.Merchant, Customer: e.Customer, Feature: e.Feature, Product: e.Product, Subscription: e.Subscription,
		Clock: e.Clock, ActiveFrom: e.ActiveFrom, ActiveTo: e.ActiveTo, Terms: e.Terms, Metadata: e.Metadata, Status: EntitlementActive,
		PeriodStart: e.ActiveFrom, PeriodEnd: e.PeriodEnd, Created: rec.Seq, CreatedAt: rec.At, UpdatedAt: rec.At,
	}
	b.Features.edit(e.Feature).Entitlements++
	list := b.Entitled.edit(e.Customer)
	list.Entitlements = append(list.Entitlements, e.Entitlement)
	b.link(LinkEntitlementsOfCustomer, e.Customer, e.Entitlement, rec.Seq)
}

func (b *Books) entitlementEnded(rec *events.Record, e events.EntitlementEnded) {
	row := b.Entitlements.edit(e.Entitlement)
	assert(row.Status == EntitlementActive, rec, "an entitlement ended twice")
	for _, id := range row.Grants {
		if g := b.Grants.edit(id); g.VoidedAt == 0 {
			g.VoidedAt = rec.At
		}
	}
	row.Status, row.Grants, row.UpdatedAt = EntitlementStatus(e.Status), nil, rec.At
	b.Features.edit(row.Feature).Entitlements--
	list := b.Entitled.edit(row.Customer)
	list.Entitlements = slices.DeleteFunc(list.Entitlements, func(id events.EntitlementID) bool { return id == e.Entitlement })
	if len(list.Entitlements) == 0 {
		b.Entitled.remove(row.Customer)
	}
}

func (b *Books) entitlementReset(rec *events.Record, e events.EntitlementReset) {
	row := b.Entitlements.edit(e.Entitlement)
	row.PeriodStart, row.PeriodEnd, row.Used, row.Overage, row.UpdatedAt = e.PeriodStart, e.PeriodEnd, events.Sum{}, e.Overage, rec.At
	for _, l := range e.Left {
		b.Grants.edit(l.Grant).Left = l.Units
	}
	row.Grants = slices.DeleteFunc(row.Grants, func(id events.GrantID) bool {
		g := b.Grants.Get(id)
		return g.over(e.PeriodStart) || g.Code == GrantOfAllowance && g.Left.IsZero() // the next one has what it kept
	})
}

func (b *Books) entitlementUsed(rec *events.Record, e events.EntitlementUsed) {
	row := b.Entitlements.edit(e.Entitlement)
	row.Used, row.Overage, row.UpdatedAt = row.Used.Plus(e.Units), row.Overage.Plus(e.Overage), rec.At
	for _, burned := range e.Burned {
		g := b.Grants.edit(burned.Grant)
		g.Left = g.Left.Plus(burned.Units.Neg())
		assert(g.Left.Sign() >= 0, rec, "more units used than a grant had")
	}
}

func (b *Books) grantIssued(rec *events.Record, e events.GrantIssued) {
	row := b.Entitlements.edit(e.Entitlement)
	g := Grant{
		Entitlement: e.Entitlement, Amount: e.Amount, Left: e.Amount.Plus(e.Used.Neg()), EffectiveAt: e.EffectiveAt, ExpiresAt: e.ExpiresAt,
		Recurrence: e.Recurrence, Priority: e.Priority, MaxRollover: e.MaxRollover, MinRollover: e.MinRollover, Code: e.Code,
		Key: rec.Key, Created: rec.Seq, CreatedAt: rec.At,
	}
	if p := b.Purchases.Get(e.Grant); p != nil {
		g.Key = p.Key
	}
	if e.Recurrence != "" {
		g.RenewsAt, _ = e.Recurrence.After(e.EffectiveAt, 1)
	}
	*b.Grants.insert(e.Grant) = g
	row.Grants = append(row.Grants, e.Grant)
	b.link(LinkGrantsOfEntitlement, e.Entitlement, e.Grant, rec.Seq)
}

func (b *Books) grantOrdered(rec *events.Record, e events.GrantOrdered) {
	*b.Purchases.insert(e.Grant) = Purchase{Merchant: rec.Merchant, Ordered: e, Key: rec.Key, At: rec.At}
	row := b.Entitlements.edit(e.Entitlement)
	row.Orders = append(row.Orders, e.Grant)
}

// orderClosed forgets that units are asked to be paid, whether they were or not.
func (b *Books) orderClosed(id events.GrantID) {
	if p := b.Purchases.Get(id); p != nil {
		row := b.Entitlements.edit(p.Ordered.Entitlement)
		row.Orders = slices.DeleteFunc(row.Orders, func(g events.GrantID) bool { return g == id })
	}
}

func (b *Books) grantRenewed(_ *events.Record, e events.GrantRenewed) {
	g := b.Grants.edit(e.Grant)
	g.Left = g.Amount
	g.RenewsAt, _ = g.Recurrence.Next(g.EffectiveAt, e.At)
}

func (b *Books) grantVoided(rec *events.Record, e events.GrantVoided) {
	b.Grants.edit(e.Grant).VoidedAt = rec.At
	row := b.Entitlements.edit(e.Entitlement)
	row.Grants = slices.DeleteFunc(row.Grants, func(id events.GrantID) bool { return id == e.Grant })
}
