package cli

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"tallystick/internal/bench"
)

// TestAnInterruptedMeasurementSaysSo ends a measurement by a signal: what was under way then, such as a request to a server that
// has ended with it, fails in ways of its own, which are nobody's business.
func TestAnInterruptedMeasurementSaysSo(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	a := &app{Env: Env{Out: io.Discard, Err: io.Discard, Clock: time.Now}}
	cmd := measure(a, "some", "", false, func(context.Context, bench.Options) (any, error) {
		interrupt()
		return nil, errors.New("nats: timeout")
	})
	cmd.SetArgs(nil)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if got := a.explain(cmd.ExecuteContext(ctx)); got != "interrupted" {
		t.Errorf("it says %q", got)
	}
}
