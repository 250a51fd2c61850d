package projtest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// The instants of a history. Clocks of merchants start at epoch.
const (
	realStart = events.Time(1_767_225_600_000_000_000) // 2026-01-01
	epoch     = events.Time(1_704_067_200_000_000_000) // 2024-01-01
	grace     = 24 * time.Hour
	// shortest is no longer than any billing period, which are months.
	shortest = 28 * 24 * time.Hour
)

var usd = events.Currency{'U', 'S', 'D'}

// A generator keeps as much of a ledger's state as it takes to make the next valid
// record. It has an account of each balance of its own.
type generator struct {
	shape Shape
	yield func(events.Record) bool
	done  bool
	rng   random

	waiting *heldEvents // nil while nothing is held

	env       events.Envelope // of the record made last
	buf       []byte          // what is left of the memory that records share
	merchants []*merchant
	customers []*customer
	usages    int // made so far
}

type merchant struct {
	id        events.OrganizationID
	key       events.KeyID
	product   events.ProductID
	plan      events.PlanID
	clock     events.TestClockID
	metrics   []events.MetricID
	prices    []price
	profile   events.Seq
	number    uint64 // of the last invoice
	customers []*customer
	fee       events.FeeID
	flat      events.PriceID // of the fee
	fees      bool           // its plan has it
	settled   int            // invoices that something happened to
}

type price struct {
	id   events.PriceID
	unit events.Nanos
	term events.Term
}

type customer struct {
	id       events.CustomerID
	consumer events.OrganizationID
	sub      events.SubscriptionID
	wallet   events.WalletID
	merchant *merchant
	balance  events.Sum
	alert    events.AlertID // on the wallet, if there is one
	low      bool           // it is raised
	profile  events.Seq
	open     []*openPeriod
	reserved *reservation // active one, if there is one
	erased   bool
	ended    bool
	method   events.MethodID
	claimed  bool
}

type openPeriod struct {
	n       uint32
	invoice events.InvoiceID
	lines   []openLine // one for each metric of the merchant
	order   []int      // of those that are used, in the order of their first usage
	instant events.Sum
	closed  bool
	extra   []extraLine
	extras  bool           // some that no period has by itself
	first   *events.Record // of the usage in it
	last    *events.Record // likewise
}

// extraLine is a line of an invoice that is no usage.
type extraLine struct {
	closed events.InvoiceLineClosed
	leaves projections.Frontier
}

type openLine struct {
	count       uint64
	quantity    events.Sum
	nanos       events.Sum
	first, last events.Seq
	leaves      projections.Frontier
}

func newGenerator(s Shape, yield func(events.Record) bool) *generator {
	g := &generator{shape: s, yield: yield, rng: random{s.Seed}}
	g.env.Ledger = events.LedgerID(events.NextCommandID(events.CommandID{}, realStart, g.rng.Uint64()))
	g.env.RecordedAt = realStart
	return g
}

// command begins a new command: later, and with an identity of its own.
func (g *generator) command(merchant events.OrganizationID, actor events.ActorKind) {
	g.env.RecordedAt = g.env.RecordedAt.Add(time.Duration(g.rng.IntN(20)) * time.Microsecond)
	g.env.Command = events.NextCommandID(g.env.Command, g.env.RecordedAt, g.rng.Uint64())
	g.env.Merchant, g.env.Actor = merchant, events.Actor{Kind: actor}
	g.env.Cause, g.env.Key, g.env.Content = 0, "", events.Digest{}
}

// emit makes the next record. at is the time on the subject's clock, 0 for real time.
func (g *generator) emit(at events.Time, e events.Event) *events.Record {
	g.env.Seq++
	g.env.At = at
	if at == 0 {
		g.env.At = g.env.RecordedAt
	}
	if cap(g.buf)-len(g.buf) < 4<<10 {
		g.buf = make([]byte, 0, 256<<10)
	}
	rec, err := events.AppendRecord(g.buf, g.env, e)
	if err != nil {
		panic("projtest: impossible: " + err.Error())
	}
	g.buf = g.buf[:len(g.buf)+len(rec.Bytes)]
	if !g.done && !g.yield(rec) {
		g.done = true
	}
	return &rec
}

