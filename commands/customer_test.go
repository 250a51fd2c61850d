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

// TestConsumer holds the rules of consumers that are nobody's customers yet, and that a merchant has no more of one that was claimed.
func TestConsumer(t *testing.T) {
	rival := merchant("rival", seller)
	byID := func(name string) step {
		return func(w *world) *Request {
			w.named(name, 0)
			return just(CreateCustomer{Consumer: orgOf(name)})(w)
		}
	}
	setupOf := func(name, who string) step {
		return func(w *world) *Request {
			w.namedPayment(name)
			return just(SetupPaymentMethod{Consumer: orgOf(who)})(w)
		}
	}
	rename := func(who string) step {
		return func(w *world) *Request {
			base := w.seq.books.Consumers.Get(orgOf(who)).Profile
			return just(UpdateConsumer{Consumer: orgOf(who), Base: base, Email: digestOf("new"), Profile: sealedFor(orgOf(who), "profile")})(w)
		}
	}
	claimed := []step{consumer("zoe"), rival, invite("link", "zoe", ""), accept("link", "zoe"), as("acme")}
	full := []step{invite("link", "zoe", ""), accept("link", "zoe")}
	checkRules(t, shop()[:4], []rule{
		{name: "one comes with a wallet", when: consumer("bob")},
		{name: "the same e-mail is the same one", given: []step{consumer("bob")}, when: change(consumer("bob2"), func(c *CreateConsumer) { c.Email = digestOf("bob") })},
		{name: "a customer's e-mail is its consumer", when: change(consumer("bob"), func(c *CreateConsumer) { c.Email = digestOf("alice") })},
		{name: "another merchant's is another", given: []step{rival}, when: change(consumer("bob"), func(c *CreateConsumer) { c.Email = digestOf("alice") })},
		{name: "who has authorized the merchant is taken", given: full, when: consumer("zoe")},
		{name: "one stands in for whoever must agree itself", given: append(full, merchant("third", seller)), when: consumer("zoe")},
		{name: "one becomes a customer", given: []step{consumer("bob")}, when: byID("bob")},
		{name: "one becomes a customer by its e-mail", given: []step{consumer("bob")}, when: customer("bob")},
		{name: "one is asked for a payment method", given: []step{consumer("bob")}, when: setupOf("card", "bob")},
		{name: "so is one that is a customer", when: setupOf("card", "alice")},
		{name: "who signs up elsewhere has what was made", given: claimed[:3], when: accept("link", "zoe")},
		{name: "what was claimed is found no more: it is made again, for another", given: claimed, when: change(consumer("zoe2"), func(c *CreateConsumer) {
			c.Email = digestOf("zoe")
		})},

		{name: "without an e-mail", when: change(consumer("bob"), func(c *CreateConsumer) { c.Email = events.Digest{} }), refused: Invalid},
		{name: "without a profile", when: change(consumer("bob"), func(c *CreateConsumer) { c.Profile = events.Sealed{} }), refused: Invalid},
		{name: "with a profile under another's key", when: change(consumer("bob"), func(c *CreateConsumer) { c.Profile.Key = orgOf("alice") }), refused: Invalid},
		{name: "with the identity of another", when: change(consumer("bob"), func(c *CreateConsumer) {
			c.Candidate, c.Profile.Key = orgOf("alice"), orgOf("alice")
		}), refused: Conflict},
		{name: "of an address that nobody has any more", when: just(CreateConsumer{Email: digestOf("gone")}), refused: Busy},
		{name: "for no merchant", given: []step{func(w *world) *Request { w.merchant = events.OrganizationID{}; return nil }}, when: consumer("bob"), refused: Invalid},
		{name: "a customer of one that was claimed", given: claimed, when: byID("zoe"), refused: NotFound},
		{name: "a payment method of one that was claimed", given: claimed, when: setupOf("card", "zoe"), refused: NotFound},
		{name: "an address for one that was claimed", given: claimed, when: rename("zoe"), refused: NotFound},
		{name: "a payment method of another merchant's", given: []step{rival}, when: setupOf("card", "alice"), refused: NotFound},
		{name: "a payment method of one that is not there", when: setupOf("card", "bob"), refused: NotFound},
		{name: "a payment method of whoever must agree itself", given: append(full, merchant("third", seller)), when: setupOf("card", "zoe-full"), refused: Forbidden},
	})
}
