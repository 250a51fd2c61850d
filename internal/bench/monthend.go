package bench

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/server"
)

// MonthEnd is what the end of a month does to the usage of others.
type MonthEnd struct {
	Subscriptions  int     `json:"subscriptions"` // whose month ends, each with usage to be invoiced
	Seconds        float64 `json:"seconds"`       // until all are invoiced and the next month has begun
	Records        int     `json:"records"`       // that this took, the usage beside it apart
	QuietP50Millis float64 `json:"quietP50Millis"`
	QuietP99Millis float64 `json:"quietP99Millis"`
	BusyP50Millis  float64 `json:"busyP50Millis"`
	BusyP99Millis  float64 `json:"busyP99Millis"`
	Ratio          float64 `json:"ratio"` // BusyP99Millis / QuietP99Millis
}

// MeasureMonthEnd lets the month of many subscriptions end, those of a test clock, and measures usage of other merchants'
// customers meanwhile, one event to a request, against the same usage before.
func MeasureMonthEnd(ctx context.Context, o Options) (res MonthEnd, err error) {
	if o.Customers == 0 {
		o.Customers = 100_000
	}
	if o.Usages == 0 {
		o.Usages = 100_000 // some ten seconds: what happens once a second or two is in it
	}
	if o.InFlight == 0 {
		o.InFlight = 16
	}
	o.Batch, o.Merchants = 1, 10
	o = o.withDefaults()
	s, err := server.Open(ctx, server.Config{Dir: filepath.Join(o.Dir, "ledger"), Create: true, Clock: o.Clock})
	if err != nil {
		return res, err
	}
	defer func() {
		if e := s.Close(ctx); err == nil {
			err = e
		}
	}()
	o.Progress("making %d subscriptions whose month will end, and 1000 others", o.Customers)
	ends, err := build(ctx, s, 1, o.Customers, trade{term: events.InArrears, clocked: true})
	if err == nil {
		err = ends.use(ctx)
	}
	if err != nil {
		return res, err
	}
	others, err := build(ctx, s, o.Merchants, 100, trade{term: events.Instant, first: 1})
	if err != nil {
		return res, err
	}
	quiet, err := others.ingest(ctx, o)
	if err != nil {
		return res, err
	}
	res.Subscriptions, res.QuietP50Millis, res.QuietP99Millis = o.Customers, quiet.P50Millis, quiet.P99Millis
	o.Progress("the month ends")
	return res, ends.monthEnd(ctx, o, others, &res)
}

// use records a usage event of each customer, for there to be something to invoice.
func (w *world) use(ctx context.Context) error {
	now, _ := events.TimeOf(w.s.Now())
	for i := range w.merchants {
		m := &w.merchants[i]
		for some := range slices.Chunk(m.customers, 1000) {
			requests := make([]commands.Request, len(some))
			for j, key := range randomKeys(len(some)) {
				requests[j] = w.request(m, &commands.ReportUsage{
					Customer: some[j], HappenedAt: now, Properties: []commands.UsageProperty{{Metric: m.metric, Quantity: 1000}},
				})
				requests[j].Key = key
				copy(requests[j].Content[:], key)
			}
			if _, err := w.call(ctx, requests); err != nil {
				return err
			}
		}
	}
	return nil
}

// monthEnd moves the clock past a month's end and its grace, and measures the usage of others until it has arrived.
func (w *world) monthEnd(ctx context.Context, o Options, others *world, res *MonthEnd) error {
	conns, err := others.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		for _, nc := range conns {
			nc.Close()
		}
	}()
	m := &w.merchants[0]
	from := w.s.Sequencer.Applied()
	now, _ := events.TimeOf(w.s.Now())
	arrived := make(chan error, 1)
	start := o.Clock()
	advance := w.request(m, commands.AdvanceTestClock{Clock: m.clock, To: now.Add(34 * 24 * time.Hour)})
	err = w.s.Sequencer.Submit(&commands.Call{Requests: []commands.Request{advance}, Done: func(rs []commands.Receipt) { arrived <- refused(rs) }})
	if err != nil {
		return err
	}
	var latencies []time.Duration
	for seed := uint64(0); ; seed++ {
		took, err := others.some(conns, o, seed)
		if err != nil {
			return err
		}
		latencies = append(latencies, took...)
		select {
		case err := <-arrived:
			if err != nil {
				return err
			}
			res.Seconds = o.Clock().Sub(start).Seconds()
			res.Records = int(w.s.Sequencer.Applied()-from) - len(latencies)
			slices.Sort(latencies)
			res.BusyP50Millis, res.BusyP99Millis = millis(quantile(latencies, 0.5)), millis(quantile(latencies, 0.99))
			res.Ratio = res.BusyP99Millis / res.QuietP99Millis
			return nil
		default:
		}
	}
}

// some sends a little usage and returns how long each request took.
func (w *world) some(conns []*nats.Conn, o Options, seed uint64) ([]time.Duration, error) {
	rnd := mathrand.New(mathrand.NewPCG(seed, 23))
	requests := make([]request, 50*o.InFlight)
	for i, key := range randomKeys(len(requests)) {
		requests[i] = payload(w, rnd, []string{key}, o.now())
	}
	_, latencies, err := Load{len(requests), o.InFlight, func(_, i int) error {
		r := &requests[i]
		m, err := conns[r.merchant].Request(r.subject, r.body, 60*time.Second)
		if err != nil {
			return fmt.Errorf("usage at the month's end: %w", err)
		}
		return acceptedAll(m.Data, r.size)
	}}.Run(o.Clock)
	return latencies, err
}