func (g *generator) digest() (d events.Digest) {
	binary.BigEndian.PutUint64(d[:], g.rng.Uint64()|1)
	binary.BigEndian.PutUint64(d[8:], g.rng.Uint64())
	return d
}

// seal returns what sealed personal data looks like to whoever lacks the key.
func (g *generator) seal(consumer events.OrganizationID) events.Sealed {
	box := make([]byte, 24+g.rng.IntN(40))
	for i := range box {
		box[i] = byte(g.rng.Uint64())
	}
	return events.Sealed{Key: consumer, Box: box}
}

func (g *generator) ledger() {
	g.command(events.OrganizationID{}, events.ActorOperator)
	g.emit(0, events.LedgerOpened{Environment: events.Sandbox, Format: 1})
}

func (g *generator) merchant(i int) {
	g.command(events.OrganizationID{}, events.ActorOperator)
	m := &merchant{id: events.Derive[events.OrganizationNoun](g.env.Command, 0)}
	g.env.Merchant = m.id
	g.merchants = append(g.merchants, m)
	m.profile = g.emit(0, events.MerchantCreated{
		Profile:  events.Profile{Name: fmt.Sprintf("Merchant %d", i), Address: events.Address{City: "Utrecht", Country: "NL"}},
		Settings: events.Settings{FeeBasisPoints: g.shape.FeeBasisPoints, ManagedPrepaid: true}, Currency: usd,
	}).Seq
	g.emit(0, events.WalletOpened{Wallet: events.Derive[events.WalletNoun](g.env.Command, 1), Owner: m.id, Currency: usd, Earning: true})
	m.key = events.Derive[events.KeyNoun](g.env.Command, 2)
	g.emit(0, events.KeyCreated{Key: m.key, Role: events.MerchantKey, Secret: events.LeafHash(m.key[:]), Name: "first"})
	m.clock = events.DeriveTestClock(g.env.Command)
	g.emit(epoch, events.ClockCreated{Clock: m.clock, Now: epoch, Name: "clock"})
	m.product = events.Derive[events.ProductNoun](g.env.Command, 3)
	g.emit(0, events.ProductCreated{Product: m.product, Name: "API", Description: "A language model", Metadata: map[string]string{"team": "core"}})
	g.edits(m)
	plan := events.PlanCreated{Plan: events.Derive[events.PlanNoun](g.env.Command, 4), Product: m.product, Name: "Pro", Currency: usd, Cadence: events.Monthly}
	for j := range g.shape.Lines {
		arrears := g.shape.Arrears && j == g.shape.Lines-1
		plan.Prices = append(plan.Prices, g.price(m, j, arrears))
	}
	if m.fees = !g.shape.Plain && i%2 == 0; m.fees {
		plan.Prices = append(plan.Prices, m.flat)
	}
	m.plan = plan.Plan
	g.emit(0, plan)
}

