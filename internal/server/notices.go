package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tallystick/events"
	"tallystick/internal/natsbus"
)

// noticesCursor is the name under which the log keeps how far notices are posted.
const noticesCursor = "notices"

// notice is a CloudEvent that tells a merchant's system of a recorded fact.
type notice struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"` // of the record: the same however often it is posted
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Subject     string          `json:"subject,omitempty"`
	Time        events.Time     `json:"time"`
	ContentType string          `json:"datacontenttype"`
	Data        json.RawMessage `json:"data"`
}

// noticeOf returns the type of the notice that a record gives rise to, and what it is about; "" for none. The names that
// clients know of the API's webhooks are kept.
func noticeOf(e events.Event) (kind, subject string) {
	switch e := any(e).(type) {
	case events.CustomerCreated:
		return "customer.created.v0", e.Customer.String()
	case events.SubscriptionCreated:
		return "subscription.created.v0", e.Subscription.String()
	case events.SubscriptionAuthorized:
		return "subscription.updated.v0", e.Subscription.String()
	case events.SubscriptionActivated:
		return "subscription.activated.v0", e.Subscription.String()
	case events.SubscriptionUpdated:
		return "subscription.updated.v0", e.Subscription.String()
	case events.SubscriptionTerminated:
		return "subscription.cancelled.v0", e.Subscription.String()
	case events.SubscriptionReminded:
		return "subscription.renewal_reminder.v0", e.Subscription.String()
	case events.InvoiceIssued:
		return "invoice.issued.v0", e.Invoice.String()
	case events.InvoicePaid:
		return "invoice.paid.v0", e.Invoice.String()
	case events.InvoicePaymentFailed:
		return "invoice.payment_failed.v0", e.Invoice.String()
	case events.AlertRaised:
		return "wallet.balance_low.v0", e.Wallet.String()
	case events.ChargeFailed:
		return "payment.failed.v0", e.Charge.String()
	}
	return "", ""
}

// newNotice returns the notice that a record gives rise to, or nil. Personal data stays sealed in it.
func newNotice(rec *events.Record) (*notice, error) {
	kind, subject := noticeOf(rec.Event)
	if kind == "" || rec.Merchant.IsZero() {
		return nil, nil
	}
	data, err := json.Marshal(rec.Event)
	if err != nil {
		return nil, fmt.Errorf("encoding a notice: %w", err)
	}
	return &notice{
		SpecVersion: "1.0", ID: fmt.Sprintf("%s/%d", rec.Ledger, rec.Seq), Source: "tallystick/" + rec.Ledger.String(), Type: kind,
		Subject: subject, Time: rec.RecordedAt, ContentType: "application/json", Data: data,
	}, nil
}

// notify posts notices to the stream NOTIFY, until ctx ends. It goes on where its cursor stands, so each notice is posted at least
// once; one that is posted again has the same id.
func (d *doors) notify(ctx context.Context) {
	last := d.s.Log.Cursor(noticesCursor)
	follower := d.s.Log.Follow(last + 1)
	for {
		records, err := follower.Next(ctx)
		if err != nil {
			return // the log reports its failure itself
		}
		var notices []posting
		for i := range records {
			n, err := newNotice(&records[i])
			var body []byte
			if err == nil && n != nil {
				body, err = json.Marshal(n)
			}
			if err != nil {
				d.s.cfg.Logger.Error("a notice is left out", "sequence", records[i].Seq, "error", err)
			} else if n != nil {
				notices = append(notices, posting{records[i].Merchant.String() + "." + n.Type, n.ID, body})
			}
		}
		if !d.post(ctx, notices) {
			return
		}
		if end := records[len(records)-1].Seq; len(notices) > 0 || end-last >= 100_000 {
			if err := d.s.Log.SetCursor(noticesCursor, end); err != nil {
				return
			}
			last = end
		}
	}
}

// posting is a notice on its way.
type posting struct {
	tail, id string
	body     []byte
}

// post posts notices and waits until all are stored, trying again until they are. It reports false when ctx ends.
func (d *doors) post(ctx context.Context, notices []posting) bool {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		err := d.tryPost(ctx, notices)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		d.s.cfg.Logger.Warn("notices are not posted yet", "first", notices[0].id, "count", len(notices), "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
}

func (d *doors) tryPost(ctx context.Context, notices []posting) error {
	const atOnce = 256 // waiting for each by itself, a month's end takes minutes
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for some := range slices.Chunk(notices, atOnce) {
		stored := make([]jetstream.PubAckFuture, len(some))
		for i := range some {
			var err error
			if stored[i], err = d.bus.PostAsync(natsbus.Notify, some[i].tail, some[i].id, some[i].body); err != nil {
				return err
			}
		}
		for i := range stored {
			select {
			case <-stored[i].Ok():
			case err := <-stored[i].Err():
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}
