package projections

import (
	"slices"

	"tallystick/events"
)

// Opened is the ledger's first record.
type Opened struct {
	Environment events.Environment `cbor:"1,keyasint"`
	Format      uint32             `cbor:"2,keyasint"`
	At          events.Time        `cbor:"3,keyasint"`
}

// Key is an API key, without its secret.
type Key struct {
	Role     events.KeyRole        `cbor:"1,keyasint"`
	Merchant events.OrganizationID `cbor:"2,keyasint,omitzero"` // of a merchant key
	Name     string                `cbor:"3,keyasint,omitempty"`
	Secret   events.Hash           `cbor:"4,keyasint"`
	Created  events.Seq            `cbor:"5,keyasint"`
	Revoked  bool                  `cbor:"6,keyasint,omitempty"`
}

// MerchantRow is an organization that sells.
type MerchantRow struct {
	Profile  events.Seq      `cbor:"1,keyasint"` // the record that holds its profile now
	Settings events.Settings `cbor:"2,keyasint"`
	Currency events.Currency `cbor:"3,keyasint"`
	Name     string          `cbor:"4,keyasint"`
	Wallets  []WalletRef     `cbor:"5,keyasint,omitempty"` // earnings; one for each currency
	Created  events.Seq      `cbor:"6,keyasint"`
}

// WalletRef names the wallet of an organization for a currency.
type WalletRef struct {
	Currency events.Currency       `cbor:"1,keyasint"`
	Wallet   events.WalletID       `cbor:"2,keyasint"`
	Bound    events.OrganizationID `cbor:"3,keyasint,omitzero"`  // the only merchant that it pays
	Virtual  bool                  `cbor:"4,keyasint,omitempty"` // it is for one subscription alone
}

// Consumer is an organization that buys.
type Consumer struct {
	Type    events.ConsumerKind   `cbor:"1,keyasint"`
	Manager events.OrganizationID `cbor:"2,keyasint,omitzero"` // the merchant of a managed one
	Email   events.Digest         `cbor:"3,keyasint"`
	Profile events.Seq            `cbor:"4,keyasint"` // the record that holds its profile now
	Sealed  events.Sealed         `cbor:"5,keyasint"` // the profile itself
	Wallets []WalletRef           `cbor:"6,keyasint,omitempty"`
	Erased  bool                  `cbor:"7,keyasint,omitempty"`
	Methods []MethodRef           `cbor:"8,keyasint,omitempty"`  // stored payment methods, oldest first
	Region  string                `cbor:"20,keyasint,omitempty"` // for tax by address

	StandsIn bool `cbor:"21,keyasint,omitempty"` // a managed one: for a full one with its address, which has not authorized the merchant

	Claimed   []events.OrganizationID `cbor:"9,keyasint,omitempty"` // managed ones that are this full one's now
	ClaimedBy events.OrganizationID   `cbor:"10,keyasint,omitzero"`
	Strangers []events.OrganizationID `cbor:"11,keyasint,omitempty"` // merchants whose customer it is by a claim alone: it has authorized none of them yet
}

// Customer is the relation of a merchant to a consumer.
type Customer struct {
	Merchant events.OrganizationID `cbor:"1,keyasint"`
	Consumer events.OrganizationID `cbor:"2,keyasint"`
	Details  events.Sealed         `cbor:"3,keyasint,omitzero"`
	Created  events.Seq            `cbor:"4,keyasint"`
	At       events.Time           `cbor:"5,keyasint"`
	TaxRates []events.TaxRateOf    `cbor:"6,keyasint,omitempty"`

	External   events.Digest      `cbor:"20,keyasint,omitzero"`  // of the merchant's own id
	ExternalID *events.Sealed     `cbor:"21,keyasint,omitempty"` // since it was changed; before, it is in Details
	TaxID      *events.Sealed     `cbor:"22,keyasint,omitempty"` // likewise
	Muted      events.Muted       `cbor:"23,keyasint,omitzero"`
	UpdatedAt  events.Time        `cbor:"24,keyasint"`
	Deleted    bool               `cbor:"25,keyasint,omitempty"`
	Unpaid     []events.InvoiceID `cbor:"26,keyasint,omitempty"` // invoices that are not at their end
	Disputes   []events.DisputeID `cbor:"27,keyasint,omitempty"` // that are not resolved
}

// WalletFor returns the wallet that earns c, or zero.
func (m *MerchantRow) WalletFor(c events.Currency) events.WalletID {
	return walletFor(m.Wallets, c, events.OrganizationID{})
}

