package ledger

import (
	"errors"
	"fmt"

	"tallystick/events"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrMissing reports that the directory holds no ledger.
	ErrMissing = errors.New("ledger: there is no ledger in this directory")
	// ErrLocked reports that another process has the ledger open.
	ErrLocked = errors.New("ledger: another process has this ledger open")
	// ErrNewerFormat reports a ledger written by a later version of this program.
	ErrNewerFormat = errors.New("ledger: written by a newer version of this program")
	// ErrCorrupt matches every error that says stored bytes are not what was written.
	ErrCorrupt = errors.New("ledger: corrupt")
	// ErrFailed reports that the ledger has failed: a write did not reach the disk, or
	// may not have. Nothing can be appended until the process is started again.
	ErrFailed = errors.New("ledger: failed")
	// ErrClosed reports a call on a closed log.
	ErrClosed = errors.New("ledger: closed")
	// ErrReadOnly reports a write to a log that was opened for reading.
	ErrReadOnly = errors.New("ledger: opened for reading only")
	// ErrNoRecord reports a sequence number that no durable record has.
	ErrNoRecord = errors.New("ledger: no such record")
	// ErrNotNext matches every [*RefusedError].
	ErrNotNext = errors.New("ledger: not what follows the head")
)

// A RefusedError reports a record that Append or Import did not take, and with it
// its whole group. Nothing was written.
type RefusedError struct {
	Seq    events.Seq // of the record
	Reason string     // for people
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("ledger: record %d refused: %s", e.Seq, e.Reason)
}

// Is reports whether target is [ErrNotNext].
func (e *RefusedError) Is(target error) bool { return target == ErrNotNext }

func refuse(seq events.Seq, reason string, args ...any) error {
	return &RefusedError{Seq: seq, Reason: fmt.Sprintf(reason, args...)}
}

// A CorruptError reports stored bytes that are not what was written. It matches
// [ErrCorrupt]. Where a file is damaged, Err names it and the place in it.
type CorruptError struct {
	Seq  events.Seq // the first bad record, or 0 where none can be named
	What string     // what is bad, for people
	Err  error      // cause, or nil
}

// Error implements error.
func (e *CorruptError) Error() string {
	s := "ledger: corrupt"
	if e.Seq != 0 {
		s += fmt.Sprintf(": record %d", e.Seq)
	}
	if e.What != "" {
		s += ": " + e.What
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Is reports whether target is [ErrCorrupt].
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// Unwrap returns the cause.
func (e *CorruptError) Unwrap() error { return e.Err }
