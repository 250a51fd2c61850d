package wire

import (
	"fmt"
	"math"
	"time"

	"tallystick/commands"
	"tallystick/events"
)

// advanceTestClock reads where a clock is to go: to a time, or on by a duration. The canonical form has the duration as
// it was given, so that a repeat is the same command wherever the clock stands by then.
func (d *Decoder) advanceTestClock(c *call, f *fields) (commands.Command, error) {
	cmd := commands.AdvanceTestClock{Clock: f.clock("testClockId", required), To: f.time("currentTime", optional)}
	by, relative := f.duration("advanceBy")
	if f.bad == nil && relative == !cmd.To.IsZero() {
		f.wrong("currentTime", "or advanceBy is required, one of them")
	}
	if err := f.finish(); err != nil {
		return nil, err
	}
	if !relative {
		return cmd, nil
	}
	now, ok, err := d.opts.Directory.ClockNow(c.ctx, cmd.Clock)
	if err != nil {
		return nil, fmt.Errorf("looking up test clock %s: %w", cmd.Clock, err)
	}
	if cmd.To = farthest; ok {
		if to, fits := by.after(now); fits {
			cmd.To = to
		}
	}
	return cmd, nil
}

// farthest is further than any clock goes.
const farthest = events.Time(math.MaxInt64)

// duration is a length of time on the calendar. Its parts are at least 0.
type duration struct{ months, days, seconds int64 }

// maxDurationPart bounds each number in a duration, so that nothing overflows.
const maxDurationPart = 1_000_000

// duration returns a duration of ISO 8601, and whether there is one.
func (f *fields) duration(name string) (v duration, ok bool) {
	s := f.take(name, optional)
	if s == nil {
		return v, false
	}
	text := s.text(f.path + name)
	if !f.done(s) {
		return v, false
	}
	if v, ok = parseDuration(string(text)); !ok {
		f.wrong(name, "must be a duration of ISO 8601 above zero, such as P1M, P1Y2M3W4D or PT36H")
		return v, false
	}
	f.note(name, fmt.Appendf(nil, "P%dM%dDT%dS", v.months, v.days, v.seconds))
	return v, true
}

// parseDuration reads P[nY][nM][nW][nD][T[nH][nM][nS]]. A year is 12 months, a week 7 days, an hour 3600 seconds.
func parseDuration(s string) (v duration, ok bool) {
	if len(s) < 2 || s[0] != 'P' {
		return v, false
	}
	s = s[1:]
	units := []struct {
		letter byte
		part   *int64
		size   int64
	}{
		{'Y', &v.months, 12},
		{'M', &v.months, 1},
		{'W', &v.days, 7},
		{'D', &v.days, 1},
		{'T', nil, 0},
		{'H', &v.seconds, 3600},
		{'M', &v.seconds, 60},
		{'S', &v.seconds, 1},
	}
	for len(s) > 0 {
		n, i := int64(0), 0
		for ; i < len(s) && s[i]-'0' <= 9 && n <= maxDurationPart; i++ {
			n = n*10 + int64(s[i]-'0')
		}
		if i == len(s) || n > maxDurationPart {
			return v, false
		}
		for len(units) > 0 && (units[0].letter != s[i] || i == 0 != (units[0].part == nil)) {
			if units[0].part == nil && s[i] != 'T' {
				return v, false // hours, minutes and seconds stand behind the T
			}
			units = units[1:]
		}
		if len(units) == 0 {
			return v, false
		}
		if u := units[0]; u.part != nil {
			*u.part += n * u.size
		} else if len(s) == 1 {
			return v, false // a T with nothing behind it
		}
		units, s = units[1:], s[i+1:]
	}
	return v, v != duration{}
}

// after returns the time v after t: months first, on the same day or the month's last (A21), then days, then seconds.
func (v duration) after(t events.Time) (events.Time, bool) {
	at := t.Std()
	if v.months > 0 {
		year, month, day := at.Date()
		hour, minute, second := at.Clock()
		first := time.Date(year, month+time.Month(v.months), 1, hour, minute, second, at.Nanosecond(), time.UTC)
		at = first.AddDate(0, 0, min(day, daysIn(first.Year(), int(first.Month())))-1)
	}
	if v.seconds > 1<<33 || at.Year() > 4000 {
		return 0, false
	}
	return events.TimeOf(at.AddDate(0, 0, int(v.days)).Add(time.Duration(v.seconds) * time.Second))
}
