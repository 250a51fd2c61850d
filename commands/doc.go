// Package commands holds the rules: what may be done, what follows from it, and what it costs.
//
// # Model
//
// A [Command] is a wish. [decide] answers it from the books and the [Context] alone: it
// returns the events that carrying it out adds to the log, or a [*Rejection]. It reads no
// clock, draws no random number and writes nothing; the time and the identity that new
// things are named after come with the Context. So the same books and the same command always give the
// same answer: in production, in a preview, in a replay.
//
// The [Sequencer] is the shell around it: one goroutine for each ledger that takes
// commands one after another, decides each on books that all earlier ones have already
// changed, numbers, encodes and hashes the events, applies them to its books, and hands
// groups of them to the log. Answers wait until what they were decided on is on disk.
//
// # Idempotency
//
// A request may carry a key. The main event that it leads to is recorded under it, in the name of the merchant whose
// business it is, and a request of the same type with the same key is answered by that record, for ever: with the first
// receipt where the content is the same, with a refusal where it is not. What was refused has left no record, and so no
// key. An operator who acts for a merchant shares its keys.
//
// # Time
//
// What happens because a time has come (a period ends, its grace ends, a subscription
// ends) is a due action. It is derived from the books, and carried out in the order of (time, creation of
// what it is about), in small slices between groups of commands. What it is about is a subject: a subscription, or something
// else that has a term. A command on a subject first carries out what is overdue on it. An action that cannot be carried out
// halts its subject, and is recorded as such; nothing else waits for it.
//
// A test clock stands still until it is told to advance. On the way everything that is due on its subscriptions happens
// as it would have happened in real time, whatever the steps; a restart on the way does no harm.
//
// # Goroutines
//
// Sequencer.Run is the one goroutine that owns the books; it starts and awaits a second one that
// answers calls in order once they are durable. Submit may be called from any goroutine.
package commands
