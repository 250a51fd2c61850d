package projections

import (
	"slices"

	"tallystick/events"
)

// MaxDistinct is how many different quantities a period of a metric that counts them may have.
const MaxDistinct = 1 << 16

// InvoiceStatus is the state of an invoice on the wire.
type InvoiceStatus string

// The states of an invoice.
const (
	InvoiceActive     InvoiceStatus = "ACTIVE"         // its period is running
	InvoiceClosing    InvoiceStatus = "CLOSING"        // its period is over, late usage still joins it
	InvoiceDraft      InvoiceStatus = "DRAFT"          // its lines are final, and its merchant has not approved it yet
	InvoiceIssued     InvoiceStatus = "ISSUED"         // final, and something is left to pay
	InvoiceUnpaid     InvoiceStatus = "PAYMENT_FAILED" // like ISSUED, after a charge that has failed
	InvoicePaid       InvoiceStatus = "PAID"           // nothing is left to pay
	InvoiceCancelled  InvoiceStatus = "CANCELLED"      // never issued
	InvoiceWrittenOff InvoiceStatus = "WRITTEN_OFF"    // what is left is given up
)

// Invoice is the bill of a billing period.
type Invoice struct {
	Merchant     events.OrganizationID `cbor:"1,keyasint"`
	Subscription events.SubscriptionID `cbor:"2,keyasint"`
	Customer     events.CustomerID     `cbor:"3,keyasint"`
	Period       uint32                `cbor:"4,keyasint"`
	Status       InvoiceStatus         `cbor:"5,keyasint"`
	Start        events.Time           `cbor:"6,keyasint"`
	End          events.Time           `cbor:"7,keyasint"`
	GraceEnd     events.Time           `cbor:"8,keyasint"`
	Currency     events.Currency       `cbor:"9,keyasint"`
	Number       uint64                `cbor:"10,keyasint,omitzero"` // once issued
	Lines        uint32                `cbor:"11,keyasint,omitzero"`
	Subtotal     events.Sum            `cbor:"12,keyasint"`
	Tax          events.Sum            `cbor:"13,keyasint"`
	Paid         events.Sum            `cbor:"14,keyasint"`
	Unpaid       events.Sum            `cbor:"15,keyasint"`
	Seller       events.Seq            `cbor:"16,keyasint,omitzero"`
	Buyer        events.Seq            `cbor:"17,keyasint,omitzero"`
	Issued       events.Seq            `cbor:"18,keyasint,omitzero"` // the record that issued it
	IssuedAt     events.Time           `cbor:"19,keyasint,omitzero"`
	DueAt        events.Time           `cbor:"20,keyasint,omitzero"`
	PaidAt       events.Time           `cbor:"21,keyasint,omitzero"`
	Code         string                `cbor:"22,keyasint,omitempty"` // why it was cancelled
	CreatedAt    events.Time           `cbor:"23,keyasint"`
	UpdatedAt    events.Time           `cbor:"24,keyasint"`
	Session      events.SessionID      `cbor:"25,keyasint,omitzero"`  // the latest one that it is to be paid by, while it is
	Failure      string                `cbor:"26,keyasint,omitempty"` // why the latest charge has failed, while it is to be paid
	RetryAt      events.Time           `cbor:"27,keyasint,omitzero"`  // when it is charged again
	InFlight     bool                  `cbor:"28,keyasint,omitempty"` // the provider is at work
	Credited     events.Sum            `cbor:"29,keyasint,omitzero"`  // what usage that was taken back has left less to pay of it
}

// Bill is an invoice that is drafted or issued, and neither paid nor given up: what rules need of it.
type Bill struct {
	Merchant     events.OrganizationID `cbor:"1,keyasint"`
	Subscription events.SubscriptionID `cbor:"2,keyasint"`
	Customer     events.CustomerID     `cbor:"3,keyasint"`
	Wallet       events.WalletID       `cbor:"4,keyasint"`
	Currency     events.Currency       `cbor:"5,keyasint"`
	Period       uint32                `cbor:"6,keyasint"`
	Status       InvoiceStatus         `cbor:"7,keyasint"`
	Lines        uint32                `cbor:"8,keyasint"`
	Subtotal     events.Sum            `cbor:"9,keyasint"`
	Tax          events.Sum            `cbor:"10,keyasint"`
	Paid         events.Sum            `cbor:"11,keyasint"`
	Unpaid       events.Sum            `cbor:"12,keyasint"`
	Number       uint64                `cbor:"13,keyasint,omitzero"`
	DueAt        events.Time           `cbor:"14,keyasint,omitzero"`
	Issued       events.Seq            `cbor:"15,keyasint,omitzero"` // the record that issued it
	UnpaidTax    events.Sum            `cbor:"16,keyasint"`          // what of Unpaid is tax
	Instant      events.Sum            `cbor:"17,keyasint"`          // what the period has debited at once, before tax: the base of the platform's part
	Charge       events.ChargeID       `cbor:"18,keyasint,omitzero"` // that pays it, if the provider is at work
	Session      events.SessionID      `cbor:"19,keyasint,omitzero"` // the latest one that it is to be paid by
	Attempts     uint32                `cbor:"20,keyasint,omitzero"` // that have failed, with the stored method
	RetryAt      events.Time           `cbor:"21,keyasint,omitzero"` // when the next is made
	Parked       string                `cbor:"22,keyasint,omitempty"`
}

