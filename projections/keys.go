package projections

import (
	"encoding/binary"
	"fmt"

	"tallystick/events"
)

// The tables of a store, by the first byte of their keys. A byte is never given to another table.
//
//	table                     key                              row
//	0x01 ledger.opened        (empty)                          Opened
//	0x02 parties.keys         KeyID                            Key
//	0x03 parties.secrets      Hash of the key's text           KeyID
//	0x10 customers.merchants  OrganizationID                   MerchantRow
//	0x11 customers.consumers  OrganizationID                   Consumer
//	0x12 customers.emails     merchant or zero, Digest         OrganizationID
//	0x13 customers.customers  CustomerID                       Customer
//	0x14 customers.pairs      merchant, consumer               CustomerID
//	0x15 customers.externals  merchant, Digest                 CustomerID
//	0x20 catalog.products     ProductID                        Product
//	0x21 catalog.metrics      MetricID                         Metric
//	0x22 catalog.prices       PriceID                          Price
//	0x23 catalog.plans        PlanID                           Plan
//	0x24 catalog.fees         FeeID                            Fee
//	0x30 wallets.wallets      WalletID                         Wallet
//	0x31 wallets.accounts     role, currency, owner            Balance
//	0x40 subscriptions.subscriptions  SubscriptionID           Subscription
//	0x41 subscriptions.active         CustomerID               Active
//	0x42 subscriptions.clocks         TestClockID              Clock
//	0x50 invoices.open        SubscriptionID, period           Accrual
//	0x51 invoices.numbers     OrganizationID of a merchant     uint64
//	0x52 invoices.invoices    InvoiceID                        Invoice
//	0x53 invoices.lines       InvoiceID, LineID                Line
//	0x54 invoices.bills       InvoiceID                        Bill
//	0x55 invoices.credits     InvoiceID                        Credits
//	0x56 invoices.refunds     UsageID                          Refund
//	0xc2 invoices.returns     SubscriptionID, period           Returns
//	0x80 payments.sessions     SessionID                        Session
//	0x81 payments.charges      ChargeID                         Charge
//	0x82 payments.methods      MethodID                         Method
//	0x83 payments.topups       TopUpID                          TopUp
//	0x84 payments.payments     PaymentID                        Payment
//	0x85 subscriptions.pending CustomerID                       Active
//	0xa0 parties.users         UserID                           User
//	0xa1 parties.useremails    OrganizationID, Digest           UserID
//	0xa2 authorizations.sessions  AuthorizationID               Authorization
//	0xa3 authorizations.given     consumer, merchant            Seq
//	0xa4 authorizations.portals   PortalID                      Portal
//	0x60 usage.totals         CustomerID, MetricID             Total
//	0x61 usage.journals       what, identity                   Journal
//	0x62 usage.pages          what, identity, page             Page
//	0x70 usage.links          what, parent, child              Seq
//	0x90 reservations.reservations   ReservationID             Reservation
//	0x91 reservations.held           SubscriptionID            Held
//	0xc0 disputes.disputes           DisputeID                 Dispute
//	0xc1 alerts.alerts               AlertID                   Alert
//	0xe0 customers.managed           e-mail digest             []consumer
//	0x92 entitlements.features       FeatureID                 Feature
//	0x93 entitlements.keys           ProductID, key            FeatureID
//	0x94 entitlements.entitlements   EntitlementID             Entitlement
//	0x95 entitlements.entitled       CustomerID                Entitled
//	0x96 entitlements.grants         GrantID                   Grant
//	0xc3 entitlements.purchases      GrantID                   Purchase
//	0xd8 usage.waiting               merchant, Digest          Waiting
const (
	tableOpened        = 0x01
	tableKeys          = 0x02
	tableSecrets       = 0x03
	tableMerchants     = 0x10
	tableConsumers     = 0x11
	tableEmails        = 0x12
	tableCustomers     = 0x13
	tablePairs         = 0x14
	tableExternals     = 0x15
	tableProducts      = 0x20
	tableMetrics       = 0x21
	tablePrices        = 0x22
	tablePlans         = 0x23
	tableFees          = 0x24
	tableWallets       = 0x30
	tableAccounts      = 0x31
	tableSubscriptions = 0x40
	tableActive        = 0x41
	tableClocks        = 0x42
	tableAccruals      = 0x50
	tableNumbers       = 0x51
	tableInvoices      = 0x52
	tableLines         = 0x53
	tableBills         = 0x54
	tableCredits       = 0x55
	tableRefunds       = 0x56
	tableReturns       = 0xC2
	tableTotals        = 0x60
	tableJournals      = 0x61
	tablePages         = 0x62
	tableLinks         = 0x70
	tableReservations  = 0x90
	tableHeld          = 0x91
	tableSessions      = 0x80
	tableCharges       = 0x81
	tableMethods       = 0x82
	tableTopUps        = 0x83
	tablePayments      = 0x84
	tableFeatures      = 0x92
	tableFeatureKeys   = 0x93
	tableEntitlements  = 0x94
	tableEntitled      = 0x95
	tableGrants        = 0x96
	tablePending       = 0x85

	tableUsers          = 0xA0
	tableUserEmails     = 0xA1
	tableAuthorizations = 0xA2
	tableAuthorized     = 0xA3
	tablePortals        = 0xA4

	tableDisputes = 0xC0
	tableAlerts   = 0xC1

	tablePurchases = 0xC3

	tableWaiting = 0xD8

	tableManaged = 0xE0
)

