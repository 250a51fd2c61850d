package commands

import (
	"bytes"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tallystick/events"
	"tallystick/projections"
)

// modelled is a world and the model of it, which are compared after each step.
type modelled struct {
	*world
	model   *model
	clockAt events.Time
	sent    []sent // reports of usage
}

// sent is a report of usage that was made, and what it came to.
type sent struct {
	request Request
	receipt string // the one of the accepted, as JSON
	again   func() verdict
}

var modelTariffs = []tariff{
	instantSum("tokens", "0.000000007"), instantSum("images", "0.02"), arrearsSum("bytes", "0.000000001"), arrearsCount("logins", "0.5"), instantSum("pings", "0"),
}

func newModelled(t *testing.T) *modelled {
	m := &modelled{world: newWorld(t), model: &model{
		tariffs: make(map[string]tariff), plans: make(map[string][]string), customers: make(map[string]*modelCustomer),
		earned: new(big.Int), platform: new(big.Int),
	}}
	m.clockAt = instantOf("2024-01-31 10:20")
	m.model.now = m.clockAt.Std()
	m.do(merchant("acme", seller), clock("tc", "2024-01-31 10:20"), product("llm"), plan("all", "llm", modelTariffs...), plan("few", "llm", modelTariffs[0], modelTariffs[3]))
	for _, t := range modelTariffs {
		m.model.tariffs[t.metric] = t
		m.model.plans["all"] = append(m.model.plans["all"], t.metric)
	}
	m.model.plans["few"] = []string{"tokens", "logins"}
	for i := range 4 {
		name := fmt.Sprint("c", i)
		m.do(customer(name))
		m.model.customers[name] = &modelCustomer{balance: new(big.Int), owed: new(big.Int)}
		if i < 2 { // so that things happen from the start
			m.fundBy(name, 50*events.NanosPerUnit)
			m.joinTo(name, "all", m.clockAt)
		}
	}
	m.setFee(333)
	return m
}

// TestMoney runs the rules beside an independent model of the money under random commands, and compares what is
// answered, every balance and every invoice after each.
func TestMoney(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModelled(t)
		rt.Repeat(map[string]func(*rapid.T){
			"":          m.compare,
			"use":       m.use,
			"use2":      m.use, // more often than the others
			"repeat":    m.repeat,
			"conflict":  m.conflict,
			"fund":      m.fund,
			"join":      m.join,
			"terminate": m.terminate,
			"advance":   m.advance,
			"fee":       m.fee,
			"restart":   func(*rapid.T) { m.restart() },
		})
	})
}

func (m *modelled) customer(rt *rapid.T) string {
	return fmt.Sprint("c", rapid.IntRange(0, len(m.model.customers)-1).Draw(rt, "customer"))
}

// use reports some usage, in one call or in several.
func (m *modelled) use(rt *rapid.T) {
	n := rapid.IntRange(1, 6).Draw(rt, "reports")
	var reports []sent
	for range n {
		customer := m.customer(rt)
		back := rapid.SampledFrom([]time.Duration{0, 0, 0, -5 * time.Minute, -6 * time.Minute, time.Hour, 20 * time.Hour, 30 * 24 * time.Hour, 90 * 24 * time.Hour}).Draw(rt, "age")
		at := m.clockAt.Add(-back)
		var quantities []q
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(modelTariffs)-1), 1, 3, rapid.ID).Draw(rt, "metrics") {
			quantities = append(quantities, q{modelTariffs[i].metric, rapid.Int64Range(1, 1000).Draw(rt, "quantity")})
		}
		key := fmt.Sprint("k", len(m.sent)+len(reports))
		request := *use(key, customer, "2024-01-31 10:20", quantities...)(m.world)
		request.Command.(*ReportUsage).HappenedAt = at
		request.Content = contentOf(request.Command)
		reports = append(reports, sent{request: request, again: func() verdict { return m.model.use(customer, at.Std(), quantities) }})
	}
	for rest := reports; len(rest) > 0; {
		k := rapid.IntRange(1, len(rest)).Draw(rt, "in one call")
		var requests []Request
		for i := range rest[:k] {
			requests = append(requests, rest[i].request)
		}
		for i, receipt := range m.send(requests...) {
			rest[i].settle(rt, receipt)
		}
		rest = rest[k:]
	}
	m.sent = append(m.sent, reports...)
}

