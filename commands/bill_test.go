package commands

import (
	"testing"

	"github.com/shopspring/decimal"

	"tallystick/events"
	"tallystick/projections"
)

// recordOf returns the record that was made under a key.
func recordOf(w *world, key string) *events.Record {
	w.t.Helper()
	for i := range w.log.records {
		if w.log.records[i].Key == key {
			return &w.log.records[i]
		}
	}
	w.t.Fatalf("nothing was recorded under %q", key)
	return nil
}

// refundOf takes the usage that was reported under a key back.
func refundOf(key string) step {
	return func(w *world) *Request {
		rec := recordOf(w, key)
		return just(RefundUsage{
			Usage: events.Derive[events.UsageNoun](rec.Command, 0), Original: rec.Event.(*events.UsageReported), Merchant: rec.Merchant,
			Reason: sealedFor(orgOf("alice"), "reason"),
		})(w)
	}
}

// settledOf returns a period of a subscription as it was invoiced, as the door would look it up.
func settledOf(w *world, sub string, n uint32) (p SettledPeriod) {
	p.Subscription, p.N = id[events.SubscriptionNoun](w, sub), n
	var invoice events.InvoiceID
	for i := range w.log.records {
		switch e := w.log.records[i].Event.(type) {
		case events.InvoiceOpened:
			if e.Subscription == p.Subscription && e.Period == n {
				invoice, p.Opened = e.Invoice, w.log.records[i].Seq
			}
		case events.InvoiceLineClosed:
			if e.Invoice == invoice && e.Of == "" {
				p.Units = append(p.Units, SettledUnits{e.Price, e.Revision, e.Quantity})
			}
		default: // of no interest
		}
	}
	return p
}

func correction(sub string, n uint32, at string, quantities ...q) step {
	return func(w *world) *Request {
		cmd := CorrectUsage{
			Customer: id[events.CustomerNoun](w, "alice"), HappenedAt: instantOf(at), Reason: sealedFor(orgOf("alice"), "reason"), Settled: settledOf(w, sub, n),
		}
		for _, u := range quantities {
			cmd.Properties = append(cmd.Properties, UsageProperty{Metric: id[events.MetricNoun](w, u.metric), Quantity: u.quantity})
		}
		return just(cmd)(w)
	}
}

// item puts a line on the newest invoice of alice's subscription.
func item(quantity, price string, change func(*CreateLineItem)) step {
	return func(w *world) *Request {
		cmd := CreateLineItem{
			Subscription: id[events.SubscriptionNoun](w, "sub"), Text: sealedFor(orgOf("alice"), "text"), Currency: usd,
			Quantity: decimal.RequireFromString(quantity), UnitPrice: decimal.RequireFromString(price),
		}
		change(&cmd)
		return just(cmd)(w)
	}
}

func asIs(*CreateLineItem) {}

// onInvoice does something to the first invoice of alice's subscription.
func onInvoice(do func(w *world, invoice events.InvoiceID, paid PaidInvoice) Command) step {
	return func(w *world) *Request {
		invoice := id[events.InvoiceNoun](w, "sub-invoice")
		var paid PaidInvoice
		if row := w.views.Invoices.Get(invoice); row.Status == projections.InvoicePaid {
			paid = PaidInvoice{row.Merchant, row.Subscription, row.Period, row.Subtotal, row.Tax}
		}
		return just(do(w, invoice, paid))(w)
	}
}

var (
	approve  = onInvoice(func(_ *world, i events.InvoiceID, _ PaidInvoice) Command { return ApproveInvoice{i} })
	cancel   = onInvoice(func(_ *world, i events.InvoiceID, _ PaidInvoice) Command { return CancelInvoice{i} })
	writeOff = onInvoice(func(_ *world, i events.InvoiceID, _ PaidInvoice) Command { return WriteOffInvoice{Invoice: i} })
	creditIt = onInvoice(func(_ *world, i events.InvoiceID, p PaidInvoice) Command { return RefundInvoice{Invoice: i, Paid: p} })
	void     = onInvoice(func(w *world, i events.InvoiceID, p PaidInvoice) Command {
		cmd := VoidInvoiceRefund{Invoice: i, Paid: p, CreditNote: events.CreditNoteID{1}}
		if note := creditOf(w.seq.books, i); note != nil {
			cmd.CreditNote = note.ID
		}
		return cmd
	})
)

