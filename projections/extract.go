package projections

import (
	"bytes"
	"slices"

	"tallystick/events"
)

// Extract says whose records books of the past need to hold: those of one consumer, or what a merchant has earned. Nearly all
// records of a ledger are about one consumer, and they are what replaying it costs. The zero Extract needs nobody's.
//
// The rows that the records of others change are older in such books, or missing. All else is as in whole books.
type Extract struct {
	// Names are what the records of a consumer name it by: itself, those that it has claimed, and the customers,
	// subscriptions and wallets of them all.
	Names    [][16]byte
	Merchant events.OrganizationID // only what the accounts of this merchant hold
}

// Wants reports whether the record with these bytes has to be given to [Books.ApplyExtract]. Any goroutine may call it.
func (x *Extract) Wants(b []byte) bool {
	g, ok := events.GlanceAt(b)
	if !ok {
		return true
	}
	about := subjectOf(g.Kind)
	switch {
	case about == everybody:
		return true
	case !x.Merchant.IsZero():
		return g.Merchant == x.Merchant
	case about == partOfConsumer:
		return true // of whose, the books know
	case g.Kind == events.KindUsageReported:
		return slices.Contains(x.Names, [16]byte(g.Subscription))
	}
	for i := range x.Names {
		if bytes.Contains(b, x.Names[i][:]) {
			return true
		}
	}
	return false
}

// subject is whom events of one kind are about.
type subject int

const (
	everybody      subject = iota
	oneConsumer            // they name it, or a customer, subscription or wallet of it; nothing that happens elsewhere depends on them
	partOfConsumer         // the same, but they name only a thing that such an event has made
)

// subjectOf returns whom events of a kind are about. A kind that it does not list is everybody's, and always applied.
func subjectOf(k events.Kind) subject {
	switch k {
	case events.KindConsumerCreated, events.KindConsumerUpdated, events.KindConsumerErased, events.KindConsumerClaimed,
		events.KindMerchantAuthorized, events.KindAuthorizationWithdrawn,
		events.KindCustomerCreated, events.KindCustomerUpdated, events.KindCustomerDeleted,
		events.KindWalletOpened, events.KindWalletToppedUp, events.KindWalletEmptied, events.KindTopUpRequested, events.KindTopUpEnded,
		events.KindAlertCreated, events.KindAlertRaised, events.KindAlertRearmed,
		events.KindSubscriptionCreated, events.KindSubscriptionAuthorized, events.KindSubscriptionActivated,
		events.KindSubscriptionUpdated, events.KindSubscriptionReminded, events.KindSubscriptionTerminated, events.KindPortalOpened,
		events.KindUsageReported, events.KindUsageRefunded, events.KindUsageCorrected, events.KindDisputeOpened, events.KindDisputeResolved,
		events.KindInvoiceOpened, events.KindInvoiceClosing, events.KindInvoiceLineClosed, events.KindInvoiceDrafted, events.KindInvoiceIssued,
		events.KindInvoicePaid, events.KindInvoiceCancelled, events.KindInvoiceWrittenOff, events.KindInvoiceRefunded,
		events.KindInvoiceRefundVoided, events.KindLineItemAdded, events.KindFeeCharged, events.KindInvoicePaymentFailed,
		events.KindReservationCreated, events.KindReservationReleased, events.KindEntitlementIssued, events.KindGrantOrdered,
		events.KindSessionOpened, events.KindChargeRequested, events.KindPaymentCreated, events.KindMethodStored, events.KindMethodRemoved:
		return oneConsumer
	case events.KindSessionEnded, events.KindChargeSucceeded, events.KindChargeFailed, events.KindChargeActionRequired,
		events.KindPaymentReceived, events.KindEntitlementEnded, events.KindEntitlementReset, events.KindEntitlementUsed,
		events.KindGrantIssued, events.KindGrantRenewed, events.KindGrantVoided, events.KindPortalRevoked,
		events.KindAuthorizationOpened, events.KindAuthorizationEnded, events.KindDueFailed,
		events.KindEventHeld, events.KindEventReleased, events.KindHeldDiscarded:
		return partOfConsumer
	default:
		return everybody
	}
}

// ApplyExtract brings books kept [ForExtract] up to date with the next record that x wants. The records between were not wanted. Such
// books cannot notice that a record is missing, but panic like [Books.Apply] where they meet something impossible.
func (b *Books) ApplyExtract(rec *events.Record, x *Extract) {
	about := subjectOf(rec.Event.Kind())
	switch {
	case about != everybody && !x.Merchant.IsZero() && !opensWallet(rec, x.Merchant):
		b.earn(rec, x.Merchant)
	case about == partOfConsumer && !b.know(rec.Event): // of another
	default:
		if e, ok := rec.Event.(events.ClockDeleted); ok {
			b.Clocks.edit(e.Clock).Active = 0 // the subscriptions of others have ended too
		}
		b.apply(rec)
	}
	b.applied = rec.Seq
}

// opensWallet reports whether a record opens a wallet for the earnings of a merchant.
func opensWallet(rec *events.Record, merchant events.OrganizationID) bool {
	e, ok := rec.Event.(events.WalletOpened)
	return ok && e.Owner == merchant
}

// know reports whether the thing is in the books that an event about a part of a consumer names.
func (b *Books) know(e events.Event) bool { //nolint:exhaustive // the others name the consumer
	switch e := e.(type) {
	case events.SessionEnded:
		return b.Sessions.Get(e.Session) != nil
	case events.ChargeSucceeded:
		return b.Charges.Get(e.Charge) != nil
	case events.ChargeFailed:
		return b.Charges.Get(e.Charge) != nil
	case events.ChargeActionRequired:
		return b.Charges.Get(e.Charge) != nil
	case events.PaymentReceived:
		return b.Payments.Get(e.Payment) != nil
	case events.EntitlementEnded:
		return b.Entitlements.Get(e.Entitlement) != nil
	case events.EntitlementReset:
		return b.Entitlements.Get(e.Entitlement) != nil
	case events.EntitlementUsed:
		return b.Entitlements.Get(e.Entitlement) != nil
	case events.GrantIssued:
		return b.Entitlements.Get(e.Entitlement) != nil
	case events.GrantRenewed:
		return b.Entitlements.Get(e.Entitlement) != nil
	case events.GrantVoided:
		return b.Entitlements.Get(e.Entitlement) != nil
	case events.PortalRevoked:
		return b.Portals.Get(e.Portal) != nil
	case events.AuthorizationOpened:
		return e.Subscription.IsZero() || b.Subscriptions.Get(e.Subscription) != nil
	case events.AuthorizationEnded:
		return b.Authorizations.Get(e.Authorization) != nil
	case events.DueFailed:
		return b.knowDue(&e)
	case events.EventHeld, events.EventReleased, events.HeldDiscarded:
		return false // nobody's yet, and no longer what they are when they are somebody's
	default:
		return true
	}
}

// knowDue reports whether the thing is in the books that a due action failed on.
func (b *Books) knowDue(e *events.DueFailed) bool {
	switch {
	case !e.Entitlement.IsZero():
		return b.Entitlements.Get(e.Entitlement) != nil
	case !e.Reservation.IsZero():
		return b.Reservations.Get(e.Reservation) != nil
	case !e.Session.IsZero():
		return b.Sessions.Get(e.Session) != nil
	case !e.Authorization.IsZero():
		return b.Authorizations.Get(e.Authorization) != nil
	case !e.Invoice.IsZero():
		return b.Bills.Get(e.Invoice) != nil
	default:
		return b.Subscriptions.Get(e.Subscription) != nil
	}
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
