package scenario

import (
	"math/big"
	"slices"
	"time"
)

// What follows is the model of [TestLife]: the money, the subscriptions and the invoices of a few merchants, as somebody would keep them
// who has read the documentation of the rules and not their code. It shares nothing with the rules or the folds. It counts
// nanos in int64, which the amounts of a life are far below; what is multiplied goes through big.Int.

const (
	second = int64(1_000_000_000) // nanos of a unit of money
	cent   = second / 100
	least  = second        // that the payment provider takes
	most   = 5000 * second // likewise
	whole  = 100_000       // rates of tax are in thousandths of a percent
)

// round returns n × parts / of, rounded half away from zero.
func round(n, parts, of int64) int64 {
	v := new(big.Int).Mul(big.NewInt(n), big.NewInt(2*parts))
	down := v.Sign() < 0
	v.Abs(v).Add(v, big.NewInt(of)).Div(v, big.NewInt(2*of))
	if down {
		v.Neg(v)
	}
	return v.Int64()
}

// up returns an amount in whole cents, rounded up, and at least what the provider takes; nothing stays nothing.
func up(n int64) int64 {
	if n <= 0 {
		return 0
	}
	return max((n+cent-1)/cent*cent, least)
}

// charge is an amount before tax, and its tax.
type charge struct{ net, tax int64 }

func (c charge) gross() int64 { return c.net + c.tax }

func (c charge) plus(d charge) charge { return charge{c.net + d.net, c.tax + d.tax} }

// shop is a merchant with one plan.
type shop struct {
	name      string
	clock     string    // its subscriptions' test clock; none for real time
	now       time.Time // on its clock
	part      int64     // the platform's, in basis points
	inclusive bool      // prices contain the tax
	byHand    bool      // invoices are approved
	retries   []int     // days
	months    int       // of a period
	anchor    time.Time // of all periods; zero where each subscription has its own
	daily     bool      // fees are for the days that are used
	rate      int64     // of tax, where a customer has none of its own
	tariffs   []*tariff
	fees      []*fee
	allowance int64 // units of the metered feature that a week begins with
	rollover  int64 // of them that are kept at most
	soft      bool  // what goes beyond them is charged, where they lower charges
	earned    int64
	numbers   int // invoices issued
}

// levy returns what a cost comes to with tax, behind what the same line has come to before: the tax is a difference over all of it.
func (s *shop) levy(rate int64, before charge, cost int64) charge {
	if s.inclusive {
		tax := round(before.gross()+cost, rate, whole+rate) - round(before.gross(), rate, whole+rate)
		return charge{cost - tax, tax}
	}
	return charge{cost, round(before.net+cost, rate, whole) - round(before.net, rate, whole)}
}

// platform returns the platform's part of an amount behind what the same period has debited at once before.
func (s *shop) platform(before, net int64) int64 {
	return round(before+net, s.part, 10_000) - round(before, s.part, 10_000)
}

// tariff is a metric with its price.
type tariff struct {
	name, aggregation, model string
	instant                  bool // paid as it is used
	featured                 bool // usage takes units of the metered feature
	discounted               bool // and those that grants have are not charged
	unit, low, high          int64
	gradient                 int64
	percentage               int64 // in hundredths of a percent
}

func (t *tariff) adds() bool { return t.aggregation == "SUM" || t.aggregation == "COUNT" }

// cost returns what so many units cost, behind others; at is the price that they name, where the model needs one.
func (t *tariff) cost(before, units, at int64) (sum int64) {
	switch t.model {
	case "dynamic":
		return units * at
	case "percentage":
		return min(max(round(units*at, t.percentage, 10_000), t.low), t.high)
	case "volume":
		for i := before; i < before+units; i++ {
			sum += min(max(t.unit+t.gradient*i, t.low), t.high)
		}
		return sum
	}
	return units * t.unit
}

// fee is what is charged every so many months, once if every 0.
type fee struct {
	name           string
	advance        bool
	every          int
	unit, quantity int64
}

// times returns how often a fee is charged in a period: as many of its own periods as begin in it, or end in it.
func (f *fee) times(n, months int) (times int64) {
	if f.every == 0 {
		if n == 0 {
			return 1
		}
		return 0
	}
	for at := 0; at <= (n+1)*months; at += f.every {
		if f.advance && at >= n*months && at < (n+1)*months || !f.advance && at > n*months {
			times++
		}
	}
	return times
}

// person is a customer with a wallet.
type person struct {
	name     string
	shop     *shop
	rate     int64             // of tax; -1 where the plan's counts
	rates    map[*tariff]int64 // that beat it
	main     int64             // what the wallet holds
	owed     int64
	reserved []*hold
	cards    []string // stored, the newest last
	subs     []*agreement
	sessions []*session // that can be paid
	invoices []*invoice // drafted or issued
	events   []*used
}