// taxedShop is a shop with tax on top, a fee for the platform, and a metric that is paid later.
func taxedShop(s events.Settings) []step {
	return []step{
		merchant("acme", s), product("llm"), plan("pro", "llm", instantSum("tokens", "0.25"), arrearsSum("bytes", "0.10")),
		func(w *world) *Request {
			return just(UpdatePlan{Plan: id[events.PlanNoun](w, "pro"), TaxRate: Change[events.TaxRate]{true, 850_000}})(w)
		},
		customer("alice"), fund("alice", "10"), join("sub", "alice", "pro", terms{}),
	}
}

// TestRefunds holds the rules of taking usage back.
func TestRefunds(t *testing.T) {
	setup := append(taxedShop(events.Settings{ManagedPrepaid: true, FeeBasisPoints: 1_000}),
		use("one", "alice", "2025-01-15 10:00", q{"tokens", 8}, q{"bytes", 3}), use("two", "alice", "2025-01-15 10:00", q{"tokens", 1}))
	checkRules(t, setup, []rule{
		{name: "all that it moved is moved back", when: refundOf("one")},
		{name: "after its invoice is issued, what was debited joins the next one", given: []step{at("2025-02-16 12:00")}, when: refundOf("two")},
		{name: "after the subscription has ended there is no invoice to join", given: []step{terminateIt("sub")}, when: refundOf("two")},
		{name: "a second time", given: []step{refundOf("one")}, when: refundOf("one"), refused: AlreadyRefunded},
		{name: "by another merchant", given: []step{merchant("rival", seller)}, when: refundOf("one"), refused: NotFound},
		{name: "what is owed on an invoice that is paid, where the open one is of more", given: []step{
			at("2025-02-16 12:00"), latest, pay("owed"), latest, charged("owed", good), use("more", "alice", "2025-02-16 11:00", q{"bytes", 30}),
		}, when: refundOf("one")},
		{name: "what is owed on an invoice that is paid", given: []step{at("2025-02-16 12:00"), latest, pay("owed"), latest, charged("owed", good)}, when: refundOf("one"), refused: NotRefundable},
		{name: "what never will be paid", given: []step{
			at("2025-02-16 12:00"), use("more", "alice", "2025-02-16 11:00", q{"bytes", 30}), writeOff,
		}, when: refundOf("one"), refused: NotRefundable},
		{name: "what was debited, of an invoice that was written off", given: []step{at("2025-02-16 12:00"), writeOff}, when: refundOf("two")},
		{name: "something that is no usage", when: just(RefundUsage{Usage: events.UsageID{1}}), refused: NotFound},
	})
}

// TestOwedLess holds what becomes of an invoice that is issued and to be paid when usage is taken back which it has charged.
func TestOwedLess(t *testing.T) {
	setup := append(taxedShop(events.Settings{ManagedPrepaid: true, FeeBasisPoints: 1_000}), setup("card", "alice"), pay("card"), charged("card", good),
		use("one", "alice", "2025-01-15 10:00", q{"bytes", 30}), use("two", "alice", "2025-01-15 10:00", q{"bytes", 7}), use("both", "alice", "2025-01-15 10:00", q{"tokens", 4}, q{"bytes", 3}))
	issued := []step{at("2025-02-16 12:00"), latest}
	with := func(more ...step) []step { return append(issued[:2:2], more...) }
	discount := func(price string) step { return item("1", price, asIs) }
	checkRules(t, setup, []rule{
		{name: "it leaves less to pay, and is asked for anew", given: issued, when: refundOf("one")},
		{name: "what was debited is in the wallet again", given: issued, when: refundOf("both")},
		{name: "it leaves nothing to pay, and is paid", given: with(refundOf("one"), refundOf("both")), when: refundOf("two")},
		{name: "it leaves less than half a cent to pay, and is paid", given: append([]step{discount("0.004")}, with(refundOf("one"), refundOf("both"))...), when: refundOf("two")},
		{name: "what is left is paid", given: with(refundOf("one"), latest, pay("owed"), latest), when: charged("owed", good)},
		{name: "after the subscription has ended", given: with(terminateIt("sub")), when: refundOf("one")},
		{name: "after a charge has failed", given: with(payOwed("stored"), charged("owed", bad)), when: refundOf("one")},
		{name: "after its session has failed", given: with(declinedTimes(5, "owed")), when: refundOf("one")},
		{name: "while its payer has something to do", given: with(pay("owed"), charged("owed", projections.ChargeActionRequired)), when: refundOf("one")},

		{name: "while its session is paid", given: with(pay("owed")), when: refundOf("one"), refused: Conflict},
		{name: "while the stored method is charged", given: with(payOwed("stored")), when: refundOf("one"), refused: Conflict},
		{name: "more than a discount leaves to pay", given: append([]step{discount("-2")}, issued...), when: refundOf("one"), refused: NotRefundable},
		{name: "a second time", given: with(refundOf("one")), when: refundOf("one"), refused: AlreadyRefunded},
		{name: "its session is not paid any more", given: with(refundOf("one")), when: pay("owed"), refused: Conflict},
		{name: "what was given up", given: with(writeOff), when: refundOf("one"), refused: NotRefundable},
		{name: "its credit note is not voided", given: with(refundOf("one"), latest, pay("owed"), latest, charged("owed", good)), when: onInvoice(func(w *world, i events.InvoiceID, p PaidInvoice) Command {
			return VoidInvoiceRefund{Invoice: i, CreditNote: w.seq.books.Credits.Get(i).Notes[0].ID, Paid: p}
		}), refused: InvoiceState},
	})
}

