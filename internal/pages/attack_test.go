package pages_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tallystick/events"
	"tallystick/internal/pages/pagestest"
	"tallystick/internal/server"
)

// ahead is a clock that goes ahead of the real one by what it is set to.
type ahead struct{ atomic.Int64 }

func (a *ahead) now() time.Time { return time.Now().Add(time.Duration(a.Load())) }

// worldWith is newWorld with a clock, and with what is other than usual.
func worldWith(t *testing.T, clock func() time.Time, with ...func(*server.Config, *server.Doors)) *world {
	t.Helper()
	w := &world{World: pagestest.Open(t, clock, with...), t: t}
	w.visitor = w.browser()
	return w
}

// browser returns a browser of sorts, with cookies of its own.
func (w *world) browser() *http.Client {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	w.must(err)
	c := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	w.t.Cleanup(c.CloseIdleConnections)
	return c
}

// TestLinksEnd opens links that were good once: after their time, after they were revoked, after their page was open for too long.
func TestLinksEnd(t *testing.T) {
	clock := new(ahead)
	w := worldWith(t, clock.now)
	w.signUp("ada@acorn.example")
	home := w.get("/home").wants(t, 200)
	sub := hidden(home.body, "subscription")
	_, late := w.Portal(sub)
	revoked, taken := w.Portal(sub)
	w.get(late).wants(t, 200)
	w.get(taken).wants(t, 200)
	w.Do("RevokePortal", `{"portalId":"`+revoked+`"}`)
	w.get(taken).wants(t, 404)
	w.get(taken+"/invoices/"+regexp.MustCompile(`inv_\w+`).FindString(home.body)).wants(t, 404)

	w.submit("/signin", "email", "ada@acorn.example").wants(t, 200)
	signIn := w.Link()
	_, authorize := w.Authorize("new@example.com", w.Plan, "")
	w.submit(authorize).wants(t, 200)
	confirm := w.Link()
	w.get(signIn).wants(t, 200)
	w.get(confirm).wants(t, 200)
	clock.Add(int64(59 * time.Minute))
	w.get(late).wants(t, 200)
	w.get(signIn).wants(t, 404)
	w.get(confirm).wants(t, 404)
	clock.Add(int64(2 * time.Minute))
	w.get(late).wants(t, 404)

	form := url.Values{"form": {hidden(w.get("/home").body, "form")}, "do": {"nothing"}}
	clock.Add(int64(14 * time.Hour))
	w.visit(http.MethodPost, "/home", form).wants(t, 403, "open for too long")
	clock.Add(int64(14 * 24 * time.Hour))
	w.get("/home").wants(t, 303) // nobody stays signed in for ever
	w.get(authorize).wants(t, 200, "This link has expired")
	w.visit(http.MethodPost, authorize, url.Values{"form": {hidden(w.get("/signin").body, "form")}}).wants(t, 403)
}

