package commands

import (
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// CreateAuthorization asks whoever has an e-mail address to authorize the merchant and to take a plan. The answer's identity is
// that of the session, whose link the merchant sends to it.
type CreateAuthorization struct {
	Candidate   events.OrganizationID // the consumer that there will be, if none has the address
	Email       events.Digest
	Address     events.Sealed // under the key of the full consumer with this address, or of Candidate
	Plan        events.PlanID // zero for none
	RedirectURL string
	Minimum     events.Nanos // that the consumer's wallet is to hold before it is subscribed to the plan, and at each renewal; 0 for none
}

// CompleteAuthorization is what somebody does who has shown to be the holder of a session's e-mail address: sign up, if there is no
// full consumer with this address yet, and authorize the merchant. It makes the customer, and its subscription to the session's plan; what this
// merchant and others had of managed consumers with the address becomes the full one's (D30).
type CompleteAuthorization struct {
	Authorization events.AuthorizationID
	Profile       events.Sealed // of a consumer that is not there yet, under the key of the session's consumer
	Person        events.Sealed // of its user, likewise
	Region        string        // of its address, for tax; "" where that is incomplete
}

// WithdrawAuthorization takes back what a full consumer has given the merchant of the request: it is subscribed to nothing more. What it is
// subscribed to goes on.
type WithdrawAuthorization struct {
	Consumer events.OrganizationID
}

// InviteUser adds a user to a full consumer, who can do nothing before having signed in with a link that is mailed to the address, or
// declines. One person is another user in each organization.
type InviteUser struct {
	Consumer events.OrganizationID
	Email    events.Digest
	Profile  events.Sealed // under the consumer's key; zero if the consumer is erased
	Role     events.UserRole
}

// DeclineInvitation is the answer of somebody who was invited and does not want to be. Whoever asks has seen that it is the holder of the address.
type DeclineInvitation struct {
	User events.UserID
}

// UpdateUser changes what a user of an organization may do. Whoever has signed in before must do so again.
// Nobody changes what they may do themselves, so an organization never loses its last owner.
type UpdateUser struct {
	User  events.UserID
	State events.UserState
	Role  events.UserRole
}

// SignIn uses a link that was mailed to a user, who accepts with it if there is an invitation. Whoever asks has seen that the link is genuine.
type SignIn struct {
	User events.UserID
	Link events.Time // until when it is good
}

// SignOut ends all that a user is signed in with: what was copied out of a browser is good for nothing either.
type SignOut struct {
	User events.UserID
}

// CreatePortal makes a link by which a subscription can be looked at.
type CreatePortal struct {
	Subscription events.SubscriptionID
	Term         time.Duration // how long it is good; zero for ten minutes
}

// RevokePortal makes such a link good for nothing.
type RevokePortal struct {
	Portal events.PortalID
}

const (
	authorizationTerm   = 7 * 24 * time.Hour // how long somebody may think about it
	defaultPortalTerm   = 10 * time.Minute
	longestPortalTerm   = 7 * 24 * time.Hour
	shortestPortalTerm  = time.Minute
	authorizationNumber = 0 // of what is derived from the command
	consumerWallet      = 1
	consumerUser        = 2
	authorizedCustomer  = 3
)

// decideAuthorization answers a command about authorizations, users and portals.
func decideAuthorization(b *projections.Books, c Context, cmd any, d *decision) *Rejection {
	switch cmd := cmd.(type) {
	case CreateAuthorization:
		return createAuthorization(b, c, cmd, d)
	case CompleteAuthorization:
		return completeAuthorization(b, c, cmd, d)
	case RefuseAuthorization:
		return refuseAuthorization(b, c, cmd, d)
	case WithdrawAuthorization:
		return withdrawAuthorization(b, c, cmd, d)
	case InviteUser:
		return inviteUser(b, c, cmd, d)
	case DeclineInvitation:
		return declineInvitation(b, c, cmd, d)
	case UpdateUser:
		return updateUser(b, c, cmd, d)
	case SignIn:
		return signIn(b, c, cmd, d)
	case SignOut:
		return signOut(b, c, cmd, d)
	case AddPasskey:
		return addPasskey(b, c, cmd, d)
	case RemovePasskey:
		return removePasskey(b, c, cmd, d)
	case UsePasskey:
		return usePasskey(b, c, cmd, d)
	case CreatePortal:
		return createPortal(b, c, cmd, d)
	case RevokePortal:
		return revokePortal(b, c, cmd, d)
	}
	panic("commands: impossible: a command without a rule")
}

func createAuthorization(b *projections.Books, c Context, cmd CreateAuthorization, d *decision) *Rejection {
	m, r := merchantOf(b, c)
	if r != nil {
		return r
	}
	if cmd.Email.IsZero() || cmd.Candidate.IsZero() || cmd.Address.IsZero() {
		return wrong("email", "is required")
	}
	if r := optional("redirectUrl", cmd.RedirectURL, maxURL); r != nil {
		return r
	}
	if plan := b.Plans.Get(cmd.Plan); !cmd.Plan.IsZero() && (plan == nil || plan.Merchant != c.Merchant) {
		return Reject(NotFound, "no plan %s", cmd.Plan)
	}
	if cmd.Minimum > 0 && cmd.Plan.IsZero() {
		return wrong("minimumAccountBalance", "is of the subscription to a plan: planId is required")
	}
	if r := minimumOK(cmd.Minimum, m); r != nil {
		return r
	}
	holder := b.FullConsumer(cmd.Email)
	if holder.IsZero() {
		holder = cmd.Candidate
	}
	if cmd.Address.Key != holder { // what is sealed under the wrong key could not be erased with its owner
		return Reject(Busy, "somebody with this address has signed up just now; repeat")
	}
	d.add(c, c.Now, events.AuthorizationOpened{
		Authorization: events.Derive[events.AuthorizationNoun](c.ID, authorizationNumber), Consumer: holder, Email: cmd.Email,
		Address: cmd.Address, Plan: cmd.Plan, RedirectURL: cmd.RedirectURL, ExpiresAt: c.Now.Add(authorizationTerm), Minimum: cmd.Minimum,
	})
	return nil
}

func completeAuthorization(b *projections.Books, c Context, cmd CompleteAuthorization, d *decision) *Rejection {
	row, now, r := askedOf(b, c, cmd.Authorization, d)
	if r != nil || !d.overdue.isZero() {
		return r
	}
	consumer := b.FullConsumer(row.Email)
	asked := b.Consumers.Get(row.Consumer) // whom the merchant knows, where a subscription waits
	if asked != nil && (asked.Email != row.Email || asked.Erased || consumer.IsZero()) {
		return Reject(Conflict, "whoever was asked for is no longer there, or has another address; ask again")
	}
	if consumer.IsZero() {
		if r := signUpOK(row, cmd); r != nil {
			return r
		}
	} else if b.Consumers.Get(consumer).Erased {
		return Reject(Conflict, "consumer %s is erased", consumer)
	}

	c.Merchant = row.Merchant
	if consumer.IsZero() {
		consumer = row.Consumer
		signUp(b, c, row, cmd, d)
	} else if consumer != row.Consumer && asked == nil { // somebody has signed up meanwhile
		d.add(c, c.Now, events.ConsumerClaimed{Consumer: consumer, Managed: row.Consumer})
	}
	customer := b.CustomerOf(row.Merchant, consumer)
	if managed := b.ManagedConsumer(row.Merchant, row.Email); customer.IsZero() && !managed.IsZero() {
		customer = b.CustomerOf(row.Merchant, managed)
	}
	claim(b, c, consumer, row.Email, d)
	if !b.HasAuthorized(consumer, row.Merchant) {
		d.add(c, c.Now, events.MerchantAuthorized{Consumer: consumer})
	}
	if customer.IsZero() {
		customer = events.Derive[events.CustomerNoun](c.ID, authorizedCustomer)
		d.add(c, c.Now, events.CustomerCreated{Customer: customer, Consumer: consumer})
	}
	d.main = len(d.drafts)
	d.add(c, now, events.AuthorizationEnded{Authorization: cmd.Authorization, Status: events.AuthorizationCompleted, Customer: customer})
	if r := goOn(b, c, customer, consumer, d); r != nil {
		return r
	}
	return take(b, c, row, customer, consumer, d)
}

// claim adds that whoever holds an e-mail address is what any merchant manages with it. Each merchant is told of its own
// consumer only, and has no more of the holder than before, until the holder authorizes it (D30). What stands in for the holder with
// another merchant goes on waiting for that.
func claim(b *projections.Books, c Context, holder events.OrganizationID, email events.Digest, d *decision) {
	by := c.Merchant
	for _, id := range b.ManagedWith(email) {
		managed := b.Consumers.Get(id)
		if managed.StandsIn && managed.Manager != by {
			continue
		}
		c.Merchant = managed.Manager
		d.add(c, c.Now, events.ConsumerClaimed{Consumer: holder, Managed: id})
	}
}

// signUpOK refuses a command that lacks what a new consumer needs.
func signUpOK(row *projections.Authorization, cmd CompleteAuthorization) *Rejection {
	if cmd.Profile.IsZero() || cmd.Person.IsZero() {
		return Reject(Invalid, "name and address are required of whoever signs up")
	}
	if cmd.Profile.Key != row.Consumer || cmd.Person.Key != row.Consumer {
		return Reject(Invalid, "the profile is not sealed under the key of %s", row.Consumer)
	}
	return nil
}

// signUp adds a full consumer, which is nobody's, with a wallet for all merchants and its first user.
func signUp(b *projections.Books, c Context, row *projections.Authorization, cmd CompleteAuthorization, d *decision) {
	currency := b.Merchants.Get(row.Merchant).Currency
	if plan := b.Plans.Get(row.Plan); plan != nil {
		currency = plan.Currency
	}
	c.Merchant = events.OrganizationID{}
	d.add(c, c.Now, events.ConsumerCreated{Consumer: row.Consumer, Type: events.Full, Email: row.Email, Profile: cmd.Profile, Region: cmd.Region})
	d.add(c, c.Now, events.WalletOpened{
		Wallet: events.Derive[events.WalletNoun](c.ID, consumerWallet), Owner: row.Consumer, Currency: currency,
	})
	d.add(c, c.Now, events.UserCreated{
		User: events.Derive[events.UserNoun](c.ID, consumerUser), Organization: row.Consumer, Email: row.Email, Profile: cmd.Person,
		State: events.UserActive, Role: events.OwnerRole,
	})
}

func withdrawAuthorization(b *projections.Books, c Context, cmd WithdrawAuthorization, d *decision) *Rejection {
	if _, r := merchantOf(b, c); r != nil {
		return r
	}
	if r := mayActFor(b, c, cmd.Consumer, events.BillingRole); r != nil {
		return r
	}
	if !b.HasAuthorized(cmd.Consumer, c.Merchant) {
		return Reject(NotFound, "consumer %s has not authorized merchant %s", cmd.Consumer, c.Merchant)
	}
	d.add(c, c.Now, events.AuthorizationWithdrawn{Consumer: cmd.Consumer})
	return nil
}

// mayActFor refuses whoever may not act for a consumer: it must be an operator at the command line, or an active user of the
// consumer, with the role that the action needs.
func mayActFor(b *projections.Books, c Context, consumer events.OrganizationID, needs events.UserRole) *Rejection {
	if c.Actor.Kind != events.ActorUser {
		if !c.Operator {
			return Reject(NotFound, "no consumer %s", consumer)
		}
		return nil
	}
	u := b.Users.Get(c.Actor.ID)
	if u == nil || u.Organization != consumer || u.State != events.UserActive {
		return Reject(NotFound, "no consumer %s", consumer)
	}
	if rank(u.Role) < rank(needs) {
		return Reject(Forbidden, "this needs the role %s", needs)
	}
	return nil
}

// rank orders roles by what they may do.
func rank(r events.UserRole) int {
	switch r {
	case events.OwnerRole:
		return 3
	case events.BillingRole:
		return 2
	case events.ViewerRole:
		return 1
	}
	return 0
}

func inviteUser(b *projections.Books, c Context, cmd InviteUser, d *decision) *Rejection {
	consumer := b.Consumers.Get(cmd.Consumer)
	if consumer == nil || consumer.Type != events.Full {
		return Reject(NotFound, "no consumer %s", cmd.Consumer)
	}
	if r := mayActFor(b, c, cmd.Consumer, events.OwnerRole); r != nil {
		return r
	}
	if rank(cmd.Role) == 0 {
		return wrong("role", "%q is none of owner, billing and viewer", cmd.Role)
	}
	if cmd.Profile.IsZero() {
		return Reject(Conflict, "consumer %s was erased", cmd.Consumer)
	}
	if u := b.Users.Get(b.UserOf(cmd.Consumer, cmd.Email)); u != nil {
		return Reject(Conflict, "there is a user with this address already, who is %s", u.State)
	}
	d.add(c, c.Now, events.UserCreated{
		User: events.Derive[events.UserNoun](c.ID, consumerUser), Organization: cmd.Consumer, Email: cmd.Email, Profile: cmd.Profile,
		State: events.UserInvited, Role: cmd.Role,
	})
	return nil
}

func declineInvitation(b *projections.Books, c Context, cmd DeclineInvitation, d *decision) *Rejection {
	u := b.Users.Get(cmd.User)
	if u == nil || !c.Operator || u.State != events.UserInvited {
		return Reject(NotFound, "no user %s who is invited", cmd.User)
	}
	d.add(c, c.Now, events.UserUpdated{User: cmd.User, State: events.UserDeclined, Role: u.Role})
	return nil
}

func updateUser(b *projections.Books, c Context, cmd UpdateUser, d *decision) *Rejection {
	u := b.Users.Get(cmd.User)
	if u == nil {
		return Reject(NotFound, "no user %s", cmd.User)
	}
	if r := mayActFor(b, c, u.Organization, events.OwnerRole); r != nil {
		return r
	}
	if c.Actor.Kind == events.ActorUser && c.Actor.ID == cmd.User {
		return Reject(Forbidden, "nobody changes what they may do themselves: another owner can")
	}
	switch cmd.State {
	case events.UserActive, events.UserSuspended, events.UserInvited, events.UserDeclined:
	default:
		return wrong("state", "%q is none of invited, active, suspended and declined", cmd.State)
	}
	if rank(cmd.Role) == 0 {
		return wrong("role", "%q is none of owner, billing and viewer", cmd.Role)
	}
	d.add(c, c.Now, events.UserUpdated{User: cmd.User, State: cmd.State, Role: cmd.Role})
	return nil
}

func signIn(b *projections.Books, c Context, cmd SignIn, d *decision) *Rejection {
	u := b.Users.Get(cmd.User)
	if u == nil || !c.Operator || u.State != events.UserActive && u.State != events.UserInvited {
		return Reject(NotFound, "no active user %s", cmd.User)
	}
	if cmd.Link <= c.Now {
		return Reject(Conflict, "this link was good until %s", cmd.Link)
	}
	if cmd.Link <= u.Link {
		return Reject(Conflict, "this link, or a later one, was used already")
	}
	if u.State == events.UserInvited {
		d.add(c, c.Now, events.UserUpdated{User: cmd.User, State: events.UserActive, Role: u.Role})
		d.main = len(d.drafts)
	}
	d.add(c, c.Now, events.UserSignedIn{User: cmd.User, Link: cmd.Link})
	return nil
}

func signOut(b *projections.Books, c Context, cmd SignOut, d *decision) *Rejection {
	u := b.Users.Get(cmd.User)
	if u == nil || !c.Operator || c.Actor.Kind == events.ActorUser && c.Actor.ID != cmd.User {
		return Reject(NotFound, "no user %s", cmd.User)
	}
	d.add(c, c.Now, events.UserSignedOut{User: cmd.User})
	return nil
}

func createPortal(b *projections.Books, c Context, cmd CreatePortal, d *decision) *Rejection {
	s := b.Subscriptions.Get(cmd.Subscription)
	if s == nil || s.Merchant != c.Merchant {
		return Reject(NotFound, "no subscription %s", cmd.Subscription)
	}
	if s.Wallet.IsZero() {
		return Reject(Conflict, "no consumer has agreed to subscription %s: there is nobody to look at it", cmd.Subscription)
	}
	term := cmd.Term
	if term == 0 {
		term = defaultPortalTerm
	}
	if term < shortestPortalTerm || term > longestPortalTerm {
		return wrong("expiresIn", "must be from PT1M to P7D")
	}
	d.add(c, c.Now, events.PortalOpened{
		Portal: events.Derive[events.PortalNoun](c.ID, 0), Subscription: cmd.Subscription, ExpiresAt: c.Now.Add(term),
	})
	return nil
}

func revokePortal(b *projections.Books, c Context, cmd RevokePortal, d *decision) *Rejection {
	p := b.Portals.Get(cmd.Portal)
	if p == nil || p.Merchant != c.Merchant {
		return Reject(NotFound, "no portal link %s", cmd.Portal)
	}
	if p.Revoked {
		return Reject(Conflict, "portal link %s is revoked already", cmd.Portal)
	}
	d.add(c, c.Now, events.PortalRevoked{Portal: cmd.Portal})
	return nil
}
