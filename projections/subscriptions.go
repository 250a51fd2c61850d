package projections

import (
	"slices"
	"time"

	"tallystick/events"
)

// Status is the state of a subscription on the wire.
type Status string

// The states of a subscription.
const (
	SubscriptionPending    Status = "pending_payment"
	SubscriptionActive     Status = "active"
	SubscriptionTerminated Status = "terminated"
)

// Subscription is the agreement of a customer to a plan.
type Subscription struct {
	Merchant  events.OrganizationID `cbor:"1,keyasint"`
	Customer  events.CustomerID     `cbor:"2,keyasint"`
	Plan      events.PlanID         `cbor:"3,keyasint"`
	Product   events.ProductID      `cbor:"4,keyasint"`
	Wallet    events.WalletID       `cbor:"5,keyasint"`
	Currency  events.Currency       `cbor:"6,keyasint"`
	Name      events.Sealed         `cbor:"7,keyasint"`
	Status    Status                `cbor:"8,keyasint"`
	StartedAt events.Time           `cbor:"9,keyasint"`
	Anchor    events.Time           `cbor:"10,keyasint"`
	Cadence   events.Cadence        `cbor:"11,keyasint"`
	EndingAt  events.Time           `cbor:"12,keyasint,omitzero"`
	EndedAt   events.Time           `cbor:"13,keyasint,omitzero"`
	EndedBy   string                `cbor:"14,keyasint,omitempty"`
	Reason    events.Sealed         `cbor:"15,keyasint,omitzero"`
	Code      string                `cbor:"16,keyasint,omitempty"`
	Clock     events.TestClockID    `cbor:"17,keyasint,omitzero"`
	Created   events.Seq            `cbor:"18,keyasint"` // orders due actions of the same time
	CreatedAt events.Time           `cbor:"19,keyasint"`
	UpdatedAt events.Time           `cbor:"20,keyasint"`
	Periods   []Period              `cbor:"21,keyasint,omitempty"` // not yet invoiced, oldest first
	Parked    string                `cbor:"22,keyasint,omitempty"` // why its due actions have stopped, if they have
	TaxExempt bool                  `cbor:"23,keyasint,omitempty"`

	AutoCharge   bool             `cbor:"40,keyasint,omitempty"`
	Minimum      events.Nanos     `cbor:"41,keyasint,omitempty"` // that its wallet is topped up to; 0 for none
	Reminders    events.Reminders `cbor:"42,keyasint,omitempty"`
	ReminderDays uint32           `cbor:"43,keyasint,omitempty"`
	Session      events.SessionID `cbor:"44,keyasint,omitzero"` // the latest payment session about it, those for invoices and units apart

	Upfront  []events.QuotedFee `cbor:"45,keyasint,omitempty"` // to be charged once it is active
	Checkout events.SessionID   `cbor:"46,keyasint,omitzero"`  // the payment session by which it becomes active, or became so
	First    events.InvoiceID   `cbor:"47,keyasint,omitzero"`  // the invoice of its first period, which has the charges of its start

	Authorization events.AuthorizationID `cbor:"48,keyasint,omitzero"` // that it waits for, or ended without
	Authorized    events.Seq             `cbor:"49,keyasint,omitzero"` // the record that says it waits no longer
}

// Agreed returns the record that a period's prices date from: the one that opened it, but for the first period, whose
// prices are those that were agreed on, however long it took to pay.
func (s *Subscription) Agreed(p *Period) events.Seq {
	if p.N == 0 {
		return max(s.Created, s.Authorized)
	}
	return p.Opened
}

// Period is a billing period whose invoice is not issued yet.
type Period struct {
	N        uint32           `cbor:"1,keyasint"` // 0, 1, 2…
	Invoice  events.InvoiceID `cbor:"2,keyasint"`
	Start    events.Time      `cbor:"3,keyasint"`
	End      events.Time      `cbor:"4,keyasint"` // exclusive
	GraceEnd events.Time      `cbor:"5,keyasint"` // exclusive
	Closing  bool             `cbor:"6,keyasint,omitempty"`
	Opened   events.Seq       `cbor:"7,keyasint"` // the record that opened it
	Closed   events.Seq       `cbor:"8,keyasint,omitzero"`
	RemindAt events.Time      `cbor:"20,keyasint,omitzero"` // when the payer is to be told of its end, if that is still to be done
}

// PeriodAt returns the open period that t falls into, or nil.
func (s *Subscription) PeriodAt(t events.Time) *Period {
	for i := range s.Periods {
		if p := &s.Periods[i]; p.Start <= t && t < p.End {
			return p
		}
	}
	return nil
}