// current returns the subscription that is pending or active, or nil.
func (p *person) current() *agreement {
	if n := len(p.subs); n > 0 && p.subs[n-1].ended.IsZero() {
		return p.subs[n-1]
	}
	return nil
}

// active returns the subscription that is active, or nil.
func (p *person) active() *agreement {
	if a := p.current(); a != nil && a.begun {
		return a
	}
	return nil
}

// agreement is a subscription.
type agreement struct {
	name          string
	person        *person
	born          int // orders what falls due at the same time
	start, anchor time.Time
	skipped       int       // periods between the anchor and the first; below 0 where the anchor is later
	ending, ended time.Time // zero while there is no such time
	begun         bool      // it is paid for
	exempt, auto  bool
	minimum       int64
	upfront       []quoted // that are charged at its beginning
	checkout      *session
	latest        *session // for its money
	periods       []*period
	units         *units
	gone          map[int]charge // of what a period has charged: taken back on another invoice, or on none
	shown         map[int]charge // taken back on the invoice of a period, which others have charged
}

// rate returns the rate of tax of usage, or of fees where t is nil.
func (a *agreement) rate(t *tariff) int64 {
	p := a.person
	if a.exempt {
		return 0
	}
	if own, ok := p.rates[t]; ok {
		return own
	}
	if p.rate >= 0 {
		return p.rate
	}
	return p.shop.rate
}

// month returns the instant n months after an anchor, or the last day of a month that is too short.
func month(anchor time.Time, n int) time.Time {
	y, m, d := anchor.Date()
	first := time.Date(y, m+time.Month(n), 1, anchor.Hour(), 0, 0, 0, time.UTC)
	if last := time.Date(first.Year(), first.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day(); d > last {
		d = last
	}
	return first.AddDate(0, 0, d-1)
}

// bound returns when a period begins by its anchor.
func (a *agreement) bound(n int) time.Time {
	return month(a.anchor, (a.skipped+n)*a.person.shop.months)
}

// anchored has the periods of a subscription counted from the anchor of its shop, or else from its own hour.
func (a *agreement) anchored() {
	if a.anchor = a.person.shop.anchor; a.anchor.IsZero() {
		a.anchor = a.start.Truncate(time.Hour)
	}
	for a.bound(0).After(a.start) {
		a.skipped--
	}
	for !a.bound(1).After(a.start) {
		a.skipped++
	}
}

// part returns what of a fee is to be paid for the days of its own period that the subscription has a part of.
func (a *agreement) part(f *fee, n int, end time.Time, cost int64) int64 {
	months := a.person.shop.months
	if !a.person.shop.daily || f.every == 0 {
		return cost
	}
	periods, used, of := max(1, f.every/months), int64(0), int64(0)
	from, to := a.bound(n), a.bound(n+periods)
	if f.advance {
		end = to
	} else {
		from, to = a.bound(n+1-periods), a.bound(n+1)
	}
	for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
		of++
		if day.AddDate(0, 0, 1).After(a.start) && day.Before(end) {
			used++
		}
	}
	return round(cost, used, of)
}

// period is a period of a subscription. It is open until its invoice is made.
type period struct {
	n             int
	start, end    time.Time
	open, closing bool
	lines         map[*tariff]*usageLine
	fees          map[*fee]charge // charged in advance
	others        []other
	instant       int64 // debited at once, before tax
	invoice       *invoice
}

// usageLine is the usage of one metric.
type usageLine struct {
	charge
	units, count int64
	reports      []report
}

type report struct {
	quantity int64
	at       time.Time
}

// other is a line of something else: usage that was taken back or corrected, or what was put there by hand.
type other struct {
	charge
	prepaid bool
}

// opened returns the open periods, oldest first.
func (a *agreement) opened() (list []*period) {
	for _, p := range a.periods {
		if p.open {
			list = append(list, p)
		}
	}
	return list
}

func (a *agreement) open(n int, start time.Time) *period {
	p := &period{
		n: n, start: start, end: a.bound(n + 1), open: true,
		lines: make(map[*tariff]*usageLine), fees: make(map[*fee]charge),
	}
	a.periods = append(a.periods, p)
	return p
}

// at returns the open period in which something happened, or nil.
func (a *agreement) at(t time.Time) *period {
	list := a.opened()
	for _, p := range list {
		if !t.Before(p.start) && t.Before(p.end) {
			return p
		}
	}
	if n := len(list); n > 0 && !t.Before(list[n-1].end) {
		return list[n-1] // in the minutes that a timestamp may be ahead
	}
	return nil
}

