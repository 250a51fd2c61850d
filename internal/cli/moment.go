package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"tallystick/events"
	"tallystick/internal/query"
)

// moment says which state of the ledger a question is about.
type moment struct {
	asOf    string
	clock   string
	atLeast uint64
	given   func() bool // whether asOf was given, be it empty; nil for no
}

// flags adds the flags of m to a command.
func (m *moment) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	m.given = func() bool { return f.Changed("as-of") }
	f.StringVar(&m.asOf, "as-of", "", "ask about the past: a sequence, or a time such as 2026-01-31T12:00:00Z")
	f.StringVar(&m.clock, "clock", "", "test clock that the time of --as-of is a time of")
	f.Uint64Var(&m.atLeast, "at-least", 0, "wait until the answer includes this sequence, such as a receipt's")
}

// at returns m in the terms of queries.
func (m *moment) at() (at query.At, err error) {
	at.AtLeast = events.Seq(m.atLeast)
	if m.clock != "" {
		if at.Clock, err = events.ParseTestClockID(m.clock); err != nil {
			return at, usagef("--clock: %v", err)
		}
		if m.asOf == "" {
			return at, usagef("--clock says whose time is meant; give the time too")
		}
	}
	if m.asOf == "" && m.given != nil && m.given() { // such as a variable of a script that was not set
		return at, usagef("an empty text is no moment; give a sequence, or a time such as 2026-01-31T12:00:00Z")
	}
	if m.asOf == "" {
		return at, nil
	}
	if n, err := strconv.ParseUint(m.asOf, 10, 64); err == nil {
		if n == 0 || m.clock != "" {
			return at, usagef("%q is no sequence from 1 on, and a clock goes with a time", m.asOf)
		}
		at.AsOf = events.Seq(n)
		return at, nil
	}
	if at.AsOfTime, err = parseTime(m.asOf); err != nil {
		return at, usagef("%q is neither a sequence nor a time from 1678 to 2262 such as 2026-01-31T12:00:00Z", m.asOf)
	}
	return at, nil
}

// parseTime reads a time; without a zone it is in UTC.
func parseTime(s string) (events.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			if at, ok := events.TimeOf(t); ok {
				return at, nil
			}
		}
	}
	return 0, fmt.Errorf("%q is not a time such as 2026-01-31T12:00:00Z", s)
}
