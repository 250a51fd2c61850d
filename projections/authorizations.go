package projections

import (
	"bytes"
	"slices"

	"tallystick/events"
)

// Authorization is an authorization session: a merchant asks whoever has an e-mail address to become its customer.
type Authorization struct {
	Merchant    events.OrganizationID      `cbor:"1,keyasint"`
	Status      events.AuthorizationStatus `cbor:"2,keyasint"` // pending also after it has expired
	Consumer    events.OrganizationID      `cbor:"3,keyasint"` // under whose key the address is sealed
	Email       events.Digest              `cbor:"4,keyasint"`
	Address     events.Sealed              `cbor:"5,keyasint,omitzero"` // where it is not in the consumer's profile
	Plan        events.PlanID              `cbor:"6,keyasint,omitzero"`
	RedirectURL string                     `cbor:"7,keyasint,omitempty"`
	ExpiresAt   events.Time                `cbor:"8,keyasint"`
	Customer    events.CustomerID          `cbor:"9,keyasint,omitzero"` // of a completed one
	CreatedAt   events.Time                `cbor:"11,keyasint"`
	Created     events.Seq                 `cbor:"12,keyasint"`

	Subscription events.SubscriptionID `cbor:"13,keyasint,omitzero"` // that waits for it
	Clock        events.TestClockID    `cbor:"14,keyasint,omitzero"` // of the subscription, on which it expires
	FailureURL   string                `cbor:"15,keyasint,omitempty"`
	Seconds      uint32                `cbor:"16,keyasint,omitempty"` // of the payment session that may follow
	Parked       string                `cbor:"17,keyasint,omitempty"` // why it does not expire, if it does not
	Minimum      events.Nanos          `cbor:"18,keyasint,omitempty"` // that the wallet is to hold before the plan is subscribed to; 0 for none
}

// User is a person who acts for an organization.
type User struct {
	Organization events.OrganizationID `cbor:"1,keyasint"`
	Email        events.Digest         `cbor:"2,keyasint"`
	Profile      events.Sealed         `cbor:"3,keyasint"`
	State        events.UserState      `cbor:"4,keyasint"`
	Role         events.UserRole       `cbor:"5,keyasint"`
	Changed      events.Seq            `cbor:"6,keyasint"` // what was signed in before is no longer
	At           events.Time           `cbor:"7,keyasint"`
	Link         events.Time           `cbor:"8,keyasint,omitzero"` // links that are good no longer than this are good no more
	Passkeys     []Passkey             `cbor:"9,keyasint,omitempty"`
}

// Passkey is what a user can sign in by.
type Passkey struct {
	Credential []byte      `cbor:"1,keyasint"` // what browsers call it
	Key        []byte      `cbor:"2,keyasint"` // the public one, in COSE
	Counter    uint32      `cbor:"3,keyasint"` // of the latest use
	Synced     bool        `cbor:"4,keyasint"`
	AddedAt    events.Time `cbor:"5,keyasint"`
	UsedAt     events.Time `cbor:"6,keyasint,omitzero"`
	Challenge  events.Time `cbor:"7,keyasint,omitzero"` // challenges that are good no longer than this are good no more
	Made       events.Time `cbor:"8,keyasint,omitzero"` // likewise those of the session in which it was added, for another one to be added
}

// Passkey returns a user's passkey, or nil.
func (u *User) Passkey(credential []byte) *Passkey {
	for i := range u.Passkeys {
		if bytes.Equal(u.Passkeys[i].Credential, credential) {
			return &u.Passkeys[i]
		}
	}
	return nil
}

// Grows reports whether n may be the counter of the next use of a passkey: it grows, or the device does not count. One that does not grow is
// of a copy.
func (k *Passkey) Grows(n uint32) bool { return n > k.Counter || n == 0 && k.Counter == 0 }

// Portal is a link by which a subscription can be looked at.
type Portal struct {
	Merchant     events.OrganizationID `cbor:"1,keyasint"`
	Subscription events.SubscriptionID `cbor:"2,keyasint"`
	ExpiresAt    events.Time           `cbor:"3,keyasint"`
	Revoked      bool                  `cbor:"4,keyasint,omitempty"`
}

