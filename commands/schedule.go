package commands

import (
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// day is what fees are prorated by (A22).
const day = 24 * time.Hour

// hour returns t rounded down to the hour (D28).
func hour(t events.Time) events.Time {
	const h = events.Time(time.Hour)
	r := t % h
	if r < 0 {
		r += h
	}
	return t - r
}

// A schedule cuts the time of a subscription into periods 0, 1, 2… The nth goes from bound(n) to bound(n + 1), and the first
// has the start in it: nothing before that is billed (D28).
type schedule struct {
	anchor  events.Time // what periods are counted from: the plan's, or else the start, down to the hour
	started events.Time
	cadence events.Cadence
}

func scheduleOf(s *projections.Subscription) schedule {
	return schedule{s.Anchor, s.StartedAt, s.Cadence}
}

// bound returns where the nth period begins: whole cadences after the anchor, or before it, always counted from the anchor, clamped
// to the end of the month (A21). Of the first period that may be before the start.
func (s schedule) bound(n int) events.Time {
	months := s.cadence.Months()
	if months == 0 {
		panic("commands: impossible: cadence " + string(s.cadence))
	}
	anchor, started := s.anchor.Std(), s.started.Std()
	between := (started.Year()-anchor.Year())*12 + int(started.Month()) - int(anchor.Month())
	first := between / months
	if between%months < 0 {
		first--
	}
	if addMonths(s.anchor, first*months) > s.started { // it is later in its month
		first--
	}
	return addMonths(s.anchor, (first+n)*months)
}

// end returns where the nth period ends.
func (s schedule) end(n uint32) events.Time { return s.bound(int(n) + 1) }

// feeDays returns for how many days a fee is paid that is charged in the nth period, of how many; 0 of 0 for all of it. The days are
// those of the fee's own period, which is as many of the subscription's as the fee comes less often, each 24 hours from its beginning on. A
// subscription uses those that it has a part of: none before its start, and for a fee in arrears none after until. A fee in
// advance is paid to the end, for nothing of it is given back (A29).
func (s schedule) feeDays(rate *projections.Rate, n uint32, until events.Time) (used, of uint32) {
	if rate.Cadence == events.Once {
		return 0, 0
	}
	periods := max(1, rate.Cadence.Months()/s.cadence.Months())
	first := int(n)
	if rate.Term == events.InArrears {
		first -= periods - 1
	}
	from, to := s.bound(first), s.bound(first+periods)
	if rate.Term != events.InArrears {
		until = to
	}
	whole := int64((to - from) / events.Time(day)) // exactly: the time of day is the anchor's
	skipped := int64(max(s.started-from, 0) / events.Time(day))
	begun := int64((min(until, to) - from + events.Time(day) - 1) / events.Time(day))
	if begun-skipped == whole {
		return 0, 0
	}
	return uint32(max(begun-skipped, 0)), uint32(whole)
}

// prorate returns what of an amount so many of its days come to, when 0 of 0 are all of it (A22):
//
//	round(amount × used / of)
//
// rounded half away from zero.
func prorate(amount events.Nanos, used, of uint32) events.Nanos {
	if of == 0 {
		return amount
	}
	return share(uint64(used), uint64(of), events.Sum{}, amount)
}

// addMonths returns the instant n months after t: the same day and time of day, or
// the last day of a month that has no such day.
func addMonths(t events.Time, n int) events.Time {
	s := t.Std()
	year, month, day := s.Date()
	firstOfMonth := time.Date(year, month+time.Month(n), 1, s.Hour(), s.Minute(), s.Second(), s.Nanosecond(), time.UTC)
	last := firstOfMonth.AddDate(0, 1, -1).Day()
	end, _ := events.TimeOf(firstOfMonth.AddDate(0, 0, min(day, last)-1))
	return end
}
