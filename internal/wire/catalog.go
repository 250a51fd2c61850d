package wire

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tallystick/commands"
	"tallystick/events"
)

// catalog reads the commands of products, metrics, fees, prices and plans. It reports false for the name of another.
func catalog(name string, f *fields) (cmd commands.Command, ok bool) {
	switch name {
	case "CreateProduct":
		cmd = commands.CreateProduct{
			Name: f.text("name", required, 255), Description: f.text("description", required, 4096), Metadata: f.metadata("metadata"),
		}
	case "UpdateProduct":
		cmd = commands.UpdateProduct{
			Product: id[events.ProductNoun](f, "productId", required), Name: f.change("name", 255), Description: f.change("description", 4096),
		}
	case "CreateMetric":
		cmd = createMetric(f)
	case "UpdateMetric":
		cmd = updateMetric(f)
	case "CreateFee":
		cmd = commands.CreateFee{
			Product: id[events.ProductNoun](f, "productId", required),
			Name:    f.text("name", required, 255), Description: f.text("description", required, 4096),
		}
	case "UpdateFee":
		cmd = commands.UpdateFee{
			Fee: id[events.FeeNoun](f, "feeId", required), Name: f.change("name", 255), Description: f.change("description", 4096),
		}
	case "DeleteFee":
		cmd = commands.DeleteFee{Fee: id[events.FeeNoun](f, "feeId", required)}
	case "CreatePrice":
		cmd = createPrice(f)
	case "UpdatePrice":
		cmd = updatePrice(f)
	case "DeletePrice":
		cmd = commands.DeletePrice{Price: id[events.PriceNoun](f, "priceId", required)}
	case "CreatePlan":
		cmd = createPlan(f)
	case "UpdatePlan":
		cmd = updatePlan(f)
	default:
		return nil, false
	}
	return cmd, true
}

// aggregations are the words for all aggregations.
func aggregations() []string {
	return words(events.AggregateSum, events.AggregateCount, events.AggregateAvg, events.AggregateMin, events.AggregateMax,
		events.AggregateUnique, events.AggregateLatest)
}

// words returns texts as plain strings.
func words[T ~string](of ...T) []string {
	list := make([]string, len(of))
	for i, t := range of {
		list[i] = string(t)
	}
	return list
}

func createMetric(f *fields) commands.Command {
	return commands.CreateMetric{
		Product: id[events.ProductNoun](f, "productId", required), Name: f.text("name", required, 255),
		Description: f.text("description", required, 4096), Unit: f.text("unit", required, 255),
		Aggregation: events.Aggregation(f.oneOf("aggregation", required, aggregations()...)),
		Metering: commands.Metering{
			EventType: f.nullable("eventType", 255), ValueProperty: f.nullable("valueProperty", 255),
			GroupBy: f.dimensions("groupBy", false).To, EventFrom: f.nullableTime("eventFrom"),
		},
	}
}

func updateMetric(f *fields) commands.Command {
	return commands.UpdateMetric{
		Metric: id[events.MetricNoun](f, "billableMetricId", required), Name: f.change("name", 255),
		Description: f.change("description", 4096), Unit: f.change("unit", 255), EventType: f.change("eventType", 255),
		ValueProperty: f.change("valueProperty", 255), GroupBy: f.dimensions("groupBy", true), EventFrom: f.timeChange("eventFrom"),
	}
}

func createPrice(f *fields) commands.Command {
	cmd := commands.CreatePrice{
		Metric: id[events.MetricNoun](f, "billableMetricId", optional), Fee: id[events.FeeNoun](f, "feeId", optional),
		Term:        events.Term(f.oneOf("paymentTerm", required, words(events.Instant, events.InArrears, events.InAdvance)...)),
		DisplayName: f.text("invoiceDisplayName", required, 255), Description: f.text("description", optional, 4096),
		Cadence: events.Cadence(f.nullable("billingCadence", 8)), Quantity: uint32(f.number("quantity", 1_000_000)),
		GrantDiscount: f.flag("grantDiscountEnabled"),
	}
	if s := f.take("feature", optional); s != nil && !s.null() {
		if g, ok := f.within("feature", optional); ok {
			cmd.Feature = id[events.FeatureNoun](g, "featureId", required)
			cmd.Template = g.terms("entitlementTemplate", optional)
			f.close(g)
		}
	}
	formula := f.formula(required)
	if f.bad == nil && formula.given == "" && cmd.Fee.IsZero() {
		f.wrong("model", "is required; it is standard, dynamic, volume or percentage")
	}
	p := formula.To
	cmd.Model, cmd.UnitPrice, cmd.Min, cmd.Max, cmd.Gradient, cmd.Part = p.Model, p.UnitPrice, p.Min, p.Max, p.Gradient, p.Part
	return cmd
}

