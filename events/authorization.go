package events

// AuthorizationStatus is the state of an authorization session.
type AuthorizationStatus string

// The states of an authorization session.
const (
	AuthorizationPending   AuthorizationStatus = "pending"
	AuthorizationCompleted AuthorizationStatus = "completed"
	AuthorizationExpired   AuthorizationStatus = "expired"
	AuthorizationRefused   AuthorizationStatus = "refused"   // by whoever was asked
	AuthorizationCancelled AuthorizationStatus = "cancelled" // the subscription that waited for it has ended
)

// AuthorizationOpened records that the envelope's merchant asks whoever has an e-mail address to authorize it, and to take a
// plan. What is personal is sealed under the key of Consumer: a full one with this address, or one that there will be
// if somebody signs up. Where a subscription waits for it, it is a full one of which the merchant knows already, or a managed one that
// stands in for one, and the address is in its profile.
type AuthorizationOpened struct {
	Authorization AuthorizationID `cbor:"1,keyasint" json:"authorizationId"`
	Consumer      OrganizationID  `cbor:"2,keyasint" json:"consumerId"`
	Email         Digest          `cbor:"3,keyasint" json:"emailDigest"`
	Address       Sealed          `cbor:"4,keyasint,omitzero" json:"email,omitzero"`
	Plan          PlanID          `cbor:"5,keyasint,omitzero" json:"planId,omitzero"`
	RedirectURL   string          `cbor:"6,keyasint,omitempty" json:"redirectUrl,omitempty"`
	ExpiresAt     Time            `cbor:"7,keyasint" json:"expiresAt"`                        // on Clock, which is real time where there is no subscription
	Subscription  SubscriptionID  `cbor:"8,keyasint,omitzero" json:"subscriptionId,omitzero"` // that waits for it
	Clock         TestClockID     `cbor:"9,keyasint,omitzero" json:"testClockId,omitzero"`
	FailureURL    string          `cbor:"10,keyasint,omitempty" json:"failureRedirectUrl,omitempty"` // of the payment session that may follow
	Seconds       uint32          `cbor:"11,keyasint,omitempty" json:"sessionSeconds,omitempty"`     // likewise: how long it lasts
	Minimum       Nanos           `cbor:"12,keyasint,omitempty" json:"minimumAccountBalanceNanos,omitempty"`
}

// AuthorizationEnded records what became of an authorization session.
type AuthorizationEnded struct {
	Authorization AuthorizationID     `cbor:"1,keyasint" json:"authorizationId"`
	Status        AuthorizationStatus `cbor:"2,keyasint" json:"status"`
	Customer      CustomerID          `cbor:"3,keyasint,omitzero" json:"customerId,omitzero"` // of a completed one
}

// MerchantAuthorized records that a full consumer lets the envelope's merchant make it a customer, and charge its wallet for
// what is used of it (D30).
type MerchantAuthorized struct {
	Consumer OrganizationID `cbor:"1,keyasint" json:"consumerId"`
}

// AuthorizationWithdrawn records that a full consumer does not want to be subscribed to anything more by the envelope's merchant.
// Subscriptions that there are go on until they end.
type AuthorizationWithdrawn struct {
	Consumer OrganizationID `cbor:"1,keyasint" json:"consumerId"`
}

// ConsumerClaimed records that the holder of an e-mail address has signed up, or in, as a full consumer, and that a managed
// consumer with the same address is it. Its customers and wallets are the full one's from now on; money that is
// bound to a merchant stays so.
type ConsumerClaimed struct {
	Consumer OrganizationID `cbor:"1,keyasint" json:"consumerId"`
	Managed  OrganizationID `cbor:"2,keyasint" json:"managedConsumerId"`
}

// UserState is the state of a user in an organization.
type UserState string

// The states of a user.
const (
	UserInvited   UserState = "invited"
	UserActive    UserState = "active"
	UserSuspended UserState = "suspended"
	UserDeclined  UserState = "declined"
)

// UserRole says what a user may do for an organization.
type UserRole string

// The roles of users. Each may do what those after it may.
const (
	OwnerRole   UserRole = "owner"   // everything, users included
	BillingRole UserRole = "billing" // authorize, pay, cancel
	ViewerRole  UserRole = "viewer"  // look
)

// UserCreated records that a person acts for an organization. What is personal is sealed under the organization's key.
type UserCreated struct {
	User         UserID         `cbor:"1,keyasint" json:"userId"`
	Organization OrganizationID `cbor:"2,keyasint" json:"organizationId"`
	Email        Digest         `cbor:"3,keyasint" json:"emailDigest"`
	Profile      Sealed         `cbor:"4,keyasint" json:"profile"`
	State        UserState      `cbor:"5,keyasint" json:"state"`
	Role         UserRole       `cbor:"6,keyasint" json:"role"`
}

