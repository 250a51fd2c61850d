package commands

import (
	"testing"

	"tallystick/events"
)

// TestClock holds the rules of test clocks: where they are allowed, and how they move.
func TestClock(t *testing.T) {
	now := "2025-01-15 10:00"
	merchantsClock := func(at string) step {
		return func(w *world) *Request { return just(CreateTestClock{Now: instantOf(at)})(w) }
	}
	rival := []step{clock("tc", now), merchant("rival", seller)}
	checkRules(t, shop(), []rule{
		{name: "without a time it shows real time", when: just(CreateTestClock{Name: "clock"})},
		{name: "a merchant's begins an hour ago at the earliest", when: merchantsClock("2025-01-15 09:00")},
		{name: "an operator's begins anywhere", when: clock("tc", "1988-02-29 00:00")},
		{name: "it moves, and what is due on the way happens", given: []step{
			clock("tc", "2024-01-31 00:00"), customer("bob"), fund("bob", "5"), join("bobs", "bob", "pro", terms{clock: "tc"}),
			use("k", "bob", "2024-01-31 00:00", q{"tokens", 3}),
		}, when: advance("tc", "2024-03-01 00:00")},
		{name: "it moves exactly onto a time when something is due", given: []step{
			clock("tc", "2024-01-31 00:00"), customer("bob"), join("bobs", "bob", "pro", terms{clock: "tc"}),
		}, when: advance("tc", "2024-02-29 00:00")},
		{name: "it moves five years", given: []step{clock("tc", "2024-01-31 00:00")}, when: advance("tc", "2029-01-31 00:00")},

		{name: "one that begins more than an hour ago", when: merchantsClock("2025-01-15 08:59:59.999"), refused: Invalid},
		{name: "one before there was billing", when: clock("tc", "1970-12-31 00:00"), refused: Invalid},
		{name: "one after the end of time", when: clock("tc", "2200-01-01 00:00"), refused: Invalid},
		{name: "a name that is too long", when: just(CreateTestClock{Name: string(make([]byte, 256))}), refused: Invalid},
		{name: "a description that is no text", when: just(CreateTestClock{Description: "\xff"}), refused: Invalid},
		{name: "for no merchant", when: func(w *world) *Request {
			r := just(CreateTestClock{})(w)
			r.Merchant = events.OrganizationID{}
			return r
		}, refused: Invalid},
		{name: "for an unknown merchant", when: func(w *world) *Request {
			r := just(CreateTestClock{})(w)
			r.Merchant[0]++
			return r
		}, refused: NotFound},
		{name: "moving real time", when: just(AdvanceTestClock{To: instantOf("2026-01-01 00:00")}), refused: Invalid},
		{name: "moving one that is not there", when: just(AdvanceTestClock{Clock: events.TestClockID{1}, To: begin}), refused: NotFound},
		{name: "moving another merchant's", given: rival, when: advance("tc", "2025-02-01 00:00"), refused: NotFound},
		{name: "moving it backwards", given: []step{clock("tc", now)}, when: advance("tc", "2025-01-15 09:59"), refused: Invalid},
		{name: "moving it nowhere", given: []step{clock("tc", now)}, when: advance("tc", now), refused: Invalid},
		{name: "moving it more than five years", given: []step{clock("tc", "2024-01-31 00:00")}, when: advance("tc", "2029-02-10 00:00"), refused: Invalid},
		{name: "moving it past the end of time", given: []step{clock("tc", "2196-01-01 00:00")}, when: advance("tc", "2200-01-01 00:00"), refused: Invalid},
		{name: "moving one that is under way", given: []step{clock("tc", now), underWay("tc", "2025-03-01 00:00")}, when: advance("tc", "2025-04-01 00:00"), refused: ClockAdvancing},
	})
}

// TestLiveLedger checks that what is for trying out does not exist where money is real.
func TestLiveLedger(t *testing.T) {
	w := newWorldIn(t, events.Live)
	w.do(shop()[:4]...)
	for _, s := range []step{fund("alice", "1"), clock("tc", "2025-01-15 10:00"), just(AdvanceTestClock{Clock: events.TestClockID{1}, To: begin})} {
		r := s(w)
		if receipt := w.send(*r)[0]; receipt.Code != SandboxOnly {
			t.Errorf("%T is %s %s, want %s", r.Command, receipt.Status, receipt.Code, SandboxOnly)
		}
	}
}