// Credits is the credit notes of an invoice, oldest first. Those over usage come before it is paid, and are never void; of those over
// all of it, which come later, at most the last is not void.
type Credits struct {
	Notes []Credit `cbor:"1,keyasint"`
}

// Credit is a credit note.
type Credit struct {
	ID       events.CreditNoteID   `cbor:"1,keyasint"`
	Merchant events.OrganizationID `cbor:"2,keyasint"`
	Nanos    events.Sum            `cbor:"3,keyasint"` // before tax
	Tax      events.Sum            `cbor:"4,keyasint"`
	Currency events.Currency       `cbor:"5,keyasint"`
	Reason   events.Sealed         `cbor:"6,keyasint,omitzero"`
	At       events.Time           `cbor:"7,keyasint"`
	VoidedAt events.Time           `cbor:"8,keyasint,omitzero"`
	Issued   events.Seq            `cbor:"9,keyasint"` // its record

	Usage events.UsageID `cbor:"10,keyasint,omitzero"` // that was taken back; zero for all that the invoice charged
	Less  events.Nanos   `cbor:"11,keyasint,omitzero"` // what the invoice leaves to pay less for that; the rest was debited, and is credited again
}

// Refund is what became of a usage event that was taken back.
type Refund struct {
	Seq    events.Seq    `cbor:"1,keyasint"`
	At     events.Time   `cbor:"2,keyasint"`
	Reason events.Sealed `cbor:"3,keyasint,omitzero"`
}

// Returns is what bears on giving back what the invoice of a period has charged, so that nothing is given back twice. There is a row
// only where something does.
type Returns struct {
	Back     events.Sum `cbor:"1,keyasint"`           // of what it charged, before tax: given back by refunds of usage that it does not show
	BackTax  events.Sum `cbor:"2,keyasint"`           // their tax
	Shown    events.Sum `cbor:"3,keyasint"`           // by refunds that it shows of usage that others charged
	ShownTax events.Sum `cbor:"4,keyasint"`           // their tax
	Credited bool       `cbor:"5,keyasint,omitempty"` // a credit note gives back all that it charged
	GivenUp  bool       `cbor:"6,keyasint,omitempty"` // what it left to pay never will be
}

// Line is a closed line: where it stands in the log.
type Line struct {
	Seq events.Seq `cbor:"1,keyasint"` // its closing record
}

// Issuance is what an accrual comes to as an invoice, line by line. It is the one
// computation behind an issued invoice and the preview of one.
type Issuance struct {
	Subtotal, Tax, Paid, Unpaid events.Sum
	UnpaidTax                   events.Sum // what of Unpaid is tax
}

// Issue adds up lines.
func Issue(lines []OpenLine) (i Issuance) {
	for l := range slices.Values(lines) {
		i.Subtotal, i.Tax = i.Subtotal.Plus(l.Nanos), i.Tax.Plus(l.Tax)
		if l.Prepaid() {
			i.Paid = i.Paid.Plus(l.Nanos).Plus(l.Tax)
		} else {
			i.UnpaidTax = i.UnpaidTax.Plus(l.Tax)
		}
	}
	i.Unpaid = i.Subtotal.Plus(i.Tax).Plus(i.Paid.Neg())
	return i
}

