package query

import (
	"context"
	"errors"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// UsageEvent is one report of usage and what it cost.
type UsageEvent struct {
	Sequence     events.Seq            `json:"sequence"` // of its record
	ID           events.UsageID        `json:"id"`
	Merchant     events.OrganizationID `json:"merchantId"`
	Customer     events.CustomerID     `json:"customerId"`
	Consumer     events.OrganizationID `json:"consumerId,omitzero"`
	Subscription events.SubscriptionID `json:"subscriptionId"`
	Wallet       events.WalletID       `json:"walletId"`
	Period       uint32                `json:"period"`
	Timestamp    events.Time           `json:"timestamp"`
	RecordedAt   events.Time           `json:"recordedAt"`
	Key          string                `json:"idempotencyKey"`
	Properties   []UsageProperty       `json:"properties"`
	Reservation  events.ReservationID  `json:"entitlementId,omitzero"` // that paid it, if one did
	Metadata     map[string]string     `json:"metadata,omitempty"`
	Erased       bool                  `json:"erased,omitempty"` // the consumer is: there is no metadata to read
	Billing      UsageBilling          `json:"billing"`
	Refund       *UsageRefund          `json:"refund,omitempty"` // if it was taken back
	Leaf         events.Hash           `json:"leafHash"`
}

// UsageRefund says that a usage event was taken back.
type UsageRefund struct {
	Reason     string      `json:"reason,omitempty"`
	RefundedAt events.Time `json:"refundedAt"`
}

// UsageProperty is one metric's part of a usage event.
type UsageProperty struct {
	Metric   events.MetricID `json:"billableMetricId"`
	Quantity int64           `json:"quantity"`
	Price    events.PriceID  `json:"priceId"`
	Revision uint32          `json:"revision"`
	Amount   events.Sum      `json:"amountNanos"`
	Tax      events.Sum      `json:"taxNanos"`
	Reported string          `json:"price,omitempty"`           // in units, where it was reported with the usage
	Granted  int64           `json:"grantedQuantity,omitempty"` // units that are not charged: grants had them, or they are beyond a hard limit
}

// UsageBilling is what a usage event cost, all properties together.
type UsageBilling struct {
	ID       events.BillingID `json:"billingEventId"`
	Invoice  events.InvoiceID `json:"invoiceId,omitzero"`
	Currency events.Currency  `json:"currency"`
	Amount   events.Sum       `json:"amountNanos"`
	Tax      events.Sum       `json:"totalTaxNanos"`
	Total    events.Sum       `json:"totalAmountNanos"`
	Balance  events.Sum       `json:"balanceNanos"` // of the wallet, after
}

// UsageEventArgs are the arguments of [Service.UsageEvent].
type UsageEventArgs struct {
	AtLeast events.Seq     `json:"atLeast,omitzero"`
	Usage   events.UsageID `json:"usageEventId"`
}

// UsageEvent answers what a usage event reported and cost. Its identity is that of its command, and commands never
// decrease along the log, so it is found by bisection.
func (s *Service) UsageEvent(ctx context.Context, who wire.Who, args UsageEventArgs) (u UsageEvent, err error) {
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) error {
		rec, ok, err := s.opts.Log.SeqOf(events.CommandID(args.Usage))
		if err != nil {
			return err
		}
		if _, usage := rec.Event.(*events.UsageReported); !ok || !usage || !asker(who).sees(rec.Merchant) {
			return missing("usage event", args.Usage.String())
		}
		u, err = r.usageRecord(&rec, make(map[events.SubscriptionID]map[uint32]events.InvoiceID))
		return err
	})
	return u, err
}

// invoicesOf notes the invoice of each period of a subscription.
func (r *reading) invoicesOf(sub events.SubscriptionID, invoices map[uint32]events.InvoiceID) error {
	return r.links(projections.LinkInvoicesOfSubscription, sub, func(child [16]byte) error {
		if row := r.books.Invoices.Get(child); row != nil {
			invoices[row.Period] = child
		}
		return nil
	})
}

