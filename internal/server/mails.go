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
// A message has the identity of its record. While the mail server cannot be reached it is tried again, and those behind it wait; if the server puts it
// off, it is tried again beside them ([deferred]). What is
// older than mailFor, or refused for good, is left out. After a crash a message may be sent once more, with the same identity.
type letters struct {
	s      *Server
	sender *mail.Sender
	later  *deferred
}

func newLetters(s *Server, sender *mail.Sender) *letters {
	l := &letters{s: s, sender: sender}
	l.later = newDeferred(l)
	return l
}

// run writes until ctx ends or the log does.
func (l *letters) run(ctx context.Context) {
	defer l.later.waiting.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.later.resume(ctx)
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

// late reports whether it is too late to write about a record.
func (l *letters) late(rec *events.Record) bool {
	return l.s.cfg.Clock().Sub(time.Unix(0, int64(rec.RecordedAt))) > mailFor
}

// deliver sends the messages that a record gives rise to, if there are any. It reports whether there were and all of them are sent, put off or
// given up; otherwise ctx has ended.
func (l *letters) deliver(ctx context.Context, rec *events.Record) bool {
	if _, wanted := addressee(rec.Event); !wanted {
		return false
	}
	for letter := 0; ; letter++ {
		more, done := l.deliverOne(ctx, rec, letter)
		if !done || !more {
			return done
		}
	}
}

// deliverOne sends one message of a record, trying again while the server cannot be reached. It reports whether there are more
// messages, and whether this one is sent, put off or given up; otherwise ctx has ended.
func (l *letters) deliverOne(ctx context.Context, rec *events.Record, letter int) (more, done bool) {
	log := l.s.cfg.Logger
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, time.Minute) {
		if l.late(rec) {
			log.Warn("mail is left out, for it is too late", "sequence", rec.Seq)
			return false, true
		}
		more, err := l.send(ctx, rec, letter)
		_, putOff := errors.AsType[*mail.DeferredError](err)
		switch {
		case err == nil:
			return more, true
		case leftOut(err):
			log.Warn("mail is left out", "sequence", rec.Seq, "error", err)
			return more, true
		case putOff:
			log.Info("mail is put off", "sequence", rec.Seq, "error", err)
			if l.later.put(ctx, rec.Seq, letter) == nil {
				return more, true
			}
		default:
			log.Warn("mail is not sent yet", "sequence", rec.Seq, "error", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false, false
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

// send sends one message of a record, unless nobody wants it or can be written to, and reports whether there are more.
func (l *letters) send(ctx context.Context, rec *events.Record, letter int) (more bool, err error) {
	if raised, ok := rec.Event.(events.AlertRaised); ok {
		return l.alert(ctx, rec, raised, letter)
	}
	m, err := l.write(ctx, rec)
	if err != nil || m.Subject == "" {
		return false, err
	}
	return false, l.sender.SendMessage(ctx, m)
}

// write writes the message of a record, with no subject if there is none to be sent.
func (l *letters) write(ctx context.Context, rec *events.Record) (m mail.Message, err error) {
	customer, _ := addressee(rec.Event)
	at := query.At{AtLeast: rec.Seq}
	var inv query.Invoice
	if id := invoiceOf(rec.Event); !id.IsZero() {
		if inv, err = l.s.Queries.Invoice(ctx, asLedger(), query.InvoiceArgs{At: at, Invoice: id}); err != nil {
			return m, err
		}
		customer = inv.Customer
	}
	c, err := l.s.Queries.Customer(ctx, asLedger(), query.CustomerArgs{At: at, Customer: customer})
	if err != nil {
		return m, err
	}
	if c.Profile == nil || c.Profile.Email == "" {
		return m, nil // it is erased
	}
	settings, err := l.s.Queries.GetCustomer(ctx, asLedger(), query.GetCustomerArgs{Customer: customer})
	if err != nil {
		return m, err
	}
	sellers, err := l.s.Queries.Merchants(ctx, asLedger(), query.MerchantsArgs{At: at, Merchant: rec.Merchant})
	if err != nil {
		return m, err
	}
	m = mail.Message{ID: fmt.Sprintf("%s.%d", rec.Ledger, rec.Seq), To: c.Profile.Email}
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
		return m, err
	}
	m.Text = fmt.Sprintf("Hello %s,\n\n%s\n", c.Profile.Name, m.Text)
	return m, nil
}

// alert writes to one of those whom an alert names, and reports whether there are more.
func (l *letters) alert(ctx context.Context, rec *events.Record, e events.AlertRaised, recipient int) (more bool, err error) {
	a, err := l.s.Queries.GetAlert(ctx, asLedger(), query.GetAlertArgs{AtLeast: rec.Seq, Alert: e.Alert})
	if err != nil || recipient >= len(a.Recipients) {
		return false, err
	}
	// In cents, what it holds is rounded down and what it should hold up: the one shown is less than the other, too.
	holds, below := decimal.NewFromBigInt(e.Balance.Big(), -9).RoundFloor(2).StringFixed(2), e.Threshold.Decimal().RoundCeil(2).StringFixed(2)
	return recipient+1 < len(a.Recipients), l.sender.SendMessage(ctx, mail.Message{
		ID: fmt.Sprintf("%s.%d.%d", rec.Ledger, rec.Seq, recipient+1), To: a.Recipients[recipient],
		Subject: fmt.Sprintf("Wallet %s is low", e.Wallet),
		Text:    fmt.Sprintf("Hello,\n\nwallet %s holds %s %s, which is less than %s %s.\n", e.Wallet, holds, e.Currency, below, e.Currency),
	})
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
	if !inv.Credited.IsZero() {
		fmt.Fprintf(&text, ", less %s %s of credit notes", query.Cents(inv.Credited), inv.Currency)
	}
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
