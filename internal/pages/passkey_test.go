package pages_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// device keeps one passkey, as an authenticator does. What it answers can be changed, as an attacker might.
type device struct {
	t       *testing.T
	key     *ecdsa.PrivateKey
	id      []byte
	user    []byte // whose it is
	counter uint32
	origin  string // of the page that it is asked on
	party   string
	flags   byte
	ceremony
}

// ceremony names what is signed.
type ceremony struct{ create, get string }

// The flags of what a device says: somebody was there, it was its user, and there is a new key.
const (
	wasThere, wasUser, hasKey = 0x01, 0x04, 0x40
)

func (w *world) device(id string) *device {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	return &device{
		t: w.t, key: key, id: []byte(id), origin: w.URL(), party: "localhost", flags: wasThere | wasUser,
		ceremony: ceremony{"webauthn.create", "webauthn.get"},
	}
}

func url64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (d *device) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// said returns what the browser says that it was asked.
func (d *device) said(kind, challenge string) []byte {
	b, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": d.origin, "crossOrigin": false})
	d.must(err)
	return b
}

// about returns what the device says of itself.
func (d *device) about(flags byte) []byte {
	hash := sha256.Sum256([]byte(d.party))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), d.counter)
}

func (d *device) answer(response map[string]string) string {
	b, err := json.Marshal(map[string]any{"id": url64(d.id), "rawId": url64(d.id), "type": "public-key", "response": response, "clientExtensionResults": map[string]any{}})
	d.must(err)
	return string(b)
}

// make makes the passkey that a page asks for.
func (d *device) make(challenge string) string {
	public, err := d.key.PublicKey.Bytes() // 4, x, y
	d.must(err)
	key, err := cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: public[1:33], -3: public[33:]})
	d.must(err)
	about := append(d.about(d.flags|hasKey), make([]byte, 16)...)
	about = append(binary.BigEndian.AppendUint16(about, uint16(len(d.id))), d.id...)
	object, err := cbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": append(about, key...)})
	d.must(err)
	return d.answer(map[string]string{"clientDataJSON": url64(d.said(d.create, challenge)), "attestationObject": url64(object)})
}

