package natsdoor_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/natsdoor"
	"tallystick/internal/wire"
	"tallystick/ledger"
	"tallystick/ledger/keyring"
	"tallystick/projections"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// A NATS server that is shut down while a stream looks for its source leaves this one behind for some seconds.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.(*stream).trySetupSourceConsumer.func3"))
}

// limit is how long anything may take on a machine that is busy with other things.
const limit = time.Minute

// world is a ledger behind a door, with a NATS server in this process.
type world struct {
	t    testing.TB
	nats *server.Server
	conn *nats.Conn // of the door
	js   jetstream.JetStream
	log  *ledger.Log
	keys *keyring.Keyring
	seq  *commands.Sequencer
	gate *gate
	door *natsdoor.Door

	ticks     atomic.Int64
	consumers atomic.Int64 // identities that were given to new ones

	mu      sync.Mutex // guards the fields below
	callers map[string]wire.Who
	now     time.Time

	operator, merchant *client
	catalog
}

// catalog is what a merchant must have before usage is billed.
type catalog struct {
	merchantID, customer, subscription, wallet, input, output string
}

// gate is a sequencer that can be told to be busy.
type gate struct {
	*commands.Sequencer
	waiting atomic.Int64 // calls that were ever held

	mu   sync.Mutex    // guards the fields below
	busy int           // how many calls to refuse; -1 for all
	held chan struct{} // calls wait until it is closed; nil for not
}

func (g *gate) hold(until chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = until
}

func (g *gate) Submit(call *commands.Call) error {
	g.mu.Lock()
	busy := g.busy != 0
	if g.busy > 0 {
		g.busy--
	}
	held := g.held
	g.mu.Unlock()
	if held != nil {
		g.waiting.Add(1)
		<-held
	}
	if busy {
		return commands.Reject(commands.Busy, "told so")
	}
	return g.Sequencer.Submit(call)
}

func (g *gate) refuse(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy = n
}

// Caller implements natsdoor.Callers: a prefix of an inbox stands for a key.
func (w *world) Caller(m *nats.Msg, _ events.OrganizationID) (wire.Who, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	parts := strings.SplitN(m.Reply, ".", 3)
	if len(parts) < 3 {
		return wire.Who{}, false
	}
	who, ok := w.callers[parts[0]+"."+parts[1]]
	return who, ok
}

// Query implements natsdoor.Querier.
func (w *world) Query(_ context.Context, who wire.Who, name string, args []byte) ([]byte, error) {
	if name == "Huge" {
		return make([]byte, 2<<20), nil
	}
	if name != "Echo" {
		return nil, commands.Reject(commands.NotFound, "no query %s", name)
	}
	return json.Marshal(map[string]any{"role": who.Role, "args": string(args)})
}

// open starts everything. Nothing in it waits for time to pass: the clock stands.
func open(t testing.TB, change ...func(*natsdoor.Options)) *world {
	t.Helper()
	w := &world{t: t, callers: map[string]wire.Who{}, now: time.Date(2024, 1, 15, 10, 0, 0, 0, time.UTC)}
	w.startNATS()
	w.startLedger()
	w.conn = w.connect("_INBOX_door")
	opts := natsdoor.Options{
		Conn: w.conn, Sequencer: w.gate, Callers: w, Queries: w, Clock: w.ticking, NewDecoder: w.decoder, Version: "1.2.3",
		Handlers: map[string]natsdoor.Handler{"Greet": func(_ context.Context, _ wire.Who, m events.OrganizationID, body []byte) ([]byte, error) {
			return json.Marshal(map[string]string{"greets": m.String(), "body": string(body)})
		}},
	}
	for _, c := range change {
		c(&opts)
	}
	door, err := natsdoor.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	w.door = door
	t.Cleanup(func() {
		if err := door.Close(context.Background()); err != nil {
			t.Errorf("closing the door: %v", err)
		}
	})
	w.js, err = jetstream.New(w.conn)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) startNATS() {
	s, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: w.t.TempDir(), NoSigs: true, NoLog: true, AuthTimeout: limit.Seconds()})
	if err != nil {
		w.t.Fatal(err)
	}
	s.Start()
	w.t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(limit) {
		w.t.Fatal("NATS did not start")
	}
	w.nats = s
}

