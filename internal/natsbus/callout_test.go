package natsbus

import (
	"sync"
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
