// Package views keeps books on disk: the live views that queries read, snapshots of them, and states of the past.
//
// # Model
//
// A [Store] is all rows of the books at one sequence, in Pebble. Rows and the checkpoint that says which
// sequence that is are written together, so a store is never anything but books as they once were. Nothing waits for
// the disk but now and then: after a crash a store is found as it was a moment earlier, and the records after that are
// applied again. A store is disposable. The log is the truth.
//
// A [Runner] folds a log into a store, for as long as it runs. [Views] is the store in use, its runner, and the
// snapshots. A [Reader] is the rows at one sequence: of a store, of a snapshot, or of a moment in the past.
//
// # Directories
//
//	views/CURRENT      the number of the generation in use; replaced by rename
//	views/000007/      a generation: one store
//	snapshots/<seq>/   a copy of the store at that sequence, sharing its files, and the file SNAPSHOT with fold
//	                   version, ledger, sequence and leaf hash of the last record, written last, and again
//	                   with the digests when they are computed
//
// A rebuild makes the next generation beside the one in use. A generation, or a snapshot, with a file CONDEMNED was
// found to be corrupt and is not used again.
//
// # Keys of a store
//
//	00              the checkpoint: fold version, sequence (uvarints), ledger (16 bytes), leaf hash (32 bytes)
//	01 to ff        rows; the first byte is that of the table, see package projections
//
// # Goroutines
//
// Two for each runner, started by [StartRunner] and ended by [Runner.Stop]: one asks the follower, the other folds and
// flushes. Of [Views]: one that takes snapshots, one that computes their digests, one for each runner that waits for its end, one for each generation
// that was replaced, which waits for its last reader. [Views.Close] waits for all of them.
//
// Lock order: Views.rebuild and snapshots.taking before Views.mu; Runner.mu, snapshots.mu and failure.mu are taken
// last. No lock but the first two is held during I/O.
package views
