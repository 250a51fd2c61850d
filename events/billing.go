package events

// LineKind says what an invoice line is about. The zero LineKind is usage of a metric.
type LineKind string

// The kinds of line.
const (
	LineOfFee        LineKind = "fee"        // a fixed charge
	LineOfManual     LineKind = "manual"     // what a merchant has put there
	LineOfRefund     LineKind = "refund"     // usage that was taken back
	LineOfCorrection LineKind = "correction" // usage of a period that is invoiced
)

// QuotedFee is what a fee will be charged as: what it costs was worked out, and told to whoever pays, before.
type QuotedFee struct {
	Fee       FeeID   `cbor:"1,keyasint" json:"feeId"`
	Price     PriceID `cbor:"2,keyasint" json:"priceId"`
	Revision  uint32  `cbor:"3,keyasint" json:"revision"`
	Quantity  int64   `cbor:"4,keyasint" json:"quantity"`
	UnitPrice Nanos   `cbor:"5,keyasint" json:"unitPriceNanos"`
	Nanos     Nanos   `cbor:"6,keyasint" json:"amountNanos"` // before tax
	Tax       Nanos   `cbor:"7,keyasint,omitzero" json:"taxNanos,omitzero"`
	TaxRate   TaxRate `cbor:"8,keyasint,omitzero" json:"taxRate,omitzero"`
	Days      uint32  `cbor:"9,keyasint,omitzero" json:"daysUsed,omitzero"`      // that are paid, of OfDays
	OfDays    uint32  `cbor:"10,keyasint,omitzero" json:"daysInPeriod,omitzero"` // of the fee's own period; 0 where all of it is paid
}

// FeeCharged records that a fee was charged in a period of a subscription, and joins its invoice.
type FeeCharged struct {
	Subscription SubscriptionID `cbor:"1,keyasint" json:"subscriptionId"`
	Customer     CustomerID     `cbor:"2,keyasint" json:"customerId"`
	Wallet       WalletID       `cbor:"3,keyasint" json:"walletId"`
	Period       uint32         `cbor:"4,keyasint" json:"period"` // whose invoice has it
	Fee          FeeID          `cbor:"5,keyasint" json:"feeId"`
	Price        PriceID        `cbor:"6,keyasint" json:"priceId"`
	Revision     uint32         `cbor:"7,keyasint" json:"revision"`
	Term         Term           `cbor:"8,keyasint" json:"paymentTerm"` // in_advance: it is paid
	Quantity     int64          `cbor:"9,keyasint" json:"quantity"`
	UnitPrice    Nanos          `cbor:"10,keyasint" json:"unitPriceNanos"`
	Nanos        Nanos          `cbor:"11,keyasint" json:"amountNanos"` // before tax
	Tax          Nanos          `cbor:"12,keyasint,omitzero" json:"taxNanos,omitzero"`
	TaxRate      TaxRate        `cbor:"13,keyasint,omitzero" json:"taxRate,omitzero"`
	Currency     Currency       `cbor:"14,keyasint" json:"currency"`
	Postings     []Posting      `cbor:"15,keyasint" json:"postings"`
	Balance      Sum            `cbor:"16,keyasint" json:"balanceNanos"`                   // of the wallet's main account, after
	Days         uint32         `cbor:"17,keyasint,omitzero" json:"daysUsed,omitzero"`     // that are paid, of OfDays
	OfDays       uint32         `cbor:"18,keyasint,omitzero" json:"daysInPeriod,omitzero"` // of the fee's own period; 0 where all of it is paid
}

// UsageRefunded records that a usage event was taken back. What was debited for it is credited again, and what accrued
// is owed no more. If its invoice is issued and not paid, a credit note against it says so, and it leaves less to pay; else, as far as
// a period is open, a line of its invoice does.
type UsageRefunded struct {
	Usage        UsageID        `cbor:"1,keyasint" json:"usageEventId"`
	Subscription SubscriptionID `cbor:"2,keyasint" json:"subscriptionId"`
	Customer     CustomerID     `cbor:"3,keyasint" json:"customerId"`
	Wallet       WalletID       `cbor:"4,keyasint" json:"walletId"`
	Joins        bool           `cbor:"5,keyasint" json:"joinsInvoice"` // a line of the invoice of Period
	Period       uint32         `cbor:"6,keyasint" json:"period"`
	Lines        []UsageLine    `cbor:"7,keyasint" json:"properties"` // as they were reported
	Currency     Currency       `cbor:"8,keyasint" json:"currency"`
	Postings     []Posting      `cbor:"9,keyasint" json:"postings"`
	Balance      Sum            `cbor:"10,keyasint" json:"balanceNanos"` // of the wallet's main account, after
	Reason       Sealed         `cbor:"11,keyasint,omitzero" json:"reason,omitzero"`
	Charged      uint32         `cbor:"12,keyasint" json:"chargedPeriod"`                   // in which it was charged
	Reservation  ReservationID  `cbor:"13,keyasint,omitzero" json:"entitlementId,omitzero"` // that has paid it, and gets it back
	Invoice      InvoiceID      `cbor:"14,keyasint,omitzero" json:"invoiceId,omitzero"`     // that leaves less to pay
	CreditNote   CreditNoteID   `cbor:"15,keyasint,omitzero" json:"creditNoteId,omitzero"`  // against it
	OwedTax      Nanos          `cbor:"16,keyasint,omitzero" json:"owedTaxNanos,omitzero"`  // of what that invoice leaves to pay less: the tax
}

