package query_test

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
)

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
				st, err := s.Statement(t.Context(), operator, query.StatementArgs{
					WalletArgs: query.WalletArgs{At: at, Wallet: id}, Page: query.Page{Offset: 1}, Before: whole.head(),
				})
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
// reading the whole log: the last before the clock set out for a later moment.
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
					e, ok := mem.records[i].Event.(events.ClockAdvancing)
					if ok && e.Clock == c.ID && e.To > at { // what is due on the way is due at its end
						want = mem.records[i].Seq - 1
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
