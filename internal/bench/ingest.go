package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/natsbus"
	"tallystick/internal/server"
)

// Options say what is measured, and where. Zero fields have defaults.
type Options struct {
	Dir       string // for everything that is written; it is removed afterwards
	Clock     func() time.Time
	Progress  func(format string, args ...any) // for people
	Usages    int                              // usage events that are measured
	Batch     int                              // usage events to a request
	InFlight  int                              // requests under way at once
	Merchants int
	Customers int  // of all merchants; each has a wallet
	Preload   int  // usage events that the ledger holds before
	Rich      bool // measure [MeasureIngest] a second time, with all that a charge can have

	Keep string // where [MeasureOpen] makes its ledger and leaves it, or finds the one of an earlier run; "" for within Dir

	Profile string // file for a CPU profile of what is measured; "" for none
}

func (o Options) withDefaults() Options {
	set := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	set(&o.Usages, 1_000_000)
	set(&o.Batch, 100)
	set(&o.Merchants, 100)
	set(&o.Customers, 10_000)
	if o.Batch == 1 {
		set(&o.InFlight, 1000)
	}
	set(&o.InFlight, 64)
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	return o
}

// Ingest is what usage in by NATS requests comes to: from the first request until everything is
// durable, answered, published and acknowledged by the stream. A tenth as much is sent before, unmeasured.
type Ingest struct {
	Usages            int     `json:"usages"`
	Batch             int     `json:"batch"`
	InFlight          int     `json:"inFlight"`
	Wallets           int     `json:"wallets"`
	Preloaded         int     `json:"preloaded"`
	UsagePerSecond    float64 `json:"usagePerSecond"`
	AnsweredPerSecond float64 `json:"answeredPerSecond"` // until the last receipt only
	RawPerSecond      float64 `json:"rawPerSecond"`      // batches: JetStream async publish of the same bytes; single: a bare NATS echo
	Raw               string  `json:"raw"`
	Ratio             float64 `json:"ratio"` // UsagePerSecond / RawPerSecond
	P50Millis         float64 `json:"p50Millis"`
	P99Millis         float64 `json:"p99Millis"`
	CPUMicrosPerUsage float64 `json:"cpuMicrosPerUsage"` // of the whole process, the load generator included

	Rich *Rich `json:"rich,omitempty"`
}

// Rich is what the same usage comes to with tax, a platform's fee and reservations that pay. It is measured twice, between plain ones, for
// what a process measures later is slower: it has a larger heap, and the disk is busy with what came before.
type Rich struct {
	UsagePerSecond         float64 `json:"usagePerSecond"`
	PlainPerSecond         float64 `json:"plainPerSecond"` // of the three plain ones
	Ratio                  float64 `json:"ratio"`          // UsagePerSecond / PlainPerSecond
	CPUMicrosPerUsage      float64 `json:"cpuMicrosPerUsage"`
	PlainCPUMicrosPerUsage float64 `json:"plainCpuMicrosPerUsage"`
}

// MeasureIngest measures usage in, and then the raw limit beside it.
func MeasureIngest(ctx context.Context, o Options) (res Ingest, err error) {
	o = o.withDefaults()
	res, last, err := o.measured(ctx, "ledger", false)
	if err != nil {
		return res, err
	}
	if o.Rich {
		if res.Rich, err = o.rich(ctx, res); err != nil {
			return res, err
		}
	}
	o.Progress("measuring the raw limit")
	if o.Batch == 1 {
		res.Raw = "a bare NATS echo service, as many connections and requests under way"
		res.RawPerSecond, err = RawEcho(last.request, min(o.Usages, 200_000), o.InFlight, o.Merchants, o.Clock)
	} else {
		res.Raw = "JetStream asynchronous publish of the same records with the same header"
		res.RawPerSecond, err = RawPublish(ctx, filepath.Join(o.Dir, "raw"), last.messages, last.subjects, o.Clock)
	}
	if err == nil {
		res.Ratio = res.UsagePerSecond / res.RawPerSecond
	}
	return res, err
}

