// Package pagestest is a ledger with pages for tests: a merchant with a plan, and a mail server that keeps what people get.
//
// Everything is real: a server over a directory, its doors, and SMTP. Only the payment provider is the sandbox's.
package pagestest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"tallystick/events"
	"tallystick/internal/httpapi"
	"tallystick/internal/mail"
	"tallystick/internal/natsbus"
	"tallystick/internal/server"
	"tallystick/internal/wire"
)

// World is such a ledger. It lasts as long as its test.
type World struct {
	Server   *server.Server
	Merchant events.OrganizationID
	Product  string // of the plan
	Plan     string
	Metric   string // tokens, at 0.01 each as they are used

	t      testing.TB
	config server.Config
	doors  server.Doors
	mails  chan string
	last   events.Seq // of what was recorded here
}

// Open opens a world with a clock, as with says if it is to be other than usual.
func Open(t testing.TB, clock func() time.Time, with ...func(*server.Config, *server.Doors)) *World {
	t.Helper()
	w := &World{t: t, mails: make(chan string, 16)}
	w.doors = server.Doors{
		NATS: natsbus.Options{Listen: "127.0.0.1:0"}, API: httpapi.Listen{Addr: freeAddr(t)},
		Mail: mail.Options{URL: "smtp://" + w.receive(), From: "tally@example.com"},
	}
	_, port, err := net.SplitHostPort(w.doors.API.Addr)
	w.must(err)
	w.config = server.Config{
		Dir: t.TempDir(), Create: true, Environment: events.Sandbox, Clock: clock, Logger: slog.New(slog.DiscardHandler),
		PublicURL: "http://localhost:" + port, // passkeys need a name, not a number
	}
	for _, change := range with {
		change(&w.config, &w.doors)
	}
	w.start()
	t.Cleanup(w.close)
	w.catalog()
	return w
}

// freeAddr returns an address to listen on, the same one after a restart.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // nobody has connected
	return l.Addr().String()
}

func (w *World) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *World) start() {
	w.t.Helper()
	var err error
	w.Server, err = server.Open(w.t.Context(), w.config)
	w.must(err)
	w.must(w.Server.Serve(w.t.Context(), w.doors))
}

func (w *World) close() {
	if err := w.Server.Close(context.WithoutCancel(w.t.Context())); err != nil {
		w.t.Error(err)
	}
}

// Restart ends the process of the ledger, as far as one process can, and opens it again.
func (w *World) Restart() {
	w.t.Helper()
	w.close()
	w.config.Create = false
	w.start()
}

// URL returns where people reach the pages.
func (w *World) URL() string { return w.config.PublicURL }

// Local returns where the pages are on this machine, whatever people call them.
func (w *World) Local() string { return w.Server.APIURL() }

// Head returns the last record of the ledger.
func (w *World) Head() events.Seq { return w.Server.Log.Durable() }

// receive starts a mail server, and returns its address.
func (w *World) receive() string {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	s := smtp.NewServer(mailbox{w.mails})
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(listener) }()
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.t.Error(err)
		}
		if err := <-ended; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			w.t.Error(err)
		}
	})
	return listener.Addr().String()
}

// mailbox is a mail server that hands on what it is given.
type mailbox struct{ got chan<- string }

// NewSession implements [smtp.Backend].
func (b mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return b, nil }

// Mail implements [smtp.Session].
func (b mailbox) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt implements [smtp.Session].
func (b mailbox) Rcpt(string, *smtp.RcptOptions) error { return nil }

// Reset implements [smtp.Session].
func (b mailbox) Reset() {}

// Logout implements [smtp.Session].
func (b mailbox) Logout() error { return nil }

// Data implements [smtp.Session].
func (b mailbox) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	b.got <- strings.ReplaceAll(strings.ReplaceAll(string(body), "=\r\n", ""), "=3D", "=")
	return err
}

