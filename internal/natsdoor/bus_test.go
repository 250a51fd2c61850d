package natsdoor_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/natsbus"
	"tallystick/internal/natsdoor"
	"tallystick/internal/wire"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// keys is the API keys of a bus, and tells callers as package natsbus says. A merchant's key is told by its inbox, where that
// names one.
type keys struct {
	mu  sync.Mutex // guards the field below
	all map[string]natsbus.Identity
}

func (k *keys) Authenticate(secret string) (natsbus.Identity, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	id, ok := k.all[secret]
	return id, ok
}

func (k *keys) byID(key events.KeyID) (wire.Who, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range k.all {
		if id.Key == key {
			return wire.Who{Key: id.Key, Role: id.Role, Merchant: id.Merchant}, true
		}
	}
	return wire.Who{}, false
}

func (k *keys) Caller(m *nats.Msg, merchant events.OrganizationID) (wire.Who, bool) {
	if key, ok := natsbus.Asker(m); ok {
		who, ok := k.byID(key)
		return who, ok && who.Role == events.OperatorKey
	}
	in, ok := natsbus.InboxOf(m.Reply)
	if !ok {
		return wire.Who{}, false
	}
	who := wire.Who{Role: events.MerchantKey, Merchant: in.Merchant}
	if !in.Key.IsZero() {
		if who, ok = k.byID(in.Key); !ok {
			return who, false
		}
		who.Key = events.KeyID{}
	}
	if key, named := natsbus.SubjectKey(m.Subject); named {
		sender, ok := k.byID(key)
		return sender, ok && sender.Role == who.Role && sender.Merchant == who.Merchant && (who.Role == events.AuditorKey || who.Merchant == merchant)
	}
	return who, who.Role == events.AuditorKey || who.Role == events.MerchantKey && who.Merchant == merchant
}

// busWorld is a world on a bus, with its tenancy.
type busWorld struct {
	*world
	bus  *natsbus.Bus
	keys *keys
}

