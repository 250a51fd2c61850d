package events

// Reminders says whether a subscription's payer is reminded of a renewal. The zero Reminders is what the plan says.
type Reminders string

// What may be said of reminders.
const (
	RemindersOn  Reminders = "on"
	RemindersOff Reminders = "off"
)

// SubscriptionCreated records the agreement of a customer to a plan. The
// subscription is active from now on, unless it is pending, and bills from StartedAt.
type SubscriptionCreated struct {
	Subscription SubscriptionID `cbor:"1,keyasint" json:"subscriptionId"`
	Customer     CustomerID     `cbor:"2,keyasint" json:"customerId"`
	Plan         PlanID         `cbor:"3,keyasint" json:"planId"`
	Product      ProductID      `cbor:"4,keyasint" json:"productId"`
	Wallet       WalletID       `cbor:"5,keyasint,omitzero" json:"walletId,omitzero"` // of the consumer; pays. None before the consumer has authorized the merchant
	Currency     Currency       `cbor:"6,keyasint" json:"currency"`
	Name         Sealed         `cbor:"7,keyasint,omitzero" json:"name,omitzero"`
	StartedAt    Time           `cbor:"8,keyasint" json:"startedAt"`
	Anchor       Time           `cbor:"9,keyasint" json:"billingAnchor"` // the plan's, or StartedAt down to the hour (D28)
	Cadence      Cadence        `cbor:"10,keyasint" json:"billingCadence"`
	EndingAt     Time           `cbor:"11,keyasint,omitzero" json:"endingAt,omitzero"`
	Clock        TestClockID    `cbor:"12,keyasint,omitzero" json:"testClockId,omitzero"`
	TaxExempt    bool           `cbor:"13,keyasint,omitempty" json:"taxExempt,omitempty"`
	Pending      bool           `cbor:"30,keyasint,omitempty" json:"pendingPayment,omitempty"` // active once a payment session is paid
	AutoCharge   bool           `cbor:"31,keyasint,omitempty" json:"autoCharge,omitempty"`     // invoices are paid with the stored method
	Minimum      Nanos          `cbor:"32,keyasint,omitempty" json:"minimumAccountBalanceNanos,omitempty"`
	Reminders    Reminders      `cbor:"33,keyasint,omitempty" json:"reminders,omitempty"`
	ReminderDays uint32         `cbor:"34,keyasint,omitempty" json:"renewalReminderDays,omitempty"` // before the renewal; 0 for the plan's
	Upfront      []QuotedFee    `cbor:"35,keyasint,omitempty" json:"upfrontFees,omitempty"`         // charged as soon as it is active, at no other price
}

// SubscriptionAuthorized records that the full consumer whom a pending subscription is for has authorized the merchant (D30): from now on it
// has a wallet, and what is to be paid before it is active is known.
type SubscriptionAuthorized struct {
	Subscription SubscriptionID `cbor:"1,keyasint" json:"subscriptionId"`
	Customer     CustomerID     `cbor:"2,keyasint" json:"customerId"`
	Wallet       WalletID       `cbor:"3,keyasint" json:"walletId"`
	Upfront      []QuotedFee    `cbor:"4,keyasint,omitempty" json:"upfrontFees,omitempty"` // charged as soon as it is active, at no other price
}

// SubscriptionActivated records that a subscription is paid for, and active from now on.
type SubscriptionActivated struct {
	Subscription SubscriptionID `cbor:"1,keyasint" json:"subscriptionId"`
	Customer     CustomerID     `cbor:"2,keyasint" json:"customerId"`
	Plan         PlanID         `cbor:"3,keyasint" json:"planId"`
}

// SubscriptionUpdated records the terms of a subscription as they are from now on.
type SubscriptionUpdated struct {
	Subscription SubscriptionID `cbor:"1,keyasint" json:"subscriptionId"`
	EndingAt     Time           `cbor:"2,keyasint,omitzero" json:"endingAt,omitzero"`
	AutoCharge   bool           `cbor:"3,keyasint,omitempty" json:"autoCharge,omitempty"`
	Minimum      Nanos          `cbor:"4,keyasint,omitempty" json:"minimumAccountBalanceNanos,omitempty"`
	Reminders    Reminders      `cbor:"5,keyasint,omitempty" json:"reminders,omitempty"`
	ReminderDays uint32         `cbor:"6,keyasint,omitempty" json:"renewalReminderDays,omitempty"`
	TaxExempt    bool           `cbor:"7,keyasint,omitempty" json:"taxExempt,omitempty"`
}

// SubscriptionReminded records that the payer of a subscription is to be told of its renewal.
type SubscriptionReminded struct {
	Subscription SubscriptionID `cbor:"1,keyasint" json:"subscriptionId"`
	Customer     CustomerID     `cbor:"2,keyasint" json:"customerId"`
	Period       uint32         `cbor:"3,keyasint" json:"period"` // that ends then
	RenewsAt     Time           `cbor:"4,keyasint" json:"renewsAt"`
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

func (SubscriptionAuthorized) Kind() Kind { return KindSubscriptionAuthorized }
func (SubscriptionActivated) Kind() Kind  { return KindSubscriptionActivated }
func (SubscriptionUpdated) Kind() Kind    { return KindSubscriptionUpdated }
func (SubscriptionReminded) Kind() Kind   { return KindSubscriptionReminded }

func (SubscriptionAuthorized) Subject() (aggregate, name string) {
	return "subscription", "SubscriptionAuthorized"
}

func (SubscriptionActivated) Subject() (aggregate, name string) {
	return "subscription", "SubscriptionActivated"
}

func (SubscriptionUpdated) Subject() (aggregate, name string) {
	return "subscription", "SubscriptionUpdated"
}

func (SubscriptionReminded) Subject() (aggregate, name string) {
	return "subscription", "SubscriptionReminded"
}

func (SubscriptionAuthorized) Money() Movement { return Movement{} }
func (SubscriptionActivated) Money() Movement  { return Movement{} }
func (SubscriptionUpdated) Money() Movement    { return Movement{} }
func (SubscriptionReminded) Money() Movement   { return Movement{} }

func (SubscriptionAuthorized) sealed() {}
func (SubscriptionActivated) sealed()  {}
func (SubscriptionUpdated) sealed()    {}
func (SubscriptionReminded) sealed()   {}
