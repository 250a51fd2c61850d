// Package natsbus is the way to NATS: an embedded server or a connection to one
// elsewhere, who may do what there, and the streams.
//
// # Two accounts
//
// NATS lets a client name any subject as the reply subject of a request, and the server
// publishes its answer there with the server's own rights. So a client that may do no more than ask a
// consumer for messages can let the server publish to $JS.API.STREAM.DELETE.LEDGER, which deletes the
// ledger's stream, or put messages into another merchant's usage. Permissions do not help:
// they are not asked about reply subjects.
//
// Therefore clients never share an account with JetStream:
//
//   - TALLY, the books, has JetStream, our own connection, and the operators'.
//   - TALLY_DOOR, the door, has the merchants, the auditors, and our service that answers
//     commands. It has no JetStream, hence no API that could be reached by a reply subject.
//
// What the door needs of the books is imported (accounts.go). An answer from the books is
// delivered in the door, to clients and never on into an import, since all imports are of one
// export: the server takes that for a cycle. [Bus.OpenStreams] tries whether it does, and refuses a
// server that does not, or whose accounts are not as they must be.
//
// Commands are answered in the door itself, since crossing accounts costs three times as
// much as answering. There a request counts only if its reply subject is the asker's own
// ([InboxOf]): an answer of the server that was aimed at tally.cmd has none, or one below
// $JS.ACK.
//
// # What a key may do
//
// See [grant]. In short: a merchant may send commands, queries and usage of its own, and read
// through consumers that [Bus.OpenConsumer] made for this key; an auditor may query everything
// and read through such consumers; an operator is in the books and may do everything.
//
// # Concurrency
//
// All methods may be called from any goroutine, except that [Bus.Close] comes last. The
// goroutines are those of the embedded server and of the client library, which Close waits for.
package natsbus
