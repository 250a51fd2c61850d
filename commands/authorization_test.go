package commands

import (
	"testing"
	"time"

	"tallystick/events"
)

// invite asks whoever has the e-mail address of a name to authorize the merchant and take a plan.
func invite(name, who, plan string) step {
	return func(w *world) *Request {
		w.named(name, authorizationNumber)
		cmd := CreateAuthorization{
			Candidate: orgOf(who + "-full"), Email: digestOf(who), Address: sealedFor(orgOf(who+"-full"), "address"),
			RedirectURL: "https://shop.example/back",
		}
		if plan != "" {
			cmd.Plan = id[events.PlanNoun](w, plan)
		}
		return just(cmd)(w)
	}
}

// asking lets an invitation ask for a minimum in the wallet.
func asking(minimum string, s step) step {
	return change(s, func(c *CreateAuthorization) { c.Minimum = nanosOf(minimum) })
}

// accept is what the holder of the address does.
func accept(name, who string) step {
	return func(w *world) *Request {
		w.named(who, authorizedCustomer)
		w.named(who+"-own-wallet", consumerWallet)
		w.named(who+"-user", consumerUser)
		holder := orgOf(who + "-full")
		return byOperator(just(CompleteAuthorization{
			Authorization: id[events.AuthorizationNoun](w, name), Profile: sealedFor(holder, "profile"), Person: sealedFor(holder, "person"), Region: "DE",
		}))(w)
	}
}

// byUser lets a step be a signed-in user's.
func byUser(user string, s step) step {
	return func(w *world) *Request {
		r := s(w)
		r.Operator, r.Actor = true, events.Actor{Kind: events.ActorUser, ID: w.ids[user]}
		return r
	}
}

