package wire

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"tallystick/commands"
	"tallystick/events"
)

// maxTaxRates is how many rates of tax a customer may have.
const maxTaxRates = 200

// taxRates returns a customer's rates of tax: an object of percents, by the identity of a plan or of a metric, or
// under "default"; or one percent for everything. null is none.
func (f *fields) taxRates(name string) (v commands.Change[[]events.TaxRateOf]) {
	s := f.take(name, optional)
	if s == nil {
		return v
	}
	v.Given = true
	if s.null() {
		return v
	}
	if c := s.next(); c == '-' || c-'0' <= 9 { // one rate for everything
		if v.To = []events.TaxRateOf{{Rate: f.percent(name).To}}; v.To[0].Rate == 0 {
			f.note(name, []byte{0})
		}
		return v
	}
	g := f.d.object(f.path+name+".", s.b)
	f.bad = g.bad
	if f.bad != nil {
		return v
	}
	if len(g.list) > maxTaxRates {
		f.wrong(name, "has more than 200 rates")
		return v
	}
	for _, entry := range g.list {
		v.To = append(v.To, g.taxRateOf(entry.name))
	}
	f.close(g)
	slices.SortFunc(v.To, func(a, b events.TaxRateOf) int {
		return cmp.Or(slices.Compare(a.Metric[:], b.Metric[:]), slices.Compare(a.Plan[:], b.Plan[:]))
	})
	var b []byte
	for _, r := range v.To {
		b = binary.AppendUvarint(append(append(b, r.Metric[:]...), r.Plan[:]...), uint64(r.Rate))
	}
	if len(b) > 0 {
		f.note(name, b)
	}
	return v
}

// taxRateOf returns the rate under a key of a customer's rates.
func (f *fields) taxRateOf(key string) (r events.TaxRateOf) {
	var err error
	switch {
	case key == "default":
	case strings.HasPrefix(key, "plan_"):
		r.Plan, err = events.ParseID[events.PlanNoun](key)
	default:
		r.Metric, err = events.ParseID[events.MetricNoun](key)
	}
	if err != nil {
		f.wrong(quoted([]byte(key)), "is no plan, no metric and not default")
		return r
	}
	canon := len(f.d.canon)
	r.Rate = f.percent(key).To
	f.d.canon = f.d.canon[:canon] // all rates are noted together, in their own order
	return r
}
