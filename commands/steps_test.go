package commands

import (
	"tallystick/events"
)

// just carries out a command as the world's actor.
func just(cmd Command) step {
	return func(w *world) *Request {
		r := w.request(cmd)
		return &r
	}
}

// under carries out a step under an idempotency key.
func under(key string, s step) step {
	return func(w *world) *Request {
		r := keyed(key, *s(w))
		return &r
	}
}

// at sets the real time, and lets what is due happen.
func at(time string) step {
	return func(w *world) *Request {
		w.now = instantOf(time)
		w.settle()
		return nil
	}
}

// as makes a merchant the one who acts.
func as(merchant string) step {
	return func(w *world) *Request {
		w.operator, w.merchant = false, id[events.OrganizationNoun](w, merchant)
		return nil
	}
}

// byOperator carries out a step in the operator's name.
func byOperator(s step) step {
	return func(w *world) *Request {
		w.operator = true
		defer func() { w.operator = false }()
		return s(w)
	}
}

// tampered records what follows from a step in another form than the rules gave it, as a fault in them would.
func tampered(s step, change func(events.Event) events.Event) step {
	return func(w *world) *Request {
		w.t.Helper()
		r := s(w)
		w.seq.tick()
		c := Context{Now: w.seq.now, ID: w.seq.newID(), Merchant: r.Merchant, Actor: r.Actor}
		if rejection := w.seq.decide(c, r.Command); rejection != nil {
			w.t.Fatal(rejection)
		}
		for i, d := range w.seq.dec.drafts {
			w.seq.dec.drafts[i].event = change(d.event)
		}
		w.seq.mustRecord(c)
		w.settle()
		return nil
	}
}

// joinBroken makes a subscription whose periods the rules cannot compute.
func joinBroken(name, customer, plan string) step {
	return tampered(join(name, customer, plan, terms{}), func(e events.Event) events.Event {
		if e, ok := e.(events.SubscriptionCreated); ok {
			e.Cadence = "P1D"
			return e
		}
		return e
	})
}

// merchant makes a merchant, who acts from now on.
func merchant(name string, s events.Settings) step {
	return func(w *world) *Request {
		w.t.Helper()
		w.named(name, 0)
		w.named(name+"-wallet", 1)
		w.merchant = events.OrganizationID{}
		w.do(byOperator(just(CreateMerchant{Profile: events.Profile{Name: name}, Settings: s, Currency: usd})), as(name))
		return nil
	}
}

// tariff is a metric, and its price.
type tariff struct {
	metric      string
	price       string // of a unit
	term        events.Term
	aggregation events.Aggregation
}

func instantSum(metric, price string) tariff {
	return tariff{metric, price, events.Instant, events.AggregateSum}
}

func arrearsSum(metric, price string) tariff {
	return tariff{metric, price, events.InArrears, events.AggregateSum}
}

func arrearsCount(metric, price string) tariff {
	return tariff{metric, price, events.InArrears, events.AggregateCount}
}

// product makes a product.
func product(name string) step {
	return func(w *world) *Request {
		w.named(name, 0)
		return just(CreateProduct{Name: name, Description: "A product"})(w)
	}
}

// plan makes a plan of a product, in dollars, with its metrics and their prices.
func plan(name, product string, tariffs ...tariff) step {
	return planIn(usd, name, product, tariffs...)
}

func planIn(currency events.Currency, name, product string, tariffs ...tariff) step {
	return func(w *world) *Request {
		w.t.Helper()
		cmd := CreatePlan{Product: id[events.ProductNoun](w, product), Name: name, Currency: currency, Cadence: events.Monthly}
		for _, t := range tariffs {
			if _, ok := w.ids[t.metric]; !ok {
				w.named(t.metric, 0)
				w.do(just(CreateMetric{Product: cmd.Product, Name: t.metric, Description: "A metric", Unit: "unit", Aggregation: t.aggregation}))
			}
			w.named(name+"-"+t.metric+"-price", 0)
			w.do(just(CreatePrice{
				Metric: id[events.MetricNoun](w, t.metric), Model: events.Standard, Term: t.term, DisplayName: t.metric, UnitPrice: nanosOf(t.price),
			}))
			cmd.Prices = append(cmd.Prices, id[events.PriceNoun](w, name+"-"+t.metric+"-price"))
		}
		w.named(name, 0)
		return just(cmd)(w)
	}
}