// TestPurposes uses the token of a link for every other purpose, for the same thing and for others: it opens nothing.
func TestPurposes(t *testing.T) {
	w := newWorld(t)
	w.signUp("ada@acorn.example")
	home := w.get("/home").wants(t, 200)
	_, portal := w.Portal(hidden(home.body, "subscription"))
	_, authorize := w.Authorize("new@example.com", w.Plan, "")
	payment := w.Ask("Payment", `{"paymentId":"`+w.Do("CreatePayment", `{"amount":"25","currency":"USD"}`)+`"}`, "paymentUrl")
	invoice := w.URL() + regexp.MustCompile(`/invoices/[^"]+`).FindString(home.body)
	type link struct{ kind, prefix, id, token string }
	var links []link
	for _, at := range []string{portal, authorize, payment, invoice} {
		w.get(at).wants(t, 200)
		parts := strings.Split(strings.TrimPrefix(at, w.URL()+"/"), "/")
		prefix, id, _ := strings.Cut(parts[1], "_")
		links = append(links, link{parts[0], prefix, id, parts[2]})
	}
	for _, to := range links {
		for _, from := range links {
			if to == from {
				continue
			}
			for _, id := range []string{to.id, from.id} { // the thing of this purpose, and the same bytes under its name
				at := "/" + to.kind + "/" + to.prefix + "_" + id + "/" + from.token
				if p := w.get(at); p.status != 404 {
					t.Errorf("the token of %s for %s: %d", from.kind, at, p.status)
				}
				if p := w.visit(http.MethodPost, at, url.Values{"form": {"x"}}); p.status != 404 && p.status != 405 {
					t.Errorf("a form with the token of %s for %s: %d", from.kind, at, p.status)
				}
			}
		}
	}

	w.submit("/signin", "email", "ada@acorn.example").wants(t, 200)
	signIn := strings.Split(strings.TrimPrefix(w.Link(), w.URL()+"/"), "/")
	w.submit(authorize).wants(t, 200)
	holder := strings.Split(strings.TrimPrefix(w.Link(), authorize+"/"), "/")
	w.get(authorize+"/"+signIn[2]+"/"+signIn[3]).wants(t, 404)
	w.get("/signin/"+signIn[1]+"/"+holder[0]+"/"+holder[1]).wants(t, 404)
	w.get("/signin/"+signIn[1]+"/"+signIn[2]+"0/"+signIn[3]).wants(t, 404) // good for longer than was said
	w.visitor = w.browser()
	for _, proof := range []string{signIn[3], holder[1]} { // proofs of mail are no session
		w.get("/home", "Cookie", "tally="+signIn[1]+"."+"1."+signIn[2]+"."+proof).wants(t, 303)
	}
}

// TestFormTokens sends the form of another session, of another page, and forms that other sites would have a browser send.
func TestFormTokens(t *testing.T) {
	w := newWorld(t)
	w.signUp("ada@acorn.example")
	ada := w.visitor
	theirs := hidden(w.get("/home").body, "form")
	w.visitor = w.browser()
	w.signUp("bob@birch.example")
	head := w.Head()
	own := hidden(w.get("/home").body, "form")
	if own == theirs {
		t.Error("two sessions have the same token")
	}
	for name, token := range map[string]string{
		"of another session": theirs, "of another page": hidden(w.get("/signin").body, "form"), "none": "", "no token": "0.AAAA", "cut": own[:len(own)-1], "longer": own + "A",
	} {
		p := w.visit(http.MethodPost, "/home", url.Values{"form": {token}, "do": {"cancel"}, "merchant": {w.Merchant.String()}, "subscription": {hidden(w.get("/home").body, "subscription")}})
		if p.status != 403 {
			t.Errorf("a token, %s: %d", name, p.status)
		}
	}
	w.visit(http.MethodPost, "/home?form="+own, url.Values{"do": {"signout"}}).wants(t, 403) // an address is no form
	good := url.Values{"form": {own}, "do": {"signout"}}
	for _, from := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
	} {
		w.visit(http.MethodPost, "/home", good, from...).wants(t, 403)
	}
	w.visit(http.MethodPost, "/home", good, "Sec-Fetch-Site", "same-origin").wants(t, 303)
	head++ // that somebody has signed out
	// Whoever has signed up has a link of their own, and its form's token: nobody else's browser takes it.
	w.submit("/signin", "email", "bob@birch.example").wants(t, 200)
	link := w.Link()
	trap := url.Values{"form": {hidden(w.get(link).body, "form")}}
	w.visitor = ada
	w.visit(http.MethodPost, link, trap, "Sec-Fetch-Site", "cross-site").wants(t, 403)
	w.get("/home").wants(t, 200, "ada@acorn.example")
	if now := w.Head(); now != head {
		t.Errorf("%d records were written", now-head)
	}
}

