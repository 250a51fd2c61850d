package query

import (
	"context"
	"encoding/json"
	"fmt"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/payments"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// decimals returns an amount in units, with the two decimals of cents or as many as it takes.
func decimals(n events.Nanos) string {
	if d := n.Decimal(); d.Exponent() < -2 && d.Truncate(2).Equal(d) {
		return d.StringFixed(2)
	}
	return n.String()
}

// ListedSession is a payment session as lists show it.
type ListedSession struct {
	ID          events.SessionID     `json:"id"`
	Object      string               `json:"object"`     // "payment_session"
	EntityType  string               `json:"entityType"` // what is paid for: subscription, topup, payment, invoice or grant; in mode setup customer, or consumer where it is no customer
	EntityID    string               `json:"entityId"`
	EntityLabel *string              `json:"entityLabel"`
	Amount      string               `json:"amount"` // in units
	Currency    events.Currency      `json:"currency"`
	Status      events.SessionStatus `json:"status"`
	Account     *string              `json:"merchantPaymentAccountId"`
	Reference   *string              `json:"providerPaymentRef"`
	CompletedAt *events.Time         `json:"completedAt"`
	CreatedAt   events.Time          `json:"createdAt"`
	UpdatedAt   events.Time          `json:"updatedAt"`
}

// PaymentSession is all of a payment session.
type PaymentSession struct {
	Sequence     events.Seq            `json:"sequence,omitzero"`
	ID           events.SessionID      `json:"id"`
	Object       string                `json:"object"` // "paymentSession"
	Mode         events.SessionMode    `json:"mode"`
	Status       events.SessionStatus  `json:"status"`
	URL          string                `json:"url"`
	OnSuccess    *string               `json:"successRedirectUrl"`
	OnFailure    *string               `json:"failureRedirectUrl"`
	Metadata     map[string]string     `json:"metadata,omitempty"`
	ExpiresAt    events.Time           `json:"expiresAt,omitzero"` // never, where it is not given: as long as an invoice is to be paid
	CompletedAt  *events.Time          `json:"completedAt"`
	CreatedAt    events.Time           `json:"createdAt"`
	UpdatedAt    events.Time           `json:"updatedAt"`
	EntityType   string                `json:"entityType"`
	EntityID     string                `json:"entityId"`
	Amount       string                `json:"amount"`
	Currency     events.Currency       `json:"currency,omitzero"`
	Upfront      string                `json:"upfrontCharges"` // what of the amount pays charges that are due at once
	ToWallet     string                `json:"walletCharge"`   // the rest, which goes to the wallet
	Merchant     events.OrganizationID `json:"merchantId,omitzero"`
	MerchantName string                `json:"merchantName,omitempty"`
	Customer     events.CustomerID     `json:"customerId,omitzero"`
	Subscription events.SubscriptionID `json:"subscriptionId,omitzero"`
	Charge       events.ChargeID       `json:"chargeId,omitzero"`
	ActionNeeded bool                  `json:"actionRequired"` // the payer has to act before the latest charge is made
	Code         string                `json:"code,omitempty"` // why the latest charge was declined, or why the session is over
	Declined     uint32                `json:"declinedCount"`
	Clock        events.TestClockID    `json:"testClockId,omitzero"`
	SavesMethod  bool                  `json:"savePaymentMethod"`
}

// PaymentSessionArgs are the arguments of [Service.PaymentSession].
type PaymentSessionArgs struct {
	At
	Session events.SessionID `json:"paymentSessionId"`
}

// PaymentSession answers how a payment session stands.
func (s *Service) PaymentSession(ctx context.Context, who wire.Who, args PaymentSessionArgs) (p PaymentSession, err error) {
	err = s.read(ctx, who, args.At, func(r *reading) error {
		row := r.books.Sessions.Get(args.Session)
		if row == nil || !r.who.sees(row.Merchant) {
			return missing("payment session", args.Session.String())
		}
		p, err = r.renderSession(args.Session, row)
		p.Sequence = r.seq
		return err
	})
	return p, err
}

// PaymentSessionsArgs are the arguments of [Service.PaymentSessions].
type PaymentSessionsArgs struct {
	At
	Page
	Merchant     events.OrganizationID `json:"merchantId,omitzero"`
	Customer     events.CustomerID     `json:"customerId,omitzero"`
	Subscription events.SubscriptionID `json:"subscriptionId,omitzero"`
	Status       events.SessionStatus  `json:"status,omitempty"`
	EntityType   string                `json:"entityType,omitempty"`
}

// PaymentSessions lists payment sessions: of a subscription, of a customer, of a merchant, or all.
func (s *Service) PaymentSessions(ctx context.Context, who wire.Who, args PaymentSessionsArgs) (list List[ListedSession], err error) {
	merchant, err := asker(who).merchant(args.Merchant)
	if err != nil {
		return list, err
	}
	err = s.read(ctx, who, args.At, func(r *reading) (err error) {
		l := listing[events.SessionID, projections.Session, ListedSession]{table: r.books.Sessions, render: renderListedSession}
		if l.from, err = r.from(merchant, args.Customer, projections.LinkSessions, projections.LinkSessionsOfCustomer); err != nil {
			return err
		}
		if !args.Subscription.IsZero() {
			if _, err := r.subscription(args.Subscription); err != nil {
				return err
			}
			l.from = source{projections.LinkSessionsOfSubscription, args.Subscription}
		}
		l.match = func(row *projections.Session) bool {
			of, _ := entityOf(row)
			return (args.Status == "" || row.Status == args.Status) && (args.EntityType == "" || of == args.EntityType)
		}
		list, err = l.page(r, args.Page)
		return err
	})
	return list, err
}

// entityOf returns what a session is for, as the API calls it, and its identity.
func entityOf(row *projections.Session) (kind, id string) {
	switch {
	case !row.Grant.IsZero():
		return "grant", row.Grant.String()
	case !row.TopUp.IsZero():
		return "topup", row.TopUp.String()
	case !row.Payment.IsZero():
		return "payment", row.Payment.String()
	case !row.Invoice.IsZero():
		return "invoice", row.Invoice.String()
	case !row.Subscription.IsZero():
		return "subscription", row.Subscription.String()
	}
	if row.Customer.IsZero() {
		return "consumer", row.Consumer.String()
	}
	return "customer", row.Customer.String()
}

// orNil returns nil for nothing.
func orNil[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

func renderListedSession(id events.SessionID, row *projections.Session) (ListedSession, error) {
	kind, entity := entityOf(row)
	return ListedSession{
		ID: id, Object: "payment_session", EntityType: kind, EntityID: entity, Amount: decimals(row.Amount), Currency: row.Currency,
		Status: row.Status, Reference: orNil(row.Reference), CompletedAt: orNil(row.CompletedAt), CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}, nil
}

func (r *reading) renderSession(id events.SessionID, row *projections.Session) (PaymentSession, error) {
	kind, entity := entityOf(row)
	rest, _ := row.Amount.Plus(row.Upfront.Neg())
	p := PaymentSession{
		ID: id, Object: "paymentSession", Mode: row.Mode, Status: row.Status, URL: r.opts.Links.Checkout(id),
		OnSuccess: orNil(row.OnSuccess), OnFailure: orNil(row.OnFailure), ExpiresAt: row.ExpiresAt, CompletedAt: orNil(row.CompletedAt),
		CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, EntityType: kind, EntityID: entity, Amount: decimals(row.Amount),
		Currency: row.Currency, Upfront: decimals(row.Upfront), ToWallet: decimals(rest), Merchant: row.Merchant, Customer: row.Customer,
		Subscription: row.Subscription, Charge: row.Charge, Code: row.Code, Declined: row.Declined, Clock: row.Clock, SavesMethod: row.Save,
	}
	if row.Wallet.IsZero() {
		p.ToWallet = decimals(0)
	}
	if m := r.books.Merchants.Get(row.Merchant); m != nil {
		p.MerchantName = m.Name
	}
	if c := r.books.Charges.Get(row.Charge); c != nil && row.Status == events.SessionPending {
		p.ActionNeeded = c.Status == projections.ChargeActionRequired
	}
	var details wire.PaymentDetails
	_, err := r.unsealInto(row.Details, wire.PurposePayment, &details)
	p.Metadata = details.Metadata
	return p, err
}

// Payment is a one-off payment.
type Payment struct {
	Sequence  events.Seq            `json:"sequence,omitzero"`
	ID        events.PaymentID      `json:"id"`
	Object    string                `json:"object"` // "payment"
	Merchant  events.OrganizationID `json:"merchantId"`
	Amount    string                `json:"amount"` // in units
	Currency  events.Currency       `json:"currency"`
	URL       string                `json:"paymentUrl,omitempty"`
	Session   events.SessionID      `json:"paymentSessionId"`
	Customer  events.CustomerID     `json:"customerId,omitzero"`
	Key       string                `json:"idempotencyKey,omitempty"`
	Reference string                `json:"reference,omitempty"`
	Metadata  map[string]string     `json:"metadata,omitempty"`
	Lines     []PaymentLine         `json:"lineItems,omitempty"`
	Status    events.SessionStatus  `json:"status"` // pending, processing, completed, expired or cancelled
	ExpiresAt events.Time           `json:"expiresAt"`
	CreatedAt events.Time           `json:"createdAt"`
}

// PaymentLine is a part of a one-off payment.
type PaymentLine struct {
	Description string `json:"description"`
	Amount      string `json:"amount"` // in units
	Quantity    int64  `json:"quantity"`
}

// PaymentArgs are the arguments of [Service.Payment].
type PaymentArgs struct {
	At
	Payment events.PaymentID `json:"paymentId"`
}

// Payment answers how a one-off payment stands.
func (s *Service) Payment(ctx context.Context, who wire.Who, args PaymentArgs) (p Payment, err error) {
	err = s.read(ctx, who, args.At, func(r *reading) error {
		row := r.books.Payments.Get(args.Payment)
		if row == nil || !r.who.sees(row.Merchant) {
			return missing("payment", args.Payment.String())
		}
		p, err = r.renderPayment(args.Payment, row)
		p.Sequence = r.seq
		return err
	})
	return p, err
}

// PaymentsArgs are the arguments of [Service.Payments].
type PaymentsArgs struct {
	At
	Page
	Merchant events.OrganizationID `json:"merchantId,omitzero"`
	Customer events.CustomerID     `json:"customerId,omitzero"`
	Status   events.SessionStatus  `json:"status,omitempty"`
}

// Payments lists one-off payments: of a customer, of a merchant, or all.
func (s *Service) Payments(ctx context.Context, who wire.Who, args PaymentsArgs) (list List[Payment], err error) {
	merchant, err := asker(who).merchant(args.Merchant)
	if err != nil {
		return list, err
	}
	err = s.read(ctx, who, args.At, func(r *reading) (err error) {
		l := listing[events.PaymentID, projections.Payment, Payment]{table: r.books.Payments, render: r.renderPayment}
		if l.from, err = r.from(merchant, args.Customer, projections.LinkPayments, projections.LinkPaymentsOfCustomer); err != nil {
			return err
		}
		if args.Status != "" {
			l.match = func(row *projections.Payment) bool { return r.paymentStatus(row) == args.Status }
		}
		list, err = l.page(r, args.Page)
		return err
	})
	return list, err
}

// paymentStatus returns the state of a payment, which is that of its session; the API has no failed payments, and one
// whose cards were all declined is cancelled.
func (r *reading) paymentStatus(row *projections.Payment) events.SessionStatus {
	s := r.books.Sessions.Get(row.Session)
	switch {
	case s == nil: // books as they were between the payment's record and that of its session
		return events.SessionPending
	case s.Status == events.SessionFailed:
		return events.SessionCancelled
	}
	return s.Status
}

func (r *reading) renderPayment(id events.PaymentID, row *projections.Payment) (Payment, error) {
	p := Payment{
		ID: id, Object: "payment", Merchant: row.Merchant, Amount: decimals(row.Amount), Currency: row.Currency, URL: r.opts.Links.Checkout(row.Session),
		Session: row.Session, Customer: row.Customer, Key: row.Key, Status: r.paymentStatus(row),
		CreatedAt: row.At,
	}
	if s := r.books.Sessions.Get(row.Session); s != nil {
		p.ExpiresAt = s.ExpiresAt
	}
	var details wire.PaymentDetails
	if row.Anonymous != "" {
		if err := json.Unmarshal([]byte(row.Anonymous), &details); err != nil {
			return p, fmt.Errorf("reading the details of payment %s: %w", id, err)
		}
	} else if _, err := r.unsealInto(row.Details, wire.PurposePayment, &details); err != nil {
		return p, err
	}
	p.Reference, p.Metadata = details.Reference, details.Metadata
	for _, l := range details.Lines {
		p.Lines = append(p.Lines, PaymentLine{l.Description, decimals(l.Amount), l.Quantity})
	}
	return p, nil
}

// PaymentMethod is a stored payment method.
type PaymentMethod struct {
	ID        events.MethodID `json:"id"`
	Object    string          `json:"object"` // "paymentMethod"
	Type      *string         `json:"type"`
	Brand     *string         `json:"brand"`
	Last4     *string         `json:"last4"`
	ExpMonth  *int            `json:"expMonth"`
	ExpYear   *int            `json:"expYear"`
	CreatedAt events.Time     `json:"createdAt"`
}

// PaymentMethods lists the payment methods of a customer that its merchant may charge.
func (s *Service) PaymentMethods(ctx context.Context, who wire.Who, args CustomerArgs) (list List[PaymentMethod], err error) {
	err = s.read(ctx, who, args.At, func(r *reading) error {
		row, err := r.customer(args.Customer)
		if err != nil {
			return err
		}
		list = List[PaymentMethod]{Sequence: r.seq, Items: []PaymentMethod{}}
		consumer := r.books.Consumers.Get(row.Consumer)
		for _, ref := range consumer.Methods {
			if ref.Bound != row.Merchant && (!ref.Bound.IsZero() || consumer.Stranger(row.Merchant)) {
				continue
			}
			m, err := r.renderMethod(ref.Method)
			if err != nil {
				return err
			}
			list.Items = append(list.Items, m)
		}
		list.Total = len(list.Items)
		return nil
	})
	return list, err
}

func (r *reading) renderMethod(id events.MethodID) (PaymentMethod, error) {
	row := r.books.Methods.Get(id)
	var card payments.Card
	erased, err := r.unsealInto(row.Details, wire.PurposeCard, &card)
	m := PaymentMethod{ID: id, Object: "paymentMethod", CreatedAt: row.At}
	if err == nil && !erased {
		m.Type, m.Brand, m.Last4 = orNil("card"), orNil(card.Brand), orNil(card.Last4)
		m.ExpMonth, m.ExpYear = orNil(card.ExpMonth), orNil(card.ExpYear)
	}
	return m, err
}

// TopUp is money that comes to a wallet, or has, or will not.
type TopUp struct {
	ID        events.TopUpID     `json:"id"`
	Object    string             `json:"object"` // "topup"
	Wallet    events.WalletID    `json:"walletId"`
	Status    events.TopUpStatus `json:"status"`
	Amount    events.Sum         `json:"amountNanos"`
	Currency  events.Currency    `json:"currency"`
	Method    string             `json:"method"`
	Payload   map[string]string  `json:"payload"` // where a payer is needed: the session and its URL
	Code      string             `json:"code,omitempty"`
	CreatedAt events.Time        `json:"createdAt"`
	UpdatedAt events.Time        `json:"updatedAt"`
}

// TopUp answers what became of a top-up.
func (s *Service) TopUp(ctx context.Context, who wire.Who, args OneArgs[events.TopUpID]) (t TopUp, err error) {
	err = s.read(ctx, who, args.At, func(r *reading) error {
		row := r.books.TopUps.Get(args.ID)
		if row == nil || !r.who.sees(merchantOf(r.books.Wallets.Get(row.Wallet))) {
			return missing("top-up", args.ID.String())
		}
		t, err = r.renderTopUp(args.ID, row)
		return err
	})
	return t, err
}

// TopUpsArgs are the arguments of [Service.TopUps].
type TopUpsArgs struct {
	At
	Page
	Wallet events.WalletID    `json:"walletId"`
	Status events.TopUpStatus `json:"status,omitempty"`
	From   events.Time        `json:"from,omitzero"` // inclusive
	To     events.Time        `json:"to,omitzero"`   // exclusive
}

// TopUps lists the top-ups of a wallet.
func (s *Service) TopUps(ctx context.Context, who wire.Who, args TopUpsArgs) (list List[TopUp], err error) {
	if args.Wallet.IsZero() {
		return list, commands.Reject(commands.Invalid, "name the wallet")
	}
	err = s.read(ctx, who, args.At, func(r *reading) (err error) {
		if _, err := r.wallet(WalletArgs{Wallet: args.Wallet}); err != nil {
			return err
		}
		list, err = listing[events.TopUpID, projections.TopUp, TopUp]{
			table: r.books.TopUps, from: source{projections.LinkTopUps, args.Wallet}, render: r.renderTopUp,
			match: func(t *projections.TopUp) bool {
				return (args.Status == "" || t.Status == args.Status) && t.CreatedAt >= args.From && (args.To == 0 || t.CreatedAt < args.To)
			},
		}.page(r, args.Page)
		return err
	})
	return list, err
}

func (r *reading) renderTopUp(id events.TopUpID, row *projections.TopUp) (TopUp, error) {
	t := TopUp{
		ID: id, Object: "topup", Wallet: row.Wallet, Status: row.Status, Amount: events.SumOf(row.Amount), Currency: row.Currency, Method: row.Method,
		Payload: map[string]string{}, Code: row.Code, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
	if !row.Session.IsZero() {
		t.Payload["paymentSessionId"], t.Payload["checkoutUrl"] = row.Session.String(), r.opts.Links.Checkout(row.Session)
	}
	return t, nil
}

// paymentQueries are the names of the queries about payments.
func paymentQueries() []string {
	return []string{"Payment", "PaymentMethods", "PaymentSession", "PaymentSessions", "Payments", "TopUp", "TopUps"}
}

// paymentQuery returns the query of a name, nil for the name of another.
func (s *Service) paymentQuery(name string) asked {
	switch name {
	case "Payment":
		return answering(s.Payment)
	case "PaymentMethods":
		return answering(s.PaymentMethods)
	case "PaymentSession":
		return answering(s.PaymentSession)
	case "PaymentSessions":
		return answering(s.PaymentSessions)
	case "Payments":
		return answering(s.Payments)
	case "TopUp":
		return answering(s.TopUp)
	case "TopUps":
		return answering(s.TopUps)
	}
	return nil
}
