package commands

import (
	"slices"

	"tallystick/events"
	"tallystick/projections"
)

// CreateCustomer relates the merchant to a consumer: an existing one, or the one with the given e-mail
// address, or else a new managed one. Of a full consumer that has not authorized the merchant it learns nothing: a managed one, which is
// what the merchant says of it, stands in for it until it has.
//
// Personal data comes sealed: whoever decodes the command draws Candidate and seals under its key,
// before it is known whether a new consumer is needed.
type CreateCustomer struct {
	Consumer  events.OrganizationID // an existing one, or zero
	Candidate events.OrganizationID // the identity of a new one
	Email     events.Digest
	Profile   events.Sealed // of a new one
	External  events.Digest // of the merchant's own id; zero for none
	Details   events.Sealed
	Region    string             // of a new one's address, for tax; "" where it is incomplete
	TaxRates  []events.TaxRateOf // each plan and each metric at most once, and at most one for all
}

// CreateConsumer makes a managed consumer with its wallet, and no customer yet; or finds the one that [CreateCustomer] would take for the
// e-mail address. What is personal comes sealed in the same way.
type CreateConsumer struct {
	Candidate events.OrganizationID
	Email     events.Digest
	Profile   events.Sealed
	Region    string
}

// EraseConsumer destroys the key of a consumer's personal data. Amounts stay.
type EraseConsumer struct {
	Consumer events.OrganizationID
}

// decideCustomer answers a command about customers and consumers.
func decideCustomer(b *projections.Books, c Context, cmd any, d *decision) *Rejection {
	switch cmd := cmd.(type) {
	case CreateCustomer:
		return createCustomer(b, c, cmd, d)
	case UpdateCustomer:
		return updateCustomer(b, c, cmd, d)
	case DeleteCustomer:
		return deleteCustomer(b, c, cmd, d)
	case CreateConsumer:
		return createConsumer(b, c, cmd, d)
	case UpdateConsumer:
		return updateConsumer(b, c, cmd, d)
	case EraseConsumer:
		return eraseConsumer(b, c, cmd, d)
	}
	panic("commands: impossible: a command without a rule")
}

func createCustomer(b *projections.Books, c Context, cmd CreateCustomer, d *decision) *Rejection {
	m, r := merchantOf(b, c)
	if r != nil {
		return r
	}
	if r := taxRatesOK(b, c, cmd.TaxRates); r != nil {
		return r
	}
	id, newcomer := cmd.Consumer, CreateConsumer{cmd.Candidate, cmd.Email, cmd.Profile, cmd.Region}
	if id.IsZero() {
		if r := candidateOK(newcomer); r != nil {
			return r
		}
		id = b.ConsumerByEmail(c.Merchant, cmd.Email)
	}
	if existing := b.CustomerOf(c.Merchant, id); !id.IsZero() && !existing.IsZero() && !b.Consumers.Get(id).Erased {
		row := b.Customers.Get(existing)
		d.existing = &Receipt{Status: Duplicate, Seq: row.Created, ID: Ref{refCustomer, existing}}
		return nil
	}
	if r := mayReuse(b, c, id); r != nil {
		return r
	}
	if id.IsZero() && taken(b, cmd.Candidate) {
		return Reject(Conflict, "organization %s exists already", cmd.Candidate)
	}
	owner := id
	if owner.IsZero() {
		owner = cmd.Candidate
	}
	if !cmd.Details.IsZero() && !goesWith(b, cmd.Details.Key, owner) {
		// The e-mail address has become another consumer's since the command was sealed: what is sealed under the wrong key
		// could not be erased with its owner.
		return Reject(Busy, "the consumer was made by another command just now; repeat")
	}
	if !cmd.External.IsZero() && !b.CustomerByExternal(c.Merchant, cmd.External).IsZero() {
		return Reject(Conflict, "another customer has this externalId")
	}

	if id.IsZero() {
		id = cmd.Candidate
		addManaged(b, c, newcomer, m.Currency, d)
	}
	d.main = len(d.drafts)
	d.add(c, c.Now, events.CustomerCreated{
		Customer: events.Derive[events.CustomerNoun](c.ID, 0), Consumer: id, TaxRates: cmd.TaxRates, External: cmd.External, Details: cmd.Details,
	})
	return nil
}