// TestPeople holds who may say what others may do for a consumer, and that nobody who was not asked can do anything.
func TestPeople(t *testing.T) {
	person := func(who string, role events.UserRole) step {
		return func(w *world) *Request {
			w.named(who+"-user", consumerUser)
			return just(InviteUser{Consumer: orgOf("zoe-full"), Email: digestOf(who), Profile: sealedFor(orgOf("zoe-full"), who), Role: role})(w)
		}
	}
	enter := func(who, until string) step {
		return func(w *world) *Request {
			return byOperator(just(SignIn{User: id[events.UserNoun](w, who+"-user"), Link: instantOf(until)}))(w)
		}
	}
	decline := func(who string) step {
		return func(w *world) *Request {
			return byOperator(just(DeclineInvitation{User: id[events.UserNoun](w, who+"-user")}))(w)
		}
	}
	set := func(who string, state events.UserState, role events.UserRole) step {
		return func(w *world) *Request {
			return just(UpdateUser{User: id[events.UserNoun](w, who+"-user"), State: state, Role: role})(w)
		}
	}
	withdraw := just(WithdrawAuthorization{Consumer: orgOf("zoe-full")})
	link := "2025-01-15 10:15"
	account := []step{invite("link", "zoe", ""), accept("link", "zoe")}
	with := func(more ...step) []step { return append(account[:2:2], more...) }
	asked := with(byUser("zoe-user", person("ben", events.BillingRole)))
	joined := append(asked[:3:3], enter("ben", link))
	checkRules(t, shop(), []rule{
		{name: "an owner invites", given: account, when: byUser("zoe-user", person("ben", events.BillingRole))},
		{name: "an operator does", given: account, when: byOperator(person("ben", events.OwnerRole))},
		{name: "who is invited accepts by signing in", given: asked, when: enter("ben", link)},
		{name: "who is invited declines", given: asked, when: decline("ben")},
		{name: "billing may do what billing may", given: joined, when: byUser("ben-user", withdraw)},
		{name: "an owner changes what another may", given: joined, when: byUser("zoe-user", set("ben", events.UserActive, events.ViewerRole))},
		{name: "who has declined is invited again", given: append(asked[:3:3], decline("ben")), when: byUser("zoe-user", set("ben", events.UserInvited, events.ViewerRole))},

		{name: "by a merchant", given: account, when: person("ben", events.BillingRole), refused: NotFound},
		{name: "by an owner of something else", given: with(invite("link2", "yan", ""), accept("link2", "yan")), when: byUser("yan-user", person("ben", events.BillingRole)), refused: NotFound},
		{name: "by who is no owner", given: joined, when: byUser("ben-user", person("cat", events.ViewerRole)), refused: Forbidden},
		{name: "by who is invited only", given: with(byUser("zoe-user", person("ben", events.OwnerRole))), when: byUser("ben-user", person("cat", events.ViewerRole)), refused: NotFound},
		{name: "for a managed consumer", given: account, when: byOperator(func(w *world) *Request {
			return just(InviteUser{Consumer: orgOf("alice"), Email: digestOf("ben"), Profile: sealedFor(orgOf("alice"), "ben"), Role: events.OwnerRole})(w)
		}), refused: NotFound},
		{name: "for one that is erased", given: account, when: byOperator(func(w *world) *Request {
			return just(InviteUser{Consumer: orgOf("zoe-full"), Email: digestOf("ben"), Role: events.OwnerRole})(w)
		}), refused: Conflict},
		{name: "to a role that there is not", given: account, when: byUser("zoe-user", person("ben", "king")), refused: Invalid, field: "role"},
		{name: "twice", given: asked, when: byUser("zoe-user", person("ben", events.OwnerRole)), refused: Conflict},
		{name: "who is invited may do nothing yet", given: asked, when: byUser("ben-user", withdraw), refused: NotFound},
		{name: "a viewer does not take back what others gave", given: append(joined[:4:4], byUser("zoe-user", set("ben", events.UserActive, events.ViewerRole))), when: byUser("ben-user", withdraw), refused: Forbidden},
		{name: "who has declined cannot accept", given: append(asked[:3:3], decline("ben")), when: enter("ben", link), refused: NotFound},
		{name: "who has accepted cannot decline", given: joined, when: decline("ben"), refused: NotFound},
		{name: "a merchant does not decline for somebody", given: asked, when: func(w *world) *Request {
			return just(DeclineInvitation{User: id[events.UserNoun](w, "ben-user")})(w)
		}, refused: NotFound},
		{name: "who is suspended cannot sign in", given: append(joined[:4:4], byUser("zoe-user", set("ben", events.UserSuspended, events.BillingRole))), when: enter("ben", "2025-01-15 10:16"), refused: NotFound},
		{name: "nobody gives up being owner alone", given: joined, when: byUser("zoe-user", set("zoe", events.UserActive, events.ViewerRole)), refused: Forbidden},
		{name: "nor makes themselves one", given: joined, when: byUser("ben-user", set("ben", events.UserActive, events.OwnerRole)), refused: Forbidden},
	})
}

