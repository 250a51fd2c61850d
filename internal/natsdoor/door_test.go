package natsdoor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/natsdoor"
	"tallystick/internal/wire"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
)

func receipts(t *testing.T, m *nats.Msg) []commands.Receipt {
	t.Helper()
	var batch struct {
		Receipts []commands.Receipt `json:"receipts"`
	}
	if err := json.Unmarshal(m.Data, &batch); err != nil {
		t.Fatalf("%s: %v", m.Data, err)
	}
	return batch.Receipts
}

func TestRequests(t *testing.T) {
	w := open(t)
	w.found()

	first := w.merchant.request("ReportUsage", w.usage("k1", 3))
	want := fmt.Sprintf(`{"status":"accepted","sequence":%d,"id":"usg_`, w.log.Durable())
	if !strings.HasPrefix(string(first.Data), want) || !strings.HasSuffix(string(first.Data), `"currency":"USD","amountNanos":"3000000000","balanceNanos":"97000000000"}`) {
		t.Errorf("answered with %s", first.Data)
	}
	again := w.merchant.request("ReportUsage", w.usage("k1", 3))
	if got := strings.Replace(string(again.Data), "duplicate", "accepted", 1); got != string(first.Data) {
		t.Errorf("repeated: %s, want %s", again.Data, first.Data)
	}
	conflict := w.merchant.request("ReportUsage", w.usage("k1", 4))
	if code := conflict.Header.Get(micro.ErrorCodeHeader); code != "IDEMPOTENCY_CONFLICT" || conflict.Header.Get(micro.ErrorHeader) == "" {
		t.Errorf("conflict: headers %v of %s", conflict.Header, conflict.Data)
	}

	batch := w.merchant.request("ReportUsage", `{"events":[`+w.usage("k2", 1)+`,{"customerId":1},`+w.usage("k3", 1000)+`,`+w.usage("k1", 3)+`]}`)
	var got []string
	for _, r := range receipts(t, batch) {
		got = append(got, string(r.Status)+string(r.Code))
	}
	if want := []string{"accepted", "rejectedINVALID", "rejectedINSUFFICIENT_FUNDS", "duplicate"}; !slices.Equal(got, want) {
		t.Errorf("batch: %v, want %v", got, want)
	}
	if len(batch.Header) != 0 {
		t.Errorf("a batch has the headers %v", batch.Header)
	}
	none := w.merchant.request("ReportUsage", `[1,2]`)
	if rs := receipts(t, none); len(rs) != 2 || rs[1].Code != commands.Invalid {
		t.Errorf("a batch of nothing: %s", none.Data)
	}
	invalid := w.merchant.request("CreateProduct", `{"name":"n","bogus":1}`)
	if !strings.HasPrefix(string(invalid.Data), `{"status":"rejected","code":"INVALID"`) || invalid.Header.Get(micro.ErrorCodeHeader) != "INVALID" {
		t.Errorf("invalid: %s %v", invalid.Data, invalid.Header)
	}
	if m := w.merchant.request("ReportUsage", w.usage("k3", 2)); !strings.Contains(string(m.Data), `"accepted"`) {
		t.Errorf("a refusal has kept the key: %s", m.Data)
	}
	key := w.operator.request("CreateKey", `{"role":"auditor"}`)
	if !strings.Contains(string(key.Data), `"secret":"sk_test_`) {
		t.Errorf("a new key: %s", key.Data)
	}
	greet := w.merchant.request("Greet", `hi`)
	if want := fmt.Sprintf(`{"body":"hi","greets":"%s"}`, w.merchantID); string(greet.Data) != want {
		t.Errorf("greeted with %s, want %s", greet.Data, want)
	}
	if got, want := w.billed(), []string{"k1", "k2", "k3"}; !slices.Equal(got, want) {
		t.Errorf("billed %v, want %v", got, want)
	}
	stats := w.door.Stats()
	if stats.Refused != 2 || stats.Dropped != 0 || stats.BytesUnderWay != 0 {
		t.Errorf("counted %+v", stats)
	}
}

