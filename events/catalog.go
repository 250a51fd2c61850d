package events

// ProductCreated records that the envelope's merchant offers something.
type ProductCreated struct {
	Product     ProductID         `cbor:"1,keyasint" json:"productId"`
	Name        string            `cbor:"2,keyasint" json:"name"`
	Description string            `cbor:"3,keyasint" json:"description"`
	Metadata    map[string]string `cbor:"4,keyasint,omitempty" json:"metadata,omitempty"`
}

// Aggregation says how the usage of a metric adds up over a period.
type Aggregation string

// The aggregations.
const (
	AggregateSum   Aggregation = "SUM"   // quantities are added
	AggregateCount Aggregation = "COUNT" // each report counts one, whatever its quantity
)

// MetricCreated records a thing that is metered for a product.
type MetricCreated struct {
	Metric      MetricID    `cbor:"1,keyasint" json:"billableMetricId"`
	Product     ProductID   `cbor:"2,keyasint" json:"productId"`
	Name        string      `cbor:"3,keyasint" json:"name"`
	Description string      `cbor:"4,keyasint" json:"description"`
	Unit        string      `cbor:"5,keyasint" json:"unit"`
	Aggregation Aggregation `cbor:"6,keyasint" json:"aggregation"`
}

// Model names the formula of a price.
type Model string

// The models.
const (
	Standard Model = "standard" // quantity × unit price
)

// Term says when the money of a price moves.
type Term string

// The terms.
const (
	Instant   Term = "instant"    // with each usage event
	InArrears Term = "in_arrears" // accrues, and is invoiced at the end of the period
)

// PriceCreated records a price of a metric, at its first revision.
type PriceCreated struct {
	Price       PriceID  `cbor:"1,keyasint" json:"priceId"`
	Revision    uint32   `cbor:"2,keyasint" json:"revision"` // 1
	Metric      MetricID `cbor:"3,keyasint" json:"billableMetricId"`
	Model       Model    `cbor:"4,keyasint" json:"model"`
	Term        Term     `cbor:"5,keyasint" json:"paymentTerm"`
	DisplayName string   `cbor:"6,keyasint" json:"invoiceDisplayName"`
	UnitPrice   Nanos    `cbor:"7,keyasint" json:"unitPriceNanos"` // of model standard; at least 0
}

// Cadence is the length of a billing period, as an ISO 8601 duration.
type Cadence string

// The cadences.
const (
	Monthly Cadence = "P1M"
)

// PlanCreated records a rate card of one product.
type PlanCreated struct {
	Plan        PlanID    `cbor:"1,keyasint" json:"planId"`
	Product     ProductID `cbor:"2,keyasint" json:"productId"`
	Name        string    `cbor:"3,keyasint" json:"name"`
	Description string    `cbor:"4,keyasint,omitempty" json:"description,omitempty"`
	Currency    Currency  `cbor:"5,keyasint" json:"currency"`
	Cadence     Cadence   `cbor:"6,keyasint" json:"billingCadence"`
	Prices      []PriceID `cbor:"7,keyasint" json:"priceIds"` // each metric at most once
	DisplayName string    `cbor:"8,keyasint,omitempty" json:"invoiceDisplayName,omitempty"`
}

func (ProductCreated) Kind() Kind { return KindProductCreated }
func (MetricCreated) Kind() Kind  { return KindMetricCreated }
func (PriceCreated) Kind() Kind   { return KindPriceCreated }
func (PlanCreated) Kind() Kind    { return KindPlanCreated }

func (ProductCreated) Subject() (aggregate, name string) { return "product", "ProductCreated" }
func (MetricCreated) Subject() (aggregate, name string)  { return "metric", "MetricCreated" }
func (PriceCreated) Subject() (aggregate, name string)   { return "price", "PriceCreated" }
func (PlanCreated) Subject() (aggregate, name string)    { return "plan", "PlanCreated" }

func (ProductCreated) Money() Movement { return Movement{} }
func (MetricCreated) Money() Movement  { return Movement{} }
func (PriceCreated) Money() Movement   { return Movement{} }
func (PlanCreated) Money() Movement    { return Movement{} }

func (ProductCreated) sealed() {}
func (MetricCreated) sealed()  {}
func (PriceCreated) sealed()   {}
func (PlanCreated) sealed()    {}
