package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"tallystick/events"
)

// Checkpoint is the tree at one size, signed: a C2SP tlog-checkpoint (D33). Its text is
//
//	tallystick/<ledgerId>
//	<size>
//	<root in base64>
//
// and a blank line and signatures follow. Who holds a checkpoint can have it proved
// that any later one only adds to it.
type Checkpoint struct {
	Ledger events.LedgerID
	Size   events.Seq // at least 1
	Root   events.Hash
	Note   []byte // as signed
}

// Origin returns the first line of the ledger's checkpoints. It is also the name of
// the keys that sign them.
func Origin(ledger events.LedgerID) string { return "tallystick/" + ledger.String() }

func (c *Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", Origin(c.Ledger), c.Size, c.Root)
}

// ParseCheckpoint reads a checkpoint. At least one of the keys must have signed it. If
// keys is nil the signatures are not looked at.
func ParseCheckpoint(b []byte, keys note.Verifiers) (Checkpoint, error) {
	var text string
	if keys != nil {
		n, err := note.Open(b, keys)
		if _, unknown := errors.AsType[*note.UnverifiedNoteError](err); unknown {
			return Checkpoint{}, fmt.Errorf("checkpoint: none of the public keys that are given, or are in %s, has signed it", PublicKeyFile)
		}
		if err != nil {
			return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
		}
		text = n.Text
	} else {
		end := strings.Index(string(b), "\n\n")
		if end < 0 {
			return Checkpoint{}, errors.New("checkpoint: no signed note")
		}
		text = string(b[:end+1])
	}
	lines := strings.Split(text, "\n")
	if len(lines) < 4 { // what follows is an extension, which we ignore
		return Checkpoint{}, errors.New("checkpoint: fewer than three lines")
	}
	c := Checkpoint{Note: b}
	id, ok := strings.CutPrefix(lines[0], "tallystick/")
	if !ok {
		return Checkpoint{}, fmt.Errorf("checkpoint: origin %.80q is no ledger of this kind", lines[0])
	}
	var err error
	if err = c.Ledger.UnmarshalText([]byte(id)); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: origin: %w", err)
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || size == 0 || strconv.FormatUint(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("checkpoint: %.40q is no size", lines[1])
	}
	c.Size = events.Seq(size)
	if err := c.Root.UnmarshalText([]byte(lines[2])); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: root: %w", err)
	}
	return c, nil
}

// Sign signs the tree over all durable records, of which there must be one. It does
// not store the checkpoint.
func (l *Log) Sign(s *Signer) (Checkpoint, error) {
	if err := l.Err(); err != nil {
		return Checkpoint{}, err
	}
	c := Checkpoint{Size: l.Durable(), Ledger: l.Head().Ledger}
	var err error
	if c.Root, err = l.Root(c.Size); err != nil {
		return c, fmt.Errorf("checkpoint: %w", err)
	}
	if c.Note, err = s.sign(c.text()); err != nil {
		return c, fmt.Errorf("checkpoint: %w", err)
	}
	return c, nil
}

// StoreCheckpoint keeps a checkpoint and returns when it is on disk. Its root must be
// that of the log. One of the same size is kept as it is.
func (l *Log) StoreCheckpoint(c Checkpoint) error {
	if err := l.verifyRoot(&c); err != nil {
		return err
	}
	if err := l.enter(); err != nil {
		return err
	}
	defer l.leave()
	_, err := get(l.db, checkpointKey(c.Size))
	if errors.Is(err, pebble.ErrNotFound) {
		if err = l.write(checkpointKey(c.Size), c.Note); err == nil {
			err = l.writeWitness(c.Note)
		}
	}
	return err
}

// verifyRoot returns nil if c is a checkpoint of this log.
func (l *Log) verifyRoot(c *Checkpoint) error {
	if ledger := l.Head().Ledger; c.Ledger != ledger {
		return fmt.Errorf("checkpoint of %d records is of ledger %s, not %s", c.Size, c.Ledger, ledger)
	}
	root, err := l.Root(c.Size)
	if err != nil {
		return err
	}
	if root != c.Root {
		return fmt.Errorf("checkpoint of %d records has root %s, the log %s", c.Size, c.Root, root)
	}
	return nil
}

// Checkpoints returns the stored checkpoints of at least from records, the smallest
// first. Their signatures are not looked at.
func (l *Log) Checkpoints(from events.Seq) iter.Seq2[Checkpoint, error] {
	return func(yield func(Checkpoint, error) bool) {
		if err := l.enter(); err != nil {
			yield(Checkpoint{}, err)
			return
		}
		defer l.leave()
		for c, err := range checkpoints(l.db, from, false) {
			if !yield(c, err) {
				return
			}
		}
	}
}

