package commands

import (
	"cmp"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// CreateSubscription makes the agreement of a customer to a plan: active at once, or, where something is to be paid first,
// once a payment session is paid.
type CreateSubscription struct {
	Customer     events.CustomerID
	New          *CreateCustomer // instead of Customer: the customer is made, or found by its e-mail address
	Plan         events.PlanID
	Name         events.Sealed
	StartedAt    events.Time
	EndingAt     events.Time // zero for an indefinite one
	Clock        events.TestClockID
	TaxExempt    bool
	AutoCharge   bool         // invoices are paid with the stored method
	Minimum      events.Nanos // that the wallet is topped up to, now and at each renewal; 0 for none
	Reminders    events.Reminders
	ReminderDays uint32 // 1 to 30; 0 for the plan's
	OnSuccess    string
	OnFailure    string
	Term         time.Duration   // of the payment session; 0 for 240 minutes
	Wallet       events.WalletID // that pays; zero for the one that pays for everything
	Virtual      bool            // it is paid from a wallet of its own, which is opened with it
}

// UpdateSubscription changes the terms of a subscription that is not terminated. A new minimum counts from the next renewal on.
type UpdateSubscription struct {
	Subscription events.SubscriptionID
	EndingAt     Change[events.Time] // zero for an indefinite one
	AutoCharge   Change[bool]
	Minimum      Change[events.Nanos]
	Reminders    Change[events.Reminders]
	ReminderDays Change[uint32]
	TaxExempt    Change[bool]
}

// TerminateSubscription ends a subscription now. Its open periods are invoiced at once (A29).
type TerminateSubscription struct {
	Subscription events.SubscriptionID
	EndedAt      events.Time // zero, or later than now, for now
	Reason       events.Sealed
}

// maxBackdating is how long before its creation a subscription may have started.
const maxBackdating = 366 * 24 * time.Hour

// Why a subscription is terminated that nobody has paid for (A16).
const (
	SessionNotPaid   = "PAYMENT_SESSION_EXPIRED"
	SessionNotWanted = "PAYMENT_SESSION_CANCELLED"
	SessionDeclined  = "PAYMENT_SESSION_FAILED"
)

// agreementOK refuses terms that make no sense by themselves.
func agreementOK(startedAt, endingAt events.Time, reminders events.Reminders, days uint32) *Rejection {
	if r := first(billable("startedAt", startedAt), billable("endingAt", endingAt)); r != nil {
		return r
	}
	switch {
	case endingAt != 0 && endingAt <= startedAt:
		return wrong("endingAt", "must be after startedAt")
	case reminders != "" && reminders != events.RemindersOn && reminders != events.RemindersOff:
		return wrong("reminders", "%.40q is neither on nor off", reminders)
	case days > maxReminderDays:
		return wrong("renewalReminderDays", "is %d; it must be from 1 to %d", days, maxReminderDays)
	}
	return nil
}

// minimumOK refuses a minimum of a wallet that its merchant does not ask for.
func minimumOK(minimum events.Nanos, m *projections.MerchantRow) *Rejection {
	if limit := limitOf(m); minimum < 0 || minimum > limit {
		return wrong("minimumAccountBalance", "is %s; it must be from 0 to %s", minimum, limit)
	}
	return nil
}

// agreement is what a subscription is decided on.
type agreement struct {
	cmd      CreateSubscription
	merchant *projections.MerchantRow
	plan     *projections.Plan
	owner    events.OrganizationID // the consumer
	consumer *projections.Consumer
	wallet   events.WalletID // that pays; zero where it is still to be opened
	main     events.WalletID // that pays for everything else; likewise
	now      events.Time
	schedule schedule
	fees     []events.QuotedFee // that are due at once
	upfront  events.Nanos       // what they come to, in whole cents
	amount   events.Nanos       // what is to be paid before it is active
	save     bool               // the card that pays it is stored
}

func createSubscription(b *projections.Books, c Context, cmd CreateSubscription, d *decision) *Rejection {
	if cmd.StartedAt.IsZero() {
		return wrong("startedAt", "is required")
	}
	if cmd.Term == 0 {
		cmd.Term = subscribeTerm
	}
	if r := first(
		agreementOK(cmd.StartedAt, cmd.EndingAt, cmd.Reminders, cmd.ReminderDays), redirects(cmd.OnSuccess, cmd.OnFailure),
	); r != nil {
		return r
	}
	if cmd.Term < shortestTerm || cmd.Term > longestTerm {
		return wrong("sessionExpiryMinutes", "is %d; it must be from 1 to %d", cmd.Term/time.Minute, longestTerm/time.Minute)
	}
	j := agreement{cmd: cmd}
	var r *Rejection
	if j.merchant, r = merchantOf(b, c); r != nil {
		return r
	}
	if r := minimumOK(cmd.Minimum, j.merchant); r != nil {
		return r
	}
	j.plan = b.Plans.Get(cmd.Plan)
	if j.plan == nil || j.plan.Merchant != c.Merchant {
		return Reject(NotFound, "no plan %s", cmd.Plan)
	}
	j.schedule = schedule{cmp.Or(j.plan.Anchor, hour(cmd.StartedAt)), cmd.StartedAt, j.plan.Cadence}
	if r := clockUsable(b, c, cmd.Clock); r != nil {
		return r
	}
	if r := j.who(b, c, d); r != nil {
		return r
	}
	if !cmd.Name.IsZero() && !goesWith(b, cmd.Name.Key, j.owner) {
		return Reject(Busy, "the consumer was made by another command just now; repeat")
	}
	j.now = b.ClockNow(cmd.Clock, c.Now)
	if cmd.StartedAt < j.now.Add(-maxBackdating) {
		return wrong("startedAt", "%s is more than a year ago", cmd.StartedAt)
	}
	if done, r := sameProduct(b, c, j.cmd.Customer, cmd.Plan, j.plan, d); done || r != nil {
		return r
	}
	switch {
	case j.consumer.Erased:
		return Reject(Conflict, "consumer %s is erased", j.owner)
	case !b.AwaitedBy(c.Merchant, j.owner, j.consumer).IsZero():
		if cmd.Virtual || !cmd.Wallet.IsZero() {
			return Reject(Forbidden, "consumer %s must authorize this merchant before a wallet is chosen for it", j.owner)
		}
		j.await(c, d)
		return nil
	case j.consumer.Type == events.Managed && !j.merchant.Settings.ManagedPrepaid && j.plan.Prepays():
		return Reject(ManagedPostpaidOnly, "a managed consumer cannot take a plan with instant prices")
	case j.consumer.Type == events.Managed && !j.merchant.Settings.ManagedPrepaid && cmd.Minimum > 0:
		return Reject(ManagedPostpaidOnly, "a managed consumer cannot prepay: minimumAccountBalance must be 0")
	}
	if r := j.price(b, c); r != nil {
		return r
	}
	j.subscribe(b, c, d)
	return nil
}

// who finds the customer that the subscription is for, or adds the making of it.
func (j *agreement) who(b *projections.Books, c Context, d *decision) *Rejection {
	if j.cmd.New == nil {
		customer := b.Customers.Get(j.cmd.Customer)
		if customer == nil || customer.Deleted || customer.Merchant != c.Merchant {
			return Reject(NotFound, "no customer %s", j.cmd.Customer)
		}
		j.owner, j.consumer = customer.Consumer, b.Consumers.Get(customer.Consumer)
		return nil
	}
	if !j.cmd.Customer.IsZero() {
		return Reject(Invalid, "give either customerId or customer")
	}
	if r := createCustomer(b, c, *j.cmd.New, d); r != nil {
		return r
	}
	if d.existing != nil {
		j.cmd.Customer, d.existing = events.CustomerID(d.existing.ID.id), nil
		j.owner = b.Customers.Get(j.cmd.Customer).Consumer
		j.consumer = b.Consumers.Get(j.owner)
		return nil
	}
	made := &projections.Consumer{Type: events.Managed, Manager: c.Merchant} // if it is
	for i := range d.drafts {
		switch e := d.drafts[i].event.(type) {
		case events.ConsumerCreated:
			made.Email, made.StandsIn = e.Email, e.StandsIn
		case events.WalletOpened:
			made.Wallets = []projections.WalletRef{{Currency: e.Currency, Wallet: e.Wallet, Bound: e.Bound}}
		case events.CustomerCreated:
			j.cmd.Customer, j.owner = e.Customer, e.Consumer
		default:
		}
	}
	if j.consumer = b.Consumers.Get(j.owner); j.consumer == nil {
		j.consumer = made
	}
	return nil
}

// sameProduct answers with the subscription that the customer has to the plan, or
// refuses if it has one to another plan of the product (A1, A2).
func sameProduct(b *projections.Books, c Context, customer events.CustomerID, planID events.PlanID, plan *projections.Plan, d *decision) (done bool, _ *Rejection) {
	for _, of := range []*projections.Active{b.Active.Get(customer), b.Pending.Get(customer)} {
		if of == nil {
			continue
		}
		for _, id := range of.Subscriptions {
			s := b.Subscriptions.Get(id)
			if d.overdue = overdueOn(b, c, id, s); !d.overdue.isZero() { // it may end
				return true, nil
			}
			if s.Plan == planID {
				d.existing = &Receipt{Status: Duplicate, Seq: s.Created, ID: Ref{refSubscription, id}}
				return true, nil
			}
			if s.Product == plan.Product {
				return false, Reject(Conflict, "the customer has subscription %s to another plan of this product", id)
			}
		}
	}
	return false, nil
}

// overdueOn returns what has fallen due, unnoticed, on a subscription or on the session that it waits for.
func overdueOn(b *projections.Books, c Context, id events.SubscriptionID, s *projections.Subscription) (on subject) {
	now := b.ClockNow(s.Clock, c.Now)
	if overdue(s, now) {
		return onSubscription(id)
	}
	if s.Status != projections.SubscriptionPending {
		return on
	}
	waits := subject{}
	switch {
	case !s.Authorization.IsZero():
		waits = onAuthorization(s.Authorization)
	case !s.Session.IsZero():
		waits = onSession(s.Session)
	}
	if next, _ := nextDueOn(b, waits); next.at != 0 && next.at <= now {
		return waits
	}
	return on
}

// subscriptionOf returns a subscription of the merchant that is not terminated, and what time it is for it. Where something is
// overdue on it, that comes first.
func subscriptionOf(b *projections.Books, c Context, id events.SubscriptionID, d *decision) (s *projections.Subscription, now events.Time, _ *Rejection) {
	s = b.Subscriptions.Get(id)
	if s == nil || s.Merchant != c.Merchant {
		return nil, 0, Reject(NotFound, "no subscription %s", id)
	}
	if s.Status == projections.SubscriptionTerminated {
		return nil, 0, Reject(AlreadyTerminated, "subscription %s ended at %s", id, s.EndedAt)
	}
	if r := clockUsable(b, c, s.Clock); r != nil {
		return nil, 0, r
	}
	d.overdue = overdueOn(b, c, id, s)
	return s, b.ClockNow(s.Clock, c.Now), nil
}

func updateSubscription(b *projections.Books, c Context, cmd UpdateSubscription, d *decision) *Rejection {
	s, now, r := subscriptionOf(b, c, cmd.Subscription, d)
	if r != nil || !d.overdue.isZero() {
		return r
	}
	e := events.SubscriptionUpdated{
		Subscription: cmd.Subscription, EndingAt: cmd.EndingAt.over(s.EndingAt), AutoCharge: cmd.AutoCharge.over(s.AutoCharge),
		Minimum: cmd.Minimum.over(s.Minimum), Reminders: cmd.Reminders.over(s.Reminders), ReminderDays: cmd.ReminderDays.over(s.ReminderDays),
		TaxExempt: cmd.TaxExempt.over(s.TaxExempt),
	}
	if r := first(
		agreementOK(s.StartedAt, e.EndingAt, e.Reminders, e.ReminderDays), minimumOK(e.Minimum, b.Merchants.Get(s.Merchant)),
	); r != nil {
		return r
	}
	if cmd.EndingAt.Given && e.EndingAt != 0 && e.EndingAt <= now {
		return wrong("endingAt", "must be in the future; end the subscription instead")
	}
	if e.Minimum > 0 && !mayPrepay(b, c, b.Consumers.Get(b.Customers.Get(s.Customer).Consumer)) {
		return Reject(ManagedPostpaidOnly, "a managed consumer cannot prepay: minimumAccountBalance must be 0")
	}
	d.add(c, now, e)
	return nil
}

func terminateSubscription(b *projections.Books, c Context, cmd TerminateSubscription, d *decision) *Rejection {
	by, r := whoEnds(b, c, cmd.Subscription)
	if r != nil {
		return r
	}
	s, now, r := subscriptionOf(b, c, cmd.Subscription, d)
	if r != nil || !d.overdue.isZero() {
		return r
	}
	ended, r := endsAt(b, &cmd, s, now)
	if r != nil {
		return r
	}
	terminate(b, c, cmd.Subscription, s, now, events.SubscriptionTerminated{
		Subscription: cmd.Subscription, EndedAt: ended, By: by, Reason: cmd.Reason,
	}, d)
	return nil
}

// endsAt returns when a subscription ends that is ended now: at the time that is named, if it is not still to come. It refuses an earlier one
// than what is billed: nothing is billed after the end (A20), and what is billed stays.
func endsAt(b *projections.Books, cmd *TerminateSubscription, s *projections.Subscription, now events.Time) (events.Time, *Rejection) {
	switch {
	case cmd.EndedAt == 0:
		return now, nil
	case cmd.EndedAt <= s.StartedAt:
		return 0, wrong("terminatedAt", "%s is not after startedAt %s", cmd.EndedAt, s.StartedAt)
	}
	for i := range s.Periods {
		p := &s.Periods[i]
		if !p.Closing && cmd.EndedAt < p.Start {
			return 0, Reject(BilledSince, "subscription %s was renewed at %s, after terminatedAt %s", cmd.Subscription, p.Start, cmd.EndedAt)
		}
		if a := b.Accruals.Get(projections.PeriodKey{Subscription: cmd.Subscription, Period: p.N}); cmd.EndedAt < now && a != nil && a.Latest >= cmd.EndedAt {
			return 0, Reject(BilledSince, "subscription %s was used at %s, after terminatedAt %s", cmd.Subscription, a.Latest, cmd.EndedAt)
		}
	}
	return min(cmd.EndedAt, now), nil
}

// whoEnds returns who a subscription is ended by: the customer, whose user must be allowed to, or the merchant.
// Whoever may not learns nothing of it.
func whoEnds(b *projections.Books, c Context, id events.SubscriptionID) (by string, r *Rejection) {
	s := b.Subscriptions.Get(id)
	if c.Actor.Kind != events.ActorUser || s == nil {
		return c.Merchant.String(), nil
	}
	return s.Customer.String(), mayActFor(b, c, b.Customers.Get(s.Customer).Consumer, events.BillingRole)
}

// terminate records the end of a subscription and closes and invoices its open periods at once. Nobody pays for it any more.
func terminate(b *projections.Books, c Context, id events.SubscriptionID, s *projections.Subscription, at events.Time,
	e events.SubscriptionTerminated, d *decision,
) {
	d.main = len(d.drafts)
	d.add(c, at, e)
	if a := b.Authorizations.Get(s.Authorization); a != nil && a.Status == events.AuthorizationPending {
		d.add(c, at, events.AuthorizationEnded{Authorization: s.Authorization, Status: events.AuthorizationCancelled})
	}
	if session := b.Sessions.Get(s.Session); session != nil && session.Status == events.SessionPending && session.Invoice.IsZero() {
		d.add(c, at, events.SessionEnded{Session: s.Session, Status: events.SessionCancelled})
		if !session.TopUp.IsZero() {
			d.add(c, at, events.TopUpEnded{TopUp: session.TopUp, Wallet: session.Wallet, Status: events.TopUpCancelled})
		}
	}
	bill := newBiller(b, c, s)
	bill.balance = releaseAll(b, id, at, d)
	cancelEntitlements(b, c, id, s.Customer, at, d)
	for i := range s.Periods {
		p := s.Periods[i]
		if !p.Closing {
			p.End = max(e.EndedAt, p.Start)
			d.add(c, at, events.InvoiceClosing{Invoice: p.Invoice, Subscription: id, Period: p.N, End: p.End, GraceEnd: p.End})
		}
		bill.issue(id, &p, at, d)
	}
}
