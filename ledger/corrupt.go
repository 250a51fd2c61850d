package ledger

import (
	"github.com/cockroachdb/errors" // knows the marks by which Pebble tells its errors apart
	"github.com/cockroachdb/pebble/v2"

	"tallystick/events"
)

// corruption returns err as a [*CorruptError] if it is Pebble's, and says that bytes on disk
// are damaged, and err itself if not.
func corruption(seq events.Seq, what string, err error) error {
	if err == nil || !errors.Is(err, pebble.ErrCorruption) {
		return err
	}
	return &CorruptError{Seq: seq, What: what, Err: err}
}

// doesNotExist reports whether err is that of opening a store that is not there.
func doesNotExist(err error) bool { return errors.Is(err, pebble.ErrDBDoesNotExist) }