// customer makes a customer, with a consumer and its wallet.
func customer(name string) step {
	return func(w *world) *Request {
		w.named(name, 0)
		w.named(name+"-wallet", 1)
		w.ids[name+"-org"] = orgOf(name)
		return just(CreateCustomer{
			Candidate: orgOf(name), Email: digestOf(name), Profile: sealedFor(orgOf(name), "name"),
			External: digestOf(name + "-external"), Details: sealedFor(orgOf(name), "details"),
		})(w)
	}
}

// consumer makes a consumer with its wallet, and no customer.
func consumer(name string) step {
	return func(w *world) *Request {
		w.named(name+"-wallet", 1)
		w.ids[name+"-org"] = orgOf(name)
		return just(CreateConsumer{Candidate: orgOf(name), Email: digestOf(name), Profile: sealedFor(orgOf(name), "name"), Region: "DE"})(w)
	}
}

// fund adds dollars to a customer's wallet.
func fund(customer, amount string) step {
	return func(w *world) *Request {
		return just(TopUp{Wallet: id[events.WalletNoun](w, customer+"-wallet"), Amount: nanosOf(amount), Method: "sandbox"})(w)
	}
}

// terms are what a subscription may have besides a customer and a plan.
type terms struct{ started, ending, clock string }

// join makes a subscription. Without terms it starts now.
func join(name, customer, plan string, t terms) step {
	return func(w *world) *Request {
		cmd := CreateSubscription{
			Customer: id[events.CustomerNoun](w, customer), Plan: id[events.PlanNoun](w, plan),
			Name: sealedFor(orgOf(customer), "name"), StartedAt: w.now,
		}
		if t.clock != "" {
			cmd.Clock = w.clock(t.clock)
			cmd.StartedAt = w.seq.books.ClockNow(cmd.Clock, w.now)
		}
		if t.started != "" {
			cmd.StartedAt = instantOf(t.started)
		}
		if t.ending != "" {
			cmd.EndingAt = instantOf(t.ending)
		}
		if _, ok := w.ids[name]; !ok {
			w.named(name, 0)
			w.named(name+"-invoice", 1)
		}
		return just(cmd)(w)
	}
}

func terminateIt(subscription string) step {
	return func(w *world) *Request {
		return just(TerminateSubscription{
			Subscription: id[events.SubscriptionNoun](w, subscription), Reason: sealedFor(orgOf("alice"), "reason"),
		})(w)
	}
}

// terminatedAt ends a subscription as of a time.
func terminatedAt(subscription, ended string) step {
	return change(terminateIt(subscription), func(c *TerminateSubscription) { c.EndedAt = instantOf(ended) })
}

// clock makes a test clock.
func clock(name, now string) step {
	return byOperator(func(w *world) *Request {
		c := events.DeriveTestClock(w.next())
		var padded [16]byte
		copy(padded[:], c[:])
		w.ids[name] = padded
		return just(CreateTestClock{Now: instantOf(now), Name: name})(w)
	})
}

func (w *world) clock(name string) events.TestClockID {
	v := [16]byte(id[events.CommandNoun](w, name))
	return events.TestClockID(v[:10])
}

// advance moves a test clock.
func advance(name, to string) step {
	return func(w *world) *Request {
		return just(AdvanceTestClock{Clock: w.clock(name), To: instantOf(to)})(w)
	}
}

// q is a quantity of a metric.
type q struct {
	metric   string
	quantity int64
}

// use reports usage of a customer under a key.
func use(key, customer, at string, quantities ...q) step {
	return func(w *world) *Request {
		cmd := &ReportUsage{Customer: id[events.CustomerNoun](w, customer), HappenedAt: instantOf(at)}
		for _, u := range quantities {
			cmd.Properties = append(cmd.Properties, UsageProperty{Metric: id[events.MetricNoun](w, u.metric), Quantity: u.quantity})
		}
		r := keyed(key, w.request(cmd))
		return &r
	}
}

// seller is a merchant who may sell prepaid plans to managed consumers, and pays no fee.
var seller = events.Settings{ManagedPrepaid: true}

// shop is what most tables begin with: a merchant with a plan that charges at once, a customer with ten dollars, and
// its subscription since the middle of January.
func shop() []step {
	return []step{
		merchant("acme", seller), product("llm"), plan("pro", "llm", instantSum("tokens", "0.25")),
		customer("alice"), fund("alice", "10"), join("sub", "alice", "pro", terms{}),
	}
}
