package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"tallystick/events"
	"tallystick/internal/copies"
	"tallystick/internal/natsbus"
	"tallystick/internal/operate"
	"tallystick/ledger/publisher"
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
	a.say("%s has %d records of %s, the last of %s\n", dir, m.Sequence, m.Ledger, when(m.Recorded))
	return nil
}

// restoring is the flags of tally restore.
type restoring struct {
	unverified bool
	fromNATS   bool
	natsDir    string
	external   natsbus.External
	pub        []string
}

func (a *app) restore() *cobra.Command {
	var r restoring
	cmd := &cobra.Command{
		Use:   "restore [COPY]",
		Short: "Make a ledger from a copy, or from what it has published",
		Long: `Make the directory --data, which must not exist or be empty, from a copy that tally backup has made, and verify it.
Whatever was recorded after the copy is not in it.

With --from-nats, take from the stream LEDGER what the directory --data lacks: all of it if the directory is new, the rest
if it is an older copy. The streams are those in --nats-dir (DIR/nats if it is not given), or those of a NATS server
elsewhere. Nothing is taken unless the stream goes on exactly where the log ends and has the tree of every signed checkpoint.
The keys of personal data come from their mirror, and need the master key that wraps them.`,
		Example: `  tally restore /backups/2026-01-31 --data NEW-DIR
  tally restore --from-nats --data NEW-DIR --nats-dir OLD-DIR/nats --master-key-file master.key
  tally restore --from-nats --data OLDER-COPY --nats-url nats://nats:4222 --nats-creds tally.creds --nats-door-creds door.creds`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.settle()
			switch {
			case err != nil:
				return err
			case c.server != "":
				return usagef("a ledger is restored into a directory: give --data")
			case (len(args) == 1) == r.fromNATS:
				return usagef("give either a copy or --from-nats")
			case r.fromNATS:
				err = a.restoreStream(cmd.Context(), &r)
			default:
				err = a.restoreCopy(cmd.Context(), args[0])
			}
			if err != nil || r.unverified {
				return err
			}
			return a.verifyRestored(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&r.unverified, "no-verify", false, "leave the verification for later")
	f.BoolVar(&r.fromNATS, "from-nats", false, "take what the ledger has published")
	f.StringVar(&r.natsDir, "nats-dir", "", "directory of the embedded NATS server's streams (default DIR/nats)")
	f.StringArrayVar(&r.pub, "pub", nil, "public key of checkpoints, or a file with some (default those in DIR/keys)")
	externalFlags(cmd, &r.external)
	return cmd
}

func (a *app) restoreCopy(ctx context.Context, from string) error {
	m, err := copies.Restore(ctx, from, a.at.dir)
	if err == nil {
		a.note("%s has %d records of %s, the last of %s\n", a.at.dir, m.Sequence, m.Ledger, when(m.Recorded))
	}
	return err
}

func (a *app) restoreStream(ctx context.Context, r *restoring) error {
	opts := natsbus.Options{Dir: r.natsDir, Keys: operate.Nobody{}, Clock: a.Clock, Logger: a.logger()}
	if opts.Dir == "" {
		opts.Dir = filepath.Join(a.at.dir, "nats")
	}
	if r.external.URL != "" {
		opts.External = &r.external
	} else if _, err := os.Stat(opts.Dir); err != nil {
		return fmt.Errorf("there are no streams to restore from: %w", err)
	}
	if err := os.MkdirAll(a.at.dir, 0o700); err != nil {
		return err
	}
	bus, err := natsbus.Open(opts)
	if err != nil {
		return err
	}
	defer bus.Close()
	if err := openStreams(ctx, bus, r.external.URL != ""); err != nil {
		return err
	}
	from := copies.FromStream{
		Dir: a.at.dir, MasterKeyFile: a.at.masterKey, Logger: a.logger(),
		From: copies.Published{
			Records:     &publisher.Stream{JetStream: bus.JetStream(), ReadOnly: true},
			Checkpoints: bus.EachCheckpoint, Keys: bus.EachWrapped,
		},
	}
	if len(r.pub) > 0 {
		if from.Verifiers, err = publicKeys(r.pub); err != nil {
			return err
		}
	}
	step := a.stepper()
	from.Progress = func(done, total events.Seq) { step("taking records", done, total) }
	t, err := from.Run(ctx)
	if err == nil {
		a.noteTaken(&t)
	}
	return err
}

// errUnreached reports that a NATS server elsewhere does not answer.
var errUnreached = errors.New("the streams cannot be reached")

// openStreams opens the streams. Those of a server elsewhere must answer soon; an embedded one may have much to read first.
func openStreams(ctx context.Context, bus *natsbus.Bus, elsewhere bool) error {
	if !elsewhere {
		return bus.OpenStreams(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := bus.OpenStreams(ctx); err != nil {
		return fmt.Errorf("%w: %w", errUnreached, err)
	}
	return nil
}

func (a *app) noteTaken(t *copies.Taken) {
	if t.First == 0 {
		a.note("the stream has nothing that %s lacks: both have %d records of %s\n", a.at.dir, t.Last, t.Ledger)
		return
	}
	a.note("took records %d to %d of %s from the stream\n", t.First, t.Last, t.Ledger)
	switch {
	case t.Unproved() > 0:
		a.note("no checkpoint stands for the last %d of them\n", t.Unproved())
	case !t.Signatures:
		a.note("the signatures of checkpoints were not checked: there is no public key in %s; see --pub\n", a.at.dir)
	}
}

// verifyRestored verifies what was restored.
func (a *app) verifyRestored(ctx context.Context) error {
	report, err := a.verifyNow(ctx)
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
}
