package payments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/projections"
)

// ledger is a log in memory that answers outcomes with records, as the sequencer does.
type ledger struct {
	mu      sync.Mutex // guards the fields below
	records []events.Record
	more    chan struct{}
	settled map[events.ChargeID]int
	cursor  events.Seq
	busy    int // outcomes that are refused before one is taken
}

func newLedger() *ledger {
	return &ledger{more: make(chan struct{}), settled: make(map[events.ChargeID]int)}
}

func (l *ledger) add(e events.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, events.Record{Envelope: events.Envelope{Seq: events.Seq(len(l.records) + 1)}, Event: e})
	close(l.more)
	l.more = make(chan struct{})
}

type follower struct {
	l    *ledger
	next events.Seq
}

func (f *follower) Next(ctx context.Context) ([]events.Record, error) {
	for {
		f.l.mu.Lock()
		more, records := f.l.more, f.l.records[min(int(f.next)-1, len(f.l.records)):]
		f.l.mu.Unlock()
		if len(records) > 0 {
			f.next += events.Seq(len(records))
			return records, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *ledger) settle(_ context.Context, cmd commands.SettleCharge) (commands.Receipt, error) {
	l.mu.Lock()
	l.settled[cmd.Charge]++
	again, busy := l.settled[cmd.Charge] > 1, l.busy > 0
	if busy {
		l.busy--
		l.settled[cmd.Charge]--
	}
	l.mu.Unlock()
	switch {
	case busy:
		return commands.Receipt{}, commands.Reject(commands.Busy, "later")
	case again:
		return commands.Receipt{Status: commands.Duplicate}, nil
	case cmd.Status == projections.ChargeSucceeded:
		l.add(events.ChargeSucceeded{Charge: cmd.Charge, Reference: cmd.Reference})
	case cmd.Status == projections.ChargeActionRequired:
		l.add(events.ChargeActionRequired{Charge: cmd.Charge, Reference: cmd.Reference})
	default:
		l.add(events.ChargeFailed{Charge: cmd.Charge, Code: cmd.Code})
	}
	return commands.Receipt{Status: commands.Accepted}, nil
}

// outcomes returns what became of every charge, in the order in which they were asked for.
func (l *ledger) outcomes() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for i := range l.records {
		q, ok := l.records[i].Event.(events.ChargeRequested)
		if !ok {
			continue
		}
		found := "open"
		for j := range l.records {
			switch e := any(l.records[j].Event).(type) {
			case events.ChargeSucceeded:
				if e.Charge == q.Charge {
					found = "paid"
				}
			case events.ChargeFailed:
				if e.Charge == q.Charge {
					found = e.Code
				}
			case events.ChargeActionRequired:
				if e.Charge == q.Charge {
					found = "action"
				}
			}
		}
		all = append(all, found)
	}
	return strings.Join(all, " ")
}

// counting counts how often each key was charged.
type counting struct {
	Provider
	mu    sync.Mutex // guards the field below
	times map[string]int
	fail  error // of every call, where it is set
}

func (c *counting) Charge(ctx context.Context, q Charge) (Outcome, error) {
	c.mu.Lock()
	c.times[q.Key]++
	fail := c.fail
	c.mu.Unlock()
	if fail != nil {
		return Outcome{}, fail
	}
	return c.Provider.Charge(ctx, q)
}

func (l *ledger) runner(p Provider) *Runner {
	return New(Options{
		Providers: map[string]Provider{SandboxName: p}, Follow: func(from events.Seq) Follower { return &follower{l, from} },
		From: l.cursor, Save: func(s events.Seq) error { l.cursor = s; return nil }, Settle: l.settle,
		Logger: slog.New(slog.DiscardHandler),
	})
}

func request(n byte, card string, offSession bool) events.ChargeRequested {
	return events.ChargeRequested{Charge: events.ChargeID{15: n}, Provider: SandboxName, Card: card, Amount: 1e10, OffSession: offSession}
}

// TestCards has a charge made with every card, and checks what becomes of it, that it is asked for once where the answer
// came, and that nothing is asked for again after a restart.
func TestCards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		l.busy = 3
		for i, card := range []string{
			"tok_visa", "tok_mastercard", "tok_declined", "tok_insufficient", "tok_expired", "tok_action", "tok_fails_later", "tok_slow",
			"tok_slow_declined", "tok_lost", "tok_none",
		} {
			l.add(request(byte(i+1), card, false))
		}
		l.add(request(50, "tok_fails_later", true))
		l.add(request(51, "tok_action", true))
		confirmed := request(52, "tok_action", false)
		confirmed.Confirms = events.ChargeID{15: 6}
		l.add(confirmed)
		l.add(events.ChargeRequested{Charge: events.ChargeID{15: 53}, Provider: "other", Card: "x"})
		const want = "paid paid card_declined insufficient_funds expired_card action paid paid card_declined paid unknown_card card_declined action paid no_such_provider"

		c := &counting{Provider: new(Sandbox), times: make(map[string]int)}
		for range 2 { // the second time is a restart
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { l.runner(c).Run(ctx); close(done) }()
			time.Sleep(time.Hour) //nolint:forbidigo // of the bubble's clock
			cancel()
			<-done
			if got := l.outcomes(); got != want {
				t.Fatalf("outcomes\n%s, want\n%s", got, want)
			}
			for key, n := range c.times {
				if n != 1 {
					t.Errorf("%s was charged %d times", key, n)
				}
			}
			if last := events.Seq(len(l.records)); l.cursor != last {
				t.Errorf("the cursor is at %d, want %d", l.cursor, last)
			}
		}
	})
}

