package verify

import (
	"cmp"
	"fmt"
	"math/big"

	"tallystick/events"
	"tallystick/projections"
)

// auditor works through a ledger's records in order and does every sum again: what usage costs at the prices of the
// catalog, what each wallet holds, what each invoice comes to. It shares neither the rules nor the
// folds, so that a mistake in those shows.
//
// It is made by newAuditor, and has seen nothing then.
type auditor struct {
	merchants map[events.OrganizationID]*merchant
	profiles  map[events.OrganizationID]events.Seq // of consumers: the record that holds the profile
	customers map[events.CustomerID]customer
	metrics   map[events.MetricID]events.Aggregation
	prices    map[priceRevision]*price
	newest    map[events.PriceID]uint32 // revision
	plans     map[events.PlanID]*plan
	wallets   map[events.WalletID]events.Sum // prepaid money
	virtual   map[events.WalletID]*virtual   // wallets that are for one subscription alone
	subs      map[events.SubscriptionID]subscription
	periods   map[projections.PeriodKey]*period // that are not invoiced yet
	open      map[events.InvoiceID]*period      // the same by invoice
	reserved  map[events.ReservationID]*reservation
	charges   map[events.ChargeID]*charge
	bills     map[events.InvoiceID]*bill // drafted or issued
	refunded  map[events.UsageID]bool
	returns   map[projections.PeriodKey]*returned
	regions   map[events.OrganizationID]string // of consumers, for tax
	grants    map[events.GrantID]*grant
	alerts    map[events.AlertID]*alert
	features  map[events.EntitlementID]entitled
	covers    map[events.FeatureID][]cover // of the latest usage
	coversOf  events.CommandID             // its command
	sold      events.GrantID               // bought by the record before, and granted by this one
	orders    map[events.GrantID]*purchase // that a payment session asks the price of
	selling   map[events.SessionID]*purchase
	over      map[events.EntitlementID]bool // entitlements that have ended
	held      map[waiting][]events.Seq
	heldKeys  map[waiting][]events.OrganizationID
	attached  attached  // the usage event of the command before, where it was held
	due       *purchase // that is paid, and not delivered by its command yet
	issued    uint64
	reported  uint64
}

type merchant struct {
	profile  events.Seq
	settings events.Settings
	number   uint64 // of the last invoice
}

type customer struct {
	merchant events.OrganizationID
	consumer events.OrganizationID
	rates    []events.TaxRateOf
	external events.Digest
}

type subscription struct {
	merchant events.OrganizationID
	customer events.CustomerID
	plan     events.PlanID
	wallet   events.WalletID
	currency events.Currency
	cadence  events.Cadence
	anchor   events.Time // what its periods are counted from
	started  events.Time
	exempt   bool
	created  events.Seq
	upfront  []events.QuotedFee // to be charged at its start, where it is paid first
}

// reservation is money that is set aside.
type reservation struct {
	subscription events.SubscriptionID
	left         events.Sum
	uses         uint32 // that are left
}

// period is a billing period that is not invoiced yet.
type period struct {
	key     projections.PeriodKey
	invoice events.InvoiceID
	opened  events.Seq // the record that opened it
	start   events.Time
	end     events.Time // exclusive
	latest  events.Time // when the latest of its usage happened
	lines   []*line
	instant events.Sum // debited at once
}

// line is what one price, at one revision, has come to in a period.
type line struct {
	of          events.LineKind
	price       *price
	rate        events.TaxRate
	term        events.Term
	id          events.LineID // of a manual line
	values      []value       // of an aggregate that is known only at the end
	count       uint64
	quantity    events.Sum // units
	nanos, tax  events.Sum
	days        uint32 // of a fee that is prorated, of ofDays
	ofDays      uint32
	first, last events.Seq
	leaves      projections.Frontier
	closed      bool
}