// Owed returns what was owed for the usage and is no more, with tax.
func (e *UsageRefunded) Owed() (owed Nanos) {
	for _, p := range e.Postings {
		if p.Role == ConsumerUsage {
			owed += p.Nanos
		}
	}
	return owed
}

// UsageCorrected records usage of a period that is invoiced already. It is owed, and a line of the invoice of
// another period says so.
type UsageCorrected struct {
	Subscription SubscriptionID `cbor:"1,keyasint" json:"subscriptionId"`
	Customer     CustomerID     `cbor:"2,keyasint" json:"customerId"`
	Wallet       WalletID       `cbor:"3,keyasint" json:"walletId"`
	Period       uint32         `cbor:"4,keyasint" json:"period"`          // whose invoice has it
	Corrects     uint32         `cbor:"5,keyasint" json:"correctedPeriod"` // in which it happened
	HappenedAt   Time           `cbor:"6,keyasint" json:"timestamp"`
	Lines        []UsageLine    `cbor:"7,keyasint" json:"properties"`
	Currency     Currency       `cbor:"8,keyasint" json:"currency"`
	Postings     []Posting      `cbor:"9,keyasint" json:"postings"`
	Reason       Sealed         `cbor:"10,keyasint,omitzero" json:"reason,omitzero"`
}

// LineItemAdded records a line that a merchant has put on an invoice that is not final: something that is owed, or units of a metered feature
// that were bought and paid at once, which are granted in the same step.
type LineItemAdded struct {
	Line         LineID         `cbor:"1,keyasint" json:"lineId"`
	Invoice      InvoiceID      `cbor:"2,keyasint" json:"invoiceId"`
	Subscription SubscriptionID `cbor:"3,keyasint" json:"subscriptionId"`
	Customer     CustomerID     `cbor:"4,keyasint" json:"customerId"`
	Wallet       WalletID       `cbor:"5,keyasint" json:"walletId"`
	Period       uint32         `cbor:"6,keyasint" json:"period"`
	Text         Sealed         `cbor:"7,keyasint,omitzero" json:"text,omitzero"` // what it is called
	Quantity     string         `cbor:"8,keyasint" json:"quantity"`               // a decimal, above 0
	UnitPrice    string         `cbor:"9,keyasint" json:"unitPrice"`              // a decimal; below 0 for a discount
	Nanos        Nanos          `cbor:"10,keyasint" json:"amountNanos"`           // before tax
	Tax          Nanos          `cbor:"11,keyasint,omitzero" json:"taxNanos,omitzero"`
	TaxRate      TaxRate        `cbor:"12,keyasint,omitzero" json:"taxRate,omitzero"`
	Currency     Currency       `cbor:"13,keyasint" json:"currency"`
	Postings     []Posting      `cbor:"14,keyasint" json:"postings"`
	Start        Time           `cbor:"15,keyasint,omitzero" json:"periodStart,omitzero"`
	End          Time           `cbor:"16,keyasint,omitzero" json:"periodEnd,omitzero"`
	Grant        GrantID        `cbor:"17,keyasint,omitzero" json:"grantId,omitzero"`      // that was bought
	Balance      Sum            `cbor:"18,keyasint,omitzero" json:"balanceNanos,omitzero"` // of the wallet's main account, after; where it was paid at once
}

// InvoiceDrafted records that an invoice's lines are final and that it waits for its merchant's approval.
type InvoiceDrafted struct {
	Invoice      InvoiceID      `cbor:"1,keyasint" json:"invoiceId"`
	Subscription SubscriptionID `cbor:"2,keyasint" json:"subscriptionId"`
	Period       uint32         `cbor:"3,keyasint" json:"period"`
	Lines        uint32         `cbor:"4,keyasint" json:"lineCount"`
	Subtotal     Sum            `cbor:"5,keyasint" json:"subtotalNanos"`
	Tax          Sum            `cbor:"6,keyasint,omitzero" json:"taxNanos,omitzero"`
	Paid         Sum            `cbor:"7,keyasint" json:"paidNanos"`
	Unpaid       Sum            `cbor:"8,keyasint" json:"unpaidNanos"`
	Customer     CustomerID     `cbor:"9,keyasint" json:"customerId"`
	UnpaidTax    Sum            `cbor:"10,keyasint,omitzero" json:"unpaidTaxNanos,omitzero"` // what of Unpaid is tax
}

// InvoiceWrittenOff records that what is left to pay of an invoice is given up.
type InvoiceWrittenOff struct {
	Invoice      InvoiceID      `cbor:"1,keyasint" json:"invoiceId"`
	Subscription SubscriptionID `cbor:"2,keyasint" json:"subscriptionId"`
	Wallet       WalletID       `cbor:"3,keyasint" json:"walletId"`
	Currency     Currency       `cbor:"4,keyasint" json:"currency"`
	Postings     []Posting      `cbor:"5,keyasint" json:"postings"`
	Reason       Sealed         `cbor:"6,keyasint,omitzero" json:"reason,omitzero"`
}

