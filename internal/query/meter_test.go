package query_test

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"testing"

	"github.com/shopspring/decimal"

	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
)

// used is one line of usage, found by going through the whole history.
type used struct {
	rec *events.Record
	e   *events.UsageReported
	n   int64
}

// usedOf returns what was used of a metric in a span and not taken back, in the order of the records.
func usedOf(records []events.Record, args *query.MeteredArgs) (list []used) {
	refunded := make(map[events.UsageID]bool)
	for i := range records {
		if e, ok := records[i].Event.(events.UsageRefunded); ok {
			refunded[e.Usage] = true
		}
	}
	for i := range records {
		rec := &records[i]
		e, ok := rec.Event.(*events.UsageReported)
		if !ok || refunded[events.Derive[events.UsageNoun](rec.Command, 0)] || e.HappenedAt < args.From || e.HappenedAt >= args.To ||
			!args.Customer.IsZero() && e.Customer != args.Customer {
			continue
		}
		for _, l := range e.Lines {
			if l.Metric == args.Metric {
				list = append(list, used{rec, e, l.Quantity})
			}
		}
	}
	return list
}

// value adds usage up in fractions.
func value(a events.Aggregation, list []used) string {
	if len(list) == 0 {
		return "0"
	}
	sum, set, last := new(big.Rat), make(map[int64]bool), list[0]
	for _, u := range list {
		sum.Add(sum, new(big.Rat).SetInt64(u.n))
		set[u.n] = true
		if u.e.HappenedAt >= last.e.HappenedAt {
			last = u
		}
	}
	all := slices.Sorted(maps.Keys(set))
	result := map[events.Aggregation]*big.Rat{
		events.AggregateSum: sum, events.AggregateCount: new(big.Rat).SetInt64(int64(len(list))),
		events.AggregateAvg: new(big.Rat).Quo(sum, new(big.Rat).SetInt64(int64(len(list)))),
		events.AggregateMin: new(big.Rat).SetInt64(all[0]), events.AggregateMax: new(big.Rat).SetInt64(all[len(all)-1]),
		events.AggregateUnique: new(big.Rat).SetInt64(int64(len(all))), events.AggregateLatest: new(big.Rat).SetInt64(last.n),
	}[a]
	return decimal.RequireFromString(result.FloatString(9)).String()
}

// metersOf returns the service over a history whose metrics all add up in one way, that history, and its most used metric with a
// customer that used it and the span of its usage.
func metersOf(t *testing.T, a events.Aggregation) (*query.Service, *memory, query.MeteredArgs) {
	t.Helper()
	mem := newMemory(everything())
	uses := make(map[events.MetricID]int)
	args := query.MeteredArgs{}
	for i := range mem.records {
		switch e := mem.records[i].Event.(type) {
		case events.MetricCreated:
			e.Aggregation = a
			mem.records[i].Event = e
		case *events.UsageReported:
			for _, l := range e.Lines {
				if uses[l.Metric]++; uses[l.Metric] > uses[args.Metric] || args.Metric == l.Metric {
					args.Metric, args.Customer = l.Metric, e.Customer
				}
			}
			if args.From == 0 || e.HappenedAt < args.From {
				args.From = e.HappenedAt
			}
			args.To = max(args.To, e.HappenedAt) // the last is left out
		default: // of no interest here
		}
	}
	return mem.service(), mem, args
}

// TestMeters: for every aggregation, in all and by window and by group, a meter shows what going through the whole history shows.
func TestMeters(t *testing.T) {
	layouts := map[query.Window]string{query.Minute: "2006-01-02T15:04", query.Hour: "2006-01-02T15", query.Day: "2006-01-02", query.Month: "2006-01"}
	for _, a := range []events.Aggregation{
		events.AggregateSum, events.AggregateCount, events.AggregateAvg, events.AggregateMin, events.AggregateMax, events.AggregateUnique, events.AggregateLatest,
	} {
		s, mem, one := metersOf(t, a)
		everybody := one
		everybody.Customer = events.CustomerID{}
		for _, args := range []query.MeteredArgs{everybody, one} {
			list := usedOf(mem.records, &args)
			if len(list) < 3 {
				t.Fatalf("there are %d usage events only", len(list))
			}
			for w, layout := range layouts {
				got := must[query.Meter](t)(s.Meter(t.Context(), operator, query.MeterArgs{MeteredArgs: args, Window: w, GroupBy: []query.Dimension{query.BySubject, query.BySubscription}}))
				if want := value(a, list); got.Total.String() != want {
					t.Errorf("%s: the total is %s, want %s", a, got.Total, want)
				}
				windows, groups := make(map[string][]used), make(map[string][]used)
				for _, u := range list {
					windows[u.e.HappenedAt.Std().Format(layout)] = append(windows[u.e.HappenedAt.Std().Format(layout)], u)
					group := u.e.Customer.String() + u.e.Subscription.String()
					groups[group] = append(groups[group], u)
				}
				if len(got.Windows) != len(windows) || len(got.Groups) != len(groups) {
					t.Fatalf("%s: %d windows and %d groups, want %d and %d", a, len(got.Windows), len(got.Groups), len(windows), len(groups))
				}
				for _, m := range got.Windows {
					if key := m.Start.Std().Format(layout); m.Value.String() != value(a, windows[key]) || m.Start < args.From || m.End > args.To || m.Start >= m.End {
						t.Errorf("%s: window %s to %s of %s has %s, want %s", a, m.Start, m.End, w, m.Value, value(a, windows[key]))
					}
				}
				for _, g := range got.Groups {
					if want := value(a, groups[g.Of["subject"]+g.Of["subscriptionId"]]); g.Value.String() != want {
						t.Errorf("%s: group %v has %s, want %s", a, g.Of, g.Value, want)
					}
				}
			}
		}
	}
}

// TestMeterEvents: page by page, the list has what the meter counts, newest first; another merchant has no such metric.
func TestMeterEvents(t *testing.T) {
	s, mem, args := metersOf(t, events.AggregateSum)
	want := usedOf(mem.records, &args)
	sum, last := int64(0), args.To
	for n := 0; n < len(want); {
		got := must[query.MeterEvents](t)(s.MeterEvents(t.Context(), operator, query.MeterEventsArgs{MeteredArgs: args, Limit: 7, Offset: n}))
		if got.Total != len(want) || len(got.Items) != min(7, len(want)-n) {
			t.Fatalf("from %d on there are %d of %d, want %d of %d", n, len(got.Items), got.Total, min(7, len(want)-n), len(want))
		}
		for _, u := range got.Items {
			if u.Timestamp > last || u.Refund != nil {
				t.Errorf("after %s comes %s, refund %v", last, u.Timestamp, u.Refund)
			}
			for _, p := range u.Properties {
				if p.Metric == args.Metric {
					sum += p.Quantity
				}
			}
			last = u.Timestamp
		}
		n += len(got.Items)
	}
	if fmt.Sprint(sum) != value(events.AggregateSum, want) {
		t.Errorf("the list adds up to %d, want %s", sum, value(events.AggregateSum, want))
	}
	stranger := wire.Who{Role: events.MerchantKey, Merchant: events.OrganizationID{1}}
	if _, err := s.MeterEvents(t.Context(), stranger, query.MeterEventsArgs{MeteredArgs: args}); fmt.Sprint(err) != "NOT_FOUND: no billable metric "+args.Metric.String() {
		t.Errorf("to another merchant the answer is %v", err)
	}
	args.To = args.From
	if _, err := s.Meter(t.Context(), operator, query.MeterArgs{MeteredArgs: args}); err == nil {
		t.Error("a span of nothing is answered")
	}
}
