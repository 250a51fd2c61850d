package query

import (
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// Window says how long the spans are into which a meter divides what it counts. They begin in UTC.
type Window string

// The windows.
const (
	Minute Window = "MINUTE"
	Hour   Window = "HOUR"
	Day    Window = "DAY"
	Month  Window = "MONTH"
)

// around returns the window that t is in: from its start, to before its end.
func (w Window) around(t events.Time) (start, end events.Time) {
	at := t.Std()
	switch w {
	case Minute:
		at = at.Truncate(time.Minute)
		return events.Time(at.UnixNano()), events.Time(at.Add(time.Minute).UnixNano())
	case Hour:
		at = at.Truncate(time.Hour)
		return events.Time(at.UnixNano()), events.Time(at.Add(time.Hour).UnixNano())
	case Day:
		at = time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
		return events.Time(at.UnixNano()), events.Time(at.AddDate(0, 0, 1).UnixNano())
	case Month:
		at = time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
		return events.Time(at.UnixNano()), events.Time(at.AddDate(0, 1, 0).UnixNano())
	}
	panic("query: impossible: a window that nobody has checked")
}

// Dimension is something by which a meter can divide what it counts: one of those below, or one that the metric names, whose value stands in
// the data of the event.
type Dimension string

// The dimensions that all usage has.
const (
	BySubject      Dimension = "subject" // the customer, as meter events call it
	ByCustomer     Dimension = "customerId"
	BySubscription Dimension = "subscriptionId"
)

// MeteredArgs say which usage of a metric is meant.
type MeteredArgs struct {
	At
	Metric       events.MetricID       `json:"billableMetricId"`
	From         events.Time           `json:"from"`                    // inclusive
	To           events.Time           `json:"to"`                      // exclusive
	Customer     events.CustomerID     `json:"subject,omitzero"`        // of this customer only
	Subscription events.SubscriptionID `json:"subscriptionId,omitzero"` // of this subscription only
	Where        map[Dimension]string  `json:"where,omitempty"`         // whose dimensions that the metric names have these values only
}

// MeterArgs are the arguments of [Service.Meter].
type MeterArgs struct {
	MeteredArgs
	Window  Window      `json:"windowSize,omitempty"` // "" for none
	GroupBy []Dimension `json:"groupBy,omitempty"`
}

// Meter is what the usage of a metric adds up to, by the metric's aggregation. Values are exact, but for a mean, which is rounded to
// nine places, half away from zero. Of nothing, every aggregate is 0.
type Meter struct {
	Metric  events.MetricID
	Total   decimal.Decimal
	Windows []MeterWindow // those with usage, in order
	Groups  []MeterGroup  // those with usage, in the order of what they have in common
}

// MeterWindow is the value of a window, as far as it lies in the span that is asked for.
type MeterWindow struct {
	Start, End events.Time
	Value      decimal.Decimal
}

// MeterGroup is the value of the usage that has the same dimensions. What has none of a name, or an empty one, is in a group without it.
type MeterGroup struct {
	Of    map[string]string
	Value decimal.Decimal
}

// maxWindows bounds how many windows and groups an answer has.
const maxWindows = 10_000

// metered is one line of a usage event that a meter counts.
type metered struct {
	seq          events.Seq
	at           events.Time
	quantity     int64
	customer     events.CustomerID
	subscription events.SubscriptionID
	named        map[Dimension]string // of those that are asked for
}

// dimension returns the value that usage has of a dimension, "" for none.
func (m *metered) dimension(d Dimension) string {
	switch d {
	case BySubject, ByCustomer:
		return m.customer.String()
	case BySubscription:
		return m.subscription.String()
	}
	return m.named[d]
}

// Meter answers what the usage of a metric adds up to. It counts usage events that happened in the span and were not taken back.
// Corrections of invoiced periods are amounts on later invoices, not usage events, and are not counted.
func (s *Service) Meter(ctx context.Context, who wire.Who, args MeterArgs) (m Meter, err error) {
	err = s.read(ctx, who, args.At, func(r *reading) error {
		aggregation, list, err := r.metered(&args.MeteredArgs, args.GroupBy)
		if err != nil {
			return err
		}
		m = Meter{Metric: args.Metric, Total: aggregate(aggregation, list)}
		if args.Window != "" {
			if m.Windows, err = windowed(aggregation, list, &args); err != nil {
				return err
			}
		}
		if len(args.GroupBy) > 0 {
			m.Groups, err = grouped(aggregation, list, args.GroupBy)
		}
		return err
	})
	return m, err
}

// windowed aggregates each window by itself. list is in the order of its times.
func windowed(a events.Aggregation, list []metered, args *MeterArgs) (windows []MeterWindow, err error) {
	for len(list) > 0 {
		if len(windows) == maxWindows {
			return nil, tooManyParts("windows")
		}
		start, end := args.Window.around(list[0].at)
		n, _ := slices.BinarySearchFunc(list, end, func(m metered, t events.Time) int { return cmp.Compare(m.at, t) })
		windows = append(windows, MeterWindow{max(start, args.From), min(end, args.To), aggregate(a, list[:n])})
		list = list[n:]
	}
	return windows, nil
}

// grouped aggregates by dimensions.
func grouped(a events.Aggregation, list []metered, by []Dimension) (groups []MeterGroup, err error) {
	parts := make(map[string][]metered)
	for i := range list {
		var key []byte
		for _, d := range by {
			v := list[i].dimension(d)
			key = append(binary.AppendUvarint(key, uint64(len(v))), v...)
		}
		parts[string(key)] = append(parts[string(key)], list[i])
	}
	if len(parts) > maxWindows {
		return nil, tooManyParts("groups")
	}
	for _, part := range parts {
		of := make(map[string]string, len(by))
		for _, d := range by {
			if v := part[0].dimension(d); v != "" {
				of[string(d)] = v
			}
		}
		groups = append(groups, MeterGroup{of, aggregate(a, part)})
	}
	slices.SortFunc(groups, func(x, y MeterGroup) int {
		for _, d := range by {
			if c := cmp.Compare(x.Of[string(d)], y.Of[string(d)]); c != 0 {
				return c
			}
		}
		return 0
	})
	return groups, nil
}

func tooManyParts(what string) error {
	return commands.Reject(commands.Invalid, "the answer would have more than %d %s; ask for a shorter span", maxWindows, what)
}

// aggregate returns what a list, in the order of its times and then of its records, adds up to.
func aggregate(a events.Aggregation, list []metered) decimal.Decimal {
	if len(list) == 0 {
		return decimal.Decimal{}
	}
	least, most, sum, distinct := list[0].quantity, list[0].quantity, new(big.Int), make(map[int64]bool)
	for _, m := range list {
		least, most = min(least, m.quantity), max(most, m.quantity)
		sum.Add(sum, big.NewInt(m.quantity))
		if a == events.AggregateUnique {
			distinct[m.quantity] = true
		}
	}
	switch a {
	case events.AggregateSum:
		return decimal.NewFromBigInt(sum, 0)
	case events.AggregateCount:
		return decimal.NewFromInt(int64(len(list)))
	case events.AggregateAvg:
		return decimal.NewFromBigInt(sum, 0).DivRound(decimal.NewFromInt(int64(len(list))), 9)
	case events.AggregateMin:
		return decimal.NewFromInt(least)
	case events.AggregateMax:
		return decimal.NewFromInt(most)
	case events.AggregateUnique:
		return decimal.NewFromInt(int64(len(distinct)))
	case events.AggregateLatest:
		return decimal.NewFromInt(list[len(list)-1].quantity)
	}
	panic("query: impossible: a metric with an aggregation that nobody has checked")
}

// MeterEventsArgs are the arguments of [Service.MeterEvents].
type MeterEventsArgs struct {
	MeteredArgs
	Limit  int `json:"limit,omitzero"` // 1 to 200; default 20
	Offset int `json:"offset,omitzero"`
}

// MeterEvents are usage events that a meter counts, newest first by when they happened.
type MeterEvents struct {
	EventType string // of the metric, "" for none
	Items     []UsageEvent
	Limit     int
	Total     int
}

// The bounds of [Service.MeterEvents].
const (
	usualMeterEvents = 20
	mostMeterEvents  = 200
)

// MeterEvents lists the usage events that [Service.Meter] counts.
func (s *Service) MeterEvents(ctx context.Context, who wire.Who, args MeterEventsArgs) (list MeterEvents, err error) {
	args.Limit = cmp.Or(args.Limit, usualMeterEvents)
	if args.Limit < 1 || args.Limit > mostMeterEvents || args.Offset < 0 {
		return list, commands.Reject(commands.Invalid, "limit is %d and offset %d; 1 to %d, and 0 or more, are allowed", args.Limit, args.Offset, mostMeterEvents)
	}
	err = s.read(ctx, who, args.At, func(r *reading) error {
		_, all, err := r.metered(&args.MeteredArgs, nil)
		if err != nil {
			return err
		}
		slices.Reverse(all)
		list = MeterEvents{EventType: r.books.Metrics.Get(args.Metric).EventType, Limit: args.Limit, Total: len(all)}
		from := min(args.Offset, len(all))
		var seqs []events.Seq
		for _, m := range all[from:min(from+args.Limit, len(all))] {
			seqs = append(seqs, m.seq)
		}
		list.Items, err = r.usageEvents(seqs)
		return err
	})
	return list, err
}

// metered returns how a metric adds up, and the usage of it that args mean, in the order of when it happened and then of its records, with the
// values of dimensions.
func (r *reading) metered(args *MeteredArgs, by []Dimension) (events.Aggregation, []metered, error) {
	metric := r.books.Metrics.Get(args.Metric)
	if metric == nil || !r.who.sees(metric.Merchant) {
		return "", nil, missing("billable metric", args.Metric.String())
	}
	if args.From >= args.To {
		return "", nil, commands.Reject(commands.Invalid, "from must be before to")
	}
	paths, err := pathsOf(metric, args, by)
	if err != nil {
		return "", nil, err
	}
	subs, err := r.subscriptionsOf(metric.Merchant, &UsageBetweenArgs{Merchant: metric.Merchant, Customer: args.Customer, Subscription: args.Subscription})
	if err != nil {
		return "", nil, err
	}
	var list []metered
	looked := 0
	for _, sub := range subs {
		key := projections.JournalKey{What: projections.JournalOfSubscription, ID: sub}
		err := r.journal(key, 0, func(seq events.Seq) error {
			if looked++; looked > maxUsageLookedAt {
				return commands.Reject(commands.Invalid, "more than %d usage events must be looked at; ask for those of one subject", maxUsageLookedAt)
			}
			rec, err := r.opts.Log.Record(seq)
			if err == nil {
				list, err = r.meter(list, &rec, args, paths)
			}
			return err
		})
		if err != nil {
			return "", nil, err
		}
	}
	slices.SortFunc(list, func(a, b metered) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq)) })
	return metric.Aggregation, list, nil
}

