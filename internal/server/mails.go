package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/mail"
	"tallystick/internal/query"
	"tallystick/internal/wire"
)

const (
	// mailsCursor is the name under which the log keeps how far people are written to.
	mailsCursor = "mails"
	// mailFor is how long after a fact people are written to about it.
	mailFor = 3 * 24 * time.Hour
	// mailsKept is after how many records without mail the cursor is moved all the same.
	mailsKept = 100_000
)

// letters writes to consumers of what concerns them: a renewal that is near, an invoice that is issued or paid, unless their
// notification settings say otherwise (D14); and to those whom an alert names, of a wallet that holds too little. It follows the log with a durable cursor of its own, which begins where the log
// ends when mail is first sent: nobody is written to of what is long over.
//
// A message has the identity of its record. While the mail server cannot be reached it is tried again, and those behind it wait; what is
// older than mailFor, or refused for good, is left out. After a crash a message may be sent once more, with the same identity.
type letters struct {
	s      *Server
	sender *mail.Sender
}

// run writes until ctx ends or the log does.
func (l *letters) run(ctx context.Context) {
	last := l.s.Log.Cursor(mailsCursor)
	if last == 0 {
		last = l.s.Log.Durable()
		if err := l.s.Log.SetCursor(mailsCursor, last); err != nil {
			return
		}
	}
	follower := l.s.Log.Follow(last + 1)
	for {
		records, err := follower.Next(ctx)
		if err != nil {
			return // the log reports its failure itself
		}
		for i := range records {
			rec := &records[i]
			sent := l.deliver(ctx, rec) // what was sent is noted, though this ends: nobody is told twice
			if !sent && ctx.Err() != nil {
				return
			}
			if !sent && rec.Seq-last < mailsKept {
				continue
			}
			if err := l.s.Log.SetCursor(mailsCursor, rec.Seq); err != nil {
				return
			}
			last = rec.Seq
		}
	}
}