// FullConsumer returns the full consumer with an e-mail address, or zero.
func (b *Books) FullConsumer(email events.Digest) events.OrganizationID {
	return b.ManagedConsumer(events.OrganizationID{}, email) // they are kept as nobody's
}

// ManagedConsumer returns the consumer with an e-mail address that a merchant manages, or zero.
func (b *Books) ManagedConsumer(merchant events.OrganizationID, email events.Digest) events.OrganizationID {
	if id := b.Emails.Get(Pair[events.OrganizationID, events.Digest]{merchant, email}); id != nil {
		return *id
	}
	return events.OrganizationID{}
}

// HasAuthorized reports whether a full consumer lets a merchant make it a customer (D30).
func (b *Books) HasAuthorized(consumer, merchant events.OrganizationID) bool {
	return b.Authorized.Get(Pair[events.OrganizationID, events.OrganizationID]{consumer, merchant}) != nil
}

// AwaitedBy returns the full consumer who has to authorize a merchant before a consumer can be subscribed to anything of it, or zero
// (D30): itself, or the one that it stands in for.
func (b *Books) AwaitedBy(merchant, id events.OrganizationID, c *Consumer) (full events.OrganizationID) {
	switch {
	case c.Type == events.Full:
		full = id
	case c.StandsIn:
		full = b.FullConsumer(c.Email)
	}
	if full.IsZero() || b.HasAuthorized(full, merchant) {
		return events.OrganizationID{}
	}
	return full
}

// UserOf returns the user with an e-mail address that an organization has, or zero.
func (b *Books) UserOf(organization events.OrganizationID, email events.Digest) events.UserID {
	if id := b.UserEmails.Get(Pair[events.OrganizationID, events.Digest]{organization, email}); id != nil {
		return *id
	}
	return events.UserID{}
}

func (b *Books) authorizationOpened(rec *events.Record, e events.AuthorizationOpened) {
	*b.Authorizations.insert(e.Authorization) = Authorization{
		Merchant: rec.Merchant, Status: events.AuthorizationPending, Consumer: e.Consumer, Email: e.Email, Address: e.Address, Plan: e.Plan,
		RedirectURL: e.RedirectURL, ExpiresAt: e.ExpiresAt, CreatedAt: rec.At, Created: rec.Seq,
		Subscription: e.Subscription, Clock: e.Clock, FailureURL: e.FailureURL, Seconds: e.Seconds, Minimum: e.Minimum,
	}
	if !e.Subscription.IsZero() {
		b.Subscriptions.edit(e.Subscription).Authorization = e.Authorization
	}
	b.link(LinkAuthorizations, rec.Merchant, e.Authorization, rec.Seq)
}

func (b *Books) authorizationEnded(rec *events.Record, e events.AuthorizationEnded) {
	a := b.Authorizations.edit(e.Authorization)
	assert(a.Status == events.AuthorizationPending, rec, "an authorization session that ends twice")
	a.Status, a.Customer = e.Status, e.Customer
}

func (b *Books) merchantAuthorized(rec *events.Record, e events.MerchantAuthorized) {
	*b.Authorized.insert(Pair[events.OrganizationID, events.OrganizationID]{e.Consumer, rec.Merchant}) = rec.Seq
	if b.Consumers.Get(e.Consumer).Stranger(rec.Merchant) {
		c := b.Consumers.edit(e.Consumer)
		c.Strangers = slices.DeleteFunc(c.Strangers, func(id events.OrganizationID) bool { return id == rec.Merchant })
	}
}

func (b *Books) authorizationWithdrawn(rec *events.Record, e events.AuthorizationWithdrawn) {
	b.Authorized.remove(Pair[events.OrganizationID, events.OrganizationID]{e.Consumer, rec.Merchant})
}

