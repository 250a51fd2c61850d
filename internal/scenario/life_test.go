package scenario

import (
	"context"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"tallystick/commands"
	"tallystick/events"
)

var (
	long = flag.Bool("long", false, "the random lives of hundreds of customers, one after another")
	seed = flag.Uint64("seed", 0, "the life to live; 0 draws one, and prints it")
)

// life is a ledger that many customers use at random, with a model of all their money beside it. The model shares
// nothing with the rules: it counts in big.Int, knows the prices, and works out months by itself. It foretells what each command is
// answered with.
type life struct {
	t         testing.TB
	w         *World
	rng       *rand.Rand
	now       time.Time
	merchants []*shop
	people    []*person
	commands  int
	accepted  map[string]int
}

// shop is a merchant: two metrics, the first paid as it is used, the second invoiced.
type shop struct {
	name        string
	fee         int64 // basis points
	plan        string
	instant     string
	accrued     string
	unit, later int64 // nanos of a unit
}

type person struct {
	name     string
	shop     *shop
	taxRate  int64 // thousandths of a percent
	main     *big.Int
	reserved []*hold
	sub      *agreement // the active one
	subs     []*agreement
}

// agreement is a subscription.
type agreement struct {
	name   string
	start  time.Time
	anchor time.Time
	ended  time.Time
	used   map[int]*usage // by period
}

// usage is what a period has come to.
type usage struct{ instant, accrued, units *big.Int }