func (w *world) connect(inbox string) *nats.Conn {
	nc, err := nats.Connect("", nats.InProcessServer(w.nats), nats.CustomInboxPrefix(inbox), nats.Timeout(limit))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	return nc
}

func (w *world) startLedger() {
	dir := w.t.TempDir()
	var err error
	if w.keys, err = keyring.Open(dir+"/keys", keyring.Options{Create: true}); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.check(w.keys.Close()) })
	if w.log, err = ledger.Open(dir+"/log", ledger.Options{Create: true}); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.check(w.log.Close()) })
	w.seq = commands.NewSequencer(commands.Options{
		Books: projections.NewBooks(projections.ForRules), Log: w.log, Ledger: events.LedgerID{1}, Clock: w.clock,
		Seed: seed,
	})
	if err := w.seq.Genesis(events.LedgerOpened{Environment: events.Sandbox, Format: 1}); err != nil {
		w.t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { w.seq.Run(context.Background()) })
	w.t.Cleanup(func() { w.seq.Stop(); running.Wait() })
	if err := w.seq.Filled(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.gate = &gate{Sequencer: w.seq}
}

func (w *world) check(err error) {
	if err != nil {
		w.t.Error(err)
	}
}

func seed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return binary.LittleEndian.Uint64(b[:])
}

// ticking is a clock that goes on by a microsecond whenever it is looked at.
func (w *world) ticking() time.Time {
	return w.clock().Add(time.Duration(w.ticks.Add(1)) * time.Microsecond)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) decoder() *wire.Decoder {
	return wire.NewDecoder(wire.Options{
		Keyring: w.keys, Directory: &directory{log: w.log, books: projections.NewBooks(projections.ForRules)},
		Environment: events.Sandbox, Rand: rand.Reader,
		NewConsumer: func() (id events.OrganizationID) {
			id[0], id[15] = 2, byte(w.consumers.Add(1))
			return id
		},
	})
}

// directory answers from the log itself.
type directory struct {
	log   *ledger.Log
	mu    sync.Mutex // guards the field below
	books *projections.Books
}

func (d *directory) with(fn func(*projections.Books) bool) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.log.Scan(context.Background(), d.books.Applied()+1, d.log.Durable(), func(r events.Record) error { return d.books.Apply(&r) })
	return err == nil && fn(d.books), err
}

func (d *directory) ConsumerOf(_ context.Context, id events.CustomerID) (c events.OrganizationID, ok bool, err error) {
	ok, err = d.with(func(b *projections.Books) bool {
		row := b.Customers.Get(id)
		if row != nil {
			c = row.Consumer
		}
		return row != nil
	})
	return c, ok, err
}

func (d *directory) WalletConsumer(_ context.Context, id events.WalletID) (c events.OrganizationID, ok bool, err error) {
	ok, err = d.with(func(b *projections.Books) bool {
		row := b.Wallets.Get(id)
		if row != nil {
			c = row.Owner
		}
		return row != nil
	})
	return c, ok, err
}

func (d *directory) SubscriptionConsumer(_ context.Context, id events.SubscriptionID) (c events.OrganizationID, ok bool, err error) {
	ok, err = d.with(func(b *projections.Books) bool {
		row := b.Subscriptions.Get(id)
		if row != nil {
			c = b.Customers.Get(row.Customer).Consumer
		}
		return row != nil
	})
	return c, ok, err
}

func (d *directory) SessionConsumer(_ context.Context, id events.SessionID) (c events.OrganizationID, ok bool, err error) {
	ok, err = d.with(func(b *projections.Books) bool {
		row := b.Sessions.Get(id)
		if row != nil {
			c = row.Consumer
		}
		return row != nil
	})
	return c, ok, err
}

func (d *directory) FullConsumer(context.Context, events.Digest) (c events.OrganizationID, ok bool, err error) {
	return c, false, nil
}

func (d *directory) AuthorizationConsumer(context.Context, events.AuthorizationID) (c events.OrganizationID, ok bool, err error) {
	return c, false, nil
}

func (d *directory) ManagedConsumer(_ context.Context, m events.OrganizationID, e events.Digest) (c events.OrganizationID, ok bool, err error) {
	ok, err = d.with(func(b *projections.Books) bool {
		c = b.ConsumerByEmail(m, e)
		return !c.IsZero()
	})
	return c, ok, err
}

