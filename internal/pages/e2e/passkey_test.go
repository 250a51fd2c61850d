//go:build e2e

package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"tallystick/internal/pages/pagestest"
)

// TestPasskey adds a passkey that is kept in Chromium's virtual authenticator, signs in by it twice with the keyboard alone, and removes
// it; without JavaScript there is the link by mail.
func TestPasskey(t *testing.T) {
	w, b := pagestest.Open(t, time.Now), open(t)
	call(b, webauthn.Enable, webauthn.EnableParams{})
	device := call(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
	signUp(b, w, "")
	b.visit(w.URL() + "/home")
	b.says("Passkeys", "There are none yet", "Add a passkey")
	b.press("Add a passkey")
	b.says("Added ")
	if m := w.Mail(); !strings.Contains(m, "A passkey was added") {
		t.Errorf("mail: %s", m)
	}
	b.look("passkeys")
	for range 2 {
		b.press("Sign out")
		b.says("Sign in with a passkey", "Send me a link")
		b.tabTo("form[data-passkey] button")
		b.enter()
		b.says("Acorn Analytics", "last used")
	}
	b.press("Sign out")
	b.look("signin-passkey")
	call(b, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: device.AuthenticatorID})
	b.do(clickNamed("Sign in with a passkey"))
	b.waitFor(`document.body.innerText.includes("No passkey was used")`)
	call(b, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: device.AuthenticatorID, IsUserVerified: true})
	b.press("Sign in with a passkey")
	b.leave(chromedp.Click(chromedp.CSS("button[value=removepasskey]")))
	b.says("Acorn Analytics")
	if strings.Contains(b.text(), "Added ") {
		t.Error("the passkey was not removed")
	}
	b.press("Sign out")
	b.press("Sign in with a passkey")
	b.says("does not sign you in here")
	b.look("passkey-refused")

	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.visit(w.URL() + "/signin")
	if said := b.text(); strings.Contains(said, "passkey") {
		t.Errorf("without JavaScript: %s", said)
	}
	b.fill("email", "ada@acorn.example")
	b.press("Send me a link")
	b.visit(w.Link())
	b.press("Sign in")
	b.says("Acorn Analytics", "this page needs JavaScript")
}
