package commands

import (
	"testing"

	"tallystick/events"
	"tallystick/projections"
)

// latest names the newest invoice, payment session and charge there are.
func latest(w *world) *Request {
	for i := range w.log.records {
		switch e := w.log.records[i].Event.(type) {
		case events.InvoiceIssued:
			w.ids["owed-invoice"] = [16]byte(e.Invoice)
		case events.SessionOpened:
			w.ids["owed-session"] = [16]byte(e.Session)
		case events.ChargeRequested:
			w.ids["owed-charge"] = [16]byte(e.Charge)
		default: // of no interest
		}
	}
	return nil
}

// payOwed asks for what the newest invoice leaves to pay.
func payOwed(method string) step {
	return func(w *world) *Request {
		w.named("owed-charge", 4)
		return just(PayInvoice{Invoice: id[events.InvoiceNoun](w, "owed-invoice"), Method: method})(w)
	}
}

// TestCollecting holds how what invoices leave to pay is asked for, paid, and asked for again.
func TestCollecting(t *testing.T) {
	const issued = "2025-02-16 12:00"
	settings := events.Settings{ManagedPrepaid: true, FeeBasisPoints: 250, PaymentRetries: "1,4"}
	owes := func(auto bool, units int64) []step {
		return []step{
			merchant("acme", settings), product("llm"), plan("pro", "llm", instantSum("tokens", "0.000000333"), arrearsSum("bytes", "0.00123457")),
			taxedAt("pro", 8_500, events.Exclusive), customer("bob"), fund("bob", "1"),
			setup("card", "bob"), change(pay("card"), func(c *PaySession) { c.Details = sealedFor(orgOf("bob"), "card") }), charged("card", good),
			change(join("sub", "bob", "pro", terms{}), func(c *CreateSubscription) { c.AutoCharge = auto }),
			use("k", "bob", "2025-01-15 10:00", q{"tokens", 1001}, q{"bytes", units}),
		}
	}
	with := func(before []step, more ...step) []step { return append(append([]step(nil), before...), more...) }
	byCard, byHand := with(owes(true, 10_000), at(issued), latest), with(owes(false, 10_000), at(issued), latest)
	failed := with(byCard, charged("owed", bad), latest)
	checkRules(t, nil, []rule{
		{name: "the stored method pays", given: byCard, when: charged("owed", good)},
		{name: "the stored method is declined, and tried again later", given: byCard, when: charged("owed", bad)},
		{name: "a session pays", given: with(byHand, pay("owed")), when: charged("owed", good)},
		{name: "a session is declined", given: with(byHand, pay("owed")), when: charged("owed", bad)},
		{name: "the fifth declined card ends the session, not the invoice", given: with(byHand, declinedTimes(4, "owed"), pay("owed")), when: charged("owed", bad)},
		{name: "after that there is another session", given: with(byHand, declinedTimes(5, "owed")), when: payOwed("session")},
		{name: "a session pays what the stored method has not", given: with(failed, pay("owed")), when: charged("owed", good)},
		{name: "the merchant asks again", given: failed, when: payOwed("stored")},
		{name: "and is paid, and the session is over", given: with(failed, payOwed("stored")), when: charged("owed", good)},
		{name: "what is left to pay is given up after a charge has failed", given: failed, when: func(w *world) *Request {
			return just(WriteOffInvoice{Invoice: id[events.InvoiceNoun](w, "owed-invoice")})(w)
		}},
		{name: "a session that is open is the one there is", given: byHand, when: payOwed("session")},

		{name: "an invoice that is being paid is not paid by its session", given: with(failed, payOwed("stored")), when: pay("owed"), refused: Conflict},
		{name: "nor asked for again", given: byCard, when: payOwed("stored"), refused: Conflict},
		{name: "nor given up", given: byCard, when: func(w *world) *Request {
			return just(WriteOffInvoice{Invoice: id[events.InvoiceNoun](w, "owed-invoice")})(w)
		}, refused: Conflict},
		{name: "a paid one is not asked for", given: with(byCard, charged("owed", good)), when: payOwed("stored"), refused: NotFound},
		{name: "by no method", given: failed, when: payOwed("cheque"), refused: Invalid},
		{name: "without a stored method", given: with(byHand, removed("card", "bob")), when: payOwed("stored"), refused: NoPaymentMethod},
		{name: "another merchant's", given: with(failed, merchant("rival", seller)), when: payOwed("stored"), refused: NotFound},
	})
	for _, tt := range []struct {
		name  string
		given []step
		when  []step
	}{
		{"issued, and the stored method is charged", owes(true, 10_000), []step{at(issued)}},
		{"issued, and a session is opened", owes(false, 10_000), []step{at(issued)}},
		{"less than half a cent is paid", owes(true, 3), []step{at(issued)}},
		{"less than the processor takes comes from the wallet", owes(true, 100), []step{at(issued)}},
		{"more is taken than is left to pay where the wallet lacks it", with(owes(true, 700), use("all", "bob", "2025-01-15 10:00", q{"tokens", 2_700_000})), []step{at(issued), latest, charged("owed", good)}},
		{"the retries come, and no more than the merchant wants", failed, []step{
			at("2025-02-17 12:00"), latest, charged("owed", bad), at("2025-02-21 12:00"), latest, charged("owed", bad), at("2025-03-14 12:00"),
		}},
		{"a retry after a restart pays", with(failed, func(w *world) *Request { w.restart(); return nil }), []step{at("2025-02-17 12:00"), latest, charged("owed", good)}},
		{"a retry without a stored method", with(failed, removed("card", "bob")), []step{at("2025-02-17 12:00")}},
		{"an approved draft is asked for", with(owes(true, 10_000), func(w *world) *Request {
			s := settings
			s.ManualApproval = true
			return byOperator(just(UpdateMerchant{Profile: events.Profile{Name: "acme"}, Settings: s}))(w)
		}), []step{at(issued), func(w *world) *Request {
			w.views.Invoices.Each(func(id events.InvoiceID, inv *projections.Invoice) bool {
				if inv.Status == projections.InvoiceDraft {
					w.ids["owed-invoice"] = [16]byte(id)
				}
				return true
			})
			return just(ApproveInvoice{Invoice: id[events.InvoiceNoun](w, "owed-invoice")})(w)
		}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.do(tt.given...)
			before := len(w.log.records)
			w.do(tt.when...)
			golden(t, w.story(Receipt{}, w.log.records[before:]))
		})
	}
}