// rich measures rich usage and plain usage in turn, after a first plain one.
func (o Options) rich(ctx context.Context, first Ingest) (*Rich, error) {
	o.Profile = ""
	// The time and the processor time that a usage event takes, summed.
	var seconds, micros [2]float64
	add := func(kind int, res Ingest) {
		seconds[kind] += 1 / res.UsagePerSecond
		micros[kind] += res.CPUMicrosPerUsage
	}
	add(0, first)
	for i := range 4 {
		kind := 1 - i%2
		res, _, err := o.measured(ctx, fmt.Sprintf("turn-%d", i), kind == 1)
		if err != nil {
			return nil, err
		}
		add(kind, res)
	}
	return &Rich{
		UsagePerSecond: 2 / seconds[1], PlainPerSecond: 3 / seconds[0], Ratio: (2 / seconds[1]) / (3 / seconds[0]),
		CPUMicrosPerUsage: micros[1] / 2, PlainCPUMicrosPerUsage: micros[0] / 3,
	}, nil
}

// leftover is what the measurement of a raw limit needs of the one before.
type leftover struct {
	request  []byte   // like those that were sent
	messages [][]byte // the last that were published
	subjects []string
}

// measured measures usage into a new ledger, plain or rich.
func (o Options) measured(ctx context.Context, name string, rich bool) (res Ingest, last leftover, err error) {
	s, err := server.Open(ctx, server.Config{Dir: filepath.Join(o.Dir, name), Create: true, Clock: o.Clock})
	if err != nil {
		return res, last, err
	}
	defer func() {
		if e := s.Close(ctx); err == nil {
			err = e
		}
	}()
	o.Progress("making %d merchants with %d customers", o.Merchants, o.Customers)
	w, err := build(ctx, s, o.Merchants, o.Customers/o.Merchants, trade{term: events.Instant, rich: rich})
	if err != nil {
		return res, last, err
	}
	if o.Preload > 0 {
		if err := w.preload(ctx, o.Preload, func(n int) {
			if n%1_000_000 == 0 {
				o.Progress("%d usage events preloaded", n)
			}
		}); err != nil {
			return res, last, err
		}
	}
	if res, err = w.ingest(ctx, o); err != nil {
		return res, last, err
	}
	last.request = payload(w, mathrand.New(mathrand.NewPCG(1, 1)), []string{"0123456789abcdef"}, o.now()).body
	last.messages, last.subjects, err = sample(ctx, s, min(o.Usages, 500_000))
	return res, last, err
}

func (o Options) now() events.Time {
	t, _ := events.TimeOf(o.Clock())
	return t
}

// ingest opens the doors and sends usage through them.
func (w *world) ingest(ctx context.Context, o Options) (res Ingest, err error) {
	if err := w.s.Serve(ctx, server.Doors{NATS: natsbus.Options{Listen: "127.0.0.1:0"}}); err != nil {
		return res, err
	}
	if err := w.s.WaitPublished(ctx, w.s.Sequencer.Applied()); err != nil {
		return res, err
	}
	conns, err := w.connect(ctx)
	if err != nil {
		return res, err
	}
	defer conns.close()
	send := func(requests []request) (time.Duration, []time.Duration, error) {
		return Load{len(requests), o.InFlight, func(_, i int) error {
			r := &requests[i]
			m, err := conns[r.merchant].Request(r.subject, r.body, 60*time.Second)
			if err != nil {
				return err
			}
			return acceptedAll(m.Data, r.size)
		}}.Run(o.Clock)
	}
	few := o
	few.Usages = max(o.Usages/10, o.Batch)
	if _, _, err := send(w.requests(few)); err != nil { // so that what the making of the customers has left is done
		return res, err
	}
	requests := w.requests(o)
	o.Progress("sending %d usage events in %d requests", o.Usages, len(requests))
	stop, err := profile(o.Profile)
	if err != nil {
		return res, err
	}
	defer stop()
	before := cpuTime()
	start := o.Clock()
	answered, latencies, err := send(requests)
	if err != nil {
		return res, err
	}
	if err := w.s.WaitPublished(ctx, w.s.Sequencer.Applied()); err != nil {
		return res, err
	}
	took := o.Clock().Sub(start)
	return Ingest{
		Usages: o.Usages, Batch: o.Batch, InFlight: o.InFlight, Wallets: o.Customers, Preloaded: o.Preload,
		UsagePerSecond:    float64(o.Usages) / took.Seconds(),
		AnsweredPerSecond: float64(o.Usages) / answered.Seconds(),
		P50Millis:         millis(quantile(latencies, 0.5)), P99Millis: millis(quantile(latencies, 0.99)),
		CPUMicrosPerUsage: float64((cpuTime() - before).Microseconds()) / float64(o.Usages),
	}, nil
}

// profile writes a CPU profile to a file until stop is called.
func profile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // what is missing in it will show
	}, nil
}