// TestSignOut signs out with cookies that were copied before: none of them opens anything afterwards, nor after a restart, and whoever
// signs in again is signed in.
func TestSignOut(t *testing.T) {
	clock := new(ahead)
	w := worldWith(t, clock.now)
	w.signUp("ada@acorn.example")
	at, err := url.Parse(w.URL())
	w.must(err)
	copied := w.visitor.Jar.Cookies(at)[0]
	first := copied.Name + "=" + copied.Value
	second := w.browser()
	mine := w.visitor
	w.visitor = second
	w.submit("/signin", "email", "ada@acorn.example").wants(t, 200)
	w.submit(w.Link()).wants(t, 303)
	w.get("/home").wants(t, 200, "ada@acorn.example")
	w.visitor = mine
	form := hidden(w.get("/home").body, "form")
	w.submit("/home", "do", "signout").wants(t, 303)

	w.get("/home").wants(t, 303)
	w.visitor = second
	w.get("/home").wants(t, 303)
	w.visitor = w.browser()
	w.get("/home", "Cookie", first).wants(t, 303)
	w.visit(http.MethodPost, "/home", url.Values{"form": {form}, "do": {"withdraw"}, "merchant": {w.Merchant.String()}}, "Cookie", first).wants(t, 303)
	w.Restart()
	w.get("/home", "Cookie", first).wants(t, 303)
	clock.Add(int64(2 * time.Minute)) // one mail a minute is sent
	w.submit("/signin", "email", "ada@acorn.example").wants(t, 200)
	w.submit(w.Link()).wants(t, 303)
	w.get("/home").wants(t, 200, "ada@acorn.example", "Whom you have authorized")
}

// TestOthersThings names what is another consumer's in the forms of one's home.
func TestOthersThings(t *testing.T) {
	w := newWorld(t)
	w.signUp("ada@acorn.example")
	ada := w.get("/home").wants(t, 200).body
	w.visitor = w.browser()
	w.signUp("bob@birch.example")
	bob := w.get("/home").wants(t, 200).body
	head := w.Head()
	merchant := w.Merchant.String()
	stranger := events.OrganizationID{15: 9}.String()
	for _, fields := range [][]string{
		{"do", "topup", "wallet", hidden(ada, "wallet"), "amount", "25"},
		{"do", "topup", "wallet", "", "amount", "25"},
		{"do", "topup", "wallet", hidden(bob, "wallet"), "amount", "-25"},
		{"do", "topup", "wallet", hidden(bob, "wallet"), "amount", "9999999"},
		{"do", "cancel", "merchant", merchant, "subscription", hidden(ada, "subscription")},
		{"do", "cancel", "merchant", stranger, "subscription", hidden(bob, "subscription")},
		{"do", "cancel", "merchant", "org_", "subscription", hidden(bob, "subscription")},
		{"do", "removemethod", "method", hidden(ada, "method")},
		{"do", "withdraw", "merchant", stranger},
		{"do", "erase"},
		{"do", ""},
	} {
		if p := w.submit("/home", fields...); p.status < 400 || p.status >= 500 {
			t.Errorf("%q: %d %s", fields, p.status, p.body)
		} else if strings.Contains(p.body, "ada@") || strings.Contains(p.body, hidden(ada, "wallet")) && fields[1] != "topup" {
			t.Errorf("%q shows what is another's: %s", fields, p.body)
		}
	}
	if now := w.Head(); now != head {
		t.Errorf("%d records were written", now-head)
	}
}