// TestRefundedOnce holds that a usage event and its invoice are not both given back, in whatever order, and that an invoice which shows
// the refund of another's usage gives back what it has charged itself.
func TestRefundedOnce(t *testing.T) {
	setup := append(taxedShop(events.Settings{ManagedPrepaid: true, FeeBasisPoints: 1_000}),
		use("one", "alice", "2025-01-15 10:00", q{"tokens", 8}), use("two", "alice", "2025-01-15 10:00", q{"tokens", 1}), at("2025-02-16 12:00"))
	next := []step{refundOf("one"), use("three", "alice", "2025-02-16 11:00", q{"tokens", 3}), at("2025-03-16 12:00")}
	creditNext := func(w *world) *Request {
		var invoice events.InvoiceID
		for i := range w.log.records {
			if e, ok := w.log.records[i].Event.(events.InvoiceIssued); ok {
				invoice = e.Invoice
			}
		}
		row := w.views.Invoices.Get(invoice)
		return just(RefundInvoice{Invoice: invoice, Paid: PaidInvoice{row.Merchant, row.Subscription, row.Period, row.Subtotal, row.Tax}})(w)
	}
	checkRules(t, setup, []rule{
		{name: "usage of an invoice that was refunded", given: []step{creditIt}, when: refundOf("one"), refused: AlreadyRefunded},
		{name: "usage of one whose credit note is void", given: []step{creditIt, void}, when: refundOf("one")},
		{name: "an invoice after one usage event", given: []step{refundOf("one")}, when: creditIt},
		{name: "an invoice after all its usage", given: []step{refundOf("one"), refundOf("two")}, when: creditIt, refused: InvoiceState},
		{name: "the invoice that shows it", given: next, when: creditNext},
		{name: "the invoice that shows it, and the one that has charged it", given: append(next[:3:3], creditNext), when: creditIt},
		{name: "after the subscription has ended, when no invoice shows it", given: []step{terminateIt("sub"), refundOf("one")}, when: creditIt},
	})
	owed := append(taxedShop(events.Settings{ManagedPrepaid: true, FeeBasisPoints: 1_000}),
		use("one", "alice", "2025-01-15 10:00", q{"tokens", 4}, q{"bytes", 3}), use("two", "alice", "2025-01-15 10:00", q{"bytes", 30}), at("2025-02-16 12:00"), latest)
	paid := []step{latest, pay("owed"), latest, charged("owed", good)}
	then := func(before step, more ...step) []step { return append(append([]step{before}, paid...), more...) }
	checkRules(t, owed, []rule{
		{name: "an invoice after usage was taken back of it while it was to be paid", given: then(refundOf("one")), when: creditIt},
		{name: "and its other usage after that", given: then(refundOf("one"), creditIt), when: refundOf("two"), refused: AlreadyRefunded},
		{name: "usage that was taken back of an invoice to be paid", given: then(refundOf("one"), creditIt, void), when: refundOf("one"), refused: AlreadyRefunded},
		{name: "an invoice after all of it was taken back", given: []step{refundOf("one"), refundOf("two")}, when: creditIt, refused: InvoiceState},
		{name: "an invoice whose other usage the next one shows", given: then(refundOf("one"), use("more", "alice", "2025-02-16 11:00", q{"bytes", 40}), refundOf("two")), when: creditIt, refused: InvoiceState},
	})
}

