package commands

import (
	"testing"

	"tallystick/events"
)

// reserve sets money of a customer aside, under a name. More changes the command.
func reserve(name, customer string, more func(*CreateEntitlement), quantities ...q) step {
	return func(w *world) *Request {
		cmd := CreateEntitlement{Customer: id[events.CustomerNoun](w, customer)}
		for _, u := range quantities {
			cmd.Data = append(cmd.Data, UsageProperty{Metric: id[events.MetricNoun](w, u.metric), Quantity: u.quantity})
		}
		if more != nil {
			more(&cmd)
		}
		w.named(name, 0)
		return just(cmd)(w)
	}
}

// from lets a reservation pay the usage that a step reports.
func from(reservation string, s step) step {
	return func(w *world) *Request {
		r := s(w)
		cmd := *r.Command.(*ReportUsage)
		cmd.Reservation = id[events.ReservationNoun](w, reservation)
		r.Command, r.Content = &cmd, contentOf(&cmd)
		return r
	}
}

func times(n int64) func(*CreateEntitlement) {
	return func(cmd *CreateEntitlement) { cmd.MaxUses = n }
}

// TestCreateEntitlement holds the rules of setting money aside.
func TestCreateEntitlement(t *testing.T) {
	ten := q{"tokens", 10}
	arrears := []step{plan("later", "llm", arrearsSum("bytes", "1")), customer("bob"), fund("bob", "10"), join("bobs", "bob", "later", terms{})}
	checkRules(t, shop(), []rule{
		{name: "what the quantities cost is set aside", when: reserve("r", "alice", times(3), ten)},
		{name: "all that there is may be set aside", when: reserve("r", "alice", nil, q{"tokens", 40})},
		{name: "nothing is set aside for a quantity of nothing", when: reserve("r", "alice", nil, q{"tokens", 0})},
		{name: "more than there is is not", when: reserve("r", "alice", nil, q{"tokens", 41}), refused: InsufficientFunds},
		{name: "what is set aside is not there", given: []step{reserve("r0", "alice", nil, q{"tokens", 39})}, when: reserve("r", "alice", nil, q{"tokens", 2}), refused: InsufficientFunds},
		{name: "there is nothing to reserve for what is paid later", given: arrears, when: reserve("r", "bob", nil, q{"bytes", 1}), refused: Invalid, field: "entitlementData[0].billableMetricId"},
		{name: "a price of its own where the plan says it", when: reserve("r", "alice", func(cmd *CreateEntitlement) { cmd.Data[0].Price, cmd.Data[0].Priced = 1, true }, ten), refused: Invalid, field: "entitlementData[0].price"},
		{name: "no metric", when: reserve("r", "alice", nil), refused: Invalid},
		{name: "a metric twice", when: reserve("r", "alice", nil, ten, ten), refused: Invalid},
		{name: "less than nothing", when: reserve("r", "alice", nil, q{"tokens", -1}), refused: Invalid},
		{name: "more uses than allowed", when: reserve("r", "alice", times(1001), ten), refused: Invalid},
		{name: "it expires before now", when: reserve("r", "alice", func(cmd *CreateEntitlement) { cmd.ExpiresAt = begin }, ten), refused: Invalid},
		{name: "a cost that does not fit", when: reserve("r", "alice", nil, q{"tokens", 1 << 62}), refused: AmountOutOfRange},
		{name: "without a subscription", given: []step{terminateIt("sub")}, when: reserve("r", "alice", nil, ten), refused: SubscriptionNotActive},
		{name: "another merchant's customer", given: []step{merchant("rival", seller)}, when: reserve("r", "alice", nil, ten), refused: NotFound},
	})
}

// TestReservedUsage holds the rules of usage that a reservation pays, and of what becomes of the rest.
func TestReservedUsage(t *testing.T) {
	now := "2025-01-15 10:00"
	one := []step{reserve("r", "alice", nil, q{"tokens", 10})}
	three := []step{reserve("r", "alice", times(3), q{"tokens", 10})}
	pay := from("r", use("k", "alice", now, q{"tokens", 4}))
	checkRules(t, shop(), []rule{
		{name: "a use is paid from what is set aside", given: three, when: pay},
		{name: "the last use gives back what is left", given: one, when: pay},
		{name: "the last nano ends it", given: three, when: from("r", use("k", "alice", now, q{"tokens", 10}))},
		{name: "the wallet need not hold anything", given: append(one, use("k0", "alice", now, q{"tokens", 30})), when: pay},
		{name: "more than is set aside is refused", given: one, when: from("r", use("k", "alice", now, q{"tokens", 11})), refused: ReservationExceeded},
		{name: "used up", given: append(one, from("r", use("k0", "alice", now, q{"tokens", 1}))), when: pay, refused: ReservationNotActive},
		{name: "expired, though nobody has noticed yet", given: append(one, later("2025-01-16 10:00")), when: pay, refused: ReservationNotActive},
		{
			name: "its last instant", given: append(one, later("2025-01-16 09:59")),
			when: from("r", use("k", "alice", "2025-01-16 09:59", q{"tokens", 4})),
		},
		{name: "terminating its subscription gives back what is left", given: three, when: terminateIt("sub")},
		{name: "another customer's", given: append(one, customer("bob"), fund("bob", "1"), join("bobs", "bob", "pro", terms{})), when: from("r", use("k", "bob", now, q{"tokens", 1})), refused: NotFound},
		{
			name: "a metric that it is not for", given: append([]step{
				plan("two", "llm", instantSum("tokens", "1"), instantSum("calls", "1")), customer("bob"), fund("bob", "9"),
				join("bobs", "bob", "two", terms{}),
			}, reserve("r", "bob", nil, q{"tokens", 5})),
			when: from("r", use("k", "bob", now, q{"calls", 1})), refused: Invalid, field: "properties[0]",
		},
	})
}

// TestReservationExpires checks that what is left comes back by itself, at its time, on the subscription's clock, once,
// across a restart too.
func TestReservationExpires(t *testing.T) {
	w := newWorld(t)
	w.do(shop()...)
	w.do(clock("c", "2025-06-01 00:00"), customer("bob"), fund("bob", "10"), join("bobs", "bob", "pro", terms{clock: "c"}))
	w.do(reserve("a", "alice", times(2), q{"tokens", 10}), reserve("b", "bob", times(2), q{"tokens", 10}))
	w.do(from("a", use("k", "alice", "2025-01-15 10:00", q{"tokens", 4})))
	balance := func(customer string) string {
		return w.seq.books.BalanceOf(events.Account{Role: events.ConsumerMain, Currency: usd, Owner: id[events.WalletNoun](w, customer+"-wallet")}).String()
	}
	if a, b := balance("alice"), balance("bob"); a != "7.5" || b != "7.5" {
		t.Fatalf("with 2.5 set aside each, the wallets hold %s and %s", a, b)
	}
	w.do(at("2025-01-16 09:59"))
	if a := balance("alice"); a != "7.5" {
		t.Errorf("before it expires the wallet holds %s", a)
	}
	w.restart()
	w.do(at("2025-01-16 10:00"))
	if a, b := balance("alice"), balance("bob"); a != "9" || b != "7.5" {
		t.Errorf("when the one in real time expires, the wallets hold %s and %s", a, b)
	}
	w.do(advance("c", "2025-06-01 23:00"))
	w.restart()
	if b := balance("bob"); b != "7.5" {
		t.Errorf("before its clock is there, the wallet holds %s", b)
	}
	w.do(advance("c", "2025-06-05 00:00"))
	if b := balance("bob"); b != "10" {
		t.Errorf("when its clock is there, the wallet holds %s", b)
	}
}
