package query

import (
	"tallystick/events"
	"tallystick/projections"
)

// A subject finds, in the newest books, whose usage and invoices a question about the past needs. It returns nil where that cannot be
// told, and then all of the past is restored. Nothing of a consumer's moves to another but by a claim, which moves all of it, so the
// newest books know of every subscription that the consumer ever had.
type subject func(*reading) (*projections.Extract, error)

// mostSubscriptions is with how many subscriptions of one consumer a look at each record for them would cost more than it saves.
const mostSubscriptions = 64

func ofWallet(args WalletArgs) subject {
	return func(r *reading) (*projections.Extract, error) {
		id, err := r.walletID(args)
		if err != nil {
			return nil, nil //nolint:nilerr // the books of that time will tell
		}
		row := r.books.Wallets.Get(id)
		switch {
		case row == nil:
			return nil, nil
		case row.Earning:
			return &projections.Extract{Merchant: row.Owner}, nil
		}
		return r.extractOf(row.Owner)
	}
}

func ofCustomer(id events.CustomerID) subject {
	return func(r *reading) (*projections.Extract, error) {
		row := r.books.Customers.Get(id)
		if row == nil {
			return nil, nil
		}
		return r.extractOf(row.Consumer)
	}
}

func ofSubscription(id events.SubscriptionID) subject {
	return func(r *reading) (*projections.Extract, error) {
		row := r.books.Subscriptions.Get(id)
		if row == nil {
			return nil, nil
		}
		return ofCustomer(row.Customer)(r)
	}
}

func ofInvoice(id events.InvoiceID) subject {
	return func(r *reading) (*projections.Extract, error) {
		row := r.books.Invoices.Get(id)
		if row == nil {
			return nil, nil
		}
		return ofCustomer(row.Customer)(r)
	}
}

// extractOf returns all subscriptions of a consumer's customers.
func (r *reading) extractOf(consumer events.OrganizationID) (*projections.Extract, error) {
	x := new(projections.Extract)
	err := r.links(projections.LinkCustomersOfConsumer, consumer, func(customer [16]byte) error {
		return r.links(projections.LinkSubscriptionsOfCustomer, customer, func(id [16]byte) error {
			x.Subscriptions = append(x.Subscriptions, events.SubscriptionID(id))
			return nil
		})
	})
	if err != nil || len(x.Subscriptions) > mostSubscriptions {
		return nil, err
	}
	return x, nil
}
