package commands

import (
	"testing"

	"tallystick/events"
)

// TestSubscription holds the rules of subscriptions: who may have one, when another is the same, and how it ends.
func TestSubscription(t *testing.T) {
	postpaid := []step{plan("post", "llm", arrearsSum("bytes", "1"))}
	policy := []step{
		merchant("strict", events.Settings{}), product("api"), plan("pre", "api", instantSum("calls", "1")), plan("post", "api", arrearsSum("bytes", "1")),
		customer("bob"),
	}
	now := "2025-01-15 10:00"
	checkRules(t, shop(), []rule{
		{name: "it is active at once", given: []step{customer("bob")}, when: join("new", "bob", "pro", terms{})},
		{name: "its anchor is its start, down to the hour", given: []step{customer("bob")}, when: join("new", "bob", "pro", terms{started: "2025-01-10 07:59:59.999"})},
		{name: "it may start in the future", given: []step{customer("bob")}, when: join("new", "bob", "pro", terms{started: "2025-02-01 00:00"})},
		{
			name: "periods that are over when it is made are closed at once", given: []step{customer("bob")},
			when: join("new", "bob", "pro", terms{started: "2024-12-01 00:00"}),
		},
		{
			name: "periods that are over on a test clock are closed at once", given: []step{customer("bob"), clock("tc", "2020-03-05 00:00")},
			when: join("new", "bob", "pro", terms{clock: "tc", started: "2020-01-31 12:00"}),
		},
		{
			name:  "a currency that the consumer has no wallet in gets one",
			given: []step{planIn(eur, "euro", "llm", instantSum("tokens", "1")), customer("bob")}, when: join("new", "bob", "euro", terms{}),
		},
		{name: "the same again is the one there is", when: join("again", "alice", "pro", terms{})},
		{name: "after it has ended there may be a new one", given: []step{terminateIt("sub")}, when: join("new", "alice", "pro", terms{})},
		{
			name:  "after it has ended by itself, unnoticed, there may be a new one",
			given: []step{customer("bob"), join("bobs", "bob", "pro", terms{ending: "2025-01-16 00:00"}), later("2025-01-16 00:00")},
			when:  join("new", "bob", "pro", terms{}),
		},
		{name: "to another product besides", given: []step{product("db"), plan("basic", "db", instantSum("rows", "1"))}, when: join("new", "alice", "basic", terms{})},
		{name: "a managed consumer may owe", given: policy, when: join("new", "bob", "post", terms{})},
		{name: "it ends, and is billed, at once", given: append(postpaid, use("k", "alice", now, q{"tokens", 4}), at("2025-01-20 00:00")), when: terminateIt("sub")},
		{name: "it ends without usage", when: terminateIt("sub")},
		{name: "it ends before it has started", given: []step{customer("bob"), join("bobs", "bob", "pro", terms{started: "2025-02-01 00:00"})}, when: terminateIt("bobs")},
		{
			name:  "it ends in the grace of its last period, and both are billed",
			given: []step{use("k", "alice", now, q{"tokens", 4}), at("2025-02-15 20:00"), use("k2", "alice", "2025-02-15 11:00", q{"tokens", 1})},
			when:  terminateIt("sub"),
		},
		{name: "what is overdue on it comes before its end", given: []step{use("k", "alice", now, q{"tokens", 4}), later("2025-02-20 00:00")}, when: terminateIt("sub")},

		{name: "without a start", when: func(w *world) *Request {
			r := join("new", "alice", "pro", terms{})(w)
			cmd := r.Command.(CreateSubscription)
			cmd.StartedAt = 0
			r.Command = cmd
			return r
		}, refused: Invalid},
		{name: "that ends when it starts", when: join("new", "alice", "pro", terms{started: now, ending: now}), refused: Invalid},
		{name: "that started too long ago", when: join("new", "alice", "pro", terms{started: "2024-01-14 09:59"}), refused: Invalid},
		{name: "that starts before there was billing", given: []step{clock("tc", "1971-06-01 00:00")}, when: join("new", "alice", "pro", terms{clock: "tc", started: "1970-12-31 23:00"}), refused: Invalid},
		{name: "that starts after the end of time", when: join("new", "alice", "pro", terms{started: "2199-12-31 00:00"}), refused: Invalid},
		{name: "that ends after the end of time", when: join("new", "alice", "pro", terms{ending: "2199-12-31 00:00"}), refused: Invalid},
		{name: "for no merchant", given: []step{func(w *world) *Request {
			w.merchant = events.OrganizationID{}
			return nil
		}}, when: join("new", "alice", "pro", terms{}), refused: Invalid},
		{name: "to another merchant's plan", given: policy, when: join("new", "bob", "pro", terms{}), refused: NotFound},
		{name: "of another merchant's customer", given: policy, when: join("new", "alice", "post", terms{}), refused: NotFound},
		{name: "on another merchant's clock", given: append([]step{clock("tc", now)}, policy...), when: join("new", "bob", "post", terms{clock: "tc"}), refused: NotFound},
		{name: "on a clock that is under way", given: []step{clock("tc", now), customer("bob"), underWay("tc", "2025-03-01 00:00")}, when: join("new", "bob", "pro", terms{clock: "tc"}), refused: ClockAdvancing},
		{name: "to another plan of the product", given: postpaid, when: join("new", "alice", "post", terms{}), refused: Conflict},
		{name: "of a consumer who is erased", given: []step{customer("bob"), just(EraseConsumer{Consumer: orgOf("bob")})}, when: join("new", "bob", "pro", terms{}), refused: Conflict},
		{name: "a managed consumer may not prepay", given: policy, when: join("new", "bob", "pre", terms{}), refused: ManagedPostpaidOnly},
		{name: "it ended yesterday", given: []step{at("2025-01-20 00:00"), use("k", "alice", "2025-01-18 23:59", q{"tokens", 4})}, when: terminatedAt("sub", "2025-01-19 00:00")},
		{name: "what is to come stands for now", given: []step{at("2025-01-20 00:00")}, when: terminatedAt("sub", "2025-03-01 00:00")},
		{name: "it ended while its last period waits for late usage", given: []step{use("k", "alice", now, q{"tokens", 4}), at("2025-02-15 20:00")}, when: terminatedAt("sub", "2025-02-15 10:30")},
		{name: "ended before it began", given: []step{at("2025-01-20 00:00")}, when: terminatedAt("sub", now), refused: Invalid},
		{
			name: "ended before it was used for the last time", given: []step{at("2025-01-20 00:00"), use("k", "alice", "2025-01-19 00:00", q{"tokens", 4})},
			when: terminatedAt("sub", "2025-01-19 00:00"), refused: BilledSince,
		},
		{name: "ended before it was renewed", given: []step{at("2025-02-15 20:00")}, when: terminatedAt("sub", "2025-02-15 09:59"), refused: BilledSince},
		{name: "ending one that is not there", when: func(w *world) *Request { return just(TerminateSubscription{Subscription: events.SubscriptionID{1}})(w) }, refused: NotFound},
		{name: "ending another merchant's", given: policy, when: terminateIt("sub"), refused: NotFound},
		{name: "ending it twice", given: []step{terminateIt("sub")}, when: terminateIt("sub"), refused: AlreadyTerminated},
		{
			name: "ending one that has ended by itself, unnoticed", given: []step{
				customer("bob"), join("bobs", "bob", "pro", terms{ending: "2025-01-16 00:00"}), later("2025-01-16 00:00"),
			},
			when: terminateIt("bobs"), refused: AlreadyTerminated,
		},
		{
			name: "ending one whose clock is under way", given: []step{
				clock("tc", now), customer("bob"), join("bobs", "bob", "pro", terms{clock: "tc"}), underWay("tc", "2025-03-01 00:00"),
			},
			when: terminateIt("bobs"), refused: ClockAdvancing,
		},
	})
}
