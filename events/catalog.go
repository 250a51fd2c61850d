package events

// ProductCreated records that the envelope's merchant offers something.
type ProductCreated struct {
	Product     ProductID         `cbor:"1,keyasint" json:"productId"`
	Name        string            `cbor:"2,keyasint" json:"name"`
	Description string            `cbor:"3,keyasint" json:"description"`
	Metadata    map[string]string `cbor:"4,keyasint,omitempty" json:"metadata,omitempty"`
}

// ProductUpdated records what a product is called from now on.
type ProductUpdated struct {
	Product     ProductID `cbor:"1,keyasint" json:"productId"`
	Name        string    `cbor:"2,keyasint" json:"name"`
	Description string    `cbor:"3,keyasint" json:"description"`
}

// Aggregation says how the usage of a metric adds up over a period.
type Aggregation string

// The aggregations.
const (
	AggregateSum    Aggregation = "SUM"          // quantities are added
	AggregateCount  Aggregation = "COUNT"        // each report counts one, whatever its quantity
	AggregateAvg    Aggregation = "AVG"          // the mean of the quantities
	AggregateMin    Aggregation = "MIN"          // the smallest quantity
	AggregateMax    Aggregation = "MAX"          // the largest quantity
	AggregateUnique Aggregation = "UNIQUE_COUNT" // how many different quantities there are
	AggregateLatest Aggregation = "LATEST"       // the quantity that happened last; of the same time, the one reported last
)

// Adds reports whether each report adds to the aggregate by itself, whatever the others are.
func (a Aggregation) Adds() bool { return a == AggregateSum || a == AggregateCount }

// MetricCreated records a thing that is metered for a product.
type MetricCreated struct {
	Metric      MetricID    `cbor:"1,keyasint" json:"billableMetricId"`
	Product     ProductID   `cbor:"2,keyasint" json:"productId"`
	Name        string      `cbor:"3,keyasint" json:"name"`
	Description string      `cbor:"4,keyasint" json:"description"`
	Unit        string      `cbor:"5,keyasint" json:"unit"`
	Aggregation Aggregation `cbor:"6,keyasint" json:"aggregation"`

	// Of meter events: which count, and where in their data the value and the dimensions are.
	EventType     string            `cbor:"7,keyasint,omitempty" json:"eventType,omitempty"`
	ValueProperty string            `cbor:"8,keyasint,omitempty" json:"valueProperty,omitempty"`
	GroupBy       map[string]string `cbor:"9,keyasint,omitempty" json:"groupBy,omitempty"`
	EventFrom     Time              `cbor:"10,keyasint,omitzero" json:"eventFrom,omitzero"` // earlier ones do not count
}

// MetricUpdated records what a metric is from now on. Its aggregation never changes.
type MetricUpdated struct {
	Metric        MetricID          `cbor:"1,keyasint" json:"billableMetricId"`
	Name          string            `cbor:"2,keyasint" json:"name"`
	Description   string            `cbor:"3,keyasint" json:"description"`
	Unit          string            `cbor:"4,keyasint" json:"unit"`
	EventType     string            `cbor:"5,keyasint,omitempty" json:"eventType,omitempty"`
	ValueProperty string            `cbor:"6,keyasint,omitempty" json:"valueProperty,omitempty"`
	GroupBy       map[string]string `cbor:"7,keyasint,omitempty" json:"groupBy,omitempty"`
	EventFrom     Time              `cbor:"8,keyasint,omitzero" json:"eventFrom,omitzero"`
}

// FeeCreated records a fixed charge of a product. What it costs, how often and when, its prices say.
type FeeCreated struct {
	Fee         FeeID     `cbor:"1,keyasint" json:"feeId"`
	Product     ProductID `cbor:"2,keyasint" json:"productId"`
	Name        string    `cbor:"3,keyasint" json:"name"`
	Description string    `cbor:"4,keyasint" json:"description"`
}

// FeeUpdated records what a fee is called from now on.
type FeeUpdated struct {
	Fee         FeeID  `cbor:"1,keyasint" json:"feeId"`
	Name        string `cbor:"2,keyasint" json:"name"`
	Description string `cbor:"3,keyasint" json:"description"`
}

