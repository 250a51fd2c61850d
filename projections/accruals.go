package projections

import (
	"slices"

	"tallystick/events"
)

// Accrual is what an invoice that is not issued yet has come to.
type Accrual struct {
	Invoice events.InvoiceID
	Lines   []OpenLine  // in the order of their first usage
	Instant events.Sum  // what was debited at once, before tax: the base of the platform fee
	Latest  events.Time // when the latest of its usage happened; 0 where there is none

	joint bool // the lines' Events are one and the same, hashes in memory included
}

// OpenLine is what one price, at one revision, has come to in a period (D26).
type OpenLine struct {
	Metric    events.MetricID
	Price     events.PriceID
	Revision  uint32
	Term      events.Term
	UnitPrice events.Nanos
	Quantity  events.Sum // units
	Nanos     events.Sum // before tax
	Tax       events.Sum
	First     events.Seq
	Last      events.Seq
	Events    Frontier // over the leaf hashes of its usage events
	Counts    bool     // each event counts one unit, whatever its quantity
	TaxRate   events.TaxRate
	More      *LineMore // nil for usage of a standard price of a metric that adds up
}

// LineMore is what only some open lines have.
type LineMore struct {
	Of          events.LineKind    `cbor:"1,keyasint,omitempty"`
	Fee         events.FeeID       `cbor:"2,keyasint,omitzero"`
	Model       events.Model       `cbor:"3,keyasint,omitempty"`
	Aggregation events.Aggregation `cbor:"4,keyasint,omitempty"` // where it is known at the end only
	Value       int64              `cbor:"5,keyasint,omitzero"`  // so far: the smallest, largest or latest quantity
	At          events.Time        `cbor:"6,keyasint,omitzero"`  // when the latest happened
	Set         []int64            `cbor:"7,keyasint,omitempty"` // the different quantities, in order
	Line        events.LineID      `cbor:"8,keyasint,omitzero"`  // of a manual line
	Text        events.Sealed      `cbor:"9,keyasint,omitzero"`
	Factors     []string           `cbor:"10,keyasint,omitempty"` // of a manual line: quantity and unit price
	Days        uint32             `cbor:"11,keyasint,omitzero"`  // of a fee: that are paid, of OfDays
	OfDays      uint32             `cbor:"12,keyasint,omitzero"`
}

// Kind returns what l is about.
func (l *OpenLine) Kind() events.LineKind {
	if l.More == nil {
		return ""
	}
	return l.More.Of
}

// Adds reports whether what l comes to is known at any time: false for an aggregate that needs the whole period.
func (l *OpenLine) Adds() bool { return l.More == nil || l.More.Aggregation == "" }

// Prepaid reports whether what l comes to was debited when it was charged.
func (l *OpenLine) Prepaid() bool { return l.Term == events.Instant || l.Term == events.InAdvance }

// take adds a quantity to an aggregate.
func (m *LineMore) take(quantity int64, at events.Time, first bool) {
	switch m.Aggregation {
	case events.AggregateMin:
		if first || quantity < m.Value {
			m.Value = quantity
		}
	case events.AggregateMax:
		m.Value = max(m.Value, quantity)
	case events.AggregateLatest:
		if first || at >= m.At {
			m.Value, m.At = quantity, at
		}
	case events.AggregateUnique:
		if i, there := slices.BinarySearch(m.Set, quantity); !there {
			m.Set = slices.Insert(m.Set, i, quantity)
		}
	case events.AggregateSum, events.AggregateCount, events.AggregateAvg:
	}
}

// Units returns how many units usage adds to l: those that are charged.
func (l *OpenLine) Units(u *events.UsageLine) int64 {
	if l.Counts {
		return 1 - u.Granted
	}
	return u.Quantity - u.Granted
}

// Line returns the line of usage at a price, a revision of it and a rate of tax, or nil if it has no usage yet.
func (a *Accrual) Line(price events.PriceID, revision uint32, rate events.TaxRate) *OpenLine {
	return a.line("", price, revision, rate)
}

