package projections

import (
	"fmt"
	"math"
	"strings"

	"tallystick/events"
)

// FoldVersion changes whenever the same records would give other rows. Stored books
// of another version are not used; they are made again from the log.
const FoldVersion = 6

// Purpose says what books are kept for.
type Purpose int

// The purposes.
const (
	ForRules   Purpose = iota // only what rules read, in memory
	ForViews                  // everything, with changes remembered for a store
	ForHistory                // like ForViews without totals and journals: a state of the past
	ForExtract                // like ForHistory, for what an [Extract] takes of it
)

// Omits reports whether books kept for p have nothing in a table.
func (p Purpose) Omits(t TableInfo) bool {
	switch p {
	case ForRules:
		return !t.Rules
	case ForHistory, ForExtract:
		return t.ID == tableTotals || t.ID == tableJournals || t.ID == tablePages || p == ForExtract && t.ID == tableNumbers
	case ForViews:
	}
	return false
}

// Books is the state of the whole ledger: every fold, current to the same record.
// See the package comment for who may use it and how.
type Books struct {
	applied events.Seq // last record applied; 0 before the first
	ledger  events.LedgerID
	tables  []table
	charges memo[chargeRows] // rows of Accruals, Accounts and Reservations; until one of them is removed or forgotten
	uses    memo[useRows]    // rows of Totals and Journals; likewise
	touched [2]uint64        // keeps the reads of readAhead and lookAhead

	Opened *Table[struct{}, Opened]

	Keys    *Table[events.KeyID, Key]
	Secrets *Table[events.Hash, events.KeyID]

	Merchants *Table[events.OrganizationID, MerchantRow]
	Consumers *Table[events.OrganizationID, Consumer]
	Emails    *Table[Pair[events.OrganizationID, events.Digest], events.OrganizationID]
	Managed   *Table[events.Digest, []events.OrganizationID] // managed consumers by their e-mail address
	Customers *Table[events.CustomerID, Customer]
	Pairs     *Table[Pair[events.OrganizationID, events.OrganizationID], events.CustomerID]
	Externals *Table[Pair[events.OrganizationID, events.Digest], events.CustomerID]

	Products *Table[events.ProductID, Product]
	Metrics  *Table[events.MetricID, Metric]
	Fees     *Table[events.FeeID, Fee]
	Prices   *Table[events.PriceID, Price]
	Plans    *Table[events.PlanID, Plan]

	Wallets  *Table[events.WalletID, Wallet]
	Accounts *Table[events.Account, Balance]

	Subscriptions *Table[events.SubscriptionID, Subscription]
	Active        *Table[events.CustomerID, Active]
	Pending       *Table[events.CustomerID, Active]
	Clocks        *Table[events.TestClockID, Clock]

	Accruals *Table[PeriodKey, Accrual]
	Numbers  *Table[events.OrganizationID, uint64]
	Invoices *Table[events.InvoiceID, Invoice]
	Lines    *Table[Pair[events.InvoiceID, events.LineID], Line]
	Bills    *Table[events.InvoiceID, Bill]
	Credits  *Table[events.InvoiceID, Credits]
	Refunds  *Table[events.UsageID, Refund]
	Returns  *Table[PeriodKey, Returns]

	Reservations *Table[events.ReservationID, Reservation]
	Held         *Table[events.SubscriptionID, Held]
	Features     *Table[events.FeatureID, Feature]
	FeatureKeys  *Table[FeatureKey, events.FeatureID]
	Entitlements *Table[events.EntitlementID, Entitlement]
	Entitled     *Table[events.CustomerID, Entitled]
	Grants       *Table[events.GrantID, Grant]
	Purchases    *Table[events.GrantID, Purchase]

	Sessions *Table[events.SessionID, Session]
	Charges  *Table[events.ChargeID, Charge]
	Methods  *Table[events.MethodID, Method]
	TopUps   *Table[events.TopUpID, TopUp]
	Payments *Table[events.PaymentID, Payment]

	Users          *Table[events.UserID, User]
	UserEmails     *Table[Pair[events.OrganizationID, events.Digest], events.UserID]
	Authorizations *Table[events.AuthorizationID, Authorization]
	Authorized     *Table[Pair[events.OrganizationID, events.OrganizationID], events.Seq] // consumer and merchant
	Portals        *Table[events.PortalID, Portal]

	Disputes *Table[events.DisputeID, Dispute]
	Alerts   *Table[events.AlertID, Alert]
	Waiting  *Table[Subject, Waiting]

	Totals   *Table[Pair[events.CustomerID, events.MetricID], Total]
	Journals *Table[JournalKey, Journal]
	Pages    *Table[PageKey, Page]
	Links    *Table[LinkKey, events.Seq]
}

