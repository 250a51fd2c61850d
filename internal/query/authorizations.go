package query

import (
	"context"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// Authorization is an authorization session: a merchant asks whoever has an e-mail address to become its customer.
type Authorization struct {
	Sequence     events.Seq                 `json:"sequence,omitzero"`
	ID           events.AuthorizationID     `json:"id"`
	Status       events.AuthorizationStatus `json:"status"`
	ExpiresAt    events.Time                `json:"expiresAt"`
	URL          string                     `json:"url"`
	Email        string                     `json:"email"`
	Merchant     events.OrganizationID      `json:"merchantId"`
	MerchantName string                     `json:"merchantName"`
	Plan         events.PlanID              `json:"planId,omitzero"`
	PlanName     string                     `json:"planName,omitempty"`
	RedirectURL  string                     `json:"redirectUrl,omitempty"`
	Customer     events.CustomerID          `json:"customerId,omitzero"`
	Known        bool                       `json:"consumerKnown"`           // a full consumer has the address: nobody need sign up
	Subscription events.SubscriptionID      `json:"subscriptionId,omitzero"` // that waits for it
	Minimum      events.Nanos               `json:"minimumAccountBalance"`   // that the consumer's wallet is to hold before it is subscribed, in nanos
	CreatedAt    events.Time                `json:"createdAt"`
}

// AuthorizationArgs are the arguments of [Service.Authorization].
type AuthorizationArgs struct {
	At
	Authorization events.AuthorizationID `json:"authorizationId"`
}

// Authorization answers how an authorization session stands.
func (s *Service) Authorization(ctx context.Context, who wire.Who, args AuthorizationArgs) (a Authorization, err error) {
	err = s.read(ctx, who, args.At, func(r *reading) error {
		row := r.books.Authorizations.Get(args.Authorization)
		if row == nil || !r.who.sees(row.Merchant) {
			return missing("authorization session", args.Authorization.String())
		}
		a, err = r.renderAuthorization(args.Authorization, row)
		a.Sequence = r.seq
		return err
	})
	return a, err
}

func (r *reading) renderAuthorization(id events.AuthorizationID, row *projections.Authorization) (Authorization, error) {
	a := Authorization{
		ID: id, Status: row.Status, ExpiresAt: row.ExpiresAt, URL: r.opts.Links.Authorize(id), Merchant: row.Merchant, Plan: row.Plan,
		RedirectURL: row.RedirectURL, Customer: row.Customer, CreatedAt: row.CreatedAt,
		Known: !r.books.FullConsumer(row.Email).IsZero(), Subscription: row.Subscription, Minimum: row.Minimum,
	}
	if s := r.books.Subscriptions.Get(row.Subscription); s != nil {
		a.Minimum = s.Minimum
	}
	now, _ := events.TimeOf(r.opts.Clock())
	if now = r.books.ClockNow(row.Clock, now); row.Status == events.AuthorizationPending && row.ExpiresAt <= now {
		a.Status = events.AuthorizationExpired
	}
	if m := r.books.Merchants.Get(row.Merchant); m != nil {
		a.MerchantName = m.Name
	}
	if plan := r.books.Plans.Get(row.Plan); plan != nil {
		a.PlanName = plan.Name
	}
	var err error
	if c := r.books.Consumers.Get(row.Consumer); row.Address.IsZero() && c != nil {
		profile, err := r.consumerProfile(c.Sealed)
		if profile != nil {
			a.Email = profile.Email
		}
		return a, err
	}
	a.Email, _, err = r.text(row.Address, wire.PurposeAddress)
	return a, err
}

// Portal is a link by which a subscription can be looked at.
type Portal struct {
	ID           events.PortalID       `json:"id"`
	Object       string                `json:"object"` // "subscriptionPortal"
	URL          string                `json:"url"`
	Subscription events.SubscriptionID `json:"subscriptionId"`
	ExpiresAt    events.Time           `json:"expiresAt"`
	Revoked      bool                  `json:"revoked"`
	Good         bool                  `json:"good"` // neither expired nor revoked
}

// PortalArgs are the arguments of [Service.Portal].
type PortalArgs struct {
	At
	Portal events.PortalID `json:"portalId"`
}

// Portal answers whether a link to a portal is good, and where it leads.
func (s *Service) Portal(ctx context.Context, who wire.Who, args PortalArgs) (p Portal, err error) {
	err = s.read(ctx, who, args.At, func(r *reading) error {
		row := r.books.Portals.Get(args.Portal)
		if row == nil || !r.who.sees(row.Merchant) {
			return missing("portal link", args.Portal.String())
		}
		now, _ := events.TimeOf(r.opts.Clock())
		p = Portal{
			ID: args.Portal, Object: "subscriptionPortal", URL: r.opts.Links.Portal(args.Portal), Subscription: row.Subscription,
			ExpiresAt: row.ExpiresAt, Revoked: row.Revoked, Good: !row.Revoked && now < row.ExpiresAt,
		}
		return nil
	})
	return p, err
}

// Consumer is an organization that buys, with what it has of all merchants.
type Consumer struct {
	Sequence   events.Seq              `json:"sequence,omitzero"`
	ID         events.OrganizationID   `json:"id"`
	Kind       events.ConsumerKind     `json:"kind"`
	Profile    *events.Profile         `json:"organization,omitempty"` // none of an erased one
	Wallets    []WalletRef             `json:"wallets"`
	Customers  []events.CustomerID     `json:"customers"`
	Authorized []events.OrganizationID `json:"authorizedMerchants"`
	Erased     bool                    `json:"erased,omitempty"`
}

// ConsumerArgs are the arguments of [Service.Consumer].
type ConsumerArgs struct {
	At
	Consumer events.OrganizationID `json:"consumerId"`
}

// Consumer answers who a consumer is, to a merchant only of those that it manages.
func (s *Service) Consumer(ctx context.Context, who wire.Who, args ConsumerArgs) (c Consumer, err error) {
	err = s.read(ctx, who, args.At, func(r *reading) (err error) {
		row := r.books.Consumers.Get(args.Consumer)
		if row == nil || !r.who.sees(row.Manager) {
			return missing("consumer", args.Consumer.String())
		}
		c = Consumer{
			Sequence: r.seq, ID: args.Consumer, Kind: row.Type, Wallets: r.walletRefs(row.Wallets), Customers: []events.CustomerID{},
			Authorized: []events.OrganizationID{},
		}
		if c.Profile, err = r.consumerProfile(row.Sealed); err != nil {
			return err
		}
		c.Erased = c.Profile == nil
		err = r.links(projections.LinkCustomersOfConsumer, args.Consumer, func(id [16]byte) error {
			if customer := r.books.Customers.Get(id); customer != nil && customer.Consumer == args.Consumer {
				c.Customers = append(c.Customers, id)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return each(r, r.books.Authorized, args.Consumer[:], func(k projections.Pair[events.OrganizationID, events.OrganizationID], _ *events.Seq) error {
			c.Authorized = append(c.Authorized, k.B)
			return nil
		})
	})
	return c, err
}

// User is a person who acts for an organization.
type User struct {
	Sequence     events.Seq            `json:"sequence,omitzero"`
	ID           events.UserID         `json:"id"`
	Organization events.OrganizationID `json:"organizationId"`
	Name         string                `json:"name,omitempty"`
	Email        string                `json:"email,omitempty"`
	State        events.UserState      `json:"state"`
	Role         events.UserRole       `json:"role"`
	Changed      events.Seq            `json:"changedSequence"` // the record that says what it may do now
	Passkeys     []Passkey             `json:"passkeys,omitempty"`
}

// Passkey is what a user can sign in by.
type Passkey struct {
	Credential []byte      `json:"credential"` // what browsers call it
	Key        []byte      `json:"publicKey"`  // in COSE
	Counter    uint32      `json:"counter"`
	Synced     bool        `json:"synced"`
	AddedAt    events.Time `json:"addedAt"`
	UsedAt     events.Time `json:"usedAt,omitzero"`
}

// UserArgs are the arguments of [Service.User]. An e-mail digest finds the user of the full consumer with that address.
type UserArgs struct {
	At
	User  events.UserID `json:"userId,omitzero"`
	Email events.Digest `json:"emailDigest,omitzero"`
}

// User answers who a user is. Merchants may not ask.
func (s *Service) User(ctx context.Context, who wire.Who, args UserArgs) (u User, err error) {
	err = s.read(ctx, who, args.At, func(r *reading) error {
		id := args.User
		if id.IsZero() {
			id = r.books.UserOf(r.books.FullConsumer(args.Email), args.Email)
		}
		row := r.books.Users.Get(id)
		if row == nil || !r.who.sees(events.OrganizationID{}) {
			return missing("user", id.String())
		}
		u, err = r.renderUser(id, row)
		u.Sequence = r.seq
		return err
	})
	return u, err
}

// UsersArgs are the arguments of [Service.Users]: whose users, or those with an e-mail address.
type UsersArgs struct {
	At
	Page
	Organization events.OrganizationID `json:"organizationId,omitzero"`
	Email        events.Digest         `json:"emailDigest,omitzero"`
}

// Users lists the users of an organization, or a person in each organization, the earliest first. Merchants may not ask.
func (s *Service) Users(ctx context.Context, who wire.Who, args UsersArgs) (list List[User], err error) {
	if args.Organization.IsZero() == args.Email.IsZero() {
		return list, commands.Reject(commands.Invalid, "give one of organizationId and emailDigest")
	}
	err = s.read(ctx, who, args.At, func(r *reading) (err error) {
		if !r.who.sees(events.OrganizationID{}) {
			return missing("organization", args.Organization.String())
		}
		l := listing[events.UserID, projections.User, User]{table: r.books.Users, from: source{projections.LinkUsers, args.Organization}, render: r.renderUser}
		if args.Organization.IsZero() {
			l.from = source{projections.LinkUsersOfEmail, args.Email}
		}
		list, err = l.page(r, args.Page)
		return err
	})
	return list, err
}

func (r *reading) renderUser(id events.UserID, row *projections.User) (u User, err error) {
	var profile events.Profile
	if _, err := r.unsealInto(row.Profile, wire.PurposeUser, &profile); err != nil {
		return u, err
	}
	u = User{ID: id, Organization: row.Organization, Name: profile.Name, Email: profile.Email, State: row.State, Role: row.Role, Changed: row.Changed}
	for i := range row.Passkeys {
		k := &row.Passkeys[i]
		u.Passkeys = append(u.Passkeys, Passkey{k.Credential, k.Key, k.Counter, k.Synced, k.AddedAt, k.UsedAt})
	}
	return u, nil
}
