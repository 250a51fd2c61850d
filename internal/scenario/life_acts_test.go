package scenario

import (
	"maps"
	"slices"
	"time"

	"tallystick/commands"
	"tallystick/events"
)

// amount is nanos as people write them.
func amount(n int64) string { return events.Nanos(n).String() }

// property is one metric's part of a report of usage, and what it comes to.
type property struct {
	*tariff
	quantity, at int64
}

func (q property) units() int64 {
	if q.aggregation == "COUNT" {
		return 1
	}
	return q.quantity
}

// wire returns properties as they are sent.
func (l *life) wire(list []property) (sent []map[string]any) {
	for _, q := range list {
		m := map[string]any{"billableMetricId": l.w.names[q.name], "quantity": q.quantity}
		if q.model == "dynamic" || q.model == "percentage" {
			m["price"] = amount(q.at)
		}
		sent = append(sent, m)
	}
	return sent
}

// some draws usage of some of the tariffs that fit, each at most once.
func (l *life) some(s *shop, fit func(*tariff) bool) (list []property) {
	for _, i := range l.rng.Perm(len(s.tariffs)) {
		t := s.tariffs[i]
		if len(list) == 3 || !fit(t) || l.rng.IntN(2) == 0 {
			continue
		}
		q := property{tariff: t, quantity: 1 + l.rng.Int64N(60)}
		switch t.model {
		case "dynamic":
			q.at = t.low + l.rng.Int64N(t.high-t.low+1)
		case "percentage":
			q.at = l.rng.Int64N(3*t.high*10_000/t.percentage/q.quantity + 1) // two thirds are below the highest charge
		}
		list = append(list, q)
	}
	return list
}

// use reports usage, of now or late, paid by the wallet or by a reservation, and sometimes once more.
func (l *life) use(p *person) {
	now := l.time(p.shop)
	happened := now
	switch l.rng.IntN(6) {
	case 0, 1:
		happened = now.Add(-time.Duration(l.rng.Int64N(int64(30 * time.Hour)))).Truncate(time.Second)
	case 2:
		happened = now.Add(time.Duration(l.rng.IntN(6*60)) * time.Second)
	}
	var from *hold
	if len(p.reserved) > 0 && l.rng.IntN(2) == 0 {
		from = p.reserved[l.rng.IntN(len(p.reserved))]
	}
	list := l.some(p.shop, func(t *tariff) bool { return from == nil || from.metrics[t] })
	if len(list) == 0 {
		return
	}
	name := "use" + l.fresh()
	body := map[string]any{
		"customerId": l.w.names[p.name], "idempotencyKey": name, "timestamp": happened, "properties": l.wire(list),
	}
	if from != nil {
		body["entitlementId"] = l.w.names[from.name]
	}
	a := p.active()
	if a == nil {
		l.do("", "ReportUsage", body, commands.SubscriptionNotActive, nil)
		return
	}
	of := a.at(happened)
	switch {
	case happened.After(now.Add(5 * time.Minute)):
		l.do("", "ReportUsage", body, commands.TimestampInFuture, nil)
	case of == nil || !a.ending.IsZero() && !happened.Before(a.ending):
		l.do("", "ReportUsage", body, commands.PeriodClosed, nil)
	case from == nil && l.rng.IntN(6) == 0 && l.early(a, of, list, name, happened):
	default:
		l.used(a, of, from, list, name, happened, func(want commands.Code, total *int64) {
			l.do(name, "ReportUsage", body, want, total)
			if want == "" {
				l.balance(p.main)
			}
		})
	}
}

