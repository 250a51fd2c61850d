package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tallystick/internal/bench"
)

func (a *app) bench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure it beside the raw limits of this machine",
		Long: `Measure the system, and in the same run the raw limit beside it: machines differ and are shared, so the ratio says more
than the figure. Everything is done in a temporary directory (see TMPDIR), which is removed afterwards.`,
		RunE: a.needsSubcommand,
	}
	cmd.AddCommand(
		measure(a, "ingest", "Usage in over NATS, until it is durable, answered and published", true,
			func(ctx context.Context, o bench.Options) (any, error) { return bench.MeasureIngest(ctx, o) }),
		measure(a, "api", "Usage over HTTP, single and batched, beside the same over NATS", true,
			func(ctx context.Context, o bench.Options) (any, error) { return bench.MeasureAPI(ctx, o) }),
		measure(a, "latency", "One client, one usage event at a time", false,
			func(ctx context.Context, o bench.Options) (any, error) { return bench.MeasureLatency(ctx, o) }),
		measure(a, "rebuild", "All views made again from the log", true,
			func(ctx context.Context, o bench.Options) (any, error) { return bench.MeasureRebuild(ctx, o) }),
		measure(a, "open", "From the start of a killed server to its first receipt", true,
			func(ctx context.Context, o bench.Options) (any, error) { return bench.MeasureOpen(ctx, o) }),
		measure(a, "month-end", "Usage while the month of many other subscriptions ends", true,
			func(ctx context.Context, o bench.Options) (any, error) { return bench.MeasureMonthEnd(ctx, o) }),
		measure(a, "size", "Bytes of a usage event on disk", true,
			func(ctx context.Context, o bench.Options) (any, error) { return bench.MeasureSize(ctx, o) }),
	)
	return cmd
}

// measure makes a command of a measurement.
func measure(a *app, name, short string, parties bool, run func(context.Context, bench.Options) (any, error)) *cobra.Command {
	var o bench.Options
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "tally-bench-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			o.Dir, o.Clock = dir, a.Clock
			o.Progress = func(format string, args ...any) { fmt.Fprintf(a.Err, format+"\n", args...) }
			result, err := run(cmd.Context(), o)
			if cmd.Context().Err() != nil {
				return cmd.Context().Err() // whatever was under way then
			}
			if err != nil {
				return err
			}
			return writeJSON(a.Out, result)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Usages, "usages", 0, "usage events (default: enough)")
	if parties {
		f.IntVar(&o.Merchants, "merchants", 0, "merchants (default 100)")
		f.IntVar(&o.Customers, "customers", 0, "customers of all merchants, each with a wallet (default 10000)")
	}
	if name == "open" {
		f.StringVar(&o.Keep, "keep", "", "directory to make the ledger in and to leave it, or of the one of an earlier run")
	}
	if name == "api" {
		f.IntVar(&o.Batch, "batch", 0, "usage events to a request, of those that are batched (default 100)")
		f.IntVar(&o.InFlight, "in-flight", 0, "requests under way at once (default 64)")
	}
	if name == "ingest" {
		f.IntVar(&o.Batch, "batch", 0, "usage events to a request (default 100)")
		f.IntVar(&o.InFlight, "in-flight", 0, "requests under way at once (default 64, or 1000 of one usage event each)")
		f.IntVar(&o.Preload, "preload", 0, "usage events that the ledger holds before")
		f.BoolVar(&o.Rich, "rich", false, "also with tax, a platform's fee and reservations that pay")
	}
	if name == "ingest" || name == "rebuild" {
		f.StringVar(&o.Profile, "profile", "", "file for a CPU profile of what is measured")
	}
	return cmd
}