// whole returns what a metric comes to that is known at the end of a period only.
func (l *usageLine) whole(t *tariff) int64 {
	set := make(map[int64]bool)
	first := l.reports[0]
	low, high, latest, sum := first.quantity, first.quantity, first, int64(0)
	for _, r := range l.reports {
		set[r.quantity] = true
		low, high, sum = min(low, r.quantity), max(high, r.quantity), sum+r.quantity
		if !r.at.Before(latest.at) {
			latest = r
		}
	}
	switch t.aggregation {
	case "MIN":
		return t.cost(0, low, 0)
	case "MAX":
		return t.cost(0, high, 0)
	case "LATEST":
		return t.cost(0, latest.quantity, 0)
	case "UNIQUE_COUNT":
		return t.cost(0, int64(len(set)), 0)
	}
	return round(sum, t.unit, int64(len(l.reports))) // AVG
}

// quoted is what a fee comes to.
type quoted struct {
	*fee
	charge
}

// quote returns the fees of a period that has ended, in the order of the plan.
func (a *agreement) quote(n int, end time.Time) (list []quoted) {
	s := a.person.shop
	for _, f := range s.fees {
		if times := f.times(n, s.months); times > 0 {
			list = append(list, quoted{f, s.levy(a.rate(nil), charge{}, a.part(f, n, end, times*f.quantity*f.unit))})
		}
	}
	return list
}

// sums is what an invoice comes to.
type sums struct {
	charge
	paid, unpaid, unpaidTax int64
	lines                   int
	accrues                 int64 // owed only now
}

func (v *sums) add(c charge, prepaid bool) {
	v.lines++
	v.charge = v.plus(c)
	if prepaid {
		v.paid += c.gross()
		return
	}
	v.unpaid, v.unpaidTax = v.unpaid+c.gross(), v.unpaidTax+c.tax
}

// settle returns what a period comes to, if it ended as it stands.
func (a *agreement) settle(p *period) (v sums) {
	s := a.person.shop
	for t, l := range p.lines {
		c := l.charge
		if !t.adds() {
			c = s.levy(a.rate(t), charge{}, l.whole(t))
			v.accrues += c.gross()
		}
		v.add(c, t.instant)
	}
	for _, c := range p.fees {
		v.add(c, true)
	}
	for _, q := range a.quote(p.n, p.end) {
		if _, charged := p.fees[q.fee]; !charged {
			v.add(q.charge, false)
			v.accrues += q.gross()
		}
	}
	for _, o := range p.others {
		v.add(o.charge, o.prepaid)
	}
	return v
}

// certain returns what of a period is owed for good: nothing that is still to come can lower it.
func (p *period) certain() (owed int64) {
	for t, l := range p.lines {
		if !t.instant {
			owed += l.gross()
		}
	}
	for _, o := range p.others {
		if !o.prepaid {
			owed += o.gross()
		}
	}
	return owed
}

// invoice is what a period has come to.
type invoice struct {
	sums
	a        *agreement
	period   int
	born     int
	state    string
	instant  int64
	attempts int
	retry    time.Time
	session  *session // the latest for it
	note     string   // the credit note over all of it that is not void
	credit   charge   // its
	credited int64    // that usage which was taken back has left less to pay
}

// hold is money that is set aside.
type hold struct {
	name    string
	born    int
	a       *agreement
	metrics map[*tariff]bool
	left    int64
	uses    int
	expires time.Time
}

// session is money that was asked for.
type session struct {
	kind     string // subscription, topup, invoice or grant
	id       string
	born     int
	a        *agreement
	invoice  *invoice
	amount   int64
	pays     int64 // of an invoice, the rest goes to the wallet
	buys     *grant
	price    charge // of that
	declined int
	expires  time.Time // zero for never
}

// used is a usage event.
type used struct {
	name     string
	a        *agreement
	period   int
	main     int64 // what it has cost at once
	owed     int64
	owedTax  int64 // of it
	net      int64 // of main
	part     int64 // of it
	tax      int64 // of main
	lines    []other
	taken    bool
	disputed bool
	dispute  string // that is open
	from     *hold  // that has paid main, nil for the wallet
}

// unpaid returns the invoice of the period in which usage was charged, if it is issued and leaves as much to pay; else nil.
func (e *used) unpaid() *invoice {
	for _, inv := range e.a.person.invoices {
		if inv.a == e.a && inv.period == e.period && (inv.state == "ISSUED" || inv.state == "PAYMENT_FAILED") &&
			inv.unpaidTax >= e.owedTax && inv.unpaid-inv.unpaidTax >= e.owed-e.owedTax {
			return inv
		}
	}
	return nil
}

// books is what the model keeps of everybody.
type books struct {
	platform, tax, clearing, rounding int64
	born                              int // things made so far
}

func (b *books) next() int { b.born++; return b.born }

// close takes a session off the list of those that can be paid.
func (p *person) close(s *session) {
	p.sessions = slices.DeleteFunc(p.sessions, func(t *session) bool { return t == s })
}
