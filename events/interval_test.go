package events

import (
	"testing"
	"time"
)

func TestInterval(t *testing.T) {
	at := func(s string) Time {
		v, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := TimeOf(v)
		return n
	}
	for _, tt := range []struct {
		interval Interval
		from     string
		n        int
		want     string
	}{
		{"P1M", "2024-01-31 10:00", 1, "2024-02-29 10:00"},
		{"P1M", "2024-01-31 10:00", 2, "2024-03-31 10:00"},
		{"P3M", "2023-11-30 00:00", 1, "2024-02-29 00:00"},
		{"P1Y", "2024-02-29 00:00", 1, "2025-02-28 00:00"},
		{"P1W", "2024-02-26 00:00", 1, "2024-03-04 00:00"},
		{"P1DT12H", "2024-12-31 18:00", 2, "2025-01-03 18:00"},
	} {
		got, ok := tt.interval.After(at(tt.from), tt.n)
		if !ok || got != at(tt.want) {
			t.Errorf("%d times %s after %s is %s, want %s", tt.n, tt.interval, tt.from, got, tt.want)
		}
		for _, before := range []Time{got - 1, got.Add(-time.Minute)} {
			if next, ok := tt.interval.Next(at(tt.from), before); !ok || next != got {
				t.Errorf("the next %s from %s after %s is %s, want %s", tt.interval, tt.from, before, next, got)
			}
		}
		if next, ok := tt.interval.Next(at(tt.from), got); !ok || next <= got {
			t.Errorf("the next %s from %s after %s is %s", tt.interval, tt.from, got, next)
		}
	}
	for _, bad := range []Interval{"", "P", "PT", "1M", "P1", "P0D", "PM", "P1H", "PT1D", "P1MT", "-P1M", "P1000000D", "P1.5D", "PT1HT1H", "PT59M", "p1m"} {
		if bad.Valid() {
			t.Errorf("%q is valid", bad)
		}
	}
	for _, good := range []Interval{"P1M", "P1Y2M3W4DT5H6M7S", "PT1H", "PT90M"} {
		if !good.Valid() {
			t.Errorf("%q is not valid", good)
		}
	}
}
