// Package ledger keeps the one append-only log from which everything else is
// derived.
//
// # Model
//
// The log is a sequence of records, numbered 1, 2, 3… without gaps. Beside them it
// keeps the dedupe key of each record that has one, the inner hashes of the RFC 6962
// tree whose leaves are the records, and signed checkpoints of that tree. It knows
// records, postings and sequence numbers, and nothing of billing.
//
// # What an append guarantees
//
// [Log.Append] takes records that were numbered, encoded and hashed before. A group
// is written all together or not at all, in one write with its keys and hashes, in
// order: after a crash the log ends after a whole group, and no group is missing
// before it. Append returns before the group is on disk; [Log.WaitDurable] returns
// when it is. Nothing is shown to readers or followers before it is on disk; the one
// exception is [Log.Lookup], which the rules ask, and whose answers they hold
// back until what they rest on is durable.
//
// Records, keys and tree are never changed once written.
//
// # Failure
//
// When a write fails, or may have, the log is marked failed: every method says
// [ErrFailed] from then on, and whether the groups in flight were written is unknown
// until a new process opens the log. Repeating the commands, under their keys, is
// safe. See failure.go for what Pebble does meanwhile.
//
// # Concurrency
//
// Append and Import belong to one goroutine, the sequencer; all other methods may be
// called from any. [Open] starts three goroutines, which [Log.Close] ends:
//
//   - the committer (commit.go) writes groups to Pebble, which shows them in memory
//     and hands them to its own log writer;
//   - the syncer (commit.go) waits until the write is on disk, and raises the durable
//     sequence;
//   - the indexer (merge.go) keeps the dedupe index small and fast.
//
// Lock order: Log.appendMu, then index.swap, then Log.mu, then index.mu. Neither of the
// mutexes named mu is held while calling into Pebble.
package ledger
