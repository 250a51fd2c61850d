package events

// Kind is the name of an event's type on the wire, with its version. A kind never
// changes its meaning.
type Kind string

// Event is a fact: something that happened, and that no later event can undo.
//
// The set of events is closed. Only this package can implement Event, so a type
// switch over all of them is exhaustive, and [Decode] knows every one.
//
//sumtype:decl
type Event interface {
	// Kind returns the event's name on the wire.
	Kind() Kind
	// Subject returns the type of what the event is about and the event's own name,
	// as they stand in the subject it is published on (D21).
	Subject() (aggregate, name string)
	// Money returns the money that the event moves, or a Movement without postings.
	Money() Movement

	sealed()
}

// The kinds of event there are.
const (
	KindLedgerOpened           Kind = "ledger.opened.v1"
	KindKeyCreated             Kind = "key.created.v1"
	KindKeyRevoked             Kind = "key.revoked.v1"
	KindMerchantCreated        Kind = "merchant.created.v1"
	KindMerchantUpdated        Kind = "merchant.updated.v1"
	KindProductCreated         Kind = "product.created.v1"
	KindProductUpdated         Kind = "product.updated.v1"
	KindMetricCreated          Kind = "metric.created.v1"
	KindMetricUpdated          Kind = "metric.updated.v1"
	KindFeeCreated             Kind = "fee.created.v1"
	KindFeeUpdated             Kind = "fee.updated.v1"
	KindFeeDeleted             Kind = "fee.deleted.v1"
	KindPriceCreated           Kind = "price.created.v1"
	KindPriceRevised           Kind = "price.revised.v1"
	KindPriceDeleted           Kind = "price.deleted.v1"
	KindPlanCreated            Kind = "plan.created.v1"
	KindPlanUpdated            Kind = "plan.updated.v1"
	KindConsumerCreated        Kind = "consumer.created.v1"
	KindConsumerErased         Kind = "consumer.erased.v1"
	KindCustomerCreated        Kind = "customer.created.v1"
	KindWalletOpened           Kind = "wallet.opened.v1"
	KindWalletToppedUp         Kind = "wallet.topped_up.v1"
	KindSubscriptionCreated    Kind = "subscription.created.v1"
	KindSubscriptionTerminated Kind = "subscription.terminated.v1"
	KindUsageReported          Kind = "usage.reported.v1"
	KindInvoiceOpened          Kind = "invoice.opened.v1"
	KindInvoiceClosing         Kind = "invoice.closing.v1"
	KindInvoiceLineClosed      Kind = "invoice.line_closed.v1"
	KindInvoiceIssued          Kind = "invoice.issued.v1"
	KindInvoicePaid            Kind = "invoice.paid.v1"
	KindInvoiceCancelled       Kind = "invoice.cancelled.v1"
	KindInvoicePaymentFailed   Kind = "invoice.payment_failed.v1"
	KindFeeCharged             Kind = "fee.charged.v1"
	KindUsageRefunded          Kind = "usage.refunded.v1"
	KindUsageCorrected         Kind = "usage.corrected.v1"
	KindLineItemAdded          Kind = "invoice.line_item_added.v1"
	KindInvoiceDrafted         Kind = "invoice.drafted.v1"
	KindInvoiceWrittenOff      Kind = "invoice.written_off.v1"
	KindInvoiceRefunded        Kind = "invoice.refunded.v1"
	KindInvoiceRefundVoided    Kind = "invoice.refund_voided.v1"
	KindReservationCreated     Kind = "reservation.created.v1"
	KindReservationReleased    Kind = "reservation.released.v1"
	KindFeatureCreated         Kind = "feature.created.v1"
	KindFeatureUpdated         Kind = "feature.updated.v1"
	KindFeatureDeleted         Kind = "feature.deleted.v1"
	KindEntitlementIssued      Kind = "entitlement.issued.v1"
	KindEntitlementEnded       Kind = "entitlement.ended.v1"
	KindEntitlementReset       Kind = "entitlement.reset.v1"
	KindEntitlementUsed        Kind = "entitlement.used.v1"
	KindGrantIssued            Kind = "grant.issued.v1"
	KindGrantRenewed           Kind = "grant.renewed.v1"
	KindGrantVoided            Kind = "grant.voided.v1"
	KindGrantOrdered           Kind = "grant.ordered.v1"
	KindClockCreated           Kind = "clock.created.v1"
	KindClockAdvancing         Kind = "clock.advancing.v1"
	KindClockAdvanced          Kind = "clock.advanced.v1"
	KindClockDeleted           Kind = "clock.deleted.v1"
	KindCustomerUpdated        Kind = "customer.updated.v1"
	KindCustomerDeleted        Kind = "customer.deleted.v1"
	KindConsumerUpdated        Kind = "consumer.updated.v1"
	KindDueFailed              Kind = "due.failed.v1"
	KindSessionOpened          Kind = "payment_session.opened.v1"
	KindSessionEnded           Kind = "payment_session.ended.v1"
	KindChargeRequested        Kind = "charge.requested.v1"
	KindChargeSucceeded        Kind = "charge.succeeded.v1"
	KindChargeFailed           Kind = "charge.failed.v1"
	KindChargeActionRequired   Kind = "charge.action_required.v1"
	KindMethodStored           Kind = "payment_method.stored.v1"
	KindMethodRemoved          Kind = "payment_method.removed.v1"
	KindTopUpRequested         Kind = "wallet.top_up_requested.v1"
	KindTopUpEnded             Kind = "wallet.top_up_ended.v1"
	KindPaymentCreated         Kind = "payment.created.v1"
	KindPaymentReceived        Kind = "payment.received.v1"
	KindSubscriptionAuthorized Kind = "subscription.authorized.v1"
	KindSubscriptionActivated  Kind = "subscription.activated.v1"
	KindSubscriptionUpdated    Kind = "subscription.updated.v1"
	KindSubscriptionReminded   Kind = "subscription.reminded.v1"
	KindAuthorizationOpened    Kind = "authorization.opened.v1"
	KindAuthorizationEnded     Kind = "authorization.ended.v1"
	KindMerchantAuthorized     Kind = "consumer.merchant_authorized.v1"
	KindAuthorizationWithdrawn Kind = "consumer.authorization_withdrawn.v1"
	KindConsumerClaimed        Kind = "consumer.claimed.v1"
	KindUserCreated            Kind = "user.created.v1"
	KindUserUpdated            Kind = "user.updated.v1"
	KindUserSignedIn           Kind = "user.signed_in.v1"
	KindUserSignedOut          Kind = "user.signed_out.v1"
	KindPasskeyAdded           Kind = "passkey.added.v1"
	KindPasskeyRemoved         Kind = "passkey.removed.v1"
	KindPasskeyUsed            Kind = "passkey.used.v1"
	KindPortalOpened           Kind = "portal.opened.v1"
	KindPortalRevoked          Kind = "portal.revoked.v1"
	KindDisputeOpened          Kind = "dispute.opened.v1"
	KindDisputeResolved        Kind = "dispute.resolved.v1"
	KindAlertCreated           Kind = "alert.created.v1"
	KindAlertRaised            Kind = "alert.raised.v1"
	KindAlertRearmed           Kind = "alert.rearmed.v1"
	KindWalletEmptied          Kind = "wallet.emptied.v1"
	KindEventHeld              Kind = "usage.event_held.v1"
	KindEventReleased          Kind = "usage.event_released.v1"
	KindHeldDiscarded          Kind = "usage.held_discarded.v1"
)