// TestCookie looks at the cookie of whoever has signed in, behind TLS and without it.
func TestCookie(t *testing.T) {
	t.Run("without TLS", func(t *testing.T) {
		w := newWorld(t)
		cookie := w.welcome("ada@acorn.example").header.Get("Set-Cookie")
		if !strings.HasPrefix(cookie, "tally=usr_") || !strings.Contains(cookie, "; HttpOnly; SameSite=Lax") || !strings.Contains(cookie, "Path=/;") || strings.Contains(cookie, "Secure") {
			t.Errorf("cookie %q", cookie)
		}
	})
	t.Run("behind TLS", func(t *testing.T) {
		w := worldWith(t, time.Now, func(c *server.Config, _ *server.Doors) { c.PublicURL = "https://bill.example" })
		p := w.welcome("ada@acorn.example")
		cookie := p.header.Get("Set-Cookie")
		if !strings.HasPrefix(cookie, "__Host-tally=usr_") || !strings.Contains(cookie, "; HttpOnly; Secure; SameSite=Lax") || strings.Contains(cookie, "Domain") {
			t.Errorf("cookie %q", cookie)
		}
		if hsts := p.header.Get("Strict-Transport-Security"); hsts == "" {
			t.Error("browsers are not told to stay with TLS")
		}
		value, _, _ := strings.Cut(cookie, ";")
		w.visitor = w.browser()
		w.get(w.Local()+"/home", "Cookie", value).wants(t, 200, "ada@acorn.example")
		w.get(w.Local()+"/home", "Cookie", strings.TrimPrefix(value, "__Host-")).wants(t, 303) // a neighbour could have set it
		w.get(w.Local()+"/home", "Cookie", value[:len(value)-1]).wants(t, 303)
	})
}

// welcome signs up, and returns the answer that signs in.
func (w *world) welcome(email string) page {
	w.t.Helper()
	_, at := w.Authorize(email, w.Plan, "")
	local := func(at string) string { return w.Local() + strings.TrimPrefix(at, w.URL()) }
	w.submit(local(at)).wants(w.t, 200)
	return w.submit(local(w.Link()), "organization", "Acorn", "person", "Ada", "country", "us", "zip", "94105", "state", "CA").wants(w.t, 303)
}

// TestHeaders looks at what every answer tells a browser, errors too, and at who may frame a page.
func TestHeaders(t *testing.T) {
	w := newWorld(t)
	w.signUp("ada@acorn.example")
	home := w.get("/home").wants(t, 200)
	_, portal := w.Portal(hidden(home.body, "subscription"))
	_, authorize := w.Authorize("new@example.com", w.Plan, "https://oracle.example/back")
	w.submit(authorize)
	invoice := regexp.MustCompile(`/invoices/[^"]+`).FindString(home.body)
	framed := w.Ask("Payment", `{"paymentId":"`+w.Do("CreatePayment", `{"amount":"25","currency":"USD","successRedirectUrl":"https://oracle.example/a","failureRedirectUrl":"https://shop.example:8443/b"}`)+`"}`, "paymentUrl")
	alone := w.Ask("Payment", `{"paymentId":"`+w.Do("CreatePayment", `{"amount":"25","currency":"USD"}`)+`"}`, "paymentUrl")
	var shown []page
	for _, at := range []string{"/signin", "/home", authorize, w.Link(), portal, invoice, invoice + "/pdf", alone, "/assets/style.css", "/assets/checkout.js", "/assets/", "/checkout/x/y", "/portal/a/b", "/signin/a/b/c"} {
		shown = append(shown, w.get(at))
	}
	for _, at := range []string{"/home", "/signin", authorize, alone} {
		shown = append(shown, w.visit(http.MethodPost, at, url.Values{}), w.visit(http.MethodPost, at, url.Values{}, "Origin", "https://evil.example"))
	}
	for i, p := range shown {
		policy := p.header.Get("Content-Security-Policy")
		for _, must := range []string{"default-src 'none'", "style-src 'self'", "script-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, must) {
				t.Errorf("answer %d (%d): the policy %q lacks %q", i, p.status, policy, must)
			}
		}
		for _, h := range [][2]string{{"X-Content-Type-Options", "nosniff"}, {"X-Frame-Options", "DENY"}, {"Referrer-Policy", "same-origin"}, {"Cross-Origin-Opener-Policy", "same-origin"}} {
			if got := p.header.Get(h[0]); got != h[1] {
				t.Errorf("answer %d (%d): %s is %q", i, p.status, h[0], got)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(p.body, "<script>") || strings.Contains(p.body, "style.css\n") {
			t.Errorf("answer %d (%d): %s: %s", i, p.status, policy, p.body)
		}
		if cache := p.header.Get("Cache-Control"); cache != "no-store" && !strings.HasPrefix(p.header.Get("Content-Type"), "text/css") && !strings.HasPrefix(p.header.Get("Content-Type"), "text/javascript") {
			t.Errorf("answer %d (%d) may be kept: %q", i, p.status, cache)
		}
	}
	p := w.get(framed).wants(t, 200)
	if policy := p.header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "frame-ancestors https://oracle.example https://shop.example:8443") || p.header.Get("X-Frame-Options") != "" {
		t.Errorf("a checkout may be framed by %s", policy)
	}
}

