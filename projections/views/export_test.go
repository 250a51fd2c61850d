package views

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
	"tallystick/projections"
)

// SpoilFold makes a store look as if another version of the folds had made it.
func SpoilFold(fs vfs.FS, dir string) error {
	s, err := OpenStore(dir, Options{FS: fs})
	if err != nil {
		return err
	}
	at, err := s.Checkpoint()
	if err == nil {
		at.Fold = projections.FoldVersion + 1
		err = s.db.Set(checkpointKey, at.append(nil), pebble.NoSync)
	}
	return errors.Join(err, s.Close())
}

// SpoilRow makes the rows of a store others than those of its checkpoint.
func SpoilRow(fs vfs.FS, dir string) error {
	s, err := OpenStore(dir, Options{FS: fs})
	if err != nil {
		return err
	}
	key := s.tables.Numbers.Key(events.OrganizationID{1})
	return errors.Join(s.db.Set(key, []byte{7}, pebble.NoSync), s.Close())
}

// FailStore marks a store failed.
func FailStore(s *Store, cause error) { s.fail.fail(cause) }