// settle compares a receipt with what the model says.
func (s *sent) settle(rt *rapid.T, r Receipt) {
	want := s.again()
	got := verdict{code: r.Code}
	if r.Status == Accepted {
		got.amount, got.balance = r.Amount.Digits(), r.Balance.Digits()
		s.receipt = string(r.AppendJSON(nil))
	}
	if got != want || (r.Status == Accepted) != (want.code == "") {
		rt.Fatalf("key %s is answered %s %+v (%s), want %+v", s.request.Key, r.Status, got, r.Message, want)
	}
}

// repeat reports something again: what was accepted is answered as it was, what was refused is decided anew.
func (m *modelled) repeat(rt *rapid.T) {
	if len(m.sent) == 0 {
		return
	}
	s := &m.sent[rapid.IntRange(0, len(m.sent)-1).Draw(rt, "report")]
	r := m.send(s.request)[0]
	if s.receipt == "" {
		s.settle(rt, r)
		return
	}
	if r.Status != Duplicate {
		rt.Fatalf("key %s again is %s: %s", s.request.Key, r.Status, r.Message)
	}
	r.Status = Accepted
	if got := string(r.AppendJSON(nil)); got != s.receipt {
		rt.Fatalf("key %s again is answered %s, want %s", s.request.Key, got, s.receipt)
	}
}

// conflict uses the key of something for something else.
func (m *modelled) conflict(rt *rapid.T) {
	i := slices.IndexFunc(m.sent, func(s sent) bool { return s.receipt != "" })
	if i < 0 {
		return
	}
	r := m.sent[i].request
	r.Content[3]++
	if receipt := m.send(r)[0]; receipt.Code != IdempotencyConflict {
		rt.Fatalf("key %s for something else is %s %s", r.Key, receipt.Status, receipt.Code)
	}
}

func (m *modelled) fund(rt *rapid.T) {
	m.fundBy(m.customer(rt), rapid.Int64Range(1, 10*events.NanosPerUnit).Draw(rt, "nanos"))
}

func (m *modelled) fundBy(name string, amount int64) {
	m.do(fund(name, events.Nanos(amount).String()))
	c := m.model.customers[name]
	c.balance.Add(c.balance, big.NewInt(amount))
}

func (m *modelled) join(rt *rapid.T) {
	name, plan := m.customer(rt), rapid.SampledFrom([]string{"all", "few"}).Draw(rt, "plan")
	started := m.clockAt.Add(-time.Duration(rapid.IntRange(0, 70*24*60).Draw(rt, "minutes ago")) * time.Minute)
	if got, want := m.joinTo(name, plan, started); got != want {
		rt.Fatalf("%s joining plan %s is %s, want %s", name, plan, got, want)
	}
}

// joinTo makes a subscription, or tries to, and returns what became of it and what should.
func (m *modelled) joinTo(name, plan string, started events.Time) (got, want ReceiptStatus) {
	cmd := CreateSubscription{
		Customer: id[events.CustomerNoun](m.world, name), Plan: id[events.PlanNoun](m.world, plan),
		Name: sealedFor(orgOf(name), "name"), StartedAt: started, Clock: m.clock("tc"),
	}
	c := m.model.customers[name]
	want = Accepted
	if c.sub == nil {
		m.named(name+"-sub", 0)
	} else if want = Duplicate; c.sub.plan != plan {
		want = Rejected
	}
	got = m.send(*just(cmd)(m.world))[0].Status
	if c.sub == nil {
		m.model.join(name, plan, started.Std())
	}
	return got, want
}

