package events

import "fmt"

// decodeEntitlement is [Decode] for what is about reservations and entitlements.
func decodeEntitlement(kind Kind, b []byte) (Event, error) {
	switch kind {
	case KindReservationCreated:
		return unmarshal[ReservationCreated](b)
	case KindReservationReleased:
		return unmarshal[ReservationReleased](b)
	case KindFeatureCreated:
		return unmarshal[FeatureCreated](b)
	case KindFeatureUpdated:
		return unmarshal[FeatureUpdated](b)
	case KindFeatureDeleted:
		return unmarshal[FeatureDeleted](b)
	case KindEntitlementIssued:
		return unmarshal[EntitlementIssued](b)
	case KindEntitlementEnded:
		return unmarshal[EntitlementEnded](b)
	case KindEntitlementReset:
		return unmarshal[EntitlementReset](b)
	case KindEntitlementUsed:
		return unmarshal[EntitlementUsed](b)
	case KindGrantIssued:
		return unmarshal[GrantIssued](b)
	case KindGrantRenewed:
		return unmarshal[GrantRenewed](b)
	case KindGrantVoided:
		return unmarshal[GrantVoided](b)
	case KindGrantOrdered:
		return unmarshal[GrantOrdered](b)
	}
	return nil, fmt.Errorf("%w: unknown type of event %.60q", ErrEncoding, kind)
}

// ReservationCreated records that money of a consumer's wallet is set aside for usage to come.
type ReservationCreated struct {
	Reservation  ReservationID    `cbor:"1,keyasint" json:"entitlementId"`
	Customer     CustomerID       `cbor:"2,keyasint" json:"customerId"`
	Subscription SubscriptionID   `cbor:"3,keyasint" json:"subscriptionId"`
	Wallet       WalletID         `cbor:"4,keyasint" json:"walletId"`
	Currency     Currency         `cbor:"5,keyasint" json:"currency"`
	Metrics      []ReservedMetric `cbor:"6,keyasint" json:"entitlementData"` // at least one, each metric at most once
	MaxUses      uint32           `cbor:"7,keyasint" json:"maxUses"`         // usage events that it may pay; at least 1
	ExpiresAt    Time             `cbor:"8,keyasint" json:"expiresAt"`       // exclusive
	Postings     []Posting        `cbor:"9,keyasint" json:"postings"`
	Balance      Sum              `cbor:"10,keyasint" json:"balanceNanos"` // of the wallet's main account, after
}

// ReservedMetric is what is reserved for one metric, at the price of the moment.
type ReservedMetric struct {
	Metric   MetricID `cbor:"1,keyasint" json:"billableMetricId"`
	Quantity int64    `cbor:"2,keyasint" json:"quantity"` // at least 0
	Price    PriceID  `cbor:"3,keyasint" json:"priceId"`
	Revision uint32   `cbor:"4,keyasint" json:"revision"`
	Nanos    Nanos    `cbor:"5,keyasint" json:"amountNanos"` // before tax
	Tax      Nanos    `cbor:"6,keyasint,omitzero" json:"taxNanos,omitzero"`
}

// ReservationReleased records that a reservation pays for nothing more, and that what was left of it is back in the wallet.
type ReservationReleased struct {
	Reservation  ReservationID  `cbor:"1,keyasint" json:"entitlementId"`
	Subscription SubscriptionID `cbor:"2,keyasint" json:"subscriptionId"`
	Wallet       WalletID       `cbor:"3,keyasint" json:"walletId"`
	Currency     Currency       `cbor:"4,keyasint" json:"currency"`
	Postings     []Posting      `cbor:"5,keyasint" json:"postings"`
	Balance      Sum            `cbor:"6,keyasint" json:"balanceNanos"` // of the wallet's main account, after
	Code         string         `cbor:"7,keyasint" json:"code"`         // "USED", "EXPIRED" or "TERMINATED"
}

func (ReservationCreated) Kind() Kind  { return KindReservationCreated }
func (ReservationReleased) Kind() Kind { return KindReservationReleased }

func (ReservationCreated) Subject() (aggregate, name string) {
	return "reservation", "ReservationCreated"
}

func (ReservationReleased) Subject() (aggregate, name string) {
	return "reservation", "ReservationReleased"
}

func (e ReservationCreated) Money() Movement  { return Movement{e.Currency, e.Wallet, e.Postings} }
func (e ReservationReleased) Money() Movement { return Movement{e.Currency, e.Wallet, e.Postings} }

func (ReservationCreated) sealed()  {}
func (ReservationReleased) sealed() {}
