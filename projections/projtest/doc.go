// Package projtest makes valid histories of a ledger, for tests and benchmarks.
//
// A history is made from a [Shape] and nothing else: the same shape always gives the same
// records, on every machine. It has what real ones have: merchants with their catalogs,
// customers with wallets and subscriptions, usage, top-ups, late usage, periods that close,
// invoices issued, paid and cancelled, clocks that advance, keys revoked, consumers erased.
// Amounts, balances, invoice numbers and line roots are right, so that every fold
// and every check must accept it.
//
// [Log] keeps a history as a ledger's log does, in memory, and grows on demand.
package projtest
