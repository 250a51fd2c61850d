package query_test

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
	"tallystick/ledger"
	"tallystick/projections"
	"tallystick/projections/projtest"
)

// model is the history added up by itself, without folds.
type model struct {
	main, used map[events.WalletID]events.Sum
	moves      map[events.WalletID][]events.Seq
	usage      map[events.SubscriptionID][]events.Seq
	owner      map[string]events.OrganizationID // merchant of each identity
	invoices   map[events.InvoiceID]events.InvoiceIssued
	lines      map[events.InvoiceID][]events.InvoiceLineClosed
	totals     map[events.CustomerID]map[events.MetricID]int64
	reported   []*events.Record
}

func newModel(records []events.Record) *model {
	m := &model{
		main: make(map[events.WalletID]events.Sum), used: make(map[events.WalletID]events.Sum),
		moves: make(map[events.WalletID][]events.Seq), usage: make(map[events.SubscriptionID][]events.Seq),
		owner:    make(map[string]events.OrganizationID),
		invoices: make(map[events.InvoiceID]events.InvoiceIssued), lines: make(map[events.InvoiceID][]events.InvoiceLineClosed),
		totals: make(map[events.CustomerID]map[events.MetricID]int64),
	}
	for i := range records {
		m.add(&records[i])
	}
	return m
}

func (m *model) add(rec *events.Record) {
	mv := rec.Event.Money()
	for _, p := range mv.Postings {
		switch p.Role {
		case events.ConsumerMain:
			m.main[mv.Wallet] = m.main[mv.Wallet].Add(p.Nanos)
		case events.ConsumerUsage:
			m.used[mv.Wallet] = m.used[mv.Wallet].Add(p.Nanos)
		}
	}
	if len(mv.Postings) > 0 {
		m.moves[mv.Wallet] = append(m.moves[mv.Wallet], rec.Seq)
	}
	switch e := any(rec.Event).(type) {
	case *events.UsageReported:
		m.reported = append(m.reported, rec)
		m.usage[e.Subscription] = append(m.usage[e.Subscription], rec.Seq)
		if m.totals[e.Customer] == nil {
			m.totals[e.Customer] = make(map[events.MetricID]int64)
		}
		for _, l := range e.Lines {
			m.totals[e.Customer][l.Metric] += l.Quantity
		}
	case events.WalletOpened:
		m.owner[e.Wallet.String()] = rec.Merchant
	case events.CustomerCreated:
		m.owner[e.Customer.String()] = rec.Merchant
	case events.SubscriptionCreated:
		m.owner[e.Subscription.String()] = rec.Merchant
	case events.InvoiceOpened:
		m.owner[e.Invoice.String()] = rec.Merchant
	case events.InvoiceLineClosed:
		m.lines[e.Invoice] = append(m.lines[e.Invoice], e)
	case events.InvoiceIssued:
		m.invoices[e.Invoice] = e
	default: // the others are of no interest here
	}
}

func TestWalletsAreTheSumOfTheirPostings(t *testing.T) {
	mem := newMemory(everything())
	s, want := mem.service(), newModel(mem.records)
	for id, moves := range want.moves {
		w := must[query.Wallet](t)(s.Wallet(t.Context(), operator, query.WalletArgs{Wallet: id}))
		if w.Balance != want.main[id] || *w.Used != want.used[id] || w.Sequence != mem.head() {
			t.Errorf("%s at %d: %s and %s used, want %s and %s at %d", id, w.Sequence, w.Balance, w.Used, want.main[id], want.used[id], mem.head())
		}
		if w.Earning {
			continue
		}
		var got []events.Seq
		balance := w.Balance
		args := query.StatementArgs{WalletArgs: query.WalletArgs{Wallet: id}, Page: query.Page{Limit: 7}}
		for {
			st := must[query.Statement](t)(s.Statement(t.Context(), operator, args))
			for _, e := range st.Entries {
				got = append(got, e.Sequence)
				if *e.Balance != balance {
					t.Fatalf("%s: the balance after record %d is %s, want %s", id, e.Sequence, e.Balance, balance)
				}
				balance = balance.Plus(e.Amount.Neg())
			}
			if st.Total != uint64(len(moves)) {
				t.Fatalf("%s: %d entries in all, want %d", id, st.Total, len(moves))
			}
			if !st.More {
				break
			}
			args.Before = got[len(got)-1]
		}
		slices.Reverse(got)
		if !slices.Equal(got, moves) || !balance.IsZero() {
			t.Errorf("%s: entries %v that begin with a balance of %s, want %v and 0", id, got, balance, moves)
		}
	}
}