// UserUpdated records a user's state and role as they are from now on.
type UserUpdated struct {
	User  UserID    `cbor:"1,keyasint" json:"userId"`
	State UserState `cbor:"2,keyasint" json:"state"`
	Role  UserRole  `cbor:"3,keyasint" json:"role"`
}

// UserSignedIn records that a user has used a link that was mailed to it. That link, and all that would have been good no longer than
// it, are good no more: a link is good once, in whatever process.
type UserSignedIn struct {
	User UserID `cbor:"1,keyasint" json:"userId"`
	Link Time   `cbor:"2,keyasint" json:"linkExpiresAt"` // real time
}

// UserSignedOut records that a user has signed out. Whoever was signed in as that user, in whatever browser, no longer is.
type UserSignedOut struct {
	User UserID `cbor:"1,keyasint" json:"userId"`
}

// PortalOpened records that there is a link by which a subscription can be looked at until a time.
type PortalOpened struct {
	Portal       PortalID       `cbor:"1,keyasint" json:"portalId"`
	Subscription SubscriptionID `cbor:"2,keyasint" json:"subscriptionId"`
	ExpiresAt    Time           `cbor:"3,keyasint" json:"expiresAt"` // real time
}

// PortalRevoked records that a link to a portal is no longer good.
type PortalRevoked struct {
	Portal PortalID `cbor:"1,keyasint" json:"portalId"`
}

func (AuthorizationOpened) Kind() Kind    { return KindAuthorizationOpened }
func (AuthorizationEnded) Kind() Kind     { return KindAuthorizationEnded }
func (MerchantAuthorized) Kind() Kind     { return KindMerchantAuthorized }
func (AuthorizationWithdrawn) Kind() Kind { return KindAuthorizationWithdrawn }
func (ConsumerClaimed) Kind() Kind        { return KindConsumerClaimed }
func (UserCreated) Kind() Kind            { return KindUserCreated }
func (UserUpdated) Kind() Kind            { return KindUserUpdated }
func (UserSignedIn) Kind() Kind           { return KindUserSignedIn }
func (UserSignedOut) Kind() Kind          { return KindUserSignedOut }
func (PortalOpened) Kind() Kind           { return KindPortalOpened }
func (PortalRevoked) Kind() Kind          { return KindPortalRevoked }

func (AuthorizationOpened) Subject() (aggregate, name string) {
	return "authorization", "AuthorizationOpened"
}

func (AuthorizationEnded) Subject() (aggregate, name string) {
	return "authorization", "AuthorizationEnded"
}

func (MerchantAuthorized) Subject() (aggregate, name string) { return "consumer", "MerchantAuthorized" }

func (AuthorizationWithdrawn) Subject() (aggregate, name string) {
	return "consumer", "AuthorizationWithdrawn"
}
func (ConsumerClaimed) Subject() (aggregate, name string) { return "consumer", "ConsumerClaimed" }
func (UserCreated) Subject() (aggregate, name string)     { return "user", "UserCreated" }
func (UserUpdated) Subject() (aggregate, name string)     { return "user", "UserUpdated" }
func (UserSignedIn) Subject() (aggregate, name string)    { return "user", "UserSignedIn" }
func (UserSignedOut) Subject() (aggregate, name string)   { return "user", "UserSignedOut" }
func (PortalOpened) Subject() (aggregate, name string)    { return "portal", "PortalOpened" }
func (PortalRevoked) Subject() (aggregate, name string)   { return "portal", "PortalRevoked" }

func (AuthorizationOpened) Money() Movement    { return Movement{} }
func (AuthorizationEnded) Money() Movement     { return Movement{} }
func (MerchantAuthorized) Money() Movement     { return Movement{} }
func (AuthorizationWithdrawn) Money() Movement { return Movement{} }
func (ConsumerClaimed) Money() Movement        { return Movement{} }
func (UserCreated) Money() Movement            { return Movement{} }
func (UserUpdated) Money() Movement            { return Movement{} }
func (UserSignedIn) Money() Movement           { return Movement{} }
func (UserSignedOut) Money() Movement          { return Movement{} }
func (PortalOpened) Money() Movement           { return Movement{} }
func (PortalRevoked) Money() Movement          { return Movement{} }

func (AuthorizationOpened) sealed()    {}
func (AuthorizationEnded) sealed()     {}
func (MerchantAuthorized) sealed()     {}
func (AuthorizationWithdrawn) sealed() {}
func (ConsumerClaimed) sealed()        {}
func (UserCreated) sealed()            {}
func (UserUpdated) sealed()            {}
func (UserSignedIn) sealed()           {}
func (UserSignedOut) sealed()          {}
func (PortalOpened) sealed()           {}
func (PortalRevoked) sealed()          {}