// InvoiceRefunded records a credit note over all of a paid invoice. The money is in the consumer's wallet again.
type InvoiceRefunded struct {
	CreditNote   CreditNoteID   `cbor:"1,keyasint" json:"creditNoteId"`
	Invoice      InvoiceID      `cbor:"2,keyasint" json:"invoiceId"`
	Subscription SubscriptionID `cbor:"3,keyasint" json:"subscriptionId"`
	Wallet       WalletID       `cbor:"4,keyasint" json:"walletId"`
	Nanos        Sum            `cbor:"5,keyasint" json:"amountNanos"` // before tax
	Tax          Sum            `cbor:"6,keyasint,omitzero" json:"taxNanos,omitzero"`
	Currency     Currency       `cbor:"7,keyasint" json:"currency"`
	Postings     []Posting      `cbor:"8,keyasint" json:"postings"`
	Balance      Sum            `cbor:"9,keyasint" json:"balanceNanos"`
	Reason       Sealed         `cbor:"10,keyasint,omitzero" json:"reason,omitzero"`
	Period       uint32         `cbor:"11,keyasint" json:"period"` // of the invoice
}

// InvoiceRefundVoided records that a credit note is void, and its money with the merchant again.
type InvoiceRefundVoided struct {
	CreditNote   CreditNoteID   `cbor:"1,keyasint" json:"creditNoteId"`
	Invoice      InvoiceID      `cbor:"2,keyasint" json:"invoiceId"`
	Subscription SubscriptionID `cbor:"3,keyasint" json:"subscriptionId"`
	Wallet       WalletID       `cbor:"4,keyasint" json:"walletId"`
	Currency     Currency       `cbor:"5,keyasint" json:"currency"`
	Postings     []Posting      `cbor:"6,keyasint" json:"postings"`
	Balance      Sum            `cbor:"7,keyasint" json:"balanceNanos"`
	Reason       Sealed         `cbor:"8,keyasint,omitzero" json:"reason,omitzero"`
	Period       uint32         `cbor:"9,keyasint" json:"period"` // of the invoice
}

func (FeeCharged) Kind() Kind          { return KindFeeCharged }
func (UsageRefunded) Kind() Kind       { return KindUsageRefunded }
func (UsageCorrected) Kind() Kind      { return KindUsageCorrected }
func (LineItemAdded) Kind() Kind       { return KindLineItemAdded }
func (InvoiceDrafted) Kind() Kind      { return KindInvoiceDrafted }
func (InvoiceWrittenOff) Kind() Kind   { return KindInvoiceWrittenOff }
func (InvoiceRefunded) Kind() Kind     { return KindInvoiceRefunded }
func (InvoiceRefundVoided) Kind() Kind { return KindInvoiceRefundVoided }

func (FeeCharged) Subject() (aggregate, name string)        { return "fee", "FeeCharged" }
func (UsageRefunded) Subject() (aggregate, name string)     { return "usage", "UsageRefunded" }
func (UsageCorrected) Subject() (aggregate, name string)    { return "usage", "UsageCorrected" }
func (LineItemAdded) Subject() (aggregate, name string)     { return "invoice", "LineItemAdded" }
func (InvoiceDrafted) Subject() (aggregate, name string)    { return "invoice", "InvoiceDrafted" }
func (InvoiceWrittenOff) Subject() (aggregate, name string) { return "invoice", "InvoiceWrittenOff" }
func (InvoiceRefunded) Subject() (aggregate, name string)   { return "invoice", "InvoiceRefunded" }
func (InvoiceRefundVoided) Subject() (aggregate, name string) {
	return "invoice", "InvoiceRefundVoided"
}

func (e FeeCharged) Money() Movement          { return Movement{e.Currency, e.Wallet, e.Postings} }
func (e UsageRefunded) Money() Movement       { return Movement{e.Currency, e.Wallet, e.Postings} }
func (e UsageCorrected) Money() Movement      { return Movement{e.Currency, e.Wallet, e.Postings} }
func (e LineItemAdded) Money() Movement       { return Movement{e.Currency, e.Wallet, e.Postings} }
func (InvoiceDrafted) Money() Movement        { return Movement{} }
func (e InvoiceWrittenOff) Money() Movement   { return Movement{e.Currency, e.Wallet, e.Postings} }
func (e InvoiceRefunded) Money() Movement     { return Movement{e.Currency, e.Wallet, e.Postings} }
func (e InvoiceRefundVoided) Money() Movement { return Movement{e.Currency, e.Wallet, e.Postings} }

func (FeeCharged) sealed()          {}
func (UsageRefunded) sealed()       {}
func (UsageCorrected) sealed()      {}
func (LineItemAdded) sealed()       {}
func (InvoiceDrafted) sealed()      {}
func (InvoiceWrittenOff) sealed()   {}
func (InvoiceRefunded) sealed()     {}
func (InvoiceRefundVoided) sealed() {}
