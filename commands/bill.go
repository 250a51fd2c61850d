package commands

import (
	"slices"

	"github.com/shopspring/decimal"

	"tallystick/events"
	"tallystick/projections"
)

// ApproveInvoice issues a draft.
type ApproveInvoice struct{ Invoice events.InvoiceID }

// CancelInvoice gives up a draft of which nothing was paid. What it says is owed no more.
type CancelInvoice struct{ Invoice events.InvoiceID }

// WriteOffInvoice gives up what is left to pay of an issued invoice.
type WriteOffInvoice struct {
	Invoice events.InvoiceID
	Reason  events.Sealed
}

// CreateLineItem puts a line on the invoice of a period that is open: by the invoice, or the newest one of a subscription.
type CreateLineItem struct {
	Subscription events.SubscriptionID
	Invoice      events.InvoiceID // zero for the newest open one
	Text         events.Sealed    // what it is called
	Currency     events.Currency
	Quantity     decimal.Decimal // above 0
	UnitPrice    decimal.Decimal // below 0 for a discount
	Start, End   events.Time     // what it is for; zero for the invoice's period
}

// RefundInvoice gives all back that a paid invoice has charged, with a credit note, but for the usage that was refunded by itself since.
// The money goes to the consumer's wallet.
type RefundInvoice struct {
	Invoice events.InvoiceID
	Paid    PaidInvoice
	Reason  events.Sealed
}

// PaidInvoice is a paid invoice as the log has it, which never changes: whoever decodes the command looks it up.
type PaidInvoice struct {
	Merchant     events.OrganizationID // zero where there is no such invoice, or it is not paid
	Subscription events.SubscriptionID
	Period       uint32
	Nanos, Tax   events.Sum // before tax; tax
}

// VoidInvoiceRefund takes a credit note back. The money goes back to the merchant, as far as it is still in the wallet.
type VoidInvoiceRefund struct {
	Invoice    events.InvoiceID
	CreditNote events.CreditNoteID
	Paid       PaidInvoice
	Reason     events.Sealed
}

// CancelledByMerchant is why a draft is cancelled that its merchant does not approve.
const CancelledByMerchant = "BY_MERCHANT"

// decideBilling answers a command on usage that is billed, and on invoices.
func decideBilling(b *projections.Books, c Context, cmd any, d *decision) *Rejection {
	switch cmd := cmd.(type) {
	case RefundUsage:
		return refundUsage(b, c, cmd, d)
	case CorrectUsage:
		return correctUsage(b, c, cmd, d)
	case CreateDispute:
		return createDispute(b, c, cmd, d)
	case ResolveDispute:
		return resolveDispute(b, c, cmd, d)
	case CreateAlert:
		return createAlert(b, c, cmd, d)
	case ApproveInvoice:
		return approveInvoice(b, c, cmd, d)
	case CancelInvoice:
		return cancelInvoice(b, c, cmd, d)
	case WriteOffInvoice:
		return writeOffInvoice(b, c, cmd, d)
	case PayInvoice:
		return payInvoice(b, c, cmd, d)
	case CreateLineItem:
		return createLineItem(b, c, cmd, d)
	case RefundInvoice:
		return refundInvoice(b, c, cmd, d)
	case VoidInvoiceRefund:
		return voidInvoiceRefund(b, c, cmd, d)
	}
	panic("commands: impossible: no command of billing")
}

// billOf returns an invoice that is drafted or issued and not settled, with its subscription and the time on its clock.
func billOf(b *projections.Books, c Context, id events.InvoiceID) (*projections.Bill, *projections.Subscription, events.Time, *Rejection) {
	bill := b.Bills.Get(id)
	if bill == nil || bill.Merchant != c.Merchant {
		return nil, nil, 0, Reject(NotFound, "no invoice %s that is a draft or to be paid", id)
	}
	s := b.Subscriptions.Get(bill.Subscription)
	if r := clockUsable(b, c, s.Clock); r != nil {
		return nil, nil, 0, r
	}
	return bill, s, b.ClockNow(s.Clock, c.Now), nil
}

