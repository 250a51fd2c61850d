package query

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"slices"

	"github.com/shopspring/decimal"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// Invoice is the bill of a billing period. While its status is ACTIVE or CLOSING the totals and lines are those of the
// moment; afterwards they are what was issued.
type Invoice struct {
	Sequence     events.Seq                `json:"sequence,omitzero"`
	ID           events.InvoiceID          `json:"id"`
	Merchant     events.OrganizationID     `json:"merchantId"`
	Customer     events.CustomerID         `json:"customerId"`
	Subscription events.SubscriptionID     `json:"subscriptionId"`
	Period       uint32                    `json:"period"`
	Status       projections.InvoiceStatus `json:"status"`
	Number       uint64                    `json:"sequenceNumber,omitzero"` // gapless for the merchant, once issued
	Currency     events.Currency           `json:"currency"`
	Start        events.Time               `json:"periodStart"`
	End          events.Time               `json:"periodEnd"`
	GraceEnd     events.Time               `json:"gracePeriodEnd"`
	Subtotal     events.Sum                `json:"subtotalNanos"`
	Tax          events.Sum                `json:"totalTaxNanos"`
	Total        events.Sum                `json:"totalNanos"`
	GrandTotal   string                    `json:"grandTotal"` // the total in units, rounded to cents
	Paid         events.Sum                `json:"paidNanos"`
	Unpaid       events.Sum                `json:"unpaidNanos"`
	Credited     events.Sum                `json:"creditedNanos"`           // by credit notes over usage, which leave less to pay
	Issued       events.Seq                `json:"issuedSequence,omitzero"` // the record that issued it
	IssuedAt     events.Time               `json:"issuedAt,omitzero"`
	DueAt        events.Time               `json:"dueAt,omitzero"`
	PaidAt       events.Time               `json:"paidAt,omitzero"`
	Code         string                    `json:"code,omitempty"`            // why it was cancelled
	AutoApprove  bool                      `json:"autoApprove"`               // without ApproveInvoice
	PaymentURL   string                    `json:"paymentUrl,omitempty"`      // while it is to be paid, and there is a session for it
	Session      events.SessionID          `json:"paymentSessionId,omitzero"` // likewise
	InFlight     bool                      `json:"paymentInFlight"`           // the payment provider is at work
	Failure      string                    `json:"failureReason,omitempty"`   // why the latest charge has failed, while it is to be paid
	RetryAt      events.Time               `json:"nextRetryAt,omitzero"`      // when it is charged again by itself
	CreatedAt    events.Time               `json:"createdAt"`
	UpdatedAt    events.Time               `json:"updatedAt"`
	Seller       *Seller                   `json:"seller,omitempty"`
	Buyer        *Buyer                    `json:"buyer,omitempty"`
	Permalink    string                    `json:"permalink,omitempty"`
	PDF          string                    `json:"pdfUrl,omitempty"`
	ItemCount    int                       `json:"itemCount"`
	Lines        []InvoiceLine             `json:"lineItems,omitempty"`
	Notes        []CreditNote              `json:"creditNotes,omitempty"` // oldest first
}

// CreditNote is what was given back of an invoice: all of it, once it was paid, or the charge for a usage event while it was not.
type CreditNote struct {
	ID        events.CreditNoteID `json:"id"`
	Sequence  events.Seq          `json:"eventSequence"` // of its record
	Amount    events.Sum          `json:"amountNanos"`   // before tax
	Tax       events.Sum          `json:"taxNanos"`
	Reason    string              `json:"reason,omitempty"` // unless the consumer is erased
	IssuedAt  events.Time         `json:"issuedAt"`
	VoidedAt  events.Time         `json:"voidedAt,omitzero"` // the money is the merchant's again
	Permalink string              `json:"permalink,omitempty"`
	PDF       string              `json:"pdfUrl,omitempty"`
	Usage     *events.UsageID     `json:"usageEventId,omitempty"` // that was taken back; none where all of the invoice was
	Less      events.Sum          `json:"lessToPayNanos"`         // the invoice leaves to pay; the rest is in the wallet again
}

// Seller is a merchant as an invoice shows it: as of the record that held its profile when the invoice was issued.
type Seller struct {
	ProfileSequence events.Seq `json:"profileSequence"`
	events.Profile
}

// Buyer is a consumer as an invoice shows it. Of an erased one only the identity is left.
type Buyer struct {
	Consumer        events.OrganizationID `json:"consumerId"`
	ProfileSequence events.Seq            `json:"profileSequence"`
	Profile         *events.Profile       `json:"organization,omitempty"`
	Erased          bool                  `json:"erased,omitempty"`
}

