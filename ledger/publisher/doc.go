// Package publisher carries the records of the log outward to the JetStream stream
// LEDGER: in order, each exactly once, the bytes as they are.
//
// # Model
//
// The sequence of a record in the stream is its sequence in the log. That is the whole
// idea: each message carries the one header Nats-Expected-Last-Sequence, so the stream
// takes record n only when it ends with record n-1, and refuses it otherwise. No other
// state says what has been published; after any failure the stream itself is asked
// where it ends, its records since the last acknowledgement are compared with the
// log's, and publishing goes on behind them.
//
// # Acknowledgements
//
// Since a message is stored only behind its predecessor, an acknowledgement of one proves
// all before it, as long as nobody else writes. So only every 512th message, and the last
// of those at hand, names a reply subject and is acknowledged: making, carrying and
// parsing an acknowledgement costs as much as storing the record.
//
// That nobody else writes is seen to by the stream's private prefix, which is new with each
// instance that opens it ([Stream]). Who reads it from the stream's configuration can still
// put in a record. At rest that is noticed: the first record after a pause is sent alone and
// waited for. In the midst of a flow the record whose place was taken is refused without
// a word, and only `tally verify` and the readers of the stream find out.
//
// # The wire
//
// Inside one process records go through a hand-written writer of the NATS protocol over a
// pipe ([NewConnWire]): publisher and server together use a fifth less CPU than with the
// client library's Publish and its header map, and get twice as far in the same time.
// To a server elsewhere they go through the library ([NewWire]). BenchmarkPublisher
// and BenchmarkRaw measure both beside what they are to be compared with.
//
// JetStream's batch publishing was measured and left: the atomic kind stages each message
// once more and needs headers of its own; the fast kind saves nothing, since each
// message names a long reply subject instead, and its batches do not outlive a pause of ten seconds.
//
// # Failure
//
// [Publisher.Run] goes on for ever over lost connections, missing streams and streams that have lost
// their end, waiting longer each time up to a bound. It gives up, with a [*ConflictError], when
// the stream holds a record that the log does not: then somebody else
// writes to it, or the log is not the one that the stream was published from, and to go
// on would spread two histories.
//
// # Concurrency
//
// Run belongs to one goroutine, which owns the session; it starts the watchdog
// (session.go) and, on either wire, the goroutine that reads acknowledgements, and waits for both.
// All other methods may be called from any goroutine. Lock order: session.mu, then
// Publisher.mu. No lock is held while calling into NATS or the log.
package publisher