// WalletFor returns the wallet that pays merchant in currency c, where a subscription has none of its own; or zero.
func (c *Consumer) WalletFor(currency events.Currency, merchant events.OrganizationID) events.WalletID {
	if c.Stranger(merchant) {
		return walletFor(slices.DeleteFunc(slices.Clone(c.Wallets), func(w WalletRef) bool { return w.Bound.IsZero() }), currency, merchant)
	}
	return walletFor(c.Wallets, currency, merchant)
}

// Stranger reports whether c is a customer of merchant by a claim alone. Such a merchant has what it had, and nothing that c has
// otherwise: neither wallets nor payment methods (D30).
func (c *Consumer) Stranger(merchant events.OrganizationID) bool {
	return slices.Contains(c.Strangers, merchant)
}

func walletFor(refs []WalletRef, c events.Currency, merchant events.OrganizationID) events.WalletID {
	for _, w := range refs {
		if w.Currency == c && !w.Virtual && (w.Bound.IsZero() || w.Bound == merchant) {
			return w.Wallet
		}
	}
	return events.WalletID{}
}

// ConsumerByEmail returns the consumer that merchant means by an e-mail address: one that it manages, or else a full one that it
// knows, which has authorized it or is its customer; zero if there is none.
func (b *Books) ConsumerByEmail(merchant events.OrganizationID, email events.Digest) events.OrganizationID {
	if id := b.ManagedConsumer(merchant, email); !id.IsZero() {
		return id
	}
	full := b.FullConsumer(email)
	if b.HasAuthorized(full, merchant) || !b.CustomerOf(merchant, full).IsZero() {
		return full
	}
	return events.OrganizationID{}
}

// CustomerOf returns the customer that consumer is to merchant, or zero.
func (b *Books) CustomerOf(merchant, consumer events.OrganizationID) events.CustomerID {
	if id := b.Pairs.Get(Pair[events.OrganizationID, events.OrganizationID]{merchant, consumer}); id != nil {
		return *id
	}
	return events.CustomerID{}
}

// CustomerByExternal returns the customer that merchant calls by an id of its own, or zero.
func (b *Books) CustomerByExternal(merchant events.OrganizationID, external events.Digest) events.CustomerID {
	if id := b.Externals.Get(Pair[events.OrganizationID, events.Digest]{merchant, external}); id != nil {
		return *id
	}
	return events.CustomerID{}
}

func (b *Books) keyCreated(rec *events.Record, e events.KeyCreated) {
	*b.Keys.insert(e.Key) = Key{Role: e.Role, Merchant: rec.Merchant, Name: e.Name, Secret: e.Secret, Created: rec.Seq}
	*b.Secrets.insert(e.Secret) = e.Key
	b.link(LinkKeys, rec.Merchant, e.Key, rec.Seq)
}

func (b *Books) merchantCreated(rec *events.Record, e events.MerchantCreated) {
	m := b.Merchants.edit(rec.Merchant)
	assert(b.Merchants.off || m.Created == 0, rec, "merchant created twice")
	m.Profile, m.Created = rec.Seq, rec.Seq
	m.Settings, m.Currency, m.Name = e.Settings, e.Currency, e.Profile.Name
	b.link(LinkMerchants, events.OrganizationID{}, rec.Merchant, rec.Seq)
}

func (b *Books) merchantUpdated(rec *events.Record, e events.MerchantUpdated) {
	m := b.Merchants.edit(rec.Merchant)
	m.Profile, m.Settings, m.Name = rec.Seq, e.Settings, e.Profile.Name
}

func (b *Books) consumerCreated(rec *events.Record, e events.ConsumerCreated) {
	var manager events.OrganizationID
	if e.Type == events.Managed {
		manager = rec.Merchant
	}
	*b.Consumers.insert(e.Consumer) = Consumer{Type: e.Type, Manager: manager, Email: e.Email, Profile: rec.Seq, Sealed: e.Profile, Region: e.Region, StandsIn: e.StandsIn}
	*b.Emails.insert(Pair[events.OrganizationID, events.Digest]{manager, e.Email}) = e.Consumer
	if !manager.IsZero() {
		b.manage(e.Email, e.Consumer)
	}
}

// ManagedWith returns the managed consumers with an e-mail address, of all merchants, in the order in which they got it.
func (b *Books) ManagedWith(email events.Digest) []events.OrganizationID {
	if ids := b.Managed.Get(email); ids != nil {
		return *ids
	}
	return nil
}

