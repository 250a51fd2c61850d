package commands

import (
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// CreatePayment asks for one payment, outside any subscription, by a link.
type CreatePayment struct {
	Amount    events.Nanos
	Currency  events.Currency
	Customer  events.CustomerID // zero for anybody
	Details   events.Sealed     // reference, metadata and lines, where a customer is named
	Anonymous string            // the same in JSON, where none is
	OnSuccess string
	OnFailure string
	Save      bool          // store the payment method; needs a customer
	Term      time.Duration // of the link; 0 for 30 days
}

// SetupPaymentMethod asks a customer for a payment method to be stored, by a link; or a consumer, which need not be a customer yet.
type SetupPaymentMethod struct {
	Customer  events.CustomerID
	Consumer  events.OrganizationID // instead of Customer
	Details   events.Sealed         // metadata
	OnSuccess string
	OnFailure string
	ExpiresAt events.Time // zero for 30 days from now
}

// RemovePaymentMethod forgets a stored payment method.
type RemovePaymentMethod struct {
	Customer events.CustomerID
	Method   events.MethodID
}

const (
	paymentTerm  = 30 * 24 * time.Hour
	maxAnonymous = 64 << 10
)

// payIn reports whether one-off payments can be made in a currency.
func payIn(c events.Currency) bool {
	switch string(c[:]) {
	case "USD", "EUR", "GBP", "AUD":
		return true
	}
	return false
}

func createPayment(b *projections.Books, c Context, cmd CreatePayment, d *decision) *Rejection {
	if r := first(
		redirects(cmd.OnSuccess, cmd.OnFailure), optional("metadata", cmd.Anonymous, maxAnonymous),
	); r != nil {
		return r
	}
	if !payIn(cmd.Currency) {
		return wrong("currency", "%s is none of USD, EUR, GBP, AUD", cmd.Currency)
	}
	if cmd.Term == 0 {
		cmd.Term = paymentTerm
	}
	if cmd.Term < shortestTerm || cmd.Term > longestTerm {
		return wrong("expiresIn", "is %s; it must be from a minute to 31 days", cmd.Term)
	}
	m, r := merchantOf(b, c)
	if r != nil {
		return r
	}
	if r := chargeable("amount", cmd.Amount, limitOf(m)); r != nil {
		return r
	}
	e := events.SessionOpened{
		Amount: cmd.Amount, Currency: cmd.Currency, Customer: cmd.Customer, Payment: events.Derive[events.PaymentNoun](c.ID, 0),
		Save: cmd.Save, OnSuccess: cmd.OnSuccess, OnFailure: cmd.OnFailure,
	}
	switch customer := b.Customers.Get(cmd.Customer); {
	case cmd.Customer.IsZero() && cmd.Save:
		return wrong("savePaymentMethod", "needs a customerId")
	case cmd.Customer.IsZero():
	case customer == nil || customer.Deleted || customer.Merchant != c.Merchant:
		return Reject(NotFound, "no customer %s", cmd.Customer)
	case b.Consumers.Get(customer.Consumer).Erased:
		return Reject(Conflict, "consumer %s is erased", customer.Consumer)
	default:
		e.Consumer = customer.Consumer
	}
	if m.WalletFor(cmd.Currency).IsZero() { // its first payment in this currency
		d.add(c, c.Now, events.WalletOpened{
			Wallet: events.Derive[events.WalletNoun](c.ID, 2), Owner: c.Merchant, Currency: cmd.Currency, Earning: true,
		})
	}
	d.main = len(d.drafts)
	d.add(c, c.Now, events.PaymentCreated{
		Payment: e.Payment, Session: events.Derive[events.SessionNoun](c.ID, 3), Currency: cmd.Currency, Amount: cmd.Amount,
		Customer: cmd.Customer, Consumer: e.Consumer, Details: cmd.Details, Anonymous: cmd.Anonymous,
	})
	openSession(c, c.Now, cmd.Term, e, d)
	return nil
}

func setupPaymentMethod(b *projections.Books, c Context, cmd SetupPaymentMethod, d *decision) *Rejection {
	if r := redirects(cmd.OnSuccess, cmd.OnFailure); r != nil {
		return r
	}
	if r := askedFor(b, c, &cmd); r != nil {
		return r
	}
	term := paymentTerm
	if !cmd.ExpiresAt.IsZero() {
		term = time.Duration(cmd.ExpiresAt - c.Now)
	}
	if term <= 0 || term > paymentTerm {
		return wrong("expiresAt", "must be in the future, and at most 30 days away")
	}
	openSession(c, c.Now, term, events.SessionOpened{
		Mode: events.SetupMode, Customer: cmd.Customer, Consumer: cmd.Consumer, Save: true, Details: cmd.Details,
		OnSuccess: cmd.OnSuccess, OnFailure: cmd.OnFailure,
	}, d)
	return nil
}

// askedFor makes a command name both the customer, if there is one, and the consumer behind it.
func askedFor(b *projections.Books, c Context, cmd *SetupPaymentMethod) *Rejection {
	if !cmd.Consumer.IsZero() {
		if _, r := merchantOf(b, c); r != nil {
			return r
		}
		cmd.Customer = b.CustomerOf(c.Merchant, cmd.Consumer)
		return mayReuse(b, c, cmd.Consumer)
	}
	customer := b.Customers.Get(cmd.Customer)
	if customer == nil || customer.Deleted || customer.Merchant != c.Merchant {
		return Reject(NotFound, "no customer %s", cmd.Customer)
	}
	if b.Consumers.Get(customer.Consumer).Erased {
		return Reject(Conflict, "consumer %s is erased", customer.Consumer)
	}
	cmd.Consumer = customer.Consumer
	return nil
}

func removePaymentMethod(b *projections.Books, c Context, cmd RemovePaymentMethod, d *decision) *Rejection {
	customer := b.Customers.Get(cmd.Customer)
	if customer == nil || customer.Deleted || customer.Merchant != c.Merchant {
		return Reject(NotFound, "no customer %s", cmd.Customer)
	}
	m := b.Methods.Get(cmd.Method)
	if m == nil || m.Consumer != customer.Consumer || !m.Bound.IsZero() && m.Bound != c.Merchant {
		return Reject(NotFound, "no payment method %s", cmd.Method)
	}
	if m.Bound.IsZero() && !c.Operator { // a full consumer's are its own
		return Reject(Forbidden, "payment method %s is under its consumer's control", cmd.Method)
	}
	if m.Removed {
		return Reject(Conflict, "payment method %s is removed already", cmd.Method)
	}
	d.add(c, c.Now, events.MethodRemoved{Method: cmd.Method, Consumer: m.Consumer})
	return nil
}
