package events

// SessionMode says what somebody is asked for by a payment session.
type SessionMode string

// The modes of payment sessions.
const (
	PayMode   SessionMode = "payment" // money
	SetupMode SessionMode = "setup"   // a payment method, to be stored
)

// SessionOpened records that somebody is asked to pay, or to store a payment method, through a link that expires. What
// is paid for is one of Grant, Subscription, TopUp, Payment and Invoice; nothing of it in mode setup.
type SessionOpened struct {
	Session      SessionID      `cbor:"1,keyasint" json:"paymentSessionId"`
	Mode         SessionMode    `cbor:"2,keyasint" json:"mode"`
	ExpiresAt    Time           `cbor:"3,keyasint" json:"expiresAt"`
	Amount       Nanos          `cbor:"4,keyasint" json:"amountNanos"` // whole cents; 0 in mode setup
	Currency     Currency       `cbor:"5,keyasint,omitzero" json:"currency,omitzero"`
	Customer     CustomerID     `cbor:"6,keyasint,omitzero" json:"customerId,omitzero"`
	Consumer     OrganizationID `cbor:"7,keyasint,omitzero" json:"consumerId,omitzero"` // who is asked, where it is known
	Subscription SubscriptionID `cbor:"8,keyasint,omitzero" json:"subscriptionId,omitzero"`
	Wallet       WalletID       `cbor:"9,keyasint,omitzero" json:"walletId,omitzero"` // that the money goes to
	TopUp        TopUpID        `cbor:"10,keyasint,omitzero" json:"topUpId,omitzero"`
	Payment      PaymentID      `cbor:"11,keyasint,omitzero" json:"paymentId,omitzero"`
	Invoice      InvoiceID      `cbor:"12,keyasint,omitzero" json:"invoiceId,omitzero"`
	Upfront      Nanos          `cbor:"13,keyasint,omitempty" json:"upfrontNanos,omitempty"` // what of Amount pays charges that are due at once
	Save         bool           `cbor:"14,keyasint,omitempty" json:"savePaymentMethod,omitempty"`
	OnSuccess    string         `cbor:"15,keyasint,omitempty" json:"successRedirectUrl,omitempty"`
	OnFailure    string         `cbor:"16,keyasint,omitempty" json:"failureRedirectUrl,omitempty"`
	Details      Sealed         `cbor:"17,keyasint,omitzero" json:"details,omitzero"` // metadata
	Clock        TestClockID    `cbor:"18,keyasint,omitzero" json:"testClockId,omitzero"`
	Grant        GrantID        `cbor:"19,keyasint,omitzero" json:"grantId,omitzero"` // that is bought
}

// SessionStatus is the state of a payment session on the wire.
type SessionStatus string

// The states of a payment session.
const (
	SessionPending    SessionStatus = "pending"    // somebody may pay
	SessionProcessing SessionStatus = "processing" // the payment provider is at work
	SessionCompleted  SessionStatus = "completed"
	SessionFailed     SessionStatus = "failed" // too many charges were declined
	SessionExpired    SessionStatus = "expired"
	SessionCancelled  SessionStatus = "cancelled"
)

// SessionEnded records that a payment session is over: nobody pays by it any more.
type SessionEnded struct {
	Session SessionID     `cbor:"1,keyasint" json:"paymentSessionId"`
	Status  SessionStatus `cbor:"2,keyasint" json:"status"` // one of the last four
	Code    string        `cbor:"3,keyasint,omitempty" json:"code,omitempty"`
}

// ChargeRequested records that the payment provider is to take money with a card, or to check the card where Amount is 0.
// It is recorded before the provider is asked, and the charge's identity is the provider's idempotency key (D14): so the
// provider is asked as often as it takes, and takes the money once.
type ChargeRequested struct {
	Charge       ChargeID       `cbor:"1,keyasint" json:"chargeId"`
	Provider     string         `cbor:"2,keyasint" json:"provider"` // "sandbox"
	Card         string         `cbor:"3,keyasint" json:"card"`     // the provider's name for the card, which tells nothing of it
	Amount       Nanos          `cbor:"4,keyasint" json:"amountNanos"`
	Currency     Currency       `cbor:"5,keyasint,omitzero" json:"currency,omitzero"`
	Session      SessionID      `cbor:"6,keyasint,omitzero" json:"paymentSessionId,omitzero"`
	Method       MethodID       `cbor:"7,keyasint,omitzero" json:"paymentMethodId,omitzero"` // a stored one
	Customer     CustomerID     `cbor:"8,keyasint,omitzero" json:"customerId,omitzero"`
	Consumer     OrganizationID `cbor:"9,keyasint,omitzero" json:"consumerId,omitzero"`
	Subscription SubscriptionID `cbor:"10,keyasint,omitzero" json:"subscriptionId,omitzero"`
	Invoice      InvoiceID      `cbor:"11,keyasint,omitzero" json:"invoiceId,omitzero"`
	Wallet       WalletID       `cbor:"12,keyasint,omitzero" json:"walletId,omitzero"` // that the money goes to
	TopUp        TopUpID        `cbor:"13,keyasint,omitzero" json:"topUpId,omitzero"`
	Details      Sealed         `cbor:"14,keyasint,omitzero" json:"details,omitzero"`          // what the card looks like
	OffSession   bool           `cbor:"15,keyasint,omitempty" json:"offSession,omitempty"`     // the payer is not there
	Clock        TestClockID    `cbor:"17,keyasint,omitzero" json:"testClockId,omitzero"`      // it stands still until the outcome is known
	Confirms     ChargeID       `cbor:"16,keyasint,omitzero" json:"confirmsChargeId,omitzero"` // the charge whose payer has since done what was asked
}

