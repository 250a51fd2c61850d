package httpapi

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tallystick/events"
	"tallystick/internal/query"
)

// Meter is what the usage of a metric adds up to.
type Meter struct {
	Object           string        `json:"object" enum:"meter"`
	BillableMetricID string        `json:"billableMetricId"`
	TotalValue       Decimal       `json:"totalValue"`
	WindowedValues   []MeterWindow `json:"windowedValues,omitempty"`
	GroupedValues    []MeterGroup  `json:"groupedValues,omitempty"`
}

// MeterWindow is the value of one window.
type MeterWindow struct {
	WindowStart events.Time `json:"windowStart" format:"date-time"`
	WindowEnd   events.Time `json:"windowEnd" format:"date-time"`
	Value       Decimal     `json:"value"`
}

// MeterGroup is the value of one group.
type MeterGroup struct {
	GroupBy map[string]string `json:"groupBy"`
	Value   Decimal           `json:"value"`
}

// MeterEventList is a part of the usage events that a meter counts.
type MeterEventList struct {
	Object           string           `json:"object" enum:"list"`
	BillableMetricID string           `json:"billableMetricId"`
	Events           []MeterEvent     `json:"events" nullable:"false"`
	Pagination       query.Pagination `json:"pagination"`
}

// MeterEvent is a usage event, as the meter of one metric sees it.
type MeterEvent struct {
	ID             string      `json:"id"`
	Object         string      `json:"object" enum:"meterEvent"`
	Type           string      `json:"type" doc:"The metric's event type, or usage"`
	Source         string      `json:"source"`
	Subject        string      `json:"subject" doc:"The customer"`
	Time           events.Time `json:"time" format:"date-time"`
	IdempotencyKey string      `json:"idempotencyKey"`
	ExternalID     string      `json:"externalId,omitempty" doc:"The sender's own"`
	Data           RawObject   `json:"data" doc:"As it came; of usage that was reported by metric, its quantity, subscription and metadata"`
}

func (a *API) meters() []operation {
	const tag = "Billable metrics"
	return []operation{{
		id: "getBillableMetricMeter", method: http.MethodGet, path: "/v0/billableMetrics/{id}/meter", tag: tag, summary: "Show what the usage of a metric adds up to",
		params: []param{
			instant("from").needed(), instant("to").needed(), text("subject", 0, 255), words("windowSize", "MINUTE", "HOUR", "DAY", "MONTH"),
			text("filterGroupBy", 0, 1000), text("groupBy", 0, 255),
		},
		answers: answers[Meter](http.StatusOK), handle: a.meter,
	}, {
		id: "listBillableMetricEvents", method: http.MethodGet, path: "/v0/billableMetrics/{id}/events", tag: tag, summary: "List the usage of a metric",
		params: []param{
			instant("from").needed(), instant("to").needed(), text("subject", 0, 255), whole("limit", 1, 200, 20), whole("offset", 0, mostOffset, 0),
		},
		answers: answers[MeterEventList](http.StatusOK), handle: a.meterEvents,
	}}
}

// metered reads which usage of a metric is meant.
func (c *call) metered() (args query.MeteredArgs, err error) {
	args.At = c.at()
	if args.Metric, err = pathID[events.MetricNoun](c, "id", "billable metric"); err != nil {
		return args, err
	}
	if args.From, err = c.moment("from"); err != nil {
		return args, err
	}
	if args.To, err = c.moment("to"); err != nil {
		return args, err
	}
	if s := c.text("subject"); s != "" {
		err = meteredOf(&args, "subject", query.BySubject, s)
	}
	return args, err
}

// meteredOf restricts what is meant to what has a dimension; which of them the metric has is for the query to say. A contradiction to what is meant already is refused.
func meteredOf(args *query.MeteredArgs, field string, d query.Dimension, value string) error {
	switch d {
	case query.BySubject, query.ByCustomer:
		id, err := events.ParseID[events.CustomerNoun](value)
		if err != nil {
			return invalid(field, "is not the id of a customer")
		}
		if !args.Customer.IsZero() && args.Customer != id {
			return invalid(field, "names another customer than subject")
		}
		args.Customer = id
		return nil
	case query.BySubscription:
		id, err := events.ParseID[events.SubscriptionNoun](value)
		if err != nil {
			return invalid(field, "is not the id of a subscription")
		}
		args.Subscription = id
		return nil
	}
	if args.Where == nil {
		args.Where = make(map[query.Dimension]string)
	}
	args.Where[d] = value
	return nil
}

func (a *API) meter(c *call) (answer, error) {
	of, err := c.metered()
	if err != nil {
		return answer{}, err
	}
	args := query.MeterArgs{MeteredArgs: of, Window: query.Window(c.text("windowSize"))}
	if s := c.text("filterGroupBy"); s != "" {
		var filter map[query.Dimension]string
		if json.Unmarshal(jsontext.Value(s), &filter) != nil {
			return answer{}, invalid("filterGroupBy", `must be an object of texts, such as {"model":"large"}`)
		}
		for d, value := range filter {
			if err := meteredOf(&args.MeteredArgs, "filterGroupBy", d, value); err != nil {
				return answer{}, err
			}
		}
	}
	if s := c.text("groupBy"); s != "" {
		for d := range strings.SplitSeq(s, ",") {
			args.GroupBy = append(args.GroupBy, query.Dimension(d))
		}
	}
	m, err := a.opts.Queries.Meter(c.ctx, c.who, args)
	if err != nil {
		return answer{}, err
	}
	v := Meter{Object: "meter", BillableMetricID: m.Metric.String(), TotalValue: Decimal{m.Total}}
	for _, w := range m.Windows {
		v.WindowedValues = append(v.WindowedValues, MeterWindow{w.Start, w.End, Decimal{w.Value}})
	}
	for _, g := range m.Groups {
		v.GroupedValues = append(v.GroupedValues, MeterGroup{g.Of, Decimal{g.Value}})
	}
	return answer{http.StatusOK, v}, nil
}

func (a *API) meterEvents(c *call) (answer, error) {
	of, err := c.metered()
	if err != nil {
		return answer{}, err
	}
	list, err := a.opts.Queries.MeterEvents(c.ctx, c.who, query.MeterEventsArgs{MeteredArgs: of, Limit: c.number("limit"), Offset: c.number("offset")})
	if err != nil {
		return answer{}, err
	}
	v := MeterEventList{
		Object: "list", BillableMetricID: of.Metric.String(), Events: []MeterEvent{},
		Pagination: query.Pagination{Limit: list.Limit, Offset: c.number("offset"), Total: list.Total},
	}
	for i := range list.Items {
		v.Events = append(v.Events, renderMeterEvent(&list.Items[i], of.Metric, list.EventType))
	}
	return answer{http.StatusOK, v}, nil
}

// renderMeterEvent renders a usage event as an event that a metric counts: the one that reported it, if one did.
func renderMeterEvent(u *query.UsageEvent, metric events.MetricID, kind string) MeterEvent {
	e := MeterEvent{
		ID: u.ID.String(), Object: "meterEvent", Type: cmp.Or(kind, "usage"), Source: "/v0/usage", Subject: u.Customer.String(), Time: u.Timestamp,
		IdempotencyKey: u.Key, Data: RawObject(u.EventData(metric)),
	}
	if m := u.MeterEvent(); m != nil {
		e.Type, e.Source, e.ExternalID = m.Type, m.Source, m.External
	}
	return e
}
