package commands

import (
	"slices"

	"tallystick/events"
	"tallystick/projections"
)

// CreatePlan makes a rate card of one product.
type CreatePlan struct {
	Product        events.ProductID
	Name           string
	Description    string
	DisplayName    string
	Currency       events.Currency
	Cadence        events.Cadence // zero stands for P1M
	Anchor         events.Time    // of the periods of all its subscriptions; zero lets each have its own
	Prices         []events.PriceID
	TaxBehavior    events.TaxBehavior // zero stands for exclusive
	TaxRate        events.TaxRate     // where nothing better is known
	TaxCode        string
	NoReminder     bool             // renewals are not announced
	ReminderDays   uint32           // how many days before; 0 stands for 3
	Proration      events.Proration // of fees; zero stands for none
	BillingVersion uint32           // a label, 0 or 1
}

// UpdatePlan changes a plan. Prices and tax change with the periods that begin from now on, the cadence with new
// subscriptions.
type UpdatePlan struct {
	Plan         events.PlanID
	Name         Change[string]
	Description  Change[string]
	DisplayName  Change[string]
	Cadence      Change[events.Cadence]
	Prices       Change[[]events.PriceID]
	TaxBehavior  Change[events.TaxBehavior]
	TaxRate      Change[events.TaxRate]
	TaxCode      Change[string]
	NoReminder   Change[bool]
	ReminderDays Change[uint32]
	Proration    Change[events.Proration]
}

// What a plan has where nothing is said.
const (
	DefaultTaxCode      = "eservice"
	DefaultReminderDays = 3
	maxReminderDays     = 30
)

func createPlan(b *projections.Books, c Context, cmd CreatePlan, d *decision) *Rejection {
	if cmd.Currency.IsZero() {
		return wrong("currency", "is required, such as USD")
	}
	if cmd.Anchor > c.Now {
		return wrong("billingAnchor", "%s is in the future", cmd.Anchor)
	}
	if cmd.Cadence == "" {
		cmd.Cadence = events.Monthly
	}
	e := events.PlanUpdated{
		Name: cmd.Name, Description: cmd.Description, Cadence: cmd.Cadence, Prices: cmd.Prices, DisplayName: cmd.DisplayName,
		TaxBehavior: cmd.TaxBehavior, TaxRate: cmd.TaxRate, TaxCode: cmd.TaxCode, NoReminder: cmd.NoReminder, ReminderDays: cmd.ReminderDays,
		Proration: cmd.Proration,
	}
	if r := first(planOK(&e), billable("billingAnchor", cmd.Anchor)); r != nil {
		return r
	}
	m, r := merchantOf(b, c)
	if r != nil {
		return r
	}
	if cmd.Product.IsZero() {
		cmd.Product = productOfPrices(b, cmd.Prices)
	}
	if _, r := productOf(b, c, cmd.Product); r != nil {
		return r
	}
	if r := pricesOK(b, c, cmd.Product, cmd.Prices); r != nil {
		return r
	}
	d.add(c, c.Now, events.PlanCreated{
		Plan: events.Derive[events.PlanNoun](c.ID, 0), Product: cmd.Product, Name: cmd.Name, Description: cmd.Description,
		Currency: cmd.Currency, Cadence: cmd.Cadence, Prices: cmd.Prices, DisplayName: cmd.DisplayName, Anchor: hour(cmd.Anchor),
		TaxBehavior: cmd.TaxBehavior, TaxRate: cmd.TaxRate, TaxCode: cmd.TaxCode, NoReminder: cmd.NoReminder, ReminderDays: cmd.ReminderDays,
		Version: cmd.BillingVersion, Proration: cmd.Proration,
	})
	if m.WalletFor(cmd.Currency).IsZero() { // its first plan in this currency
		d.add(c, c.Now, events.WalletOpened{
			Wallet: events.Derive[events.WalletNoun](c.ID, 1), Owner: c.Merchant, Currency: cmd.Currency, Earning: true,
		})
	}
	return nil
}

// productOfPrices returns the product that the first of some prices belongs to, or zero.
func productOfPrices(b *projections.Books, prices []events.PriceID) (id events.ProductID) {
	if len(prices) == 0 {
		return id
	}
	price := b.Prices.Get(prices[0])
	if price == nil {
		return id
	}
	if f := b.Fees.Get(price.Fee); f != nil {
		return f.Product
	}
	if m := b.Metrics.Get(price.Metric); m != nil {
		return m.Product
	}
	return id
}