// edits makes a plan that nobody takes, and edits and deletes what is in it.
func (g *generator) edits(m *merchant) {
	g.emit(0, events.ProductUpdated{Product: m.product, Name: "API", Description: "A larger language model"})
	metric, fee := events.Derive[events.MetricNoun](g.env.Command, 50), events.Derive[events.FeeNoun](g.env.Command, 51)
	unit, flat := events.Derive[events.PriceNoun](g.env.Command, 52), events.Derive[events.PriceNoun](g.env.Command, 53)
	g.emit(0, events.MetricCreated{Metric: metric, Product: m.product, Name: "seats", Description: "Seats", Unit: "seat", Aggregation: events.AggregateMax})
	g.emit(0, events.MetricUpdated{Metric: metric, Name: "Seats", Description: "Seats", Unit: "seat", EventType: "seat", GroupBy: map[string]string{"team": "$.team"}})
	g.emit(0, events.FeeCreated{Fee: fee, Product: m.product, Name: "setup", Description: "Once"})
	g.emit(0, events.FeeUpdated{Fee: fee, Name: "Setup", Description: "Once"})
	g.emit(0, events.PriceCreated{
		Price: unit, Revision: 1, Metric: metric, Model: events.Volume, Term: events.InArrears, DisplayName: "Seats",
		UnitPrice: 2_000, Min: 1_000, Max: 2_000, Gradient: -1,
	})
	g.emit(0, events.PriceCreated{
		Price: flat, Revision: 1, Fee: fee, Model: events.Standard, Term: events.InAdvance, DisplayName: "Setup", UnitPrice: 5, Cadence: events.Once, Quantity: 1,
	})
	m.fee, m.flat = events.Derive[events.FeeNoun](g.env.Command, 55), events.Derive[events.PriceNoun](g.env.Command, 56)
	g.emit(0, events.FeeCreated{Fee: m.fee, Product: m.product, Name: "base", Description: "Each month"})
	g.emit(0, events.PriceCreated{
		Price: m.flat, Revision: 1, Fee: m.fee, Model: events.Standard, Term: events.InAdvance, DisplayName: "Base", UnitPrice: flatUnit, Cadence: events.Monthly, Quantity: 2,
	})
	plan := events.Derive[events.PlanNoun](g.env.Command, 54)
	g.emit(0, events.PlanCreated{
		Plan: plan, Product: m.product, Name: "Team", Currency: usd, Cadence: events.Yearly, Prices: []events.PriceID{unit, flat},
		TaxBehavior: events.Inclusive, TaxRate: 19 * events.OnePercent, ReminderDays: 7, Anchor: epoch, Proration: events.ProrateDaily,
	})
	g.emit(0, events.PriceRevised{
		Price: unit, Revision: 2, Model: events.Dynamic, Term: events.InArrears, DisplayName: "Seats", Min: 1_000, Max: 2_000,
	})
	g.emit(0, events.PlanUpdated{Plan: plan, Name: "Team", Cadence: events.Quarterly, Prices: []events.PriceID{unit}, NoReminder: true})
	g.emit(0, events.PriceDeleted{Price: flat})
	g.emit(0, events.FeeDeleted{Fee: fee})
}

func (g *generator) price(m *merchant, j int, arrears bool) events.PriceID {
	p := price{events.Derive[events.PriceNoun](g.env.Command, uint32(100+2*j)), events.Nanos(1_000 + g.rng.IntN(9_000)), events.Instant}
	aggregation := events.AggregateSum
	if arrears {
		p.term, aggregation = events.InArrears, events.AggregateCount
	}
	metric := events.Derive[events.MetricNoun](g.env.Command, uint32(101+2*j))
	g.emit(0, events.MetricCreated{Metric: metric, Product: m.product, Name: fmt.Sprintf("metric %d", j), Description: "Tokens", Unit: "token", Aggregation: aggregation})
	g.emit(0, events.PriceCreated{
		Price: p.id, Revision: 1, Metric: metric, Model: events.Standard, Term: p.term,
		DisplayName: fmt.Sprintf("Metric %d", j), UnitPrice: p.unit,
	})
	m.metrics, m.prices = append(m.metrics, metric), append(m.prices, p)
	return p.id
}

