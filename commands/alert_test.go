package commands

import (
	"strings"
	"testing"

	"tallystick/events"
)

// alertOn makes an alert on alice's wallet.
func alertOn(threshold string, period uint32, disabled bool) step {
	return change(alertFor("alice", threshold), func(c *CreateAlert) { c.Period, c.Disabled = period, disabled })
}

// alertFor makes an alert on a customer's wallet.
func alertFor(customer, threshold string) step {
	return func(w *world) *Request {
		return just(CreateAlert{
			Wallet: id[events.WalletNoun](w, customer+"-wallet"), Threshold: nanosOf(threshold), Recipients: sealedFor(orgOf(customer), "recipients"),
		})(w)
	}
}

// TestAlerts holds the rules of alerts.
func TestAlerts(t *testing.T) {
	setup := append(taxedShop(seller), use("one", "alice", "2025-01-15 10:00", q{"tokens", 1}))
	full := make([]step, maxAlerts)
	for i := range full {
		full[i] = alertOn("1", 0, false)
	}
	checkRules(t, setup, []rule{
		{name: "an alert", when: alertOn("2", 60, false)},
		{name: "one that is off", when: alertOn("2", 60, true)},
		{name: "on a wallet that is low already", when: alertOn("1000000", 0, false)},
		{name: "one that is off, where there are many", given: full, when: alertOn("2", 0, true)},

		{name: "at nothing", when: alertOn("0", 0, false), refused: Invalid},
		{name: "one too many", given: full, when: alertOn("2", 0, false), refused: Conflict},
		{name: "on no wallet", when: just(CreateAlert{Threshold: 1}), refused: NotFound},
		{name: "on somebody else's wallet", given: []step{merchant("rival", seller)}, when: alertOn("2", 0, false), refused: NotFound},
	})
}

// TestAlertRaised holds that an alert is raised once for each time that the wallet falls below its threshold, rearmed when the
// threshold is reached again, and not raised more often than its period says, whatever moves the money.
func TestAlertRaised(t *testing.T) {
	w := newWorld(t)
	w.do(taxedShop(seller)...)
	w.do(use("zero", "alice", "2025-01-15 10:00", q{"tokens", 1}))
	account := func() events.Sum {
		for i := len(w.log.records) - 1; ; i-- {
			if e, ok := w.log.records[i].Event.(*events.UsageReported); ok {
				return e.Balance
			}
		}
	}
	threshold := account() // one more unit is below it
	w.do(alertOn(threshold.String(), 3600, false), alertOn(threshold.String(), 3600, true))
	for _, s := range []struct {
		name string
		do   step
		want string
	}{
		{"below", use("a", "alice", "2025-01-15 10:00", q{"tokens", 1}), "raised"},
		{"further below", use("b", "alice", "2025-01-15 10:00", q{"tokens", 1}), ""},
		{"a refund that is not enough", refundOf("a"), ""},
		{"at the threshold", refundOf("b"), "rearmed"},
		{"below again, in the period", use("c", "alice", "2025-01-15 10:00", q{"tokens", 1}), ""},
		{"further below, in the period", use("d", "alice", "2025-01-15 10:00", q{"tokens", 1}), ""},
		{"the period passes", at("2025-01-16 10:00"), ""},
		{"still below", use("e", "alice", "2025-01-16 10:00", q{"tokens", 1}), "raised"},
		{"the period passes", at("2025-01-16 12:00"), ""},
		{"further below, after the period", use("f", "alice", "2025-01-16 12:00", q{"tokens", 1}), ""},
		{"topped up", fund("alice", "100"), "rearmed"},
	} {
		if got := alertsIn(w, s.do); got != s.want {
			t.Errorf("%s: %q, want %q", s.name, got, s.want)
		}
	}
}

// alertsIn carries out a step, and returns what becomes of alerts by it.
func alertsIn(w *world, s step) string {
	before := len(w.log.records)
	w.do(s)
	var got []string
	for _, rec := range w.log.records[before:] {
		switch rec.Event.(type) {
		case events.AlertRaised:
			got = append(got, "raised")
		case events.AlertRearmed:
			got = append(got, "rearmed")
		default: // moves no alert
		}
	}
	return strings.Join(got, " ")
}

// TestAlertOfDueActions holds that what takes a wallet's money by itself raises an alert as usage does: once for each time that the
// threshold is crossed.
func TestAlertOfDueActions(t *testing.T) {
	type expected struct {
		name string
		do   step
		want string
	}
	fees := []step{joinPrepaid("sub", "bob", "pro", "0", terms{}), pay("sub"), charged("sub", good), fund("bob", "100"), alertFor("bob", "75")}
	owing := []step{
		merchant("acme", seller), product("llm"), plan("pro", "llm", arrearsSum("bytes", "0.001")), customer("bob"), fund("bob", "1"),
		setup("card", "bob"), change(pay("card"), func(c *PaySession) { c.Details = sealedFor(orgOf("bob"), "card") }), charged("card", good),
		change(join("sub", "bob", "pro", terms{}), func(c *CreateSubscription) { c.AutoCharge = true }), alertFor("bob", "0.8"),
	}
	for _, tt := range []struct {
		name  string
		given []step
		steps []expected
	}{
		{"fees at renewal", append(feeShop(), fees...), []expected{
			{"the first renewal takes 30", at("2025-02-15 10:00"), "raised"},
			{"so does the second", at("2025-03-15 10:00"), ""},
			{"a top-up below the threshold", fund("bob", "30"), ""},
			{"a top-up that reaches it", fund("bob", "5"), "rearmed"},
			{"the third renewal", at("2025-04-15 10:00"), "raised"},
		}},
		{"invoices paid out of the wallet", owing, []expected{
			{"what is owed is not taken", use("k", "bob", "2025-01-15 10:00", q{"bytes", 300}), ""},
			{"the invoice takes 0.30, which no processor does", at("2025-02-16 12:00"), "raised"},
			{"more is owed", use("l", "bob", "2025-02-16 11:00", q{"bytes", 300}), ""},
			{"and taken", at("2025-03-16 12:00"), ""},
			{"topped up", fund("bob", "1"), "rearmed"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.do(tt.given...)
			for _, s := range tt.steps {
				if got := alertsIn(w, s.do); got != s.want {
					t.Errorf("%s: %q, want %q", s.name, got, s.want)
				}
			}
		})
	}
}
