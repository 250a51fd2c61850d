package killtest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/client"
	"tallystick/ledger"
)

var (
	rounds = flag.Int("rounds", 2, "how often the server is killed")
	seed   = flag.Uint64("seed", 0, "of the random load and moments; 0 draws one")
)

// TestKill runs `tally serve` as a process of its own under load on both paths, requests and the stream, and ends it
// with SIGKILL at a random moment, again and again. Clients repeat what was not answered, under the same keys. At the
// end every receipt that was ever given is in the log, once, and says what the log says; and every wallet holds what
// a model of a few lines says.
func TestKill(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", *seed)
	k := &killing{
		t: t, rnd: rand.New(rand.NewPCG(*seed, 1)), dir: filepath.Join(t.TempDir(), "ledger"),
		binary: build(t), receipts: make(map[string]commands.Receipt), quantities: make(map[string]int64), owners: make(map[string]int),
	}
	k.start()
	k.parties()
	for range *rounds {
		k.load(true)
		k.start()
	}
	k.load(false) // repeats everything, and adds a little
	k.stop()
	k.check()
}

// killing is the state of the test.
type killing struct {
	t      *testing.T
	rnd    *rand.Rand
	dir    string
	binary string
	server *exec.Cmd
	url    string // of the running server
	key    string // operator's, of the running server

	merchant  events.OrganizationID
	secret    string
	metric    string
	customers []string
	wallets   []string
	stamp     string // the timestamp of all usage: a repeated event must be the same event

	mu         sync.Mutex // guards the fields below
	next       int
	quantities map[string]int64            // of every usage event ever sent, by idempotency key
	owners     map[string]int              // its customer
	receipts   map[string]commands.Receipt // of those that were answered
}

const (
	price     = 2_500     // nanodollars a unit
	topUp     = 1_000_000 // dollars in each wallet: more than any machine bills
	customers = 8
)

// build compiles the server.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "tally")
	out, err := exec.Command("go", "build", "-o", binary, "tallystick/cmd/tally").CombinedOutput()
	if err != nil {
		t.Fatalf("building tally: %v\n%s", err, out)
	}
	return binary
}

// start starts the server and waits until it says where it is.
func (k *killing) start() {
	k.t.Helper()
	at := filepath.Join(k.dir, "endpoint.json")
	if err := os.Remove(at); err != nil && !errors.Is(err, os.ErrNotExist) {
		k.t.Fatal(err)
	}
	k.server = exec.Command(k.binary, "serve", "--data", k.dir, "--nats-listen", "127.0.0.1:0", "--http-listen", "", "--metrics-listen", "")
	k.server.Stderr = os.Stderr
	if err := k.server.Start(); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = k.server.Process.Kill() })
	var e struct{ NATS, Key string }
	deadline := time.Now().Add(time.Minute)
	for {
		b, err := os.ReadFile(at)
		if err == nil && json.Unmarshal(b, &e) == nil && e.NATS != "" {
			break
		}
		if time.Now().After(deadline) {
			k.t.Fatal("the server did not start within a minute")
		}
		<-time.After(5 * time.Millisecond)
	}
	k.url, k.key = e.NATS, e.Key
}

// stop ends the server in order.
func (k *killing) stop() {
	k.t.Helper()
	if err := k.server.Process.Signal(syscall.SIGTERM); err != nil {
		k.t.Fatal(err)
	}
	if err := k.server.Wait(); err != nil {
		k.t.Fatalf("the server ended with %v", err)
	}
}

