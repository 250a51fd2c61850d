package commands

import (
	"testing"

	"tallystick/events"
)

// TestCustomerChange holds the rules of changing and deleting customers, consumers and test clocks.
func TestCustomerChange(t *testing.T) {
	update := func(change func(*world, *UpdateCustomer)) step {
		return func(w *world) *Request {
			cmd := UpdateCustomer{Customer: id[events.CustomerNoun](w, "alice")}
			change(w, &cmd)
			return just(cmd)(w)
		}
	}
	external := func(name string) func(*world, *UpdateCustomer) {
		return func(_ *world, c *UpdateCustomer) {
			c.External, c.ExternalID = Change[events.Digest]{true, digestOf(name)}, sealedFor(orgOf("alice"), name)
		}
	}
	remove := func(w *world) *Request { return just(DeleteCustomer{id[events.CustomerNoun](w, "alice")})(w) }
	profile := func(change func(*UpdateConsumer)) step {
		return func(w *world) *Request {
			cmd := UpdateConsumer{
				Consumer: orgOf("alice"), Base: w.seq.books.Consumers.Get(orgOf("alice")).Profile, Email: digestOf("alice"),
				Profile: sealedFor(orgOf("alice"), "profile"),
			}
			change(&cmd)
			return just(cmd)(w)
		}
	}
	same := func(*UpdateConsumer) {}
	dropClock := func(w *world) *Request { return just(DeleteTestClock{w.clock("tc")})(w) }
	rival := merchant("rival", seller)
	checkRules(t, shop()[:4], []rule{
		{name: "a customer gets another external id", when: update(external("new"))},
		{name: "a customer keeps its own external id", when: update(external("alice-external"))},
		{name: "an external id is free once it is given up", given: []step{update(external("new")), customer("bob"), func(w *world) *Request {
			return just(UpdateCustomer{
				Customer: id[events.CustomerNoun](w, "bob"), External: Change[events.Digest]{true, digestOf("alice-external")},
				ExternalID: sealedFor(orgOf("bob"), "x"),
			})(w)
		}}, when: update(func(_ *world, c *UpdateCustomer) { c.TaxID.Given = true })},
		{name: "a customer gets fewer notices", when: update(func(_ *world, c *UpdateCustomer) { c.InvoicePaid.Given = true })},
		{name: "a customer is deleted", when: remove},
		{name: "a deleted customer's consumer can be one again", given: []step{remove}, when: customer("alice2")},
		{name: "a consumer's profile changes", when: profile(same)},
		{name: "a consumer's address changes", when: profile(func(c *UpdateConsumer) { c.Email = digestOf("alice2") })},
		{name: "a clock goes", given: []step{clock("tc", "2025-03-01 10:00")}, when: dropClock},

		{name: "with the external id of another", given: []step{customer("bob")}, when: update(external("bob-external")), refused: Conflict},
		{name: "sealed under another's key", when: update(func(_ *world, c *UpdateCustomer) {
			c.TaxID = Change[events.Sealed]{true, sealedFor(orgOf("bob"), "x")}
		}), refused: Invalid},
		{name: "of a customer of somebody else", given: []step{rival}, when: update(external("new")), refused: NotFound},
		{name: "of a deleted customer", given: []step{remove}, when: update(external("new")), refused: NotFound},
		{name: "deleting a customer twice", given: []step{remove}, when: remove, refused: NotFound},
		{name: "deleting somebody else's customer", given: []step{rival}, when: remove, refused: NotFound},
		{name: "a profile made of an older one", when: profile(func(c *UpdateConsumer) { c.Base-- }), refused: Busy},
		{name: "a profile under another's key", when: profile(func(c *UpdateConsumer) { c.Profile.Key = orgOf("bob") }), refused: Invalid},
		{name: "a profile with another's address", given: []step{customer("bob")}, when: profile(func(c *UpdateConsumer) { c.Email = digestOf("bob") }), refused: Conflict},
		{name: "a profile of somebody else's consumer", given: []step{rival}, when: profile(same), refused: NotFound},
		{name: "a clock that is gone", given: []step{clock("tc", "2025-03-01 10:00"), dropClock}, when: dropClock, refused: NotFound},
	})
	removeBob := func(w *world) *Request { return just(DeleteCustomer{id[events.CustomerNoun](w, "bob")})(w) }
	waiting := change(join("waits", "bob", "pro", terms{}), func(c *CreateSubscription) { c.Minimum = nanosOf("5") })
	entitled := func(w *world) *Request {
		w.named("feature", 0)
		w.do(just(CreateFeature{Product: id[events.ProductNoun](w, "llm"), Key: "seats", Name: "Seats", Type: events.FeatureMetered}))
		return just(IssueEntitlement{
			Customer: id[events.CustomerNoun](w, "bob"), Feature: id[events.FeatureNoun](w, "feature"),
			Terms: events.FeatureTerms{Type: events.FeatureMetered, Interval: "P1M", MaxRollover: Unlimited()},
		})(w)
	}
	checkRules(t, shop(), []rule{
		{name: "deleting a customer who is subscribed", when: remove, refused: Conflict},
		{name: "deleting a customer whose subscription waits for its money", given: []step{customer("bob"), waiting}, when: removeBob, refused: Conflict},
		{name: "deleting a customer who has an entitlement", given: []step{customer("bob"), entitled}, when: removeBob, refused: Conflict},
		{name: "deleting a clock that is in use", given: []step{clock("tc", "2025-03-01 10:00"), customer("bob"), join("sub2", "bob", "pro", terms{clock: "tc"})}, when: dropClock, refused: Conflict},
	})
}
