package commands

import (
	"bytes"
	"strconv"
	"testing"
	"time"

	"tallystick/events"
)

// addKey adds zoe a passkey of a name, whose device has counted to n.
func addKey(name string, n uint32) step {
	return func(w *world) *Request {
		return just(AddPasskey{User: id[events.UserNoun](w, "zoe-user"), Credential: []byte(name), Key: []byte("public"), Counter: n, Challenge: w.now.Add(10*time.Minute + time.Duration(w.sent))})(w)
	}
}

// made says until when the challenge was good that a passkey was made for.
func made(s step, until string) step {
	return change(s, func(c *AddPasskey) { c.Challenge = instantOf(until) })
}

// dropKey removes it.
func dropKey(name string) step {
	return func(w *world) *Request {
		return just(RemovePasskey{User: id[events.UserNoun](w, "zoe-user"), Credential: []byte(name)})(w)
	}
}

// useKey signs zoe in by it, for a challenge that is good until a time.
func useKey(name string, n uint32, until string) step {
	return func(w *world) *Request {
		return byOperator(just(UsePasskey{User: id[events.UserNoun](w, "zoe-user"), Credential: []byte(name), Counter: n, Challenge: instantOf(until)}))(w)
	}
}

// TestPasskeys holds the rules of passkeys: only the user adds and removes its own, a challenge is answered once, and a counter never goes back.
func TestPasskeys(t *testing.T) {
	mine := func(s step) step { return byUser("zoe-user", s) }
	joined := []step{invite("link", "zoe", ""), accept("link", "zoe")}
	given := func(more ...step) []step { return append(joined[:2:2], more...) }
	has := given(mine(addKey("phone", 0)))
	counts := given(mine(addKey("stick", 7)))
	twenty := given()
	for i := range maxPasskeys {
		twenty = append(twenty, mine(addKey(strconv.Itoa(i), 0)))
	}
	another := given(invite("link2", "yan", ""), accept("link2", "yan"))
	suspend := byOperator(func(w *world) *Request {
		return just(UpdateUser{User: id[events.UserNoun](w, "zoe-user"), State: events.UserSuspended, Role: events.OwnerRole})(w)
	})
	soon, later := "2025-01-15 10:10", "2025-01-15 10:11"
	checkRules(t, shop(), []rule{
		{name: "a passkey is added", given: given(), when: mine(addKey("phone", 0))},
		{name: "it is added twice", given: has, when: mine(addKey("phone", 0)), refused: Conflict},
		{name: "another is added", given: has, when: mine(addKey("stick", 7))},
		{name: "by the same challenge", given: given(mine(made(addKey("stick", 7), soon))), when: mine(made(addKey("phone", 0), soon)), refused: Conflict},
		{name: "by an earlier challenge", given: given(mine(made(addKey("stick", 7), later))), when: mine(made(addKey("phone", 0), soon)), refused: Conflict},
		{name: "by a challenge that has expired", given: given(), when: mine(made(addKey("phone", 0), "2025-01-15 09:59")), refused: Conflict},
		{name: "one more than twenty", given: twenty, when: mine(addKey("phone", 0)), refused: Conflict},
		{name: "one without a name", given: given(), when: mine(addKey("", 0)), refused: Invalid},
		{name: "one with too long a name", given: given(), when: mine(addKey(string(bytes.Repeat([]byte("x"), maxCredential+1)), 0)), refused: Invalid},
		{name: "one without a key", given: given(), when: mine(change(addKey("phone", 0), func(c *AddPasskey) { c.Key = nil })), refused: Invalid},
		{name: "another user adds one", given: another, when: byUser("yan-user", addKey("phone", 0)), refused: NotFound},
		{name: "a merchant adds one", given: given(), when: addKey("phone", 0), refused: NotFound},
		{name: "an operator adds one", given: given(), when: byOperator(addKey("phone", 0)), refused: NotFound},
		{name: "a suspended user adds one", given: given(suspend), when: mine(addKey("phone", 0)), refused: NotFound},
		{name: "a passkey is removed", given: has, when: mine(dropKey("phone"))},
		{name: "it is removed twice", given: append(has[:3:3], mine(dropKey("phone"))), when: mine(dropKey("phone")), refused: NotFound},
		{name: "another user removes it", given: append(has[:3:3], another[2:]...), when: byUser("yan-user", dropKey("phone")), refused: NotFound},
		{name: "a passkey signs in", given: has, when: useKey("phone", 0, soon)},
		{name: "it signs in again", given: append(has[:3:3], useKey("phone", 0, soon)), when: useKey("phone", 0, later)},
		{name: "by the same challenge", given: append(has[:3:3], useKey("phone", 0, soon)), when: useKey("phone", 0, soon), refused: Conflict},
		{name: "by an earlier challenge", given: append(has[:3:3], useKey("phone", 0, later)), when: useKey("phone", 0, soon), refused: Conflict},
		{name: "by a challenge that has expired", given: has, when: useKey("phone", 0, "2025-01-15 09:59"), refused: Conflict},
		{name: "by a passkey that was removed", given: append(has[:3:3], mine(dropKey("phone"))), when: useKey("phone", 0, soon), refused: NotFound},
		{name: "by one that was never added", given: has, when: useKey("stick", 0, soon), refused: NotFound},
		{name: "a suspended user signs in by one", given: append(has[:3:3], suspend), when: useKey("phone", 0, soon), refused: NotFound},
		{name: "a merchant signs a user in", given: has, when: func(w *world) *Request {
			r := useKey("phone", 0, soon)(w)
			r.Operator = false
			return r
		}, refused: NotFound},
		{name: "an erased user signs in", given: append(has[:3:3], byOperator(just(EraseConsumer{Consumer: orgOf("zoe-full")}))), when: useKey("phone", 0, soon), refused: NotFound},
		{name: "a counter grows", given: counts, when: useKey("stick", 8, soon)},
		{name: "a counter stands still", given: counts, when: useKey("stick", 7, soon), refused: Conflict},
		{name: "a counter goes back", given: counts, when: useKey("stick", 6, soon), refused: Conflict},
		{name: "a counter starts again", given: counts, when: useKey("stick", 0, soon), refused: Conflict},
		{name: "a device begins to count", given: has, when: useKey("phone", 1, soon)},
	})
}