// consumerClaimed makes what a managed consumer has the full one's. What was sealed under the managed one's key stays
// so: the full one's erasure is also that of those it has claimed.
func (b *Books) consumerClaimed(rec *events.Record, e events.ConsumerClaimed) {
	full := b.Consumers.edit(e.Consumer)
	full.Claimed = append(full.Claimed, e.Managed)
	if b.Consumers.Get(e.Managed) == nil {
		return // there was a key for it, and never a consumer
	}
	managed := b.Consumers.edit(e.Managed)
	assert(managed.ClaimedBy.IsZero(), rec, "a consumer that is claimed twice")
	manager := managed.Manager
	for _, ref := range managed.Wallets {
		ref.Bound = manager
		full.Wallets = append(full.Wallets, ref)
		b.Wallets.edit(ref.Wallet).Owner = e.Consumer
		b.link(LinkWallets, e.Consumer, ref.Wallet, rec.Seq)
	}
	for _, ref := range managed.Methods {
		full.Methods = append(full.Methods, ref)
		b.Methods.edit(ref.Method).Consumer = e.Consumer
	}
	managed.Wallets, managed.Methods, managed.ClaimedBy = nil, nil, e.Consumer
	if !b.HasAuthorized(e.Consumer, manager) {
		full.Strangers = append(full.Strangers, manager)
	}
	b.unmanage(managed.Email, e.Managed)
	b.Emails.remove(Pair[events.OrganizationID, events.Digest]{manager, managed.Email})
	customer := b.CustomerOf(manager, e.Managed)
	if customer.IsZero() {
		return
	}
	b.Customers.edit(customer).Consumer = e.Consumer
	b.Pairs.remove(Pair[events.OrganizationID, events.OrganizationID]{manager, e.Managed})
	if b.CustomerOf(manager, e.Consumer).IsZero() {
		*b.Pairs.insert(Pair[events.OrganizationID, events.OrganizationID]{manager, e.Consumer}) = customer
	}
	b.link(LinkCustomersOfConsumer, e.Consumer, customer, rec.Seq)
}

func (b *Books) userCreated(rec *events.Record, e events.UserCreated) {
	*b.Users.insert(e.User) = User{
		Organization: e.Organization, Email: e.Email, Profile: e.Profile, State: e.State, Role: e.Role, Changed: rec.Seq, At: rec.At,
	}
	*b.UserEmails.insert(Pair[events.OrganizationID, events.Digest]{e.Organization, e.Email}) = e.User
	b.link(LinkUsers, e.Organization, e.User, rec.Seq)
	b.link(LinkUsersOfEmail, e.Email, e.User, rec.Seq)
}

func (b *Books) userUpdated(rec *events.Record, e events.UserUpdated) {
	u := b.Users.edit(e.User)
	u.State, u.Role, u.Changed = e.State, e.Role, rec.Seq
}

func (b *Books) userSignedIn(rec *events.Record, e events.UserSignedIn) {
	u := b.Users.edit(e.User)
	assert(e.Link > u.Link, rec, "a link that is used twice")
	u.Link = e.Link
}

func (b *Books) passkeyAdded(rec *events.Record, e events.PasskeyAdded) {
	u := b.Users.edit(e.User)
	assert(u.Passkey(e.Credential) == nil, rec, "a passkey that is added twice")
	u.Passkeys = append(slices.Clone(u.Passkeys), Passkey{Credential: e.Credential, Key: e.Key, Counter: e.Counter, Synced: e.Synced, AddedAt: rec.At, Made: e.Challenge})
}

func (b *Books) passkeyRemoved(rec *events.Record, e events.PasskeyRemoved) {
	u := b.Users.edit(e.User)
	assert(u.Passkey(e.Credential) != nil, rec, "a passkey removed that is none")
	u.Passkeys = slices.DeleteFunc(slices.Clone(u.Passkeys), func(k Passkey) bool { return bytes.Equal(k.Credential, e.Credential) })
	u.Changed = rec.Seq
}

func (b *Books) passkeyUsed(rec *events.Record, e events.PasskeyUsed) {
	u := b.Users.edit(e.User)
	u.Passkeys = slices.Clone(u.Passkeys)
	k := u.Passkey(e.Credential)
	assert(k != nil && e.Challenge > k.Challenge && k.Grows(e.Counter), rec, "a passkey that signs in by what was used")
	k.Counter, k.Challenge, k.UsedAt = e.Counter, e.Challenge, rec.At
}

func (b *Books) portalOpened(rec *events.Record, e events.PortalOpened) {
	*b.Portals.insert(e.Portal) = Portal{Merchant: rec.Merchant, Subscription: e.Subscription, ExpiresAt: e.ExpiresAt}
}
