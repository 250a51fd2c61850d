// Package cli is the command line: what `tally` does with its arguments.
//
// # Model
//
// [Main] builds the commands and runs one of them. Everything that it needs of the world (streams, environment, clock)
// comes with an [Env]. Commands that ask or tell the ledger something do so through a [Backend]: a running server over
// NATS, or a directory that is opened for the purpose. Which of the two, no command knows.
//
// # Output
//
// Answers go to standard output, everything else (progress, notes, errors) to standard error. Without --json the output
// is for people, and may change; with it, it is JSON for programs, and so is what went wrong: {"error": …, "code": …}, with
// a code where the ledger refused. Amounts are shown exactly, times in UTC.
//
// # Exit status
//
// 0 means that what was asked for was done, or holds; 1 that it failed, was refused, or does not hold; 2 that the
// command line makes no sense.
package cli