// TestRecordedActor holds that the log names the key that the inbox belongs to.
func TestRecordedActor(t *testing.T) {
	w := open(t)
	w.found()
	actors := map[events.Kind]string{}
	err := w.log.Scan(context.Background(), 1, w.log.Durable(), func(r events.Record) error {
		actors[r.Event.Kind()] = r.Actor.String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := actors[events.KindMerchantCreated], (events.KeyID{1}).String(); got != want {
		t.Errorf("the merchant was made by %s, want %s", got, want)
	}
	if got, want := actors[events.KindCustomerCreated], (events.KeyID{2}).String(); got != want {
		t.Errorf("the customer was made by %s, want %s", got, want)
	}
}

func TestQueries(t *testing.T) {
	w := open(t)
	w.found()
	ask := func(name string) *nats.Msg {
		m, err := w.operator.nc.Request("tally.query._operator."+name, []byte("x"), limit)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := ask("Echo"); string(m.Data) != `{"args":"x","role":"operator"}` || len(m.Header) != 0 {
		t.Errorf("answered with %s %v", m.Data, m.Header)
	}
	if m := ask("Nothing"); m.Header.Get(micro.ErrorCodeHeader) != "NOT_FOUND" || !strings.Contains(string(m.Data), `"code":"NOT_FOUND"`) {
		t.Errorf("answered with %s %v", m.Data, m.Header)
	}
	if m := ask("Huge"); m.Header.Get(micro.ErrorCodeHeader) != "TOO_LARGE" {
		t.Errorf("answered with %d bytes, %v", len(m.Data), m.Header)
	}
}

// TestSpoofing holds that a request is taken only with a reply subject in an inbox of somebody who may ask.
func TestSpoofing(t *testing.T) {
	w := open(t)
	w.found()
	w.openStreams()
	other := w.enter("_INBOX_other.secret", w.merchantID, wire.Who{Role: events.MerchantKey, Merchant: events.OrganizationID{9}})
	attempts := int64(0)
	for _, tt := range []struct {
		name, subject, reply string
	}{
		{"no reply", "tally.cmd." + w.merchantID + ".CreateProduct", ""},
		{"a default inbox", "tally.cmd." + w.merchantID + ".CreateProduct", "_INBOX.abc.def"},
		{"an inbox of nobody", "tally.cmd." + w.merchantID + ".CreateProduct", "_INBOX_" + w.merchantID + ".guess.abc"},
		{"another's inbox", "tally.cmd." + w.merchantID + ".CreateProduct", "_INBOX_other.secret.abc"},
		{"the operator's scope", "tally.cmd._operator.CreateProduct", "_INBOX_" + w.merchantID + ".secret.abc"},
		{"the stream of records", "tally.cmd." + w.merchantID + ".CreateProduct", "tally.ledger.x.y.z"},
		{"no merchant", "tally.cmd.nobody.CreateProduct", "_INBOX_operator.secret.abc"},
		{"a query without a reply", "tally.query." + w.merchantID + ".Echo", ""},
	} {
		attempts++
		before := w.log.Durable()
		m := &nats.Msg{Subject: tt.subject, Reply: tt.reply, Data: []byte(`{"name":"n","description":"d"}`)}
		if err := other.nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
		w.eventually(tt.name+" being dropped", func() bool { return w.door.Stats().Dropped == attempts })
		if w.log.Durable() != before {
			t.Errorf("%s: it was carried out", tt.name)
		}
	}

	// A consumer that is talked into delivering to a command subject.
	ctx := context.Background()
	if _, err := w.js.CreateStream(ctx, jetstream.StreamConfig{Name: "EVIL", Subjects: []string{"evil"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.js.Publish(ctx, "evil", []byte(`{"name":"n","description":"d"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.js.CreateConsumer(ctx, "EVIL", jetstream.ConsumerConfig{Durable: "c"}); err != nil {
		t.Fatal(err)
	}
	before := w.log.Durable()
	m := &nats.Msg{Subject: "$JS.API.CONSUMER.MSG.NEXT.EVIL.c", Reply: "tally.cmd." + w.merchantID + ".CreateProduct", Data: []byte("1")}
	if err := other.nc.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	w.eventually("the delivery being dropped", func() bool { return w.door.Stats().Dropped == attempts+1 })
	if w.log.Durable() != before {
		t.Error("a delivery was carried out")
	}
}

func TestBusy(t *testing.T) {
	w := open(t)
	w.found()
	w.gate.refuse(1)
	m := w.merchant.request("ReportUsage", `[`+w.usage("k1", 1)+`]`)
	if m.Header.Get(micro.ErrorCodeHeader) != "BUSY" || !strings.Contains(string(m.Data), `"code":"BUSY"`) {
		t.Errorf("answered with %s %v", m.Data, m.Header)
	}
	if m := w.merchant.request("ReportUsage", w.usage("k1", 1)); !strings.Contains(string(m.Data), `"accepted"`) {
		t.Errorf("answered with %s", m.Data)
	}
}

// TestBounds holds that what does not fit is refused at once.
func TestBounds(t *testing.T) {
	w := open(t, func(o *natsdoor.Options) { o.MaxBytes = 4096 })
	w.found()
	m := w.merchant.request("ReportUsage", `[`+strings.Repeat(w.usage("k", 1)+",", 30)+w.usage("k", 1)+`]`)
	if m.Header.Get(micro.ErrorCodeHeader) != "BUSY" {
		t.Errorf("answered with %s", m.Data)
	}
}

// TestQueues holds that requests which find no place are refused at once: one that must wait, and one that must be decoded.
func TestQueues(t *testing.T) {
	stuck := make(chan struct{})
	w := open(t, func(o *natsdoor.Options) {
		o.MaxWaiting, o.Lanes, o.MaxQueued = 1, 1, 1
		o.Handlers["Stick"] = func(context.Context, wire.Who, events.OrganizationID, []byte) ([]byte, error) {
			<-stuck
			return []byte("{}"), nil
		}
	})
	w.found()
	inbox := w.merchant.nc.NewInbox()
	sub, err := w.merchant.nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	publish := func(name string) {
		t.Helper()
		m := &nats.Msg{Subject: "tally.cmd." + w.merchantID + "." + name, Reply: inbox, Data: []byte(`{"name":"n","description":"d"}`)}
		if err := w.merchant.nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	publish("Stick")
	if m := w.merchant.request("CreateSubscription", `{}`); m.Header.Get(micro.ErrorCodeHeader) != "BUSY" {
		t.Errorf("one that must wait is answered with %s", m.Data)
	}
	close(stuck)
	if _, err := sub.NextMsg(limit); err != nil {
		t.Fatal(err)
	}

	held := make(chan struct{})
	w.gate.hold(held)
	publish("CreateProduct")
	w.eventually("one being submitted", func() bool { return w.gate.waiting.Load() == 1 })
	publish("CreateProduct") // waits
	publish("CreateProduct") // finds no place
	busy, err := sub.NextMsg(limit)
	if err != nil || busy.Header.Get(micro.ErrorCodeHeader) != "BUSY" {
		t.Errorf("answered with %v, %v", busy, err)
	}
	close(held)
	for range 2 {
		if m, err := sub.NextMsg(limit); err != nil || !strings.Contains(string(m.Data), `"accepted"`) {
			t.Errorf("answered with %v, %v", m, err)
		}
	}
}

// TestCloseInHaste holds that Close ends in time when something hangs, and refuses what hangs.
func TestCloseInHaste(t *testing.T) {
	var hanging atomic.Int64
	w := open(t, func(o *natsdoor.Options) {
		o.Handlers["Hang"] = func(ctx context.Context, _ wire.Who, _ events.OrganizationID, _ []byte) ([]byte, error) {
			hanging.Add(1)
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	w.found()
	inbox := w.merchant.nc.NewInbox()
	sub, err := w.merchant.nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.merchant.nc.PublishMsg(&nats.Msg{Subject: "tally.cmd." + w.merchantID + ".Hang", Reply: inbox}); err != nil {
		t.Fatal(err)
	}
	w.eventually("the request being under way", func() bool { return hanging.Load() == 1 })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.door.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("closed with %v", err)
	}
	if m, err := sub.NextMsg(limit); err != nil || m.Header.Get(micro.ErrorCodeHeader) != "BUSY" {
		t.Errorf("answered with %v, %v", m, err)
	}
}

// TestDeafen holds that a door that hears no more still answers what it was given before, and is given nothing after.
func TestDeafen(t *testing.T) {
	w := open(t)
	w.found()
	inbox := w.merchant.nc.NewInbox()
	sub, err := w.merchant.nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	const n = 10
	w.mu.Lock() // the door cannot tell who asks, so that all but the first wait for it to look at them
	for range n {
		if err := w.merchant.nc.PublishMsg(&nats.Msg{Subject: "tally.cmd." + w.merchantID + ".CreateProduct", Reply: inbox, Data: []byte(`{"name":"n","description":"d"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, nc := range []*nats.Conn{w.merchant.nc, w.conn} { // NATS has them, and then the door
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	w.door.Deafen()
	w.mu.Unlock()
	for i := range n {
		if m, err := sub.NextMsg(limit); err != nil || !strings.Contains(string(m.Data), `"accepted"`) {
			t.Fatalf("request %d of before is answered %v, %v", i, m, err)
		}
	}
	if _, err := w.merchant.nc.Request("tally.cmd."+w.merchantID+".CreateProduct", nil, limit); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("a request of after: %v", err)
	}
}

// TestListenAtOnce begins to listen and stops from several goroutines at once: in the end each request is answered once, or nobody is there.
func TestListenAtOnce(t *testing.T) {
	w := open(t)
	w.found()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			w.door.Deafen()
			if err := w.door.Listen(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	inbox := w.merchant.nc.NewInbox()
	sub, err := w.merchant.nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() {
		if err := w.merchant.nc.PublishMsg(&nats.Msg{Subject: "tally.cmd." + w.merchantID + ".CreateProduct", Reply: inbox, Data: []byte(`{"name":"n","description":"d"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	if m, err := sub.NextMsg(limit); err != nil || !strings.Contains(string(m.Data), `"accepted"`) {
		t.Fatalf("the answer is %v, %v", m, err)
	}
	w.door.Deafen()
	if _, err := w.merchant.nc.Request("tally.cmd."+w.merchantID+".CreateProduct", nil, limit); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("a request of after, which some subscription that is left behind has taken: %v", err)
	}
	if n, _, err := sub.Pending(); n != 0 || err != nil {
		t.Errorf("%d more answers, %v", n, err)
	}
}

func TestDiscovery(t *testing.T) {
	w := open(t, func(o *natsdoor.Options) { o.ID = "ID" })
	w.found()
	for _, subject := range []string{"$SRV.PING", "$SRV.PING.tally", "$SRV.PING.tally.ID"} {
		var ping micro.Ping
		ask(t, w, subject, &ping)
		if ping.Type != micro.PingResponseType || ping.Name != "tally" || ping.ID != "ID" || ping.Version != "1.2.3" {
			t.Errorf("%s: %+v", subject, ping)
		}
	}
	var info micro.Info
	ask(t, w, "$SRV.INFO", &info)
	if len(info.Endpoints) != 2 || info.Endpoints[0].Subject != "tally.cmd.*.*" {
		t.Errorf("info: %+v", info)
	}
	w.merchant.request("CreateProduct", `{}`)
	var stats micro.Stats
	ask(t, w, "$SRV.STATS.tally", &stats)
	e := stats.Endpoints[0]
	if e.NumRequests < 10 || e.NumErrors != 1 || !strings.HasPrefix(e.LastError, "INVALID: ") || e.AverageProcessingTime <= 0 {
		t.Errorf("stats: %+v", e)
	}
}

func ask(t *testing.T, w *world, subject string, answer any) {
	t.Helper()
	m, err := w.operator.nc.Request(subject, nil, limit)
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	if err := json.Unmarshal(m.Data, answer); err != nil {
		t.Fatalf("%s: %s: %v", subject, m.Data, err)
	}
}

// TestClose holds that everything that was taken is answered, and nothing after.
func TestClose(t *testing.T) {
	w := open(t)
	w.found()
	w.openStreams()
	const n = 500
	inbox := w.merchant.nc.NewInbox()
	sub, err := w.merchant.nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		m := &nats.Msg{Subject: "tally.cmd." + w.merchantID + ".CreateProduct", Reply: inbox, Data: []byte(`{"name":"n","description":"d"}`)}
		if i%10 == 0 {
			m.Subject = "tally.cmd." + w.merchantID + ".CreateSubscription"
		}
		if err := w.merchant.nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.merchant.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	w.send(w.usage("k1", 1))
	if err := w.door.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	accepted, refused := 0, 0
	for range n {
		m, err := sub.NextMsg(limit)
		if err != nil {
			t.Fatalf("after %d answers: %v", accepted+refused, err)
		}
		if strings.Contains(string(m.Data), `"accepted"`) {
			accepted++
		} else {
			refused++
		}
	}
	if accepted != n-n/10 {
		t.Errorf("%d accepted and %d refused", accepted, refused)
	}
	if _, err := w.merchant.nc.Request("tally.cmd."+w.merchantID+".CreateProduct", nil, limit); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("after Close: %v", err)
	}
	if err := w.door.Close(context.Background()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// TestStopped holds that a ledger that is shutting down says so.
func TestStopped(t *testing.T) {
	w := open(t)
	w.found()
	w.openStreams()
	w.seq.Stop()
	if m := w.merchant.request("ReportUsage", w.usage("k1", 1)); m.Header.Get(micro.ErrorCodeHeader) != "SHUTTING_DOWN" {
		t.Errorf("answered with %s", m.Data)
	}
	w.send(w.usage("k2", 1)) // stays in the stream
	if err := w.door.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := w.stored("USAGE"); n != 1 {
		t.Errorf("%d messages are left in the stream, want 1", n)
	}
}