// renderUsage renders a record of usage. invoices are those of its subscription, as far as they are known
// already.
func (r *reading) renderUsage(rec *events.Record, invoices map[uint32]events.InvoiceID) (UsageEvent, error) {
	e, ok := rec.Event.(*events.UsageReported)
	if !ok {
		return UsageEvent{}, errors.New("no record of usage")
	}
	net, tax := e.Total()
	u := UsageEvent{
		Sequence: rec.Seq, ID: events.Derive[events.UsageNoun](rec.Command, 0), Merchant: rec.Merchant, Customer: e.Customer,
		Subscription: e.Subscription, Wallet: e.Wallet, Period: e.Period, Timestamp: e.HappenedAt, RecordedAt: rec.RecordedAt,
		Key: rec.Key, Leaf: rec.Hash, Reservation: e.Reservation,
		Billing: UsageBilling{
			ID: events.Derive[events.BillingNoun](rec.Command, 0), Currency: e.Currency, Amount: events.SumOf(net),
			Tax: events.SumOf(tax), Total: events.SumOf(net).Add(tax), Balance: e.Balance,
		},
	}
	if c := r.books.Customers.Get(e.Customer); c != nil {
		u.Consumer = c.Consumer
	}
	for i := range e.Lines {
		l := &e.Lines[i]
		u.Properties = append(u.Properties, UsageProperty{
			l.Metric, l.Quantity, l.Price, l.Revision, events.SumOf(l.Nanos), events.SumOf(l.Tax), reported(l.At), l.Granted,
		})
	}
	if _, ok := invoices[e.Period]; !ok {
		if err := r.invoicesOf(e.Subscription, invoices); err != nil {
			return u, err
		}
	}
	u.Billing.Invoice = invoices[e.Period]
	var err error
	if refund := r.books.Refunds.Get(u.ID); refund != nil {
		u.Refund = &UsageRefund{RefundedAt: refund.At}
		if u.Refund.Reason, _, err = r.text(refund.Reason, wire.PurposeRefund); err != nil {
			return u, err
		}
	}
	u.Metadata, u.Erased, err = r.metadata(e.Metadata)
	return u, err
}

// reported returns a price that came with usage, in units, "" for none.
func reported(at events.Nanos) string {
	if at == 0 {
		return ""
	}
	return at.String()
}

// UsageEvents is a part of a subscription's usage, newest first.
type UsageEvents struct {
	Sequence events.Seq   `json:"sequence"`
	Total    uint64       `json:"total,omitzero"` // usage events there are; not known of the past
	Items    []UsageEvent `json:"items"`
	More     bool         `json:"more"`
}

// UsageEventsArgs are the arguments of [Service.UsageEvents].
type UsageEventsArgs struct {
	At
	Page
	Subscription events.SubscriptionID `json:"subscriptionId"`
	Before       events.Seq            `json:"before,omitzero"` // only older ones than this record
}

// UsageEvents lists the usage of a subscription.
func (s *Service) UsageEvents(ctx context.Context, who wire.Who, args UsageEventsArgs) (list UsageEvents, err error) {
	err = s.read(ctx, who, args.At, func(r *reading) error {
		if _, err := r.subscription(args.Subscription); err != nil {
			return err
		}
		key := projections.JournalKey{What: projections.JournalOfSubscription, ID: args.Subscription}
		list = UsageEvents{Sequence: r.seq, Items: []UsageEvent{}}
		invoices := make(map[uint32]events.InvoiceID)
		found, err := r.records(key, args.Before, args.Page, func(rec *events.Record) error {
			u, err := r.renderUsage(rec, invoices)
			list.Items = append(list.Items, u)
			return err
		})
		list.Total, list.More = found.total, found.more
		return err
	})
	return list, err
}