func updatePrice(f *fields) commands.Command {
	f.only("feature", "what a price entitles to stays as it was made; make another price", "null")
	cmd := commands.UpdatePrice{
		Price: id[events.PriceNoun](f, "priceId", required), DisplayName: f.change("invoiceDisplayName", 255),
		Description: f.change("description", 4096), Term: wordChange[events.Term](f, "paymentTerm"), Cadence: wordChange[events.Cadence](f, "billingCadence"),
		Quantity: f.numberChange("quantity", 1_000_000), GrantDiscount: f.flagChange("grantDiscountEnabled"),
	}
	formula := f.formula(optional)
	if f.bad == nil && formula.given != "" && !formula.Given {
		f.wrong("properties", "is required with model: it has the amounts of the model")
	}
	cmd.Formula = formula.Change
	return cmd
}

// formula is a price's model and amounts. given is the model that the body names.
type formula struct {
	commands.Change[commands.Formula]
	given events.Model
}

// formula reads the model and the properties of a price. Where no model is named, the properties say which it is.
func (f *fields) formula(n need) (v formula) {
	v.given = wordChange[events.Model](f, "model").To
	g, ok := f.within("properties", n)
	if !ok {
		return v
	}
	v.Given = true
	p := &v.To
	p.Model = cmp.Or(v.given, g.modelOf())
	switch p.Model {
	case events.Dynamic:
		p.Min, p.Max = g.money("minPrice", required), g.money("maxPrice", required)
	case events.Volume:
		p.UnitPrice = g.money("default", required)
		if h, ok := g.within("parameters", required); ok {
			h.oneOf("function", required, "linear")
			p.Gradient, p.Min, p.Max = h.money("gradient", required), h.money("min", required), h.money("max", required)
			g.close(h)
		}
	case events.Percentage:
		p.Part = g.fraction("percentage")
		p.Min, p.Max = g.money("minCharge", required), g.money("maxCharge", required)
	case events.Standard:
		p.UnitPrice = g.money("unitPrice", required)
	default:
		f.wrong("model", "must be standard, dynamic, volume or percentage")
	}
	f.close(g)
	return v
}

// modelOf returns the model whose properties these are.
func (f *fields) modelOf() events.Model {
	for _, g := range f.list {
		switch g.name {
		case "minPrice", "maxPrice":
			return events.Dynamic
		case "default", "parameters":
			return events.Volume
		case "percentage", "minCharge", "maxCharge":
			return events.Percentage
		}
	}
	return events.Standard
}

// fraction returns a share, written as a string from "0" to "10" with at most four decimals.
func (f *fields) fraction(name string) events.Fraction {
	s := f.take(name, required)
	if s == nil {
		return 0
	}
	v := string(s.text(f.path + name))
	if !f.done(s) {
		return 0
	}
	n, ok := readDecimal(v, 4)
	if !ok || n > 100_000 {
		f.wrong(name, `must be a string from "0" to "10" with at most 4 decimals; "0.03" is 3%`)
		return 0
	}
	f.note(name, binary.AppendUvarint(nil, n))
	return events.Fraction(n)
}

// readDecimal reads digits with at most the given number of decimals, as a whole number of the smallest of these.
func readDecimal(s string, places int) (n uint64, ok bool) {
	whole, frac, point := strings.Cut(s, ".")
	if whole == "" || len(whole) > 9 || point && frac == "" || len(frac) > places {
		return 0, false
	}
	n, err := strconv.ParseUint(whole+frac+strings.Repeat("0", places-len(frac)), 10, 64)
	return n, err == nil && whole[0] != '+'
}

// percent returns a rate of tax, written as a number of percent from 0 to 100 with at most five decimals.
func (f *fields) percent(name string) (v commands.Change[events.TaxRate]) {
	s := f.take(name, optional)
	if s == nil {
		return v
	}
	if c := s.next(); c-'0' > 9 {
		s.unexpected(f.path+name, "a number of percent")
	}
	text := string(s.number())
	if !f.done(s) {
		return v
	}
	n, ok := readDecimal(text, 5)
	if !ok || n > uint64(events.MaxTaxRate) {
		f.wrong(name, "must be a number from 0 to 100, in percent, with at most 5 decimals")
		return v
	}
	v = commands.Change[events.TaxRate]{Given: true, To: events.TaxRate(n)}
	if n != 0 {
		f.note(name, binary.AppendUvarint(nil, n))
	}
	return v
}

