package wire

import (
	"context"
	"fmt"

	"github.com/shopspring/decimal"

	"tallystick/commands"
	"tallystick/events"
)

// Billed is an invoice as the directory knows it.
type Billed struct {
	Subscription events.SubscriptionID
	Paid         commands.PaidInvoice // zero if it is not paid
}

// billing reads the commands on usage that is billed, and on invoices. It reports false for the name of another.
func (d *Decoder) billing(c *call, name string, f *fields) (cmd commands.Command, ok bool, err error) {
	switch name {
	case "RefundUsage":
		cmd, err = d.refundUsage(c, f)
	case "CorrectUsage":
		cmd, err = d.correctUsage(c, f)
	case "ApproveInvoice":
		v := commands.ApproveInvoice{Invoice: id[events.InvoiceNoun](f, "invoiceId", required)}
		cmd, err = v, f.finish()
	case "CancelInvoice":
		v := commands.CancelInvoice{Invoice: id[events.InvoiceNoun](f, "invoiceId", required)}
		cmd, err = v, f.finish()
	case "WriteOffInvoice":
		v := commands.WriteOffInvoice{Invoice: id[events.InvoiceNoun](f, "invoiceId", required)}
		_, v.Reason, err = d.onInvoice(c, f, v.Invoice)
		cmd = v
	case "PayInvoice":
		v := commands.PayInvoice{Invoice: id[events.InvoiceNoun](f, "invoiceId", required), Method: f.text("method", required, 16)}
		cmd, err = v, f.finish()
	case "RefundInvoice":
		v := commands.RefundInvoice{Invoice: id[events.InvoiceNoun](f, "invoiceId", required)}
		v.Paid, v.Reason, err = d.onInvoice(c, f, v.Invoice)
		cmd = v
	case "VoidInvoiceRefund":
		v := commands.VoidInvoiceRefund{
			Invoice: id[events.InvoiceNoun](f, "invoiceId", required), CreditNote: id[events.CreditNoteNoun](f, "refundId", required),
		}
		v.Paid, v.Reason, err = d.onInvoice(c, f, v.Invoice)
		cmd = v
	case "CreateLineItem":
		cmd, err = d.createLineItem(c, f)
	default:
		return nil, false, nil
	}
	return cmd, true, err
}

// refundUsage reads which usage event is taken back, and looks it up.
func (d *Decoder) refundUsage(c *call, f *fields) (commands.Command, error) {
	cmd := commands.RefundUsage{Usage: id[events.UsageNoun](f, "usageEventId", required)}
	if !f.flagOr("refunded", true) {
		f.wrong("refunded", "must be true: what is taken back stays so")
	}
	reason := f.nullable("reason", 1000)
	if err := f.finish(); err != nil {
		return nil, err
	}
	var err error
	if cmd.Original, cmd.Merchant, err = d.usage(c.ctx, cmd.Usage); err != nil || cmd.Original == nil {
		return cmd, err
	}
	cmd.Reason, err = d.sealFor(c.ctx, cmd.Original.Customer, PurposeRefund, []byte(reason))
	return cmd, err
}

// usage returns what was recorded of a usage event, and for which merchant; nil where there is none.
func (d *Decoder) usage(ctx context.Context, id events.UsageID) (*events.UsageReported, events.OrganizationID, error) {
	rec, ok, err := d.opts.Directory.UsageRecord(ctx, id)
	if err != nil {
		return nil, rec.Merchant, fmt.Errorf("looking up usage event %s: %w", id, err)
	}
	if !ok {
		return nil, rec.Merchant, nil
	}
	return rec.Event.(*events.UsageReported), rec.Merchant, nil // as UsageRecord promises
}

// correctUsage reads usage of a period that is invoiced, and looks the period up.
func (d *Decoder) correctUsage(c *call, f *fields) (commands.Command, error) {
	cmd := commands.CorrectUsage{
		Customer: id[events.CustomerNoun](f, "customerId", required), HappenedAt: f.time("timestamp", required),
	}
	if s := f.take("properties", required); s != nil {
		d.properties(c, s)
		f.done(s)
	}
	for _, p := range c.work.props {
		cmd.Properties = append(cmd.Properties, p)
		f.note("property", fmt.Appendf(nil, "%v", p))
	}
	reason := f.text("reason", required, 1000)
	if err := f.finish(); err != nil {
		return nil, err
	}
	settled, err := d.opts.Directory.SettledPeriod(c.ctx, cmd.Customer, cmd.HappenedAt)
	if err != nil {
		return nil, fmt.Errorf("looking up the period of %s: %w", cmd.HappenedAt, err)
	}
	cmd.Settled = settled
	cmd.Reason, err = d.sealFor(c.ctx, cmd.Customer, PurposeRefund, []byte(reason))
	return cmd, err
}

