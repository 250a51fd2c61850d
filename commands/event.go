package commands

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"tallystick/events"
	"tallystick/projections"
)

// IngestEvent reports that something happened to a customer, by its type: what it counts for is what the catalog says. Each metric of
// the customer's plan whose event type it is takes its quantity from the event's data, and all of it is one usage event, billed as any other. An
// event that nothing listens to is accepted, and nothing is recorded of it.
type IngestEvent struct {
	Customer   events.CustomerID
	External   string // the merchant's own id of the customer, where that was given; Customer is zero if nobody has it: then the event is held
	Type       string
	HappenedAt events.Time  // zero means now
	Data       []EventValue // in the order of their paths
	Metadata   events.Sealed
	Held       *HeldEvent // where Customer is zero
}

// EventValue is a text, a number, a boolean or an array in the data of an event.
type EventValue struct {
	Path string // such as $.usage.tokens
	Text string // of what is no text, as it stands in JSON
}

func ingestEvent(b *projections.Books, c Context, cmd *IngestEvent, d *decision) *Rejection {
	if r := first(text("type", cmd.Type, maxName), billable("timestamp", cmd.HappenedAt)); r != nil {
		return r
	}
	if cmd.Held != nil {
		return holdEvent(b, c, cmd, d)
	}
	customer := b.Customers.Get(cmd.Customer)
	if customer == nil || customer.Merchant != c.Merchant {
		return Reject(NotFound, "no customer %s", cmd.Customer)
	}
	active := b.Active.Get(cmd.Customer)
	if active == nil {
		return Reject(SubscriptionNotActive, "customer %s has no active subscription", cmd.Customer)
	}
	usage := &ReportUsage{Customer: cmd.Customer, Metadata: cmd.Metadata}
	var counting events.SubscriptionID
	for _, id := range active.Subscriptions {
		s := b.Subscriptions.Get(id)
		at := cmp.Or(cmd.HappenedAt, b.ClockNow(s.Clock, c.Now))
		properties, r := cmd.listening(b, s, at)
		if r != nil {
			return r
		}
		if len(properties) == 0 {
			continue
		}
		if !counting.IsZero() {
			return Reject(Conflict, "subscriptions %s and %s both count events of type %.60q; report them as usage, by metric", counting, id, cmd.Type)
		}
		counting, usage.HappenedAt, usage.Properties = id, at, properties
	}
	if counting.IsZero() {
		d.existing = &Receipt{Status: Accepted}
		return nil
	}
	return reportUsage(b, c, usage, d)
}

// listening returns what an event at a time is of each metric that counts it, at the prices of a subscription then.
func (cmd *IngestEvent) listening(b *projections.Books, s *projections.Subscription, at events.Time) (of []UsageProperty, _ *Rejection) {
	plan := b.Plans.Get(s.Plan)
	card := &plan.Card
	if period := s.PeriodAt(at); period != nil {
		card = plan.CardAt(s.Agreed(period))
	}
	for i := range card.Rates {
		id := card.Rates[i].Metric
		m := b.Metrics.Get(id)
		if m.EventType != cmd.Type || at < m.EventFrom {
			continue
		}
		n, r := cmd.quantity(id, m)
		if r != nil {
			return nil, r
		}
		if n != 0 {
			of = append(of, UsageProperty{Metric: id, Quantity: n})
		}
	}
	return of, nil
}

// quantity returns how much of a metric an event is: one where events are counted, else what stands in its data, a whole number. Of
// what is told apart and is no number, it is a number that stands for the text. Nothing is added by a sum of 0.
func (cmd *IngestEvent) quantity(id events.MetricID, m *projections.Metric) (int64, *Rejection) {
	if m.Aggregation == events.AggregateCount {
		return 1, nil
	}
	i, ok := slices.BinarySearchFunc(cmd.Data, m.ValueProperty, func(v EventValue, path string) int { return cmp.Compare(v.Path, path) })
	if !ok {
		return 0, Reject(Invalid, "data has no value at %q, where metric %s expects it", m.ValueProperty, id)
	}
	value := cmd.Data[i].Text
	n, ok := wholeNumber(value)
	switch {
	case ok && (n > 0 || n == 0 && m.Aggregation == events.AggregateSum):
		return n, nil
	case m.Aggregation == events.AggregateUnique:
		sum := sha256.Sum256([]byte(value))
		return max(1, int64(binary.BigEndian.Uint64(sum[:8])>>1)), nil
	}
	return 0, Reject(Invalid, "data has %.40q at %q, where metric %s expects a whole number of at least 1", value, m.ValueProperty, id)
}

// wholeNumber reads a number that may be written with decimals, as long as they are zero.
func wholeNumber(s string) (int64, bool) {
	if len(s) > 40 || strings.ContainsAny(s, "eE") {
		return 0, false
	}
	v, err := decimal.NewFromString(s)
	if err != nil || !v.IsInteger() || !v.BigInt().IsInt64() {
		return 0, false
	}
	return v.IntPart(), true
}