// Kinds returns every kind, in the order of the constants.
func Kinds() []Kind {
	return []Kind{
		KindLedgerOpened, KindKeyCreated, KindKeyRevoked, KindMerchantCreated, KindMerchantUpdated,
		KindProductCreated, KindProductUpdated, KindMetricCreated, KindMetricUpdated, KindFeeCreated, KindFeeUpdated, KindFeeDeleted, KindPriceCreated, KindPriceRevised, KindPriceDeleted, KindPlanCreated, KindPlanUpdated,
		KindConsumerCreated, KindConsumerErased, KindCustomerCreated, KindWalletOpened, KindWalletToppedUp,
		KindSubscriptionCreated, KindSubscriptionTerminated, KindUsageReported,
		KindInvoiceOpened, KindInvoiceClosing, KindInvoiceLineClosed, KindInvoiceIssued, KindInvoicePaid, KindInvoiceCancelled, KindInvoicePaymentFailed,
		KindFeeCharged, KindUsageRefunded, KindUsageCorrected, KindLineItemAdded, KindInvoiceDrafted, KindInvoiceWrittenOff, KindInvoiceRefunded, KindInvoiceRefundVoided,
		KindReservationCreated, KindReservationReleased,
		KindFeatureCreated, KindFeatureUpdated, KindFeatureDeleted, KindEntitlementIssued, KindEntitlementEnded,
		KindEntitlementReset, KindEntitlementUsed, KindGrantIssued, KindGrantRenewed, KindGrantVoided, KindGrantOrdered,
		KindClockCreated, KindClockAdvancing, KindClockAdvanced, KindClockDeleted, KindCustomerUpdated, KindCustomerDeleted, KindConsumerUpdated, KindDueFailed,
		KindSessionOpened,
		KindSessionEnded,
		KindChargeRequested,
		KindChargeSucceeded,
		KindChargeFailed,
		KindChargeActionRequired,
		KindMethodStored,
		KindMethodRemoved,
		KindTopUpRequested,
		KindTopUpEnded,
		KindPaymentCreated,
		KindPaymentReceived,
		KindSubscriptionAuthorized,
		KindSubscriptionActivated,
		KindSubscriptionUpdated,
		KindSubscriptionReminded,
		KindAuthorizationOpened,
		KindAuthorizationEnded,
		KindMerchantAuthorized,
		KindAuthorizationWithdrawn,
		KindConsumerClaimed,
		KindUserCreated,
		KindUserUpdated,
		KindUserSignedIn,
		KindUserSignedOut,
		KindPasskeyAdded,
		KindPasskeyRemoved,
		KindPasskeyUsed,
		KindPortalOpened,
		KindPortalRevoked,
		KindDisputeOpened,
		KindDisputeResolved,
		KindAlertCreated,
		KindAlertRaised,
		KindAlertRearmed,
		KindWalletEmptied,
		KindEventHeld,
		KindEventReleased,
		KindHeldDiscarded,
	}
}