// planOK refuses what no plan may have.
func planOK(p *events.PlanUpdated) *Rejection {
	if r := first(
		text("name", p.Name, maxName), optional("description", p.Description, maxDescription),
		optional("invoiceDisplayName", p.DisplayName, maxName), optional("defaultTaxCode", p.TaxCode, maxName),
	); r != nil {
		return r
	}
	switch {
	case p.Cadence.Months() == 0:
		return wrong("billingCadence", "%.40q is none of P1M, P3M, P1Y", p.Cadence)
	case p.TaxBehavior != "" && p.TaxBehavior != events.Exclusive && p.TaxBehavior != events.Inclusive:
		return wrong("taxBehavior", "%.40q is none of exclusive, inclusive", p.TaxBehavior)
	case p.Proration != "" && p.Proration != events.ProrateNone && p.Proration != events.ProrateDaily:
		return wrong("prorationPolicy", "%.40q is none of none, daily", p.Proration)
	case p.TaxRate > events.MaxTaxRate:
		return wrong("defaultTaxRate", "is above 100")
	case p.ReminderDays > maxReminderDays:
		return wrong("renewalReminderDays", "is %d; 1 to %d are allowed", p.ReminderDays, maxReminderDays)
	case len(p.Prices) > maxPlanPrices:
		return Reject(Invalid, "a plan of %d prices; at most %d are allowed", len(p.Prices), maxPlanPrices)
	}
	return nil
}

// pricesOK refuses prices that a plan of a product cannot have together.
func pricesOK(b *projections.Books, c Context, product events.ProductID, prices []events.PriceID) *Rejection {
	priced := make(map[[16]byte]bool, len(prices))
	for _, id := range prices {
		price, r := priceOf(b, c, id)
		if r != nil {
			return r
		}
		if !price.Fee.IsZero() {
			if f := b.Fees.Get(price.Fee); f == nil || f.Product != product {
				return Reject(Invalid, "price %s is of a fee of another product", id)
			}
			if priced[price.Fee] {
				return Reject(Invalid, "fee %s has two prices in one plan", price.Fee)
			}
			priced[price.Fee] = true
			continue
		}
		if m := b.Metrics.Get(price.Metric); m == nil || m.Product != product {
			return Reject(Invalid, "price %s is of a metric of another product", id)
		}
		if priced[price.Metric] {
			return Reject(Invalid, "metric %s has two prices in one plan", price.Metric)
		}
		priced[price.Metric] = true
	}
	return nil
}

func planOf(b *projections.Books, c Context, id events.PlanID) (*projections.Plan, *Rejection) {
	p := b.Plans.Get(id)
	if p == nil || p.Merchant != c.Merchant {
		return nil, Reject(NotFound, "no plan %s", id)
	}
	return p, nil
}

func updatePlan(b *projections.Books, c Context, cmd UpdatePlan, d *decision) *Rejection {
	p, r := planOf(b, c, cmd.Plan)
	if r != nil {
		return r
	}
	behavior := events.TaxBehavior("")
	if p.Card.Taxed {
		behavior = events.Inclusive
	}
	proration := events.Proration("")
	if p.Card.Daily {
		proration = events.ProrateDaily
	}
	e := events.PlanUpdated{
		Plan: cmd.Plan, Name: cmd.Name.over(p.Name), Description: cmd.Description.over(p.Description), Cadence: cmd.Cadence.over(p.Cadence),
		Prices: slices.Clone(cmd.Prices.over(p.Prices)), DisplayName: cmd.DisplayName.over(p.DisplayName),
		TaxBehavior: cmd.TaxBehavior.over(behavior), TaxRate: cmd.TaxRate.over(p.Card.TaxRate), TaxCode: cmd.TaxCode.over(p.TaxCode),
		NoReminder: cmd.NoReminder.over(p.NoReminder), ReminderDays: cmd.ReminderDays.over(p.ReminderDays),
		Proration: cmd.Proration.over(proration),
	}
	if r := first(planOK(&e), pricesOK(b, c, p.Product, e.Prices)); r != nil {
		return r
	}
	d.add(c, c.Now, e)
	return nil
}
