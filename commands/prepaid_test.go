package commands

import (
	"testing"
	"time"

	"tallystick/events"
)

// joinPrepaid makes a subscription whose wallet is to hold a minimum.
func joinPrepaid(name, customer, plan, minimum string, t terms) step {
	return func(w *world) *Request {
		w.named(name, 0)
		w.named(name+"-invoice", 1)
		w.named(name+"-session", 3)
		w.named(name+"-charge", 4)
		return change(join(name, customer, plan, t), func(c *CreateSubscription) { c.Minimum = nanosOf(minimum) })(w)
	}
}

func auto(s step) step {
	return change(s, func(c *CreateSubscription) { c.AutoCharge = true })
}

// update changes a subscription.
func update(name string, fn func(*UpdateSubscription)) step {
	return func(w *world) *Request {
		cmd := UpdateSubscription{Subscription: id[events.SubscriptionNoun](w, name)}
		fn(&cmd)
		return just(cmd)(w)
	}
}

func given[T any](v T) Change[T] { return Change[T]{Given: true, To: v} }

// joinNew makes a subscription together with its customer.
func joinNew(name, customer, plan string) step {
	return func(w *world) *Request {
		w.named(name, 0)
		w.named(name+"-invoice", 1)
		return just(CreateSubscription{
			Plan: id[events.PlanNoun](w, plan), Name: sealedFor(orgOf(customer), "name"), StartedAt: w.now,
			New: &CreateCustomer{Candidate: orgOf(customer), Email: digestOf(customer), Profile: sealedFor(orgOf(customer), "profile")},
		})(w)
	}
}

// TestPrepaidSubscription holds the rules of subscriptions that something is paid for first, and all their ways out.
func TestPrepaidSubscription(t *testing.T) {
	bob := []step{customer("bob")}
	with := func(steps ...step) []step { return append([]step{customer("bob")}, steps...) }
	stored := with(setup("card", "bob"), change(pay("card"), func(c *PaySession) { c.Details = sealedFor(orgOf("bob"), "card") }), charged("card", good))
	pending := with(joinPrepaid("new", "bob", "pro", "200", terms{}))
	strict := []step{
		merchant("strict", events.Settings{}), product("api"), plan("post", "api", arrearsSum("bytes", "1")), customer("eve"),
	}
	checkRules(t, shop(), []rule{
		{name: "the wallet lacks all of the minimum", given: bob, when: joinPrepaid("new", "bob", "pro", "200", terms{})},
		{name: "the wallet lacks a part of the minimum", given: with(fund("bob", "150")), when: joinPrepaid("new", "bob", "pro", "200", terms{})},
		{name: "the wallet lacks less than the processor takes", given: with(fund("bob", "199.50")), when: joinPrepaid("new", "bob", "pro", "200", terms{})},
		{name: "the wallet lacks a nano", given: with(fund("bob", "199.999999999")), when: joinPrepaid("new", "bob", "pro", "200", terms{})},
		{name: "the wallet lacks nothing", given: with(fund("bob", "200")), when: joinPrepaid("new", "bob", "pro", "200", terms{})},
		{name: "the wallet holds more", given: with(fund("bob", "250")), when: joinPrepaid("new", "bob", "pro", "200", terms{})},
		{name: "on a test clock", given: with(clock("tc", "2030-05-05 00:00")), when: joinPrepaid("new", "bob", "pro", "1", terms{clock: "tc"})},
		{name: "with terms of its own", given: bob, when: change(joinPrepaid("new", "bob", "pro", "5000", terms{}), func(c *CreateSubscription) {
			c.Term, c.OnSuccess, c.Reminders, c.ReminderDays = time.Minute, "https://a.example", events.RemindersOff, 30
		})},
		{name: "with a stored method it is charged at once", given: stored, when: auto(joinPrepaid("new", "bob", "pro", "200", terms{}))},
		{name: "without a stored method it waits for one", given: bob, when: auto(joinPrepaid("new", "bob", "pro", "200", terms{}))},
		{name: "once paid it is active", given: append(pending, pay("new")), when: charged("new", good)},
		{name: "a declined stored method leaves it pending", given: append(stored, auto(joinPrepaid("new", "bob", "pro", "200", terms{}))), when: charged("new", bad)},
		{name: "too many declined cards end it", given: append(pending, declinedTimes(4, "new"), pay("new")), when: charged("new", bad)},
		{name: "a cancelled session ends it", given: pending, when: cancelIt("new")},
		{name: "the merchant ends it before it is paid", given: pending, when: terminateIt("new")},
		{name: "the merchant ends it while it is paid, and the money stays in the wallet", given: append(pending, pay("new"), terminateIt("new")), when: charged("new", good)},
		{name: "the merchant ends it while it is not paid", given: append(pending, pay("new"), terminateIt("new")), when: charged("new", bad)},
		{name: "the same again while it is pending is the one there is", given: pending, when: join("again", "bob", "pro", terms{})},
		{name: "the same again after its session has expired, unnoticed, is new", given: append(pending, later("2025-01-15 14:00")), when: join("again", "bob", "pro", terms{})},
		{name: "its customer is made along with it", when: joinNew("new", "carl", "pro")},
		{name: "its customer is found by the address", given: bob, when: joinNew("new", "bob", "pro")},
		{name: "its customer is found, and has it already", when: joinNew("new", "alice", "pro")},
		{name: "its terms change", when: update("sub", func(c *UpdateSubscription) {
			c.EndingAt, c.AutoCharge, c.Minimum = given(instantOf("2026-01-01 00:00")), given(true), given(nanosOf("5"))
			c.Reminders, c.ReminderDays = given(events.RemindersOn), given(uint32(7))
		})},
		{name: "its end is taken back", given: with(join("bobs", "bob", "pro", terms{ending: "2025-03-01 00:00"})), when: update("bobs", func(c *UpdateSubscription) { c.EndingAt = given(events.Time(0)) })},

		{name: "usage before it is paid", given: pending, when: use("k", "bob", "2025-01-15 10:00", q{"tokens", 1}), refused: SubscriptionNotActive},
		{name: "another plan of the product while it is pending", given: append(pending, plan("other", "llm", arrearsSum("bytes", "1"))), when: join("again", "bob", "other", terms{}), refused: Conflict},
		{name: "a minimum below zero", given: bob, when: joinPrepaid("new", "bob", "pro", "-1", terms{}), refused: Invalid},
		{name: "a minimum above five thousand", given: bob, when: joinPrepaid("new", "bob", "pro", "5000.01", terms{}), refused: Invalid},
		{name: "reminders 31 days before", given: bob, when: change(join("new", "bob", "pro", terms{}), func(c *CreateSubscription) { c.ReminderDays = 31 }), refused: Invalid},
		{name: "a session of less than a minute", given: bob, when: change(join("new", "bob", "pro", terms{}), func(c *CreateSubscription) { c.Term = time.Second }), refused: Invalid},
		{name: "a managed consumer who may not prepay", given: strict, when: joinPrepaid("new", "eve", "post", "200", terms{}), refused: ManagedPostpaidOnly},
		{name: "a managed consumer who may not prepay later either", given: append(strict, join("eves", "eve", "post", terms{})), when: update("eves", func(c *UpdateSubscription) { c.Minimum = given(nanosOf("1")) }), refused: ManagedPostpaidOnly},
		{name: "an end in the past", when: update("sub", func(c *UpdateSubscription) { c.EndingAt = given(instantOf("2025-01-15 10:00")) }), refused: Invalid},
		{name: "changing what has ended", given: []step{terminateIt("sub")}, when: update("sub", func(*UpdateSubscription) {}), refused: AlreadyTerminated},
		{name: "changing another merchant's", given: strict, when: update("sub", func(*UpdateSubscription) {}), refused: NotFound},
	})
}