func (d *directory) HeldUnder(_ context.Context, m events.OrganizationID, e events.Digest) (key events.OrganizationID, err error) {
	_, err = d.with(func(b *projections.Books) bool {
		key = b.HeldUnder(m, e)
		return !key.IsZero()
	})
	return key, err
}

func (d *directory) CustomerByExternal(_ context.Context, m events.OrganizationID, e events.Digest) (c events.CustomerID, err error) {
	_, err = d.with(func(b *projections.Books) bool {
		c = b.CustomerByExternal(m, e)
		return !c.IsZero()
	})
	return c, err
}

func (d *directory) ConsumerProfile(_ context.Context, id events.OrganizationID) (sealed events.Sealed, at events.Seq, ok bool, err error) {
	ok, err = d.with(func(b *projections.Books) bool {
		row := b.Consumers.Get(id)
		if row != nil {
			sealed, at = row.Sealed, row.Profile
		}
		return row != nil
	})
	return sealed, at, ok, err
}

func (*directory) UsageRecord(context.Context, events.UsageID) (rec events.Record, ok bool, err error) {
	return rec, false, nil // no test of the doors takes usage back
}

func (*directory) SettledPeriod(context.Context, events.CustomerID, events.Time) (p commands.SettledPeriod, err error) {
	return p, nil
}

func (*directory) Billed(context.Context, events.InvoiceID) (b wire.Billed, ok bool, err error) {
	return b, false, nil
}

func (d *directory) ClockNow(_ context.Context, id events.TestClockID) (now events.Time, ok bool, err error) {
	ok, err = d.with(func(b *projections.Books) bool {
		row := b.Clocks.Get(id)
		if row != nil {
			now = row.Now
		}
		return row != nil
	})
	return now, ok, err
}

// client is somebody with a key.
type client struct {
	w     *world
	nc    *nats.Conn
	scope string
	key   string // behind the subjects, with a dot before it; "" for none
}

// enter makes somebody known to the door.
func (w *world) enter(inbox, scope string, who wire.Who) *client {
	w.mu.Lock()
	w.callers[inbox] = who
	w.mu.Unlock()
	return &client{w: w, nc: w.connect(inbox), scope: scope}
}

func (c *client) request(name, body string) *nats.Msg {
	c.w.t.Helper()
	m, err := c.nc.Request("tally.cmd."+c.scope+"."+name+c.key, []byte(body), limit)
	if err != nil {
		c.w.t.Fatalf("%s: %v", name, err)
	}
	return m
}

// do carries out a command that must be accepted, and returns the identity in its receipt.
func (c *client) do(name, body string, args ...any) string {
	c.w.t.Helper()
	for {
		m := c.request(name, fmt.Sprintf(body, args...))
		var r commands.Receipt
		err := json.Unmarshal(m.Data, &r)
		switch {
		case err == nil && r.Code == commands.Busy && c.w.t.Context().Err() == nil: // a request gives its place back a moment after its answer
		case err != nil || r.Status != commands.Accepted:
			c.w.t.Fatalf("%s: %s, %v", name, m.Data, err)
		default:
			return r.ID.String()
		}
	}
}

// found makes a merchant with a customer who has 100 dollars, and uses two metrics at a dollar and two.
func (w *world) found() {
	w.t.Helper()
	w.operator = w.enter("_INBOX_operator.secret", "_operator", wire.Who{Role: events.OperatorKey, Key: events.KeyID{1}})
	w.merchantID = w.operator.do("CreateMerchant", `{"profile":{"name":"LLM"},"settings":{"managedPrepaid":true},"currency":"USD"}`)
	id, err := events.ParseID[events.OrganizationNoun](w.merchantID)
	if err != nil {
		w.t.Fatal(err)
	}
	w.merchant = w.enter("_INBOX_"+w.merchantID+".secret", w.merchantID, wire.Who{Role: events.MerchantKey, Key: events.KeyID{2}, Merchant: id})
	w.foundBy(w.merchant)
}

