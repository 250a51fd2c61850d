package scenario

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// ask1 asks a question.
func (l *life) ask1(query string, args map[string]any) any {
	l.t.Helper()
	v, err := l.w.query(context.Background(), query, args)
	if err != nil {
		l.t.Fatalf("after %s: %s %v: %v", l.last, query, args, err)
	}
	return v
}

func (l *life) text(v any, path string) string {
	s, ok := at(v, path).(string)
	if !ok {
		l.t.Fatalf("after %s: %s is %v", l.last, path, at(v, path))
	}
	return s
}

// same compares a field of an answer.
func (l *life) same(what string, v any, field string, want any) {
	l.t.Helper()
	got := ""
	if x := at(v, field); x != nil {
		got = fmt.Sprint(x)
	}
	if got != fmt.Sprint(want) {
		l.t.Fatalf("after %s: %s of %s is %v, want %v", l.last, field, what, got, want)
	}
}

// entitlement returns a field of the entitlement that a subscription came with.
func (l *life) entitlement(p *person, a *agreement, field string) any {
	v := l.ask1("ListEntitlements", map[string]any{"customerId": l.w.names[p.name], "subscriptionId": l.w.names[a.name]})
	return at(v, "data.0."+field)
}

// invoice returns a field of an invoice.
func (l *life) invoice(inv *invoice, field string) any {
	list, _ := at(l.ask1("Invoices", map[string]any{"subscriptionId": l.w.names[inv.a.name], "limit": 1000}), "items").([]any)
	for _, v := range list {
		if fmt.Sprint(at(v, "period")) == strconv.Itoa(inv.period) {
			return at(v, field)
		}
	}
	l.t.Fatalf("after %s: there is no invoice of period %d of %s", l.last, inv.period, inv.a.name)
	return nil
}

// checkAll compares everything of all customers for whom the time is that of a shop.
func (l *life) checkAll(s *shop) {
	for _, p := range l.people {
		if p.shop == s || s.clock == "" && p.shop.clock == "" {
			l.actAs(p.shop)
			l.check(p)
		}
	}
}

// check compares everything of a customer.
func (l *life) check(p *person) {
	held := int64(0)
	for _, h := range p.reserved {
		held += h.left
	}
	w := l.ask1("Wallet", map[string]any{"walletId": l.w.names[p.name+"-wallet"]})
	l.same(p.name, w, "balanceNanos", p.main)
	l.same(p.name, w, "heldNanos", held)
	l.same(p.name, w, "usedNanos", -p.owed)
	l.sessions(p)
	for i, a := range p.subs {
		l.invoices(a)
		if i == len(p.subs)-1 {
			l.agreement(a)
		}
	}
}

// agreement compares the state of a subscription and of what it entitles to.
func (l *life) agreement(a *agreement) {
	v := l.ask1("Subscription", map[string]any{"subscriptionId": l.w.names[a.name]})
	switch {
	case !a.ended.IsZero():
		l.same(a.name, v, "status", "terminated")
		l.same(a.name, v, "terminatedAt", a.ended.Format(time.RFC3339))
		return
	case !a.begun:
		l.same(a.name, v, "status", "pending_payment")
		return
	}
	l.same(a.name, v, "status", "active")
	e := l.ask1("ListEntitlements", map[string]any{"customerId": l.w.names[a.person.name], "subscriptionId": l.w.names[a.name]})
	l.same(a.name, e, "data.0.balance", a.units.balance(l.time(a.person.shop)))
	l.same(a.name, e, "data.0.usageInPeriod", a.units.used)
	l.same(a.name, e, "data.0.overage", a.units.overage)
	l.same(a.name, e, "data.0.currentPeriodEnd", a.units.end.Format(time.RFC3339))
}

// sessions compares the sessions that can be paid, and learns their identities.
func (l *life) sessions(p *person) {
	list, _ := at(l.ask1("PaymentSessions", map[string]any{"customerId": l.w.names[p.name], "status": "pending", "limit": 1000}), "items").([]any)
	if len(list) != len(p.sessions) {
		l.t.Fatalf("after %s: %s has %d sessions that can be paid, want %d", l.last, p.name, len(list), len(p.sessions))
	}
	// Charges that are under way together are answered in any order, and what was declined is asked for in that order.
	for _, s := range p.sessions {
		amount := fmt.Sprintf("%d.%02d", s.amount/second, s.amount%second/cent)
		i := max(slices.IndexFunc(list, func(v any) bool { return l.text(v, "entityType") == s.kind && l.text(v, "amount") == amount }), 0)
		l.same(p.name, list[i], "entityType", s.kind)
		l.same(p.name, list[i], "amount", amount)
		s.id = l.text(list[i], "id")
		list = slices.Delete(list, i, i+1)
	}
}

