package commands

import (
	"regexp"

	"tallystick/events"
	"tallystick/projections"
)

// Change is a new value for something, or none: then it stays as it is.
type Change[T any] struct {
	Given bool
	To    T
}

// over returns what was becomes.
func (c Change[T]) over(was T) T {
	if c.Given {
		return c.To
	}
	return was
}

// CreateProduct makes something to sell.
type CreateProduct struct {
	Name        string
	Description string
	Metadata    map[string]string
}

// UpdateProduct changes what a product is called.
type UpdateProduct struct {
	Product     events.ProductID
	Name        Change[string]
	Description Change[string]
}

// CreateMetric makes something to meter.
type CreateMetric struct {
	Product     events.ProductID
	Name        string
	Description string
	Unit        string
	Aggregation events.Aggregation
	Metering
}

// Metering says which meter events count for a metric, and where in their data what is measured stands.
type Metering struct {
	EventType     string            // the type that counts
	ValueProperty string            // where the value is, such as $.tokens
	GroupBy       map[string]string // dimensions by name, and where they are
	EventFrom     events.Time       // earlier events do not count
}

// UpdateMetric changes what a metric is called and which meter events count for it.
type UpdateMetric struct {
	Metric        events.MetricID
	Name          Change[string]
	Description   Change[string]
	Unit          Change[string]
	EventType     Change[string]
	ValueProperty Change[string]
	GroupBy       Change[map[string]string]
	EventFrom     Change[events.Time]
}

// CreateFee makes a fixed charge.
type CreateFee struct {
	Product     events.ProductID
	Name        string
	Description string
}

// UpdateFee changes what a fee is called.
type UpdateFee struct {
	Fee         events.FeeID
	Name        Change[string]
	Description Change[string]
}

// DeleteFee takes back a fee that no price is of.
type DeleteFee struct{ Fee events.FeeID }

const (
	maxDescription = 4096
	maxMetadata    = 50
	maxPlanPrices  = 200
	maxDimensions  = 50
)

// decideCatalog answers a command on products, metrics, fees, prices and plans.
func decideCatalog(b *projections.Books, c Context, cmd any, d *decision) *Rejection {
	switch cmd := cmd.(type) {
	case CreateProduct:
		return createProduct(b, c, cmd, d)
	case CreateMetric:
		return createMetric(b, c, cmd, d)
	case CreatePrice:
		return createPrice(b, c, cmd, d)
	case CreatePlan:
		return createPlan(b, c, cmd, d)
	case UpdateProduct:
		return updateProduct(b, c, cmd, d)
	case UpdateMetric:
		return updateMetric(b, c, cmd, d)
	case CreateFee:
		return createFee(b, c, cmd, d)
	case UpdateFee:
		return updateFee(b, c, cmd, d)
	case DeleteFee:
		return deleteFee(b, c, cmd, d)
	case UpdatePrice:
		return updatePrice(b, c, cmd, d)
	case DeletePrice:
		return deletePrice(b, c, cmd, d)
	case UpdatePlan:
		return updatePlan(b, c, cmd, d)
	}
	panic("commands: impossible: no command of the catalog")
}

func createProduct(b *projections.Books, c Context, cmd CreateProduct, d *decision) *Rejection {
	if r := called(cmd.Name, cmd.Description); r != nil {
		return r
	}
	if len(cmd.Metadata) > maxMetadata {
		return wrong("metadata", "has %d entries; at most %d are allowed", len(cmd.Metadata), maxMetadata)
	}
	for k, v := range cmd.Metadata {
		if optional("key", k, maxName) != nil || optional("value", v, maxDescription) != nil {
			return wrong("metadata", "is UTF-8, with keys of at most %d and values of at most %d bytes", maxName, maxDescription)
		}
	}
	if _, r := merchantOf(b, c); r != nil {
		return r
	}
	d.add(c, c.Now, events.ProductCreated{
		Product: events.Derive[events.ProductNoun](c.ID, 0), Name: cmd.Name, Description: cmd.Description, Metadata: cmd.Metadata,
	})
	return nil
}

// called refuses a name or a description that is missing or too long.
func called(name, description string) *Rejection {
	return first(text("name", name, maxName), text("description", description, maxDescription))
}

func updateProduct(b *projections.Books, c Context, cmd UpdateProduct, d *decision) *Rejection {
	p, r := productOf(b, c, cmd.Product)
	if r != nil {
		return r
	}
	e := events.ProductUpdated{Product: cmd.Product, Name: cmd.Name.over(p.Name), Description: cmd.Description.over(p.Description)}
	if r := called(e.Name, e.Description); r != nil {
		return r
	}
	d.add(c, c.Now, e)
	return nil
}

func productOf(b *projections.Books, c Context, id events.ProductID) (*projections.Product, *Rejection) {
	p := b.Products.Get(id)
	if p == nil || p.Merchant != c.Merchant {
		return nil, Reject(NotFound, "no product %s", id)
	}
	return p, nil
}

func metricOf(b *projections.Books, c Context, id events.MetricID) (*projections.Metric, *Rejection) {
	m := b.Metrics.Get(id)
	if m == nil || m.Merchant != c.Merchant {
		return nil, Reject(NotFound, "no billable metric %s", id)
	}
	return m, nil
}

