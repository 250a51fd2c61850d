package cli_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestExternal follows docs/nats.md with a NATS server of its own and real processes of tally: merchants report usage over TLS with their
// keys as tokens, try what they may not, lose a key; the NATS server goes away and comes back, with and without its files.
func TestExternal(t *testing.T) {
	t.Parallel()
	e := newElsewhere(t)
	e.come()
	e.serve("ledger")
	e.answers("ledger")
	b, other := e.business("ledger", "Acme"), e.business("ledger", "Mallory")
	status := e.documented("tally status")
	status[slices.Index(status, `"$OPERATOR_KEY"`)] = e.endpoint("ledger", "key")
	e.tally(status...)

	nc := e.join(b, b.merchant)
	if got := e.report(nc, b.usageAt, b.usage("plain")); got != "accepted" {
		t.Errorf("usage is %s", got)
	}
	named := e.join(b, b.key)
	if got := e.report(named, b.usageAtInThisName, b.usage("named")); got != "accepted" {
		t.Errorf("usage in the name of a key is %s", got)
	}
	if got := e.report(named, b.usageAt, b.usage("named")); got != "duplicate" {
		t.Errorf("usage that is repeated is %s", got)
	}
	js, err := jetstream.New(nc)
	must(t, err)
	for _, subject := range []string{"tally.usage." + b.merchant, "tally.usage." + b.merchant + "." + b.key} {
		e.stream(js, subject, b.usage(subject))
	}
	e.until("usage from the stream", func() error {
		if got := e.balance("ledger", b); got != "99960000000" {
			return fmt.Errorf("the balance is %s", got)
		}
		return nil
	})
	e.actors(b)
	e.attack(b, other)
	e.read(b, named)

	// A key that is revoked: its connections end, the others' do not.
	lost := other
	e.key("ledger", &lost)
	ended := make(chan struct{})
	e.join(lost, lost.key, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(ended) }))
	e.tally("keys", "revoke", lost.key, "--data", "ledger")
	select {
	case <-ended:
	case <-time.After(limit):
		t.Error("the connection of a revoked key still stands")
	}
	if _, err := nats.Connect("tls://"+e.addr, nats.Token(lost.secret), nats.RootCAs(filepath.Join(e.dir, "ca.pem")), nats.Timeout(limit)); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("a revoked key is answered %v", err)
	}
	if got := e.report(nc, b.usageAt, b.usage("still")); got != "accepted" {
		t.Errorf("usage of another is %s", got)
	}
	e.interrupt(b)
	e.restored("ledger", "restored")
	if code := e.end("ledger"); code != 0 {
		t.Errorf("the server ended with %d: %s", code, e.logs["ledger"])
	}
}

// actors looks at who is recorded to have reported usage.
func (e *elsewhere) actors(b business) {
	e.t.Helper()
	counts := map[string]int{}
	for line := range strings.Lines(e.tally("events", "--data", "ledger", "--json")) {
		var rec struct{ Type, Actor, MerchantID string }
		must(e.t, json.Unmarshal([]byte(line), &rec))
		if rec.MerchantID == b.merchant && strings.HasPrefix(rec.Type, "usage.") {
			counts[rec.Actor]++
		}
	}
	if nobody := ""; counts[b.key] != 2 || counts[nobody] != 2 || len(counts) != 2 {
		e.t.Errorf("usage was reported by %v, want two of %s and two of no key", counts, b.key)
	}
}

