package commands

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallystick/events"
	"tallystick/projections"
)

// own is a schedule that is counted from its own start.
func own(start events.Time, c events.Cadence) schedule { return schedule{start, start, c} }

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
			if got := own(instantOf(tt.anchor), events.Monthly).end(uint32(n)); got != instantOf(want) {
				t.Errorf("period %d from %s ends at %s, want %s", n, tt.anchor, got, want)
			}
		}
	}
	if got := own(instantOf("2024-02-29 00:00"), events.Yearly).end(0); got != instantOf("2025-02-28 00:00") {
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
			if got := own(anchor, events.Monthly).end(n).Std(); !got.Equal(want) {
				t.Fatalf("period %d from %s ends at %s, want %s", n, start, got, want)
			}
		}
	})
}

// TestAnchored holds the periods of subscriptions that are counted from the anchor of their plan: the first is what is left of the one
// that they begin in.
func TestAnchored(t *testing.T) {
	for _, tt := range []struct {
		anchor, started string
		cadence         events.Cadence
		bounds          []string // of the first periods, the first before the start
	}{
		{"2025-01-01 00:00", "2025-03-16 14:20", events.Monthly, []string{"2025-03-01 00:00", "2025-04-01 00:00", "2025-05-01 00:00"}},
		{"2025-01-01 00:00", "2025-03-01 00:00", events.Monthly, []string{"2025-03-01 00:00", "2025-04-01 00:00"}},
		{"2025-01-01 00:00", "2025-02-28 23:59", events.Monthly, []string{"2025-02-01 00:00", "2025-03-01 00:00"}},
		{"2025-01-31 06:00", "2025-03-10 00:00", events.Monthly, []string{"2025-02-28 06:00", "2025-03-31 06:00", "2025-04-30 06:00"}},
		{"2025-01-31 06:00", "2025-02-28 05:59", events.Monthly, []string{"2025-01-31 06:00", "2025-02-28 06:00", "2025-03-31 06:00"}},
		{"2025-06-15 12:00", "2024-11-20 00:00", events.Monthly, []string{"2024-11-15 12:00", "2024-12-15 12:00", "2025-01-15 12:00"}}, // it began before the anchor
		{"2025-06-15 12:00", "2024-11-15 00:00", events.Monthly, []string{"2024-10-15 12:00", "2024-11-15 12:00"}},
		{"2024-01-01 00:00", "2025-02-10 00:00", events.Quarterly, []string{"2025-01-01 00:00", "2025-04-01 00:00", "2025-07-01 00:00"}},
		{"2024-04-01 00:00", "2023-02-10 00:00", events.Quarterly, []string{"2023-01-01 00:00", "2023-04-01 00:00"}},
		{"2020-02-29 00:00", "2025-02-10 00:00", events.Yearly, []string{"2024-02-29 00:00", "2025-02-28 00:00", "2026-02-28 00:00"}},
		{"2025-02-28 00:00", "2024-02-28 00:00", events.Yearly, []string{"2024-02-28 00:00", "2025-02-28 00:00"}},
	} {
		s := schedule{instantOf(tt.anchor), instantOf(tt.started), tt.cadence}
		for n, want := range tt.bounds {
			if got := s.bound(n); got != instantOf(want) {
				t.Errorf("period %d from %s of one that began at %s begins at %s, want %s", n, tt.anchor, tt.started, got, want)
			}
		}
	}
}

// TestAnchoredAlike checks that all subscriptions of an anchored plan end their periods at the same instants, whenever they began, and
// that the start is in the first.
func TestAnchoredAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		instant := rapid.Int64Range(int64(instantOf("1990-01-01 00:00")), int64(instantOf("2060-01-01 00:00")))
		cadence := rapid.SampledFrom([]events.Cadence{events.Monthly, events.Quarterly, events.Yearly}).Draw(t, "cadence")
		s := schedule{hour(events.Time(instant.Draw(t, "anchor"))), events.Time(instant.Draw(t, "start")), cadence}
		if s.bound(0) > s.started || s.end(0) <= s.started {
			t.Fatalf("it began at %s, and its first period is from %s to %s", s.started, s.bound(0), s.end(0))
		}
		other := schedule{s.anchor, events.Time(rapid.Int64Range(int64(s.started), int64(s.bound(40))).Draw(t, "later start")), cadence}
		for n := 0; ; n++ {
			if s.bound(n) == other.bound(0) {
				break
			}
			if n > 40 {
				t.Fatalf("no period of one that began at %s begins at %s", s.started, other.bound(0))
			}
		}
	})
}