func newAuditor() *auditor {
	return &auditor{
		merchants: make(map[events.OrganizationID]*merchant),
		profiles:  make(map[events.OrganizationID]events.Seq),
		customers: make(map[events.CustomerID]customer),
		metrics:   make(map[events.MetricID]events.Aggregation),
		prices:    make(map[priceRevision]*price),
		newest:    make(map[events.PriceID]uint32),
		plans:     make(map[events.PlanID]*plan),
		wallets:   make(map[events.WalletID]events.Sum),
		virtual:   make(map[events.WalletID]*virtual),
		subs:      make(map[events.SubscriptionID]subscription),
		periods:   make(map[projections.PeriodKey]*period),
		open:      make(map[events.InvoiceID]*period),
		reserved:  make(map[events.ReservationID]*reservation),
		charges:   make(map[events.ChargeID]*charge),
		bills:     make(map[events.InvoiceID]*bill),
		refunded:  make(map[events.UsageID]bool),
		returns:   make(map[projections.PeriodKey]*returned),
		regions:   make(map[events.OrganizationID]string),
		grants:    make(map[events.GrantID]*grant),
		alerts:    make(map[events.AlertID]*alert),
		features:  make(map[events.EntitlementID]entitled),
		covers:    make(map[events.FeatureID][]cover),
		orders:    make(map[events.GrantID]*purchase),
		selling:   make(map[events.SessionID]*purchase),
		over:      make(map[events.EntitlementID]bool),
		held:      make(map[waiting][]events.Seq),
		heldKeys:  make(map[waiting][]events.OrganizationID),
	}
}

// check takes the next record. It returns what is wrong with it, or nil.
func (a *auditor) check(rec *events.Record) error {
	if err := cmp.Or(a.delivered(rec), a.covered(rec), a.supplied(rec), a.released(rec)); err != nil {
		return err
	}
	switch e := rec.Event.(type) {
	case *events.UsageReported:
		return a.usage(rec, e)
	case events.WalletToppedUp:
		return a.topUp(e)
	case events.PaymentReceived:
		return a.received(rec, e)
	case events.ChargeRequested:
		return a.requested(e)
	case events.ChargeSucceeded:
		return a.came(rec, e.Charge)
	case events.SessionOpened:
		return a.asked(e)
	case events.SubscriptionAuthorized:
		return a.authorized(rec, e)
	case events.AlertCreated, events.AlertRaised, events.AlertRearmed:
		return a.alert(rec)
	case events.InvoiceOpened, events.InvoiceClosing, events.InvoiceLineClosed:
		return a.running(rec)
	case events.InvoiceIssued:
		return a.invoiceIssued(rec, e)
	case events.InvoiceCancelled:
		return a.cancelled(e)
	case events.InvoicePaid:
		return a.paid(rec, e)
	case events.InvoicePaymentFailed:
		return a.unpaid(e)
	case events.InvoiceDrafted:
		return a.drafted(rec, e)
	case events.InvoiceWrittenOff:
		return a.writtenOff(e)
	case events.InvoiceRefunded:
		return a.refundedInvoice(e)
	case events.InvoiceRefundVoided:
		return a.voided(e)
	case events.FeeCharged:
		return a.feeCharged(rec, e)
	case events.UsageRefunded:
		return a.refund(rec, e)
	case events.UsageCorrected:
		return a.corrected(rec, e)
	case events.LineItemAdded:
		return a.lineItem(rec, e)
	case events.MetricCreated:
		a.metrics[e.Metric] = e.Aggregation
	case events.PriceCreated, events.PriceRevised, events.PlanCreated, events.PlanUpdated:
		return a.catalog(rec)
	case events.SubscriptionCreated:
		return a.subscribed(rec, e)
	case events.WalletOpened:
		return a.walletOpened(e)
	case events.WalletEmptied:
		return a.emptied(e)
	case events.SubscriptionTerminated:
		a.ended(e)
	case events.MerchantCreated, events.MerchantUpdated, events.ConsumerCreated, events.ConsumerUpdated, events.ConsumerClaimed,
		events.CustomerCreated, events.CustomerUpdated, events.SubscriptionUpdated:
		return a.party(rec)
	case events.SubscriptionActivated, events.SubscriptionReminded, events.SessionEnded, events.ChargeFailed, events.ChargeActionRequired,
		events.MethodStored, events.MethodRemoved, events.TopUpRequested, events.TopUpEnded, events.PaymentCreated, events.AuthorizationOpened, events.AuthorizationEnded,
		events.MerchantAuthorized, events.AuthorizationWithdrawn, events.UserCreated, events.UserUpdated, events.UserSignedIn, events.UserSignedOut, events.PasskeyAdded, events.PasskeyRemoved, events.PasskeyUsed, events.PortalOpened, events.PortalRevoked,
		events.DisputeOpened, events.DisputeResolved, events.LedgerOpened, events.KeyCreated, events.KeyRevoked, events.ProductCreated, events.ConsumerErased,
		events.ProductUpdated, events.MetricUpdated, events.FeeCreated, events.FeeUpdated, events.FeeDeleted, events.PriceDeleted,
		events.ClockCreated, events.ClockAdvancing, events.ClockAdvanced, events.ClockDeleted, events.CustomerDeleted, events.DueFailed, events.EventHeld, events.EventReleased, events.HeldDiscarded: // nothing of it is added up
	default:
		return a.entitlement(rec)
	}
	return nil
}

