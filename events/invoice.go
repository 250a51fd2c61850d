package events

// InvoiceOpened records that a billing period of a subscription has an invoice, ACTIVE from now on.
type InvoiceOpened struct {
	Invoice      InvoiceID      `cbor:"1,keyasint" json:"invoiceId"`
	Subscription SubscriptionID `cbor:"2,keyasint" json:"subscriptionId"`
	Customer     CustomerID     `cbor:"3,keyasint" json:"customerId"`
	Period       uint32         `cbor:"4,keyasint" json:"period"` // 0, 1, 2… of the subscription
	Start        Time           `cbor:"5,keyasint" json:"periodStart"`
	End          Time           `cbor:"6,keyasint" json:"periodEnd"`      // exclusive
	GraceEnd     Time           `cbor:"7,keyasint" json:"gracePeriodEnd"` // exclusive; late usage joins until then
	Currency     Currency       `cbor:"8,keyasint" json:"currency"`
}

// InvoiceClosing records that an invoice's period is over: late usage still joins it until the end of the grace.
type InvoiceClosing struct {
	Invoice      InvoiceID      `cbor:"1,keyasint" json:"invoiceId"`
	Subscription SubscriptionID `cbor:"2,keyasint" json:"subscriptionId"`
	Period       uint32         `cbor:"3,keyasint" json:"period"`
	End          Time           `cbor:"4,keyasint,omitzero" json:"periodEnd,omitzero"`      // where it ended sooner than planned
	GraceEnd     Time           `cbor:"5,keyasint,omitzero" json:"gracePeriodEnd,omitzero"` // likewise
}

// InvoiceLineClosed records all that one price, at one revision, came to in an
// invoice's period. Root proves that the line has exactly its usage events (D26).
type InvoiceLineClosed struct {
	Line         LineID         `cbor:"1,keyasint" json:"lineId"`
	Invoice      InvoiceID      `cbor:"2,keyasint" json:"invoiceId"`
	Subscription SubscriptionID `cbor:"3,keyasint" json:"subscriptionId"`
	Metric       MetricID       `cbor:"4,keyasint" json:"billableMetricId"`
	Price        PriceID        `cbor:"5,keyasint" json:"priceId"`
	Revision     uint32         `cbor:"6,keyasint" json:"revision"`
	Term         Term           `cbor:"7,keyasint" json:"paymentTerm"`
	UnitPrice    Nanos          `cbor:"8,keyasint" json:"unitPriceNanos"`
	Count        uint64         `cbor:"9,keyasint" json:"count"`     // usage events; at least 1
	Quantity     Sum            `cbor:"10,keyasint" json:"quantity"` // units
	Nanos        Sum            `cbor:"11,keyasint" json:"amountNanos"`
	Tax          Sum            `cbor:"12,keyasint,omitzero" json:"taxNanos"`
	Root         Hash           `cbor:"13,keyasint" json:"root"` // RFC 6962, over the leaf hashes of the usage events in log order
	First        Seq            `cbor:"14,keyasint" json:"firstSequence"`
	Last         Seq            `cbor:"15,keyasint" json:"lastSequence"`

	Of          LineKind    `cbor:"16,keyasint,omitempty" json:"lineKind,omitempty"`
	Fee         FeeID       `cbor:"17,keyasint,omitzero" json:"feeId,omitzero"`
	Model       Model       `cbor:"18,keyasint,omitempty" json:"model,omitempty"`       // where it is not standard
	Aggregation Aggregation `cbor:"19,keyasint,omitempty" json:"aggregation,omitempty"` // where it is known at the end only; of AVG, Quantity is the sum
	TaxRate     TaxRate     `cbor:"20,keyasint,omitzero" json:"taxRate,omitzero"`
	Text        Sealed      `cbor:"21,keyasint,omitzero" json:"text,omitzero"`      // of a manual line
	Factors     []string    `cbor:"22,keyasint,omitempty" json:"factors,omitempty"` // of a manual line: quantity and unit price
	Wallet      WalletID    `cbor:"23,keyasint,omitzero" json:"walletId,omitzero"`
	Currency    Currency    `cbor:"24,keyasint,omitzero" json:"currency,omitzero"`
	Item        LineID      `cbor:"26,keyasint,omitzero" json:"lineItemId,omitzero"`   // of a manual line
	Postings    []Posting   `cbor:"25,keyasint,omitempty" json:"postings,omitempty"`   // of what accrues only now
	Days        uint32      `cbor:"27,keyasint,omitzero" json:"daysUsed,omitzero"`     // of a fee: that are paid, of OfDays
	OfDays      uint32      `cbor:"28,keyasint,omitzero" json:"daysInPeriod,omitzero"` // of the fee's own period; 0 where all of it is paid
}

// InvoiceIssued records that an invoice is final and has its number. Its lines were closed before it.
type InvoiceIssued struct {
	Invoice      InvoiceID      `cbor:"1,keyasint" json:"invoiceId"`
	Subscription SubscriptionID `cbor:"2,keyasint" json:"subscriptionId"`
	Period       uint32         `cbor:"3,keyasint" json:"period"`
	Number       uint64         `cbor:"4,keyasint" json:"sequenceNumber"` // 1, 2, 3… without gaps, of the merchant
	Lines        uint32         `cbor:"5,keyasint" json:"lineCount"`
	Subtotal     Sum            `cbor:"6,keyasint" json:"subtotalNanos"`
	Tax          Sum            `cbor:"7,keyasint,omitzero" json:"taxNanos"`
	Paid         Sum            `cbor:"8,keyasint" json:"paidNanos"`      // debited with the usage
	Unpaid       Sum            `cbor:"9,keyasint" json:"unpaidNanos"`    // Subtotal + Tax - Paid
	Seller       Seq            `cbor:"10,keyasint" json:"sellerProfile"` // the record that holds it
	Buyer        Seq            `cbor:"11,keyasint" json:"buyerProfile"`
	DueAt        Time           `cbor:"12,keyasint" json:"dueAt"`
	Customer     CustomerID     `cbor:"13,keyasint" json:"customerId"`
	UnpaidTax    Sum            `cbor:"14,keyasint,omitzero" json:"unpaidTaxNanos,omitzero"` // what of Unpaid is tax
}

