package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/server"
	"tallystick/internal/wire"
	"tallystick/projections"
	"tallystick/projections/views"
)

// Open is how soon a killed server answers again.
type Open struct {
	Records            int     `json:"records"`
	Wallets            int     `json:"wallets"`
	FirstReceiptMillis float64 `json:"firstReceiptMillis"` // from the start of the process to the first receipt over NATS; the worst of three kills
	AsOfMillis         float64 `json:"asOfMillis"`         // a wallet as it was at a random sequence; the worst of twenty
	MemoryMiB          float64 `json:"memoryMiB"`          // resident, once all rows are in memory
}

// MeasureOpen makes a ledger, and three times starts a server on it as a process of its own, sends usage as soon as it
// can, goes on for some seconds as fast as the server takes it, and kills the process in the midst of that.
func MeasureOpen(ctx context.Context, o Options) (res Open, err error) {
	if o.Usages == 0 {
		o.Usages = 10_000_000
	}
	if o.Customers == 0 {
		o.Customers = 1_000_000
	}
	o = o.withDefaults()
	if o.Keep == "" {
		o.Keep = filepath.Join(o.Dir, "ledger")
	}
	secret := rand.Text() + rand.Text()
	w, err := large(ctx, o, secret, &res)
	if err != nil {
		return res, err
	}
	for i := range 3 {
		took, mib, err := w.restart(ctx, o, secret)
		if err != nil {
			return res, err
		}
		o.Progress("start %d: first receipt after %.0f ms", i+1, millis(took))
		res.FirstReceiptMillis = max(res.FirstReceiptMillis, millis(took))
		res.MemoryMiB = max(res.MemoryMiB, mib)
	}
	return res, nil
}

// large makes the ledger, unless there is one, measures questions about its past, and makes a key with a secret for its first merchant.
func large(ctx context.Context, o Options, secret string, res *Open) (w *world, err error) {
	_, missing := os.Stat(filepath.Join(o.Keep, "log"))
	s, err := server.Open(ctx, server.Config{Dir: o.Keep, Create: missing != nil, Clock: o.Clock})
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := s.Close(ctx); err == nil {
			err = e
		}
	}()
	if missing == nil {
		w, err = find(ctx, s, o)
	} else {
		o.Progress("making %d merchants with %d customers", o.Merchants, o.Customers)
		if w, err = build(ctx, s, o.Merchants, o.Customers/o.Merchants, trade{term: events.Instant}); err == nil {
			err = w.preload(ctx, o.Usages, func(n int) {
				if n%1_000_000 == 0 {
					o.Progress("%d usage events recorded", n)
				}
			})
		}
	}
	if err != nil {
		return nil, err
	}
	key := commands.CreateKey{Role: events.MerchantKey, Name: "bench", Secret: commands.SecretHash(secret)}
	if _, err = w.call(ctx, []commands.Request{w.request(&w.merchants[0], key)}); err != nil {
		return nil, err
	}
	res.Records, res.Wallets = int(s.Sequencer.Applied()), o.Customers
	o.Progress("waiting for the views")
	if err = s.Views.WaitFor(ctx, s.Sequencer.Applied()); err != nil {
		return nil, err
	}
	<-s.Filled()
	res.AsOfMillis, err = w.asOf(ctx, o, s.Sequencer.Applied())
	w.s, w.merchants = nil, w.merchants[:1]
	return w, err
}