// sign answers a challenge.
func (d *device) sign(challenge string) string {
	said, about := d.said(d.get, challenge), d.about(d.flags)
	asked := sha256.Sum256(said)
	digest := sha256.Sum256(append(about[:len(about):len(about)], asked[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, d.key, digest[:])
	d.must(err)
	return d.answer(map[string]string{
		"clientDataJSON": url64(said), "authenticatorData": url64(about), "signature": url64(signature), "userHandle": url64(d.user),
	})
}

// asked returns the attribute of a form that asks for a passkey.
func asked(body, attribute string) string {
	m := regexp.MustCompile(`data-` + attribute + `="([^"]+)"`).FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	return m[1]
}

// addPasskey has a device make a passkey for whoever is signed in.
func (w *world) addPasskey(d *device) page {
	w.t.Helper()
	home := w.get("/home").wants(w.t, 200, "Add a passkey")
	user, err := base64.RawURLEncoding.DecodeString(asked(home.body, "user"))
	w.must(err)
	d.user = user
	return w.sendPasskey("/home", hidden(home.body, "form"), d.make(asked(home.body, "challenge")))
}

func (w *world) sendPasskey(at, token, answer string) page {
	w.t.Helper()
	return w.visit(http.MethodPost, at, url.Values{"form": {token}, "do": {"addpasskey"}, "credential": {answer}})
}

// challenge returns what the page of signing in asks a passkey, and the token of its form.
func (w *world) challenge() (challenge, token string) {
	w.t.Helper()
	p := w.get("/signin").wants(w.t, 200, "Sign in with a passkey", "Send me a link")
	form := p.body[strings.Index(p.body, "data-passkey"):]
	return asked(form, "challenge"), hidden(form, "form")
}

// usePasskey signs in with a device.
func (w *world) usePasskey(d *device) page {
	w.t.Helper()
	challenge, token := w.challenge()
	d.counter++
	return w.sendPasskey("/signin/passkey", token, d.sign(challenge))
}

// TestPasskey adds a passkey, signs in by it, after a restart too, and removes it.
func TestPasskey(t *testing.T) {
	w := newWorld(t)
	w.signUp("ada@acorn.example")
	d := w.device("a passkey")
	w.addPasskey(d).wants(t, 303)
	if m := w.Mail(); !strings.Contains(m, "A passkey was added") {
		t.Errorf("mail: %s", m)
	}
	home := w.get("/home").wants(t, 200, "Added ", "Remove the passkey added")
	if known := asked(home.body, "known"); known != url64(d.id)+" " {
		t.Errorf("known: %q", known)
	}
	w.submit("/home", "do", "signout").wants(t, 303)
	for range 2 {
		w.visitor = w.browser()
		if to := w.usePasskey(d).wants(t, 303).to; to != "/home" {
			t.Errorf("sent to %s", to)
		}
		w.get("/home").wants(t, 200, "ada@acorn.example", "last used")
		w.Restart()
	}
	other := w.visitor
	w.visitor = w.browser()
	w.usePasskey(d).wants(t, 303)
	w.submit("/home", "do", "removepasskey", "passkey", url64(d.id)).wants(t, 303)
	w.get("/home").wants(t, 200, "ada@acorn.example", "There are none yet") // whoever removes it goes on
	w.visitor = other
	w.get("/home").wants(t, 303)
	w.usePasskey(d).wants(t, 422, "does not sign you in", "Send me a link")
}

// TestPasskeysDoNotCount signs in twice by a passkey whose device does not count.
func TestPasskeysDoNotCount(t *testing.T) {
	w := newWorld(t)
	w.signUp("ada@acorn.example")
	d := w.device("synced")
	w.addPasskey(d).wants(t, 303)
	for range 2 {
		w.visitor = w.browser()
		challenge, token := w.challenge()
		w.sendPasskey("/signin/passkey", token, d.sign(challenge)).wants(t, 303)
	}
}

// TestForgedPasskeys tries to sign in by answers that are not the user's, not for this site, not of now, or not new. None writes a record.
func TestForgedPasskeys(t *testing.T) {
	clock := new(ahead)
	w := worldWith(t, clock.now)
	w.signUp("ada@acorn.example")
	ada := w.device("of ada")
	w.addPasskey(ada).wants(t, 303)
	w.Mail() // that it was added
	adding := asked(w.get("/home").body, "challenge")
	w.visitor = w.browser()
	w.signUp("bob@birch.example")
	bob := w.device("of bob")
	w.addPasskey(bob).wants(t, 303)
	w.Mail()
	w.visitor = w.browser()
	ada.counter = 10
	challenge, token := w.challenge()
	used := ada.sign(challenge)
	w.sendPasskey("/signin/passkey", token, used).wants(t, 303)
	w.visitor = w.browser()

	head := w.Head()
	refused := func(what string, change func(d *device, challenge *string)) {
		t.Helper()
		clock.Add(int64(2 * time.Minute)) // so many are not taken in one
		d := *ada
		d.counter = 11
		challenge, token := w.challenge()
		change(&d, &challenge)
		if p := w.sendPasskey("/signin/passkey", token, d.sign(challenge)); p.status != 422 || p.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d", what, p.status)
		}
	}
	refused("for another site", func(d *device, _ *string) { d.origin = "https://evil.example" })
	refused("for another port", func(d *device, _ *string) { d.origin += "0" })
	refused("for another name", func(d *device, _ *string) { d.party = "evil.example" })
	refused("another's passkey in the name of ada", func(d *device, _ *string) { d.id, d.key = bob.id, bob.key })
	refused("ada's passkey in the name of bob", func(d *device, _ *string) { d.user = bob.user })
	refused("in the name of nobody", func(d *device, _ *string) { d.user = []byte("nobody") })
	refused("without a name", func(d *device, _ *string) { d.user = nil })
	refused("with another key", func(d *device, _ *string) { d.key = bob.key })
	refused("with a counter that stands still", func(d *device, _ *string) { d.counter = 10 })
	refused("with a counter that goes back", func(d *device, _ *string) { d.counter = 9 })
	refused("with a counter that starts again", func(d *device, _ *string) { d.counter = 0 })
	refused("without its user", func(d *device, _ *string) { d.flags = wasThere })
	refused("without anybody", func(d *device, _ *string) { d.flags = wasUser })
	refused("as if it were new", func(d *device, _ *string) { d.get = "webauthn.create" })
	refused("for a challenge of adding one", func(_ *device, c *string) { *c = adding })
	refused("for a challenge that nobody has made", func(_ *device, c *string) { *c = url64(make([]byte, 48)) })
	refused("for a challenge that is good for longer", func(_ *device, c *string) {
		b, err := base64.RawURLEncoding.DecodeString(*c)
		w.must(err)
		b[20]++
		*c = url64(b)
	})
	refused("for one that was good for ten minutes", func(*device, *string) { clock.Add(int64(10 * time.Minute)) })
	refused("for none", func(_ *device, c *string) { *c = "" })

	for _, answer := range []string{used, "", "{}", "null", `{"response":{}}`, strings.Repeat("[", 10_000)} {
		_, token := w.challenge()
		w.sendPasskey("/signin/passkey", token, answer).wants(t, 422)
	}
	w.sendPasskey("/signin/passkey", hidden(w.get("/signin").body, "form"), used).wants(t, 403) // the token of the other form
	if now := w.Head(); now != head {
		t.Errorf("%d records were written", now-head)
	}

	challenge, token = w.challenge() // an answer that is good, twice
	ada.counter = 20
	good := ada.sign(challenge)
	w.sendPasskey("/signin/passkey", token, good).wants(t, 303)
	w.visitor = w.browser()
	w.sendPasskey("/signin/passkey", token, good).wants(t, 422)
	w.Restart()
	w.sendPasskey("/signin/passkey", token, good).wants(t, 422)
	ada.counter = 21 // the same challenge, answered anew
	w.sendPasskey("/signin/passkey", token, ada.sign(challenge)).wants(t, 422)
}

// TestForgedPasskeysAdded tries to have a passkey added that was not made for this session, this site, or now.
func TestForgedPasskeysAdded(t *testing.T) {
	w := newWorld(t)
	w.signUp("ada@acorn.example")
	theirs := asked(w.get("/home").body, "challenge")
	w.visitor = w.browser()
	w.signUp("bob@birch.example")
	signing, _ := w.challenge()
	head := w.Head()
	refused := func(what string, change func(d *device, challenge *string)) {
		t.Helper()
		d := w.device("of bob")
		home := w.get("/home")
		challenge := asked(home.body, "challenge")
		change(d, &challenge)
		if p := w.sendPasskey("/home", hidden(home.body, "form"), d.make(challenge)); p.status != 422 {
			t.Errorf("%s: %d", what, p.status)
		}
	}
	refused("of another session", func(_ *device, c *string) { *c = theirs })
	refused("of signing in", func(_ *device, c *string) { *c = signing })
	refused("for another site", func(d *device, _ *string) { d.origin = "https://evil.example" })
	refused("for another name", func(d *device, _ *string) { d.party = "evil.example" })
	refused("without its user", func(d *device, _ *string) { d.flags = wasThere })
	refused("as if it were used", func(d *device, _ *string) { d.create = "webauthn.get" })
	refused("with a name that is too long", func(d *device, _ *string) { d.id = make([]byte, 1024) })
	for _, answer := range []string{"", "{}", `{"response":{}}`} {
		home := w.get("/home")
		w.sendPasskey("/home", hidden(home.body, "form"), answer).wants(t, 422)
	}
	if now := w.Head(); now != head {
		t.Errorf("%d records were written", now-head)
	}

	home := w.get("/home")
	challenge := asked(home.body, "challenge")
	w.sendPasskey("/home", hidden(home.body, "form"), w.device("one").make(challenge)).wants(t, 303)
	again := hidden(w.get("/home").body, "form")
	w.sendPasskey("/home", again, w.device("two").make(challenge)).wants(t, 422) // a challenge is good once
	w.Restart()
	w.sendPasskey("/home", again, w.device("two").make(challenge)).wants(t, 422)
	w.addPasskey(w.device("one")).wants(t, 422, "added already")
	w.visitor = w.browser()
	if p := w.sendPasskey("/home", again, w.device("three").make(challenge)).wants(t, 303); p.to != "/signin" {
		t.Errorf("sent to %s", p.to)
	}
}