func (a *Accrual) line(of events.LineKind, price events.PriceID, revision uint32, rate events.TaxRate) *OpenLine {
	if a == nil {
		return nil
	}
	for i := range a.Lines {
		if l := &a.Lines[i]; l.Price == price && l.Revision == revision && l.TaxRate == rate && l.Kind() == of {
			return l
		}
	}
	return nil
}

// UnitsAt returns how many units were used at a revision of a price so far, whatever the rate of tax.
func (a *Accrual) UnitsAt(price events.PriceID, revision uint32) (units events.Sum) {
	if a == nil {
		return units
	}
	for i := range a.Lines {
		if l := &a.Lines[i]; l.Price == price && l.Revision == revision && l.Kind() == "" {
			units = units.Plus(l.Quantity)
		}
	}
	return units
}

// accrue adds the lines of a usage event to its period's invoice.
func (b *Books) accrue(rec *events.Record, e *events.UsageReported, a *Accrual) {
	assert(!a.Invoice.IsZero(), rec, "usage in a period that is not open")
	for i := range e.Lines {
		u := &e.Lines[i]
		l := a.Line(u.Price, u.Revision, u.TaxRate)
		if l == nil {
			a.separate()
			a.Lines = append(a.Lines, b.newLine(rec, u))
			l = &a.Lines[len(a.Lines)-1]
		}
		l.Quantity = l.Quantity.Add(events.Nanos(l.Units(u)))
		l.Nanos = l.Nanos.Add(u.Nanos)
		if u.Tax != 0 {
			l.Tax = l.Tax.Add(u.Tax)
		}
		if l.More != nil {
			l.More.take(u.Quantity, e.HappenedAt, l.First == rec.Seq)
		}
		l.Last = rec.Seq
		if l.Term == events.Instant {
			a.Instant = a.Instant.Add(u.Nanos)
		}
	}
	a.Latest = max(a.Latest, e.HappenedAt)
	a.append(e, rec.Hash)
}

// append adds a usage event to the trees of its lines. Lines whose events are all the same
// have their tree once: hashing is a good part of the work of a fold.
func (a *Accrual) append(e *events.UsageReported, leaf events.Hash) {
	if len(e.Lines) == len(a.Lines) && (a.joint || a.alike()) {
		a.joint = true
		a.Lines[0].Events.Append(leaf)
		for i := range a.Lines[1:] {
			a.Lines[1+i].Events = a.Lines[0].Events
		}
		return
	}
	a.separate()
	for i := range e.Lines {
		a.Line(e.Lines[i].Price, e.Lines[i].Revision, e.Lines[i].TaxRate).Events.Append(leaf)
	}
}

// alike reports whether all lines have the same usage events.
func (a *Accrual) alike() bool {
	for i := range a.Lines[1:] {
		if f, g := &a.Lines[0].Events, &a.Lines[1+i].Events; f.Size != g.Size || !slices.Equal(f.Hashes, g.Hashes) {
			return false
		}
	}
	return true
}

// separate gives every line hashes of its own.
func (a *Accrual) separate() {
	if !a.joint {
		return
	}
	a.joint = false
	for i := 1; i < len(a.Lines); i++ {
		a.Lines[i].Events.Hashes = slices.Clone(a.Lines[i].Events.Hashes)
	}
}

func (b *Books) newLine(rec *events.Record, u *events.UsageLine) OpenLine {
	price := b.Prices.Get(u.Price)
	assert(price != nil && price.Revision(u.Revision) != nil, rec, "usage at an unknown price")
	tariff := price.Revision(u.Revision)
	metric := b.Metrics.Get(u.Metric)
	assert(metric != nil, rec, "usage of an unknown metric")
	l := OpenLine{
		Metric: u.Metric, Price: u.Price, Revision: u.Revision, Term: tariff.Term, TaxRate: u.TaxRate,
		UnitPrice: tariff.UnitPrice, First: rec.Seq, Counts: metric.Aggregation == events.AggregateCount,
	}
	var more LineMore
	if tariff.Model != events.Standard {
		more.Model = tariff.Model
	}
	if !metric.Aggregation.Adds() {
		more.Aggregation = metric.Aggregation
	}
	if more.Model != "" || more.Aggregation != "" {
		l.More = &more
	}
	return l
}