// attack lets other try what it may not: nothing of it changes anything of b's.
func (e *elsewhere) attack(b, other business) {
	e.t.Helper()
	again := other
	e.key("ledger", &again) // another key of the same merchant
	refusals := make(chan struct{}, 100)
	nc := e.join(other, other.merchant, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, _ error) { refusals <- struct{}{} }))
	refused := func(what string) {
		e.t.Helper()
		must(e.t, nc.Flush())
		select {
		case <-refusals:
		case <-time.After(limit):
			e.t.Errorf("%s is permitted", what)
		}
	}
	consumer := b.key + "-1"
	for _, subject := range []string{
		b.usageAt, b.usageAtInThisName, "tally.usage." + b.merchant, "tally.query." + b.merchant + ".Wallet", "tally.cmd._operator.CreateKey",
		again.usageAtInThisName, "tally.usage." + again.merchant + "." + again.key, "tally.cmd." + other.merchant + ".OpenConsumer." + again.key,
		"$JS.API.STREAM.INFO.LEDGER", "$JS.API.STREAM.DELETE.LEDGER", "$JS.API.STREAM.PURGE.USAGE", "$JS.API.CONSUMER.MSG.NEXT.LEDGER." + consumer,
		"$JS.API.CONSUMER.CREATE.LEDGER", "$JS.ACK.LEDGER." + consumer + ".1.1.1.1.1", "$KV.TALLY.claim", "$SYS.REQ.USER.AUTH", "$SYS.REQ.ACCOUNT.PING.CONNZ",
		"$SYS.REQ.SERVER." + e.nats.ID() + ".KICK", "tally.ledger." + other.merchant + ".usage.UsageReported", "_INBOX_" + b.merchant + ".x", "_INBOX_" + b.key + ".x",
	} {
		must(e.t, nc.Publish(subject, []byte(b.usage("forged"))))
		refused("publishing to " + subject)
	}
	for _, subject := range []string{">", "_INBOX_" + b.merchant + ".>", "_INBOX_" + b.key + ".>", "_INBOX_" + again.key + ".>", "_INBOX_*.>", "tally.>", "$SYS.>", "_INBOX.>"} {
		_, err := nc.SubscribeSync(subject)
		must(e.t, err)
		refused("subscribing to " + subject)
	}
	// A body that is another's, and answers that are aimed at others and at streams.
	if got := e.report(nc, other.usageAt, b.usage("body")); !strings.HasPrefix(got, "rejected") {
		e.t.Errorf("usage for another merchant is %s", got)
	}
	before := e.tell("ledger", "CreateProduct", `{"name":"n","description":"d","merchantId":"`+other.merchant+`"}`)["sequence"].(float64)
	for _, reply := range []string{
		"$JS.API.STREAM.DELETE.LEDGER", "$JS.API.STREAM.PURGE.USAGE", "tally.usage." + b.merchant, b.usageAt, "$KV.TALLY.claim",
		"_INBOX_" + b.merchant + ".x", "_INBOX_" + b.key + ".x", "$SYS.REQ.SERVER." + e.nats.ID() + ".KICK",
	} {
		for _, subject := range []string{"tally.cmd." + other.merchant + ".CreateProduct", "tally.usage." + other.merchant} {
			must(e.t, nc.PublishRequest(subject, reply, []byte(`{"name":"n","description":"d"}`)))
		}
	}
	must(e.t, nc.Flush())
	after := e.tell("ledger", "CreateProduct", `{"name":"n","description":"d","merchantId":"`+other.merchant+`"}`)["sequence"].(float64)
	if after != before+1 {
		e.t.Errorf("records %v to %v were made by requests whose answers were aimed at others", before, after)
	}
	e.published("ledger")
	e.tally("verify", "--data", "ledger")
}