// find returns the parties of a ledger that build has made, with at most 1,000 customers of each merchant.
func find(ctx context.Context, s *server.Server, o Options) (w *world, err error) {
	rows, err := s.Views.Reader(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	w = &world{s: s}
	err = views.Each(ctx, rows, rows.Tables().Merchants, nil, nil, func(id events.OrganizationID, _ *projections.MerchantRow) error {
		m := seller{id: id}
		err := rows.Children(ctx, projections.LinkMetrics, id, [16]byte{}, func(metric [16]byte, _ events.Seq) error {
			m.metric = events.MetricID(metric)
			return nil
		})
		if err != nil {
			return err
		}
		w.merchants = append(w.merchants, m)
		last := &w.merchants[len(w.merchants)-1]
		return rows.Children(ctx, projections.LinkCustomers, id, [16]byte{}, func(customer [16]byte, _ events.Seq) error {
			if last.customers = append(last.customers, events.CustomerID(customer)); len(last.customers) == 1000 {
				return views.ErrStop
			}
			return nil
		})
	})
	for i := range w.merchants {
		if m := &w.merchants[i]; err == nil && (m.metric.IsZero() || len(m.customers) == 0) {
			err = fmt.Errorf("the ledger in %s was not made by this measurement", o.Keep)
		}
	}
	if err == nil && len(w.merchants) == 0 {
		err = fmt.Errorf("the ledger in %s has no merchant", o.Keep)
	}
	return w, err
}

// restart starts a server in a process of its own and measures the time to the first receipt. Then it sends some more
// usage, so that the next start has a tail to replay, and kills the process.
func (w *world) restart(ctx context.Context, o Options, secret string) (took time.Duration, mib float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	dir := o.Keep
	_ = os.Remove(filepath.Join(dir, "endpoint.json")) // of the server before, which was killed
	cmd := exec.CommandContext(ctx, self, "serve", "--data", dir, "--nats-listen", "127.0.0.1:0", "--http-listen", "", "--metrics-listen", "")
	cmd.Stderr = os.Stderr
	start := o.Clock()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	nc, err := w.dial(ctx, dir, secret)
	if err != nil {
		return 0, 0, err
	}
	defer nc.Close()
	rnd := mathrand.New(mathrand.NewPCG(uint64(o.Clock().UnixNano()), 1))
	for i, batch := range [...]int{1, 100, 100, 100, 100} {
		r := payload(w, rnd, randomKeys(batch), o.now())
		m, err := within(ctx, nc, r, 30*time.Second)
		if err != nil {
			return 0, 0, fmt.Errorf("the first usage after a start: %w", err)
		}
		if i == 0 {
			took = o.Clock().Sub(start)
		}
		if err := acceptedAll(m.Data, r.size); err != nil {
			return 0, 0, err
		}
	}
	if mib, err = settled(cmd.Process.Pid); err != nil {
		return 0, 0, err
	}
	return took, mib, w.push(ctx, nc, o)
}

// within sends a request and waits for the answer for so long, and no longer than ctx lasts: with that the server ends, too.
func within(ctx context.Context, nc *nats.Conn, r request, long time.Duration) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	return nc.RequestWithContext(ctx, r.subject, r.body)
}

// push sends usage as fast as the server takes it.
func (w *world) push(ctx context.Context, nc *nats.Conn, o Options) error {
	const requests, batch = 3000, 100
	rnd := mathrand.New(mathrand.NewPCG(uint64(o.Clock().UnixNano()), 2))
	bodies := make([]request, requests)
	for i := range bodies {
		bodies[i] = payload(w, rnd, randomKeys(batch), o.now())
	}
	_, _, err := Load{requests, 64, func(_, i int) error {
		m, err := within(ctx, nc, bodies[i], time.Minute)
		if err != nil {
			return err
		}
		return acceptedAll(m.Data, batch)
	}}.Run(o.Clock)
	return err
}

// asOf returns how long it takes, at worst, to learn what was in a wallet at some sequence of all the log, or that there was none yet.
func (w *world) asOf(ctx context.Context, o Options, last events.Seq) (worst float64, err error) {
	rnd := mathrand.New(mathrand.NewPCG(17, 19))
	for range 20 {
		m := &w.merchants[rnd.IntN(len(w.merchants))]
		args := query.WalletArgs{Customer: m.customers[rnd.IntN(len(m.customers))]}
		args.AsOf = 1 + events.Seq(rnd.Uint64N(uint64(last)))
		start := o.Clock()
		_, err := w.s.Queries.Wallet(ctx, wire.Who{Role: events.OperatorKey}, args)
		took := millis(o.Clock().Sub(start))
		if none := (*commands.Rejection)(nil); errors.As(err, &none) && none.Code == commands.NotFound {
			err = nil
		}
		if err != nil {
			return 0, fmt.Errorf("a wallet as of %d: %w", args.AsOf, err)
		}
		o.Progress("a wallet as of %d of %d: %.0f ms", args.AsOf, last, took)
		worst = max(worst, took)
	}
	return worst, nil
}

// dial connects as soon as the server says where it is.
func (w *world) dial(ctx context.Context, dir, secret string) (*nats.Conn, error) {
	for {
		b, err := os.ReadFile(filepath.Join(dir, "endpoint.json"))
		if err == nil {
			var at struct {
				NATS string `json:"nats"`
			}
			if err := json.Unmarshal(b, &at); err != nil {
				return nil, err
			}
			return nats.Connect(at.NATS, nats.Token(secret), nats.CustomInboxPrefix("_INBOX_"+w.merchants[0].id.String()))
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// settled waits until a process's memory has stopped growing, and returns it.
func settled(pid int) (mib float64, err error) {
	for last := -1.0; ; last = mib {
		if mib, err = resident(pid); err != nil || mib <= last*1.01 {
			return mib, err
		}
		<-time.After(2 * time.Second)
	}
}

// resident returns the resident memory of a process.
func resident(pid int) (mib float64, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if kb, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			n, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 64)
			return n / 1024, err
		}
	}
	return 0, lines.Err()
}
