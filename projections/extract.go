package projections

import (
	"bytes"

	"tallystick/events"
)

// Extract says whose usage and invoices books of the past need to hold: those of some subscriptions, or the earnings of a merchant.
// Nearly all records of a ledger are usage, and they are what replaying it costs. The zero Extract needs nobody's.
//
// The rows that the usage and invoices of others change are older in such books, or missing. All else is as in whole books.
type Extract struct {
	Subscriptions []events.SubscriptionID // everything about these: all subscriptions of one consumer, or none
	Merchant      events.OrganizationID   // only what the accounts of this merchant hold
}

// Wants reports whether the record with these bytes has to be given to [Books.ApplyExtract]. Any goroutine may call it.
func (x *Extract) Wants(b []byte) bool {
	g, ok := events.GlanceAt(b)
	if !ok || !billing(g.Kind) {
		return true
	}
	if !x.Merchant.IsZero() {
		return g.Merchant == x.Merchant
	}
	for i := range x.Subscriptions {
		id := &x.Subscriptions[i]
		if g.Kind == events.KindUsageReported && g.Subscription == *id || g.Kind != events.KindUsageReported && bytes.Contains(b, id[:]) {
			return true
		}
	}
	return false
}

// billing reports whether events of a kind are about the usage, an invoice or a reservation of one subscription, and nothing that
// happens elsewhere depends on what they did.
func billing(k events.Kind) bool {
	switch k {
	case events.KindUsageReported, events.KindUsageRefunded, events.KindUsageCorrected,
		events.KindInvoiceOpened, events.KindInvoiceClosing, events.KindInvoiceLineClosed, events.KindInvoiceDrafted, events.KindInvoiceIssued,
		events.KindInvoicePaid, events.KindInvoiceCancelled, events.KindInvoiceWrittenOff, events.KindInvoiceRefunded,
		events.KindInvoiceRefundVoided, events.KindLineItemAdded, events.KindFeeCharged, events.KindInvoicePaymentFailed,
		events.KindReservationCreated, events.KindReservationReleased, events.KindWalletEmptied:
		return true
	default:
		return false
	}
}

// ApplyExtract brings books kept [ForExtract] up to date with the next record that x wants. The records between were not wanted. Such
// books cannot notice that a record is missing, but panic like [Books.Apply] where they meet something impossible.
func (b *Books) ApplyExtract(rec *events.Record, x *Extract) {
	if !x.Merchant.IsZero() && billing(rec.Event.Kind()) {
		b.earn(rec, x.Merchant)
	} else {
		b.apply(rec)
	}
	b.applied = rec.Seq
}

// earn adds the postings of a record to the accounts of a merchant.
func (b *Books) earn(rec *events.Record, merchant events.OrganizationID) {
	m := rec.Event.Money()
	for i := range m.Postings {
		p := &m.Postings[i]
		if account := m.AccountOf(*p, rec.Merchant); account.Owner == merchant {
			b.postTo(rec, p, account, b.Accounts.row(account))
		}
	}
}