// TestRefundToReservation holds that what a reservation has paid goes back to it while it is active, and then to the wallet (A24).
func TestRefundToReservation(t *testing.T) {
	setup := append(taxedShop(seller), reserve("hold", "alice", times(2), q{"tokens", 8}), from("hold", use("one", "alice", "2025-01-15 10:00", q{"tokens", 3})))
	checkRules(t, setup, []rule{
		{name: "while it is active", when: refundOf("one")},
		{name: "after its last use", given: []step{from("hold", use("two", "alice", "2025-01-15 10:00", q{"tokens", 1}))}, when: refundOf("one")},
		{name: "after it has expired", given: []step{at("2025-01-17 12:00")}, when: refundOf("one")},
	})
}

// TestCorrections holds the rules of usage that comes after the grace (D25).
func TestCorrections(t *testing.T) {
	setup := append(taxedShop(seller), use("one", "alice", "2025-01-15 10:00", q{"tokens", 8}, q{"bytes", 3}), at("2025-02-16 12:00"))
	checkRules(t, setup, []rule{
		{name: "it is owed, on the next invoice", when: correction("sub", 0, "2025-01-20 10:00", q{"tokens", 2}, q{"bytes", 1})},
		{name: "of a period that is open", when: correction("sub", 1, "2025-02-16 10:00", q{"tokens", 2}), refused: Conflict},
		{name: "of a subscription that has ended", given: []step{terminateIt("sub")}, when: correction("sub", 0, "2025-01-20 10:00", q{"tokens", 2}), refused: PeriodClosed},
		{name: "by another merchant", given: []step{merchant("rival", seller)}, when: correction("sub", 0, "2025-01-20 10:00", q{"tokens", 2}), refused: NotFound},
		{name: "of nothing", when: correction("sub", 0, "2025-01-20 10:00"), refused: Invalid},
	})
}

// TestLateUsageOfVolume holds that usage and its corrections come to what they would have come to in time.
func TestLateUsageOfVolume(t *testing.T) {
	w := newWorld(t)
	w.do(shop()...)
	price := id[events.PriceNoun](w, "pro-tokens-price")
	falling := Formula{Model: events.Volume, UnitPrice: 1e8, Min: 1e7, Max: 1e8, Gradient: -1e6}
	w.do(just(UpdatePrice{Price: price, Term: Change[events.Term]{true, events.InArrears}, Formula: Change[Formula]{true, falling}}), at("2025-02-15 10:00"))
	w.do(use("in time", "alice", "2025-02-15 10:00", q{"tokens", 50}), at("2025-03-16 12:00"))
	total := w.seq.books.BalanceOf(events.Account{Role: events.ConsumerUsage, Currency: usd, Owner: id[events.WalletNoun](w, "alice-wallet")}).Neg()
	for _, n := range []int64{30, 40} {
		r := w.send(*correction("sub", 1, "2025-02-20 10:00", q{"tokens", n})(w))[0]
		if r.Status != Accepted {
			t.Fatalf("%s: %s", r.Code, r.Message)
		}
		total = total.Plus(*r.Amount)
	}
	rate := projections.Rate{Model: events.Volume, UnitPrice: 1e8, Min: 1e7, Max: 1e8, Gradient: -1e6}
	if want, _ := volume(&rate, events.Sum{}, 120); total != events.SumOf(want) {
		t.Errorf("50 in time and 30 and 40 after it come to %s, want %s", total, want)
	}
}

