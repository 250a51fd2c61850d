package server_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tallystick/internal/natsbus"
	"tallystick/internal/server"
)

// notices returns the messages of NOTIFY, once there are at least so many.
func (p *shop) notices(atLeast int) (all []jetstream.Msg) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	nc, err := p.s.OperatorConn()
	if err != nil {
		p.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		p.t.Fatal(err)
	}
	for {
		c, err := js.OrderedConsumer(ctx, string(natsbus.Notify), jetstream.OrderedConsumerConfig{})
		if err == nil {
			batch, err := c.FetchNoWait(100)
			if err != nil {
				p.t.Fatal(err)
			}
			all = nil
			for m := range batch.Messages() {
				all = append(all, m)
			}
			if len(all) >= atLeast {
				return all
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			p.t.Fatalf("%d notices, want %d", len(all), atLeast)
		}
	}
}

// TestNotices checks that a merchant's system is told of what happened, in order, as CloudEvents with identities that stay, and
// that a restart tells nothing twice.
func TestNotices(t *testing.T) {
	p := openShop(t)
	serve := func() {
		if err := p.s.Serve(t.Context(), server.Doors{NATS: natsbus.Options{Listen: "127.0.0.1:0"}}); err != nil {
			t.Fatal(err)
		}
	}
	serve()
	p.do("CreateCustomer", `{"consumer":{"name":"Jane","email":"jane@example.com","address":{"country":"US"}}}`)
	payment := p.do("CreatePayment", `{"amount":"3","currency":"USD"}`)["id"].(string)
	session := p.ask("Payment", map[string]any{"paymentId": payment})["paymentSessionId"].(string)
	p.do("PaySession", `{"paymentSessionId":"`+session+`","token":"tok_declined"}`)
	p.notices(2)
	p.close()
	p.open()
	serve()
	p.do("CreateCustomer", `{"consumer":{"name":"Joe","email":"joe@example.com","address":{"country":"US"}}}`)

	var kinds []string
	ids := make(map[string]bool)
	for _, m := range p.notices(3) {
		var n struct{ SpecVersion, ID, Type, Source string }
		if err := json.Unmarshal(m.Data(), &n); err != nil {
			t.Fatal(err)
		}
		if n.SpecVersion != "1.0" || ids[n.ID] || m.Subject() != "tally.notify."+p.merchant.String()+"."+n.Type {
			t.Errorf("notice %s on %s", m.Data(), m.Subject())
		}
		if h := m.Headers(); h.Get(natsbus.DurableHeader) == "" || h.Get(jetstream.MsgIDHeader) != n.ID {
			t.Errorf("headers %v", h)
		}
		ids[n.ID] = true
		kinds = append(kinds, n.Type)
	}
	if got := strings.Join(kinds, " "); got != "customer.created.v0 payment.failed.v0 customer.created.v0" {
		t.Errorf("notices %s", got)
	}
}