// zeros returns a zero event of each kind, in the order of Kinds.
func zeros() []Event { //nolint:funlen // a line for each kind, and nothing else
	return []Event{
		LedgerOpened{},
		KeyCreated{},
		KeyRevoked{},
		MerchantCreated{},
		MerchantUpdated{},
		ProductCreated{},
		ProductUpdated{},
		MetricCreated{},
		MetricUpdated{},
		FeeCreated{},
		FeeUpdated{},
		FeeDeleted{},
		PriceCreated{},
		PriceRevised{},
		PriceDeleted{},
		PlanCreated{},
		PlanUpdated{},
		ConsumerCreated{},
		ConsumerErased{},
		CustomerCreated{},
		WalletOpened{},
		WalletToppedUp{},
		SubscriptionCreated{},
		SubscriptionTerminated{},
		&UsageReported{},
		InvoiceOpened{},
		InvoiceClosing{},
		InvoiceLineClosed{},
		InvoiceIssued{},
		InvoicePaid{},
		InvoiceCancelled{},
		InvoicePaymentFailed{},
		FeeCharged{},
		UsageRefunded{},
		UsageCorrected{},
		LineItemAdded{},
		InvoiceDrafted{},
		InvoiceWrittenOff{},
		InvoiceRefunded{},
		InvoiceRefundVoided{},
		ReservationCreated{},
		ReservationReleased{},
		FeatureCreated{},
		FeatureUpdated{},
		FeatureDeleted{},
		EntitlementIssued{},
		EntitlementEnded{},
		EntitlementReset{},
		EntitlementUsed{},
		GrantIssued{},
		GrantRenewed{},
		GrantVoided{},
		GrantOrdered{},
		ClockCreated{},
		ClockAdvancing{},
		ClockAdvanced{},
		ClockDeleted{},
		CustomerUpdated{},
		CustomerDeleted{},
		ConsumerUpdated{},
		DueFailed{},
		SessionOpened{},
		SessionEnded{},
		ChargeRequested{},
		ChargeSucceeded{},
		ChargeFailed{},
		ChargeActionRequired{},
		MethodStored{},
		MethodRemoved{},
		TopUpRequested{},
		TopUpEnded{},
		PaymentCreated{},
		PaymentReceived{},
		SubscriptionAuthorized{},
		SubscriptionActivated{},
		SubscriptionUpdated{},
		SubscriptionReminded{},
		AuthorizationOpened{},
		AuthorizationEnded{},
		MerchantAuthorized{},
		AuthorizationWithdrawn{},
		ConsumerClaimed{},
		UserCreated{},
		UserUpdated{},
		UserSignedIn{},
		UserSignedOut{},
		PasskeyAdded{},
		PasskeyRemoved{},
		PasskeyUsed{},
		PortalOpened{},
		PortalRevoked{},
		DisputeOpened{},
		DisputeResolved{},
		AlertCreated{},
		AlertRaised{},
		AlertRearmed{},
		WalletEmptied{},
		EventHeld{},
		EventReleased{},
		HeldDiscarded{},
	}
}

