package projections

import (
	"slices"

	"tallystick/events"
)

// Session is a payment session.
type Session struct {
	Merchant     events.OrganizationID `cbor:"1,keyasint,omitzero"`
	Mode         events.SessionMode    `cbor:"2,keyasint"`
	Status       events.SessionStatus  `cbor:"3,keyasint"`
	Amount       events.Nanos          `cbor:"4,keyasint"`
	Currency     events.Currency       `cbor:"5,keyasint,omitzero"` // none in mode setup
	Customer     events.CustomerID     `cbor:"6,keyasint,omitzero"`
	Consumer     events.OrganizationID `cbor:"7,keyasint,omitzero"`
	Subscription events.SubscriptionID `cbor:"8,keyasint,omitzero"`
	Wallet       events.WalletID       `cbor:"9,keyasint,omitzero"`
	TopUp        events.TopUpID        `cbor:"10,keyasint,omitzero"`
	Payment      events.PaymentID      `cbor:"11,keyasint,omitzero"`
	Invoice      events.InvoiceID      `cbor:"12,keyasint,omitzero"`
	Upfront      events.Nanos          `cbor:"13,keyasint,omitempty"`
	Save         bool                  `cbor:"14,keyasint,omitempty"`
	OnSuccess    string                `cbor:"15,keyasint,omitempty"`
	OnFailure    string                `cbor:"16,keyasint,omitempty"`
	Details      events.Sealed         `cbor:"17,keyasint,omitzero"`
	Clock        events.TestClockID    `cbor:"18,keyasint,omitzero"`
	ExpiresAt    events.Time           `cbor:"19,keyasint"`
	Created      events.Seq            `cbor:"20,keyasint"` // orders due actions of the same time
	CreatedAt    events.Time           `cbor:"21,keyasint"`
	UpdatedAt    events.Time           `cbor:"22,keyasint"`
	CompletedAt  events.Time           `cbor:"23,keyasint,omitzero"`
	Charge       events.ChargeID       `cbor:"24,keyasint,omitzero"` // the latest
	Declined     uint32                `cbor:"25,keyasint,omitempty"`
	Reference    string                `cbor:"26,keyasint,omitempty"` // the provider's, of the latest charge
	Code         string                `cbor:"27,keyasint,omitempty"` // why it is over, or why the latest charge was declined
	Parked       string                `cbor:"28,keyasint,omitempty"` // why its due actions have stopped, if they have
	Grant        events.GrantID        `cbor:"29,keyasint,omitzero"`
}

// Open reports whether s is not over.
func (s *Session) Open() bool {
	return s.Status == events.SessionPending || s.Status == events.SessionProcessing
}

// ChargeStatus is the state of a charge.
type ChargeStatus string

// The states of a charge.
const (
	ChargeRequested      ChargeStatus = "requested"
	ChargeSucceeded      ChargeStatus = "succeeded"
	ChargeFailed         ChargeStatus = "failed"
	ChargeActionRequired ChargeStatus = "action_required"
)

// Charge is money that the payment provider was asked to take.
type Charge struct {
	Merchant  events.OrganizationID  `cbor:"1,keyasint,omitzero"`
	Requested events.ChargeRequested `cbor:"2,keyasint"`
	Status    ChargeStatus           `cbor:"3,keyasint"`
	Reference string                 `cbor:"4,keyasint,omitempty"`
	Code      string                 `cbor:"5,keyasint,omitempty"`
	Seq       events.Seq             `cbor:"6,keyasint"` // the record that requested it
	At        events.Time            `cbor:"7,keyasint"`
}

// Method is a stored payment method.
type Method struct {
	Consumer events.OrganizationID `cbor:"1,keyasint"`
	Bound    events.OrganizationID `cbor:"2,keyasint,omitzero"` // the only merchant that may charge it, if not all
	Provider string                `cbor:"3,keyasint"`
	Card     string                `cbor:"4,keyasint"`
	Details  events.Sealed         `cbor:"5,keyasint,omitzero"`
	Removed  bool                  `cbor:"6,keyasint,omitempty"`
	At       events.Time           `cbor:"7,keyasint"`
}

// MethodRef names a stored payment method of a consumer.
type MethodRef struct {
	Method events.MethodID       `cbor:"1,keyasint"`
	Bound  events.OrganizationID `cbor:"2,keyasint,omitzero"`
}

