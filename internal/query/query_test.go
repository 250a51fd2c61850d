package query_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tallystick/events"
	"tallystick/internal/query"
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
			wallet := mv.Wallet
			if !p.Wallet.IsZero() {
				wallet = p.Wallet
			}
			m.main[wallet] = m.main[wallet].Add(p.Nanos)
		case events.ConsumerUsage:
			m.used[mv.Wallet] = m.used[mv.Wallet].Add(p.Nanos)
		}
	}
	if len(mv.Postings) > 0 && !mv.Wallet.IsZero() {
		m.moves[mv.Wallet] = append(m.moves[mv.Wallet], rec.Seq)
	}
	switch e := any(rec.Event).(type) {
	case events.WalletEmptied:
		m.moves[e.Parent] = append(m.moves[e.Parent], rec.Seq)
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
				if e.Balance != nil && *e.Balance != balance || e.Balance == nil && !e.Amount.IsZero() {
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

// TestBooksThatDoNotBalanceAreShown takes an account away.
func TestBooksThatDoNotBalanceAreShown(t *testing.T) {
	mem := newMemory(projtest.Shape{})
	rows, err := mem.at(mem.head())
	if err != nil {
		t.Fatal(err)
	}
	accounts := string(projections.NewBooks(projections.ForRules).Accounts.ID)
	rows.keys = slices.DeleteFunc(rows.keys, func(k string) bool { return k[:1] == accounts && k[1] == byte(events.Merchant) })
	tb := must[query.TrialBalance](t)(mem.service().TrialBalance(t.Context(), operator, query.TrialBalanceArgs{}))
	if tb.Balanced || tb.Sums[0].Balance.IsZero() {
		t.Errorf("without merchants the books balance: %+v", tb)
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
		if inv.Status == projections.InvoicePaid { // whoever has paid it
			e.Unpaid = events.Sum{}
		}
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
			if e, ok := mem.records[i].Event.(events.FeeCharged); ok && e.Subscription == inv.Subscription && e.Period == inv.Period {
				sum = sum.Add(e.Nanos)
			}
		}
		if one.Subtotal != sum || inv.Subtotal != sum {
			t.Errorf("%s comes to %s, want %s", inv.ID, one.Subtotal, sum)
		}
		for _, l := range one.Lines {
			if l.Kind == "" && l.Root != leaves.Root() {
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

// standing is views that hold all but the newest records, and get no further.
type standing struct {
	*memory
	awaited *int // how often somebody waited for more
}

func (v standing) Rows() (query.Rows, error) { return v.at(v.head() / 2) }

func (v standing) Wait(_ context.Context, seq events.Seq) error {
	if seq > v.head()/2 {
		*v.awaited++
		return context.DeadlineExceeded
	}
	return nil
}

// TestUsageIsShownAtOnce holds that an answer to usage does not wait for the views where they know its invoice already.
func TestUsageIsShownAtOnce(t *testing.T) {
	mem := newMemory(everything())
	awaited := 0
	s := query.New(query.Options{Views: standing{mem, &awaited}, Log: mem, Opener: mem, Head: mem.head})
	known := make(map[events.SubscriptionID]uint32)
	shown := 0
	for i := range mem.records {
		switch e := mem.records[i].Event.(type) {
		case events.InvoiceOpened:
			if events.Seq(i) < mem.head()/2 {
				known[e.Subscription] = max(known[e.Subscription], e.Period)
			}
		case *events.UsageReported:
			if n, ok := known[e.Subscription]; !ok || e.Period > n || events.Seq(i) < mem.head()/2 {
				continue
			}
			list, err := s.UsageAt(t.Context(), operator, []events.Seq{events.Seq(i + 1)})
			if err != nil || list[0].Billing.Invoice.IsZero() {
				t.Fatalf("usage of record %d is %+v, %v", i+1, list, err)
			}
			shown++
		default:
		}
	}
	if shown == 0 || awaited > 0 {
		t.Errorf("%d usage events beyond the views were shown, and the views awaited %d times", shown, awaited)
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
		"a subject": {query.RecordsArgs{Subject: usage.Subscription.String(), Type: "UsageReported"}, func(r *events.Record) bool {
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