// manage notes that a managed consumer has an e-mail address, and unmanage that it has it no more.
func (b *Books) manage(email events.Digest, id events.OrganizationID) {
	ids := b.Managed.edit(email)
	*ids = append(*ids, id)
}

func (b *Books) unmanage(email events.Digest, id events.OrganizationID) {
	rest := slices.DeleteFunc(slices.Clone(b.ManagedWith(email)), func(of events.OrganizationID) bool { return of == id })
	if len(rest) == 0 {
		b.Managed.remove(email)
		return
	}
	*b.Managed.edit(email) = rest
}

func (b *Books) consumerErased(rec *events.Record, e events.ConsumerErased) {
	c := b.Consumers.edit(e.Consumer)
	assert(!c.Erased, rec, "consumer erased twice")
	b.Emails.remove(Pair[events.OrganizationID, events.Digest]{c.Manager, c.Email})
	if !c.Manager.IsZero() && c.ClaimedBy.IsZero() {
		b.unmanage(c.Email, e.Consumer)
	}
	c.Erased, c.Methods = true, nil
}

func (b *Books) customerCreated(rec *events.Record, e events.CustomerCreated) {
	*b.Customers.insert(e.Customer) = Customer{
		Merchant: rec.Merchant, Consumer: e.Consumer, Details: e.Details, Created: rec.Seq, At: rec.At, External: e.External, UpdatedAt: rec.At,
		TaxRates: e.TaxRates,
	}
	*b.Pairs.insert(Pair[events.OrganizationID, events.OrganizationID]{rec.Merchant, e.Consumer}) = e.Customer
	if !e.External.IsZero() {
		*b.Externals.insert(Pair[events.OrganizationID, events.Digest]{rec.Merchant, e.External}) = e.Customer
	}
	b.link(LinkCustomers, rec.Merchant, e.Customer, rec.Seq)
	b.link(LinkCustomersOfConsumer, e.Consumer, e.Customer, rec.Seq)
}

func (b *Books) customerUpdated(rec *events.Record, e events.CustomerUpdated) {
	c := b.Customers.edit(e.Customer)
	if e.ExternalGiven {
		b.moveExternal(c, e.Customer, e.External)
		c.ExternalID = &e.ExternalID
	}
	if e.TaxIDGiven {
		c.TaxID = &e.TaxID
	}
	if e.RatesGiven {
		c.TaxRates = e.TaxRates
	}
	c.Muted, c.UpdatedAt = e.Muted, rec.At
}

// moveExternal makes a customer the one that its merchant calls by an id of its own, or by none.
func (b *Books) moveExternal(c *Customer, id events.CustomerID, to events.Digest) {
	type pair = Pair[events.OrganizationID, events.Digest]
	if !c.External.IsZero() {
		b.Externals.remove(pair{c.Merchant, c.External})
	}
	if c.External = to; !to.IsZero() {
		*b.Externals.insert(pair{c.Merchant, to}) = id
	}
}

func (b *Books) customerDeleted(rec *events.Record, e events.CustomerDeleted) {
	c := b.Customers.edit(e.Customer)
	assert(!c.Deleted, rec, "customer deleted twice")
	b.moveExternal(c, e.Customer, events.Digest{})
	b.Pairs.remove(Pair[events.OrganizationID, events.OrganizationID]{c.Merchant, c.Consumer})
	c.Deleted, c.UpdatedAt = true, rec.At
}

func (b *Books) consumerUpdated(rec *events.Record, e events.ConsumerUpdated) {
	type pair = Pair[events.OrganizationID, events.Digest]
	c := b.Consumers.edit(e.Consumer)
	if c.Email != e.Email {
		b.Emails.remove(pair{c.Manager, c.Email})
		*b.Emails.insert(pair{c.Manager, e.Email}) = e.Consumer
		if !c.Manager.IsZero() {
			b.unmanage(c.Email, e.Consumer)
			b.manage(e.Email, e.Consumer)
		}
	}
	c.Email, c.Profile, c.Sealed, c.Region = e.Email, rec.Seq, e.Profile, e.Region
}

// owe notes that an invoice of a customer is open, and settled that it is not any more.
func (b *Books) owe(customer events.CustomerID, invoice events.InvoiceID) {
	c := b.Customers.edit(customer)
	c.Unpaid = append(c.Unpaid, invoice)
}

func (b *Books) settled(sub events.SubscriptionID, invoice events.InvoiceID) {
	c := b.Customers.edit(b.Subscriptions.Get(sub).Customer)
	c.Unpaid = slices.DeleteFunc(c.Unpaid, func(id events.InvoiceID) bool { return id == invoice })
}