// MethodFor returns the payment method of c that merchant may charge, the latest one stored; zero if there is none.
func (c *Consumer) MethodFor(merchant events.OrganizationID) events.MethodID {
	for _, m := range slices.Backward(c.Methods) {
		if m.Bound == merchant || m.Bound.IsZero() && !c.Stranger(merchant) {
			return m.Method
		}
	}
	return events.MethodID{}
}

// TopUp is money that is to come to a wallet, or has.
type TopUp struct {
	Wallet    events.WalletID    `cbor:"1,keyasint"`
	Currency  events.Currency    `cbor:"2,keyasint"`
	Amount    events.Nanos       `cbor:"3,keyasint"`
	Method    string             `cbor:"4,keyasint"`
	Status    events.TopUpStatus `cbor:"5,keyasint"`
	Code      string             `cbor:"6,keyasint,omitempty"`
	Session   events.SessionID   `cbor:"7,keyasint,omitzero"`
	CreatedAt events.Time        `cbor:"8,keyasint"`
	UpdatedAt events.Time        `cbor:"9,keyasint"`
}

// Payment is a one-off payment. Its state is that of its session.
type Payment struct {
	Merchant  events.OrganizationID `cbor:"1,keyasint"`
	Session   events.SessionID      `cbor:"2,keyasint"`
	Currency  events.Currency       `cbor:"3,keyasint"`
	Amount    events.Nanos          `cbor:"4,keyasint"`
	Customer  events.CustomerID     `cbor:"5,keyasint,omitzero"`
	Details   events.Sealed         `cbor:"6,keyasint,omitzero"`
	Anonymous string                `cbor:"7,keyasint,omitempty"`
	Key       string                `cbor:"8,keyasint,omitempty"` // idempotency key
	Received  events.Seq            `cbor:"9,keyasint,omitzero"`  // the record by which the merchant got the money
	At        events.Time           `cbor:"10,keyasint"`
}

func (b *Books) sessionOpened(rec *events.Record, e events.SessionOpened) {
	*b.Sessions.insert(e.Session) = Session{
		Merchant: rec.Merchant, Mode: e.Mode, Status: events.SessionPending, Amount: e.Amount, Currency: e.Currency,
		Customer: e.Customer, Consumer: e.Consumer, Subscription: e.Subscription, Wallet: e.Wallet, TopUp: e.TopUp,
		Payment: e.Payment, Invoice: e.Invoice, Upfront: e.Upfront, Save: e.Save, OnSuccess: e.OnSuccess, OnFailure: e.OnFailure,
		Details: e.Details, Clock: e.Clock, Grant: e.Grant, ExpiresAt: e.ExpiresAt, Created: rec.Seq, CreatedAt: rec.At, UpdatedAt: rec.At,
	}
	b.link(LinkSessions, rec.Merchant, e.Session, rec.Seq)
	if !e.Customer.IsZero() {
		b.link(LinkSessionsOfCustomer, e.Customer, e.Session, rec.Seq)
	}
	if !e.Invoice.IsZero() && b.Bills.Get(e.Invoice) != nil {
		b.Bills.edit(e.Invoice).Session = e.Session
		b.Invoices.edit(e.Invoice).Session = e.Session
	}
	if !e.Subscription.IsZero() {
		b.link(LinkSessionsOfSubscription, e.Subscription, e.Session, rec.Seq)
	}
	if !e.Subscription.IsZero() && e.Invoice.IsZero() && e.Grant.IsZero() {
		s := b.Subscriptions.edit(e.Subscription)
		if s.Session = e.Session; s.Status == SubscriptionPending {
			s.Checkout = e.Session
		}
	}
	if !e.TopUp.IsZero() {
		b.TopUps.edit(e.TopUp).Session = e.Session
	}
}

func (b *Books) sessionEnded(rec *events.Record, e events.SessionEnded) {
	s := b.Sessions.edit(e.Session)
	assert(s.Open(), rec, "a payment session that ends twice")
	s.Status, s.Code, s.UpdatedAt = e.Status, e.Code, rec.At
	b.orderClosed(s.Grant)
	if e.Status == events.SessionCompleted {
		s.CompletedAt = rec.At
	}
}

