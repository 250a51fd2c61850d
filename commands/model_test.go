package commands

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// model is what a reader of the rules' documentation, and not of their code, would keep: the money and the
// subscriptions of one merchant's customers, on one clock, in maps, slices and big numbers.
type model struct {
	now       time.Time
	fee       int64 // basis points
	tariffs   map[string]tariff
	plans     map[string][]string // metrics
	customers map[string]*modelCustomer
	earned    *big.Int
	platform  *big.Int
	subs      []*modelSub // in the order of creation
	invoices  []string
}

type modelCustomer struct {
	balance, owed *big.Int
	sub           *modelSub
}

type modelSub struct {
	customer string
	plan     string
	started  time.Time
	created  int
	periods  map[int]*modelPeriod
}

type modelPeriod struct {
	metrics []string // in the order of first use
	units   map[string]*big.Int
	prepaid *big.Int
	done    bool
}

// end returns when period n of s ends: a month after another from the hour of its start, on the same day or the month's last.
func (s *modelSub) end(n int) time.Time {
	anchor := s.started.Truncate(time.Hour)
	first := time.Date(anchor.Year(), anchor.Month()+time.Month(n+1), 1, anchor.Hour(), 0, 0, 0, time.UTC)
	day := first
	for day.Day() < anchor.Day() && day.Add(24*time.Hour).Month() == first.Month() {
		day = day.Add(24 * time.Hour)
	}
	return day
}

func (s *modelSub) periodAt(t time.Time) int {
	n := 0
	for !t.Before(s.end(n)) {
		n++
	}
	return n
}

func (s *modelSub) period(n int) *modelPeriod {
	if s.periods[n] == nil {
		s.periods[n] = &modelPeriod{units: make(map[string]*big.Int), prepaid: new(big.Int)}
	}
	return s.periods[n]
}

// verdict is what a receipt must say.
type verdict struct {
	code            Code
	amount, balance string
}

// use answers a report of usage, and carries it out.
func (m *model) use(customer string, at time.Time, quantities []q) verdict {
	c := m.customers[customer]
	s := c.sub
	if s == nil {
		return verdict{code: SubscriptionNotActive}
	}
	for _, u := range quantities {
		if !slices.Contains(m.plans[s.plan], u.metric) {
			return verdict{code: MetricNotPriced}
		}
	}
	n, current := s.periodAt(at), s.periodAt(m.now)
	switch {
	case at.After(m.now.Add(5 * time.Minute)):
		return verdict{code: TimestampInFuture}
	case at.Before(s.started):
		return verdict{code: PeriodClosed}
	case n > current:
		n = current
	case !m.now.Before(s.end(n).Add(24 * time.Hour)):
		return verdict{code: PeriodClosed}
	}
	instant, arrears := new(big.Int), new(big.Int)
	for _, u := range quantities {
		sum := arrears
		if m.tariffs[u.metric].term == "instant" {
			sum = instant
		}
		sum.Add(sum, m.cost(u))
	}
	if c.balance.Cmp(instant) < 0 {
		return verdict{code: InsufficientFunds}
	}
	p := s.period(n)
	for _, u := range quantities {
		if p.units[u.metric] == nil {
			p.metrics, p.units[u.metric] = append(p.metrics, u.metric), new(big.Int)
		}
		p.units[u.metric].Add(p.units[u.metric], m.units(u))
	}
	fee := m.feeOn(p.prepaid)
	p.prepaid.Add(p.prepaid, instant)
	fee.Sub(m.feeOn(p.prepaid), fee)
	c.balance.Sub(c.balance, instant)
	c.owed.Sub(c.owed, arrears)
	m.platform.Add(m.platform, fee)
	m.earned.Add(m.earned, new(big.Int).Sub(instant, fee))
	return verdict{"", new(big.Int).Add(instant, arrears).String(), c.balance.String()}
}

func (m *model) units(u q) *big.Int {
	if m.tariffs[u.metric].aggregation == "COUNT" {
		return big.NewInt(1)
	}
	return big.NewInt(u.quantity)
}

func (m *model) cost(u q) *big.Int {
	return new(big.Int).Mul(m.units(u), big.NewInt(int64(nanosOf(m.tariffs[u.metric].price))))
}

// feeOn returns the platform's part of an amount, to the nearest nano.
func (m *model) feeOn(amount *big.Int) *big.Int {
	part := new(big.Rat).Mul(new(big.Rat).SetInt(amount), big.NewRat(m.fee, 10_000))
	n, _ := new(big.Int).SetString(part.FloatString(0), 10) // rounds halves away from zero
	return n
}

// join makes a subscription.
func (m *model) join(customer, plan string, started time.Time) {
	s := &modelSub{customer: customer, plan: plan, started: started, created: len(m.subs), periods: make(map[int]*modelPeriod)}
	m.subs = append(m.subs, s)
	m.customers[customer].sub = s
	m.advance(m.now) // what is over already
}

// advance moves the clock, and issues what has come to the end of its grace.
func (m *model) advance(to time.Time) {
	type due struct {
		at time.Time
		s  *modelSub
		n  int
	}
	var dues []due
	for _, c := range m.customers {
		for n := 0; c.sub != nil && !to.Before(c.sub.end(n).Add(24*time.Hour)); n++ {
			dues = append(dues, due{c.sub.end(n).Add(24 * time.Hour), c.sub, n})
		}
	}
	slices.SortFunc(dues, func(a, b due) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.s.created, b.s.created)) })
	for _, d := range dues {
		m.issue(d.s, d.n)
	}
	m.now = to
}

// terminate ends a customer's subscription.
func (m *model) terminate(customer string) {
	s := m.customers[customer].sub
	for n := range s.periodAt(m.now) + 1 {
		m.issue(s, n)
	}
	m.customers[customer].sub = nil
}

// issue makes the invoice of a period, unless it has one or needs none.
func (m *model) issue(s *modelSub, n int) {
	p := s.period(n)
	if p.done {
		return
	}
	p.done = true
	if len(p.metrics) == 0 {
		return
	}
	total := new(big.Int)
	for _, metric := range p.metrics {
		total.Add(total, new(big.Int).Mul(p.units[metric], big.NewInt(int64(nanosOf(m.tariffs[metric].price)))))
	}
	paid := p.prepaid
	if left := new(big.Int).Sub(total, p.prepaid); left.Sign() > 0 && left.Cmp(big.NewInt(centNanos/2)) < 0 { // nobody pays less than half a cent
		fee := new(big.Int).Sub(m.feeOn(total), m.feeOn(p.prepaid))
		m.platform.Add(m.platform, fee)
		m.earned.Add(m.earned, new(big.Int).Sub(left, fee))
		m.customers[s.customer].owed.Add(m.customers[s.customer].owed, left)
		paid = total
	}
	m.invoices = append(m.invoices, fmt.Sprintf("%d for %s, period %d: %d lines, %s, %s paid", len(m.invoices)+1, s.customer, n, len(p.metrics), total, paid))
}
