package query

import (
	"context"
	"strings"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// Reservation is money of a wallet that is set aside for usage to come.
type Reservation struct {
	Sequence     events.Seq                    `json:"sequence,omitzero"`
	ID           string                        `json:"id"` // ent_ and what stands behind com_ on usage (D29)
	Object       string                        `json:"object"`
	Metrics      []ReservedMetric              `json:"billableMetrics"`
	CreatedAt    events.Time                   `json:"createdAt"`
	Customer     events.CustomerID             `json:"customerId"`
	Merchant     events.OrganizationID         `json:"merchantId"`
	Subscription events.SubscriptionID         `json:"subscriptionId"`
	Wallet       events.WalletID               `json:"walletId"`
	Currency     events.Currency               `json:"currency"`
	ExpiresAt    events.Time                   `json:"expiresAt"`
	MaxUses      uint32                        `json:"maxUses"`
	Used         uint32                        `json:"usedCount"`
	Remaining    events.Sum                    `json:"remainingBalance"` // in nanos
	Region       string                        `json:"region"`
	Status       projections.ReservationStatus `json:"status"`
	Halted       string                        `json:"halted,omitempty"` // why it does not expire by itself, if it does not
}

// ReservedMetric is what was reserved for one metric.
type ReservedMetric struct {
	Metric   events.MetricID `json:"billableMetricId"`
	Quantity int64           `json:"quantity"`
	Amount   events.Sum      `json:"amountNanos"` // with tax
}

// ActiveEntitlement is a reservation that can pay for usage now.
type ActiveEntitlement struct {
	ID           string                `json:"id"`
	Object       string                `json:"object"`
	Metrics      []events.MetricID     `json:"billableMetrics"`
	Customer     events.CustomerID     `json:"customerId"`
	Plan         events.PlanID         `json:"planId"`
	Product      events.ProductID      `json:"productId"`
	Subscription events.SubscriptionID `json:"subscriptionId"`
	VerifiedAt   events.Time           `json:"verifiedAt"` // when it paid last, or was made
}

const entitlement = "entitlement"

// reservationRef is the identity of a reservation by either prefix.
type reservationRef events.ReservationID

// UnmarshalText reads com_… and ent_….
func (r *reservationRef) UnmarshalText(b []byte) error {
	id, err := events.ParseReservationID(string(b))
	*r = reservationRef(id)
	return err
}

// entitlementID returns a reservation's identity as the API shows it.
func entitlementID(id events.ReservationID) string {
	return "ent_" + strings.TrimPrefix(id.String(), "com_")
}

// ReservationArgs are the arguments of [Service.Reservation].
type ReservationArgs struct {
	At
	Reservation reservationRef `json:"entitlementId"`
}

// Reservation answers how a reservation stands.
func (s *Service) Reservation(ctx context.Context, who wire.Who, args ReservationArgs) (res Reservation, err error) {
	err = s.read(ctx, who, args.At, func(r *reading) error {
		id := events.ReservationID(args.Reservation)
		row := r.books.Reservations.Get(id)
		if row == nil || !r.who.sees(row.Merchant) {
			return missing(entitlement, entitlementID(id))
		}
		res = renderReservation(id, row)
		res.Sequence = r.seq
		return nil
	})
	return res, err
}

func renderReservation(id events.ReservationID, row *projections.Reservation) Reservation {
	res := Reservation{
		ID: entitlementID(id), Object: entitlement, CreatedAt: row.CreatedAt, Customer: row.Customer, Merchant: row.Merchant,
		Subscription: row.Subscription, Wallet: row.Wallet, Currency: row.Currency, ExpiresAt: row.ExpiresAt,
		MaxUses: row.MaxUses, Used: row.Used, Remaining: row.Held, Region: "global", Status: row.Status, Halted: row.Parked,
	}
	for _, m := range row.Metrics {
		res.Metrics = append(res.Metrics, ReservedMetric{m.Metric, m.Quantity, events.SumOf(m.Nanos).Add(m.Tax)})
	}
	return res
}

// ActiveEntitlementsArgs are the arguments of [Service.ActiveEntitlements].
type ActiveEntitlementsArgs struct {
	APIPage
	Customer     events.CustomerID     `json:"customerId"`
	Product      events.ProductID      `json:"productId,omitzero"`
	Subscription events.SubscriptionID `json:"subscriptionId,omitzero"`
}

// ActiveEntitlements lists the reservations of a customer that can pay for usage now.
func (s *Service) ActiveEntitlements(ctx context.Context, who wire.Who, args ActiveEntitlementsArgs) (list APIList[ActiveEntitlement], err error) {
	if args.Customer.IsZero() {
		return list, commands.Reject(commands.Invalid, "customerId is required")
	}
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) (err error) {
		if _, err := r.customer(args.Customer); err != nil {
			return err
		}
		l := listing[events.ReservationID, projections.Reservation, ActiveEntitlement]{
			table: r.books.Reservations, from: source{projections.LinkReservationsOfCustomer, args.Customer},
			match: func(row *projections.Reservation) bool {
				return row.Status == projections.ReservationActive &&
					(args.Subscription.IsZero() || row.Subscription == args.Subscription) &&
					(args.Product.IsZero() || r.books.Subscriptions.Get(row.Subscription).Product == args.Product)
			},
			render: r.renderActive,
		}
		list, err = l.apiPage(r, args.APIPage)
		return err
	})
	return list, err
}

func (r *reading) renderActive(id events.ReservationID, row *projections.Reservation) (ActiveEntitlement, error) {
	sub := r.books.Subscriptions.Get(row.Subscription)
	e := ActiveEntitlement{
		ID: entitlementID(id), Object: entitlement, Customer: row.Customer, Plan: sub.Plan, Product: sub.Product,
		Subscription: row.Subscription, VerifiedAt: row.UpdatedAt,
	}
	for _, m := range row.Metrics {
		e.Metrics = append(e.Metrics, m.Metric)
	}
	return e, nil
}

// entitlementQueries are the names of the queries about reservations and entitlements.
func entitlementQueries() []string {
	return []string{"ActiveEntitlements", "GetEntitlement", "GetFeature", "GetGrant", "GetGrantPurchase", "ListEntitlements", "ListFeatures", "ListGrants", "Reservation"}
}

// entitlementQuery returns the query of a name, nil for the name of another.
func (s *Service) entitlementQuery(name string) asked {
	switch name {
	case "ActiveEntitlements":
		return answering(s.ActiveEntitlements)
	case "GetEntitlement":
		return answering(s.GetEntitlement)
	case "GetFeature":
		return answering(s.GetFeature)
	case "GetGrant":
		return answering(s.GetGrant)
	case "GetGrantPurchase":
		return answering(s.GetGrantPurchase)
	case "ListEntitlements":
		return answering(s.ListEntitlements)
	case "ListFeatures":
		return answering(s.ListFeatures)
	case "ListGrants":
		return answering(s.ListGrants)
	case "Reservation":
		return answering(s.Reservation)
	}
	return nil
}