func feeOfMerchant(b *projections.Books, c Context, id events.FeeID) (*projections.Fee, *Rejection) {
	f := b.Fees.Get(id)
	if f == nil || f.Merchant != c.Merchant {
		return nil, Reject(NotFound, "no fee %s", id)
	}
	return f, nil
}

// wellFormed refuses paths that are none.
func (m Metering) wellFormed() *Rejection {
	if r := first(
		optional("eventType", m.EventType, maxName), optional("valueProperty", m.ValueProperty, maxName), billable("eventFrom", m.EventFrom),
	); r != nil {
		return r
	}
	const want = `a path such as $.tokens or $.usage.tokens`
	if m.ValueProperty != "" && !isPath(m.ValueProperty) {
		return wrong("valueProperty", "%.60q is not %s", m.ValueProperty, want)
	}
	if len(m.GroupBy) > maxDimensions {
		return wrong("groupBy", "has %d dimensions; at most %d are allowed", len(m.GroupBy), maxDimensions)
	}
	for name, path := range m.GroupBy {
		if r := first(text("groupBy", name, maxName), optional("groupBy", path, maxName)); r != nil {
			return r
		}
		if !isPath(path) {
			return Reject(Invalid, "groupBy.%.60q is %.60q, which is not %s", name, path, want)
		}
	}
	return nil
}

func isPath(s string) bool {
	ok, err := regexp.MatchString(`^\$\.[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)*$`, s)
	return ok && err == nil
}

func createMetric(b *projections.Books, c Context, cmd CreateMetric, d *decision) *Rejection {
	if r := first(called(cmd.Name, cmd.Description), text("unit", cmd.Unit, maxName), cmd.wellFormed()); r != nil {
		return r
	}
	switch cmd.Aggregation {
	case events.AggregateSum, events.AggregateCount, events.AggregateAvg, events.AggregateMin, events.AggregateMax,
		events.AggregateUnique, events.AggregateLatest:
	default:
		return wrong("aggregation", "%.40q is none of SUM, COUNT, AVG, MIN, MAX, UNIQUE_COUNT, LATEST", cmd.Aggregation)
	}
	if _, r := merchantOf(b, c); r != nil {
		return r
	}
	if _, r := productOf(b, c, cmd.Product); r != nil {
		return r
	}
	d.add(c, c.Now, events.MetricCreated{
		Metric: events.Derive[events.MetricNoun](c.ID, 0), Product: cmd.Product, Name: cmd.Name,
		Description: cmd.Description, Unit: cmd.Unit, Aggregation: cmd.Aggregation,
		EventType: cmd.EventType, ValueProperty: cmd.ValueProperty, GroupBy: cmd.GroupBy, EventFrom: cmd.EventFrom,
	})
	return nil
}

func updateMetric(b *projections.Books, c Context, cmd UpdateMetric, d *decision) *Rejection {
	m, r := metricOf(b, c, cmd.Metric)
	if r != nil {
		return r
	}
	e := events.MetricUpdated{
		Metric: cmd.Metric, Name: cmd.Name.over(m.Name), Description: cmd.Description.over(m.Description), Unit: cmd.Unit.over(m.Unit),
		EventType: cmd.EventType.over(m.EventType), ValueProperty: cmd.ValueProperty.over(m.ValueProperty),
		GroupBy: cmd.GroupBy.over(m.GroupBy), EventFrom: cmd.EventFrom.over(m.EventFrom),
	}
	metering := Metering{e.EventType, e.ValueProperty, e.GroupBy, e.EventFrom}
	if r := first(called(e.Name, e.Description), text("unit", e.Unit, maxName), metering.wellFormed()); r != nil {
		return r
	}
	d.add(c, c.Now, e)
	return nil
}

func createFee(b *projections.Books, c Context, cmd CreateFee, d *decision) *Rejection {
	if r := called(cmd.Name, cmd.Description); r != nil {
		return r
	}
	if _, r := merchantOf(b, c); r != nil {
		return r
	}
	if _, r := productOf(b, c, cmd.Product); r != nil {
		return r
	}
	d.add(c, c.Now, events.FeeCreated{
		Fee: events.Derive[events.FeeNoun](c.ID, 0), Product: cmd.Product, Name: cmd.Name, Description: cmd.Description,
	})
	return nil
}

func updateFee(b *projections.Books, c Context, cmd UpdateFee, d *decision) *Rejection {
	f, r := feeOfMerchant(b, c, cmd.Fee)
	if r != nil {
		return r
	}
	e := events.FeeUpdated{Fee: cmd.Fee, Name: cmd.Name.over(f.Name), Description: cmd.Description.over(f.Description)}
	if r := called(e.Name, e.Description); r != nil {
		return r
	}
	d.add(c, c.Now, e)
	return nil
}

func deleteFee(b *projections.Books, c Context, cmd DeleteFee, d *decision) *Rejection {
	f, r := feeOfMerchant(b, c, cmd.Fee)
	if r != nil {
		return r
	}
	if f.Prices > 0 {
		return Reject(Conflict, "fee %s has %d prices; delete those first", cmd.Fee, f.Prices).blockedBy(Blocker{Type: "prices", Count: int(f.Prices)})
	}
	d.add(c, c.Now, events.FeeDeleted{Fee: cmd.Fee})
	return nil
}
