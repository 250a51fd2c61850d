package copies

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"tallystick/events"
	"tallystick/ledger"
	"tallystick/ledger/keyring"
	"tallystick/ledger/publisher"
	"tallystick/projections"
)

// Published is what a ledger has published: its records, its checkpoints, and its wrapped keys.
type Published struct {
	Records     publisher.Target
	Checkpoints func(ctx context.Context, fn func(note []byte) error) error
	Keys        func(ctx context.Context, fn func(consumer events.OrganizationID, wrapped []byte) error) error
}

// FromStream says how a ledger is brought up to what it has published.
type FromStream struct {
	Dir           string
	From          Published
	Verifiers     note.Verifiers // of checkpoints; nil: those of the directory, if it has any
	MasterKeyFile string         // default: in the directory
	Logger        *slog.Logger
	Progress      func(done, total events.Seq) // may be nil
}

// Taken is what was taken from the stream.
type Taken struct {
	Ledger     events.LedgerID `json:"ledgerId"`
	First      events.Seq      `json:"firstSequence,omitzero"` // 0: there was nothing to take
	Last       events.Seq      `json:"lastSequence"`
	Checked    events.Seq      `json:"checkpointSequence"` // the last checkpoint that the records were compared with
	Signatures bool            `json:"signatures"`         // whether its signature was checked
	Keys       int             `json:"keys"`               // wrapped keys that the mirror had
}

// Unproved returns how many records no checkpoint stands for.
func (t *Taken) Unproved() events.Seq { return t.Last - max(t.Checked, t.First-1) }

// Run takes the tail of the stream into the log (D18), and the keys that the directory lacks. The directory may be that of an
// older copy, or new. Nothing is taken unless the stream goes on where the log ends, without a gap, and
// its tree is that of every checkpoint that was published of it.
//
// If it fails, for a wrong master key for instance, it can be called again on the same directory.
func (f FromStream) Run(ctx context.Context) (t Taken, err error) {
	if err := f.hasMaster(); err != nil {
		return t, err
	}
	dir := filepath.Join(f.Dir, "log")
	_, err = os.Stat(dir)
	log, err := ledger.Open(dir, ledger.Options{Create: errors.Is(err, fs.ErrNotExist), Logger: f.Logger})
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	p := publisher.New(publisher.Options{Log: log, Target: f.From.Records, Logger: f.Logger})
	c, err := p.Compare(ctx)
	if err != nil {
		return t, err
	}
	t.Last = c.Log
	if c.Relation == publisher.Ahead {
		t.First, t.Last = c.Log+1, c.Stream.Last
		if err := f.prove(ctx, log, p, c, &t); err != nil {
			return t, err
		}
		if err := f.take(ctx, log, p, c); err != nil {
			return t, err
		}
	}
	t.Ledger = log.Head().Ledger
	if t.Keys, err = f.keys(ctx); err != nil {
		return t, err
	}
	err = os.Remove(filepath.Join(f.Dir, RestoredFile)) // it is compared now
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return t, err
}

// prove compares the tree of the log with the stream's tail behind it with every checkpoint that was published of it.
func (f FromStream) prove(ctx context.Context, log *ledger.Log, p *publisher.Publisher, c publisher.Comparison, t *Taken) error {
	checkpoints, err := f.checkpoints(ctx, c, t)
	if err != nil {
		return err
	}
	var tree projections.Frontier
	add := func(b []byte) error {
		tree.Append(events.LeafHash(b))
		for len(checkpoints) > 0 && uint64(checkpoints[0].Size) <= tree.Size {
			if next := &checkpoints[0]; uint64(next.Size) == tree.Size {
				if next.Root != tree.Root() {
					return fmt.Errorf("the stream is not what was signed: the tree of %d records has root %s, the checkpoint %s",
						next.Size, tree.Root(), next.Root)
				}
				t.Checked = next.Size
			}
			checkpoints = checkpoints[1:]
		}
		return nil
	}
	err = log.ScanBytes(ctx, 1, c.Log, func(_ events.Seq, b []byte) error { return add(b) })
	if err != nil {
		return err
	}
	return p.Tail(ctx, c, func(group [][]byte) error {
		for _, b := range group {
			if err := add(b); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkpoints returns those that say something about the tail, smallest first.
func (f FromStream) checkpoints(ctx context.Context, c publisher.Comparison, t *Taken) (list []ledger.Checkpoint, err error) {
	keys := f.Verifiers
	if keys == nil {
		texts, err := ledger.ReadKeys(filepath.Join(f.Dir, "keys"))
		if err != nil {
			return nil, err
		}
		if len(texts) > 0 {
			if keys, err = ledger.Verifiers(texts...); err != nil {
				return nil, err
			}
		}
	}
	t.Signatures = keys != nil
	err = f.From.Checkpoints(ctx, func(b []byte) error {
		cp, err := ledger.ParseCheckpoint(append([]byte(nil), b...), keys)
		if err != nil {
			return fmt.Errorf("a published checkpoint: %w", err)
		}
		if cp.Size > c.Log && cp.Size <= c.Stream.Last {
			list = append(list, cp)
		}
		return nil
	})
	slices.SortFunc(list, func(a, b ledger.Checkpoint) int { return int(int64(a.Size) - int64(b.Size)) })
	return list, err
}

// take imports the tail of the stream.
func (f FromStream) take(ctx context.Context, log *ledger.Log, p *publisher.Publisher, c publisher.Comparison) error {
	total := c.Stream.Last - c.Log
	err := p.Tail(ctx, c, func(group [][]byte) error {
		if err := log.Import(group); err != nil {
			return err
		}
		if f.Progress != nil {
			f.Progress(log.Head().Seq-c.Log, total)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return log.WaitDurable(ctx, c.Stream.Last)
}

// hasMaster returns an error if there is no master key. A new one would open none of the published keys.
func (f FromStream) hasMaster() error {
	name := f.MasterKeyFile
	if name == "" {
		name = filepath.Join(f.Dir, "keys", "master.key")
	}
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: there is no file %s; give the master key of the ledger that was published with --master-key-file", keyring.ErrMasterKey, name)
	}
	return nil
}

// keys brings back the keys that the directory lacks from their mirror, and returns how many the mirror has. It goes on where it was
// cut off before.
func (f FromStream) keys(ctx context.Context) (n int, err error) {
	keys, err := keyring.Open(filepath.Join(f.Dir, "keys"), keyring.Options{Create: true, Restoring: true, MasterKeyFile: f.MasterKeyFile})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	var batch []keyring.Entry
	flush := func() error {
		err := keys.RestoreMany(batch)
		batch = batch[:0]
		if errors.Is(err, keyring.ErrMasterKey) {
			return fmt.Errorf("the published keys are wrapped by another master key: give it with --master-key-file: %w", err)
		}
		if errors.Is(err, keyring.ErrErased) {
			return nil // destroyed here since: the mirror is told when the ledger is served again
		}
		return err
	}
	err = f.From.Keys(ctx, func(consumer events.OrganizationID, wrapped []byte) error {
		n++
		batch = append(batch, keyring.Entry{Consumer: consumer, Wrapped: append([]byte(nil), wrapped...)})
		if len(batch) < 1000 {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return n, err
}
