package ledger

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"tallystick/events"
)

// Backup writes a copy of the log into dir, which must not exist and must be on the
// same file system as the log. The copy is a log that can be opened: it ends at what
// was durable when Backup was called, or after a later whole group. Appending goes on
// meanwhile. Files that do not change any more are linked, not copied.
func (l *Log) Backup(dir string) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.leave()
	if err := l.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("copying the ledger to %s: %w", dir, err)
	}
	return nil
}

// Import is Append for records that were appended to this ledger before and come back
// as their bytes, as from a stream that is ahead of a restored log (D18). It makes the
// same checks and keeps the bytes, which belong to the log afterwards.
func (l *Log) Import(encoded [][]byte) error {
	records := make([]events.Record, len(encoded))
	for i, b := range encoded {
		var err error
		if records[i], err = events.DecodeRecord(b); err != nil {
			return refuse(l.Head().Seq+events.Seq(i)+1, "%v", err)
		}
	}
	return l.Append(records)
}