// party takes a record of who sells and who buys, and on what terms.
func (a *auditor) party(rec *events.Record) error {
	switch e := rec.Event.(type) {
	case events.MerchantCreated:
		a.merchants[rec.Merchant] = &merchant{profile: rec.Seq, settings: e.Settings}
	case events.MerchantUpdated:
		return a.updated(rec, e)
	case events.ConsumerCreated:
		a.profiles[e.Consumer], a.regions[e.Consumer] = rec.Seq, e.Region
	case events.ConsumerUpdated:
		a.profiles[e.Consumer], a.regions[e.Consumer] = rec.Seq, e.Region
	case events.CustomerUpdated:
		c := a.customers[e.Customer]
		if e.RatesGiven {
			c.rates = e.TaxRates
		}
		if e.ExternalGiven {
			c.external = e.External
		}
		a.customers[e.Customer] = c
	case events.CustomerCreated:
		a.customers[e.Customer] = customer{rec.Merchant, e.Consumer, e.TaxRates, e.External}
	case events.SubscriptionUpdated:
		s := a.subs[e.Subscription]
		s.exempt = e.TaxExempt
		a.subs[e.Subscription] = s
	case events.ConsumerClaimed:
		a.claimed(rec, e)
	default: // the others say nothing of that
	}
	return nil
}

func (a *auditor) updated(rec *events.Record, e events.MerchantUpdated) error {
	m := a.merchants[rec.Merchant]
	if m == nil {
		return fmt.Errorf("merchant %s does not exist", rec.Merchant)
	}
	m.profile, m.settings = rec.Seq, e.Settings
	return nil
}

// usage rates a usage event again, and compares its lines, its postings and the balance after it.
func (a *auditor) usage(rec *events.Record, e *events.UsageReported) error {
	sub, ok := a.subs[e.Subscription]
	p := a.periods[projections.PeriodKey{Subscription: e.Subscription, Period: e.Period}]
	switch {
	case !ok:
		return fmt.Errorf("subscription %s does not exist", e.Subscription)
	case sub.merchant != rec.Merchant || sub.customer != e.Customer || sub.wallet != e.Wallet || sub.currency != e.Currency:
		return fmt.Errorf("merchant, customer, wallet or currency are not those of subscription %s", e.Subscription)
	case p == nil:
		return fmt.Errorf("period %d of subscription %s is not open", e.Period, e.Subscription)
	case len(e.Lines) == 0:
		return fmt.Errorf("it reports nothing")
	}
	a.reported++
	p.latest = max(p.latest, e.HappenedAt)
	var cost, accrued, tax events.Sum // of what is debited at once, with tax; of what is owed
	for i := range e.Lines {
		u := &e.Lines[i]
		l, err := a.rate(rec, e, sub, p, u)
		if err != nil {
			return fmt.Errorf("property %d: %w", i, err)
		}
		if err := a.discounted(rec, l.price, u); err != nil {
			return err
		}
		l.add(rec, u, a.metrics[u.Metric], 1)
		if l.term == events.Instant {
			cost, tax = cost.Add(u.Nanos).Add(u.Tax), tax.Add(u.Tax)
		} else {
			accrued = accrued.Add(u.Nanos).Add(u.Tax)
		}
	}
	m := a.merchants[rec.Merchant]
	if m == nil {
		return fmt.Errorf("merchant %s does not exist", rec.Merchant)
	}
	net := cost.Plus(tax.Neg())
	fee := part(p.instant.Plus(net), m.settings).Plus(part(p.instant, m.settings).Neg())
	p.instant = p.instant.Plus(net)
	from, debited := events.ConsumerMain, cost
	if !e.Reservation.IsZero() {
		from, debited = events.ReservationHold, events.Sum{}
		if err := a.use(e, cost); err != nil {
			return err
		}
	}
	if err := posted(e.Postings, map[events.Role]events.Sum{
		from: cost.Neg(), events.Merchant: net.Plus(fee.Neg()), events.PlatformFee: fee, events.TaxPayable: tax,
		events.ConsumerUsage: accrued.Neg(), events.Receivable: accrued,
	}); err != nil {
		return err
	}
	return a.move(e.Wallet, debited.Neg(), e.Balance)
}