// pathsOf returns where the dimensions stand that are asked for and that a metric names.
func pathsOf(metric *projections.Metric, args *MeteredArgs, by []Dimension) (map[Dimension]string, error) {
	paths := make(map[Dimension]string)
	add := func(field string, d Dimension) error {
		if d == BySubject || d == ByCustomer || d == BySubscription {
			return nil
		}
		path, ok := metric.GroupBy[string(d)]
		if !ok {
			names := append([]string{string(BySubject), string(ByCustomer), string(BySubscription)}, slices.Sorted(maps.Keys(metric.GroupBy))...)
			r := commands.Reject(commands.Invalid, "%s has %.60q, which is no dimension of this metric; there are %s", field, d, strings.Join(names, ", "))
			r.Field = field
			return r
		}
		paths[d] = path
		return nil
	}
	for d := range args.Where {
		if err := add("filterGroupBy", d); err != nil {
			return nil, err
		}
	}
	for _, d := range by {
		if err := add("groupBy", d); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// meter appends a record to list if it is usage that args mean.
func (r *reading) meter(list []metered, rec *events.Record, args *MeteredArgs, paths map[Dimension]string) ([]metered, error) {
	e, ok := rec.Event.(*events.UsageReported)
	if !ok || e.HappenedAt < args.From || e.HappenedAt >= args.To {
		return list, nil
	}
	i := slices.IndexFunc(e.Lines, func(l events.UsageLine) bool { return l.Metric == args.Metric })
	if i < 0 || r.books.Refunds.Get(events.Derive[events.UsageNoun](rec.Command, 0)) != nil {
		return list, nil
	}
	m := metered{seq: rec.Seq, at: e.HappenedAt, quantity: e.Lines[i].Quantity, customer: e.Customer, subscription: e.Subscription}
	if len(paths) > 0 {
		metadata, _, err := r.metadata(e.Metadata)
		if err != nil {
			return list, err
		}
		m.named = make(map[Dimension]string, len(paths))
		data := dataOf(metadata, m.quantity, e.Subscription)
		for d, path := range paths {
			m.named[d] = textAt(data, path)
		}
		for d, want := range args.Where {
			if m.named[d] != want {
				return list, nil
			}
		}
	}
	return append(list, m), nil
}
