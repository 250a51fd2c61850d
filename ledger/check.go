package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/tlog"

	"tallystick/events"
)

// Report is what Check has looked at.
type Report struct {
	Head        Head        // of the log as it was checked
	Root        events.Hash // of its tree
	Tables      int         // files of the store
	Nodes       uint64      // stored nodes of the tree
	Keys        uint64      // dedupe keys
	Checkpoints uint64
	Signed      uint64 // of them, whose signatures were checked too
}

// Check reads the whole log and returns an error if anything in it is not as it must
// be: a [*CorruptError] that names the first bad record, or the file and the place in it.
// It looks at
//
//   - the checksums of all blocks of the store's files;
//   - each record: that it decodes, follows the one before it in sequence, ledger, time
//     and command, and balances;
//   - the tree: that the stored nodes are those of the records, no more and no less;
//   - the dedupe index: that it has every record's key, once, and nothing else, and that no
//     two records have the same key;
//   - the checkpoints: their roots, and their signatures if Options.Keys is set;
//   - that there is nothing else in the store.
//
// The log is checked as it is when Check begins; appending goes on meanwhile. progress,
// which may be nil, is told how many of how many records were read.
func (l *Log) Check(ctx context.Context, progress func(done, total events.Seq)) (Report, error) {
	if err := l.enter(); err != nil {
		return Report{}, err
	}
	defer l.leave()
	c := &checker{ctx: ctx, log: l, progress: progress, nodes: make(map[uint8]*pebble.Iterator)}
	if c.progress == nil {
		c.progress = func(events.Seq, events.Seq) {}
	}
	c.snap = l.db.NewSnapshot()
	err := c.check()
	for _, it := range c.nodes {
		err = errors.Join(err, it.Close())
	}
	return c.report, errors.Join(err, c.snap.Close())
}

// checker is one run of Check.
type checker struct {
	ctx      context.Context //nolint:containedctx // lives as long as the call
	log      *Log
	snap     *pebble.Snapshot
	progress func(done, total events.Seq)
	report   Report

	size events.Seq // of the log in snap
	head Head       // of what was read

	tree  frontier
	nodes map[uint8]*pebble.Iterator // of each level, before the next node

	nextCheckpoint func() (Checkpoint, error, bool)
	checkpoint     Checkpoint // the next, if anyCheckpoint
	anyCheckpoint  bool

	runs []*run // those not yet passed
	sums entrySums
	last *block // keys behind the runs
}

func (c *checker) check() error {
	if err := c.checkTables(); err != nil {
		return err
	}
	last, err := lastRecord(c.snap)
	if err != nil {
		return err
	}
	c.size = last.Seq
	if err := c.log.WaitDurable(c.ctx, c.size); err != nil {
		return err
	}
	if c.runs, err = loadRuns(c.snap, c.log.opts.blockBits); err != nil {
		return err
	}
	all := c.runs
	c.last = newBlock(afterRuns(all), c.log.opts.blockBits)
	if err := c.last.checkEnd(c.size); err != nil {
		return err
	}
	next, stop := iter.Pull2(checkpoints(c.snap, 0, false))
	defer stop()
	c.nextCheckpoint = next
	if err := c.advanceCheckpoint(); err != nil {
		return err
	}
	if err := c.source().scan(c.ctx, 1, c.size, nil, c.record); err != nil {
		return err
	}
	c.report.Head = c.head
	if c.size > 0 {
		c.report.Root = c.tree.root()
	}
	if c.anyCheckpoint {
		return &CorruptError{Seq: c.size + 1, What: fmt.Sprintf("missing; there is a checkpoint of %d records", c.checkpoint.Size)}
	}
	if err := c.checkUnique(all); err != nil {
		return err
	}
	return c.checkKeys(all)
}

func (c *checker) source() source { return source{c.snap, c.log.closed} }

// record checks the next record, and what comes with it.
func (c *checker) record(rec events.Record) error {
	if err := follows(c.head, &rec); err != nil {
		return &CorruptError{Seq: rec.Seq, Err: err}
	}
	c.head = headOf(&rec)
	if err := c.tree.add(rec.Hash, c.node); err != nil {
		return err
	}
	if key, ok := rec.DedupeKey(); ok {
		c.report.Keys++
		hash := c.log.index.hash(key)
		if len(c.runs) > 0 {
			c.sums.add(c.runs[0].entry(hash, rec.Seq))
		} else {
			c.last.add(hash, rec.Seq)
		}
	}
	if len(c.runs) > 0 && rec.Seq+1 == c.runs[0].first+c.runs[0].span() {
		if err := c.checkRun(c.runs[0]); err != nil {
			return err
		}
		c.runs, c.sums = c.runs[1:], entrySums{}
	}
	for c.anyCheckpoint && c.checkpoint.Size == rec.Seq {
		if err := c.checkCheckpoint(); err != nil {
			return err
		}
	}
	if rec.Seq%scanChunk == 0 || rec.Seq == c.size {
		c.progress(rec.Seq, c.size)
	}
	return nil
}

// node compares a node of the tree with the stored one.
func (c *checker) node(level uint8, index uint64, h tlog.Hash) error {
	it, ok := c.nodes[level]
	if !ok {
		var err error
		it, err = c.snap.NewIter(&pebble.IterOptions{LowerBound: treeKey(nil, level, 0), UpperBound: treeKey(nil, level+1, 0)})
		if err != nil {
			return err
		}
		c.nodes[level] = it
		it.First()
	} else {
		it.Next()
	}
	var v []byte
	err := it.Error()
	if err == nil && (!it.Valid() || !bytes.Equal(it.Key(), treeKey(nil, level, index))) {
		err = errors.New("it is missing")
	}
	if err == nil {
		v, err = it.ValueAndErr()
	}
	if err == nil && !bytes.Equal(v, h[:]) {
		err = errors.New("it is not the hash of the records under it")
	}
	if err != nil {
		return nodeError(level, index, err)
	}
	c.report.Nodes++
	return nil
}

// advanceCheckpoint reads the next checkpoint.
func (c *checker) advanceCheckpoint() (err error) {
	c.checkpoint, err, c.anyCheckpoint = c.nextCheckpoint()
	return err
}

// checkCheckpoint compares the checkpoint that is due with the tree.
func (c *checker) checkCheckpoint() error {
	cp := &c.checkpoint
	what := fmt.Sprintf("checkpoint of %d records", cp.Size)
	switch {
	case cp.Ledger != c.head.Ledger:
		return &CorruptError{What: fmt.Sprintf("%s is of ledger %s, not %s", what, cp.Ledger, c.head.Ledger)}
	case cp.Root != c.tree.root():
		return &CorruptError{What: fmt.Sprintf("%s has root %s, the records have %s", what, cp.Root, c.tree.root())}
	}
	if keys := c.log.opts.Keys; keys != nil {
		if _, err := ParseCheckpoint(cp.Note, keys); err != nil {
			return &CorruptError{What: what, Err: err}
		}
		c.report.Signed++
	}
	c.report.Checkpoints++
	return c.advanceCheckpoint()
}
