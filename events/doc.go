// Package events holds the facts of the ledger and the form they are kept in.
//
// # Model
//
// An [Event] is something that happened. A [Record] is an event where it stands
// in the log: its [Envelope] says at which [Seq], when, on whose behalf and by
// whose command. The encoded record is what is hashed, stored and published; it
// is never encoded a second time, so a reader that does not know a field of it
// passes that field on unharmed.
//
// # Wire form
//
// Records are CBOR in the core deterministic encoding of RFC 8949: maps with
// small integer keys, shortest integers, definite lengths. The schema is
// schema.cddl beside this file. Types evolve by adding optional fields; a change
// of meaning is a new version of the type's name ([Kind]). Readers ignore fields
// that they do not know.
//
// # Money
//
// Amounts are [Nanos], billionths of a currency's unit; balances are [Sum], 128
// bits wide. Arithmetic on either happens in money.go alone and is checked.
//
// # Concurrency
//
// Everything here is a value. Nothing starts a goroutine or keeps state; a
// Record and what it points to must not be changed once it has been encoded.
package events