type hold struct {
	name    string
	sub     *agreement
	left    *big.Int
	uses    int
	expires time.Time
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

func (a *agreement) period(t time.Time) int {
	n := 0
	for !month(a.anchor, n+1).After(t) {
		n++
	}
	return n
}

func (a *agreement) in(n int) *usage {
	if a.used[n] == nil {
		a.used[n] = &usage{new(big.Int), new(big.Int), new(big.Int)}
	}
	return a.used[n]
}

// share returns round(n × parts / whole), half up; n is not negative.
func share(n *big.Int, parts, whole int64) *big.Int {
	v := new(big.Int).Mul(n, big.NewInt(2*parts))
	return v.Add(v, big.NewInt(whole)).Div(v, big.NewInt(2*whole))
}

// taxed returns what net costs on top of what was used before, with its tax.
func (p *person) taxed(before, net *big.Int) *big.Int {
	const whole = 100_000 // thousandths of a percent
	after := new(big.Int).Add(before, net)
	tax := new(big.Int).Sub(share(after, p.taxRate, whole), share(before, p.taxRate, whole))
	return tax.Add(tax, net)
}

// do carries out a command, and fails unless it is answered as foretold.
func (l *life) do(name, command string, body map[string]any, want commands.Code, amount *big.Int) {
	l.t.Helper()
	l.commands++
	receipts, answer, err := l.w.command(context.Background(), command, body)
	if err != nil {
		l.t.Fatalf("%s %v: %v", command, body, err)
	}
	r := receipts[0]
	if r.Code != want {
		l.t.Fatalf("at %s %s %v is answered %q (%s), want %q", l.now, command, body, r.Code, r.Message, want)
	}
	if amount != nil && want == "" && (r.Amount == nil || r.Amount.Big().Cmp(amount) != 0) {
		l.t.Fatalf("at %s %s %v moves %s, want %s", l.now, command, body, r.Amount.Digits(), amount)
	}
	if want == "" {
		l.accepted[command]++
	}
	if v, _ := decode(answer); name != "" {
		if id, ok := at(v, "id").(string); ok {
			l.w.name(name, id)
		}
	}
}

func (l *life) merchant(i int) {
	s := &shop{
		name: fmt.Sprintf("shop%d", i), fee: int64(l.rng.IntN(3)) * 137, plan: fmt.Sprintf("plan%d", i),
		instant: fmt.Sprintf("calls%d", i), accrued: fmt.Sprintf("bytes%d", i), unit: 1 + l.rng.Int64N(30_000_000), later: 1 + l.rng.Int64N(5_000_000),
	}
	l.w.who.Role, l.w.who.Merchant = events.OperatorKey, events.OrganizationID{}
	l.do(s.name, "CreateMerchant", map[string]any{
		"profile": map[string]any{"name": s.name}, "currency": "USD", "settings": map[string]any{"managedPrepaid": true, "feeBasisPoints": s.fee},
	}, "", nil)
	l.actAs(s)
	l.do("product", "CreateProduct", map[string]any{"name": "P", "description": "P"}, "", nil)
	price := func(metric, term string, nanos int64) string {
		l.do(metric, "CreateMetric", map[string]any{
			"productId": l.w.names["product"], "name": metric, "description": "M", "unit": "u", "aggregation": "SUM",
		}, "", nil)
		l.do(metric+"-price", "CreatePrice", map[string]any{
			"billableMetricId": l.w.names[metric], "model": "standard", "paymentTerm": term, "invoiceDisplayName": metric,
			"properties": map[string]any{"unitPrice": events.Nanos(nanos).String()},
		}, "", nil)
		return l.w.names[metric+"-price"]
	}
	prices := []string{price(s.instant, "instant", s.unit), price(s.accrued, "in_arrears", s.later)}
	l.do(s.plan, "CreatePlan", map[string]any{
		"productId": l.w.names["product"], "name": "P", "currency": "USD", "billingCadence": "P1M", "prices": prices,
	}, "", nil)
	l.merchants = append(l.merchants, s)
}

func (l *life) actAs(s *shop) {
	if err := l.w.as(s.name); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) customer(i int) {
	p := &person{name: fmt.Sprintf("person%d", i), shop: l.merchants[i%len(l.merchants)], main: new(big.Int)}
	rates := map[string]any{"default": 0}
	if l.rng.IntN(2) == 0 {
		p.taxRate = 8875
		rates["default"] = 8.875
	}
	l.actAs(p.shop)
	l.do(p.name, "CreateCustomer", map[string]any{
		"consumer": map[string]any{"name": p.name, "email": p.name + "@example.com", "address": map[string]any{"country": "US"}}, "taxRates": rates,
	}, "", nil)
	l.people = append(l.people, p)
	l.subscribe(p)
}

func (l *life) subscribe(p *person) {
	a := &agreement{name: fmt.Sprintf("%s-%d", p.name, len(p.subs)), start: l.now, anchor: l.now.Truncate(time.Hour), used: make(map[int]*usage)}
	l.do(a.name, "CreateSubscription", map[string]any{
		"customerId": l.w.names[p.name], "planId": l.w.names[p.shop.plan], "name": a.name, "startedAt": l.now,
	}, "", nil)
	p.sub = a
	p.subs = append(p.subs, a)
	if len(p.subs) == 1 {
		v, err := l.w.query(context.Background(), "Subscription", map[string]any{"subscriptionId": l.w.names[a.name]})
		if err != nil {
			l.t.Fatal(err)
		}
		l.w.name(p.name+"-wallet", at(v, "walletId").(string))
	}
}

// expire gives back what is left of the reservations whose time is over.
func (l *life) expire(p *person) {
	kept := p.reserved[:0]
	for _, h := range p.reserved {
		if h.expires.After(l.now) {
			kept = append(kept, h)
			continue
		}
		p.main.Add(p.main, h.left)
	}
	p.reserved = kept
}

// live lets one thing happen.
func (l *life) live() {
	p := l.people[l.rng.IntN(len(l.people))]
	l.actAs(p.shop)
	l.expire(p)
	switch n := l.rng.IntN(100); {
	case n < 55:
		l.use(p)
	case n < 70:
		amount := big.NewInt(1 + l.rng.Int64N(50_000_000_000))
		p.main.Add(p.main, amount)
		l.do("", "TopUp", map[string]any{
			"walletId": l.w.names[p.name+"-wallet"], "amount": events.Nanos(amount.Int64()).String(), "method": "sandbox",
		}, "", amount)
	case n < 80:
		l.reserve(p)
	case n < 84:
		l.terminate(p)
	default:
		step := time.Duration(l.rng.Int64N(int64(30 * time.Hour)))
		if l.rng.IntN(12) == 0 {
			step *= 25
		}
		l.now = l.now.Add(step.Truncate(time.Second))
		if err := l.w.at(l.now.Format("2006-01-02 15:04:05")); err != nil {
			l.t.Fatal(err)
		}
	}
}

// use reports usage, of now or somewhat late, paid by the wallet or by a reservation, and sometimes once more.
func (l *life) use(p *person) {
	units, later := l.rng.Int64N(2000), l.rng.Int64N(2000)
	happened := l.now
	if l.rng.IntN(3) == 0 {
		happened = l.now.Add(-time.Duration(l.rng.Int64N(int64(23 * time.Hour)))).Truncate(time.Second)
	}
	var from *hold
	if len(p.reserved) > 0 && l.rng.IntN(2) == 0 {
		from, later = p.reserved[l.rng.IntN(len(p.reserved))], 0
	}
	var properties []map[string]any
	add := func(metric string, quantity int64) {
		if quantity > 0 {
			properties = append(properties, map[string]any{"billableMetricId": l.w.names[metric], "quantity": quantity})
		}
	}
	add(p.shop.instant, units)
	add(p.shop.accrued, later)
	if len(properties) == 0 {
		return
	}
	l.w.reported++
	body := map[string]any{
		"customerId": l.w.names[p.name], "idempotencyKey": fmt.Sprintf("k%d", l.w.reported), "timestamp": happened, "properties": properties,
	}
	if from != nil {
		body["entitlementId"] = l.w.names[from.name]
	}
	if p.sub == nil {
		l.do("", "ReportUsage", body, commands.SubscriptionNotActive, nil)
		return
	}
	if happened.Before(p.sub.start) {
		l.do("", "ReportUsage", body, commands.PeriodClosed, nil)
		return
	}
	u := p.sub.in(p.sub.period(happened))
	net, owed := big.NewInt(units*p.shop.unit), big.NewInt(later*p.shop.later)
	cost, debt := p.taxed(u.instant, net), p.taxed(u.accrued, owed)
	pays, refused := p.main, commands.InsufficientFunds
	if from != nil {
		pays, refused = from.left, commands.ReservationExceeded
	}
	if pays.Cmp(cost) < 0 {
		l.do("", "ReportUsage", body, refused, nil)
		return
	}
	pays.Sub(pays, cost)
	u.instant.Add(u.instant, net)
	u.accrued.Add(u.accrued, owed)
	l.do("", "ReportUsage", body, "", new(big.Int).Add(cost, debt))
	if l.rng.IntN(8) == 0 {
		l.do("", "ReportUsage", body, "", new(big.Int).Add(cost, debt)) // a repeat moves nothing
	}
	if from == nil {
		return
	}
	if from.uses--; from.uses == 0 || from.left.Sign() == 0 {
		p.main.Add(p.main, from.left)
		for i, h := range p.reserved {
			if h == from {
				p.reserved = append(p.reserved[:i], p.reserved[i+1:]...)
				break
			}
		}
	}
}

func (l *life) reserve(p *person) {
	units := l.rng.Int64N(5000)
	h := &hold{name: fmt.Sprintf("hold%d", l.commands), sub: p.sub, uses: 1 + l.rng.IntN(4), expires: l.now.Add(24 * time.Hour)}
	body := map[string]any{
		"customerId": l.w.names[p.name], "maxUses": h.uses,
		"entitlementData": []map[string]any{{"billableMetricId": l.w.names[p.shop.instant], "quantity": units}},
	}
	if p.sub == nil {
		l.do("", "CreateEntitlement", body, commands.SubscriptionNotActive, nil)
		return
	}
	h.left = p.taxed(p.sub.in(p.sub.period(l.now)).instant, big.NewInt(units*p.shop.unit))
	if p.main.Cmp(h.left) < 0 {
		l.do("", "CreateEntitlement", body, commands.InsufficientFunds, nil)
		return
	}
	p.main.Sub(p.main, h.left)
	l.do(h.name, "CreateEntitlement", body, "", h.left)
	p.reserved = append(p.reserved, h)
}

// terminate ends a person's subscription, or begins another one.
func (l *life) terminate(p *person) {
	if p.sub == nil {
		l.subscribe(p)
		return
	}
	l.do("", "TerminateSubscription", map[string]any{"subscriptionId": l.w.names[p.sub.name], "reason": "moved away"}, "", nil)
	p.sub.ended = l.now
	p.sub = nil
	for _, h := range p.reserved {
		p.main.Add(p.main, h.left)
	}
	p.reserved = nil
}

// audit compares the ledger with the model: every wallet, every invoice, and what the platform has earned.
func (l *life) audit() {
	ctx, fees := context.Background(), new(big.Int)
	sum := func(v any, path string) *big.Int {
		n, ok := new(big.Int).SetString(fmt.Sprint(at(v, path)), 10)
		if !ok {
			l.t.Fatalf("%s is %v", path, at(v, path))
		}
		return n
	}
	for _, p := range l.people {
		l.actAs(p.shop)
		l.expire(p)
		held, owed := new(big.Int), new(big.Int)
		for _, h := range p.reserved {
			held.Add(held, h.left)
		}
		for _, a := range p.subs {
			l.invoices(p, a, owed, fees)
		}
		w, err := l.w.query(ctx, "Wallet", map[string]any{"walletId": l.w.names[p.name+"-wallet"]})
		if err != nil {
			l.t.Fatal(err)
		}
		for field, want := range map[string]*big.Int{"balanceNanos": p.main, "heldNanos": held, "usedNanos": owed.Neg(owed)} {
			if got := sum(w, field); got.Cmp(want) != 0 {
				l.t.Errorf("%s of %s is %s, want %s", field, p.name, got, want)
			}
		}
	}
	l.w.who.Role, l.w.who.Merchant = events.OperatorKey, events.OrganizationID{}
	tb, err := l.w.query(ctx, "TrialBalance", nil)
	if err != nil {
		l.t.Fatal(err)
	}
	rows, _ := at(tb, "rows").([]any)
	got := new(big.Int)
	for _, r := range rows {
		if at(r, "role") == "platform-fee" {
			got = sum(r, "balanceNanos")
		}
	}
	if got.Cmp(fees) != 0 {
		l.t.Errorf("the platform has earned %s, want %s", got, fees)
	}
	if err := l.w.Finish(ctx); err != nil {
		l.t.Error(err)
	}
}

// invoices compares the invoices of a subscription with its usage, rated again.
func (l *life) invoices(p *person, a *agreement, owed, fees *big.Int) {
	v, err := l.w.query(context.Background(), "Invoices", map[string]any{"subscriptionId": l.w.names[a.name], "limit": 1000})
	if err != nil {
		l.t.Fatal(err)
	}
	list, _ := at(v, "items").([]any)
	seen := 0
	for n, u := range a.used {
		net := new(big.Int).Add(u.instant, u.accrued)
		gross := new(big.Int).Add(p.taxed(new(big.Int), u.instant), p.taxed(new(big.Int), u.accrued))
		owed.Add(owed, p.taxed(new(big.Int), u.accrued))
		fees.Add(fees, share(u.instant, p.shop.fee, 10_000))
		for _, inv := range list {
			if fmt.Sprint(at(inv, "period")) != fmt.Sprint(n) {
				continue
			}
			seen++
			if fmt.Sprint(at(inv, "subtotalNanos")) != net.String() || fmt.Sprint(at(inv, "totalNanos")) != gross.String() {
				l.t.Errorf("invoice %d of %s comes to %v and %v, want %s and %s", n, a.name, at(inv, "subtotalNanos"), at(inv, "totalNanos"), net, gross)
			}
			want := month(a.anchor, n+1)
			if !a.ended.IsZero() && a.ended.Before(want) {
				want = a.ended
			}
			if end, _ := at(inv, "periodEnd").(string); end != want.Format(time.RFC3339) {
				l.t.Errorf("invoice %d of %s ends at %s, want %s", n, a.name, end, want.Format(time.RFC3339))
			}
		}
	}
	if seen != len(a.used) {
		l.t.Errorf("%s has usage in %d periods, and %d invoices for them", a.name, len(a.used), seen)
	}
}

// TestLife lets many customers live at random: usage, repeated and late, top-ups, reservations, terminations, and time that goes by.
// Each answer must be what a model of their money foretells, and in the end everything that must hold of every ledger.
func TestLife(t *testing.T) {
	lives, people, steps := 1, 12, 400
	if *long {
		lives, people, steps = 20, 300, 5000 // make life
	}
	for range lives {
		s := *seed
		if s == 0 {
			s = rand.Uint64() //nolint:forbidigo // it is printed, and can be given
		}
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			t.Logf("live it again with -run TestLife -seed %d", s)
			w, err := NewWorld(t.Context(), filepath.Join(t.TempDir(), "ledger"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := w.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			l := &life{t: t, w: w, rng: rand.New(rand.NewPCG(s, 1)), now: begin, accepted: make(map[string]int)}
			for i := range 3 {
				l.merchant(i)
			}
			for i := range people {
				l.customer(i)
			}
			for range steps {
				l.live()
			}
			l.audit()
			t.Logf("%d commands until %s; accepted: %v", l.commands, l.now.Format(time.DateOnly), l.accepted)
		})
	}
}
