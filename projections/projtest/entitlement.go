package projtest

import (
	"time"

	"tallystick/events"
)

// entitle gives a customer of m features: one that goes, and a metered one with grants, usage, a reset and an end.
func (g *generator) entitle(m *merchant) {
	if len(m.customers) == 0 {
		return
	}
	c := m.customers[0]
	g.command(m.id, events.ActorKey)
	feature := func(n uint32, key string, t events.FeatureType) events.FeatureID {
		id := events.Derive[events.FeatureNoun](g.env.Command, n)
		g.emit(0, events.FeatureCreated{Feature: id, Product: m.product, Key: key, Name: key, Type: t, Metadata: map[string]string{"tier": "gold"}})
		return id
	}
	gone, calls := feature(0, "sso", events.FeatureBoolean), feature(1, "calls", events.FeatureMetered)
	g.emit(0, events.FeatureUpdated{Feature: gone, Key: "single-sign-on", Name: "SSO", Type: events.FeatureStatic})
	g.emit(0, events.FeatureDeleted{Feature: gone})
	units := func(n int) events.Sum { return events.SumOfWhole(int64(n)) }
	const interval = 30 * 24 * time.Hour
	month := epoch.Add(interval)
	issue := func(n uint32) events.EntitlementID {
		id := events.Derive[events.EntitlementNoun](g.env.Command, n)
		g.emit(epoch, events.EntitlementIssued{
			Entitlement: id, Customer: c.id, Feature: calls, Product: m.product, Subscription: c.sub, Clock: m.clock, ActiveFrom: epoch,
			PeriodEnd: month, Metadata: g.seal(c.consumer),
			Terms: events.FeatureTerms{Type: events.FeatureMetered, Interval: "P30D", Anchor: epoch, Issue: units(100), MaxRollover: units(10)},
		})
		return id
	}
	first := issue(2)
	g.emit(epoch, events.EntitlementEnded{Entitlement: first, Status: "canceled"})
	id := issue(3)
	grant := func(n uint32, e events.GrantIssued) events.GrantID {
		e.Grant, e.Entitlement, e.EffectiveAt = events.Derive[events.GrantNoun](g.env.Command, n), id, epoch
		g.emit(epoch, e)
		return e.Grant
	}
	allowance := grant(4, events.GrantIssued{Amount: units(100), MaxRollover: units(10), Code: "ALLOWANCE"})
	extra := grant(5, events.GrantIssued{Amount: units(50), MaxRollover: units(1000), Priority: 7, ExpiresAt: month.Add(24 * time.Hour)})
	void := grant(6, events.GrantIssued{Amount: units(9), Recurrence: "P7D", Priority: -1})
	g.emit(epoch.Add(7*24*time.Hour), events.GrantRenewed{Grant: void, Entitlement: id, At: epoch.Add(7 * 24 * time.Hour)})
	g.emit(epoch.Add(7*24*time.Hour), events.GrantVoided{Grant: void, Entitlement: id})
	g.emit(epoch.Add(8*24*time.Hour), events.EntitlementUsed{
		Entitlement: id, Usage: events.Derive[events.UsageNoun](g.env.Command, 0), Units: units(130),
		Burned: []events.GrantUnits{{Grant: allowance, Units: units(100)}, {Grant: extra, Units: units(30)}},
	})
	g.emit(month, events.EntitlementReset{
		Entitlement: id, PeriodStart: month, PeriodEnd: month.Add(interval),
		Left: []events.GrantUnits{{Grant: allowance}, {Grant: extra, Units: units(20)}},
	})
	g.order(c, id)
}

// order has somebody asked to pay for units, who does not.
func (g *generator) order(c *customer, id events.EntitlementID) {
	g.command(c.merchant.id, events.ActorKey)
	grant, session := events.Derive[events.GrantNoun](g.env.Command, 0), events.Derive[events.SessionNoun](g.env.Command, 3)
	const price = 5 * events.NanosPerUnit
	g.emit(epoch, events.GrantOrdered{
		Grant: grant, Entitlement: id, Subscription: c.sub, Period: c.open[0].n, Invoice: c.open[0].invoice, Session: session, Amount: events.SumOfWhole(500),
		ExpiresAt: epoch.Add(24 * time.Hour), MaxRollover: events.SumOfWhole(500), Price: price, Nanos: price, Currency: usd,
	})
	g.emit(epoch, events.SessionOpened{
		Session: session, Mode: events.PayMode, ExpiresAt: epoch.Add(time.Hour), Amount: price, Upfront: price, Currency: usd, Customer: c.id, Consumer: c.consumer,
		Subscription: c.sub, Wallet: c.wallet, Grant: grant, Clock: c.merchant.clock,
	})
	g.command(c.merchant.id, events.ActorDue)
	g.emit(epoch.Add(time.Hour), events.SessionEnded{Session: session, Status: events.SessionExpired})
}