func approveInvoice(b *projections.Books, c Context, cmd ApproveInvoice, d *decision) *Rejection {
	bill, s, now, r := billOf(b, c, cmd.Invoice)
	if r != nil {
		return r
	}
	if bill.Status != projections.InvoiceDraft {
		return Reject(InvoiceState, "invoice %s is %s; only a DRAFT is approved", cmd.Invoice, bill.Status)
	}
	biller := newBiller(b, c, s)
	e := biller.issued(bill.Subscription, cmd.Invoice, bill.Period, now)
	e.Lines, e.Subtotal, e.Tax, e.Paid, e.Unpaid, e.UnpaidTax = bill.Lines, bill.Subtotal, bill.Tax, bill.Paid, bill.Unpaid, bill.UnpaidTax
	d.add(c, now, e)
	biller.ask(cmd.Invoice, bill, now, func(e events.Event) { d.add(c, now, e) })
	return nil
}

func cancelInvoice(b *projections.Books, c Context, cmd CancelInvoice, d *decision) *Rejection {
	bill, _, now, r := billOf(b, c, cmd.Invoice)
	if r != nil {
		return r
	}
	if bill.Status != projections.InvoiceDraft {
		return Reject(InvoiceState, "invoice %s is %s; only a DRAFT is cancelled", cmd.Invoice, bill.Status)
	}
	if !bill.Paid.IsZero() {
		return Reject(InvoiceState, "%s %s of invoice %s was paid as it was used; approve it, and refund it then", bill.Paid, bill.Currency, cmd.Invoice)
	}
	owed, ok := bill.Unpaid.Nanos()
	if !ok {
		return Reject(AmountOutOfRange, "the amount of invoice %s does not fit into one movement", cmd.Invoice)
	}
	d.add(c, now, events.InvoiceCancelled{
		Invoice: cmd.Invoice, Subscription: bill.Subscription, Period: bill.Period, Code: CancelledByMerchant,
		Wallet: bill.Wallet, Currency: bill.Currency, Postings: accruing(owed.Neg()),
	})
	return nil
}

func writeOffInvoice(b *projections.Books, c Context, cmd WriteOffInvoice, d *decision) *Rejection {
	bill, _, now, r := billOf(b, c, cmd.Invoice)
	if r != nil {
		return r
	}
	if bill.Status == projections.InvoiceDraft {
		return Reject(InvoiceState, "invoice %s is a DRAFT; cancel it, or approve it first", cmd.Invoice)
	}
	if !bill.Charge.IsZero() {
		return Reject(Conflict, "invoice %s is being paid; wait for the outcome", cmd.Invoice)
	}
	owed, ok := bill.Unpaid.Nanos()
	if !ok {
		return Reject(AmountOutOfRange, "the amount of invoice %s does not fit into one movement", cmd.Invoice)
	}
	closeSession(b, c, bill, events.SessionID{}, now, d)
	d.main = len(d.drafts)
	d.add(c, now, events.InvoiceWrittenOff{
		Invoice: cmd.Invoice, Subscription: bill.Subscription, Wallet: bill.Wallet, Currency: bill.Currency, Postings: accruing(owed.Neg()), Reason: cmd.Reason,
	})
	return nil
}

