package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tallystick/internal/query"
	"tallystick/internal/wire"
)

func (a *app) command() *cobra.Command {
	return &cobra.Command{
		Use:   "command NAME [JSON|-]",
		Short: "Have any command carried out",
		Long: `Have any command carried out, with its fields in JSON as the API has them: as an argument, or with - from standard
input. The answer is its receipt; a refused command gives exit status 1. An operator names the merchant with
--merchant, or as merchantId in the JSON.

Commands: ` + wordList(wire.Names()),
		Example: `  tally command CreateMerchant '{"profile":{"name":"Acme"},"currency":"USD"}'
  tally command CreateProduct --merchant org_01J… '{"name":"LLM API","description":"Tokens"}'
  tally command TopUp '{"walletId":"acc_01J…","amount":"25.00","method":"sandbox"}'
  tally command ReportUsage --merchant org_01J… - < usage.json`,
		Args: cobra.RangeArgs(1, 2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return completions(args, wire.Names())
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := a.body(args[1:])
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(b Backend) error { return a.carryOut(cmd.Context(), b, args[0], body) })
		},
	}
}

func (a *app) carryOut(ctx context.Context, b Backend, name string, body []byte) error {
	answer, err := b.Command(ctx, name, body)
	if err != nil {
		return err
	}
	var result struct {
		receipt
		Receipts []receipt `json:"receipts"`
	}
	if err := json.Unmarshal(answer, &result); err != nil {
		return fmt.Errorf("reading the receipt of %s: %w", name, err)
	}
	if err := writeRaw(a.Out, answer); err != nil {
		return err
	}
	failed := result.err() != nil
	for i := range result.Receipts {
		failed = failed || result.Receipts[i].err() != nil
	}
	if failed {
		return errSilent // the receipt says why
	}
	return nil
}

func (a *app) query() *cobra.Command {
	return &cobra.Command{
		Use:   "query NAME [JSON|-]",
		Short: "Ask any question",
		Long: `Ask any question, with its arguments in JSON: as an argument, or with - from standard input. All take asOf,
asOfTime, testClockId and atLeast; lists take limit and offset.

Queries: ` + wordList(query.Names()),
		Example: `  tally query Customers '{"limit":10}'
  tally query UsageEvents '{"subscriptionId":"sub_01J…"}'
  tally query Plans`,
		Args: cobra.RangeArgs(1, 2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return completions(args, query.Names())
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := a.body(args[1:])
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(b Backend) error {
				answer, err := b.Query(cmd.Context(), args[0], body)
				if err != nil {
					return err
				}
				return writeRaw(a.Out, answer)
			})
		},
	}
}

// body returns the JSON that args or standard input hold.
func (a *app) body(args []string) ([]byte, error) {
	const limit = 16 << 20
	body := []byte("{}")
	switch {
	case len(args) == 1 && args[0] == "-":
		b, err := io.ReadAll(io.LimitReader(a.In, limit))
		if err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
		body = b
	case len(args) == 1:
		body = []byte(args[0])
	}
	if !json.Valid(body) {
		return nil, &usageError{errors.New("what is given is not JSON")}
	}
	return body, nil
}

// completions offers names for the first argument.
func completions(args, names []string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// wordList returns names as text, in lines that fit a terminal.
func wordList(names []string) string {
	const width = 100
	text, line := "", 10
	for i, n := range names {
		if i > 0 {
			text += ","
			if line+len(n)+2 > width {
				text, line = text+"\n", 0
			} else {
				text, line = text+" ", line+1
			}
		}
		text, line = text+n, line+len(n)+1
	}
	return text + "."
}

func (a *app) erase() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase CONSUMER",
		Short: "Destroy the key of a consumer's personal data",
		Long: `Destroy the key under which everything personal of a consumer (org_…) was sealed: names, addresses, e-mails,
metadata. Nobody can read it afterwards, not in the log, not in the stream, not in older copies of either. Amounts,
balances, invoices' sums, digests and proofs stay as they are. This cannot be undone.`,
		Example: `  tally erase org_01JD3W0000000000000000000A --yes`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return usagef("erasing cannot be undone; say --yes if it is meant")
			}
			return a.with(cmd.Context(), func(b Backend) error {
				r, err := tell(cmd.Context(), b, "EraseConsumer", object{"consumerId": args[0]})
				if err != nil {
					return err
				}
				if a.json {
					return writeJSON(a.Out, r)
				}
				a.say("erased %s at sequence %d\n", r.ID, r.Sequence)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "it is meant")
	return cmd
}
