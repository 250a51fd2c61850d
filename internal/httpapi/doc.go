// Package httpapi is the door for HTTP: the operations of the billing API, each of which is a command of package wire
// or a query of package query, with the paths, the JSON, the statuses and the errors that clients of that API know.
//
// # Model
//
// An [API] is a table of operations, each with its description and its handler. The description is what the API's
// document at /openapi.json says, and it is what requests are checked against before a handler sees them. A handler
// decodes, carries out one command or asks one question, and encodes.
//
// # A request's way
//
// Whose the key is; whether it asks too often; the path, the parameters and the body against the description, all
// faults at once; the handler. A body then goes to the rules as it came: package wire reads it as it does those that come
// over NATS, so that the same command has the same content hash (D8), wherever it comes from.
//
// # What is refused
//
// A body that is too large, too deep, not JSON, not UTF-8, or not what the description says is answered with 400 and a code,
// and nothing is recorded. What belongs to another merchant is answered like what does not exist (D10).
//
// # Read your writes
//
// The sequence that a key's last command led to is remembered, and a query with the same key waits for views that hold it. It
// is remembered in memory: after a restart the views have caught up before the door opens or soon after, and then a first
// query may still be answered from before the last write.
//
// # Concurrency
//
// Any number of requests are served at once, each by a goroutine of net/http. [Server] owns the listener's goroutine; Close
// ends it. A [wire.Decoder] serves one request at a time and comes from a pool.
package httpapi
