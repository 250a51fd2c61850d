package projections

import (
	"fmt"

	"tallystick/events"
)

// Apply brings b up to date with rec. A record applied before is skipped, so redelivery does
// no harm. A record from further ahead is an error and leaves b as it was.
//
// A record that cannot follow those before it is an impossibility: the rules are wrong
// or the log is corrupt. Apply panics, for going on would bill somebody wrongly.
func (b *Books) Apply(rec *events.Record) error {
	if rec.Seq <= b.applied {
		return nil
	}
	if rec.Seq != b.applied+1 {
		return fmt.Errorf("books at sequence %d cannot apply record %d", b.applied, rec.Seq)
	}
	b.apply(rec)
	b.applyUsageTables(rec)
	b.applied = rec.Seq
	return nil
}

// ApplyAll applies records in order, as calls of [Books.Apply] do, and faster. Where there are many, a second
// goroutine keeps totals and journals meanwhile. After an error, those before the record of it are applied.
func (b *Books) ApplyAll(recs []events.Record) error {
	for len(recs) > 0 {
		if recs[0].Seq <= b.applied {
			recs = recs[1:]
			continue
		}
		n := 0
		for n < len(recs) && recs[n].Seq == b.applied+1+events.Seq(n) {
			n++
		}
		if n == 0 {
			return b.Apply(&recs[0])
		}
		b.applyRun(recs[:n])
		b.applied += events.Seq(n)
		recs = recs[n:]
	}
	return nil
}

// parallelFrom is how many records there must be for a second goroutine to be worth its while.
const parallelFrom = 256

// applyRun applies records that follow on what is applied.
func (b *Books) applyRun(recs []events.Record) {
	usageTables := func() { b.touched[1] += applyEach(recs, b.applyUsageTables, b.lookAhead) }
	if len(recs) < parallelFrom || b.Totals.off {
		usageTables()
		b.touched[0] += applyEach(recs, b.apply, b.readAhead)
		return
	}
	done := make(chan any, 1) // what usageTables panicked with
	go func() {
		defer func() { done <- recover() }()
		usageTables()
	}()
	func() {
		defer func() {
			if p := <-done; p != nil {
				panic(p)
			}
		}()
		b.touched[0] += applyEach(recs, b.apply, b.readAhead)
	}()
}

func applyEach(recs []events.Record, apply func(*events.Record), look func([]events.Record) uint64) (sum uint64) {
	for i := range recs {
		if i%ahead == 0 {
			sum += look(recs[i:min(i+ahead, len(recs))])
		}
		apply(&recs[i])
	}
	return sum
}

