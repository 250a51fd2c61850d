package pages_test

import (
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"tallystick/internal/pages/pagestest"
)

// world is a ledger with pages, and a visitor with a browser of sorts.
type world struct {
	*pagestest.World
	t       *testing.T
	visitor *http.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return worldWith(t, time.Now)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// page is what a visitor is shown.
type page struct {
	status int
	body   string
	to     string // where it sends the visitor on
	header http.Header
}

func (w *world) get(at string, headers ...string) page {
	w.t.Helper()
	return w.visit(http.MethodGet, at, nil, headers...)
}

func (w *world) visit(method, at string, form url.Values, headers ...string) page {
	w.t.Helper()
	if !strings.HasPrefix(at, "http") {
		at = w.URL() + at
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, at, body)
	w.must(err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.visitor.Do(req)
	w.must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	w.must(err)
	return page{resp.StatusCode, string(b), resp.Header.Get("Location"), resp.Header}
}

// submit fills in the form of a page and sends it.
func (w *world) submit(at string, fields ...string) page {
	w.t.Helper()
	p := w.get(at)
	token := regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(p.body)
	if token == nil {
		w.t.Fatalf("%s has no form: %d %s", at, p.status, p.body)
	}
	form := url.Values{"form": {token[1]}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return w.visit(http.MethodPost, at, form)
}

func (p page) wants(t *testing.T, status int, texts ...string) page {
	t.Helper()
	if p.status != status {
		t.Fatalf("status %d, want %d: %s", p.status, status, p.body)
	}
	for _, text := range texts {
		if !strings.Contains(p.body, text) {
			t.Errorf("the page does not say %q: %s", text, p.body)
		}
	}
	return p
}

// signUp has somebody follow an authorization link to its end, and returns where they are sent.
func (w *world) signUp(email string) (session, to string) {
	session, at := w.Authorize(email, w.Plan, "https://oracle.example/back")
	w.get(at).wants(w.t, 200, "Oracle Models", "0.01 each", "as you use it", email)
	w.submit(at).wants(w.t, 200, "Look into your mail")
	confirm := w.Link()
	w.get(confirm).wants(w.t, 200, "Organization", "Agree and subscribe")
	w.submit(confirm, "organization", "Acorn Analytics", "country", "usa").wants(w.t, 422, "2 problems", `href="#country"`, `href="#zip"`, "Acorn Analytics")
	done := w.submit(confirm, "organization", "Acorn Analytics", "person", "Ada", "country", "us", "zip", "94105", "state", "CA").wants(w.t, 303)
	w.get(done.to).wants(w.t, 200, "Add a payment method")
	stored := w.submit(done.to, "do", "pay", "number", "5555 5555 5555 4444", "month", "12", "year", "40").wants(w.t, 303)
	return session, w.get(stored.to).wants(w.t, 303).to
}

// TestAuthorizationFlow is way A of the first seed: a link, a consumer who signs up, a subscription, the way back.
func TestAuthorizationFlow(t *testing.T) {
	w := newWorld(t)
	session, to := w.signUp("ada@acorn.example")
	if to != "https://oracle.example/back" {
		t.Errorf("sent to %s", to)
	}
	args := `{"authorizationId":"` + session + `"}`
	if status := w.Ask("Authorization", args, "status"); status != "completed" {
		t.Errorf("the session is %s", status)
	}
	if customer := w.Ask("Authorization", args, "customerId"); !strings.HasPrefix(customer, "cus_") {
		t.Errorf("customer %q", customer)
	}
	home := w.get("/home").wants(t, 200, "Acorn Analytics", "Oracle Models", "active", "0.00 USD", "Whom you have authorized")
	if policy := home.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %s", policy)
	}

	w.get("/home").wants(t, 200, "mastercard ending in 4444")
	add := w.submit("/home", "do", "addmethod").wants(t, 303)
	w.get(add.to).wants(t, 200, "Add a payment method")
	w.submit(add.to, "do", "pay", "number", "4242424242424242", "month", "12", "year", "40").wants(t, 303)
	both := w.get("/home").wants(t, 200, "mastercard ending in 4444", "visa ending in 4242", "12/2040")
	left := w.submit("/home", "do", "removemethod", "method", hidden(both.body, "method")).wants(t, 200)
	if n := strings.Count(left.body, `value="removemethod"`); n != 1 {
		t.Errorf("%d payment methods are left", n)
	}
	w.submit("/home", "do", "removemethod", "method", hidden(both.body, "method")).wants(t, 422)

	topUp := w.submit("/home", "do", "topup", "wallet", hidden(home.body, "wallet"), "amount", "25").wants(t, 303)
	w.get(topUp.to).wants(t, 200, "25.00 USD", "Card number")
	w.submit(topUp.to, "do", "pay", "number", "4242 4242", "month", "12", "year", "2040").wants(t, 422, "12 to 19 digits")
	paid := w.submit(topUp.to, "do", "pay", "number", "4242 4242 4242 4242", "month", "12", "year", "40", "cvc", "123").wants(t, 303)
	w.get(paid.to, "Sec-Fetch-Dest", "iframe").wants(t, 200, `data-status="completed"`)
	w.get("/home").wants(t, 200, "25.00 USD")

	w.submit("/home", "do", "cancel", "merchant", w.Merchant.String(), "subscription", hidden(home.body, "subscription")).wants(t, 200, "terminated", "cancelled by the customer")
	w.submit("/home", "do", "withdraw", "merchant", w.Merchant.String()).wants(t, 200)
	if after := w.get("/home"); strings.Contains(after.body, "Whom you have authorized") {
		t.Error("the authorization was not taken back")
	}
	w.submit("/home", "do", "signout").wants(t, 303)
	if p := w.get("/home").wants(t, 303); p.to != "/signin" {
		t.Errorf("sent to %s", p.to)
	}
	w.signIn("ada@acorn.example")
}

// TestAgreeTwice presses the button several times at once: each press is sent on, and the customer is subscribed once.
func TestAgreeTwice(t *testing.T) {
	w := newWorld(t)
	session, at := w.Authorize("ada@acorn.example", w.Plan, "https://oracle.example/back", "20")
	w.submit(at).wants(t, 200)
	confirm := w.Link()
	form := url.Values{
		"form": {hidden(w.get(confirm).wants(t, 200).body, "form")}, "organization": {"Acorn"}, "person": {"Ada"}, "country": {"us"}, "zip": {"94105"}, "state": {"CA"},
	}
	answers := make([]page, 8)
	var presses sync.WaitGroup
	for i := range answers {
		presses.Go(func() { answers[i] = w.visit(http.MethodPost, confirm, form) })
	}
	presses.Wait()
	for _, answer := range answers {
		answer.wants(t, 303)
	}
	customer := w.Ask("Authorization", `{"authorizationId":"`+session+`"}`, "customerId")
	if n := strings.Count(w.Ask("Subscriptions", `{"customerId":"`+customer+`"}`, "items"), "id:sub_"); n != 1 {
		t.Errorf("%d subscriptions", n)
	}
}

// TestMinimumFlow is a link that asks for a minimum in the wallet: whoever follows it sees that, and is subscribed once the wallet
// holds it. Without the money there is no subscription, however often the link is followed; with it in the wallet already nothing is
// asked for.
func TestMinimumFlow(t *testing.T) {
	clock := new(ahead)
	w, made := worldWith(t, clock.now), 0 // subscriptions
	var confirm, form string
	agree := func(minimum string, fields ...string) (session string, sent page) {
		clock.Add(int64(2 * time.Minute)) // one mail a minute is sent
		session, at := w.Authorize("ada@acorn.example", w.Plan, "https://oracle.example/back", minimum)
		w.get(at).wants(t, 200, "must hold at least <strong>"+minimum+".00 USD</strong>")
		w.submit(at).wants(t, 200, "Look into your mail")
		confirm = w.Link()
		form = hidden(w.get(confirm).wants(t, 200, "must hold at least <strong>"+minimum+".00 USD</strong>", "Agree and subscribe").body, "form")
		made++
		return session, w.submit(confirm, fields...).wants(t, 303)
	}
	subscription := func(session, field string) string {
		customer := w.Ask("Authorization", `{"authorizationId":"`+session+`"}`, "customerId")
		found := regexp.MustCompile(`id:(sub_\w+)`).FindAllStringSubmatch(w.Ask("Subscriptions", `{"customerId":"`+customer+`"}`, "items"), -1)
		if len(found) != made {
			t.Fatalf("%d subscriptions, want %d", len(found), made)
		}
		latest := slices.MaxFunc(found, func(a, b []string) int { return strings.Compare(a[1], b[1]) })
		return w.Ask("Subscription", `{"subscriptionId":"`+latest[1]+`"}`, field)
	}

	session, checkout := agree("20", "organization", "Acorn", "person", "Ada", "country", "us", "zip", "94105", "state", "CA")
	w.get(checkout.to).wants(t, 200, "20.00 USD", "Goes to your wallet", "The card is stored, so that Oracle Models can charge it")
	if status := subscription(session, "status"); status != "pending_payment" {
		t.Errorf("with nothing in the wallet it is %s", status)
	}
	customer := subscription(session, "customerId")
	if w.Try("ReportUsage", `{"customerId":"`+customer+`","merchantId":"`+w.Merchant.String()+`","idempotencyKey":"early","timestamp":"`+
		clock.now().UTC().Format(time.RFC3339Nano)+`","properties":[{"billableMetricId":"`+w.Metric+`","quantity":1}]}`) {
		t.Error("usage is taken before the wallet was topped up")
	}
	declined := w.submit(checkout.to, "do", "pay", "number", "4000 0000 0000 0002", "month", "12", "year", "40").wants(t, 303)
	w.get(declined.to).wants(t, 200, "declined", "Nothing was charged")
	w.submit(checkout.to, "do", "cancel").wants(t, 303)
	for range 2 { // the link goes on, and subscribes nobody again
		w.visit(http.MethodPost, confirm, url.Values{"form": {form}}).wants(t, 303)
	}
	if status := subscription(session, "status"); status != "terminated" {
		t.Errorf("whoever does not pay has a subscription that is %s", status)
	}

	session, checkout = agree("20")
	w.submit(checkout.to, "do", "pay", "number", "4242424242424242", "month", "12", "year", "40").wants(t, 303)
	if to := w.get(checkout.to).wants(t, 303).to; to != "https://oracle.example/back" {
		t.Errorf("sent to %s", to)
	}
	if status := subscription(session, "status"); status != "active" {
		t.Errorf("once it is paid it is %s", status)
	}
	home := w.get("/home").wants(t, 200, "20.00 USD", "visa ending in 4242")
	w.submit("/home", "do", "cancel", "merchant", w.Merchant.String(), "subscription", hidden(home.body, "subscription")).wants(t, 200)

	clock.Add(int64(2 * time.Minute))
	session, at := w.Authorize("ada@acorn.example", w.Plan, "https://oracle.example/back", "15")
	w.submit(at).wants(t, 200)
	confirm = w.Link()
	made++
	w.get(confirm).wants(t, 200, "must hold at least", "It holds 20.00 USD now")
	w.submit(confirm).wants(t, 303)
	if status := subscription(session, "status"); status != "active" {
		t.Errorf("with enough in the wallet it is %s", status)
	}
}

// TestAskedFlow is what a full consumer sees whom a merchant that it has not authorized subscribes: it refuses, or agrees and pays.
func TestAskedFlow(t *testing.T) {
	for _, agrees := range []bool{false, true} {
		w := newWorld(t)
		link := w.Do("CreateAuthorization", `{"email":"ada@acorn.example"}`)
		w.Do("CompleteAuthorization", `{"authorizationId":"`+link+`","consumer":{"name":"Acorn","email":"ada@acorn.example","address":{"country":"GB"}}}`)
		w.Do("WithdrawAuthorization", `{"consumerId":"`+w.Ask("Customer", `{"customerId":"`+w.Ask("Authorization", `{"authorizationId":"`+link+`"}`, "customerId")+`"}`, "consumerId")+`"}`)
		sub := w.Do("CreateSubscription", `{"customer":{"name":"A","email":"ada@acorn.example","address":{"country":"GB","zipCode":"E1"}},"planId":"`+w.Plan+`",
			"name":"Asked","startedAt":"`+time.Now().UTC().Format(time.RFC3339)+`","minimumAccountBalance":"20","redirectUrls":{"onSuccess":"https://oracle.example/back"}}`)
		args := `{"subscriptionId":"` + sub + `"}`
		_, at, _ := strings.Cut(strings.TrimSuffix(w.Ask("Subscription", args, "authorization"), "]"), "url:")
		w.submit(at).wants(t, 200, "Look into your mail")
		confirm := w.Link()
		w.get(confirm).wants(t, 200, "You go on as", "I do not want this")
		if !agrees {
			w.submit(confirm, "do", "refuse").wants(t, 200, "You have agreed to nothing")
			w.get(confirm).wants(t, 200, "You have agreed to nothing")
			if reason := w.Ask("Subscription", args, "terminationReason"); reason != "authorization refused" {
				t.Errorf("it ended because: %s", reason)
			}
			continue
		}
		checkout := w.submit(confirm).wants(t, 303)
		w.get(checkout.to).wants(t, 200, "20.00 USD")
		paid := w.submit(checkout.to, "do", "pay", "number", "4242424242424242", "month", "12", "year", "40").wants(t, 303)
		if to := w.get(paid.to).wants(t, 303).to; to != "https://oracle.example/back" {
			t.Errorf("sent to %s", to)
		}
		if status := w.Ask("Subscription", args, "status"); status != "active" {
			t.Errorf("it is %s", status)
		}
	}
}

// signIn signs in by mail, which works once.
func (w *world) signIn(email string) {
	w.submit("/signin", "email", strings.ToUpper(email)).wants(w.t, 200, "a link is on its way")
	link := w.Link()
	w.get(link).wants(w.t, 200, "Sign in")
	w.submit(link).wants(w.t, 303)
	w.get("/home").wants(w.t, 200, email)
	again := url.Values{"form": {hidden(w.get(link).body, "form")}}
	w.visit(http.MethodPost, link, again).wants(w.t, 404)
	w.Restart()
	w.visit(http.MethodPost, link, again).wants(w.t, 404)
	w.get("/home").wants(w.t, 200, email)
	w.submit("/signin", "email", "nobody@example.com").wants(w.t, 200, "a link is on its way")
	if w.Waiting() != 0 {
		w.t.Error("a mail to nobody")
	}
}

// hidden returns the value of the first hidden field of a name.
func hidden(body, name string) string {
	m := regexp.MustCompile(`name="` + name + `" value="([^"]+)"`).FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	return m[1]
}

// TestPortalAndInvoice shows a subscription by a link, its invoice, and how a line was computed. The wallet is its consumer's, and no
// business of the merchant who has made the link.
func TestPortalAndInvoice(t *testing.T) {
	w := newWorld(t)
	_, _ = w.signUp("ada@acorn.example")
	customer := w.Ask("Authorization", `{"authorizationId":"`+w.Do("CreateAuthorization", `{"email":"x@example.com"}`)+`"}`, "customerId")
	if customer != "<nil>" {
		t.Errorf("a session that nobody has followed has customer %s", customer)
	}
	home := w.get("/home").wants(t, 200)
	sub, wallet := hidden(home.body, "subscription"), hidden(home.body, "wallet")
	w.Do("TopUp", `{"walletId":"`+wallet+`","amount":"10","method":"sandbox"}`)
	of := w.Ask("Subscription", `{"subscriptionId":"`+sub+`"}`, "customerId")
	w.Use(of, 3, 10)
	consumer := w.Ask("Customer", `{"customerId":"`+of+`"}`, "consumerId")
	w.Do("CreateWallet", `{"ownedBy":"`+consumer+`","currency":"USD","name":"Team","initialBalance":"3000000000"}`)
	w.get("/home").wants(t, 200, "Wallet Team, for one subscription only", "3.00 USD")
	link, at := w.Portal(sub)
	shown := w.get(at).wants(t, 200, "Acorn Analytics", "Pro", "a wallet of your own", "Usage by day", "<rect", "Coming", "Payments")
	for _, secret := range []string{"9.70", "10.00 USD", wallet, "movements", "<form"} {
		if strings.Contains(shown.body, secret) {
			t.Errorf("the portal shows %q", secret)
		}
	}
	w.Do("TerminateSubscription", `{"subscriptionId":"`+sub+`","reason":"test"}`)
	portal := w.get(at).wants(t, 200, "terminated", "No. 1")
	inv := w.get(regexp.MustCompile(`/portal/[^"]+/invoices/[^"]+`).FindString(portal.body)).wants(t, 303)
	invoice := w.get(inv.to).wants(t, 200, "Invoice 1", "Oracle Models", "Acorn Analytics", "0.30 USD", "how it was computed")
	line := regexp.MustCompile(`/invoices/[^"]+/lines/[^"]+`).FindString(invoice.body)
	w.get(line).wants(t, 200, "k0", "k1", "k2", "0.10 USD")
	proof := w.get(line+"/proof").wants(t, 200, "tallystick-proof/1")
	if d := proof.header.Get("Content-Disposition"); !strings.Contains(d, "attachment") {
		t.Errorf("disposition %s", d)
	}
	w.Do("RevokePortal", `{"portalId":"`+link+`"}`)
	w.get(at).wants(t, 404)
}

// TestPortalOfManaged shows a managed consumer all it has: wallet, features with their grants, reservations and payments, and nothing
// to be changed.
func TestPortalOfManaged(t *testing.T) {
	w := newWorld(t)
	customer, sub := w.Managed()
	_, at := w.Portal(sub)
	shown := w.get(at).wants(t, 200, "Managed Ltd", "20.50 USD", "Reserved", "Included requests", "1,000", "Chat", "50 tokens of Tokens", "0 of 2", "0.50 USD", "start of the subscription", "completed", "21.00 USD", "movements")
	if strings.Contains(shown.body, "<form") || strings.Contains(shown.body, "<button") {
		t.Error("the portal changes something")
	}
	w.Use(customer, 2, 100)
	w.get(at).wants(t, 200, "18.50 USD")
}

// TestForgeries tries addresses and forms that were not made here.
func TestForgeries(t *testing.T) {
	w := newWorld(t)
	_, at := w.Authorize("ada@acorn.example", w.Plan, "")
	base, token := at[:strings.LastIndexByte(at, '/')+1], at[strings.LastIndexByte(at, '/')+1:]
	w.get(base+strings.Repeat("A", len(token))).wants(t, 404)
	w.get(strings.Replace(at, "/authorize/", "/checkout/", 1)).wants(t, 404)
	w.visit(http.MethodPost, at, url.Values{}).wants(t, 403)
	w.visit(http.MethodPost, at, url.Values{"form": {"0.AAAA"}}).wants(t, 403)
	w.visit(http.MethodPost, at, url.Values{"form": {strings.Repeat("x", 1<<20)}}).wants(t, 413)
	w.get(fmt.Sprintf("%s/%d/%s", at, time.Now().Add(time.Hour).Unix(), strings.Repeat("A", 32))).wants(t, 404)
	w.get("/signin/usr_01JHMPFN8000N0000000060000/99999999999/AAAA").wants(t, 404)
	req := "/home"
	w.get(req, "Cookie", "tally=usr_01JHMPFN8000N0000000060000.1.99999999999.AAAA").wants(t, 303)
	if w.Waiting() != 0 {
		t.Error("a forged form has sent mail")
	}
}

// subscriber signs somebody up who has paid for usage, and returns the subscription.
func (w *world) subscriber() (sub string) {
	w.t.Helper()
	_, _ = w.signUp("ada@acorn.example")
	home := w.get("/home").wants(w.t, 200)
	sub = hidden(home.body, "subscription")
	w.Do("TopUp", `{"walletId":"`+hidden(home.body, "wallet")+`","amount":"10","method":"sandbox"}`)
	w.Use(w.Ask("Subscription", `{"subscriptionId":"`+sub+`"}`, "customerId"), 3, 10)
	return sub
}

// TestInvoicePDF reads an invoice's file: it says what the page says, in other letters too, and is the same file each time. Letters that it has
// no room for, and what is not seen, do not stop it.
func TestInvoicePDF(t *testing.T) {
	w := newWorld(t)
	sub := w.subscriber()
	w.Do("CreateLineItem", `{"subscriptionId":"`+sub+`","displayName":"Receipt 🧾, 日本語 \u200dשלום","currency":"USD","quantity":1,"unitPrice":0.0001}`)
	w.Do("CreateLineItem", `{"subscriptionId":"`+sub+`","displayName":"Συμβουλή (Москва)","currency":"USD","quantity":3,"unitPrice":0.05,"invoiceAt":null}`)
	w.Do("TerminateSubscription", `{"subscriptionId":"`+sub+`","reason":"test"}`)
	at := regexp.MustCompile(`/invoices/[^"]+`).FindString(w.get("/home").body)
	w.get(at).wants(t, 200, at+"/pdf")
	file := w.get(at+"/pdf").wants(t, 200)
	if kind := file.header.Get("Content-Type"); kind != "application/pdf" {
		t.Errorf("type %s", kind)
	}
	text := pdfText(t, file.body)
	for _, want := range []string{"Invoice 1", "Oracle Models", "Acorn Analytics", "Συμβουλή (Москва)", "Receipt \ufffd, 日本語 שלום", "3 at 0.05 USD each", "Tokens", "30 tokens at 0.01 USD each", "0.30 USD", "page 1 of ", "0.15 USD", "0.45 USD"} {
		if !strings.Contains(text, want) {
			t.Errorf("the file does not say %q: %q", want, text)
		}
	}
	if again := w.get(at + "/pdf"); again.body != file.body {
		t.Error("the same invoice has given another file")
	}
	if dir := os.Getenv("PICTURES"); dir != "" {
		w.must(os.WriteFile(filepath.Join(dir, "invoice.pdf"), []byte(file.body), 0o600))
	}
	w.get(at[:len(at)-1]+"AAA/pdf").wants(t, 404)
}

// TestCreditNote follows the links to a credit note from home, portal and invoice: page and file say the same, and that it is void once
// it is. Of another invoice there is no such note.
func TestCreditNote(t *testing.T) {
	w := newWorld(t)
	sub := w.subscriber()
	_, portal := w.Portal(sub)
	w.Do("TerminateSubscription", `{"subscriptionId":"`+sub+`","reason":"test"}`)
	invoice := regexp.MustCompile(`/invoices/[^"]+`).FindString(w.get("/home").body)
	refund := `{"invoiceId":"` + regexp.MustCompile(`inv_\w+`).FindString(invoice) + `"`
	note := w.Do("RefundInvoice", refund+`,"reason":"Our fault & ours alone"}`)
	at := invoice + "/creditnotes/" + note
	w.get("/home").wants(t, 200, at, "Credit note of")
	w.get(invoice).wants(t, 200, at, "Credited", ", issued")
	shown := regexp.MustCompile(`/portal/[^"]+/creditnotes/[^"]+`).FindString(w.get(portal).wants(t, 200, "Credit note of").body)
	if to := w.get(shown).wants(t, 303).to; to != at {
		t.Errorf("the portal leads to %s, not to %s", to, at)
	}
	for _, says := range [][]string{{"issued", "is in your wallet again"}, {"void", "Voided", "taken back out"}} {
		says = append(says, note, "Credit note for invoice 1", "Oracle Models", "Acorn Analytics", "0.30 USD", "No. 1 of")
		w.get(at).wants(t, 200, append(says, "Our fault &amp; ours alone", invoice)...)
		file := w.get(at+"/pdf").wants(t, 200)
		text := pdfText(t, file.body)
		for _, want := range append(says, "Our fault & ours alone") {
			if !strings.Contains(text, want) {
				t.Errorf("the file does not say %q: %q", want, text)
			}
		}
		if again := w.get(at + "/pdf"); again.body != file.body {
			t.Error("the same credit note has given another file")
		}
		if says[0] == "issued" {
			w.Do("VoidInvoiceRefund", refund+`,"refundId":"`+note+`"}`)
		}
	}
	another := invoice + "/creditnotes/" + strings.Replace(w.Merchant.String(), "org_", "crn_", 1)
	w.get(another).wants(t, 404)
	w.get(another+"/pdf").wants(t, 404)
	w.get(strings.Replace(at, "/creditnotes/", "A/creditnotes/", 1)).wants(t, 404)
}

// TestOwedLess takes usage of an invoice back that is to be paid: its page names what is credited, and the credit note, which says what it is
// of; the address where it was to be paid leads to where what is left is.
func TestOwedLess(t *testing.T) {
	w := newWorld(t)
	calls := w.Do("CreateMetric", `{"name":"Calls","description":"d","unit":"calls","aggregation":"SUM","productId":"`+w.Product+`"}`)
	price := w.Do("CreatePrice", `{"billableMetricId":"`+calls+`","model":"standard","paymentTerm":"in_arrears","invoiceDisplayName":"Calls","properties":{"unitPrice":"0.5"}}`)
	plan := w.Do("CreatePlan", `{"name":"Later","currency":"USD","productId":"`+w.Product+`","prices":["`+price+`"]}`)
	customer := w.Do("CreateCustomer", `{"consumer":{"name":"Managed Ltd","email":"it@managed.example","address":{"country":"DE","zipCode":"10115"}}}`)
	now := time.Now().UTC().Format(time.RFC3339Nano)
	sub := w.Do("CreateSubscription", `{"name":"Later","customerId":"`+customer+`","planId":"`+plan+`","startedAt":"`+now+`"}`)
	var used []string
	for _, n := range []string{"10", "30"} {
		used = append(used, w.Do("ReportUsage", `{"customerId":"`+customer+`","idempotencyKey":"k`+n+`","timestamp":"`+now+`","properties":[{"billableMetricId":"`+calls+`","quantity":`+n+`}]}`))
	}
	w.Do("TerminateSubscription", `{"subscriptionId":"`+sub+`","reason":"test"}`)
	list := w.Ask("Invoices", `{"subscriptionId":"`+sub+`"}`, "items")
	invoice, before := regexp.MustCompile(`/invoices/\w+/[\w-]+`).FindString(list), regexp.MustCompile(`/checkout/[^ \]]+`).FindString(list)
	w.get(before).wants(t, 200, "Pay 20.00 USD")
	w.Do("RefundUsage", `{"usageEventId":"`+used[0]+`","reason":"Sent twice"}`)
	after := regexp.MustCompile(`/checkout/[^ \]]+`).FindString(w.Ask("Invoices", `{"subscriptionId":"`+sub+`"}`, "items"))
	w.get(before).wants(t, 200, "Less is to be paid", after)
	w.get(after).wants(t, 200, "Pay 15.00 USD")
	shown := w.get(invoice).wants(t, 200, "20.00 USD", "Credited", "5.00 USD", "To be paid", "15.00 USD")
	note := regexp.MustCompile(`/invoices/[^"]+/creditnotes/\w+`).FindString(shown.body)
	w.get(note).wants(t, 200, "Usage that was taken back", used[0], "5.00 USD", "So much less is to be paid", "Sent twice")
	for _, want := range []string{"Usage that was taken back", "So much less is to be paid"} {
		if text := pdfText(t, w.get(note+"/pdf").wants(t, 200).body); !strings.Contains(text, want) {
			t.Errorf("the file does not say %q: %q", want, text)
		}
	}
	w.get(regexp.MustCompile(`/invoices/[^"]+/lines/\w+`).FindString(shown.body)).wants(t, 200, "taken back on")
	w.Do("RefundUsage", `{"usageEventId":"`+used[1]+`"}`)
	w.get(after).wants(t, 200, "Less is to be paid", "There is nothing to pay now")
	w.get(invoice).wants(t, 200, "paid", "Credited", "20.00 USD", "0.00 USD")
}

// pdfText returns what a PDF shows, in the order in which it is drawn.
func pdfText(t *testing.T, file string) string {
	t.Helper()
	var text strings.Builder
	for rest := file; ; {
		_, after, ok := strings.Cut(rest, "stream\n")
		if !ok {
			return text.String()
		}
		stream, next, _ := strings.Cut(after, "\nendstream")
		rest = next
		z, err := zlib.NewReader(strings.NewReader(stream))
		if err != nil {
			continue // a font
		}
		page, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		for _, shown := range regexp.MustCompile(`(?s)\(((?:\\.|[^\\)])*)\) ?Tj`).FindAllSubmatch(page, -1) {
			plain := strings.NewReplacer(`\\`, `\`, `\(`, `(`, `\)`, `)`, `\r`, "\r").Replace(string(shown[1]))
			units := make([]uint16, len(plain)/2)
			for i := range units {
				units[i] = uint16(plain[2*i])<<8 | uint16(plain[2*i+1])
			}
			text.WriteString(string(utf16.Decode(units)) + "\n")
		}
	}
}