// LatestCheckpoint returns the largest stored checkpoint, and whether there is one.
func (l *Log) LatestCheckpoint() (Checkpoint, bool, error) {
	if err := l.enter(); err != nil {
		return Checkpoint{}, false, err
	}
	defer l.leave()
	for c, err := range checkpoints(l.db, 0, true) {
		return c, err == nil, err
	}
	return Checkpoint{}, false, nil
}

// checkpoints returns the checkpoints in db of at least from records, in order or the
// other way round. After an error there are no more.
func checkpoints(db pebble.Reader, from events.Seq, backwards bool) iter.Seq2[Checkpoint, error] {
	return func(yield func(Checkpoint, error) bool) {
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: checkpointKey(from), UpperBound: []byte{prefixCheckpoint + 1}})
		if err != nil {
			yield(Checkpoint{}, err)
			return
		}
		defer func() { _ = it.Close() }() // its errors are those of it.Error
		first, next := it.First, it.Next
		if backwards {
			first, next = it.Last, it.Prev
		}
		for ok := first(); ok; ok = next() {
			c, err := readCheckpoint(it)
			if !yield(c, err) || err != nil {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(Checkpoint{}, corruption(0, "checkpoints", err))
		}
	}
}

func readCheckpoint(it *pebble.Iterator) (Checkpoint, error) {
	size, err := seqOfKey(it.Key())
	if err != nil {
		return Checkpoint{}, &CorruptError{What: "checkpoints", Err: err}
	}
	what := fmt.Sprintf("checkpoint of %d records", size)
	v, err := it.ValueAndErr()
	if err != nil {
		return Checkpoint{}, corruption(0, what, err)
	}
	c, err := ParseCheckpoint(append([]byte(nil), v...), nil)
	if err == nil && c.Size != size {
		err = fmt.Errorf("it says that it has %d", c.Size)
	}
	if err != nil {
		return Checkpoint{}, &CorruptError{What: what, Err: err}
	}
	return c, nil
}

// checkpointsAtOpen is how many checkpoints Open compares with the tree.
const checkpointsAtOpen = 3

// checkCheckpoints compares the latest checkpoints with the tree, and their signatures
// with the keys, if there are any. One that covers more records than there are says
// that the log has lost some.
func (l *Log) checkCheckpoints() error {
	n := 0
	for c, err := range checkpoints(l.db, 0, true) {
		if err != nil {
			return err
		}
		if c.Size > l.durable {
			return &CorruptError{Seq: l.durable + 1, What: fmt.Sprintf("missing; there is a checkpoint of %d records", c.Size)}
		}
		if l.opts.Keys != nil {
			_, err = ParseCheckpoint(c.Note, l.opts.Keys)
		}
		if err == nil {
			err = l.verifyRoot(&c)
		}
		if err != nil {
			return &CorruptError{What: fmt.Sprintf("checkpoint of %d records", c.Size), Err: err}
		}
		if n++; n == checkpointsAtOpen {
			break
		}
	}
	return nil
}

// witnessFile holds the latest checkpoint, outside of Pebble. Pebble takes a damaged end of
// its MANIFEST for one that was not written, and so could lose its newest files, with
// the records in them, and say nothing. The witness knows better.
const witnessFile = "checkpoint"

func (l *Log) writeWitness(b []byte) error {
	l.witnessMu.Lock()
	defer l.witnessMu.Unlock()
	disk := l.opts.FS
	target := disk.PathJoin(l.dir, witnessFile)
	f, err := disk.Create(target+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.Clone(b)) // which may be changed by a vfs.File
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := disk.Rename(target+".new", target); err != nil {
		return err
	}
	return syncDir(disk, l.dir)
}

func syncDir(disk vfs.FS, name string) error {
	d, err := disk.OpenDir(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkWitness compares the witness, if there is one, with the log.
func (l *Log) checkWitness() (err error) {
	f, err := l.opts.FS.Open(l.opts.FS.PathJoin(l.dir, witnessFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closeInto(f, &err)
	b, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	c, err := ParseCheckpoint(b, l.opts.Keys)
	if err != nil {
		return &CorruptError{What: "file " + witnessFile, Err: err}
	}
	if c.Size > l.durable {
		return &CorruptError{Seq: l.durable + 1, What: fmt.Sprintf("missing; file %s is of %d records", witnessFile, c.Size)}
	}
	if err := l.verifyRoot(&c); err != nil {
		return &CorruptError{What: "file " + witnessFile, Err: err}
	}
	return nil
}