// TestRedirects tries to be sent elsewhere than the merchant has said, and merchants' addresses that would change a policy.
func TestRedirects(t *testing.T) {
	w := newWorld(t)
	evil := "https://evil.example/"
	pay := w.Ask("Payment", `{"paymentId":"`+w.Do("CreatePayment", `{"amount":"25","currency":"USD","successRedirectUrl":"https://oracle.example/good","failureRedirectUrl":"https://oracle.example/bad"}`)+`"}`, "paymentUrl")
	query := "?successRedirectUrl=" + evil + "&redirectUrl=" + evil + "&return=" + evil + "&next=" + evil
	if p := w.get(pay+query).wants(t, 200); strings.Contains(p.body, "evil") || strings.Contains(p.header.Get("Content-Security-Policy"), "evil") {
		t.Errorf("the page leads to %s", evil)
	}
	token := hidden(w.get(pay).body, "form")
	paid := w.visit(http.MethodPost, pay+query, url.Values{"form": {token}, "do": {"pay"}, "number": {"4242424242424242"}, "month": {"12"}, "year": {"40"}, "onSuccess": {evil}, "successRedirectUrl": {evil}}).wants(t, 303)
	if strings.Contains(paid.to, "evil") {
		t.Errorf("sent to %s", paid.to)
	}
	if p := w.get(pay+query, "Referer", evil, "X-Forwarded-Host", "evil.example").wants(t, 303); p.to != "https://oracle.example/good" {
		t.Errorf("sent to %s", p.to)
	}
	for _, at := range []string{"//evil.example/home", "/%2f%2fevil.example", "/home/..//evil.example", "/\\evil.example", "//evil.example/%2e%2e/signin"} {
		if p := w.visit(http.MethodGet, w.URL()+at, nil); strings.HasPrefix(p.to, "//") || strings.HasPrefix(p.to, "/\\") || strings.HasPrefix(p.to, "http") && !strings.HasPrefix(p.to, w.URL()+"/") {
			t.Errorf("%s leads to %s", at, p.to)
		}
	}
	w.visit(http.MethodGet, "/home", nil, "Host", "evil.example").wants(t, 303)
	head := w.Head()
	for _, to := range []string{
		"javascript:alert(1)", "data:text/html,x", "//evil.example", "/back", "https://", "ftp://a.example", "https://oracle.example@evil.example/", "https://*",
		"https://a.example;script-src", "https://a,b.example", "https://'self'", "https://a.example%3bx/", "https://a\\nb",
	} {
		for name, body := range map[string]string{
			"CreatePayment": `{"amount":"25","currency":"USD","successRedirectUrl":%q}`, "CreateAuthorization": `{"email":"x@example.com","redirectUrl":%q}`,
		} {
			if w.Try(name, fmt.Sprintf(body, to)) {
				t.Errorf("%s takes %q", name, to)
			}
		}
	}
	if now := w.Head(); now != head {
		t.Errorf("%d records were written", now-head)
	}
}

// asked returns how often a sign-in is allowed within two minutes, at most 70 times, with headers as given for each attempt.
func (w *world) asked(headers func(i int) []string) (allowed int) {
	w.t.Helper()
	form := url.Values{"form": {hidden(w.get("/signin").body, "form")}, "email": {"nobody@example.com"}}
	const most = 70 // more than twice what a minute allows, for one may end meanwhile
	for i := range most {
		if p := w.visit(http.MethodPost, "/signin", form, headers(i)...); p.status == 200 {
			allowed++
		} else if p.status != 429 || p.header.Get("Retry-After") == "" {
			w.t.Fatalf("status %d", p.status)
		}
	}
	return allowed
}

