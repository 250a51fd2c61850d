package projtest

import (
	"time"

	"tallystick/events"
)

// authorizations lets somebody sign up, take over what the merchant's managed consumer c has, and think again.
func (g *generator) authorizations(c *customer) {
	m := c.merchant
	g.command(m.id, events.ActorKey)
	id := events.Derive[events.AuthorizationNoun](g.env.Command, 0)
	full, email := events.Derive[events.OrganizationNoun](g.env.Command, 1), g.digest()
	g.emit(0, events.AuthorizationOpened{
		Authorization: id, Consumer: full, Email: email, Address: g.seal(full), ExpiresAt: g.env.RecordedAt.Add(time.Hour),
		Minimum: events.Nanos(id[15]&1) * 5e9,
	})
	if g.rng.IntN(3) == 0 {
		return // nobody does
	}
	g.command(events.OrganizationID{}, events.ActorOperator)
	user := events.Derive[events.UserNoun](g.env.Command, 2)
	profile := g.emit(0, events.ConsumerCreated{Consumer: full, Type: events.Full, Email: email, Profile: g.seal(full)}).Seq
	g.emit(0, events.WalletOpened{Wallet: events.Derive[events.WalletNoun](g.env.Command, 3), Owner: full, Currency: usd})
	g.emit(0, events.UserCreated{
		User: user, Organization: full, Email: email, Profile: g.seal(full), State: events.UserActive, Role: events.OwnerRole,
	})
	g.env.Merchant = m.id
	customer := c.id
	if !c.claimed && !c.erased {
		c.claimed = true
		g.emit(0, events.ConsumerClaimed{Consumer: full, Managed: c.consumer})
		c.consumer, c.profile = full, profile
	} else {
		customer = events.Derive[events.CustomerNoun](g.env.Command, 4)
		g.emit(0, events.CustomerCreated{Customer: customer, Consumer: full})
	}
	g.emit(0, events.MerchantAuthorized{Consumer: full})
	g.emit(0, events.AuthorizationEnded{Authorization: id, Status: events.AuthorizationCompleted, Customer: customer})
	if g.rng.IntN(2) == 0 {
		g.command(events.OrganizationID{}, events.ActorOperator)
		g.emit(0, events.UserSignedIn{User: user, Link: g.env.RecordedAt.Add(time.Minute)})
		g.command(events.OrganizationID{}, events.ActorUser)
		g.emit(0, events.UserSignedOut{User: user})
		for i, key := range [][]byte{{1}, {2}} {
			g.emit(0, events.PasskeyAdded{User: user, Credential: key, Key: key, Counter: uint32(i), Synced: i == 0, Challenge: g.env.RecordedAt.Add(time.Duration(1+i) * time.Minute)})
			g.emit(0, events.PasskeyUsed{User: user, Credential: key, Counter: 2 * uint32(i), Challenge: g.env.RecordedAt.Add(time.Minute)})
		}
		g.emit(0, events.PasskeyRemoved{User: user, Credential: []byte{1}})
		g.command(m.id, events.ActorUser)
		g.emit(0, events.AuthorizationWithdrawn{Consumer: full})
		g.command(events.OrganizationID{}, events.ActorUser)
		g.emit(0, events.UserUpdated{User: user, State: events.UserSuspended, Role: events.ViewerRole})
	}
	g.command(m.id, events.ActorKey)
	portal := events.Derive[events.PortalNoun](g.env.Command, 0)
	g.emit(0, events.PortalOpened{Portal: portal, Subscription: c.sub, ExpiresAt: g.env.RecordedAt.Add(time.Hour)})
	g.command(m.id, events.ActorKey)
	g.emit(0, events.PortalRevoked{Portal: portal})
}

// awaited lets a customer's new subscription wait until its consumer authorizes the merchant.
func (g *generator) awaited(c *customer, upfront []events.QuotedFee) {
	id := events.Derive[events.AuthorizationNoun](g.env.Command, 0)
	g.emit(epoch, events.AuthorizationOpened{
		Authorization: id, Consumer: c.consumer, Email: g.digest(), ExpiresAt: epoch.Add(time.Hour), Subscription: c.sub, Clock: c.merchant.clock,
	})
	g.emit(epoch, events.AuthorizationEnded{Authorization: id, Status: events.AuthorizationCompleted, Customer: c.id})
	g.emit(epoch, events.SubscriptionAuthorized{Subscription: c.sub, Customer: c.id, Wallet: c.wallet, Upfront: upfront})
}