func (b *Books) invoiceOpened(rec *events.Record, e events.InvoiceOpened) {
	s := b.Subscriptions.edit(e.Subscription)
	s.Periods = append(s.Periods, Period{N: e.Period, Invoice: e.Invoice, Start: e.Start, End: e.End, GraceEnd: e.GraceEnd, Opened: rec.Seq})
	b.remind(s, &s.Periods[len(s.Periods)-1], rec.At)
	if e.Period == 0 {
		s.First = e.Invoice
	}
	*b.Accruals.insert(PeriodKey{e.Subscription, e.Period}) = Accrual{Invoice: e.Invoice}
	*b.Invoices.insert(e.Invoice) = Invoice{
		Merchant: rec.Merchant, Subscription: e.Subscription, Customer: e.Customer, Period: e.Period,
		Status: InvoiceActive, Start: e.Start, End: e.End, GraceEnd: e.GraceEnd, Currency: e.Currency, CreatedAt: rec.At, UpdatedAt: rec.At,
	}
	b.owe(e.Customer, e.Invoice)
	b.link(LinkInvoices, rec.Merchant, e.Invoice, rec.Seq)
	b.link(LinkInvoicesOfCustomer, e.Customer, e.Invoice, rec.Seq)
	b.link(LinkInvoicesOfSubscription, e.Subscription, e.Invoice, rec.Seq)
}

func (b *Books) invoiceClosing(rec *events.Record, e events.InvoiceClosing) {
	s := b.Subscriptions.edit(e.Subscription)
	inv := b.Invoices.edit(e.Invoice)
	inv.Status, inv.UpdatedAt = InvoiceClosing, rec.At
	for i := range s.Periods {
		p := &s.Periods[i]
		if p.N != e.Period {
			continue
		}
		p.Closing, p.Closed, p.RemindAt = true, rec.Seq, 0
		if e.End != 0 {
			p.End, p.GraceEnd = e.End, e.GraceEnd
			inv.End, inv.GraceEnd = e.End, e.GraceEnd
		}
		return
	}
	assert(false, rec, "a period closed that is not open")
}

func (b *Books) invoiceLineClosed(rec *events.Record, e events.InvoiceLineClosed) {
	*b.Lines.insert(Pair[events.InvoiceID, events.LineID]{e.Invoice, e.Line}) = Line{rec.Seq}
}

func (b *Books) invoiceDrafted(rec *events.Record, e events.InvoiceDrafted) {
	inv := b.Invoices.edit(e.Invoice)
	inv.Status, inv.Lines = InvoiceDraft, e.Lines
	inv.Subtotal, inv.Tax, inv.Paid, inv.Unpaid = e.Subtotal, e.Tax, e.Paid, e.Unpaid
	inv.UpdatedAt = rec.At
	bill := b.bill(rec, e.Invoice, e.Subscription, e.Period)
	bill.Status, bill.Lines = InvoiceDraft, e.Lines
	bill.Subtotal, bill.Tax, bill.Paid, bill.Unpaid, bill.UnpaidTax = e.Subtotal, e.Tax, e.Paid, e.Unpaid, e.UnpaidTax
	b.periodDone(e.Subscription, e.Period)
}

// bill returns the row of an invoice that is not settled, a new one if there is none.
func (b *Books) bill(rec *events.Record, id events.InvoiceID, sub events.SubscriptionID, period uint32) *Bill {
	bill := b.Bills.edit(id)
	if bill.Subscription.IsZero() {
		s := b.Subscriptions.Get(sub)
		bill.Merchant, bill.Subscription, bill.Customer, bill.Period = rec.Merchant, sub, s.Customer, period
		bill.Wallet, bill.Currency = s.Wallet, s.Currency
		if a := b.Accruals.Get(PeriodKey{sub, period}); a != nil {
			bill.Instant = a.Instant
		}
	}
	return bill
}

func (b *Books) invoiceIssued(rec *events.Record, e events.InvoiceIssued) {
	number := b.Numbers.edit(rec.Merchant)
	assert(b.Numbers.off || e.Number == *number+1, rec, "an invoice number left out, or given twice")
	*number = e.Number
	inv := b.Invoices.edit(e.Invoice)
	inv.Status, inv.Number, inv.Lines = InvoiceIssued, e.Number, e.Lines
	inv.Subtotal, inv.Tax, inv.Paid, inv.Unpaid = e.Subtotal, e.Tax, e.Paid, e.Unpaid
	inv.Seller, inv.Buyer = e.Seller, e.Buyer
	inv.Issued, inv.IssuedAt, inv.DueAt, inv.UpdatedAt = rec.Seq, rec.At, e.DueAt, rec.At
	bill := b.bill(rec, e.Invoice, e.Subscription, e.Period)
	drafted := bill.Status == InvoiceDraft
	bill.Status, bill.Lines, bill.DueAt, bill.Issued, bill.Number = InvoiceIssued, e.Lines, e.DueAt, rec.Seq, e.Number
	bill.Subtotal, bill.Tax, bill.Paid, bill.Unpaid, bill.UnpaidTax = e.Subtotal, e.Tax, e.Paid, e.Unpaid, e.UnpaidTax
	if !drafted {
		b.periodDone(e.Subscription, e.Period)
	}
}