// InvoiceLine is all that one price, at one revision, came to in the period. Root is the hash of the tree over its usage
// events' leaf hashes in the order of the log (D26).
type InvoiceLine struct {
	ID          events.LineID   `json:"eventId,omitzero"`       // once closed
	Sequence    events.Seq      `json:"eventSequence,omitzero"` // of the record that closed it
	Metric      events.MetricID `json:"billableMetricId"`
	MetricName  string          `json:"metricName"`
	Unit        string          `json:"metricUnit"`
	DisplayName string          `json:"invoiceDisplayName"`
	Price       events.PriceID  `json:"priceId"`
	Revision    uint32          `json:"revision"`
	Term        events.Term     `json:"paymentTerm"`
	UnitPrice   events.Sum      `json:"unitPriceNanos"`
	Count       uint64          `json:"count"` // usage events
	Quantity    events.Sum      `json:"quantity"`
	Amount      events.Sum      `json:"totalPriceNanos"`
	Tax         events.Sum      `json:"totalTaxNanos"`
	Root        events.Hash     `json:"root"`
	First       events.Seq      `json:"firstSequence"`
	Last        events.Seq      `json:"lastSequence"`

	Kind        events.LineKind    `json:"lineKind,omitempty"` // of what is no usage
	Fee         events.FeeID       `json:"feeId,omitzero"`
	Item        events.LineID      `json:"lineItemId,omitzero"`
	TaxRate     events.TaxRate     `json:"taxRateTenMillionths,omitzero"`
	Aggregation events.Aggregation `json:"aggregation,omitempty"` // where it is known at the end only; of AVG, Quantity is the sum: see Mean
	Factors     []string           `json:"factors,omitempty"`     // of a manual line: quantity and unit price
	Description string             `json:"description,omitempty"` // of a manual line
	Days        uint32             `json:"daysUsed,omitzero"`     // of a fee that is prorated: what it costs is for so many days
	OfDays      uint32             `json:"daysInPeriod,omitzero"` // of so many

	text events.Sealed // of a manual line
}

// Mean returns the mean that l charges, to the ninth decimal, where it is of an AVG, and reports whether it is.
func (l *InvoiceLine) Mean() (Units, bool) {
	if l.Aggregation != events.AggregateAvg || l.Count == 0 {
		return Units{}, false
	}
	count := new(big.Int).SetUint64(l.Count)
	n := new(big.Int).Mul(l.Quantity.Big(), big.NewInt(2_000_000_000))
	n.Add(n, count).Div(n, count.Lsh(count, 1))
	mean, ok := events.SumOfBig(n) // no larger than the largest quantity
	return Units(mean), ok
}

// InvoiceArgs are the arguments of [Service.Invoice].
type InvoiceArgs struct {
	At
	Invoice events.InvoiceID `json:"invoiceId"`
}

// Invoice answers what an invoice says, with its lines.
func (s *Service) Invoice(ctx context.Context, who wire.Who, args InvoiceArgs) (inv Invoice, err error) {
	err = s.readOf(ctx, who, args.At, ofInvoice(args.Invoice), func(r *reading) error {
		row := r.books.Invoices.Get(args.Invoice)
		if row == nil || !asker(who).sees(row.Merchant) {
			return missing("invoice", args.Invoice.String())
		}
		inv, err = r.renderInvoice(args.Invoice, row)
		if err != nil {
			return err
		}
		inv.Sequence = r.seq
		if inv.Lines, err = r.invoiceLines(args.Invoice, row); err != nil {
			return err
		}
		inv.ItemCount = len(inv.Lines)
		return r.parties(&inv, row)
	})
	return inv, err
}

// InvoicesArgs are the arguments of [Service.Invoices].
type InvoicesArgs struct {
	At
	Page
	Merchant     events.OrganizationID     `json:"merchantId,omitzero"`
	Customer     events.CustomerID         `json:"customerId,omitzero"`
	Subscription events.SubscriptionID     `json:"subscriptionId,omitzero"`
	Status       projections.InvoiceStatus `json:"status,omitempty"`
}