// read lets a merchant read its events of the stream.
func (e *elsewhere) read(b business, nc *nats.Conn) {
	e.t.Helper()
	m, err := nc.Request("tally.cmd."+b.merchant+".OpenConsumer."+b.key, []byte(`{"stream":"LEDGER","filter":"usage.>"}`), limit)
	must(e.t, err)
	var opened struct{ Name string }
	must(e.t, json.Unmarshal(m.Data, &opened))
	sub, err := nc.SubscribeSync(nc.NewInbox())
	must(e.t, err)
	must(e.t, nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.LEDGER."+opened.Name, sub.Subject, []byte(`{"batch":4,"no_wait":true}`)))
	for range 4 {
		m, err := sub.NextMsg(limit)
		must(e.t, err)
		if !strings.HasPrefix(m.Subject, "tally.ledger."+b.merchant+".usage.") {
			e.t.Errorf("read %s %s", m.Subject, m.Header)
		}
	}
}

// interrupt takes the NATS server away while usage goes on over HTTP, and brings it back: with its files, and then without.
func (e *elsewhere) interrupt(b business) {
	e.t.Helper()
	for _, files := range []bool{true, false} {
		e.away()
		if !files {
			must(e.t, os.RemoveAll(filepath.Join(e.dir, "jetstream")))
		}
		for i := range 10 {
			key := fmt.Sprint("away-", files, i)
			if status, answer := e.http("ledger", b.secret, "POST", "/v0/usage", b.usage(key)); status >= 300 {
				e.t.Fatalf("usage while NATS is away: %d %v", status, answer)
			}
		}
		if h := e.health("ledger"); h.Status != "ok" || h.PublishedSequence >= h.DurableSequence {
			e.t.Errorf("while NATS is away: %+v", h)
		}
		e.come()
		e.published("ledger")
		e.until("verifying", func() error { _, err := e.try("verify", "--data", "ledger"); return err })
		nc := e.join(b, b.merchant)
		for i := range 10 { // what was receipted is known
			if got := e.report(nc, b.usageAt, b.usage(fmt.Sprint("away-", files, i))); got != "duplicate" {
				e.t.Errorf("usage that was taken is %s when it is repeated", got)
			}
		}
		js, err := jetstream.New(nc)
		must(e.t, err)
		key := fmt.Sprint("back-", files)
		before := e.balance("ledger", b)
		e.stream(js, "tally.usage."+b.merchant, b.usage(key))
		e.until("usage from the stream that came back", func() error {
			if e.balance("ledger", b) == before {
				return errors.New("it is not taken")
			}
			return nil
		})
		nc.Close()
	}
}

// restored makes a ledger from what is in the streams, after they were lost: its keys and the newest checkpoint are there again, too.
func (e *elsewhere) restored(from, to string) {
	e.t.Helper()
	args := e.documented("tally serve")
	args = args[slices.Index(args, "--nats-url"):]
	args = append([]string{
		"restore", "--from-nats", "--json", "--data", to, "--master-key-file", filepath.Join(from, "keys", "master.key"),
		"--pub", filepath.Join(from, "keys", "checkpoint.pub"),
	}, args...)
	e.until("restoring from the streams that came back", func() error {
		out, err := e.try(args...)
		if err != nil {
			return err
		}
		if strings.Contains(out, `"checkpointSequence": 0`) {
			e.t.Errorf("no checkpoint stands for the records: %s", out)
		}
		return nil
	})
}

// TestExternalUnreachable starts before the NATS server does: reads only, nothing is recorded, and then all is compared and goes on.
func TestExternalUnreachable(t *testing.T) {
	t.Parallel()
	e := newElsewhere(t)
	e.come()
	e.serve("ledger")
	e.answers("ledger")
	b := e.business("ledger", "Acme")
	ending, before := e.endsWhileAway(b)
	e.away()

	e.serve("ledger")
	if got := e.balance("ledger", b); got != "100000000000" {
		t.Errorf("the balance is %s", got)
	}
	status, answer := e.http("ledger", b.secret, "POST", "/v0/usage", b.usage("unchecked"))
	if status != http.StatusServiceUnavailable || answer["code"] != "STREAM_UNCHECKED" {
		t.Errorf("a command is answered %d %v", status, answer)
	}
	if h := e.health("ledger"); h.DurableSequence != before {
		t.Errorf("%d records were made before the comparison", h.DurableSequence-before)
	}
	e.come()
	e.until("the comparison", func() error {
		if status, answer := e.http("ledger", b.secret, "POST", "/v0/usage", b.usage("unchecked")); status >= 300 {
			return fmt.Errorf("%d %v", status, answer)
		}
		return nil
	})
	e.until("what was due", func() error {
		if _, sub := e.http("ledger", b.secret, "GET", "/v0/subscriptions/"+ending, ""); sub["status"] != "terminated" {
			return fmt.Errorf("%v", sub)
		}
		return nil
	})
	e.published("ledger")
	e.end("ledger")
	e.away()

	e.serve("ledger", "--start-unchecked", "--nats-user-ttl", "5s")
	if status, answer := e.http("ledger", b.secret, "POST", "/v0/usage", b.usage("unchecked 2")); status >= 300 {
		t.Errorf("with --start-unchecked a command is answered %d %v", status, answer)
	}
	e.come()
	e.published("ledger")
	e.until("verifying", func() error { _, err := e.try("verify", "--data", "ledger"); return err })

	// User JWTs run out, and the client comes back by itself.
	back := make(chan struct{}, 10)
	nc := e.join(b, b.key, nats.ReconnectWait(10*time.Millisecond), nats.MaxReconnects(-1), nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	select {
	case <-back:
	case <-time.After(limit):
		t.Fatal("the client does not come back")
	}
	e.until("usage after the renewal", func() error { // a request under way when the next JWT runs out is repeated
		m, err := nc.Request(b.usageAtInThisName, []byte(b.usage("renewed")), 2*time.Second)
		if err == nil && !strings.Contains(string(m.Data), `"accepted"`) && !strings.Contains(string(m.Data), `"duplicate"`) {
			err = errors.New(string(m.Data))
		}
		return err
	})
}

// endsWhileAway has a subscription end soon, ends the server, and returns when the subscription should have ended: which one it is, and the
// last record before.
func (e *elsewhere) endsWhileAway(b business) (subscription string, last int) {
	e.t.Helper()
	for soon := 3 * time.Second; soon < limit; soon *= 4 { // until the server has ended before that
		ends := time.Now().UTC().Add(soon)
		status, made := e.http("ledger", b.secret, "POST", "/v0/subscriptions", `{"name":"Short","planId":"`+b.plan+`","startedAt":"`+b.since+`",
			"customer":{"name":"Joe","email":"joe@example.com","address":{"country":"DE","zipCode":"10115"}},"endingAt":"`+ends.Format(time.RFC3339Nano)+`"}`)
		last = e.health("ledger").DurableSequence
		if code := e.end("ledger"); code != 0 {
			e.t.Errorf("the server ended with %d", code)
		}
		if left := time.Until(ends); left > 0 && status < 300 {
			<-time.After(left)
			return made["id"].(string), last
		}
		e.serve("ledger")
		e.answers("ledger")
	}
	e.t.Fatal("the server does not end in time")
	return "", 0
}

// TestExternalTwo lets two instances claim the streams: the second is refused and answers nobody, until it takes them over; then the first
// stops at once.
func TestExternalTwo(t *testing.T) {
	t.Parallel()
	e := newElsewhere(t)
	e.come()
	e.serve("one")
	e.answers("one")
	b := e.business("one", "Acme")
	nc := e.join(b, b.key)
	e.tally("backup", "copy", "--data", "one")
	e.tally("restore", "copy", "--data", "two")
	reports := func(begin string) {
		t.Helper()
		for i := range 20 { // every other would go to a second one that listens
			if got := e.report(nc, b.usageAtInThisName, b.usage(fmt.Sprint(begin, i))); got != "accepted" {
				t.Fatalf("usage %s is %s", begin, got)
			}
		}
	}
	reports("alone")
	e.published("one")

	e.serve("two")
	e.until("the refusal", func() error {
		if h := e.health("two"); h.Status != "failed" || !strings.Contains(h.Error, "--take-over") {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	reports("refused")
	for range 10 { // its keys are an older copy's: it must not say who comes in
		e.join(b, b.key).Close()
	}
	e.published("one")
	e.end("two")

	// The copy is taken over at what is published now.
	must(t, os.RemoveAll(filepath.Join(e.dir, "two")))
	e.tally("restore", "copy", "--data", "two")
	e.serve("two", "--take-over")
	e.until("the take-over", func() error {
		if h := e.health("one"); h.Status != "failed" || !strings.Contains(h.Error, "taken") || h.Stream == "" { // it hears no more when it says why
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	e.until("the new instance", func() error {
		if h := e.health("two"); h.Status != "ok" || h.Stream != "" {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	nc.Close()
	nc = e.join(b, b.key)
	reports("taken")
	if got := e.report(nc, b.usageAtInThisName, b.usage("alone0")); got != "duplicate" {
		t.Errorf("usage that the first has taken is %s", got)
	}
	e.published("two")
	e.tally("verify", "--data", "two")
	e.end("one")
}