// InvoicePaid records that nothing is left to pay of an invoice.
type InvoicePaid struct {
	Invoice      InvoiceID      `cbor:"1,keyasint" json:"invoiceId"`
	Subscription SubscriptionID `cbor:"2,keyasint" json:"subscriptionId"`
	PaidAt       Time           `cbor:"3,keyasint" json:"paidAt"`
	Currency     Currency       `cbor:"4,keyasint,omitzero" json:"currency,omitzero"` // of what follows, where money moved
	Wallet       WalletID       `cbor:"5,keyasint,omitzero" json:"walletId,omitzero"`
	Postings     []Posting      `cbor:"6,keyasint,omitempty" json:"postings,omitempty"`
	Charge       ChargeID       `cbor:"7,keyasint,omitzero" json:"chargeId,omitzero"`
	Balance      Sum            `cbor:"8,keyasint,omitzero" json:"balanceNanos,omitzero"` // of the wallet's main account, after; where that moved
}

// InvoicePaymentFailed records that what is left to pay of an invoice was asked for, and did not come.
type InvoicePaymentFailed struct {
	Invoice      InvoiceID      `cbor:"1,keyasint" json:"invoiceId"`
	Subscription SubscriptionID `cbor:"2,keyasint" json:"subscriptionId"`
	Charge       ChargeID       `cbor:"3,keyasint,omitzero" json:"chargeId,omitzero"`
	Code         string         `cbor:"4,keyasint" json:"code"`                           // the provider's reason, or "no_payment_method"
	Attempts     uint32         `cbor:"5,keyasint,omitzero" json:"attempts,omitzero"`     // with the stored method, so far
	RetryAt      Time           `cbor:"6,keyasint,omitzero" json:"nextRetryAt,omitempty"` // when it is asked for again by itself; never, where it is 0
}

// InvoiceCancelled records that an invoice will not be issued, such as that of a period without usage.
type InvoiceCancelled struct {
	Invoice      InvoiceID      `cbor:"1,keyasint" json:"invoiceId"`
	Subscription SubscriptionID `cbor:"2,keyasint" json:"subscriptionId"`
	Period       uint32         `cbor:"3,keyasint" json:"period"`
	Code         string         `cbor:"4,keyasint" json:"code"` // "NO_USAGE", "BY_MERCHANT"

	// Of what was owed, which is owed no more.
	Wallet   WalletID  `cbor:"5,keyasint,omitzero" json:"walletId,omitzero"`
	Currency Currency  `cbor:"6,keyasint,omitzero" json:"currency,omitzero"`
	Postings []Posting `cbor:"7,keyasint,omitempty" json:"postings,omitempty"`
}

func (InvoiceOpened) Kind() Kind     { return KindInvoiceOpened }
func (InvoiceClosing) Kind() Kind    { return KindInvoiceClosing }
func (InvoiceLineClosed) Kind() Kind { return KindInvoiceLineClosed }
func (InvoiceIssued) Kind() Kind     { return KindInvoiceIssued }
func (InvoicePaid) Kind() Kind       { return KindInvoicePaid }
func (InvoiceCancelled) Kind() Kind  { return KindInvoiceCancelled }

func (InvoicePaymentFailed) Kind() Kind { return KindInvoicePaymentFailed }

func (InvoiceOpened) Subject() (aggregate, name string)     { return "invoice", "InvoiceOpened" }
func (InvoiceClosing) Subject() (aggregate, name string)    { return "invoice", "InvoiceClosing" }
func (InvoiceLineClosed) Subject() (aggregate, name string) { return "invoice", "InvoiceLineClosed" }
func (InvoiceIssued) Subject() (aggregate, name string)     { return "invoice", "InvoiceIssued" }
func (InvoicePaid) Subject() (aggregate, name string)       { return "invoice", "InvoicePaid" }
func (InvoiceCancelled) Subject() (aggregate, name string)  { return "invoice", "InvoiceCancelled" }

func (InvoicePaymentFailed) Subject() (aggregate, name string) {
	return "invoice", "InvoicePaymentFailed"
}

func (InvoicePaymentFailed) Money() Movement { return Movement{} }
func (InvoicePaymentFailed) sealed()         {}

func (InvoiceOpened) Money() Movement       { return Movement{} }
func (InvoiceClosing) Money() Movement      { return Movement{} }
func (e InvoiceLineClosed) Money() Movement { return Movement{e.Currency, e.Wallet, e.Postings} }
func (InvoiceIssued) Money() Movement       { return Movement{} }
func (e InvoicePaid) Money() Movement       { return Movement{e.Currency, e.Wallet, e.Postings} }
func (e InvoiceCancelled) Money() Movement  { return Movement{e.Currency, e.Wallet, e.Postings} }

func (InvoiceOpened) sealed()     {}
func (InvoiceClosing) sealed()    {}
func (InvoiceLineClosed) sealed() {}
func (InvoiceIssued) sealed()     {}
func (InvoicePaid) sealed()       {}
func (InvoiceCancelled) sealed()  {}
