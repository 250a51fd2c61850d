// Package copies makes copies of a ledger's directory while it is in use, and directories of such copies.
//
// A copy is a directory like that of the ledger, without what is derived:
//
//	log/      the log, at a whole group
//	keys/     the keys of personal data and of checkpoints; copied after the log, so that every key that the
//	          log's records use is there
//	BACKUP    what it is a copy of, in JSON; written last, so a copy without it is not whole
//
// The views and the stream are made again from the log. The keys in a copy are as secret as those in the ledger's own
// directory, and bring back what was erased since: copies must be kept, and destroyed, accordingly.
package copies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"tallystick/events"
	"tallystick/ledger"
)

// The names of files in a directory.
const (
	manifestFile = "BACKUP"
	// RestoredFile marks a directory that was made from a copy: its log may be behind the stream that it was published to,
	// and must be compared with it before anything is appended (D18). Whoever has compared them removes it.
	RestoredFile = "RESTORED"
)

// Manifest says what a copy is a copy of.
type Manifest struct {
	Ledger   events.LedgerID `json:"ledgerId"`
	Sequence events.Seq      `json:"sequence"` // the copy has this record, and perhaps some more
	Root     events.Hash     `json:"root"`     // of the tree of so many records
	Recorded events.Time     `json:"recordedAt"`
}

// Keyring is what a copy needs of the keys of personal data.
type Keyring interface{ Backup(dir string) error }

// Backup copies a ledger that is open into dir, which must not exist. keys is the directory of the ledger's keys.
func Backup(log *ledger.Log, keyring Keyring, keys, dir string) (m Manifest, err error) {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%s: %w; a copy is made in a new directory", dir, fs.ErrExist)
	}
	m.Sequence = log.Durable()
	if m.Sequence == 0 {
		return m, errors.New("the ledger has no records yet")
	}
	rec, err := log.Record(m.Sequence)
	if err != nil {
		return m, err
	}
	m.Ledger, m.Recorded = rec.Ledger, rec.RecordedAt
	if m.Root, err = log.Root(m.Sequence); err != nil {
		return m, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return m, err
	}
	defer func() {
		if err != nil { // half a copy is none, and would be in the way of the next
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := log.Backup(filepath.Join(dir, "log")); err != nil {
		return m, err
	}
	copied := filepath.Join(dir, "keys")
	if err := os.Mkdir(copied, 0o700); err != nil {
		return m, err
	}
	if err := keyring.Backup(copied); err != nil {
		return m, fmt.Errorf("copying the keys: %w", err)
	}
	if err := copyMissing(keys, copied, "checkpoint.key", "checkpoint.pub"); err != nil {
		return m, fmt.Errorf("copying the keys of checkpoints: %w", err)
	}
	return m, writeManifest(dir, m)
}

// copyMissing copies those of the named files that there are in one directory and not in the other.
func copyMissing(from, to string, names ...string) error {
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(to, name)); err == nil {
			continue
		}
		err := copyFile(filepath.Join(from, name), filepath.Join(to, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncDir(to)
}

func writeManifest(dir string, m Manifest) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, manifestFile), append(b, '\n'))
}

// ReadManifest returns what the copy in dir is a copy of.
func ReadManifest(dir string) (m Manifest, err error) {
	b, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%s holds no whole copy of a ledger: the file %s, which is written last, is missing", dir, manifestFile)
	}
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return m, fmt.Errorf("reading %s: %w", filepath.Join(dir, manifestFile), err)
	}
	return m, nil
}

// Restore makes the directory dir of the copy in from, and marks it with [RestoredFile]. dir must not exist, or be
// empty. The log is opened, which looks at its end and its latest checkpoints, and must have what the manifest says.
func Restore(ctx context.Context, from, dir string) (m Manifest, err error) {
	if m, err = ReadManifest(from); err != nil {
		return m, err
	}
	if err := Empty(dir); err != nil {
		return m, err
	}
	// The mark comes first: whatever is there without the rest, nobody appends to it. The keys come before the log, without which there is no ledger.
	if err := writeFile(filepath.Join(dir, RestoredFile), []byte("compare with the stream before the first append\n")); err != nil {
		return m, err
	}
	for _, part := range []string{"keys", "log"} {
		if err := copyTree(ctx, filepath.Join(from, part), filepath.Join(dir, part)); err != nil {
			return m, fmt.Errorf("copying %s: %w; what is in %s is not whole: remove it", part, err, dir)
		}
	}
	return m, compare(dir, m)
}

// Empty returns nil if dir does not exist, or holds nothing; it is made if it does not.
func Empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(dir, 0o700)
	}
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty; a ledger is restored into a new directory", dir)
	}
	return err
}

// compare opens the log in dir and compares it with a manifest.
func compare(dir string, m Manifest) error {
	log, err := ledger.Open(filepath.Join(dir, "log"), ledger.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	root, err := log.Root(m.Sequence)
	switch {
	case err != nil:
	case log.Head().Ledger != m.Ledger:
		err = fmt.Errorf("the copy is of ledger %s, not %s", log.Head().Ledger, m.Ledger)
	case root != m.Root:
		err = fmt.Errorf("the tree of the first %d records has root %s, not %s", m.Sequence, root, m.Root)
	}
	return errors.Join(err, log.Close())
}

// copyTree copies a directory with all that is in it, and waits until it is on disk.
func copyTree(ctx context.Context, from, to string) error {
	var dirs []string
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			dirs = append(dirs, target)
			return os.MkdirAll(target, 0o700)
		}
		return copyFile(path, target)
	})
	for _, dir := range dirs {
		err = errors.Join(err, syncDir(dir))
	}
	return err
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, st.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// writeFile makes a file all at once.
func writeFile(path string, b []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
