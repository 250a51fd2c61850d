package server

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

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
		posted := false
		for i := range records {
			n, err := newNotice(&records[i])
			if err != nil {
				d.s.cfg.Logger.Error("a notice is left out", "sequence", records[i].Seq, "error", err)
			}
			if n == nil {
				continue
			}
			if !d.post(ctx, records[i].Merchant, n) {
				return
			}
			posted = true
		}
		if end := records[len(records)-1].Seq; posted || end-last >= 100_000 {
			if err := d.s.Log.SetCursor(noticesCursor, end); err != nil {
				return
			}
			last = end
		}
	}
}

// post posts a notice, trying again until it is stored. It reports false when ctx ends.
func (d *doors) post(ctx context.Context, merchant events.OrganizationID, n *notice) bool {
	body, err := json.Marshal(n)
	if err != nil {
		d.s.cfg.Logger.Error("a notice is left out", "id", n.ID, "error", err)
		return true
	}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		err := d.bus.Post(ctx, natsbus.Notify, merchant.String()+"."+n.Type, n.ID, body)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		d.s.cfg.Logger.Warn("a notice is not posted yet", "id", n.ID, "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
}
