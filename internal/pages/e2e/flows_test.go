//go:build e2e

package e2e_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"tallystick/internal/pages/pagestest"
	"tallystick/ledger"
)

// shop is the site of a merchant: a page that people come back to, and one that frames the address in its query.
func shop(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /back", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<!doctype html><title>Shop</title><h1>Welcome back</h1>")
	})
	mux.HandleFunc("GET /frame", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<!doctype html><title>Shop</title><iframe src="%s" width="700" height="700"></iframe><ol></ol><script>
			addEventListener("message", (e) => {
				const li = document.createElement("li");
				li.textContent = e.origin + " " + JSON.stringify(e.data);
				document.querySelector("ol").append(li);
			});</script>`, html.EscapeString(r.URL.Query().Get("of")))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "127.0.0.1", "localhost", 1) // of the same site as the pages, so that its frames are in reach
}

// newcomer is what somebody who signs up says.
var newcomer = []string{
	"organization", "Acorn Analytics", "person", "Ada Lovelace", "line1", "1 Oak Street", "zip", "94105", "city", "San Francisco", "state", "CA", "country", "us",
}

// ahead is a clock that goes ahead of the real one by what it is set to.
type ahead struct{ atomic.Int64 }

func (a *ahead) now() time.Time { return time.Now().Add(time.Duration(a.Load())) }

// card returns what somebody who pays types.
func card(number string) []string {
	return []string{"number", number, "month", "12", "year", "2040", "cvc", "123"}
}

const (
	goodCard     = "4242 4242 4242 4242"
	declinedCard = "4000 0000 0000 0002"
	actionCard   = "4000 0025 0000 3155"
	slowCard     = "4000 0000 0000 0077"
)

// signUp follows an authorization link up to where the consumer has agreed.
func signUp(b *browser, w *pagestest.World, back string) (session string) {
	b.t.Helper()
	session, at := w.Authorize("ada@acorn.example", w.Plan, back)
	b.visit(at)
	b.press("Send me the link")
	b.visit(w.Link())
	b.fill(newcomer...)
	b.press("Agree and subscribe")
	b.fill(card(goodCard)...)
	b.press("Store this card")
	return session
}

// TestAuthorization is way A of the first seed in a browser: a link, somebody who signs up, and the way back.
func TestAuthorization(t *testing.T) {
	w, b, site := pagestest.Open(t, time.Now), open(t), shop(t)
	session, at := w.Authorize("ada@acorn.example", w.Plan, site+"/back")
	b.visit(at)
	b.says("Oracle Models", "0.01 each", "as you use it", "ada@acorn.example")
	b.look("authorize")
	b.press("Send me the link")
	b.says("Look into your mail")
	b.look("mailed")
	b.visit(w.Link())
	b.says("Organization", "Agree and subscribe")
	b.look("confirm")
	b.fill(newcomer[:len(newcomer)-4]...)
	b.fill("country", "us")
	b.press("Agree and subscribe")
	b.says("There is a problem", "tax depends on the state")
	b.look("confirm-wrong")
	b.fill("state", "CA")
	b.press("Agree and subscribe")
	b.says("Add a payment method")
	b.look("add-method")
	b.fill(card(goodCard)...)
	b.press("Store this card")
	b.says("Welcome back")
	args := `{"authorizationId":"` + session + `"}`
	if status := w.Ask("Authorization", args, "status"); status != "completed" {
		t.Errorf("the session is %s", status)
	}
	customer := w.Ask("Authorization", args, "customerId")
	if subs := w.Ask("Subscriptions", `{"customerId":"`+customer+`"}`, "items"); !strings.Contains(subs, "active") {
		t.Errorf("subscriptions: %s", subs)
	}
}

// TestMinimum follows a link that asks for a minimum in the wallet: by the keyboard alone, on a phone.
func TestMinimum(t *testing.T) {
	clock := new(ahead)
	w, b, site := pagestest.Open(t, clock.now), open(t), shop(t)
	session, at := w.Authorize("ada@acorn.example", w.Plan, site+"/back", "20")
	b.visit(at)
	b.says("must hold at least 20.00 USD")
	b.look("minimum")
	b.screen(phoneWidth, "light")
	b.tabTo("main button")
	b.enter()
	b.visit(w.Link())
	b.says("must hold at least 20.00 USD")
	b.typeInto(newcomer)
	b.tabTo("main button")
	b.enter()
	b.says("Goes to your wallet", "20.00 USD")
	b.look("minimum-checkout")
	b.screen(phoneWidth, "light")
	customer := w.Ask("Authorization", `{"authorizationId":"`+session+`"}`, "customerId")
	if subs := w.Ask("Subscriptions", `{"customerId":"`+customer+`"}`, "items"); !strings.Contains(subs, "pending_payment") {
		t.Errorf("before the wallet holds it: %s", subs)
	}
	b.typeInto(card(goodCard))
	b.tabTo("button[value=pay]")
	b.enter()
	b.says("Welcome back")
	if subs := w.Ask("Subscriptions", `{"customerId":"`+customer+`"}`, "items"); !strings.Contains(subs, "status:active") {
		t.Errorf("once the wallet holds it: %s", subs)
	}
	b.visit(w.URL() + "/home")
	b.says("20.00 USD", "active")

	clock.Add(int64(2 * time.Minute))                                    // one mail a minute is sent
	_, at = w.Authorize("ada@acorn.example", w.Plan, site+"/back", "30") // who is known sees what there is
	b.visit(at)
	b.press("Send me the link")
	b.visit(w.Link())
	b.says("It holds 20.00 USD now")
	b.look("minimum-known")
}

// TestAsked is a full consumer whom a merchant subscribes that it has not authorized: it is asked, by the keyboard alone, on a phone.
func TestAsked(t *testing.T) {
	clock := new(ahead)
	w, b, site := pagestest.Open(t, clock.now), open(t), shop(t)
	signUp(b, w, site+"/back")
	clock.Add(int64(2 * time.Minute))
	b.visit(w.URL() + "/home")
	b.press("Cancel this subscription")
	b.press("Take it back")
	b.press("Sign out")
	sub := w.Do("CreateSubscription", `{"customer":{"name":"A","email":"ada@acorn.example","address":{"country":"US","state":"CA","zipCode":"94105"}},"planId":"`+w.Plan+`",
		"name":"Asked","startedAt":"`+clock.now().UTC().Format(time.RFC3339)+`","redirectUrls":{"onSuccess":"`+site+`/back"}}`)
	args := `{"subscriptionId":"` + sub + `"}`
	if status := w.Ask("Subscription", args, "status"); status != "pending_payment" {
		t.Errorf("before anybody has agreed it is %s", status)
	}
	b.visit(regexp.MustCompile(regexp.QuoteMeta(w.URL()) + `/authorize/[^\] ]+`).FindString(w.Ask("Subscription", args, "authorization")))
	b.look("asked")
	b.screen(phoneWidth, "light")
	b.tabTo("main button")
	b.enter()
	b.says("Look into your mail")
	b.visit(w.Link())
	b.says("You go on as ada@acorn.example", "I do not want this")
	b.look("asked-confirm")
	b.screen(phoneWidth, "light")
	b.tabTo("main button")
	b.enter()
	b.says("Welcome back")
	if status := w.Ask("Subscription", args, "status"); status != "active" {
		t.Errorf("once it is agreed to it is %s", status)
	}
	b.visit(w.URL() + "/home") // to agree signs in
	b.says("Asked", "active", "Whom you have authorized")
}

// TestCheckout pays a one-off payment: first with a card that is declined.
func TestCheckout(t *testing.T) {
	w, b, site := pagestest.Open(t, time.Now), open(t), shop(t)
	b.visit(payment(w, site))
	b.says("What you pay", "25.00 USD", "left")
	b.look("checkout")
	b.fill(card("4242 4242 4242")...)
	b.press("Pay 25.00 USD")
	b.says("This card cannot be used")
	b.look("checkout-wrong")
	b.fill(card(declinedCard)...)
	b.press("Pay 25.00 USD")
	b.says("declined", "Nothing was charged")
	b.look("checkout-declined")
	b.fill(card(actionCard)...)
	b.press("Pay 25.00 USD")
	b.says("asks you to confirm")
	b.look("checkout-action")
	b.press("Confirm the payment")
	b.says("Welcome back")
	if !strings.HasSuffix(b.at(), "/back?paid=yes") {
		t.Errorf("sent to %s", b.at())
	}
}

// payment makes a one-off payment, and returns where it is paid.
func payment(w *pagestest.World, site string) string {
	id := w.Do("CreatePayment", `{"amount":"25","currency":"USD","successRedirectUrl":"`+site+`/back?paid=yes","failureRedirectUrl":"`+site+`/back?paid=no"}`)
	return w.Ask("Payment", `{"paymentId":"`+id+`"}`, "paymentUrl")
}

// TestCheckoutIsSlow shows a payment that is under way, until it is not.
func TestCheckoutIsSlow(t *testing.T) {
	w, b, site := pagestest.Open(t, time.Now), open(t), shop(t)
	b.visit(payment(w, site))
	b.fill(card(slowCard)...)
	b.press("Pay 25.00 USD")
	b.waitFor(`document.body.innerText.includes("Welcome back")`)
}

// TestCheckoutCancelled goes back without having paid.
func TestCheckoutCancelled(t *testing.T) {
	w, b, site := pagestest.Open(t, time.Now), open(t), shop(t)
	b.visit(payment(w, site))
	b.press("Cancel")
	if !strings.HasSuffix(b.at(), "/back?paid=no") {
		t.Errorf("sent to %s", b.at())
	}
}

// TestNoScript signs up and pays with JavaScript switched off.
func TestNoScript(t *testing.T) {
	w, b, site := pagestest.Open(t, time.Now), open(t), shop(t)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	signUp(b, w, site+"/back")
	b.says("Welcome back")
	b.visit(payment(w, site))
	b.fill(card(goodCard)...)
	b.press("Pay 25.00 USD")
	b.says("Welcome back")
}

// TestKeyboard signs up and pays without a mouse.
func TestKeyboard(t *testing.T) {
	w, b, site := pagestest.Open(t, time.Now), open(t), shop(t)
	_, at := w.Authorize("ada@acorn.example", w.Plan, site+"/back")
	b.visit(at)
	b.tabTo("main button")
	b.enter()
	b.visit(w.Link())
	b.typeInto(newcomer)
	b.tabTo("main button")
	b.enter()
	for _, page := range []string{b.at(), payment(w, site)} { // storing a card comes first
		b.visit(page)
		b.typeInto(card(goodCard))
		b.tabTo("button[value=pay]")
		b.enter()
		b.says("Welcome back")
	}
}

// TestFrame pays in a frame of the merchant's site, which is told how it went. Another site may not frame the page.
func TestFrame(t *testing.T) {
	w, b, site := pagestest.Open(t, time.Now), open(t), shop(t)
	at := payment(w, site)
	b.visit(site + "/frame?of=" + at)
	frames, err := chromedp.Run(b.tab, chromedp.Nodes(chromedp.CSS("iframe")))
	b.must(err)
	b.in = []chromedp.QueryOption{chromedp.FromNode(frames[0])}
	b.fill(card(goodCard)...)
	b.photograph("framed")
	b.do(chromedp.Click(chromedp.CSS("button[value=pay]"), b.in...))
	b.waitFor(`document.querySelector("li")?.textContent.includes("payment_success")`)
	if said := b.text(); !strings.Contains(said, w.URL()+" {") || !strings.Contains(said, `"status":"completed"`) {
		t.Errorf("the site was told %s", said)
	}
	b.photograph("framed-paid")

	other := payment(w, site)
	w.Do("CancelSession", `{"paymentSessionId":"`+regexp.MustCompile(`ps_\w+`).FindString(other)+`"}`)
	b.visit(site + "/frame?of=" + other)
	b.waitFor(`document.querySelector("li")?.textContent.includes("payment_error")`)

	stranger := shop(t)
	b.complaints()
	b.visit(stranger + "/frame?of=" + payment(w, site))
	b.waitFor(`document.querySelector("iframe") !== null`)
	b.photograph("framed-by-a-stranger")
	if said := strings.Join(b.complaints(), "; "); !strings.Contains(said, "frame-ancestors") {
		t.Errorf("a stranger frames the page: %s", said)
	}
}

// TestExpired looks on while a link for a payment method expires.
func TestExpired(t *testing.T) {
	w, b := pagestest.Open(t, time.Now), open(t)
	customer := w.Do("CreateCustomer", `{"consumer":{"name":"Managed Ltd","email":"it@managed.example","address":{"country":"DE"}}}`)
	const term = 9 * time.Second // what is left for the page to come
	until := time.Now().Add(term).UTC().Format(time.RFC3339Nano)
	session := w.Do("SetupPaymentMethod", `{"customerId":"`+customer+`","expiresAt":"`+until+`"}`)
	b.visit(w.Ask("PaymentSession", `{"paymentSessionId":"`+session+`"}`, "url"))
	b.says("Add a payment method", "(0 min 0")
	b.waitFor(`document.body.innerText.includes("This payment link has expired")`)
	b.look("expired")
}

// TestHome signs in by mail, tops up, looks at an invoice and at how it was computed, and cancels.
func TestHome(t *testing.T) {
	w, b := pagestest.Open(t, time.Now), open(t)
	session := signUp(b, w, "")
	customer := w.Ask("Authorization", `{"authorizationId":"`+session+`"}`, "customerId")
	b.visit(w.URL() + "/home")
	b.says("Acorn Analytics", "Oracle Models", "active")
	b.press("Sign out")
	b.look("signin")
	b.fill("email", "ada@acorn.example")
	b.press("Send me a link")
	b.says("a link is on its way")
	b.visit(w.Link())
	b.look("signin-link")
	b.press("Sign in")
	b.fill("amount", "25")
	b.press("Top up")
	b.says("25.00 USD")
	b.fill(card(goodCard)...)
	b.press("Pay 25.00 USD")
	b.says("25.00 USD", "Acorn Analytics")
	w.Use(customer, 3, 10)
	b.visit(w.URL() + "/home")
	b.says("24.70 USD")
	b.look("home")
	b.press("Coming")
	b.look("invoice-draft")
	b.visit(w.URL() + "/home")
	b.press("Cancel this subscription")
	b.says("terminated", "cancelled by the customer")
	b.press("No. 1")
	b.says("Invoice 1", "0.30 USD")
	b.look("invoice")
	b.print("invoice")
	b.press("how it was computed")
	b.says("30 tokens in 3 usage events")
	b.look("line")
	checkProof(t, w, evaluate[string](b, `document.querySelector("a.button").href`))
	w.Do("RefundInvoice", `{"invoiceId":"`+regexp.MustCompile(`inv_\w+`).FindString(b.at())+`","reason":"Our fault"}`)
	b.visit(w.URL() + "/home")
	b.press("Credit note of")
	b.says("Credit note for invoice 1", "Our fault", "0.30 USD", "in your wallet again")
	b.look("credit-note")
	b.print("credit-note")
	b.press("No. 1 of")
	b.says("Credited", "Invoice 1")
	b.look("invoice-credited")
	b.visit(w.URL() + "/home")
	b.press("Take it back")
	if strings.Contains(b.text(), "Whom you have authorized") {
		t.Error("the authorization was not taken back")
	}
}

// checkProof gets the proof at an address, and checks it with the public key of the ledger alone.
func checkProof(t *testing.T, w *pagestest.World, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	proof, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ledger.Verifiers(w.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	proven, err := ledger.CheckProof(proof, keys)
	if err != nil || len(proven.Usage) != 3 {
		t.Errorf("%.200s proves %+v: %v", proof, proven, err)
	}
}

// TestPortal looks at what a managed consumer is shown.
func TestPortal(t *testing.T) {
	w, b := pagestest.Open(t, time.Now), open(t)
	customer, sub := w.Managed()
	w.Use(customer, 12, 7)
	link, at := w.Portal(sub)
	b.visit(at)
	b.says("Managed Ltd", "Usage by day", "19.66 USD", "Included requests", "Reserved for usage", "Payments")
	if n := evaluate[int](b, `document.querySelectorAll("svg rect").length`); n != 1 {
		t.Errorf("%d bars", n)
	}
	if n := evaluate[int](b, `document.querySelectorAll("form").length`); n != 0 {
		t.Error("the portal changes something")
	}
	b.do(chromedp.Click(chromedp.CSS("summary")))
	b.look("portal")
	w.Do("RevokePortal", `{"portalId":"`+link+`"}`)
	b.visit(at)
	b.says("Not found")
	b.look("nothing")
}