// id16 is any identity of 16 raw bytes.
type id16 interface{ ~[16]byte }

func keyOfID[K id16]() keyCodec[K] {
	return keyCodec[K]{
		append: func(b []byte, k K) []byte { a := [16]byte(k); return append(b, a[:]...) },
		parse: func(b []byte) (k K, err error) {
			if len(b) != 16 {
				return k, errKey(b)
			}
			return K([16]byte(b)), nil
		},
	}
}

// Pair is a key of two identities. The first of them is a prefix of the stored key.
type Pair[A, B id16] struct {
	A A
	B B
}

func keyOfPair[A, B id16]() keyCodec[Pair[A, B]] {
	return keyCodec[Pair[A, B]]{
		append: func(b []byte, k Pair[A, B]) []byte {
			x, y := [16]byte(k.A), [16]byte(k.B)
			return append(append(b, x[:]...), y[:]...)
		},
		parse: func(b []byte) (k Pair[A, B], err error) {
			if len(b) != 32 {
				return k, errKey(b)
			}
			return Pair[A, B]{A([16]byte(b[:16])), B([16]byte(b[16:]))}, nil
		},
	}
}

func keyOfHash() keyCodec[events.Hash] {
	return keyCodec[events.Hash]{
		append: func(b []byte, k events.Hash) []byte { return append(b, k[:]...) },
		parse: func(b []byte) (k events.Hash, err error) {
			if len(b) != len(k) {
				return k, errKey(b)
			}
			return events.Hash(b), nil
		},
	}
}

func keyOfNothing() keyCodec[struct{}] {
	return keyCodec[struct{}]{
		append: func(b []byte, _ struct{}) []byte { return b },
		parse: func(b []byte) (k struct{}, err error) {
			if len(b) != 0 {
				err = errKey(b)
			}
			return k, err
		},
	}
}

func keyOfClock() keyCodec[events.TestClockID] {
	return keyCodec[events.TestClockID]{
		append: func(b []byte, k events.TestClockID) []byte { return append(b, k[:]...) },
		parse: func(b []byte) (k events.TestClockID, err error) {
			if len(b) != len(k) {
				return k, errKey(b)
			}
			return events.TestClockID(b), nil
		},
	}
}

