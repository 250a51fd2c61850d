package query

import (
	"cmp"
	"context"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// APIPlan is a plan, with its prices as new periods have them.
type APIPlan struct {
	ID              events.PlanID         `json:"id"`
	Object          string                `json:"object"` // "plan"
	Cadence         events.Cadence        `json:"billingCadence"`
	Interval        string                `json:"billingInterval"`
	Anchor          *events.Time          `json:"billingAnchor"`
	CreatedAt       events.Time           `json:"createdAt"`
	Currency        events.Currency       `json:"currency"`
	TaxCode         string                `json:"defaultTaxCode"`
	TaxRate         Percent               `json:"defaultTaxRate"`
	Description     string                `json:"description,omitempty"`
	DisplayName     string                `json:"invoiceDisplayName,omitempty"`
	Merchant        events.OrganizationID `json:"merchantId"`
	Name            string                `json:"name"`
	Terms           APIPlanTerms          `json:"paymentTerm"`
	Prices          []APIPrice            `json:"prices"`
	Product         events.ProductID      `json:"productId"`
	TaxBehavior     events.TaxBehavior    `json:"taxBehavior"`
	UpdatedAt       events.Time           `json:"updatedAt"`
	ReminderEnabled bool                  `json:"renewalReminderEnabled"`
	ReminderDays    uint32                `json:"renewalReminderDays"`
	BillingVersion  uint32                `json:"billingVersion"`
	Proration       events.Proration      `json:"prorationPolicy"`
}

// APIPlanTerms says which payment terms a plan's prices have.
type APIPlanTerms struct {
	InAdvance bool `json:"in_advance"`
	InArrears bool `json:"in_arrears"`
	Instant   bool `json:"instant"`
}

func renderAPIPlan(r *reading, id events.PlanID, p *projections.Plan) (APIPlan, error) {
	v := APIPlan{
		ID: id, Object: "plan", Cadence: p.Cadence, Interval: intervalOf(p.Cadence), Anchor: orNull(p.Anchor), CreatedAt: p.At,
		Currency: p.Currency, TaxCode: cmp.Or(p.TaxCode, commands.DefaultTaxCode), TaxRate: Percent(p.Card.TaxRate), Description: p.Description,
		DisplayName: p.DisplayName, Merchant: p.Merchant, Name: p.Name, Prices: []APIPrice{}, Product: p.Product,
		TaxBehavior: events.Exclusive, UpdatedAt: p.UpdatedAt, ReminderEnabled: !p.NoReminder,
		ReminderDays: cmp.Or(p.ReminderDays, commands.DefaultReminderDays), BillingVersion: p.Version,
		Proration: events.ProrateNone,
	}
	if p.Card.Taxed {
		v.TaxBehavior = events.Inclusive
	}
	if p.Card.Daily {
		v.Proration = events.ProrateDaily
	}
	for _, priceID := range p.Prices {
		row := r.books.Prices.Get(priceID)
		price, err := renderAPIPrice(r, priceID, row)
		if err != nil {
			return v, err
		}
		price.Currency = p.Currency.String()
		v.Prices = append(v.Prices, price)
		v.Terms.Instant = v.Terms.Instant || price.Term == events.Instant
		v.Terms.InArrears = v.Terms.InArrears || price.Term == events.InArrears
		v.Terms.InAdvance = v.Terms.InAdvance || price.Term == events.InAdvance
	}
	return v, nil
}

// intervalOf returns the older word for a cadence.
func intervalOf(c events.Cadence) string {
	switch c {
	case events.Quarterly:
		return "quarterly"
	case events.Yearly:
		return "yearly"
	case events.Monthly, events.Once:
	}
	return "monthly"
}

// GetPlanArgs are the arguments of [Service.GetPlan].
type GetPlanArgs struct {
	AtLeast events.Seq    `json:"atLeast,omitzero"`
	Plan    events.PlanID `json:"planId"`
}

// GetPlan answers with a plan.
func (s *Service) GetPlan(ctx context.Context, who wire.Who, args GetPlanArgs) (APIPlan, error) {
	return apiOne(ctx, s, who, args.AtLeast, "plan", args.Plan,
		func(b *projections.Books) *projections.Table[events.PlanID, projections.Plan] { return b.Plans },
		func(p *projections.Plan) events.OrganizationID { return p.Merchant }, renderAPIPlan)
}

// ListPlans lists plans, of one product if it is named.
func (s *Service) ListPlans(ctx context.Context, who wire.Who, args CatalogListArgs) (APIList[APIPlan], error) {
	return apiCatalog(ctx, s, who, args.Merchant, args.APIPage, func(r *reading) listing[events.PlanID, projections.Plan, APIPlan] {
		return listing[events.PlanID, projections.Plan, APIPlan]{
			table: r.books.Plans, from: source{link: projections.LinkPlans},
			match:  func(p *projections.Plan) bool { return args.Product.IsZero() || p.Product == args.Product },
			render: func(id events.PlanID, p *projections.Plan) (APIPlan, error) { return renderAPIPlan(r, id, p) },
		}
	})
}

// ListAvailablePlansArgs are the arguments of [Service.ListAvailablePlans].
type ListAvailablePlansArgs struct {
	APIPage
	Customer events.CustomerID `json:"customerId"`
	Product  events.ProductID  `json:"productId,omitzero"`
	Search   string            `json:"search,omitempty"` // a part of the name
}

// ListAvailablePlans lists the plans that a customer could take: those of products it has no subscription to.
func (s *Service) ListAvailablePlans(ctx context.Context, who wire.Who, args ListAvailablePlansArgs) (list APIList[APIPlan], err error) {
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) error {
		customer, err := r.customer(args.Customer)
		if err != nil {
			return err
		}
		taken := make(map[events.ProductID]bool)
		if active := r.books.Active.Get(args.Customer); active != nil {
			for _, id := range active.Subscriptions {
				taken[r.books.Subscriptions.Get(id).Product] = true
			}
		}
		l := listing[events.PlanID, projections.Plan, APIPlan]{
			table: r.books.Plans, from: source{projections.LinkPlans, customer.Merchant},
			match: func(p *projections.Plan) bool {
				return !taken[p.Product] && (args.Product.IsZero() || p.Product == args.Product) &&
					holds(p.Name, args.Search)
			},
			render: func(id events.PlanID, p *projections.Plan) (APIPlan, error) { return renderAPIPlan(r, id, p) },
		}
		list, err = l.apiPage(r, args.APIPage)
		return err
	})
	return list, err
}
