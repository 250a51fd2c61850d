package commands

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallystick/events"
)

// TestPeriods holds the ends of periods: always counted from the anchor, and clamped to the month's end.
func TestPeriods(t *testing.T) {
	for _, tt := range []struct {
		anchor string
		ends   []string
	}{
		{"2025-01-31 00:00", []string{"2025-02-28 00:00", "2025-03-31 00:00", "2025-04-30 00:00", "2025-05-31 00:00"}},
		{"2024-01-31 23:00", []string{"2024-02-29 23:00", "2024-03-31 23:00"}},
		{"2024-02-29 05:00", []string{"2024-03-29 05:00", "2024-04-29 05:00"}},
		{"2023-11-30 00:00", []string{"2023-12-30 00:00", "2024-01-30 00:00", "2024-02-29 00:00", "2024-03-30 00:00"}},
		{"2024-12-31 12:00", []string{"2025-01-31 12:00", "2025-02-28 12:00"}},
		{"2024-12-01 00:00", []string{"2025-01-01 00:00"}},
		{"2099-12-29 00:00", []string{"2100-01-29 00:00", "2100-02-28 00:00", "2100-03-29 00:00"}}, // 2100 is no leap year
		{"1999-11-29 00:00", []string{"1999-12-29 00:00", "2000-01-29 00:00", "2000-02-29 00:00"}}, // 2000 is one
	} {
		for n, want := range tt.ends {
			if got := periodEnd(instantOf(tt.anchor), events.Monthly, uint32(n)); got != instantOf(want) {
				t.Errorf("period %d from %s ends at %s, want %s", n, tt.anchor, got, want)
			}
		}
	}
	if got := periodEnd(instantOf("2024-02-29 00:00"), events.Monthly, 11); got != instantOf("2025-02-28 00:00") {
		t.Errorf("a year after 29 February is %s", got)
	}
}

// TestPeriodsHaveNoGaps checks periods from any anchor against a search for the day: the same time of day, the same day
// of the month or its last one, each in the month after the one before.
func TestPeriodsHaveNoGaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		anchor := hour(events.Time(rapid.Int64Range(int64(firstInstant), int64(lastInstant)).Draw(t, "anchor")))
		start := anchor.Std()
		month := start.AddDate(0, 0, 1-start.Day())
		for n := range uint32(30) {
			month = month.AddDate(0, 1, 0)
			want := month
			for day := month; day.Month() == month.Month() && day.Day() <= start.Day(); day = day.Add(24 * time.Hour) {
				want = day
			}
			if got := periodEnd(anchor, events.Monthly, n).Std(); !got.Equal(want) {
				t.Fatalf("period %d from %s ends at %s, want %s", n, start, got, want)
			}
		}
	})
}

func TestHour(t *testing.T) {
	for in, want := range map[events.Time]events.Time{
		0: 0, 1: 0, events.Time(time.Hour) - 1: 0, events.Time(time.Hour): events.Time(time.Hour),
		-1: -events.Time(time.Hour), -events.Time(time.Hour): -events.Time(time.Hour),
		instantOf("2025-03-30 01:59:59.999999999"): instantOf("2025-03-30 01:00"),
	} {
		if got := hour(in); got != want {
			t.Errorf("hour(%s) = %s, want %s", in, got, want)
		}
	}
}