func TestStatementPagesAgree(t *testing.T) {
	mem := newMemory(projtest.Shape{Seed: 3, Merchants: 1, Customers: 1, Usages: 5000})
	s := mem.service()
	var wallet events.WalletID
	for w := range newModel(mem.records).moves {
		wallet = w
	}
	all := statement(t, s, query.StatementArgs{WalletArgs: query.WalletArgs{Wallet: wallet}})
	for _, from := range []int{0, 1, 500, 1200, len(all) - 2} {
		args := query.StatementArgs{WalletArgs: query.WalletArgs{Wallet: wallet}, Before: all[from]}
		if diff := cmp.Diff(all[from+1:], statement(t, s, args)); diff != "" {
			t.Fatalf("the statement before %d (-want +got):\n%s", all[from], diff)
		}
		args = query.StatementArgs{WalletArgs: query.WalletArgs{Wallet: wallet}, Page: query.Page{Offset: from, Limit: 3}}
		st := must[query.Statement](t)(s.Statement(t.Context(), operator, args))
		if want := min(3, len(all)-from); len(st.Entries) != want || st.Entries[0].Sequence != all[from] || st.More != (from+3 < len(all)) {
			t.Errorf("at offset %d: %d entries from %d, more %v", from, len(st.Entries), st.Entries[0].Sequence, st.More)
		}
	}
}

// statement returns the sequences of a whole statement.
func statement(t *testing.T, s *query.Service, args query.StatementArgs) (all []events.Seq) {
	t.Helper()
	args.Limit = 1000
	for {
		st := must[query.Statement](t)(s.Statement(t.Context(), operator, args))
		for i := range st.Entries {
			all = append(all, st.Entries[i].Sequence)
		}
		if !st.More {
			return all
		}
		args.Offset += args.Limit
	}
}

func TestTrialBalanceIsZero(t *testing.T) {
	mem := newMemory(everything())
	tb := must[query.TrialBalance](t)(mem.service().TrialBalance(t.Context(), operator, query.TrialBalanceArgs{}))
	sums := make(map[events.Role]events.Sum)
	for i := range mem.records {
		for _, p := range mem.records[i].Event.Money().Postings {
			sums[p.Role] = sums[p.Role].Add(p.Nanos)
		}
	}
	for _, row := range tb.Rows {
		if row.Balance != sums[row.Role] {
			t.Errorf("%s: %s, want %s", row.Role, row.Balance, sums[row.Role])
		}
	}
	if !tb.Balanced || len(tb.Rows) != len(sums) || len(tb.Sums) != 1 || !tb.Sums[0].Balance.IsZero() {
		t.Errorf("not balanced: %+v", tb)
	}
}