// TestInvoices holds the rules of drafts, lines that merchants add, credit notes and what is given up.
func TestInvoiceRules(t *testing.T) {
	manual := events.Settings{ManagedPrepaid: true, ManualApproval: true, PaymentDays: 14}
	owed := use("owed", "alice", "2025-01-15 10:00", q{"bytes", 3})
	paid := use("paid", "alice", "2025-01-15 10:00", q{"tokens", 8})
	issued := at("2025-02-16 12:00")
	draft := []step{func(w *world) *Request {
		return byOperator(just(UpdateMerchant{Profile: events.Profile{Name: "acme"}, Settings: manual}))(w)
	}, owed, issued}
	draftPaid := append(draft[:1:1], owed, paid, issued)
	checkRules(t, taxedShop(seller), []rule{
		{name: "where a merchant approves, an invoice waits as a draft", given: append(draft[:1:1], owed), when: func(w *world) *Request {
			w.now = instantOf("2025-02-16 12:00")
			return item("1", "2", asIs)(w)
		}},
		{name: "an approved draft has its number and its day", given: draft, when: approve},
		{name: "a draft is cancelled, and owed no more", given: draft, when: cancel},
		{name: "what is left to pay is given up", given: []step{owed, issued}, when: writeOff},
		{name: "a line is owed with tax", when: item("1.5", "20", asIs)},
		{name: "a discount", given: []step{owed}, when: item("3", "-0.1", asIs)},
		{name: "a paid invoice is refunded", given: []step{paid, issued}, when: creditIt},
		{name: "its credit note is voided", given: []step{paid, issued, creditIt}, when: void},
		{name: "and it may be refunded again", given: []step{paid, issued, creditIt, void}, when: creditIt},

		{name: "an issued invoice is not approved", given: []step{owed, issued}, when: approve, refused: InvoiceState},
		{name: "an issued invoice is not cancelled", given: []step{owed, issued}, when: cancel, refused: InvoiceState},
		{name: "a draft that was paid in part is not cancelled", given: draftPaid, when: cancel, refused: InvoiceState},
		{name: "a draft is not given up", given: draft, when: writeOff, refused: InvoiceState},
		{name: "an open invoice is not approved", when: approve, refused: NotFound},
		{name: "another merchant's is not approved", given: append(draft[:3:3], merchant("rival", seller)), when: approve, refused: NotFound},
		{name: "an invoice that is to be paid is not refunded", given: []step{owed, issued}, when: creditIt, refused: InvoiceState},
		{name: "an open invoice is not refunded", when: creditIt, refused: NotFound},
		{name: "an invoice is refunded once", given: []step{paid, issued, creditIt}, when: creditIt, refused: AlreadyRefunded},
		{name: "a credit note is voided once", given: []step{paid, issued, creditIt, void}, when: void, refused: NotFound},
		{name: "a credit note whose money is spent is not voided", given: []step{
			paid, issued, creditIt, use("all", "alice", "2025-02-16 11:00", q{"tokens", 36}),
		}, when: void, refused: InsufficientFunds},
		{name: "a line of nothing", when: item("0", "20", asIs), refused: Invalid},
		{name: "a line in another currency", when: item("1", "20", func(c *CreateLineItem) { c.Currency = eur }), refused: Invalid},
		{name: "a line on an invoice that is issued", given: []step{owed, issued}, when: func(w *world) *Request {
			return item("1", "20", func(c *CreateLineItem) { c.Invoice = id[events.InvoiceNoun](w, "sub-invoice") })(w)
		}, refused: InvoiceState},
		{name: "a line for nobody", when: item("1", "20", func(c *CreateLineItem) { c.Subscription[0]++ }), refused: NotFound},
		{name: "a line that does not fit", when: item("1000000000", "1000000000", asIs), refused: AmountOutOfRange},
		{name: "a line of too many digits", when: item("1e19", "1", asIs), refused: Invalid},
		{name: "a discount of more than there is", given: []step{owed}, when: item("4", "-0.1", asIs), refused: InvoiceState},
	})
}