// early is usage that was an event before anybody was the customer whom it names, if it can be one: of one metric, without a price. What
// the wallet does not hold enough for is discarded in the end.
func (l *life) early(a *agreement, of *period, list []property, name string, happened time.Time) bool {
	list = list[:1]
	if q := list[0]; q.model == "dynamic" || q.model == "percentage" || happened.After(l.time(a.person.shop)) {
		return false
	}
	body := map[string]any{
		"type": list[0].name, "source": "life", "externalSubject": name, "idempotencyKey": name, "timestamp": happened,
		"data": map[string]any{"n": list[0].quantity},
	}
	for range 1 + l.rng.IntN(2) { // the second repeats the first
		l.do("", "IngestEvent", body, "", nil)
	}
	identify := func() {
		l.do("", "UpdateCustomer", map[string]any{"customerId": l.w.names[a.person.name], "externalId": name}, "", nil)
	}
	l.used(a, of, nil, list, name, happened, func(want commands.Code, _ *int64) {
		switch {
		case want != "":
			identify()
			l.do("", "DiscardEvents", map[string]any{"externalSubject": name}, "", nil)
		case l.w.names[name] == "":
			identify()
			l.w.name(name, l.billedLast().String())
		default:
			l.do("", "IngestEvent", body, "", nil)
		}
	})
	return true
}

// billedLast returns the newest usage event.
func (l *life) billedLast() events.UsageID {
	for seq := l.w.server.Log.Durable(); seq > 0; seq-- {
		rec, err := l.w.server.Log.Record(seq)
		if err != nil {
			l.t.Fatal(err)
		}
		if _, ok := rec.Event.(*events.UsageReported); ok {
			return events.Derive[events.UsageNoun](rec.Command, 0)
		}
	}
	l.t.Fatalf("%s: nothing is billed", l.last)
	return events.UsageID{}
}

// used is usage that is accepted, if what pays for it holds enough. It is reported by send, which is told how it is answered.
func (l *life) used(a *agreement, of *period, from *hold, list []property, name string, happened time.Time, send func(commands.Code, *int64)) {
	p, s := a.person, a.person.shop
	e := &used{name: name, a: a, period: of.n, from: from}
	costs, free := make([]charge, len(list)), make([]int64, len(list))
	for i, q := range list {
		switch {
		case q.discounted && s.soft:
			free[i] = min(q.units(), a.units.balance(l.time(s)))
		case q.discounted:
			free[i] = q.units()
		}
		before := of.lines[q.tariff]
		if before == nil {
			before = new(usageLine)
		}
		if q.adds() {
			costs[i] = s.levy(a.rate(q.tariff), before.charge, q.cost(before.units, q.units()-free[i], q.at))
		}
		if q.instant {
			e.main, e.net, e.tax = e.main+costs[i].gross(), e.net+costs[i].net, e.tax+costs[i].tax
		} else {
			e.owed, e.owedTax = e.owed+costs[i].gross(), e.owedTax+costs[i].tax
		}
		e.lines = append(e.lines, other{costs[i], q.instant})
	}
	pays, refused := &p.main, commands.InsufficientFunds
	if from != nil {
		pays, refused = &from.left, commands.ReservationExceeded
	}
	if *pays < e.main {
		send(refused, nil)
		return
	}
	*pays -= e.main
	total := e.main + e.owed
	send("", &total)
	if l.rng.IntN(8) == 0 {
		send("", &total) // a repeat moves nothing
	}
	e.part = s.platform(of.instant, e.net)
	of.instant += e.net
	p.owed += e.owed
	s.earned += e.net - e.part
	l.platform, l.tax = l.platform+e.part, l.tax+e.tax
	for i, q := range list {
		if of.lines[q.tariff] == nil {
			of.lines[q.tariff] = new(usageLine)
		}
		at := of.lines[q.tariff]
		at.charge, at.units, at.count = at.plus(costs[i]), at.units+q.units()-free[i], at.count+1
		at.reports = append(at.reports, report{q.quantity, happened})
		if q.featured {
			a.units.burn(q.units(), l.time(s))
		}
	}
	p.events = append(p.events, e)
	if from != nil {
		if from.uses--; from.uses == 0 || from.left == 0 {
			l.release(p, from)
		}
	}
}