// FeeDeleted records that a fee is gone. No price was of it.
type FeeDeleted struct {
	Fee FeeID `cbor:"1,keyasint" json:"feeId"`
}

// Model names the formula of a price.
type Model string

// The models.
const (
	Standard   Model = "standard"   // quantity × unit price
	Dynamic    Model = "dynamic"    // quantity × the price that the usage names, within bounds
	Volume     Model = "volume"     // a unit price that changes with each unit of the period, within bounds
	Percentage Model = "percentage" // a part of quantity × the price that the usage names, within bounds
)

// Term says when the money of a price moves.
type Term string

// The terms.
const (
	Instant   Term = "instant"    // with each usage event
	InArrears Term = "in_arrears" // accrues, and is invoiced at the end of the period
	InAdvance Term = "in_advance" // at the start of the period; of fees
)

// Fraction is a share, in ten-thousandths: 3% is 300, and 1000% is 100_000.
type Fraction uint32

// PriceCreated records a price of a metric, or of a fee, at its first revision. What its amounts mean depends on the model.
type PriceCreated struct {
	Price       PriceID  `cbor:"1,keyasint" json:"priceId"`
	Revision    uint32   `cbor:"2,keyasint" json:"revision"` // 1
	Metric      MetricID `cbor:"3,keyasint,omitzero" json:"billableMetricId,omitzero"`
	Model       Model    `cbor:"4,keyasint" json:"model"`
	Term        Term     `cbor:"5,keyasint" json:"paymentTerm"`
	DisplayName string   `cbor:"6,keyasint" json:"invoiceDisplayName"`
	UnitPrice   Nanos    `cbor:"7,keyasint" json:"unitPriceNanos"` // standard; of volume, the price of the first unit

	Fee           FeeID    `cbor:"8,keyasint,omitzero" json:"feeId,omitzero"`
	Min           Nanos    `cbor:"9,keyasint,omitzero" json:"minNanos,omitzero"`  // of the unit price: dynamic, volume; of the charge: percentage
	Max           Nanos    `cbor:"10,keyasint,omitzero" json:"maxNanos,omitzero"` // likewise
	Gradient      Nanos    `cbor:"11,keyasint,omitzero" json:"gradientNanos,omitzero"`
	Part          Fraction `cbor:"12,keyasint,omitzero" json:"percentage,omitzero"`
	Cadence       Cadence  `cbor:"13,keyasint,omitempty" json:"billingCadence,omitempty"` // of a fee; P0D is once
	Quantity      uint32   `cbor:"14,keyasint,omitzero" json:"quantity,omitzero"`         // of a fee
	Description   string   `cbor:"15,keyasint,omitempty" json:"description,omitempty"`
	GrantDiscount bool     `cbor:"16,keyasint,omitempty" json:"grantDiscountEnabled,omitempty"`

	Feature  FeatureID    `cbor:"20,keyasint,omitzero" json:"featureId,omitzero"` // that its subscribers are entitled to
	Template FeatureTerms `cbor:"21,keyasint,omitzero" json:"entitlementTemplate,omitzero"`
}

// PriceRevised records a price as it is at its next revision. It bills the periods that begin
// after it; those that have begun stay with the revision before.
type PriceRevised struct {
	Price         PriceID  `cbor:"1,keyasint" json:"priceId"`
	Revision      uint32   `cbor:"2,keyasint" json:"revision"` // 2, 3, 4…
	Model         Model    `cbor:"3,keyasint" json:"model"`
	Term          Term     `cbor:"4,keyasint" json:"paymentTerm"`
	DisplayName   string   `cbor:"5,keyasint" json:"invoiceDisplayName"`
	UnitPrice     Nanos    `cbor:"6,keyasint" json:"unitPriceNanos"`
	Min           Nanos    `cbor:"7,keyasint,omitzero" json:"minNanos,omitzero"`
	Max           Nanos    `cbor:"8,keyasint,omitzero" json:"maxNanos,omitzero"`
	Gradient      Nanos    `cbor:"9,keyasint,omitzero" json:"gradientNanos,omitzero"`
	Part          Fraction `cbor:"10,keyasint,omitzero" json:"percentage,omitzero"`
	Cadence       Cadence  `cbor:"11,keyasint,omitempty" json:"billingCadence,omitempty"`
	Quantity      uint32   `cbor:"12,keyasint,omitzero" json:"quantity,omitzero"`
	Description   string   `cbor:"13,keyasint,omitempty" json:"description,omitempty"`
	GrantDiscount bool     `cbor:"14,keyasint,omitempty" json:"grantDiscountEnabled,omitempty"`
}

