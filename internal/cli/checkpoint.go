package cli

import (
	"os"

	"github.com/spf13/cobra"

	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/ledger"
)

func (a *app) checkpoint() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Write a signed checkpoint to keep",
		Long: `Write a checkpoint: how many records the ledger has, and the root of the Merkle tree over them, signed. Keep it elsewhere. Whoever
holds one can have it proved later that nothing of then was changed (tally prove --since), even by somebody who has the
ledger's signing key.`,
		Example: `  tally checkpoint -o january.checkpoint
  tally prove --since january.checkpoint -o year.proof`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(b Backend) error {
				c, err := ask[query.Checkpoint](cmd.Context(), b, "Checkpoint", query.CheckpointArgs{})
				switch {
				case err != nil:
					return err
				case file != "":
					return os.WriteFile(file, []byte(c.Note), 0o644)
				case a.json:
					return writeJSON(a.Out, c)
				}
				a.say("%s", c.Note)
				return nil
			})
		},
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "file to write (default standard output)")
	return cmd
}

// showConsistency says that second adds to first.
func (a *app) showConsistency(first, second *ledger.Checkpoint) error {
	if a.json {
		return writeJSON(a.Out, struct {
			OK     bool            `json:"ok"`
			Ledger events.LedgerID `json:"ledgerId"`
			First  events.Seq      `json:"firstSize"`
			Size   events.Seq      `json:"size"`
			Root   events.Hash     `json:"root"`
		}{true, second.Ledger, first.Size, second.Size, second.Root})
	}
	a.say("Ledger %s has only grown: the first %d of its %d records are those of the first checkpoint, unchanged.\n", second.Ledger, first.Size, second.Size)
	return nil
}
