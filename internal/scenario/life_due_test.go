package scenario

import (
	"slices"
	"time"
)

const (
	grace   = 24 * time.Hour
	monthly = 30 * 24 * time.Hour // that a top-up may be paid
)

// due is something that falls due on somebody.
type due struct {
	at   time.Time
	born int
	then func(at time.Time)
}

// next returns what falls due on a person next: the soonest, and of those at the same time what was made first.
func (l *life) due(p *person) (next due) {
	consider := func(at time.Time, born int, then func(at time.Time)) {
		if !at.IsZero() && (next.then == nil || at.Before(next.at) || at.Equal(next.at) && born < next.born) {
			next = due{at, born, then}
		}
	}
	for _, a := range p.subs {
		if !a.ended.IsZero() {
			continue
		}
		consider(a.ending, a.born, func(at time.Time) { l.end(a, at) })
		if !a.begun {
			continue
		}
		for _, of := range a.opened() {
			switch {
			case of.closing:
				consider(of.end.Add(grace), a.born, func(at time.Time) { l.issue(a, of, at) })
			case a.ending.IsZero() || of.end.Before(a.ending):
				consider(of.end, a.born, func(at time.Time) { l.renew(a, of, at) })
			}
		}
		consider(a.units.end, a.units.born, func(at time.Time) { l.reset(a.units, at) })
	}
	for _, h := range p.reserved {
		consider(h.expires, h.born, func(time.Time) { l.release(p, h) })
	}
	for _, s := range p.sessions {
		consider(s.expires, s.born, func(at time.Time) { l.expire(p, s, at) })
	}
	for _, inv := range p.invoices {
		if inv.state == "PAYMENT_FAILED" {
			consider(inv.retry, inv.born, func(at time.Time) { l.retry(inv, at) })
		}
	}
	return next
}

// until lets everything happen to the customers of a shop that falls due by a time.
func (l *life) until(s *shop, t time.Time) {
	for _, p := range l.people {
		if p.shop != s {
			continue
		}
		for n := l.due(p); n.then != nil && !n.at.After(t); n = l.due(p) {
			n.then(n.at)
		}
	}
	s.now = t
}

// soonest returns when something falls due on a customer of the shops that share a clock, if it does by a time; else that time.
func (l *life) soonest(clock string, t time.Time) time.Time {
	for _, p := range l.people {
		if n := l.due(p); p.shop.clock == clock && n.then != nil && n.at.Before(t) {
			t = n.at
		}
	}
	return t
}

// begin makes a subscription active: its first period begins, and its fees are charged.
func (l *life) begin(a *agreement) {
	a.begun, a.checkout = true, nil
	p := a.open(0, a.start)
	for _, q := range a.upfront {
		l.take(a, p, q)
	}
	l.entitle(a)
}

// take charges a fee, if the wallet holds it.
func (l *life) take(a *agreement, p *period, q quoted) bool {
	s := a.person.shop
	if a.person.main < q.gross() {
		return false
	}
	part := s.platform(p.instant, q.net)
	a.person.main -= q.gross()
	s.earned += q.net - part
	l.platform, l.tax = l.platform+part, l.tax+q.tax
	p.instant += q.net
	p.fees[q.fee] = q.charge
	return true
}

// takeAll charges the fees in advance of a period that are not charged yet, each if the wallet holds it, and returns what the others
// come to.
func (l *life) takeAll(a *agreement, p *period) (left int64) {
	for _, q := range a.quote(p.n, p.end) {
		if _, done := p.fees[q.fee]; q.advance && !done && !l.take(a, p, q) {
			left += q.gross()
		}
	}
	return left
}

// takeOpen does that for all open periods.
func (l *life) takeOpen(a *agreement) (left int64) {
	for _, p := range a.opened() {
		left += l.takeAll(a, p)
	}
	return left
}

// renew begins the period after one: fees that are still to be paid are charged, then its own, then the wallet is topped up.
func (l *life) renew(a *agreement, old *period, at time.Time) {
	p := a.person
	old.closing = true
	want := l.takeOpen(a)
	want += l.takeAll(a, a.open(old.n+1, old.end)) + a.minimum
	if want == 0 || p.main >= want {
		return
	}
	s := &session{kind: "topup", a: a, amount: up(min(want-p.main, most)), expires: at.Add(monthly)}
	if a.auto && len(p.cards) > 0 {
		if p.pays(false) {
			l.topUp(p, s.amount)
			l.takeOpen(a)
		}
		return
	}
	l.ask(p, s)
	a.latest = s
}

// ask opens a session.
func (l *life) ask(p *person, s *session) {
	s.born = l.next()
	p.sessions = append(p.sessions, s)
}

// topUp adds money from the provider to a wallet.
func (l *life) topUp(p *person, amount int64) {
	p.main += amount
	l.clearing -= amount
}

// release gives back what is left of a reservation.
func (l *life) release(p *person, h *hold) {
	p.main += h.left
	p.reserved = slices.DeleteFunc(p.reserved, func(g *hold) bool { return g == h })
}

// expire ends a session that nobody has paid, and the subscription that waits for it.
func (l *life) expire(p *person, s *session, at time.Time) {
	p.close(s)
	if s.a.checkout == s {
		s.a.ended, s.a.checkout = at, nil
	}
}

// end ends a subscription: what is set aside goes back, and the open periods are invoiced.
func (l *life) end(a *agreement, at time.Time) {
	p := a.person
	a.ended = at
	if a.latest != nil {
		p.close(a.latest)
	}
	a.checkout = nil
	for _, s := range slices.Clone(p.sessions) {
		if s.a == a && s.buys != nil {
			p.close(s)
		}
	}
	for _, h := range slices.Clone(p.reserved) {
		if h.a == a {
			l.release(p, h)
		}
	}
	for _, of := range a.opened() {
		if !of.closing {
			of.end = at
			if at.Before(of.start) {
				of.end = of.start
			}
		}
		l.issue(a, of, at)
	}
}

// issue makes the invoice of a period.
func (l *life) issue(a *agreement, of *period, at time.Time) {
	v := a.settle(of)
	of.open, of.closing = false, false
	inv := &invoice{sums: v, a: a, period: of.n, instant: of.instant, state: "CANCELLED"}
	of.invoice = inv
	if v.lines == 0 {
		return
	}
	a.person.owed += v.accrues
	a.person.invoices = append(a.person.invoices, inv)
	if inv.state = "DRAFT"; !a.person.shop.byHand {
		l.collect(inv, at)
	}
}
