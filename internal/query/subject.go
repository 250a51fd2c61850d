package query

import (
	"errors"

	"tallystick/events"
	"tallystick/projections"
)

// A subject finds, in the newest books, whose records a question about the past needs. It returns nil where that cannot be
// told, and then all of the past is restored. Nothing of a consumer's moves to another but by a claim, which moves all of it, so the
// newest books know of everything that the consumer ever had.
type subject func(*reading) (*projections.Extract, error)

// mostNames is with how many customers, subscriptions and wallets of one consumer a look at each record for them would cost more than
// it saves.
const mostNames = 128

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

// extractOf returns what the records of a consumer name it by. A claim leaves the customers and wallets of a managed consumer linked to
// it, and links them to the one that has claimed it.
func (r *reading) extractOf(consumer events.OrganizationID) (*projections.Extract, error) {
	x := new(projections.Extract)
	name := func(id [16]byte) error {
		x.Names = append(x.Names, id)
		return nil
	}
	var err error
	if row := r.books.Consumers.Get(consumer); row != nil {
		for _, id := range row.Claimed {
			err = errors.Join(err, name(id), r.links(projections.LinkWallets, id, name)) // those that were emptied before are not linked again
		}
	}
	err = errors.Join(err, name(consumer), r.links(projections.LinkWallets, consumer, name),
		r.links(projections.LinkCustomersOfConsumer, consumer, func(customer [16]byte) error {
			return errors.Join(name(customer), r.links(projections.LinkSubscriptionsOfCustomer, customer, name))
		}))
	if err != nil || len(x.Names) > mostNames {
		return nil, err
	}
	return x, nil
}
