// Package wire reads commands from JSON and writes their answers. Every door uses it, so that
// the same body means the same over NATS, over HTTP and at the command line.
//
// # Model
//
// A [Decoder] takes the name of a command, the merchant that it is for, who asks, and the
// body. It returns [Work]: requests for the sequencer, with what could not become a request refused by
// itself. [Work.AppendAnswer] puts both together again, in the order of the body.
//
// # What is refused
//
// The write door is strict (D3): a field that a command does not have, a field given twice, another
// type than the field's, a number that does not fit, text that is not UTF-8, more than [maxDepth] levels of
// nesting, anything after the end. The refusal has the code INVALID and names the field and what to do. A
// field that the API has and that this ledger does not act upon yet is refused too, unless
// it has the value that changes nothing: nothing is dropped in silence. In a batch, an
// entry that is well-formed JSON and no usage event is refused alone.
//
// # Who may do what
//
// An auditor writes nothing. A merchant's key acts for its own merchant; any other merchant is answered like
// one that does not exist (D10). An operator acts for any merchant, or for none: then a merchantId in the body names
// it. Otherwise a merchantId in the body must be the merchant that the door was told.
//
// # Personal data
//
// What a client sends about a consumer is sealed here under the consumer's key, before anything else
// sees it (D4); sealed.go lists what that is. Of a consumer that was erased nothing is sealed and
// nothing kept: the command goes on without.
//
// # Content hash
//
// A command that carries an idempotency key also carries the keyed hash of its canonical form (D8): of
// the decoded values, before they are sealed, each under its name, in a fixed order, without those that are absent or
// have their default. So it does not depend on the order of fields or of metadata, on white space and escapes,
// or on the zone and precision in which a time is written; and a field that is added later
// does not change the hashes of commands without it. The idempotency key, the merchant and the caller are not part of it.
// The order of an array's elements is.
//
// # Concurrency
//
// One goroutine at a time may use a Decoder; a door has one for each of its workers. Work that it returned may be used, and
// released, by any goroutine. No goroutine is started.
package wire
