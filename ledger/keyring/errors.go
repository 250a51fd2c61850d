package keyring

import (
	"errors"
	"fmt"
)

// The errors that callers tell apart.
var (
	// ErrErased says that the consumer's key was destroyed: what it sealed is gone for good.
	ErrErased = errors.New("keyring: the key was destroyed")
	// ErrUnknown says that the keyring has never had a key of the consumer.
	ErrUnknown = errors.New("keyring: there is no such key")
	// ErrConflict says that Restore met another key of the same consumer than the keyring has.
	ErrConflict = errors.New("keyring: the consumer has another key here")
	// ErrCorrupt matches every error about bytes that were changed since they were written.
	ErrCorrupt = errors.New("keyring: corrupt")
	// ErrMasterKey says that the master key is missing, or not the one that the keys are wrapped by.
	ErrMasterKey = errors.New("keyring: wrong master key")
	// ErrMissing says that the directory holds no keyring.
	ErrMissing = errors.New("keyring: there is none")
	// ErrFailed says that a write to disk has failed: the outcome of that change is
	// unknown, and no other is taken until the keyring is opened again.
	ErrFailed = errors.New("keyring: a write has failed")
	// ErrReadOnly says that the keyring was opened for reading.
	ErrReadOnly = errors.New("keyring: opened for reading only")
	// ErrClosed says that the keyring was closed.
	ErrClosed = errors.New("keyring: closed")
)

// A CorruptError says where the store is damaged. It matches [ErrCorrupt].
type CorruptError struct {
	File   string
	Offset int64
	What   string
}

// Error names the place and what helps.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("keyring: %s is corrupt at offset %d: %s; bring it back from a backup, or restore "+
		"the keys from their mirror", e.File, e.Offset, e.What)
}

// Is reports whether target is [ErrCorrupt].
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }
