package natsbus

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestForbiddenSubjects tries to publish and subscribe where a key may not. Merchants and
// auditors may do neither anywhere but at their own.
func TestForbiddenSubjects(t *testing.T) { t.Parallel(); everywhere(t, forbiddenSubjects) }

func forbiddenSubjects(t *testing.T, w world) {
	prefix := w.fillLedger(t, 1).Prefix
	w.open(t, victim, ConsumerRequest{Stream: Ledger, Slot: 1})
	v, own := victim.Merchant.String(), attacker.Merchant.String()
	name := victim.Key.String() + "-1"
	nobody := []string{
		"tally.cmd." + v + ".X", "tally.usage." + v,
		"tally.ledger." + own + ".usage.UsageReported", "tally.rejected." + own, "tally.notify." + own + ".x", "tally.checkpoint.x",
		prefix + "." + own + ".usage.UsageReported", w.prefixes[Rejected] + "." + own, w.prefixes[Notify] + "." + own + ".x",
		"$JS.API.CONSUMER.MSG.NEXT.LEDGER." + name, "$JS.API.CONSUMER.INFO.LEDGER." + name, "tally.info.LEDGER." + name, probeAsk, probeHeard,
		"$JS.API.CONSUMER.MSG.NEXT.USAGE.tally", "$JS.API.CONSUMER.MSG.NEXT.USAGE." + attacker.Key.String() + "-1",
		"$JS.ACK.LEDGER." + name + ".1.1.1.1.1", "$JS.ACK.USAGE.tally.1.1.1.1.1",
		"$JS.API.INFO", "$JS.API.STREAM.INFO.LEDGER", "$JS.API.STREAM.LIST", "$JS.API.STREAM.DELETE.LEDGER", "$JS.API.STREAM.MSG.GET.LEDGER",
		"$JS.API.DIRECT.GET.LEDGER", "$JS.API.CONSUMER.CREATE.LEDGER." + attacker.Key.String() + "-1", "$JS.API.CONSUMER.LIST.LEDGER",
		"$JS.API.CONSUMER.DELETE.LEDGER." + attacker.Key.String() + "-1", "$JS.API.CONSUMER.DURABLE.CREATE.LEDGER.x",
		"$KV.TALLY.claim", "$KV.TALLY_KEYS." + v, "$SYS.REQ.SERVER.PING", "$SYS.REQ.USER.AUTH", "$SRV.PING",
		victim.InboxPrefix() + ".x", inboxRoot + v + ".x", "_INBOX.x", "_R_.x", "anything",
		// What another key of the same merchant may.
		"tally.cmd." + own + ".X." + sibling.Key.String(), "tally.query." + own + ".X." + sibling.Key.String(), "tally.usage." + own + "." + sibling.Key.String(),
		"tally.cmd." + own + ".X." + attacker.Key.String() + ".y", "tally.cmd." + v + ".X." + attacker.Key.String(),
	}
	for secret, subjects := range map[string][]string{
		"attacker": append(nobody, "tally.query."+v+".Wallet"),
		"auditor":  append(nobody, "tally.cmd."+own+".X", "tally.usage."+own),
	} {
		for _, subject := range subjects {
			if !refused(t, w, secret, func(nc *nats.Conn) error { return nc.Publish(subject, nil) }) {
				t.Errorf("%s may publish to %s", secret, subject)
			}
		}
		for _, subject := range []string{
			">", "*.>", "_INBOX.>", victim.InboxPrefix() + ".>", sibling.InboxPrefix() + ".>", inboxRoot + v + ".>", "_INBOX_*.>", "_INBOX_*.*", "tally.>", "tally.cmd." + own + ".>", "tally.usage." + own,
			"tally.ledger." + own + ".>", "$JS.>", "$SYS.>", "$KV.>", "_R_.>", prefix + ".>",
		} {
			if !refused(t, w, secret, func(nc *nats.Conn) error { _, err := nc.SubscribeSync(subject); return err }) {
				t.Errorf("%s may subscribe to %s", secret, subject)
			}
			if !refused(t, w, secret, func(nc *nats.Conn) error { _, err := nc.QueueSubscribeSync(subject, "q"); return err }) {
				t.Errorf("%s may subscribe to %s in a queue", secret, subject)
			}
		}
	}
}

// TestReplySubjects aims the answers to everything that a merchant may ask at everything that a merchant
// may not do. Nothing happens: no stream, consumer or bucket changes, no other merchant's usage
// appears, and the service that answers commands sees no request that it would answer.
//
// With clients in the account that has JetStream, the second target below deletes the ledger's stream.
func TestReplySubjects(t *testing.T) { t.Parallel(); everywhere(t, replySubjects) }

func replySubjects(t *testing.T, w world) {
	prefix := w.fillLedger(t, 200).Prefix
	if _, err := w.Claim(t.Context(), "one", [16]byte{1}, false); err != nil {
		t.Fatal(err)
	}
	if err := w.PutWrapped(t.Context(), victim.Merchant, []byte("wrapped")); err != nil {
		t.Fatal(err)
	}
	mine := w.open(t, attacker, ConsumerRequest{Stream: Ledger, Slot: 1, Ack: true})
	his := w.open(t, victim, ConsumerRequest{Stream: Ledger, Slot: 1, Ack: true})
	if _, err := w.UsageConsumer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := next(t, w.client(t, "victim"), his, 1); len(got) != 1 {
		t.Fatal("the victim cannot read")
	}
	v := victim.Merchant.String()
	for _, target := range []string{
		"$JS.API.INFO", "$JS.API.STREAM.DELETE.LEDGER", "$JS.API.STREAM.PURGE.LEDGER", "$JS.API.STREAM.DELETE.USAGE", "$JS.API.STREAM.PURGE.USAGE",
		"$JS.API.STREAM.PURGE.REJECTED", "$JS.API.STREAM.DELETE.KV_TALLY", "$JS.API.CONSUMER.DELETE.LEDGER." + his.Name, "$JS.API.CONSUMER.DELETE.USAGE.tally",
		"$JS.API.CONSUMER.MSG.NEXT.LEDGER." + his.Name, "$JS.API.CONSUMER.INFO.LEDGER." + his.Name, "tally.info.LEDGER." + his.Name, "$JS.API.CONSUMER.MSG.NEXT.USAGE.tally",
		"$JS.ACK.LEDGER." + his.Name + ".1.2.1.1.1", "$JS.ACK.USAGE.tally.1.1.1.1.1",
		"tally.usage." + v, "tally.cmd." + v + ".X", "tally.query." + v + ".X",
		"tally.ledger." + v + ".usage.UsageReported", prefix + "." + v + ".usage.UsageReported",
		w.prefixes[Rejected] + "." + v, w.prefixes[Notify] + "." + v + ".x", w.prefixes[Checkpoints] + ".x", "tally.rejected." + v,
		"$KV.TALLY.claim", "$KV.TALLY_KEYS." + v, "$SYS.REQ.USER.AUTH", "$SRV.PING", "_GR_.x", "$GR.x",
	} {
		t.Run(target, func(t *testing.T) { aim(t, w, mine, his, target) })
	}
}

// aim lets the answers to all that the attacker may ask go to target.
func aim(t *testing.T, w world, mine, his Consumer, target string) {
	seen := watchService(t, w)
	before := snapshot(t, w, his)
	nc := w.client(t, "attacker")
	msgs, _ := next(t, nc, mine, 1)
	if len(msgs) != 1 {
		t.Fatal("the attacker has nothing left to read")
	}
	pull := "$JS.API.CONSUMER.MSG.NEXT." + string(Ledger) + "." + mine.Name
	for _, ask := range []struct{ subject, body string }{
		{pull, `{"batch":1,"no_wait":true}`}, // a stored message
		{pull, `not json`},                   // a status
		{pull, `{"batch":1,"priority":99}`},  // another
		{"$JS.API.CONSUMER.INFO.LEDGER." + mine.Name, ""},
		{msgs[0].Reply, "+WPI"},
		{msgs[0].Reply, `+NXT {"batch":1,"no_wait":true}`},
		{msgs[0].Reply, "+ACK"}, // an empty answer
		{"tally.usage." + attacker.Merchant.String(), "mine"},
		{command(attacker, "X"), `{}`},
	} {
		if err := nc.PublishRequest(ask.subject, target, []byte(ask.body)); err != nil {
			t.Fatal(err)
		}
		tracing := &nats.Msg{Subject: ask.subject, Data: []byte(ask.body), Header: nats.Header{"Nats-Trace-Dest": {target}}}
		if err := nc.PublishMsg(tracing); err != nil {
			t.Fatal(err)
		}
	}
	// What is asked now, in the same order and by the same ways, is answered behind all that.
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	next(t, nc, mine, 1)
	if _, err := nc.RequestWithContext(timeout(t), "tally.usage."+attacker.Merchant.String(), []byte("mine")); err != nil {
		t.Fatal(err)
	}
	if err := w.door.Flush(); err != nil {
		t.Fatal(err)
	}
	if after := snapshot(t, w, his); !maps.Equal(before, after) {
		t.Errorf("changed from\n%v to\n%v", before, after)
	}
	if got := seen(); len(got) != 0 {
		t.Errorf("the service would have answered %v", got)
	}
}