// TestUnknown checks that a charge whose outcome is not known stays open, holds the cursor back, and is settled once the
// provider can be asked again, after a restart too.
func TestUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		l.add(request(1, "tok_visa", false))
		l.add(request(2, "tok_lost", false))
		l.add(request(3, "tok_visa", false))
		c := &counting{Provider: new(Sandbox), times: make(map[string]int), fail: errors.New("no connection")}
		run := func() {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { l.runner(c).Run(ctx); close(done) }()
			time.Sleep(10 * time.Minute) //nolint:forbidigo // of the bubble's clock
			cancel()
			<-done
		}
		run()
		if got := l.outcomes(); got != "open open open" || l.cursor != 0 {
			t.Fatalf("without a provider the outcomes are %q and the cursor %d", got, l.cursor)
		}
		c.fail = nil
		c.Provider = new(Sandbox) // has lost what it remembered
		run()
		if got := l.outcomes(); got != "paid paid paid" || l.cursor != 6 {
			t.Errorf("the outcomes are %q and the cursor %d", got, l.cursor)
		}
	})
}

// TestParallel checks that no more charges are under way at a time than allowed.
func TestParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		for i := range byte(50) {
			l.add(request(i+1, "tok_visa", false))
		}
		p := &crowded{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { l.runner(p).Run(ctx); close(done) }()
		time.Sleep(time.Hour) //nolint:forbidigo // of the bubble's clock
		cancel()
		<-done
		if p.most != 8 || strings.Count(l.outcomes(), "paid") != 50 {
			t.Errorf("%d charges at a time, outcomes %s", p.most, l.outcomes())
		}
	})
}

// crowded counts how many charges are made at a time.
type crowded struct {
	Sandbox
	mu        sync.Mutex // guards the fields below
	now, most int
}

func (c *crowded) Charge(ctx context.Context, q Charge) (Outcome, error) {
	c.mu.Lock()
	c.now++
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	<-time.After(time.Second)
	c.mu.Lock()
	c.now--
	c.mu.Unlock()
	return c.Sandbox.Charge(ctx, q)
}

// TestCardNumbers checks which cards the sandbox knows.
func TestCardNumbers(t *testing.T) {
	var s Sandbox
	for _, tt := range []struct {
		in   CardNumber
		want string
	}{
		{CardNumber{Number: "4242 4242 4242 4242", ExpMonth: 1, ExpYear: 2030}, "tok_visa visa 4242 1/2030"},
		{CardNumber{Number: "5555-5555-5555-4444", ExpMonth: 12, ExpYear: 2030}, "tok_mastercard mastercard 4444 12/2030"},
		{CardNumber{Token: "tok_lost"}, "tok_lost visa 0119 0/0"},
		{CardNumber{Number: "4242424242424242", ExpMonth: 13, ExpYear: 2030}, ""},
		{CardNumber{Number: "4242424242424242", ExpMonth: 1}, ""},
		{CardNumber{Number: "4242424242424241", ExpMonth: 1, ExpYear: 2030}, ""},
		{CardNumber{Number: "4242424242424242", Token: "tok_visa", ExpMonth: 1, ExpYear: 2030}, ""},
		{CardNumber{}, ""},
	} {
		c, err := s.Card(t.Context(), tt.in)
		got := fmt.Sprintf("%s %s %s %d/%d", c.Token, c.Brand, c.Last4, c.ExpMonth, c.ExpYear)
		if (err != nil) != (tt.want == "") || err == nil && got != tt.want || err != nil && !errors.Is(err, ErrCard) {
			t.Errorf("%+v is %s, %v", tt.in, got, err)
		}
	}
	if n := len(slices.Compact(sandboxCards())); n != 10 {
		t.Errorf("%d cards", n)
	}
}
