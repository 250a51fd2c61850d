// Package query answers questions about the ledger from the views and the log. It changes nothing.
//
// # Model
//
// An answer is read from one consistent copy of the books, and says in its sequence which
// record that copy is current to. A caller that has a receipt asks for at least its
// sequence ([At.AtLeast]) and so reads its own write. The same questions can be asked about the
// past ([At.AsOf], [At.AsOfTime], [At.Clock]).
//
// Each question is a method of [Service]; [Service.Query] is the same by name, JSON in and
// JSON out. Amounts in JSON are nanos as strings of digits, in fields that end in Nanos.
//
// # Who may see what
//
// A merchant sees what is its own; what is another's is answered like what does
// not exist. Operators and auditors see everything.
//
// # Personal data
//
// Names, addresses and the like are opened with the keyring as it is now, also in answers about the
// past: of an erased consumer there is nothing to read at any sequence.
//
// # Concurrency
//
// All methods may be called from any goroutine. None is started.
package query