// remind works out when the payer is told of the end of p: as many days before it as s says, or else its plan. Nobody is told
// of what is over, or nearly.
func (b *Books) remind(s *Subscription, p *Period, at events.Time) {
	plan := b.Plans.Get(s.Plan)
	p.RemindAt = 0
	if p.Closing || s.Reminders == events.RemindersOff || s.Reminders == "" && (plan == nil || plan.NoReminder) {
		return
	}
	days := s.ReminderDays
	if days == 0 && plan != nil {
		days = plan.ReminderDays
	}
	if days == 0 {
		days = defaultReminderDays
	}
	if t := p.End.Add(-time.Duration(days) * 24 * time.Hour); t > at && t > p.Start {
		p.RemindAt = t
	}
}

// defaultReminderDays is how long before a renewal its payer is told of it where nobody has said.
const defaultReminderDays = 3

// Active is the subscriptions of a customer that are active, or, in the table of those that are pending, pending.
type Active struct {
	Subscriptions []events.SubscriptionID `cbor:"1,keyasint"`
}

// Clock is a test clock.
type Clock struct {
	Merchant    events.OrganizationID `cbor:"1,keyasint"`
	Now         events.Time           `cbor:"2,keyasint"`
	To          events.Time           `cbor:"3,keyasint,omitzero"` // where it is being advanced to, if it is
	Name        string                `cbor:"4,keyasint,omitempty"`
	Description string                `cbor:"5,keyasint,omitempty"`
	CreatedAt   events.Time           `cbor:"6,keyasint"`
	UpdatedAt   events.Time           `cbor:"7,keyasint"`
	Started     events.Seq            `cbor:"8,keyasint,omitzero"`  // the record that began the advance
	Charging    uint32                `cbor:"9,keyasint,omitempty"` // charges whose outcome is not known; until then nothing falls due
	DeletedAt   events.Time           `cbor:"10,keyasint,omitzero"`
	Active      uint32                `cbor:"11,keyasint,omitzero"` // subscriptions on it that are not terminated
}

// ClockNow returns what time it is on a clock: a test clock's, or the given real time.
func (b *Books) ClockNow(clock events.TestClockID, real events.Time) events.Time {
	if c := b.Clocks.Get(clock); c != nil && !clock.IsZero() {
		return c.Now
	}
	return real
}

func (b *Books) subscriptionCreated(rec *events.Record, e events.SubscriptionCreated) {
	*b.Subscriptions.insert(e.Subscription) = Subscription{
		Merchant: rec.Merchant, Customer: e.Customer, Plan: e.Plan, Product: e.Product,
		Wallet: e.Wallet, Currency: e.Currency, Name: e.Name, Status: SubscriptionActive, AutoCharge: e.AutoCharge,
		Minimum: e.Minimum, Reminders: e.Reminders, ReminderDays: e.ReminderDays,
		StartedAt: e.StartedAt, Anchor: e.Anchor, Cadence: e.Cadence, EndingAt: e.EndingAt,
		TaxExempt: e.TaxExempt, Clock: e.Clock, Created: rec.Seq, CreatedAt: rec.At, UpdatedAt: rec.At,
	}
	of := b.Active
	if e.Pending {
		b.Subscriptions.edit(e.Subscription).Upfront = e.Upfront
		b.Subscriptions.edit(e.Subscription).Status = SubscriptionPending
		of = b.Pending
	}
	a := of.edit(e.Customer)
	a.Subscriptions = append(a.Subscriptions, e.Subscription)
	if !e.Clock.IsZero() {
		b.Clocks.edit(e.Clock).Active++
	}
	b.useWallet(rec, e.Wallet, e.Subscription)
	b.link(LinkSubscriptions, rec.Merchant, e.Subscription, rec.Seq)
	b.link(LinkSubscriptionsOfCustomer, e.Customer, e.Subscription, rec.Seq)
}

func (b *Books) subscriptionTerminated(rec *events.Record, e events.SubscriptionTerminated) {
	s := b.Subscriptions.edit(e.Subscription)
	assert(s.Status != SubscriptionTerminated, rec, "a subscription terminated twice")
	of := b.Active
	if s.Status == SubscriptionPending {
		of = b.Pending
	}
	s.Status, s.EndedAt, s.EndedBy, s.Reason, s.Code = SubscriptionTerminated, e.EndedAt, e.By, e.Reason, e.Code
	s.UpdatedAt, s.Upfront = rec.At, nil
	if !s.Clock.IsZero() {
		b.Clocks.edit(s.Clock).Active--
	}
	forget(of, s.Customer, e.Subscription)
	b.leaveWallet(s.Wallet)
}