func (g *generator) customer(i int) {
	m := g.merchants[i%len(g.merchants)]
	g.command(m.id, events.ActorKey)
	g.env.Actor.ID = m.key
	c := &customer{
		merchant: m,
		id:       events.Derive[events.CustomerNoun](g.env.Command, 0),
		consumer: events.Derive[events.OrganizationNoun](g.env.Command, 1),
		wallet:   events.Derive[events.WalletNoun](g.env.Command, 2),
	}
	g.customers, m.customers = append(g.customers, c), append(m.customers, c)
	c.profile = g.emit(0, events.ConsumerCreated{Consumer: c.consumer, Type: events.Managed, Email: g.digest(), Profile: g.seal(c.consumer)}).Seq
	g.emit(0, events.WalletOpened{Wallet: c.wallet, Owner: c.consumer, Currency: usd, Bound: m.id})
	g.emit(0, events.CustomerCreated{Customer: c.id, Consumer: c.consumer, External: g.digest(), Details: g.seal(c.consumer)})
	if i < len(g.merchants) {
		g.changes(c)
	}
	if i%2 == 0 {
		c.alert = events.Derive[events.AlertNoun](g.env.Command, 20)
		g.emit(0, events.AlertCreated{Alert: c.alert, Wallet: c.wallet, Currency: usd, Threshold: firstTopUp, Period: 60, Low: true, Recipients: g.seal(c.consumer)})
		g.emit(0, events.AlertCreated{Alert: events.Derive[events.AlertNoun](g.env.Command, 21), Wallet: c.wallet, Currency: usd, Threshold: 1, Disabled: true, Low: true})
	}
	g.topUp(c, firstTopUp)
	if i%2 == 0 {
		g.emit(0, events.AlertRearmed{Alert: c.alert, Wallet: c.wallet, Currency: usd, Balance: c.balance})
	}
	g.command(m.id, events.ActorKey)
	c.sub = events.Derive[events.SubscriptionNoun](g.env.Command, 0)
	created := events.SubscriptionCreated{
		Subscription: c.sub, Customer: c.id, Plan: m.plan, Product: m.product, Wallet: c.wallet, Currency: usd,
		Name: g.seal(c.consumer), StartedAt: epoch, Anchor: epoch, Cadence: events.Monthly, Clock: m.clock,
		Pending: i%3 == 1,
	}
	var upfront []events.QuotedFee
	if created.Pending && m.fees {
		upfront = []events.QuotedFee{m.flatFee()}
	}
	waits := i%6 == 4
	if waits {
		created.Wallet = events.WalletID{}
	} else {
		created.Upfront = upfront
	}
	g.emit(epoch, created)
	if waits {
		g.awaited(c, upfront)
	}
	if i%3 == 1 {
		g.emit(epoch, events.SubscriptionActivated{Subscription: c.sub, Customer: c.id, Plan: m.plan})
	}
	g.openPeriod(c, 0, events.Derive[events.InvoiceNoun](g.env.Command, 1))
	if i < len(g.merchants) && !m.fees {
		g.regretted(c)
	}
}

// regretted makes a subscription that ends as soon as it is made, without any usage. It has a wallet of its own, and what is in that goes
// to the customer's.
func (g *generator) regretted(c *customer) {
	m := c.merchant
	g.command(m.id, events.ActorKey)
	sub, invoice := events.Derive[events.SubscriptionNoun](g.env.Command, 0), events.Derive[events.InvoiceNoun](g.env.Command, 1)
	own := events.Derive[events.WalletNoun](g.env.Command, 3)
	g.emit(epoch, events.WalletOpened{
		Wallet: own, Owner: c.consumer, Currency: usd, Bound: m.id, Parent: c.wallet, Label: g.seal(c.consumer), Timezone: "Europe/Berlin",
	})
	g.emit(epoch, events.SubscriptionCreated{
		Subscription: sub, Customer: c.id, Plan: m.plan, Product: m.product, Wallet: own, Currency: usd,
		Name: g.seal(c.consumer), StartedAt: epoch, Anchor: epoch, Cadence: events.Monthly, Clock: m.clock,
	})
	g.emit(epoch, events.InvoiceOpened{
		Invoice: invoice, Subscription: sub, Customer: c.id, Currency: usd,
		Start: epoch, End: periodStart(1), GraceEnd: periodStart(1).Add(grace),
	})
	g.command(m.id, events.ActorKey)
	const in = 25 * events.NanosPerUnit
	g.emit(0, events.WalletToppedUp{
		TopUp: events.Derive[events.TopUpNoun](g.env.Command, 0), Wallet: own, Currency: usd, Balance: events.SumOf(in), Method: "sandbox",
		Postings: []events.Posting{{Role: events.ConsumerMain, Nanos: in}, {Role: events.ProcessorClearing, Nanos: -in}},
	})
	g.command(m.id, events.ActorKey)
	g.emit(epoch, events.SubscriptionTerminated{Subscription: sub, EndedAt: epoch, By: m.id.String(), Reason: g.seal(c.consumer)})
	g.emit(epoch, events.InvoiceClosing{Invoice: invoice, Subscription: sub, End: epoch, GraceEnd: epoch})
	g.emit(epoch, events.InvoiceCancelled{Invoice: invoice, Subscription: sub, Code: "NO_USAGE"})
	c.balance = c.balance.Add(in)
	g.emit(epoch, events.WalletEmptied{
		Wallet: own, Parent: c.wallet, Subscription: sub, Currency: usd, Balance: c.balance,
		Postings: []events.Posting{{Role: events.ConsumerMain, Nanos: -in}, {Role: events.ConsumerMain, Nanos: in, Wallet: c.wallet}},
	})
}