func TestInvoicesShowWhatWasIssued(t *testing.T) {
	mem := newMemory(everything())
	s, want := mem.service(), newModel(mem.records)
	if len(want.invoices) < 10 {
		t.Fatalf("a history with %d issued invoices tries too little", len(want.invoices))
	}
	erased := 0
	for id, e := range want.invoices {
		inv := must[query.Invoice](t)(s.Invoice(t.Context(), operator, query.InvoiceArgs{Invoice: id}))
		if inv.Subtotal != e.Subtotal || inv.Unpaid != e.Unpaid || inv.Number != e.Number || inv.ItemCount != int(e.Lines) {
			t.Errorf("%s: %+v, want %+v", id, inv, e)
		}
		var sum events.Sum
		for i, l := range inv.Lines {
			c := want.lines[id][i]
			sum = sum.Plus(l.Amount)
			if l.ID != c.Line || l.Root != c.Root || l.Count != c.Count || l.MetricName == "" || l.DisplayName == "" {
				t.Errorf("%s line %d: %+v, want %+v", id, i, l, c)
			}
		}
		if sum != inv.Subtotal {
			t.Errorf("%s: lines add up to %s, want %s", id, sum, inv.Subtotal)
		}
		if inv.Seller.ProfileSequence != e.Seller || inv.Seller.Name == "" || inv.Buyer.ProfileSequence != e.Buyer {
			t.Errorf("%s: seller %+v, buyer %+v", id, inv.Seller, inv.Buyer)
		}
		if inv.Buyer.Erased != mem.erased[inv.Buyer.Consumer] || inv.Buyer.Erased == (inv.Buyer.Profile != nil) {
			t.Errorf("%s: the buyer shows as %+v", id, inv.Buyer)
		}
		if inv.Buyer.Erased {
			erased++
		}
	}
	if erased == 0 {
		t.Error("no erased buyer in this history: it tries too little")
	}
}

func TestOpenInvoicesAreLive(t *testing.T) {
	mem := newMemory(everything())
	s := mem.service()
	list := must[query.List[query.Invoice]](t)(s.Invoices(t.Context(), operator, query.InvoicesArgs{Status: projections.InvoiceActive}))
	if len(list.Items) == 0 {
		t.Fatal("no open invoices")
	}
	for _, inv := range list.Items {
		one := must[query.Invoice](t)(s.Invoice(t.Context(), operator, query.InvoiceArgs{Invoice: inv.ID}))
		var sum events.Sum
		var leaves projections.Frontier
		for i := range mem.records {
			if e, ok := mem.records[i].Event.(*events.UsageReported); ok && e.Subscription == inv.Subscription && e.Period == inv.Period {
				net, _ := e.Total()
				sum = sum.Add(net)
				leaves.Append(mem.records[i].Hash)
			}
		}
		if one.Subtotal != sum || inv.Subtotal != sum {
			t.Errorf("%s comes to %s, want %s", inv.ID, one.Subtotal, sum)
		}
		for _, l := range one.Lines {
			if l.Root != leaves.Root() {
				t.Errorf("%s: root of a line is %s, want %s", inv.ID, l.Root, leaves.Root())
			}
		}
		if one.Seller == nil || one.Seller.Name == "" || one.Buyer == nil {
			t.Errorf("%s: seller %+v, buyer %+v", inv.ID, one.Seller, one.Buyer)
		}
	}
}

func TestUsage(t *testing.T) {
	mem := newMemory(everything())
	s, want := mem.service(), newModel(mem.records)
	for customer, metrics := range want.totals {
		u := must[query.Usage](t)(s.Usage(t.Context(), operator, query.CustomerArgs{Customer: customer}))
		for _, total := range u.Totals {
			if n, _ := total.Quantity.Nanos(); int64(n) != metrics[total.Metric] || total.Name == "" {
				t.Errorf("%s: %+v, want %d", customer, total, metrics[total.Metric])
			}
		}
		if len(u.Totals) != len(metrics) {
			t.Errorf("%s: %d totals, want %d", customer, len(u.Totals), len(metrics))
		}
	}
	for _, rec := range want.reported[:50] {
		id := events.Derive[events.UsageNoun](rec.Command, 0)
		u := must[query.UsageEvent](t)(s.UsageEvent(t.Context(), operator, query.UsageEventArgs{Usage: id}))
		period := rec.Event.(*events.UsageReported).Period
		inv := must[query.Invoice](t)(s.Invoice(t.Context(), operator, query.InvoiceArgs{Invoice: u.Billing.Invoice}))
		if u.Sequence != rec.Seq || u.Key != rec.Key || u.ID != id || inv.Period != period || inv.Subscription != u.Subscription {
			t.Errorf("%s: %+v, want record %d", id, u, rec.Seq)
		}
	}
	for sub, seqs := range want.usage {
		list := must[query.UsageEvents](t)(s.UsageEvents(t.Context(), operator, query.UsageEventsArgs{Subscription: sub, Page: query.Page{Limit: 1000}}))
		var got []events.Seq
		for i := range list.Items {
			got = append(got, list.Items[i].Sequence)
		}
		slices.Reverse(got)
		if !slices.Equal(got, seqs) || list.Total != uint64(len(seqs)) {
			t.Errorf("%s: usage at %v, want %v", sub, got, seqs)
		}
	}
}

