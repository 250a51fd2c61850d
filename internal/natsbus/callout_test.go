package natsbus

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// heldKeys are keys of which nothing is said until they are let go.
type heldKeys struct {
	*keyring
	asked chan struct{} // closed when somebody asks
	once  sync.Once
	until chan struct{}
}

func (h *heldKeys) Authenticate(secret string) (Identity, bool) {
	h.once.Do(func() { close(h.asked) })
	<-h.until
	return h.keyring.Authenticate(secret)
}

// TestStopCallouts lets an instance stop to answer while it is asked, and another go on: every client comes in, those that the first was asked
// about by the keys of the first, and all that come afterwards by those of the other.
func TestStopCallouts(t *testing.T) {
	t.Parallel()
	held := &heldKeys{keyring: testKeys(), asked: make(chan struct{}), until: make(chan struct{})}
	w := elsewhere(t, func(o *Options) { o.Keys = held })
	const asked = 5
	came := make(chan error, asked)
	for range asked {
		go func() {
			nc, err := nats.Connect(w.URL(), nats.Token("victim"), nats.Timeout(limit))
			if err == nil {
				nc.Close()
			}
			came <- err
		}()
	}
	<-held.asked
	eventually(t, "all being asked about", func() bool { n, _, err := w.callouts.Pending(); return err == nil && n == asked })

	opts := w.opts
	opts.Keys = &keyring{keys: map[string]Identity{"new": victim}}
	other, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.AnswerCallouts(); err != nil {
		t.Fatal(err)
	}
	w.StopCallouts()
	close(held.until)
	for range asked {
		if err := <-came; err != nil {
			t.Errorf("a client that was asked about before: %v", err)
		}
	}
	for range 20 {
		nc, err := nats.Connect(w.URL(), nats.Token("new"), nats.Timeout(limit))
		if err != nil {
			t.Fatalf("a client that comes afterwards: %v", err)
		}
		nc.Close()
	}
}

// silent forwards what clients and a server say, until it falls silent: from then on it takes what clients say and passes nothing on. cut ends
// all connections.
func silent(t *testing.T, server string) (url string, fall, cut func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var fallen atomic.Bool
	ctx, end := context.WithCancel(context.Background())
	stop := func() { end(); _ = l.Close() }
	t.Cleanup(stop)
	forward := func(from, to net.Conn) {
		defer to.Close()
		b := make([]byte, 1<<16)
		for {
			n, err := from.Read(b)
			if err != nil {
				return
			}
			if fallen.Load() {
				continue
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", strings.TrimPrefix(server, "nats://"))
			if err != nil {
				_ = client.Close()
				return
			}
			context.AfterFunc(ctx, func() { _ = client.Close() })
			go forward(client, up)
			go forward(up, client)
		}
	}()
	return "nats://" + l.Addr().String(), func() { fallen.Store(true) }, stop
}

// TestNobodyWaitsForAnswerCallouts begins to answer while the server says nothing: nobody else waits for a lock until it does.
func TestNobodyWaitsForAnswerCallouts(t *testing.T) {
	t.Parallel()
	var fall, cut func()
	w := elsewhere(t, func(o *Options) { o.External.URL, fall, cut = silent(t, o.External.URL) })
	w.StopCallouts()
	fall()
	done := make(chan error, 1)
	go func() { done <- w.AnswerCallouts() }()
	eventually(t, "callouts being answered, as far as we know", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.callouts != nil
	})
	cut()
	if err := <-done; err == nil {
		t.Error("the server is said to know, and it says nothing")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.callouts != nil {
		t.Error("callouts are taken for answered where that has failed")
	}
}

// TestLeaveAway lets a subscription be left while there is no connection: it does not come back with it.
func TestLeaveAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	back := make(chan struct{}, 1)
	nc := w.client(t, "operator", nats.ReconnectWait(time.Millisecond), nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	sub, err := nc.QueueSubscribe("left", "group", func(*nats.Msg) { t.Error("it was given a message") })
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	Leave(nc, sub)
	<-back
	for range 2 { // the second goes nowhere once the first has found nobody
		if _, err := nc.RequestWithContext(timeout(t), "left", nil); err != nats.ErrNoResponders { //nolint:errorlint // as it is
			t.Errorf("a request is answered %v", err)
		}
	}
}