// changes changes what is known of a customer, and makes another and a clock, which go again.
func (g *generator) changes(c *customer) {
	g.emit(0, events.CustomerUpdated{Customer: c.id, TaxIDGiven: true, TaxID: g.seal(c.consumer), Muted: events.Muted{InvoicePaid: true}})
	g.emit(0, events.CustomerUpdated{Customer: c.id, ExternalGiven: true, External: g.digest(), ExternalID: g.seal(c.consumer)})
	c.profile = g.emit(0, events.ConsumerUpdated{Consumer: c.consumer, Email: g.digest(), Profile: g.seal(c.consumer)}).Seq
	customer, consumer := events.Derive[events.CustomerNoun](g.env.Command, 10), events.Derive[events.OrganizationNoun](g.env.Command, 11)
	g.emit(0, events.ConsumerCreated{Consumer: consumer, Type: events.Managed, Email: g.digest(), Profile: g.seal(consumer)})
	g.emit(0, events.CustomerCreated{Customer: customer, Consumer: consumer, External: g.digest()})
	g.emit(0, events.CustomerDeleted{Customer: customer})
	if i := slices.Index(g.customers, c); i > 0 {
		return
	}
	clock := events.DeriveTestClock(events.CommandID(customer))
	g.emit(epoch, events.ClockCreated{Clock: clock, Now: epoch})
	g.emit(epoch, events.ClockDeleted{Clock: clock})
}

func periodStart(n uint32) events.Time {
	t, _ := events.TimeOf(epoch.Std().AddDate(0, int(n), 0))
	return t
}

func (g *generator) openPeriod(c *customer, n uint32, invoice events.InvoiceID) {
	c.open = append(c.open, &openPeriod{n: n, invoice: invoice, lines: make([]openLine, g.shape.Lines)})
	g.emit(periodStart(n), events.InvoiceOpened{
		Invoice: invoice, Subscription: c.sub, Customer: c.id, Period: n, Currency: usd,
		Start: periodStart(n), End: periodStart(n + 1), GraceEnd: periodStart(n + 1).Add(grace),
	})
	if c.merchant.fees {
		g.chargeFee(c, c.open[len(c.open)-1], c.merchant.flatFee())
	}
}

// firstTopUp is what every wallet gets first, and below which those that have an alert are low.
const firstTopUp = 1_000_000 * events.NanosPerUnit

// raise raises the alert of a customer's wallet, if it is to be.
func (g *generator) raise(c *customer, now events.Time) {
	if c.alert.IsZero() || c.low || c.balance.Cmp(events.SumOf(firstTopUp)) >= 0 {
		return
	}
	c.low = true
	g.emit(now, events.AlertRaised{Alert: c.alert, Wallet: c.wallet, Currency: usd, Threshold: firstTopUp, Balance: c.balance})
}

func (g *generator) topUp(c *customer, n events.Nanos) {
	g.command(c.merchant.id, events.ActorKey)
	c.balance = c.balance.Add(n)
	g.emit(0, events.WalletToppedUp{
		TopUp: events.Derive[events.TopUpNoun](g.env.Command, 0), Wallet: c.wallet, Currency: usd, Balance: c.balance, Method: "sandbox",
		Postings: []events.Posting{{Role: events.ConsumerMain, Nanos: n}, {Role: events.ProcessorClearing, Nanos: -n}},
	})
}
