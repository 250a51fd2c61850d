package projections

import (
	"encoding"
	"fmt"

	"tallystick/events"
)

// keyText returns a key as people write it.
func keyText(k any) string {
	switch k := k.(type) {
	case struct{}:
		return "-"
	case events.Account:
		return accountText(k)
	case fmt.Stringer:
		return k.String()
	case encoding.TextMarshaler:
		if text, err := k.MarshalText(); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(k)
}

// String returns both identities.
func (p Pair[A, B]) String() string { return fmt.Sprintf("%v %v", keyText(p.A), keyText(p.B)) }

// String returns the subscription and the number of its period.
func (k PeriodKey) String() string { return fmt.Sprintf("%v period %d", k.Subscription, k.Period) }

// String returns what the journal is about.
func (k JournalKey) String() string {
	switch k.What {
	case JournalOfWallet:
		return events.WalletID(k.ID).String()
	case JournalOfSubscription:
		return events.SubscriptionID(k.ID).String()
	case JournalOfClock:
		return events.TestClockID(k.ID[:]).String()
	}
	return fmt.Sprintf("journal(%d) %x", k.What, k.ID)
}

// String returns what the journal is about, and the number of the page.
func (k PageKey) String() string { return fmt.Sprintf("%v page %d", k.Journal, k.Page) }

// String returns the kind of link in words, the parent and the child.
func (k LinkKey) String() string {
	if k.What == LinkMerchants { // the platform's
		return fmt.Sprintf("%v %v", k.What, k.What.child(k.Child))
	}
	return fmt.Sprintf("%v %v %v", k.What, k.What.parent(k.Parent), k.What.child(k.Child))
}

// String returns what the children are, and whose.
func (w LinkOf) String() string {
	names := [...]string{
		LinkMerchants: "merchant", LinkKeys: "key of", LinkCustomers: "customer of", LinkCustomersOfConsumer: "customer of consumer",
		LinkProducts: "product of", LinkMetrics: "metric of", LinkPrices: "price of", LinkPlans: "plan of", LinkWallets: "wallet of",
		LinkSubscriptions: "subscription of", LinkSubscriptionsOfCustomer: "subscription of customer",
		LinkSessions: "payment session of", LinkSessionsOfCustomer: "payment session of customer", LinkSessionsOfSubscription: "payment session of subscription",
		LinkTopUps: "top-up of", LinkPayments: "payment of", LinkPaymentsOfCustomer: "payment of customer",
		LinkFees: "fee of", LinkInvoices: "invoice of", LinkInvoicesOfCustomer: "invoice of customer", LinkInvoicesOfSubscription: "invoice of subscription",
		LinkReservations: "reservation of", LinkReservationsOfCustomer: "reservation of customer",
		LinkFeaturesOfProduct: "feature of", LinkEntitlementsOfCustomer: "entitlement of customer", LinkGrantsOfEntitlement: "grant of",
		LinkAuthorizations: "authorization session of", LinkUsers: "user of", LinkUsersOfEmail: "user with the address",
		LinkWalletsOfNamespace: "wallet in the namespace of",
	}
	if int(w) < len(names) && names[w] != "" {
		return names[w]
	}
	return fmt.Sprintf("link(%d)", byte(w))
}

func (w LinkOf) parent(id [16]byte) fmt.Stringer {
	switch w {
	case LinkTopUps:
		return events.WalletID(id)
	case LinkSubscriptionsOfCustomer, LinkInvoicesOfCustomer, LinkReservationsOfCustomer, LinkSessionsOfCustomer, LinkPaymentsOfCustomer, LinkEntitlementsOfCustomer:
		return events.CustomerID(id)
	case LinkInvoicesOfSubscription, LinkSessionsOfSubscription:
		return events.SubscriptionID(id)
	case LinkFeaturesOfProduct:
		return events.ProductID(id)
	case LinkGrantsOfEntitlement:
		return events.EntitlementID(id)
	}
	return events.OrganizationID(id)
}

func (w LinkOf) child(id [16]byte) fmt.Stringer {
	switch w {
	case LinkMerchants:
		return events.OrganizationID(id)
	case LinkKeys:
		return events.KeyID(id)
	case LinkCustomers, LinkCustomersOfConsumer:
		return events.CustomerID(id)
	case LinkProducts:
		return events.ProductID(id)
	case LinkMetrics:
		return events.MetricID(id)
	case LinkFees:
		return events.FeeID(id)
	case LinkPrices:
		return events.PriceID(id)
	case LinkPlans:
		return events.PlanID(id)
	case LinkWallets, LinkWalletsOfNamespace:
		return events.WalletID(id)
	case LinkSubscriptions, LinkSubscriptionsOfCustomer:
		return events.SubscriptionID(id)
	case LinkSessions, LinkSessionsOfCustomer, LinkSessionsOfSubscription:
		return events.SessionID(id)
	case LinkTopUps:
		return events.TopUpID(id)
	case LinkPayments, LinkPaymentsOfCustomer:
		return events.PaymentID(id)
	case LinkAuthorizations:
		return events.AuthorizationID(id)
	case LinkUsers, LinkUsersOfEmail:
		return events.UserID(id)
	case LinkInvoices, LinkInvoicesOfCustomer, LinkInvoicesOfSubscription:
		return events.InvoiceID(id)
	case LinkReservations, LinkReservationsOfCustomer:
		return events.ReservationID(id)
	case LinkFeaturesOfProduct:
		return events.FeatureID(id)
	case LinkEntitlementsOfCustomer:
		return events.EntitlementID(id)
	case LinkGrantsOfEntitlement:
		return events.GrantID(id)
	}
	return events.CommandID(id)
}

// accountText returns an account's role, owner and currency.
func accountText(a events.Account) string {
	owner := "platform"
	switch a.Role {
	case events.ConsumerMain, events.ConsumerUsage, events.ReservationHold:
		owner = events.WalletID(a.Owner).String()
	case events.Merchant, events.Receivable, events.Settlement:
		owner = events.OrganizationID(a.Owner).String()
	case events.PlatformFee, events.TaxPayable, events.ProcessorClearing, events.Rounding:
	}
	return fmt.Sprintf("%v %v %v", a.Role, a.Currency, owner)
}