// watchService returns the requests about the victim that the service would answer.
func watchService(t *testing.T, w world) func() []string {
	var mu sync.Mutex
	var got []string
	sub, err := w.Door().Subscribe("tally.*.*.X", func(m *nats.Msg) {
		if strings.Contains(m.Subject, attacker.Merchant.String()) {
			return
		}
		if replyAllowed(victim.Merchant, m.Reply) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprint(m.Subject, " ", m.Reply, " ", m.Header, " ", string(m.Data)))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return got
	}
}

// snapshot is all that an attacker must not change.
func snapshot(t *testing.T, w world, his Consumer) map[string]string {
	t.Helper()
	all := map[string]string{}
	streams := w.js.ListStreams(t.Context())
	for info := range streams.Info() {
		s, err := w.js.Stream(t.Context(), info.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		detail, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
		if err != nil {
			t.Fatal(err)
		}
		delete(detail.State.Subjects, "tally.usage."+attacker.Merchant.String())
		all[info.Config.Name] = fmt.Sprint(detail.State.Subjects, detail.State.Consumers)
		if StreamName(info.Config.Name) != Usage {
			all[info.Config.Name] += fmt.Sprint(detail.State.Msgs, " up to ", detail.State.LastSeq)
		}
	}
	if err := streams.Err(); err != nil {
		t.Fatal(err)
	}
	for stream, name := range map[StreamName]string{Ledger: his.Name, Usage: "tally"} {
		c, err := w.js.Consumer(t.Context(), string(stream), name)
		if err != nil {
			t.Fatal(err)
		}
		info := c.CachedInfo()
		all[name] = fmt.Sprint(info.Delivered.Consumer, info.AckFloor.Consumer, info.NumAckPending, info.NumWaiting)
	}
	return all
}

// TestMessageIds lets two merchants use the same Nats-Msg-Id: neither's usage is taken for the other's.
func TestMessageIds(t *testing.T) { t.Parallel(); everywhere(t, messageIDs) }

func messageIDs(t *testing.T, w world) {
	for secret, id := range map[string]Identity{"attacker": attacker, "victim": victim} {
		js, err := jetstream.New(w.client(t, secret))
		if err != nil {
			t.Fatal(err)
		}
		ack, err := js.Publish(timeout(t), "tally.usage."+id.Merchant.String(), []byte("usage"), jetstream.WithMsgID("row-1"))
		if err != nil || ack.Duplicate {
			t.Errorf("usage of %s: %+v, %v", secret, ack, err)
		}
	}
	if got := messages(t, w.js, Usage).Msgs; got != 2 {
		t.Errorf("%d messages are stored, want 2", got)
	}
}

// TestUsageHeaders sends usage with the headers that let a message do more than be stored.
func TestUsageHeaders(t *testing.T) {
	w := newWorld(t, nil)
	his := w.client(t, "victim")
	if _, err := his.RequestWithContext(timeout(t), "tally.usage."+victim.Merchant.String(), []byte("usage")); err != nil {
		t.Fatal(err)
	}
	nc := w.client(t, "attacker")
	for _, header := range []nats.Header{
		{jetstream.MsgRollup: {"all"}},
		{jetstream.MsgRollup: {"sub"}},
		{"Nats-TTL": {"1s"}},
		{"Nats-Schedule": {"@at 2030-01-01T00:00:00Z"}, "Nats-Schedule-Target": {"tally.usage." + victim.Merchant.String()}},
		{"Nats-Batch-Id": {"x"}, "Nats-Batch-Sequence": {"1"}},
		{"Nats-Incr": {"1"}},
	} {
		msg := &nats.Msg{Subject: "tally.usage." + attacker.Merchant.String(), Header: header, Data: []byte("usage")}
		if _, err := nc.RequestMsgWithContext(timeout(t), msg); err != nil {
			t.Errorf("%v: %v", header, err)
		}
	}
	s, err := w.js.Stream(t.Context(), string(Usage))
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		t.Fatal(err)
	}
	if info.State.FirstSeq != 1 || info.State.Subjects["tally.usage."+victim.Merchant.String()] != 1 {
		t.Errorf("the stream is %+v", info.State)
	}
}
