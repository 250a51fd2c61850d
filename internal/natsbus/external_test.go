package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"tallystick/events"
	"tallystick/ledger/publisher"
)

// TestElsewhere does with a server elsewhere what a merchant, an auditor and an operator do.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	w := elsewhere(t, nil)
	answer(t, w.Bus, "ok")
	w.fillLedger(t, 2)
	for _, secret := range []string{"victim", "operator"} {
		if got := ask(t, w.client(t, secret), command(victim, "X")); got != "ok" {
			t.Errorf("%s is answered %q", secret, got)
		}
	}
	c := w.open(t, auditor, ConsumerRequest{Stream: Ledger, Slot: 1})
	if got, _ := next(t, w.client(t, "auditor"), c, 10); len(got) != 4 {
		t.Errorf("the auditor gets %d messages, want 4", len(got))
	}
	js, err := jetstream.New(w.client(t, "victim"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(timeout(t), "tally.usage."+victim.Merchant.String(), []byte("usage")); err != nil {
		t.Error(err)
	}
	if nc, err := nats.Connect(w.URL(), nats.Token("unknown"), nats.Timeout(limit)); err == nil {
		nc.Close()
		t.Error("an unknown key came in")
	}
	if err := w.Connected(); err != nil {
		t.Error(err)
	}
	log := &oneRecord{}
	target := w.Ledger(nil)
	if err := w.js.DeleteStream(t.Context(), string(Ledger)); err != nil {
		t.Fatal(err)
	}
	p := publisher.New(publisher.Options{
		Log: log, Target: target,
		Follow: func(from events.Seq) publisher.Follower { return &oneFollower{log, from} },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	if err := p.WaitPublished(timeout(t), 1); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestUserExpires lets user JWTs run out, again and again: the client comes back each time by itself, until its key is revoked.
func TestUserExpires(t *testing.T) {
	t.Parallel()
	w := elsewhere(t, func(o *Options) { o.External.UserTTL = 3 * time.Second })
	ended, back := make(chan struct{}), make(chan struct{}, 10)
	w.client(t, "attacker", nats.ReconnectWait(10*time.Millisecond), nats.ClosedHandler(func(*nats.Conn) { close(ended) }),
		nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	for range 2 {
		select {
		case <-back:
		case <-ended:
			t.Fatal("the client gave up")
		case <-timeout(t).Done():
			t.Fatal("the JWT does not run out")
		}
	}
	w.keys.revoke("attacker")
	select {
	case <-ended:
	case <-timeout(t).Done():
		t.Fatal("the connection still stands")
	}
}

// TestClaims lets a client say with its key to be somebody else by an nkey, so that nobody would find it by its key: it is not let in.
func TestClaims(t *testing.T) {
	everywhere(t, func(t *testing.T, w world) {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		public, err := pair.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		opts := []nats.Option{nats.Token("attacker"), nats.Nkey(public, pair.Sign), nats.Timeout(limit)}
		if w.server != nil {
			opts = append(opts, nats.InProcessServer(w.server))
		}
		if nc, err := nats.Connect(w.URL(), opts...); err == nil {
			nc.Close()
			t.Error("it came in under another name")
		}
	})
}

// TestUnreachable starts without the server: it says so, and is not kept from stopping.
func TestUnreachable(t *testing.T) {
	b, err := Open(Options{Keys: testKeys(), External: &External{URL: "nats://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Connected(); err == nil {
		t.Error("it is connected")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.OpenStreams(ctx); err == nil {
		t.Error("the streams are open")
	}
}

// TestWrongAccounts finds servers that were not told what ServerConfig says.
func TestWrongAccounts(t *testing.T) {
	t.Parallel()
	right := fmt.Sprintf(accountsConfig, `
    users: [ { user: books, password: pass } ]`, `
    users: [ { user: door, password: pass } ]`, "")
	for _, tt := range []struct {
		name   string
		config string
		want   error
	}{
		{"as it must be", right, nil},
		{"one account for all", `accounts { ONE { jetstream: enabled, users: [ { user: books, password: pass }, { user: door, password: pass } ] } }`, errOneAccount},
		{"JetStream in the door", strings.Replace(right, doorAccount+" {", doorAccount+" {\n    jetstream: enabled", 1), errNoDoor},
		{"no imports", `accounts { A { jetstream: enabled, users: [ { user: books, password: pass } ] }, B { users: [ { user: door, password: pass } ] } }`, errNoDoor},
		{"an export for each import", strings.Replace(right, `{ service: ">", response: stream`, `{ service: "tally.probe.ask" }, { service: "tally.probe.heard" }, { service: ">", response: stream`, 1), errChains},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()}
			if err := opts.ProcessConfigString(tt.config); err != nil {
				t.Fatal(err)
			}
			s, err := server.NewServer(opts)
			if err != nil {
				t.Fatal(err)
			}
			s.Start()
			defer func() { s.Shutdown(); s.WaitForShutdown() }()
			b, err := Open(Options{Keys: testKeys(), StartWithin: limit, External: &External{
				URL: s.ClientURL(), Creds: Credentials{User: "books", Password: "pass"}, Door: Credentials{User: "door", Password: "pass"},
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if err := b.OpenStreams(t.Context()); !errors.Is(err, tt.want) {
				t.Errorf("OpenStreams returned %v, want %v", err, tt.want)
			}
		})
	}
}
