package commands

import (
	"time"
	"unicode/utf8"

	"tallystick/events"
	"tallystick/projections"
)

// Command is a wish that the rules can answer. The set is closed: a switch over all of them is exhaustive.
//
//sumtype:decl
type Command interface {
	// main returns the kind of the event that carries the command's idempotency key.
	main() events.Kind
}

// Context is what a decision knows besides the books.
type Context struct {
	Now      events.Time           // real time
	ID       events.CommandID      // new things are named after it
	Merchant events.OrganizationID // whose business it is; zero for the platform's own
	Actor    events.Actor
	Operator bool // whether the actor may do everything
}

// draft is an event that a decision wants recorded.
type draft struct {
	event    events.Event
	at       events.Time           // on the subject's clock
	merchant events.OrganizationID // whose business it is
	cause    events.Seq
}

// decision is what a command leads to. It is used again for the next one, which must be decided on the same books: what
// it remembers of them saves looking rows up, and nothing else.
type decision struct {
	drafts   []draft
	main     int      // which draft carries the idempotency key and is the answer
	existing *Receipt // the answer where there is nothing to record
	overdue  subject  // due actions of this must come first; then decide again
	usage    usageScratch
}

func (d *decision) reset() {
	clear(d.drafts)
	d.drafts, d.main, d.existing, d.overdue = d.drafts[:0], 0, nil, subject{}
}

func (d *decision) add(c Context, at events.Time, e events.Event) {
	d.drafts = append(d.drafts, draft{event: e, at: at, merchant: c.Merchant})
}

// decide answers a command. It leaves what follows in d, or returns why not. It
// is pure: see the package comment.
//
// The order inside each decision is the same: is the command well formed by
// itself, does its subject exist, do limits and arithmetic hold; after that
// nothing can fail. Whether it was done before is asked by the [Sequencer], first.
func decide(b *projections.Books, c Context, cmd Command, d *decision) *Rejection {
	switch cmd := cmd.(type) {
	case *ReportUsage:
		return reportUsage(b, c, cmd, d)
	case *IngestEvent:
		return ingestEvent(b, c, cmd, d)
	case *AttachEvent:
		return attachEvent(b, c, cmd, d)
	case DiscardEvents:
		return discardEvents(b, c, cmd, d)
	case CreateMerchant:
		return createMerchant(b, c, cmd, d)
	case UpdateMerchant:
		return updateMerchant(b, c, cmd, d)
	case CreateKey:
		return createKey(b, c, cmd, d)
	case RevokeKey:
		return revokeKey(b, c, cmd, d)
	case CreateProduct, UpdateProduct, CreateMetric, UpdateMetric, CreateFee, UpdateFee, DeleteFee,
		CreatePrice, UpdatePrice, DeletePrice, CreatePlan, UpdatePlan:
		return decideCatalog(b, c, cmd, d)
	case RefundUsage, CorrectUsage, ApproveInvoice, CancelInvoice, WriteOffInvoice, PayInvoice, CreateLineItem, RefundInvoice, VoidInvoiceRefund, CreateDispute, ResolveDispute, CreateAlert:
		return decideBilling(b, c, cmd, d)
	case CreateCustomer, UpdateCustomer, DeleteCustomer, CreateConsumer, UpdateConsumer, EraseConsumer:
		return decideCustomer(b, c, cmd, d)
	case TopUp:
		return topUp(b, c, cmd, d)
	case CreateWallet:
		return createWallet(b, c, cmd, d)
	case PaySession:
		return paySession(b, c, cmd, d)
	case CancelSession:
		return cancelSession(b, c, cmd, d)
	case SettleCharge:
		return settleCharge(b, c, cmd, d)
	case CreatePayment:
		return createPayment(b, c, cmd, d)
	case SetupPaymentMethod:
		return setupPaymentMethod(b, c, cmd, d)
	case RemovePaymentMethod:
		return removePaymentMethod(b, c, cmd, d)
	case CreateAuthorization, CompleteAuthorization, RefuseAuthorization, WithdrawAuthorization, InviteUser, DeclineInvitation, UpdateUser, SignIn, SignOut, AddPasskey, RemovePasskey, UsePasskey, CreatePortal, RevokePortal:
		return decideAuthorization(b, c, cmd, d)
	case CreateSubscription:
		return createSubscription(b, c, cmd, d)
	case UpdateSubscription:
		return updateSubscription(b, c, cmd, d)
	case TerminateSubscription:
		return terminateSubscription(b, c, cmd, d)
	case CreateFeature, UpdateFeature, DeleteFeature, IssueEntitlement, CreateGrant, PurchaseGrant, VoidGrant:
		return decideEntitlement(b, c, cmd, d)
	case CreateEntitlement:
		return createEntitlement(b, c, cmd, d)
	case CreateTestClock:
		return createTestClock(b, c, cmd, d)
	case DeleteTestClock:
		return deleteTestClock(b, c, cmd, d)
	case AdvanceTestClock:
		return advanceTestClock(b, c, cmd, d)
	}
	panic("commands: impossible: a command without a rule")
}

