package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tallystick/internal/demo"
)

// demoRows is how many rows are invented where no trace is given.
const demoRows = 20_000

func (a *app) demo() *cobra.Command {
	var trace string
	var customers int
	var seed uint64
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See the whole system at work",
		Long: `Run the whole system once, in a temporary directory unless --data is given: a merchant with an LLM API, its
customers and their wallets, every request of a trace reported over NATS, every tenth of them twice, a month's
end on a test clock, invoices, verification, and a rebuild of everything that is derived.

A trace is CSV with the header TIMESTAMP,ContextTokens,GeneratedTokens, times in UTC without a zone. Without --trace, 20,000
requests are invented. The exit status is 1 if anything does not add up.`,
		Example: `  tally demo
  tally demo --trace requests.csv --customers 25 --json
  tally demo --data ./demo && tally invoice --data ./demo`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if customers < 1 || customers > 100_000 {
				return usagef("--customers is %d; 1 to 100000 are allowed", customers)
			}
			rows := demo.MakeTrace(demoRows, seed)
			if trace != "" {
				var err error
				if rows, err = demo.ReadTraceFile(trace); err != nil {
					return err
				}
				if len(rows) == 0 {
					return fmt.Errorf("%s has no rows", trace)
				}
			}
			dir := a.at.dir
			if dir == "" {
				temp, err := os.MkdirTemp("", "tally-demo-")
				if err != nil {
					return err
				}
				defer os.RemoveAll(temp)
				dir = temp
			} else if _, err := os.Stat(filepath.Join(dir, "log")); err == nil {
				return fmt.Errorf("%s has a ledger already: a demonstration needs a directory of its own", dir)
			}
			say := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
			if a.json {
				say = func(string, ...any) {}
			}
			figures, err := demo.Run(cmd.Context(), demo.Options{Dir: dir, Rows: rows, Customers: customers, Clock: a.Clock, Tell: say})
			if err != nil {
				return err
			}
			if a.json {
				err = writeJSON(a.Out, figures)
			} else {
				say("It took %.1f seconds.\n", figures.Seconds)
			}
			if err == nil && !figures.OK() {
				err = errSilent
			}
			return err
		},
	}
	cmd.Flags().StringVar(&trace, "trace", "", "CSV file with the requests")
	cmd.Flags().IntVar(&customers, "customers", 10, "how many customers share the requests")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "of the invented requests")
	return cmd
}