// foundBy makes the catalog and the customer of a merchant.
func (w *world) foundBy(m *client) {
	w.t.Helper()
	product := m.do("CreateProduct", `{"name":"API","description":"d"}`)
	metric := func(name string) string {
		return m.do("CreateMetric", `{"name":"%s","description":"d","unit":"token","aggregation":"SUM","productId":"%s"}`, name, product)
	}
	price := func(metric, amount string) string {
		return m.do("CreatePrice", `{"billableMetricId":"%s","model":"standard","paymentTerm":"instant","invoiceDisplayName":"p","properties":{"unitPrice":"%s"}}`, metric, amount)
	}
	w.input, w.output = metric("in"), metric("out")
	plan := m.do("CreatePlan", `{"name":"p","currency":"USD","productId":"%s","prices":["%s","%s"]}`, product, price(w.input, "1"), price(w.output, "2"))
	w.customer = m.do("CreateCustomer", `{"consumer":{"name":"Ada","email":"ada@example.com","address":{}}}`)
	w.subscription = m.do("CreateSubscription", `{"name":"Ada's","customerId":"%s","planId":"%s","startedAt":"2024-01-01T00:00:00Z"}`, w.customer, plan)
	_, err := (&directory{log: w.log, books: projections.NewBooks(projections.ForRules)}).with(func(b *projections.Books) bool {
		b.Wallets.Each(func(id events.WalletID, wallet *projections.Wallet) bool {
			if !wallet.Earning {
				w.wallet = id.String()
			}
			return true
		})
		return true
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.topUp("100")
}

func (w *world) topUp(amount string) {
	w.t.Helper()
	w.merchant.do("TopUp", `{"walletId":"%s","amount":"%s","method":"sandbox"}`, w.wallet, amount)
}

// usage returns a usage event of n input tokens.
func (w *world) usage(key string, n int) string {
	return fmt.Sprintf(`{"customerId":"%s","idempotencyKey":"%s","timestamp":"2024-01-15T09:00:00Z","properties":[{"billableMetricId":"%s","quantity":%d}]}`,
		w.customer, key, w.input, n)
}

// cloud returns usage event key of source "src", as a CloudEvent.
func (w *world) cloud(key string, n int) string {
	return fmt.Sprintf(`{"specversion":"1.0","type":"usage.reported","source":"src","id":"%s","subject":"%s","time":"2024-01-15T10:00:00+01:00",
		"data":{"properties":[{"billableMetricId":"%s","quantity":%d}]}}`, key, w.customer, w.input, n)
}

// openStreams makes the streams and opens the door for them.
func (w *world) openStreams(change ...func(*natsdoor.StreamOptions)) {
	w.t.Helper()
	ctx := context.Background()
	for _, c := range []jetstream.StreamConfig{
		{Name: "USAGE", Subjects: []string{"tally.usage.*"}, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew},
		{Name: "REJECTED", Subjects: []string{"tally.rejected.*"}},
	} {
		if _, err := w.js.CreateOrUpdateStream(ctx, c); err != nil {
			w.t.Fatal(err)
		}
	}
	opts := natsdoor.StreamOptions{JetStream: w.js, Retry: 10 * time.Millisecond}
	for _, c := range change {
		c(&opts)
	}
	if err := w.door.OpenStreams(ctx, opts); err != nil {
		w.t.Fatal(err)
	}
}

// send gives usage to the stream.
func (w *world) send(body string) {
	w.t.Helper()
	js, err := jetstream.New(w.merchant.nc)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := js.Publish(context.Background(), "tally.usage."+w.merchantID, []byte(body)); err != nil {
		w.t.Fatal(err)
	}
}

// eventually waits until ok, with a bound.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			w.t.Fatalf("%s did not come about", what)
		}
	}
}

// stored returns how many messages a stream holds.
func (w *world) stored(stream string) int {
	w.t.Helper()
	s, err := w.js.Stream(context.Background(), stream)
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := s.Info(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return int(info.State.Msgs)
}

// billed returns the idempotency keys of all usage in the log.
func (w *world) billed() (keys []string) {
	w.t.Helper()
	err := w.log.Scan(context.Background(), 1, w.log.Durable(), func(r events.Record) error {
		if _, ok := r.Event.(*events.UsageReported); ok {
			keys = append(keys, r.Key)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return keys
}
