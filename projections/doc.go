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
// # Two ways to keep books
//
// Books for rules hold only the tables that rules read, in memory, and can be
// filled from a stored copy as rows are asked for ([Books.Attach]). Books for views hold every
// table and remember which rows have changed, so that a [Store] can be brought up
// to date in one write together with the sequence it is current to.
//
// # Concurrency
//
// One goroutine at a time may use Books. Rows that it returns are its own: they
// change with the next Apply.
package projections
