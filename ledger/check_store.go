package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"tallystick/events"
)

// checkTables compares every block of the store's files with its checksum.
func (c *checker) checkTables() error {
	names, err := c.tables()
	if err != nil {
		return err
	}
	for name := range names {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		err := c.checkTable(name)
		if errors.Is(err, fs.ErrNotExist) { // perhaps a compaction has made others of it
			var now map[string]bool
			if now, err = c.tables(); err == nil && now[name] {
				err = fs.ErrNotExist
			}
		}
		if err != nil {
			return &CorruptError{What: "file " + name, Err: err}
		}
		c.report.Tables++
	}
	return nil
}

// tables returns the names of the store's files that are in use.
func (c *checker) tables() (map[string]bool, error) {
	levels, err := c.log.db.SSTables()
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool)
	for _, level := range levels {
		for i := range level {
			names[fmt.Sprintf("%06d.sst", uint64(level[i].BackingSSTNum))] = true
		}
	}
	return names, nil
}

func (c *checker) checkTable(name string) error {
	vfs := c.log.opts.FS
	f, err := vfs.Open(vfs.PathJoin(c.log.dir, name))
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r, err := sstable.NewReader(context.Background(), readable, c.log.readerOptions)
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	return errors.Join(r.ValidateBlockChecksums(), r.Close())
}

// checkKeys returns an error if the store holds anything but what was looked at.
func (c *checker) checkKeys(runs []*run) (err error) {
	it, err := c.snap.NewIter(nil)
	if err != nil {
		return err
	}
	defer closeInto(it, &err)
	known := make(map[[2]uint64]bool)
	for _, r := range runs {
		known[[2]uint64{uint64(r.level), uint64(r.first)}] = true
	}
	nodes := uint64(0)
	for ok := it.First(); ok; {
		key := it.Key()
		switch key[0] {
		case prefixTree:
			nodes++
			ok = it.Next()
		case prefixIndex:
			r, err := runOfKey(key, c.log.opts.blockBits)
			if err != nil {
				return err
			}
			if !known[[2]uint64{uint64(r.level), uint64(r.first)}] && !c.begun(r, known) {
				return &CorruptError{What: fmt.Sprintf("%s has entries, and is none", r)}
			}
			ok = it.SeekGE(r.after())
		case prefixCursor:
			v, err := it.ValueAndErr()
			if err != nil {
				return corruption(0, "a cursor", err)
			}
			if seq, err := parseSeqValue(v); err != nil || seq > c.size {
				return errors.Join(&CorruptError{What: fmt.Sprintf("cursor %q is at record %d of %d", key[1:], seq, c.size)}, err)
			}
			ok = it.Next()
		case prefixMeta:
			if name := string(key[1:]); name != "format" && name != "seed" {
				return &CorruptError{What: fmt.Sprintf("unknown key %q", key)}
			}
			ok = it.Next()
		case prefixRecord, prefixCheckpoint:
			ok = it.SeekGE([]byte{key[0] + 1})
		default:
			return &CorruptError{What: fmt.Sprintf("unknown key %q", key)}
		}
	}
	if err := it.Error(); err != nil {
		return corruption(0, "", err)
	}
	if nodes != c.report.Nodes {
		return &CorruptError{What: fmt.Sprintf("%d nodes of the tree are stored, the records have %d", nodes, c.report.Nodes)}
	}
	return nil
}

// begun reports whether r is a merge that was not finished: all its parts are there.
func (c *checker) begun(r *run, known map[[2]uint64]bool) bool {
	if r.level == 0 || (r.first-1)%r.span() != 0 {
		return false
	}
	part := r.span() >> fanBits
	for i := range events.Seq(1) << fanBits {
		if !known[[2]uint64{uint64(r.level - 1), uint64(r.first + i*part)}] {
			return false
		}
	}
	return true
}

// readerOptions returns how Pebble's files are read apart from Pebble.
func readerOptions(p *pebble.Options) sstable.ReaderOptions {
	p.EnsureDefaults()
	return p.MakeReaderOptions()
}
