package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestPeople has an owner invite somebody, who accepts, looks on, may not pay, is let, is suspended, and has a link for each organization.
func TestPeople(t *testing.T) {
	w := newWorld(t)
	w.signUp("ada@acorn.example")
	w.get("/home").wants(t, 200, "People", "ada@acorn.example: owner (you)")
	w.submit("/home", "do", "invite", "email", "nonsense", "role", "viewer").wants(t, 422, "no e-mail address")
	w.submit("/home", "do", "invite", "email", "Ben@Acorn.example", "role", "viewer").wants(t, 200, "ben@acorn.example", "invited")
	invitation := w.Link()
	w.submit("/home", "do", "invite", "email", "ben@acorn.example", "role", "owner").wants(t, 422, "there is a user with this address already")
	ada := w.visitor
	ben := w.browser()

	w.visitor = ben
	w.get("/home").wants(t, 303)
	w.submit("/signin", "email", "ben@acorn.example").wants(t, 200) // which signs in nobody who is invited
	w.get(invitation).wants(t, 200, "Acorn Analytics invites you", "Accept and sign in")
	accept := url.Values{"form": {hidden(w.get(invitation).body, "form")}, "do": {"accept"}}
	w.visit(http.MethodPost, invitation, accept).wants(t, 303)
	w.visit(http.MethodPost, invitation, accept).wants(t, 404)
	if home := w.get("/home").wants(t, 200, "signed in as ben@acorn.example", "Acorn Analytics"); strings.Contains(home.body, "Invite") {
		t.Error("a viewer is asked whom to invite")
	}
	home := w.get("/home")
	w.submit("/home", "do", "topup", "wallet", hidden(home.body, "wallet"), "amount", "25").wants(t, 422, "this needs the role billing")
	w.submit("/home", "do", "invite", "email", "cat@acorn.example", "role", "owner").wants(t, 422, "this needs the role owner")
	w.submit("/home", "do", "cancel", "merchant", w.Merchant.String(), "subscription", hidden(home.body, "subscription")).wants(t, 422, "this needs the role")
	w.submit("/home", "do", "withdraw", "merchant", w.Merchant.String()).wants(t, 422, "this needs the role")
	w.submit("/home", "do", "addmethod").wants(t, 422, "and not change them")
	w.submit("/home", "do", "removemethod", "method", hidden(home.body, "method")).wants(t, 422, "and not change them")

	w.visitor = ada
	person := hidden(w.get("/home").wants(t, 200, "ben@acorn.example").body, "user")
	w.submit("/home", "do", "person", "user", person, "state", "active", "role", "billing").wants(t, 200)
	w.visitor = ben
	w.get("/home").wants(t, 303) // to sign in again
	w.submit("/signin", "email", "ben@acorn.example").wants(t, 200)
	w.submit(w.Link()).wants(t, 303)
	w.submit("/home", "do", "topup", "wallet", hidden(w.get("/home").body, "wallet"), "amount", "25").wants(t, 303)

	w.visitor = ada
	w.submit("/home", "do", "person", "user", person, "state", "suspended", "role", "billing").wants(t, 200, "suspended", "Invite again")
	w.visitor = ben
	w.get("/home").wants(t, 303)

	w.visitor = ada
	w.submit("/home", "do", "invite", "email", "cat@acorn.example", "role", "billing").wants(t, 200)
	declined := w.Link()
	w.visitor = ben
	w.submit(declined, "do", "decline").wants(t, 200, "You have declined")
	w.get(declined).wants(t, 404)
	w.visitor = ada
	w.get("/home").wants(t, 200, "declined")
}