func openBus(t *testing.T) *busWorld {
	t.Helper()
	w := &busWorld{world: &world{t: t, now: time.Date(2024, 1, 15, 10, 0, 0, 0, time.UTC)}}
	w.startLedger()
	w.keys = &keys{all: map[string]natsbus.Identity{
		"operator": {Key: events.KeyID{1}, Role: events.OperatorKey}, "auditor": {Key: events.KeyID{3}, Role: events.AuditorKey},
	}}
	var err error
	w.bus, err = natsbus.Open(natsbus.Options{Dir: t.TempDir(), Keys: w.keys, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.bus.Close)
	w.door, err = natsdoor.Open(natsdoor.Options{
		Conn: w.bus.Door(), Operators: w.bus.Books(), Sequencer: w.gate, NewDecoder: w.decoder, Callers: w.keys, Queries: w.world, Clock: w.clock,
		Handlers: map[string]natsdoor.Handler{"OpenConsumer": natsdoor.OpenConsumer(w.bus)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.door.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := w.bus.OpenStreams(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.js = w.bus.JetStream()
	if err := w.door.OpenStreams(context.Background(), natsdoor.StreamOptions{JetStream: w.js, Retry: 10 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	w.operator = w.join("operator", "_operator", false)
	return w
}

// join connects with a key, which is named in the subjects where named says so.
func (w *busWorld) join(secret, scope string, named bool) *client {
	w.t.Helper()
	id, _ := w.keys.Authenticate(secret)
	nc, err := nats.Connect(w.bus.URL(), nats.Token(secret), nats.CustomInboxPrefix(id.InboxPrefix()),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // of what is not permitted
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	c := &client{w: w.world, nc: nc, scope: scope}
	if named {
		c.key = "." + id.Key.String()
	}
	return c
}

// TestBus goes through all that a door does on the real bus: who may ask for what, in which account, and through which streams.
func TestBus(t *testing.T) {
	w := openBus(t)
	w.merchantID = w.operator.do("CreateMerchant", `{"profile":{"name":"LLM"},"settings":{"managedPrepaid":true},"currency":"USD"}`)
	id, err := events.ParseID[events.OrganizationNoun](w.merchantID)
	if err != nil {
		t.Fatal(err)
	}
	w.keys.mu.Lock()
	w.keys.all["merchant"] = natsbus.Identity{Key: events.KeyID{2}, Role: events.MerchantKey, Merchant: id}
	w.keys.all["other"] = natsbus.Identity{Key: events.KeyID{4}, Role: events.MerchantKey, Merchant: events.OrganizationID{9}}
	w.keys.mu.Unlock()
	w.merchant = w.join("merchant", w.merchantID, true)
	w.foundBy(w.merchant)

	// Both ways for usage, and what is refused.
	if m := w.merchant.request("ReportUsage", w.usage("a", 1)); !strings.Contains(string(m.Data), `"accepted"`) {
		t.Errorf("answered with %s", m.Data)
	}
	w.send(w.usage("b", 1))
	w.send(w.usage("poor", 5000))
	w.done()
	if got := w.billed(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("billed %v", got)
	}
	if got, want := w.refused(), "tally.rejected."+w.merchantID+" INSUFFICIENT_FUNDS 0 "+w.usage("poor", 5000); !slices.Equal(got, []string{want}) {
		t.Errorf("refused %v, want %v", got, want)
	}
	w.topUp("10000")
	if m := w.merchant.request("RedriveRejected", ``); !strings.Contains(string(m.Data), `"accepted":1`) || w.stored("REJECTED") != 0 {
		t.Errorf("answered with %s", m.Data)
	}

	// An operator acts for the merchant by its subject, or by its body.
	onBehalf := &client{w: w.world, nc: w.operator.nc, scope: w.merchantID}
	onBehalf.do("CreateProduct", `{"name":"n","description":"d"}`)
	w.operator.do("CreateProduct", `{"name":"n","description":"d","merchantId":"%s"}`, w.merchantID)
	var info micro.Info
	ask(t, w.world, "$SRV.INFO", &info)

	// An auditor asks, and writes nothing.
	auditor := w.join("auditor", "_operator", true)
	m, err := auditor.nc.Request("tally.query._operator.Echo", nil, limit)
	if err != nil || !strings.Contains(string(m.Data), `"role":"auditor"`) {
		t.Errorf("an auditor's query: %v, %v", m, err)
	}
	m, err = auditor.nc.Request("tally.query._operator.OpenConsumer"+auditor.key, []byte(`{"stream":"REJECTED"}`), limit)
	if err != nil || !strings.Contains(string(m.Data), `"name":"`+events.KeyID{3}.String()+`-1"`) {
		t.Errorf("an auditor's consumer: %v, %v", m, err)
	}

	w.openConsumers(auditor)
	w.strangers()
}

// openConsumers tries OpenConsumer, good and bad.
func (w *busWorld) openConsumers(auditor *client) {
	w.t.Helper()
	if m := w.merchant.request("OpenConsumer", `{"stream":"REJECTED","slot":2,"ack":true}`); !strings.Contains(string(m.Data), events.KeyID{2}.String()+`-2"`) {
		w.t.Errorf("answered with %s", m.Data)
	}
	for _, bad := range []string{`{"stream":"USAGE"}`, `{"stream":"LEDGER","slot":9}`, `{"bogus":1}`, `{"stream":"REJECTED","merchantId":"` + (events.OrganizationID{7}).String() + `"}`} {
		if m := w.merchant.request("OpenConsumer", bad); m.Header.Get(micro.ErrorCodeHeader) != "INVALID" {
			w.t.Errorf("%s is answered with %s", bad, m.Data)
		}
	}
	nameless := w.join("merchant", w.merchantID, false)
	if m := nameless.request("OpenConsumer", `{"stream":"REJECTED"}`); m.Header.Get(micro.ErrorCodeHeader) != "INVALID" {
		w.t.Errorf("without a key: %s", m.Data)
	}
	m, err := auditor.nc.Request("tally.query._operator.OpenConsumer"+auditor.key, []byte(`{"stream":"LEDGER"}`), limit)
	if err != nil || m.Header.Get(micro.ErrorCodeHeader) != "BUSY" { // there is no stream LEDGER here
		w.t.Errorf("a consumer of a stream that is not there: %v, %v", m, err)
	}
}

// strangers tries what nobody may do.
func (w *busWorld) strangers() {
	w.t.Helper()
	other := w.join("other", (events.OrganizationID{9}).String(), false)
	before, dropped := w.log.Durable(), w.door.Stats().Dropped
	body := []byte(`{"name":"n","description":"d","role":"operator"}`)
	own := "tally.cmd." + other.scope + "."
	for _, m := range []*nats.Msg{
		{Subject: "tally.cmd." + w.merchantID + ".CreateProduct", Reply: other.nc.NewRespInbox()},                         // NATS drops it
		{Subject: own + "CreateProduct", Reply: "_INBOX_" + w.merchantID + ".x"},                                          // another's inbox
		{Subject: own + "CreateKey", Reply: "_INBOX_" + (events.KeyID{1}).String() + ".x"},                                // an operator's
		{Subject: own + "CreateKey", Reply: "_INBOX_" + (events.KeyID{2}).String() + ".x"},                                // of a key of another
		{Subject: "tally.cmd." + w.merchantID + ".CreateKey." + events.KeyID{2}.String(), Reply: other.nc.NewRespInbox()}, // NATS drops it
		{Subject: own + "CreateKey"},
	} {
		m.Data = body
		m.Header = nats.Header{"Nats-Request-Info": []string{`{"user":"` + (events.KeyID{1}).String() + `"}`}} // a forgery
		if err := other.nc.PublishMsg(m); err != nil {
			w.t.Fatal(err)
		}
	}
	w.eventually("four requests being dropped", func() bool { return w.door.Stats().Dropped == dropped+4 })
	if m := other.request("CreateKey", string(body)); m.Header.Get(micro.ErrorCodeHeader) == "" {
		w.t.Errorf("a merchant made an operator's key: %s", m.Data)
	}
	if w.log.Durable() != before {
		w.t.Error("something was carried out")
	}
	if _, err := other.nc.Request("tally.query._operator.Echo", nil, 100*time.Millisecond); err == nil {
		w.t.Error("a merchant asks as an operator")
	}
}

// opener refuses to open consumers.
type opener struct{ err error }

func (o opener) OpenConsumer(context.Context, natsbus.Identity, natsbus.ConsumerRequest) (natsbus.Consumer, error) {
	return natsbus.Consumer{}, o.err
}

func TestOpenConsumerFails(t *testing.T) {
	who := wire.Who{Key: events.KeyID{1}, Role: events.AuditorKey}
	_, err := natsdoor.OpenConsumer(opener{errors.New("NATS is away")})(context.Background(), who, events.OrganizationID{}, nil)
	if commands.CodeOf(err) != commands.Busy {
		t.Errorf("got %v", err)
	}
	answer, err := natsdoor.OpenConsumer(opener{})(context.Background(), who, events.OrganizationID{}, nil)
	if err != nil || !json.Valid(answer) {
		t.Errorf("got %s, %v", answer, err)
	}
}

var _ natsdoor.ConsumerOpener = (*natsbus.Bus)(nil)
