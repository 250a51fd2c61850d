// Package verify checks a ledger against itself: everything that is derived is derived again and compared.
//
// # What is checked
//
//   - log: the bytes of the store, each record and its place, the balance of its postings, the Merkle tree, the
//     checkpoints and their signatures, and the index of idempotency keys ([ledger.Log.Check]);
//   - billing: each usage event is rated again from the catalog, each wallet added up, each invoice made again from its
//     usage: lines, counts, roots, sums, numbers and parties;
//   - views: all records are folded again from the first, and the digests of all projections compared with
//     those of the live views;
//   - snapshots: the same at the sequence of each snapshot, whose rows are read too;
//   - keys: the keys of personal data, of which there is one for each consumer that is not erased, and none for
//     one that is;
//   - signing: the private keys that checkpoints are signed with are keys of this ledger, and their public halves are
//     known ([ledger.CheckKeys]);
//   - stream: the published records are those of the log, byte by byte.
//
// A step that fails names the first bad record, or the file and the place in it. Later steps are tried
// nonetheless, but they end where the log cannot be read.
//
// Billing is checked by rules of this package's own, which share no code with those that decide.
package verify