// dimensions returns a map of names to paths; null is none. In an update that says something, else it is the default.
func (f *fields) dimensions(name string, update bool) (v commands.Change[map[string]string]) {
	s := f.take(name, optional)
	if s == nil {
		return v
	}
	v.Given = true
	if s.null() {
		if update {
			f.note(name, nil)
		}
		return v
	}
	m := make(map[string]string)
	path := f.path + name
	if s.open('{', path, "an object of paths") {
		for first := true; s.bad == nil; first = false {
			key, ok := s.member(first)
			if !ok {
				break
			}
			k := string(key)
			if _, twice := m[k]; twice || len(m) == maxMetadata {
				s.wrong(path, "has a name twice, or more than 50 names")
				break
			}
			m[k] = string(s.text(path))
		}
	}
	if !f.done(s) {
		return v
	}
	var pairs []pair
	for _, k := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, pair{k, m[k]})
	}
	if update || len(m) > 0 {
		f.note(name, appendPairs(nil, pairs))
	}
	if len(m) > 0 {
		v.To = m
	}
	return v
}

func createPlan(f *fields) commands.Command {
	cmd := commands.CreatePlan{
		Product: id[events.ProductNoun](f, "productId", optional), Name: f.text("name", required, 255),
		Description: f.text("description", optional, 4096), DisplayName: f.text("invoiceDisplayName", optional, 255),
		Currency: f.currency("currency"), Cadence: f.firstCadence(), Anchor: f.nullableTime("billingAnchor"), Prices: ids[events.PriceNoun](f, "prices", 200),
		TaxBehavior: events.TaxBehavior(f.oneOf("taxBehavior", optional, words(events.Exclusive, events.Inclusive)...)),
		TaxRate:     f.percent("defaultTaxRate").To, TaxCode: f.text("defaultTaxCode", optional, 255),
		ReminderDays: f.numberOr("renewalReminderDays", commands.DefaultReminderDays, 30), NoReminder: !f.flagOr("renewalReminderEnabled", true),
		BillingVersion: uint32(f.number("billingVersion", 1)),
		Proration:      events.Proration(f.oneOf("prorationPolicy", optional, words(events.ProrateNone, events.ProrateDaily)...)),
	}
	if cmd.TaxBehavior == events.Exclusive {
		cmd.TaxBehavior = ""
	}
	if cmd.Proration == events.ProrateNone {
		cmd.Proration = ""
	}
	return cmd
}

func updatePlan(f *fields) commands.Command {
	cmd := commands.UpdatePlan{
		Plan: id[events.PlanNoun](f, "planId", required), Name: f.change("name", 255), Description: f.change("description", 4096),
		DisplayName: f.change("invoiceDisplayName", 255), Cadence: f.cadence(), TaxBehavior: wordChange[events.TaxBehavior](f, "taxBehavior"),
		TaxRate: f.percent("defaultTaxRate"), TaxCode: f.change("defaultTaxCode", 255), ReminderDays: f.numberChange("renewalReminderDays", 30),
		Proration: wordChange[events.Proration](f, "prorationPolicy"),
	}
	if c := f.flagChange("renewalReminderEnabled"); c.Given {
		cmd.NoReminder = commands.Change[bool]{Given: true, To: !c.To}
	}
	if slices.ContainsFunc(f.list, func(g field) bool { return g.name == "prices" }) {
		cmd.Prices = commands.Change[[]events.PriceID]{Given: true}
	}
	cmd.Prices.To = ids[events.PriceNoun](f, "prices", 200)
	return cmd
}

// cadence returns how often a plan bills: billingCadence, or else the older billingInterval.
func (f *fields) cadence() (v commands.Change[events.Cadence]) {
	v = wordChange[events.Cadence](f, "billingCadence")
	interval := f.change("billingInterval", 16)
	if v.Given || !interval.Given {
		return v
	}
	v.Given = true
	if v.To = cadenceOf(interval.To); v.To == "" {
		f.wrong("billingInterval", "must be monthly, quarterly, yearly or annual")
	}
	return v
}

// firstCadence is cadence for a new plan, where P1M is the default.
func (f *fields) firstCadence() events.Cadence {
	named := slices.ContainsFunc(f.list, func(g field) bool { return g.name == "billingCadence" })
	cadence := events.Cadence(f.oneOf("billingCadence", optional, words(events.Monthly, events.Quarterly, events.Yearly)...))
	interval := f.oneOf("billingInterval", optional, "monthly", "quarterly", "yearly", "annual")
	if named {
		return cadence
	}
	return cadenceOf(interval)
}

// cadenceOf returns what an interval of the older API is, or none.
func cadenceOf(interval string) events.Cadence {
	switch interval {
	case "monthly":
		return events.Monthly
	case "quarterly":
		return events.Quarterly
	case "yearly", "annual":
		return events.Yearly
	}
	return ""
}
