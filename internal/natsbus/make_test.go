package natsbus

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"go.uber.org/goleak"

	"tallystick/events"
	"tallystick/ledger/publisher"
)

func TestMain(m *testing.M) {
	// A NATS server that is shut down while a stream looks for its source leaves this one behind for some seconds.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.(*stream).trySetupSourceConsumer.func3"))
}

// keyring is the keys there are, by their text.
type keyring struct {
	mu   sync.Mutex
	keys map[string]Identity
}

func (k *keyring) Authenticate(secret string) (Identity, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	id, ok := k.keys[secret]
	return id, ok
}

func (k *keyring) revoke(secret string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.keys, secret)
}

func identity(n byte, role events.KeyRole) Identity {
	id := Identity{Key: events.KeyID{0: 1, 15: n}, Role: role}
	if role == events.MerchantKey {
		id.Merchant = events.OrganizationID{0: 1, 15: n}
	}
	return id
}

var (
	attacker = identity(1, events.MerchantKey)
	victim   = identity(2, events.MerchantKey)
	auditor  = identity(3, events.AuditorKey)
	operator = identity(4, events.OperatorKey)
	sibling  = Identity{Key: events.KeyID{0: 1, 15: 5}, Role: events.MerchantKey, Merchant: attacker.Merchant} // of the same merchant
)

func testKeys() *keyring {
	return &keyring{keys: map[string]Identity{"attacker": attacker, "victim": victim, "auditor": auditor, "operator": operator, "sibling": sibling}}
}

// world is a bus with its streams, and clients.
type world struct {
	*Bus
	keys *keyring
}

func newWorld(t testing.TB, change func(*Options)) world {
	t.Helper()
	keys := testKeys()
	opts := Options{Dir: t.TempDir(), Keys: keys}
	if change != nil {
		change(&opts)
	}
	b, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.OpenStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	return world{b, keys}
}

// everywhere runs fn with an embedded server and with one elsewhere.
func everywhere(t *testing.T, fn func(t *testing.T, w world)) {
	t.Run("embedded", func(t *testing.T) { fn(t, newWorld(t, nil)) })
	t.Run("elsewhere", func(t *testing.T) { fn(t, elsewhere(t, nil)) })
}

// elsewhere is a world with a server that was told what [ServerConfig] says, and nothing else of us.
func elsewhere(t testing.TB, change func(*Options)) world {
	t.Helper()
	public := func(pair nkeys.KeyPair, err error) (seed, key string) {
		if err != nil {
			t.Fatal(err)
		}
		b, err := pair.Seed()
		if err != nil {
			t.Fatal(err)
		}
		if key, err = pair.PublicKey(); err != nil {
			t.Fatal(err)
		}
		return string(b), key
	}
	var users ServerUsers
	external := &External{Door: Credentials{User: "door", Password: "pass"}}
	external.Creds.Seed, users.Books.Nkey = public(nkeys.CreateUser())
	users.Door = ServerUser{Name: "door", Password: "pass"}
	external.IssuerSeed, users.Issuer = public(nkeys.CreateAccount())
	external.XKeySeed, users.XKey = public(nkeys.CreateCurveKeys())

	opts := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()}
	if err := opts.ProcessConfigString(ServerConfig(users)); err != nil {
		t.Fatalf("%v in\n%s", err, ServerConfig(users))
	}
	opts.AuthTimeout = limit.Seconds()
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(limit) {
		t.Fatal("the NATS server did not start")
	}
	external.URL = s.ClientURL()
	w := newWorld(t, func(o *Options) {
		o.Dir, o.External, o.Clock = "", external, time.Now
		if change != nil {
			change(o)
		}
	})
	if err := w.AnswerCallouts(); err != nil {
		t.Fatal(err)
	}
	return w
}

// client connects with a key, as docs tell clients to.
func (w world) client(t testing.TB, secret string, more ...nats.Option) *nats.Conn {
	t.Helper()
	id, ok := w.keys.Authenticate(secret)
	if !ok {
		id = attacker
	}
	opts := append([]nats.Option{
		nats.Token(secret), nats.CustomInboxPrefix(id.InboxPrefix()), nats.Timeout(limit),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, more...)
	if w.server != nil && w.URL() == "" {
		opts = append(opts, nats.InProcessServer(w.server))
	}
	nc, err := nats.Connect(w.URL(), opts...)
	if err != nil {
		t.Fatalf("connecting as %s: %v", secret, err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// fillLedger makes the stream LEDGER with n messages of each merchant.
func (w world) fillLedger(t testing.TB, n int) publisher.State {
	t.Helper()
	state, err := w.Ledger(nil).Ensure(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		for _, id := range []Identity{attacker, victim} {
			if _, err := w.js.Publish(t.Context(), state.Prefix+"."+id.Merchant.String()+".usage.UsageReported", []byte("record")); err != nil {
				t.Fatal(err)
			}
		}
	}
	return state
}

func (w world) open(t testing.TB, id Identity, req ConsumerRequest) Consumer {
	t.Helper()
	c, err := w.OpenConsumer(t.Context(), id, req)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// limit is how long anything may take on a machine that is busy with other things.
const limit = time.Minute

func timeout(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for ctx := timeout(t); !ok(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s did not come about", what)
		}
	}
}

// next asks a consumer for n messages and returns their subjects and bodies, and what the
// server said at the end.
func next(t testing.TB, nc *nats.Conn, c Consumer, n int) (got []*nats.Msg, end string) {
	t.Helper()
	sub, err := nc.SubscribeSync(nc.NewInbox()) // NewRespInbox would let a request that comes after take a late message for its answer
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	err = nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+string(c.Stream)+"."+c.Name, sub.Subject, fmt.Appendf(nil, `{"no_wait":true,"batch":%d}`, n))
	if err != nil {
		t.Fatal(err)
	}
	for len(got) < n {
		msg, err := sub.NextMsgWithContext(timeout(t))
		if err != nil {
			t.Fatalf("asking %s on %s: %v (%v) after %d", c.Name, c.Stream, err, nc.LastError(), len(got))
		}
		if status := msg.Header.Get("Status"); status != "" {
			return got, status
		}
		got = append(got, msg)
	}
	return got, ""
}

// refused reports whether the server refuses nc to do what fn does.
func refused(t testing.TB, w world, secret string, fn func(nc *nats.Conn) error) bool {
	t.Helper()
	errs := make(chan error, 10)
	nc := w.client(t, secret, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { errs <- err }))
	if err := fn(nc); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := nc.LastError(); err != nil {
		return strings.Contains(strings.ToLower(err.Error()), "permissions violation")
	}
	return false
}

func messages(t testing.TB, js jetstream.JetStream, stream StreamName) jetstream.StreamState {
	t.Helper()
	s, err := js.Stream(t.Context(), string(stream))
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State
}

// replyAllowed reports whether the service may answer a request about merchant at reply, as the registry of keys decides it, but for
// asking whose a key is.
func replyAllowed(merchant events.OrganizationID, reply string) bool {
	in, ok := InboxOf(reply)
	return strings.HasPrefix(reply, reservedRoot) || ok && (!in.Key.IsZero() || in.Merchant == merchant)
}