// kindOf returns the kind named b without allocating for the hot one.
func kindOf(b []byte) Kind {
	if string(b) == string(KindUsageReported) {
		return KindUsageReported
	}
	return Kind(b)
}

// Decode reads an event of the given kind from exactly b. An unknown kind,
// trailing bytes and values out of range are errors that match [ErrEncoding];
// unknown fields are ignored.
//
// What NewRecord writes of an e that it accepts is decoded to e; an empty list
// and none are the same.
func Decode(kind Kind, b []byte) (Event, error) { //nolint:funlen // a case for each kind, and nothing else
	switch kind {
	case KindLedgerOpened:
		return unmarshal[LedgerOpened](b)
	case KindKeyCreated:
		return unmarshal[KeyCreated](b)
	case KindKeyRevoked:
		return unmarshal[KeyRevoked](b)
	case KindMerchantCreated:
		return unmarshal[MerchantCreated](b)
	case KindMerchantUpdated:
		return unmarshal[MerchantUpdated](b)
	case KindProductCreated:
		return unmarshal[ProductCreated](b)
	case KindProductUpdated:
		return unmarshal[ProductUpdated](b)
	case KindMetricCreated:
		return unmarshal[MetricCreated](b)
	case KindMetricUpdated:
		return unmarshal[MetricUpdated](b)
	case KindFeeCreated:
		return unmarshal[FeeCreated](b)
	case KindFeeUpdated:
		return unmarshal[FeeUpdated](b)
	case KindFeeDeleted:
		return unmarshal[FeeDeleted](b)
	case KindPriceCreated:
		return unmarshal[PriceCreated](b)
	case KindPriceRevised:
		return unmarshal[PriceRevised](b)
	case KindPriceDeleted:
		return unmarshal[PriceDeleted](b)
	case KindPlanCreated:
		return unmarshal[PlanCreated](b)
	case KindPlanUpdated:
		return unmarshal[PlanUpdated](b)
	case KindConsumerCreated:
		return unmarshal[ConsumerCreated](b)
	case KindConsumerErased:
		return unmarshal[ConsumerErased](b)
	case KindCustomerCreated:
		return unmarshal[CustomerCreated](b)
	case KindWalletOpened:
		return unmarshal[WalletOpened](b)
	case KindWalletToppedUp:
		return unmarshal[WalletToppedUp](b)
	case KindSubscriptionCreated:
		return unmarshal[SubscriptionCreated](b)
	case KindSubscriptionTerminated:
		return unmarshal[SubscriptionTerminated](b)
	case KindUsageReported:
		r := reader{b: b}
		u := r.usage()
		if err := r.finish(); err != nil {
			return nil, err
		}
		return u, nil
	case KindInvoiceOpened:
		return unmarshal[InvoiceOpened](b)
	case KindInvoiceClosing:
		return unmarshal[InvoiceClosing](b)
	case KindInvoiceLineClosed:
		return unmarshal[InvoiceLineClosed](b)
	case KindInvoiceIssued:
		return unmarshal[InvoiceIssued](b)
	case KindInvoicePaid:
		return unmarshal[InvoicePaid](b)
	case KindInvoiceCancelled:
		return unmarshal[InvoiceCancelled](b)
	case KindInvoicePaymentFailed:
		return unmarshal[InvoicePaymentFailed](b)
	case KindFeeCharged:
		return unmarshal[FeeCharged](b)
	case KindUsageRefunded:
		return unmarshal[UsageRefunded](b)
	case KindUsageCorrected:
		return unmarshal[UsageCorrected](b)
	case KindLineItemAdded:
		return unmarshal[LineItemAdded](b)
	case KindInvoiceDrafted:
		return unmarshal[InvoiceDrafted](b)
	case KindInvoiceWrittenOff:
		return unmarshal[InvoiceWrittenOff](b)
	case KindInvoiceRefunded:
		return unmarshal[InvoiceRefunded](b)
	case KindInvoiceRefundVoided:
		return unmarshal[InvoiceRefundVoided](b)
	case KindClockCreated:
		return unmarshal[ClockCreated](b)
	case KindClockAdvancing:
		return unmarshal[ClockAdvancing](b)
	case KindClockAdvanced:
		return unmarshal[ClockAdvanced](b)
	case KindClockDeleted:
		return unmarshal[ClockDeleted](b)
	case KindCustomerUpdated:
		return unmarshal[CustomerUpdated](b)
	case KindCustomerDeleted:
		return unmarshal[CustomerDeleted](b)
	case KindConsumerUpdated:
		return unmarshal[ConsumerUpdated](b)
	case KindDueFailed:
		return unmarshal[DueFailed](b)
	case KindSessionOpened:
		return unmarshal[SessionOpened](b)
	case KindSessionEnded:
		return unmarshal[SessionEnded](b)
	case KindChargeRequested:
		return unmarshal[ChargeRequested](b)
	case KindChargeSucceeded:
		return unmarshal[ChargeSucceeded](b)
	case KindChargeFailed:
		return unmarshal[ChargeFailed](b)
	case KindChargeActionRequired:
		return unmarshal[ChargeActionRequired](b)
	case KindMethodStored:
		return unmarshal[MethodStored](b)
	case KindMethodRemoved:
		return unmarshal[MethodRemoved](b)
	case KindTopUpRequested:
		return unmarshal[TopUpRequested](b)
	case KindTopUpEnded:
		return unmarshal[TopUpEnded](b)
	case KindPaymentCreated:
		return unmarshal[PaymentCreated](b)
	case KindSubscriptionAuthorized:
		return unmarshal[SubscriptionAuthorized](b)
	case KindSubscriptionActivated:
		return unmarshal[SubscriptionActivated](b)
	case KindSubscriptionUpdated:
		return unmarshal[SubscriptionUpdated](b)
	case KindSubscriptionReminded:
		return unmarshal[SubscriptionReminded](b)
	case KindPaymentReceived:
		return unmarshal[PaymentReceived](b)
	case KindAuthorizationOpened:
		return unmarshal[AuthorizationOpened](b)
	case KindAuthorizationEnded:
		return unmarshal[AuthorizationEnded](b)
	case KindMerchantAuthorized:
		return unmarshal[MerchantAuthorized](b)
	case KindAuthorizationWithdrawn:
		return unmarshal[AuthorizationWithdrawn](b)
	case KindConsumerClaimed:
		return unmarshal[ConsumerClaimed](b)
	case KindUserCreated:
		return unmarshal[UserCreated](b)
	case KindUserUpdated:
		return unmarshal[UserUpdated](b)
	case KindUserSignedIn:
		return unmarshal[UserSignedIn](b)
	case KindUserSignedOut:
		return unmarshal[UserSignedOut](b)
	case KindPasskeyAdded:
		return unmarshal[PasskeyAdded](b)
	case KindPasskeyRemoved:
		return unmarshal[PasskeyRemoved](b)
	case KindPasskeyUsed:
		return unmarshal[PasskeyUsed](b)
	case KindPortalOpened:
		return unmarshal[PortalOpened](b)
	case KindPortalRevoked:
		return unmarshal[PortalRevoked](b)
	case KindDisputeOpened:
		return unmarshal[DisputeOpened](b)
	case KindDisputeResolved:
		return unmarshal[DisputeResolved](b)
	case KindAlertCreated:
		return unmarshal[AlertCreated](b)
	case KindAlertRaised:
		return unmarshal[AlertRaised](b)
	case KindAlertRearmed:
		return unmarshal[AlertRearmed](b)
	case KindWalletEmptied:
		return unmarshal[WalletEmptied](b)
	case KindEventHeld:
		return unmarshal[EventHeld](b)
	case KindEventReleased:
		return unmarshal[EventReleased](b)
	case KindHeldDiscarded:
		return unmarshal[HeldDiscarded](b)
	}
	return decodeEntitlement(kind, b)
}