// TestAuthorization holds the rules of way A: a consumer signs up itself, and nobody spends its wallet before it has agreed (D30).
func TestAuthorization(t *testing.T) {
	rival := merchant("rival", seller)
	withdraw := func(w *world) *Request { return just(WithdrawAuthorization{Consumer: orgOf("zoe-full")})(w) }
	customerOf := func(who string) step {
		return func(w *world) *Request { return just(CreateCustomer{Consumer: orgOf(who + "-full")})(w) }
	}
	setUser := func(state events.UserState, role events.UserRole) step {
		return func(w *world) *Request {
			return byOperator(just(UpdateUser{User: id[events.UserNoun](w, "zoe-user"), State: state, Role: role}))(w)
		}
	}
	joined := []step{invite("link", "zoe", ""), accept("link", "zoe"), change(join("own", "zoe", "pro", terms{}), func(c *CreateSubscription) { c.Name = sealedFor(orgOf("zoe-full"), "name") })}
	end := func(w *world) *Request {
		return just(TerminateSubscription{Subscription: id[events.SubscriptionNoun](w, "own"), Reason: sealedFor(orgOf("zoe-full"), "enough")})(w)
	}
	checkRules(t, shop(), []rule{
		{name: "a link is made", when: invite("link", "zoe", "pro")},
		{name: "a link is made for no plan", when: invite("link", "zoe", "")},
		{name: "a link asks for a minimum", when: asking("20", invite("link", "zoe", "pro"))},
		{name: "for a minimum and no plan", when: asking("20", invite("link", "zoe", "")), refused: Invalid},
		{name: "for more than one payment may be", when: asking("5000.01", invite("link", "zoe", "pro")), refused: Invalid},
		{name: "for less than nothing", when: asking("-1", invite("link", "zoe", "pro")), refused: Invalid},
		{name: "whoever is new signs up and becomes a customer", given: []step{invite("link", "zoe", "")}, when: accept("link", "zoe")},
		{name: "and takes the plan that the link is for", given: []step{invite("link", "zoe", "pro")}, when: accept("link", "zoe")},
		{name: "with the minimum that the link asks for", given: []step{asking("20", invite("link", "zoe", "pro"))}, when: accept("link", "zoe")},
		{name: "whoever has the plan keeps it as it is", given: append(joined[:3:3], asking("20", invite("more", "zoe", "pro"))), when: accept("more", "zoe")},
		{name: "whoever is managed keeps it too", given: []step{invite("link", "alice", "pro")}, when: accept("link", "alice")},
		{
			name:  "whoever has another plan of the product agrees to nothing",
			given: append(joined[:3:3], plan("max", "llm", instantSum("tokens", "0.5")), invite("more", "zoe", "max")), when: accept("more", "zoe"), refused: Conflict,
		},
		{
			name:  "the wallet that pays is the consumer's own, though another merchant's link has claimed one that is not",
			given: []step{rival, invite("other", "alice", ""), accept("other", "alice"), as("acme"), terminateIt("sub"), invite("link", "alice", "pro")}, when: accept("link", "alice"),
		},
		{
			name: "whoever is known authorizes another merchant", given: []step{invite("link", "zoe", ""), accept("link", "zoe"), rival, invite("other", "zoe", "")},
			when: accept("other", "zoe"),
		},
		{
			name:  "a managed consumer with the address becomes the full one, with its wallet and customer",
			given: []step{invite("link", "alice", "")}, when: accept("link", "alice"),
		},
		{
			name: "so do those of other merchants, each in its merchant's name", given: []step{rival, func(w *world) *Request {
				w.named("alice-of-rival", 0)
				w.ids["alice-at-rival"] = orgOf("alice-at-rival")
				return just(CreateCustomer{Candidate: orgOf("alice-at-rival"), Email: digestOf("alice"), Profile: sealedFor(orgOf("alice-at-rival"), "name")})(w)
			}, as("acme"), invite("link", "alice", "")},
			when: accept("link", "alice"),
		},
		{
			name:  "a card of a session from before is stored where its other ones have gone",
			given: []step{setup("card", "alice"), invite("link", "alice", ""), accept("link", "alice"), pay("card")}, when: charged("card", good),
		},
		{
			name: "two links, one person", given: []step{invite("link", "zoe", ""), func(w *world) *Request {
				w.named("second", authorizationNumber)
				return just(CreateAuthorization{Candidate: orgOf("zoe-again"), Email: digestOf("zoe"), Address: sealedFor(orgOf("zoe-again"), "address")})(w)
			}, accept("link", "zoe")}, when: accept("second", "zoe"),
		},
		{name: "an authorized consumer is made a customer by its merchant", given: []step{invite("link", "zoe", ""), accept("link", "zoe")}, when: customerOf("zoe")},
		{name: "an authorization is taken back", given: []step{invite("link", "zoe", ""), accept("link", "zoe")}, when: byOperator(withdraw)},
		{name: "by the consumer's user", given: []step{invite("link", "zoe", ""), accept("link", "zoe")}, when: byUser("zoe-user", withdraw)},
		{name: "a user ends a subscription of its organization", given: joined, when: byUser("zoe-user", end)},
		{name: "a full consumer is erased with what it has claimed", given: []step{invite("link", "alice", ""), accept("link", "alice")}, when: byOperator(just(EraseConsumer{Consumer: orgOf("alice-full")}))},
		{name: "a user is suspended", given: []step{invite("link", "zoe", ""), accept("link", "zoe")}, when: setUser(events.UserSuspended, events.OwnerRole)},
		{name: "a link to a portal", given: joined, when: portal(0)},
		{name: "a link to a portal is revoked", given: append(joined, portal(time.Hour)), when: revokeIt},

		{name: "for a plan of another merchant", given: []step{rival}, when: invite("link", "zoe", "pro"), refused: NotFound},
		{name: "accepting what is accepted", given: []step{invite("link", "zoe", ""), accept("link", "zoe")}, when: accept("link", "zoe"), refused: Conflict},
		{name: "accepting too late", given: []step{invite("link", "zoe", ""), later("2025-01-22 10:01")}, when: accept("link", "zoe"), refused: AuthorizationExpired},
		{name: "accepting as a merchant", given: []step{invite("link", "zoe", "")}, when: func(w *world) *Request {
			r := accept("link", "zoe")(w)
			r.Operator = false
			return r
		}, refused: NotFound},
		{name: "signing up without a name", given: []step{invite("link", "zoe", "")}, when: change(accept("link", "zoe"), func(c *CompleteAuthorization) { c.Profile = events.Sealed{} }), refused: Invalid},
		{name: "signing up under another's key", given: []step{invite("link", "zoe", "")}, when: change(accept("link", "zoe"), func(c *CompleteAuthorization) { c.Profile.Key = orgOf("alice") }), refused: Invalid},
		{name: "a full consumer that has not authorized the merchant", given: []step{invite("link", "zoe", ""), accept("link", "zoe"), rival}, when: customerOf("zoe"), refused: Forbidden},
		{name: "one that has taken it back", given: []step{invite("link", "zoe", ""), accept("link", "zoe"), byOperator(withdraw)}, when: customerOf("zoe")},
		{
			name: "subscribing one that has taken it back", given: []step{invite("link", "zoe", ""), accept("link", "zoe"), byOperator(withdraw)},
			when: joined[2],
		},
		{
			name:  "authorizing by another link what a subscription waits for",
			given: []step{invite("link", "zoe", ""), accept("link", "zoe"), byOperator(withdraw), joined[2], invite("link2", "zoe", "")}, when: accept("link2", "zoe"),
		},
		{
			name: "the periods of what has waited are those that were agreed on, whatever its plan's are by then",
			given: []step{
				withFees("pro", "llm", flat{"base", "3", events.InAdvance, events.Monthly, 1}),
				invite("link", "zoe", ""), accept("link", "zoe"), byOperator(withdraw), joined[2],
				func(w *world) *Request {
					return just(UpdatePlan{Plan: id[events.PlanNoun](w, "pro"), Cadence: given(events.Quarterly)})(w)
				},
				invite("link2", "zoe", ""),
			}, when: accept("link2", "zoe"),
		},
		{name: "taking back what was not given", given: []step{invite("link", "zoe", ""), accept("link", "zoe"), rival}, when: byOperator(withdraw), refused: NotFound},
		{name: "taking it back as the merchant", given: []step{invite("link", "zoe", ""), accept("link", "zoe")}, when: withdraw, refused: NotFound},
		{name: "a suspended user", given: []step{invite("link", "zoe", ""), accept("link", "zoe"), setUser(events.UserSuspended, events.OwnerRole)}, when: byUser("zoe-user", withdraw), refused: NotFound},
		{name: "a user who may only look", given: []step{invite("link", "zoe", ""), accept("link", "zoe"), setUser(events.UserActive, events.ViewerRole)}, when: byUser("zoe-user", withdraw), refused: Forbidden},
		{name: "a user of another organization", given: append(joined, invite("link2", "yan", ""), accept("link2", "yan")), when: byUser("yan-user", end), refused: NotFound},
		{name: "a user filling another's wallet", given: []step{invite("link", "zoe", ""), accept("link", "zoe")}, when: byUser("zoe-user", fund("alice", "5")), refused: NotFound},
		{name: "a role that there is not", given: []step{invite("link", "zoe", ""), accept("link", "zoe")}, when: setUser(events.UserActive, "king"), refused: Invalid},
		{name: "a user signs in by a link", given: joined, when: byOperator(useLink("2025-01-15 10:15"))},
		{name: "by a link that was sent later", given: append(joined, byOperator(useLink("2025-01-15 10:15"))), when: byOperator(useLink("2025-01-15 10:16"))},
		{name: "by a link that was used", given: append(joined, byOperator(useLink("2025-01-15 10:15"))), when: byOperator(useLink("2025-01-15 10:15")), refused: Conflict},
		{name: "by a link that was sent before one that was used", given: append(joined, byOperator(useLink("2025-01-15 10:15"))), when: byOperator(useLink("2025-01-15 10:14")), refused: Conflict},
		{name: "by a link that has expired", given: joined, when: byOperator(useLink("2025-01-15 09:59")), refused: Conflict},
		{name: "a suspended user signing in", given: append(joined, setUser(events.UserSuspended, events.OwnerRole)), when: byOperator(useLink("2025-01-15 10:15")), refused: NotFound},
		{name: "a merchant signing in for a user", given: joined, when: useLink("2025-01-15 10:15"), refused: NotFound},
		{name: "a user signs out", given: joined, when: byUser("zoe-user", signOutOf("zoe-user"))},
		{name: "a user signing another out", given: append(joined, invite("link2", "yan", ""), accept("link2", "yan")), when: byUser("yan-user", signOutOf("zoe-user")), refused: NotFound},
		{name: "a merchant signing a user out", given: joined, when: signOutOf("zoe-user"), refused: NotFound},
		{name: "erasing a consumer that was claimed", given: []step{invite("link", "alice", ""), accept("link", "alice")}, when: byOperator(just(EraseConsumer{Consumer: orgOf("alice")})), refused: Conflict},
		{name: "a portal for longer than a week", given: joined, when: portal(8 * 24 * time.Hour), refused: Invalid},
		{name: "a portal of another merchant's subscription", given: append(joined, rival), when: portal(0), refused: NotFound},
		{name: "revoking twice", given: append(joined, portal(time.Hour), revokeIt), when: revokeIt, refused: Conflict},
	})
}

