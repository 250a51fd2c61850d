package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"tallystick/events"
	"tallystick/internal/httpapi"
	"tallystick/internal/natsbus"
	"tallystick/internal/server"
)

// API is what the same usage comes to over HTTP and over NATS.
type API struct {
	Single  Doors `json:"single"`  // one usage event to a request
	Batched Doors `json:"batched"` // many
}

// Doors is usage over two doors of one ledger, one after the other.
type Doors struct {
	Batch    int     `json:"batch"`
	InFlight int     `json:"inFlight"`
	HTTP     Door    `json:"http"`
	NATS     Door    `json:"nats"`
	Ratio    float64 `json:"ratio"` // usage per second over HTTP / over NATS
}

// Door is usage over one of them, until the last answer.
type Door struct {
	Usages         int     `json:"usages"`
	UsagePerSecond float64 `json:"usagePerSecond"`
	P50Millis      float64 `json:"p50Millis"`
	P99Millis      float64 `json:"p99Millis"`
}

// The load of MeasureAPI, where options do not say another.
const (
	apiUsages   = 50_000
	apiInFlight = 64
	apiBatch    = 100
)

// MeasureAPI measures usage over HTTP, one event to a request and many, and the same over NATS.
func MeasureAPI(ctx context.Context, o Options) (res API, err error) {
	if o.Usages == 0 {
		o.Usages = apiUsages
	}
	if o.InFlight == 0 {
		o.InFlight = apiInFlight
	}
	if o.Batch <= 1 {
		o.Batch = apiBatch
	}
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
	o.Progress("making %d merchants with %d customers", o.Merchants, o.Customers)
	w, err := build(ctx, s, o.Merchants, o.Customers/o.Merchants, trade{term: events.Instant})
	if err != nil {
		return res, err
	}
	doors := server.Doors{NATS: natsbus.Options{Listen: "127.0.0.1:0"}, API: httpapi.Listen{Addr: "127.0.0.1:0"}}
	if err := s.Serve(ctx, doors); err != nil {
		return res, err
	}
	m, err := w.callers(ctx, o)
	if err != nil {
		return res, err
	}
	defer m.close()
	one := o
	one.Batch = 1
	if res.Single, err = m.compare(ctx, one); err != nil {
		return res, err
	}
	res.Batched, err = m.compare(ctx, o)
	return res, err
}

// callers are connections of all merchants to both doors.
type callers struct {
	*world
	natsConns
	client *http.Client
	keys   []string // of the merchants
}

func (w *world) callers(ctx context.Context, o Options) (*callers, error) {
	conns, keys, err := w.connectWithKeys(ctx)
	transport := &http.Transport{MaxIdleConns: o.InFlight, MaxIdleConnsPerHost: o.InFlight}
	return &callers{w, conns, &http.Client{Transport: transport}, keys}, err
}

func (c *callers) close() {
	c.natsConns.close()
	c.client.CloseIdleConnections()
}

// compare sends as much usage over each door, and a tenth of it before, unmeasured.
func (c *callers) compare(ctx context.Context, o Options) (res Doors, err error) {
	res.Batch, res.InFlight = o.Batch, o.InFlight
	if res.NATS, err = c.through(ctx, o, "NATS", c.overNATS); err != nil {
		return res, err
	}
	if res.HTTP, err = c.through(ctx, o, "HTTP", c.overHTTP); err != nil {
		return res, err
	}
	res.Ratio = res.HTTP.UsagePerSecond / res.NATS.UsagePerSecond
	return res, nil
}

func (c *callers) through(ctx context.Context, o Options, door string, send func(context.Context, *request) error) (res Door, err error) {
	few := o
	few.Usages = max(o.Usages/10, o.Batch)
	var took time.Duration
	var latencies []time.Duration
	for _, round := range []Options{few, o} {
		requests := c.requests(round)
		o.Progress("sending %d usage events in %d requests over %s", round.Usages, len(requests), door)
		took, latencies, err = Load{len(requests), o.InFlight, func(_, i int) error { return send(ctx, &requests[i]) }}.Run(o.Clock)
		if err != nil {
			return res, err
		}
		if err := c.s.WaitPublished(ctx, c.s.Sequencer.Applied()); err != nil { // so that the next round begins with nothing under way
			return res, err
		}
	}
	return Door{
		Usages: o.Usages, UsagePerSecond: float64(o.Usages) / took.Seconds(),
		P50Millis: millis(quantile(latencies, 0.5)), P99Millis: millis(quantile(latencies, 0.99)),
	}, nil
}

func (c *callers) overNATS(_ context.Context, r *request) error {
	m, err := c.natsConns[r.merchant].Request(r.subject, r.body, time.Minute)
	if err != nil {
		return err
	}
	return acceptedAll(m.Data, r.size)
}

func (c *callers) overHTTP(ctx context.Context, r *request) error {
	path := "/v0/usage"
	if r.size > 1 {
		path += "/batch"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.s.APIURL()+path, bytes.NewReader(r.body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.keys[r.merchant])
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s answers %d: %.300s", path, resp.StatusCode, answer)
	}
	return err
}