// invoices compares the invoices of a subscription with its usage, rated again.
func (l *life) invoices(a *agreement) {
	list, _ := at(l.ask1("Invoices", map[string]any{"subscriptionId": l.w.names[a.name], "limit": 1000}), "items").([]any)
	if len(list) != len(a.periods) {
		l.t.Fatalf("after %s: %s has %d invoices, want %d", l.last, a.name, len(list), len(a.periods))
	}
	for i, p := range a.periods {
		v, what := list[i], fmt.Sprintf("invoice %d of %s", i, a.name)
		l.same(what, v, "period", i)
		l.same(what, v, "periodStart", p.start.Format(time.RFC3339))
		l.same(what, v, "periodEnd", p.end.Format(time.RFC3339))
		inv := p.invoice
		if inv == nil {
			inv = &invoice{sums: a.settle(p), state: map[bool]string{true: "CLOSING", false: "ACTIVE"}[p.closing]}
		}
		l.same(what, v, "status", inv.state)
		l.same(what, v, "subtotalNanos", inv.net)
		l.same(what, v, "totalTaxNanos", inv.tax)
		if inv.state == "CANCELLED" {
			continue
		}
		l.same(what, v, "paidNanos", inv.paid)
		l.same(what, v, "unpaidNanos", inv.unpaid)
		l.same(what, v, "creditedNanos", inv.credited)
		retry := ""
		if inv.state == "PAYMENT_FAILED" && !inv.retry.IsZero() {
			retry = inv.retry.Format(time.RFC3339)
		}
		l.same(what, v, "nextRetryAt", retry)
	}
}

// statement compares the entries of a wallet with what it holds now: each balance is the one before it and what moved.
func (l *life) statement(p *person) {
	balance := p.main
	for before := int64(0); ; {
		args := map[string]any{"walletId": l.w.names[p.name+"-wallet"], "limit": 500}
		if before > 0 {
			args["before"] = before
		}
		v := l.ask1("Statement", args)
		list, _ := at(v, "entries").([]any)
		for _, e := range list {
			if at(e, "balanceNanos") != nil {
				l.same(fmt.Sprintf("record %v (%v) in the statement of %s", at(e, "sequence"), at(e, "type"), p.name), e, "balanceNanos", balance)
			}
			balance -= l.number(e, "amountNanos")
			before = l.number(e, "sequence")
		}
		if at(v, "more") != true {
			break
		}
	}
	if balance != 0 {
		l.t.Fatalf("the statement of %s begins with %d", p.name, balance)
	}
}

func (l *life) number(v any, path string) int64 {
	n, err := strconv.ParseInt(fmt.Sprint(at(v, path)), 10, 64)
	if err != nil {
		l.t.Fatalf("after %s: %s is %v", l.last, path, at(v, path))
	}
	return n
}

// audit compares what everybody's accounts come to, and checks what must hold of every ledger.
func (l *life) audit() {
	want := map[string]int64{
		"platform-fee": l.platform, "tax-payable": l.tax, "processor-clearing": l.clearing, "rounding": l.rounding,
	}
	for _, p := range l.people {
		l.actAs(p.shop)
		l.check(p)
		l.statement(p)
		want["consumer-main"] += p.main
		want["consumer-usage"] -= p.owed
		want["receivable"] += p.owed
		for _, h := range p.reserved {
			want["reservation-hold"] += h.left
		}
	}
	for _, s := range l.merchants {
		l.actAs(s)
		l.same(s.name, l.ask1("MerchantWallet", map[string]any{"merchantId": l.w.names[s.name]}), "balanceNanos", s.earned)
		want["merchant"] += s.earned
	}
	sum := int64(0)
	for _, n := range want {
		sum += n
	}
	if sum != 0 {
		l.t.Fatalf("the model: its accounts come to %d", sum)
	}
	l.asOperator()
	rows, _ := at(l.ask1("TrialBalance", nil), "rows").([]any)
	for _, r := range rows {
		role := l.text(r, "role")
		l.same("all "+role, r, "balanceNanos", want[role])
		delete(want, role)
	}
	for role, n := range want {
		if n != 0 {
			l.t.Errorf("nothing is known of %s, want %d", role, n)
		}
	}
	if err := l.w.Finish(context.Background()); err != nil {
		l.t.Error(err)
	}
}