// apply says which folds each event concerns, totals and journals apart. Money is posted the same way whatever
// the event.
func (b *Books) apply(rec *events.Record) { //nolint:funlen // a case for each kind, and nothing else
	if usage, ok := rec.Event.(*events.UsageReported); ok { // by far the most frequent
		b.charge(rec, usage)
		return
	}
	b.post(rec, rec.Event.Money())
	switch e := rec.Event.(type) {
	case *events.UsageReported: // see above
	case events.LedgerOpened:
		b.ledger = rec.Ledger
		*b.Opened.insert(struct{}{}) = Opened{e.Environment, e.Format, rec.RecordedAt}
	case events.KeyCreated:
		b.keyCreated(rec, e)
	case events.KeyRevoked:
		b.Keys.edit(e.Key).Revoked = true
	case events.MerchantCreated:
		b.merchantCreated(rec, e)
	case events.MerchantUpdated:
		b.merchantUpdated(rec, e)
	case events.ProductCreated:
		b.productCreated(rec, e)
	case events.MetricCreated:
		b.metricCreated(rec, e)
	case events.PriceCreated:
		b.priceCreated(rec, e)
	case events.PlanCreated:
		b.planCreated(rec, e)
	case events.ProductUpdated:
		b.productUpdated(rec, e)
	case events.MetricUpdated:
		b.metricUpdated(rec, e)
	case events.FeeCreated:
		b.feeCreated(rec, e)
	case events.FeeUpdated:
		b.feeUpdated(rec, e)
	case events.FeeDeleted:
		b.feeDeleted(rec, e)
	case events.PriceRevised:
		b.priceRevised(rec, e)
	case events.PriceDeleted:
		b.priceDeleted(rec, e)
	case events.PlanUpdated:
		b.planUpdated(rec, e)
	case events.ConsumerCreated:
		b.consumerCreated(rec, e)
	case events.ConsumerErased:
		b.consumerErased(rec, e)
	case events.CustomerCreated:
		b.customerCreated(rec, e)
	case events.WalletOpened:
		b.walletOpened(rec, e)
	case events.WalletToppedUp:
		b.toppedUp(rec, e)
	case events.WalletEmptied:
		b.walletEmptied(rec, e)
	case events.EventHeld:
		b.eventHeld(rec, e)
	case events.EventReleased:
		b.eventReleased(rec, e)
	case events.HeldDiscarded:
		b.heldDiscarded(rec, e)
	case events.TopUpRequested:
		b.topUpRequested(rec, e)
	case events.TopUpEnded:
		b.topUpEnded(rec, e)
	case events.SessionOpened:
		b.sessionOpened(rec, e)
	case events.SessionEnded:
		b.sessionEnded(rec, e)
	case events.ChargeRequested:
		b.chargeRequested(rec, e)
	case events.ChargeSucceeded:
		b.chargeSettled(rec, e.Charge, ChargeSucceeded, e.Reference, "")
	case events.ChargeFailed:
		b.chargeSettled(rec, e.Charge, ChargeFailed, e.Reference, e.Code)
	case events.ChargeActionRequired:
		b.chargeSettled(rec, e.Charge, ChargeActionRequired, e.Reference, "")
	case events.MethodStored:
		b.methodStored(rec, e)
	case events.MethodRemoved:
		b.methodRemoved(rec, e)
	case events.PaymentCreated:
		b.paymentCreated(rec, e)
	case events.PaymentReceived:
		b.paymentReceived(rec, e)
	case events.AuthorizationOpened:
		b.authorizationOpened(rec, e)
	case events.AuthorizationEnded:
		b.authorizationEnded(rec, e)
	case events.MerchantAuthorized:
		b.merchantAuthorized(rec, e)
	case events.AuthorizationWithdrawn:
		b.authorizationWithdrawn(rec, e)
	case events.ConsumerClaimed:
		b.consumerClaimed(rec, e)
	case events.UserCreated:
		b.userCreated(rec, e)
	case events.UserUpdated:
		b.userUpdated(rec, e)
	case events.AlertCreated:
		b.alertCreated(rec, e)
	case events.AlertRaised:
		b.alertRaised(rec, e)
	case events.AlertRearmed:
		b.alertRearmed(rec, e)
	case events.DisputeOpened:
		b.disputeOpened(rec, e)
	case events.DisputeResolved:
		b.disputeResolved(rec, e)
	case events.UserSignedIn:
		b.userSignedIn(rec, e)
	case events.UserSignedOut:
		b.Users.edit(e.User).Changed = rec.Seq
	case events.PasskeyAdded:
		b.passkeyAdded(rec, e)
	case events.PasskeyRemoved:
		b.passkeyRemoved(rec, e)
	case events.PasskeyUsed:
		b.passkeyUsed(rec, e)
	case events.PortalOpened:
		b.portalOpened(rec, e)
	case events.PortalRevoked:
		b.Portals.edit(e.Portal).Revoked = true
	case events.SubscriptionCreated:
		b.subscriptionCreated(rec, e)
	case events.SubscriptionAuthorized:
		b.subscriptionAuthorized(rec, e)
	case events.SubscriptionActivated:
		b.subscriptionActivated(rec, e)
	case events.SubscriptionUpdated:
		b.subscriptionUpdated(rec, e)
	case events.SubscriptionReminded:
		b.subscriptionReminded(rec, e)
	case events.SubscriptionTerminated:
		b.subscriptionTerminated(rec, e)
	case events.InvoiceOpened:
		b.invoiceOpened(rec, e)
	case events.InvoiceClosing:
		b.invoiceClosing(rec, e)
	case events.InvoiceLineClosed:
		b.invoiceLineClosed(rec, e)
	case events.InvoiceIssued:
		b.invoiceIssued(rec, e)
	case events.InvoicePaid:
		b.invoicePaid(rec, e)
	case events.InvoiceCancelled:
		b.invoiceCancelled(rec, e)
	case events.InvoicePaymentFailed:
		b.invoicePaymentFailed(rec, e)
	case events.InvoiceDrafted:
		b.invoiceDrafted(rec, e)
	case events.InvoiceWrittenOff:
		b.invoiceWrittenOff(rec, e)
	case events.InvoiceRefunded:
		b.invoiceRefunded(rec, e)
	case events.InvoiceRefundVoided:
		b.invoiceRefundVoided(rec, e)
	case events.FeeCharged:
		b.feeCharged(rec, e)
	case events.UsageRefunded:
		b.usageRefunded(rec, e)
	case events.UsageCorrected:
		b.usageCorrected(rec, e)
	case events.LineItemAdded:
		b.lineItemAdded(rec, e)
	case events.ClockCreated:
		b.clockCreated(rec, e)
	case events.ClockAdvancing:
		b.clockAdvancing(rec, e)
	case events.ClockAdvanced:
		b.clockAdvanced(rec, e)
	case events.ClockDeleted:
		b.clockDeleted(rec, e)
	case events.CustomerUpdated:
		b.customerUpdated(rec, e)
	case events.CustomerDeleted:
		b.customerDeleted(rec, e)
	case events.ConsumerUpdated:
		b.consumerUpdated(rec, e)
	case events.DueFailed:
		b.dueFailed(rec, e)
	default:
		b.applyEntitlement(rec)
	}
}

// assert panics unless ok: what is recorded cannot follow from what was recorded before.
func assert(ok bool, rec *events.Record, msg string) {
	if !ok {
		panic(fmt.Sprintf("impossible history: record %d (%s): %s", rec.Seq, rec.Event.Kind(), msg))
	}
}
