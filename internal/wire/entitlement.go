package wire

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"tallystick/commands"
	"tallystick/events"
)

// createEntitlement reads a reservation of money for usage to come.
func createEntitlement(f *fields) (commands.Command, error) {
	cmd := commands.CreateEntitlement{
		Customer: id[events.CustomerNoun](f, "customerId", required),
		MaxUses:  f.number("maxUses", 1000), ExpiresAt: f.time("expiresAt", optional),
	}
	f.each("entitlementData", required, events.MaxUsageLines, func(g *fields) {
		p := commands.UsageProperty{Metric: id[events.MetricNoun](g, "billableMetricId", required), Quantity: g.mustNumber("quantity")}
		price := g.moneyChange("price")
		p.Price, p.Priced = price.To, price.Given
		cmd.Data = append(cmd.Data, p)
	})
	return cmd, f.finish()
}

// mustNumber returns an integer of at least 0 that must be there.
func (f *fields) mustNumber(name string) int64 {
	for i := range f.list {
		if f.list[i].name == name {
			return f.number(name, math.MaxInt64)
		}
	}
	f.asked = append(f.asked, name)
	f.wrong(name, "is required")
	return 0
}

// each calls read with the fields of every object in an array, of at most limit.
func (f *fields) each(name string, n need, limit int, read func(*fields)) {
	s := f.take(name, n)
	if s == nil {
		return
	}
	path := f.path + name
	var raws [][]byte
	if s.open('[', path, "an array") {
		for first := true; s.more(first, ']'); first = false {
			if len(raws) == limit {
				s.wrong(path, fmt.Sprintf("has more than %d entries", limit))
				break
			}
			s.next()
			start := s.i
			s.skip(strings.Count(path, ".") + 2)
			raws = append(raws, s.b[start:s.i])
		}
	}
	if !f.done(s) {
		return
	}
	for i, raw := range raws {
		g := f.d.object(fmt.Sprintf("%s[%d].", path, i), raw)
		if g.bad == nil {
			read(g)
		}
		f.close(g)
	}
}

// reservation returns the identity of a reservation, by either of its prefixes.
func (s *scanner) reservation(path string, id *events.ReservationID) {
	if s.next() == '"' && bytes.HasPrefix(s.b[s.i+1:], []byte("com_")) { // nearly always
		s.id(path, "com_", (*[16]byte)(id))
		return
	}
	text := s.text(path)
	if s.bad != nil {
		return
	}
	v, err := events.ParseReservationID(string(text))
	if err != nil {
		s.wrong(path, "must be an identity such as com_01JD3W8X5KQ7M2N4P6R8T0V2W4")
	}
	*id = v
}
