package ledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/ledger"
)

// TestWrittenOnce checks that what the log holds sinks to the last level of its store without being written again, but for a
// little: the records, and most of the dedupe index and of the tree.
func TestWrittenOnce(t *testing.T) {
	log, err := ledger.Open("log", ledger.Options{FS: vfs.NewMem(), Create: true}.Small())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	db := log.Store()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	m := newMaker(11, 2)
	for range 40 {
		records := m.group(t, 300)
		if err := log.Append(records); err != nil {
			t.Fatal(err)
		}
		if err := log.WaitDurable(ctx, records[len(records)-1].Seq); err != nil {
			t.Fatal(err)
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
		for tick := time.NewTicker(time.Millisecond); ; <-tick.C { // until it has sunk
			at := db.Metrics()
			if at.Levels[0].TablesCount == 0 && at.Compact.NumInProgress == 0 {
				tick.Stop()
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("the store is not done with its tables:\n%s", at)
			}
		}
	}
	at := db.Metrics()
	var moved, rewritten uint64
	for i := range at.Levels {
		moved += at.Levels[i].TableBytesMoved
		rewritten += at.Levels[i].TableBytesCompacted
	}
	if flushed := at.Levels[0].TableBytesFlushed; moved < flushed/2 || rewritten > flushed/3 {
		t.Errorf("of %d bytes in the tables of flushes, %d sank as they were; compactions wrote %d\n%s", flushed, moved, rewritten, at)
	}
}
