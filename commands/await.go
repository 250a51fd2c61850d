package commands

import (
	"cmp"
	"slices"
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// RefuseAuthorization is what somebody does who has shown to be the holder of a session's e-mail address, and does not want what it asks.
type RefuseAuthorization struct {
	Authorization events.AuthorizationID
}

// Why a subscription is terminated that its consumer has not agreed to (D30).
const (
	NotAuthorized = "AUTHORIZATION_EXPIRED"
	NotWanted     = "AUTHORIZATION_REFUSED"
)

// await adds a subscription that waits until its full consumer has authorized the merchant. Until then it has no wallet, and nothing is worked
// out of it that would tell the merchant what the consumer's holds, or how it is taxed (D30).
func (j *agreement) await(c Context, d *decision) {
	cmd := &j.cmd
	e := j.created(c)
	e.Pending = true
	d.main = len(d.drafts)
	d.add(c, j.now, e)
	d.add(c, j.now, events.AuthorizationOpened{
		Authorization: events.Derive[events.AuthorizationNoun](c.ID, authorizationNumber), Consumer: j.owner, Email: j.consumer.Email, Plan: cmd.Plan,
		RedirectURL: cmd.OnSuccess, ExpiresAt: j.now.Add(authorizationTerm), Subscription: e.Subscription, Clock: cmd.Clock,
		FailureURL: cmd.OnFailure, Seconds: uint32(cmd.Term / time.Second),
	})
}

// goOn adds what becomes of the subscriptions of a customer that have waited for the consumer, a full one, to authorize the merchant: each
// is active, or there is a session by which it is paid.
func goOn(b *projections.Books, c Context, customer events.CustomerID, consumer events.OrganizationID, d *decision) *Rejection {
	pending := b.Pending.Get(customer)
	if pending == nil {
		return nil
	}
	for i, id := range pending.Subscriptions {
		s := b.Subscriptions.Get(id)
		if s.Authorization.IsZero() {
			continue
		}
		if r := authorized(b, apart(c, i+1), id, s, consumer, d); r != nil {
			return r
		}
	}
	return nil
}

// apart returns c for the nth of several agreements of one command: what each makes is named apart from what the command makes, and from what
// the others make.
func apart(c Context, n int) Context {
	const names = 1 << 13
	c.ID = events.CommandID(events.Derive[events.SubscriptionNoun](c.ID, uint32(n)*names))
	return c
}

// authorizing returns a consumer as it is once it has authorized the merchant: it may be signing up with the same command.
func authorizing(b *projections.Books, c Context, id events.OrganizationID, d *decision) *projections.Consumer {
	if row := b.Consumers.Get(id); row != nil {
		known := *row
		known.Strangers = slices.DeleteFunc(slices.Clone(row.Strangers), func(m events.OrganizationID) bool { return m == c.Merchant })
		return &known
	}
	made := &projections.Consumer{Type: events.Full}
	for i := range d.drafts {
		switch e := d.drafts[i].event.(type) {
		case events.ConsumerCreated:
			made.Region = e.Region
		case events.WalletOpened:
			made.Wallets = append(made.Wallets, projections.WalletRef{Currency: e.Currency, Wallet: e.Wallet})
		default:
		}
	}
	return made
}

// take adds the subscription to the plan that a session asks for: from now on, and with the minimum that the session names, so that nobody
// has agreed to the one without the other. Where the customer has the plan already, it stays as it is. The card by which the first payment is made is stored
// if there is none yet.
func take(b *projections.Books, c Context, asked *projections.Authorization, customer events.CustomerID, consumer events.OrganizationID, d *decision) *Rejection {
	if asked.Plan.IsZero() || !asked.Subscription.IsZero() {
		return nil
	}
	plan := b.Plans.Get(asked.Plan)
	done, r := sameProduct(b, c, customer, asked.Plan, plan, d)
	if d.existing = nil; done || r != nil {
		return r
	}
	j := agreement{
		cmd: CreateSubscription{
			Customer: customer, Plan: asked.Plan, StartedAt: c.Now, Minimum: asked.Minimum, OnSuccess: asked.RedirectURL, OnFailure: asked.RedirectURL, Term: subscribeTerm,
		},
		merchant: b.Merchants.Get(c.Merchant), plan: plan, owner: consumer, consumer: authorizing(b, c, consumer, d), now: c.Now,
		schedule: schedule{cmp.Or(plan.Anchor, hour(c.Now)), c.Now, plan.Cadence},
	}
	j.save = j.consumer.MethodFor(c.Merchant).IsZero()
	if r := j.price(b, c); r != nil {
		return r
	}
	n := 1
	if pending := b.Pending.Get(customer); pending != nil {
		n += len(pending.Subscriptions)
	}
	main := d.main
	j.subscribe(b, apart(c, n), d)
	d.main = main
	return nil
}

// authorized is goOn for one subscription.
func authorized(b *projections.Books, c Context, id events.SubscriptionID, s *projections.Subscription, consumer events.OrganizationID, d *decision) *Rejection {
	a := b.Authorizations.Get(s.Authorization)
	j := agreement{
		cmd: CreateSubscription{
			Customer: s.Customer, Plan: s.Plan, Clock: s.Clock, TaxExempt: s.TaxExempt, AutoCharge: s.AutoCharge, Minimum: s.Minimum,
			OnSuccess: a.RedirectURL, OnFailure: a.FailureURL, Term: time.Duration(a.Seconds) * time.Second,
		},
		merchant: b.Merchants.Get(c.Merchant), plan: b.Plans.Get(s.Plan), owner: consumer, consumer: authorizing(b, c, consumer, d), now: b.ClockNow(s.Clock, c.Now),
		schedule: scheduleOf(s),
	}
	if r := j.price(b, c); r != nil {
		return r
	}
	j.openWallets(c, d)
	if a.Status == events.AuthorizationPending && !endsHere(d, s.Authorization) { // it was another session that did it
		d.add(c, j.now, events.AuthorizationEnded{Authorization: s.Authorization, Status: events.AuthorizationCompleted, Customer: s.Customer})
	}
	d.add(c, j.now, events.SubscriptionAuthorized{Subscription: id, Customer: s.Customer, Wallet: j.wallet, Upfront: j.fees})
	if j.amount > 0 {
		j.checkout(b, c, id, d)
		return nil
	}
	d.add(c, j.now, events.SubscriptionActivated{Subscription: id, Customer: s.Customer, Plan: s.Plan})
	from := *s
	from.Wallet, from.Upfront = j.wallet, j.fees
	commence(b, c, id, &from, j.plan, b.BalanceOf(projections.MainAccount(j.wallet, s.Currency)), j.now, d)
	return nil
}

// endsHere reports whether a decision ends an authorization session already.
func endsHere(d *decision, id events.AuthorizationID) bool {
	for i := range d.drafts {
		if e, ok := d.drafts[i].event.(events.AuthorizationEnded); ok && e.Authorization == id {
			return true
		}
	}
	return false
}

// askedOf returns an authorization session that somebody can still answer, and what time it is for it.
func askedOf(b *projections.Books, c Context, id events.AuthorizationID, d *decision) (row *projections.Authorization, now events.Time, r *Rejection) {
	row = b.Authorizations.Get(id)
	if row == nil || !c.Operator {
		return nil, 0, Reject(NotFound, "no authorization session %s", id)
	}
	if row.Status == events.AuthorizationExpired {
		return nil, 0, Reject(AuthorizationExpired, "authorization session %s expired at %s", id, row.ExpiresAt)
	}
	if row.Status != events.AuthorizationPending {
		return nil, 0, Reject(Conflict, "authorization session %s is %s", id, row.Status)
	}
	if !row.Clock.IsZero() {
		c.Merchant = row.Merchant
		if r := clockUsable(b, c, row.Clock); r != nil {
			return nil, 0, r
		}
	}
	if now = b.ClockNow(row.Clock, c.Now); row.ExpiresAt > now {
		return row, now, nil
	}
	if next, _ := nextDueOn(b, onAuthorization(id)); next.at == 0 {
		return nil, 0, Reject(AuthorizationExpired, "authorization session %s expired at %s", id, row.ExpiresAt)
	}
	d.overdue = onAuthorization(id)
	return row, now, nil
}

func refuseAuthorization(b *projections.Books, c Context, cmd RefuseAuthorization, d *decision) *Rejection {
	row, now, r := askedOf(b, c, cmd.Authorization, d)
	if r != nil || !d.overdue.isZero() {
		return r
	}
	c.Merchant = row.Merchant
	by := ""
	if s := b.Subscriptions.Get(row.Subscription); s != nil {
		by = s.Customer.String()
	}
	unauthorized(c, cmd.Authorization, row, now, events.AuthorizationRefused, events.SubscriptionTerminated{By: by, Code: NotWanted}, d)
	return nil
}

// unauthorized ends a session without the consumer's consent, and the subscription that waits for it.
func unauthorized(c Context, id events.AuthorizationID, row *projections.Authorization, at events.Time, status events.AuthorizationStatus,
	e events.SubscriptionTerminated, d *decision,
) {
	d.main = len(d.drafts)
	d.add(c, at, events.AuthorizationEnded{Authorization: id, Status: status})
	if !row.Subscription.IsZero() {
		e.Subscription, e.EndedAt = row.Subscription, at
		d.add(c, at, e)
	}
}