func (b *Books) chargeRequested(rec *events.Record, e events.ChargeRequested) {
	*b.Charges.insert(e.Charge) = Charge{
		Merchant: rec.Merchant, Requested: e, Status: ChargeRequested, Seq: rec.Seq, At: rec.At,
	}
	if !e.Clock.IsZero() {
		b.Clocks.edit(e.Clock).Charging++
	}
	if !e.Invoice.IsZero() {
		b.charging(rec, e.Invoice, e.Charge)
	}
	if e.Session.IsZero() {
		return
	}
	s := b.Sessions.edit(e.Session)
	assert(s.Status == events.SessionPending, rec, "a charge for a payment session that is not pending")
	s.Status, s.Charge, s.Code, s.UpdatedAt = events.SessionProcessing, e.Charge, "", rec.At
}

// chargeSettled notes what became of a charge. A session that is not ended by the next events is to be paid as before.
func (b *Books) chargeSettled(rec *events.Record, id events.ChargeID, status ChargeStatus, reference, code string) {
	c := b.Charges.edit(id)
	assert(c.Status == ChargeRequested, rec, "a charge that is settled twice")
	c.Status, c.Reference, c.Code = status, reference, code
	if clock := c.Requested.Clock; !clock.IsZero() {
		b.Clocks.edit(clock).Charging--
	}
	if id := c.Requested.Invoice; !id.IsZero() {
		b.charging(rec, id, events.ChargeID{})
	}
	if c.Requested.Session.IsZero() {
		return
	}
	s := b.Sessions.edit(c.Requested.Session)
	s.Reference, s.UpdatedAt = reference, rec.At
	if status == ChargeSucceeded {
		return
	}
	s.Status, s.Code = events.SessionPending, code
	if status == ChargeFailed {
		s.Declined++
	}
}

func (b *Books) methodStored(rec *events.Record, e events.MethodStored) {
	*b.Methods.insert(e.Method) = Method{
		Consumer: e.Consumer, Bound: e.Bound, Provider: e.Provider, Card: e.Card, Details: e.Details, At: rec.At,
	}
	c := b.Consumers.edit(e.Consumer)
	c.Methods = append(c.Methods, MethodRef{e.Method, e.Bound})
}

func (b *Books) methodRemoved(_ *events.Record, e events.MethodRemoved) {
	b.Methods.edit(e.Method).Removed = true
	c := b.Consumers.edit(e.Consumer)
	c.Methods = slices.DeleteFunc(c.Methods, func(m MethodRef) bool { return m.Method == e.Method })
}

func (b *Books) topUpRequested(rec *events.Record, e events.TopUpRequested) {
	*b.TopUps.insert(e.TopUp) = TopUp{
		Wallet: e.Wallet, Currency: e.Currency, Amount: e.Amount, Method: e.Method, Status: events.TopUpPending,
		CreatedAt: rec.At, UpdatedAt: rec.At,
	}
	b.link(LinkTopUps, e.Wallet, e.TopUp, rec.Seq)
}

func (b *Books) topUpEnded(rec *events.Record, e events.TopUpEnded) {
	t := b.TopUps.edit(e.TopUp)
	t.Status, t.Code, t.UpdatedAt = e.Status, e.Code, rec.At
}

// toppedUp notes a top-up that has come, whether or not it was requested before.
func (b *Books) toppedUp(rec *events.Record, e events.WalletToppedUp) {
	t := b.TopUps.edit(e.TopUp)
	if t.CreatedAt.IsZero() {
		*t = TopUp{Wallet: e.Wallet, Currency: e.Currency, Method: e.Method, CreatedAt: rec.At}
		for _, p := range e.Postings {
			if p.Role == events.ConsumerMain {
				t.Amount, _ = t.Amount.Plus(p.Nanos)
			}
		}
		b.link(LinkTopUps, e.Wallet, e.TopUp, rec.Seq)
	}
	t.Status, t.UpdatedAt = events.TopUpSuccess, rec.At
}

func (b *Books) paymentCreated(rec *events.Record, e events.PaymentCreated) {
	*b.Payments.insert(e.Payment) = Payment{
		Merchant: rec.Merchant, Session: e.Session, Currency: e.Currency, Amount: e.Amount, Customer: e.Customer,
		Details: e.Details, Anonymous: e.Anonymous, Key: rec.Key, At: rec.At,
	}
	b.link(LinkPayments, rec.Merchant, e.Payment, rec.Seq)
	if !e.Customer.IsZero() {
		b.link(LinkPaymentsOfCustomer, e.Customer, e.Payment, rec.Seq)
	}
}

func (b *Books) paymentReceived(rec *events.Record, e events.PaymentReceived) {
	b.Payments.edit(e.Payment).Received = rec.Seq
}