func createLineItem(b *projections.Books, c Context, cmd CreateLineItem, d *decision) *Rejection {
	if r := lineItemWellFormed(cmd); r != nil {
		return r
	}
	s := b.Subscriptions.Get(cmd.Subscription)
	if s == nil || s.Merchant != c.Merchant {
		return Reject(NotFound, "no subscription or invoice to put this on")
	}
	if cmd.Currency != s.Currency {
		return wrong("currency", "is %s; the subscription is billed in %s", cmd.Currency, s.Currency)
	}
	if r := clockUsable(b, c, s.Clock); r != nil {
		return r
	}
	now := b.ClockNow(s.Clock, c.Now)
	if overdue(s, now) {
		d.overdue = onSubscription(cmd.Subscription)
		return nil
	}
	p := openFor(s, cmd.Invoice)
	if p == nil {
		return Reject(InvoiceState, "a line is put on an invoice that is ACTIVE or CLOSING; there is no such one")
	}
	amount, ok := events.Round(cmd.Quantity.Mul(cmd.UnitPrice))
	if !ok {
		return Reject(AmountOutOfRange, "quantity times unitPrice does not fit")
	}
	card := b.Plans.Get(s.Plan).CardAt(s.Agreed(p))
	e := events.LineItemAdded{
		Line: events.Derive[events.LineNoun](c.ID, 0), Invoice: p.Invoice, Subscription: cmd.Subscription, Customer: s.Customer, Wallet: s.Wallet, Period: p.N,
		Text: cmd.Text, Quantity: cmd.Quantity.String(), UnitPrice: cmd.UnitPrice.String(), Currency: s.Currency, Start: cmd.Start, End: cmd.End,
	}
	if !s.TaxExempt {
		payer := payerOf(b, s.Customer)
		e.TaxRate = payer.rate(StandardTaxes{}, s.Plan, card, events.MetricID{}, now)
	}
	e.Nanos, e.Tax = taxOn(e.TaxRate, card.Taxed, events.Sum{}, events.Sum{}, amount)
	owed, ok := e.Nanos.Plus(e.Tax)
	if !ok {
		return Reject(AmountOutOfRange, "quantity times unitPrice does not fit")
	}
	if owed < 0 && certain(b, cmd.Subscription, p).Add(owed).Sign() < 0 {
		return Reject(InvoiceState, "a discount of %s is more than what invoice %s is certain to leave to pay", owed.Neg(), p.Invoice)
	}
	e.Postings = accruing(owed)
	d.add(c, now, e)
	return nil
}

// maxLineDigits bounds the digits of the factors of a line.
const maxLineDigits = 30

func lineItemWellFormed(cmd CreateLineItem) *Rejection {
	for _, f := range []struct {
		name string
		v    decimal.Decimal
	}{{"quantity", cmd.Quantity}, {"unitPrice", cmd.UnitPrice}} {
		if f.v.NumDigits() > maxLineDigits || f.v.Exponent() < -18 || f.v.Exponent() > 18 {
			return wrong(f.name, "has too many digits")
		}
	}
	switch {
	case cmd.Quantity.Sign() <= 0:
		return wrong("quantity", "must be above 0")
	case cmd.End != 0 && cmd.End < cmd.Start:
		return wrong("periodEnd", "is before periodStart")
	}
	return first(billable("periodStart", cmd.Start), billable("periodEnd", cmd.End))
}

// openFor returns the open period of an invoice, or the newest one that is not over where none is named.
func openFor(s *projections.Subscription, invoice events.InvoiceID) *projections.Period {
	for i := range s.Periods {
		if p := &s.Periods[i]; p.Invoice == invoice || invoice.IsZero() && i == len(s.Periods)-1 {
			return p
		}
	}
	return nil
}

// paidOf returns the subscription of a paid invoice, and the time on its clock.
func paidOf(b *projections.Books, c Context, id events.InvoiceID, paid *PaidInvoice) (*projections.Subscription, events.Time, *Rejection) {
	if bill := b.Bills.Get(id); bill != nil && bill.Merchant == c.Merchant {
		return nil, 0, Reject(InvoiceState, "invoice %s is %s; only a PAID one is refunded", id, bill.Status)
	}
	if paid.Merchant.IsZero() || paid.Merchant != c.Merchant {
		return nil, 0, Reject(NotFound, "no invoice %s that is paid", id)
	}
	s := b.Subscriptions.Get(paid.Subscription)
	return s, b.ClockNow(s.Clock, c.Now), clockUsable(b, c, s.Clock)
}

// creditOf returns the credit note over all of an invoice that is not void, or nil.
func creditOf(b *projections.Books, id events.InvoiceID) *projections.Credit {
	if list := b.Credits.Get(id); list != nil {
		if last := &list.Notes[len(list.Notes)-1]; last.VoidedAt == 0 && last.Usage.IsZero() {
			return last
		}
	}
	return nil
}

// overUsage reports whether a credit note of an invoice is over usage that was taken back while the invoice was to be paid.
func overUsage(b *projections.Books, id events.InvoiceID, note events.CreditNoteID) bool {
	list := b.Credits.Get(id)
	return list != nil && slices.ContainsFunc(list.Notes, func(n projections.Credit) bool { return n.ID == note && !n.Usage.IsZero() })
}

