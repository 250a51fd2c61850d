package cli

import (
	"bytes"
	"testing"

	"tallystick/events"
)

func TestTable(t *testing.T) {
	tab := newTable("name", ">amount", "")
	tab.add("één", "1", "x")
	tab.add("b", "100", "")
	var out bytes.Buffer
	tab.write(&out)
	want := "name  amount\néén        1  x\nb        100\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// TestNamesGiveNoOrders prints what somebody has put into a name for the terminal of whoever reads it.
func TestNamesGiveNoOrders(t *testing.T) {
	tab := newTable("name", "")
	tab.add("a\x1b[2J\nb\u009b31m\u202e", "x")
	var out bytes.Buffer
	tab.write(&out)
	if want := "name\na\ufffd[2J\ufffdb\ufffd31m\ufffd  x\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestMoneyIsExact(t *testing.T) {
	usd := events.Currency{'U', 'S', 'D'}
	for nanos, want := range map[events.Nanos]string{
		0: "0.00 USD", 1: "0.000000001 USD", -2_500: "-0.0000025 USD", 12_500_000_000: "12.50 USD", 3_000_000_000: "3.00 USD",
	} {
		if got := money(events.SumOf(nanos), usd); got != want {
			t.Errorf("%d nanos are %q, want %q", nanos, got, want)
		}
	}
}

func TestMoments(t *testing.T) {
	for _, tt := range []struct {
		asOf, clock string
		seq         events.Seq
		at          string
		ok          bool
	}{
		{"", "", 0, "", true},
		{"12", "", 12, "", true},
		{"2026-01-31", "", 0, "2026-01-31T00:00:00Z", true},
		{"2026-01-31T12:00:00+01:00", "", 0, "2026-01-31T11:00:00Z", true},
		{"2026-01-31 12:00:00", "tc_0000000000000001", 0, "2026-01-31T12:00:00Z", true},
		{"0", "", 0, "", false},
		{"soon", "", 0, "", false},
		{"12", "tc_0000000000000001", 0, "", false},
		{"", "tc_0000000000000001", 0, "", false},
		{"2026-01-31", "bogus", 0, "", false},
	} {
		m := moment{asOf: tt.asOf, clock: tt.clock}
		at, err := m.at()
		if (err == nil) != tt.ok || tt.ok && (at.AsOf != tt.seq || at.AsOfTime.String() != tt.at || at.Clock.String() != tt.clock) {
			t.Errorf("%q on clock %q: %+v, %v", tt.asOf, tt.clock, at, err)
		}
	}
}
