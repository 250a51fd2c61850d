package projections_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"tallystick/events"
	"tallystick/projections"
)

// TestStories runs the scripts in testdata. They know these commands:
//
//	record merchant=NAME at=TIME cause=due   apply events, one a line: a kind and the event in JSON
//	again seq=N                              apply record N a second time
//	ahead                                    apply a record that leaves one out
//	row table=NAME                           print a table's rows, keys and rows in JSON, in order
//	balance                                  print every account
//
// In JSON and in keys, a name in braces stands for an identity: {cus:ada} is a customer's. It is printed as it is written.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := newStory(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "record":
				return s.record(t, d)
			case "again":
				var seq int
				d.ScanArgs(t, "seq", &seq)
				return s.apply(&s.recs[seq-1])
			case "ahead":
				rec := s.recs[len(s.recs)-1]
				rec.Seq += 2
				return s.apply(&rec)
			case "row":
				var table string
				d.ScanArgs(t, "table", &table)
				return s.rows(t, table)
			case "balance":
				return s.rows(t, "wallets.accounts")
			}
			d.Fatalf(t, "unknown command %q", d.Cmd)
			return ""
		})
	})
}

// story is books that a script writes to, with the names it uses.
type story struct {
	books *projections.Books
	recs  []events.Record
	ids   map[string]string // text of an identity by its name
}

func newStory(t *testing.T) *story {
	t.Helper()
	s := &story{books: projections.NewBooks(projections.ForViews), ids: make(map[string]string)}
	env := events.Envelope{Ledger: events.LedgerID{15: 1}, RecordedAt: 1}
	s.emit(t, env, events.LedgerOpened{Environment: events.Sandbox, Format: 1})
	return s
}

// id returns the identity that a name such as "cus:ada" stands for.
func (s *story) id(name string) string {
	if id, ok := s.ids[name]; ok {
		return id
	}
	prefix, _, _ := strings.Cut(name, ":")
	n := len(s.ids) + 1
	id := fmt.Sprintf("%s_%026d", prefix, n)
	if prefix == "tc" {
		id = fmt.Sprintf("tc_%016d", n)
	}
	s.ids[name] = id
	return id
}

// expand puts identities in the place of names in braces.
func (s *story) expand(text string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		name, after, closed := strings.Cut(rest, "}")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		if !closed || strings.ContainsAny(name, "\"{[ ,") {
			out.WriteByte('{')
			text = rest
			continue
		}
		out.WriteString(s.id(name))
		text = after
	}
}

// shrink puts names in the place of identities.
func (s *story) shrink(text string) string {
	for name, id := range s.ids {
		text = strings.ReplaceAll(text, id, "{"+name+"}")
	}
	return text
}

func (s *story) record(t *testing.T, d *datadriven.TestData) string {
	env := events.Envelope{Ledger: events.LedgerID{15: 1}, RecordedAt: events.Time(len(s.recs) + 1), Actor: events.Actor{Kind: events.ActorOperator}}
	var merchant, at string
	if d.HasArg("merchant") {
		d.ScanArgs(t, "merchant", &merchant)
		if err := env.Merchant.UnmarshalText([]byte(s.id("org:" + merchant))); err != nil {
			d.Fatalf(t, "%v", err)
		}
	}
	if d.HasArg("at") {
		d.ScanArgs(t, "at", &at)
		if err := env.At.UnmarshalText([]byte(at + ":00:00Z")); err != nil {
			d.Fatalf(t, "%v", err)
		}
	}
	var out []string
	for line := range strings.Lines(d.Input) {
		kind, body, _ := strings.Cut(strings.TrimSpace(line), " ")
		e, err := eventOf(events.Kind(kind), []byte(s.expand(body)))
		if err != nil {
			d.Fatalf(t, "%s: %v", line, err)
		}
		out = append(out, s.emit(t, env, e))
	}
	return strings.Join(slices.Compact(out), "\n")
}

func (s *story) emit(t *testing.T, env events.Envelope, e events.Event) string {
	env.Seq = events.Seq(len(s.recs) + 1)
	rec, err := events.NewRecord(env, e)
	if err != nil {
		t.Fatal(err)
	}
	s.recs = append(s.recs, rec)
	return s.apply(&rec)
}

// apply applies a record and says "ok", or why not.
func (s *story) apply(rec *events.Record) (answer string) {
	defer func() {
		if p := recover(); p != nil {
			answer = fmt.Sprint("panic: ", p)
			s.recs = s.recs[:len(s.recs)-1]
		}
	}()
	if err := s.books.Apply(rec); err != nil {
		return err.Error()
	}
	return "ok"
}

