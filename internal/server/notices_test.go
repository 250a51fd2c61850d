package server_test

import (
	"context"
	"encoding/json"
	"fmt"
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
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
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

// TestAlertNotice checks that a merchant's system is told once of a wallet that falls below the threshold of its alert, with what it
// holds; and again when it has been filled meanwhile.
func TestAlertNotice(t *testing.T) {
	p := openShop(t)
	if err := p.s.Serve(t.Context(), server.Doors{NATS: natsbus.Options{Listen: "127.0.0.1:0"}}); err != nil {
		t.Fatal(err)
	}
	metric, customer, wallet := p.caller()
	call := func(key string) {
		p.do("ReportUsage", fmt.Sprintf(`{"customerId":%q,"merchantId":%q,"idempotencyKey":%q,"timestamp":"2031-01-15T12:00:00Z","properties":[{"billableMetricId":%q,"quantity":1}]}`,
			customer, p.merchant, key, metric))
	}
	p.do("TopUp", `{"walletId":"`+wallet+`","amount":"10","method":"sandbox"}`)
	alert := p.do("CreateAlert", `{"resourceId":"`+wallet+`","type":"wallet_low_balance","config":{"threshold":"8"}}`)["id"].(string)
	for _, key := range []string{"holds 8", "holds 6", "holds 4"} {
		call(key)
	}
	p.do("TopUp", `{"walletId":"`+wallet+`","amount":"4","method":"sandbox"}`)
	call("holds 6 again")
	p.do("CreateCustomer", `{"consumer":{"name":"Joe","email":"joe@example.com","address":{"country":"US"}}}`) // the last notice there is

	var low []string
	for _, m := range p.notices(5) {
		var n struct {
			Type, Subject string
			Data          struct{ AlertID, ThresholdNanos, BalanceNanos, Currency string }
		}
		if err := json.Unmarshal(m.Data(), &n); err != nil {
			t.Fatal(err)
		}
		if n.Type != "wallet.balance_low.v0" {
			continue
		}
		if n.Subject != wallet || n.Data.AlertID != alert || n.Data.ThresholdNanos != "8000000000" || n.Data.Currency != "USD" {
			t.Errorf("the notice is %s", m.Data())
		}
		low = append(low, n.Data.BalanceNanos)
	}
	if got := strings.Join(low, " "); got != "6000000000 6000000000" {
		t.Errorf("notices of balances %q, want two of 6000000000", got)
	}
}

// caller makes a customer who pays 2 for each call at once, with its subscription, on a test clock.
func (p *shop) caller() (metric, customer, wallet string) {
	p.t.Helper()
	product := p.do("CreateProduct", `{"name":"LLM","description":"d"}`)["id"].(string)
	metric = p.do("CreateMetric", `{"productId":"`+product+`","name":"Calls","description":"d","unit":"call","aggregation":"COUNT"}`)["id"].(string)
	price := p.do("CreatePrice", `{"billableMetricId":"`+metric+`","model":"standard","paymentTerm":"instant","invoiceDisplayName":"Calls","properties":{"unitPrice":"2"}}`)["id"].(string)
	plan := p.do("CreatePlan", `{"productId":"`+product+`","name":"Plan","currency":"USD","prices":["`+price+`"]}`)["id"].(string)
	clock := p.do("CreateTestClock", `{"currentTime":"2031-01-15T12:00:00Z"}`)["id"].(string)
	customer = p.do("CreateCustomer", `{"consumer":{"name":"Jane","email":"jane@example.com","address":{"country":"GB"}}}`)["id"].(string)
	sub := p.do("CreateSubscription", `{"name":"API","planId":"`+plan+`","customerId":"`+customer+`","startedAt":"2031-01-15T12:00:00Z","testClockId":"`+clock+`"}`)["id"].(string)
	return metric, customer, p.ask("Subscription", map[string]any{"subscriptionId": sub})["walletId"].(string)
}