// catalog makes a merchant with a plan.
func (w *World) catalog() {
	w.t.Helper()
	w.Merchant, _ = events.ParseID[events.OrganizationNoun](w.Do("CreateMerchant", `{"profile":{"name":"Oracle Models"},"currency":"USD"}`))
	w.Product = w.Do("CreateProduct", `{"name":"API","description":"d"}`)
	w.Metric = w.Do("CreateMetric", `{"name":"Tokens","description":"d","unit":"tokens","aggregation":"SUM","productId":"`+w.Product+`"}`)
	price := w.Do("CreatePrice", `{"billableMetricId":"`+w.Metric+`","model":"standard","paymentTerm":"instant","invoiceDisplayName":"Tokens","properties":{"unitPrice":"0.01"}}`)
	w.Plan = w.Do("CreatePlan", `{"name":"Pro","currency":"USD","productId":"`+w.Product+`","prices":["`+price+`"]}`)
}

// Do carries out a command as the merchant's operator, and returns the identity of what it made.
func (w *World) Do(name, body string) string {
	w.t.Helper()
	answer, err := w.Server.Command(w.t.Context(), wire.Who{Role: events.OperatorKey}, w.Merchant, name, []byte(body))
	w.must(err)
	var receipt struct {
		ID, Status, Code, Message string
		Sequence                  events.Seq
	}
	w.must(json.Unmarshal(answer, &receipt))
	w.last = max(w.last, receipt.Sequence)
	if receipt.Status == "rejected" {
		w.t.Fatalf("%s: %s: %s", name, receipt.Code, receipt.Message)
	}
	return receipt.ID
}

// Try carries out a command as Do does, and reports whether it was accepted.
func (w *World) Try(name, body string) bool {
	w.t.Helper()
	answer, err := w.Server.Command(w.t.Context(), wire.Who{Role: events.OperatorKey}, w.Merchant, name, []byte(body))
	if err != nil {
		return false
	}
	var receipt struct{ Status string }
	w.must(json.Unmarshal(answer, &receipt))
	return receipt.Status == "accepted"
}

// Ask asks a question as an operator, and returns a field of the answer as text.
func (w *World) Ask(name, args, field string) string {
	w.t.Helper()
	args = fmt.Sprintf(`{"atLeast":%d,%s`, w.last, args[1:])
	answer, err := w.Server.Query(w.t.Context(), wire.Who{Role: events.OperatorKey}, name, []byte(args))
	w.must(err)
	var fields map[string]any
	w.must(json.Unmarshal(answer, &fields))
	return fmt.Sprint(fields[field])
}

// Authorize opens an authorization session for the plan, and returns its identity and where it is followed. With a minimum, the
// plan starts once the consumer's wallet holds that.
func (w *World) Authorize(email, plan, back string, minimum ...string) (session, url string) {
	w.t.Helper()
	asked := map[string]string{"email": email, "planId": plan, "redirectUrl": back}
	if len(minimum) > 0 {
		asked["minimumAccountBalance"] = minimum[0]
	}
	body, err := json.Marshal(asked)
	w.must(err)
	session = w.Do("CreateAuthorization", string(body))
	return session, w.Ask("Authorization", `{"authorizationId":"`+session+`"}`, "url")
}

// Use reports usage of a number of tokens, n times.
func (w *World) Use(customer string, n, tokens int) {
	w.t.Helper()
	for i := range n {
		w.Do("ReportUsage", fmt.Sprintf(`{"customerId":%q,"merchantId":%q,"idempotencyKey":"k%d","timestamp":%q,"properties":[{"billableMetricId":%q,"quantity":%d}]}`,
			customer, w.Merchant.String(), i, w.config.Clock().UTC().Format(time.RFC3339Nano), w.Metric, tokens))
	}
}