func (*ReportUsage) main() events.Kind          { return events.KindUsageReported }
func (*IngestEvent) main() events.Kind          { return events.KindUsageReported }
func (*AttachEvent) main() events.Kind          { return events.KindEventReleased }
func (DiscardEvents) main() events.Kind         { return events.KindHeldDiscarded }
func (RefundUsage) main() events.Kind           { return events.KindUsageRefunded }
func (CorrectUsage) main() events.Kind          { return events.KindUsageCorrected }
func (ApproveInvoice) main() events.Kind        { return events.KindInvoiceIssued }
func (CancelInvoice) main() events.Kind         { return events.KindInvoiceCancelled }
func (WriteOffInvoice) main() events.Kind       { return events.KindInvoiceWrittenOff }
func (CreateLineItem) main() events.Kind        { return events.KindLineItemAdded }
func (RefundInvoice) main() events.Kind         { return events.KindInvoiceRefunded }
func (VoidInvoiceRefund) main() events.Kind     { return events.KindInvoiceRefundVoided }
func (CreateMerchant) main() events.Kind        { return events.KindMerchantCreated }
func (UpdateMerchant) main() events.Kind        { return events.KindMerchantUpdated }
func (CreateKey) main() events.Kind             { return events.KindKeyCreated }
func (RevokeKey) main() events.Kind             { return events.KindKeyRevoked }
func (CreateProduct) main() events.Kind         { return events.KindProductCreated }
func (CreateMetric) main() events.Kind          { return events.KindMetricCreated }
func (CreatePrice) main() events.Kind           { return events.KindPriceCreated }
func (CreatePlan) main() events.Kind            { return events.KindPlanCreated }
func (UpdateProduct) main() events.Kind         { return events.KindProductUpdated }
func (UpdateMetric) main() events.Kind          { return events.KindMetricUpdated }
func (CreateFee) main() events.Kind             { return events.KindFeeCreated }
func (UpdateFee) main() events.Kind             { return events.KindFeeUpdated }
func (DeleteFee) main() events.Kind             { return events.KindFeeDeleted }
func (UpdatePrice) main() events.Kind           { return events.KindPriceRevised }
func (DeletePrice) main() events.Kind           { return events.KindPriceDeleted }
func (UpdatePlan) main() events.Kind            { return events.KindPlanUpdated }
func (CreateCustomer) main() events.Kind        { return events.KindCustomerCreated }
func (CreateConsumer) main() events.Kind        { return events.KindConsumerCreated }
func (CreateWallet) main() events.Kind          { return events.KindWalletOpened }
func (EraseConsumer) main() events.Kind         { return events.KindConsumerErased }
func (UpdateSubscription) main() events.Kind    { return events.KindSubscriptionUpdated }
func (PaySession) main() events.Kind            { return events.KindChargeRequested }
func (CancelSession) main() events.Kind         { return events.KindSessionEnded }
func (SettleCharge) main() events.Kind          { return events.KindChargeSucceeded }
func (CreatePayment) main() events.Kind         { return events.KindPaymentCreated }
func (SetupPaymentMethod) main() events.Kind    { return events.KindSessionOpened }
func (RemovePaymentMethod) main() events.Kind   { return events.KindMethodRemoved }
func (CreateAuthorization) main() events.Kind   { return events.KindAuthorizationOpened }
func (CompleteAuthorization) main() events.Kind { return events.KindAuthorizationEnded }
func (RefuseAuthorization) main() events.Kind   { return events.KindAuthorizationEnded }
func (WithdrawAuthorization) main() events.Kind { return events.KindAuthorizationWithdrawn }
func (InviteUser) main() events.Kind            { return events.KindUserCreated }
func (DeclineInvitation) main() events.Kind     { return events.KindUserUpdated }
func (UpdateUser) main() events.Kind            { return events.KindUserUpdated }
func (SignIn) main() events.Kind                { return events.KindUserSignedIn }
func (SignOut) main() events.Kind               { return events.KindUserSignedOut }
func (AddPasskey) main() events.Kind            { return events.KindPasskeyAdded }
func (RemovePasskey) main() events.Kind         { return events.KindPasskeyRemoved }
func (UsePasskey) main() events.Kind            { return events.KindPasskeyUsed }
func (CreatePortal) main() events.Kind          { return events.KindPortalOpened }
func (RevokePortal) main() events.Kind          { return events.KindPortalRevoked }
func (CreateSubscription) main() events.Kind    { return events.KindSubscriptionCreated }
func (TerminateSubscription) main() events.Kind { return events.KindSubscriptionTerminated }
func (CreateEntitlement) main() events.Kind     { return events.KindReservationCreated }
func (CreateDispute) main() events.Kind         { return events.KindDisputeOpened }
func (ResolveDispute) main() events.Kind        { return events.KindDisputeResolved }
func (CreateAlert) main() events.Kind           { return events.KindAlertCreated }
func (CreateFeature) main() events.Kind         { return events.KindFeatureCreated }
func (UpdateFeature) main() events.Kind         { return events.KindFeatureUpdated }
func (DeleteFeature) main() events.Kind         { return events.KindFeatureDeleted }
func (IssueEntitlement) main() events.Kind      { return events.KindEntitlementIssued }
func (CreateGrant) main() events.Kind           { return events.KindGrantIssued }
func (PurchaseGrant) main() events.Kind         { return events.KindGrantIssued }
func (VoidGrant) main() events.Kind             { return events.KindGrantVoided }
func (CreateTestClock) main() events.Kind       { return events.KindClockCreated }
func (DeleteTestClock) main() events.Kind       { return events.KindClockDeleted }
func (UpdateCustomer) main() events.Kind        { return events.KindCustomerUpdated }
func (DeleteCustomer) main() events.Kind        { return events.KindCustomerDeleted }
func (UpdateConsumer) main() events.Kind        { return events.KindConsumerUpdated }
func (AdvanceTestClock) main() events.Kind      { return events.KindClockAdvancing }

