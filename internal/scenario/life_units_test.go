package scenario

import (
	"cmp"
	"slices"
	"time"
)

// units is what a customer is entitled to of the metered feature.
type units struct {
	a             *agreement
	born          int
	end           time.Time // of the interval, a week
	used, overage int64
	grants        []*grant
}

type grant struct {
	born      int
	allowance bool
	left      int64
	priority  int
	expires   time.Time // zero for never
}

func (g *grant) live(t time.Time) bool { return g.expires.IsZero() || t.Before(g.expires) }

const week = 7 * 24 * time.Hour

// entitle begins what a subscription entitles to.
func (l *life) entitle(a *agreement) {
	a.units = &units{a: a, born: l.next(), end: a.start.Add(week)}
	a.units.grants = []*grant{{born: l.next(), allowance: true, left: a.person.shop.allowance}}
}

// reset begins a week: the allowance is there again, with what is kept of the last one.
func (l *life) reset(u *units, at time.Time) {
	s := u.a.person.shop
	kept := int64(0)
	u.grants = slices.DeleteFunc(u.grants, func(g *grant) bool {
		if g.allowance && g.live(at) {
			kept += min(g.left, s.rollover)
		}
		return g.allowance || !g.live(at)
	})
	u.grants = append(u.grants, &grant{born: l.next(), allowance: true, left: s.allowance + kept})
	u.end, u.used, u.overage = at.Add(week), 0, 0
}

// burn takes units: of the lowest priority first, then of what ends first, then of what was there first.
func (u *units) burn(n int64, at time.Time) {
	u.used += n
	order := slices.SortedFunc(slices.Values(u.grants), func(g, h *grant) int {
		if by := cmp.Compare(g.priority, h.priority); by != 0 {
			return by
		}
		switch {
		case g.expires.Equal(h.expires):
			return cmp.Compare(g.born, h.born)
		case g.expires.IsZero():
			return 1
		case h.expires.IsZero():
			return -1
		}
		return g.expires.Compare(h.expires)
	})
	for _, g := range order {
		if g.live(at) {
			taken := min(g.left, n)
			g.left, n = g.left-taken, n-taken
		}
	}
	u.overage += n
}

// balance returns how many units there are.
func (u *units) balance(at time.Time) (n int64) {
	for _, g := range u.grants {
		if g.live(at) {
			n += g.left
		}
	}
	return n
}

// grant gives somebody units, for ever or for some days.
func (l *life) grant(p *person) {
	a := p.active()
	if a == nil {
		return
	}
	g := &grant{left: 1 + l.rng.Int64N(500), priority: l.rng.IntN(5) - 2}
	l.commands++
	body := map[string]any{
		"entitlementId": l.entitlement(p, a, "id"), "amount": g.left, "priority": g.priority, "idempotencyKey": "grant" + l.fresh(),
	}
	if l.rng.IntN(2) == 0 {
		g.expires = l.time(p.shop).Add(time.Duration(1+l.rng.IntN(200)) * time.Hour)
		body["expiresAt"] = g.expires
	}
	l.do("", "CreateGrant", body, "", nil)
	g.born = l.next()
	a.units.grants = append(a.units.grants, g)
}

// buy buys somebody units: out of the wallet, or by a session where that lacks the price.
func (l *life) buy(p *person) {
	a := p.active()
	if a == nil {
		return
	}
	now := l.time(p.shop)
	g := &grant{left: 1 + l.rng.Int64N(500), priority: l.rng.IntN(5) - 2}
	price := second/2 + l.rng.Int64N(10*second)
	l.commands++
	body := map[string]any{
		"entitlementId": l.entitlement(p, a, "id"), "amount": g.left, "priority": g.priority, "price": amount(price), "idempotencyKey": "buy" + l.fresh(),
	}
	s := &session{kind: "grant", a: a, buys: g, price: p.shop.levy(a.rate(nil), charge{}, price), expires: now.Add(4 * time.Hour)}
	s.amount = up(s.price.gross())
	if l.rng.IntN(2) == 0 {
		s.expires = now.Add(time.Duration(1+l.rng.IntN(31*24)) * time.Hour)
		body["paymentExpiresAt"] = s.expires
	}
	if l.rng.IntN(2) == 0 {
		g.expires = now.Add(time.Duration(1+l.rng.IntN(200)) * time.Hour)
		body["expiresAt"] = g.expires
		if g.expires.Before(s.expires) {
			s.expires = g.expires
		}
	}
	l.do("", "PurchaseGrant", body, "", nil)
	if p.main >= s.price.gross() {
		l.sold(a, g, s.price)
		return
	}
	l.ask(p, s)
	l.accepted["(units by session)"]++
	if !a.auto || len(p.cards) == 0 {
		return
	}
	if !p.pays(false) {
		l.refused(p, s)
		return
	}
	p.close(s)
	l.completed(p, s)
}

// sold takes the price of units from the wallet, as a line of the newest invoice, and grants them.
func (l *life) sold(a *agreement, g *grant, c charge) {
	p, s, open := a.person, a.person.shop, a.opened()
	of := open[len(open)-1]
	part := s.platform(of.instant, c.net)
	p.main -= c.gross()
	s.earned += c.net - part
	l.platform, l.tax = l.platform+part, l.tax+c.tax
	of.instant += c.net
	of.others = append(of.others, other{c, true})
	g.born = l.next()
	a.units.grants = append(a.units.grants, g)
}
