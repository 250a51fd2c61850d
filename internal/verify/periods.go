package verify

import (
	"fmt"
	"math/big"
	"time"

	"tallystick/events"
)

// day is what fees are prorated by.
const day = 24 * time.Hour

// monthsAfter returns t so many months later: in a month that has no such day, its last one.
func monthsAfter(t events.Time, months int) events.Time {
	from := t.Std()
	to := from.AddDate(0, months, 0)
	if to.Day() != from.Day() { // it went over into the month after
		to = to.AddDate(0, 0, -to.Day())
	}
	at, _ := events.TimeOf(to)
	return at
}

// begins returns when the nth period of a subscription begins by its anchor, month by month from there on. The first
// period is the last that begins no later than the subscription.
func (s *subscription) begins(n int) events.Time {
	months, first := s.cadence.Months(), 0
	for monthsAfter(s.anchor, (first+1)*months) <= s.started {
		first++
	}
	for monthsAfter(s.anchor, first*months) > s.started {
		first--
	}
	return monthsAfter(s.anchor, (first+n)*months)
}

// running takes a record of a period whose invoice is not final.
func (a *auditor) running(rec *events.Record) error {
	switch e := rec.Event.(type) {
	case events.InvoiceOpened:
		return a.opened(rec, e)
	case events.InvoiceClosing:
		return a.closing(rec, e)
	case events.InvoiceLineClosed:
		return a.lineClosed(rec, e)
	default: // the others are of no period
		return nil
	}
}

// bounds works out again from when to when a period is billed.
func (a *auditor) bounds(p *period, sub subscription, e events.InvoiceOpened) error {
	n := int(e.Period)
	p.start, p.end = max(sub.begins(n), sub.started), sub.begins(n+1)
	return difference{
		{"start", e.Start, p.start},
		{"end", e.End, p.end},
		{"end of grace", e.GraceEnd, p.end.Add(day)},
	}.err(fmt.Sprintf("period %d of subscription %s", n, e.Subscription))
}

// closing takes the end of a period, which is earlier than planned where its subscription has ended.
func (a *auditor) closing(rec *events.Record, e events.InvoiceClosing) error {
	p := a.open[e.Invoice]
	if p == nil || p.key.Subscription != e.Subscription || p.key.Period != e.Period {
		return fmt.Errorf("invoice %s is not that of an open period of subscription %s", e.Invoice, e.Subscription)
	}
	end := e.End
	if end == 0 {
		end = rec.At
	}
	if end < p.start || end > p.end || e.End == 0 && end != p.end || e.GraceEnd != e.End {
		return fmt.Errorf("period %d of subscription %s ends at %s, not at %s", e.Period, e.Subscription, end, p.end)
	}
	if end < rec.At && e.End != 0 && p.latest >= end {
		return fmt.Errorf("subscription %s is said to have ended at %s, and was used at %s", e.Subscription, end, p.latest)
	}
	p.end = end
	return nil
}

// feeDays counts the days of the period of a fee that is charged in the nth period of a subscription, and those that the subscription has
// a part of. Both are 0 where it has a part of all of them.
func feeDays(sub subscription, price *price, n uint32, end events.Time) (used, of uint32) {
	if price.Cadence == events.Once {
		return 0, 0
	}
	periods := max(1, price.Cadence.Months()/sub.cadence.Months())
	from, to := sub.begins(int(n)), sub.begins(int(n)+periods)
	if price.Term == events.InArrears {
		from, to = sub.begins(int(n)+1-periods), sub.begins(int(n)+1)
	} else {
		end = to
	}
	for d := from; d < to; d = d.Add(day) {
		of++
		if d.Add(day) > sub.started && d < end {
			used++
		}
	}
	if used == of {
		return 0, 0
	}
	return used, of
}

// feeCost works out again what the units of a fee cost before tax, and for which days of its period.
func feeCost(sub subscription, card card, price *price, n uint32, end events.Time) (units int64, used, of uint32, cost *big.Int) {
	units = feeTimes(price, sub.cadence, n) * int64(price.Quantity)
	cost = new(big.Int).Mul(big.NewInt(units), big.NewInt(int64(price.UnitPrice)))
	if !card.daily || units == 0 {
		return units, 0, 0, cost
	}
	if used, of = feeDays(sub, price, n, end); of == 0 {
		return units, used, of, cost
	}
	twice, whole := big.NewInt(2*int64(used)), big.NewInt(2*int64(of)) // half of it is added: a fee is not below nothing
	cost.Mul(cost, twice).Add(cost, big.NewInt(int64(of))).Div(cost, whole)
	return units, used, of, cost
}