func keyOfAccount() keyCodec[events.Account] {
	return keyCodec[events.Account]{
		append: func(b []byte, k events.Account) []byte {
			return append(append(append(b, byte(k.Role)), k.Currency[:]...), k.Owner[:]...)
		},
		parse: func(b []byte) (k events.Account, err error) {
			if len(b) != 20 {
				return k, errKey(b)
			}
			return events.Account{Role: events.Role(b[0]), Currency: events.Currency(b[1:4]), Owner: [16]byte(b[4:])}, nil
		},
	}
}

// PeriodKey names a billing period of a subscription.
type PeriodKey struct {
	Subscription events.SubscriptionID
	Period       uint32
}

func keyOfPeriod() keyCodec[PeriodKey] {
	return keyCodec[PeriodKey]{
		append: func(b []byte, k PeriodKey) []byte {
			return binary.BigEndian.AppendUint32(append(b, k.Subscription[:]...), k.Period)
		},
		parse: func(b []byte) (k PeriodKey, err error) {
			if len(b) != 20 {
				return k, errKey(b)
			}
			return PeriodKey{events.SubscriptionID(b[:16]), binary.BigEndian.Uint32(b[16:])}, nil
		},
	}
}

// FeatureKey names a feature by its key, which is unique in its product.
type FeatureKey struct {
	Product events.ProductID
	Key     string
}

// String returns the product and the key.
func (k FeatureKey) String() string { return k.Product.String() + " " + k.Key }

func keyOfFeatureKey() keyCodec[FeatureKey] {
	return keyCodec[FeatureKey]{
		append: func(b []byte, k FeatureKey) []byte { return append(append(b, k.Product[:]...), k.Key...) },
		parse: func(b []byte) (k FeatureKey, err error) {
			if len(b) < 16 {
				return k, errKey(b)
			}
			return FeatureKey{events.ProductID(b[:16]), string(b[16:])}, nil
		},
	}
}

// JournalKey names what a journal is about.
type JournalKey struct {
	What JournalOf
	ID   [16]byte
}

func keyOfJournal() keyCodec[JournalKey] {
	return keyCodec[JournalKey]{
		append: func(b []byte, k JournalKey) []byte { return append(append(b, byte(k.What)), k.ID[:]...) },
		parse: func(b []byte) (k JournalKey, err error) {
			if len(b) != 17 {
				return k, errKey(b)
			}
			return JournalKey{JournalOf(b[0]), [16]byte(b[1:])}, nil
		},
	}
}

// PageKey names a full page of a journal.
type PageKey struct {
	Journal JournalKey
	Page    uint32 // 0, 1, 2…
}

func keyOfPage() keyCodec[PageKey] {
	j := keyOfJournal()
	return keyCodec[PageKey]{
		append: func(b []byte, k PageKey) []byte {
			return binary.BigEndian.AppendUint32(j.append(b, k.Journal), k.Page)
		},
		parse: func(b []byte) (k PageKey, err error) {
			if len(b) != 21 {
				return k, errKey(b)
			}
			k.Journal, err = j.parse(b[:17])
			k.Page = binary.BigEndian.Uint32(b[17:])
			return k, err
		},
	}
}

// LinkKey says that Child is one of Parent's.
type LinkKey struct {
	What   LinkOf
	Parent [16]byte
	Child  [16]byte
}

func keyOfLink() keyCodec[LinkKey] {
	return keyCodec[LinkKey]{
		append: func(b []byte, k LinkKey) []byte {
			return append(append(append(b, byte(k.What)), k.Parent[:]...), k.Child[:]...)
		},
		parse: func(b []byte) (k LinkKey, err error) {
			if len(b) != 33 {
				return k, errKey(b)
			}
			return LinkKey{LinkOf(b[0]), [16]byte(b[1:17]), [16]byte(b[17:])}, nil
		},
	}
}

func errKey(b []byte) error { return fmt.Errorf("malformed key %x", b) }