// TestTheLog asks for parts of the log by each condition, and compares with the whole log.
func TestTheLog(t *testing.T) {
	mem := newMemory(everything())
	s := mem.service()
	m := newModel(mem.records)
	merchant := mem.records[m.reported[0].Seq-1].Merchant
	usage := m.reported[0].Event.(*events.UsageReported)
	for name, tt := range map[string]struct {
		args query.RecordsArgs
		is   func(*events.Record) bool
	}{
		"all":            {query.RecordsArgs{}, func(*events.Record) bool { return true }},
		"a range":        {query.RecordsArgs{From: 10, To: 300}, func(r *events.Record) bool { return r.Seq >= 10 && r.Seq <= 300 }},
		"a type":         {query.RecordsArgs{Type: "wallet.topped_up.v1"}, isKind(events.KindWalletToppedUp)},
		"a subject name": {query.RecordsArgs{Type: "InvoiceLineClosed"}, isKind(events.KindInvoiceLineClosed)},
		"an aggregate": {query.RecordsArgs{Type: "consumer"}, func(r *events.Record) bool {
			aggregate, _ := r.Event.Subject()
			return aggregate == "consumer"
		}},
		"a merchant": {query.RecordsArgs{Merchant: merchant}, func(r *events.Record) bool { return r.Merchant == merchant }},
		"a subject": {query.RecordsArgs{Subject: usage.Subscription.String(), Type: "usage"}, func(r *events.Record) bool {
			e, ok := r.Event.(*events.UsageReported)
			return ok && e.Subscription == usage.Subscription
		}},
	} {
		var want, got []events.Seq
		for i := range mem.records {
			if tt.is(&mem.records[i]) {
				want = append(want, mem.records[i].Seq)
			}
		}
		tt.args.Limit = 17
		for {
			rs := must[query.Records](t)(s.Records(t.Context(), operator, tt.args))
			for _, r := range rs.Records {
				got = append(got, r.Seq)
			}
			tt.args.From = rs.Next
			if rs.Next > mem.head() || tt.args.To != 0 && rs.Next > tt.args.To {
				break
			}
		}
		if !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s: records %v, want %v", name, got, want)
		}
	}
}

func isKind(k events.Kind) func(*events.Record) bool {
	return func(r *events.Record) bool { return r.Event.Kind() == k }
}

func TestEveryEventRenders(t *testing.T) {
	prepaid := projtest.Shape{Seed: 1, Usages: 60, Periods: 4} // most customers have a month without usage
	records := append(projtest.Records(everything()), projtest.Records(prepaid)...)
	seen := make(map[events.Kind]bool)
	for i := range records {
		rec := &records[i]
		if seen[rec.Event.Kind()] {
			continue
		}
		seen[rec.Event.Kind()] = true
		b, err := json.Marshal(query.RenderRecord(rec, true))
		if err != nil {
			t.Fatal(err)
		}
		var back struct {
			Sequence events.Seq
			Bytes    []byte
			Event    map[string]any
		}
		if err := json.Unmarshal(b, &back); err != nil || back.Sequence != rec.Seq || string(back.Bytes) != string(rec.Bytes) || len(back.Event) == 0 {
			t.Errorf("%s: %v in %s", rec.Event.Kind(), err, b)
		}
	}
	for _, k := range events.Kinds() {
		if !seen[k] {
			t.Errorf("the history has no %s", k)
		}
	}
}

