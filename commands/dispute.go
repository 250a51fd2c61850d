package commands

import (
	"tallystick/events"
	"tallystick/projections"
)

// CreateDispute says that a customer does not agree with a usage event. An event is disputed once.
type CreateDispute struct {
	Usage    events.UsageID
	Original *events.UsageReported // as its record has it, which never changes; nil where there is none
	Merchant events.OrganizationID // of that record
	Message  events.Sealed
}

// ResolveDispute is the merchant's answer to a dispute, and final. To accept it takes the usage event back, unless that has been done since,
// or the dispute stays open.
type ResolveDispute struct {
	Dispute  events.DisputeID
	Original *events.UsageReported // of the usage event, as for [CreateDispute]
	Merchant events.OrganizationID
	Accept   bool
	Message  events.Sealed
	Reason   events.Sealed // the same text, for the refund
}

func createDispute(b *projections.Books, c Context, cmd CreateDispute, d *decision) *Rejection {
	if cmd.Original == nil || cmd.Merchant != c.Merchant {
		return Reject(NotFound, "no usage event %s", cmd.Usage)
	}
	if customer := b.Customers.Get(cmd.Original.Customer); customer == nil || customer.Deleted {
		return Reject(NotFound, "no customer %s", cmd.Original.Customer)
	}
	id := events.DisputeID(cmd.Usage)
	if there := b.Disputes.Get(id); there != nil {
		return Reject(Conflict, "usage event %s is disputed already: %s, %s", cmd.Usage, id, there.Status)
	}
	if done := b.Refunds.Get(cmd.Usage); done != nil {
		return Reject(AlreadyRefunded, "usage event %s was refunded at %s", cmd.Usage, done.At)
	}
	now, ready, r := disputeTime(b, c, cmd.Original.Subscription, d)
	if r != nil || !ready {
		return r
	}
	net, tax := cmd.Original.Total()
	d.add(c, now, events.DisputeOpened{
		Dispute: id, Usage: cmd.Usage, Subscription: cmd.Original.Subscription, Customer: cmd.Original.Customer,
		Currency: cmd.Original.Currency, Amount: events.SumOf(net).Add(tax), Message: cmd.Message,
	})
	return nil
}

func resolveDispute(b *projections.Books, c Context, cmd ResolveDispute, d *decision) *Rejection {
	row := b.Disputes.Get(cmd.Dispute)
	if row == nil || row.Merchant != c.Merchant || cmd.Original == nil {
		return Reject(NotFound, "no dispute %s", cmd.Dispute)
	}
	if row.Status != projections.DisputePending {
		return Reject(Conflict, "dispute %s was %s at %s", cmd.Dispute, row.Status, row.ResolvedAt)
	}
	now, ready, r := disputeTime(b, c, cmd.Original.Subscription, d)
	if r != nil || !ready {
		return r
	}
	d.add(c, now, events.DisputeResolved{
		Dispute: cmd.Dispute, Usage: row.Usage, Customer: row.Customer, Accepted: cmd.Accept, Message: cmd.Message,
	})
	if !cmd.Accept || b.Refunds.Get(row.Usage) != nil {
		return nil
	}
	return refundUsage(b, c, RefundUsage{Usage: row.Usage, Original: cmd.Original, Merchant: cmd.Merchant, Reason: cmd.Reason}, d)
}

// disputeTime returns what time it is for a subscription. It is not ready where something is overdue on it, which comes first.
func disputeTime(b *projections.Books, c Context, sub events.SubscriptionID, d *decision) (now events.Time, ready bool, _ *Rejection) {
	s := b.Subscriptions.Get(sub)
	if r := clockUsable(b, c, s.Clock); r != nil {
		return 0, false, r
	}
	now = b.ClockNow(s.Clock, c.Now)
	if overdue(s, now) {
		d.overdue = onSubscription(sub)
		return 0, false, nil
	}
	return now, true, nil
}