func (m *modelled) terminate(rt *rapid.T) {
	if name := m.customer(rt); m.model.customers[name].sub != nil {
		m.do(terminateIt(name + "-sub"))
		m.model.terminate(name)
	}
}

func (m *modelled) advance(rt *rapid.T) {
	m.clockAt = m.clockAt.Add(time.Duration(rapid.IntRange(1, 50*24).Draw(rt, "hours")) * time.Hour)
	m.do(just(AdvanceTestClock{Clock: m.clock("tc"), To: m.clockAt}))
	m.model.advance(m.clockAt.Std())
}

func (m *modelled) fee(rt *rapid.T) {
	m.setFee(rapid.Int64Range(0, 10_000).Draw(rt, "basis points"))
}

func (m *modelled) setFee(basisPoints int64) {
	m.model.fee = basisPoints
	m.do(byOperator(just(UpdateMerchant{
		Profile: events.Profile{Name: "acme"}, Settings: events.Settings{ManagedPrepaid: true, FeeBasisPoints: uint32(m.model.fee)},
	})))
}

// compare compares every balance and every invoice.
func (m *modelled) compare(rt *rapid.T) {
	books := m.seq.books
	balance := func(what string, a events.Account, want *big.Int) {
		if got := books.BalanceOf(a); got.Big().Cmp(want) != 0 {
			rt.Fatalf("%s is %s, want %s", what, got.Digits(), want)
		}
	}
	owed := new(big.Int)
	for _, name := range slices.Sorted(maps.Keys(m.model.customers)) {
		c := m.model.customers[name]
		wallet := id[events.WalletNoun](m.world, name+"-wallet")
		balance("the balance of "+name, projections.MainAccount(wallet, usd), c.balance)
		balance("what is used and not paid by "+name, events.Account{Role: events.ConsumerUsage, Currency: usd, Owner: wallet}, c.owed)
		owed.Sub(owed, c.owed)
	}
	balance("what is earned", events.Account{Role: events.Merchant, Currency: usd, Owner: m.merchant}, m.model.earned)
	balance("what is receivable", events.Account{Role: events.Receivable, Currency: usd, Owner: m.merchant}, owed)
	balance("the platform's fee", events.Account{Role: events.PlatformFee, Currency: usd}, m.model.platform)

	names := make(map[events.CustomerID]string)
	for name := range m.model.customers {
		names[id[events.CustomerNoun](m.world, name)] = name
	}
	var invoices []string
	m.views.Invoices.Each(func(_ events.InvoiceID, inv *projections.Invoice) bool {
		if inv.Number != 0 {
			invoices = append(invoices, fmt.Sprintf("%d for %s, period %d: %d lines, %s, %s paid",
				inv.Number, names[inv.Customer], inv.Period, inv.Lines, inv.Subtotal.Digits(), inv.Paid.Digits()))
		}
		return true
	})
	slices.Sort(invoices)
	if diff := cmp.Diff(slices.Sorted(slices.Values(m.model.invoices)), invoices); diff != "" {
		rt.Fatalf("invoices (-want +got):\n%s", diff)
	}
}

// TestSplits checks that it is all the same how requests come together in calls, and calls in groups: the records are
// the same to the byte.
func TestSplits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 9), 1, 8).Draw(rt, "sizes of calls")
		run := func(sizes []int) []events.Record {
			w := newWorld(t)
			w.do(shop()...)
			i := 0
			for _, n := range sizes {
				var requests []Request
				for range n {
					s := use(fmt.Sprint("k", i%7), "alice", "2025-01-15 10:00", q{"tokens", int64(1 + i%7)})
					if i%5 == 4 {
						s = fund("alice", "0.5")
					}
					requests = append(requests, *s(w))
					i++
				}
				w.send(requests...)
			}
			return w.log.records
		}
		total := 0
		for _, n := range sizes {
			total += n
		}
		if !slices.EqualFunc(run([]int{total}), run(sizes), func(a, b events.Record) bool { return bytes.Equal(a.Bytes, b.Bytes) }) {
			rt.Fatal("the records differ")
		}
	})
}
