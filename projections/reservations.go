package projections

import (
	"slices"

	"tallystick/events"
)

// ReservationStatus is the state of a reservation.
type ReservationStatus string

// The states of a reservation.
const (
	ReservationActive     ReservationStatus = "active"
	ReservationConsumed   ReservationStatus = "consumed"   // used as often as it may be, or to the last nano
	ReservationExpired    ReservationStatus = "expired"    // its time is over
	ReservationTerminated ReservationStatus = "terminated" // with its subscription
)

// Why a reservation is released.
const (
	ReleasedUsed       = "USED"
	ReleasedExpired    = "EXPIRED"
	ReleasedTerminated = "TERMINATED"
)

// Reservation is money of a wallet that is set aside for usage to come.
type Reservation struct {
	Merchant     events.OrganizationID   `cbor:"1,keyasint"`
	Customer     events.CustomerID       `cbor:"2,keyasint"`
	Subscription events.SubscriptionID   `cbor:"3,keyasint"`
	Wallet       events.WalletID         `cbor:"4,keyasint"`
	Currency     events.Currency         `cbor:"5,keyasint"`
	Metrics      []events.ReservedMetric `cbor:"6,keyasint"`
	MaxUses      uint32                  `cbor:"7,keyasint"`
	Used         uint32                  `cbor:"8,keyasint,omitempty"` // usage events that it has paid
	Held         events.Sum              `cbor:"9,keyasint"`           // what is left of it
	ExpiresAt    events.Time             `cbor:"10,keyasint"`
	Status       ReservationStatus       `cbor:"11,keyasint"`
	Created      events.Seq              `cbor:"12,keyasint"` // orders due actions of the same time
	CreatedAt    events.Time             `cbor:"13,keyasint"`
	UpdatedAt    events.Time             `cbor:"14,keyasint"`
	Parked       string                  `cbor:"15,keyasint,omitempty"` // why it does not expire by itself, if it does not
}

// Covers reports whether r was made for a metric.
func (r *Reservation) Covers(m events.MetricID) bool {
	return slices.ContainsFunc(r.Metrics, func(x events.ReservedMetric) bool { return x.Metric == m })
}

// Held is the active reservations of a subscription.
type Held struct {
	Reservations []events.ReservationID `cbor:"1,keyasint"`
}

// held returns what a movement adds to the money that is set aside.
func held(m events.Movement) (sum events.Sum) {
	for i := range m.Postings {
		if m.Postings[i].Role == events.ReservationHold {
			sum = sum.Add(m.Postings[i].Nanos)
		}
	}
	return sum
}

// applyEntitlement is apply for what is about reservations and entitlements.
func (b *Books) applyEntitlement(rec *events.Record) {
	switch e := rec.Event.(type) {
	case events.ReservationCreated:
		b.reservationCreated(rec, e)
	case events.ReservationReleased:
		b.reservationReleased(rec, e)
	case events.FeatureCreated:
		b.featureCreated(rec, e)
	case events.FeatureUpdated:
		b.featureUpdated(rec, e)
	case events.FeatureDeleted:
		b.featureDeleted(rec, e)
	case events.EntitlementIssued:
		b.entitlementIssued(rec, e)
	case events.EntitlementEnded:
		b.entitlementEnded(rec, e)
	case events.EntitlementReset:
		b.entitlementReset(rec, e)
	case events.EntitlementUsed:
		b.entitlementUsed(rec, e)
	case events.GrantIssued:
		b.grantIssued(rec, e)
	case events.GrantOrdered:
		b.grantOrdered(rec, e)
	case events.GrantRenewed:
		b.grantRenewed(rec, e)
	case events.GrantVoided:
		b.grantVoided(rec, e)
	default:
		assert(false, rec, "an event that no fold knows")
	}
}

func (b *Books) reservationCreated(rec *events.Record, e events.ReservationCreated) {
	*b.Reservations.insert(e.Reservation) = Reservation{
		Merchant: rec.Merchant, Customer: e.Customer, Subscription: e.Subscription, Wallet: e.Wallet, Currency: e.Currency,
		Metrics: e.Metrics, MaxUses: e.MaxUses, Held: held(e.Money()), ExpiresAt: e.ExpiresAt, Status: ReservationActive,
		Created: rec.Seq, CreatedAt: rec.At, UpdatedAt: rec.At,
	}
	h := b.Held.edit(e.Subscription)
	h.Reservations = append(h.Reservations, e.Reservation)
	b.link(LinkReservations, rec.Merchant, e.Reservation, rec.Seq)
	b.link(LinkReservationsOfCustomer, e.Customer, e.Reservation, rec.Seq)
}

// pay notes that a reservation has paid a usage event.
func (r *Reservation) pay(rec *events.Record, e *events.UsageReported) {
	assert(r.Status == ReservationActive && r.Used < r.MaxUses && r.Subscription == e.Subscription, rec, "usage paid by a reservation that does not pay it")
	r.Used++
	r.Held = r.Held.Plus(held(e.Money()))
	r.UpdatedAt = rec.At
	assert(r.Held.Sign() >= 0, rec, "a reservation that has paid more than it held")
}

// getBack takes back what a reservation had paid for a usage event. A use that was made of it stays used.
func (r *Reservation) getBack(rec *events.Record, e events.UsageRefunded) {
	assert(r.Status == ReservationActive && r.Subscription == e.Subscription, rec, "usage given back to a reservation that is over")
	r.Held = r.Held.Plus(held(e.Money()))
	r.UpdatedAt = rec.At
}

func (b *Books) reservationReleased(rec *events.Record, e events.ReservationReleased) {
	r := b.Reservations.edit(e.Reservation)
	assert(r.Status == ReservationActive, rec, "a reservation released twice")
	r.Held = r.Held.Plus(held(e.Money()))
	assert(r.Held.IsZero(), rec, "a reservation released that still holds money")
	r.Status = map[string]ReservationStatus{
		ReleasedUsed: ReservationConsumed, ReleasedExpired: ReservationExpired, ReleasedTerminated: ReservationTerminated,
	}[e.Code]
	r.UpdatedAt = rec.At
	h := b.Held.edit(r.Subscription)
	h.Reservations = slices.DeleteFunc(h.Reservations, func(id events.ReservationID) bool { return id == e.Reservation })
	if len(h.Reservations) == 0 {
		b.Held.remove(r.Subscription)
	}
}
