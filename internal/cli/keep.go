package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"tallystick/internal/copies"
)

func (a *app) backup() *cobra.Command {
	return &cobra.Command{
		Use:   "backup DIR",
		Short: "Copy the ledger while it is in use",
		Long: `Copy the log and the keys into a new directory, while the ledger is in use. On the same file system this takes little
time and space: files that do not change any more are shared. The copy has everything that was acknowledged when it
began. Views are not copied; they are made again.

A server makes the copy where it runs: DIR is a directory on its machine. The copy has the keys of personal data, also
those that are destroyed later.`,
		Example: `  tally backup /backups/2026-01-31 --data DIR
  tally restore /backups/2026-01-31 --data NEW-DIR`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(b Backend) error { return a.backupNow(cmd.Context(), b, dir) })
		},
	}
}

func (a *app) backupNow(ctx context.Context, b Backend, dir string) (err error) {
	var m copies.Manifest
	if l, ok := b.(*local); ok {
		m, err = l.Target().Backup(dir)
	} else {
		m, err = ask[copies.Manifest](ctx, b, "Backup", object{"directory": dir})
	}
	if err != nil {
		return err
	}
	if a.json {
		return writeJSON(a.Out, m)
	}
	fmt.Fprintf(a.Out, "%s has %d records of %s, the last of %s\n", dir, m.Sequence, m.Ledger, when(m.Recorded))
	return nil
}

func (a *app) restore() *cobra.Command {
	var unverified bool
	cmd := &cobra.Command{
		Use:   "restore COPY",
		Short: "Make a ledger from a copy, and verify it",
		Long: `Make the directory --data, which must not exist or be empty, from a copy that tally backup has made, and verify it.

Whatever was recorded after the copy is not in it. Where the stream of a NATS server has it, the next tally serve takes
it from there before anything else.`,
		Example: `  tally restore /backups/2026-01-31 --data NEW-DIR`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.settle()
			if err != nil {
				return err
			}
			if c.server != "" {
				return usagef("a ledger is restored into a directory: give --data")
			}
			m, err := copies.Restore(cmd.Context(), args[0], c.dir)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Err, "%s has %d records of %s, the last of %s\n", c.dir, m.Sequence, m.Ledger, when(m.Recorded))
			if unverified {
				return nil
			}
			report, err := a.verifyNow(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				err = writeJSON(a.Out, report)
			} else {
				a.showReport(report)
			}
			if err == nil && !report.OK {
				return errors.New("the restored ledger does not hold: see above, and try another copy")
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&unverified, "no-verify", false, "leave the verification for later")
	return cmd
}