// deliver sends the message that a record gives rise to, if there is one, trying again until it is sent. It reports whether it was, or
// was given up.
func (l *letters) deliver(ctx context.Context, rec *events.Record) bool {
	customer, wanted := addressee(rec.Event)
	if !wanted {
		return false
	}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, time.Minute) {
		if l.s.cfg.Clock().Sub(time.Unix(0, int64(rec.RecordedAt))) > mailFor {
			l.s.cfg.Logger.Warn("mail is left out, for it is too late", "sequence", rec.Seq)
			return true
		}
		err := l.tryDeliver(ctx, rec, customer)
		if err == nil {
			return true
		}
		if _, refused := errors.AsType[*mail.RefusedError](err); refused {
			l.s.cfg.Logger.Warn("mail is left out", "sequence", rec.Seq, "error", err)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		l.s.cfg.Logger.Warn("mail is not sent yet", "sequence", rec.Seq, "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
}

// addressee returns the customer that a record is to be told to, zero where its invoice or its alert says who it is.
func addressee(e events.Event) (customer events.CustomerID, wanted bool) {
	if e, ok := any(e).(events.SubscriptionReminded); ok {
		return e.Customer, true
	}
	if _, ok := any(e).(events.AlertRaised); ok {
		return customer, true
	}
	return customer, !invoiceOf(e).IsZero()
}

// asLedger is who reads for the ledger itself.
func asLedger() wire.Who { return wire.Who{Role: events.OperatorKey} }

// tryDeliver sends the message of a record, unless nobody wants it or can be written to.
func (l *letters) tryDeliver(ctx context.Context, rec *events.Record, customer events.CustomerID) error {
	at := query.At{AtLeast: rec.Seq}
	if raised, ok := rec.Event.(events.AlertRaised); ok {
		return l.alert(ctx, rec, raised)
	}
	var inv query.Invoice
	if id := invoiceOf(rec.Event); !id.IsZero() {
		var err error
		if inv, err = l.s.Queries.Invoice(ctx, asLedger(), query.InvoiceArgs{At: at, Invoice: id}); err != nil {
			return err
		}
		customer = inv.Customer
	}
	c, err := l.s.Queries.Customer(ctx, asLedger(), query.CustomerArgs{At: at, Customer: customer})
	if err != nil {
		return err
	}
	if c.Profile == nil || c.Profile.Email == "" {
		return nil // it is erased
	}
	settings, err := l.s.Queries.GetCustomer(ctx, asLedger(), query.GetCustomerArgs{Customer: customer})
	if err != nil {
		return err
	}
	sellers, err := l.s.Queries.Merchants(ctx, asLedger(), query.MerchantsArgs{At: at, Merchant: rec.Merchant})
	if err != nil {
		return err
	}
	m := mail.Message{ID: fmt.Sprintf("%s.%d", rec.Ledger, rec.Seq), To: c.Profile.Email}
	seller, wanted := sellers.Items[0].Profile.Name, &settings.Notices
	switch e := any(rec.Event).(type) {
	case events.SubscriptionReminded:
		if wanted.RenewalReminder {
			err = l.reminder(ctx, &m, at, e, seller)
		}
	case events.InvoiceIssued:
		if wanted.InvoiceIssued {
			writeInvoice(&m, &inv, seller, false)
		}
	case events.InvoicePaid:
		if wanted.InvoicePaid {
			writeInvoice(&m, &inv, seller, true)
		}
	}
	if err != nil || m.Subject == "" {
		return err
	}
	m.Text = fmt.Sprintf("Hello %s,\n\n%s\n", c.Profile.Name, m.Text)
	return l.sender.SendMessage(ctx, m)
}

// alert writes to everybody whom an alert names. If an address is refused for good the others are written to all the same.
func (l *letters) alert(ctx context.Context, rec *events.Record, e events.AlertRaised) error {
	a, err := l.s.Queries.GetAlert(ctx, asLedger(), query.GetAlertArgs{AtLeast: rec.Seq, Alert: e.Alert})
	if err != nil {
		return err
	}
	// In cents, what it holds is rounded down and what it should hold up: the one shown is less than the other, too.
	holds, below := decimal.NewFromBigInt(e.Balance.Big(), -9).RoundFloor(2).StringFixed(2), e.Threshold.Decimal().RoundCeil(2).StringFixed(2)
	var refusals []error
	for i, to := range a.Recipients {
		err := l.sender.SendMessage(ctx, mail.Message{
			ID: fmt.Sprintf("%s.%d.%d", rec.Ledger, rec.Seq, i+1), To: to,
			Subject: fmt.Sprintf("Wallet %s is low", e.Wallet),
			Text:    fmt.Sprintf("Hello,\n\nwallet %s holds %s %s, which is less than %s %s.\n", e.Wallet, holds, e.Currency, below, e.Currency),
		})
		if _, refused := errors.AsType[*mail.RefusedError](err); refused {
			refusals = append(refusals, err)
		} else if err != nil {
			return err
		}
	}
	return errors.Join(refusals...)
}

// invoiceOf returns the invoice that a record is to be told of, zero for none.
func invoiceOf(e events.Event) (id events.InvoiceID) {
	switch e := any(e).(type) {
	case events.InvoiceIssued:
		return e.Invoice
	case events.InvoicePaid:
		return e.Invoice
	}
	return id
}

// reminder writes that a subscription renews soon.
func (l *letters) reminder(ctx context.Context, m *mail.Message, at query.At, e events.SubscriptionReminded, seller string) error {
	sub, err := l.s.Queries.Subscription(ctx, asLedger(), query.SubscriptionArgs{At: at, Subscription: e.Subscription})
	if err != nil {
		return err
	}
	day := dayOf(e.RenewsAt)
	m.Subject = fmt.Sprintf("%s: %s renews on %s", seller, sub.Name, day)
	m.Text = fmt.Sprintf("your subscription %s with %s renews on %s.", sub.Name, seller, day)
	return nil
}

// writeInvoice writes of an invoice, in cents: what is to be paid is what a payer is asked for.
func writeInvoice(m *mail.Message, inv *query.Invoice, seller string, paid bool) {
	var text strings.Builder
	fmt.Fprintf(&text, "invoice %d of %s comes to %s %s", inv.Number, seller, inv.GrandTotal, inv.Currency)
	unpaid, _ := inv.Unpaid.Nanos() // it was asked for, so it fits
	owed, asked := commands.Payable(unpaid)
	m.Subject = fmt.Sprintf("%s: invoice %d", seller, inv.Number)
	switch {
	case paid:
		m.Subject += " is paid"
		text.WriteString(", and is paid. Thank you.")
	case owed == 0:
		text.WriteString(". Nothing of it is left to pay.")
	default:
		fmt.Fprintf(&text, ", of which %s %s are to be paid by %s.", query.Cents(events.SumOf(owed)), inv.Currency, dayOf(inv.DueAt))
		if asked != owed {
			fmt.Fprintf(&text, " A card is charged no less than %s %s; the rest goes to your wallet.", query.Cents(events.SumOf(asked)), inv.Currency)
		}
	}
	if inv.Permalink != "" {
		fmt.Fprintf(&text, "\n\n%s", inv.Permalink)
	}
	m.Text = text.String()
}

// dayOf returns the day of a time, as people write it.
func dayOf(t events.Time) string { return time.Unix(0, int64(t)).UTC().Format("2 January 2006") }