// Invoices lists invoices, without lines and parties: of a subscription, of a customer, of a merchant, or all.
func (s *Service) Invoices(ctx context.Context, who wire.Who, args InvoicesArgs) (list List[Invoice], err error) {
	merchant, err := asker(who).merchant(args.Merchant)
	if err != nil {
		return list, err
	}
	if !args.Customer.IsZero() && !args.Subscription.IsZero() {
		return list, commands.Reject(commands.Invalid, "give one of customerId and subscriptionId")
	}
	err = s.read(ctx, who, args.At, func(r *reading) (err error) {
		l := listing[events.InvoiceID, projections.Invoice, Invoice]{table: r.books.Invoices, render: r.renderInvoice}
		if args.Subscription.IsZero() {
			l.from, err = r.from(merchant, args.Customer, projections.LinkInvoices, projections.LinkInvoicesOfCustomer)
		} else {
			l.from = source{projections.LinkInvoicesOfSubscription, args.Subscription}
			_, err = r.subscription(args.Subscription)
		}
		if err != nil {
			return err
		}
		if args.Status != "" {
			l.match = func(row *projections.Invoice) bool { return row.Status == args.Status }
		}
		list, err = l.page(r, args.Page)
		return err
	})
	return list, err
}

// live returns what the invoice of a period that is open has come to, and whether the period is. It is what would be issued now.
func (r *reading) live(row *projections.Invoice) (v commands.Settlement, ok bool) {
	if row.Status != projections.InvoiceActive && row.Status != projections.InvoiceClosing {
		return v, false
	}
	s := r.books.Subscriptions.Get(row.Subscription)
	for i := range s.Periods {
		if p := &s.Periods[i]; p.N == row.Period {
			return commands.Settle(r.books, row.Subscription, s, p, p.GraceEnd), true
		}
	}
	return v, false
}

