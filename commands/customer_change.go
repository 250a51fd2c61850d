package commands

import (
	"fmt"

	"tallystick/events"
	"tallystick/projections"
)

// UpdateCustomer changes what a merchant knows of a customer. Texts come sealed, under the consumer's key.
type UpdateCustomer struct {
	Customer   events.CustomerID
	External   Change[events.Digest] // of the merchant's own id; zero for none
	ExternalID events.Sealed         // with External
	TaxID      Change[events.Sealed]
	TaxRates   Change[[]events.TaxRateOf]

	InvoiceIssued   Change[bool] // whether the customer gets these notices
	InvoicePaid     Change[bool]
	RenewalReminder Change[bool]
}

// DeleteCustomer ends the relation of a merchant to a consumer, with whom nothing may be open.
type DeleteCustomer struct {
	Customer events.CustomerID
}

// UpdateConsumer replaces the profile of a consumer that the merchant manages. The profile is sealed under the consumer's key, and was
// made of the one in the record Base.
type UpdateConsumer struct {
	Consumer events.OrganizationID
	Base     events.Seq
	Email    events.Digest
	Profile  events.Sealed
	Region   string
}

// customerOf returns a customer that a command may be about.
func customerOf(b *projections.Books, c Context, id events.CustomerID) (*projections.Customer, *Rejection) {
	row := b.Customers.Get(id)
	if row == nil || row.Deleted || !c.Operator && row.Merchant != c.Merchant {
		return nil, Reject(NotFound, "no customer %s", id)
	}
	return row, nil
}

func updateCustomer(b *projections.Books, c Context, cmd UpdateCustomer, d *decision) *Rejection {
	row, r := customerOf(b, c, cmd.Customer)
	if r != nil {
		return r
	}
	for _, sealed := range []events.Sealed{cmd.ExternalID, cmd.TaxID.To} {
		if !sealed.IsZero() && sealed.Key != row.Consumer {
			return Reject(Invalid, "what is sealed is so under the key of %s, not of %s", sealed.Key, row.Consumer)
		}
	}
	if cmd.External.Given && !cmd.External.To.IsZero() {
		if other := b.CustomerByExternal(row.Merchant, cmd.External.To); !other.IsZero() && other != cmd.Customer {
			return Reject(Conflict, "another customer has this externalId")
		}
	}
	muted := row.Muted
	mute(cmd.InvoiceIssued, &muted.InvoiceIssued)
	mute(cmd.InvoicePaid, &muted.InvoicePaid)
	mute(cmd.RenewalReminder, &muted.RenewalReminder)

	e := events.CustomerUpdated{
		Customer: cmd.Customer, ExternalGiven: cmd.External.Given, External: cmd.External.To, ExternalID: cmd.ExternalID,
		TaxIDGiven: cmd.TaxID.Given, TaxID: cmd.TaxID.To, Muted: muted,
		RatesGiven: cmd.TaxRates.Given, TaxRates: cmd.TaxRates.To,
	}
	c.Merchant = row.Merchant
	d.add(c, c.Now, e)
	return nil
}

// mute takes note of whether notices are wanted.
func mute(wanted Change[bool], muted *bool) {
	if wanted.Given {
		*muted = !wanted.To
	}
}

// maxBlockers is how many of the things that stand in the way are named.
const maxBlockers = 10

func deleteCustomer(b *projections.Books, c Context, cmd DeleteCustomer, d *decision) *Rejection {
	row, r := customerOf(b, c, cmd.Customer)
	if r != nil {
		return r
	}
	if blockers := customerBlockers(b, cmd.Customer, row); len(blockers) > 0 {
		return Reject(Conflict, "customer %s is in use", cmd.Customer).blockedBy(blockers...)
	}
	c.Merchant = row.Merchant
	d.add(c, c.Now, events.CustomerDeleted{Customer: cmd.Customer})
	return nil
}

// customerBlockers returns what is open with a customer.
func customerBlockers(b *projections.Books, id events.CustomerID, row *projections.Customer) (blockers []Blocker) {
	var subs []events.SubscriptionID
	for _, of := range []*projections.Active{b.Active.Get(id), b.Pending.Get(id)} {
		if of != nil {
			subs = append(subs, of.Subscriptions...)
		}
	}
	var entitlements []events.EntitlementID
	if of := b.Entitled.Get(id); of != nil {
		entitlements = of.Entitlements
	}
	blockers = blocking(blockers, "subscriptions", subs, func(sub events.SubscriptionID) string { return string(b.Subscriptions.Get(sub).Status) })
	blockers = blocking(blockers, "invoices", row.Unpaid, func(events.InvoiceID) string { return "" })
	blockers = blocking(blockers, "disputes", row.Disputes, func(events.DisputeID) string { return string(projections.DisputePending) })
	return blocking(blockers, "entitlements", entitlements, func(e events.EntitlementID) string { return string(b.Entitlements.Get(e).Status) })
}

// blocking adds what stands in the way of one sort, if there is any.
func blocking[T fmt.Stringer](blockers []Blocker, kind string, ids []T, status func(T) string) []Blocker {
	if len(ids) == 0 {
		return blockers
	}
	block := Blocker{Type: kind, Count: len(ids)}
	for _, id := range ids[:min(maxBlockers, len(ids))] {
		block.Items = append(block.Items, BlockerItem{ID: id.String(), Status: status(id)})
	}
	return append(blockers, block)
}

func updateConsumer(b *projections.Books, c Context, cmd UpdateConsumer, d *decision) *Rejection {
	row := b.Consumers.Get(cmd.Consumer)
	if row == nil || row.Erased || !row.ClaimedBy.IsZero() || !c.Operator && row.Type == events.Managed && row.Manager != c.Merchant {
		return Reject(NotFound, "no consumer %s", cmd.Consumer)
	}
	if row.Type != events.Managed && !c.Operator {
		return Reject(Forbidden, "consumer %s changes its profile itself", cmd.Consumer)
	}
	if cmd.Email.IsZero() || cmd.Profile.IsZero() || cmd.Profile.Key != cmd.Consumer {
		return Reject(Invalid, "the profile is not sealed under the consumer's key")
	}
	if row.Profile != cmd.Base {
		return Reject(Busy, "the profile was changed by another command just now; repeat")
	}
	if row.Email != cmd.Email {
		other := b.Emails.Get(projections.Pair[events.OrganizationID, events.Digest]{A: row.Manager, B: cmd.Email})
		if other != nil {
			return Reject(Conflict, "another consumer has this e-mail address")
		}
	}
	c.Merchant = row.Manager
	d.add(c, c.Now, events.ConsumerUpdated{Consumer: cmd.Consumer, Email: cmd.Email, Profile: cmd.Profile, Region: cmd.Region})
	return nil
}