// TestPreview holds that what an invoice has come to at any moment is what it would be issued with: all aggregations, a
// fee in arrears and lines of its merchant among it.
func TestPreview(t *testing.T) {
	w := newWorld(t)
	all := []tariff{instantSum("tokens", "0.001"), arrearsCount("calls", "0.02")}
	for _, a := range []events.Aggregation{events.AggregateAvg, events.AggregateMin, events.AggregateMax, events.AggregateUnique, events.AggregateLatest} {
		all = append(all, tariff{string(a), "0.3", events.InArrears, a})
	}
	w.do(merchant("acme", seller), product("llm"), plan("pro", "llm", all...), func(w *world) *Request {
		w.named("base", 0)
		return just(CreateFee{Product: id[events.ProductNoun](w, "llm"), Name: "Base", Description: "Each month"})(w)
	}, func(w *world) *Request {
		w.named("base-price", 0)
		return just(CreatePrice{Fee: id[events.FeeNoun](w, "base"), Term: events.InArrears, DisplayName: "Base", UnitPrice: nanosOf("9.99"), Cadence: events.Monthly, Quantity: 2})(w)
	}, func(w *world) *Request {
		plan := w.seq.books.Plans.Get(id[events.PlanNoun](w, "pro"))
		return just(UpdatePlan{
			Plan: id[events.PlanNoun](w, "pro"), Prices: Change[[]events.PriceID]{true, append(plan.Prices[:len(plan.Prices):len(plan.Prices)], id[events.PriceNoun](w, "base-price"))},
			TaxBehavior: Change[events.TaxBehavior]{true, events.Inclusive}, TaxRate: Change[events.TaxRate]{true, 19 * events.OnePercent},
		})(w)
	}, customer("alice"), fund("alice", "10"), join("sub", "alice", "pro", terms{}))
	quantities := func(n int64) (qs []q) {
		for _, m := range all {
			qs = append(qs, q{m.metric, n})
		}
		return qs
	}
	w.do(use("1", "alice", "2025-01-15 10:00", quantities(7)...), use("2", "alice", "2025-01-15 10:03", quantities(2)...),
		use("3", "alice", "2025-01-15 10:01", quantities(7)...), item("1.5", "0.000000001", asIs))
	sub := id[events.SubscriptionNoun](w, "sub")
	preview := Settle(w.views, sub, w.views.Subscriptions.Get(sub), &w.views.Subscriptions.Get(sub).Periods[0], instantOf("2025-02-16 10:00"))
	for i, want := range []string{"16", "3", "16", "2", "7", "2", "2", "1", "2"} { // units; of the mean, the sum
		if got := preview.Lines[i].Quantity.Digits(); got != want {
			t.Errorf("line %d is of %s units, want %s", i, got, want)
		}
	}
	for i, want := range []string{"0.016", "0.06", "1.6", "0.6", "2.1", "0.6", "0.6", "0.000000002", "19.98"} { // with tax, which is in it
		if l := preview.Lines[i]; l.Nanos.Plus(l.Tax).String() != want {
			t.Errorf("line %d comes to %s, want %s", i, l.Nanos.Plus(l.Tax), want)
		}
	}
	w.do(at("2025-02-16 11:00"))
	row := w.views.Invoices.Get(id[events.InvoiceNoun](w, "sub-invoice"))
	got := projections.Issuance{Subtotal: row.Subtotal, Tax: row.Tax, Paid: row.Paid, Unpaid: row.Unpaid, UnpaidTax: preview.UnpaidTax}
	if row.Status != projections.InvoiceIssued || got != preview.Issuance || int(row.Lines) != len(preview.Lines) {
		t.Errorf("issued as %s with %+v, previewed as %+v", row.Status, got, preview.Issuance)
	}
	wallet := id[events.WalletNoun](w, "alice-wallet")
	if owed := w.seq.books.BalanceOf(events.Account{Role: events.ConsumerUsage, Currency: usd, Owner: wallet}).Neg(); owed != row.Unpaid {
		t.Errorf("%s is owed, and the invoice asks for %s", owed, row.Unpaid)
	}
}

// TestAfterADraft holds that a draft does not keep the next period from ending.
func TestAfterADraft(t *testing.T) {
	w := newWorld(t)
	w.do(taxedShop(events.Settings{ManagedPrepaid: true, ManualApproval: true})...)
	w.do(use("owed", "alice", "2025-01-15 10:00", q{"bytes", 3}), at("2025-02-16 12:00"), at("2025-04-16 12:00"))
	periods := w.seq.books.Subscriptions.Get(id[events.SubscriptionNoun](w, "sub")).Periods
	if len(periods) != 1 || periods[0].N != 3 {
		t.Errorf("open periods are %+v, want the fourth alone", periods)
	}
}
