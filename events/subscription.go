package events

// SubscriptionCreated records the agreement of a customer to a plan. The
// subscription is active from now on, and bills from StartedAt.
type SubscriptionCreated struct {
	Subscription SubscriptionID `cbor:"1,keyasint" json:"subscriptionId"`
	Customer     CustomerID     `cbor:"2,keyasint" json:"customerId"`
	Plan         PlanID         `cbor:"3,keyasint" json:"planId"`
	Product      ProductID      `cbor:"4,keyasint" json:"productId"`
	Wallet       WalletID       `cbor:"5,keyasint" json:"walletId"` // of the consumer; pays
	Currency     Currency       `cbor:"6,keyasint" json:"currency"`
	Name         Sealed         `cbor:"7,keyasint,omitzero" json:"name,omitzero"`
	StartedAt    Time           `cbor:"8,keyasint" json:"startedAt"`
	Anchor       Time           `cbor:"9,keyasint" json:"billingAnchor"` // StartedAt down to the hour (D28)
	Cadence      Cadence        `cbor:"10,keyasint" json:"billingCadence"`
	EndingAt     Time           `cbor:"11,keyasint,omitzero" json:"endingAt,omitzero"`
	Clock        TestClockID    `cbor:"12,keyasint,omitzero" json:"testClockId,omitzero"`
	TaxExempt    bool           `cbor:"13,keyasint,omitempty" json:"taxExempt,omitempty"`
}

// SubscriptionTerminated records that a subscription bills nothing from EndedAt on.
type SubscriptionTerminated struct {
	Subscription SubscriptionID `cbor:"1,keyasint" json:"subscriptionId"`
	EndedAt      Time           `cbor:"2,keyasint" json:"terminatedAt"`
	By           string         `cbor:"3,keyasint" json:"terminatedBy"` // a customer's or a merchant's id
	Reason       Sealed         `cbor:"4,keyasint,omitzero" json:"reason,omitzero"`
	Code         string         `cbor:"5,keyasint,omitempty" json:"code,omitempty"` // why, where it ended by itself
}

func (SubscriptionCreated) Kind() Kind    { return KindSubscriptionCreated }
func (SubscriptionTerminated) Kind() Kind { return KindSubscriptionTerminated }

func (SubscriptionCreated) Subject() (aggregate, name string) {
	return "subscription", "SubscriptionCreated"
}

func (SubscriptionTerminated) Subject() (aggregate, name string) {
	return "subscription", "SubscriptionTerminated"
}

func (SubscriptionCreated) Money() Movement    { return Movement{} }
func (SubscriptionTerminated) Money() Movement { return Movement{} }

func (SubscriptionCreated) sealed()    {}
func (SubscriptionTerminated) sealed() {}
