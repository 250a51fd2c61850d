package scenario

import (
	"slices"
	"time"
)

// pays reports whether the stored card of somebody pays; present says whether somebody is there.
func (p *person) pays(present bool) bool {
	return p.cards[len(p.cards)-1] != "tok_fails_later" || present
}

// cents returns what an invoice leaves to pay, in cents, rounded half up.
func (inv *invoice) cents() int64 { return (inv.unpaid + cent/2) / cent * cent }

// collect issues an invoice, and asks for what it leaves to pay.
func (l *life) collect(inv *invoice, at time.Time) {
	p := inv.a.person
	p.shop.numbers++
	inv.state, inv.born = "ISSUED", l.next()
	switch {
	case inv.unpaid < 0:
		l.t.Fatalf("the model: invoice %d of %s leaves %d to pay", inv.period, inv.a.name, inv.unpaid)
	case inv.unpaid == 0:
		inv.state = "PAID"
	case inv.cents() == 0:
		l.rounding -= inv.unpaid
		l.paid(inv)
	case inv.a.auto && inv.cents() < least && p.main >= inv.unpaid:
		p.main -= inv.unpaid
		l.paid(inv)
	case inv.a.auto && len(p.cards) > 0:
		l.charge(inv, at)
	default:
		l.link(inv)
	}
}

// link opens a session for what an invoice leaves to pay.
func (l *life) link(inv *invoice) {
	inv.session = &session{kind: "invoice", a: inv.a, invoice: inv, amount: max(inv.cents(), least), pays: inv.cents()}
	l.ask(inv.a.person, inv.session)
}

// owesLess lets an invoice leave less to pay, by a usage event that was taken back. The session for it asks for what is left.
func (l *life) owesLess(inv *invoice, e *used) {
	inv.unpaid, inv.unpaidTax, inv.credited = inv.unpaid-e.owed, inv.unpaidTax-e.owedTax, inv.credited+e.owed
	l.accepted["(less to pay)"]++
	if inv.cents() == 0 {
		l.rounding -= inv.unpaid
		l.paid(inv)
		return
	}
	p := inv.a.person
	if s := inv.session; slices.Contains(p.sessions, s) && s.pays != inv.cents() {
		p.close(s)
		l.link(inv)
	}
}

// paid settles an invoice whose money has come.
func (l *life) paid(inv *invoice) {
	p := inv.a.person
	net := inv.unpaid - inv.unpaidTax
	part := p.shop.platform(inv.instant, net)
	p.owed -= inv.unpaid
	p.shop.earned += net - part
	l.platform, l.tax = l.platform+part, l.tax+inv.unpaidTax
	inv.state, inv.retry, inv.paid, inv.unpaid = "PAID", time.Time{}, inv.paid+inv.unpaid, 0
	if inv.session != nil {
		p.close(inv.session)
	}
}

// provided settles an invoice with money from the provider: the cents are paid, what the provider takes at least goes to the wallet.
func (l *life) provided(inv *invoice) {
	amount := max(inv.cents(), least)
	l.clearing -= amount
	inv.a.person.main += amount - inv.cents()
	l.rounding += inv.cents() - inv.unpaid
	l.paid(inv)
}

// charge charges an invoice with the stored card.
func (l *life) charge(inv *invoice, at time.Time) {
	if inv.a.person.pays(false) {
		l.provided(inv)
		return
	}
	l.declined(inv, at)
}

// declined notes that an invoice was not paid with the stored card, and when that is tried again.
func (l *life) declined(inv *invoice, at time.Time) {
	days := inv.a.person.shop.retries
	inv.attempts++
	inv.state, inv.retry = "PAYMENT_FAILED", time.Time{}
	if inv.attempts <= len(days) {
		inv.retry = at.Add(time.Duration(days[inv.attempts-1]) * 24 * time.Hour)
	}
	if inv.session == nil {
		l.link(inv)
	}
}

func (l *life) retry(inv *invoice, at time.Time) {
	if inv.a.auto && len(inv.a.person.cards) > 0 {
		l.charge(inv, at)
		return
	}
	l.declined(inv, at)
}

// pay pays a session with a card, or tries to.
func (l *life) pay(p *person) {
	if len(p.sessions) == 0 {
		return
	}
	s := p.sessions[l.rng.IntN(len(p.sessions))]
	card := []string{"tok_visa", "tok_visa", "tok_fails_later", "tok_declined"}[l.rng.IntN(4)]
	l.do("", "PaySession", map[string]any{"paymentSessionId": s.id, "token": card}, "", nil)
	if card == "tok_declined" {
		l.refused(p, s)
		return
	}
	p.close(s)
	if s.kind != "topup" && s.a.auto {
		p.cards = append(p.cards, card)
	}
	l.completed(p, s)
}