// PriceDeleted records that a price is gone. No plan had it.
type PriceDeleted struct {
	Price PriceID `cbor:"1,keyasint" json:"priceId"`
}

// Cadence is how often something is billed, as an ISO 8601 duration.
type Cadence string

// The cadences.
const (
	Monthly   Cadence = "P1M"
	Quarterly Cadence = "P3M"
	Yearly    Cadence = "P1Y"
	Once      Cadence = "P0D" // of a fee alone: with the first period
)

// Months returns how many months one period of c has, 0 for none and for what is no cadence.
func (c Cadence) Months() int {
	switch c {
	case Monthly:
		return 1
	case Quarterly:
		return 3
	case Yearly:
		return 12
	case Once:
	}
	return 0
}

// TaxBehavior says whether the amounts of a plan have the tax in them.
type TaxBehavior string

// The tax behaviors.
const (
	Exclusive TaxBehavior = "exclusive" // tax comes on top
	Inclusive TaxBehavior = "inclusive" // tax is a part of it
)

// Proration says what a fee costs of whose period only a part is used. The zero Proration is none.
type Proration string

// The prorations.
const (
	ProrateNone  Proration = "none"  // the same as always
	ProrateDaily Proration = "daily" // the days that are used
)

// TaxRate is a rate of tax, in hundred-thousandths of a percent: 8.875% is 887_500. At most 100%.
type TaxRate uint32

// OnePercent is 1%, and MaxTaxRate the largest rate there is.
const (
	OnePercent TaxRate = 100_000
	MaxTaxRate         = 100 * OnePercent
)

// PlanCreated records a rate card of one product.
type PlanCreated struct {
	Plan        PlanID    `cbor:"1,keyasint" json:"planId"`
	Product     ProductID `cbor:"2,keyasint" json:"productId"`
	Name        string    `cbor:"3,keyasint" json:"name"`
	Description string    `cbor:"4,keyasint,omitempty" json:"description,omitempty"`
	Currency    Currency  `cbor:"5,keyasint" json:"currency"`
	Cadence     Cadence   `cbor:"6,keyasint" json:"billingCadence"`
	Prices      []PriceID `cbor:"7,keyasint" json:"priceIds"` // each metric and each fee at most once
	DisplayName string    `cbor:"8,keyasint,omitempty" json:"invoiceDisplayName,omitempty"`

	Anchor       Time        `cbor:"9,keyasint,omitzero" json:"billingAnchor,omitzero"` // of all its subscriptions; else each has its own
	TaxBehavior  TaxBehavior `cbor:"10,keyasint,omitempty" json:"taxBehavior,omitempty"`
	TaxRate      TaxRate     `cbor:"11,keyasint,omitzero" json:"defaultTaxRate,omitzero"`
	TaxCode      string      `cbor:"12,keyasint,omitempty" json:"defaultTaxCode,omitempty"`
	NoReminder   bool        `cbor:"13,keyasint,omitempty" json:"noRenewalReminder,omitempty"`
	ReminderDays uint32      `cbor:"14,keyasint,omitzero" json:"renewalReminderDays,omitzero"` // 1 to 30; 0 stands for 3
	Version      uint32      `cbor:"15,keyasint,omitzero" json:"billingVersion,omitzero"`      // a label: all plans are billed alike
	Proration    Proration   `cbor:"16,keyasint,omitempty" json:"prorationPolicy,omitempty"`
}

