// Package natsdoor is how commands, queries and usage come in over NATS, and how answers go out.
//
// # Model
//
//	tally.cmd.<scope>.<Command>    a request; the reply is the receipt, once it is on disk
//	tally.query.<scope>.<Query>    a request; the reply is the answer
//	tally.usage.<merchantId>       usage without a reply, by way of the stream USAGE
//
//	… .<keyId>                     behind each of these: the same, in the name of one key
//
//	tally.rejected.<merchantId>    where refused usage of the stream goes
//
// A scope is a merchant's id, or _operator. A [Door] decodes requests with package wire, gives them to the sequencer, and
// answers when the sequencer does. A refusal has the reply headers of a NATS service error, with the code, besides its
// receipt; a batch has a receipt for each entry and no such headers.
//
// The door answers to the discovery of NATS services ($SRV.PING, INFO, STATS) as "tally". It does not use
// micro.AddService for it: that measures how long a handler runs, while here a request is answered long after its
// handler has returned, and it cannot say when a drained endpoint has handed over its last message.
//
// # Who is asking
//
// NATS tells a subscriber the subject and the reply subject of a message, and not who sent it. Permissions
// say who may publish to a subject and who receives at one; nothing says which reply subject a client may name. So a request
// is taken only if [Callers] can tell from its reply subject who it is from, and is answered nowhere else; and what it may do is bounded
// by its subject: on a merchant's subjects nobody can publish but that merchant's keys and operators, and on those that name a key behind the
// command nobody but that key. So a request that names its key is known to be that key's, and is recorded as such; one that names
// none is some key's of the merchant. Everything else is dropped
// without an answer (D22): requests without a reply subject, and whatever a stream
// or a consumer was talked into delivering to the command subjects.
//
// # Order
//
// Commands for one merchant are decided in the order in which they were sent, except those that have to wait before they can be
// read (see [wire.Waits]): whoever needs one of these to come before another command awaits its receipt.
//
// # Load
//
// Everything is bounded: requests that wait to be decoded, bytes under way, requests that wait for a key or the
// views, and the sequencer's queue. A request that does not fit is answered BUSY at once. Usage from the stream is never refused
// for load: the door stops pulling (D11).
//
// # Usage from the stream
//
// A message is acknowledged when all its entries are on disk, or are stored in the stream REJECTED with the reason and the
// original. A crash in between makes NATS deliver it again, which is harmless: usage carries idempotency keys. What
// can be expected to pass soon, such as a test clock on its way, is tried again later. Every other refusal is
// final, so that no message can hold up those behind it. The command RedriveRejected tries refused usage once more.
//
// # Goroutines
//
// [Open] starts, and [Door.Close] awaits:
//
//   - lanes (requests.go), which decode, each with a decoder of its own;
//   - waiters (requests.go), one for each request that must wait or be looked up, at most Options.MaxWaiting;
//   - replies (outbox.go), which encodes and sends answers, so that the sequencer's answering goroutine never waits for a socket;
//   - usage and refusals (usage.go, refusals.go), once [Door.OpenStreams] has been called: one pulls, the other stores what is refused.
//
// Besides these NATS runs one goroutine for each subscription, which calls the intake (requests.go).
// Locks: Door.gate before outbox.mu; window.mu alone. None is held during I/O.
package natsdoor
