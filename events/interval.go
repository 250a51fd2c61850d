package events

import "time"

// Interval is a length of time on the calendar in ISO 8601, such as P1M, P2W, P1D or PT12H. The empty Interval is none.
type Interval string

// maxIntervalPart bounds each number of an interval, so that nothing overflows.
const maxIntervalPart = 100_000

// parts returns i in months, days and seconds. A year is 12 months, a week 7 days. It reports whether i is an interval
// above zero.
func (i Interval) parts() (months, days, seconds int, ok bool) {
	s := string(i)
	if len(s) < 3 || s[0] != 'P' {
		return 0, 0, 0, false
	}
	s = s[1:]
	inTime, n, digits := false, 0, 0
	for k := range len(s) {
		c := s[k]
		switch {
		case c >= '0' && c <= '9':
			if n, digits = n*10+int(c-'0'), digits+1; n > maxIntervalPart {
				return 0, 0, 0, false
			}
			continue
		case c == 'T' && !inTime && digits == 0 && k+1 < len(s):
			inTime = true
			continue
		case digits == 0:
			return 0, 0, 0, false
		case c == 'Y' && !inTime:
			months += 12 * n
		case c == 'M' && !inTime:
			months += n
		case c == 'W' && !inTime:
			days += 7 * n
		case c == 'D' && !inTime:
			days += n
		case c == 'H' && inTime:
			seconds += 3600 * n
		case c == 'M' && inTime:
			seconds += 60 * n
		case c == 'S' && inTime:
			seconds += n
		default:
			return 0, 0, 0, false
		}
		n, digits = 0, 0
	}
	return months, days, seconds, digits == 0 && months+days+seconds > 0
}

// Valid reports whether i is an interval of at least an hour: shorter ones would have their end recorded more often than
// anything else.
func (i Interval) Valid() bool {
	months, days, seconds, ok := i.parts()
	return ok && (months > 0 || days > 0 || seconds >= 3600)
}

// After returns the instant n intervals after t, always counted from t. Months keep the day, or end with the month
// that has no such day; a day has 24 hours. It reports false for what is no instant.
func (i Interval) After(t Time, n int) (Time, bool) {
	months, days, seconds, ok := i.parts()
	if !ok || n < 0 || n > maxIntervalPart {
		return 0, false
	}
	s := t.Std()
	year, month, day := s.Date()
	first := time.Date(year, month+time.Month(months*n), 1, s.Hour(), s.Minute(), s.Second(), s.Nanosecond(), time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	end := first.AddDate(0, 0, min(day, last)-1+days*n).Add(time.Duration(seconds) * time.Second * time.Duration(n))
	return TimeOf(end)
}

// Next returns the first of the instants 1, 2, 3… intervals after anchor that is later than t.
func (i Interval) Next(anchor, t Time) (Time, bool) {
	months, days, seconds, ok := i.parts()
	if !ok {
		return 0, false
	}
	length := time.Duration(months)*28*24*time.Hour + time.Duration(days)*24*time.Hour + time.Duration(seconds)*time.Second
	n := 1
	if t > anchor { // as many as have surely passed: a month has at most 31 days
		longest := length/28*31 + time.Second
		n = max(1, int(time.Duration(t-anchor)/longest))
	}
	for ; n < maxIntervalPart; n++ {
		end, ok := i.After(anchor, n)
		if !ok || end > t {
			return end, ok
		}
	}
	return 0, false
}