// reserve sets money aside for usage to come.
func (l *life) reserve(p *person) {
	list := l.some(p.shop, func(t *tariff) bool { return t.instant })
	if len(list) == 0 {
		return
	}
	h := &hold{
		name: "hold" + l.fresh(), a: p.active(), metrics: make(map[*tariff]bool), uses: 1 + l.rng.IntN(4),
		expires: l.time(p.shop).Add(24 * time.Hour),
	}
	body := map[string]any{"customerId": l.w.names[p.name], "maxUses": h.uses}
	for i := range list {
		list[i].quantity *= l.rng.Int64N(4)
		h.metrics[list[i].tariff] = true
	}
	body["entitlementData"] = l.wire(list)
	if h.a == nil {
		l.do("", "CreateEntitlement", body, commands.SubscriptionNotActive, nil)
		return
	}
	of := h.a.at(l.time(p.shop))
	for _, q := range list {
		before := of.lines[q.tariff]
		if before == nil {
			before = new(usageLine)
		}
		h.left += p.shop.levy(h.a.rate(q.tariff), before.charge, q.cost(before.units, q.quantity, q.at)).gross()
	}
	if p.main < h.left {
		l.do("", "CreateEntitlement", body, commands.InsufficientFunds, nil)
		return
	}
	p.main -= h.left
	l.do(h.name, "CreateEntitlement", body, "", &h.left)
	h.born = l.next()
	p.reserved = append(p.reserved, h)
}

// subscribe begins a subscription, which may have something to be paid first.
func (l *life) subscribe(p *person) {
	now := l.time(p.shop)
	a := &agreement{
		name: p.name + "-" + l.fresh(), person: p, start: now,
		exempt: l.rng.IntN(8) == 0, auto: l.rng.IntN(2) == 0, gone: make(map[int]charge), shown: make(map[int]charge),
	}
	a.anchored()
	body := map[string]any{
		"customerId": l.w.names[p.name], "planId": l.w.names[p.shop.name+"-plan"], "name": a.name, "startedAt": now,
		"autoCharge": a.auto, "taxExempt": a.exempt, "sessionExpiryMinutes": 600,
	}
	if l.rng.IntN(3) == 0 {
		a.minimum = (1 + l.rng.Int64N(2000)) * cent
		body["minimumAccountBalance"] = amount(a.minimum)
	}
	if l.rng.IntN(4) == 0 {
		a.ending = now.Add(time.Duration(1+l.rng.IntN(70*24)) * time.Hour)
		body["endingAt"] = a.ending
	}
	if p.shop.clock != "" {
		body["testClockId"] = l.w.names[p.shop.clock]
	}
	fees, lacks := int64(0), int64(0)
	for _, q := range a.quote(0, now) {
		if q.advance {
			a.upfront = append(a.upfront, q)
			fees += q.gross()
		}
	}
	if p.main < a.minimum {
		lacks = up(a.minimum - p.main)
	}
	l.do(a.name, "CreateSubscription", body, "", nil)
	a.born = l.next()
	p.subs = append(p.subs, a)
	s := &session{kind: "subscription", a: a, amount: up((fees+cent-1)/cent*cent + lacks), expires: now.Add(10 * time.Hour)}
	if s.amount == 0 {
		l.begin(a)
		return
	}
	a.checkout, a.latest = s, s
	l.ask(p, s)
	if a.auto && len(p.cards) > 0 {
		if !p.pays(false) {
			l.refused(p, s)
			return
		}
		p.close(s)
		l.completed(p, s)
	}
}

// leave ends a person's subscription, or begins another one.
func (l *life) leave(p *person) {
	a := p.current()
	if a == nil {
		l.subscribe(p)
		return
	}
	l.do("", "TerminateSubscription", map[string]any{"subscriptionId": l.w.names[a.name], "reason": "moved away"}, "", nil)
	l.end(a, l.time(p.shop))
}