// TestThePast compares answers about the past with those of a ledger that had no more records than that.
func TestThePast(t *testing.T) {
	whole := newMemory(everything())
	s, want := whole.service(), newModel(whole.records)
	for _, seq := range []events.Seq{1, 40, 120, 700, 1500, 2222, whole.head() - 1, whole.head()} {
		then := newMemory(everything())
		then.records = then.records[:seq]
		then.erased = whole.erased // erased is erased, whenever one asks about
		past := then.service()
		at := query.At{AsOf: seq}
		for id := range want.owner {
			compare(t, id, seq, func(s *query.Service, at query.At) (any, error) {
				return ask(t.Context(), s, operator, id, at)
			}, s, at, past)
		}
		for id := range want.moves {
			compare(t, "statement of "+id.String(), seq, func(s *query.Service, at query.At) (any, error) {
				st, err := s.Statement(t.Context(), operator, query.StatementArgs{WalletArgs: query.WalletArgs{At: at, Wallet: id}, Page: query.Page{Offset: 1}})
				st.Total = 0
				return st, err
			}, s, at, past)
		}
		compare(t, "trial balance", seq, func(s *query.Service, at query.At) (any, error) {
			return s.TrialBalance(t.Context(), operator, query.TrialBalanceArgs{At: at})
		}, s, at, past)
		compare(t, "invoices", seq, func(s *query.Service, at query.At) (any, error) {
			return s.Invoices(t.Context(), operator, query.InvoicesArgs{At: at})
		}, s, at, past)
	}
}

