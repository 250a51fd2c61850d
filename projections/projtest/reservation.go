package projtest

import (
	"time"

	"tallystick/events"
)

// reservation is money that is set aside.
type reservation struct {
	id   events.ReservationID
	left events.Sum
	uses int // that are left
}

// reserve sets money of a customer aside.
func (g *generator) reserve(c *customer, now events.Time) {
	g.command(c.merchant.id, events.ActorKey)
	c.reserved = &reservation{id: events.Derive[events.ReservationNoun](g.env.Command, 0), uses: 1 + g.rng.IntN(4)}
	e := events.ReservationCreated{
		Reservation: c.reserved.id, Customer: c.id, Subscription: c.sub, Wallet: c.wallet, Currency: usd,
		MaxUses: uint32(c.reserved.uses), ExpiresAt: now.Add(24 * time.Hour),
	}
	var sum events.Nanos
	for i, p := range c.merchant.prices {
		m := events.ReservedMetric{Metric: c.merchant.metrics[i], Quantity: int64(g.rng.IntN(3000)), Price: p.id, Revision: 1}
		m.Nanos = p.unit * events.Nanos(m.Quantity)
		sum += m.Nanos
		e.Metrics = append(e.Metrics, m)
	}
	c.reserved.left = events.SumOf(sum)
	c.balance = c.balance.Add(-sum)
	e.Balance = c.balance
	e.Postings = both(events.ConsumerMain, events.ReservationHold, sum)
	g.emit(now, e)
}

// release gives back what is left of a customer's reservation.
func (g *generator) release(c *customer, at events.Time, code string) {
	back, _ := c.reserved.left.Nanos()
	c.balance = c.balance.Add(back)
	g.emit(at, events.ReservationReleased{
		Reservation: c.reserved.id, Subscription: c.sub, Wallet: c.wallet, Currency: usd, Balance: c.balance, Code: code,
		Postings: both(events.ReservationHold, events.ConsumerMain, back),
	})
	c.reserved = nil
}

// both returns the postings of an amount from one account to another, none of nothing.
func both(from, to events.Role, n events.Nanos) []events.Posting {
	if n == 0 {
		return nil
	}
	return []events.Posting{{Role: from, Nanos: -n}, {Role: to, Nanos: n}}
}