// card stores another card, which later charges go to.
func (l *life) card(p *person) {
	name := "setup" + l.fresh()
	card := []string{"tok_visa", "tok_fails_later"}[l.rng.IntN(2)]
	l.do(name, "SetupPaymentMethod", map[string]any{"customerId": l.w.names[p.name]}, "", nil)
	l.do("", "PaySession", map[string]any{"paymentSessionId": l.w.names[name], "token": card}, "", nil)
	p.cards = append(p.cards, card)
}

// fund adds money to a wallet.
func (l *life) fund(p *person) {
	n := 1 + l.rng.Int64N(20*second)
	p.main += n
	l.clearing -= n
	l.do("", "TopUp", map[string]any{"walletId": l.w.names[p.name+"-wallet"], "amount": amount(n), "method": "sandbox"}, "", &n)
	l.balance(p.main)
}

// pass lets time go by: some hours, weeks, or just until the next thing falls due, or a second less.
func (l *life) pass(s *shop) {
	now := l.time(s)
	step := time.Duration(l.rng.Int64N(int64(30 * time.Hour))).Truncate(time.Second)
	if l.rng.IntN(10) == 0 {
		step *= 25
	}
	to := now.Add(step)
	if next := l.soonest(s.clock, now.Add(31*24*time.Hour)); l.rng.IntN(2) == 0 {
		if to = next; l.rng.IntN(3) == 0 {
			to = next.Add(-time.Second)
		}
	}
	if !to.After(now) {
		return
	}
	if s.clock != "" {
		l.until(s, to)
		l.do("", "AdvanceTestClock", map[string]any{"testClockId": l.w.names[s.clock], "currentTime": to}, "", nil)
		return
	}
	// Charges are made in real time, whatever falls due meanwhile. So it goes by from one thing that falls due to the next.
	for l.now.Before(to) {
		l.now = l.soonest("", to)
		if !l.now.After(now) {
			l.t.Fatalf("the model: something has fallen due before %s", now)
		}
		now = l.now
		for _, s := range l.merchants {
			if s.clock == "" {
				l.until(s, l.now)
			}
		}
		if err := l.w.at(l.now.Format("2006-01-02 15:04:05")); err != nil {
			l.t.Fatal(err)
		}
	}
}

// act is something that happens to a person, so often.
type act struct {
	often int
	do    func(p *person)
}

func (l *life) acts() []act {
	return []act{
		{38, l.use},
		{12, l.fund},
		{8, l.reserve},
		{6, l.takeBack},
		{3, l.correct},
		{3, l.item},
		{7, l.pay},
		{2, l.payInvoice},
		{3, l.judge},
		{3, l.credit},
		{2, l.card},
		{4, l.grant},
		{4, l.buy},
		{2, l.leave},
		{5, func(p *person) {
			if len(p.reserved) > 1 { // all are given back at once
				l.leave(p)
			}
		}},
	}
}

// live lets one thing happen.
func (l *life) live() {
	s := l.merchants[l.rng.IntN(len(l.merchants))]
	l.actAs(s)
	if l.rng.IntN(max(6, len(l.people)/4)) == 0 {
		l.pass(s)
		l.checkAll(s)
		return
	}
	p := l.people[l.rng.IntN(len(l.people))]
	l.actAs(p.shop)
	l.act(p)
	l.check(p)
}

// act does something at random. Whoever is subscribed to nothing mostly begins a subscription, or pays for it: there is little to do
// without one.
func (l *life) act(p *person) {
	if p.active() == nil && l.rng.IntN(8) > 0 {
		if p.current() == nil {
			l.subscribe(p)
		} else {
			l.pay(p)
		}
		return
	}
	acts, total := l.acts(), 0
	for _, a := range acts {
		total += a.often
	}
	n := l.rng.IntN(total)
	for _, a := range acts {
		if n -= a.often; n < 0 {
			a.do(p)
			return
		}
	}
}

// named returns the metrics that have a rate of their own, in order.
func named(rates map[*tariff]int64) []*tariff {
	return slices.SortedFunc(maps.Keys(rates), func(t, u *tariff) int { return slices.Compare([]byte(t.name), []byte(u.name)) })
}