// rows prints the rows of a table. A flush of books that are made anew gives all of them.
func (s *story) rows(t *testing.T, table string) string {
	t.Helper()
	books := projections.NewBooks(projections.ForViews)
	for i := range s.recs {
		if err := books.Apply(&s.recs[i]); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	put := func(k, v []byte) error {
		info, key, row, err := books.Explain(k, v)
		if err != nil || info.Name != table {
			return err
		}
		text, err := json.Marshal(row)
		lines = append(lines, fmt.Sprintf("%s %s", s.shrink(key), s.shrink(string(text))))
		return err
	}
	if err := books.Flush(put, func([]byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	if len(lines) == 0 {
		return "no rows"
	}
	return strings.Join(lines, "\n")
}

// eventOf reads an event from JSON.
func eventOf(kind events.Kind, b []byte) (events.Event, error) {
	switch kind {
	case events.KindMerchantCreated:
		return read[events.MerchantCreated](b)
	case events.KindProductCreated:
		return read[events.ProductCreated](b)
	case events.KindProductUpdated:
		return read[events.ProductUpdated](b)
	case events.KindMetricCreated:
		return read[events.MetricCreated](b)
	case events.KindMetricUpdated:
		return read[events.MetricUpdated](b)
	case events.KindFeeCreated:
		return read[events.FeeCreated](b)
	case events.KindFeeUpdated:
		return read[events.FeeUpdated](b)
	case events.KindFeeDeleted:
		return read[events.FeeDeleted](b)
	case events.KindPriceCreated:
		return read[events.PriceCreated](b)
	case events.KindPriceRevised:
		return read[events.PriceRevised](b)
	case events.KindPriceDeleted:
		return read[events.PriceDeleted](b)
	case events.KindPlanCreated:
		return read[events.PlanCreated](b)
	case events.KindPlanUpdated:
		return read[events.PlanUpdated](b)
	case events.KindConsumerCreated:
		return read[events.ConsumerCreated](b)
	case events.KindConsumerErased:
		return read[events.ConsumerErased](b)
	case events.KindCustomerCreated:
		return read[events.CustomerCreated](b)
	case events.KindWalletOpened:
		return read[events.WalletOpened](b)
	case events.KindWalletToppedUp:
		return read[events.WalletToppedUp](b)
	case events.KindSubscriptionCreated:
		return read[events.SubscriptionCreated](b)
	case events.KindSubscriptionTerminated:
		return read[events.SubscriptionTerminated](b)
	case events.KindUsageReported:
		u := new(events.UsageReported)
		return u, json.Unmarshal(b, u)
	case events.KindInvoiceOpened:
		return read[events.InvoiceOpened](b)
	case events.KindInvoiceClosing:
		return read[events.InvoiceClosing](b)
	case events.KindInvoiceLineClosed:
		return read[events.InvoiceLineClosed](b)
	case events.KindInvoiceIssued:
		return read[events.InvoiceIssued](b)
	case events.KindInvoicePaid:
		return read[events.InvoicePaid](b)
	case events.KindInvoiceCancelled:
		return read[events.InvoiceCancelled](b)
	case events.KindFeeCharged:
		return read[events.FeeCharged](b)
	case events.KindUsageRefunded:
		return read[events.UsageRefunded](b)
	case events.KindUsageCorrected:
		return read[events.UsageCorrected](b)
	case events.KindLineItemAdded:
		return read[events.LineItemAdded](b)
	case events.KindInvoiceDrafted:
		return read[events.InvoiceDrafted](b)
	case events.KindInvoiceWrittenOff:
		return read[events.InvoiceWrittenOff](b)
	case events.KindInvoiceRefunded:
		return read[events.InvoiceRefunded](b)
	case events.KindInvoiceRefundVoided:
		return read[events.InvoiceRefundVoided](b)
	case events.KindClockCreated:
		return read[events.ClockCreated](b)
	case events.KindClockAdvancing:
		return read[events.ClockAdvancing](b)
	case events.KindClockAdvanced:
		return read[events.ClockAdvanced](b)
	case events.KindClockDeleted:
		return read[events.ClockDeleted](b)
	case events.KindCustomerUpdated:
		return read[events.CustomerUpdated](b)
	case events.KindCustomerDeleted:
		return read[events.CustomerDeleted](b)
	case events.KindConsumerUpdated:
		return read[events.ConsumerUpdated](b)
	case events.KindDueFailed:
		return read[events.DueFailed](b)
	}
	return nil, fmt.Errorf("no story tells of %s", kind)
}

func read[E events.Event](b []byte) (events.Event, error) {
	var e E
	err := json.Unmarshal(b, &e)
	return e, err
}