// parties makes a merchant, and customers with wallets and subscriptions.
func (k *killing) parties() {
	k.t.Helper()
	ctx := k.t.Context()
	op, err := client.Connect(k.url, client.Options{Key: k.key, Inbox: "_INBOX_operator", Scope: "_operator"})
	if err != nil {
		k.t.Fatal(err)
	}
	made := k.do(op, "CreateMerchant", object{"profile": object{"name": "M"}, "currency": "USD", "settings": object{"managedPrepaid": true}})
	op.Close()
	if k.merchant, err = events.ParseID[events.OrganizationNoun](made); err != nil {
		k.t.Fatal(err)
	}
	op, err = client.Connect(k.url, client.Options{Key: k.key, Inbox: "_INBOX_operator", Scope: made})
	if err != nil {
		k.t.Fatal(err)
	}
	defer op.Close()
	body, _ := json.Marshal(object{"role": "merchant", "name": "load"})
	answer, err := op.Send(ctx, "CreateKey", body)
	var key struct{ Secret string }
	if err != nil || json.Unmarshal(answer, &key) != nil || key.Secret == "" {
		k.t.Fatalf("making a key: %s, %v", answer, err)
	}
	k.secret = key.Secret
	product := k.do(op, "CreateProduct", object{"name": "P", "description": "P"})
	k.metric = k.do(op, "CreateMetric", object{"productId": product, "name": "M", "description": "M", "unit": "u", "aggregation": "SUM"})
	p := k.do(op, "CreatePrice", object{
		"billableMetricId": k.metric, "model": "standard", "paymentTerm": "instant", "invoiceDisplayName": "M", "properties": object{"unitPrice": "0.0000025"},
	})
	plan := k.do(op, "CreatePlan", object{"productId": product, "name": "P", "currency": "USD", "billingCadence": "P1M", "prices": []string{p}})
	for i := range customers {
		c := k.do(op, "CreateCustomer", object{"consumer": object{
			"name": "C", "email": fmt.Sprintf("c%d@example.com", i), "address": object{"country": "US"},
		}})
		s := k.do(op, "CreateSubscription", object{"customerId": c, "planId": plan, "name": "S", "startedAt": time.Now().UTC()})
		var sub struct{ WalletID string }
		if err := op.Query(ctx, "Subscription", object{"subscriptionId": s}, &sub); err != nil {
			k.t.Fatal(err)
		}
		k.do(op, "TopUp", object{"walletId": sub.WalletID, "amount": fmt.Sprint(topUp), "method": "sandbox"})
		k.customers, k.wallets = append(k.customers, c), append(k.wallets, sub.WalletID)
	}
	k.stamp = time.Now().UTC().Format(time.RFC3339Nano)
}

type object = map[string]any

func (k *killing) do(c *client.Client, name string, body object) string {
	k.t.Helper()
	r, err := c.Command(k.t.Context(), name, body)
	if err != nil {
		k.t.Fatalf("%s: %v", name, err)
	}
	return r.ID.String()
}

// load sends usage on both paths from several clients. With kill it goes on until the server is
// killed at a random moment; without, every key that has no receipt yet is repeated until it has one.
func (k *killing) load(kill bool) {
	k.t.Helper()
	ctx, cancel := context.WithCancel(k.t.Context())
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() { k.client(ctx, kill, w) })
	}
	if kill {
		<-time.After(50*time.Millisecond + time.Duration(k.rnd.IntN(900))*time.Millisecond)
		if err := k.server.Process.Kill(); err != nil {
			k.t.Fatal(err)
		}
		_ = k.server.Wait() // it was killed
		cancel()
	}
	workers.Wait()
	cancel()
}

// client is one client's load.
func (k *killing) client(ctx context.Context, kill bool, w int) {
	nc, err := nats.Connect(k.url, nats.Token(k.secret), nats.CustomInboxPrefix("_INBOX_"+k.merchant.String()), nats.NoReconnect(), nats.Timeout(time.Minute))
	if err != nil {
		if !kill {
			k.t.Errorf("connecting: %v", err)
		}
		return
	}
	defer nc.Close()
	if !kill {
		for keys := k.unanswered(w); len(keys) > 0; keys = k.unanswered(w) {
			if err := k.request(ctx, nc, keys[:min(len(keys), 200)]); err != nil {
				k.t.Errorf("repeating: %v", err)
				return
			}
		}
		return
	}
	for i := 0; ctx.Err() == nil; i++ {
		keys := k.fresh(1+i%40, w)
		if i%3 == 2 { // by the stream: no receipt, so it is repeated at the end
			if _, err := nc.RequestWithContext(ctx, "tally.usage."+k.merchant.String(), k.body(keys)); err != nil && nc.IsClosed() {
				return
			}
			continue
		}
		if err := k.request(ctx, nc, keys); err != nil {
			if !nc.IsClosed() && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
				k.t.Errorf("reporting: %v", err)
			}
			return // the server is gone
		}
	}
}

// fresh returns new keys, each with a random customer and quantity.
func (k *killing) fresh(n, w int) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%d-%07d", w, k.next)
		k.next++
		k.quantities[keys[i]] = 1 + int64(k.next*7919%2000)
		k.owners[keys[i]] = k.next % customers
	}
	return keys
}