// compare holds what question answers about the past against its answer then.
func compare(t *testing.T, what string, seq events.Seq, question func(*query.Service, query.At) (any, error), now *query.Service, at query.At, then *query.Service) {
	t.Helper()
	got, err := question(now, at)
	want, wantErr := question(then, query.At{})
	if commands.CodeOf(err) != commands.CodeOf(wantErr) || !reflect.DeepEqual(got, want) {
		t.Errorf("%s as of %d: %v (-want +got):\n%s", what, seq, err, cmp.Diff(toJSON(t, want), toJSON(t, got)))
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ask asks about whatever id names.
func ask(ctx context.Context, s *query.Service, who wire.Who, id string, at query.At) (any, error) {
	if w, err := events.ParseID[events.WalletNoun](id); err == nil {
		return s.Wallet(ctx, who, query.WalletArgs{At: at, Wallet: w})
	}
	if c, err := events.ParseID[events.CustomerNoun](id); err == nil {
		return s.Customer(ctx, who, query.CustomerArgs{At: at, Customer: c})
	}
	if sub, err := events.ParseID[events.SubscriptionNoun](id); err == nil {
		return s.Subscription(ctx, who, query.SubscriptionArgs{At: at, Subscription: sub})
	}
	inv, err := events.ParseID[events.InvoiceNoun](id)
	if err != nil {
		return nil, err
	}
	return s.Invoice(ctx, who, query.InvoiceArgs{At: at, Invoice: inv})
}

func TestThePastByTime(t *testing.T) {
	mem := newMemory(everything())
	s := mem.service()
	for _, seq := range []events.Seq{2, 500, mem.head()} {
		at := query.At{AsOfTime: mem.records[seq-1].RecordedAt}
		want, _ := mem.SeqAt(at.AsOfTime)
		st := must[query.Status](t)(s.Status(t.Context(), operator, query.StatusArgs{At: at}))
		if st.Sequence != want {
			t.Errorf("at %s: sequence %d, want %d", at.AsOfTime, st.Sequence, want)
		}
	}
}

// TestThePastOnAClock asks for the state at moments of a test clock, and compares the sequence with one found by
// reading the whole log: the last before anything that happened later on that clock.
func TestThePastOnAClock(t *testing.T) {
	mem := newMemory(everything())
	s := mem.service()
	clocks := must[query.List[query.Clock]](t)(s.Clocks(t.Context(), operator, query.CatalogArgs{}))
	if len(clocks.Items) != 3 {
		t.Fatalf("%d clocks, want 3", len(clocks.Items))
	}
	for _, c := range clocks.Items {
		stations := []events.Time{}
		for i := range mem.records {
			switch e := any(mem.records[i].Event).(type) {
			case events.ClockCreated:
				if e.Clock == c.ID {
					stations = append(stations, e.Now)
				}
			case events.ClockAdvanced:
				if e.Clock == c.ID {
					stations = append(stations, e.To)
				}
			default: // the others are of no interest here
			}
		}
		for _, at := range stations {
			for _, d := range []time.Duration{0, time.Nanosecond, time.Minute} {
				at := at.Add(d)
				want := mem.head()
				for i := range mem.records {
					rec := &mem.records[i]
					if rec.Actor.Kind == events.ActorDue && rec.Merchant == c.Merchant && rec.At > at {
						want = rec.Seq - 1
						break
					}
				}
				st := must[query.Status](t)(s.Status(t.Context(), operator, query.StatusArgs{At: query.At{AsOfTime: at, Clock: c.ID}}))
				if st.Sequence != want {
					t.Errorf("clock %s at %s: sequence %d, want %d", c.ID, at, st.Sequence, want)
				}
			}
		}
		_, err := s.Status(t.Context(), operator, query.StatusArgs{At: query.At{AsOfTime: stations[0] - 1, Clock: c.ID}})
		if commands.CodeOf(err) != commands.Invalid {
			t.Errorf("before clock %s there was: %v", c.ID, err)
		}
	}
}

// TestTenancy asks, as each merchant, for everything that there is: its own is answered, and nothing else is known of.
func TestTenancy(t *testing.T) {
	mem := newMemory(everything())
	s, m := mem.service(), newModel(mem.records)
	merchants := must[query.List[query.Merchant]](t)(s.Merchants(t.Context(), operator, query.MerchantsArgs{}))
	for _, merchant := range merchants.Items {
		who := wire.Who{Role: events.MerchantKey, Merchant: merchant.ID}
		for id, owner := range m.owner {
			_, err := ask(t.Context(), s, who, id, query.At{})
			want := commands.NotFound
			if owner == merchant.ID {
				want = ""
			}
			if commands.CodeOf(err) != want || err != nil && want == "" {
				t.Errorf("merchant %s asks for %s: %v", merchant.ID, id, err)
			}
		}
		for _, rec := range m.reported {
			id := events.Derive[events.UsageNoun](rec.Command, 0)
			_, err := s.UsageEvent(t.Context(), who, query.UsageEventArgs{Usage: id})
			if (err == nil) != (rec.Merchant == merchant.ID) {
				t.Fatalf("merchant %s asks for %s of %s: %v", merchant.ID, id, rec.Merchant, err)
			}
		}
		list := must[query.List[query.Merchant]](t)(s.Merchants(t.Context(), who, query.MerchantsArgs{}))
		if len(list.Items) != 1 || list.Items[0].ID != merchant.ID {
			t.Errorf("merchant %s sees %+v", merchant.ID, list.Items)
		}
		rs := must[query.Records](t)(s.Records(t.Context(), who, query.RecordsArgs{Limit: 1000}))
		for i := range rs.Records {
			if rs.Records[i].Merchant != merchant.ID {
				t.Fatalf("merchant %s sees record %d", merchant.ID, rs.Records[i].Seq)
			}
		}
	}
}

// TestListsAreTheMerchantsOwn goes through every list, and through every query about the whole ledger.
func TestListsAreTheMerchantsOwn(t *testing.T) {
	mem := newMemory(everything())
	s := mem.service()
	merchants := must[query.List[query.Merchant]](t)(s.Merchants(t.Context(), operator, query.MerchantsArgs{}))
	own, other := merchants.Items[0].ID, merchants.Items[1].ID
	who := wire.Who{Role: events.MerchantKey, Merchant: own}
	for _, name := range []string{"Products", "Metrics", "Prices", "Plans", "Customers", "Subscriptions", "Invoices", "Keys", "Clocks"} {
		all, mine := items(t, s, operator, name, `{}`), items(t, s, who, name, `{}`)
		named := items(t, s, operator, name, `{"merchantId":"`+own.String()+`"}`)
		if len(mine) == 0 || len(mine) >= len(all) || !reflect.DeepEqual(mine, named) {
			t.Errorf("%s: a merchant sees %d, an operator %d of it and %d in all", name, len(mine), len(named), len(all))
		}
		for _, item := range mine {
			if item["merchantId"] != own.String() {
				t.Errorf("%s: merchant %s sees %v", name, own, item)
			}
		}
		_, err := s.Query(t.Context(), who, name, []byte(`{"merchantId":"`+other.String()+`"}`))
		if commands.CodeOf(err) != commands.NotFound {
			t.Errorf("%s of another merchant: %v", name, err)
		}
		if _, err := s.Query(t.Context(), wire.Who{}, name, nil); commands.CodeOf(err) != commands.Unauthorized {
			t.Errorf("%s asked by nobody: %v", name, err)
		}
	}
	for _, name := range []string{"TrialBalance", "Digests"} {
		if _, err := s.Query(t.Context(), who, name, nil); commands.CodeOf(err) != commands.Forbidden {
			t.Errorf("%s asked by a merchant: %v", name, err)
		}
		if _, err := s.Query(t.Context(), wire.Who{Role: events.AuditorKey}, name, nil); err != nil {
			t.Errorf("%s asked by an auditor: %v", name, err)
		}
	}
}

func items(t *testing.T, s *query.Service, who wire.Who, name, args string) []map[string]any {
	t.Helper()
	var list struct{ Items []map[string]any }
	b := must[[]byte](t)(s.Query(t.Context(), who, name, []byte(args)))
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func TestPagesMakeTheList(t *testing.T) {
	mem := newMemory(everything())
	s := mem.service()
	for _, args := range []query.SubscriptionsArgs{{}, {Merchant: mem.records[2].Merchant}, {Status: projections.SubscriptionActive}} {
		all := must[query.List[query.Subscription]](t)(s.Subscriptions(t.Context(), operator, args))
		var got []query.Subscription
		for args.Limit = 2; ; args.Offset += 2 {
			page := must[query.List[query.Subscription]](t)(s.Subscriptions(t.Context(), operator, args))
			got = append(got, page.Items...)
			if !page.More {
				break
			}
		}
		if len(all.Items) == 0 || !reflect.DeepEqual(got, all.Items) {
			t.Errorf("%+v: %d in pages, want %d", args, len(got), len(all.Items))
		}
	}
}

func TestQueryRefuses(t *testing.T) {
	s := newMemory(projtest.Shape{}).service()
	for name, tt := range map[string]struct {
		query, args string
		want        commands.Code
	}{
		"an unknown query":         {"Everything", `{}`, commands.NotFound},
		"an unknown field":         {"Wallet", `{"walet":"x"}`, commands.Invalid},
		"arguments that go on":     {"Status", `{} {}`, commands.Invalid},
		"an identity of another":   {"Wallet", `{"walletId":"cus_01JD3W0000000000000000000"}`, commands.Invalid},
		"no identity":              {"Wallet", `{}`, commands.Invalid},
		"a limit out of range":     {"Customers", `{"limit":1001}`, commands.Invalid},
		"a negative offset":        {"Customers", `{"offset":-1}`, commands.Invalid},
		"two moments":              {"Status", `{"asOf":1,"asOfTime":"2026-01-01T00:00:00Z"}`, commands.Invalid},
		"a clock without a time":   {"Status", `{"testClockId":"tc_0000000000000001"}`, commands.Invalid},
		"an unknown clock":         {"Status", `{"asOfTime":"2026-01-01T00:00:00Z","testClockId":"tc_0000000000000001"}`, commands.NotFound},
		"a sequence not there yet": {"Status", `{"asOf":99999999}`, commands.Invalid},
		"a type of no event":       {"Records", `{"type":"nothing"}`, commands.Invalid},
		"a subject that is none":   {"Records", `{"subject":"nothing"}`, commands.Invalid},
	} {
		if b, err := s.Query(t.Context(), operator, tt.query, []byte(tt.args)); commands.CodeOf(err) != tt.want {
			t.Errorf("%s: %s, %v; want %s", name, b, err, tt.want)
		}
	}
}

func TestEveryNameIsAnswered(t *testing.T) {
	s := newMemory(projtest.Shape{}).service()
	if !slices.IsSorted(query.Names()) {
		t.Error("names are not in order")
	}
	for _, name := range query.Names() {
		_, err := s.Query(t.Context(), operator, name, nil)
		if code := commands.CodeOf(err); err != nil && code != commands.Invalid && code != commands.NotFound {
			t.Errorf("%s without arguments: %v", name, err)
		}
	}
}

// TestWaiting asks for a sequence that the views do not hold.
func TestWaiting(t *testing.T) {
	mem := newMemory(projtest.Shape{})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := mem.service().Status(t.Context(), operator, query.StatusArgs{At: query.At{AtLeast: mem.head() + 1}})
		if commands.CodeOf(err) != commands.Busy || time.Since(began) != 10*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
	if _, err := mem.service().Status(t.Context(), operator, query.StatusArgs{At: query.At{AtLeast: mem.head()}}); err != nil {
		t.Error(err)
	}
}

func TestProofs(t *testing.T) {
	mem := newMemory(everything())
	var asked events.Seq
	s := query.New(query.Options{Views: mem, Log: mem, Opener: mem, Prove: func(_ context.Context, seq events.Seq) (*ledger.Proof, error) {
		asked = seq
		return new(ledger.Proof), nil
	}})
	lines := 0
	for i := range mem.records {
		rec := &mem.records[i]
		e, ok := rec.Event.(events.InvoiceLineClosed)
		if !ok {
			continue
		}
		lines++
		if _, err := s.Proof(t.Context(), operator, query.ProofArgs{Line: e.Line}); err != nil || asked != rec.Seq {
			t.Fatalf("line %s: record %d, %v; want %d", e.Line, asked, err, rec.Seq)
		}
		_, err := s.Proof(t.Context(), wire.Who{Role: events.MerchantKey, Merchant: rec.Merchant}, query.ProofArgs{Sequence: rec.Seq})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Proof(t.Context(), wire.Who{Role: events.MerchantKey, Merchant: events.OrganizationID{1}}, query.ProofArgs{Sequence: rec.Seq})
		if commands.CodeOf(err) != commands.NotFound {
			t.Fatalf("another merchant's record: %v", err)
		}
		unknown := e.Line
		unknown[15] ^= 0x80
		if _, err := s.Proof(t.Context(), operator, query.ProofArgs{Line: unknown}); commands.CodeOf(err) != commands.NotFound {
			t.Fatalf("a line that is none: %v", err)
		}
	}
	if lines == 0 {
		t.Error("no lines in this history")
	}
}

func TestOperationsNeedTheRole(t *testing.T) {
	mem := newMemory(projtest.Shape{})
	run := func(context.Context, []byte) (any, error) { return "done", nil }
	s := query.New(query.Options{Views: mem, Log: mem, Opener: mem, Operations: map[string]query.Operation{
		"Verify": {Auditors: true, Run: run}, "Backup": {Run: run},
	}})
	for role, allowed := range map[events.KeyRole][]string{
		events.OperatorKey: {"Backup", "Verify"}, events.AuditorKey: {"Verify"}, events.MerchantKey: nil,
	} {
		for _, name := range []string{"Backup", "Verify"} {
			_, err := s.Query(t.Context(), wire.Who{Role: role, Merchant: events.OrganizationID{1}}, name, nil)
			if (err == nil) != slices.Contains(allowed, name) {
				t.Errorf("%s by %s: %v", name, role, err)
			}
		}
	}
}
