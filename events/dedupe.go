package events

import "strings"

// DedupeKey is what makes a command the same command when it comes again (D8): the
// merchant, the type of command, and the idempotency key, as bytes: 16, 1, and 1 to 255.
type DedupeKey string

// scope returns the byte that stands for the type of command whose main event is of
// kind k. A byte never changes its meaning; new kinds get new ones.
func scope(k Kind) byte { //nolint:funlen // a case for each kind, and nothing else
	switch k {
	case KindUsageReported, KindEventHeld: // by whichever an event is answered
		return 1
	case KindWalletToppedUp:
		return 2
	case KindMerchantCreated:
		return 3
	case KindMerchantUpdated:
		return 4
	case KindProductCreated:
		return 5
	case KindMetricCreated:
		return 6
	case KindPriceCreated:
		return 7
	case KindPlanCreated:
		return 8
	case KindCustomerCreated:
		return 9
	case KindSubscriptionCreated:
		return 10
	case KindSubscriptionTerminated:
		return 11
	case KindClockCreated:
		return 12
	case KindClockAdvancing:
		return 13
	case KindKeyCreated:
		return 14
	case KindKeyRevoked:
		return 15
	case KindConsumerErased:
		return 16
	case KindWalletOpened:
		return 17
	case KindConsumerCreated:
		return 18
	case KindInvoiceIssued:
		return 19
	case KindInvoicePaid:
		return 20
	case KindInvoiceCancelled:
		return 21
	case KindCustomerUpdated:
		return 100
	case KindCustomerDeleted:
		return 101
	case KindConsumerUpdated:
		return 102
	case KindClockDeleted:
		return 103
	case KindProductUpdated:
		return 30
	case KindMetricUpdated:
		return 31
	case KindFeeCreated:
		return 32
	case KindFeeUpdated:
		return 33
	case KindFeeDeleted:
		return 34
	case KindPriceRevised:
		return 35
	case KindPriceDeleted:
		return 36
	case KindPlanUpdated:
		return 37
	case KindReservationCreated:
		return 90
	case KindSessionOpened:
		return 60
	case KindSessionEnded:
		return 61
	case KindChargeRequested:
		return 62
	case KindMethodRemoved:
		return 63
	case KindTopUpRequested:
		return 64
	case KindPaymentCreated:
		return 65
	case KindUsageRefunded:
		return 38
	case KindUsageCorrected:
		return 39
	case KindLineItemAdded:
		return 40
	case KindInvoiceWrittenOff:
		return 41
	case KindInvoiceRefunded:
		return 42
	case KindInvoiceRefundVoided:
		return 43
	case KindFeatureCreated:
		return 91
	case KindFeatureUpdated:
		return 92
	case KindFeatureDeleted:
		return 93
	case KindEntitlementIssued:
		return 94
	case KindGrantIssued, KindGrantOrdered: // by whichever a purchase is answered
		return 95
	case KindGrantVoided:
		return 96
	case KindSubscriptionUpdated:
		return 66
	case KindAuthorizationOpened:
		return 80
	case KindAuthorizationEnded:
		return 81
	case KindMerchantAuthorized:
		return 82
	case KindAuthorizationWithdrawn:
		return 83
	case KindUserCreated:
		return 84
	case KindUserUpdated:
		return 85
	case KindUserSignedIn:
		return 140
	case KindUserSignedOut:
		return 141
	case KindPasskeyAdded:
		return 142
	case KindPasskeyRemoved:
		return 143
	case KindPasskeyUsed:
		return 144
	case KindPortalOpened:
		return 86
	case KindPortalRevoked:
		return 87
	case KindDisputeOpened:
		return 120
	case KindDisputeResolved:
		return 121
	case KindAlertCreated:
		return 122
	case KindHeldDiscarded:
		return 160
	}
	return noScope
}

// noScope stands for the effects of other commands: they never carry a key, and
// NewRecord refuses one.
const noScope = 255

// NewDedupeKey returns the key of a command whose main event is of kind k.
func NewDedupeKey(merchant OrganizationID, k Kind, key string) DedupeKey {
	var b strings.Builder
	b.Grow(len(merchant) + 1 + len(key))
	b.Write(merchant[:])
	b.WriteByte(scope(k))
	b.WriteString(key)
	return DedupeKey(b.String())
}

// DedupeKey returns the key that r was recorded under, and whether it had one.
func (r *Record) DedupeKey() (DedupeKey, bool) {
	if r.Key == "" {
		return "", false
	}
	return NewDedupeKey(r.Merchant, r.Event.Kind(), r.Key), true
}
