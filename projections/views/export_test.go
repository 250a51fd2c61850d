package views

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

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