// TestAfterAClaim goes on with a customer whose managed consumer was claimed: what was remembered of the one before does no harm.
func TestAfterAClaim(t *testing.T) {
	w := newWorld(t)
	w.do(append(shop(), product("other"), plan("basic", "other", instantSum("calls", "1")), use("before", "alice", "2025-01-15 10:00", q{metric: "tokens", quantity: 1}))...)
	customer := w.ids["alice"]
	w.do(invite("link", "alice", ""), accept("link", "alice"))
	w.ids["alice"] = customer
	w.do(join("more", "alice", "basic", terms{}), use("after", "alice", "2025-01-15 10:00", q{metric: "tokens", quantity: 1}))
	payer := w.seq.dec.usage.memos.of(events.CustomerID(customer)).payer
	if full := w.seq.books.Consumers.Get(orgOf("alice-full")); payer.consumer != full {
		t.Errorf("usage is taxed as %+v, not as %+v", payer.consumer, full)
	}
}

// useLink uses a link of zoe's that is good until a time.
func useLink(until string) step {
	return func(w *world) *Request {
		return just(SignIn{User: id[events.UserNoun](w, "zoe-user"), Link: instantOf(until)})(w)
	}
}

// signOutOf ends what a user is signed in with.
func signOutOf(user string) step {
	return func(w *world) *Request { return just(SignOut{User: id[events.UserNoun](w, user)})(w) }
}

// portal makes a link to the portal of "own".
func portal(term time.Duration) step {
	return func(w *world) *Request {
		w.named("portal", 0)
		return just(CreatePortal{Subscription: id[events.SubscriptionNoun](w, "own"), Term: term})(w)
	}
}

func revokeIt(w *world) *Request {
	return just(RevokePortal{Portal: id[events.PortalNoun](w, "portal")})(w)
}
