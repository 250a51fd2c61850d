// Package payments has the money taken that the ledger has decided to take.
//
// # Model
//
// A [Provider] is whoever can take money with a card. The ledger knows a card by the provider's name for it alone. What
// is to be taken is recorded first, as a charge; then the [Runner] asks the provider, and the provider's answer is
// recorded. The identity of the charge is the idempotency key towards the provider, so that it may be asked again after a
// crash, a lost answer or a restore, and takes the money once (D14).
//
// # Unknown outcomes
//
// When an answer is lost nobody knows whether the money was taken. The Runner does not guess: it asks the provider what
// became of the key, and charges again under the same key only where the provider has never seen it.
//
// # When it runs
//
// The Runner follows the log behind a durable cursor of its own, from the first charge whose outcome is not recorded. It
// belongs to a running server: neither a replay of the log nor a rebuild of views asks a provider for anything.
//
// # Goroutines
//
// Run is one goroutine, which starts one for each charge under way, at most [Options].Parallel, and awaits them.
package payments
