// Package projections folds the log into what people ask for: balances,
// subscriptions, invoices, and the rest of the [Books].
//
// # Model
//
// Books are tables of rows. [Books.Apply] takes one record after another, in the order of
// their sequence, and changes rows. Nothing else changes them: the same records
// always give the same rows, so books can be thrown away and made again. There
// is one definition of each fold. The rules of package commands decide on
// books, the live views are books, and a rebuild makes books.
//
// # Ways to keep books
//
// Books for rules hold only the tables that rules read, in memory, and can be
// filled from a stored copy as rows are asked for ([Books.Attach]). Books for views hold every
// table and remember which rows have changed, so that a store (package views) can be brought up
// to date in one write together with the sequence it is current to. Books for history are
// those of a moment in the past.
//
// # Rows
//
// A row is stored under the byte of its table and its encoded key, in a form that equal rows
// have in common, so that books can be compared by a hash. Whoever changes what a fold makes of a record, or the form of a
// row, raises [FoldVersion]: stored books of another version are made again.
//
// # Speed
//
// Nearly all records are usage. What its fold waits for is memory, not arithmetic: the rows
// of ten thousand customers do not fit into a cache. So the rows that the usage of a subscription changes are
// found once and remembered together (memo), rows of many records are asked for at the same time (readAhead),
// trees that are the same are kept once, and totals and journals, which no other fold reads, can be kept by a
// second goroutine ([Books.ApplyAll]).
//
// # Concurrency
//
// One goroutine at a time may use Books. Rows that it returns are its own: they
// change with the next Apply. A second goroutine runs during a call of ApplyAll and ends with it.
package projections