// ChargeSucceeded records that the provider has taken the money of a charge. Where it went stands in the events after it.
type ChargeSucceeded struct {
	Charge    ChargeID `cbor:"1,keyasint" json:"chargeId"`
	Reference string   `cbor:"2,keyasint" json:"providerPaymentRef"` // the provider's
}

// ChargeFailed records that the provider will not take the money of a charge.
type ChargeFailed struct {
	Charge    ChargeID `cbor:"1,keyasint" json:"chargeId"`
	Reference string   `cbor:"2,keyasint,omitempty" json:"providerPaymentRef,omitempty"`
	Code      string   `cbor:"3,keyasint" json:"code"` // the provider's reason, such as "card_declined"
}

// ChargeActionRequired records that the provider takes the money of a charge only after the payer has done something: a
// charge that confirms this one follows, or none.
type ChargeActionRequired struct {
	Charge    ChargeID `cbor:"1,keyasint" json:"chargeId"`
	Reference string   `cbor:"2,keyasint" json:"providerPaymentRef"`
}

// MethodStored records that a consumer can be charged without being there.
type MethodStored struct {
	Method   MethodID       `cbor:"1,keyasint" json:"paymentMethodId"`
	Consumer OrganizationID `cbor:"2,keyasint" json:"consumerId"`
	Provider string         `cbor:"3,keyasint" json:"provider"`
	Card     string         `cbor:"4,keyasint" json:"card"` // the provider's name for it
	Bound    OrganizationID `cbor:"5,keyasint,omitzero" json:"boundTo,omitzero"`
	Details  Sealed         `cbor:"6,keyasint,omitzero" json:"details,omitzero"`  // brand, last digits, expiry
	Charge   ChargeID       `cbor:"7,keyasint,omitzero" json:"chargeId,omitzero"` // that has shown it to be good
}

// MethodRemoved records that a stored payment method is not to be charged any more.
type MethodRemoved struct {
	Method   MethodID       `cbor:"1,keyasint" json:"paymentMethodId"`
	Consumer OrganizationID `cbor:"2,keyasint" json:"consumerId"`
}

// TopUpRequested records that money for a wallet is asked of the payment provider. It has come when the wallet is topped up.
type TopUpRequested struct {
	TopUp    TopUpID  `cbor:"1,keyasint" json:"topUpId"`
	Wallet   WalletID `cbor:"2,keyasint" json:"walletId"`
	Currency Currency `cbor:"3,keyasint" json:"currency"`
	Amount   Nanos    `cbor:"4,keyasint" json:"amountNanos"`
	Method   string   `cbor:"5,keyasint" json:"method"` // "session" or "stored"
}

// TopUpStatus is the state of a top-up on the wire.
type TopUpStatus string

// The states of a top-up.
const (
	TopUpPending   TopUpStatus = "pending"
	TopUpFailed    TopUpStatus = "failed"
	TopUpSuccess   TopUpStatus = "success"
	TopUpCancelled TopUpStatus = "cancelled" // nobody paid
)

// TopUpEnded records that the money of a top-up does not come.
type TopUpEnded struct {
	TopUp  TopUpID     `cbor:"1,keyasint" json:"topUpId"`
	Wallet WalletID    `cbor:"2,keyasint" json:"walletId"`
	Status TopUpStatus `cbor:"3,keyasint" json:"status"` // failed or cancelled
	Code   string      `cbor:"4,keyasint,omitempty" json:"code,omitempty"`
}

