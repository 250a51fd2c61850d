package query

import (
	"context"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// Merchant is an organization that sells.
type Merchant struct {
	Sequence events.Seq            `json:"sequence,omitzero"`
	ID       events.OrganizationID `json:"id"`
	Currency events.Currency       `json:"currency"`
	Profile  events.Profile        `json:"profile"`
	Settings events.Settings       `json:"settings"`
	Wallets  []WalletRef           `json:"wallets"`
}

// WalletRef names a wallet.
type WalletRef struct {
	Wallet       events.WalletID       `json:"walletId"`
	Currency     events.Currency       `json:"currency"`
	Virtual      bool                  `json:"virtual,omitempty"`       // for one subscription alone
	Subscription events.SubscriptionID `json:"subscriptionId,omitzero"` // that one, once there is one
}

// MerchantsArgs are the arguments of [Service.Merchants].
type MerchantsArgs struct {
	At
	Page
	Merchant events.OrganizationID `json:"merchantId,omitzero"` // only this one
}

// Merchants lists those who sell; a merchant gets itself.
func (s *Service) Merchants(ctx context.Context, who wire.Who, args MerchantsArgs) (list List[Merchant], err error) {
	only, err := asker(who).merchant(args.Merchant)
	if err != nil {
		return list, err
	}
	err = s.read(ctx, who, args.At, func(r *reading) (err error) {
		if !only.IsZero() {
			m, err := r.merchant(only)
			list = List[Merchant]{Sequence: r.seq, Items: []Merchant{m}}
			return err
		}
		list, err = listing[events.OrganizationID, projections.MerchantRow, Merchant]{
			table:  r.books.Merchants,
			render: r.renderMerchant,
		}.page(r, args.Page)
		return err
	})
	return list, err
}

func (r *reading) merchant(id events.OrganizationID) (Merchant, error) {
	row := r.books.Merchants.Get(id)
	if row == nil {
		return Merchant{}, missing("merchant", id.String())
	}
	return r.renderMerchant(id, row)
}

func (r *reading) renderMerchant(id events.OrganizationID, row *projections.MerchantRow) (Merchant, error) {
	profile, err := r.sellerProfile(row.Profile)
	return Merchant{
		ID: id, Currency: row.Currency, Profile: profile, Settings: row.Settings, Wallets: r.walletRefs(row.Wallets),
	}, err
}

// walletRefs names those of an organization's wallets that the asker may look into.
func (r *reading) walletRefs(of []projections.WalletRef) []WalletRef {
	refs := []WalletRef{}
	for _, w := range of {
		if row := r.books.Wallets.Get(w.Wallet); row != nil && r.who.sees(merchantOf(row)) {
			refs = append(refs, WalletRef{w.Wallet, w.Currency, w.Virtual, row.Subscription})
		}
	}
	return refs
}

// Customer is a merchant's relation to a consumer, with what is known about the consumer.
type Customer struct {
	Sequence   events.Seq            `json:"sequence,omitzero"`
	ID         events.CustomerID     `json:"id"`
	Merchant   events.OrganizationID `json:"merchantId"`
	Consumer   events.OrganizationID `json:"consumerId"`
	Kind       events.ConsumerKind   `json:"kind"`
	Profile    *events.Profile       `json:"organization,omitempty"` // none of an erased consumer
	ExternalID string                `json:"externalId,omitempty"`
	TaxID      string                `json:"taxId,omitempty"`
	Erased     bool                  `json:"erased,omitempty"`
	Wallets    []WalletRef           `json:"wallets"`
	CreatedAt  events.Time           `json:"createdAt"`
}

// CustomerArgs are the arguments of [Service.Customer].
type CustomerArgs struct {
	At
	Customer events.CustomerID `json:"customerId"`
}

// Customer answers who a customer is.
func (s *Service) Customer(ctx context.Context, who wire.Who, args CustomerArgs) (c Customer, err error) {
	err = s.readOf(ctx, who, args.At, ofCustomer(args.Customer), func(r *reading) error {
		row, err := r.customer(args.Customer)
		if err != nil {
			return err
		}
		c, err = r.renderCustomer(args.Customer, row)
		c.Sequence = r.seq
		return err
	})
	return c, err
}

// Customers lists customers.
func (s *Service) Customers(ctx context.Context, who wire.Who, args CatalogArgs) (List[Customer], error) {
	return catalog(ctx, s, who, args, func(r *reading) listing[events.CustomerID, projections.Customer, Customer] {
		return listing[events.CustomerID, projections.Customer, Customer]{
			table: r.books.Customers, from: source{link: projections.LinkCustomers}, render: r.renderCustomer,
			match: func(c *projections.Customer) bool { return !c.Deleted },
		}
	})
}

// customer returns a customer that who asks may see.
func (r *reading) customer(id events.CustomerID) (*projections.Customer, error) {
	row := r.books.Customers.Get(id)
	if row == nil || !r.who.sees(row.Merchant) {
		return nil, missing("customer", id.String())
	}
	return row, nil
}

func (r *reading) renderCustomer(id events.CustomerID, row *projections.Customer) (Customer, error) {
	c := Customer{ID: id, Merchant: row.Merchant, Consumer: row.Consumer, Wallets: []WalletRef{}, CreatedAt: row.At}
	consumer := r.books.Consumers.Get(row.Consumer)
	if consumer == nil {
		return c, nil
	}
	c.Kind, c.Wallets = consumer.Type, r.walletRefs(consumer.Wallets)
	profile, err := r.consumerProfile(consumer.Sealed)
	if err != nil {
		return c, err
	}
	c.Profile, c.Erased = profile, profile == nil
	details, err := r.details(row.Details)
	if c.ExternalID, c.TaxID = details.ExternalID, details.TaxID; err == nil && row.ExternalID != nil {
		c.ExternalID, _, err = r.text(*row.ExternalID, wire.PurposeExternal)
	}
	if err == nil && row.TaxID != nil {
		c.TaxID, _, err = r.text(*row.TaxID, wire.PurposeTaxID)
	}
	return c, err
}

// Usage is what a customer has used, ever.
type Usage struct {
	Sequence events.Seq        `json:"sequence"`
	Customer events.CustomerID `json:"customerId"`
	Totals   []UsageTotal      `json:"totals"`
}

// UsageTotal is what a customer has used of one metric.
type UsageTotal struct {
	Metric   events.MetricID `json:"billableMetricId"`
	Name     string          `json:"metricName"`
	Unit     string          `json:"metricUnit"`
	Count    uint64          `json:"count"`    // usage events
	Quantity events.Sum      `json:"quantity"` // as reported
	Amount   events.Sum      `json:"amountNanos"`
	Tax      events.Sum      `json:"taxNanos"`
}

// Usage answers how much a customer has used of each metric.
func (s *Service) Usage(ctx context.Context, who wire.Who, args CustomerArgs) (u Usage, err error) {
	err = s.readOf(ctx, who, args.At, ofCustomer(args.Customer), func(r *reading) error {
		if _, err := r.customer(args.Customer); err != nil {
			return err
		}
		u = Usage{Sequence: r.seq, Customer: args.Customer, Totals: []UsageTotal{}}
		return each(r, r.books.Totals, args.Customer[:], func(k projections.Pair[events.CustomerID, events.MetricID], t *projections.Total) error {
			total := UsageTotal{Metric: k.B, Count: t.Count, Quantity: t.Quantity, Amount: t.Nanos, Tax: t.Tax}
			if m := r.books.Metrics.Get(k.B); m != nil {
				total.Name, total.Unit = m.Name, m.Unit
			}
			u.Totals = append(u.Totals, total)
			return nil
		})
	})
	return u, err
}