// unanswered returns the keys of a client that have no receipt.
func (k *killing) unanswered(w int) (keys []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key := range k.quantities {
		if _, ok := k.receipts[key]; !ok && key[0] == byte('0'+w) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (k *killing) body(keys []string) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := make([]object, len(keys))
	for i, key := range keys {
		list[i] = object{
			"customerId": k.customers[k.owners[key]], "merchantId": k.merchant, "idempotencyKey": key, "timestamp": k.stamp,
			"properties": []object{{"billableMetricId": k.metric, "quantity": k.quantities[key]}},
		}
	}
	b, err := json.Marshal(object{"events": list})
	if err != nil {
		panic(err)
	}
	return b
}

// request reports usage and keeps the receipts. A receipt that differs from one given before is a lie.
func (k *killing) request(ctx context.Context, nc *nats.Conn, keys []string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	m, err := nc.RequestWithContext(ctx, "tally.cmd."+k.merchant.String()+".ReportUsage", k.body(keys))
	if err != nil {
		return err
	}
	var answer struct{ Receipts []commands.Receipt }
	if err := json.Unmarshal(m.Data, &answer); err != nil || len(answer.Receipts) != len(keys) {
		k.t.Errorf("a bad answer: %s", m.Data)
		return errors.New("bad answer")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, r := range answer.Receipts {
		if r.Status == commands.Rejected {
			if r.Code != commands.Busy && r.Code != commands.LedgerFailed && r.Code != commands.ShuttingDown {
				return fmt.Errorf("%s was refused: %s: %s", keys[i], r.Code, r.Message)
			}
			continue
		}
		if before, ok := k.receipts[keys[i]]; ok && before.Seq != r.Seq {
			k.t.Errorf("%s was recorded at %d by one receipt and at %d by another", keys[i], before.Seq, r.Seq)
		}
		k.receipts[keys[i]] = r
	}
	return nil
}

// check opens the log that the server has left and compares it with every receipt and with the model.
func (k *killing) check() {
	k.t.Helper()
	log, err := ledger.Open(filepath.Join(k.dir, "log"), ledger.Options{})
	if err != nil {
		k.t.Fatal(err)
	}

	seen := make(map[string]events.Seq)
	spent := make(map[events.WalletID]events.Sum)
	err = log.Scan(k.t.Context(), 1, log.Durable(), func(rec events.Record) error {
		u, ok := rec.Event.(*events.UsageReported)
		if !ok {
			return nil
		}
		if at, again := seen[rec.Key]; again {
			k.t.Errorf("%s was billed twice: at %d and at %d", rec.Key, at, rec.Seq)
		}
		seen[rec.Key] = rec.Seq
		net, _ := u.Total()
		if want := k.quantities[rec.Key] * price; int64(net) != want {
			k.t.Errorf("%s cost %d, want %d", rec.Key, net, want)
		}
		spent[u.Wallet] = spent[u.Wallet].Add(net)
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	want := make(map[events.WalletID]events.Sum)
	for key, r := range k.receipts {
		if seen[key] != r.Seq {
			k.t.Errorf("the receipt of %s says %d, the log %d", key, r.Seq, seen[key])
		}
		wallet, err := events.ParseID[events.WalletNoun](k.wallets[k.owners[key]])
		if err != nil {
			k.t.Fatal(err)
		}
		want[wallet] = want[wallet].Add(events.Nanos(k.quantities[key] * price))
	}
	if len(k.receipts) != len(k.quantities) {
		k.t.Errorf("%d receipts of %d usage events", len(k.receipts), len(k.quantities))
	}
	for wallet, sum := range want {
		if spent[wallet] != sum {
			k.t.Errorf("wallet %s spent %s, want %s", wallet, spent[wallet], sum)
		}
	}
	k.t.Logf("%d usage events, %d records", len(seen), log.Durable())
	if report, err := log.Check(k.t.Context(), nil); err != nil {
		k.t.Errorf("the log does not hold: %v (%+v)", err, report)
	}
	if err := log.Close(); err != nil {
		k.t.Fatal(err)
	}
	if out, err := exec.Command(k.binary, "verify", "--data", k.dir).CombinedOutput(); err != nil {
		k.t.Errorf("tally verify: %v\n%s", err, out)
	}
}
