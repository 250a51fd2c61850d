package commands

import (
	"fmt"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// CreateEntitlement sets money of a customer's wallet aside for usage to come, which names the reservation and is paid from
// it. What is set aside is what the quantities cost at the prices of the moment (A15).
type CreateEntitlement struct {
	Customer  events.CustomerID
	Data      []UsageProperty // each metric at most once; a quantity of 0 reserves nothing, and lets the metric be paid too
	MaxUses   int64           // usage events that it may pay; 0 means 1
	ExpiresAt events.Time     // zero means reservationLife from now
}

const (
	reservationLife = 24 * time.Hour // A14
	maxUses         = 1000
	maxReservations = 1000 // active ones of a subscription
)

func createEntitlement(b *projections.Books, c Context, cmd CreateEntitlement, d *decision) *Rejection {
	if r := reservationWellFormed(cmd); r != nil {
		return r
	}
	u := &d.usage
	usage := &ReportUsage{Customer: cmd.Customer, Properties: cmd.Data}
	if r := u.find(b, c, usage); r != nil {
		return r
	}
	s := u.rows.sub
	if r := clockUsable(b, c, s.Clock); r != nil {
		return r
	}
	u.now = b.ClockNow(s.Clock, c.Now)
	if overdue(s, u.now) {
		d.overdue = onSubscription(u.rows.subID)
		return nil
	}
	usage.HappenedAt = u.now
	if r := u.place(b, usage); r != nil {
		return r
	}
	expires := cmd.ExpiresAt
	if expires.IsZero() {
		expires = u.now.Add(reservationLife)
	}
	if expires <= u.now {
		return wrong("expiresAt", "is %s; it must be later than now, which is %s", expires, u.now)
	}
	if h := b.Held.Get(u.rows.subID); h != nil && len(h.Reservations) >= maxReservations {
		return Reject(Conflict, "subscription %s has %d active reservations; no more are allowed", u.rows.subID, maxReservations)
	}
	metrics, total, r := u.reserve(cmd)
	if r != nil {
		return r
	}
	balance := u.rows.balance(b)
	if balance.Cmp(events.SumOf(total)) < 0 {
		return Reject(InsufficientFunds, "the wallet holds %s %s, and this reserves %s", balance, s.Currency, total)
	}
	e := events.ReservationCreated{
		Reservation: events.Derive[events.ReservationNoun](c.ID, 0), Customer: cmd.Customer, Subscription: u.rows.subID,
		Wallet: s.Wallet, Currency: s.Currency, Metrics: metrics, MaxUses: uint32(max(cmd.MaxUses, 1)), ExpiresAt: expires,
		Balance: balance.Add(total.Neg()),
	}
	if total != 0 {
		e.Postings = []events.Posting{
			{Role: events.ConsumerMain, Nanos: total.Neg()},
			{Role: events.ReservationHold, Nanos: total},
		}
	}
	d.add(c, u.now, e)
	return nil
}

func reservationWellFormed(cmd CreateEntitlement) *Rejection {
	if len(cmd.Data) == 0 || len(cmd.Data) > events.MaxUsageLines {
		return wrong("entitlementData", "has %d entries; 1 to %d are allowed", len(cmd.Data), events.MaxUsageLines)
	}
	for i, p := range cmd.Data {
		if p.Quantity < 0 {
			return wrong(fmt.Sprintf("entitlementData[%d].quantity", i), "is below zero")
		}
		for _, q := range cmd.Data[:i] {
			if q.Metric == p.Metric {
				return wrong(fmt.Sprintf("entitlementData[%d]", i), "names metric %s a second time", p.Metric)
			}
		}
	}
	if cmd.MaxUses < 0 || cmd.MaxUses > maxUses {
		return wrong("maxUses", "is %d; 1 to %d are allowed", cmd.MaxUses, maxUses)
	}
	return billable("expiresAt", cmd.ExpiresAt)
}

// reserve prices what is to be reserved, with tax, in the period that find and place have found.
func (u *usageScratch) reserve(cmd CreateEntitlement) (metrics []events.ReservedMetric, total events.Nanos, _ *Rejection) {
	for i, r := range u.rates {
		if r.Term != events.Instant {
			return nil, 0, wrong(fmt.Sprintf("entitlementData[%d].billableMetricId", i), "is metric %s, which is not paid as it is used: there is nothing to reserve", cmd.Data[i].Metric)
		}
		var l events.UsageLine
		p := cmd.Data[i]
		if r.Model == events.Dynamic && !p.Priced {
			p.Price, p.Priced = r.Max, true // the most that a unit may cost
		}
		if r := priceNamed("entitlementData", i, r, &p); r != nil {
			return nil, 0, r
		}
		fits := u.line(&l, u.rows.plan.CardAt(u.rows.sub.Agreed(u.period)), r, &p, p.Quantity)
		cost, fits3 := l.Nanos.Plus(l.Tax)
		sum, fits2 := total.Plus(cost)
		fits = fits && fits3
		if !fits || !fits2 {
			return nil, 0, Reject(AmountOutOfRange, "the cost of this reservation does not fit")
		}
		total = sum
		metrics = append(metrics, events.ReservedMetric{
			Metric: cmd.Data[i].Metric, Quantity: cmd.Data[i].Quantity, Price: r.Price, Revision: r.Revision, Nanos: cost,
		})
	}
	return metrics, total, nil
}

// payingReservation returns the reservation that is to pay a usage event, nil where it names none.
func (u *usageScratch) payingReservation(b *projections.Books, cmd *ReportUsage, d *decision) (*projections.Reservation, *Rejection) {
	if cmd.Reservation.IsZero() {
		return nil, nil
	}
	r := u.rows.reservation(b, cmd.Reservation)
	if r == nil || r.Customer != cmd.Customer || r.Subscription != u.rows.subID {
		return nil, Reject(NotFound, "customer %s has no entitlement %s for this", cmd.Customer, cmd.Reservation)
	}
	if r.Status == projections.ReservationActive && r.ExpiresAt <= u.now && r.Parked == "" {
		d.overdue = onReservation(cmd.Reservation)
		return nil, nil
	}
	if r.Status != projections.ReservationActive || r.ExpiresAt <= u.now {
		return nil, Reject(ReservationNotActive, "entitlement %s is %s", cmd.Reservation, r.Status)
	}
	for i, p := range cmd.Properties {
		if !r.Covers(p.Metric) {
			return nil, wrong(fmt.Sprintf("properties[%d]", i), "names metric %s, which entitlement %s is not for", p.Metric, cmd.Reservation)
		}
	}
	return r, nil
}

// paid releases a reservation that pays for nothing more once it has paid a usage event, whose cost it is given.
func paid(b *projections.Books, id events.ReservationID, r *projections.Reservation, cost events.Nanos, at events.Time, d *decision) {
	left := r.Held.Add(cost.Neg())
	if r.Used+1 < r.MaxUses && !left.IsZero() {
		return
	}
	balance := b.BalanceOf(projections.MainAccount(r.Wallet, r.Currency))
	release(id, r, left, balance, projections.ReleasedUsed, at, d)
}

// release gives back to the wallet what is left of a reservation, and returns what the wallet then holds.
func release(id events.ReservationID, r *projections.Reservation, left, balance events.Sum, code string, at events.Time, d *decision) events.Sum {
	back, _ := left.Nanos() // it was posted as nanos
	e := events.ReservationReleased{Reservation: id, Subscription: r.Subscription, Wallet: r.Wallet, Currency: r.Currency, Balance: balance.Add(back), Code: code}
	if back != 0 {
		e.Postings = []events.Posting{
			{Role: events.ReservationHold, Nanos: back.Neg()},
			{Role: events.ConsumerMain, Nanos: back},
		}
	}
	d.drafts = append(d.drafts, draft{event: e, at: at, merchant: r.Merchant, cause: r.Created})
	return e.Balance
}

// releaseAll releases the reservations of a subscription that ends, and returns what the wallet holds then.
func releaseAll(b *projections.Books, sub events.SubscriptionID, at events.Time, d *decision) events.Sum {
	s := b.Subscriptions.Get(sub)
	balance := b.BalanceOf(projections.MainAccount(s.Wallet, s.Currency))
	h := b.Held.Get(sub)
	if h == nil {
		return balance
	}
	for _, id := range h.Reservations {
		r := b.Reservations.Get(id)
		balance = release(id, r, r.Held, balance, projections.ReleasedTerminated, at, d)
	}
	return balance
}

// decideReservationDue lets a reservation expire.
func decideReservationDue(b *projections.Books, id events.ReservationID, d *decision) {
	r := b.Reservations.Get(id)
	balance := b.BalanceOf(projections.MainAccount(r.Wallet, r.Currency))
	release(id, r, r.Held, balance, projections.ReleasedExpired, r.ExpiresAt, d)
}
