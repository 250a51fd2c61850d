package server_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"tallystick/events"
	"tallystick/internal/server"
	"tallystick/internal/wire"
)

// shop is a server on a directory, and a merchant of it.
type shop struct {
	t        *testing.T
	dir      string
	s        *server.Server
	merchant events.OrganizationID
}

func openShop(t *testing.T) *shop {
	t.Helper()
	p := &shop{t: t, dir: t.TempDir()}
	p.open()
	t.Cleanup(func() { p.close() })
	p.merchant, _ = events.ParseID[events.OrganizationNoun](p.do("CreateMerchant", `{"profile":{"name":"Acme"},"currency":"USD","settings":{"managedPrepaid":true}}`)["id"].(string))
	return p
}

func (p *shop) open() {
	p.t.Helper()
	var err error
	p.s, err = server.Open(p.t.Context(), server.Config{Dir: p.dir, Create: true, PublicURL: "https://pay.example", Clock: time.Now})
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *shop) close() {
	if err := p.s.Close(context.WithoutCancel(p.t.Context())); err != nil {
		p.t.Error(err)
	}
}

var operator = wire.Who{Role: events.OperatorKey}

// do carries out a command, which must be accepted.
func (p *shop) do(name, body string) map[string]any {
	p.t.Helper()
	b, err := p.s.Command(p.t.Context(), operator, p.merchant, name, []byte(body))
	if err != nil {
		p.t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil || v["status"] != "accepted" {
		p.t.Fatalf("%s %s: %s", name, body, b)
	}
	return v
}

// limit is how long anything may take on a machine that is busy with other things.
const limit = time.Minute

// ask asks a query about all that is decided.
func (p *shop) ask(name string, args map[string]any) map[string]any {
	p.t.Helper()
	args["atLeast"] = p.s.Sequencer.Applied()
	q, err := json.Marshal(args)
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := p.s.Query(p.t.Context(), operator, name, q)
	if err != nil {
		p.t.Fatalf("%s %s: %v", name, q, err)
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		p.t.Fatal(err)
	}
	return v
}

// await asks a query until a field has a value.
func (p *shop) await(name string, args map[string]any, field string, want any) map[string]any {
	p.t.Helper()
	late := time.After(limit)
	for {
		v := p.ask(name, args)
		if v[field] == want {
			return v
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-late:
			p.t.Fatalf("%s has %s %v, want %v: %v", name, field, v[field], want, v)
		}
	}
}

// TestCharges pays one-off payments and top-ups through a whole server, with cards that succeed, are declined, need the
// payer or lose the answer, and opens the ledger again in between.
func TestCharges(t *testing.T) {
	p := openShop(t)
	customer := p.do("CreateCustomer", `{"consumer":{"name":"Jane","email":"jane@example.com","address":{"country":"US"}}}`)["id"].(string)
	session := func(body string) (payment, session string) {
		payment = p.do("CreatePayment", body)["id"].(string)
		v := p.ask("Payment", map[string]any{"paymentId": payment})
		return payment, v["paymentSessionId"].(string)
	}
	pay := func(session, with string) { p.do("PaySession", `{"paymentSessionId":"`+session+`",`+with+`}`) }

	payment, ps := session(`{"amount":"12.50","currency":"USD","reference":"order 7","metadata":{"a":"1"},"lineItems":[{"description":"x","amount":"12.50"}]}`)
	pay(ps, `"token":"tok_declined"`)
	p.await("PaymentSession", map[string]any{"paymentSessionId": ps}, "code", "card_declined")
	pay(ps, `"card":{"number":"4000 0025 0000 3155","expMonth":1,"expYear":2031,"cvc":"123"}`)
	p.await("PaymentSession", map[string]any{"paymentSessionId": ps}, "actionRequired", true)
	pay(ps, `"confirm":true`)
	v := p.await("Payment", map[string]any{"paymentId": payment}, "status", "completed")
	if v["reference"] != "order 7" || v["amount"] != "12.5" && v["amount"] != "12.50" {
		t.Errorf("payment %v", v)
	}

	_, ps = session(`{"amount":"3","currency":"USD","customerId":"` + customer + `","savePaymentMethod":true}`)
	pay(ps, `"card":{"number":"4000 0000 0000 0119","expMonth":1,"expYear":2031}`) // its answer gets lost
	p.close()
	p.open()
	p.await("PaymentSession", map[string]any{"paymentSessionId": ps}, "status", "completed")
	methods := p.ask("PaymentMethods", map[string]any{"customerId": customer})["items"].([]any)
	if len(methods) != 1 || methods[0].(map[string]any)["last4"] != "0119" {
		t.Errorf("payment methods %v", methods)
	}
	wallet := p.ask("Wallet", map[string]any{"customerId": customer})["id"].(string)
	topUp := p.do("TopUp", `{"walletId":"`+wallet+`","amount":"20","method":"stored"}`)["id"].(string)
	p.await("TopUp", map[string]any{"id": topUp}, "status", "success")
	if v := p.ask("Wallet", map[string]any{"walletId": wallet}); v["balanceNanos"] != "20000000000" {
		t.Errorf("the wallet holds %v", v["balanceNanos"])
	}
	if v := p.ask("MerchantWallet", map[string]any{"merchantId": p.merchant.String()}); v["balanceNanos"] != "15500000000" {
		t.Errorf("the merchant has %v", v["balanceNanos"])
	}
}

// TestPrepaid makes a subscription whose wallet is to hold a minimum, together with its customer, pays it, and lets another's
// session expire on a test clock; a charge with a stored method comes at once, and a clock waits for it.
func TestPrepaid(t *testing.T) {
	p := openShop(t)
	product := p.do("CreateProduct", `{"name":"API","description":"by the token"}`)["id"].(string)
	metric := p.do("CreateMetric", `{"productId":"`+product+`","name":"Tokens","description":"Tokens","unit":"tokens","aggregation":"SUM"}`)["id"].(string)
	price := p.do("CreatePrice", `{"billableMetricId":"`+metric+`","model":"standard","paymentTerm":"instant","invoiceDisplayName":"Tokens","properties":{"unitPrice":"0.01"}}`)["id"].(string)
	plan := p.do("CreatePlan", `{"productId":"`+product+`","name":"Pro","currency":"USD","billingCadence":"P1M","prices":["`+price+`"]}`)["id"].(string)
	clock := p.do("CreateTestClock", `{"currentTime":"2031-01-31T12:00:00Z"}`)["id"].(string)
	join := func(email string) (id string, v map[string]any) {
		id = p.do("CreateSubscription", `{"name":"s","planId":"`+plan+`","startedAt":"2031-01-31T12:00:00Z","testClockId":"`+clock+`","minimumAccountBalance":"200","autoCharge":true,
			"customer":{"name":"Jane","email":"`+email+`","address":{"country":"DE","zipCode":"10115"}}}`)["id"].(string)
		return id, p.ask("Subscription", map[string]any{"subscriptionId": id})
	}
	paid, v := join("jane@example.com")
	payment := v["payment"].(map[string]any)
	if v["status"] != "pending_payment" || payment["amount"] != "200.00" && payment["amount"] != "200" {
		t.Fatalf("the new subscription is %v", v)
	}
	p.do("PaySession", `{"paymentSessionId":"`+payment["paymentSessionId"].(string)+`","token":"tok_slow"}`)
	p.await("Subscription", map[string]any{"subscriptionId": paid}, "status", "active")
	unpaid, _ := join("joe@example.com")
	p.do("AdvanceTestClock", `{"testClockId":"`+clock+`","advanceBy":"PT4H"}`)
	v = p.ask("Subscription", map[string]any{"subscriptionId": unpaid})
	if v["status"] != "terminated" || v["terminationReason"] != "payment session expired" {
		t.Errorf("the unpaid subscription is %v", v)
	}
}