func (cmd PayInvoice) main() events.Kind {
	if cmd.Method == methodSession {
		return events.KindSessionOpened
	}
	return events.KindChargeRequested
}

func (cmd TopUp) main() events.Kind {
	if cmd.Method == methodSession || cmd.Method == methodStored {
		return events.KindTopUpRequested
	}
	return events.KindWalletToppedUp
}

// merchantOf returns the row of the merchant that a command acts for.
func merchantOf(b *projections.Books, c Context) (*projections.MerchantRow, *Rejection) {
	if c.Merchant.IsZero() {
		return nil, Reject(Invalid, "name the merchant that this is done for")
	}
	m := b.Merchants.Get(c.Merchant)
	if m == nil {
		return nil, Reject(NotFound, "no merchant %s", c.Merchant)
	}
	return m, nil
}

// text refuses a text that is missing or too long.
func text(field, s string, most int) *Rejection {
	if s == "" {
		return wrong(field, "is required")
	}
	return optional(field, s, most)
}

// optional refuses a text that is too long, or that no reader of the log would accept.
func optional(field, s string, most int) *Rejection {
	if len(s) > most {
		return wrong(field, "has %d bytes; at most %d are allowed", len(s), most)
	}
	if !utf8.ValidString(s) {
		return wrong(field, "is not valid UTF-8")
	}
	return nil
}

// The instants that billing knows: so every period that begins in between has an end.
const (
	firstInstant = events.Time(1 * 365 * 24 * time.Hour)   // 1971
	lastInstant  = events.Time(230 * 365 * 24 * time.Hour) // 2199
)

// billable refuses a time at which nothing can be billed. Zero stands for none, and passes.
func billable(field string, t events.Time) *Rejection {
	if t != 0 && (t < firstInstant || t > lastInstant) {
		return wrong(field, "is %s; it must be in the years 1971 to 2198", t)
	}
	return nil
}

// first returns the first rejection that is one.
func first(rs ...*Rejection) *Rejection {
	for _, r := range rs {
		if r != nil {
			return r
		}
	}
	return nil
}