// completed follows from a session having been paid.
func (l *life) completed(p *person, s *session) {
	if s.kind == "invoice" {
		l.provided(s.invoice)
		return
	}
	l.topUp(p, s.amount)
	if s.buys != nil {
		l.sold(s.a, s.buys, s.price)
		return
	}
	switch {
	case s.a.checkout == s:
		l.begin(s.a)
		l.until(p.shop, l.time(p.shop)) // its first period may be over by then: it ends with the plan's anchor
	case s.a.ended.IsZero():
		l.takeOpen(s.a)
	}
}

// refused notes that a card was declined for a session. After the fifth it is over.
func (l *life) refused(p *person, s *session) {
	if s.invoice != nil {
		s.invoice.state = "PAYMENT_FAILED"
	}
	if s.declined++; s.declined < 5 && (s.kind == "invoice" || s.a.ended.IsZero()) {
		return
	}
	l.expire(p, s, l.time(p.shop))
}

// payInvoice asks for the money of an invoice once more.
func (l *life) payInvoice(p *person) {
	inv := l.anInvoice(p, "ISSUED", "PAYMENT_FAILED")
	if inv == nil {
		return
	}
	body := map[string]any{"invoiceId": l.invoice(inv, "id"), "method": "stored"}
	if l.rng.IntN(2) == 0 {
		body["method"] = "session"
		l.do("", "PayInvoice", body, "", nil)
		if !slices.Contains(p.sessions, inv.session) {
			l.link(inv)
		}
		return
	}
	if len(p.cards) == 0 {
		l.do("", "PayInvoice", body, "NO_PAYMENT_METHOD", nil)
		return
	}
	l.do("", "PayInvoice", body, "", nil)
	l.charge(inv, l.time(p.shop))
}

// anInvoice returns an invoice in one of the states, or nil.
func (l *life) anInvoice(p *person, states ...string) *invoice {
	var list []*invoice
	for _, inv := range p.invoices {
		if slices.Contains(states, inv.state) {
			list = append(list, inv)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[l.rng.IntN(len(list))]
}

// judge lets a merchant approve or cancel a draft, or write an invoice off.
func (l *life) judge(p *person) {
	inv := l.anInvoice(p, "DRAFT", "ISSUED", "PAYMENT_FAILED")
	if inv == nil || inv.state != "DRAFT" && l.rng.IntN(2) == 0 {
		return
	}
	body := map[string]any{"invoiceId": l.invoice(inv, "id")}
	switch {
	case inv.state != "DRAFT":
		l.do("", "WriteOffInvoice", body, "", nil)
		p.owed -= inv.unpaid
		inv.state = "WRITTEN_OFF"
		if inv.session != nil {
			p.close(inv.session)
		}
	case l.rng.IntN(4) > 0:
		l.do("", "ApproveInvoice", body, "", nil)
		l.collect(inv, l.time(p.shop))
	case inv.paid != 0:
		l.do("", "CancelInvoice", body, "INVOICE_STATE", nil)
	default:
		l.do("", "CancelInvoice", body, "", nil)
		p.owed -= inv.unpaid
		inv.state = "CANCELLED"
	}
}

// credit refunds a paid invoice, or takes that back.
func (l *life) credit(p *person) {
	inv := l.anInvoice(p, "PAID")
	if inv == nil {
		return
	}
	body := map[string]any{"invoiceId": l.invoice(inv, "id")}
	due := inv.plus(inv.a.shown[inv.period])
	due = charge{due.net - inv.a.gone[inv.period].net, due.tax - inv.a.gone[inv.period].tax}
	switch total := due.gross(); {
	case inv.note != "" && l.rng.IntN(2) == 0:
		l.do("", "RefundInvoice", body, "ALREADY_REFUNDED", nil)
	case inv.note != "":
		body["refundId"] = l.w.names[inv.note]
		if p.main < inv.credit.gross() {
			l.do("", "VoidInvoiceRefund", body, "INSUFFICIENT_FUNDS", nil)
			return
		}
		l.do("", "VoidInvoiceRefund", body, "", nil)
		l.giveBack(p, charge{-inv.credit.net, -inv.credit.tax})
		inv.note = ""
	case total <= 0:
		l.do("", "RefundInvoice", body, "INVOICE_STATE", nil)
	default:
		inv.note = "note" + l.fresh()
		l.do(inv.note, "RefundInvoice", body, "", &total)
		inv.credit = due
		l.giveBack(p, due)
	}
}

// giveBack moves money from the merchant and the tax to the wallet.
func (l *life) giveBack(p *person, c charge) {
	p.main += c.gross()
	p.shop.earned -= c.net
	l.tax -= c.tax
}