// Managed makes a managed consumer with a subscription that gives features, for which it has filled its wallet with 21.00, of which
// 0.50 are reserved.
func (w *World) Managed() (customer, sub string) {
	w.t.Helper()
	w.Do("UpdateMerchant", `{"profile":{"name":"Oracle Models"},"settings":{"managedPrepaid":true}}`)
	feature := func(key, name, kind string) string {
		return w.Do("CreateFeature", `{"productId":"`+w.Product+`","key":"`+key+`","name":"`+name+`","type":"`+kind+`"}`)
	}
	included, chat := feature("requests", "Included requests", "metered"), feature("chat", "Chat", "boolean")
	requests := w.Do("CreateMetric", `{"name":"Requests","description":"d","unit":"request","aggregation":"SUM","productId":"`+w.Product+`"}`)
	prices := `"` + w.Do("CreatePrice", `{"billableMetricId":"`+requests+`","model":"standard","paymentTerm":"in_arrears","invoiceDisplayName":"Requests","properties":{"unitPrice":"0.01"},"feature":{"featureId":"`+included+`","entitlementTemplate":{"type":"metered","usagePeriod":{"interval":"P1M"},"issueAfterReset":1000}}}`) +
		`","` + w.Do("CreatePrice", `{"billableMetricId":"`+w.Metric+`","model":"standard","paymentTerm":"instant","invoiceDisplayName":"Tokens","properties":{"unitPrice":"0.01"}}`) + `"`
	plan := w.Do("CreatePlan", `{"name":"Team","currency":"USD","productId":"`+w.Product+`","prices":[`+prices+`]}`)
	customer = w.Do("CreateCustomer", `{"consumer":{"name":"Managed Ltd","email":"it@managed.example","address":{"country":"DE","zipCode":"10115"}}}`)
	now := w.config.Clock().UTC().Format(time.RFC3339Nano)
	sub = w.Do("CreateSubscription", `{"name":"Team of Managed","customerId":"`+customer+`","planId":"`+plan+`","startedAt":"`+now+`","minimumAccountBalance":"21"}`)
	w.Do("PaySession", `{"paymentSessionId":"`+w.pending(sub)+`","token":"tok_visa"}`)
	for w.Ask("Subscription", `{"subscriptionId":"`+sub+`"}`, "status") != "active" {
		select {
		case <-time.After(10 * time.Millisecond): // the provider answers on its own
		case <-w.t.Context().Done():
			w.t.Fatal("nobody has paid")
		}
	}
	w.Do("IssueEntitlement", `{"customerId":"`+customer+`","featureId":"`+chat+`","template":{"type":"boolean"}}`)
	w.Do("CreateEntitlement", `{"customerId":"`+customer+`","entitlementData":[{"billableMetricId":"`+w.Metric+`","quantity":50}],"maxUses":2}`)
	return customer, sub
}

// pending returns the payment session that a subscription waits for.
func (w *World) pending(sub string) string {
	w.t.Helper()
	found := regexp.MustCompile(`ps_\w+`).FindString(w.Ask("PaymentSessions", `{"subscriptionId":"`+sub+`"}`, "items"))
	if found == "" {
		w.t.Fatal("there is nothing to pay")
	}
	return found
}

// Portal makes a link to the portal of a subscription, good for an hour.
func (w *World) Portal(sub string) (id, url string) {
	w.t.Helper()
	id = w.Do("CreatePortal", `{"subscriptionId":"`+sub+`","expiresIn":"PT1H"}`)
	return id, w.Ask("Portal", `{"portalId":"`+id+`"}`, "url")
}

// PublicKey returns the key that the ledger's checkpoints are checked with.
func (w *World) PublicKey() string {
	w.t.Helper()
	key, err := os.ReadFile(filepath.Join(w.config.Dir, "keys", "checkpoint.pub"))
	w.must(err)
	return string(key)
}

// Mail returns the next mail that somebody got.
func (w *World) Mail() string {
	w.t.Helper()
	select {
	case m := <-w.mails:
		return m
	case <-w.t.Context().Done():
		w.t.Fatal("no mail")
	}
	return ""
}

// Link returns the link in the next mail.
func (w *World) Link() string {
	w.t.Helper()
	m := w.Mail()
	found := regexp.MustCompile(regexp.QuoteMeta(w.URL()) + `\S+`).FindString(m)
	if found == "" {
		w.t.Fatalf("a mail without a link: %s", m)
	}
	return found
}

// Waiting returns how many mails nobody has read yet.
func (w *World) Waiting() int { return len(w.mails) }