// PlanUpdated records a rate card as it is from now on. Prices, tax behavior and proration are those of the periods
// that begin after it; the cadence is that of subscriptions made after it.
type PlanUpdated struct {
	Plan         PlanID      `cbor:"1,keyasint" json:"planId"`
	Name         string      `cbor:"2,keyasint" json:"name"`
	Description  string      `cbor:"3,keyasint,omitempty" json:"description,omitempty"`
	Cadence      Cadence     `cbor:"4,keyasint" json:"billingCadence"`
	Prices       []PriceID   `cbor:"5,keyasint" json:"priceIds"`
	DisplayName  string      `cbor:"6,keyasint,omitempty" json:"invoiceDisplayName,omitempty"`
	TaxBehavior  TaxBehavior `cbor:"7,keyasint,omitempty" json:"taxBehavior,omitempty"`
	TaxRate      TaxRate     `cbor:"8,keyasint,omitzero" json:"defaultTaxRate,omitzero"`
	TaxCode      string      `cbor:"9,keyasint,omitempty" json:"defaultTaxCode,omitempty"`
	NoReminder   bool        `cbor:"10,keyasint,omitempty" json:"noRenewalReminder,omitempty"`
	ReminderDays uint32      `cbor:"11,keyasint,omitzero" json:"renewalReminderDays,omitzero"`
	Proration    Proration   `cbor:"12,keyasint,omitempty" json:"prorationPolicy,omitempty"`
}

func (ProductCreated) Kind() Kind { return KindProductCreated }
func (ProductUpdated) Kind() Kind { return KindProductUpdated }
func (MetricCreated) Kind() Kind  { return KindMetricCreated }
func (MetricUpdated) Kind() Kind  { return KindMetricUpdated }
func (FeeCreated) Kind() Kind     { return KindFeeCreated }
func (FeeUpdated) Kind() Kind     { return KindFeeUpdated }
func (FeeDeleted) Kind() Kind     { return KindFeeDeleted }
func (PriceCreated) Kind() Kind   { return KindPriceCreated }
func (PriceRevised) Kind() Kind   { return KindPriceRevised }
func (PriceDeleted) Kind() Kind   { return KindPriceDeleted }
func (PlanCreated) Kind() Kind    { return KindPlanCreated }
func (PlanUpdated) Kind() Kind    { return KindPlanUpdated }

func (ProductCreated) Subject() (aggregate, name string) { return "product", "ProductCreated" }
func (ProductUpdated) Subject() (aggregate, name string) { return "product", "ProductUpdated" }
func (MetricCreated) Subject() (aggregate, name string)  { return "metric", "MetricCreated" }
func (MetricUpdated) Subject() (aggregate, name string)  { return "metric", "MetricUpdated" }
func (FeeCreated) Subject() (aggregate, name string)     { return "fee", "FeeCreated" }
func (FeeUpdated) Subject() (aggregate, name string)     { return "fee", "FeeUpdated" }
func (FeeDeleted) Subject() (aggregate, name string)     { return "fee", "FeeDeleted" }
func (PriceCreated) Subject() (aggregate, name string)   { return "price", "PriceCreated" }
func (PriceRevised) Subject() (aggregate, name string)   { return "price", "PriceRevised" }
func (PriceDeleted) Subject() (aggregate, name string)   { return "price", "PriceDeleted" }
func (PlanCreated) Subject() (aggregate, name string)    { return "plan", "PlanCreated" }
func (PlanUpdated) Subject() (aggregate, name string)    { return "plan", "PlanUpdated" }

func (ProductCreated) Money() Movement { return Movement{} }
func (ProductUpdated) Money() Movement { return Movement{} }
func (MetricCreated) Money() Movement  { return Movement{} }
func (MetricUpdated) Money() Movement  { return Movement{} }
func (FeeCreated) Money() Movement     { return Movement{} }
func (FeeUpdated) Money() Movement     { return Movement{} }
func (FeeDeleted) Money() Movement     { return Movement{} }
func (PriceCreated) Money() Movement   { return Movement{} }
func (PriceRevised) Money() Movement   { return Movement{} }
func (PriceDeleted) Money() Movement   { return Movement{} }
func (PlanCreated) Money() Movement    { return Movement{} }
func (PlanUpdated) Money() Movement    { return Movement{} }

func (ProductCreated) sealed() {}
func (ProductUpdated) sealed() {}
func (MetricCreated) sealed()  {}
func (MetricUpdated) sealed()  {}
func (FeeCreated) sealed()     {}
func (FeeUpdated) sealed()     {}
func (FeeDeleted) sealed()     {}
func (PriceCreated) sealed()   {}
func (PriceRevised) sealed()   {}
func (PriceDeleted) sealed()   {}
func (PlanCreated) sealed()    {}
func (PlanUpdated) sealed()    {}
