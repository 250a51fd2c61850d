package commands

import (
	"time"

	"tallystick/events"
	"tallystick/projections"
)

// CreateTestClock makes a clock that stands at Now. Only in sandbox ledgers.
type CreateTestClock struct {
	Now         events.Time
	Name        string
	Description string
}

// AdvanceTestClock moves a test clock forward to To, carrying out what falls due on the way. Its
// receipt is sent when the clock has arrived.
type AdvanceTestClock struct {
	Clock events.TestClockID
	To    events.Time
}

// DeleteTestClock takes a test clock out of use. No active subscription may be on it.
type DeleteTestClock struct {
	Clock events.TestClockID
}

const (
	maxAdvance    = 5 * 366 * 24 * time.Hour // D32
	maxClockStart = time.Hour                // how far in the past a merchant's clock may start
)

func sandbox(b *projections.Books) *Rejection {
	if o := b.Opened.Get(struct{}{}); o == nil || o.Environment != events.Sandbox {
		return Reject(SandboxOnly, "test clocks exist in sandbox ledgers only")
	}
	return nil
}

// clockUsable refuses a clock of another merchant, and one that is under way.
func clockUsable(b *projections.Books, c Context, id events.TestClockID) *Rejection {
	if id.IsZero() {
		return nil
	}
	if r := sandbox(b); r != nil {
		return r
	}
	clock := b.Clocks.Get(id)
	if clock == nil || clock.Merchant != c.Merchant || clock.DeletedAt != 0 {
		return Reject(NotFound, "no test clock %s", id)
	}
	if clock.To != 0 {
		return Reject(ClockAdvancing, "test clock %s is being advanced to %s", id, clock.To)
	}
	return nil
}

func createTestClock(b *projections.Books, c Context, cmd CreateTestClock, d *decision) *Rejection {
	if r := first(
		optional("name", cmd.Name, maxName), optional("description", cmd.Description, maxDescription),
		billable("currentTime", cmd.Now), sandbox(b),
	); r != nil {
		return r
	}
	if _, r := merchantOf(b, c); r != nil {
		return r
	}
	now := cmd.Now
	if now.IsZero() {
		now = c.Now
	}
	if now < c.Now.Add(-maxClockStart) && !c.Operator {
		return wrong("currentTime", "is more than an hour in the past")
	}
	d.add(c, now, events.ClockCreated{
		Clock: events.DeriveTestClock(c.ID), Now: now, Name: cmd.Name, Description: cmd.Description,
	})
	return nil
}

func advanceTestClock(b *projections.Books, c Context, cmd AdvanceTestClock, d *decision) *Rejection {
	if cmd.Clock.IsZero() {
		return Reject(Invalid, "name the test clock")
	}
	if r := first(clockUsable(b, c, cmd.Clock), billable("currentTime", cmd.To)); r != nil {
		return r
	}
	clock := b.Clocks.Get(cmd.Clock)
	if cmd.To <= clock.Now {
		return Reject(Invalid, "the clock shows %s, and only moves forward", clock.Now)
	}
	if cmd.To > clock.Now.Add(maxAdvance) {
		return Reject(Invalid, "the clock shows %s, and moves at most 5 years at a time", clock.Now)
	}
	d.add(c, clock.Now, events.ClockAdvancing{Clock: cmd.Clock, To: cmd.To})
	return nil
}

func deleteTestClock(b *projections.Books, c Context, cmd DeleteTestClock, d *decision) *Rejection {
	if cmd.Clock.IsZero() {
		return Reject(Invalid, "name the test clock")
	}
	if r := clockUsable(b, c, cmd.Clock); r != nil {
		return r
	}
	clock := b.Clocks.Get(cmd.Clock)
	if clock.Active > 0 {
		return Reject(Conflict, "%d active subscriptions are on test clock %s", clock.Active, cmd.Clock).
			blockedBy(Blocker{Type: "subscriptions", Count: int(clock.Active)})
	}
	d.add(c, clock.Now, events.ClockDeleted{Clock: cmd.Clock})
	return nil
}