func (r *reading) renderInvoice(id events.InvoiceID, row *projections.Invoice) (Invoice, error) {
	inv := Invoice{
		ID: id, Merchant: row.Merchant, Customer: row.Customer, Subscription: row.Subscription, Period: row.Period,
		Status: row.Status, Number: row.Number, Currency: row.Currency, Start: row.Start, End: row.End, GraceEnd: row.GraceEnd,
		Subtotal: row.Subtotal, Tax: row.Tax, Paid: row.Paid, Unpaid: row.Unpaid, Issued: row.Issued, IssuedAt: row.IssuedAt,
		Credited: row.Credited, DueAt: row.DueAt, PaidAt: row.PaidAt, Code: row.Code, ItemCount: int(row.Lines), CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
	inv.InFlight, inv.Failure, inv.RetryAt = row.InFlight, row.Failure, row.RetryAt
	if s := r.books.Sessions.Get(row.Session); s != nil && s.Open() && row.Unpaid.Sign() > 0 {
		inv.PaymentURL, inv.Session = r.opts.Links.Checkout(row.Session), row.Session
	}
	if m := r.books.Merchants.Get(row.Merchant); m != nil {
		inv.AutoApprove = !m.Settings.ManualApproval
	}
	if v, ok := r.live(row); ok {
		inv.Subtotal, inv.Tax, inv.Paid, inv.Unpaid = v.Subtotal, v.Tax, v.Paid, v.Unpaid
		inv.ItemCount = len(v.Lines)
	}
	inv.Total = inv.Subtotal.Plus(inv.Tax)
	inv.GrandTotal = Cents(inv.Total)
	if inv.Permalink = r.opts.Links.Invoice(id); inv.Issued != 0 {
		inv.PDF = r.opts.Links.InvoicePDF(id)
	}
	var err error
	inv.Notes, err = r.creditNotes(id)
	return inv, err
}

// creditNotes returns the credit notes of an invoice.
func (r *reading) creditNotes(id events.InvoiceID) (notes []CreditNote, err error) {
	credits := r.books.Credits.Get(id)
	if credits == nil {
		return nil, nil
	}
	for i := range credits.Notes {
		c := &credits.Notes[i]
		note := CreditNote{
			ID: c.ID, Sequence: c.Issued, Amount: c.Nanos, Tax: c.Tax, IssuedAt: c.At, VoidedAt: c.VoidedAt,
			Permalink: r.opts.Links.CreditNote(id, c.ID), PDF: r.opts.Links.CreditNotePDF(id, c.ID),
			Usage: orNull(c.Usage), Less: events.SumOf(c.Less),
		}
		if note.Reason, _, err = r.text(c.Reason, wire.PurposeRefund); err != nil {
			return nil, err
		}
		notes = append(notes, note)
	}
	return notes, nil
}

// invoiceLines returns the lines of an invoice: as closed, in the order of the log, or as they are now.
func (r *reading) invoiceLines(id events.InvoiceID, row *projections.Invoice) ([]InvoiceLine, error) {
	lines := []InvoiceLine{}
	if v, ok := r.live(row); ok {
		for i := range v.Lines {
			l := &v.Lines[i]
			line := InvoiceLine{
				Metric: l.Metric, Price: l.Price, Revision: l.Revision, Term: l.Term, UnitPrice: events.SumOf(l.UnitPrice),
				Count: l.Events.Size, Quantity: l.Quantity, Amount: l.Nanos, Tax: l.Tax, Root: l.Events.Root(), First: l.First, Last: l.Last, TaxRate: l.TaxRate,
			}
			if m := l.More; m != nil {
				line.Kind, line.Fee, line.Item, line.Aggregation, line.Factors, line.text = m.Of, m.Fee, m.Line, m.Aggregation, m.Factors, m.Text
				line.Days, line.OfDays = m.Days, m.OfDays
			}
			if err := r.describe(&line); err != nil {
				return nil, err
			}
			lines = append(lines, line)
		}
		return lines, nil
	}
	var seqs []events.Seq
	if err := each(r, r.books.Lines, id[:], func(_ projections.Pair[events.InvoiceID, events.LineID], l *projections.Line) error {
		seqs = append(seqs, l.Seq)
		return nil
	}); err != nil {
		return nil, err
	}
	slices.Sort(seqs)
	for _, seq := range seqs {
		rec, err := r.opts.Log.Record(seq)
		if err != nil {
			return nil, err
		}
		e, ok := rec.Event.(events.InvoiceLineClosed)
		if !ok {
			return nil, fmt.Errorf("record %d is no line of invoice %s, but %s", seq, id, rec.Event.Kind())
		}
		line := InvoiceLine{
			ID: e.Line, Sequence: seq, Metric: e.Metric, Price: e.Price, Revision: e.Revision, Term: e.Term,
			UnitPrice: events.SumOf(e.UnitPrice), Count: e.Count, Quantity: e.Quantity, Amount: e.Nanos, Tax: e.Tax,
			Root: e.Root, First: e.First, Last: e.Last, Kind: e.Of, Fee: e.Fee, Item: e.Item, TaxRate: e.TaxRate,
			Aggregation: e.Aggregation, Factors: e.Factors, text: e.Text, Days: e.Days, OfDays: e.OfDays,
		}
		if err := r.describe(&line); err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// describe fills in what a line's metric or fee and its price are called; of a manual line, what its merchant calls it,
// unless the consumer is erased.
func (r *reading) describe(l *InvoiceLine) error {
	if m := r.books.Metrics.Get(l.Metric); m != nil {
		l.MetricName, l.Unit = m.Name, m.Unit
	}
	if f := r.books.Fees.Get(l.Fee); f != nil {
		l.MetricName = f.Name
	}
	if p := r.books.Prices.Get(l.Price); p != nil {
		if t := p.Revision(l.Revision); t != nil {
			l.DisplayName = t.DisplayName
		}
	}
	if l.Kind != events.LineOfManual {
		return nil
	}
	var text wire.LineText
	_, err := r.unsealInto(l.text, wire.PurposeLine, &text)
	unnamed := "Line item" // of an erased consumer nothing else is known
	if l.Term == events.InAdvance {
		unnamed = "Purchased units"
	}
	name := cmp.Or(text.DisplayName, unnamed)
	l.MetricName, l.DisplayName, l.Description = name, name, text.Description
	return err
}

// parties fills in the seller and the buyer: as of issue, or as they are now.
func (r *reading) parties(inv *Invoice, row *projections.Invoice) error {
	seller, buyer := row.Seller, row.Buyer
	if m := r.books.Merchants.Get(row.Merchant); m != nil && seller == 0 {
		seller = m.Profile
	}
	customer := r.books.Customers.Get(row.Customer)
	if customer == nil {
		return fmt.Errorf("invoice %s is of no known customer", inv.ID)
	}
	if c := r.books.Consumers.Get(customer.Consumer); c != nil && buyer == 0 {
		buyer = c.Profile
	}
	sold, err := r.sellerProfile(seller)
	if err != nil {
		return err
	}
	inv.Seller = &Seller{seller, sold}
	rec, err := r.opts.Log.Record(buyer)
	if err != nil {
		return err
	}
	var consumer events.OrganizationID
	var box events.Sealed
	switch e := rec.Event.(type) {
	case events.ConsumerCreated:
		consumer, box = e.Consumer, e.Profile
	case events.ConsumerUpdated:
		consumer, box = e.Consumer, e.Profile
	default: // the others are of no interest here
		return fmt.Errorf("record %d holds no consumer's profile, but %s", buyer, rec.Event.Kind())
	}
	profile, err := r.consumerProfile(box)
	inv.Buyer = &Buyer{consumer, buyer, profile, profile == nil}
	return err
}

// Cents returns an amount in units of its currency, rounded to hundredths half away from zero (A10).
func Cents(s events.Sum) string { return decimal.NewFromBigInt(s.Big(), -9).StringFixed(2) }