// units returns how many units of a property are charged.
func units(u *events.UsageLine, agg events.Aggregation) int64 {
	if agg == events.AggregateCount {
		return 1 - u.Granted
	}
	return u.Quantity - u.Granted
}

func (l *line) add(rec *events.Record, u *events.UsageLine, agg events.Aggregation, sign int64) {
	if l.count == 0 {
		l.first = rec.Seq
	}
	l.count++
	l.last = rec.Seq
	l.quantity = l.quantity.Add(events.Nanos(sign * units(u, agg)))
	l.nanos, l.tax = l.nanos.Add(events.Nanos(sign)*u.Nanos), l.tax.Add(events.Nanos(sign)*u.Tax)
	l.leaves.Append(rec.Hash)
	if e, ok := rec.Event.(*events.UsageReported); ok && l.of == "" {
		l.values = append(l.values, value{u.Quantity, e.HappenedAt})
	}
}

// part returns the platform's part of a sum, rounded half up to a nano. The sum is at least 0.
func part(s events.Sum, terms events.Settings) events.Sum {
	if terms.FeeBasisPoints == 0 {
		return events.Sum{}
	}
	n := new(big.Int).Mul(s.Big(), big.NewInt(2*int64(terms.FeeBasisPoints)))
	n.Add(n, big.NewInt(10_000)).Div(n, big.NewInt(20_000))
	sum, _ := events.SumOfBig(n) // at most s
	return sum
}

// posted compares postings with what must be posted to each role.
func posted(postings []events.Posting, want map[events.Role]events.Sum) error {
	for _, p := range postings {
		if !p.Wallet.IsZero() {
			return fmt.Errorf("it posts to another wallet, %s", p.Wallet)
		}
		want[p.Role] = want[p.Role].Add(p.Nanos.Neg())
	}
	for role := events.ConsumerMain; role <= events.Rounding; role++ {
		if left := want[role]; !left.IsZero() {
			return fmt.Errorf("what it posts to %s is wrong by %s", role, left.Neg())
		}
	}
	return nil
}

// move changes the prepaid money of a wallet, and compares it with what a record says.
func (a *auditor) move(wallet events.WalletID, by, balance events.Sum) error {
	held, ok := a.wallets[wallet]
	if !ok {
		return fmt.Errorf("wallet %s does not exist", wallet)
	}
	held = held.Plus(by)
	a.wallets[wallet] = held
	if held.Sign() < 0 {
		return fmt.Errorf("wallet %s is left with less than nothing: %s", wallet, held)
	}
	if held != balance {
		return fmt.Errorf("wallet %s is left with %s, not %s", wallet, held, balance)
	}
	return nil
}

func (a *auditor) topUp(e events.WalletToppedUp) error {
	var in events.Sum
	for _, p := range e.Postings {
		if p.Role == events.ConsumerMain {
			in = in.Add(p.Nanos)
		}
	}
	if in.Sign() <= 0 {
		return fmt.Errorf("it adds %s to wallet %s", in, e.Wallet)
	}
	if err := posted(e.Postings, map[events.Role]events.Sum{events.ConsumerMain: in, events.ProcessorClearing: in.Neg()}); err != nil {
		return err
	}
	if !e.Charge.IsZero() {
		if err := a.spend(e.Charge, in); err != nil {
			return err
		}
		if w := a.charges[e.Charge].wallet; w != e.Wallet {
			return fmt.Errorf("charge %s is for wallet %s, not %s", e.Charge, w, e.Wallet)
		}
	}
	return a.move(e.Wallet, in, e.Balance)
}

// received works out again what of a one-off payment is the platform's.
func (a *auditor) received(rec *events.Record, e events.PaymentReceived) error {
	m := a.merchants[rec.Merchant]
	if m == nil {
		return fmt.Errorf("merchant %s does not exist", rec.Merchant)
	}
	var in events.Sum
	for _, p := range e.Postings {
		if p.Role == events.ProcessorClearing {
			in = in.Add(p.Nanos.Neg())
		}
	}
	if in.Sign() <= 0 {
		return fmt.Errorf("payment %s brings %s", e.Payment, in)
	}
	if err := a.spend(e.Charge, in); err != nil {
		return err
	}
	fee := part(in, m.settings)
	return posted(e.Postings, map[events.Role]events.Sum{
		events.ProcessorClearing: in.Neg(), events.Merchant: in.Plus(fee.Neg()), events.PlatformFee: fee,
	})
}