func createConsumer(b *projections.Books, c Context, cmd CreateConsumer, d *decision) *Rejection {
	m, r := merchantOf(b, c)
	if r != nil {
		return r
	}
	if id := b.ConsumerByEmail(c.Merchant, cmd.Email); !id.IsZero() {
		d.existing = &Receipt{Status: Duplicate, Seq: b.Consumers.Get(id).Profile, ID: Ref{refOrganization, id}}
		return nil
	}
	if cmd.Candidate.IsZero() && !cmd.Email.IsZero() {
		return Reject(Busy, "the consumer with this address has gone just now; repeat")
	}
	if r := candidateOK(cmd); r != nil {
		return r
	}
	if taken(b, cmd.Candidate) {
		return Reject(Conflict, "organization %s exists already", cmd.Candidate)
	}
	addManaged(b, c, cmd, m.Currency, d)
	return nil
}

// addManaged adds a consumer that the merchant manages, with a wallet that pays no other. Where a full consumer has the address, which has
// not authorized the merchant, it stands in for that one, and has no wallet.
func addManaged(b *projections.Books, c Context, cmd CreateConsumer, currency events.Currency, d *decision) {
	e := events.ConsumerCreated{
		Consumer: cmd.Candidate, Type: events.Managed, Email: cmd.Email, Profile: cmd.Profile, Region: cmd.Region,
		StandsIn: !b.FullConsumer(cmd.Email).IsZero(),
	}
	d.add(c, c.Now, e)
	if !e.StandsIn { // a full consumer pays from its own
		d.add(c, c.Now, events.WalletOpened{
			Wallet: events.Derive[events.WalletNoun](c.ID, 1), Owner: cmd.Candidate, Currency: currency, Bound: c.Merchant,
		})
	}
}

// taken reports whether an identity is an organization's already.
func taken(b *projections.Books, id events.OrganizationID) bool {
	return b.Consumers.Get(id) != nil || b.Merchants.Get(id) != nil
}

// goesWith reports whether a key is destroyed when a consumer is erased: its own, and those of the consumers that it has claimed.
func goesWith(b *projections.Books, key, consumer events.OrganizationID) bool {
	row := b.Consumers.Get(consumer)
	return key == consumer || row != nil && slices.Contains(row.Claimed, key)
}

// candidateOK refuses a command that lacks what a new consumer needs.
func candidateOK(cmd CreateConsumer) *Rejection {
	if cmd.Email.IsZero() || cmd.Candidate.IsZero() || cmd.Profile.IsZero() {
		return Reject(Invalid, "give either consumerId or a consumer with name and email")
	}
	if cmd.Profile.Key != cmd.Candidate {
		return Reject(Invalid, "the profile is sealed under the key of %s, not of %s", cmd.Profile.Key, cmd.Candidate)
	}
	return nil
}

// mayReuse refuses a consumer, if there is one, that the merchant does not manage, or not any more since it was claimed (D30).
func mayReuse(b *projections.Books, c Context, id events.OrganizationID) *Rejection {
	if id.IsZero() {
		return nil
	}
	row := b.Consumers.Get(id)
	if row == nil || row.Erased || !row.ClaimedBy.IsZero() || row.Type == events.Managed && row.Manager != c.Merchant {
		return Reject(NotFound, "no consumer %s", id)
	}
	if row.Type != events.Managed && !b.HasAuthorized(id, c.Merchant) {
		return Reject(Forbidden, "consumer %s must authorize this merchant itself: send it an authorization link", id)
	}
	return nil
}

func eraseConsumer(b *projections.Books, c Context, cmd EraseConsumer, d *decision) *Rejection {
	row := b.Consumers.Get(cmd.Consumer)
	if row == nil || !c.Operator && (row.Manager.IsZero() || row.Manager != c.Merchant) {
		return Reject(NotFound, "no consumer %s", cmd.Consumer)
	}
	if row.Erased {
		return Reject(Conflict, "consumer %s is erased already", cmd.Consumer)
	}
	if !row.ClaimedBy.IsZero() {
		return Reject(Conflict, "consumer %s is %s now: erase that one", cmd.Consumer, row.ClaimedBy)
	}
	c.Merchant = row.Manager
	d.add(c, c.Now, events.ConsumerErased{Consumer: cmd.Consumer})
	for _, id := range row.Claimed { // what was sealed before it signed up
		d.add(c, c.Now, events.ConsumerErased{Consumer: id})
	}
	return nil
}
