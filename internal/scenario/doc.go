// Package scenario runs stories: plain texts that say what happens in a ledger, and what must come of it.
//
// # A story
//
// A story begins with a sentence that says why it exists, and with what it covers of the checklist ([Checklist]):
//
//	# Usage is paid from the wallet at the moment it is reported.
//	# covers: line 2, line 3, D9
//
// Then come steps, a line each. A line that is indented goes on with the one before it. What a step answers stands below it
// behind a ">".
//
//	at 2025-03-01 09:00                                  real time is this; what is due by then happens
//	as acme                                              who acts: operator, auditor, or a merchant by name
//	acorn: CreateCustomer consumer.name="Acorn"          a command; what it makes is called acorn from here on
//	use acorn 1200 tokens, 3 images  key=call-1          ReportUsage; key and timestamp need not be given
//	advance clock to 2025-04-01 00:00                    AdvanceTestClock
//	show Wallet customerId=@acorn | balanceNanos         a query, and the fields of its answer to be told
//	balances                                             the trial balance
//	restart                                              the ledger is closed and opened again
//	given given/llm                                      the steps of another file, all of which must be accepted
//
// Commands and queries are the ledger's own, by the names and fields of their JSON, so that a new one needs no change here. A field may be
// a path (consumer.name). A value is JSON where it can be read as JSON, and text where not; @acorn is the identity
// of what is called acorn, a time may be short (2025-03-01T09:00), and now, now+1h and now-1h count from the time that was named last. With
// "show", a name before the colon is given to the first field's value; "| lineItems: a b" tells fields of each element of a list.
//
// # What is checked
//
// Beside the answers that the story gives: after the last step the sums of every currency are zero, the log, the
// invoices and every view verify, and the views made again from the first record are the same ([World.Finish]).
package scenario
