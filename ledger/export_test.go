package ledger

import "github.com/cockroachdb/pebble/v2"

// Store gives tests what lies under the log.
func (l *Log) Store() *pebble.DB { return l.db }

// Small makes blocks of the dedupe index so small that tests fill and merge many, and the
// memory of Pebble so small that they flush and compact it.
func (o Options) Small() Options {
	o.blockBits = 4
	o.memTableBytes = 64 << 10
	return o
}

// Keys of the store, for tests that damage it.
var (
	RecordKey     = recordKey
	TreeKey       = treeKey
	CheckpointKey = checkpointKey
)