// NewBooks returns the books of a ledger before its first record.
func NewBooks(p Purpose) *Books {
	b := new(Books)
	const rules, views = true, false
	b.Opened = newTable[struct{}, Opened](b, p, tableOpened, "ledger.opened", rules, keyOfNothing())
	b.Keys = newTable[events.KeyID, Key](b, p, tableKeys, "parties.keys", rules, keyOfID[events.KeyID]())
	b.Secrets = newTable[events.Hash, events.KeyID](b, p, tableSecrets, "parties.secrets", views, keyOfHash())

	b.Merchants = newTable[events.OrganizationID, MerchantRow](b, p, tableMerchants, "customers.merchants", rules, keyOfID[events.OrganizationID]())
	b.Consumers = newTable[events.OrganizationID, Consumer](b, p, tableConsumers, "customers.consumers", rules, keyOfID[events.OrganizationID]())
	b.Managed = newTable[events.Digest, []events.OrganizationID](b, p, tableManaged, "customers.managed", rules, keyOfID[events.Digest]())
	b.Emails = newTable[Pair[events.OrganizationID, events.Digest], events.OrganizationID](b, p, tableEmails, "customers.emails", rules, keyOfPair[events.OrganizationID, events.Digest]())
	b.Customers = newTable[events.CustomerID, Customer](b, p, tableCustomers, "customers.customers", rules, keyOfID[events.CustomerID]())
	b.Pairs = newTable[Pair[events.OrganizationID, events.OrganizationID], events.CustomerID](b, p, tablePairs, "customers.pairs", rules, keyOfPair[events.OrganizationID, events.OrganizationID]())
	b.Externals = newTable[Pair[events.OrganizationID, events.Digest], events.CustomerID](b, p, tableExternals, "customers.externals", rules, keyOfPair[events.OrganizationID, events.Digest]())

	b.Products = newTable[events.ProductID, Product](b, p, tableProducts, "catalog.products", rules, keyOfID[events.ProductID]())
	b.Metrics = newTable[events.MetricID, Metric](b, p, tableMetrics, "catalog.metrics", rules, keyOfID[events.MetricID]())
	b.Prices = newTable[events.PriceID, Price](b, p, tablePrices, "catalog.prices", rules, keyOfID[events.PriceID]())
	b.Plans = newTable[events.PlanID, Plan](b, p, tablePlans, "catalog.plans", rules, keyOfID[events.PlanID]())
	b.Fees = newTable[events.FeeID, Fee](b, p, tableFees, "catalog.fees", rules, keyOfID[events.FeeID]())

	b.Wallets = newTable[events.WalletID, Wallet](b, p, tableWallets, "wallets.wallets", rules, keyOfID[events.WalletID]())
	b.Accounts = newTable[events.Account, Balance](b, p, tableAccounts, "wallets.accounts", rules, keyOfAccount())

	b.Subscriptions = newTable[events.SubscriptionID, Subscription](b, p, tableSubscriptions, "subscriptions.subscriptions", rules, keyOfID[events.SubscriptionID]())
	b.Active = newTable[events.CustomerID, Active](b, p, tableActive, "subscriptions.active", rules, keyOfID[events.CustomerID]())
	b.Pending = newTable[events.CustomerID, Active](b, p, tablePending, "subscriptions.pending", rules, keyOfID[events.CustomerID]())
	b.Clocks = newTable[events.TestClockID, Clock](b, p, tableClocks, "subscriptions.clocks", rules, keyOfClock())

	b.Accruals = newTable[PeriodKey, Accrual](b, p, tableAccruals, "invoices.open", rules, keyOfPeriod())
	b.Numbers = newTable[events.OrganizationID, uint64](b, p, tableNumbers, "invoices.numbers", rules, keyOfID[events.OrganizationID]())
	b.Invoices = newTable[events.InvoiceID, Invoice](b, p, tableInvoices, "invoices.invoices", views, keyOfID[events.InvoiceID]())
	b.Lines = newTable[Pair[events.InvoiceID, events.LineID], Line](b, p, tableLines, "invoices.lines", views, keyOfPair[events.InvoiceID, events.LineID]())

	b.Bills = newTable[events.InvoiceID, Bill](b, p, tableBills, "invoices.bills", rules, keyOfID[events.InvoiceID]())
	b.Credits = newTable[events.InvoiceID, Credits](b, p, tableCredits, "invoices.credits", rules, keyOfID[events.InvoiceID]())
	b.Refunds = newTable[events.UsageID, Refund](b, p, tableRefunds, "invoices.refunds", rules, keyOfID[events.UsageID]())
	b.Returns = newTable[PeriodKey, Returns](b, p, tableReturns, "invoices.returns", rules, keyOfPeriod())
	b.Reservations = newTable[events.ReservationID, Reservation](b, p, tableReservations, "reservations.reservations", rules, keyOfID[events.ReservationID]())
	b.Held = newTable[events.SubscriptionID, Held](b, p, tableHeld, "reservations.held", rules, keyOfID[events.SubscriptionID]())
	b.Features = newTable[events.FeatureID, Feature](b, p, tableFeatures, "entitlements.features", rules, keyOfID[events.FeatureID]())
	b.FeatureKeys = newTable[FeatureKey, events.FeatureID](b, p, tableFeatureKeys, "entitlements.keys", rules, keyOfFeatureKey())
	b.Entitlements = newTable[events.EntitlementID, Entitlement](b, p, tableEntitlements, "entitlements.entitlements", rules, keyOfID[events.EntitlementID]())
	b.Entitled = newTable[events.CustomerID, Entitled](b, p, tableEntitled, "entitlements.entitled", rules, keyOfID[events.CustomerID]())
	b.Purchases = newTable[events.GrantID, Purchase](b, p, tablePurchases, "entitlements.purchases", rules, keyOfID[events.GrantID]())
	b.Grants = newTable[events.GrantID, Grant](b, p, tableGrants, "entitlements.grants", rules, keyOfID[events.GrantID]())

	b.Sessions = newTable[events.SessionID, Session](b, p, tableSessions, "payments.sessions", rules, keyOfID[events.SessionID]())
	b.Charges = newTable[events.ChargeID, Charge](b, p, tableCharges, "payments.charges", rules, keyOfID[events.ChargeID]())
	b.Methods = newTable[events.MethodID, Method](b, p, tableMethods, "payments.methods", rules, keyOfID[events.MethodID]())
	b.TopUps = newTable[events.TopUpID, TopUp](b, p, tableTopUps, "payments.topups", views, keyOfID[events.TopUpID]())
	b.Payments = newTable[events.PaymentID, Payment](b, p, tablePayments, "payments.payments", views, keyOfID[events.PaymentID]())

	b.Users = newTable[events.UserID, User](b, p, tableUsers, "parties.users", rules, keyOfID[events.UserID]())
	b.UserEmails = newTable[Pair[events.OrganizationID, events.Digest], events.UserID](b, p, tableUserEmails, "parties.useremails", rules, keyOfPair[events.OrganizationID, events.Digest]())
	b.Authorizations = newTable[events.AuthorizationID, Authorization](b, p, tableAuthorizations, "authorizations.sessions", rules, keyOfID[events.AuthorizationID]())
	b.Authorized = newTable[Pair[events.OrganizationID, events.OrganizationID], events.Seq](b, p, tableAuthorized, "authorizations.given", rules, keyOfPair[events.OrganizationID, events.OrganizationID]())
	b.Portals = newTable[events.PortalID, Portal](b, p, tablePortals, "authorizations.portals", rules, keyOfID[events.PortalID]())

	b.Alerts = newTable[events.AlertID, Alert](b, p, tableAlerts, "alerts.alerts", rules, keyOfID[events.AlertID]())
	b.Waiting = newTable[Subject, Waiting](b, p, tableWaiting, "usage.waiting", rules, keyOfPair[events.OrganizationID, events.Digest]())
	b.Disputes = newTable[events.DisputeID, Dispute](b, p, tableDisputes, "disputes.disputes", rules, keyOfID[events.DisputeID]())

	b.Totals = newTable[Pair[events.CustomerID, events.MetricID], Total](b, p, tableTotals, "usage.totals", views, keyOfPair[events.CustomerID, events.MetricID]())
	b.Journals = newTable[JournalKey, Journal](b, p, tableJournals, "usage.journals", views, keyOfJournal())
	b.Pages = newTable[PageKey, Page](b, p, tablePages, "usage.pages", views, keyOfPage())
	b.Links = newTable[LinkKey, events.Seq](b, p, tableLinks, "usage.links", views, keyOfLink())

	b.Accounts.value, b.Accruals.value, b.Reservations.value = balanceRows(), accrualRows(), reservationRows()
	b.Totals.value, b.Journals.value, b.Pages.value = totalRows(), journalRows(), pageRows()
	return b
}

