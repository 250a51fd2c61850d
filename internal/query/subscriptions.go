package query

import (
	"context"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// Subscription is the agreement of a customer to a plan.
type Subscription struct {
	Sequence  events.Seq            `json:"sequence,omitzero"`
	ID        events.SubscriptionID `json:"id"`
	Merchant  events.OrganizationID `json:"merchantId"`
	Customer  events.CustomerID     `json:"customerId"`
	Plan      events.PlanID         `json:"planId"`
	Product   events.ProductID      `json:"productId"`
	Wallet    events.WalletID       `json:"walletId,omitzero"`
	Currency  events.Currency       `json:"currency"`
	Name      string                `json:"name,omitempty"`
	Erased    bool                  `json:"erased,omitempty"` // the consumer is: there is no name to read
	Status    projections.Status    `json:"status"`
	StartedAt events.Time           `json:"startedAt"`
	Anchor    events.Time           `json:"billingAnchor"`
	Cadence   events.Cadence        `json:"billingCadence"`
	EndingAt  events.Time           `json:"endingAt,omitzero"`
	EndedAt   events.Time           `json:"terminatedAt,omitzero"`
	EndedBy   string                `json:"terminatedBy,omitempty"`
	Reason    string                `json:"terminationReason,omitempty"`
	Code      string                `json:"terminationCode,omitempty"`
	Clock     events.TestClockID    `json:"testClockId,omitzero"`
	Halted    string                `json:"halted,omitempty"` // why its due actions have stopped, if they have
	Periods   []Period              `json:"openPeriods"`      // not yet invoiced, oldest first
	CreatedAt events.Time           `json:"createdAt"`
	UpdatedAt events.Time           `json:"updatedAt"`

	TaxExempt    bool                 `json:"taxExempt"`
	TaxRate      Percent              `json:"estimatedTaxRate"` // of its charges now, where the metric does not matter
	AutoCharge   bool                 `json:"autoCharge"`
	Minimum      events.Nanos         `json:"minimumAccountBalance"` // in nanos
	Reminders    *bool                `json:"renewalReminderEnabled"`
	ReminderDays *uint32              `json:"renewalReminderDays"`
	Payment      *SubscriptionPayment `json:"payment,omitempty"`

	Authorization *SubscriptionAuthorization `json:"authorization,omitempty"` // while it waits for that
}

// SubscriptionAuthorization is the link by which a full consumer agrees to a subscription of a merchant that it has not authorized yet.
type SubscriptionAuthorization struct {
	ID        events.AuthorizationID `json:"id"`
	URL       string                 `json:"url"`
	ExpiresAt events.Time            `json:"expiresAt" format:"date-time"`
}

// SubscriptionPayment is what is to be paid before a subscription is active, or was. Amounts are in units.
type SubscriptionPayment struct {
	Session   events.SessionID `json:"paymentSessionId,omitzero"` // while it waits to be paid
	URL       string           `json:"checkoutUrl,omitempty"`     // likewise
	Invoice   events.InvoiceID `json:"invoiceId,omitzero"`        // once it is active: of its first period, which has the charges of its start
	Amount    string           `json:"amount"`                    // 0 where nothing was to be paid
	Status    string           `json:"status" enum:"pending,paid"`
	Breakdown *Breakdown       `json:"breakdown,omitempty"` // while it waits to be paid
}

// Breakdown is what an amount to be paid is for, in units.
type Breakdown struct {
	Upfront string `json:"upfrontCharges"`
	Wallet  string `json:"walletCharge"`
}

// Period is a billing period whose invoice is not issued yet.
type Period struct {
	Number   uint32                    `json:"period"` // 0, 1, 2…
	Invoice  events.InvoiceID          `json:"invoiceId"`
	Status   projections.InvoiceStatus `json:"status"`
	Start    events.Time               `json:"periodStart"`
	End      events.Time               `json:"periodEnd"`
	GraceEnd events.Time               `json:"gracePeriodEnd"`
}

// SubscriptionArgs are the arguments of [Service.Subscription].
type SubscriptionArgs struct {
	At
	Subscription events.SubscriptionID `json:"subscriptionId"`
}

// Subscription answers how a subscription stands.
func (s *Service) Subscription(ctx context.Context, who wire.Who, args SubscriptionArgs) (sub Subscription, err error) {
	err = s.readOf(ctx, who, args.At, ofSubscription(args.Subscription), func(r *reading) error {
		row, err := r.subscription(args.Subscription)
		if err != nil {
			return err
		}
		sub, err = r.renderSubscription(args.Subscription, row)
		sub.Sequence = r.seq
		return err
	})
	return sub, err
}

// SubscriptionsArgs are the arguments of [Service.Subscriptions].
type SubscriptionsArgs struct {
	At
	Page
	Merchant events.OrganizationID `json:"merchantId,omitzero"`
	Customer events.CustomerID     `json:"customerId,omitzero"`
	Status   projections.Status    `json:"status,omitempty"`

	Consumer      events.OrganizationID `json:"consumerId,omitzero"`
	StartedBefore events.Time           `json:"startedBefore,omitzero"`
}

// match returns which subscriptions are wanted, or nil for all.
func (args *SubscriptionsArgs) match(r *reading) func(*projections.Subscription) bool {
	if args.Status == "" && args.Consumer.IsZero() && args.StartedBefore.IsZero() {
		return nil
	}
	return func(row *projections.Subscription) bool {
		if args.Status != "" && row.Status != args.Status || !args.StartedBefore.IsZero() && row.StartedAt >= args.StartedBefore {
			return false
		}
		if args.Consumer.IsZero() {
			return true
		}
		c := r.books.Customers.Get(row.Customer)
		return c != nil && c.Consumer == args.Consumer
	}
}

// Subscriptions lists subscriptions: of a customer, or of a merchant, or all.
func (s *Service) Subscriptions(ctx context.Context, who wire.Who, args SubscriptionsArgs) (list List[Subscription], err error) {
	merchant, err := asker(who).merchant(args.Merchant)
	if err != nil {
		return list, err
	}
	err = s.read(ctx, who, args.At, func(r *reading) (err error) {
		l := listing[events.SubscriptionID, projections.Subscription, Subscription]{
			table: r.books.Subscriptions, render: r.renderSubscription,
		}
		if l.from, err = r.from(merchant, args.Customer, projections.LinkSubscriptions, projections.LinkSubscriptionsOfCustomer); err != nil {
			return err
		}
		l.match = args.match(r)
		list, err = l.page(r, args.Page)
		return err
	})
	return list, err
}

// from returns where the things of a customer, of a merchant, or all are found.
func (r *reading) from(merchant events.OrganizationID, customer events.CustomerID, ofMerchant, ofCustomer projections.LinkOf) (source, error) {
	switch {
	case !customer.IsZero():
		row := r.books.Customers.Get(customer)
		if row == nil || !merchant.IsZero() && row.Merchant != merchant {
			return source{}, missing("customer", customer.String())
		}
		return source{ofCustomer, customer}, nil
	case !merchant.IsZero():
		return source{ofMerchant, merchant}, nil
	}
	return source{}, nil
}

func (r *reading) subscription(id events.SubscriptionID) (*projections.Subscription, error) {
	row := r.books.Subscriptions.Get(id)
	if row == nil || !r.who.sees(row.Merchant) {
		return nil, missing("subscription", id.String())
	}
	return row, nil
}

func (r *reading) renderSubscription(id events.SubscriptionID, row *projections.Subscription) (Subscription, error) {
	sub := Subscription{
		ID: id, Merchant: row.Merchant, Customer: row.Customer, Plan: row.Plan, Product: row.Product, Wallet: row.Wallet,
		Currency: row.Currency, Status: row.Status, StartedAt: row.StartedAt, Anchor: row.Anchor, Cadence: row.Cadence,
		EndingAt: row.EndingAt, EndedAt: row.EndedAt, EndedBy: row.EndedBy, Code: row.Code, Clock: row.Clock,
		Halted: row.Parked, Periods: []Period{}, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
	r.renderTerms(&sub, row)
	for i := range row.Periods {
		p := &row.Periods[i]
		period := Period{p.N, p.Invoice, projections.InvoiceActive, p.Start, p.End, p.GraceEnd}
		if p.Closing {
			period.Status = projections.InvoiceClosing
		}
		sub.Periods = append(sub.Periods, period)
	}
	var err error
	if sub.Name, sub.Erased, err = r.text(row.Name, wire.PurposeName); err != nil {
		return sub, err
	}
	if row.Name.IsZero() { // nobody has given it one
		sub.Name = r.books.Merchants.Get(row.Merchant).Name + " - " + r.books.Plans.Get(row.Plan).Name
	}
	if sub.Reason, _, err = r.text(row.Reason, wire.PurposeReason); sub.Reason == "" {
		sub.Reason = endedBecause(row.Code)
	}
	return sub, err
}

// renderTerms fills in how a subscription is paid for.
func (r *reading) renderTerms(sub *Subscription, row *projections.Subscription) {
	sub.AutoCharge, sub.Minimum, sub.ReminderDays = row.AutoCharge, row.Minimum, orNil(row.ReminderDays)
	now, _ := events.TimeOf(r.opts.Clock())
	if clock := r.books.Clocks.Get(row.Clock); clock != nil {
		now = clock.Now
	}
	sub.TaxExempt, sub.TaxRate = row.TaxExempt, Percent(commands.EstimatedTaxRate(r.books, row, now))
	if row.Reminders != "" {
		on := row.Reminders == events.RemindersOn
		sub.Reminders = &on
	}
	if a := r.books.Authorizations.Get(row.Authorization); a != nil && row.Status == projections.SubscriptionPending {
		sub.Authorization = &SubscriptionAuthorization{row.Authorization, r.opts.Links.Authorize(row.Authorization), a.ExpiresAt}
	}
	session := r.books.Sessions.Get(row.Checkout)
	switch {
	case row.Status == projections.SubscriptionPending && session != nil:
		rest, _ := session.Amount.Plus(session.Upfront.Neg())
		sub.Payment = &SubscriptionPayment{
			Session: row.Checkout, URL: r.opts.Links.Checkout(row.Checkout), Amount: decimals(session.Amount), Status: "pending",
			Breakdown: &Breakdown{decimals(session.Upfront), decimals(rest)},
		}
	case !row.First.IsZero():
		sub.Payment = &SubscriptionPayment{Invoice: row.First, Amount: "0", Status: "paid"}
		if session != nil {
			sub.Payment.Amount = decimals(session.Amount)
		}
	}
}

// endedBecause returns why a subscription has ended by itself, in words.
func endedBecause(code string) string {
	switch code {
	case commands.EndedAsPlanned:
		return "ended as planned"
	case commands.SessionNotPaid:
		return "payment session expired"
	case commands.SessionNotWanted:
		return "payment session cancelled"
	case commands.SessionDeclined:
		return "payment session failed"
	case commands.NotAuthorized:
		return "authorization expired"
	case commands.NotWanted:
		return "authorization refused"
	}
	return ""
}