// TestUnpaidSubscription checks that a subscription ends with the session that nobody pays, and its payer is told of renewals.
func TestUnpaidSubscription(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given []step
		when  step
	}{
		{"nobody has paid in time", []step{customer("bob"), joinPrepaid("new", "bob", "pro", "200", terms{})}, at("2025-01-15 14:00")},
		{"nobody has paid in time, on a test clock", []step{
			clock("tc", "2020-01-31 12:00"), customer("bob"), joinPrepaid("new", "bob", "pro", "200", terms{clock: "tc"}),
		}, advance("tc", "2020-03-01 00:00")},
		{"its payer is told of its renewal", nil, at("2025-02-12 10:00")},
		{"its payer is told sooner", []step{update("sub", func(c *UpdateSubscription) { c.ReminderDays = given(uint32(30)) })}, at("2025-02-12 10:00")},
		{"its payer is not told", []step{update("sub", func(c *UpdateSubscription) { c.Reminders = given(events.RemindersOff) })}, at("2025-02-12 10:00")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.do(shop()...)
			w.do(tt.given...)
			before := len(w.log.records)
			w.do(tt.when)
			golden(t, w.story(Receipt{}, w.log.records[before:]))
		})
	}
}

// TestClockWaits checks that a test clock stands still while a charge on it is open, and goes on after it, so that one long step
// comes out as many short ones.
func TestClockWaits(t *testing.T) {
	w := newWorld(t)
	w.do(shop()...)
	w.do(clock("tc", "2020-01-31 12:00"), customer("bob"), joinPrepaid("new", "bob", "pro", "200", terms{clock: "tc"}), pay("new"))
	call := &Call{Requests: []Request{*advance("tc", "2020-04-15 00:00")(w)}}
	if _, answered := w.turn(call); len(answered) != 0 {
		t.Fatal("the clock has arrived, though a charge on it is open")
	}
	w.restart()
	w.settle()
	w.do(charged("new", good))
	w.settle()
	if now := w.seq.books.Clocks.Get(w.clock("tc")).Now; now != instantOf("2020-04-15 00:00") {
		t.Errorf("the clock shows %s", now)
	}
	if s := w.seq.books.Subscriptions.Get(id[events.SubscriptionNoun](w, "new")); len(s.Periods) != 1 || s.Periods[0].N != 2 {
		t.Errorf("the subscription is in %+v", s.Periods)
	}
}
