package commands

import (
	"testing"

	"tallystick/events"
)

// TestCustomer holds the rules of customers: when one is the same as another, and who may see and erase whom.
func TestCustomer(t *testing.T) {
	change := func(s step, change func(*CreateCustomer)) step {
		return func(w *world) *Request {
			r := s(w)
			cmd := r.Command.(CreateCustomer)
			change(&cmd)
			r.Command = cmd
			return r
		}
	}
	byID := func(name string) step {
		return change(customer(name), func(c *CreateCustomer) { *c = CreateCustomer{Consumer: orgOf(name)} })
	}
	rival := merchant("rival", seller)
	full := func(w *world) *Request { // signs up itself, which is no command yet
		w.seq.tick()
		w.seq.dec.reset()
		w.seq.dec.add(Context{}, begin, events.ConsumerCreated{Consumer: orgOf("zoe"), Type: events.Full, Email: digestOf("zoe"), Profile: sealedFor(orgOf("zoe"), "name")})
		w.seq.mustRecord(Context{Now: w.seq.now, ID: w.seq.newID(), Actor: events.Actor{Kind: events.ActorUser}})
		w.settle()
		return nil
	}
	checkRules(t, shop()[:4], []rule{
		{name: "a new one comes with a consumer and a wallet", when: customer("bob")},
		{name: "the same e-mail is the same one", when: change(customer("alice2"), func(c *CreateCustomer) { c.Email = digestOf("alice") })},
		{name: "the same consumer is the same one", when: byID("alice")},
		{name: "another merchant's customers are others", given: []step{rival}, when: change(customer("alice2"), func(c *CreateCustomer) {
			c.Email, c.External = digestOf("alice"), digestOf("alice-external")
		})},
		{name: "after it is erased the same e-mail is a new one", given: []step{just(EraseConsumer{Consumer: orgOf("alice")})}, when: change(customer("alice2"), func(c *CreateCustomer) {
			c.Email = digestOf("alice")
		})},
		{name: "a consumer is erased by its merchant", when: just(EraseConsumer{Consumer: orgOf("alice")})},
		{name: "a consumer is erased by the operator", given: []step{rival}, when: byOperator(just(EraseConsumer{Consumer: orgOf("alice")}))},

		{name: "without an e-mail", when: change(customer("bob"), func(c *CreateCustomer) { c.Email = events.Digest{} }), refused: Invalid},
		{name: "without a profile", when: change(customer("bob"), func(c *CreateCustomer) { c.Profile = events.Sealed{} }), refused: Invalid},
		{name: "with a profile under another's key", when: change(customer("bob"), func(c *CreateCustomer) { c.Profile.Key = orgOf("alice") }), refused: Invalid},
		{name: "with the identity of another", when: change(customer("bob"), func(c *CreateCustomer) {
			c.Candidate, c.Profile.Key = orgOf("alice"), orgOf("alice")
		}), refused: Conflict},
		{name: "with the identity of the merchant", when: func(w *world) *Request {
			return change(customer("bob"), func(c *CreateCustomer) { c.Candidate, c.Profile.Key = w.merchant, w.merchant })(w)
		}, refused: Conflict},
		{name: "with the e-mail of a consumer who must agree itself", given: []step{full}, when: change(customer("bob"), func(c *CreateCustomer) {
			c.Email = digestOf("zoe")
		})},
		{name: "for no merchant", given: []step{func(w *world) *Request { w.merchant = events.OrganizationID{}; return nil }}, when: customer("bob"), refused: Invalid},
		{name: "of a consumer that is not there", when: byID("bob"), refused: NotFound},
		{name: "of another merchant's consumer", given: []step{rival}, when: byID("alice"), refused: NotFound},
		{name: "of a consumer who is erased", given: []step{just(EraseConsumer{Consumer: orgOf("alice")})}, when: byID("alice"), refused: NotFound},
		{name: "of a consumer who must agree itself", given: []step{full}, when: byID("zoe"), refused: Forbidden},
		{name: "with the external id of another", when: change(customer("bob"), func(c *CreateCustomer) { c.External = digestOf("alice-external") }), refused: Conflict},
		{name: "with more details than a record holds", when: change(customer("bob"), func(c *CreateCustomer) {
			c.Details.Box = make([]byte, events.MaxRecordBytes)
		}), refused: TooLarge},
		{name: "erasing one that is not there", when: just(EraseConsumer{Consumer: orgOf("bob")}), refused: NotFound},
		{name: "erasing another merchant's", given: []step{rival}, when: just(EraseConsumer{Consumer: orgOf("alice")}), refused: NotFound},
		{name: "erasing a full one, as a merchant", given: []step{full}, when: just(EraseConsumer{Consumer: orgOf("zoe")}), refused: NotFound},
		{name: "erasing one twice", given: []step{just(EraseConsumer{Consumer: orgOf("alice")})}, when: just(EraseConsumer{Consumer: orgOf("alice")}), refused: Conflict},
	})
}
