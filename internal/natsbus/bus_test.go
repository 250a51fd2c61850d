package natsbus

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallystick/events"
	"tallystick/ledger/publisher"
)

// TestBeforeStreams lets commands be answered before JetStream has started.
func TestBeforeStreams(t *testing.T) {
	b, err := Open(Options{Dir: t.TempDir(), Keys: testKeys()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	w := world{b, testKeys()}
	answer(t, b, "ok")
	if got := ask(t, w.client(t, "victim"), command(victim, "X")); got != "ok" {
		t.Errorf("answer is %q", got)
	}
	if err := b.Post(t.Context(), Notify, "x.y", "", nil); !errors.Is(err, errNotOpen) {
		t.Errorf("Post returned %v, want %v", err, errNotOpen)
	}
	for range 2 { // again does no harm
		if err := b.OpenStreams(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if b.URL() != "" {
		t.Errorf("it listens at %s", b.URL())
	}
}

func command(id Identity, name string) string {
	return "tally.cmd." + id.Merchant.String() + "." + name
}

// answer answers commands as the service does.
func answer(t testing.TB, b *Bus, text string) {
	t.Helper()
	sub, err := b.Door().Subscribe("tally.cmd.>", func(m *nats.Msg) {
		merchant, err := events.ParseID[events.OrganizationNoun](strings.Split(m.Subject, ".")[2])
		if err == nil && replyAllowed(merchant, m.Reply) {
			_ = m.Respond([]byte(text))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	if err := b.Door().Flush(); err != nil {
		t.Fatal(err)
	}
}

func ask(t testing.TB, nc *nats.Conn, subject string) string {
	t.Helper()
	msg, err := nc.RequestWithContext(timeout(t), subject, []byte("{}"))
	if err != nil {
		t.Fatalf("asking %s: %v (%v)", subject, err, nc.LastError())
	}
	return string(msg.Data)
}

// TestListen reaches the embedded server over loopback TCP, and is told of a port that is taken.
func TestListen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Listen = "127.0.0.1:0" })
	nc, err := nats.Connect(w.URL(), nats.Token("victim"), nats.CustomInboxPrefix(victim.InboxPrefix()), nats.Timeout(limit))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	answer(t, w.Bus, "ok")
	if got := ask(t, nc, command(victim, "X")); got != "ok" {
		t.Errorf("answer is %q", got)
	}
	if _, err := nats.Connect(w.URL(), nats.Token("unknown"), nats.Timeout(limit)); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("an unknown key was answered %v", err)
	}
	if _, err := nats.Connect(w.URL(), nats.Timeout(limit)); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("no key was answered %v", err)
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, err = Open(Options{Dir: t.TempDir(), Keys: testKeys(), Listen: taken.Addr().String(), StartWithin: limit})
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a port that is taken gives %v", err)
	}
}

// TestListenTLS reaches the listener over TLS, and not without.
func TestListenTLS(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Unix(1<<32, 0), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, func(o *Options) { o.Listen, o.ListenCert, o.ListenKey = "127.0.0.1:0", certFile, keyFile })
	nc, err := nats.Connect(w.URL(), nats.Token("victim"), nats.RootCAs(certFile), nats.Timeout(limit))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	if nc, err := nats.Connect(w.URL(), nats.Token("victim"), nats.Timeout(limit)); err == nil {
		nc.Close()
		t.Error("the certificate was not looked at")
	}
}

func TestOptions(t *testing.T) {
	if _, err := Open(Options{Dir: t.TempDir()}); !errors.Is(err, errNoKeys) {
		t.Errorf("without keys: %v", err)
	}
	for _, listen := range []string{"127.0.0.1", "127.0.0.1:nats", "127.0.0.1:70000"} {
		if _, err := Open(Options{Dir: t.TempDir(), Keys: testKeys(), Listen: listen}); err == nil {
			t.Errorf("listening on %q was accepted", listen)
		}
	}
	b, err := Open(Options{Dir: t.TempDir(), Keys: testKeys(), MaxPayload: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.OpenStreams(t.Context()); err == nil || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("a small max_payload gives %v", err)
	}
}

// TestRestart finds the streams again, with the prefixes they had and what was in them.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() *Bus {
		b, err := Open(Options{Dir: dir, Keys: testKeys(), SyncAlways: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		if err := b.OpenStreams(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := open()
	if err := b.PostCheckpoint(t.Context(), events.LedgerID{1}, []byte("note 1")); err != nil {
		t.Fatal(err)
	}
	before := b.prefixes[Checkpoints]
	b.Close()
	b = open()
	if after := b.prefixes[Checkpoints]; after != before || before == "" {
		t.Errorf("the prefix is %q, was %q", after, before)
	}
	if err := b.PostCheckpoint(t.Context(), events.LedgerID{1}, []byte("note 2")); err != nil {
		t.Fatal(err)
	}
	var notes []string
	if err := b.EachCheckpoint(t.Context(), func(note []byte) error { notes = append(notes, string(note)); return nil }); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(notes); got != "[note 1 note 2]" {
		t.Errorf("checkpoints are %s", got)
	}
}

// TestPost looks at what a notice is like, and that it is stored once.
func TestPost(t *testing.T) {
	w := newWorld(t, nil)
	tail := victim.Merchant.String() + ".invoice_issued"
	for range 2 {
		if err := w.Post(t.Context(), Notify, tail, "id-1", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	future, err := w.PostAsync(Rejected, victim.Merchant.String(), "", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-future.Ok():
	case err := <-future.Err():
		t.Fatal(err)
	}
	c := w.open(t, victim, ConsumerRequest{Stream: Notify, Slot: 1})
	got, _ := next(t, w.client(t, "victim"), c, 10)
	if len(got) != 1 || got[0].Subject != "tally.notify."+tail || got[0].Header.Get(DurableHeader) != durableNote {
		t.Errorf("notices are %v", got)
	}
}

// TestUsage publishes usage as a merchant does, with and without waiting for JetStream, and
// consumes it.
func TestUsage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.UsageCount = 3 })
	nc := w.client(t, "victim")
	subject := "tally.usage." + victim.Merchant.String()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Publish(subject, []byte("1")); err != nil {
		t.Fatal(err)
	}
	if ack, err := js.Publish(timeout(t), subject, []byte("2")); err != nil || ack.Stream != string(Usage) || ack.Sequence != 2 {
		t.Fatalf("acknowledgement is %+v, %v", ack, err)
	}
	if _, err := js.Publish(timeout(t), subject, []byte("3")); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(timeout(t), subject, []byte("4")); err == nil {
		t.Error("more usage than may wait was taken")
	}
	other, err := jetstream.New(w.client(t, "attacker"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Publish(timeout(t), "tally.usage."+attacker.Merchant.String(), []byte("1")); err != nil {
		t.Errorf("one merchant has used up the room of another: %v", err)
	}
	c, err := w.UsageConsumer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	batch, err := c.Fetch(3)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for msg := range batch.Messages() {
		if msg.Subject() != subject || len(msg.Headers()) != 0 {
			t.Errorf("usage came as %s %v", msg.Subject(), msg.Headers())
		}
		got = append(got, string(msg.Data()))
		if err := msg.DoubleAck(timeout(t)); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(got) != "[1 2 3]" {
		t.Errorf("usage is %v", got)
	}
	if state := messages(t, w.js, Usage); state.Msgs != 1 {
		t.Errorf("%d messages are left", state.Msgs)
	}
}

// TestDisconnect revokes a key: its connections end, those of others do not, and it does
// not come in again.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) { disconnect(t, newWorld(t, func(o *Options) { o.Listen = "127.0.0.1:0" })) })
	t.Run("elsewhere", func(t *testing.T) { disconnect(t, elsewhere(t, nil)) })
}

func disconnect(t *testing.T, w world) {
	for secret, id := range map[string]Identity{"attacker": attacker, "operator": operator} {
		ended := make(chan struct{})
		w.client(t, secret, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(ended) }))
		other := w.client(t, "victim", nats.NoReconnect())
		w.keys.revoke(secret)
		if err := w.Disconnect(id.Key); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
		case <-timeout(t).Done():
			t.Fatalf("the connection of the %s still stands", secret)
		}
		if err := other.Flush(); err != nil || !other.IsConnected() {
			t.Errorf("the other connection: %v", err)
		}
		if _, err := nats.Connect(w.URL(), nats.Token(secret), nats.Timeout(limit)); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("the revoked key was answered %v", err)
		}
	}
}

// TestClaim takes the streams for one instance, and for another.
func TestClaim(t *testing.T) {
	w := newWorld(t, nil)
	ledger := events.LedgerID{1}
	first, err := w.Claim(t.Context(), "one", ledger, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Held(t.Context()); err != nil {
		t.Error(err)
	}
	_, err = w.Claim(t.Context(), "two", ledger, false)
	if claimed, ok := errors.AsType[*ClaimedError](err); !ok || claimed.Instance != "one" || claimed.Ledger != ledger {
		t.Errorf("another instance was answered %v", err)
	}
	if err := first.Held(t.Context()); err != nil {
		t.Error(err)
	}
	again, err := w.Claim(t.Context(), "one", ledger, false)
	if err != nil {
		t.Fatalf("the same instance was answered %v", err)
	}
	if err := first.Held(t.Context()); !errors.Is(err, publisher.ErrTakenOver) {
		t.Errorf("the first claim is answered %v", err)
	}
	if _, err := w.Claim(t.Context(), "two", ledger, true); err != nil {
		t.Fatalf("taking over was answered %v", err)
	}
	if err := again.Held(t.Context()); !errors.Is(err, publisher.ErrTakenOver) {
		t.Errorf("the claim that was taken over is answered %v", err)
	}
}

// TestWrappedKeys mirrors keys, and looks in the store's files for one that was deleted.
func TestWrappedKeys(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, func(o *Options) { o.Dir = dir })
	const secret = "a wrapped key that must not be found"
	one, two := events.OrganizationID{1}, events.OrganizationID{2}
	for id, wrapped := range map[events.OrganizationID]string{one: secret, two: "other"} {
		if err := w.PutWrapped(t.Context(), id, []byte(wrapped)); err != nil {
			t.Fatal(err)
		}
	}
	if !inFiles(t, dir, secret) {
		t.Error("the key is not in the files, so this test says nothing")
	}
	for range 2 {
		if err := w.DeleteWrapped(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	got := map[events.OrganizationID]string{}
	err := w.EachWrapped(t.Context(), func(id events.OrganizationID, wrapped []byte) error {
		got[id] = string(wrapped)
		return nil
	})
	if err != nil || len(got) != 1 || got[two] != "other" {
		t.Errorf("keys are %v, %v", got, err)
	}
	w.Close()
	if inFiles(t, dir, secret) {
		t.Error("the deleted key is still in the files")
	}
}

// TestPublisher publishes a ledger over the bus, with our own wire.
func TestPublisher(t *testing.T) {
	w := newWorld(t, nil)
	claim, err := w.Claim(t.Context(), "one", events.LedgerID{1}, false)
	if err != nil {
		t.Fatal(err)
	}
	log := &oneRecord{}
	p := publisher.New(publisher.Options{
		Log: log, Target: w.Ledger(claim.Held),
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

// oneRecord is a log of one record.
type oneRecord struct{}

func (oneRecord) Durable() events.Seq                { return 1 }
func (oneRecord) Cursor(string) events.Seq           { return 0 }
func (oneRecord) SetCursor(string, events.Seq) error { return nil }

func (oneRecord) Record(seq events.Seq) (events.Record, error) {
	return events.NewRecord(events.Envelope{Seq: seq, Actor: events.Actor{Kind: events.ActorOperator}}, events.KeyRevoked{Key: victim.Key})
}

type oneFollower struct {
	log  *oneRecord
	next events.Seq
}

func (f *oneFollower) Next(ctx context.Context) ([]events.Record, error) {
	if f.next > 1 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	f.next++
	rec, err := f.log.Record(1)
	return []events.Record{rec}, err
}
