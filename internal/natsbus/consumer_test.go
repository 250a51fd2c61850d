package natsbus

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallystick/events"
)

// TestOpenConsumer reads what a key may read through its consumers, with bare requests and
// with the client library.
func TestOpenConsumer(t *testing.T) {
	w := newWorld(t, nil)
	w.fillLedger(t, 3)
	nc := w.client(t, "victim")

	c := w.open(t, victim, ConsumerRequest{Stream: Ledger, Slot: 1, Ack: true})
	if c.Name != victim.Key.String()+"-1" || c.Filter != "tally.ledger."+victim.Merchant.String()+".>" {
		t.Errorf("the consumer is %+v", c)
	}
	got, end := next(t, nc, c, 2)
	if len(got) != 2 || end != "" && end != "404" {
		t.Errorf("got %d messages and then %q", len(got), end)
	}
	for _, msg := range got {
		if want := "tally.ledger." + victim.Merchant.String() + ".usage.UsageReported"; msg.Subject != want {
			t.Errorf("got %s, want %s", msg.Subject, want)
		}
		if _, err := nc.RequestWithContext(timeout(t), msg.Reply, []byte("+ACK")); err != nil {
			t.Errorf("acknowledging: %v", err)
		}
	}
	if again := w.open(t, victim, ConsumerRequest{Stream: Ledger, Slot: 1, Ack: true}); again != c {
		t.Errorf("opened again it is %+v", again)
	}
	if got, _ := next(t, nc, c, 10); len(got) != 1 {
		t.Errorf("it does not go on where it stood: got %d messages", len(got))
	}
	w.open(t, victim, ConsumerRequest{Stream: Ledger, Slot: 1, From: 4})
	if got, _ := next(t, nc, c, 10); len(got) != 2 {
		t.Errorf("replaced, to start at 4, it gives %d messages, want 2", len(got))
	}

	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	w.open(t, victim, ConsumerRequest{Stream: Ledger, Slot: 2, Filter: "usage.>"})
	library, err := js.Consumer(timeout(t), string(Ledger), victim.Key.String()+"-2")
	if err != nil {
		t.Fatal(err)
	}
	batch, err := library.FetchNoWait(10)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for range batch.Messages() {
		n++
	}
	if n != 3 || batch.Error() != nil {
		t.Errorf("the library gets %d messages, %v", n, batch.Error())
	}

	if err := w.CloseConsumers(t.Context(), victim.Key); err != nil {
		t.Fatal(err)
	}
	if _, err := w.js.Consumer(t.Context(), string(Ledger), c.Name); !errors.Is(err, jetstream.ErrConsumerNotFound) {
		t.Errorf("the consumer was closed, and is %v", err)
	}
}

