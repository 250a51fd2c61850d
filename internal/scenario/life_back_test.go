package scenario

import (
	"fmt"
	"slices"
	"time"

	"tallystick/commands"
)

// takeBack refunds a usage event, disputes it, or resolves its dispute.
func (l *life) takeBack(p *person) {
	if len(p.events) == 0 {
		return
	}
	e := p.events[max(0, len(p.events)-1-l.rng.IntN(20))]
	if l.rng.IntN(2) == 0 { // rather of an invoice that is to be paid, if there is one
		for _, of := range p.events {
			if !of.taken && of.owed > 0 && of.unpaid() != nil {
				e = of
			}
		}
	}
	usage := map[string]any{"usageEventId": l.w.names[e.name]}
	total := e.main + e.owed
	switch n := l.rng.IntN(3); {
	case e.dispute != "" && n == 0:
		l.do("", "ResolveDispute", map[string]any{"disputeId": l.w.names[e.dispute], "status": "declined"}, "", nil)
		e.dispute = ""
	case e.dispute != "" && n == 1:
		accept := map[string]any{"disputeId": l.w.names[e.dispute], "status": "accepted"}
		if e.taken { // while it was disputed
			l.do("", "ResolveDispute", accept, "", nil)
			e.dispute = ""
		} else if l.refund(e, "ResolveDispute", accept) {
			e.dispute = ""
		}
	case n == 2:
		l.refund(e, "RefundUsage", usage)
	default:
		usage["message"] = "we did not use this"
		name, want := e.name+"-dispute", commands.Code("")
		if e.disputed {
			name, want = "", commands.Conflict
		} else if e.taken {
			name, want = "", commands.AlreadyRefunded
		}
		l.do(name, "CreateDispute", usage, want, &total)
		if want == "" {
			e.disputed, e.dispute = true, name
		}
	}
}

// refund takes a usage event back: all that it moved moves back, and the invoice of its period shows it, or leaves less to pay if it is
// issued and not paid; else the newest one that is open shows it.
func (l *life) refund(e *used, command string, body map[string]any) bool {
	if e.taken {
		l.do("", command, body, commands.AlreadyRefunded, nil)
		return false
	}
	var joins *period
	for _, of := range e.a.opened() {
		if joins = of; of.n == e.period {
			break
		}
	}
	for _, inv := range e.a.person.invoices {
		switch {
		case inv.a != e.a || inv.period != e.period:
		case inv.note != "":
			l.do("", command, body, commands.AlreadyRefunded, nil)
			return false
		case e.owed > 0 && (inv.state == "CANCELLED" || inv.state == "WRITTEN_OFF"):
			l.do("", command, body, commands.NotRefundable, nil)
			return false
		}
	}
	var less *invoice
	if e.owed > 0 && (joins == nil || joins.n != e.period) {
		less = e.unpaid()
	}
	if less != nil {
		joins = nil
	} else if e.owed > 0 && (joins == nil || joins.certain() < e.owed) {
		l.do("", command, body, commands.NotRefundable, nil)
		return false
	}
	l.do("", command, body, "", nil)
	p := e.a.person
	to := &p.main
	if slices.Contains(p.reserved, e.from) {
		to = &e.from.left
	}
	*to, p.owed = *to+e.main, p.owed-e.owed
	p.shop.earned -= e.net - e.part
	l.platform, l.tax = l.platform-e.part, l.tax-e.tax
	e.taken = true
	if less != nil {
		l.owesLess(less, e)
	}
	for _, o := range e.lines {
		if joins != nil {
			joins.others = append(joins.others, other{charge{-o.net, -o.tax}, o.prepaid})
		}
		if joins == nil || joins.n != e.period {
			e.a.gone[e.period] = e.a.gone[e.period].plus(o.charge)
		}
		if joins != nil && joins.n != e.period {
			e.a.shown[joins.n] = e.a.shown[joins.n].plus(o.charge)
		}
	}
	return true
}

// correct bills usage of a period that is invoiced.
func (l *life) correct(p *person) {
	a := p.active()
	inv := l.anInvoice(p, "ISSUED", "PAID", "PAYMENT_FAILED", "WRITTEN_OFF")
	list := l.some(p.shop, func(t *tariff) bool { return t.adds() && t.model != "volume" })
	if a == nil || inv == nil || inv.a != a || len(list) == 0 {
		return
	}
	of, open := a.periods[inv.period], a.opened()
	happened := of.start.Add(time.Duration(l.rng.Int64N(int64(of.end.Sub(of.start))))).Truncate(time.Second)
	if happened.Before(of.start) {
		happened = of.start
	}
	joins, owed := open[len(open)-1], int64(0)
	for _, q := range list {
		c := p.shop.levy(a.rate(q.tariff), charge{}, q.cost(0, q.units(), q.at))
		joins.others = append(joins.others, other{c, false})
		owed += c.gross()
	}
	p.owed += owed
	l.do("", "CorrectUsage", map[string]any{
		"customerId": l.w.names[p.name], "timestamp": happened, "properties": l.wire(list), "reason": "a queue was stuck",
	}, "", &owed)
}

// item puts a line on the newest open invoice by hand, or a discount.
func (l *life) item(p *person) {
	a := p.active()
	if a == nil {
		return
	}
	open := a.opened()
	of := open[len(open)-1]
	halves, unit := 1+l.rng.Int64N(5), l.rng.Int64N(second)
	if l.rng.IntN(2) == 0 {
		unit = -1 - l.rng.Int64N(1+of.certain())
	}
	c := p.shop.levy(a.rate(nil), charge{}, round(halves*unit, 1, 2))
	want, total := commands.Code(""), c.gross()
	if total < 0 && of.certain()+total < 0 {
		want = commands.InvoiceState
	}
	l.do("", "CreateLineItem", map[string]any{
		"subscriptionId": l.w.names[a.name], "displayName": "By hand", "currency": "USD",
		"quantity": number(fmt.Sprintf("%d.%d", halves/2, 5*(halves%2))), "unitPrice": number(amount(unit)),
	}, want, &total)
	if want == "" {
		p.owed += total
		of.others = append(of.others, other{c, false})
	}
}