// TestSignInBehindProxies counts sign-ins by where they come from: a proxy that is trusted says where, and nobody else.
func TestSignInBehindProxies(t *testing.T) {
	apart := func(i int) []string { return []string{"X-Forwarded-For", fmt.Sprintf("10.1.%d.%d", i/200, i%200)} }
	trusted := func(text string) func(*server.Config, *server.Doors) {
		return func(_ *server.Config, d *server.Doors) { d.Proxies = []netip.Prefix{netip.MustParsePrefix(text)} }
	}
	for _, tt := range []struct {
		what    string
		world   *world
		headers func(i int) []string
		all     bool // are allowed, for they come from different places
	}{
		{"no proxy is trusted", newWorld(t), apart, false},
		{"another is trusted", worldWith(t, time.Now, trusted("192.0.2.0/24")), apart, false},
		{"visitors of a trusted proxy", worldWith(t, time.Now, trusted("127.0.0.0/8")), apart, true},
		{"one visitor of it", worldWith(t, time.Now, trusted("127.0.0.0/8")), func(int) []string { return []string{"X-Forwarded-For", "198.51.100.7"} }, false},
		{"one visitor who lies to it", worldWith(t, time.Now, trusted("127.0.0.0/8")), func(i int) []string {
			return []string{"X-Forwarded-For", fmt.Sprintf("10.0.0.%d, 198.51.100.7", i)}
		}, false},
		{"two proxies in a row", worldWith(t, time.Now, trusted("127.0.0.1/32"), func(_ *server.Config, d *server.Doors) {
			d.Proxies = append(d.Proxies, netip.MustParsePrefix("10.9.9.9/32"))
		}), func(i int) []string {
			return []string{"X-Forwarded-For", fmt.Sprintf("198.51.100.%d:4%03d, 10.9.9.9", i, i)}
		}, true},
		{"one network of the sixth version", worldWith(t, time.Now, trusted("127.0.0.0/8")), func(i int) []string {
			return []string{"X-Forwarded-For", fmt.Sprintf("2001:db8:1:2::%x", i)}
		}, false},
		{"no address", worldWith(t, time.Now, trusted("127.0.0.0/8")), func(i int) []string { return []string{"X-Forwarded-For", fmt.Sprintf("unknown-%d", i)} }, false},
	} {
		allowed := tt.world.asked(tt.headers)
		if tt.all != (allowed == 70) {
			t.Errorf("%s: %d of 70 are allowed", tt.what, allowed)
		}
	}
}

// TestSignInTellsNobody asks for links to addresses that have signed up and to some that have not: all answers are alike.
func TestSignInTellsNobody(t *testing.T) {
	w := newWorld(t)
	w.signUp("ada@acorn.example")
	w.Do("CreateCustomer", `{"consumer":{"name":"Managed","email":"it@managed.example","address":{"country":"DE"}}}`)
	w.visitor = w.browser()
	head := w.Head()
	like := ""
	for _, email := range []string{"ada@acorn.example", "nobody@example.com", "it@managed.example", "no address", ""} {
		p := w.submit("/signin", "email", email).wants(t, 200)
		if p.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: a cookie is set", email)
		}
		said := strings.ReplaceAll(p.body, email+" has signed up", "X has signed up")
		if like == "" {
			like = said
		}
		if said != like {
			t.Errorf("%s is answered %s", email, said)
		}
	}
	if link := w.Link(); !strings.Contains(link, "/signin/usr_") {
		t.Errorf("link %s", link)
	}
	if now := w.Head(); now != head || w.Waiting() != 0 {
		t.Errorf("%d records were written, and %d more mails sent", now-head, w.Waiting())
	}
}