func newTable[K comparable, V any](b *Books, p Purpose, id byte, name string, rules bool, key keyCodec[K]) *Table[K, V] {
	t := &Table[K, V]{
		TableInfo: TableInfo{ID: id, Name: name, Projection: name[:strings.IndexByte(name, '.')], Rules: rules},
		key:       key,
		value:     libraryRows[V](),
		rows:      make(map[K]*row[V]),
		track:     p != ForRules,
		gone:      make(map[K]struct{}),
	}
	t.off = p.Omits(t.TableInfo)
	b.tables = append(b.tables, t)
	return t
}

// Applied returns the sequence of the last record applied, 0 before the first.
func (b *Books) Applied() events.Seq { return b.applied }

// Ledger returns the identity of the ledger, zero before the first record.
func (b *Books) Ledger() events.LedgerID { return b.ledger }

// Tables describes every table, in the order of their bytes.
func (b *Books) Tables() []TableInfo {
	infos := make([]TableInfo, len(b.tables))
	for i, t := range b.tables {
		infos[i] = t.describe()
	}
	return infos
}

// Attach makes b the books at seq, whose rows are in s. b must be new.
func (b *Books) Attach(s Source, ledger events.LedgerID, seq events.Seq) {
	b.applied, b.ledger = seq, ledger
	for _, t := range b.tables {
		t.attach(s)
	}
}

