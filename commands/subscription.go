package commands

import (
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// CreateSubscription makes the agreement of a customer to a plan, active at once.
type CreateSubscription struct {
	Customer  events.CustomerID
	Plan      events.PlanID
	Name      events.Sealed
	StartedAt events.Time
	EndingAt  events.Time // zero for an indefinite one
	Clock     events.TestClockID
	TaxExempt bool
}

// TerminateSubscription ends a subscription now. Its open periods are invoiced at once (A29).
type TerminateSubscription struct {
	Subscription events.SubscriptionID
	Reason       events.Sealed
}

// maxBackdating is how long before its creation a subscription may have started.
const maxBackdating = 366 * 24 * time.Hour

func createSubscription(b *projections.Books, c Context, cmd CreateSubscription, d *decision) *Rejection {
	if cmd.StartedAt.IsZero() {
		return Reject(Invalid, "startedAt is required")
	}
	if r := first(billable("startedAt", cmd.StartedAt), billable("endingAt", cmd.EndingAt)); r != nil {
		return r
	}
	if cmd.EndingAt != 0 && cmd.EndingAt <= cmd.StartedAt {
		return Reject(Invalid, "endingAt must be after startedAt")
	}
	m, r := merchantOf(b, c)
	if r != nil {
		return r
	}
	plan := b.Plans.Get(cmd.Plan)
	if plan == nil || plan.Merchant != c.Merchant {
		return Reject(NotFound, "no plan %s", cmd.Plan)
	}
	customer := b.Customers.Get(cmd.Customer)
	if customer == nil || customer.Deleted || customer.Merchant != c.Merchant {
		return Reject(NotFound, "no customer %s", cmd.Customer)
	}
	if r := clockUsable(b, c, cmd.Clock); r != nil {
		return r
	}
	now := b.ClockNow(cmd.Clock, c.Now)
	if cmd.StartedAt < now.Add(-maxBackdating) {
		return Reject(Invalid, "startedAt %s is more than a year ago", cmd.StartedAt)
	}
	if done, r := sameProduct(b, c, cmd, plan, d); done || r != nil {
		return r
	}
	consumer := b.Consumers.Get(customer.Consumer)
	if consumer.Erased {
		return Reject(Conflict, "consumer %s is erased", customer.Consumer)
	}
	if consumer.Type == events.Managed && plan.Prepays() && !m.Settings.ManagedPrepaid {
		return Reject(ManagedPostpaidOnly, "a managed consumer cannot take a plan with instant prices")
	}
	subscribe(b, c, cmd, plan, consumer, customer, now, d)
	return nil
}

// sameProduct answers with the subscription that the customer has to the plan, or
// refuses if it has one to another plan of the product (A1, A2).
func sameProduct(b *projections.Books, c Context, cmd CreateSubscription, plan *projections.Plan, d *decision) (done bool, _ *Rejection) {
	active := b.Active.Get(cmd.Customer)
	if active == nil {
		return false, nil
	}
	for _, id := range active.Subscriptions {
		s := b.Subscriptions.Get(id)
		if overdue(s, b.ClockNow(s.Clock, c.Now)) { // it may end
			d.overdue = onSubscription(id)
			return true, nil
		}
		if s.Plan == cmd.Plan {
			d.existing = &Receipt{Status: Duplicate, Seq: s.Created, ID: Ref{refSubscription, id}}
			return true, nil
		}
		if s.Product == plan.Product {
			return false, Reject(Conflict, "the customer has subscription %s to another plan of this product", id)
		}
	}
	return false, nil
}

func subscribe(b *projections.Books, c Context, cmd CreateSubscription, plan *projections.Plan, consumer *projections.Consumer,
	customer *projections.Customer, now events.Time, d *decision,
) {
	id := events.Derive[events.SubscriptionNoun](c.ID, 0)
	wallet := consumer.WalletFor(plan.Currency, c.Merchant)
	if wallet.IsZero() {
		wallet = events.Derive[events.WalletNoun](c.ID, 2)
		d.add(c, now, events.WalletOpened{Wallet: wallet, Owner: customer.Consumer, Currency: plan.Currency, Bound: consumer.Manager})
	}
	anchor := hour(cmd.StartedAt)
	d.main = len(d.drafts)
	d.add(c, now, events.SubscriptionCreated{
		Subscription: id, Customer: cmd.Customer, Plan: cmd.Plan, Product: plan.Product, Wallet: wallet,
		Currency: plan.Currency, Name: cmd.Name, StartedAt: cmd.StartedAt, Anchor: anchor, Cadence: plan.Cadence,
		EndingAt: cmd.EndingAt, Clock: cmd.Clock, TaxExempt: cmd.TaxExempt,
	})
	end := periodEnd(anchor, plan.Cadence, 0)
	d.add(c, now, events.InvoiceOpened{
		Invoice: events.Derive[events.InvoiceNoun](c.ID, 1), Subscription: id, Customer: cmd.Customer, Period: 0,
		Start: cmd.StartedAt, End: end, GraceEnd: end.Add(grace), Currency: plan.Currency,
	})
	provision(b, c, events.EntitlementIssued{
		Customer: cmd.Customer, Subscription: id, Clock: cmd.Clock, ActiveFrom: cmd.StartedAt,
	}, plan, now, d)
}

func terminateSubscription(b *projections.Books, c Context, cmd TerminateSubscription, d *decision) *Rejection {
	s := b.Subscriptions.Get(cmd.Subscription)
	if s == nil || s.Merchant != c.Merchant {
		return Reject(NotFound, "no subscription %s", cmd.Subscription)
	}
	if s.Status == projections.SubscriptionTerminated {
		return Reject(AlreadyTerminated, "subscription %s ended at %s", cmd.Subscription, s.EndedAt)
	}
	if r := clockUsable(b, c, s.Clock); r != nil {
		return r
	}
	now := b.ClockNow(s.Clock, c.Now)
	if overdue(s, now) {
		d.overdue = onSubscription(cmd.Subscription)
		return nil
	}
	terminate(b, c, cmd.Subscription, s, now, events.SubscriptionTerminated{
		Subscription: cmd.Subscription, EndedAt: now, By: c.Merchant.String(), Reason: cmd.Reason,
	}, d)
	return nil
}

// terminate records the end of a subscription and closes and invoices its open periods at once.
func terminate(b *projections.Books, c Context, id events.SubscriptionID, s *projections.Subscription, at events.Time,
	e events.SubscriptionTerminated, d *decision,
) {
	d.main = len(d.drafts)
	d.add(c, at, e)
	releaseAll(b, id, at, d)
	cancelEntitlements(b, c, id, s.Customer, at, d)
	bill := newBiller(b, c, s)
	for i := range s.Periods {
		p := &s.Periods[i]
		if !p.Closing {
			end := max(at, p.Start)
			d.add(c, at, events.InvoiceClosing{Invoice: p.Invoice, Subscription: id, Period: p.N, End: end, GraceEnd: end})
		}
		bill.issue(id, p, at, d)
	}
}