func (b *Books) invoicePaid(rec *events.Record, e events.InvoicePaid) {
	inv := b.ended(rec, e.Subscription, e.Invoice, InvoicePaid)
	inv.PaidAt, inv.Paid, inv.Unpaid = e.PaidAt, inv.Paid.Plus(inv.Unpaid), events.Sum{}
}

func (b *Books) invoicePaymentFailed(rec *events.Record, e events.InvoicePaymentFailed) {
	bill := b.Bills.edit(e.Invoice)
	assert(bill.Issued != 0, rec, "a payment of what is not to be paid")
	bill.Status, bill.Attempts, bill.RetryAt = InvoiceUnpaid, e.Attempts, e.RetryAt
	inv := b.Invoices.edit(e.Invoice)
	inv.Status, inv.Failure, inv.RetryAt, inv.UpdatedAt = InvoiceUnpaid, e.Code, e.RetryAt, rec.At
}

// charging notes that the provider is asked for what an invoice leaves to pay, or, with no charge, that it has answered.
func (b *Books) charging(rec *events.Record, id events.InvoiceID, charge events.ChargeID) {
	if b.Bills.Get(id) == nil {
		return
	}
	bill := b.Bills.edit(id)
	assert(charge.IsZero() || bill.Charge.IsZero(), rec, "an invoice that is charged twice at once")
	bill.Charge = charge
	inv := b.Invoices.edit(id)
	inv.InFlight, inv.UpdatedAt = !charge.IsZero(), rec.At
}

func (b *Books) invoiceWrittenOff(rec *events.Record, e events.InvoiceWrittenOff) {
	b.givenUp(e.Subscription, e.Invoice)
	b.ended(rec, e.Subscription, e.Invoice, InvoiceWrittenOff)
}

// ended takes an invoice to a final state: nothing is left to be paid.
func (b *Books) ended(rec *events.Record, sub events.SubscriptionID, id events.InvoiceID, status InvoiceStatus) *Invoice {
	b.settled(sub, id)
	inv := b.Invoices.edit(id)
	inv.Status, inv.UpdatedAt = status, rec.At
	inv.Session, inv.Failure, inv.RetryAt, inv.InFlight = events.SessionID{}, "", 0, false
	b.Bills.remove(id)
	return inv
}

// givenUp notes that what an invoice leaves to pay never will be. One without lines was not drafted, and leaves nothing.
func (b *Books) givenUp(sub events.SubscriptionID, id events.InvoiceID) {
	if bill := b.Bills.Get(id); bill != nil {
		b.Returns.edit(PeriodKey{sub, bill.Period}).GivenUp = true
	}
}

func (b *Books) invoiceCancelled(rec *events.Record, e events.InvoiceCancelled) {
	b.givenUp(e.Subscription, e.Invoice)
	b.ended(rec, e.Subscription, e.Invoice, InvoiceCancelled).Code = e.Code
	if b.Accruals.Get(PeriodKey{e.Subscription, e.Period}) != nil {
		b.periodDone(e.Subscription, e.Period)
	}
}

func (b *Books) invoiceRefunded(rec *events.Record, e events.InvoiceRefunded) {
	list := b.Credits.edit(e.Invoice)
	list.Notes = append(list.Notes, Credit{
		ID: e.CreditNote, Merchant: rec.Merchant, Nanos: e.Nanos, Tax: e.Tax, Currency: e.Currency, Reason: e.Reason, At: rec.At, Issued: rec.Seq,
	})
	b.Returns.edit(PeriodKey{e.Subscription, e.Period}).Credited = true
}

func (b *Books) invoiceRefundVoided(rec *events.Record, e events.InvoiceRefundVoided) {
	list := b.Credits.edit(e.Invoice)
	for i := range list.Notes {
		if c := &list.Notes[i]; c.ID == e.CreditNote {
			assert(c.VoidedAt == 0, rec, "a credit note voided twice")
			c.VoidedAt = rec.At
			b.Returns.edit(PeriodKey{e.Subscription, e.Period}).Credited = false
			return
		}
	}
	assert(false, rec, "a credit note voided that is none")
}

// periodDone forgets a period of a subscription: nothing joins its invoice any more.
func (b *Books) periodDone(id events.SubscriptionID, n uint32) {
	s := b.Subscriptions.edit(id)
	s.Periods = slices.DeleteFunc(s.Periods, func(p Period) bool { return p.N == n })
	key := PeriodKey{id, n}
	b.Accruals.remove(key)
	b.charges.forget(memoHash(id, n))
}