// Detach stops the reading of rows from the source. Every row of it must have been adopted.
func (b *Books) Detach() {
	for _, t := range b.tables {
		t.attach(nil)
	}
}

// Adopt takes in a stored row of the attached source, so that it need not be read when it is asked
// for. It does nothing if the row is in memory already, or has been removed.
func (b *Books) Adopt(key, value []byte) error {
	for _, t := range b.tables {
		if len(key) > 0 && t.describe().ID == key[0] {
			return t.adopt(key[1:], value)
		}
	}
	return fmt.Errorf("stored books have a row of no table: %x", key)
}

// Flush gives every change since the last Flush to put and drop, as whole keys and
// values, which they may not keep. After an error b is not to be used any more.
func (b *Books) Flush(put func(key, value []byte) error, drop func(key []byte) error) error {
	for _, t := range b.tables {
		if err := t.flush(put, drop); err != nil {
			return fmt.Errorf("%s: %w", t.describe().Name, err)
		}
	}
	return nil
}

// Changed returns the stored form of the row of a whole key, nil for one that was removed, if it has changed since the last
// Flush. Any goroutine may call it while nobody changes b.
func (b *Books) Changed(table byte, key []byte) (value []byte, changed bool) {
	for _, t := range b.tables {
		if t.describe().ID == table {
			return t.changed(key)
		}
	}
	return nil, false
}

// EachChange calls fn for each row of a table that Flush would write, in no order: its whole key, and its stored form, nil for one
// that was removed. Both are fn's to keep.
func (b *Books) EachChange(table byte, fn func(key, value []byte)) {
	for _, t := range b.tables {
		if t.describe().ID == table {
			t.eachChange(fn)
		}
	}
}

// Changes returns how many rows there are to flush.
func (b *Books) Changes() int {
	n := 0
	for _, t := range b.tables {
		n += t.changes()
	}
	return n
}

// Explain reads a stored row of any table: its key as people write it, and its row.
func (b *Books) Explain(key, value []byte) (table TableInfo, k string, row any, err error) {
	for _, t := range b.tables {
		if info := t.describe(); len(key) > 0 && info.ID == key[0] {
			k, row, err = t.explain(key[1:], value)
			return info, k, row, err
		}
	}
	return TableInfo{}, "", nil, fmt.Errorf("a row of no table: %x", key)
}

// Shrink forgets rows in memory that the source has, if there are more than limit: about an eighth of them beyond those that are too many, of each
// table its part, those first that were not used of late. Call it after the changes of a Flush can be read from the source.
func (b *Books) Shrink(limit int) {
	total := 0
	for _, t := range b.tables {
		total += t.size()
	}
	if total <= limit {
		return
	}
	b.charges.clear()
	b.uses.clear()
	excess := float64(total-limit+limit/8) / float64(total)
	for _, t := range b.tables {
		t.shrink(int(math.Ceil(excess * float64(t.size()))))
	}
}