func refundInvoice(b *projections.Books, c Context, cmd RefundInvoice, d *decision) *Rejection {
	s, now, r := paidOf(b, c, cmd.Invoice, &cmd.Paid)
	if r != nil {
		return r
	}
	if note := creditOf(b, cmd.Invoice); note != nil {
		return Reject(AlreadyRefunded, "invoice %s was refunded with credit note %s", cmd.Invoice, note.ID)
	}
	before, of := notRefunded(b, &cmd.Paid)
	net, ok := before.Nanos()
	tax, ok2 := of.Nanos()
	total, ok3 := net.Plus(tax)
	if !ok || !ok2 || !ok3 {
		return Reject(AmountOutOfRange, "the amount of invoice %s does not fit into one movement", cmd.Invoice)
	}
	if total <= 0 {
		return Reject(InvoiceState, "invoice %s has charged %s that was not refunded; there is nothing to give back", cmd.Invoice, total)
	}
	wallet := walletNow(b, s)
	d.add(c, now, events.InvoiceRefunded{
		CreditNote: events.Derive[events.CreditNoteNoun](c.ID, 0), Invoice: cmd.Invoice, Subscription: cmd.Paid.Subscription, Wallet: wallet,
		Period: cmd.Paid.Period, Nanos: before, Tax: of, Currency: s.Currency, Reason: cmd.Reason,
		Postings: back(total, net, tax), Balance: b.BalanceOf(projections.MainAccount(wallet, s.Currency)).Add(total),
	})
	return nil
}

// notRefunded returns what a paid invoice has charged and nobody has given back yet, before tax and the tax. A refund that it shows of usage
// which another one charged is money by which it was paid, and lowers what that other one gives back.
func notRefunded(b *projections.Books, paid *PaidInvoice) (net, tax events.Sum) {
	net, tax = paid.Nanos, paid.Tax
	if r := b.Returns.Get(projections.PeriodKey{Subscription: paid.Subscription, Period: paid.Period}); r != nil {
		net, tax = net.Plus(r.Shown).Plus(r.Back.Neg()), tax.Plus(r.ShownTax).Plus(r.BackTax.Neg())
	}
	return net, tax
}

// back moves what was paid to the merchant and the tax back to the wallet. The platform keeps its part.
func back(total, net, tax events.Nanos) (ps []events.Posting) {
	for _, p := range []events.Posting{
		{Role: events.ConsumerMain, Nanos: total}, {Role: events.Merchant, Nanos: net.Neg()}, {Role: events.TaxPayable, Nanos: tax.Neg()},
	} {
		if p.Nanos != 0 {
			ps = append(ps, p)
		}
	}
	return ps
}

func voidInvoiceRefund(b *projections.Books, c Context, cmd VoidInvoiceRefund, d *decision) *Rejection {
	s, now, r := paidOf(b, c, cmd.Invoice, &cmd.Paid)
	if r != nil {
		return r
	}
	if overUsage(b, cmd.Invoice, cmd.CreditNote) {
		return Reject(InvoiceState, "credit note %s is over usage that was taken back, which is final", cmd.CreditNote)
	}
	note := creditOf(b, cmd.Invoice)
	if note == nil || note.ID != cmd.CreditNote {
		return Reject(NotFound, "invoice %s has no credit note %s that is not void", cmd.Invoice, cmd.CreditNote)
	}
	net, _ := note.Nanos.Nanos()
	tax, _ := note.Tax.Nanos()
	total := net + tax // which was moved before
	wallet := walletNow(b, s)
	balance := b.BalanceOf(projections.MainAccount(wallet, s.Currency))
	if balance.Cmp(events.SumOf(total)) < 0 {
		return Reject(InsufficientFunds, "the wallet holds %s %s, and the credit note was of %s", balance, s.Currency, total)
	}
	d.add(c, now, events.InvoiceRefundVoided{
		CreditNote: cmd.CreditNote, Invoice: cmd.Invoice, Subscription: cmd.Paid.Subscription, Period: cmd.Paid.Period, Wallet: wallet, Currency: s.Currency,
		Postings: back(total.Neg(), net.Neg(), tax.Neg()), Balance: balance.Add(total.Neg()), Reason: cmd.Reason,
	})
	return nil
}
