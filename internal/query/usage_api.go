package query

import (
	"context"
	"slices"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// UsageAt answers what the usage events at some records reported and cost, in the same order. It does not wait for the views
// where they need not hold the records themselves: an invoice is known since its period was opened.
func (s *Service) UsageAt(ctx context.Context, who wire.Who, seqs []events.Seq) (list []UsageEvent, err error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	for _, at := range []At{{AtLeast: 1}, {AtLeast: slices.Max(seqs)}} { // without a sequence, it would wait for a moment
		whole := true
		list = list[:0]
		err = s.read(ctx, who, at, func(r *reading) error {
			bySubscription := make(map[events.SubscriptionID]map[uint32]events.InvoiceID)
			for _, seq := range seqs {
				rec, err := s.opts.Log.Record(seq)
				if err != nil {
					return err
				}
				u, err := r.usageRecord(&rec, bySubscription)
				if err != nil {
					return err
				}
				whole = whole && !u.Billing.Invoice.IsZero()
				list = append(list, u)
			}
			return nil
		})
		if err != nil || whole {
			break
		}
	}
	return list, err
}

// usageRecord renders a record of usage that the asker may know of.
func (r *reading) usageRecord(rec *events.Record, bySubscription map[events.SubscriptionID]map[uint32]events.InvoiceID) (UsageEvent, error) {
	e, ok := rec.Event.(*events.UsageReported)
	if !ok || !r.who.sees(rec.Merchant) {
		return UsageEvent{}, missing("usage event", events.Derive[events.UsageNoun](rec.Command, 0).String())
	}
	invoices := bySubscription[e.Subscription]
	if invoices == nil {
		invoices = make(map[uint32]events.InvoiceID)
		bySubscription[e.Subscription] = invoices
	}
	return r.renderUsage(rec, invoices)
}

// UsageBetweenArgs are the arguments of [Service.UsageBetween]. At least one of the identities is given.
type UsageBetweenArgs struct {
	At
	Page
	Start        events.Time           `json:"startTime"` // inclusive
	End          events.Time           `json:"endTime"`   // exclusive
	Merchant     events.OrganizationID `json:"merchantId,omitzero"`
	Consumer     events.OrganizationID `json:"consumerId,omitzero"`
	Customer     events.CustomerID     `json:"customerId,omitzero"`
	Subscription events.SubscriptionID `json:"subscriptionId,omitzero"`
}

// maxUsageLookedAt bounds how many usage events one question of [Service.UsageBetween] looks at.
const maxUsageLookedAt = 500_000

// UsageBetween lists the usage events that happened in a span of time, newest first by their records. Journals are kept by
// subscription; those of several are gone through together.
func (s *Service) UsageBetween(ctx context.Context, who wire.Who, args UsageBetweenArgs) (list List[UsageEvent], err error) {
	merchant, err := asker(who).merchant(args.Merchant)
	if err != nil {
		return list, err
	}
	if err := args.check(); err != nil {
		return list, err
	}
	err = s.read(ctx, who, args.At, func(r *reading) error {
		list = List[UsageEvent]{Sequence: r.seq}
		seqs, err := r.usageBetween(merchant, &args)
		if err != nil {
			return err
		}
		list.Total = len(seqs)
		from, to := min(args.Offset, len(seqs)), min(args.Offset+args.Limit, len(seqs))
		list.More = to < len(seqs)
		list.Items, err = r.usageEvents(seqs[from:to])
		return err
	})
	return list, err
}

// usageEvents returns the usage events that records hold.
func (r *reading) usageEvents(seqs []events.Seq) ([]UsageEvent, error) {
	list := make([]UsageEvent, len(seqs))
	bySubscription := make(map[events.SubscriptionID]map[uint32]events.InvoiceID)
	for i, seq := range seqs {
		rec, err := r.opts.Log.Record(seq)
		if err != nil {
			return nil, err
		}
		if list[i], err = r.usageRecord(&rec, bySubscription); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// usageBetween returns the records of usage that args ask for, newest first.
func (r *reading) usageBetween(merchant events.OrganizationID, args *UsageBetweenArgs) ([]events.Seq, error) {
	subs, err := r.subscriptionsOf(merchant, args)
	if err != nil {
		return nil, err
	}
	var seqs []events.Seq
	looked := 0
	for _, sub := range subs {
		key := projections.JournalKey{What: projections.JournalOfSubscription, ID: sub}
		err := r.journal(key, 0, func(seq events.Seq) error {
			if looked++; looked > maxUsageLookedAt {
				return commands.Reject(commands.Invalid, "more than %d usage events must be looked at; ask for those of one subscription", maxUsageLookedAt)
			}
			rec, err := r.opts.Log.Record(seq)
			if err != nil {
				return err
			}
			e, ok := rec.Event.(*events.UsageReported)
			if ok && e.HappenedAt >= args.Start && e.HappenedAt < args.End {
				seqs = append(seqs, seq)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(seqs, func(a, b events.Seq) int { return int(int64(b) - int64(a)) })
	return seqs, nil
}

// subscriptionsOf returns the subscriptions whose usage args ask for.
func (r *reading) subscriptionsOf(merchant events.OrganizationID, args *UsageBetweenArgs) (subs []events.SubscriptionID, err error) {
	wanted := func(id events.SubscriptionID) bool {
		row := r.books.Subscriptions.Get(id)
		if row == nil || !r.who.sees(row.Merchant) || !merchant.IsZero() && row.Merchant != merchant {
			return false
		}
		customer := r.books.Customers.Get(row.Customer)
		return (args.Customer.IsZero() || row.Customer == args.Customer) &&
			(args.Consumer.IsZero() || customer != nil && customer.Consumer == args.Consumer)
	}
	if !args.Subscription.IsZero() {
		if wanted(args.Subscription) {
			subs = append(subs, args.Subscription)
		}
		return subs, nil
	}
	take := func(child [16]byte) error {
		if wanted(child) {
			subs = append(subs, child)
		}
		return nil
	}
	switch {
	case !args.Customer.IsZero():
		err = r.links(projections.LinkSubscriptionsOfCustomer, args.Customer, take)
	case !args.Consumer.IsZero():
		err = r.links(projections.LinkCustomersOfConsumer, args.Consumer, func(customer [16]byte) error {
			return r.links(projections.LinkSubscriptionsOfCustomer, customer, take)
		})
	case !merchant.IsZero():
		err = r.links(projections.LinkSubscriptions, merchant, take)
	default:
		err = commands.Reject(commands.Invalid, "give one of merchantId, consumerId, customerId and subscriptionId")
	}
	return subs, err
}