// natsConns is a connection for each merchant.
type natsConns []*nats.Conn

func (conns natsConns) close() {
	for _, nc := range conns {
		nc.Close()
	}
}

// connect opens a connection for each merchant, with a key of its own.
func (w *world) connect(ctx context.Context) (natsConns, error) {
	conns, _, err := w.connectWithKeys(ctx)
	return conns, err
}

// connectWithKeys is connect, and returns the keys too.
func (w *world) connectWithKeys(ctx context.Context) (conns natsConns, keys []string, err error) {
	for i := range w.merchants {
		m := &w.merchants[i]
		secret := rand.Text() + rand.Text()
		create := w.request(m, commands.CreateKey{Role: events.MerchantKey, Name: "bench", Secret: commands.SecretHash(secret)})
		if _, err := w.call(ctx, []commands.Request{create}); err != nil {
			return conns, keys, err
		}
		nc, err := nats.Connect(w.s.NATSURL(), nats.Token(secret), nats.CustomInboxPrefix("_INBOX_"+m.id.String()))
		if err != nil {
			return conns, keys, err
		}
		conns, keys = append(conns, nc), append(keys, secret)
	}
	return conns, keys, nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// acceptedAll checks that an answer has a receipt for each usage event, and that all are accepted, without decoding it.
func acceptedAll(answer []byte, size int) error {
	const accepted = `"status":"accepted"`
	n := 0
	for i := 0; i+len(accepted) <= len(answer); i++ {
		if answer[i] == '"' && string(answer[i:i+len(accepted)]) == accepted {
			n++
			i += len(accepted) - 1
		}
	}
	if n != size {
		return fmt.Errorf("%d of %d usage events accepted: %.300s", n, size, answer)
	}
	return nil
}

// request is a request that is ready to be sent.
type request struct {
	merchant int // which one sends it
	subject  string
	body     []byte
	size     int // usage events in it
}

// requests encodes all usage events beforehand, for random customers, under random keys.
func (w *world) requests(o Options) []request {
	rnd := mathrand.New(mathrand.NewPCG(3, 5))
	keys := randomKeys(o.Usages)
	requests := make([]request, 0, o.Usages/o.Batch+1)
	for len(keys) > 0 {
		n := min(o.Batch, len(keys))
		requests = append(requests, payload(w, rnd, keys[:n], o.now()))
		keys = keys[n:]
	}
	return requests
}

// payload encodes one request of a random merchant: one usage event, or a batch.
func payload(w *world, rnd *mathrand.Rand, keys []string, at events.Time) request {
	which := rnd.IntN(len(w.merchants))
	m := &w.merchants[which]
	r := request{merchant: which, subject: "tally.cmd." + m.id.String() + ".ReportUsage", size: len(keys)}
	b := make([]byte, 0, 256*len(keys))
	if len(keys) > 1 {
		b = append(b, `{"events":[`...)
	}
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"customerId":"`...)
		customer := rnd.IntN(len(m.customers))
		b = m.customers[customer].AppendText(b)
		b = append(b, `","merchantId":"`...)
		b = m.id.AppendText(b)
		b = append(append(b, `","idempotencyKey":"`...), key...)
		b = at.AppendText(append(b, `","timestamp":"`...))
		b = append(b, `","properties":[{"billableMetricId":"`...)
		b = m.metric.AppendText(b)
		b = strconv.AppendInt(append(b, `","quantity":`...), 1+rnd.Int64N(2000), 10)
		b = append(b, `}]`...)
		if len(m.reserved) > 0 {
			b = m.reserved[customer].AppendText(append(b, `,"entitlementId":"`...))
			b = append(b, '"')
		}
		b = append(b, '}')
	}
	if len(keys) > 1 {
		b = append(b, `]}`...)
	}
	r.body = b
	return r
}

// sample returns the last n records of the log, and the subjects they are published on.
func sample(ctx context.Context, s *server.Server, n int) (messages [][]byte, subjects []string, err error) {
	to := s.Log.Durable()
	from := to - min(to, events.Seq(n)) + 1
	err = s.Log.Scan(ctx, from, to, func(rec events.Record) error {
		messages = append(messages, slices.Clone(rec.Bytes))
		aggregate, name := rec.Event.Subject()
		subjects = append(subjects, "tally.ledger."+rec.Merchant.String()+"."+aggregate+"."+name)
		return nil
	})
	return messages, subjects, err
}

// cpuTime returns the processor time that this process has used.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
