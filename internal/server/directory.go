package server

import (
	"context"
	"errors"
	"sync"

	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/projections"
)

// directory answers what must be known before a command can be sealed, from the views. It implements
// wire.Directory. What it does not find it looks for again once the views hold
// everything that was answered before, so that a caller can use what it was just told of.
type directory struct {
	views query.Views
	log   query.Log
	head  func() events.Seq // last record decided

	mu        sync.Mutex // guards the fields below
	consumers map[events.CustomerID]events.OrganizationID
}

// maxRemembered bounds how many customers' consumers are remembered. One that is claimed changes: what is
// sealed under the key of the one before goes with that of the one that has claimed it, so the remembered one will do.
const maxRemembered = 1 << 16

func newDirectory(views query.Views, log query.Log, head func() events.Seq) *directory {
	return &directory{views: views, log: log, head: head, consumers: make(map[events.CustomerID]events.OrganizationID)}
}

// find calls look with the newest books, and if it finds nothing once more with all that is decided now.
func (d *directory) find(ctx context.Context, look func(*projections.Books) bool) (bool, error) {
	head := d.head()
	for _, wait := range []events.Seq{0, head} {
		if err := d.views.Wait(ctx, wait); err != nil {
			return false, err
		}
		found, err := d.look(look)
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func (d *directory) look(look func(*projections.Books) bool) (found bool, err error) {
	rows, err := d.views.Rows()
	if err != nil {
		return false, err
	}
	books := projections.NewBooks(projections.ForRules)
	books.Attach(rows, events.LedgerID{}, rows.Sequence())
	err = lookAt(func() error { found = look(books); return nil })
	return found, errors.Join(err, rows.Close())
}

// ConsumerOf implements wire.Directory.
func (d *directory) ConsumerOf(ctx context.Context, id events.CustomerID) (consumer events.OrganizationID, found bool, err error) {
	d.mu.Lock()
	consumer, found = d.consumers[id]
	d.mu.Unlock()
	if found {
		return consumer, true, nil
	}
	found, err = d.find(ctx, func(b *projections.Books) bool {
		row := b.Customers.Get(id)
		if row != nil {
			consumer = row.Consumer
		}
		return row != nil
	})
	if found {
		d.mu.Lock()
		if len(d.consumers) >= maxRemembered {
			clear(d.consumers)
		}
		d.consumers[id] = consumer
		d.mu.Unlock()
	}
	return consumer, found, err
}

// HeldUnder implements wire.Directory. What is held since is not looked for: then there will be one more key.
func (d *directory) HeldUnder(_ context.Context, merchant events.OrganizationID, external events.Digest) (key events.OrganizationID, err error) {
	_, err = d.look(func(b *projections.Books) bool {
		key = b.HeldUnder(merchant, external)
		return !key.IsZero()
	})
	return key, err
}

// SubscriptionConsumer implements wire.Directory.
func (d *directory) SubscriptionConsumer(ctx context.Context, id events.SubscriptionID) (consumer events.OrganizationID, found bool, err error) {
	found, err = d.find(ctx, func(b *projections.Books) bool {
		sub := b.Subscriptions.Get(id)
		if sub != nil {
			consumer = b.Customers.Get(sub.Customer).Consumer
		}
		return sub != nil
	})
	return consumer, found, err
}

// WalletConsumer implements wire.Directory.
func (d *directory) WalletConsumer(ctx context.Context, id events.WalletID) (consumer events.OrganizationID, found bool, err error) {
	found, err = d.find(ctx, func(b *projections.Books) bool {
		row := b.Wallets.Get(id)
		if row == nil || row.Earning {
			return false
		}
		consumer = row.Owner
		return true
	})
	return consumer, found, err
}

// SessionConsumer implements wire.Directory.
func (d *directory) SessionConsumer(ctx context.Context, id events.SessionID) (consumer events.OrganizationID, found bool, err error) {
	found, err = d.find(ctx, func(b *projections.Books) bool {
		row := b.Sessions.Get(id)
		if row != nil {
			consumer = row.Consumer
		}
		return row != nil
	})
	return consumer, found, err
}

// ManagedConsumer implements wire.Directory.
func (d *directory) ManagedConsumer(ctx context.Context, merchant events.OrganizationID, email events.Digest) (consumer events.OrganizationID, found bool, err error) {
	found, err = d.find(ctx, func(b *projections.Books) bool {
		consumer = b.ConsumerByEmail(merchant, email)
		return !consumer.IsZero()
	})
	return consumer, found, err
}

// CustomerByExternal implements wire.Directory.
func (d *directory) CustomerByExternal(ctx context.Context, merchant events.OrganizationID, external events.Digest) (customer events.CustomerID, err error) {
	_, err = d.find(ctx, func(b *projections.Books) bool {
		customer = b.CustomerByExternal(merchant, external)
		return !customer.IsZero()
	})
	return customer, err
}

// ConsumerProfile implements wire.Directory.
func (d *directory) ConsumerProfile(ctx context.Context, id events.OrganizationID) (sealed events.Sealed, at events.Seq, found bool, err error) {
	found, err = d.find(ctx, func(b *projections.Books) bool {
		row := b.Consumers.Get(id)
		if row != nil {
			sealed, at = row.Sealed, row.Profile
		}
		return row != nil
	})
	return sealed, at, found, err
}

// FullConsumer implements wire.Directory.
func (d *directory) FullConsumer(ctx context.Context, email events.Digest) (consumer events.OrganizationID, found bool, err error) {
	found, err = d.find(ctx, func(b *projections.Books) bool {
		consumer = b.FullConsumer(email)
		return !consumer.IsZero()
	})
	return consumer, found, err
}

// AuthorizationConsumer implements wire.Directory.
func (d *directory) AuthorizationConsumer(ctx context.Context, id events.AuthorizationID) (consumer events.OrganizationID, found bool, err error) {
	found, err = d.find(ctx, func(b *projections.Books) bool {
		row := b.Authorizations.Get(id)
		if row != nil {
			consumer = row.Consumer
		}
		return row != nil
	})
	return consumer, found, err
}

// ClockNow implements wire.Directory.
func (d *directory) ClockNow(ctx context.Context, id events.TestClockID) (now events.Time, found bool, err error) {
	found, err = d.find(ctx, func(b *projections.Books) bool {
		clock := b.Clocks.Get(id)
		if clock != nil {
			now = clock.Now
		}
		return clock != nil
	})
	return now, found, err
}

// Wallets returns the wallet that each of some customers pays their merchant from, in the merchant's currency.
func (s *Server) Wallets(ctx context.Context, customers []events.CustomerID) (wallets []events.WalletID, err error) {
	wallets = make([]events.WalletID, len(customers))
	_, err = s.directory.find(ctx, func(b *projections.Books) bool {
		for i, id := range customers {
			c := b.Customers.Get(id)
			if c == nil {
				return false
			}
			m := b.Merchants.Get(c.Merchant)
			wallets[i] = b.Consumers.Get(c.Consumer).WalletFor(m.Currency, c.Merchant)
		}
		return true
	})
	return wallets, err
}