// onInvoice reads the reason for something that is done to an invoice, and looks the invoice up.
func (d *Decoder) onInvoice(c *call, f *fields, invoice events.InvoiceID) (paid commands.PaidInvoice, reason events.Sealed, err error) {
	text := f.nullable("reason", 1000)
	if err := f.finish(); err != nil {
		return paid, reason, err
	}
	billed, err := d.billed(c.ctx, invoice)
	if err != nil {
		return paid, reason, err
	}
	reason, err = d.sealForSubscription(c.ctx, billed.Subscription, PurposeRefund, []byte(text))
	return billed.Paid, reason, err
}

// billed returns what is known of an invoice, nothing of one that does not exist.
func (d *Decoder) billed(ctx context.Context, invoice events.InvoiceID) (Billed, error) {
	billed, ok, err := d.opts.Directory.Billed(ctx, invoice)
	if err != nil {
		return Billed{}, fmt.Errorf("looking up invoice %s: %w", invoice, err)
	}
	if !ok {
		return Billed{}, nil
	}
	return billed, nil
}

// sealForSubscription is sealFor for the consumer who pays for a subscription.
func (d *Decoder) sealForSubscription(ctx context.Context, sub events.SubscriptionID, purpose string, plaintext []byte) (events.Sealed, error) {
	if len(plaintext) == 0 {
		return events.Sealed{}, nil
	}
	consumer, ok, err := d.opts.Directory.SubscriptionConsumer(ctx, sub)
	if err != nil {
		return events.Sealed{}, fmt.Errorf("looking up subscription %s: %w", sub, err)
	}
	if !ok {
		return events.Sealed{}, nil
	}
	return d.seal(consumer, purpose, plaintext)
}

// createLineItem reads a line for an invoice.
func (d *Decoder) createLineItem(c *call, f *fields) (commands.Command, error) {
	cmd := commands.CreateLineItem{
		Subscription: id[events.SubscriptionNoun](f, "subscriptionId", optional), Invoice: id[events.InvoiceNoun](f, "invoiceId", optional),
		Currency: f.currency("currency"), Quantity: f.decimal("quantity"), UnitPrice: f.decimal("unitPrice"),
		Start: f.nullableTime("periodStart"), End: f.nullableTime("periodEnd"),
	}
	f.only("invoiceAt", "a line is invoiced with its period", "null")
	text := LineText{DisplayName: f.text("displayName", required, 255), Description: f.nullable("description", 1000)}
	if f.bad == nil && cmd.Subscription.IsZero() == cmd.Invoice.IsZero() {
		f.wrong("subscriptionId", "or invoiceId is required, one of them")
	}
	if err := f.finish(); err != nil {
		return nil, err
	}
	if cmd.Subscription.IsZero() {
		billed, err := d.billed(c.ctx, cmd.Invoice)
		if err != nil {
			return nil, err
		}
		cmd.Subscription = billed.Subscription
	}
	var err error
	cmd.Text, err = d.sealForSubscription(c.ctx, cmd.Subscription, PurposeLine, toJSON(text))
	return cmd, err
}

// decimal returns a number of any sign, exactly.
func (f *fields) decimal(name string) (v decimal.Decimal) {
	s := f.take(name, required)
	if s == nil {
		return v
	}
	if c := s.next(); c != '-' && c-'0' > 9 {
		s.unexpected(f.path+name, "a number")
	}
	text := string(s.number())
	if !f.done(s) {
		return v
	}
	v, err := decimal.NewFromString(text)
	if err != nil || len(text) > 60 || v.Exponent() > 18 || v.Exponent() < -18 {
		f.wrong(name, "must be a number of at most 18 decimals")
		return decimal.Decimal{}
	}
	f.note(name, []byte(v.String()))
	return v
}