// forget takes a subscription from those of a customer.
func forget(of *Table[events.CustomerID, Active], customer events.CustomerID, sub events.SubscriptionID) {
	a := of.edit(customer)
	a.Subscriptions = slices.DeleteFunc(a.Subscriptions, func(id events.SubscriptionID) bool { return id == sub })
	if len(a.Subscriptions) == 0 {
		of.remove(customer)
	}
}

func (b *Books) subscriptionAuthorized(rec *events.Record, e events.SubscriptionAuthorized) {
	s := b.Subscriptions.edit(e.Subscription)
	assert(s.Status == SubscriptionPending && !s.Authorization.IsZero(), rec, "a subscription authorized that does not wait for it")
	s.Wallet, s.Upfront, s.UpdatedAt = e.Wallet, e.Upfront, rec.At
	s.Authorization, s.Authorized = events.AuthorizationID{}, rec.Seq
}

func (b *Books) subscriptionActivated(rec *events.Record, e events.SubscriptionActivated) {
	s := b.Subscriptions.edit(e.Subscription)
	assert(s.Status == SubscriptionPending, rec, "a subscription activated that is not pending")
	s.Status, s.UpdatedAt, s.Upfront = SubscriptionActive, rec.At, nil
	forget(b.Pending, s.Customer, e.Subscription)
	a := b.Active.edit(s.Customer)
	a.Subscriptions = append(a.Subscriptions, e.Subscription)
}

func (b *Books) subscriptionUpdated(rec *events.Record, e events.SubscriptionUpdated) {
	s := b.Subscriptions.edit(e.Subscription)
	s.EndingAt, s.AutoCharge, s.Minimum, s.TaxExempt, s.UpdatedAt = e.EndingAt, e.AutoCharge, e.Minimum, e.TaxExempt, rec.At
	if s.Reminders == e.Reminders && s.ReminderDays == e.ReminderDays {
		return
	}
	s.Reminders, s.ReminderDays = e.Reminders, e.ReminderDays
	for i := range s.Periods {
		b.remind(s, &s.Periods[i], rec.At)
	}
}

func (b *Books) subscriptionReminded(rec *events.Record, e events.SubscriptionReminded) {
	s := b.Subscriptions.edit(e.Subscription)
	for i := range s.Periods {
		if p := &s.Periods[i]; p.N == e.Period {
			p.RemindAt = 0
		}
	}
}

func (b *Books) clockCreated(rec *events.Record, e events.ClockCreated) {
	*b.Clocks.insert(e.Clock) = Clock{
		Merchant: rec.Merchant, Now: e.Now, Name: e.Name, Description: e.Description,
		CreatedAt: rec.RecordedAt, UpdatedAt: rec.RecordedAt,
	}
}

func (b *Books) clockAdvancing(rec *events.Record, e events.ClockAdvancing) {
	c := b.Clocks.edit(e.Clock)
	assert(e.To > c.Now && c.To == 0, rec, "a clock advanced backwards, or twice at once")
	c.To, c.Started = e.To, rec.Seq
}

func (b *Books) clockAdvanced(rec *events.Record, e events.ClockAdvanced) {
	c := b.Clocks.edit(e.Clock)
	assert(c.To == e.To, rec, "a clock arrived elsewhere")
	c.Now, c.To, c.Started, c.UpdatedAt = e.To, 0, 0, rec.RecordedAt
}

func (b *Books) clockDeleted(rec *events.Record, e events.ClockDeleted) {
	c := b.Clocks.edit(e.Clock)
	assert(c.DeletedAt == 0 && c.Active == 0, rec, "a clock deleted twice, or in use")
	c.DeletedAt, c.UpdatedAt = rec.RecordedAt, rec.RecordedAt
}

// clockAsID pads the identity of a clock to the size of the others.
func clockAsID(c events.TestClockID) (id [16]byte) {
	copy(id[:], c[:])
	return id
}

func (b *Books) dueFailed(rec *events.Record, e events.DueFailed) {
	if !e.Entitlement.IsZero() {
		b.Entitlements.edit(e.Entitlement).Parked = e.Code
		return
	}
	if !e.Reservation.IsZero() {
		b.Reservations.edit(e.Reservation).Parked = e.Code
		return
	}
	if !e.Session.IsZero() {
		b.Sessions.edit(e.Session).Parked = e.Code
		return
	}
	if !e.Authorization.IsZero() {
		b.Authorizations.edit(e.Authorization).Parked = e.Code
		return
	}
	if !e.Invoice.IsZero() {
		b.Bills.edit(e.Invoice).Parked = e.Code
		return
	}
	s := b.Subscriptions.edit(e.Subscription)
	s.Parked, s.UpdatedAt = e.Code, rec.At
}