// PaymentCreated records that a merchant asks for one payment, outside any subscription.
type PaymentCreated struct {
	Payment   PaymentID      `cbor:"1,keyasint" json:"paymentId"`
	Session   SessionID      `cbor:"2,keyasint" json:"paymentSessionId"`
	Currency  Currency       `cbor:"3,keyasint" json:"currency"`
	Amount    Nanos          `cbor:"4,keyasint" json:"amountNanos"`
	Customer  CustomerID     `cbor:"5,keyasint,omitzero" json:"customerId,omitzero"`
	Consumer  OrganizationID `cbor:"6,keyasint,omitzero" json:"consumerId,omitzero"`
	Details   Sealed         `cbor:"7,keyasint,omitzero" json:"details,omitzero"`     // reference, metadata and lines, where a customer is named
	Anonymous string         `cbor:"8,keyasint,omitempty" json:"anonymous,omitempty"` // the same in JSON, where none is
}

// PaymentReceived records that a one-off payment has reached its merchant.
type PaymentReceived struct {
	Payment  PaymentID `cbor:"1,keyasint" json:"paymentId"`
	Charge   ChargeID  `cbor:"2,keyasint" json:"chargeId"`
	Currency Currency  `cbor:"3,keyasint" json:"currency"`
	Postings []Posting `cbor:"4,keyasint" json:"postings"`
}

func (SessionOpened) Kind() Kind        { return KindSessionOpened }
func (SessionEnded) Kind() Kind         { return KindSessionEnded }
func (ChargeRequested) Kind() Kind      { return KindChargeRequested }
func (ChargeSucceeded) Kind() Kind      { return KindChargeSucceeded }
func (ChargeFailed) Kind() Kind         { return KindChargeFailed }
func (ChargeActionRequired) Kind() Kind { return KindChargeActionRequired }
func (MethodStored) Kind() Kind         { return KindMethodStored }
func (MethodRemoved) Kind() Kind        { return KindMethodRemoved }
func (TopUpRequested) Kind() Kind       { return KindTopUpRequested }
func (TopUpEnded) Kind() Kind           { return KindTopUpEnded }
func (PaymentCreated) Kind() Kind       { return KindPaymentCreated }
func (PaymentReceived) Kind() Kind      { return KindPaymentReceived }

func (SessionOpened) Subject() (aggregate, name string) { return "payment_session", "SessionOpened" }

func (SessionEnded) Subject() (aggregate, name string)    { return "payment_session", "SessionEnded" }
func (ChargeRequested) Subject() (aggregate, name string) { return "charge", "ChargeRequested" }
func (ChargeSucceeded) Subject() (aggregate, name string) { return "charge", "ChargeSucceeded" }
func (ChargeFailed) Subject() (aggregate, name string)    { return "charge", "ChargeFailed" }
func (ChargeActionRequired) Subject() (aggregate, name string) {
	return "charge", "ChargeActionRequired"
}

func (MethodStored) Subject() (aggregate, name string) { return "payment_method", "MethodStored" }

func (MethodRemoved) Subject() (aggregate, name string)   { return "payment_method", "MethodRemoved" }
func (TopUpRequested) Subject() (aggregate, name string)  { return "wallet", "TopUpRequested" }
func (TopUpEnded) Subject() (aggregate, name string)      { return "wallet", "TopUpEnded" }
func (PaymentCreated) Subject() (aggregate, name string)  { return "payment", "PaymentCreated" }
func (PaymentReceived) Subject() (aggregate, name string) { return "payment", "PaymentReceived" }

func (SessionOpened) Money() Movement        { return Movement{} }
func (SessionEnded) Money() Movement         { return Movement{} }
func (ChargeRequested) Money() Movement      { return Movement{} }
func (ChargeSucceeded) Money() Movement      { return Movement{} }
func (ChargeFailed) Money() Movement         { return Movement{} }
func (ChargeActionRequired) Money() Movement { return Movement{} }
func (MethodStored) Money() Movement         { return Movement{} }
func (MethodRemoved) Money() Movement        { return Movement{} }
func (TopUpRequested) Money() Movement       { return Movement{} }
func (TopUpEnded) Money() Movement           { return Movement{} }
func (PaymentCreated) Money() Movement       { return Movement{} }
func (e PaymentReceived) Money() Movement {
	return Movement{Currency: e.Currency, Postings: e.Postings}
}

func (SessionOpened) sealed()        {}
func (SessionEnded) sealed()         {}
func (ChargeRequested) sealed()      {}
func (ChargeSucceeded) sealed()      {}
func (ChargeFailed) sealed()         {}
func (ChargeActionRequired) sealed() {}
func (MethodStored) sealed()         {}
func (MethodRemoved) sealed()        {}
func (TopUpRequested) sealed()       {}
func (TopUpEnded) sealed()           {}
func (PaymentCreated) sealed()       {}
func (PaymentReceived) sealed()      {}
