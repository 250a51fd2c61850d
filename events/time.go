package events

import "time"

// Time is an instant in nanoseconds since 1970, UTC: from 1678 to 2262. The zero Time
// stands for none, so the very instant at which 1970 began is not in the range.
type Time int64

// TimeOf returns t as a Time. It reports false for an instant outside the range.
func TimeOf(t time.Time) (Time, bool) {
	n := t.UnixNano()
	if n == 0 || !time.Unix(0, n).Equal(t) {
		return 0, false
	}
	return Time(n), true
}

// Std returns t as a time.Time in UTC.
func (t Time) Std() time.Time { return time.Unix(0, int64(t)).UTC() }

// Add returns the instant d after t.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// IsZero reports whether t stands for no time.
func (t Time) IsZero() bool { return t == 0 }

// String returns t in ISO 8601, in UTC: "2024-01-15T10:30:00Z". The zero Time is "".
func (t Time) String() string { return string(t.AppendText(nil)) }

// AppendText appends what String returns.
func (t Time) AppendText(b []byte) []byte {
	if t == 0 {
		return b
	}
	return t.Std().AppendFormat(b, time.RFC3339Nano)
}

// MarshalText returns what String returns.
func (t Time) MarshalText() ([]byte, error) { return t.AppendText(nil), nil }

// UnmarshalText reads ISO 8601 with a zone; "" is the zero Time.
func (t *Time) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*t = 0
		return nil
	}
	p, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return err
	}
	n, ok := TimeOf(p)
	if !ok {
		return &time.ParseError{Layout: time.RFC3339Nano, Value: string(b), Message: ": outside 1678 to 2262, or the first instant of 1970"}
	}
	*t = n
	return nil
}