// TestFeeDays counts the days that fees are paid for.
func TestFeeDays(t *testing.T) {
	for _, tt := range []struct {
		anchor, started string
		period, fee     events.Cadence
		term            events.Term
		n               uint32
		until           string
		used, of        uint32
	}{
		{"2025-01-01 00:00", "2025-03-17 00:00", events.Monthly, events.Monthly, events.InAdvance, 0, "", 15, 31},
		{"2025-01-01 00:00", "2025-03-17 23:00", events.Monthly, events.Monthly, events.InAdvance, 0, "", 15, 31}, // the day that it begins on counts
		{"2025-01-01 12:00", "2025-03-17 11:00", events.Monthly, events.Monthly, events.InAdvance, 0, "", 16, 31}, // it is the one before, at noon
		{"2025-01-01 00:00", "2025-03-01 23:00", events.Monthly, events.Monthly, events.InAdvance, 0, "", 0, 0},   // all of it
		{"2025-03-17 10:00", "2025-03-17 10:20", events.Monthly, events.Monthly, events.InAdvance, 0, "", 0, 0},
		{"2025-01-01 00:00", "2025-03-17 00:00", events.Monthly, events.Monthly, events.InAdvance, 1, "", 0, 0},
		{"2025-01-01 00:00", "2025-03-17 00:00", events.Monthly, events.Once, events.InAdvance, 0, "", 0, 0},
		{"2024-01-01 00:00", "2024-02-29 00:00", events.Monthly, events.Monthly, events.InArrears, 0, "2024-03-01 00:00", 1, 29},
		{"2025-01-01 00:00", "2025-03-17 00:00", events.Monthly, events.Monthly, events.InArrears, 1, "2025-04-10 00:00", 9, 30}, // it ends early
		{"2025-01-01 00:00", "2025-03-17 00:00", events.Monthly, events.Monthly, events.InArrears, 1, "2025-04-10 00:01", 10, 30},
		{"2025-01-01 00:00", "2025-03-17 00:00", events.Monthly, events.Monthly, events.InAdvance, 0, "2025-03-20 00:00", 15, 31}, // nothing is given back
		{"2025-01-01 00:00", "2025-03-17 00:00", events.Monthly, events.Monthly, events.InArrears, 0, "2025-03-17 00:00", 0, 31},  // it never was
		{"2025-01-01 00:00", "2025-02-10 00:00", events.Quarterly, events.Monthly, events.InAdvance, 0, "", 50, 90},
		{"2025-01-01 00:00", "2025-03-17 00:00", events.Monthly, events.Quarterly, events.InAdvance, 0, "", 76, 92}, // March to May
		{"2025-01-01 00:00", "2025-03-17 00:00", events.Monthly, events.Quarterly, events.InArrears, 2, "2025-06-01 00:00", 76, 92},
		{"2025-01-01 00:00", "2025-03-17 00:00", events.Monthly, events.Quarterly, events.InAdvance, 3, "", 0, 0},
	} {
		s := schedule{instantOf(tt.anchor), instantOf(tt.started), tt.period}
		until := events.Time(0)
		if tt.until != "" {
			until = instantOf(tt.until)
		}
		if used, of := s.feeDays(&projections.Rate{Cadence: tt.fee, Term: tt.term}, tt.n, until); used != tt.used || of != tt.of {
			t.Errorf("a fee of %s %s in period %d of %s from %s, begun at %s, ended at %s: %d of %d days, want %d of %d",
				tt.fee, tt.term, tt.n, tt.period, tt.anchor, tt.started, tt.until, used, of, tt.used, tt.of)
		}
	}
}

// TestProrate holds what a part of a fee costs, rounded half away from zero, once.
func TestProrate(t *testing.T) {
	for _, tt := range []struct {
		amount   string
		used, of uint32
		want     string
	}{
		{"30", 15, 30, "15"},
		{"30", 0, 0, "30"},
		{"30", 0, 31, "0"},
		{"10", 1, 3, "3.333333333"},
		{"20", 1, 3, "6.666666667"},
		{"0.000000001", 15, 30, "0.000000001"}, // half a nano
		{"9223372036", 364, 365, "9198102523.57260274"},
	} {
		if got := prorate(nanosOf(tt.amount), tt.used, tt.of); got != nanosOf(tt.want) {
			t.Errorf("%d of %d days of %s are %s, want %s", tt.used, tt.of, tt.amount, got, tt.want)
		}
	}
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