// TestReaders holds how much of each stream each role gets.
func TestReaders(t *testing.T) {
	w := newWorld(t, nil)
	w.fillLedger(t, 2)
	for _, id := range []Identity{attacker, victim} {
		m := id.Merchant.String()
		for name, tail := range map[StreamName]string{Notify: m + ".x", Rejected: m, Checkpoints: "ldg_" + m} {
			if err := w.Post(t.Context(), name, tail, "", []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		id     Identity
		secret string
		stream StreamName
		want   int
	}{
		{victim, "victim", Ledger, 2},
		{victim, "victim", Notify, 1},
		{victim, "victim", Rejected, 1},
		{victim, "victim", Checkpoints, 2},
		{auditor, "auditor", Ledger, 4},
		{auditor, "auditor", Notify, 2},
		{auditor, "auditor", Rejected, 2},
		{auditor, "auditor", Checkpoints, 2},
	} {
		t.Run(fmt.Sprint(tt.secret, tt.stream), func(t *testing.T) {
			c := w.open(t, tt.id, ConsumerRequest{Stream: tt.stream, Slot: 1})
			if got, _ := next(t, w.client(t, tt.secret), c, 10); len(got) != tt.want {
				t.Errorf("got %d messages, want %d", len(got), tt.want)
			}
		})
	}
}

func TestConsumerRefusals(t *testing.T) {
	w := newWorld(t, nil)
	w.fillLedger(t, 1)
	for _, req := range []ConsumerRequest{
		{Stream: Usage, Slot: 1},
		{Stream: "KV_TALLY", Slot: 1},
		{Stream: Ledger},
		{Stream: Ledger, Slot: 5},
		{Stream: Ledger, Slot: 1, Filter: "a..b"},
		{Stream: Ledger, Slot: 1, Filter: ">.a"},
		{Stream: Ledger, Slot: 1, Filter: "a b"},
		{Stream: Ledger, Slot: 1, Filter: "x*"},
		{Stream: Rejected, Slot: 1, Filter: "x"},
	} {
		if c, err := w.OpenConsumer(t.Context(), victim, req); !errors.Is(err, ErrConsumerRequest) {
			t.Errorf("%+v gives %+v, %v", req, c, err)
		}
	}
	since := time.Unix(0, 0)
	if _, err := w.OpenConsumer(t.Context(), victim, ConsumerRequest{Stream: Ledger, Slot: 1, Since: since}); err != nil {
		t.Error(err)
	}
	if _, err := w.OpenConsumer(t.Context(), victim, ConsumerRequest{Stream: Ledger, Slot: 1, New: true}); err != nil {
		t.Error(err)
	}
}

func TestInboxOf(t *testing.T) {
	m := victim.Merchant
	for reply, want := range map[string]Inbox{
		"":                                  {},
		"_INBOX.abc":                        {},
		victim.InboxPrefix():                {},
		victim.InboxPrefix() + ".":          {},
		victim.InboxPrefix() + ".abc.1":     {Key: victim.Key},
		victim.InboxPrefix() + "x.abc.1":    {},
		inboxRoot + m.String() + ".abc.1":   {Merchant: m},
		inboxRoot + m.String() + ".":        {},
		inboxRoot + m.String() + "x.1":      {},
		"_R_.abc.1":                         {},
		"$JS.ACK.LEDGER.x.1.1.1.1.1":        {},
		"tally.usage." + m.String():         {},
		"$JS.API.STREAM.DELETE.LEDGER":      {},
		"_INBOX_.a":                         {},
		"_INBOX_org_.a":                     {},
		"_INBOX_key_000000000000000000.abc": {},
	} {
		if got, ok := InboxOf(reply); got != want || ok != (want != Inbox{}) {
			t.Errorf("InboxOf(%q) = %v, %v, want %v", reply, got, ok, want)
		}
	}
}

func TestSubjectKey(t *testing.T) {
	key := victim.Key.String()
	for subject, want := range map[string]events.KeyID{
		"tally.cmd.x.Y." + key:        victim.Key,
		"tally.cmd.x.Y.z":             {},
		"tally.cmd.x.Y." + key + "x":  {},
		"tally.cmd.x.Y.z." + key:      {},
		"tally.cmd.x." + key:          {},
		"tally.cmd.x.Y." + key + ".z": {},
	} {
		if got, _ := SubjectKey(subject); got != want {
			t.Errorf("SubjectKey(%q) = %v, want %v", subject, got, want)
		}
	}
	if _, named := SubjectKey("tally.cmd.x.Y.z"); !named {
		t.Error("what is no key is taken for none")
	}
	if got, _ := UsageKey("tally.usage.x." + key); got != victim.Key {
		t.Errorf("usage is of %v", got)
	}
}

// TestOperator is in the books: its commands are answered, and we are told whose they are.
func TestOperator(t *testing.T) {
	w := newWorld(t, nil)
	askers := make(chan string, 10)
	sub, err := w.Door().Subscribe("tally.cmd.>", func(m *nats.Msg) {
		key, ok := Asker(m)
		askers <- fmt.Sprint(key, ok, replyAllowed(victim.Merchant, m.Reply))
		_ = m.Respond([]byte("ok"))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := w.Door().Flush(); err != nil {
		t.Fatal(err)
	}
	nc := w.client(t, "operator")
	if got := ask(t, nc, command(victim, "X")); got != "ok" {
		t.Errorf("answer is %q", got)
	}
	if got, want := <-askers, fmt.Sprint(operator.Key, true, true); got != want {
		t.Errorf("the operator is seen as %s, want %s", got, want)
	}
	w.fillLedger(t, 1)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Stream(timeout(t), string(Ledger)); err != nil {
		t.Errorf("an operator cannot look at the stream: %v", err)
	}

	// A merchant who claims to be the operator is none.
	forged := &nats.Msg{Subject: command(victim, "X"), Header: nats.Header{"Nats-Request-Info": {`{"acc":"TALLY","user":"` + operator.Key.String() + `"}`}}}
	if _, err := w.client(t, "victim").RequestMsgWithContext(timeout(t), forged); err != nil {
		t.Fatal(err)
	}
	if got, want := <-askers, fmt.Sprint(events.KeyID{}, false, true); got != want {
		t.Errorf("the merchant is seen as %s, want %s", got, want)
	}
}
