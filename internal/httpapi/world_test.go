package httpapi_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tallystick/events"
	"tallystick/internal/httpapi"
	"tallystick/internal/natsbus"
	"tallystick/internal/server"
	"tallystick/internal/wire"
)

// world is a ledger with an HTTP door, and the keys of two merchants.
type world struct {
	t        testing.TB
	server   *server.Server
	client   *http.Client
	operator string // keys
	key      string
	foreign  string
	merchant string                    // whose key is key
	other    string                    // whose key is foreign
	clients  *clients                  // hold every answer against what they know
	typed    *typed                    // sends the merchant's requests, as far as it can, where it is there
	saw      func(key string, r reply) // is told of every answer, where it is there
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

// newWorld opens a new sandbox ledger that lives as long as t.
func newWorld(t testing.TB, change func(*server.Doors)) *world {
	t.Helper()
	return newWorldOver(t, change, nil)
}

// newWorldOver is newWorld for a client that trusts the certificates of a pool.
func newWorldOver(t testing.TB, change func(*server.Doors), trust *x509.CertPool) *world {
	t.Helper()
	s, err := server.Open(t.Context(), server.Config{Dir: t.TempDir(), Create: true, Environment: events.Sandbox, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	doors := server.Doors{NATS: natsbus.Options{Listen: "127.0.0.1:0"}, API: httpapi.Listen{Addr: "127.0.0.1:0"}, Version: "test"}
	if change != nil {
		change(&doors)
	}
	if err := s.Serve(t.Context(), doors); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, server: s, client: clientOf(t, trust), operator: s.OperatorKey(), clients: newClients(t)}
	w.merchant, w.key = w.newMerchant("Acme AI")
	w.other, w.foreign = w.newMerchant("Globex")
	return w
}

// clientOf returns a client that trusts the certificates of a pool.
func clientOf(t testing.TB, trust *x509.CertPool) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// newMerchant makes a merchant and a key of it.
func (w *world) newMerchant(name string) (id, key string) {
	w.t.Helper()
	id = w.command("CreateMerchant", `{"profile":{"name":"`+name+`","email":"billing@example.com"},"currency":"USD","settings":{"managedPrepaid":true}}`)["id"].(string)
	made := w.call(w.operator, "POST", "/v0/keys", fmt.Sprintf(`{"merchantId":%q}`, id)).want(w.t, 201)
	return id, made.body["secret"].(string)
}

// command carries out a command as an operator does at the command line.
func (w *world) command(name, body string) map[string]any {
	w.t.Helper()
	answer, err := w.server.Command(w.t.Context(), wire.Who{Role: events.OperatorKey}, events.OrganizationID{}, name, []byte(body))
	if err != nil {
		w.t.Fatal(err)
	}
	var receipt map[string]any
	if err := json.Unmarshal(answer, &receipt); err != nil || receipt["status"] == "rejected" {
		w.t.Fatalf("%s: %s %v", name, answer, err)
	}
	return receipt
}

// call sends a request with a key. Headers are given as "Name: value".
func (w *world) call(key, method, path, body string, headers ...string) reply {
	w.t.Helper()
	var r reply
	sent := false
	if w.typed != nil && key == w.key {
		r, sent = w.typed.call(w.t.Context(), key, method, path, body, headers)
	}
	if !sent {
		r = w.send(key, method, path, body, headers)
	}
	if len(bytes.TrimSpace(r.raw)) > 0 && strings.HasPrefix(r.header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(r.raw, &r.body); err != nil {
			w.t.Fatalf("%s %s answers %s: %v", method, path, r.raw, err)
		}
	}
	w.clients.check(method, path, body, r)
	if w.saw != nil {
		w.saw(key, r)
	}
	return r
}

// send sends a request as it stands.
func (w *world) send(key, method, path, body string, headers []string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.APIURL()+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	req.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, header: resp.Header}
	if r.raw, err = io.ReadAll(resp.Body); err != nil {
		w.t.Fatal(err)
	}
	return r
}

// do sends a request with the merchant's key and returns the body of the answer, which must have the status.
func (w *world) do(status int, method, path, body string) map[string]any {
	w.t.Helper()
	return w.call(w.key, method, path, body).want(w.t, status).body
}

// make is do for a POST that makes something, and returns its identity.
func (w *world) make(path, format string, args ...any) string {
	w.t.Helper()
	return w.do(201, "POST", path, fmt.Sprintf(format, args...))["id"].(string)
}

// want fails t unless r has a status.
func (r reply) want(t testing.TB, status int) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.raw)
	}
	return r
}

// code fails t unless r is a refusal with a status and a code.
func (r reply) code(t testing.TB, status int, code string) {
	t.Helper()
	if r.want(t, status); r.body["code"] != code || r.body["message"] == "" {
		t.Errorf("the answer is %s, want code %s", r.raw, code)
	}
}

// shop is a catalogue with a customer who has subscribed to its plan.
type shop struct {
	product, metric, price, plan, customer, subscription, wallet, clock string

	consumer string // of conformance alone
}

// newShop makes a shop of the merchant's, on a test clock.
func (w *world) newShop() (s shop) {
	w.t.Helper()
	s.product = w.make("/v0/products", `{"merchantId":%q,"name":"LLM API","description":"by the token"}`, w.merchant)
	s.metric = w.make("/v0/billableMetrics", `{"merchantId":%q,"productId":%q,"name":"Tokens","description":"Tokens","unit":"tokens","aggregation":"SUM"}`, w.merchant, s.product)
	s.price = w.make("/v0/prices", `{"billableMetricId":%q,"model":"standard","paymentTerm":"instant","invoiceDisplayName":"Tokens","properties":{"unitPrice":"0.00002"}}`, s.metric)
	s.plan = w.make("/v0/plans", `{"merchantId":%q,"productId":%q,"name":"Pay as you go","currency":"USD","prices":[%q]}`, w.merchant, s.product, s.price)
	s.clock = w.make("/v0/testClocks", `{"name":"trial"}`)
	s.customer = w.do(201, "POST", "/v0/customers", fmt.Sprintf(`{"merchantId":%q,"consumer":{"name":"Jane","email":"jane@example.com","address":{"country":"DE","zipCode":"10115"}}}`, w.merchant))["customerId"].(string)
	sub := w.do(201, "POST", "/v0/subscriptions", fmt.Sprintf(`{"name":"Jane","customerId":%q,"planId":%q,"startedAt":%q,"testClockId":%q}`,
		s.customer, s.plan, w.do(200, "GET", "/v0/testClocks/"+s.clock, "")["currentTime"], s.clock))
	s.subscription, s.wallet = sub["id"].(string), sub["walletId"].(string)
	w.make("/v0/wallets/"+s.wallet+"/topups", `{"amount":"20","method":"sandbox"}`)
	return s
}

// usage returns a report of usage.
func (w *world) usage(s shop, key string, quantity int) string {
	now := w.do(200, "GET", "/v0/testClocks/"+s.clock, "")["currentTime"]
	return fmt.Sprintf(`{"merchantId":%q,"customerId":%q,"idempotencyKey":%q,"timestamp":%q,"properties":[{"billableMetricId":%q,"quantity":%d}],"metadata":{"model":"large"}}`,
		w.merchant, s.customer, key, now, s.metric, quantity)
}

// until waits for what another goroutine of the server brings about.
func (w *world) until(done func() bool) {
	w.t.Helper()
	for range 6000 { // a minute at least
		if done() {
			return
		}
		select {
		case <-w.t.Context().Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	w.t.Fatal("it does not come about")
}
