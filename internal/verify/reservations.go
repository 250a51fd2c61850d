package verify

import (
	"fmt"

	"tallystick/events"
)

// reservationCreated compares what is set aside with what its metrics cost.
func (a *auditor) reservationCreated(e events.ReservationCreated) error {
	sub, ok := a.subs[e.Subscription]
	if !ok || sub.customer != e.Customer || sub.wallet != e.Wallet || sub.currency != e.Currency {
		return fmt.Errorf("customer, wallet or currency are not those of subscription %s", e.Subscription)
	}
	if a.reserved[e.Reservation] != nil {
		return fmt.Errorf("reservation %s exists already", e.Reservation)
	}
	var sum events.Sum
	for _, m := range e.Metrics {
		sum = sum.Add(m.Nanos).Add(m.Tax)
	}
	a.reserved[e.Reservation] = &reservation{e.Subscription, sum, e.MaxUses}
	if err := posted(e.Postings, map[events.Role]events.Sum{events.ConsumerMain: sum.Neg(), events.ReservationHold: sum}); err != nil {
		return err
	}
	return a.move(e.Wallet, sum.Neg(), e.Balance)
}

// use takes what a usage event costs at once out of the reservation that it names.
func (a *auditor) use(e *events.UsageReported, cost events.Sum) error {
	r := a.reserved[e.Reservation]
	if r == nil || r.subscription != e.Subscription || r.uses == 0 {
		return fmt.Errorf("reservation %s cannot pay it", e.Reservation)
	}
	r.uses--
	if r.left = r.left.Plus(cost.Neg()); r.left.Sign() < 0 {
		return fmt.Errorf("reservation %s is left with less than nothing: %s", e.Reservation, r.left)
	}
	return nil
}

// reservationReleased compares what goes back to the wallet with what was left.
func (a *auditor) reservationReleased(e events.ReservationReleased) error {
	r := a.reserved[e.Reservation]
	if r == nil || r.subscription != e.Subscription || a.subs[e.Subscription].wallet != e.Wallet {
		return fmt.Errorf("reservation %s is not one of subscription %s, or is released already", e.Reservation, e.Subscription)
	}
	delete(a.reserved, e.Reservation)
	if err := posted(e.Postings, map[events.Role]events.Sum{events.ConsumerMain: r.left, events.ReservationHold: r.left.Neg()}); err != nil {
		return err
	}
	return a.move(e.Wallet, r.left, e.Balance)
}
