package commands

import (
	"strconv"
	"strings"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// PayInvoice asks for what an invoice leaves to pay, now: with the stored payment method, or by a payment session, which is the one that
// is open already if there is one.
type PayInvoice struct {
	Invoice events.InvoiceID
	Method  string // "stored" or "session"
}

const (
	// defaultRetries is how many days after each failed charge of an invoice the next is made, where the merchant does not say.
	defaultRetries = "1,3,5,7"
	noRetries      = "none"
	maxRetries     = 10
	maxRetryDays   = 60
)

// noMethod is why an invoice is not paid automatically whose payer has no stored method any more, or wants it no more.
const noMethod = "no_payment_method"

// retries reads after how many days each failed charge of an invoice is made again.
func retries(setting string) (days []int, ok bool) {
	switch setting {
	case "":
		setting = defaultRetries
	case noRetries:
		return nil, true
	}
	for part := range strings.SplitSeq(setting, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > maxRetryDays || len(days) == maxRetries {
			return nil, false
		}
		days = append(days, n)
	}
	return days, true
}

// owing is what an invoice leaves to pay.
type owing struct {
	b        *projections.Books
	merchant events.OrganizationID
	invoice  events.InvoiceID
	sub      events.SubscriptionID
	s        *projections.Subscription
	unpaid   events.Nanos // above 0
	tax      events.Nanos // in it
	instant  events.Sum   // what its period has debited at once
	balance  events.Sum   // of the wallet
}

// owingOf returns what a bill leaves to pay, and reports whether that is something that can be paid in one movement.
func owingOf(b *projections.Books, id events.InvoiceID, bill *projections.Bill) (*owing, bool) {
	unpaid, ok := bill.Unpaid.Nanos()
	tax, ok2 := bill.UnpaidTax.Nanos()
	s := b.Subscriptions.Get(bill.Subscription)
	return &owing{
		b: b, merchant: bill.Merchant, invoice: id, sub: bill.Subscription, s: s,
		unpaid: unpaid, tax: tax, instant: bill.Instant, balance: b.BalanceOf(projections.MainAccount(s.Wallet, s.Currency)),
	}, ok && ok2 && unpaid > 0
}

// Payable returns what is owed where an invoice leaves so much to pay, in whole cents, rounded half up (A10), and what a payer is asked
// for: that, raised to what the processor takes at least. The rest goes to the wallet. Less than half a cent is nothing.
func Payable(unpaid events.Nanos) (owed, asked events.Nanos) {
	owed = (unpaid + centNanos/2) / centNanos * centNanos
	if owed <= 0 {
		return 0, 0
	}
	return owed, max(owed, minCharge)
}

// cents returns what is left to pay, in whole cents.
func (o *owing) cents() events.Nanos {
	owed, _ := Payable(o.unpaid)
	return owed
}

// amount returns what the processor is asked for.
func (o *owing) amount() events.Nanos {
	_, asked := Payable(o.unpaid)
	return asked
}

// paid returns that the invoice is paid, with money from an account: what the consumer owes and the merchant is to receive is no more, the
// merchant has earned it, less the platform's part, and the tax is payable.
//
//	clearing: −amount = usage + receivable (0 together) + merchant + platform + tax + what is rounded + what goes to the wallet
func (o *owing) paid(from events.Role, amount events.Nanos, at events.Time) events.InvoicePaid {
	e := events.InvoicePaid{Invoice: o.invoice, Subscription: o.sub, PaidAt: at, Currency: o.s.Currency, Wallet: o.s.Wallet}
	net := o.unpaid - o.tax
	part := feeOf(o.b.Merchants.Get(o.merchant).Settings.FeeBasisPoints, o.instant, net)
	var rounded, rest events.Nanos
	if from != events.ConsumerMain {
		rounded = o.cents() - o.unpaid
		rest = amount - o.cents()
	}
	all := []events.Posting{
		{Role: from, Nanos: amount.Neg()},
		{Role: events.ConsumerUsage, Nanos: o.unpaid},
		{Role: events.Receivable, Nanos: o.unpaid.Neg()},
		{Role: events.Merchant, Nanos: net - part},
		{Role: events.PlatformFee, Nanos: part},
		{Role: events.TaxPayable, Nanos: o.tax},
		{Role: events.Rounding, Nanos: rounded},
		{Role: events.ConsumerMain, Nanos: rest},
	}
	moved := rest
	if from == events.ConsumerMain {
		moved -= amount
	}
	if moved != 0 {
		e.Balance = o.balance.Add(moved)
	}
	for _, p := range all {
		if p.Nanos != 0 {
			e.Postings = append(e.Postings, p)
		}
	}
	return e
}

// charge returns the charge of what is left to pay with the stored payment method, and whether there is one.
func (o *owing) charge(id events.ChargeID) (e events.ChargeRequested, ok bool) {
	owner := o.b.Customers.Get(o.s.Customer).Consumer
	method := o.b.Consumers.Get(owner).MethodFor(o.merchant)
	m := o.b.Methods.Get(method)
	if m == nil {
		return e, false
	}
	return events.ChargeRequested{
		Charge: id, Provider: m.Provider, Card: m.Card, Amount: o.amount(), Currency: o.s.Currency, Method: method, Customer: o.s.Customer,
		Consumer: owner, Subscription: o.sub, Invoice: o.invoice, Wallet: o.s.Wallet, OffSession: true, Clock: o.s.Clock,
	}, true
}

// session returns the opening of a payment session for what is left to pay. It does not expire: it is good as long as the invoice is
// to be paid.
func (o *owing) session(id events.SessionID) events.SessionOpened {
	return events.SessionOpened{
		Session: id, Mode: events.PayMode, Amount: o.amount(), Upfront: o.cents(), Currency: o.s.Currency, Customer: o.s.Customer,
		Consumer: o.b.Customers.Get(o.s.Customer).Consumer, Subscription: o.sub, Invoice: o.invoice, Wallet: o.s.Wallet, Save: o.s.AutoCharge, Clock: o.s.Clock,
	}
}

// collect adds how what an invoice leaves to pay, which is issued just now, is asked for: with the stored payment method where charges are
// automatic, else by a payment session. Less than half a cent is nothing. What is less than the processor takes comes from the wallet,
// where charges are automatic and the wallet holds it.
func (bill *biller) collect(o *owing, at events.Time, add func(events.Event)) {
	if o.cents() == 0 {
		add(o.paid(events.Rounding, 0, at))
		return
	}
	bill.ids++
	if o.s.AutoCharge {
		if o.balance = bill.balance; o.cents() < minCharge && o.balance.Cmp(events.SumOf(o.unpaid)) >= 0 {
			bill.balance = o.balance.Add(o.unpaid.Neg())
			add(o.paid(events.ConsumerMain, o.unpaid, at))
			return
		}
		if e, ok := o.charge(events.Derive[events.ChargeNoun](bill.c.ID, bill.ids)); ok {
			add(e)
			return
		}
	}
	add(o.session(events.Derive[events.SessionNoun](bill.c.ID, bill.ids)))
}

// collected adds that an invoice is paid with the money of a charge. Its payment session, if it was not that, is over.
func collected(b *projections.Books, c Context, q *events.ChargeRequested, now events.Time, d *decision) {
	bill := b.Bills.Get(q.Invoice)
	if bill == nil {
		credit(b, c, q, methodSession, now, d) // it is not to be paid any more
		return
	}
	o, _ := owingOf(b, q.Invoice, bill)
	e := o.paid(events.ProcessorClearing, q.Amount, now)
	e.Charge = q.Charge
	d.add(c, now, e)
	closeSession(b, c, bill, q.Session, now, d)
}

// closeSession ends the payment session of an invoice that is not to be paid any more, unless it is the one given, which ends otherwise.
func closeSession(b *projections.Books, c Context, bill *projections.Bill, but events.SessionID, at events.Time, d *decision) {
	if s := b.Sessions.Get(bill.Session); s != nil && s.Open() && bill.Session != but {
		d.add(c, at, events.SessionEnded{Session: bill.Session, Status: events.SessionCancelled})
	}
}

// uncollected adds that a charge of an invoice has failed, and when the next is made. Charges of somebody who is there are made again by
// that one.
func uncollected(b *projections.Books, c Context, id events.InvoiceID, charge events.ChargeID, offSession bool, code string, now events.Time, d *decision) {
	bill := b.Bills.Get(id)
	if bill == nil {
		return
	}
	e := events.InvoicePaymentFailed{
		Invoice: id, Subscription: bill.Subscription, Charge: charge, Code: code, Attempts: bill.Attempts, RetryAt: bill.RetryAt,
	}
	if offSession {
		e.Attempts, e.RetryAt = e.Attempts+1, 0
		days, _ := retries(b.Merchants.Get(bill.Merchant).Settings.PaymentRetries)
		if n := int(e.Attempts); n <= len(days) {
			e.RetryAt = now.Add(time.Duration(days[n-1]) * 24 * time.Hour)
		}
	}
	d.add(c, now, e)
	if o, ok := owingOf(b, id, bill); ok && b.Sessions.Get(bill.Session) == nil {
		d.add(c, now, o.session(events.Derive[events.SessionNoun](c.ID, 3)))
	}
}

// decideInvoiceDue charges an invoice again.
func decideInvoiceDue(b *projections.Books, c Context, id events.InvoiceID, d *decision) {
	bill := b.Bills.Get(id)
	c.Merchant = bill.Merchant
	at := bill.RetryAt
	o, ok := owingOf(b, id, bill)
	if ok && o.s.AutoCharge {
		if e, ok := o.charge(events.Derive[events.ChargeNoun](c.ID, 4)); ok {
			d.add(c, at, e)
			return
		}
	}
	uncollected(b, c, id, events.ChargeID{}, true, noMethod, at, d)
}

func payInvoice(b *projections.Books, c Context, cmd PayInvoice, d *decision) *Rejection {
	if cmd.Method != methodStored && cmd.Method != methodSession {
		return wrong("method", "%.40q is none of stored, session", cmd.Method)
	}
	bill, _, now, r := billOf(b, c, cmd.Invoice)
	if r != nil {
		return r
	}
	o, ok := owingOf(b, cmd.Invoice, bill)
	switch {
	case bill.Status == projections.InvoiceDraft:
		return Reject(InvoiceState, "invoice %s is a DRAFT; approve it first", cmd.Invoice)
	case !ok:
		return Reject(AmountOutOfRange, "the amount of invoice %s does not fit into one movement", cmd.Invoice)
	case !bill.Charge.IsZero():
		return Reject(Conflict, "invoice %s is being paid; wait for the outcome", cmd.Invoice)
	}
	if cmd.Method == methodStored {
		e, ok := o.charge(events.Derive[events.ChargeNoun](c.ID, 4))
		if !ok {
			return Reject(NoPaymentMethod, "customer %s has no stored payment method", o.s.Customer)
		}
		d.add(c, now, e)
		return nil
	}
	if s := b.Sessions.Get(bill.Session); s != nil && s.Open() {
		d.existing = &Receipt{Status: Duplicate, Seq: s.Created, ID: Ref{refSession, bill.Session}}
		return nil
	}
	d.add(c, now, o.session(events.Derive[events.SessionNoun](c.ID, 3)))
	return nil
}
